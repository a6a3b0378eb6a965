#include "kernels.hpp"
#include "machine.hpp"

using namespace test;

namespace {

TEST(aql, barrier_with_satisfied_dependencies_completes_and_advances_the_read_index) {
  Machine machine;
  AqlQueue queue(machine);
  Signal* done = make_signal(machine, 1);
  queue.submit(barrier(barrier_and, {make_signal(machine, 0)}, done));
  EXPECT_TRUE(eventually([&] { return peek(&done->value) == 0; }));
  EXPECT_EQ(queue.read_index(), 1u);
  EXPECT_TRUE(machine.faults().empty());
}

TEST(aql, nothing_happens_before_the_doorbell) {
  Machine machine;
  AqlQueue queue(machine);
  std::this_thread::sleep_for(5ms); // the write pointer has been read by now
  Signal* done = make_signal(machine, 1);
  const std::uint64_t index = queue.write(barrier(barrier_and, {}, done));
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(peek(&done->value), 1);
  queue.ring(index);
  EXPECT_TRUE(eventually([&] { return peek(&done->value) == 0; }));
}

TEST(aql, barrier_and_waits_for_all_and_barrier_or_for_any) {
  Machine machine;
  AqlQueue and_queue(machine);
  AqlQueue or_queue(machine);
  Signal* a = make_signal(machine, 1);
  Signal* b = make_signal(machine, 1);
  Signal* and_done = make_signal(machine, 1);
  Signal* or_done = make_signal(machine, 1);
  and_queue.submit(barrier(barrier_and, {a, b}, and_done));
  or_queue.submit(barrier(barrier_or, {a, b}, or_done));
  std::this_thread::sleep_for(5ms);
  EXPECT_EQ(peek(&and_done->value), 1);
  EXPECT_EQ(peek(&or_done->value), 1);
  poke(&a->value, 0);
  EXPECT_TRUE(eventually([&] { return peek(&or_done->value) == 0; }));
  std::this_thread::sleep_for(5ms);
  EXPECT_EQ(peek(&and_done->value), 1);
  poke(&b->value, 0);
  EXPECT_TRUE(eventually([&] { return peek(&and_done->value) == 0; }));
}

Packet barrier_value(const Signal* watched, std::int64_t value, std::int64_t mask, std::uint32_t condition,
                     const Signal* completion) {
  Packet packet;
  packet.words[0] = 2u << 16; // vendor packet of format barrier-value
  const std::uint64_t address = va(watched), done = va(completion);
  std::memcpy(packet.words + 2, &address, 8);
  std::memcpy(packet.words + 4, &value, 8);
  std::memcpy(packet.words + 6, &mask, 8);
  packet.words[8] = condition;
  std::memcpy(packet.words + 14, &done, 8);
  return packet;
}

TEST(aql, barrier_value_holds_until_its_condition_does) {
  constexpr std::uint32_t equal = 0, not_equal = 1, less = 2, not_less = 3;
  struct Case {
    std::uint32_t condition;
    std::int64_t value, mask, waits, goes_on;
  };
  const Case cases[] = {
      {equal, 3, 0xf, 0x10, 0x13},  {equal, -5, ~0ll, 5, -5},      {not_equal, 3, 0xf, 0x23, 0x24},
      {less, 0, ~0ll, 0, -1},       {less, 8, 0xff, 0x108, 0x107}, {not_less, 3, 0xf, 0x12, 0x13},
      {not_less, -2, ~0ll, -3, -2},
  };
  Machine machine;
  for (const Case& c : cases) {
    SCOPED_TRACE(&c - cases);
    AqlQueue queue(machine);
    Signal* watched = make_signal(machine, c.waits);
    Signal* done = make_signal(machine, 1);
    queue.submit(barrier_value(watched, c.value, c.mask, c.condition, done));
    std::this_thread::sleep_for(5ms);
    EXPECT_EQ(peek(&done->value), 1);
    poke(&watched->value, c.goes_on);
    EXPECT_TRUE(eventually([&] { return peek(&done->value) == 0; }));
  }
  AqlQueue queue(machine);
  queue.submit(barrier_value(make_signal(machine, 0), 0, ~0ll, 4, nullptr));
  EXPECT_TRUE(eventually([&] { return machine.faults().size() == 1; })) << "a condition that there is not";
  EXPECT_EQ(peek(&queue.inactive->value), 0x100);
}

TEST(aql, completion_writes_the_mailbox_and_interrupts) {
  Machine machine;
  AqlQueue queue(machine);
  auto* mailbox = machine.allocate<std::uint64_t>();
  Signal* done = make_signal(machine, 1);
  done->event_mailbox_ptr = va(mailbox);
  done->event_id = 42;
  queue.submit(barrier(barrier_and, {}, done));
  EXPECT_TRUE(eventually([&] { return !machine.interrupts().empty(); }));
  EXPECT_EQ(peek(mailbox), 42u);
  EXPECT_EQ(machine.interrupts()[0].context_id, 42u);
  EXPECT_EQ(machine.interrupts()[0].queue, queue.id);
}

TEST(aql, time_stamps_are_written_only_where_profiling_is_enabled) {
  Machine machine;
  AqlQueue queue(machine);
  Signal* plain = make_signal(machine, 1);
  Signal* profiled = make_signal(machine, 1);
  queue.submit(barrier(barrier_and, {}, plain));
  EXPECT_TRUE(eventually([&] { return peek(&plain->value) == 0; }));
  *queue.field<std::uint32_t>(0xb4) |= 1 << 3;
  const std::uint64_t before = emu::gpu::gpu_clock();
  queue.submit(barrier(barrier_and, {}, profiled));
  EXPECT_TRUE(eventually([&] { return peek(&profiled->value) == 0; }));
  EXPECT_EQ(plain->start_ts, 0u);
  EXPECT_GE(profiled->start_ts, before);
  EXPECT_GE(profiled->end_ts, profiled->start_ts);
  EXPECT_LE(profiled->end_ts, emu::gpu::gpu_clock());
}

TEST(aql, a_blocked_queue_does_not_block_another) {
  Machine machine;
  AqlQueue blocked(machine);
  AqlQueue free(machine);
  Signal* never = make_signal(machine, 1);
  Signal* done = make_signal(machine, 1);
  blocked.submit(barrier(barrier_and, {never}, nullptr));
  std::this_thread::sleep_for(2ms);
  free.submit(barrier(barrier_and, {}, done));
  EXPECT_TRUE(eventually([&] { return peek(&done->value) == 0; }, 500ms));
  EXPECT_EQ(blocked.read_index(), 0u);
}

TEST(aql, ring_wraps_around) {
  Machine machine;
  AqlQueue queue(machine, 16);
  Signal* done = make_signal(machine, 100);
  for (std::uint64_t i = 0; i < 100; ++i) {
    ASSERT_TRUE(eventually([&] { return queue.read_index() + 16 > i; }));
    queue.submit(barrier(barrier_and, {}, done));
  }
  EXPECT_TRUE(eventually([&] { return peek(&done->value) == 0; }));
  EXPECT_EQ(queue.read_index(), 100u);
}

TEST(aql, dispatch_runs_every_work_item_partial_workgroups_included) {
  Machine machine;
  AqlQueue queue(machine);
  constexpr std::uint32_t count = 64 * 5 + 7;
  auto* out = machine.allocate<std::uint32_t>(64 * 6);
  std::memset(out, 0xff, 64 * 6 * 4);
  auto* kernarg = machine.allocate<std::uint64_t>();
  *kernarg = va(out);
  Signal* done = make_signal(machine, 1);
  queue.submit(dispatch(machine.kernel(kernels::store_ids), count, 64, kernarg, done));
  ASSERT_TRUE(eventually([&] { return peek(&done->value) == 0; }));
  for (std::uint32_t i = 0; i < count; ++i)
    ASSERT_EQ(out[i], i);
  EXPECT_EQ(out[count], 0xffff'ffffu);
  EXPECT_TRUE(machine.faults().empty());
}

TEST(aql, user_sgprs_come_in_the_order_of_the_descriptors_properties) {
  Machine machine;
  AqlQueue queue(machine);
  auto* out = machine.allocate<std::uint32_t>(16);
  Machine::KernelOptions options;
  options.properties = 0x7f | 1 << 10; // everything; wave32
  options.user_sgprs = 15;
  options.rsrc2 = 1 << 7;
  const std::uint32_t descriptor[4] = {0x11111111, 0x22222222, 0x33333333, 0x00e00004};
  std::memcpy(queue.field<std::uint32_t>(0x90), descriptor, sizeof descriptor);
  *queue.field<std::uint64_t>(0xa0) = 0x1234'5678'9000;
  Signal* ignored = make_signal(machine, 1);
  queue.submit(barrier(barrier_and, {}, ignored)); // so that the dispatch's id is 1
  Signal* done = make_signal(machine, 1);
  Packet packet = dispatch(machine.kernel(kernels::store_user_sgprs, options), 1, 1, out, done);
  packet.words[6] = 96; // private_segment_size; the kernel has no SCRATCH_EN, so that it is only shown
  queue.submit(packet);
  ASSERT_TRUE(eventually([&] { return peek(&done->value) == 0; }));
  EXPECT_EQ(out[0], 0x11111111u);
  EXPECT_EQ(out[2], 0x33333333u);
  EXPECT_EQ(out[3], 0x00c00004u); // INDEX_STRIDE made 32 for wave32
  EXPECT_EQ(out[6] | std::uint64_t(out[7]) << 32, queue.address());
  EXPECT_EQ(out[8] | std::uint64_t(out[9]) << 32, 1u); // dispatch id
  EXPECT_EQ(out[10] | std::uint64_t(out[11]) << 32, 0x1234'5678'9000u);
  EXPECT_EQ(out[12], 96u);
  EXPECT_EQ(out[13], 0u); // workgroup id x
}

TEST(aql, a_spinning_kernel_does_not_block_another_queue) {
  Machine machine;
  AqlQueue spinning(machine);
  AqlQueue other(machine);
  auto* flag = machine.allocate<std::uint32_t>();
  auto* out = machine.allocate<std::uint32_t>(64 * 32);
  auto* spin_arguments = machine.allocate<std::uint64_t>();
  auto* store_arguments = machine.allocate<std::uint64_t>();
  *spin_arguments = va(flag);
  *store_arguments = va(out);
  Signal* spun = make_signal(machine, 1);
  Signal* stored = make_signal(machine, 1);
  // More workgroups than the pool has threads.
  spinning.submit(dispatch(machine.kernel(kernels::spin_until_flag), 64, 1, spin_arguments, spun));
  other.submit(dispatch(machine.kernel(kernels::store_ids), 64 * 32, 64, store_arguments, stored));
  EXPECT_TRUE(eventually([&] { return peek(&stored->value) == 0; }));
  EXPECT_EQ(peek(&spun->value), 1);
  poke(flag, 1u);
  EXPECT_TRUE(eventually([&] { return peek(&spun->value) == 0; }));
}

TEST(aql, workgroups_that_wait_for_each_other_all_get_to_run) {
  Machine machine;
  AqlQueue queue(machine);
  constexpr std::uint32_t groups = 40;
  struct Arguments {
    std::uint64_t counter;
    std::uint32_t expected;
  };
  auto* counter = machine.allocate<std::uint32_t>();
  auto* arguments = machine.allocate<Arguments>();
  *arguments = {va(counter), groups};
  Signal* done = make_signal(machine, 1);
  queue.submit(dispatch(machine.kernel(kernels::meet_all_groups), groups, 1, arguments, done));
  EXPECT_TRUE(eventually([&] { return peek(&done->value) == 0; }, 20000ms));
  EXPECT_EQ(*counter, groups);
}

// Kernels of one queue, of which the first waits for what the second writes.
TEST(aql, a_packet_without_the_barrier_bit_runs_beside_the_kernels_before_it) {
  Machine machine;
  AqlQueue queue(machine);
  auto* flag = machine.allocate<std::uint32_t>(64);
  auto* flag_pointer = machine.allocate<std::uint64_t>();
  auto* first_word = machine.allocate<std::uint64_t>();
  *flag_pointer = va(flag + 1);
  *first_word = va(flag);
  Signal* waited = make_signal(machine, 1);
  Signal* wrote = make_signal(machine, 1);
  Signal* behind = make_signal(machine, 1);
  queue.submit(dispatch(machine.kernel(kernels::spin_until_flag), 4, 1, flag_pointer, waited));
  queue.submit(beside(barrier(barrier_and, {}, wrote)));
  ASSERT_TRUE(eventually([&] { return peek(&wrote->value) == 0; })) << "a barrier packet";
  EXPECT_EQ(queue.read_index(), 0u) << "the kernel may still read its packet";
  queue.submit(barrier(barrier_and, {}, behind));
  std::this_thread::sleep_for(5ms);
  EXPECT_EQ(peek(&behind->value), 1) << "this one waits";
  EXPECT_EQ(peek(&waited->value), 1);
  poke(flag + 1, 1u);
  EXPECT_TRUE(eventually([&] { return peek(&behind->value) == 0; }));
  EXPECT_EQ(peek(&waited->value), 0);
  EXPECT_EQ(queue.read_index(), 3u);

  poke(flag + 1, 0u);
  poke(&waited->value, 1);
  poke(&wrote->value, 1);
  queue.submit(dispatch(machine.kernel(kernels::spin_until_flag), 4, 1, flag_pointer, waited));
  queue.submit(
      beside(dispatch(machine.kernel(kernels::store_ids), 64, 64, first_word, wrote))); // flag[1] = 1
  EXPECT_TRUE(eventually([&] { return peek(&waited->value) == 0; }));
  EXPECT_TRUE(eventually([&] { return queue.read_index() == 5u; }));
}

TEST(aql, a_fault_ends_the_kernels_beside_it) {
  Machine machine;
  AqlQueue queue(machine);
  Signal* done = make_signal(machine, 1);
  queue.submit(dispatch(machine.kernel(kernels::endless), 4, 1, nullptr, done));
  queue.submit(beside(dispatch(machine.kernel(kernels::store_to_null), 1, 1, nullptr, nullptr)));
  ASSERT_TRUE(eventually([&] { return machine.faults().size() == 1; }));
  EXPECT_EQ(machine.faults()[0].kind, emu::gpu::FaultKind::page_fault);
  EXPECT_NE(machine.faults()[0].text.find("packet 1: workgroup 0,0,0"), std::string::npos)
      << machine.faults()[0].text;
  EXPECT_TRUE(machine.gpu.destroy_queue(queue.id)); // returns
  EXPECT_EQ(peek(&done->value), 1);
}

TEST(aql, destroying_a_queue_ends_its_endless_kernel) {
  Machine machine;
  AqlQueue queue(machine);
  auto* flag = machine.allocate<std::uint32_t>();
  auto* arguments = machine.allocate<std::uint64_t>();
  *arguments = va(flag);
  Signal* done = make_signal(machine, 1);
  queue.submit(dispatch(machine.kernel(kernels::spin_until_flag), 8, 1, arguments, done));
  std::this_thread::sleep_for(5ms);
  EXPECT_TRUE(machine.gpu.destroy_queue(queue.id));
  EXPECT_EQ(peek(&done->value), 1);
  EXPECT_FALSE(machine.gpu.destroy_queue(queue.id));
}

TEST(aql, scratch_is_asked_for_and_the_packet_retried) {
  Machine machine;
  AqlQueue queue(machine);
  auto* out = machine.allocate<std::uint32_t>(64);
  auto* kernarg = machine.allocate<std::uint64_t>();
  *kernarg = va(out);
  Machine::KernelOptions options;
  options.rsrc2 |= 1; // SCRATCH_EN: its offset comes after the workgroup id
  auto* mailbox = machine.allocate<std::uint64_t>();
  queue.inactive->event_mailbox_ptr = va(mailbox);
  queue.inactive->event_id = 7;
  Signal* done = make_signal(machine, 1);
  Packet packet = dispatch(machine.kernel(kernels::store_ids, options), 64, 64, kernarg, done);
  packet.words[6] = 100; // private_segment_size
  queue.submit(packet);
  ASSERT_TRUE(eventually([&] { return peek(&queue.inactive->value) == 0x400; }));
  EXPECT_TRUE(eventually([&] { return machine.interrupts().size() == 1; }));
  EXPECT_EQ(machine.interrupts()[0].context_id, 7u);
  EXPECT_EQ(peek(&done->value), 1);
  *queue.field<std::uint32_t>(0x8c) = 4 << 12 | 64; // 4 KiB for each of 64 waves
  poke(&queue.inactive->value, 0);
  EXPECT_TRUE(eventually([&] { return peek(&done->value) == 0; }));
  EXPECT_EQ(out[63], 63u);
}

TEST(aql, scratch_used_once_is_given_back) {
  Machine machine;
  AqlQueue queue(machine);
  auto* out = machine.allocate<std::uint32_t>(64);
  auto* kernarg = machine.allocate<std::uint64_t>();
  *kernarg = va(out);
  Machine::KernelOptions options;
  options.rsrc2 |= 1;
  *queue.field<std::uint32_t>(0x8c) = 4 << 12 | 64;
  *queue.field<std::uint32_t>(0xb4) = 1 << 4; // USE_SCRATCH_ONCE
  Signal* done = make_signal(machine, 1);
  Signal* next = make_signal(machine, 1);
  Packet packet = dispatch(machine.kernel(kernels::store_ids, options), 64, 64, kernarg, done);
  packet.words[6] = 100;
  queue.submit(packet);
  queue.submit(barrier(barrier_and, {}, next));
  ASSERT_TRUE(eventually([&] { return peek(&queue.inactive->value) == 0x200; }));
  EXPECT_EQ(peek(&done->value), 0);
  EXPECT_EQ(peek(&next->value), 1);
  poke(&queue.inactive->value, 0);
  EXPECT_TRUE(eventually([&] { return peek(&next->value) == 0; }));
}

TEST(aql, vendor_packet_runs_an_indirect_buffer) {
  Machine machine;
  AqlQueue queue(machine);
  auto* target = machine.allocate<std::uint32_t>();
  const std::uint64_t to = va(target);
  const std::vector<std::uint32_t> ib{0xc0033700, 5 << 8 | 1 << 20, static_cast<std::uint32_t>(to),
                                      static_cast<std::uint32_t>(to >> 32), 0xcafe};
  const std::uint64_t address = machine.code(ib);
  Signal* done = make_signal(machine, 1);
  Packet packet;
  packet.words[0] = 1u << 16;
  packet.words[1] = 0xc0023f00;
  packet.words[2] = static_cast<std::uint32_t>(address);
  packet.words[3] = static_cast<std::uint32_t>(address >> 32);
  packet.words[4] = static_cast<std::uint32_t>(ib.size()) | 1 << 23;
  packet.words[5] = 10;
  std::memcpy(packet.words + 14, &done, 8);
  queue.submit(packet);
  EXPECT_TRUE(eventually([&] { return peek(&done->value) == 0; }));
  EXPECT_EQ(*target, 0xcafeu);
}

struct Refusal {
  const char* name;
  std::function<void(Packet&)> change;
  std::int64_t reason;
};

TEST(aql, bad_packets_raise_the_inactive_signal_as_the_firmware_does) {
  const Refusal refusals[] = {
      {"no dimensions", [](Packet& p) { p.words[0] &= 0xffff; }, 0x2},
      {"empty grid", [](Packet& p) { p.words[3] = 0; }, 0x2},
      {"empty group", [](Packet& p) { p.words[1] = 1 << 16; }, 0x2},
      {"too much LDS", [](Packet& p) { p.words[7] = 65 * 1024; }, 0x4},
      {"no kernel object", [](Packet& p) { p.words[8] = p.words[9] = 0; }, 0x8},
      {"agent dispatch", [](Packet& p) { p.words[0] = 4; }, 0x20},
      {"unknown type", [](Packet& p) { p.words[0] = 77; }, 0x20},
      {"too many threads", [](Packet& p) { p.words[1] = 1025 | 1 << 16; }, 0x40},
      {"too many vector registers", [](Packet& p) { p.words[1] = 1024 | 1 << 16; }, 0x80},
      {"unknown vendor format", [](Packet& p) { p.words[0] = 9u << 16; }, 0x100},
  };
  for (const Refusal& refusal : refusals) {
    SCOPED_TRACE(refusal.name);
    Machine machine;
    AqlQueue queue(machine);
    Signal* done = make_signal(machine, 1);
    const std::uint64_t kernel = machine.kernel(kernels::store_ids);
    reinterpret_cast<std::uint32_t*>(kernel)[12] |= 31; // 256 VGPRs: half a WGP's waves
    Packet packet = dispatch(kernel, 64, 64, nullptr, done);
    refusal.change(packet);
    queue.submit(packet);
    EXPECT_TRUE(eventually([&] { return machine.faults().size() == 1; }));
    EXPECT_EQ(peek(&queue.inactive->value), refusal.reason);
    EXPECT_EQ(peek(&done->value), 1);
    EXPECT_EQ(queue.read_index(), 0u);
  }
}

TEST(aql, a_kernels_page_fault_is_reported_with_its_address_and_stops_the_queue) {
  Machine machine;
  AqlQueue queue(machine);
  AqlQueue other(machine);
  Signal* done = make_signal(machine, 1);
  Signal* other_done = make_signal(machine, 1);
  queue.submit(dispatch(machine.kernel(kernels::store_to_null), 1, 1, nullptr, done));
  ASSERT_TRUE(eventually([&] { return machine.faults().size() == 1; }));
  const Fault fault = machine.faults()[0];
  EXPECT_EQ(fault.kind, emu::gpu::FaultKind::page_fault);
  EXPECT_EQ(fault.queue, queue.id);
  EXPECT_EQ(fault.page.address, 0u);
  EXPECT_EQ(fault.page.access, emu::memory::Access::write);
  EXPECT_EQ(fault.vmid, emu::gpu::first_kfd_vmid);
  EXPECT_NE(fault.text.find("wave 0"), std::string::npos) << fault.text;
  EXPECT_EQ(peek(&done->value), 1);
  other.submit(barrier(barrier_and, {}, other_done));
  EXPECT_TRUE(eventually([&] { return peek(&other_done->value) == 0; }));
}

// Nobody is told, and the queue is busy for good; others go on, and it can be destroyed.
TEST(aql, an_illegal_instruction_halts_its_wave_where_there_is_no_trap_handler) {
  Machine machine;
  AqlQueue other(machine);
  Signal* done = make_signal(machine, 1);
  Signal* other_done = make_signal(machine, 1);
  {
    AqlQueue queue(machine);
    queue.submit(dispatch(machine.kernel({0xffffffff, 0xffffffff}), 1, 1, nullptr, done));
    std::this_thread::sleep_for(50ms);
    other.submit(dispatch(machine.kernel({kernels::end_program}), 1, 1, nullptr, other_done));
    EXPECT_TRUE(eventually([&] { return peek(&other_done->value) == 0; }));
    EXPECT_EQ(peek(&queue.inactive->value), 0);
  }
  EXPECT_EQ(peek(&done->value), 1);
  EXPECT_TRUE(machine.faults().empty());
}

TEST(aql, s_trap_is_skipped_where_there_is_no_trap_handler) {
  Machine machine;
  AqlQueue queue(machine);
  Signal* done = make_signal(machine, 1);
  queue.submit(dispatch(machine.kernel({kernels::s_trap_2, kernels::end_program}), 1, 1, nullptr, done));
  EXPECT_TRUE(eventually([&] { return peek(&done->value) == 0; }));
}

// One that leaves, behind a message of the trap's number and the queue's doorbell.
TEST(aql, traps_go_to_the_handler_of_the_process) {
  Machine machine;
  AqlQueue queue(machine);
  const std::uint64_t handler = machine.code({
      0xbf90000a, // s_sendmsg sendmsg(MSG_GET_DOORBELL)
      0x876eff6d,
      0x00ff0000, // s_and_b32 ttmp2, ttmp1, 0xff0000
      0x887c7e6e, // s_or_b32 m0, ttmp2, exec_lo
      0xbf900001, // s_sendmsg sendmsg(MSG_INTERRUPT)
      kernels::end_program,
  });
  machine.gpu.set_trap_handler(handler, 0);
  Signal* done = make_signal(machine, 1);
  queue.submit(dispatch(machine.kernel({kernels::s_trap_2, 0xbf82ffff /* s_branch: for ever */}), 1, 1,
                        nullptr, done));
  EXPECT_TRUE(eventually([&] { return peek(&done->value) == 0; }));
  ASSERT_EQ(machine.interrupts().size(), 1u);
  const Interrupt interrupt = machine.interrupts()[0];
  EXPECT_EQ(interrupt.source, Interrupt::Source::sq_message);
  EXPECT_TRUE(interrupt.privileged);
  EXPECT_EQ(interrupt.queue, queue.id);
  EXPECT_EQ(interrupt.context_id, 2u << 16 | queue.doorbell());
}

TEST(aql, the_watchdog_ends_halted_waves) {
  Machine machine(50ms);
  AqlQueue queue(machine);
  queue.submit(dispatch(machine.kernel({0xffffffff, 0xffffffff}), 1, 1, nullptr, nullptr));
  ASSERT_TRUE(eventually([&] { return machine.faults().size() == 1; }));
  EXPECT_EQ(machine.faults()[0].kind, emu::gpu::FaultKind::hang);
}

TEST(aql, a_signal_outside_of_memory_is_a_page_fault) {
  Machine machine;
  AqlQueue queue(machine);
  queue.submit(barrier(barrier_and, {reinterpret_cast<Signal*>(0x1000)}, nullptr));
  ASSERT_TRUE(eventually([&] { return machine.faults().size() == 1; }));
  EXPECT_EQ(machine.faults()[0].kind, emu::gpu::FaultKind::page_fault);
  EXPECT_EQ(machine.faults()[0].page.address, 0x1008u);
}

TEST(aql, a_thousand_queues_with_blocked_heads_leave_one_that_works) {
  Machine machine;
  Signal* never = make_signal(machine, 1);
  std::vector<std::unique_ptr<AqlQueue>> blocked;
  for (int i = 0; i < 1000; ++i) {
    blocked.push_back(std::make_unique<AqlQueue>(machine));
    blocked.back()->submit(barrier(barrier_and, {never}, nullptr));
  }
  AqlQueue queue(machine);
  Signal* done = make_signal(machine, 1);
  queue.submit(barrier(barrier_and, {}, done));
  EXPECT_TRUE(eventually([&] { return peek(&done->value) == 0; }));
}

} // namespace
