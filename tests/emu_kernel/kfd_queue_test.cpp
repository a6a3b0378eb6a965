// User queues: how many there are, and packets that run and interrupt.
#include "kfd_test_queue.hpp"

using namespace kfd_test;

namespace {

class KfdQueue : public QueueDevice {};

TEST_F(KfdQueue, exact_buffers_make_a_queue) {
  EXPECT_EQ(create(good()), 0);
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

// Doorbells 0x100 to 0x17f are those of SDMA, IH and VCN: an SDMA queue has one by its engine, others none of
// them.
TEST_F(KfdQueue, doorbells_are_those_that_the_engines_decode) {
  constexpr u64 in_page = doorbell_bytes - 1;
  auto args = good();
  ASSERT_EQ(call(kfd_, ioc::CREATE_QUEUE, args), 0);
  EXPECT_EQ(args.doorbell_offset & in_page, 0u) << "the first one that is free";
  auto sdma = good();
  sdma.queue_type = QUEUE_TYPE_SDMA;
  u64 expected[] = {0x100 * 8, 0x10a * 8, 0x300 * 8};
  u32 ids[3];
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(call(kfd_, ioc::CREATE_QUEUE, sdma), 0);
    EXPECT_EQ(sdma.doorbell_offset & in_page, expected[i]) << i;
    EXPECT_EQ(sdma.doorbell_offset & ~in_page, KFD_MMAP_TYPE_DOORBELL | mmap_gpu_id(gpu_));
    ids[i] = sdma.queue_id;
  }
  for (const u32 id : ids)
    EXPECT_EQ(destroy(id), 0);
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
