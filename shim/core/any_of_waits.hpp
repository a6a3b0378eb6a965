// Waits for syncobjs on kernels that have no SYNCOBJ_EVENTFD (before 6.6), and in a process that may have no
// more descriptors: one thread sleeps in SYNCOBJ_TIMELINE_WAIT until any of them is signalled, or one of its
// own, by which it is told of new ones. Each wake costs as much as there are waits.
#pragma once

#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include <core/wait_relay.hpp>

namespace shim::core {

// Thread-safe.
class AnyOfWaits {
public:
  // `came` takes those that have come, on this object's thread.
  static Result<std::unique_ptr<AnyOfWaits>> start(kfd::Device& gpu,
                                                   std::function<void(std::vector<ArmedWait>&)> came);
  ~AnyOfWaits();

  // False, and the wait is left alone, where the descriptor of all of them is lost.
  bool add(ArmedWait& wait);
  // Takes out those for which `taken` is true.
  template <class Taken>
  void take_if(Taken&& taken) {
    std::lock_guard lock(mutex_);
    std::erase_if(waits_, taken);
    static_cast<void>(changed_.signal());
  }

private:
  AnyOfWaits() = default;
  void run();

  std::function<void(std::vector<ArmedWait>&)> came_;
  std::mutex mutex_;
  std::vector<ArmedWait> waits_;
  kfd::Syncobj changed_; // signalled: look at waits_ again
  bool stopping_ = false;
  bool ended_ = false; // before its time
  std::thread thread_;
};

} // namespace shim::core
