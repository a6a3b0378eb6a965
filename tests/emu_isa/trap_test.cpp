// Waves on their way into trap handlers, in them and back.
#include <algorithm>
#include <atomic>

#include <gtest/gtest.h>

#include "machine.hpp"

namespace emu::isa::test {
namespace {

using u32 = std::uint32_t;
using u64 = std::uint64_t;

constexpr u64 handler_offset = 0x1000;
constexpr u64 handler_address = Machine::code_address + handler_offset;
constexpr u64 handler_memory = 0x123456789a00;

// Kernels get the address of their data in s[0:1]; s2 is what the handler's stores write.
constexpr const char* store_s2 = "v_mov_b32 v1, 0\nv_mov_b32 v2, s2\ns_mov_b32 exec_lo, 1\n"
                                 "global_store_dword v1, v2, s[0:1]\n";
constexpr const char* leave = "s_setreg_b32 hwreg(HW_REG_STATUS), ttmp12\ns_rfe_b64 ttmp[0:1]\n";

class Traps : public testing::Test {
protected:
  Traps() {
    execution().set_interrupt_handler([this](u32 m0, bool privileged) {
      messages_.push_back(m0);
      all_privileged_ = all_privileged_ && privileged;
    });
    execution().set_exception_handler([this](const Fault& fault) { exceptions_.push_back(fault.kind); });
    execution().set_stop_flag(&stop_);
  }

  WorkgroupExecution& execution() { return machine_.execution(); }
  void set_handler(const std::string& text) {
    machine_.load_code(assemble(text), handler_offset);
    handler_.code = handler_address;
    handler_.memory = handler_memory;
  }
  Progress run(const std::string& text, const Launch& launch = {}) {
    machine_.load(text, launch.wave64);
    DispatchState state = Machine::dispatch(launch);
    state.trap_handler = &handler_;
    state.doorbell = 0x155;
    execution().start(state, Machine::position(launch));
    Progress progress = Progress::yielded;
    for (int i = 0; i < 1000 && progress == Progress::yielded; ++i)
      progress = execution().run(10'000);
    return progress;
  }
  // What a handler finds in s2 when it has copied there what `expression` reads.
  u32 seen_by_handler(const std::string& read, const std::string& kernel) {
    set_handler(read + "s_add_u32 ttmp0, ttmp0, 4\ns_addc_u32 ttmp1, ttmp1, 0\n" + leave);
    *machine_.at<u32>() = 0xdeadbeef;
    EXPECT_EQ(run(kernel + store_s2), Progress::finished);
    return *machine_.at<u32>();
  }

  Machine machine_;
  TrapHandler handler_;
  std::vector<u32> messages_;
  bool all_privileged_ = true;
  std::vector<FaultKind> exceptions_;
  std::atomic<bool> stop_{false};
};

TEST_F(Traps, without_a_handler_s_trap_is_skipped) {
  EXPECT_EQ(run("s_mov_b32 s2, 7\ns_trap 2\n" + std::string(store_s2)), Progress::finished);
  EXPECT_EQ(*machine_.at<u32>(), 7u);
  EXPECT_TRUE(exceptions_.empty());
}

TEST_F(Traps, without_a_handler_an_exception_halts_the_wave) {
  EXPECT_EQ(run(".long 0xffffffff\n" + std::string(store_s2)), Progress::parked);
  EXPECT_EQ(exceptions_, std::vector{FaultKind::illegal_instruction});
  EXPECT_EQ(*machine_.at<u32>(), 0u);
}

TEST_F(Traps, the_handler_gets_pc_number_and_memory) {
  const std::string kernel = "s_nop 0\ns_trap 0x21\n";
  EXPECT_EQ(seen_by_handler("s_mov_b32 s2, ttmp0\n", kernel), static_cast<u32>(Machine::code_address + 4));
  EXPECT_EQ(seen_by_handler("s_mov_b32 s2, ttmp1\n", kernel),
            0x210000u | static_cast<u32>((Machine::code_address + 4) >> 32));
  EXPECT_EQ(seen_by_handler("s_mov_b32 s2, ttmp14\n", kernel), static_cast<u32>(handler_memory));
  EXPECT_EQ(seen_by_handler("s_mov_b32 s2, ttmp15\n", kernel), static_cast<u32>(handler_memory >> 32));
}

TEST_F(Traps, the_handler_gets_the_status_from_before_and_has_one_of_its_own) {
  constexpr u32 scc = 1u << 0, priv = 1u << 5, trap_en = 1u << 6, vccz = 1u << 10, valid = 1u << 16;
  const std::string kernel = "s_mov_b64 vcc, 0\ns_cmp_eq_u32 s0, s0\ns_trap 2\n";
  EXPECT_EQ(seen_by_handler("s_mov_b32 s2, ttmp12\n", kernel), scc | trap_en | vccz | valid);
  EXPECT_EQ(seen_by_handler("s_getreg_b32 s2, hwreg(HW_REG_STATUS)\n", kernel),
            scc | priv | trap_en | vccz | valid);
}

TEST_F(Traps, s_setreg_of_status_gives_scc_back) {
  set_handler("s_add_u32 ttmp0, ttmp0, 4\ns_addc_u32 ttmp1, ttmp1, 0\n" + std::string(leave)); // SCC 0
  EXPECT_EQ(run("s_cmp_eq_u32 s0, s0\ns_trap 2\ns_cselect_b32 s2, 11, 22\n" + std::string(store_s2)),
            Progress::finished);
  EXPECT_EQ(*machine_.at<u32>(), 11u);
}

TEST_F(Traps, an_illegal_instruction_is_in_trapsts_with_its_own_pc_and_no_number) {
  const std::string kernel = "s_nop 0\n.long 0xffffffff\n",
                    trapsts = "s_getreg_b32 s2, hwreg(HW_REG_TRAPSTS)\n";
  EXPECT_EQ(seen_by_handler(trapsts, kernel), 1u << 11);
  EXPECT_EQ(seen_by_handler("s_mov_b32 s2, ttmp0\n", kernel), static_cast<u32>(Machine::code_address + 4));
  EXPECT_EQ(seen_by_handler("s_mov_b32 s2, ttmp1\n", kernel), static_cast<u32>(Machine::code_address >> 32));
}

TEST_F(Traps, a_misaligned_atomic_is_a_memory_violation) {
  set_handler("s_getreg_b32 s2, hwreg(HW_REG_TRAPSTS)\n" + std::string(leave));
  EXPECT_EQ(
      run("v_mov_b32 v1, 2\nv_mov_b32 v2, 1\nglobal_atomic_add v1, v2, s[0:1]\n" + std::string(store_s2)),
      Progress::finished);
  EXPECT_EQ(*machine_.at<u32>(), 1u << 8);
  EXPECT_EQ(exceptions_, std::vector{FaultKind::memory_violation}); // once, for 32 lanes
}

TEST_F(Traps, the_handler_learns_the_doorbell_and_sends_messages) {
  set_handler("s_mov_b32 ttmp2, exec_lo\ns_mov_b32 exec_lo, 0x80000000\ns_sendmsg sendmsg(MSG_GET_DOORBELL)\n"
              "wait:\ns_nop 7\ns_bitcmp0_b32 exec_lo, 31\ns_cbranch_scc0 wait\n"
              "s_or_b32 m0, exec_lo, 0x3000\ns_sendmsg sendmsg(MSG_INTERRUPT)\ns_mov_b32 exec_lo, ttmp2\n"
              "s_add_u32 ttmp0, ttmp0, 4\ns_addc_u32 ttmp1, ttmp1, 0\n" +
              std::string(leave));
  EXPECT_EQ(run("s_trap 2\n"), Progress::finished);
  EXPECT_EQ(messages_, std::vector{0x3155u});
  EXPECT_TRUE(all_privileged_);
}

TEST_F(Traps, what_only_handlers_may_do_is_illegal_elsewhere) {
  for (const char* text : {"s_rfe_b64 s[4:5]", "s_setreg_b32 hwreg(HW_REG_STATUS), s4",
                           "s_setreg_b32 hwreg(HW_REG_IB_STS), s4", "s_sendmsg sendmsg(MSG_GET_DOORBELL)"}) {
    exceptions_.clear();
    EXPECT_EQ(run(std::string(text) + "\n"), Progress::parked) << text;
    EXPECT_EQ(exceptions_, std::vector{FaultKind::illegal_instruction}) << text;
  }
}

TEST_F(Traps, a_wave_that_the_handler_halts_stays_where_it_returned_to) {
  set_handler("s_bitset1_b32 ttmp12, 13\n" + std::string(leave)); // STATUS.HALT
  EXPECT_EQ(run("s_trap 2\n" + std::string(store_s2)), Progress::parked);
  EXPECT_EQ(execution().run(1000), Progress::parked);
  EXPECT_TRUE(exceptions_.empty());
  stop_ = true;
  EXPECT_EQ(execution().run(1000), Progress::faulted);
  EXPECT_EQ(execution().fault().kind, FaultKind::aborted);
}

TEST_F(Traps, s_sethalt_halts_outside_of_a_handler_only) {
  EXPECT_EQ(run("s_sethalt 1\n"), Progress::parked);
  set_handler("s_sethalt 1\ns_sethalt 0\ns_add_u32 ttmp0, ttmp0, 4\ns_addc_u32 ttmp1, ttmp1, 0\ns_rfe_b64 "
              "ttmp[0:1]\n");
  EXPECT_EQ(run("s_trap 2\n"), Progress::finished);
  EXPECT_EQ(run("s_mov_b32 m0, 5\ns_sendmsghalt sendmsg(MSG_INTERRUPT)\n"), Progress::parked);
  EXPECT_EQ(messages_, std::vector{5u});
}

// Wave 1 halts. Wave 0 goes on to the barrier, and no further.
TEST_F(Traps, a_halted_wave_holds_its_workgroup_at_the_barrier) {
  set_handler("s_bitset1_b32 ttmp12, 13\n" + std::string(leave));
  EXPECT_EQ(
      run("v_cmp_gt_u32 vcc_lo, 32, v0\ns_cbranch_vccnz first\ns_trap 2\n"
          "first:\ns_movk_i32 s2, 1\nv_mov_b32 v1, 0\nv_mov_b32 v2, s2\nglobal_store_dword v1, v2, s[0:1]\n"
          "s_barrier\nglobal_store_dword v1, v2, s[0:1] offset:4\n",
          {.size = {64, 1, 1}}),
      Progress::parked);
  EXPECT_EQ(machine_.at<u32>()[0], 1u);
  EXPECT_EQ(machine_.at<u32>()[1], 0u);
}

TEST_F(Traps, an_exception_in_the_handler_halts_the_wave) {
  set_handler(".long 0xffffffff\n");
  EXPECT_EQ(run("s_trap 2\n"), Progress::parked);
  EXPECT_EQ(exceptions_, std::vector{FaultKind::illegal_instruction});
}

TEST_F(Traps, page_faults_are_not_the_handlers_affair) {
  set_handler(leave);
  EXPECT_EQ(run("v_mov_b32 v1, 0\nv_mov_b32 v2, 0x7777\nglobal_load_dword v3, v[1:2], off\n"),
            Progress::faulted);
  EXPECT_EQ(execution().fault().kind, FaultKind::page_fault);
}

TEST_F(Traps, of_wave64_too) {
  set_handler("s_mov_b32 s2, exec_hi\ns_add_u32 ttmp0, ttmp0, 4\ns_addc_u32 ttmp1, ttmp1, 0\n" +
              std::string(leave));
  EXPECT_EQ(run("s_mov_b32 exec_hi, 0x1234\ns_trap 2\n" + std::string(store_s2),
                {.wave64 = true, .size = {64, 1, 1}}),
            Progress::finished);
  EXPECT_EQ(*machine_.at<u32>(), 0x1234u);
}

} // namespace
} // namespace emu::isa::test
