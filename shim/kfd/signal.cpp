#include <kfd/signal.hpp>

#include <algorithm>
#include <deque>
#include <immintrin.h>
#include <linux/kfd_ioctl.h>
#include <vector>

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

// Sleeps until one of the events is raised or the time is over.
Result<void> wait_for_events(int kfd, std::span<kfd_event_data> events, std::uint32_t milliseconds) {
  kfd_ioctl_wait_events_args args{};
  args.events_ptr = reinterpret_cast<std::uint64_t>(events.data());
  args.num_events = static_cast<std::uint32_t>(events.size());
  args.timeout = milliseconds;
  return call_ioctl(kfd, requests::wait_events, args);
}

// Counts the calling thread among a signal's waiters.
class Counted {
public:
  Counted(EventPage& events, SignalWaiters& waiters) : events_(events), waiters_(waiters) {
    ++waiters_.counted;
  }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  ~Counted() { --waiters_.counted; }
  void pass_on() const {
    if (waiters_.counted.load() > 1)
      static_cast<void>(events_.set(waiters_.event.id));
  }

private:
  EventPage& events_;
  SignalWaiters& waiters_;
};

} // namespace

SignalPool::~SignalPool() {
  for (const SignalWaiters& waiters : waiters_)
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

Result<SignalPool::Interrupting> SignalPool::fresh_interrupting_locked() {
  Result<Event> event = device_->process_->events_->create(KFD_IOC_EVENT_SIGNAL, true);
  if (!event)
    return event.error();
  Result<amd_signal_t*> raw = fresh_slot_locked();
  if (!raw) {
    device_->process_->events_->destroy(*event);
    return raw.error();
  }
  SignalWaiters& waiters = waiters_.emplace_back();
  waiters.event = *event;
  (*raw)->event_mailbox_ptr = event->mailbox;
  (*raw)->event_id = event->trigger;
  return Interrupting{*raw, &waiters};
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
    } else if (!free_interrupting_.empty()) {
      signal.raw_ = free_interrupting_.back().raw;
      signal.waiters_ = free_interrupting_.back().waiters;
      free_interrupting_.pop_back();
    } else {
      Result<Interrupting> fresh = fresh_interrupting_locked();
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
  else
    free_interrupting_.push_back({signal.raw_, signal.waiters_});
}

void SignalPool::wake_all() {
  std::lock_guard lock(mutex_);
  for (SignalWaiters& waiters : waiters_)
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

Result<WaitResult> Signal::wait_below(std::int64_t limit, std::chrono::nanoseconds timeout) const {
  if (value() < limit || spin_until_below(*this, limit, timeout))
    return WaitResult::satisfied;
  if (kind_ == SignalKind::polled)
    return WaitResult::timed_out;

  Deadline deadline(timeout);
  Counted counted(*device_->process_->events_, *waiters_);
  std::unique_lock lock(waiters_->mutex);
  for (;;) {
    if (value() < limit) {
      counted.pass_on();
      return WaitResult::satisfied;
    }
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
    kfd_event_data data{};
    data.event_id = waiters_->event.id;
    Result<void> waited =
        wait_for_events(device_->process_->kfd_fd(), {&data, 1}, deadline.milliseconds_left());
    lock.lock();
    waiters_->has_leader = false;
    waiters_->changed.notify_all();
    if (!waited)
      return waited.error();
  }
}

Result<WaitResult> wait_any(Device& device, std::span<const SignalCondition> conditions,
                            std::chrono::nanoseconds timeout) {
  if (conditions.empty())
    return fail(CUDA_ERROR_INVALID_VALUE, "wait for no signals");
  std::vector<kfd_event_data> events(conditions.size());
  std::deque<Counted> counted;
  for (std::size_t i = 0; i < conditions.size(); ++i) {
    SignalWaiters& waiters = *conditions[i].signal->waiters_;
    events[i].event_id = waiters.event.id;
    counted.emplace_back(*device.process_->events_, waiters);
  }

  Deadline deadline(timeout);
  for (;;) {
    bool satisfied = false;
    for (std::size_t i = 0; i < conditions.size(); ++i)
      if (conditions[i].signal->value() < conditions[i].limit) {
        satisfied = true;
        counted[i].pass_on();
      }
    if (satisfied)
      return WaitResult::satisfied;
    if (std::optional<Fault> fault = device.fault())
      return device_error(*fault);
    if (deadline.passed())
      return WaitResult::timed_out;
    if (Result<void> waited =
            wait_for_events(device.process_->kfd_fd(), events, deadline.milliseconds_left());
        !waited)
      return waited.error();
  }
}

Result<void> Signal::wait_raised(std::chrono::nanoseconds timeout) const {
  if (std::optional<Fault> fault = device_->fault())
    return device_error(*fault);
  kfd_event_data data{};
  data.event_id = waiters_->event.id;
  return wait_for_events(device_->process_->kfd_fd(), {&data, 1}, Deadline(timeout).milliseconds_left());
}

} // namespace shim::kfd
