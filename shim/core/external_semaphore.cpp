#include <core/external_semaphore.hpp>

#include <algorithm>
#include <iterator>
#include <thread>
#include <unistd.h>

#include <core/context.hpp>
#include <core/device.hpp>
#include <core/stream.hpp>
#include <core/wait_relay.hpp>
#include <util/small_vector.hpp>

namespace shim::core {

namespace {

using util::fail;

constexpr std::int64_t only_look = 0; // a deadline in the past

Result<SemaphoreType> check(const CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC& desc) {
  // Numbers that CUDA gave to later types, all of them foreign to this system.
  constexpr unsigned d3d11_fence = 5, nvscisync = 6, d3d11_keyed_mutex = 7, d3d11_keyed_mutex_kmt = 8;
  switch (static_cast<unsigned>(desc.type)) {
  case CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_FD:
  case CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_TIMELINE_SEMAPHORE_FD:
    break;
  case CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_WIN32:
  case CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_WIN32_KMT:
  case CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_D3D12_FENCE:
  case CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_TIMELINE_SEMAPHORE_WIN32:
  case d3d11_fence:
  case nvscisync:
  case d3d11_keyed_mutex:
  case d3d11_keyed_mutex_kmt:
    return fail(CUDA_ERROR_NOT_SUPPORTED, "external semaphore handle type {} belongs to another system",
                static_cast<unsigned>(desc.type));
  default:
    return fail(CUDA_ERROR_INVALID_VALUE, "external semaphore handle type {}",
                static_cast<unsigned>(desc.type));
  }
  bool reserved =
      std::any_of(std::begin(desc.reserved), std::end(desc.reserved), [](unsigned word) { return word; });
  if (desc.flags != 0 || reserved)
    return fail(CUDA_ERROR_INVALID_VALUE, "external semaphore flags {:#x}", desc.flags);
  return desc.type == CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_FD ? SemaphoreType::binary
                                                                  : SemaphoreType::timeline;
}

// Somebody may wait already, and several semaphores go together: what fails is tried again, in case that the
// kernel was out of memory.
template <class Call>
Result<void> persistently(Call&& call) {
  constexpr int attempts = 8;
  for (int i = 1; i < attempts; ++i) {
    if (call())
      return {};
    std::this_thread::yield();
  }
  return call();
}

bool is(const Result<kfd::WaitResult>& result, kfd::WaitResult wanted) {
  return result && *result == wanted;
}

Result<void> emptied(SharedSemaphore& semaphore) {
  return persistently([&] { return semaphore.syncobj.reset(); });
}

// The locks of the binary semaphores of a call, taken in the order of their addresses.
class Locks {
public:
  explicit Locks(std::span<const SemaphoreOperation> operations) {
    for (const SemaphoreOperation& operation : operations)
      if (operation.semaphore->type() == SemaphoreType::binary)
        semaphores_.push_back(operation.semaphore->shared().get());
    std::sort(semaphores_.begin(), semaphores_.end());
    for_each([](SharedSemaphore& semaphore) { semaphore.mutex.lock(); });
  }
  ~Locks() {
    for_each([](SharedSemaphore& semaphore) { semaphore.mutex.unlock(); });
  }
  Locks(const Locks&) = delete;
  Locks& operator=(const Locks&) = delete;

private:
  template <class Visit>
  void for_each(Visit&& visit) {
    SharedSemaphore* last = nullptr; // one may stand in the call several times
    for (SharedSemaphore* semaphore : semaphores_)
      if (std::exchange(last, semaphore) != semaphore)
        visit(*semaphore);
  }
  util::SmallVector<SharedSemaphore*, 8> semaphores_;
};

// Is it a binary semaphore that stands earlier in the call, too? Once is enough.
bool repeated(std::span<const SemaphoreOperation> operations, std::size_t index) {
  const SharedSemaphore* semaphore = operations[index].semaphore->shared().get();
  return semaphore->type == SemaphoreType::binary &&
         std::any_of(operations.begin(), operations.begin() + static_cast<std::ptrdiff_t>(index),
                     [&](const SemaphoreOperation& earlier) {
                       return earlier.semaphore->shared().get() == semaphore;
                     });
}

Result<void> check_contexts(const Stream& stream, std::span<const SemaphoreOperation> operations) {
  for (const SemaphoreOperation& operation : operations)
    if (&operation.semaphore->context() != &stream.context())
      return fail(CUDA_ERROR_INVALID_VALUE, "a semaphore and a stream of two contexts");
  return {};
}

// What a wait for one semaphore comes to.
struct Step {
  enum class How : std::uint8_t {
    pass,     // signalled
    consume,  // a binary one, signalled
    keep,     // a binary one's fence, which is in the snapshot already
    follow,   // a signal of ours that is under way: the streams do that between themselves
    queue,    // for a fence that is still to come
    timeline, // for its value
  };
  How how = How::pass;
  MarkerRef marker; // that the stream waits for
  kfd::Syncobj snapshot;
};

// Gets what a wait needs from the kernel.
Result<void> provide(Stream& stream, Step& step, bool snapshot) {
  Result<MarkerRef> marker = stream.context().acquire_marker(kfd::SignalKind::polled);
  if (!marker)
    return marker.error();
  step.marker = *std::move(marker);
  WaitRelay& relay = stream.context().device().waits();
  if (Result<void> prepared = relay.prepare(); !prepared || !snapshot)
    return prepared;
  Result<kfd::Syncobj> made = relay.acquire_snapshot();
  if (!made)
    return made.error();
  step.snapshot = *std::move(made);
  return {};
}

Result<void> look_at_timeline(Stream& stream, SharedSemaphore& semaphore, std::uint64_t value, Step& step) {
  if (value == 0) // reached from the start; to the kernel point 0 is whatever comes first
    return {};
  Result<kfd::WaitResult> reached = semaphore.syncobj.wait_signaled(value, only_look);
  if (!reached)
    return reached.error();
  if (*reached == kfd::WaitResult::satisfied)
    return {};
  step.how = Step::How::timeline;
  return provide(stream, step, false);
}

Result<void> look_at_binary(Stream& stream, SharedSemaphore& semaphore, Step& step) {
  semaphore.waiters.make_room(); // what follows must not fail
  semaphore.taken.make_room();
  step.how = Step::How::queue;
  if (semaphore.waiters.empty() && semaphore.latest) {
    step.how = Step::How::follow;
    return {};
  }
  if (semaphore.waiters.empty()) {
    Result<kfd::WaitResult> there = semaphore.syncobj.wait_available(0, only_look);
    if (!there)
      return there.error();
    if (*there == kfd::WaitResult::satisfied)
      step.how = Step::How::keep;
  }
  if (step.how == Step::How::keep) {
    Result<kfd::WaitResult> signalled = semaphore.syncobj.wait_signaled(0, only_look);
    if (!signalled)
      return signalled.error();
    if (*signalled == kfd::WaitResult::satisfied) {
      step.how = Step::How::consume;
      return {};
    }
  }
  if (Result<void> provided = provide(stream, step, true); !provided)
    return provided;
  // The next submission of the other side replaces the fence: keep this one.
  return step.how == Step::How::keep ? semaphore.syncobj.transfer_to(step.snapshot, 0, 0) : Result<void>();
}

void commit(Stream& stream, const SemaphoreOperation& operation, Step& step, util::Ring<MarkerRef>& reached) {
  WaitRelay& relay = stream.context().device().waits();
  const std::shared_ptr<SharedSemaphore>& semaphore = operation.semaphore->shared();
  ArmedWait wait;
  wait.context = &stream.context();
  wait.marker = step.marker;
  switch (step.how) {
  case Step::How::pass:
  case Step::How::consume:
    return;
  case Step::How::follow:
    step.marker = semaphore->latest;
    semaphore->taken.push_back(std::move(semaphore->latest));
    return;
  case Step::How::keep:
    wait.snapshot = std::move(step.snapshot);
    relay.arm(std::move(wait));
    return;
  case Step::How::timeline:
    wait.semaphore = semaphore;
    wait.point = operation.value;
    relay.arm(std::move(wait));
    return;
  case Step::How::queue:
    semaphore->waiters.push_back({&stream.context(), step.marker, std::move(step.snapshot)});
    semaphore->serve_locked(relay, reached); // one may have come: the lock does not hold the other side
    return;
  }
}

} // namespace

void complete(util::Ring<MarkerRef>& reached) {
  while (!reached.empty())
    static_cast<void>(reached.pop_front()->complete());
}

Result<void> SharedSemaphore::perform(const MarkerRef& marker, std::uint64_t value, WaitRelay& relay,
                                      util::Ring<MarkerRef>& reached) {
  if (type == SemaphoreType::timeline)
    return persistently([&] { return syncobj.signal_point(value); });
  auto is_this = [&](const MarkerRef& other) { return marker && other && &*other == &*marker; };
  std::lock_guard lock(mutex);
  for (std::size_t i = 0; i < taken.size(); ++i) // they come due in nearly the same order
    if (is_this(taken[i])) {
      std::swap(taken[i], taken.front());
      taken.pop_front();
      return {};
    }
  if (is_this(latest))
    latest.reset();
  serve_locked(relay, reached); // the other side's signals that have come before
  if (waiters.empty())
    return persistently([&] { return syncobj.signal(); });
  reached.push_back(waiters.pop_front().marker);
  return {};
}

void SharedSemaphore::serve_locked(WaitRelay& relay, util::Ring<MarkerRef>& reached) {
  while (!waiters.empty()) {
    if (is(syncobj.wait_available(0, only_look), kfd::WaitResult::timed_out))
      break;
    question = 0; // the kernel has answered it
    Waiter waiter = waiters.pop_front();
    // An error counts as signalled: a stream that waits for ever helps nobody, and the error was logged.
    bool pending = is(syncobj.wait_signaled(0, only_look), kfd::WaitResult::timed_out) &&
                   persistently([&] { return syncobj.transfer_to(waiter.snapshot, 0, 0); });
    static_cast<void>(emptied(*this));
    if (pending) {
      ArmedWait wait;
      wait.context = waiter.context;
      wait.marker = std::move(waiter.marker);
      wait.snapshot = std::move(waiter.snapshot);
      relay.arm(std::move(wait));
    } else {
      reached.push_back(std::move(waiter.marker));
    }
  }
  if (waiters.empty() || question != 0)
    return;
  ArmedWait wait;
  wait.what = ArmedWait::For::fence;
  wait.semaphore = shared_from_this();
  wait.question = ++questions;
  question = wait.question;
  relay.arm(std::move(wait));
}

void SharedSemaphore::fence_came(WaitRelay& relay, std::uint64_t asked) {
  util::Ring<MarkerRef> reached;
  {
    std::lock_guard lock(mutex);
    if (question == asked)
      question = 0;
    serve_locked(relay, reached);
  }
  complete(reached);
}

void SharedSemaphore::release_waiters(const Context* context) {
  util::Ring<MarkerRef> reached;
  {
    std::lock_guard lock(mutex);
    for (std::size_t left = waiters.size(); left > 0; --left) {
      Waiter waiter = waiters.pop_front();
      if (waiter.context == context)
        reached.push_back(std::move(waiter.marker));
      else
        waiters.push_back(std::move(waiter));
    }
  }
  complete(reached);
}

Result<std::uint64_t> import_external_semaphore(Context& context,
                                                const CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC& desc) {
  Result<SemaphoreType> type = check(desc);
  if (!type)
    return type.error();
  Result<kfd::Syncobj> syncobj =
      kfd::Syncobj::import_fd(context.device().opened().render_fd(), desc.handle.fd);
  if (!syncobj)
    return syncobj.error();
  auto shared = std::make_shared<SharedSemaphore>();
  shared->type = *type;
  shared->syncobj = *std::move(syncobj);
  Result<std::uint64_t> added =
      context.add_child(std::make_shared<ExternalSemaphore>(&context, std::move(shared)));
  if (added)
    ::close(desc.handle.fd); // the import has succeeded: it was given to us
  return added;
}

namespace {

// Nothing is in front of them.
Result<void> signal_now(Stream& stream, std::span<const SemaphoreOperation> operations) {
  Result<void> first_error;
  util::Ring<MarkerRef> reached;
  for (const SemaphoreOperation& operation : operations) {
    Result<void> signalled = operation.semaphore->shared()->perform(
        MarkerRef(), operation.value, stream.context().device().waits(), reached);
    if (!signalled && first_error)
      first_error = signalled;
  }
  complete(reached);
  return first_error;
}

} // namespace

Result<void> signal_semaphores(Stream& stream, std::span<const SemaphoreOperation> operations) {
  if (Result<void> checked = check_contexts(stream, operations); !checked)
    return checked;
  Result<bool> nothing_before = stream.caught_up();
  if (!nothing_before)
    return nothing_before.error();
  if (*nothing_before)
    return signal_now(stream, operations);

  Device& device = stream.context().device();
  Result<MarkerRef> marker = stream.context().acquire_marker(kfd::SignalKind::polled);
  if (!marker)
    return marker.error();
  if (Result<void> watched = device.signals().watch(**marker); !watched)
    return watched;
  util::Ring<MarkerRef> reached;
  auto signals = [&](Stream::Signals& list) -> Result<void> {
    Locks locks(operations);
    // All that can fail. From here on nobody can take a fence of an earlier frame for this one's.
    for (const SemaphoreOperation& operation : operations) {
      SharedSemaphore& semaphore = *operation.semaphore->shared();
      if (semaphore.type == SemaphoreType::timeline)
        continue;
      semaphore.serve_locked(device.waits(), reached); // the fence may be for a wait that has come before
      if (semaphore.waiters.empty())                   // else there is none
        if (Result<void> empty = emptied(semaphore); !empty)
          return empty;
    }
    for (std::size_t i = 0; i < operations.size(); ++i) {
      const std::shared_ptr<SharedSemaphore>& semaphore = operations[i].semaphore->shared();
      if (repeated(operations, i))
        continue;
      if (semaphore->type == SemaphoreType::binary)
        semaphore->latest = *marker;
      list.push_back({*marker, semaphore, operations[i].value});
    }
    return {};
  };
  Result<void> queued = stream.signal(*marker, signals);
  complete(reached);
  return queued;
}

Result<void> wait_semaphores(Stream& stream, std::span<const SemaphoreOperation> operations) {
  if (Result<void> checked = check_contexts(stream, operations); !checked)
    return checked;
  if (Result<void> ordered = stream.order(); !ordered)
    return ordered;
  util::SmallVector<Step, 8> steps;
  util::Ring<MarkerRef> reached;
  {
    Locks locks(operations);
    for (std::size_t i = 0; i < operations.size(); ++i) {
      steps.push_back({});
      SharedSemaphore& semaphore = *operations[i].semaphore->shared();
      if (repeated(operations, i))
        continue;
      Result<void> seen = semaphore.type == SemaphoreType::timeline
                              ? look_at_timeline(stream, semaphore, operations[i].value, steps[i])
                              : look_at_binary(stream, semaphore, steps[i]);
      if (!seen)
        return seen;
    }
    // Once nothing else can fail: the next wait of a binary semaphore is for another fence.
    for (std::size_t i = 0; i < operations.size(); ++i)
      if (steps[i].how == Step::How::consume || steps[i].how == Step::How::keep)
        if (Result<void> empty = emptied(*operations[i].semaphore->shared()); !empty)
          return empty;
    for (std::size_t i = 0; i < operations.size(); ++i)
      commit(stream, operations[i], steps[i], reached);
  }
  complete(reached);
  Result<void> put;
  for (Step& step : steps)
    if (step.marker)
      if (Result<void> waiting = stream.wait_ordered(std::move(step.marker)); !waiting)
        put = waiting;
  // What was armed after a context that goes has released its waits.
  if (!put && stream.context().closed())
    stream.context().device().waits().release(&stream.context());
  return put;
}

} // namespace shim::core
