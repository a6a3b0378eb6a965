// Workgroups: barriers, progress of waves that wait for each other, faults, code that changes, stopping.
#include <atomic>
#include <thread>

#include <gtest/gtest.h>

#include "machine.hpp"

namespace emu::isa::test {
namespace {

using u32 = std::uint32_t;
using u64 = std::uint64_t;

TEST(Workgroup, a_barrier_makes_lds_writes_of_other_waves_visible) {
  Machine machine;
  const Fault fault =
      machine.run("v_lshlrev_b32 v1, 2, v0\nv_mul_u32_u24 v2, 3, v0\nds_write_b32 v1, v2\n"
                  "s_waitcnt lgkmcnt(0)\ns_barrier\nv_sub_nc_u32 v3, 0x3fc, v1\nds_read_b32 v4, v3\n"
                  "s_waitcnt lgkmcnt(0)\nglobal_store_dword v1, v4, s[0:1]\n",
                  {.size = {256, 1, 1}, .lds = 1024});
  ASSERT_EQ(fault.kind, FaultKind::none) << fault.describe();
  for (u32 i = 0; i < 256; ++i)
    ASSERT_EQ(machine.at<u32>()[i], 3 * (255 - i));
}

TEST(Workgroup, waves_that_ended_do_not_hold_up_a_barrier) {
  Machine machine;
  EXPECT_EQ(machine
                .run("v_cmp_gt_u32 vcc_lo, 32, v0\ns_cbranch_vccz out\ns_barrier\nv_mov_b32 v1, 7\n"
                     "v_mov_b32 v2, 0\nglobal_store_dword v2, v1, s[0:1]\nout:\n",
                     {.size = {64, 1, 1}})
                .kind,
            FaultKind::none);
  EXPECT_EQ(*machine.at<u32>(), 7u);
}

TEST(Workgroup, a_wave_that_spins_on_lds_lets_the_others_run) {
  Machine machine;
  const char* text =
      "v_mov_b32 v2, 0\nv_cmp_gt_u32 vcc_lo, 32, v0\ns_cbranch_vccz second\n"
      "wait: ds_read_b32 v1, v2\nv_readfirstlane_b32 s8, v1\ns_cmp_eq_u32 s8, 0\ns_cbranch_scc1 wait\n"
      "global_store_dword v2, v1, s[0:1]\ns_endpgm\n"
      "second: v_mov_b32 v1, 9\nds_write_b32 v2, v1\n";
  EXPECT_EQ(machine.run(text, {.size = {64, 1, 1}, .lds = 512}).kind, FaultKind::none);
  EXPECT_EQ(*machine.at<u32>(), 9u);
}

TEST(Workgroup, two_on_one_thread_can_wait_for_each_other) {
  Machine machine;
  // Workgroup 0 waits until workgroup 1 has added to the word.
  machine.load(
      "v_mov_b32 v2, 0\nv_mov_b32 v3, 1\ns_mov_b32 exec_lo, 1\ns_cmp_eq_u32 s16, 0\ns_cbranch_scc1 wait\n"
      "global_atomic_add v2, v3, s[0:1]\ns_endpgm\n"
      "wait: global_load_dword v1, v2, s[0:1] glc\nv_readfirstlane_b32 s20, v1\ns_cmp_eq_u32 s20, 0\n"
      "s_cbranch_scc1 wait\nglobal_store_dword v2, v1, s[0:1] offset:4\n");
  WorkgroupExecution second(machine.cache());
  Launch launch{.group_ids = true};
  machine.execution().start(Machine::dispatch(launch), Machine::position(launch));
  launch.id = {1, 0, 0};
  second.start(Machine::dispatch(launch), Machine::position(launch));
  EXPECT_EQ(machine.execution().run(5000), Progress::yielded);
  EXPECT_EQ(second.run(5000), Progress::finished);
  EXPECT_EQ(machine.execution().run(5000), Progress::finished);
  EXPECT_EQ(machine.at<u32>()[1], 1u);
}

TEST(Workgroup, atomics_of_two_threads_add_up) {
  Machine machine;
  machine.load("v_mov_b32 v2, 0\nv_mov_b32 v3, 1\ns_movk_i32 s8, 2000\nl: global_atomic_add v2, v3, s[0:1]\n"
               "s_sub_u32 s8, s8, 1\ns_cmp_lg_u32 s8, 0\ns_cbranch_scc1 l\n");
  const auto work = [&] {
    CodeCache cache(machine.space());
    WorkgroupExecution execution(cache);
    EXPECT_EQ(execute_workgroup(execution, Machine::dispatch({}), Machine::position({})).kind,
              FaultKind::none);
  };
  std::thread other(work);
  work();
  other.join();
  EXPECT_EQ(*machine.at<u32>(), 2u * 32 * 2000);
}

TEST(Workgroup, sleeping_gives_the_thread_back) {
  Machine machine;
  machine.load("s_sleep 1\n");
  machine.execution().start(Machine::dispatch({}), Machine::position({}));
  EXPECT_EQ(machine.execution().run(1000), Progress::yielded);
  EXPECT_EQ(machine.execution().run(1000), Progress::finished);
}

TEST(Workgroup, a_stop_flag_ends_an_endless_loop) {
  Machine machine;
  machine.load("l: s_branch l\n");
  std::atomic<bool> stop{false};
  machine.execution().set_stop_flag(&stop);
  machine.execution().start(Machine::dispatch({}), Machine::position({}));
  EXPECT_EQ(machine.execution().run(10'000), Progress::yielded);
  stop = true;
  EXPECT_EQ(machine.execution().run(10'000), Progress::faulted);
  EXPECT_EQ(machine.execution().fault().kind, FaultKind::aborted);
}

TEST(Workgroup, rewritten_code_is_seen_by_the_next_one) {
  Machine machine;
  machine.run("v_mov_b32 v1, 1\nv_mov_b32 v2, 0\nglobal_store_dword v2, v1, s[0:1]\n");
  EXPECT_EQ(*machine.at<u32>(), 1u);
  machine.run("v_mov_b32 v1, 2\nv_mov_b32 v2, 0\nglobal_store_dword v2, v1, s[0:1]\n");
  EXPECT_EQ(*machine.at<u32>(), 2u);
}

TEST(Workgroup, long_programs_run_across_code_blocks) {
  Machine machine;
  std::string text = "s_mov_b32 s8, 0\n";
  for (int i = 0; i < 1500; ++i)
    text += i % 3 ? "s_add_u32 s8, s8, 1\n" : "s_add_u32 s8, s8, 0x10000\n";
  machine.run(text + "v_mov_b32 v1, s8\nv_mov_b32 v2, 0\nglobal_store_dword v2, v1, s[0:1]\n");
  EXPECT_EQ(*machine.at<u32>(), 500u * 0x10000 + 1000);
}

TEST(Workgroup, messages_raise_interrupts) {
  Machine machine;
  u32 seen = 0;
  machine.execution().set_interrupt_handler([&](u32 m0, bool) { seen = m0; });
  EXPECT_EQ(machine.run("s_mov_b32 m0, 0x1234\ns_sendmsg sendmsg(MSG_INTERRUPT)\n").kind, FaultKind::none);
  EXPECT_EQ(seen, 0x1234u);
}

// --- faults

TEST(Faults, a_load_from_nowhere_names_address_and_instruction) {
  Machine machine;
  const Fault fault =
      machine.run("s_nop 0\nv_mov_b32 v1, 0\nv_mov_b32 v2, 0x7777\nv_mov_b32 v3, 5\ns_mov_b32 exec_lo, 4\n"
                  "global_load_dword v4, v[2:3], off offset:16\n");
  EXPECT_EQ(fault.kind, FaultKind::page_fault);
  EXPECT_EQ(fault.page.address, 0x5'0000'7787u);
  EXPECT_EQ(fault.page.access, memory::Access::read);
  EXPECT_STREQ(fault.mnemonic, "global_load_dword");
  EXPECT_EQ(fault.pc, Machine::code_address + 24);
  EXPECT_NE(fault.describe().find("0x500007787"), std::string::npos) << fault.describe();
}

TEST(Faults, an_access_across_the_end_of_a_mapping_faults_at_the_first_byte_beyond) {
  Machine machine;
  const Fault fault =
      machine.run("v_mov_b32 v1, 0xffffc\nv_mov_b32 v2, 1\nglobal_store_dwordx2 v1, v[2:3], s[0:1]\n");
  EXPECT_EQ(fault.kind, FaultKind::page_fault);
  EXPECT_EQ(fault.page.access, memory::Access::write);
  EXPECT_EQ(fault.page.address, Machine::data_address + Machine::data_size);
}

TEST(Faults, stores_to_read_only_memory_fault) {
  Machine machine;
  static std::uint64_t storage[1024];
  auto* page = reinterpret_cast<std::byte*>((reinterpret_cast<std::uintptr_t>(storage) + 4095) &
                                            ~std::uintptr_t{4095});
  machine.space().map(0x300'0000'0000, 4096, page, {.writable = false, .executable = false});
  const Fault fault = machine.run("v_mov_b32 v1, 0\nv_mov_b32 v2, 0x300\nglobal_load_dword v3, v[1:2], "
                                  "off\nglobal_store_dword v[1:2], v3, off\n");
  EXPECT_EQ(fault.kind, FaultKind::page_fault);
  EXPECT_STREQ(fault.mnemonic, "global_store_dword");
  EXPECT_FALSE(fault.page.not_present);
}

TEST(Faults, a_jump_to_nowhere_is_a_fetch_fault) {
  Machine machine;
  const Fault fault = machine.run("s_mov_b64 s[4:5], 0x5000\ns_setpc_b64 s[4:5]\n");
  EXPECT_EQ(fault.kind, FaultKind::page_fault);
  EXPECT_EQ(fault.page.access, memory::Access::execute);
  EXPECT_EQ(fault.pc, 0x5000u);
}

TEST(Faults, words_that_are_no_instruction_are_illegal) {
  Machine machine;
  machine.load_code({0xffffffff, 0xbf810000});
  const Fault fault = machine.run();
  EXPECT_EQ(fault.kind, FaultKind::illegal_instruction);
  EXPECT_EQ(fault.dwords[0], 0xffffffffu);
}

TEST(Faults, what_compute_does_not_have_is_illegal) {
  for (const char* text :
       {"image_load v[0:3], v[0:1], s[0:7] dmask:0xf dim:SQ_RSRC_IMG_2D", "exp mrt0 v0, v1, v2, v3",
        "ds_add_u32 v0, v1 gds", "s_code_end", "s_sethalt 1", "s_sendmsg sendmsg(MSG_GS_DONE, GS_OP_NOP)",
        "s_getreg_b32 s8, hwreg(40)", "s_rfe_b64 s[4:5]", "v_interp_p1_f32 v0, v1, attr0.x"}) {
    Machine machine;
    EXPECT_EQ(machine.run(text).kind, FaultKind::illegal_instruction) << text;
  }
}

TEST(Faults, a_trap_has_its_number) {
  Machine machine;
  const Fault fault = machine.run("s_trap 2\n");
  EXPECT_EQ(fault.kind, FaultKind::trap);
  EXPECT_EQ(fault.trap_id, 2u);
}

TEST(Faults, misaligned_atomics_are_violations) {
  Machine machine;
  const Fault fault = machine.run("v_mov_b32 v1, 2\nv_mov_b32 v2, 1\nglobal_atomic_add v1, v2, s[0:1]\n");
  EXPECT_EQ(fault.kind, FaultKind::memory_violation);
  EXPECT_EQ(fault.address, Machine::data_address + 2);
}

TEST(Faults, the_next_workgroup_starts_clean) {
  Machine machine;
  EXPECT_EQ(machine.run("s_trap 2\n").kind, FaultKind::trap);
  EXPECT_EQ(machine.run("s_nop 0\n").kind, FaultKind::none);
}

// v128 lies behind the 128 of the wave's own: one half writes, the other reads.
TEST(Workgroup, shared_vgprs_carry_values_between_the_halves_of_a_wave64) {
  Machine machine;
  machine.load(
      "v_mov_b32 v3, v0\ns_bfm_b64 exec, 32, 0\nv_add_nc_u32 v128, 0x3e8, v0\ns_bfm_b64 exec, 32, 32\n"
      "v_mov_b32 v3, v128\nv_mov_b32 v129, v0\ns_bfm_b64 exec, 32, 0\nv_mov_b32 v3, v129\n"
      "s_mov_b64 exec, -1\nv_lshlrev_b32 v1, 2, v0\nglobal_store_dword v1, v3, s[0:1]\n",
      true);
  const Launch launch{.wave64 = true, .size = {64, 1, 1}};
  DispatchState state = Machine::dispatch(launch);
  state.pgm_rsrc3 = 1; // SHARED_VGPR_CNT: 8
  ASSERT_EQ(execute_workgroup(machine.execution(), state, Machine::position(launch)).kind, FaultKind::none);
  for (u32 lane = 0; lane < 64; ++lane)
    EXPECT_EQ(machine.at<u32>()[lane], lane < 32 ? lane + 32 : lane - 32 + 1000) << lane;
}

} // namespace
} // namespace emu::isa::test
