#include "machine.hpp"

#include "machine_state.hpp"
#include "process.hpp"
#include "real.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace emu::kernel {

namespace {

constexpr unsigned process_count = MachineState::process_count;
constexpr unsigned slot_count = MachineState::slot_count;
constexpr std::size_t boot_id_size = MachineState::boot_id_size;

class TableLock {
public:
  explicit TableLock(pthread_mutex_t& mutex) : mutex_(mutex) {
    if (pthread_mutex_lock(&mutex_) == EOWNERDEAD)
      pthread_mutex_consistent(&mutex_);
  }
  ~TableLock() { pthread_mutex_unlock(&mutex_); }
  TableLock(const TableLock&) = delete;
  TableLock& operator=(const TableLock&) = delete;

private:
  pthread_mutex_t& mutex_;
};

std::uint64_t now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000ull + static_cast<std::uint64_t>(now.tv_nsec);
}

bool read_text(const char* path, char* text, std::size_t size) {
  const int fd = real::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return false;
  const long length = real::read(fd, text, size - 1);
  real::close(fd);
  text[std::max(length, 0l)] = '\0';
  return length > 0;
}

// 0 where there is no such process, and for a zombie, which runs nothing any more.
std::uint64_t start_time_of(std::uint32_t pid) {
  char path[40];
  std::snprintf(path, sizeof path, "/proc/%u/stat", pid);
  char text[1024];
  if (!read_text(path, text, sizeof text))
    return 0;
  const char* field = std::strrchr(text, ')');
  if (!field || field[1] == '\0')
    return 0;
  if (field[2] == 'Z' || field[2] == 'X')
    return 0;
  for (int spaces = 0; *field; ++field)
    if (*field == ' ' && ++spaces == 20)
      return std::strtoull(field + 1, nullptr, 10);
  return 0;
}

bool is_alive(const ProcessEntry& entry) {
  return start_time_of(entry.pid) == entry.start_time;
}

void read_boot_id(char (&id)[boot_id_size]) {
  std::memset(id, 0, sizeof id);
  if (!read_text("/proc/sys/kernel/random/boot_id", id, sizeof id))
    std::strcpy(id, "unknown");
}

long futex(std::atomic<std::uint32_t>* word, int operation, std::uint32_t value, const timespec* timeout) {
  return syscall(SYS_futex, word, operation, value, timeout, nullptr, FUTEX_BITSET_MATCH_ANY);
}

void initialise(MachineState* state, const char* boot_id) {
  new (state) MachineState{};
  state->version = MachineState::layout_version;
  state->size = sizeof(MachineState);
  std::memcpy(state->boot_id, boot_id, boot_id_size);
  state->next_fence_context = 1;
  state->next_incarnation = 1;
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(&state->table_lock, &attributes);
  pthread_mutexattr_destroy(&attributes);
  state->magic.store(MachineState::magic_value, std::memory_order_release);
}

[[noreturn]] void give_up(const char* what, int error) {
  complain("the machine's shared state: %s: %s", what, std::strerror(-error));
  std::abort();
}

// Maps the machine's file; makes or renews it where it is absent, from before the last boot, or damaged.
MachineState* map_state() {
  const std::string path = machine_directory() + "/" + MachineState::file_name();
  char boot_id[boot_id_size];
  read_boot_id(boot_id);
  const int fd = real::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0)
    give_up(path.c_str(), fd);
  while (flock(fd, LOCK_EX) != 0 && errno == EINTR)
    ;
  struct stat64 status;
  if (const int error = real::fstat(fd, status); error < 0)
    give_up("fstat", error);
  const bool fresh = status.st_size != sizeof(MachineState);
  if (fresh)
    if (const int error = real::ftruncate(fd, sizeof(MachineState)); error < 0)
      give_up("ftruncate", error);
  void* memory = real::mmap(nullptr, sizeof(MachineState), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (real::failed(memory))
    give_up("mmap", real::error_of(memory));
  auto* state = static_cast<MachineState*>(memory);
  const bool sound = state->magic.load(std::memory_order_acquire) == MachineState::magic_value &&
                     state->version == MachineState::layout_version && state->size == sizeof(MachineState) &&
                     std::memcmp(state->boot_id, boot_id, boot_id_size) == 0;
  if (!sound) {
    if (!fresh && state->magic.load() != 0 && state->magic.load() != MachineState::magic_value)
      complain("%s is damaged; starting afresh", path.c_str());
    initialise(state, boot_id);
  }
  flock(fd, LOCK_UN); // closing would not do: the mapping holds the file
  real::close(fd);
  return state;
}

Machine* the_machine = nullptr;

} // namespace

Deadline Deadline::in(std::uint64_t nanoseconds) {
  const std::uint64_t now = now_ns();
  if (nanoseconds > static_cast<std::uint64_t>(INT64_MAX) - now)
    return never();
  return {static_cast<std::int64_t>(now + nanoseconds)};
}

bool Deadline::passed() const {
  if (at == INT64_MAX)
    return false;
  return at <= 0 || static_cast<std::uint64_t>(at) <= now_ns();
}

Machine& Machine::get() {
  static Machine* machine = [] {
    the_machine = new Machine; // lives to the end: threads of the emulator may outlast static destructors
    pthread_atfork(nullptr, nullptr, after_fork_in_child);
    return the_machine;
  }();
  return *machine;
}

Machine::Machine() : state_(map_state()) {
  static_assert(max_processes == process_count);
  join();
}

void Machine::join() {
  const std::uint32_t pid = static_cast<std::uint32_t>(getpid());
  const std::uint64_t start = start_time_of(pid);
  TableLock lock(state_->table_lock);
  for (std::uint32_t i = 0; i < process_count; ++i) {
    ProcessEntry& entry = state_->processes[i];
    if (entry.incarnation.load() == 0)
      continue;
    // Also where the entry is this very process's, from before an exec: its engines are gone.
    if (entry.pid == pid || !is_alive(entry))
      reap_locked(i);
  }
  for (std::uint32_t i = 0; i < process_count; ++i) {
    ProcessEntry& entry = state_->processes[i];
    if (entry.incarnation.load() != 0)
      continue;
    entry.pid = pid;
    entry.start_time = start;
    entry.waiters = 0;
    entry.usage.vram = 0;
    entry.usage.gtt = 0;
    entry.usage.vram_blocks = 0;
    entry.incarnation.store(state_->next_incarnation.fetch_add(1));
    self_ = i;
    move_own_usage(entry.usage);
    return;
  }
  give_up("more than 256 processes", -ENOSPC);
}

void Machine::after_fork_in_child() {
  // The parent's engines, watchers and locks are not ours.
  new (&the_machine->watch_mutex_) std::mutex;
  new (&the_machine->watched_) std::map<int, Watched>;
  the_machine->watch_epoll_ = -1;
  for (auto& incarnation : the_machine->watched_incarnation_)
    incarnation = 0;
  // What there is in the parent stays the parent's: its memory is counted there.
  the_machine->fork_generation_.fetch_add(1);
  forget_own_usage();
  the_machine->join();
}

bool Machine::signaled(const FenceRef& fence) {
  if (fence.slot >= slot_count)
    return true;
  FenceSlot& slot = state_->slots[fence.slot];
  if (slot.completed.load(std::memory_order_acquire) >= fence.sequence)
    return true;
  if (fence.sequence > slot.issued.load(std::memory_order_acquire))
    return true; // there is no such fence: half a write of a process that was killed
  const std::uint32_t owner = slot.owner.load(std::memory_order_acquire);
  if (owner == 0) // freed this moment: completed is up to date now
    return slot.completed.load(std::memory_order_acquire) >= fence.sequence;
  if (owner - 1 == self_)
    return false;
  watch(owner - 1);
  return slot.completed.load(std::memory_order_acquire) >= fence.sequence;
}

int Machine::error_of(const FenceRef& fence) const {
  if (fence.slot >= slot_count)
    return 0;
  const FenceSlot& slot = state_->slots[fence.slot];
  const std::uint64_t failed = slot.failed.load(std::memory_order_acquire);
  return failed != 0 && fence.sequence >= failed ? slot.error.load() : 0;
}

std::uint64_t Machine::signal_time(const FenceRef& fence) const {
  return fence.slot < slot_count ? state_->slots[fence.slot].time.load() : now_ns();
}

bool Machine::wait(Deadline deadline, const std::function<bool()>& ready) {
  if (ready())
    return true;
  if (deadline.passed())
    return false;
  ProcessEntry& self = state_->processes[self_];
  // In this order, so that a process that is killed in between leaves one too many and not one too few.
  state_->waiters.fetch_add(1);
  self.waiters.fetch_add(1);
  timespec until = {deadline.at / 1'000'000'000, deadline.at % 1'000'000'000};
  const timespec* timeout = deadline.at == INT64_MAX ? nullptr : &until;
  bool done = false;
  while (true) {
    const std::uint32_t seen = state_->events.load();
    done = ready();
    if (done || deadline.passed())
      break;
    futex(&state_->events, FUTEX_WAIT_BITSET, seen, timeout);
  }
  self.waiters.fetch_sub(1);
  state_->waiters.fetch_sub(1);
  return done;
}

void Machine::announce() {
  state_->events.fetch_add(1);
  if (state_->waiters.load() > 0)
    futex(&state_->events, FUTEX_WAKE, INT_MAX, nullptr);
}

std::uint32_t Machine::allocate_slot() {
  TableLock lock(state_->table_lock);
  for (std::uint32_t i = 0; i < slot_count; ++i) {
    const std::uint32_t index = (state_->next_slot + i) % slot_count;
    FenceSlot& slot = state_->slots[index];
    if (slot.owner.load() != 0)
      continue;
    slot.issued.store(slot.completed.load());
    slot.failed.store(0);
    slot.error.store(0);
    slot.owner.store(self_ + 1, std::memory_order_release);
    state_->next_slot = (index + 1) % slot_count;
    return index;
  }
  complain("no fence timeline left in the machine (%u)", slot_count);
  return FenceRef::no_slot;
}

void Machine::free_slot(std::uint32_t index) {
  FenceSlot& slot = state_->slots[index];
  if (slot.owner.load() != self_ + 1)
    return; // the parent's, from before a fork
  slot.completed.store(slot.issued.load(), std::memory_order_release);
  slot.owner.store(0, std::memory_order_release);
  announce();
}

FenceRef Machine::issue(std::uint32_t slot) {
  return {slot, 0, state_->slots[slot].issued.fetch_add(1) + 1};
}

void Machine::signal(const FenceRef& fence, int error) {
  FenceSlot& slot = state_->slots[fence.slot];
  if (slot.owner.load() != self_ + 1)
    return; // the parent's
  if (error != 0) {
    slot.error.store(error);
    slot.failed.store(fence.sequence, std::memory_order_release);
  } else {
    slot.failed.store(0, std::memory_order_release);
  }
  slot.time.store(now_ns());
  std::uint64_t completed = slot.completed.load();
  while (completed < fence.sequence && !slot.completed.compare_exchange_weak(completed, fence.sequence))
    ;
  announce();
}

std::uint64_t Machine::new_fence_context() {
  return state_->next_fence_context.fetch_add(1);
}
std::uint32_t Machine::reset_count() const {
  return state_->resets.load();
}
void Machine::count_reset() {
  state_->resets.fetch_add(1);
}

// The dead use none: they are reaped here, lest somebody who knows better sees it in use.
template <class Member>
std::uint64_t Machine::total(Member member) {
  std::uint64_t sum = 0;
  for (std::uint32_t i = 0; i < process_count; ++i) {
    const ProcessEntry& entry = state_->processes[i];
    const std::uint64_t incarnation = entry.incarnation.load();
    if (incarnation == 0)
      continue;
    if (i == self_ || is_alive(entry))
      sum += (entry.usage.*member).load();
    else
      reap(i, incarnation);
  }
  return sum;
}
std::uint64_t Machine::total_vram() {
  return total(&MemoryUsage::vram);
}
std::uint64_t Machine::total_gtt() {
  return total(&MemoryUsage::gtt);
}
std::uint64_t Machine::total_vram_blocks() {
  return total(&MemoryUsage::vram_blocks);
}

// Lets go of what a dead process claimed. Then: EBUSY where another has it.
int Machine::look_at_claim_locked(const Claim& claim, std::uint64_t holder) {
  if (claim.owner != 0 && claim.owner != self_ + 1 && !is_alive(state_->processes[claim.owner - 1]))
    reap_locked(claim.owner - 1);
  return claim.owner != 0 && claim.holder != holder ? -EBUSY : 0;
}

int Machine::set_clocks(std::uint64_t holder, std::uint32_t level) {
  TableLock lock(state_->table_lock);
  if (const int error = look_at_claim_locked(state_->clocks, holder); error < 0)
    return error;
  if (state_->clock_level == level)
    return 0; // and nobody's, if they were
  state_->clock_level = level;
  state_->clocks = {self_ + 1, 0, holder};
  return 0;
}

std::uint32_t Machine::clocks() {
  TableLock lock(state_->table_lock);
  look_at_claim_locked(state_->clocks, 0);
  return state_->clock_level;
}

void Machine::release_clocks(std::uint64_t holder) {
  TableLock lock(state_->table_lock);
  if (state_->clocks.owner == self_ + 1 && state_->clocks.holder == holder)
    release_clocks_locked();
}

void Machine::release_clocks_locked() {
  state_->clocks = {};
  state_->clock_level = 0; // automatic, as they were before somebody took them
}

int Machine::reserve_vmid(std::uint64_t holder) {
  TableLock lock(state_->table_lock);
  if (const int error = look_at_claim_locked(state_->vmid, holder); error < 0)
    return error;
  if (state_->vmid.owner == 0)
    state_->vmid = {self_ + 1, 0, holder};
  return 0;
}

void Machine::release_vmid(std::uint64_t holder) {
  TableLock lock(state_->table_lock);
  if (state_->vmid.owner == self_ + 1 && state_->vmid.holder == holder)
    state_->vmid = {};
}

std::uint32_t Machine::name_buffer(int fd, std::uint64_t device, std::uint64_t inode) {
  TableLock lock(state_->table_lock);
  std::uint32_t unused = 0;
  for (std::uint32_t i = MachineState::name_count; i > 0; --i) {
    NameEntry& entry = state_->names[i - 1];
    if (entry.owner != 0 && !is_alive(state_->processes[entry.owner - 1]))
      entry.owner = 0;
    if (entry.owner == 0)
      unused = i;
    else if (entry.device == device && entry.inode == inode)
      return i;
  }
  if (unused != 0) {
    state_->names[unused - 1] = {0, fd, device, inode};
    state_->names[unused - 1].owner = self_ + 1;
  }
  return unused;
}

std::optional<Machine::NamedBuffer> Machine::find_name(std::uint32_t name) {
  if (name == 0 || name > MachineState::name_count)
    return std::nullopt;
  TableLock lock(state_->table_lock);
  const NameEntry& entry = state_->names[name - 1];
  if (entry.owner == 0 || !is_alive(state_->processes[entry.owner - 1]))
    return std::nullopt;
  return NamedBuffer{state_->processes[entry.owner - 1].pid, entry.fd};
}

void Machine::forget_name(std::uint32_t name, int fd) {
  TableLock lock(state_->table_lock);
  NameEntry& entry = state_->names[name - 1];
  if (entry.owner == self_ + 1 && entry.fd == fd)
    entry.owner = 0;
}

void Machine::reap_locked(std::uint32_t index) {
  ProcessEntry& entry = state_->processes[index];
  for (FenceSlot& slot : state_->slots) {
    if (slot.owner.load() != index + 1)
      continue;
    slot.error.store(-ECANCELED);
    slot.failed.store(slot.completed.load() + 1);
    slot.time.store(now_ns());
    slot.completed.store(slot.issued.load(), std::memory_order_release);
    slot.owner.store(0, std::memory_order_release);
  }
  if (state_->clocks.owner == index + 1)
    release_clocks_locked();
  if (state_->vmid.owner == index + 1)
    state_->vmid = {};
  for (NameEntry& name : state_->names)
    if (name.owner == index + 1)
      name.owner = 0;
  state_->waiters.fetch_sub(entry.waiters.exchange(0));
  entry.incarnation.store(0);
}

void Machine::reap(std::uint32_t index, std::uint64_t incarnation) {
  {
    TableLock lock(state_->table_lock);
    if (state_->processes[index].incarnation.load() == incarnation) {
      trace("process %u is gone; its fences signal", state_->processes[index].pid);
      reap_locked(index);
    }
  }
  announce(); // also where somebody else was faster: that one does not tell
}

// Makes sure that the death of the process is noticed. Cheap from the second time on.
void Machine::watch(std::uint32_t index) {
  ProcessEntry& entry = state_->processes[index];
  const std::uint64_t incarnation = entry.incarnation.load();
  if (incarnation == 0 || watched_incarnation_[index].load(std::memory_order_relaxed) == incarnation)
    return;
  std::unique_lock lock(watch_mutex_);
  if (watched_incarnation_[index].load() == incarnation)
    return;
  const long pidfd = syscall(SYS_pidfd_open, entry.pid, 0);
  if (pidfd < 0 || !is_alive(entry)) {
    const bool unknown = pidfd < 0 && errno != ESRCH;
    if (pidfd >= 0)
      real::close(static_cast<int>(pidfd));
    lock.unlock();
    if (!unknown)
      return reap(index, incarnation);
    complain("pidfd_open of process %u: %s; its death would go unnoticed", entry.pid, std::strerror(errno));
    return;
  }
  if (watch_epoll_ < 0) {
    watch_epoll_ = fd_table::hide(epoll_create1(EPOLL_CLOEXEC));
    start_thread("kfd-emu-peers", [this] { watch_loop(); });
  }
  epoll_event event = {};
  event.events = EPOLLIN;
  const int hidden = fd_table::hide(static_cast<int>(pidfd));
  event.data.fd = hidden;
  watched_[hidden] = {index, incarnation};
  epoll_ctl(watch_epoll_, EPOLL_CTL_ADD, hidden, &event);
  watched_incarnation_[index].store(incarnation);
}

void Machine::watch_loop() {
  while (true) {
    epoll_event event;
    if (epoll_wait(watch_epoll_, &event, 1, -1) != 1)
      continue;
    Watched dead;
    {
      std::lock_guard lock(watch_mutex_);
      dead = watched_.extract(event.data.fd).mapped();
    }
    epoll_ctl(watch_epoll_, EPOLL_CTL_DEL, event.data.fd, nullptr);
    fd_table::close_hidden(event.data.fd);
    reap(dead.process, dead.incarnation);
  }
}

std::uint64_t total_vram_usage() {
  return Machine::get().total_vram();
}
std::uint64_t total_gtt_usage() {
  return Machine::get().total_gtt();
}
std::uint64_t total_vram_blocks_usage() {
  return Machine::get().total_vram_blocks();
}

namespace {

struct ThreadStart {
  char name[16];
  std::function<void()> body;
};

void* run_thread(void* argument) {
  ThreadStart* start = static_cast<ThreadStart*>(argument);
  pthread_setname_np(pthread_self(), start->name);
  start->body();
  delete start;
  return nullptr;
}

} // namespace

pthread_t start_joinable_thread(const char* name, std::function<void()> body) {
  auto* start = new ThreadStart{{}, std::move(body)};
  std::snprintf(start->name, sizeof start->name, "%s", name);
  sigset_t all, before;
  sigfillset(&all);
  sigdelset(&all, SIGSEGV);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const int error = pthread_create(&thread, nullptr, run_thread, start);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error != 0)
    give_up("pthread_create", -error);
  return thread;
}

bool process_runs(std::uint32_t pid) {
  return start_time_of(pid) != 0;
}

void start_thread(const char* name, std::function<void()> body) {
  pthread_detach(start_joinable_thread(name, std::move(body)));
}

} // namespace emu::kernel
