// Carries completion out: from streams to the syncobjs that they signal (cuSignalExternalSemaphoresAsync).
//
// A marker in the stream raises the relay's KFD event when the GPU reaches it; the relay's thread wakes and
// signals the syncobj, in the stream's order. Whoever else learns that a point of a stream is done performs
// what is due in front of it first (settle), so that a signal is work of its stream like any other. The
// thread sleeps in the kernel between events.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include <core/command.hpp>
#include <core/waker.hpp>
#include <kfd/device.hpp>
#include <util/ring.hpp>

namespace shim::core {

class HeldStreams;
class WaitRelay;

// One for each device. Thread-safe.
class SignalRelay {
public:
  SignalRelay(kfd::Device& gpu, HeldStreams& held, WaitRelay& waits)
      : gpu_(gpu), held_(held), waits_(waits) {}
  ~SignalRelay();

  // Lets `marker`, which is polled and in no stream yet, wake the thread. Starts the thread.
  Result<void> watch(Marker& marker);
  // The thread looks at the streams that are held; where the kernel has no queue for them, again and again.
  void wake() noexcept;
  // Of calls that have succeeded. Each is performed in the end.
  void promise(std::size_t signals) { promised_.fetch_add(signals, std::memory_order_relaxed); }
  // To be performed when its marker, which goes into a hardware queue next, is done. The caller may hold a
  // stream's lock.
  void add(SignalCommand signal);
  // Performs it now.
  void perform(SignalCommand& signal);
  // Performs what is due. No system call, no lock, where nothing is under way.
  void settle() {
    if (under_way_.load(std::memory_order_acquire) != 0)
      settle_slow();
  }
  // The GPU has faulted: all are performed now, ready or not, so that nobody outside waits for ever.
  void give_up();
  // At exit: waits until all are performed, and performs them all the same when `limit` is over.
  void finish(std::chrono::nanoseconds limit);

private:
  Result<void> start_locked();
  void settle_slow();
  void perform_due(util::Ring<MarkerRef>& reached);
  void perform(SignalCommand& signal, util::Ring<MarkerRef>& reached);
  void run();

  kfd::Device& gpu_;
  HeldStreams& held_;
  WaitRelay& waits_;
  std::atomic<std::size_t> promised_ = 0;  // called for, not performed
  std::atomic<std::size_t> under_way_ = 0; // in a hardware queue, not performed
  std::mutex performing_;                  // taken before the other lock
  std::vector<SignalCommand> due_;         // performing_ guards it; keeps its memory
  std::mutex mutex_;
  std::vector<SignalCommand> waiting_; // for their markers; oldest first; keeps its memory
  std::condition_variable performed_;
  Waker waker_;
  std::thread thread_;
  bool ended_ = false; // the GPU has faulted, or the kernel does not let the thread sleep
  std::atomic<bool> stopping_ = false;
};

} // namespace shim::core
