// KFD events, and the page of slots through which the packet processor raises them.
#pragma once

#include <cstdint>
#include <mutex>

#include <kfd/buffer.hpp>
#include <util/error.hpp>

namespace shim::kfd {

using util::Result;
class Device;

struct Event {
  std::uint32_t id = 0;
  std::uint32_t trigger = 0; // what the packet processor writes into the mailbox
  std::uint64_t mailbox = 0; // GPU address of its slot; 0 for events that only the kernel raises
};

// One per process: KFD keeps the page for the process's life, and so does this class.
class EventPage {
public:
  explicit EventPage(int kfd) : kfd_(kfd) {}

  // Gives `device` access to the page; the first device allocates it.
  Result<void> attach(Device& device);
  // type is KFD_IOC_EVENT_*; auto-reset events forget that they were set once a waiter saw it.
  Result<Event> create(std::uint32_t type, bool auto_reset);
  void destroy(const Event& event);
  Result<void> set(std::uint32_t id);

private:
  int kfd_;
  std::mutex mutex_;
  std::uint64_t handle_ = 0;  // of the page's buffer
  std::uint64_t address_ = 0; // GPU and CPU address of the slots
  bool announced_ = false;    // KFD knows the page
};

} // namespace shim::kfd
