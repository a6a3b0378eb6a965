#include "userptr.hpp"

#include "kfd.hpp"
#include "later.hpp"
#include "process.hpp"
#include "real.hpp"
#include "svm.hpp"
#include "user_memory.hpp"
#include "vm.hpp"

#include <memory/access_section.hpp>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <map>
#include <mutex>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace emu::kernel::userptr {

constinit std::atomic<unsigned> watched_count{0};

namespace {

constexpr std::uint64_t page = 4096;

struct Watched {
  std::weak_ptr<BufferObject> bo;
  std::uint64_t begin = 0, end = 0; // host addresses
  bool write = false;
};

struct Registry {
  std::mutex mutex;
  std::map<const BufferObject*, Watched> watched;
  // Pages of zeros that stand in holes. Where there is a mapping, of a file that no longer has the page: the
  // second is where it waits.
  std::map<std::uint64_t, void*> stray;
  unsigned changes = 0; // begun and not ended
};

// Never destroyed: buffers and threads outlive static objects.
Registry& registry() {
  static Registry* instance = new Registry;
  return *instance;
}

// Buffers that a locked section looked at: the last reference may be here, and ~BufferObject() takes the
// lock.
using Held = std::vector<std::shared_ptr<BufferObject>>;

// A child has no GPU that would reach anything of its parent's.
void after_fork_in_child() {
  registry().watched.clear();
  registry().stray.clear();
  registry().changes = 0;
  watched_count.store(0, std::memory_order_relaxed);
  registry().mutex.unlock();
}

[[gnu::constructor(203)]] void watch_forks() {
  pthread_atfork([] { registry().mutex.lock(); }, [] { registry().mutex.unlock(); }, after_fork_in_child);
}

void evict_locked(BufferObject& bo) {
  if (bo.pages_gone())
    return;
  bo.set_pages_gone(true);
  Vm::for_each([&](Vm& vm) { vm.suspend(bo); });
}

// What has to be told of changes: buffers, and pages that stand in holes.
void count_locked() {
  const std::size_t count = registry().watched.size() + registry().stray.size();
  watched_count.store(static_cast<unsigned>(count), std::memory_order_relaxed);
}

void move_page(void* from, void* to) {
  syscall(SYS_mremap, from, page, page, MREMAP_MAYMOVE | MREMAP_FIXED, to);
}

// What stands in a hole is no page of the program's. `unmap`: also where nothing else is about to.
void drop_stray_locked(std::uint64_t begin, std::uint64_t end, bool unmap) {
  auto& stray = registry().stray;
  for (auto it = stray.lower_bound(begin); it != stray.end() && it->first < end; it = stray.erase(it)) {
    void* at = reinterpret_cast<void*>(it->first);
    if (it->second)
      move_page(it->second, at);
    else if (unmap)
      real::munmap(at, page);
  }
}

void put_zeros_before_locked(std::uint64_t at) {
  const auto map = [](void* address, int protection, int flags) {
    return real::mmap(address, page, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  };
  void* zeros = map(nullptr, PROT_READ | PROT_WRITE, 0);
  void* aside = map(nullptr, PROT_NONE, 0);
  if (real::failed(zeros) || real::failed(aside))
    return;
  move_page(reinterpret_cast<void*>(at), aside);
  move_page(zeros, reinterpret_cast<void*>(at));
  registry().stray.emplace(at, aside);
  count_locked();
}

void restore_locked(const Watched& watched, Held& held) {
  const std::shared_ptr<BufferObject> bo = held.emplace_back(watched.bo.lock());
  if (!bo || !bo->pages_gone())
    return;
  drop_stray_locked(watched.begin, watched.end, true);
  if (pin_user_pages(watched.begin, watched.end - watched.begin, watched.write) != 0)
    return;
  bo->set_pages_gone(false);
  Vm::for_each([&](Vm& vm) { vm.resume(bo); });
}

// The hole that an engine met: what its page fault interrupt brings about.
void report(std::uint64_t host, bool write) {
  Held held;
  std::vector<std::uint64_t> offsets;
  {
    std::scoped_lock lock(registry().mutex);
    for (const auto& [key, watched] : registry().watched)
      if (host >= watched.begin && host < watched.end)
        if (std::shared_ptr<BufferObject> bo = watched.bo.lock()) {
          evict_locked(*bo);
          offsets.push_back(host - watched.begin);
          held.push_back(std::move(bo));
        }
  }
  complain("page fault: the memory below a userptr buffer, at %#llx, is gone",
           static_cast<unsigned long long>(host));
  for (std::size_t i = 0; i < held.size(); ++i)
    if (kfd_userptr_fault(*held[i], offsets[i], write))
      return;
}

} // namespace

void watch(const std::shared_ptr<BufferObject>& bo, bool write) {
  hook_faults();
  const auto begin = reinterpret_cast<std::uint64_t>(bo->host());
  std::scoped_lock lock(registry().mutex);
  registry().watched[bo.get()] = {bo, begin, begin + bo->size(), write};
  count_locked();
}

void forget(const BufferObject& bo) {
  std::scoped_lock lock(registry().mutex);
  auto it = registry().watched.find(&bo);
  if (it == registry().watched.end())
    return;
  drop_stray_locked(it->second.begin, it->second.end, true);
  registry().watched.erase(it);
  count_locked();
}

void before_change(const void* address, std::size_t length) {
  const auto begin = reinterpret_cast<std::uint64_t>(address) & ~(page - 1);
  const std::uint64_t end = reinterpret_cast<std::uint64_t>(address) + length;
  bool evicted = false;
  Held held;
  {
    std::scoped_lock lock(registry().mutex);
    ++registry().changes;
    drop_stray_locked(begin, end, false); // the change takes them away
    for (const auto& [key, watched] : registry().watched)
      if (watched.begin < end && begin < watched.end)
        if (const auto& bo = held.emplace_back(watched.bo.lock()); bo && !bo->pages_gone()) {
          evict_locked(*bo);
          evicted = true;
        }
  }
  if (evicted) {
    memory::wait_for_accesses();
    kfd_userptr_evicted();
  }
}

// Every buffer without pages is looked at, as the restore worker does.
void after_change() {
  const int saved = errno;
  Held held;
  {
    std::scoped_lock lock(registry().mutex);
    if (registry().changes > 0)
      --registry().changes;
    if (registry().changes == 0)
      for (const auto& [key, watched] : registry().watched)
        restore_locked(watched, held);
  }
  held.clear();
  errno = saved;
}

// The engine holds no lock while it accesses the program's memory; so those taken here are free or soon will
// be.
bool on_engine_fault(const siginfo_t& info, bool write) {
  char name[16] = {};
  prctl(PR_GET_NAME, name);
  constexpr char engine_prefix[] = "kfd-emu";
  if (std::strncmp(name, engine_prefix, sizeof engine_prefix - 1) != 0)
    return false;
  const auto address = reinterpret_cast<std::uint64_t>(info.si_addr);
  const bool shared = svm::knows(address);
  {
    std::scoped_lock lock(registry().mutex);
    bool ours = shared;
    for (const auto& [key, watched] : registry().watched)
      ours = ours || (address >= watched.begin && address < watched.end);
    if (!ours)
      return false;
    const std::uint64_t at = address & ~(page - 1);
    void* zeros = real::mmap(reinterpret_cast<void*>(at), page, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (!real::failed(zeros)) {
      registry().stray.emplace(at, nullptr);
      count_locked();
    } else if (info.si_signo == SIGBUS) { // there is a mapping, and its file is too short for it
      if (!registry().stray.contains(at))
        put_zeros_before_locked(at);
    } else if (pin_user_pages(at, 1, write) != 0) // protected while the engine was at it
      real::mprotect(reinterpret_cast<void*>(at), page, PROT_READ | PROT_WRITE);
    else
      return true; // somebody has mapped something there since
  }
  run_later(0, [address, write, shared] { shared ? svm::report(address, write) : report(address, write); });
  return true;
}

} // namespace emu::kernel::userptr
