#include "kfd_events.hpp"

#include "process.hpp"
#include "user_memory.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace emu::kernel {

using namespace uapi;

namespace {
constexpr std::uint64_t unsignaled_slot = ~0ull;
constexpr std::size_t page_bytes = SIGNAL_EVENT_LIMIT * sizeof(std::uint64_t);
constexpr std::size_t default_mapped_size = 256 * sizeof(std::uint64_t); // what the oldest programs map
constexpr std::uint32_t first_nonsignal_id = (INT_MAX >> 1) + 1;

// struct futex_waitv and its flags (linux/futex.h since 5.16).
struct FutexWaiter {
  std::uint64_t value, address;
  std::uint32_t flags, reserved;
};
constexpr std::uint32_t futex_32_bits = 2, futex_private = 128;

// Waits while the word is `value`, at most until `deadline` (CLOCK_MONOTONIC ns; ~0: for ever). 0 or negative
// errno. After a signal handler with SA_RESTART it goes on, with a deadline too: futex_waitv() is restarted,
// as KFD's wait is; FUTEX_WAIT with a deadline is not. Kernels before 5.16 have only that.
int futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t value, std::uint64_t deadline) {
  static std::atomic<bool> has_waitv{true};
  const int saved = errno;
  timespec until{static_cast<time_t>(deadline / 1'000'000'000), static_cast<long>(deadline % 1'000'000'000)};
  timespec* timeout = deadline == ~0ull ? nullptr : &until;
  long result = -1;
  errno = ENOSYS;
  if (has_waitv.load(std::memory_order_relaxed)) {
    FutexWaiter waiter{value, reinterpret_cast<std::uint64_t>(&word), futex_32_bits | futex_private, 0};
    result = syscall(SYS_futex_waitv, &waiter, 1, 0, timeout, CLOCK_MONOTONIC);
    if (result < 0 && errno == ENOSYS)
      has_waitv.store(false, std::memory_order_relaxed);
  }
  if (result < 0 && errno == ENOSYS)
    result =
        syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, value, timeout, nullptr, FUTEX_BITSET_MATCH_ANY);
  const int error = result >= 0 ? 0 : -errno;
  errno = saved;
  return error;
}
} // namespace

bool KfdEvents::has_page() const {
  std::scoped_lock lock(mutex_);
  return slots_ != nullptr;
}

int KfdEvents::set_page(std::shared_ptr<BufferObject> bo) {
  std::scoped_lock lock(mutex_);
  if (slots_)
    return -EBUSY;
  if (bo->size() < page_bytes)
    return -EINVAL;
  slots_ = reinterpret_cast<std::uint64_t*>(bo->host());
  std::memset(slots_, 0xff, page_bytes);
  mapped_size_ = bo->size();
  page_ = std::move(bo);
  return 0;
}

int KfdEvents::create_signal_locked(Event& event) {
  if (mapped_size_ && signal_count_ == mapped_size_ / sizeof(std::uint64_t))
    return -ENOSPC;
  if (!slots_) {
    if (const int error = BufferObject::create(page_bytes, 0, domain_gtt, 0, page_))
      return error;
    slots_ = reinterpret_cast<std::uint64_t*>(page_->host());
    std::memset(slots_, 0xff, page_bytes);
    mapped_size_ = default_mapped_size;
  }
  std::uint32_t id = 1;
  // A page of more slots gives them all, though no interrupt finds those from SIGNAL_EVENT_LIMIT on.
  const auto limit = static_cast<std::uint32_t>(mapped_size_ / sizeof(std::uint64_t));
  for (auto it = events_.begin(); it != events_.end() && it->first == id; ++it)
    ++id;
  if (id >= limit)
    return -ENOSPC;
  event.id = id;
  slot(id).store(unsignaled_slot);
  ++signal_count_;
  return 0;
}

int KfdEvents::create(kfd_ioctl_create_event_args& args) {
  auto event = std::make_unique<Event>();
  event->type = args.event_type;
  event->auto_reset = args.auto_reset != 0;
  args.event_page_offset = 0;
  std::scoped_lock lock(mutex_);
  if (event->is_signal()) {
    if (const int error = create_signal_locked(*event))
      return error;
    args.event_page_offset = KFD_MMAP_TYPE_EVENTS;
    args.event_slot_index = event->id;
  } else {
    event->id = first_nonsignal_id;
    for (auto it = events_.lower_bound(first_nonsignal_id); it != events_.end() && it->first == event->id;
         ++it)
      ++event->id;
  }
  args.event_id = event->id;
  args.event_trigger_data = event->id;
  events_.emplace(event->id, std::move(event));
  return 0;
}

int KfdEvents::destroy(std::uint32_t id) {
  std::scoped_lock lock(mutex_);
  auto it = events_.find(id);
  if (it == events_.end())
    return -EINVAL;
  for (Waiter* waiter : it->second->waiters) {
    waiter->event = nullptr;
    wake(*waiter->wait);
  }
  if (it->second->is_signal())
    --signal_count_;
  events_.erase(it);
  return 0;
}

void KfdEvents::wake(Wait& wait) {
  const int saved = errno;
  wait.word.fetch_add(1, std::memory_order_release);
  syscall(SYS_futex, &wait.word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
  errno = saved;
}

// An auto-reset event that somebody waits for is consumed by them at once.
void KfdEvents::set_locked(Event& event) {
  event.signaled = !event.auto_reset || event.waiters.empty();
  if (++event.age == 0)
    event.age = 2;
  for (Waiter* waiter : event.waiters) {
    waiter->activated = true;
    wake(*waiter->wait);
  }
}

int KfdEvents::set(std::uint32_t id) {
  std::scoped_lock lock(mutex_);
  auto it = events_.find(id);
  if (it == events_.end() || it->second->type != EVENT_SIGNAL)
    return -EINVAL;
  set_locked(*it->second);
  return 0;
}

int KfdEvents::reset(std::uint32_t id) {
  std::scoped_lock lock(mutex_);
  auto it = events_.find(id);
  if (it == events_.end() || it->second->type != EVENT_SIGNAL)
    return -EINVAL;
  it->second->signaled = false;
  return 0;
}

void KfdEvents::set_from_interrupt_locked(Event& event) {
  if (!event.is_signal())
    return;
  slot(event.id).store(unsignaled_slot);
  set_locked(event);
}

KfdEvents::Event* KfdEvents::signaled_by_partial_id_locked(std::uint32_t id, unsigned bits) {
  if (!slots_ || id >= SIGNAL_EVENT_LIMIT)
    return nullptr;
  const bool whole = bits > 31 || (1u << bits) >= SIGNAL_EVENT_LIMIT;
  for (; id < SIGNAL_EVENT_LIMIT; id += 1u << bits) {
    if (slot(id).load() != unsignaled_slot) {
      auto it = events_.find(id);
      if (it != events_.end())
        return it->second.get();
    }
    if (whole)
      break;
  }
  return nullptr;
}

void KfdEvents::interrupt(std::uint32_t partial_id, unsigned bits) {
  std::scoped_lock lock(mutex_);
  if (Event* event = bits ? signaled_by_partial_id_locked(partial_id, bits) : nullptr) {
    set_from_interrupt_locked(*event);
    return;
  }
  // The id says nothing: every event whose slot was written has signaled.
  if (!slots_)
    return;
  for (auto& [id, event] : events_) {
    if (id >= SIGNAL_EVENT_LIMIT)
      break;
    if (slot(id).load() != unsignaled_slot)
      set_from_interrupt_locked(*event);
  }
}

void KfdEvents::memory_exception(const kfd_hsa_memory_exception_data& data) {
  std::scoped_lock lock(mutex_);
  for (auto& [id, event] : events_)
    if (event->type == EVENT_MEMORY) {
      event->memory_exception = data;
      set_locked(*event);
    }
}

void KfdEvents::hw_exception(const kfd_hsa_hw_exception_data& data) {
  std::scoped_lock lock(mutex_);
  for (auto& [id, event] : events_)
    if (event->type == EVENT_HW_EXCEPTION) {
      event->hw_exception = data;
      set_locked(*event);
    }
}

int KfdEvents::add_waiter_locked(Waiter& waiter, std::uint64_t user_data) {
  kfd_event_data data;
  if (!copy_from_user(&data, user_data, sizeof data))
    return -EFAULT;
  auto it = events_.find(data.event_id);
  if (it == events_.end())
    return -EINVAL;
  Event& event = *it->second;
  waiter.event = &event;
  waiter.activated = event.signaled;
  event.signaled = event.signaled && !event.auto_reset;
  if (event.type == EVENT_SIGNAL && data.signal_event_data.last_event_age) {
    waiter.age_enabled = true;
    if (event.age != data.signal_event_data.last_event_age)
      waiter.activated = true;
  }
  if (!waiter.activated)
    event.waiters.insert(&waiter);
  return 0;
}

std::uint32_t KfdEvents::condition_locked(bool all, const Wait& wait) {
  std::size_t activated = 0;
  for (const Waiter& waiter : wait.waiters) {
    if (!waiter.event)
      return WAIT_RESULT_FAIL;
    if (waiter.activated) {
      if (!all)
        return WAIT_RESULT_COMPLETE;
      ++activated;
    }
  }
  return activated == wait.waiters.size() ? WAIT_RESULT_COMPLETE : WAIT_RESULT_TIMEOUT;
}

int KfdEvents::copy_data_locked(const Wait& wait, std::uint64_t events_ptr) {
  for (std::size_t i = 0; i < wait.waiters.size(); ++i) {
    const Waiter& waiter = wait.waiters[i];
    if (!waiter.event)
      return -EINVAL;
    if (!waiter.activated)
      continue;
    const std::uint64_t to = events_ptr + i * sizeof(kfd_event_data); // the union comes first
    bool copied = true;
    if (waiter.event->type == EVENT_MEMORY)
      copied = copy_to_user(to, &waiter.event->memory_exception, sizeof waiter.event->memory_exception);
    else if (waiter.event->type == EVENT_HW_EXCEPTION)
      copied = copy_to_user(to, &waiter.event->hw_exception, sizeof waiter.event->hw_exception);
    else if (waiter.event->type == EVENT_SIGNAL && waiter.age_enabled)
      copied = copy_to_user(to, &waiter.event->age, sizeof waiter.event->age);
    if (!copied)
      return -EFAULT;
  }
  return 0;
}

void KfdEvents::remove_waiters_locked(Wait& wait, bool undo_auto_reset) {
  for (Waiter& waiter : wait.waiters)
    if (waiter.event) {
      waiter.event->waiters.erase(&waiter);
      if (undo_auto_reset && waiter.activated && waiter.event->auto_reset)
        set_locked(*waiter.event);
    }
}

// Without the lock, until the condition holds, the time is over or a signal handler ran (-EINTR).
int KfdEvents::block(Wait& wait, kfd_ioctl_wait_events_args& args) {
  const std::uint64_t now = monotonic_ns();
  const std::uint64_t deadline = args.timeout == TIMEOUT_INFINITE
                                     ? ~0ull
                                     : now + std::min<std::uint64_t>(args.timeout, INT_MAX) * 1'000'000;
  for (;;) {
    const std::uint32_t seen = wait.word.load(std::memory_order_acquire);
    {
      std::scoped_lock lock(mutex_);
      args.wait_result = condition_locked(args.wait_for_all != 0, wait);
    }
    if (args.wait_result != WAIT_RESULT_TIMEOUT || args.timeout == TIMEOUT_IMMEDIATE)
      return 0;
    const int error = futex_wait(wait.word, seen, deadline);
    if (error == -ETIMEDOUT) {
      std::scoped_lock lock(mutex_);
      args.wait_result = condition_locked(args.wait_for_all != 0, wait);
      return 0;
    }
    if (error == -EINTR) {
      const std::uint64_t later = monotonic_ns();
      if (args.timeout != TIMEOUT_INFINITE)
        args.timeout = later >= deadline ? 0 : static_cast<std::uint32_t>((deadline - later) / 1'000'000);
      return -EINTR;
    }
  }
}

int KfdEvents::wait(kfd_ioctl_wait_events_args& args) {
  Wait wait;
  args.wait_result = WAIT_RESULT_FAIL;
  if (args.num_events > SIGNAL_EVENT_LIMIT) // since 7.2; 6.12 takes what kmalloc() has room for
    return -ENOMEM;
  wait.waiters.resize(args.num_events);
  for (Waiter& waiter : wait.waiters)
    waiter.wait = &wait;

  int result = 0;
  {
    std::scoped_lock lock(mutex_);
    for (std::size_t i = 0; i < args.num_events && result == 0; ++i)
      result = add_waiter_locked(wait.waiters[i], args.events_ptr + i * sizeof(kfd_event_data));
    if (result != 0) {
      remove_waiters_locked(wait, false);
      return result;
    }
  }
  result = block(wait, args);

  std::scoped_lock lock(mutex_);
  if (result == 0 && args.wait_result == WAIT_RESULT_COMPLETE)
    result = copy_data_locked(wait, args.events_ptr);
  remove_waiters_locked(wait, result == -EINTR);
  if (result != 0)
    args.wait_result = WAIT_RESULT_FAIL;
  else if (args.wait_result == WAIT_RESULT_FAIL)
    result = -EIO;
  return result;
}

long KfdEvents::map_page(void* address, std::size_t length, int protection, int flags) {
  std::shared_ptr<BufferObject> bo;
  {
    std::scoped_lock lock(mutex_);
    if (length > page_bytes || !page_)
      return -EINVAL;
    bo = page_;
    mapped_size_ = length;
  }
  return bo->map_to_user(address, length, protection, flags, 0);
}

} // namespace emu::kernel
