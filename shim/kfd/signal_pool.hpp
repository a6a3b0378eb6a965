#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <vector>

#include <kfd/device.hpp>

#include "events.hpp"

namespace shim::kfd {

// The threads that wait for one interrupting signal. KFD's auto-reset events forget that they were raised as
// soon as one waiter has seen it, so only one thread (the leader) sleeps in the kernel; the others sleep
// until it has looked.
struct SignalWaiters {
  std::mutex mutex;
  std::condition_variable changed;
  bool has_leader = false;
  // Threads that wait or are about to. Whoever finds the signal done while others are counted raises the
  // event again: it may have been the one that made the kernel forget it.
  std::atomic<int> counted = 0;
  Event event;
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
  Result<Interrupting> fresh_interrupting_locked();

  Device* device_;
  std::mutex mutex_;
  std::vector<Buffer> slabs_;
  std::size_t used_in_last_slab_ = 0;
  std::vector<amd_signal_t*> free_polled_;
  std::vector<Interrupting> free_interrupting_;
  std::deque<SignalWaiters> waiters_; // addresses stay
};

} // namespace shim::kfd
