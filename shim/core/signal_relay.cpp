#include <core/signal_relay.hpp>

#include <algorithm>
#include <exception>

#include <core/external_semaphore.hpp>
#include <core/held_streams.hpp>
#include <kfd/fork.hpp>
#include <util/thread.hpp>

namespace shim::core {

namespace {
// How long until the thread looks again where a stream needs a queue and the kernel has none.
constexpr std::chrono::milliseconds queue_patience{100};
} // namespace

SignalRelay::~SignalRelay() {
  if (!thread_.joinable())
    return;
  if (kfd::in_forked_child()) {
    thread_.detach();
    return;
  }
  stopping_ = true;
  waker_.wake_to_end();
  thread_.join();
  give_up();
}

Result<void> SignalRelay::start_locked() {
  if (!waker_.prepared())
    if (Result<void> prepared = waker_.prepare(gpu_); !prepared)
      return prepared;
  if (!thread_.joinable())
    thread_ = util::start_thread("cuda-signals", [this] { run(); });
  return {};
}

Result<void> SignalRelay::watch(Marker& marker) {
  std::lock_guard lock(mutex_);
  if (Result<void> started = start_locked(); !started)
    return started;
  waker_.watch(marker);
  return {};
}

void SignalRelay::wake() noexcept {
  std::lock_guard lock(mutex_);
  try {
    if (start_locked())
      static_cast<void>(waker_.wake());
  } catch (const std::exception& problem) {
    (void)util::fail(CUDA_ERROR_OUT_OF_MEMORY, "the thread that signals semaphores: {}", problem.what());
  }
}

void SignalRelay::add(SignalCommand signal) {
  std::lock_guard lock(mutex_);
  waiting_.push_back(std::move(signal));
  under_way_.fetch_add(1, std::memory_order_release);
}

void SignalRelay::perform(SignalCommand& signal, util::Ring<MarkerRef>& reached) {
  // There is nobody left to return an error to.
  static_cast<void>(signal.semaphore->perform(signal.marker, signal.value, waits_, reached));
  signal.semaphore.reset();
  if (promised_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    std::lock_guard lock(mutex_);
    performed_.notify_all();
  }
}

void SignalRelay::perform(SignalCommand& signal) {
  util::Ring<MarkerRef> reached;
  {
    std::lock_guard performing(performing_);
    perform(signal, reached);
  }
  complete(reached);
}

void SignalRelay::perform_due(util::Ring<MarkerRef>& reached) {
  {
    std::lock_guard lock(mutex_);
    due_.reserve(waiting_.size()); // nothing below fails half-way
    // Newest first: where a later marker is done, so are those in front of it, but only if they are looked at
    // after it. Those that are not due stay in their places.
    auto kept = waiting_.rbegin();
    for (auto entry = waiting_.rbegin(); entry != waiting_.rend(); ++entry)
      if (ended_ || entry->marker->done())
        due_.push_back(std::move(*entry));
      else if (entry != kept++)
        *std::prev(kept) = std::move(*entry);
    waiting_.erase(waiting_.begin(), kept.base());
  }
  std::reverse(due_.begin(), due_.end());
  for (SignalCommand& signal : due_)
    perform(signal, reached);
  under_way_.fetch_sub(due_.size(), std::memory_order_release);
  due_.clear();
}

void SignalRelay::settle_slow() {
  util::Ring<MarkerRef> reached; // completed without the lock: streams go on, and may signal
  {
    std::lock_guard performing(performing_);
    perform_due(reached);
  }
  complete(reached);
}

void SignalRelay::run() {
  while (!stopping_) {
    Result<void> slept = waker_.sleep(held_.any_for_queue() ? queue_patience : kfd::wait_forever);
    if (stopping_)
      return;
    if (!slept) {
      // The GPU has faulted: nothing more will be done, and nobody outside shall wait for it.
      give_up();
      return;
    }
    settle();
    held_.look();
    held_.go_on();
  }
}

void SignalRelay::give_up() {
  {
    std::lock_guard lock(mutex_);
    ended_ = true;
  }
  settle();
  held_.abandon_all();
  settle();
}

void SignalRelay::finish(std::chrono::nanoseconds limit) {
  {
    std::unique_lock lock(mutex_);
    performed_.wait_for(lock, limit, [this] { return promised_.load() == 0; });
  }
  give_up();
}

} // namespace shim::core
