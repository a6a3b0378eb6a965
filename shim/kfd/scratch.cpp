// Scratch memory: private memory of waves, allocated when a queue first meets a kernel that wants more than
// it has.
//
// The packet processor reads the descriptor from amd_queue_t for each dispatch that uses scratch; it is
// rewritten only while the queue is stopped. Descriptor: buffer resource of the RDNA ISA manuals, table
// "Buffer Resource Descriptor"; COMPUTE_TMPRING_SIZE: WAVES [11:0], WAVESIZE from bit 12 in units of 1 KiB
// (gfx11: 256 bytes).

#include <algorithm>

#include <kfd/device.hpp>

#include "address_range.hpp"
#include "ioctl.hpp"
#include "queue_error.hpp"
#include "queue_parts.hpp"

namespace shim::kfd {

namespace {

constexpr std::uint64_t most_scratch_bytes = 1ull << 30;
constexpr std::uint32_t waves_limit = 0xfff;

constexpr std::uint32_t wavesize_limit(unsigned gfx_major) {
  return (gfx_major >= 12 ? 1u << 18 : gfx_major == 11 ? 1u << 15 : 1u << 13) - 1;
}

enum BufferSelect : std::uint32_t { select_x = 4, select_y = 5, select_z = 6, select_w = 7 };
enum BufferFormat : std::uint32_t { format_32_uint_gfx9 = 4, format_32_uint_gfx10 = 20 };

// Word 3 of the descriptor: channels in order, 32-bit elements, lane number added, no bounds check while
// swizzling.
std::uint32_t descriptor_word3(unsigned gfx_major) {
  std::uint32_t channels = select_x | select_y << 3 | select_z << 6 | select_w << 9;
  constexpr std::uint32_t add_lane = 1u << 23;
  if (gfx_major < 10) {
    constexpr std::uint32_t num_format_uint = 4u << 12;
    constexpr std::uint32_t element_4_bytes = 1u << 19;
    constexpr std::uint32_t stride_64_lanes = 3u << 21;
    return channels | num_format_uint | std::uint32_t{format_32_uint_gfx9} << 15 | element_4_bytes |
           stride_64_lanes | add_lane;
  }
  std::uint32_t format = std::uint32_t{format_32_uint_gfx10} << 12;
  std::uint32_t resource_level = gfx_major == 10 ? 1u << 24 : 0;
  constexpr std::uint32_t no_bounds_check = 2u << 28;
  return channels | format | add_lane | resource_level | no_bounds_check;
}

std::uint32_t descriptor_word1(std::uint64_t base, unsigned gfx_major) {
  // SWIZZLE_ENABLE is one bit up to gfx10, two from gfx11 on (1: 4-byte elements).
  std::uint32_t swizzle = gfx_major >= 11 ? 1u << 30 : 1u << 31;
  return static_cast<std::uint32_t>(base >> 32 & 0xffff) | swizzle;
}

} // namespace

Result<void> Queue::Parts::give_scratch(Queue& queue, std::uint32_t lanes) {
  Device& device = queue.device();
  const NodeProperties& node = device.properties();
  const hsa_kernel_dispatch_packet_t& packet = queue.published_dispatch(queue.read_index());
  std::uint64_t granule = node.gfx_major() >= 11 ? 256 : 1024;
  std::uint32_t engines = node.shader_engines;
  std::uint32_t slots_per_unit = node.max_slots_scratch_cu ? node.max_slots_scratch_cu : 32;

  std::uint64_t wave_bytes = round_up(std::uint64_t{packet.private_segment_size} * lanes, granule);
  if (wave_bytes == 0 || wave_bytes / granule > wavesize_limit(node.gfx_major()))
    return fail(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, "{} bytes of scratch for a work item",
                packet.private_segment_size);
  std::uint32_t waves = (node.compute_units + engines - 1) / engines * engines * slots_per_unit;
  waves = std::min(waves, waves_limit / engines * engines);
  std::uint32_t group_items = packet.workgroup_size_x * packet.workgroup_size_y * packet.workgroup_size_z;
  std::uint32_t fewest = (group_items + lanes - 1) / lanes * engines; // one workgroup on every engine

  scratch = {}; // the queue is stopped and nothing that used it is in flight
  while (wave_bytes * waves > most_scratch_bytes && waves > fewest)
    waves = std::max(fewest, waves / 2 / engines * engines);
  Result<Buffer> memory = device.allocate(MemoryKind::vram, wave_bytes * waves);
  while (!memory && waves > fewest) {
    waves = std::max(fewest, waves / 2 / engines * engines);
    memory = device.allocate(MemoryKind::vram, wave_bytes * waves);
  }
  if (!memory)
    return memory.error();
  scratch = *std::move(memory);

  amd_queue_t& control = *queue.control_;
  std::uint64_t base = scratch.address();
  control.scratch_resource_descriptor[0] = static_cast<std::uint32_t>(base);
  control.scratch_resource_descriptor[1] = descriptor_word1(base, node.gfx_major());
  control.scratch_resource_descriptor[2] = static_cast<std::uint32_t>(scratch.size());
  control.scratch_resource_descriptor[3] = descriptor_word3(node.gfx_major());
  control.scratch_backing_memory_location = base;
  control.scratch_backing_memory_byte_size = scratch.size();
  control.scratch_wave64_lane_byte_size = static_cast<std::uint32_t>(wave_bytes / 64);
  std::uint32_t waves_field = node.gfx_major() >= 11 ? waves / engines : waves;
  control.compute_tmpring_size = waves_field | static_cast<std::uint32_t>(wave_bytes / granule) << 12;
  util::log_info("queue {}: {} bytes of scratch for {} waves", queue.id(), scratch.size(), waves);
  // Unless a wave has trapped meanwhile.
  auto asked = static_cast<std::int64_t>(lanes == 32 ? scratch_wanted_wave32 : scratch_wanted_wave64);
  __atomic_compare_exchange_n(&inactive_signal->value, &asked, 0, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
  return {};
}

} // namespace shim::kfd
