// Waits for syncobjs on kernels without SYNCOBJ_EVENTFD (before 6.6): a thread that sleeps in
// SYNCOBJ_TIMELINE_WAIT for the oldest wait and looks at the others whenever it wakes, every few milliseconds
// at least.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <thread>

#include <core/marker.hpp>
#include <kfd/syncobj.hpp>

namespace shim::core {

// Thread-safe.
class SlicedWaits {
public:
  SlicedWaits();
  // Completes what still waits.
  ~SlicedWaits();

  // Completes `marker` once the point of `syncobj` is signalled; `keep` holds the syncobj alive until then.
  void add(MarkerRef marker, const kfd::Syncobj& syncobj, std::uint64_t point, std::shared_ptr<void> keep);
  // Completes what still waits.
  void release_all();

private:
  struct Wait {
    MarkerRef marker;
    const kfd::Syncobj* syncobj;
    std::uint64_t point;
    std::shared_ptr<void> keep;
  };
  void run();
  void complete_reached_locked();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::list<Wait> waits_; // oldest first
  bool stopping_ = false;
  std::thread thread_;
};

} // namespace shim::core
