// A process with a VM and the buffers of one user queue, and packets by hand.
#pragma once

#include "kfd_test_device.hpp"

#include <hsa/amd_hsa_queue.h>
#include <hsa/amd_hsa_signal.h>
#include <hsa/hsa.h>

namespace kfd_test {

inline constexpr u32 ctl_stack_size = 0x7000;
inline constexpr u32 cwsr_size = 0x7000 + 72 * (0x40000 + 0x4000 + 0x10000 + 0x1000);
inline constexpr std::uint64_t debug_size = 72 * 32 * 32;
inline constexpr std::uint64_t doorbell_bytes = 8192;

class QueueDevice : public KfdDevice {
protected:
  void SetUp() override {
    KfdDevice::SetUp();
    acquire();
    ring_ = make(ALLOC_MEM_FLAGS_GTT, ring_size);
    pointers_ = make(ALLOC_MEM_FLAGS_GTT, page);
    eop_ = make(ALLOC_MEM_FLAGS_VRAM, page);
    context_ = make(ALLOC_MEM_FLAGS_GTT, (cwsr_size + debug_size + page - 1) & ~(page - 1));
    for (std::size_t i = 0; i < ring_size / sizeof(hsa_barrier_and_packet_t); ++i)
      *reinterpret_cast<std::uint16_t*>(static_cast<char*>(ring_.cpu) + i * 64) = HSA_PACKET_TYPE_INVALID;
  }
  void TearDown() override {
    for (const Memory& memory : {ring_, pointers_, eop_, context_})
      release(memory);
    KfdDevice::TearDown();
  }

  kfd_ioctl_create_queue_args good() const {
    kfd_ioctl_create_queue_args args{};
    args.ring_base_address = ring_.va;
    args.ring_size = ring_size;
    args.write_pointer_address = pointers_.va + offsetof(amd_queue_t, write_dispatch_id);
    args.read_pointer_address = pointers_.va + offsetof(amd_queue_t, read_dispatch_id);
    args.gpu_id = gpu_;
    args.queue_type = QUEUE_TYPE_COMPUTE_AQL;
    args.queue_percentage = 100;
    args.queue_priority = 7;
    args.eop_buffer_address = eop_.va;
    args.eop_buffer_size = page;
    args.ctx_save_restore_address = context_.va;
    args.ctx_save_restore_size = cwsr_size;
    args.ctl_stack_size = ctl_stack_size;
    return args;
  }

  long create(kfd_ioctl_create_queue_args args) {
    const long error = call(kfd_, ioc::CREATE_QUEUE, args);
    if (error == 0)
      destroy(args.queue_id);
    return error;
  }
  long destroy(u32 id) {
    kfd_ioctl_destroy_queue_args args{id, 0};
    return call(kfd_, ioc::DESTROY_QUEUE, args);
  }

  // A queue whose doorbell is mapped.
  struct Running {
    u32 id = 0;
    void* doorbells = nullptr;
    u64* doorbell = nullptr;
  };
  Running start() {
    std::memset(pointers_.cpu, 0, page);
    auto args = good();
    Running queue;
    EXPECT_EQ(call(kfd_, ioc::CREATE_QUEUE, args), 0);
    queue.id = args.queue_id;
    queue.doorbells = mmap(nullptr, doorbell_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, kfd_,
                           static_cast<off_t>(args.doorbell_offset & ~(doorbell_bytes - 1)));
    EXPECT_NE(queue.doorbells, MAP_FAILED);
    queue.doorbell = reinterpret_cast<u64*>(static_cast<char*>(queue.doorbells) +
                                            (args.doorbell_offset & (doorbell_bytes - 1)));
    static_cast<amd_queue_t*>(pointers_.cpu)->hsa_queue.size = ring_size / 64;
    return queue;
  }
  void stop(const Running& queue) {
    EXPECT_EQ(destroy(queue.id), 0);
    munmap(queue.doorbells, doorbell_bytes);
  }

  // A barrier packet that completes the signal at `signal`.
  void submit(const Running& queue, u64 signal) {
    auto* control = static_cast<amd_queue_t*>(pointers_.cpu);
    const u64 index = control->write_dispatch_id;
    auto* packet = static_cast<hsa_barrier_and_packet_t*>(ring_.cpu) + index % (ring_size / 64);
    std::memset(reinterpret_cast<char*>(packet) + 4, 0, 60);
    packet->completion_signal.handle = signal;
    __atomic_store_n(&control->write_dispatch_id, index + 1, __ATOMIC_RELEASE);
    const std::uint16_t header = HSA_PACKET_TYPE_BARRIER_AND << HSA_PACKET_HEADER_TYPE |
                                 1 << HSA_PACKET_HEADER_BARRIER |
                                 HSA_FENCE_SCOPE_SYSTEM << HSA_PACKET_HEADER_SCRELEASE_FENCE_SCOPE;
    __atomic_store_n(&packet->header, header, __ATOMIC_RELEASE);
    __atomic_store_n(queue.doorbell, index, __ATOMIC_RELEASE);
  }

  u32 create_event(u32 type) {
    kfd_ioctl_create_event_args args{};
    args.event_type = type;
    args.auto_reset = 1;
    EXPECT_EQ(call(kfd_, ioc::CREATE_EVENT, args), 0);
    return args.event_id;
  }
  // The wait's result, or a negative errno.
  long wait(u32 event, u32 timeout_ms, kfd_event_data& data) {
    data = {};
    data.event_id = event;
    kfd_ioctl_wait_events_args args{reinterpret_cast<u64>(&data), 1, 0, timeout_ms, 0};
    const long error = call(kfd_, ioc::WAIT_EVENTS, args);
    return error ? error : static_cast<long>(args.wait_result);
  }

  static constexpr u32 ring_size = 16384;
  Memory ring_, pointers_, eop_, context_;
};

} // namespace kfd_test
