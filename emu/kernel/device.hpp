// The emulated card, in one place: an AMD Radeon RX 6800 XT (navi21, gfx1030) as Linux 6.12 presents it.
#pragma once

#include <cstdint>

namespace emu::kernel::card {

inline constexpr std::uint32_t vendor_id = 0x1002;
inline constexpr std::uint32_t device_id = 0x73bf;
inline constexpr std::uint32_t revision_id = 0xc1;
inline constexpr std::uint32_t subsystem_vendor_id = 0x1002;
inline constexpr std::uint32_t subsystem_device_id = 0x0e3a;
inline constexpr std::uint32_t pci_class = 0x030000;
inline constexpr const char* marketing_name = "AMD Radeon RX 6800 XT";
inline constexpr const char* chip_name = "sienna_cichlid"; // nodes/N/name: navi21's code name

inline constexpr std::uint32_t pci_domain = 0;
inline constexpr std::uint32_t pci_bus = 3;
inline constexpr std::uint32_t pci_device = 0;
inline constexpr std::uint32_t pci_function = 0;
inline constexpr const char* pci_slot = "0000:03:00.0";
inline constexpr std::uint32_t location_id = pci_bus << 8 | pci_device << 3 | pci_function;

inline constexpr unsigned drm_major = 226;
inline constexpr unsigned primary_minor = 0;
inline constexpr unsigned render_minor = 128;
inline constexpr unsigned kfd_major = 235; // dynamic on a real kernel

// KFD topology.
inline constexpr std::uint32_t gpu_id = 0x4a6d;
inline constexpr std::uint32_t cpu_node = 0;
inline constexpr std::uint32_t gpu_node = 1;
inline constexpr std::uint32_t gfx_target_version = 100300;
inline constexpr std::uint64_t unique_id = 0x73bf0000c0de0001ull;

// amdgpu: AMDGPU_FAMILY_NV and the revisions that addrlib and RADV tell navi21 by.
inline constexpr std::uint32_t family = 0x8f;
inline constexpr std::uint32_t chip_external_revision = 0x28;
inline constexpr std::uint32_t chip_revision = 0;

// Shader array: 4 engines of 2 arrays; 72 of 80 compute units enabled, in WGP pairs: five WGPs in array 0,
// four in 1.
inline constexpr unsigned shader_engines = 4;
inline constexpr unsigned arrays_per_engine = 2;
inline constexpr unsigned units_per_array = 10;
inline constexpr std::uint32_t unit_bitmap[arrays_per_engine] = {0x3ff, 0x0ff};
inline constexpr unsigned compute_units = 72;
inline constexpr unsigned simds_per_unit = 2;
inline constexpr unsigned waves_per_simd = 16;
inline constexpr unsigned wavefront_size = 32;
inline constexpr unsigned lds_kib = 64;
inline constexpr unsigned scratch_slots_per_unit = 32;
inline constexpr unsigned max_engine_clock_mhz = 2575;
inline constexpr unsigned max_memory_clock_mhz = 1000;
inline constexpr std::uint32_t gb_addr_config = 0x00000545; // golden value of navi21
inline constexpr std::uint64_t clock_counter_khz = 100000;  // the reference clock behind timestamps: 100 MHz

// Memory. The whole of VRAM is visible (resizable BAR), as KFD's PUBLIC memory wants it.
inline constexpr std::uint64_t vram_size = 16368ull << 20;
inline constexpr unsigned vram_width_bits = 256;
inline constexpr std::uint32_t vram_type_gddr6 = 9;          // AMDGPU_VRAM_TYPE_GDDR6
inline constexpr std::uint32_t heap_type_fb_public = 1;      // HSA_MEM_HEAP_TYPE_FB_PUBLIC
inline constexpr std::uint64_t va_end = 0x0000800000000000;  // GPU virtual addresses below the hole
inline constexpr std::uint64_t va_size = 0x0001000000000000; // of a VM, the upper half included

// Queues.
inline constexpr unsigned mec_pipes = 4;
inline constexpr unsigned queues_per_pipe = 4;
inline constexpr unsigned cp_queues = 8; // what KFD owns of the first MEC's 16; the others are amdgpu's own
inline constexpr unsigned sdma_engines = 4; // two of them for KFD's XGMI queues
inline constexpr unsigned sdma_queues_per_engine = 8;
inline constexpr unsigned gws_count = 64;

// Firmware versions, as AMDGPU_INFO_FW_VERSION and topology report them.
inline constexpr std::uint32_t mec_firmware = 107; // from this one on KFD gives out GWS
inline constexpr std::uint32_t sdma_firmware = 80;

} // namespace emu::kernel::card
