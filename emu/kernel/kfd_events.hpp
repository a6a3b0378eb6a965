// KFD events of a process: signal events with their slots in the event page, memory and hardware exceptions.
// Source: kfd_events.c. Every function returns 0 or a negative errno, and may be called on any thread.
#pragma once

#include "bo.hpp"
#include "kfd_ioctl.hpp"

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

namespace emu::kernel {

class KfdEvents {
public:
  // The event page, given by the program with its first event: a GTT buffer of at least 4096 slots.
  bool has_page() const;
  int set_page(std::shared_ptr<BufferObject> bo);

  int create(uapi::kfd_ioctl_create_event_args& args);
  int destroy(std::uint32_t id);
  int set(std::uint32_t id);
  int reset(std::uint32_t id);
  // Blocks. -EINTR: a signal handler ran; the time-out in `args` is what was left.
  int wait(uapi::kfd_ioctl_wait_events_args& args);

  // mmap() of the page that the kernel made because the program gave none.
  long map_page(void* address, std::size_t length, int protection, int flags);

  // An interrupt that carries `bits` valid bits of an event's id (kfd_signal_event_interrupt).
  void interrupt(std::uint32_t partial_id, unsigned bits);
  void memory_exception(const uapi::kfd_hsa_memory_exception_data& data);
  void hw_exception(const uapi::kfd_hsa_hw_exception_data& data);

private:
  struct Waiter;
  struct Wait;
  struct Event {
    std::uint32_t id = 0;
    std::uint32_t type = 0;
    bool auto_reset = false;
    bool signaled = false;
    std::uint64_t age = 1;
    std::set<Waiter*> waiters;
    uapi::kfd_hsa_memory_exception_data memory_exception{};
    uapi::kfd_hsa_hw_exception_data hw_exception{};

    bool is_signal() const { return type == uapi::EVENT_SIGNAL || type == uapi::EVENT_DEBUG_EVENT; }
  };
  // One event of one wait.
  struct Waiter {
    Wait* wait = nullptr;
    Event* event = nullptr; // null: destroyed meanwhile
    bool activated = false;
    bool age_enabled = false;
  };
  struct Wait {
    std::atomic<std::uint32_t> word{0}; // futex: changes when anything in `waiters` does
    std::vector<Waiter> waiters;
  };

  int create_signal_locked(Event& event);
  std::atomic_ref<std::uint64_t> slot(std::uint32_t id) const { return std::atomic_ref(slots_[id]); }
  void set_locked(Event& event);
  void set_from_interrupt_locked(Event& event);
  Event* signaled_by_partial_id_locked(std::uint32_t id, unsigned bits);
  int add_waiter_locked(Waiter& waiter, std::uint64_t user_data); // of a kfd_event_data
  static std::uint32_t condition_locked(bool all, const Wait& wait);
  static int copy_data_locked(const Wait& wait, std::uint64_t events_ptr);
  void remove_waiters_locked(Wait& wait, bool undo_auto_reset);
  int block(Wait& wait, uapi::kfd_ioctl_wait_events_args& args);
  static void wake(Wait& wait);

  mutable std::mutex mutex_;
  std::map<std::uint32_t, std::unique_ptr<Event>> events_;
  std::shared_ptr<BufferObject> page_;
  std::uint64_t* slots_ = nullptr;
  std::size_t mapped_size_ = 0;
  std::size_t signal_count_ = 1; // id 0 is never given
};

} // namespace emu::kernel
