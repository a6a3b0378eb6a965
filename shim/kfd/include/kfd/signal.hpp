// AMD signals (amd_signal_t of hsa/amd_hsa_signal.h): 64-byte objects in memory that CPU and GPU share. The
// packet processor decrements a signal's value when a packet completes and, for an interrupting one, raises a
// KFD event.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <utility>

#include <hsa/amd_hsa_signal.h>
#include <hsa/hsa.h>

#include <util/error.hpp>

namespace shim::kfd {

using util::Result;

class Device;
class Process;
struct SignalWaiters;

enum class SignalKind : std::uint8_t {
  polled,       // no interrupt: for dependencies between packets, timestamps and queries
  interrupting, // threads can block on it; beyond some thousands, several share one of the kernel's events
  waker,        // an event of its own, for wait_raised() alone; the process has about 4000
};

enum class WaitResult : std::uint8_t { satisfied, timed_out };

inline constexpr std::chrono::nanoseconds wait_forever = std::chrono::nanoseconds::max();

// A signal out of the device's pool; returned to the pool by the destructor. Acquiring and releasing take the
// pool's lock and, except when the pool grows, make no system call. The device must outlive it. The owner
// makes sure that no packet in flight still names it.
class Signal {
public:
  Signal() = default;
  Signal(Signal&& other) noexcept { swap(other); }
  Signal& operator=(Signal&& other) noexcept {
    Signal taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~Signal();

  bool valid() const { return raw_ != nullptr; }
  // What goes into a packet's completion_signal and dep_signal.
  hsa_signal_t handle() const { return {reinterpret_cast<std::uint64_t>(raw_)}; }
  std::uint64_t gpu_address() const { return reinterpret_cast<std::uint64_t>(raw_); }
  // GPU address of the 64-bit value itself, for packets that poll or write it.
  std::uint64_t value_address() const { return reinterpret_cast<std::uint64_t>(&raw_->value); }

  std::int64_t value() const { return __atomic_load_n(&raw_->value, __ATOMIC_ACQUIRE); }
  // A store by the CPU: release order, raises no event.
  void set(std::int64_t value) { __atomic_store_n(&raw_->value, value, __ATOMIC_RELEASE); }
  // The same and wakes threads that wait for it (one ioctl). Not for polled signals.
  Result<void> set_and_wake(std::int64_t value);

  // GPU clock ticks (Device::gpu_clock_hz) at which the packet that completed it last began and ended. Zero
  // until a packet with profiling wrote them: the queue must have been made with profiling.
  std::uint64_t start_ticks() const { return __atomic_load_n(&raw_->start_ts, __ATOMIC_RELAXED); }
  std::uint64_t end_ticks() const { return __atomic_load_n(&raw_->end_ts, __ATOMIC_RELAXED); }
  void clear_ticks() { raw_->start_ts = raw_->end_ts = 0; }

  // For polled signals that one thread serves in bulk: when the GPU completes this one, `waker`'s event is
  // raised, and wait_raised() on `waker` returns. Until raise_nothing(), which comes before the signal goes
  // back to anyone else.
  void raise_through(const Signal& waker) {
    raw_->event_mailbox_ptr = waker.raw_->event_mailbox_ptr;
    raw_->event_id = waker.raw_->event_id;
  }
  void raise_nothing() {
    raw_->event_mailbox_ptr = 0;
    raw_->event_id = 0;
  }
  // Sleeps until the event of this waker has been raised since the last return, whatever its value; may
  // return early. For one thread at a time. The device's error after a fault.
  Result<void> wait_raised(std::chrono::nanoseconds timeout = wait_forever) const;

  // Wakes the thread that sleeps in wait_raised(), for good: the waker is of no use any more.
  void end_waits();

  SignalKind kind() const { return kind_; }
  std::uint32_t event_id() const { return raw_->event_id; }

  // Blocks until value() < limit. Spins for a few microseconds, then sleeps in the kernel (interrupting
  // signals). Any number of threads may wait for one signal. A polled signal is only spun for: timed_out
  // after that bound. The device's error where the GPU has faulted (Device::fault): the signal may then never
  // come.
  Result<WaitResult> wait_below(std::int64_t limit, std::chrono::nanoseconds timeout = wait_forever) const;
  // The usual case: a completion signal that starts at 1 has reached 0.
  Result<WaitResult> wait_done(std::chrono::nanoseconds timeout = wait_forever) const {
    return wait_below(1, timeout);
  }

private:
  friend class SignalPool;
  void swap(Signal& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(raw_, other.raw_);
    std::swap(kind_, other.kind_);
    std::swap(waiters_, other.waiters_);
  }

  Device* device_ = nullptr;
  amd_signal_t* raw_ = nullptr;
  SignalKind kind_ = SignalKind::polled;
  SignalWaiters* waiters_ = nullptr; // who sleeps in the kernel, who waits for that one; null where polled
};

} // namespace shim::kfd
