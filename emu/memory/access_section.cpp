#include <memory/access_section.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <new>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace emu::memory {

namespace {

using Epoch = std::uint64_t;
constexpr Epoch outside = ~Epoch{0};

// A thread's: when its section began. Never freed; the next thread takes it over.
struct alignas(64) Slot {
  std::atomic<Epoch> begun{outside};
  unsigned depth = 0;
  std::atomic<bool> taken{true};
  Slot* next = nullptr;
};

struct Unused {
  void* base;
  std::size_t size;
  Epoch epoch; // sections of earlier ones may reach it
  Unused* next;
};

struct Registry {
  std::atomic<Slot*> slots{nullptr};
  std::atomic<Epoch> epoch{0};
  std::atomic<unsigned> interested{0}; // in the end of sections: `unused`, and threads that wait
  std::mutex mutex;
  Unused* unused = nullptr; // guarded by mutex
  std::condition_variable ended;
};

// Never destroyed: engines run until the process ends.
Registry& registry() {
  static Registry* instance = new Registry;
  return *instance;
}

Slot* take_slot() {
  Registry& r = registry();
  for (Slot* slot = r.slots.load(); slot; slot = slot->next)
    if (!slot->taken.exchange(true))
      return slot;
  auto* slot = new Slot;
  slot->next = r.slots.load();
  while (!r.slots.compare_exchange_weak(slot->next, slot)) {
  }
  return slot;
}

struct OwnSlot {
  Slot* slot = take_slot();
  ~OwnSlot() { slot->taken.store(false); }
};
Slot& own_slot() {
  thread_local OwnSlot own;
  return *own.slot;
}

// When the oldest section began that is not over.
Epoch oldest_section(const Slot* but) {
  Epoch oldest = outside;
  for (const Slot* slot = registry().slots.load(); slot; slot = slot->next)
    if (slot != but)
      oldest = std::min(oldest, slot->begun.load());
  return oldest;
}

// What no section can reach. Its memory is unmapped without the lock: in some programs whoever unmaps or
// frees memory comes by here.
Unused* take_unreachable_locked() {
  Registry& r = registry();
  const Epoch oldest = oldest_section(nullptr);
  Unused* taken = nullptr;
  for (Unused** at = &r.unused; *at;) {
    Unused* const candidate = *at;
    if (candidate->epoch > oldest) {
      at = &candidate->next;
      continue;
    }
    *at = candidate->next;
    candidate->next = taken;
    taken = candidate;
    --r.interested;
  }
  return taken;
}

void unmap_all(Unused* list) {
  while (list) {
    Unused* const next = list->next;
    syscall(SYS_munmap, list->base, list->size); // others interpose libc's
    delete list;
    list = next;
  }
}

void hear_of_end() {
  Registry& r = registry();
  Unused* unreachable = nullptr;
  {
    std::lock_guard lock(r.mutex);
    unreachable = take_unreachable_locked();
    r.ended.notify_all();
  }
  unmap_all(unreachable);
}

// A child has the thread that forked, and none of its parent's sections.
void after_fork_in_child() {
  Registry& r = registry();
  for (Slot* slot = r.slots.load(); slot; slot = slot->next)
    if (slot != &own_slot()) {
      slot->begun = outside;
      slot->depth = 0;
      slot->taken = false;
    }
  r.interested = 0;
  for (const Unused* one = r.unused; one; one = one->next)
    ++r.interested;
  new (&r.ended) std::condition_variable; // somebody may have waited
  r.mutex.unlock();
}

// The first of all that are registered, hence the last to be locked.
[[gnu::constructor(200)]] void watch_forks() {
  pthread_atfork([] { registry().mutex.lock(); }, [] { registry().mutex.unlock(); }, after_fork_in_child);
}

} // namespace

// An epoch begins when something has left the page tables. All stores and loads that meet here are in one
// order: either whoever begins an epoch sees the section, or the section sees the page tables as they are
// then.
AccessSection::AccessSection() {
  Slot& slot = own_slot();
  if (slot.depth++ == 0)
    slot.begun.exchange(registry().epoch.load());
}

AccessSection::~AccessSection() {
  Slot& slot = own_slot();
  if (--slot.depth != 0)
    return;
  slot.begun.exchange(outside);
  if (registry().interested.load() != 0)
    hear_of_end();
}

void unmap_behind_accesses(void* base, std::size_t size) {
  Registry& r = registry();
  auto* const unused = new Unused{base, size, ++r.epoch, nullptr};
  Unused* unreachable = nullptr;
  {
    std::lock_guard lock(r.mutex);
    unused->next = r.unused;
    r.unused = unused;
    ++r.interested;
    unreachable = take_unreachable_locked();
  }
  unmap_all(unreachable);
}

bool wait_for_accesses(std::chrono::milliseconds limit) {
  Registry& r = registry();
  const Epoch epoch = ++r.epoch;
  const Slot* own = &own_slot();
  if (oldest_section(own) >= epoch)
    return true;
  std::unique_lock lock(r.mutex);
  ++r.interested;
  const bool passed = r.ended.wait_for(lock, limit, [&] { return oldest_section(own) >= epoch; });
  --r.interested;
  return passed;
}

} // namespace emu::memory
