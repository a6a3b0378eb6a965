// The memory layouts that an AQL queue's user and the command processor share, by offset and by field.
//
// Sources: HSA platform system architecture 1.2 (packets), hsa/amd_hsa_queue.h and amd_hsa_signal.h (queue,
// signal), hsa/hsa_ven_amd_aqlprofile and hsa_ext_amd.h (vendor packets), LLVM's AMDGPU usage manual (kernel
// descriptor).
#pragma once

#include <cstddef>
#include <cstdint>

namespace emu::gpu::aql {

inline constexpr std::uint64_t packet_bytes = 64;

enum PacketType : std::uint32_t {
  vendor_specific = 0,
  invalid = 1,
  kernel_dispatch = 2,
  barrier_and = 3,
  agent_dispatch = 4,
  barrier_or = 5,
};

inline constexpr unsigned header_barrier = 8; // bit: waits for the packets before it

struct DispatchPacket {
  std::uint16_t header;
  std::uint16_t setup; // [1:0] dimensions
  std::uint16_t workgroup_size[3];
  std::uint16_t reserved0;
  std::uint32_t grid_size[3];
  std::uint32_t private_segment_size;
  std::uint32_t group_segment_size;
  std::uint64_t kernel_object;
  std::uint64_t kernarg_address;
  std::uint64_t reserved2;
  std::uint64_t completion_signal;
};
static_assert(sizeof(DispatchPacket) == packet_bytes && offsetof(DispatchPacket, kernel_object) == 32);

struct BarrierPacket { // AND and OR
  std::uint16_t header;
  std::uint16_t reserved0;
  std::uint32_t reserved1;
  std::uint64_t dep_signal[5];
  std::uint64_t reserved2;
  std::uint64_t completion_signal;
};
static_assert(sizeof(BarrierPacket) == packet_bytes);

enum VendorFormat : std::uint32_t { vendor_pm4_ib = 1, vendor_barrier_value = 2 };

struct BarrierValuePacket {
  std::uint16_t header;
  std::uint8_t format;
  std::uint8_t reserved;
  std::uint32_t reserved0;
  std::uint64_t signal;
  std::int64_t value;
  std::int64_t mask;
  std::uint32_t condition; // 0 ==, 1 !=, 2 <, 3 >=
  std::uint32_t reserved1;
  std::uint64_t reserved2;
  std::uint64_t reserved3;
  std::uint64_t completion_signal;
};
static_assert(sizeof(BarrierValuePacket) == packet_bytes);

struct Pm4IbPacket {
  std::uint16_t header;
  std::uint16_t format;
  std::uint32_t ib_jump[4]; // an INDIRECT_BUFFER packet
  std::uint32_t dwords_remaining;
  std::uint32_t reserved[8];
  std::uint64_t completion_signal;
} __attribute__((packed));
static_assert(sizeof(Pm4IbPacket) == packet_bytes);

struct KernelDescriptor {
  std::uint32_t group_segment_fixed_size;
  std::uint32_t private_segment_fixed_size;
  std::uint32_t kernarg_size;
  std::uint32_t reserved0;
  std::int64_t kernel_code_entry_byte_offset;
  std::uint8_t reserved1[20];
  std::uint32_t compute_pgm_rsrc3;
  std::uint32_t compute_pgm_rsrc1;
  std::uint32_t compute_pgm_rsrc2;
  std::uint16_t kernel_code_properties;
  std::uint16_t kernarg_preload;
  std::uint32_t reserved3;
};
static_assert(sizeof(KernelDescriptor) == 64 && offsetof(KernelDescriptor, compute_pgm_rsrc1) == 48);

// kernel_code_properties, by bit.
enum CodeProperty : unsigned {
  enable_private_segment_buffer = 0,
  enable_dispatch_ptr = 1,
  enable_queue_ptr = 2,
  enable_kernarg_segment_ptr = 3,
  enable_dispatch_id = 4,
  enable_flat_scratch_init = 5,
  enable_private_segment_size = 6,
  enable_wavefront_size32 = 10,
};

namespace signal { // amd_signal_t
inline constexpr std::uint64_t value = 8;
inline constexpr std::uint64_t event_mailbox_ptr = 16;
inline constexpr std::uint64_t event_id = 24;
inline constexpr std::uint64_t start_ts = 32;
inline constexpr std::uint64_t end_ts = 40;
} // namespace signal

namespace queue { // amd_queue_t
inline constexpr std::uint64_t read_dispatch_id = 0x80;
inline constexpr std::uint64_t read_dispatch_id_field_base_byte_offset = 0x88;
inline constexpr std::uint64_t compute_tmpring_size = 0x8c;
inline constexpr std::uint64_t scratch_resource_descriptor = 0x90;
inline constexpr std::uint64_t scratch_backing_memory_location = 0xa0;
inline constexpr std::uint64_t queue_properties = 0xb4;
inline constexpr std::uint64_t queue_inactive_signal = 0xc0;

inline constexpr unsigned property_enable_profiling = 3; // bits of queue_properties
inline constexpr unsigned property_use_scratch_once = 4;
} // namespace queue

// What the firmware stores into queue_inactive_signal.
enum InactiveReason : std::uint64_t {
  need_scratch_wave64 = 0x1,
  invalid_dimensions = 0x2,
  invalid_group_memory = 0x4,
  invalid_code = 0x8,
  invalid_packet_format = 0x20,
  group_too_large = 0x40,
  out_of_vgprs = 0x80,
  invalid_vendor_packet = 0x100,
  reclaim_scratch = 0x200,
  need_scratch_wave32 = 0x400,
};

} // namespace emu::gpu::aql
