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

Result<std::unique_ptr<Context>> Context::create(Device& device, unsigned flags, bool primary) {
  Result<kfd::Device*> gpu = device.gpu();
  if (!gpu)
    return gpu.error();
  if (std::optional<kfd::Fault> fault = (*gpu)->fault())
    return util::fail(fault->code,
                      "no new context: a kernel has gone wrong, and the device is lost to this process");
  std::unique_ptr<Context> context(new Context(device, flags, primary));
  context->handle = driver().handles().insert(handle_kind, context.get());
  context->legacy_->handle = driver().handles().insert(HandleKind::stream, context->legacy_.get());
  if (!context->handle || !context->legacy_->handle)
    return util::fail(CUDA_ERROR_OUT_OF_MEMORY, "no handle left for a context");
  return context;
}

Context::~Context() {
  HandleTable& handles = driver().handles();
  handles.erase(handle);
  release_outsiders();
  if (!synchronize()) // after a fault there is nothing to wait for
    device_.signals().give_up();
  host_functions_.reset();
  for (auto& [event, owner] : events_)
    handles.erase(event->handle);
  events_.clear();
  for (auto& [link, owner] : links_)
    handles.erase(link->handle);
  for (auto& [module, owner] : modules_)
    handles.erase(module->handle);
  for (const std::shared_ptr<Stream>& stream : streams_)
    handles.erase(stream->handle);
  streams_.clear();
  handles.erase(legacy_->handle);
  legacy_.reset();
  modules_.clear();
  staging_.reset();
  driver().allocations().remove_all(*this);
}

void Context::release_outsiders() {
  std::vector<ContextObserver*> observers;
  {
    std::lock_guard lock(mutex_);
    observers = observers_;
  }
  for (ContextObserver* observer : observers)
    observer->context_going(*this);
}

Result<void> Context::status() const {
  if (!device_.opened().fault()) [[likely]]
    return {};
  return util::Error{device_.opened().fault()->code};
}

Result<Stream*> Context::create_stream(unsigned flags, int priority) {
  auto stream = std::make_unique<Stream>(*this, StreamRole::user, flags, priority);
  stream->handle = driver().handles().insert(Stream::handle_kind, stream.get());
  if (!stream->handle)
    return util::fail(CUDA_ERROR_OUT_OF_MEMORY, "no handle left for a stream");
  std::lock_guard lock(mutex_);
  reap_retired_locked();
  if (stream->blocking())
    blocking_count_.fetch_add(1, std::memory_order_release);
  streams_.push_back(std::move(stream));
  return streams_.back().get();
}

void Context::destroy_stream(Stream* stream) {
  driver().handles().erase(stream->handle);
  std::lock_guard lock(mutex_);
  retired_.insert(stream);
  reap_retired_locked();
}

void Context::reap_retired_locked() {
  if (retired_.empty())
    return;
  std::erase_if(streams_, [&](const std::shared_ptr<Stream>& stream) {
    if (!retired_.contains(stream.get()))
      return false;
    Result<bool> idle = stream->idle();
    if (!idle || !*idle)
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
  auto found = thread_streams_.find(thread.id);
  if (found == thread_streams_.end()) {
    auto stream = std::make_unique<Stream>(*this, StreamRole::per_thread, CU_STREAM_DEFAULT, 0);
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

Result<void> Context::synchronize_blocking() {
  return synchronize_streams(false);
}

Result<MarkerRef> Context::acquire_marker(kfd::SignalKind kind) {
  return device_.markers().acquire(kind);
}

Result<Event*> Context::create_event(unsigned flags) {
  auto event = std::make_unique<Event>(*this, flags);
  event->handle = driver().handles().insert(Event::handle_kind, event.get());
  if (!event->handle)
    return util::fail(CUDA_ERROR_OUT_OF_MEMORY, "no handle left for an event");
  std::lock_guard lock(mutex_);
  Event* raw = event.get();
  events_.emplace(raw, std::move(event));
  return raw;
}

void Context::destroy_event(Event* event) {
  driver().handles().erase(event->handle);
  std::lock_guard lock(mutex_);
  events_.erase(event);
}

Result<Module*> Context::add_module(std::unique_ptr<Module> module) {
  module->handle = driver().handles().insert(Module::handle_kind, module.get());
  if (!module->handle)
    return util::fail(CUDA_ERROR_OUT_OF_MEMORY, "no handle left for a module");
  std::lock_guard lock(mutex_);
  Module* raw = module.get();
  modules_.emplace(raw, std::move(module));
  return raw;
}

Result<Link*> Context::create_link(const JitOptions& options) {
  auto link = std::make_unique<Link>(*this, options);
  link->handle = driver().handles().insert(Link::handle_kind, link.get());
  if (!link->handle)
    return util::fail(CUDA_ERROR_OUT_OF_MEMORY, "no handle left for a link state");
  std::lock_guard lock(mutex_);
  Link* raw = link.get();
  links_.emplace(raw, std::move(link));
  return raw;
}

void Context::destroy_link(Link* link) {
  driver().handles().erase(link->handle);
  std::lock_guard lock(mutex_);
  links_.erase(link);
}

Result<void> Context::destroy_module(Module* module) {
  driver().handles().erase(module->handle);
  Result<void> waited = synchronize();
  std::lock_guard lock(mutex_);
  modules_.erase(module);
  return waited;
}

void Context::add_observer(ContextObserver* observer) {
  std::lock_guard lock(mutex_);
  observers_.push_back(observer);
}

void Context::remove_observer(ContextObserver* observer) {
  std::lock_guard lock(mutex_);
  std::erase(observers_, observer);
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
