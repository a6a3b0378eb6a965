// Global wave sync: barriers and semaphores between waves, also of different workgroups.
#include <array>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include <isa/global_wave_sync.hpp>

#include "machine.hpp"
#include "recorder.hpp"

namespace emu::isa::test {
namespace {

using u32 = std::uint32_t;

class GlobalWaveSyncInstructions : public testing::Test {
protected:
  // A workgroup of the kernel, not yet run; s6 is its number.
  void start(const std::string& text, u32 waves = 1, u32 s6 = 0) {
    record_text(text);
    if (groups_.empty())
      machine_.load(text);
    const Launch launch{.size = {waves * 32, 1, 1}, .user = {0, 0, 0, 0, s6}};
    DispatchState state = Machine::dispatch(launch);
    state.global_wave_sync = has_sync_ ? &sync_ : nullptr;
    groups_.push_back(std::make_unique<WorkgroupExecution>(machine_.cache()));
    groups_.back()->start(state, Machine::position(launch));
  }
  // All, in turns, as long as any gets on.
  std::vector<Progress> run() {
    std::vector<Progress> progress(groups_.size(), Progress::yielded);
    for (int round = 0; round < 50; ++round)
      for (std::size_t i = 0; i < groups_.size(); ++i)
        if (progress[i] == Progress::yielded)
          progress[i] = groups_[i]->run(1000);
    return progress;
  }
  static std::size_t finished(const std::vector<Progress>& all) {
    return static_cast<std::size_t>(std::count(all.begin(), all.end(), Progress::finished));
  }

  Machine machine_;
  GlobalWaveSync sync_;
  bool has_sync_ = true;
  std::vector<std::unique_ptr<WorkgroupExecution>> groups_;
};

// Each of four workgroups leaves a mark in front of a barrier and counts the others' behind it; three times.
TEST_F(GlobalWaveSyncInstructions, a_barrier_holds_all_until_the_last_has_come) {
  sync_.initialise(7, 3);
  const std::string round =
      "global_store_dword v1, v2, s[0:1]\ns_waitcnt_vscnt null, 0\n"
      "s_mov_b32 m0, 0x50000\nds_gws_barrier v3 offset:2 gds\ns_waitcnt 0\n"
      "global_load_dwordx4 v[8:11], v4, s[0:1]\ns_waitcnt vmcnt(0)\n"
      "v_add_nc_u32 v5, v5, v8\nv_add_nc_u32 v5, v5, v9\nv_add_nc_u32 v5, v5, v10\n"
      "v_add_nc_u32 v5, v5, v11\nds_gws_barrier v3 offset:2 gds\nv_add_nc_u32 v2, v2, 1\n";
  const std::string text = "s_mov_b32 exec_lo, 1\ns_lshl_b32 s7, s6, 2\nv_mov_b32 v1, s7\nv_mov_b32 v2, 1\n"
                           "v_mov_b32 v3, 3\nv_mov_b32 v4, 0\nv_mov_b32 v5, 0\n" +
                           round + round + round + "global_store_dword v1, v5, s[0:1] offset:64\n";
  for (u32 i = 0; i < 3; ++i)
    start(text, 1, i);
  EXPECT_EQ(finished(run()), 0u);
  EXPECT_EQ(machine_.at<u32>()[2], 1u);
  EXPECT_EQ(machine_.at<u32>()[3], 0u);
  start(text, 1, 3);
  EXPECT_EQ(finished(run()), 4u);
  for (u32 i = 0; i < 4; ++i)
    EXPECT_EQ(machine_.at<u32>()[16 + i], 4u + 8u + 12u) << i;
}

// The first active lane says how many; each round may be of another size.
TEST_F(GlobalWaveSyncInstructions, init_takes_the_first_active_lane_and_barriers_take_turns) {
  start("v_mov_b32 v3, v0\ns_mov_b32 exec_lo, 0xfffe\ns_mov_b32 m0, 0\nds_gws_init v3 offset:65 gds\n");
  EXPECT_EQ(finished(run()), 1u); // resource 1: two arrivals
  GlobalWaveSync::Wait first, second, third, fourth;
  EXPECT_FALSE(sync_.pass(1, 2, first));
  EXPECT_TRUE(sync_.pass(1, 2, second));
  EXPECT_TRUE(sync_.pass(1, 2, first));
  EXPECT_FALSE(sync_.pass(1, 0, first)); // now three
  EXPECT_FALSE(sync_.pass(1, 0, second));
  EXPECT_FALSE(sync_.pass(1, 0, first));
  EXPECT_TRUE(sync_.pass(1, 0, third));
  EXPECT_TRUE(sync_.pass(1, 0, fourth)); // now one
  EXPECT_TRUE(sync_.pass(1, 0, first));
  EXPECT_TRUE(sync_.pass(1, 0, second));
}

TEST_F(GlobalWaveSyncInstructions, a_barrier_among_the_waves_of_one_workgroup) {
  sync_.initialise(0, 7);
  start("s_mov_b32 m0, 0\nv_mov_b32 v3, 7\nds_gws_barrier v3 gds\n", 8);
  EXPECT_EQ(finished(run()), 1u);
}

TEST_F(GlobalWaveSyncInstructions, a_semaphore_lets_as_many_go_as_it_was_released_for) {
  const std::string acquire = "s_mov_b32 m0, 0\nds_gws_sema_p offset:4 gds\n";
  for (u32 i = 0; i < 6; ++i)
    start(acquire);
  EXPECT_EQ(finished(run()), 0u);
  const auto also = [&](const std::string& text) {
    Machine other;
    record_text(text);
    other.load(text);
    DispatchState state = Machine::dispatch({});
    state.global_wave_sync = &sync_;
    EXPECT_EQ(execute_workgroup(other.execution(), state, Machine::position({})).kind, FaultKind::none);
  };
  also("s_mov_b32 m0, 0x40000\nds_gws_sema_v gds\n");
  EXPECT_EQ(finished(run()), 1u);
  also("s_mov_b32 m0, 0\nv_mov_b32 v1, 2\nds_gws_sema_br v1 offset:4 gds\n");
  groups_.erase(std::remove_if(groups_.begin(), groups_.end(),
                               [](auto& group) { return group->run(100) == Progress::finished; }),
                groups_.end());
  EXPECT_EQ(groups_.size(), 3u);
  also("s_mov_b32 m0, 0\nds_gws_sema_release_all offset:4 gds\n");
  EXPECT_EQ(finished(run()), 3u);
  also("s_mov_b32 m0, 0\nds_gws_sema_release_all offset:4 gds\n"); // nobody waits: nothing is kept
  start(acquire);
  EXPECT_EQ(run().back(), Progress::yielded);
}

TEST_F(GlobalWaveSyncInstructions, without_resources_it_is_a_violation) {
  has_sync_ = false;
  start("s_mov_b32 m0, 0\nds_gws_barrier v0 gds\n");
  EXPECT_EQ(run()[0], Progress::faulted);
  EXPECT_EQ(groups_[0]->fault().kind, FaultKind::memory_violation);
}

} // namespace
} // namespace emu::isa::test
