#include <core/context.hpp>

#include <algorithm>
#include <iterator>

#include <core/device.hpp>
#include <core/driver.hpp>
#include <core/host_functions.hpp>
#include <core/link.hpp>
#include <core/module.hpp>
#include <core/staging.hpp>

namespace shim::core {

Context::Context(Device& device, unsigned flags, bool primary)
    : device_(device), flags_(flags), primary_(primary),
      legacy_(std::make_unique<Stream>(*this, StreamRole::legacy, CU_STREAM_DEFAULT, 0)),
      staging_(std::make_unique<Staging>(*this)), host_functions_(std::make_unique<HostFunctions>(*this)) {}

Result<std::shared_ptr<Context>> Context::create(Device& device, unsigned flags, bool primary) {
  Result<kfd::Device*> gpu = device.gpu();
  if (!gpu)
    return gpu.error();
  if (std::optional<kfd::Fault> fault = (*gpu)->fault())
    return util::fail(fault->code,
                      "no new context: a kernel has gone wrong, and the device is lost to this process");
  HandleTable& handles = driver().handles();
  std::shared_ptr<Context> context(new Context(device, flags, primary));
  Stream& legacy = *context->legacy_;
  Result<std::uint64_t> legacy_handle =
      context->insert_child(HandleKind::stream, std::shared_ptr<Stream>(context, &legacy));
  if (!legacy_handle)
    return legacy_handle.error();
  legacy.handle = *legacy_handle;
  context->handle = handles.insert(handle_kind, context);
  if (!context->handle) {
    handles.erase(legacy.handle);
    return util::fail(CUDA_ERROR_OUT_OF_MEMORY, "no handle left for a context");
  }
  return context;
}

// Nobody uses it any more.
Context::~Context() {
  wait_for_work();
  host_functions_.reset();
  streams_.clear();
  legacy_.reset();
  staging_.reset();
}

void Context::close() {
  HandleTable& handles = driver().handles();
  handles.erase(handle);
  std::unordered_set<std::uint64_t> children;
  std::vector<std::shared_ptr<Stream>> streams;
  {
    std::lock_guard lock(mutex_);
    closed_.store(true, std::memory_order_release);
    children.swap(children_);
    streams = streams_;
  }
  for (const std::shared_ptr<Stream>& stream : streams)
    stream->close(CUDA_ERROR_CONTEXT_IS_DESTROYED);
  legacy_->close(CUDA_ERROR_CONTEXT_IS_DESTROYED);
  std::vector<Pinned<Module>> modules; // kernels of theirs may run
  for (std::uint64_t child : children) {
    if (Pinned<Module> module = find<Module>(child)) {
      module->close();
      modules.push_back(std::move(module));
    }
    handles.erase(child);
  }
  release_outsiders();
  wait_for_work(); // a fault leaves nothing to wait for
  modules.clear();
  driver().allocations().remove_all(*this);
}

Result<void> Context::refuse_if_closed_locked() const {
  if (closed_.load(std::memory_order_relaxed))
    return util::fail(CUDA_ERROR_CONTEXT_IS_DESTROYED, "the context was destroyed meanwhile");
  return {};
}

Result<std::uint64_t> Context::insert_child(HandleKind kind, std::shared_ptr<void> child) {
  std::lock_guard lock(mutex_);
  if (Result<void> open = refuse_if_closed_locked(); !open)
    return open.error();
  std::uint64_t inserted = driver().handles().insert(kind, child, shared_from_this());
  if (!inserted)
    return util::fail(CUDA_ERROR_OUT_OF_MEMORY, "no handle left");
  try {
    children_.insert(inserted);
  } catch (...) {
    driver().handles().erase(inserted); // `child` is still here: nothing is destroyed under the lock
    throw;
  }
  return inserted;
}

Result<void> Context::remove_child(std::uint64_t child) {
  {
    std::lock_guard lock(mutex_);
    children_.erase(child);
  }
  if (!driver().handles().erase(child))
    return util::fail(CUDA_ERROR_INVALID_HANDLE, "{:#x} was destroyed by another thread", child);
  return {};
}

void Context::release_outsiders() {
  device_.waits().release(this); // signals stand behind them
}

Result<void> Context::status() const {
  if (!device_.opened().fault()) [[likely]]
    return {};
  return util::Error{device_.opened().fault()->code};
}

Result<std::uint64_t> Context::create_stream(unsigned flags, int priority) {
  auto stream = std::make_shared<Stream>(*this, StreamRole::user, flags, priority);
  Result<std::uint64_t> added = add_child(stream);
  if (!added)
    return added;
  std::lock_guard lock(mutex_);
  if (Result<void> open = refuse_if_closed_locked(); !open)
    return open.error();
  reap_retired_locked();
  if (stream->blocking())
    blocking_count_.fetch_add(1, std::memory_order_release);
  streams_.push_back(std::move(stream));
  return added;
}

Result<void> Context::destroy_stream(Stream& stream) {
  if (Result<void> removed = remove_child(stream.handle); !removed)
    return removed;
  stream.close(CUDA_ERROR_INVALID_HANDLE);
  std::lock_guard lock(mutex_);
  retired_.insert(&stream);
  reap_retired_locked();
  return {};
}

void Context::reap_retired_locked() {
  if (retired_.empty())
    return;
  std::erase_if(streams_, [&](const std::shared_ptr<Stream>& stream) {
    if (!retired_.contains(stream.get()))
      return false;
    if (!stream->empty())
      return false;
    retired_.erase(stream.get());
    if (stream->blocking())
      blocking_count_.fetch_sub(1, std::memory_order_release);
    return true;
  });
}

Result<Stream*> Context::per_thread_stream() {
  ThreadState& thread = this_thread();
  if (thread.stream_context == handle)
    return thread.stream;
  std::lock_guard lock(mutex_);
  if (Result<void> open = refuse_if_closed_locked(); !open)
    return open.error();
  auto found = thread_streams_.find(thread.id);
  if (found == thread_streams_.end()) {
    auto stream = std::make_shared<Stream>(*this, StreamRole::per_thread, CU_STREAM_DEFAULT, 0);
    found = thread_streams_.emplace(thread.id, stream.get()).first;
    streams_.push_back(std::move(stream));
    blocking_count_.fetch_add(1, std::memory_order_release);
    note_thread_stream(handle);
  }
  thread.stream_context = handle;
  thread.stream = found->second;
  return thread.stream;
}

void Context::drop_thread_stream(std::uint64_t thread) {
  std::lock_guard lock(mutex_);
  auto found = thread_streams_.find(thread);
  if (found == thread_streams_.end())
    return;
  retired_.insert(found->second);
  thread_streams_.erase(found);
  reap_retired_locked();
}

Result<void> Context::synchronize_streams(bool all) {
  if (Result<void> stop = status(); !stop)
    return stop;
  std::vector<std::shared_ptr<Stream>> streams;
  {
    std::lock_guard lock(mutex_);
    std::copy_if(streams_.begin(), streams_.end(), std::back_inserter(streams),
                 [&](const std::shared_ptr<Stream>& stream) { return all || stream->blocking(); });
  }
  std::vector<MarkerRef> markers;
  for (const std::shared_ptr<Stream>& stream : streams) {
    Result<MarkerRef> marker = stream->sync_marker();
    if (!marker)
      return marker.error();
    if (*marker)
      markers.push_back(std::move(*marker));
  }
  Result<MarkerRef> marker = legacy_->sync_marker();
  if (!marker)
    return marker.error();
  if (*marker)
    markers.push_back(std::move(*marker));
  for (const MarkerRef& each : markers)
    if (Result<void> waited = each->wait(); !waited)
      return waited;
  device_.signals().settle();
  staging_->trim();
  return status();
}

Result<void> Context::synchronize() {
  return synchronize_streams(true);
}

void Context::wait_for_work() noexcept {
  try {
    if (!synchronize() && device_.opened().fault()) // there is nothing to wait for
      device_.signals().give_up();
  } catch (const std::exception& problem) {
    (void)util::fail(CUDA_ERROR_OUT_OF_MEMORY, "waiting for a context's work: {}", problem.what());
  }
}

Result<void> Context::synchronize_blocking() {
  return synchronize_streams(false);
}

Result<MarkerRef> Context::acquire_marker(kfd::SignalKind kind) {
  return device_.markers().acquire(kind);
}

Result<std::uint64_t> Context::create_event(unsigned flags) {
  return add_child(std::make_shared<Event>(*this, flags));
}

Result<std::uint64_t> Context::create_link(const JitOptions& options) {
  return add_child(std::make_shared<Link>(*this, options));
}

Result<void> Context::destroy_module(Module& module) {
  if (Result<void> removed = remove_child(module.handle); !removed)
    return removed;
  module.close();
  return synchronize();
}

Result<std::size_t> Context::limit(CUlimit which) const {
  switch (which) {
  case CU_LIMIT_STACK_SIZE:
    return stack_limit_.load();
  case CU_LIMIT_PRINTF_FIFO_SIZE:
    return printf_limit_.load();
  case CU_LIMIT_MALLOC_HEAP_SIZE:
    return heap_limit_.load();
  case CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH:
  case CU_LIMIT_DEV_RUNTIME_PENDING_LAUNCH_COUNT:
  case CU_LIMIT_MAX_L2_FETCH_GRANULARITY:
    return util::fail(CUDA_ERROR_UNSUPPORTED_LIMIT, "limit {} does not exist on this device",
                      static_cast<int>(which));
  default:
    return util::fail(CUDA_ERROR_INVALID_VALUE, "there is no limit {}", static_cast<int>(which));
  }
}

Result<void> Context::set_limit(CUlimit which, std::size_t value) {
  if (Result<std::size_t> known = limit(which); !known)
    return known.error();
  constexpr std::size_t largest_stack = 512 * 1024, stack_granule = 16;
  if (which == CU_LIMIT_STACK_SIZE && value > largest_stack)
    return util::fail(CUDA_ERROR_INVALID_VALUE, "a stack of {} bytes for each thread is too large", value);
  if (which == CU_LIMIT_STACK_SIZE)
    value = (value + stack_granule - 1) / stack_granule * stack_granule;
  (which == CU_LIMIT_STACK_SIZE         ? stack_limit_
   : which == CU_LIMIT_PRINTF_FIFO_SIZE ? printf_limit_
                                        : heap_limit_) = value;
  return {};
}

} // namespace shim::core
