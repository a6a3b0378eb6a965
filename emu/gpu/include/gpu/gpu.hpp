// The engines of the emulated GPU: user queues (AQL, PM4 compute, SDMA) as KFD makes them, and the kernel's
// own rings (graphics, compute, DMA) as amdgpu command submissions use them.
//
// One Gpu per process. The kernel side creates queues and hands over submissions; it hears of interrupts and
// faults through Callbacks. Everything here is thread-safe. No engine thread exists before the first queue or
// submission.
//
// User queues are served by one thread, the command processor. It never blocks on behalf of a queue: a
// barrier or WAIT_REG_MEM that is not satisfied leaves that queue where it is and serves the others. Waves
// run on a pool of threads that all queues and submissions share, a bounded slice at a time.
#pragma once

#include <gpu/types.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace emu::gpu {

enum class QueueType : std::uint8_t { aql, pm4_compute, sdma };

// A user queue, as KFD's CREATE_QUEUE describes it. All addresses are GPU addresses in `space`.
struct QueueDescription {
  QueueType type = QueueType::aql;
  std::shared_ptr<const memory::AddressSpace> space;
  Apertures apertures = kfd_apertures;
  std::uint32_t vmid = first_kfd_vmid;

  GpuAddress ring = 0;
  std::uint64_t ring_size = 0; // bytes, a power of two
  // rptr: AQL: counted in packets, 64 bits, at amd_queue_t + 0x80; PM4: dwords, 32 bits; SDMA: bytes, 64
  // bits. wptr: same units. The engine reads wptr when the doorbell changes and writes rptr as it consumes
  // packets.
  GpuAddress rptr = 0;
  GpuAddress wptr = 0;

  // The queue's 8 bytes in the doorbell page: an alias that the kernel side keeps mapped and readable for as
  // long as the queue lives. What the program sees of the same page is made known with watch_doorbells().
  std::uint64_t* doorbell = nullptr;
  std::uint32_t doorbell_id = 0; // its number in the process's page, which trap handlers ask for

  std::uint32_t priority = 7;     // KFD's 0..15: whose workgroups start first, and how long their turns are
  std::uint32_t percentage = 100; // 0: the queue is not scheduled
  std::vector<std::uint32_t> cu_mask; // as KFD's SET_CU_MASK gives it; empty: all

  GpuAddress eop = 0;
  std::uint64_t eop_size = 0;
  GpuAddress ctx_save = 0;
  std::uint64_t ctx_save_size = 0;
};

// What KFD's UPDATE_QUEUE changes. A ring_size, ring or percentage of 0 takes the queue off the hardware
// until the next update: its kernels stand still from the moment that update_queue() returns.
struct QueueUpdate {
  GpuAddress ring = 0;
  std::uint64_t ring_size = 0;
  std::uint32_t priority = 7;
  std::uint32_t percentage = 100;
};

// Both are called on engine threads, without any lock of the Gpu's held; they may call into the Gpu, but must
// not call destroy_queue(), nor wait for another thread that is inside it.
struct Callbacks {
  std::function<void(const Interrupt&)> interrupt;
  // A user queue met a fault. It stays stopped until it is destroyed. Submissions report through submit()
  // instead.
  std::function<void(const Fault&)> fault;
};

enum class Ring : std::uint8_t { graphics, compute, dma };

// AMDGPU_IB_FLAG_* of one indirect buffer travel unchanged in `flags`.
struct IndirectBuffer {
  GpuAddress va = 0;
  std::uint32_t dwords = 0;
  std::uint32_t flags = 0;
};

struct Submission {
  Ring ring = Ring::compute;
  std::shared_ptr<const memory::AddressSpace> space;
  Apertures apertures = drm_apertures;
  std::span<const IndirectBuffer> ibs;
  std::uint32_t vmid = first_drm_vmid;
};

class Gpu {
public:
  // A kernel of a user queue, or a submission, that runs for longer than `watchdog` is ended as a hang: 0 is
  // never, nullopt takes CUDA_SHIM_EMU_WATCHDOG, in milliseconds.
  explicit Gpu(Callbacks callbacks, std::optional<std::chrono::milliseconds> watchdog = std::nullopt);
  Gpu(const Gpu&) = delete;
  Gpu& operator=(const Gpu&) = delete;
  ~Gpu(); // destroys all queues; joins all threads. Submissions must have returned.

  // The description has been checked by the caller; ids count up from 0 and the lowest free one is taken.
  QueueId create_queue(const QueueDescription& description);
  // All false where there is no such queue.
  bool update_queue(QueueId id, const QueueUpdate& update);
  // Good for the kernels that start from now on. A mask of no units at all leaves them waiting.
  bool set_cu_mask(QueueId id, std::vector<std::uint32_t> cu_mask);
  // Gives the queue's kernels that start from now on the global wave sync, or takes it (KFD's
  // ALLOC_QUEUE_GWS).
  bool set_global_wave_sync(QueueId id, bool on);
  // Returns when no engine will touch the queue's memory again: a running kernel is killed at its next slice.
  bool destroy_queue(QueueId id);
  // The process's own trap handler, for all user queues, from the next trap on (KFD's SET_TRAP_HANDLER).
  // Without one a wave skips s_trap and is halted by an exception; a queue with a halted wave is busy until
  // it is destroyed.
  void set_trap_handler(GpuAddress code, GpuAddress memory);

  // [base, base + size) is a CPU mapping, made by the program, of memory that holds queues' doorbells; base
  // and size are multiples of 4096 and the mapping is readable and writable. While all queues are idle it is
  // made read-only, so that the first store to it wakes the command processor (through SIGSEGV; see
  // segv.hpp). Call forget_doorbells() before the mapping goes; it is left writable. A process without
  // watched doorbells has its queues polled.
  void watch_doorbells(void* base, std::size_t size);
  void forget_doorbells(void* base, std::size_t size);

  // Looks at all queues now, as if a doorbell had been rung: for a kernel side that writes a wptr itself.
  void kick();

  // Executes one command submission on the calling thread (waves on the pool too) and returns when everything
  // that it asked for has happened, RELEASE_MEM writes and SDMA fences included. Submissions of different
  // threads run side by side; the caller keeps the order within a (context, ring). Setting `stop` ends it
  // early with FaultKind::stopped; the watchdog with FaultKind::hang.
  std::optional<Fault> submit(const Submission& submission, const std::atomic<bool>& stop);

private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

} // namespace emu::gpu
