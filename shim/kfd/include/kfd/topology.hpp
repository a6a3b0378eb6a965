// What the kernel says about the machine's GPUs: /sys/class/kfd/kfd/topology.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <util/error.hpp>

namespace shim::kfd {

using util::Result;

// Where a GPU sits on the PCI bus.
struct PciAddress {
  std::uint32_t domain = 0;
  std::uint32_t bus = 0;
  std::uint32_t device = 0;
  std::uint32_t function = 0;
  bool operator==(const PciAddress&) const = default;
};

// The buffer sizes that a queue on this node must have. Kernels from 6.12 on compare them with their own
// computation (kfd_queue_ctx_save_restore_size in amdkfd/kfd_queue.c) and refuse a queue that differs.
struct QueueSizes {
  std::uint32_t eop = 0;           // bytes
  std::uint32_t control_stack = 0; // bytes, page aligned, counted in context_save
  std::uint32_t context_save = 0;  // control stack and wave data, bytes
  std::uint32_t debug_memory = 0;  // bytes, follows context_save in the same mapping
  // What the one mapping of the save area measures: context_save and debug_memory, page aligned.
  std::uint64_t save_area() const {
    return (std::uint64_t{context_save} + debug_memory + 4095) & ~std::uint64_t{4095};
  }
};

// One GPU node. Numbers carry the unit of their comment; everything else is a count.
struct NodeProperties {
  std::uint32_t node = 0;     // N of nodes/N
  std::uint32_t gpu_id = 0;   // KFD's name for it in every ioctl
  std::string name;           // KFD's ("navi21")
  std::string marketing_name; // from libdrm's table ("AMD Radeon RX 6800 XT"); falls back to `name`
  PciAddress pci;
  std::uint32_t vendor_id = 0;
  std::uint32_t device_id = 0;
  std::uint64_t unique_id = 0; // 0: the card has none
  std::uint32_t drm_render_minor = 0;

  std::uint32_t gfx_target_version = 0; // major * 10000 + minor * 100 + stepping: gfx1030 is 100300
  unsigned gfx_major() const { return gfx_target_version / 10000; }
  unsigned gfx_minor() const { return gfx_target_version / 100 % 100; }
  unsigned gfx_stepping() const { return gfx_target_version % 100; }
  std::string gfx_name() const; // "gfx1030", "gfx90a"

  std::uint32_t simd_count = 0;
  std::uint32_t simd_per_cu = 0;
  std::uint32_t compute_units = 0; // simd_count / simd_per_cu
  std::uint32_t max_waves_per_simd = 0;
  std::uint32_t wave_front_size = 0; // the node's default, lanes; gfx10 and later run 32 as well
  std::uint32_t array_count = 0;
  std::uint32_t simd_arrays_per_engine = 0;
  std::uint32_t shader_engines = 0; // array_count / simd_arrays_per_engine
  std::uint32_t max_slots_scratch_cu = 0;
  std::uint32_t lds_size_kib = 0; // per compute unit
  std::uint32_t gds_size_kib = 0;
  std::uint32_t max_engine_clock_mhz = 0;
  std::uint32_t num_sdma_engines = 0;
  std::uint32_t num_cp_queues = 0;
  std::uint32_t num_xcc = 1;
  std::uint32_t capability = 0; // HSA_CAP_* of kfd_sysfs.h

  std::uint64_t vram_bytes = 0;         // all of it, CPU-visible or not
  std::uint64_t vram_visible_bytes = 0; // equal to vram_bytes with a large BAR
  std::uint32_t memory_bus_width = 0;   // bits
  std::uint32_t memory_clock_mhz = 0;
  std::uint32_t l2_cache_kib = 0;
  bool large_bar() const { return vram_bytes != 0 && vram_visible_bytes == vram_bytes; }

  QueueSizes queue_sizes;
};

// GPU nodes in KFD's order, CPU nodes left out. An empty list where the topology exists without a GPU.
// CUDA_ERROR_NO_DEVICE where there is no topology at all. Reads sysfs only; opens no device.
Result<std::vector<NodeProperties>> read_topology();

// The kernel's computation, for a node whose other fields are filled in.
QueueSizes compute_queue_sizes(const NodeProperties& node);

} // namespace shim::kfd
