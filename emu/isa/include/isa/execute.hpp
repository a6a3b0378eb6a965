// Executes compute workgroups of gfx10.3 (gfx1030, RDNA2) machine code, one workgroup at a time on the
// calling thread.
//
// What the GPU layer does: one CodeCache and one or more WorkgroupExecution objects per worker thread. A
// workgroup is start()ed, then run() until it is finished or faulted. run() returns `yielded` once its
// instruction budget is spent or nothing in the workgroup can go on without the outside world (s_sleep), so
// that a thread may interleave several workgroups: one that spins on memory never starves those which it
// waits for, as long as every unfinished workgroup gets run() again and again.
//
// Nothing here is thread-safe by itself; different threads use different objects. Guest memory is shared:
// aligned accesses of 1, 2, 4 and 8 bytes are single host accesses and atomics are host atomics, so CPU
// threads and other workers may touch the same bytes.
//
// Sources: "RDNA 2" Instruction Set Architecture manual; AMDGPU usage manual of LLVM for the register set-up.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <memory/address_space.hpp>

namespace emu::isa {

class GlobalWaveSync; // global_wave_sync.hpp

// Where the waves of a KFD process go when they trap: KFD's own first-level handler leads there (TBA), with
// the address of its data (TMA). 0: the process has set none. The process may change both at any time.
struct TrapHandler {
  std::atomic<std::uint64_t> code{0};
  std::atomic<std::uint64_t> memory{0};
};

// What all workgroups of a dispatch have in common. Register values are as COMPUTE_* registers hold them.
struct DispatchState {
  // GPU address of the first instruction (COMPUTE_PGM_LO/HI << 8).
  std::uint64_t code = 0;
  // COMPUTE_PGM_RSRC1..3; of RSRC2, USER_SGPR, the *_EN bits, LDS_SIZE and TIDIG_COMP_CNT rule the start.
  std::uint32_t pgm_rsrc1 = 0;
  std::uint32_t pgm_rsrc2 = 0;
  std::uint32_t pgm_rsrc3 = 0;
  // COMPUTE_USER_DATA_n
  std::array<std::uint32_t, 32> user_data{};
  // COMPUTE_DISPATCH_INITIATOR.CS_W32_EN
  bool wave32 = true;
  // Threads of a full workgroup (COMPUTE_NUM_THREAD_*.NUM_THREAD_FULL).
  std::array<std::uint32_t, 3> group_size{};
  // Bytes of scratch that a wave has (COMPUTE_TMPRING_SIZE.WAVESIZE, in bytes).
  std::uint32_t scratch_wave_size = 0;
  // First addresses of the flat apertures for LDS and scratch, 4 GiB each (SH_MEM_BASES).
  std::uint64_t shared_aperture = 1ull << 48;
  std::uint64_t private_aperture = 2ull << 48;
  // HW_ID2, as s_getreg_b32 shows it: queue, pipe, engine, VMID.
  std::uint32_t hw_id2 = 0;
  // Null: a VM of amdgpu's own, where no trap handler is ever bound and a trap ends the workgroup. Outlives
  // the dispatch.
  const TrapHandler* trap_handler = nullptr;
  // The queue's doorbell, counted from the first of the process: what MSG_GET_DOORBELL gives.
  std::uint32_t doorbell = 0;
  // The queue's; null: it has none. Outlives the dispatch.
  GlobalWaveSync* global_wave_sync = nullptr;
};

// What one workgroup of a dispatch has of its own.
struct WorkgroupPosition {
  // Workgroup id, as the TGID SGPRs show it.
  std::array<std::uint32_t, 3> id{};
  // Threads of this workgroup: group_size, or less at the grid's far edges.
  std::array<std::uint32_t, 3> size{};
  // SCRATCH_EN SGPR of the first wave; each further wave adds scratch_wave_size.
  std::uint64_t scratch_offset = 0;
  // HW_ID1 of the workgroup processor that it runs on: SE_ID, SA_ID and WGP_ID. A wave adds its SIMD and
  // slot.
  std::uint32_t hw_id1 = 0;
};

enum class FaultKind : std::uint8_t {
  none,
  page_fault,          // a memory access outside of the page tables or against a page's permissions
  illegal_instruction, // not an instruction, or one that this device refuses in a compute wave
  memory_violation,    // a misaligned atomic
  trap,                // s_trap
  aborted,             // the stop flag was seen
};

// Why a workgroup ended early. `pc` is the address of the instruction at fault, `wave` the wave in its
// workgroup. Of a wave that has a trap handler, only page_fault and aborted end the workgroup.
struct Fault {
  FaultKind kind = FaultKind::none;
  std::uint64_t pc = 0;
  std::uint32_t wave = 0;
  memory::PageFault page{};              // page_fault: what was accessed
  std::uint64_t address = 0;             // memory_violation: the address (or LDS offset)
  std::array<std::uint32_t, 4> dwords{}; // the words at pc, as far as they can be read
  std::uint32_t trap_id = 0;             // trap: s_trap's immediate
  const char* mnemonic = "";             // the instruction at pc, "" where it does not decode
  const char* reason = "";               // a phrase for the log, never null

  std::string describe() const; // one line: all of the above in words
};

enum class Progress : std::uint8_t {
  yielded,  // call run() again
  parked,   // waves are halted, and nothing but the stop flag makes any wave go on
  finished, // all waves ended
  faulted,  // fault() says why; the workgroup is dead
};

// Decoded instructions by code address. One per thread and address space. Code is compared with memory again
// whenever a workgroup first enters one of its pages, so that rewritten code is seen by the next workgroup.
class CodeCache {
public:
  explicit CodeCache(const memory::AddressSpace& space);
  ~CodeCache();
  CodeCache(const CodeCache&) = delete;
  CodeCache& operator=(const CodeCache&) = delete;

  struct Impl;
  Impl& impl() { return *impl_; }

private:
  std::unique_ptr<Impl> impl_;
};

// One workgroup's waves, LDS and progress. Keeps its memory from one workgroup to the next: reuse the object.
class WorkgroupExecution {
public:
  explicit WorkgroupExecution(CodeCache& code);
  ~WorkgroupExecution();
  WorkgroupExecution(const WorkgroupExecution&) = delete;
  WorkgroupExecution& operator=(const WorkgroupExecution&) = delete;

  // Sets up the waves of a workgroup: SGPRs (user data, then workgroup ids, size and scratch offset as RSRC2
  // enables them), VGPR 0..2 (local ids), EXEC, MODE, M0, LDS. Both arguments are copied. Whatever ran before
  // is forgotten.
  void start(const DispatchState& dispatch, const WorkgroupPosition& position);

  // Runs waves round-robin for about `instruction_budget` instructions in all.
  Progress run(std::uint64_t instruction_budget);

  // Good after run() returned `faulted`.
  const Fault& fault() const;

  // Instructions executed since start(), all waves.
  std::uint64_t instructions() const;

  // A flag that ends the workgroup with FaultKind::aborted soon after it becomes true (watchdog, process
  // exit); looked at between time slices. May be null. Kept across start().
  void set_stop_flag(const std::atomic<bool>* stop);

  // What s_sendmsg(MSG_INTERRUPT) calls, on the thread of run(), with M0: the event id that the shader wants
  // to raise; and whether the wave was in its trap handler. Without a handler the instruction is illegal.
  // Kept across start().
  void set_interrupt_handler(std::function<void(std::uint32_t m0, bool privileged)> handler);

  // Hears of each exception (not of s_trap) that sends a wave into its trap handler or halts it, on the
  // thread of run(). Kept across start().
  void set_exception_handler(std::function<void(const Fault&)> handler);

  struct Impl;

private:
  std::unique_ptr<Impl> impl_;
};

// start() and run() to the end, for callers that have one workgroup at a time and no one to wait for.
Fault execute_workgroup(WorkgroupExecution& execution, const DispatchState& dispatch,
                        const WorkgroupPosition& position);

// The size in bytes of the LDS that COMPUTE_PGM_RSRC2.LDS_SIZE asks for, and the VGPR count of RSRC1.VGPRS.
std::uint32_t lds_bytes(std::uint32_t pgm_rsrc2);
std::uint32_t vgpr_count(std::uint32_t pgm_rsrc1, bool wave32);

} // namespace emu::isa
