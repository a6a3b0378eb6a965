#include <kfd/signal.hpp>

#include <algorithm>
#include <immintrin.h>
#include <linux/kfd_ioctl.h>

#include <kfd/device.hpp>
#include <kfd/fork.hpp>

#include "ioctl.hpp"
#include "signal_pool.hpp"

namespace shim::kfd {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t slab_bytes = 64 << 10;
constexpr std::size_t signals_per_slab = slab_bytes / sizeof(amd_signal_t);
constexpr std::chrono::microseconds spin_time{5};
constexpr std::uint32_t infinite_milliseconds = 0xffffffff; // KFD_EVENT_TIMEOUT_INFINITE

// A time that may be infinitely far away.
struct Deadline {
  explicit Deadline(std::chrono::nanoseconds timeout) {
    Clock::time_point now = Clock::now();
    never = timeout >= std::chrono::nanoseconds::max() - now.time_since_epoch();
    if (!never)
      when = now + std::max(timeout, std::chrono::nanoseconds::zero());
  }
  bool passed() const { return !never && Clock::now() >= when; }
  std::uint32_t milliseconds_left() const {
    if (never)
      return infinite_milliseconds;
    auto left = std::chrono::ceil<std::chrono::milliseconds>(when - Clock::now()).count();
    return static_cast<std::uint32_t>(std::clamp<std::int64_t>(left, 0, infinite_milliseconds - 1));
  }
  bool never = false;
  Clock::time_point when;
};

Error device_error(const Fault& fault) {
  return Error{fault.code};
}

bool spin_until_below(const Signal& signal, std::int64_t limit, std::chrono::nanoseconds timeout) {
  Clock::time_point until = Clock::now() + std::min<std::chrono::nanoseconds>(spin_time, timeout);
  do {
    if (signal.value() < limit)
      return true;
    _mm_pause();
  } while (Clock::now() < until);
  return false;
}

// Sleeps until the event is raised or the time is over.
Result<void> wait_for_event(int kfd, const Event& event, std::uint32_t milliseconds) {
  kfd_event_data data{};
  data.event_id = event.id;
  kfd_ioctl_wait_events_args args{};
  args.events_ptr = reinterpret_cast<std::uint64_t>(&data);
  args.num_events = 1;
  args.timeout = milliseconds;
  return call_ioctl(kfd, requests::wait_events, args);
}

} // namespace

SignalPool::~SignalPool() {
  for (const std::deque<SignalWaiters>* list : {&events_, &waker_events_})
    for (const SignalWaiters& waiters : *list)
      if (!waiters.event_gone)
        device_->process_->events_->destroy(waiters.event);
}

Result<amd_signal_t*> SignalPool::fresh_slot_locked() {
  if (slabs_.empty() || used_in_last_slab_ == signals_per_slab) {
    Result<Buffer> slab = device_->allocate(MemoryKind::gtt, slab_bytes, {.uncached = true});
    if (!slab)
      return slab.error();
    slabs_.push_back(*std::move(slab));
    used_in_last_slab_ = 0;
  }
  amd_signal_t* raw = slabs_.back().cpu_as<amd_signal_t>() + used_in_last_slab_++;
  raw->kind = AMD_SIGNAL_KIND_USER;
  return raw;
}

Result<SignalWaiters*> SignalPool::fresh_event_locked(std::deque<SignalWaiters>& events) {
  Result<Event> event = device_->process_->events_->create(KFD_IOC_EVENT_SIGNAL, true);
  if (!event)
    return event.error();
  SignalWaiters& waiters = events.emplace_back();
  waiters.event = *event;
  return &waiters;
}

Result<SignalWaiters*> SignalPool::event_for_locked(SignalKind kind) {
  // The process has KFD_SIGNAL_EVENT_LIMIT (4096), and others need some.
  constexpr std::size_t most_events = 3072;
  if (kind == SignalKind::waker)
    return fresh_event_locked(waker_events_);
  if (events_.size() < most_events) {
    Result<SignalWaiters*> fresh = fresh_event_locked(events_);
    if (fresh || events_.empty())
      return fresh;
  }
  return &events_[next_shared_++ % events_.size()];
}

Result<SignalPool::Interrupting> SignalPool::fresh_interrupting_locked(SignalKind kind) {
  Result<amd_signal_t*> raw = fresh_slot_locked();
  if (!raw)
    return raw.error();
  Result<SignalWaiters*> waiters = event_for_locked(kind);
  if (!waiters) {
    free_polled_.push_back(*raw);
    return waiters.error();
  }
  (*raw)->event_mailbox_ptr = (*waiters)->event.mailbox;
  (*raw)->event_id = (*waiters)->event.trigger;
  return Interrupting{*raw, *waiters};
}

Result<Signal> SignalPool::acquire(SignalKind kind, std::int64_t initial) {
  Signal signal;
  {
    std::lock_guard lock(mutex_);
    if (kind == SignalKind::polled && !free_polled_.empty()) {
      signal.raw_ = free_polled_.back();
      free_polled_.pop_back();
    } else if (kind == SignalKind::polled) {
      Result<amd_signal_t*> raw = fresh_slot_locked();
      if (!raw)
        return raw.error();
      signal.raw_ = *raw;
    } else if (std::vector<Interrupting>& free =
                   kind == SignalKind::waker ? free_wakers_ : free_interrupting_;
               !free.empty()) {
      signal.raw_ = free.back().raw;
      signal.waiters_ = free.back().waiters;
      free.pop_back();
    } else {
      Result<Interrupting> fresh = fresh_interrupting_locked(kind);
      if (!fresh)
        return fresh.error();
      signal.raw_ = fresh->raw;
      signal.waiters_ = fresh->waiters;
    }
  }
  signal.device_ = device_;
  signal.kind_ = kind;
  signal.clear_ticks();
  signal.set(initial);
  return signal;
}

void SignalPool::release(Signal& signal) {
  std::lock_guard lock(mutex_);
  if (signal.kind_ == SignalKind::polled)
    free_polled_.push_back(signal.raw_);
  else if (!signal.waiters_->event_gone)
    (signal.kind_ == SignalKind::waker ? free_wakers_ : free_interrupting_)
        .push_back({signal.raw_, signal.waiters_});
}

void SignalPool::wake_all() {
  std::lock_guard lock(mutex_);
  for (const std::deque<SignalWaiters>* list : {&events_, &waker_events_})
    for (const SignalWaiters& waiters : *list)
      static_cast<void>(device_->process_->events_->set(waiters.event.id));
}

Signal::~Signal() {
  if (raw_ && !in_forked_child())
    device_->signals_->release(*this);
}

Result<void> Signal::set_and_wake(std::int64_t value) {
  set(value);
  return device_->process_->events_->set(waiters_->event.id);
}

void Signal::end_waits() {
  EventPage& events = *device_->process_->events_;
  if (events.set(waiters_->event.id))
    return;
  events.destroy(waiters_->event); // which wakes its waiters, too
  waiters_->event_gone = true;
}

Result<WaitResult> Signal::wait_below(std::int64_t limit, std::chrono::nanoseconds timeout) const {
  if (value() < limit || spin_until_below(*this, limit, timeout))
    return WaitResult::satisfied;
  if (kind_ != SignalKind::interrupting)
    return WaitResult::timed_out;

  Deadline deadline(timeout);
  std::unique_lock lock(waiters_->mutex);
  for (;;) {
    if (value() < limit)
      return WaitResult::satisfied;
    if (std::optional<Fault> fault = device_->fault())
      return device_error(*fault);
    if (deadline.passed())
      return WaitResult::timed_out;
    if (waiters_->has_leader) {
      if (deadline.never)
        waiters_->changed.wait(lock);
      else
        waiters_->changed.wait_until(lock, deadline.when);
      continue;
    }
    waiters_->has_leader = true;
    lock.unlock();
    Result<void> waited =
        wait_for_event(device_->process_->kfd_fd(), waiters_->event, deadline.milliseconds_left());
    lock.lock();
    waiters_->has_leader = false;
    waiters_->changed.notify_all();
    if (!waited)
      return waited.error();
  }
}

Result<void> Signal::wait_raised(std::chrono::nanoseconds timeout) const {
  if (std::optional<Fault> fault = device_->fault())
    return device_error(*fault);
  return wait_for_event(device_->process_->kfd_fd(), waiters_->event, Deadline(timeout).milliseconds_left());
}

} // namespace shim::kfd
