// Where waves go, and what they tell the outside world.
#include "kernels.hpp"
#include "machine.hpp"

#include <set>

using namespace test;

namespace {

struct Place {
  std::uint32_t engine, array, wgp, simd, slot;
  explicit Place(std::uint32_t hw_id1)
      : engine(hw_id1 >> 18 & 3), array(hw_id1 >> 16 & 1), wgp(hw_id1 >> 10 & 15), simd(hw_id1 >> 8 & 3),
        slot(hw_id1 & 31) {}
};

class Waves : public testing::Test {
protected:
  // The words that a kernel of so many workgroups stores, one for each.
  std::vector<std::uint32_t> run(AqlQueue& queue, const std::vector<std::uint32_t>& code,
                                 std::uint32_t groups) {
    auto* out = machine.allocate<std::uint32_t>(groups);
    auto* arguments = machine.allocate<std::uint64_t>();
    *arguments = va(out);
    Signal* done = make_signal(machine, 1);
    queue.submit(dispatch(machine.kernel(code), groups, 1, arguments, done));
    EXPECT_TRUE(eventually([&] { return peek(&done->value) == 0; }));
    return {out, out + groups};
  }
  Machine machine;
};

TEST_F(Waves, workgroups_are_dealt_to_all_thirty_six_workgroup_processors) {
  AqlQueue queue(machine);
  std::set<std::uint32_t> seen;
  for (const std::uint32_t id : run(queue, kernels::store_hw_id1, 72)) {
    const Place place(id);
    EXPECT_LT(place.wgp, place.array == 0 ? 5u : 4u);
    seen.insert(id);
  }
  EXPECT_EQ(seen.size(), 36u);
}

TEST_F(Waves, a_compute_unit_mask_says_where_they_go) {
  AqlQueue queue(machine);
  // Pairs of bits go round the four engines, then the arrays: pair 1 is engine 1's first, pair 9 its second.
  ASSERT_TRUE(machine.gpu.set_cu_mask(queue.id, {3u << 2 | 3u << 18}));
  std::set<std::uint32_t> seen;
  for (const std::uint32_t id : run(queue, kernels::store_hw_id1, 40)) {
    const Place place(id);
    EXPECT_EQ(place.engine, 1u);
    EXPECT_EQ(place.array, 0u);
    seen.insert(place.wgp);
  }
  EXPECT_EQ(seen, (std::set<std::uint32_t>{0, 1}));

  ASSERT_TRUE(machine.gpu.set_cu_mask(queue.id, {3u << 8})); // the fifth pair: the second array of engine 0
  for (const std::uint32_t id : run(queue, kernels::store_hw_id1, 4))
    EXPECT_EQ(Place(id).array, 1u);
  EXPECT_FALSE(machine.gpu.set_cu_mask(queue.id + 1, {3}));
}

// As many as fit at once meet; more than that wait for each other for ever.
TEST_F(Waves, a_mask_bounds_how_many_workgroups_run_at_once) {
  AqlQueue queue(machine);
  ASSERT_TRUE(machine.gpu.set_cu_mask(queue.id, {3}));
  struct Arguments {
    std::uint64_t counter;
    std::uint32_t expected;
  };
  auto* counter = machine.allocate<std::uint32_t>();
  auto* arguments = machine.allocate<Arguments>();
  const std::uint64_t kernel = machine.kernel(kernels::meet_all_groups);
  constexpr std::uint32_t places = 64; // waves of a WGP

  *arguments = {va(counter), places};
  Signal* done = make_signal(machine, 1);
  queue.submit(dispatch(kernel, places, 1, arguments, done));
  EXPECT_TRUE(eventually([&] { return peek(&done->value) == 0; }, 20000ms));

  poke(counter, 0u);
  arguments->expected = places + 1;
  poke(&done->value, 1);
  queue.submit(dispatch(kernel, places + 1, 1, arguments, done));
  EXPECT_TRUE(eventually([&] { return peek(counter) == places; }, 20000ms));
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(peek(counter), places);
  EXPECT_EQ(peek(&done->value), 1);
  poke(counter, places + 1);
  EXPECT_TRUE(eventually([&] { return peek(&done->value) == 0; }, 20000ms));
}

TEST_F(Waves, an_empty_mask_starts_nothing_and_can_be_left) {
  AqlQueue queue(machine);
  ASSERT_TRUE(machine.gpu.set_cu_mask(queue.id, {0, 0, 0}));
  Signal* done = make_signal(machine, 1);
  queue.submit(dispatch(machine.kernel(kernels::endless), 1, 1, nullptr, done));
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(peek(&done->value), 1);
  EXPECT_TRUE(machine.gpu.destroy_queue(queue.id));
}

// s_load_dwordx2 s[4:5], s[0:1], 0x0; v_mov_b32 v0, 0; v_mov_b32 v1, 1; s_waitcnt lgkmcnt(0); again:
// global_atomic_add v0, v1, s[4:5]; s_branch again
const std::vector<std::uint32_t> count_for_ever{0xf4040100, 0xfa000000, 0x7e000280, 0x7e020281, 0xbf8cc07f,
                                                0xdcc88000, 0x00040100, 0xbf82fffd, 0xbf810000};

TEST_F(Waves, of_a_queue_that_is_taken_off_the_hardware_stand_still) {
  AqlQueue queue(machine);
  auto* counter = machine.allocate<std::uint32_t>();
  auto* arguments = machine.allocate<std::uint64_t>();
  *arguments = va(counter);
  queue.submit(dispatch(machine.kernel(count_for_ever), 8, 1, arguments, nullptr));
  ASSERT_TRUE(eventually([&] { return peek(counter) > 1000; }));
  emu::gpu::QueueUpdate off = queue.update(7);
  off.percentage = 0;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(machine.gpu.update_queue(queue.id, off));
    const std::uint32_t stopped = peek(counter);
    std::this_thread::sleep_for(10ms);
    EXPECT_EQ(peek(counter), stopped);
    ASSERT_TRUE(machine.gpu.update_queue(queue.id, queue.update(7)));
    EXPECT_TRUE(eventually([&] { return peek(counter) != stopped; }));
  }
  ASSERT_TRUE(machine.gpu.update_queue(queue.id, off));
  EXPECT_TRUE(machine.gpu.destroy_queue(queue.id)); // comes back
}

TEST_F(Waves, see_their_vmid) {
  AqlQueue queue(machine);
  EXPECT_EQ(run(queue, kernels::store_hw_id2, 1)[0] >> 24 & 15, emu::gpu::first_kfd_vmid);
}

TEST_F(Waves, interrupt_with_m0) {
  AqlQueue queue(machine);
  queue.submit(dispatch(machine.kernel(kernels::send_interrupt), 2, 1, nullptr, nullptr));
  ASSERT_TRUE(eventually([&] { return machine.interrupts().size() == 2; }));
  EXPECT_EQ(machine.interrupts()[0].source, Interrupt::Source::sq_message);
  EXPECT_EQ(machine.interrupts()[0].queue, queue.id);
  EXPECT_EQ(machine.interrupts()[0].context_id, 0x345u);
  EXPECT_TRUE(machine.faults().empty());
}

// A kernel that rings another queue's doorbell and waits for what is in there.
TEST_F(Waves, can_ring_doorbells) {
  machine.gpu.watch_doorbells(machine.doorbells, Machine::doorbell_page);
  constexpr std::uint64_t page = 0x7000'0000'0000;
  ASSERT_TRUE(machine.space->map(page, Machine::doorbell_page,
                                 reinterpret_cast<std::byte*>(machine.doorbell_alias), {}));
  AqlQueue queue(machine);
  AqlQueue other(machine);
  Signal* done = make_signal(machine, 1);
  Signal* rung = make_signal(machine, 1);
  std::this_thread::sleep_for(5ms); // the other queue's write pointer has been read
  other.write(barrier(barrier_and, {}, rung));
  auto* arguments = machine.allocate<std::uint64_t>(2);
  arguments[0] = page + other.doorbell() * 8; // index 0
  arguments[1] = va(&rung->value);
  queue.submit(dispatch(machine.kernel(kernels::ring_and_wait_for_zero), 1, 1, arguments, done));
  EXPECT_TRUE(eventually([&] { return peek(&done->value) == 0; }));
  machine.gpu.forget_doorbells(machine.doorbells, Machine::doorbell_page);
}

// Both kernels have more workgroups than there are threads: the one that is wanted more is done first.
TEST_F(Waves, of_the_queue_with_the_higher_priority_start_first) {
  AqlQueue low(machine);
  AqlQueue high(machine);
  machine.gpu.update_queue(low.id, low.update(0));
  machine.gpu.update_queue(high.id, high.update(15));
  for (AqlQueue* queue : {&low, &high})
    *queue->field<std::uint32_t>(0xb4) |= 1 << 3; // profiling: signals get time stamps
  int first = 0;
  constexpr int rounds = 15;
  for (int i = 0; i < rounds; ++i) {
    constexpr std::uint32_t groups = 20'000;
    auto* out = machine.allocate<std::uint32_t>(groups);
    auto* arguments = machine.allocate<std::uint64_t>();
    *arguments = va(out);
    Signal* low_done = make_signal(machine, 1);
    Signal* high_done = make_signal(machine, 1);
    const std::uint64_t kernel = machine.kernel(kernels::store_hw_id1);
    Signal* go = make_signal(machine, 1);
    low.submit(barrier(barrier_and, {go}, nullptr));
    high.submit(barrier(barrier_and, {go}, nullptr));
    low.submit(dispatch(kernel, groups, 1, arguments, low_done));
    high.submit(dispatch(kernel, groups, 1, arguments, high_done));
    std::this_thread::sleep_for(2ms);
    poke(&go->value, 0);
    ASSERT_TRUE(eventually([&] { return peek(&low_done->value) == 0 && peek(&high_done->value) == 0; }));
    first += high_done->end_ts < low_done->end_ts;
  }
  EXPECT_GT(first, rounds / 2);
}

} // namespace
