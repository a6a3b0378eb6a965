// An AQL queue of /dev/kfd, made and rung as a runtime does, with kernels to run on it.
#pragma once

#include "kfd_test_device.hpp"

#include <chrono>
#include <functional>
#include <thread>

namespace kfd_test {

inline bool eventually(const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end)
      return false;
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  return true;
}

class KfdAql : public KfdDevice {
protected:
  static constexpr u32 ring_size = 4096, packet_dwords = 16;
  static constexpr u32 ctl_stack_size = 0x7000;
  static constexpr u32 cwsr_size = 0x7000 + 72 * (0x40000 + 0x4000 + 0x10000 + 0x1000);
  static constexpr std::uint64_t debug_size = 72 * 32 * 32;
  static constexpr std::uint64_t doorbell_bytes = 8192;

  // What one queue holds.
  struct Queue {
    Memory ring, pointers, eop, context;
    kfd_ioctl_create_queue_args args{};
    std::uint64_t* doorbell = nullptr;
    std::uint64_t next = 0;
    std::uint64_t* field(std::size_t offset) const {
      return reinterpret_cast<std::uint64_t*>(static_cast<char*>(pointers.cpu) + offset);
    }
    std::uint64_t read_index() const { return __atomic_load_n(field(0x80), __ATOMIC_ACQUIRE); }
  };

  void SetUp() override {
    KfdDevice::SetUp();
    acquire();
  }

  Queue make_queue() {
    Queue queue;
    queue.ring = make(ALLOC_MEM_FLAGS_GTT, ring_size);
    queue.pointers = make(ALLOC_MEM_FLAGS_GTT, page);
    queue.eop = make(ALLOC_MEM_FLAGS_VRAM, page);
    queue.context = make(ALLOC_MEM_FLAGS_GTT, (cwsr_size + debug_size + page - 1) & ~(page - 1));
    std::memset(queue.pointers.cpu, 0, page);
    *reinterpret_cast<u32*>(queue.field(0x88)) = 0x80; // read_dispatch_id's offset
    for (u32 i = 0; i < ring_size / 4; i += packet_dwords)
      static_cast<u32*>(queue.ring.cpu)[i] = 1;
    auto& args = queue.args;
    args.ring_base_address = queue.ring.va;
    args.ring_size = ring_size;
    args.write_pointer_address = queue.pointers.va + 0x38;
    args.read_pointer_address = queue.pointers.va + 0x80;
    args.gpu_id = gpu_;
    args.queue_type = QUEUE_TYPE_COMPUTE_AQL;
    args.queue_percentage = 100;
    args.queue_priority = 7;
    args.eop_buffer_address = queue.eop.va;
    args.eop_buffer_size = page;
    args.ctx_save_restore_address = queue.context.va;
    args.ctx_save_restore_size = cwsr_size;
    args.ctl_stack_size = ctl_stack_size;
    EXPECT_EQ(call(kfd_, ioc::CREATE_QUEUE, args), 0);
    static void* doorbells = mmap(nullptr, doorbell_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, kfd_,
                                  static_cast<off_t>(args.doorbell_offset & ~(doorbell_bytes - 1)));
    EXPECT_NE(doorbells, MAP_FAILED);
    queue.doorbell = reinterpret_cast<std::uint64_t*>(static_cast<char*>(doorbells) +
                                                      (args.doorbell_offset & (doorbell_bytes - 1)));
    return queue;
  }
  void destroy(Queue& queue) {
    kfd_ioctl_destroy_queue_args args{queue.args.queue_id, 0};
    EXPECT_EQ(call(kfd_, ioc::DESTROY_QUEUE, args), 0);
    for (const Memory& memory : {queue.ring, queue.pointers, queue.eop, queue.context})
      release(memory);
  }

  // A kernel object: descriptor, then code.
  Memory make_kernel(const std::vector<u32>& code) {
    Memory memory = make(ALLOC_MEM_FLAGS_GTT, page);
    auto* words = static_cast<u32*>(memory.cpu);
    std::memset(words, 0, 256);
    words[4] = 256;                      // entry
    words[12] = 2 | 1u << 29 | 1u << 30; // 24 VGPRs; WGP mode; memory ordered
    words[13] = 2 << 1 | 1 << 7;         // two user SGPRs; workgroup id x
    words[14] = 1 << 3 | 1 << 10;        // kernarg pointer; wave32
    std::memcpy(words + 64, code.data(), code.size() * sizeof(u32));
    return memory;
  }

  void submit(Queue& queue, u32 header, const std::vector<u32>& rest) {
    auto* packet = static_cast<u32*>(queue.ring.cpu) + queue.next % (ring_size / 64) * packet_dwords;
    std::memcpy(packet + 1, rest.data(), rest.size() * sizeof(u32));
    __atomic_store_n(packet, header, __ATOMIC_RELEASE);
    __atomic_store_n(queue.field(0x38), queue.next + 1, __ATOMIC_RELEASE);
    __atomic_store_n(queue.doorbell, queue.next++, __ATOMIC_RELEASE);
  }
  void dispatch(Queue& queue, const Memory& kernel, u32 grid, std::uint64_t kernarg = 0) {
    submit(queue, 2 | 1 << 8 | 1 << 16,
           {1 | 1 << 16, 1, grid, 1, 1, 0, 0, static_cast<u32>(kernel.va), static_cast<u32>(kernel.va >> 32),
            static_cast<u32>(kernarg), static_cast<u32>(kernarg >> 32), 0, 0, 0, 0});
  }
  void barrier(Queue& queue) { submit(queue, 3 | 1 << 8, std::vector<u32>(15)); }

  u32 make_event(u32 type, std::uint64_t page_handle = 0) {
    kfd_ioctl_create_event_args event{};
    event.event_type = type;
    event.event_page_offset = page_handle;
    event.auto_reset = 1;
    EXPECT_EQ(call(kfd_, ioc::CREATE_EVENT, event), 0);
    return event.event_id;
  }
  // The event's data, once it has come.
  kfd_event_data wait(u32 event, u32 milliseconds = 20'000, u32 result = WAIT_RESULT_COMPLETE) {
    kfd_event_data data{};
    data.event_id = event;
    kfd_ioctl_wait_events_args args{reinterpret_cast<u64>(&data), 1, 0, milliseconds, 0};
    EXPECT_EQ(call(kfd_, ioc::WAIT_EVENTS, args), 0);
    EXPECT_EQ(args.wait_result, result);
    return data;
  }
};

} // namespace kfd_test
