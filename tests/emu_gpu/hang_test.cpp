// What does not end by itself, and the watchdog that ends it.
#include "kernels.hpp"
#include "machine.hpp"

#include <cstdlib>

using namespace test;
using emu::gpu::FaultKind;
using emu::gpu::Ring;

namespace {

using Words = std::vector<std::uint32_t>;

constexpr auto limit = 100ms;

Words endless_dispatch(Machine& machine) {
  const std::uint64_t code = machine.code(kernels::endless);
  const auto low = static_cast<std::uint32_t>(code >> 8), high = static_cast<std::uint32_t>(code >> 40);
  return {0xc0027600,
          (0xb830 - 0xb000) / 4,
          low,
          high, // COMPUTE_PGM
          0xc0027600,
          (0xb848 - 0xb000) / 4,
          2 | 1u << 30,
          2 << 1, // COMPUTE_PGM_RSRC1, 2
          0xc0037600,
          (0xb81c - 0xb000) / 4,
          64,
          1,
          1, // COMPUTE_NUM_THREAD
          0xc0031500,
          4,
          1,
          1,
          1 | 1 << 2 | 1 << 15}; // DISPATCH_DIRECT
}

Words endless_wait(Machine& machine) {
  const std::uint64_t at = va(machine.allocate<std::uint32_t>());
  return {0xc0053c00, 0x13, static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(at >> 32), 1, ~0u, 4};
}

// An indirect buffer that goes on with itself.
Words endless_chain(Machine& machine) {
  auto* ib = machine.allocate<std::uint32_t>(4);
  const Words words{0xc0023f00, static_cast<std::uint32_t>(va(ib)), static_cast<std::uint32_t>(va(ib) >> 32),
                    4 | 1 << 20 | 1 << 23};
  std::memcpy(ib, words.data(), 16);
  return words;
}

std::optional<Fault> submit(Machine& machine, const Words& words, Ring ring, const std::atomic<bool>& stop) {
  const emu::gpu::IndirectBuffer ib{machine.code(words), static_cast<std::uint32_t>(words.size()), 0};
  return machine.gpu.submit({ring, machine.space, emu::gpu::drm_apertures, {&ib, 1}}, stop);
}

struct Hang {
  const char* name;
  Words (*words)(Machine&);
};
class Hangs : public testing::TestWithParam<Hang> {};

TEST_P(Hangs, end_when_the_watchdog_says_so) {
  Machine machine(limit);
  const auto before = std::chrono::steady_clock::now();
  const std::optional<Fault> fault = submit(machine, GetParam().words(machine), Ring::compute, {false});
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->kind, FaultKind::hang);
  EXPECT_EQ(fault->vmid, emu::gpu::first_drm_vmid);
  EXPECT_GE(std::chrono::steady_clock::now() - before, limit);
}

TEST_P(Hangs, end_when_their_owner_says_so) {
  Machine machine;
  std::atomic<bool> stop{false};
  std::thread stopper([&] {
    std::this_thread::sleep_for(30ms);
    stop = true;
  });
  const std::optional<Fault> fault = submit(machine, GetParam().words(machine), Ring::graphics, stop);
  stopper.join();
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->kind, FaultKind::stopped);
}

INSTANTIATE_TEST_SUITE_P(All, Hangs,
                         testing::Values(Hang{"shader", endless_dispatch}, Hang{"wait", endless_wait},
                                         Hang{"chain", endless_chain}),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(hang, of_a_queue_is_reported_and_other_queues_go_on) {
  Machine machine(limit);
  AqlQueue queue(machine);
  AqlQueue other(machine);
  Signal* done = make_signal(machine, 1);
  Signal* other_done = make_signal(machine, 1);
  queue.submit(dispatch(machine.kernel(kernels::endless), 100, 1, nullptr, done));
  ASSERT_TRUE(eventually([&] { return machine.faults().size() == 1; }));
  EXPECT_EQ(machine.faults()[0].kind, FaultKind::hang);
  EXPECT_EQ(machine.faults()[0].queue, queue.id);
  EXPECT_FALSE(machine.faults()[0].told_by_signal);
  EXPECT_EQ(peek(&done->value), 1);
  EXPECT_EQ(peek(&queue.inactive->value), 0);
  other.submit(barrier(barrier_and, {}, other_done));
  EXPECT_TRUE(eventually([&] { return peek(&other_done->value) == 0; }));
}

TEST(hang, a_queue_that_waits_for_a_signal_does_not_hang) {
  Machine machine(limit);
  AqlQueue queue(machine);
  Signal* later = make_signal(machine, 1);
  Signal* done = make_signal(machine, 1);
  queue.submit(barrier(barrier_and, {later}, done));
  std::this_thread::sleep_for(3 * limit);
  EXPECT_TRUE(machine.faults().empty());
  poke(&later->value, 0);
  EXPECT_TRUE(eventually([&] { return peek(&done->value) == 0; }));
}

TEST(hang, the_environment_sets_the_watchdog) {
  setenv("CUDA_SHIM_EMU_WATCHDOG", "50", 1);
  Machine machine;
  emu::gpu::Gpu gpu({});
  unsetenv("CUDA_SHIM_EMU_WATCHDOG");
  const Words words = endless_wait(machine);
  const emu::gpu::IndirectBuffer ib{machine.code(words), static_cast<std::uint32_t>(words.size()), 0};
  const auto fault = gpu.submit({Ring::compute, machine.space, emu::gpu::drm_apertures, {&ib, 1}}, {false});
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->kind, FaultKind::hang);
}

} // namespace
