#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <vector>

#include <kfd/device.hpp>

#include "events.hpp"

namespace shim::kfd {

// One of the kernel's events, the signals that raise it, and the threads that wait for those. KFD's
// auto-reset events forget that they were raised as soon as one waiter has seen it, so only one thread (the
// leader) sleeps in the kernel; the others sleep until it has looked, and then look for themselves.
struct SignalWaiters {
  std::mutex mutex;
  std::condition_variable changed;
  bool has_leader = false;
  Event event;
  bool event_gone = false; // destroyed early: nobody is to wait for it again
};

// Signals of one device, made in slabs and never given back before the device goes.
class SignalPool {
public:
  explicit SignalPool(Device& device) : device_(&device) {}
  ~SignalPool();

  Result<Signal> acquire(SignalKind kind, std::int64_t initial);
  void release(Signal& signal);
  // Raises the events of all interrupting signals, so that every waiter looks at the device's fault.
  void wake_all();

private:
  struct Interrupting {
    amd_signal_t* raw = nullptr;
    SignalWaiters* waiters = nullptr;
  };
  Result<amd_signal_t*> fresh_slot_locked();
  Result<SignalWaiters*> fresh_event_locked(std::deque<SignalWaiters>& events);
  Result<SignalWaiters*> event_for_locked(SignalKind kind);
  Result<Interrupting> fresh_interrupting_locked(SignalKind kind);

  Device* device_;
  std::mutex mutex_;
  std::vector<Buffer> slabs_;
  std::size_t used_in_last_slab_ = 0;
  std::vector<amd_signal_t*> free_polled_;
  std::vector<Interrupting> free_interrupting_;
  std::vector<Interrupting> free_wakers_;
  std::deque<SignalWaiters> events_; // addresses stay
  std::deque<SignalWaiters> waker_events_;
  std::size_t next_shared_ = 0;
};

} // namespace shim::kfd
