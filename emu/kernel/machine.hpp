// The state that all processes of the emulated machine share: who takes part, which fences have signaled, and
// one futex word on which everything that waits for a fence or a syncobj waits.
//
// It lives in one file of machine_directory(), mapped by every process. A fence is (slot, sequence): a slot
// is the timeline of one ring of one context in the process that runs it, and counts up for ever, so that a
// reference never becomes stale. What a dead process left pending is signaled on its behalf, by whoever looks
// at it first.
#pragma once

#include <atomic>
#include <cstdint>
#include <ctime>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include <pthread.h>

namespace emu::kernel {

struct MemoryUsage;

// A fence, wherever in the machine. The default one has always been signaled (the kernel's stub fence).
struct FenceRef {
  static constexpr std::uint32_t no_slot = 0xffff'ffff;
  std::uint32_t slot = no_slot;
  std::uint32_t reserved = 0;
  std::uint64_t sequence = 0;

  bool operator==(const FenceRef&) const = default;
};

// An absolute CLOCK_MONOTONIC time in nanoseconds, as DRM's time-outs: what has passed means "do not block".
struct Deadline {
  std::int64_t at = 0;
  static Deadline never() { return {INT64_MAX}; }
  static Deadline now() { return {0}; }
  static Deadline in(std::uint64_t nanoseconds);
  bool passed() const;
};

struct Claim;
struct MachineState; // what the file holds: machine_state.hpp

class Machine {
public:
  // The machine of this process; joined on first use, left when the process ends.
  static Machine& get();

  // Has the fence signaled? Looks after the process that owes it, where that is another one.
  bool signaled(const FenceRef& fence);

  // The error that the fence signaled with: 0, or a negative errno.
  int error_of(const FenceRef& fence) const;
  // CLOCK_MONOTONIC of the last signal of the fence's slot.
  std::uint64_t signal_time(const FenceRef& fence) const;

  // Blocks until `ready` says true; false where the deadline came first. `ready` is asked again after every
  // announce() in the machine, on this thread. No lock is held while it runs.
  bool wait(Deadline deadline, const std::function<bool()>& ready);

  // Something changed that a waiter, in any process, may wait for. A system call only where somebody waits.
  void announce();

  // Fence timelines. allocate_slot: no_slot where none is left.
  std::uint32_t allocate_slot();
  void free_slot(std::uint32_t slot);
  FenceRef issue(std::uint32_t slot);
  // Signals every fence of the slot up to and including `sequence`.
  void signal(const FenceRef& fence, int error);

  // A number for a dma_fence context; unique in the machine.
  std::uint64_t new_fence_context();

  // GPU resets since the machine came up, counted over all processes (amdgpu's gpu_reset_counter).
  std::uint32_t reset_count() const;
  void count_reset();

  // Memory in use by all live processes.
  std::uint64_t total_vram();
  std::uint64_t total_gtt();
  std::uint64_t total_vram_blocks();

  // The GPU's clocks (AMDGPU_CTX_STABLE_PSTATE_*; 0: automatic), which one context of the machine may hold:
  // EBUSY where another does. `holder` is unique in the machine. They go back when it lets go or its process
  // dies.
  int set_clocks(std::uint64_t holder, std::uint32_t level);
  std::uint32_t clocks();
  void release_clocks(std::uint64_t holder);

  // The VMID that one VM of the machine may have for itself, likewise.
  int reserve_vmid(std::uint64_t holder);
  void release_vmid(std::uint64_t holder);

  // Global names of buffers (GEM_FLINK). `fd` is this process's descriptor of the buffer, kept open while it
  // has the name; a buffer that has one keeps it. 0: no name is left.
  std::uint32_t name_buffer(int fd, std::uint64_t device, std::uint64_t inode);
  struct NamedBuffer {
    std::uint32_t pid = 0;
    int fd = -1; // of that process
  };
  std::optional<NamedBuffer> find_name(std::uint32_t name);
  void forget_name(std::uint32_t name, int fd);

  // Counts the forks between the first process of the machine's and this one: what was made before the last
  // one belongs to a parent.
  std::uint32_t fork_generation() const { return fork_generation_.load(std::memory_order_relaxed); }

private:
  Machine();
  void join();
  void watch(std::uint32_t process);
  void reap(std::uint32_t process, std::uint64_t incarnation);
  void reap_locked(std::uint32_t process);
  template <class Member>
  std::uint64_t total(Member member);
  void release_clocks_locked();
  int look_at_claim_locked(const Claim& claim, std::uint64_t holder);
  void watch_loop();
  static void after_fork_in_child();

  MachineState* state_ = nullptr;
  std::atomic<std::uint32_t> fork_generation_{0};
  std::uint32_t self_ = 0; // index in the process table
  std::mutex watch_mutex_;
  struct Watched {
    std::uint32_t process = 0;
    std::uint64_t incarnation = 0;
  };
  std::map<int, Watched> watched_; // by pidfd
  int watch_epoll_ = -1;
  static constexpr unsigned max_processes = 256;
  std::atomic<std::uint64_t> watched_incarnation_[max_processes] = {};
};

// One slot, held: the fences that one engine of this process will signal, in order. Thread-safe.
class FenceTimeline {
public:
  FenceTimeline() : slot_(Machine::get().allocate_slot()) {}
  ~FenceTimeline() {
    if (valid())
      Machine::get().free_slot(slot_); // signals whatever is still pending
  }
  FenceTimeline(const FenceTimeline&) = delete;
  FenceTimeline& operator=(const FenceTimeline&) = delete;

  bool valid() const { return slot_ != FenceRef::no_slot; }
  FenceRef issue() { return Machine::get().issue(slot_); }
  void signal(const FenceRef& fence, int error = 0) { Machine::get().signal(fence, error); }

private:
  std::uint32_t slot_;
};

// Is there such a process, and is it more than a zombie?
bool process_runs(std::uint32_t pid);

// A thread of the emulator: detached from the program's signals and named for its debugger.
void start_thread(const char* name, std::function<void()> body);
pthread_t start_joinable_thread(const char* name, std::function<void()> body);

} // namespace emu::kernel
