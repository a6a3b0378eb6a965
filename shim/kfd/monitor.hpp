// The thread that hears what goes wrong on a device: page faults, resets, queues that stopped. It also
// answers queues that stopped for want of scratch memory.
#pragma once

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include <linux/kfd_ioctl.h>

#include <kfd/device.hpp>

#include "events.hpp"

namespace shim::kfd {

class FaultMonitor {
public:
  // Starts the thread. All members are thread-safe.
  static Result<std::unique_ptr<FaultMonitor>> start(Device& device);
  ~FaultMonitor();

  // The event that a queue's inactive signal raises.
  const Event& queue_event() const { return queue_event_; }
  void watch(Queue& queue);
  void forget(Queue& queue); // not called by the monitor's own thread

private:
  explicit FaultMonitor(Device& device) : device_(&device) {}
  void run();
  void look_at_queues();
  void report_memory_fault(const kfd_hsa_memory_exception_data& data);

  Device* device_;
  Event queue_event_;
  Event memory_event_;
  Event hardware_event_;
  std::mutex mutex_;
  std::vector<Queue*> queues_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

} // namespace shim::kfd
