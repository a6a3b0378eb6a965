// Carries completion between a context's streams and syncobjs, in both directions.
//
// Out (CUDA signals): a marker in the stream raises the relay's KFD event when the GPU reaches it; the out
// thread then signals the syncobjs. In (CUDA waits): the kernel writes an eventfd when the syncobj is
// signalled; the in thread then completes the marker that the stream's barrier packet waits for. Both threads
// start with their first use and sleep in the kernel; neither polls.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include <core/external_semaphore.hpp>
#include <core/marker.hpp>
#include <core/waker.hpp>
#include <kfd/device.hpp>
#include <util/fd.hpp>

namespace shim::core {

class SlicedWaits;

// Thread-safe.
class Relay {
public:
  // `features`: of the device; without eventfds, waits go a slower way.
  Relay(kfd::Device& gpu, kfd::SyncobjFeatures features);
  // Signals what is pending and completes what is armed, ready or not.
  ~Relay();

  // --- out ---
  // Lets `marker`, which is polled and in no stream yet, wake the out thread. Starts the thread.
  Result<void> watch(Marker& marker);
  // When `marker` is done, all of `signals`. Markers of one stream come in that stream's order.
  void signal_after(const MarkerRef& marker, std::span<const SemaphoreOperation> signals);
  // Performs what is due now; true where nothing is left pending.
  bool flush();
  // The marker that the latest pending signal of a binary semaphore hangs on, empty where there is none.
  MarkerRef pending(const SharedSemaphore& semaphore);
  // Drops that signal; false where there is none (any more). The semaphore stays reset.
  bool take_back(const SharedSemaphore& semaphore);
  // Performs everything pending when it is due; after `limit`, or on a fault, all the same.
  void drain(std::chrono::nanoseconds limit);

  // --- in ---
  // A syncobj for one wait, signalled or not: yours until the last reference but the relay's is gone.
  Result<std::shared_ptr<kfd::Syncobj>> spare_syncobj();
  // Completes `marker` once the point of `syncobj` is signalled. `keep` holds the syncobj alive until then.
  // Each has an eventfd, as long as the process can have more.
  void complete_when(MarkerRef marker, const kfd::Syncobj& syncobj, std::uint64_t point,
                     std::shared_ptr<void> keep);
  // Completes every marker that still waits.
  void release_armed();

private:
  // One semaphore to signal; none any more where somebody has taken that back.
  struct Outgoing {
    MarkerRef marker;
    std::shared_ptr<SharedSemaphore> semaphore;
    std::uint64_t value = 0;
    bool due = false; // in flush_locked(): its marker is done
  };
  // An eventfd in the epoll set, used again and again.
  struct Incoming {
    util::Fd event;
    MarkerRef marker;
    std::shared_ptr<void> keep;
  };

  static void perform(const Outgoing& signal);
  void run_out();
  bool flush_locked();
  Outgoing* pending_locked(const SharedSemaphore& semaphore);
  void signal_everything_locked();
  Result<void> start_in_locked();
  Result<Incoming*> free_slot_locked();
  void run_in();
  void fired(Incoming& slot);

  kfd::Device& gpu_;
  const kfd::SyncobjFeatures features_;

  std::mutex out_mutex_;
  std::vector<Outgoing> outgoing_; // oldest first; keeps its memory
  std::condition_variable performed_;
  Waker waker_;
  std::thread out_thread_;
  bool out_ended_ = false; // before its time: the GPU has faulted, or the kernel does not let it sleep
  std::atomic<bool> stopping_ = false;

  std::mutex in_mutex_;
  util::Fd epoll_;
  util::Fd stop_in_;
  std::list<Incoming> slots_;
  std::vector<Incoming*> free_slots_; // not registered with any syncobj
  std::thread in_thread_;
  std::unique_ptr<SlicedWaits> sliced_;
  std::vector<std::shared_ptr<kfd::Syncobj>> spares_;
};

} // namespace shim::core
