// What KFD of Linux 6.12 and 7.2 computes for navi21: queue buffer sizes (kfd_queue.c), limits, apertures
// (kfd_flat_memory.c).
#pragma once

#include "device.hpp"

#include <algorithm>
#include <cstdint>

namespace emu::kernel::kfd_limits {

inline constexpr std::uint64_t page_size = 4096;
constexpr std::uint64_t page_align(std::uint64_t size) {
  return (size + page_size - 1) & ~(page_size - 1);
}

// Context save area: control stack (40 bytes of header, 12 a wave, 8), capped by the hardware's design on
// gfx10; then VGPRs, SGPRs, LDS and hardware registers of every compute unit. The debugger's area follows and
// is not counted.
inline constexpr std::uint64_t waves = card::compute_units * 32;
inline constexpr std::uint64_t ctl_stack_size =
    std::min<std::uint64_t>(page_align(40 + waves * 12 + 8), 0x7000);
inline constexpr std::uint64_t wave_data_size =
    page_align(card::compute_units * (0x40000ull + 0x4000 + 0x10000 + 0x1000));
inline constexpr std::uint64_t cwsr_size = ctl_stack_size + wave_data_size;
inline constexpr std::uint64_t debug_memory_size = (waves * 32 + 63) & ~63ull;
inline constexpr std::uint64_t eop_buffer_size = 4096;

inline constexpr unsigned max_queues_per_process = 1024; // doorbells
inline constexpr unsigned max_queues_per_device = 127;   // what the hardware scheduler takes of one process
inline constexpr std::uint64_t doorbell_slice = 8 * max_queues_per_process;
inline constexpr unsigned doorbell_mirror = 512;
inline constexpr unsigned first_non_cp_doorbell = 0x100; // for SDMA, IH and VCN; so is the mirrored range
inline constexpr unsigned last_non_cp_doorbell = 0x17f;
inline constexpr unsigned sdma_doorbells_per_engine = 10;

inline constexpr unsigned sdma_engines = 2;
inline constexpr unsigned xgmi_sdma_engines = 2;

// amdgpu_amdkfd_reserve_mem_limit(): what page tables are taken to need (AMDGPU_VM_RESERVED_VRAM, the larger
// of the estimates below 128 GiB), and what the driver has pinned itself.
inline constexpr std::uint64_t reserved_vram = 8ull << 20;
inline constexpr std::uint64_t pinned_vram = 32ull << 20;
// KFD's share of system memory: 63/64, less AMDGPU_RESERVE_MEM_LIMIT.
constexpr std::uint64_t system_memory_limit(std::uint64_t total) {
  constexpr std::uint64_t reserve = 3ull << 29;
  const std::uint64_t most = total - (total >> 6);
  return most < 2 * reserve ? most / 2 : most - reserve;
}
// What kmalloc_array() gives at most: KMALLOC_MAX_SIZE.
inline constexpr std::uint64_t max_kernel_allocation = 4ull << 20;

inline constexpr std::uint64_t lds_base = 1ull << 48;
inline constexpr std::uint64_t scratch_base = 2ull << 48;
inline constexpr std::uint64_t aperture_limit = 0xffffffff; // from the base
inline constexpr std::uint64_t gpuvm_base = 1ull << 16;
inline constexpr std::uint64_t gpuvm_limit = card::va_end - 1;

} // namespace emu::kernel::kfd_limits
