// Words that the engines and the kernel side share: rings, faults, interrupts, the GPU's clock.
#pragma once

#include <memory/address_space.hpp>

#include <cstdint>
#include <memory>
#include <string>

namespace emu::gpu {

using memory::GpuAddress;

// The GPU's reference clock: what amd_signal_t time stamps, RELEASE_MEM, COPY_DATA, SDMA TIMESTAMP,
// s_memrealtime, KFD GET_CLOCK_COUNTERS (gpu_clock_counter) and AMDGPU_INFO_TIMESTAMP all read. It is
// CLOCK_MONOTONIC_RAW counted at 100 MHz, as on navi21 (AMDGPU_INFO_DEV_INFO gpu_counter_freq = 100000 kHz).
inline constexpr std::uint64_t gpu_clock_hz = 100'000'000;
std::uint64_t gpu_clock();

// Where LDS and scratch appear in the flat address space of a VM (SH_MEM_BASES).
struct Apertures {
  std::uint64_t shared_base = 0;
  std::uint64_t private_base = 0;
};
// What the kernel programs for amdgpu's own VMs (gfx_v10_0.c) and for KFD processes (kfd_flat_memory.c).
inline constexpr Apertures drm_apertures{0x2000ull << 48, 0x1000ull << 48};
inline constexpr Apertures kfd_apertures{1ull << 48, 2ull << 48};

// The page tables' numbers: the kernel keeps the first eight for amdgpu's own VMs. (It hands them out as VMs
// come and go; here every VM of a kind has the first.)
inline constexpr std::uint32_t first_drm_vmid = 1;
inline constexpr std::uint32_t first_kfd_vmid = 8;

using QueueId = std::uint32_t;
inline constexpr QueueId no_queue = 0xffff'ffff;

enum class FaultKind : std::uint8_t {
  page_fault, // `page` says which address; UTCL2 reports it as the kernel reports VM_L2_PROTECTION_FAULT
  illegal_instruction, // a wave met an opcode that the ISA does not have, or that this emulator does not
  illegal_packet,      // the command processor or the DMA engine met a packet that it does not know
  illegal_register,    // a packet wrote a register that this GPU does not have
  illegal_dispatch,    // a dispatch whose dimensions, LDS or descriptor no hardware would run
  memory_violation,    // an access that no aperture holds, or misaligned beyond what the instruction allows
  trap,                // s_trap
  hang,                // ran for longer than the watchdog allows
  stopped,             // the stop flag of a submission, or the destruction of a queue, ended it early
};
const char* to_string(FaultKind kind);

// Why an engine gave up. Illegal instructions, memory violations and traps of a user queue's waves are not
// among the reasons: these waves go to their trap handler, or are halted. Always printed on stderr ("kfd-emu:
// ...") before anyone is told.
struct Fault {
  FaultKind kind = FaultKind::illegal_packet;
  QueueId queue = no_queue; // no_queue: a DRM submission
  memory::PageFault page;   // for page_fault and memory_violation
  std::uint64_t pc = 0;     // of the wave, where a wave faulted
  std::string text;
  // An AQL queue's firmware has told the program itself, through queue_inactive_signal; the kernel hears
  // nothing of such a fault on hardware, and has nothing to report.
  bool told_by_signal = false;
  std::uint32_t vmid = 0; // whose page tables were in use
};

// An interrupt that reaches the kernel driver: what KFD's interrupt handlers feed into signal events.
struct Interrupt {
  enum class Source : std::uint8_t { end_of_pipe, sq_message, sdma_trap };
  Source source = Source::end_of_pipe;
  QueueId queue = no_queue;
  std::uint32_t context_id =
      0; // an AQL signal's event_id; RELEASE_MEM's int_ctxid; s_sendmsg's M0; TRAP's context
  bool privileged = false; // sq_message: from a trap handler
};

} // namespace emu::gpu
