// AMDGPU_INFO: what the card is and how full it is, as Linux 6.12's amdgpu_kms.c tells it of a navi21.
#include "drm_file.hpp"

#include "device.hpp"
#include "process.hpp"
#include "settings.hpp"
#include "user_memory.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace emu::kernel {

namespace {

// Newer than Debian's libdrm; names as in amdgpu_drm.h.
constexpr std::uint32_t info_max_ibs = 0x22, info_gpuvm_fault = 0x23;
constexpr std::uint32_t sensor_peak_pstate_gfx_sclk = 0xa, sensor_peak_pstate_gfx_mclk = 0xb;
constexpr std::uint32_t sensor_gpu_input_power = 0xc;
constexpr std::uint32_t fw_cap = 0x16, fw_vpe = 0x1c; // AMDGPU_INFO_FW_*: the last seven

constexpr std::uint32_t ta_fw_type_first = 2, ta_fw_type_last = 7; // TA_FW_TYPE_PSP_XGMI to SECUREDISPLAY

constexpr std::uint64_t reserved_vram = 8ull << 20; // AMDGPU_VM_RESERVED_VRAM
constexpr std::uint64_t pinned_vram = 32ull << 20;  // firmware and page tables of the kernel
constexpr std::uint64_t pinned_gtt = 2ull << 20;
constexpr std::uint64_t va_reserved_bottom = 1ull << 16;
constexpr std::uint64_t va_reserved_top = (4ull << 20) + (1ull << 16);
constexpr std::uint64_t gmc_hole_start = 0x0000'8000'0000'0000, gmc_hole_end = 0xffff'8000'0000'0000;

constexpr std::uint32_t ip_discovery_gfx = 10 << 16 | 3 << 8, ip_discovery_sdma = 5 << 16 | 2 << 8;
constexpr std::uint32_t kib = 1024;

struct gpuvm_fault { // drm_amdgpu_info_gpuvm_fault
  std::uint64_t addr;
  std::uint32_t status;
  std::uint32_t vmhub;
};

// drm_amdgpu_info_device of 6.12: what follows libdrm 2.4.114's last member, and two members that it calls
// padding.
struct DeviceInfo {
  drm_amdgpu_info_device base;
  std::uint64_t min_engine_clock;
  std::uint64_t min_memory_clock;
  std::uint32_t tcp_cache_size;
  std::uint32_t num_sqc_per_wgp;
  std::uint32_t sqc_data_cache_size;
  std::uint32_t sqc_inst_cache_size;
  std::uint32_t gl1c_cache_size;
  std::uint32_t gl2c_cache_size;
  std::uint64_t mall_size;
  std::uint32_t enabled_rb_pipes_mask_hi;
  std::uint32_t shadow_size;
  std::uint32_t shadow_alignment;
  std::uint32_t csa_size;
  std::uint32_t csa_alignment;
  std::uint32_t pad;
};
static_assert(sizeof(drm_amdgpu_info_device) == 368);
static_assert(sizeof(DeviceInfo) == 440);

long answer(const drm_amdgpu_info& args, const void* value, std::size_t size) {
  return copy_to_user(args.return_pointer, value, std::min<std::size_t>(args.return_size, size)) ? 0
                                                                                                 : -EFAULT;
}
template <class T>
long answer(const drm_amdgpu_info& args, const T& value) {
  return answer(args, &value, sizeof value);
}
long answer32(const drm_amdgpu_info& args, std::uint32_t value) {
  return answer(args, value);
}
long answer64(const drm_amdgpu_info& args, std::uint64_t value) {
  return answer(args, value);
}

long info_firmware(const drm_amdgpu_info& args) {
  if (args.query_fw.ip_instance != 0)
    return -EINVAL;
  drm_amdgpu_info_firmware firmware = {};
  switch (args.query_fw.fw_type) {
  case AMDGPU_INFO_FW_GFX_ME:
  case AMDGPU_INFO_FW_GFX_PFP:
    firmware = {95, 44};
    break;
  case AMDGPU_INFO_FW_GFX_CE:
    firmware = {37, 44};
    break;
  case AMDGPU_INFO_FW_GFX_MEC:
    if (args.query_fw.index > 1)
      return -EINVAL;
    firmware = {card::mec_firmware, 44};
    break;
  case AMDGPU_INFO_FW_GFX_RLC:
    firmware = {95, 1};
    break;
  case AMDGPU_INFO_FW_SDMA:
    if (args.query_fw.index >= card::sdma_engines)
      return -EINVAL;
    firmware = {card::sdma_firmware, 52};
    break;
  case AMDGPU_INFO_FW_TA:
    if (args.query_fw.index < ta_fw_type_first || args.query_fw.index > ta_fw_type_last)
      return -EINVAL;
    break;
  case AMDGPU_INFO_FW_SMC:
    firmware = {0x003a5400, 0};
    break;
  case AMDGPU_INFO_FW_VCE:
  case AMDGPU_INFO_FW_UVD:
  case AMDGPU_INFO_FW_VCN:
  case AMDGPU_INFO_FW_GMC:
  case AMDGPU_INFO_FW_ASD:
  case AMDGPU_INFO_FW_SOS:
  case AMDGPU_INFO_FW_DMCU:
  case AMDGPU_INFO_FW_DMCUB:
  case AMDGPU_INFO_FW_TOC:
  case AMDGPU_INFO_FW_GFX_RLC_RESTORE_LIST_CNTL:
  case AMDGPU_INFO_FW_GFX_RLC_RESTORE_LIST_GPM_MEM:
  case AMDGPU_INFO_FW_GFX_RLC_RESTORE_LIST_SRM_MEM:
    break; // absent: no such engine, or no such firmware loaded
  default:
    if (args.query_fw.fw_type < fw_cap || args.query_fw.fw_type > fw_vpe)
      return -EINVAL;
    break;
  }
  return answer(args, firmware);
}

long info_vbios(const drm_amdgpu_info& args) {
  switch (args.vbios_info.type) {
  case AMDGPU_INFO_VBIOS_SIZE:
    return answer32(args, 0);
  case AMDGPU_INFO_VBIOS_IMAGE:
    return -EINVAL; // every offset lies beyond an empty image
  case AMDGPU_INFO_VBIOS_INFO: {
    drm_amdgpu_info_vbios vbios = {};
    std::strcpy(reinterpret_cast<char*>(vbios.name), "NAVI21 emulated");
    std::strcpy(reinterpret_cast<char*>(vbios.vbios_pn), "113-EMULATED-000");
    std::strcpy(reinterpret_cast<char*>(vbios.vbios_ver_str), "020.001.000.000.000000");
    std::strcpy(reinterpret_cast<char*>(vbios.date), "2020/11/18 00:00");
    return answer(args, vbios);
  }
  default:
    return -EINVAL;
  }
}

} // namespace

long DrmFile::info_device(const drm_amdgpu_info& args) {
  DeviceInfo all = {};
  drm_amdgpu_info_device& info = all.base;
  info.device_id = card::device_id;
  info.chip_rev = card::chip_revision;
  info.external_rev = card::chip_external_revision;
  info.pci_rev = card::revision_id;
  info.family = card::family;
  info.num_shader_engines = card::shader_engines;
  info.num_shader_arrays_per_engine = card::arrays_per_engine;
  info.gpu_counter_freq = card::clock_counter_khz;
  info.max_engine_clock = card::max_engine_clock_mhz * 1000ull;
  info.max_memory_clock = card::max_memory_clock_mhz * 1000ull;
  info.enabled_rb_pipes_mask = 0xffff;
  info.num_rb_pipes = 16;
  info.num_hw_gfx_contexts = 8;
  const std::uint64_t vm_size = card::va_size - va_reserved_top;
  info.virtual_address_offset = va_reserved_bottom;
  info.virtual_address_max = std::min(vm_size, gmc_hole_start);
  info.high_va_offset = gmc_hole_end;
  info.high_va_max = gmc_hole_end | vm_size;
  info.virtual_address_alignment = 4 * kib;
  info.pte_fragment_size = 512 * 4 * kib;
  info.gart_page_size = 4 * kib;
  info.cu_active_number = card::compute_units;
  for (unsigned engine = 0; engine < card::shader_engines; ++engine)
    for (unsigned array = 0; array < card::arrays_per_engine; ++array) {
      info.cu_bitmap[engine][array] = card::unit_bitmap[array];
      info.cu_ao_bitmap[engine][array] = card::unit_bitmap[array];
      if (engine < 2)
        info.cu_ao_mask |= card::unit_bitmap[array] << (engine * 16 + array * 8);
    }
  info.ce_ram_size = 65536;
  info.vram_type = card::vram_type_gddr6;
  info.vram_bit_width = card::vram_width_bits;
  info.gc_double_offchip_lds_buf = 1;
  info.wave_front_size = card::wavefront_size;
  info.num_shader_visible_vgprs = 1024;
  info.num_cu_per_sh = card::units_per_array;
  info.num_tcc_blocks = 16;
  info.gs_vgt_table_depth = 32;
  info.gs_prim_buffer_depth = 1792;
  info.max_gs_waves_per_vgt = 32;
  info._pad = 4;   // pcie_gen
  info._pad1 = 16; // pcie_num_lanes
  all.min_engine_clock = 500'000;
  all.min_memory_clock = 96'000;
  all.tcp_cache_size = 16;
  all.num_sqc_per_wgp = 1;
  all.sqc_data_cache_size = 16;
  all.sqc_inst_cache_size = 32;
  all.gl1c_cache_size = 128;
  all.gl2c_cache_size = 4096;
  all.mall_size = 128ull << 20;
  return answer(args, all);
}

long DrmFile::info_memory(const drm_amdgpu_info& args) {
  const std::uint64_t vram = settings::vram_size() - pinned_vram - reserved_vram;
  const std::uint64_t gtt = gtt_size() - pinned_gtt;
  if (args.query == AMDGPU_INFO_VRAM_GTT)
    return answer(args, drm_amdgpu_info_vram_gtt{vram, vram, gtt});
  drm_amdgpu_memory_info memory = {};
  memory.vram = {settings::vram_size(), vram, total_vram_usage(), vram * 3 / 4};
  memory.cpu_accessible_vram = memory.vram;
  memory.gtt = {gtt_size(), gtt, total_gtt_usage(), gtt * 3 / 4};
  return answer(args, memory);
}

// HW_IP_INFO and HW_IP_COUNT.
long DrmFile::info_ring(const drm_amdgpu_info& args) {
  const std::uint32_t type = args.query_hw_ip.type;
  if (args.query == AMDGPU_INFO_HW_IP_COUNT) {
    if (type == AMDGPU_HW_IP_GFX || type == AMDGPU_HW_IP_COMPUTE)
      return answer32(args, 1);
    return type == AMDGPU_HW_IP_DMA ? answer32(args, card::sdma_engines) : -EINVAL;
  }
  if (args.query_hw_ip.ip_instance >= AMDGPU_HW_IP_INSTANCE_MAX_COUNT || rings_of(type) < 0)
    return -EINVAL;
  drm_amdgpu_info_hw_ip ip = {};
  const int rings = rings_of(type);
  if (type == AMDGPU_HW_IP_GFX || type == AMDGPU_HW_IP_COMPUTE) {
    ip.hw_ip_version_major = 10;
    ip.ib_start_alignment = ip.ib_size_alignment = 32;
    ip._pad = ip_discovery_gfx; // ip_discovery_version
  } else if (type == AMDGPU_HW_IP_DMA) {
    ip.hw_ip_version_major = 5;
    ip.hw_ip_version_minor = 2;
    ip.ib_start_alignment = 256;
    ip.ib_size_alignment = 4;
    ip._pad = ip_discovery_sdma;
  }
  ip.available_rings = (1u << rings) - 1;
  return answer(args, ip);
}

// nv_allowed_read_registers: the status registers of what is idle here, and the address configuration.
long DrmFile::info_registers(const drm_amdgpu_info& args) {
  constexpr std::uint32_t gb_addr_config = 0x263e;
  constexpr std::uint32_t status[] = {
      0x2004, 0x2002, 0x2005, 0x2006, 0x200e, 0x200f, // GRBM_STATUS, GRBM_STATUS2, GRBM_STATUS_SE0 to SE3
      0x1285, 0x1885,                                 // SDMA0_STATUS_REG, SDMA1_STATUS_REG
      0x21a0, 0x219c, 0x219d, 0x219e,                 // CP_STAT, CP_STALLED_STAT1 to 3
      0x2084, 0x2085, 0x2086,                         // CP_CPC_STATUS, BUSY_STAT, STALLED_STAT1
      0x2087, 0x2088, 0x2089,                         // CP_CPF_STATUS, BUSY_STAT, STALLED_STAT1
  };
  const std::uint32_t se =
      args.read_mmr_reg.instance >> AMDGPU_INFO_MMR_SE_INDEX_SHIFT & AMDGPU_INFO_MMR_SE_INDEX_MASK;
  const std::uint32_t sh =
      args.read_mmr_reg.instance >> AMDGPU_INFO_MMR_SH_INDEX_SHIFT & AMDGPU_INFO_MMR_SH_INDEX_MASK;
  if ((se != AMDGPU_INFO_MMR_SE_INDEX_MASK && se >= card::shader_engines) ||
      (sh != AMDGPU_INFO_MMR_SH_INDEX_MASK && sh >= card::arrays_per_engine) || args.read_mmr_reg.count > 128)
    return -EINVAL;
  std::uint32_t values[128] = {};
  for (std::uint32_t i = 0; i < args.read_mmr_reg.count; ++i) {
    const std::uint32_t offset = args.read_mmr_reg.dword_offset + i;
    if (offset == gb_addr_config)
      values[i] = card::gb_addr_config;
    else if (std::find(std::begin(status), std::end(status), offset) == std::end(status))
      return -EFAULT;
  }
  return answer(args, values, args.read_mmr_reg.count * sizeof values[0]);
}

long DrmFile::info_sensor(const drm_amdgpu_info& args) {
  switch (args.sensor_info.type) {
  case AMDGPU_INFO_SENSOR_GFX_SCLK:
  case sensor_peak_pstate_gfx_sclk:
    return answer32(args, card::max_engine_clock_mhz);
  case AMDGPU_INFO_SENSOR_GFX_MCLK:
  case AMDGPU_INFO_SENSOR_STABLE_PSTATE_GFX_MCLK:
  case sensor_peak_pstate_gfx_mclk:
    return answer32(args, card::max_memory_clock_mhz);
  case AMDGPU_INFO_SENSOR_STABLE_PSTATE_GFX_SCLK:
    return answer32(args, 1825);
  case AMDGPU_INFO_SENSOR_GPU_TEMP:
    return answer32(args, 40'000); // millidegrees
  case AMDGPU_INFO_SENSOR_GPU_LOAD:
    return answer32(args, 0);
  case AMDGPU_INFO_SENSOR_GPU_AVG_POWER:
    return answer32(args, 8);
  case AMDGPU_INFO_SENSOR_VDDGFX:
    return answer32(args, 800);
  case AMDGPU_INFO_SENSOR_VDDNB:
  case sensor_gpu_input_power:
  default:
    return -EINVAL;
  }
}

long DrmFile::info(drm_amdgpu_info& args) {
  if (!args.return_size || !args.return_pointer)
    return -EINVAL;
  switch (args.query) {
  case AMDGPU_INFO_ACCEL_WORKING:
    return answer32(args, 1);
  case AMDGPU_INFO_CRTC_FROM_ID:
    return -EINVAL; // no display
  case AMDGPU_INFO_HW_IP_INFO:
  case AMDGPU_INFO_HW_IP_COUNT:
    return info_ring(args);
  case AMDGPU_INFO_TIMESTAMP:
    return answer64(args, gpu_clock_counter());
  case AMDGPU_INFO_FW_VERSION:
    return info_firmware(args);
  case AMDGPU_INFO_NUM_BYTES_MOVED:
  case AMDGPU_INFO_NUM_EVICTIONS:
  case AMDGPU_INFO_NUM_VRAM_CPU_PAGE_FAULTS:
    return answer64(args, 0); // nothing moves
  case AMDGPU_INFO_VRAM_USAGE:
  case AMDGPU_INFO_VIS_VRAM_USAGE:
    return answer64(args, total_vram_usage());
  case AMDGPU_INFO_GTT_USAGE:
    return answer64(args, total_gtt_usage());
  case AMDGPU_INFO_GDS_CONFIG: {
    drm_amdgpu_info_gds gds = {};
    gds.compute_partition_size = gds.gds_total_size = 0x10000;
    gds.gws_per_compute_partition = card::gws_count;
    gds.oa_per_compute_partition = 16;
    return answer(args, gds);
  }
  case AMDGPU_INFO_VRAM_GTT:
  case AMDGPU_INFO_MEMORY:
    return info_memory(args);
  case AMDGPU_INFO_READ_MMR_REG:
    return info_registers(args);
  case AMDGPU_INFO_DEV_INFO:
    return info_device(args);
  case AMDGPU_INFO_VCE_CLOCK_TABLE:
    return answer(args, drm_amdgpu_info_vce_clock_table{});
  case AMDGPU_INFO_VBIOS:
    return info_vbios(args);
  case AMDGPU_INFO_NUM_HANDLES:
    return args.query_hw_ip.type == AMDGPU_HW_IP_UVD ? -ENODATA : -EINVAL;
  case AMDGPU_INFO_SENSOR:
    return info_sensor(args);
  case AMDGPU_INFO_VRAM_LOST_COUNTER:
    return answer32(args, 0);
  case AMDGPU_INFO_RAS_ENABLED_FEATURES:
  case AMDGPU_INFO_VIDEO_CAPS: // nv_query_video_codecs
    return -EINVAL;            // neither RAS nor a video engine on this card
  case info_max_ibs: {
    const std::uint32_t counts[hardware_ip_kinds] = {192, 125, 49, 49, 49, 49, 49, 49, 16, 49};
    return answer(args, counts);
  }
  case info_gpuvm_fault: {
    std::lock_guard lock(vm_state_->mutex);
    return answer(args, gpuvm_fault{vm_state_->fault_address, vm_state_->fault_status, 0});
  }
  default:
    complain("unknown AMDGPU_INFO query %#x", args.query);
    return -EINVAL;
  }
}

} // namespace emu::kernel
