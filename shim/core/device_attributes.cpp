// cuDeviceGetAttribute's answers. Image sizes are what gfx9 to gfx11 descriptors can hold.
#include <algorithm>
#include <bit>

#include <core/device.hpp>

namespace shim::core {

namespace {

constexpr int max_block_threads = 1024;
// A grid is at most 2^32 - 1 work-items in x (hsa_kernel_dispatch_packet_t), so this many of the largest
// blocks.
constexpr int max_grid_x = static_cast<int>(0xffffffffu / max_block_threads);
constexpr int max_grid_yz = 65535;
constexpr int image_1d = 16384, image_2d = 16384, image_3d = 2048, image_layers = 2048;
constexpr int linear_texels = 1 << 27;

struct Row {
  CUdevice_attribute attribute;
  int value;
};

// The same for every GPU that we drive.
constexpr Row constant_rows[] = {
    {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, max_block_threads},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X, max_block_threads},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y, max_block_threads},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z, max_block_threads},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, max_grid_x},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y, max_grid_yz},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z, max_grid_yz},
    {CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY, 65536},
    {CU_DEVICE_ATTRIBUTE_MAX_PITCH, 0x7fffffff},
    {CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT, 256},
    {CU_DEVICE_ATTRIBUTE_TEXTURE_PITCH_ALIGNMENT, 256},
    {CU_DEVICE_ATTRIBUTE_SURFACE_ALIGNMENT, 256},
    {CU_DEVICE_ATTRIBUTE_GPU_OVERLAP, 1},
    {CU_DEVICE_ATTRIBUTE_KERNEL_EXEC_TIMEOUT, 0},
    {CU_DEVICE_ATTRIBUTE_INTEGRATED, 0},
    {CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY, 1},
    {CU_DEVICE_ATTRIBUTE_COMPUTE_MODE, CU_COMPUTEMODE_DEFAULT},
    {CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS, 1},
    {CU_DEVICE_ATTRIBUTE_ECC_ENABLED, 0},
    {CU_DEVICE_ATTRIBUTE_TCC_DRIVER, 0},
    {CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT, 2},
    {CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING, 1},
    {CU_DEVICE_ATTRIBUTE_CAN_TEX2D_GATHER, 1},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE1D_WIDTH, image_1d},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE1D_LINEAR_WIDTH, linear_texels},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE1D_MIPMAPPED_WIDTH, image_1d},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE1D_LAYERED_WIDTH, image_1d},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE1D_LAYERED_LAYERS, image_layers},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE2D_WIDTH, image_2d},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE2D_HEIGHT, image_2d},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE2D_LAYERED_WIDTH, image_2d},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE2D_LAYERED_HEIGHT, image_2d},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE2D_LAYERED_LAYERS, image_layers},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE2D_GATHER_WIDTH, image_2d},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE2D_GATHER_HEIGHT, image_2d},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE2D_LINEAR_WIDTH, image_2d},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE2D_LINEAR_HEIGHT, image_2d},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE2D_LINEAR_PITCH, image_2d * 16},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE2D_MIPMAPPED_WIDTH, image_2d},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE2D_MIPMAPPED_HEIGHT, image_2d},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE3D_WIDTH, image_3d},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE3D_HEIGHT, image_3d},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE3D_DEPTH, image_3d},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE3D_WIDTH_ALTERNATE, 0},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE3D_HEIGHT_ALTERNATE, 0},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE3D_DEPTH_ALTERNATE, 0},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURECUBEMAP_WIDTH, image_2d},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURECUBEMAP_LAYERED_WIDTH, image_2d},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURECUBEMAP_LAYERED_LAYERS, image_layers - 2},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_SURFACE1D_WIDTH, image_1d},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_SURFACE2D_WIDTH, image_2d},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_SURFACE2D_HEIGHT, image_2d},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_SURFACE3D_WIDTH, image_3d},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_SURFACE3D_HEIGHT, image_3d},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_SURFACE3D_DEPTH, image_3d},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_SURFACE1D_LAYERED_WIDTH, image_1d},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_SURFACE1D_LAYERED_LAYERS, image_layers},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_SURFACE2D_LAYERED_WIDTH, image_2d},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_SURFACE2D_LAYERED_HEIGHT, image_2d},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_SURFACE2D_LAYERED_LAYERS, image_layers},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_SURFACECUBEMAP_WIDTH, image_2d},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_SURFACECUBEMAP_LAYERED_WIDTH, image_2d},
    {CU_DEVICE_ATTRIBUTE_MAXIMUM_SURFACECUBEMAP_LAYERED_LAYERS, image_layers - 2},
    {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 6},
    {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 1},
    {CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_GLOBAL_L1_CACHE_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_LOCAL_L1_CACHE_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY, 1},
    {CU_DEVICE_ATTRIBUTE_MULTI_GPU_BOARD, 0},
    {CU_DEVICE_ATTRIBUTE_HOST_NATIVE_ATOMIC_SUPPORTED, 0},
    {CU_DEVICE_ATTRIBUTE_SINGLE_TO_DOUBLE_PRECISION_PERF_RATIO, 16},
    {CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS, 0},
    {CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS, 1},
    {CU_DEVICE_ATTRIBUTE_COMPUTE_PREEMPTION_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM, 1},
    {CU_DEVICE_ATTRIBUTE_CAN_USE_STREAM_MEM_OPS, 0},
    {CU_DEVICE_ATTRIBUTE_CAN_USE_64_BIT_STREAM_MEM_OPS, 0},
    {CU_DEVICE_ATTRIBUTE_CAN_USE_STREAM_WAIT_VALUE_NOR, 0},
    {CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH, 0},
    {CU_DEVICE_ATTRIBUTE_COOPERATIVE_MULTI_DEVICE_LAUNCH, 0},
    {CU_DEVICE_ATTRIBUTE_CAN_FLUSH_REMOTE_WRITES, 0},
    {CU_DEVICE_ATTRIBUTE_HOST_REGISTER_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS_USES_HOST_PAGE_TABLES, 0},
    {CU_DEVICE_ATTRIBUTE_DIRECT_MANAGED_MEM_ACCESS_FROM_HOST, 1},
    {CU_DEVICE_ATTRIBUTE_TIMELINE_SEMAPHORE_INTEROP_SUPPORTED, 1},
};

constexpr int kilohertz(std::uint32_t megahertz) {
  return static_cast<int>(megahertz * 1000);
}

} // namespace

MachineShape machine_shape(const kfd::NodeProperties& node) {
  constexpr unsigned lds_per_block = 64 * 1024;
  bool pairs = node.gfx_major() >= 10; // two compute units share a work-group processor
  unsigned units = pairs ? 2 : 1;
  MachineShape shape = {};
  shape.multiprocessors = std::max(1u, node.compute_units / units);
  shape.simds_per_multiprocessor = std::max(1u, node.simd_per_cu) * units;
  shape.waves_per_simd = std::max(1u, node.max_waves_per_simd);
  shape.wave_size = pairs ? 32 : 64;
  bool large_file = node.gfx_major() == 11 && node.gfx_stepping() <= 1; // gfx1100 and gfx1101: 1536 registers
  shape.vgprs_per_simd = !pairs ? 256 : large_file ? 1536 : 1024;
  shape.vgpr_granule = !pairs ? 4 : large_file ? 24 : node.gfx_target_version >= 100300 ? 16 : 8;
  unsigned lds_per_unit = std::max(node.lds_size_kib * 1024, lds_per_block);
  shape.shared_per_multiprocessor = lds_per_unit * units;
  shape.shared_per_block = std::min(lds_per_unit, lds_per_block);
  return shape;
}

std::optional<int> Device::attribute(CUdevice_attribute which) const {
  for (const Row& row : constant_rows)
    if (row.attribute == which)
      return row.value;
  switch (which) {
  case CU_DEVICE_ATTRIBUTE_WARP_SIZE:
    return static_cast<int>(shape_.wave_size);
  case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK:
  case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN:
    return static_cast<int>(shape_.shared_per_block);
  case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR:
    return static_cast<int>(shape_.shared_per_multiprocessor);
  case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK:
  case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR:
    return static_cast<int>(shape_.vgprs_per_simd * shape_.wave_size * shape_.simds_per_multiprocessor);
  case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR:
    return static_cast<int>(shape_.threads_per_multiprocessor());
  case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT:
    return static_cast<int>(shape_.multiprocessors);
  case CU_DEVICE_ATTRIBUTE_CLOCK_RATE:
    return kilohertz(node_.max_engine_clock_mhz);
  case CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE:
    return kilohertz(node_.memory_clock_mhz);
  case CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH:
    return static_cast<int>(node_.memory_bus_width);
  case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE:
    return static_cast<int>(node_.l2_cache_kib * 1024);
  case CU_DEVICE_ATTRIBUTE_PCI_BUS_ID:
    return static_cast<int>(node_.pci.bus);
  case CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID:
    return static_cast<int>(node_.pci.device);
  case CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID:
    return static_cast<int>(node_.pci.domain);
  case CU_DEVICE_ATTRIBUTE_MULTI_GPU_BOARD_GROUP_ID:
    return ordinal_;
  default:
    return std::nullopt;
  }
}

} // namespace shim::core
