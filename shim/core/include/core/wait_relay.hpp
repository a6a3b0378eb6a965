// Carries completion in: from syncobjs to the streams that wait for them (cuWaitExternalSemaphoresAsync).
//
// The kernel adds 1 to an eventfd when a fence appears, or is signalled; the relay's thread wakes, completes
// the marker that a stream is held for, and goes on with the stream. The thread sleeps in the kernel.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <core/marker.hpp>
#include <kfd/device.hpp>
#include <kfd/syncobj.hpp>
#include <util/fd.hpp>

namespace shim::core {

class AnyOfWaits;
class Context;
struct SharedSemaphore;

// Something of a syncobj that a stream of `context` is held for.
struct ArmedWait {
  enum class For : std::uint8_t {
    signalled, // the point is: completes the marker
    fence,     // there is one: SharedSemaphore::fence_came(); no marker
  };
  For what = For::signalled;
  const Context* context = nullptr;
  MarkerRef marker;
  std::shared_ptr<SharedSemaphore> semaphore; // whose syncobj it is, where there is no snapshot
  kfd::Syncobj snapshot;                      // a fence that was taken out of a semaphore
  std::uint64_t point = 0;
  std::uint64_t question = 0; // for a fence: which of the semaphore's

  const kfd::Syncobj& syncobj() const;
  // Is it so? An error counts, too: a stream that waits for ever helps nobody, and the error was logged.
  bool came() const;
};

// One for each device. Thread-safe. Its lock is taken after a semaphore's.
class WaitRelay {
public:
  // `features`: of the device; without eventfds the thread waits for all syncobjs at once.
  WaitRelay(kfd::Device& gpu, kfd::SyncobjFeatures features);
  // Completes what is armed, ready or not.
  ~WaitRelay();

  // A syncobj for a fence to be kept in.
  Result<kfd::Syncobj> acquire_snapshot();
  // Makes sure that arm() can do it.
  Result<void> prepare();
  // From now on.
  void arm(ArmedWait wait);
  // Completes all that streams of `context` are held for.
  void release(const Context* context);

private:
  // An eventfd in the epoll set, and what may raise it. As many as there are waits, up to a limit: a
  // descriptor each would take the program's away.
  struct Slot {
    util::Fd event;
    std::vector<ArmedWait> armed;
  };

  bool start_locked();
  Slot* slot_locked();
  bool register_locked(ArmedWait& wait);
  void arm_locked(ArmedWait wait);
  bool rebuild();
  Result<void> start_any_of_locked();
  void fired(Slot& slot);
  void came(std::vector<ArmedWait>& waits);
  void run();

  kfd::Device& gpu_;
  const kfd::SyncobjFeatures features_;
  std::mutex mutex_;
  util::Fd epoll_;
  util::Fd stop_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::size_t next_slot_ = 0;
  std::vector<kfd::Syncobj> snapshots_; // not in use
  std::unique_ptr<AnyOfWaits> any_of_;  // for kernels without eventfds, and processes without descriptors
  std::vector<ArmedWait> unarmed_;      // that neither takes
  std::vector<std::shared_ptr<SharedSemaphore>> serving_; // fence_came() is being called
  bool broken_ = false;                                   // no descriptors to be had any more
  std::thread thread_;
  std::atomic<bool> stopping_ = false;
};

} // namespace shim::core
