// What a program hears through /dev/kfd of waves that fault, hang or interrupt. The watchdog is on.
//
// Each test is a process of its own: after a page fault no queue of a process runs any more.
#include "kernels.hpp"
#include "kfd_aql.hpp"

using namespace kfd_test;

namespace {

class KfdFaults : public KfdAql {};

TEST_F(KfdFaults, an_endless_kernel_is_a_reset_and_another_queue_goes_on) {
  const u32 event = make_event(EVENT_HW_EXCEPTION);
  Queue queue = make_queue();
  Queue other = make_queue();
  const Memory kept = make(ALLOC_MEM_FLAGS_VRAM, page);
  *static_cast<u32*>(kept.cpu) = 0xcafe;
  dispatch(queue, make_kernel(kernels::endless), 8);
  const kfd_event_data data = wait(event);
  EXPECT_EQ(data.hw_exception_data.reset_type, 0u);
  EXPECT_EQ(data.hw_exception_data.reset_cause, u32{HW_EXCEPTION_GPU_HANG});
  EXPECT_EQ(data.hw_exception_data.memory_lost, 1u) << "6.12 says so after every reset";
  EXPECT_EQ(data.hw_exception_data.gpu_id, gpu_);
  EXPECT_EQ(queue.read_index(), 0u);
  EXPECT_EQ(*static_cast<u32*>(kept.cpu), 0xcafeu);
  barrier(other);
  EXPECT_TRUE(eventually([&] { return other.read_index() == 1; }));
  destroy(queue);
  destroy(other);
}

// v_mov_b32 v0, 0x3008; v_mov_b32 v1, 0x6000; global_store_dword v[0:1], v0, off; s_endpgm
const std::vector<u32> wild_store{0x7e0002ff, 0x3008, 0x7e0202ff, 0x6000, 0xdc708000, 0x007d0000, 0xbf810000};
// global_load_dword v2, v[0:1], off in its place
const std::vector<u32> wild_load{0x7e0002ff, 0x3008, 0x7e0202ff, 0x6000, 0xdc308000, 0x027d0000, 0xbf810000};

class KfdWildAccess : public KfdAql {
protected:
  void expect(const std::vector<u32>& code, u32 not_present, u32 write, std::uint64_t address) {
    const u32 event = make_event(EVENT_MEMORY);
    Queue queue = make_queue();
    Queue other = make_queue();
    dispatch(queue, make_kernel(code), 1);
    const kfd_hsa_memory_exception_data data = wait(event).memory_exception_data;
    EXPECT_EQ(data.va, address);
    EXPECT_EQ(data.gpu_id, gpu_);
    EXPECT_EQ(data.failure.NotPresent, not_present);
    EXPECT_EQ(data.failure.ReadOnly, write);
    EXPECT_EQ(data.failure.NoExecute, 0u);
    EXPECT_EQ(data.failure.imprecise, 0u);
    EXPECT_EQ(data.ErrorType, 0u);
    barrier(other);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_EQ(other.read_index(), 0u) << "a page fault takes all queues of the process off the hardware";
    destroy(queue);
    destroy(other);
  }
};

TEST_F(KfdWildAccess, of_a_store) {
  expect(wild_store, 1, 1, 0x6000'0000'3000);
}
TEST_F(KfdWildAccess, of_a_load) {
  expect(wild_load, 1, 0, 0x6000'0000'3000);
}
TEST_F(KfdWildAccess, of_an_instruction_fetch) {
  // s_setpc_b64 s[4:5] to 0x6000'0000'3000
  expect({0xbe8403ff, 0x3000, 0xbe8503ff, 0x6000, 0xbe802004}, 1, 0, 0x6000'0000'3000);
}

class KfdInterrupts : public KfdAql {};

TEST_F(KfdInterrupts, of_a_wave_set_the_event_whose_slot_was_written) {
  const Memory events = make(ALLOC_MEM_FLAGS_GTT, 4096 * 8);
  const u32 event = make_event(EVENT_SIGNAL, events.handle);
  const u32 other = make_event(EVENT_SIGNAL);
  Queue queue = make_queue();
  wait(event, 20, WAIT_RESULT_TIMEOUT);
  static_cast<u64*>(events.cpu)[event] = event;
  dispatch(queue, make_kernel(kernels::send_interrupt), 1);
  wait(event);
  wait(other, 20, WAIT_RESULT_TIMEOUT);
  destroy(queue);
}

// A handler that names the queue's doorbell and EC_QUEUE_WAVE_TRAP, then halts the wave: s_mov_b32 exec_lo,
// 0x80000000; s_sendmsg sendmsg(MSG_GET_DOORBELL); s_or_b32 m0, exec_lo, 0x800; s_nop 0; s_sendmsg
// sendmsg(MSG_INTERRUPT); s_bitset1_b32 ttmp12, 13; s_setreg_b32 hwreg(HW_REG_STATUS), ttmp12; s_rfe_b64
// ttmp[0:1]
const std::vector<u32> tell_and_halt{0xbefe03ff, 0x80000000, 0xbf90000a, 0x887cff7e, 0x00000800,
                                     0xbf800000, 0xbf900001, 0xbef81d8d, 0xb9f8f802, 0xbe80226c};

class KfdTraps : public KfdAql {
protected:
  void SetUp() override {
    KfdAql::SetUp();
    handler_ = make(ALLOC_MEM_FLAGS_GTT, page);
    std::memcpy(handler_.cpu, tell_and_halt.data(), tell_and_halt.size() * sizeof(u32));
    kfd_ioctl_set_trap_handler_args args{};
    args.tba_addr = handler_.va;
    args.gpu_id = gpu_;
    ASSERT_EQ(call(kfd_, ioc::SET_TRAP_HANDLER, args), 0);
    const Memory events = make(ALLOC_MEM_FLAGS_GTT, 4096 * 8);
    event_ = make_event(EVENT_SIGNAL, events.handle);
    other_ = make_event(EVENT_SIGNAL);
    slots_ = static_cast<u64*>(events.cpu);
  }
  // A queue whose save area says where exceptions go; runs a kernel that traps.
  Queue trap() {
    Queue queue = make_queue();
    auto* header = static_cast<kfd_context_save_area_header*>(queue.context.cpu);
    header->err_payload_addr = reinterpret_cast<u64>(&payload_);
    header->err_event_id = event_;
    dispatch(queue, make_kernel({kernels::s_trap_2, kernels::end_program}), 1);
    return queue;
  }

  Memory handler_;
  u32 event_ = 0, other_ = 0;
  u64* slots_ = nullptr;
  u64 payload_ = 0x4000;
};

TEST_F(KfdTraps, reach_a_runtime_that_has_said_it_is_there) {
  kfd_ioctl_runtime_enable_args enable{};
  enable.mode_mask = RUNTIME_ENABLE_MODE_ENABLE;
  ASSERT_EQ(call(kfd_, ioc::RUNTIME_ENABLE, enable), 0);
  Queue other = make_queue(); // whose doorbell is another
  Queue queue = trap();
  wait(event_);
  EXPECT_EQ(payload_, 0x4002u); // EC_QUEUE_WAVE_TRAP
  destroy(queue);
  destroy(other);
  enable.mode_mask = 0;
  EXPECT_EQ(call(kfd_, ioc::RUNTIME_ENABLE, enable), 0);
}

// To KFD the message is an event's number then, and no event's: it looks at the slots.
TEST_F(KfdTraps, are_plain_interrupts_for_a_process_that_has_not) {
  slots_[other_] = other_;
  Queue queue = trap();
  wait(other_);
  wait(event_, 20, WAIT_RESULT_TIMEOUT);
  EXPECT_EQ(payload_, 0x4000u);
  destroy(queue);
}

} // namespace
