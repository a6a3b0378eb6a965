// User queues: the kernel's checks on every buffer, and packets that run and interrupt.
#include "kfd_test_device.hpp"

#include <chrono>
#include <hsa/amd_hsa_queue.h>
#include <hsa/amd_hsa_signal.h>
#include <hsa/hsa.h>

using namespace kfd_test;

namespace {

constexpr u32 ctl_stack_size = 0x7000;
constexpr u32 cwsr_size = 0x7000 + 72 * (0x40000 + 0x4000 + 0x10000 + 0x1000);
constexpr std::uint64_t debug_size = 72 * 32 * 32;
constexpr std::uint64_t doorbell_bytes = 8192;

class KfdQueue : public KfdDevice {
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

  static constexpr u32 ring_size = 16384;
  Memory ring_, pointers_, eop_, context_;
};

TEST_F(KfdQueue, exact_buffers_make_a_queue) {
  EXPECT_EQ(create(good()), 0);
}

TEST_F(KfdQueue, properties_are_checked) {
  auto args = good();
  args.gpu_id = gpu_ + 1;
  EXPECT_EQ(create(args), -EINVAL);
  args = good();
  args.queue_percentage = 101;
  EXPECT_EQ(create(args), -EINVAL);
  args = good();
  args.queue_priority = 16;
  EXPECT_EQ(create(args), -EINVAL);
  args = good();
  args.ring_size = 3 * page;
  EXPECT_EQ(create(args), -EINVAL) << "not a power of two";
  args = good();
  args.ring_base_address = 0xffff'8000'0000'0000;
  EXPECT_EQ(create(args), -EFAULT);
  args = good();
  args.read_pointer_address = 0xffff'8000'0000'0000;
  EXPECT_EQ(create(args), -EFAULT);
  args = good();
  args.queue_type = 9;
  EXPECT_EQ(create(args), -524) << "ENOTSUPP, which only the kernel knows";
  args = good();
  args.queue_type = QUEUE_TYPE_SDMA_BY_ENG_ID;
  args.sdma_engine_id = 4;
  EXPECT_EQ(create(args), -EINVAL);
}

TEST_F(KfdQueue, buffers_must_be_mapped_in_their_exact_size) {
  const Memory large = make(ALLOC_MEM_FLAGS_GTT, 2 * page);
  auto args = good();
  args.write_pointer_address = large.va;
  EXPECT_EQ(create(args), -EINVAL) << "write pointer in a mapping of two pages";
  args = good();
  args.read_pointer_address = large.va;
  EXPECT_EQ(create(args), -EINVAL) << "read pointer in a mapping of two pages";
  args = good();
  args.read_pointer_address = ring_.va + page;
  EXPECT_EQ(create(args), -EINVAL) << "not at a mapping's start";
  args = good();
  args.ring_size = ring_size / 2;
  EXPECT_EQ(create(args), -EINVAL) << "ring smaller than its mapping";
  args = good();
  args.ring_size = ring_size * 2;
  EXPECT_EQ(create(args), -EINVAL) << "ring larger than its mapping";
  args = good();
  args.eop_buffer_size = page / 2;
  EXPECT_EQ(create(args), -EINVAL);
  args = good();
  args.eop_buffer_address = large.va;
  EXPECT_EQ(create(args), -EINVAL);
  args = good();
  args.ctl_stack_size = ctl_stack_size + page;
  EXPECT_EQ(create(args), -EINVAL);
  args = good();
  args.ctx_save_restore_size = cwsr_size - page;
  EXPECT_EQ(create(args), -EINVAL);
  args = good();
  args.ctx_save_restore_address = eop_.va;
  EXPECT_EQ(create(args), -EINVAL);
  args = good();
  args.ring_base_address = 0x10000;
  EXPECT_EQ(create(args), -EINVAL) << "not mapped";
  release(large);
}

TEST_F(KfdQueue, sdma_needs_neither_eop_nor_context) {
  auto args = good();
  args.queue_type = QUEUE_TYPE_SDMA;
  args.eop_buffer_address = args.eop_buffer_size = 0;
  args.ctx_save_restore_address = args.ctx_save_restore_size = args.ctl_stack_size = 0;
  EXPECT_EQ(create(args), 0);
  std::vector<u32> ids;
  long error = 0;
  while ((error = call(kfd_, ioc::CREATE_QUEUE, args)) == 0)
    ids.push_back(args.queue_id);
  EXPECT_EQ(error, -ENOMEM);
  EXPECT_EQ(ids.size(), 16u) << "two engines of eight queues";
  for (const u32 id : ids)
    EXPECT_EQ(destroy(id), 0);
}

TEST_F(KfdQueue, scheduler_takes_127_queues_of_a_process) {
  std::vector<u32> ids;
  long error = 0;
  for (;;) {
    auto args = good();
    if ((error = call(kfd_, ioc::CREATE_QUEUE, args)) != 0)
      break;
    EXPECT_EQ(args.queue_id, ids.size()) << "ids count up";
    ids.push_back(args.queue_id);
  }
  EXPECT_EQ(error, -ENOSPC);
  EXPECT_EQ(ids.size(), 127u);
  for (const u32 id : ids)
    EXPECT_EQ(destroy(id), 0);
}

TEST_F(KfdQueue, unknown_queues_are_refused) {
  EXPECT_EQ(destroy(77), -EINVAL);
  kfd_ioctl_update_queue_args update{0, 77, 0, 100, 7};
  EXPECT_EQ(call(kfd_, ioc::UPDATE_QUEUE, update), -EFAULT);
  u32 bits = 0xf;
  kfd_ioctl_set_cu_mask_args mask{77, 32, reinterpret_cast<u64>(&bits)};
  EXPECT_EQ(call(kfd_, ioc::SET_CU_MASK, mask), -EFAULT);
  kfd_ioctl_get_queue_wave_state_args state{};
  state.queue_id = 77;
  EXPECT_EQ(call(kfd_, ioc::GET_QUEUE_WAVE_STATE, state), -EFAULT);
  kfd_ioctl_alloc_queue_gws_args gws{77, 1, 0, 0};
  EXPECT_EQ(call(kfd_, ioc::ALLOC_QUEUE_GWS, gws), -EINVAL);
}

TEST_F(KfdQueue, updates_and_masks_are_checked) {
  auto args = good();
  ASSERT_EQ(call(kfd_, ioc::CREATE_QUEUE, args), 0);
  kfd_ioctl_update_queue_args update{ring_.va, args.queue_id, ring_size, 101, 7};
  EXPECT_EQ(call(kfd_, ioc::UPDATE_QUEUE, update), -EINVAL);
  update = {ring_.va, args.queue_id, ring_size / 2, 100, 7};
  EXPECT_EQ(call(kfd_, ioc::UPDATE_QUEUE, update), -EFAULT) << "not the mapping's size";
  update = {ring_.va, args.queue_id, ring_size, 100, 11};
  EXPECT_EQ(call(kfd_, ioc::UPDATE_QUEUE, update), 0);
  u32 bits = 0x1;
  kfd_ioctl_set_cu_mask_args mask{args.queue_id, 32, reinterpret_cast<u64>(&bits)};
  EXPECT_EQ(call(kfd_, ioc::SET_CU_MASK, mask), -EINVAL) << "half a WGP";
  bits = 0x3;
  EXPECT_EQ(call(kfd_, ioc::SET_CU_MASK, mask), 0);
  mask.num_cu_mask = 31;
  EXPECT_EQ(call(kfd_, ioc::SET_CU_MASK, mask), -EINVAL);
  mask.num_cu_mask = 0;
  EXPECT_EQ(call(kfd_, ioc::SET_CU_MASK, mask), -EINVAL);
  kfd_ioctl_get_queue_wave_state_args state{};
  state.queue_id = args.queue_id;
  EXPECT_EQ(call(kfd_, ioc::GET_QUEUE_WAVE_STATE, state), -EINVAL) << "an active queue";
  EXPECT_EQ(destroy(args.queue_id), 0);
}

TEST_F(KfdQueue, memory_of_a_queue_stays_mapped) {
  auto args = good();
  ASSERT_EQ(call(kfd_, ioc::CREATE_QUEUE, args), 0);
  for (const Memory& memory : {ring_, pointers_, eop_, context_})
    EXPECT_EQ(unmap(memory.handle), -EBUSY);
  EXPECT_EQ(destroy(args.queue_id), 0);
}

TEST_F(KfdQueue, doorbells_map_whole_or_not_at_all) {
  auto args = good();
  ASSERT_EQ(call(kfd_, ioc::CREATE_QUEUE, args), 0);
  const auto base = static_cast<off_t>(args.doorbell_offset & ~(doorbell_bytes - 1));
  EXPECT_EQ(mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED, kfd_, base), MAP_FAILED);
  EXPECT_EQ(errno, EINVAL);
  void* doorbells = mmap(nullptr, doorbell_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, kfd_, base);
  ASSERT_NE(doorbells, MAP_FAILED);
  munmap(doorbells, doorbell_bytes);
  EXPECT_EQ(mmap(nullptr, doorbell_bytes, PROT_READ, MAP_SHARED, kfd_,
                 static_cast<off_t>(KFD_MMAP_TYPE_DOORBELL | mmap_gpu_id(gpu_ + 1))),
            MAP_FAILED);
  EXPECT_EQ(errno, ENODEV);
  EXPECT_EQ(destroy(args.queue_id), 0);
}

// The whole path by hand: packet, doorbell, completion signal, mailbox, interrupt, event.
TEST_F(KfdQueue, barrier_packet_signals_an_event) {
  const Memory events = make(ALLOC_MEM_FLAGS_GTT, 4096 * 8);
  kfd_ioctl_create_event_args event{};
  event.event_page_offset = events.handle;
  event.auto_reset = 1;
  ASSERT_EQ(call(kfd_, ioc::CREATE_EVENT, event), 0);
  EXPECT_EQ(free(events.handle), -EPERM) << "the event page is not freed";
  const Memory signals = make(ALLOC_MEM_FLAGS_GTT, page);
  auto* signal = static_cast<amd_signal_t*>(signals.cpu);
  signal->kind = AMD_SIGNAL_KIND_USER;
  signal->value = 1;
  signal->event_mailbox_ptr = events.va + event.event_slot_index * 8;
  signal->event_id = event.event_id;

  auto args = good();
  ASSERT_EQ(call(kfd_, ioc::CREATE_QUEUE, args), 0);
  void* doorbells = mmap(nullptr, doorbell_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, kfd_,
                         static_cast<off_t>(args.doorbell_offset & ~(doorbell_bytes - 1)));
  ASSERT_NE(doorbells, MAP_FAILED);
  auto* doorbell = reinterpret_cast<std::uint64_t*>(static_cast<char*>(doorbells) +
                                                    (args.doorbell_offset & (doorbell_bytes - 1)));
  auto* queue = static_cast<amd_queue_t*>(pointers_.cpu);
  queue->hsa_queue.size = ring_size / 64;

  auto* packet = static_cast<hsa_barrier_and_packet_t*>(ring_.cpu);
  std::memset(reinterpret_cast<char*>(packet) + 4, 0, 60);
  packet->completion_signal.handle = signals.va;
  __atomic_store_n(&queue->write_dispatch_id, 1, __ATOMIC_RELEASE);
  const std::uint16_t header = HSA_PACKET_TYPE_BARRIER_AND << HSA_PACKET_HEADER_TYPE |
                               1 << HSA_PACKET_HEADER_BARRIER |
                               HSA_FENCE_SCOPE_SYSTEM << HSA_PACKET_HEADER_SCRELEASE_FENCE_SCOPE;
  __atomic_store_n(&packet->header, header, __ATOMIC_RELEASE);
  __atomic_store_n(doorbell, 0, __ATOMIC_RELEASE);

  kfd_event_data data{};
  data.event_id = event.event_id;
  kfd_ioctl_wait_events_args wait{reinterpret_cast<u64>(&data), 1, 0, 10000, 0};
  ASSERT_EQ(call(kfd_, ioc::WAIT_EVENTS, wait), 0);
  EXPECT_EQ(wait.wait_result, WAIT_RESULT_COMPLETE);
  EXPECT_EQ(__atomic_load_n(&signal->value, __ATOMIC_ACQUIRE), 0);
  EXPECT_EQ(__atomic_load_n(&queue->read_dispatch_id, __ATOMIC_ACQUIRE), 1u);
  EXPECT_EQ(static_cast<u64*>(events.cpu)[event.event_slot_index], ~0ull)
      << "the kernel acknowledged the slot";

  EXPECT_EQ(destroy(args.queue_id), 0);
  munmap(doorbells, doorbell_bytes);
  release(signals);
}

// A packet whose signal lies nowhere: the queue stops and the memory event says where.
TEST_F(KfdQueue, page_fault_reaches_the_memory_event) {
  kfd_ioctl_create_event_args event{};
  event.event_type = EVENT_MEMORY;
  event.auto_reset = 1;
  ASSERT_EQ(call(kfd_, ioc::CREATE_EVENT, event), 0);
  auto args = good();
  std::memset(pointers_.cpu, 0, page);
  ASSERT_EQ(call(kfd_, ioc::CREATE_QUEUE, args), 0);
  void* doorbells = mmap(nullptr, doorbell_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, kfd_,
                         static_cast<off_t>(args.doorbell_offset & ~(doorbell_bytes - 1)));
  auto* doorbell = reinterpret_cast<std::uint64_t*>(static_cast<char*>(doorbells) +
                                                    (args.doorbell_offset & (doorbell_bytes - 1)));
  auto* packet = static_cast<hsa_barrier_and_packet_t*>(ring_.cpu);
  std::memset(reinterpret_cast<char*>(packet) + 4, 0, 60);
  constexpr std::uint64_t nowhere = 0x6000'0000'1000;
  packet->completion_signal.handle = nowhere;
  __atomic_store_n(&static_cast<amd_queue_t*>(pointers_.cpu)->write_dispatch_id, 1, __ATOMIC_RELEASE);
  __atomic_store_n(&packet->header, static_cast<std::uint16_t>(HSA_PACKET_TYPE_BARRIER_AND),
                   __ATOMIC_RELEASE);
  __atomic_store_n(doorbell, 0, __ATOMIC_RELEASE);

  kfd_event_data data{};
  data.event_id = event.event_id;
  kfd_ioctl_wait_events_args wait{reinterpret_cast<u64>(&data), 1, 0, 10000, 0};
  ASSERT_EQ(call(kfd_, ioc::WAIT_EVENTS, wait), 0);
  ASSERT_EQ(wait.wait_result, WAIT_RESULT_COMPLETE);
  EXPECT_EQ(data.memory_exception_data.va, nowhere & ~(page - 1));
  EXPECT_EQ(data.memory_exception_data.gpu_id, gpu_);
  EXPECT_EQ(data.memory_exception_data.failure.NotPresent, 1u);
  EXPECT_EQ(destroy(args.queue_id), 0);
  munmap(doorbells, doorbell_bytes);
}

} // namespace
