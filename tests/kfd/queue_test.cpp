#include "gpu_fixture.hpp"

#include <algorithm>
#include <thread>
#include <vector>

#include "code_object.hpp"
#include "kernels_gfx.hpp"

namespace {

using namespace shim::kfd;
using namespace std::chrono_literals;

std::unique_ptr<Queue> make_queue(QueueOptions options = {}) {
  auto queue = test::device().create_queue(options);
  EXPECT_TRUE(queue);
  return queue ? *std::move(queue) : nullptr;
}

Signal acquire(SignalKind kind, std::int64_t initial = 1) {
  auto signal = test::device().acquire_signal(kind, initial);
  EXPECT_TRUE(signal);
  return *std::move(signal);
}

Buffer gtt(std::uint64_t size) {
  auto buffer = test::device().allocate(MemoryKind::gtt, size);
  EXPECT_TRUE(buffer);
  return *std::move(buffer);
}

const test::CodeObject& code() {
  static const auto* object = new test::CodeObject(kernels_gfx); // the device goes before statics do
  return *object;
}

TEST(queue, sizes_that_are_no_power_of_two_are_refused) {
  EXPECT_EQ(test::device().create_queue({.packets = 100}).code(), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(test::device().create_queue({.packets = 16}).code(), CUDA_ERROR_INVALID_VALUE);
}

TEST(queue, a_barrier_completes_its_signal) {
  auto queue = make_queue();
  Signal done = acquire(SignalKind::interrupting);
  test::submit_barrier(*queue, {0}, done.handle());
  EXPECT_TRUE(test::completes(done));
  EXPECT_EQ(queue->read_index(), 1u);
}

TEST(queue, the_ring_wraps_and_refuses_when_full) {
  auto queue = make_queue({.packets = 64});
  Signal gate = acquire(SignalKind::polled);
  Signal count = acquire(SignalKind::interrupting, 64);
  test::submit_barrier(*queue, gate.handle(), count.handle());
  for (int i = 1; i < 64; ++i)
    test::submit_barrier(*queue, {0}, count.handle());
  EXPECT_FALSE(queue->try_reserve(1));
  gate.set(0);
  EXPECT_TRUE(test::completes(count));
  for (int round = 0; round < 50; ++round) {
    count.set(48);
    for (int i = 0; i < 48; ++i)
      test::submit_barrier(*queue, {0}, count.handle());
    ASSERT_TRUE(test::completes(count)) << "round " << round;
  }
}

TEST(queue, packets_with_the_barrier_bit_run_in_order) {
  auto queue = make_queue();
  Signal gate = acquire(SignalKind::polled);
  Signal first = acquire(SignalKind::interrupting);
  Signal second = acquire(SignalKind::interrupting);
  test::submit_barrier(*queue, gate.handle(), first.handle());
  test::submit_barrier(*queue, {0}, second.handle());
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(second.value(), 1);
  gate.set(0);
  EXPECT_TRUE(test::completes(second));
  EXPECT_EQ(first.value(), 0);
}

TEST(queue, a_blocked_one_blocks_no_other) {
  auto blocked = make_queue();
  auto free = make_queue();
  Signal gate = acquire(SignalKind::polled);
  Signal held = acquire(SignalKind::interrupting);
  Signal done = acquire(SignalKind::interrupting);
  test::submit_barrier(*blocked, gate.handle(), held.handle());
  test::submit_barrier(*free, {0}, done.handle());
  EXPECT_TRUE(test::completes(done));
  EXPECT_EQ(held.value(), 1);
  gate.set(0);
  EXPECT_TRUE(test::completes(held));
}

TEST(queue, kernels_run_and_write) {
  auto queue = make_queue();
  Buffer out = gtt(4 * 4096);
  Buffer arguments = test::pack_arguments(out.address(), 500u);
  Signal done = acquire(SignalKind::interrupting);
  test::submit_dispatch(*queue, {.kernel = code().kernel("fill"), .items = 4000}, arguments, done.handle());
  ASSERT_TRUE(test::completes(done));
  for (unsigned i = 0; i < 4000; ++i)
    ASSERT_EQ(out.cpu_as<std::uint32_t>()[i], 500 + i);
  EXPECT_EQ(out.cpu_as<std::uint32_t>()[4000], 0u); // the last group is partial
}

TEST(queue, completion_signals_carry_times) {
  auto queue = make_queue();
  auto before = test::device().clock_counters();
  ASSERT_TRUE(before);
  Buffer out = gtt(4096);
  Buffer arguments = test::pack_arguments(out.address(), 1u);
  Signal done = acquire(SignalKind::interrupting);
  test::submit_dispatch(*queue, {.kernel = code().kernel("fill"), .items = 64}, arguments, done.handle());
  ASSERT_TRUE(test::completes(done));
  auto after = test::device().clock_counters();
  ASSERT_TRUE(after);
  EXPECT_GE(done.start_ticks(), before->gpu_ticks);
  EXPECT_GE(done.end_ticks(), done.start_ticks());
  EXPECT_LE(done.end_ticks(), after->gpu_ticks);
}

TEST(queue, two_run_kernels_at_the_same_time) {
  auto waiting = make_queue();
  auto working = make_queue();
  Buffer flag = gtt(4096);
  Buffer wait_arguments = test::pack_arguments(flag.address());
  Signal waited = acquire(SignalKind::interrupting);
  test::submit_dispatch(*waiting, {.kernel = code().kernel("wait_for_host"), .items = 1, .group = 1},
                        wait_arguments, waited.handle());
  Buffer out = gtt(4096);
  Buffer arguments = test::pack_arguments(out.address(), 9u);
  Signal done = acquire(SignalKind::interrupting);
  test::submit_dispatch(*working, {.kernel = code().kernel("fill"), .items = 64}, arguments, done.handle());
  EXPECT_TRUE(test::completes(done));
  EXPECT_EQ(waited.value(), 1);
  __atomic_store_n(flag.cpu_as<std::uint32_t>(), 1, __ATOMIC_RELEASE);
  EXPECT_TRUE(test::completes(waited));
}

TEST(queue, scratch_is_given_when_a_kernel_first_needs_it) {
  auto queue = make_queue();
  constexpr unsigned count = 64;
  constexpr unsigned items = 256;
  Buffer order = gtt(4096);
  for (unsigned i = 0; i < count; ++i)
    order.cpu_as<std::uint32_t>()[i] = (i * 37 + 11) % count;
  Buffer out = gtt(items * count * 4);
  Buffer arguments = test::pack_arguments(order.address(), out.address(), count);
  std::uint32_t scratch = code().scratch("permute");
  ASSERT_GE(scratch, count * 4) << "the compiler kept the array in registers: the test tests nothing";
  for (int round = 0; round < 2; ++round) {
    std::memset(out.cpu(), 0, out.size());
    Signal done = acquire(SignalKind::interrupting);
    test::submit_dispatch(*queue, {.kernel = code().kernel("permute"), .items = items, .scratch = scratch},
                          arguments, done.handle());
    ASSERT_TRUE(test::completes(done));
    for (unsigned item = 0; item < items; ++item)
      for (unsigned i = 0; i < count; ++i)
        ASSERT_EQ(out.cpu_as<std::uint32_t>()[item * count + (i * 37 + 11) % count], i + item);
  }
}

TEST(queue, a_hundred_at_once) {
  std::vector<std::unique_ptr<Queue>> queues;
  std::vector<Signal> signals;
  for (int i = 0; i < 100; ++i) {
    queues.push_back(make_queue({.packets = 64}));
    ASSERT_TRUE(queues.back());
    signals.push_back(acquire(SignalKind::interrupting));
    test::submit_barrier(*queues.back(), {0}, signals.back().handle());
  }
  for (Signal& signal : signals)
    ASSERT_TRUE(test::completes(signal));
}

TEST(queue, its_priority_can_change) {
  auto queue = make_queue({.priority = QueuePriority::high});
  EXPECT_TRUE(queue->set_priority(QueuePriority::low));
  Signal done = acquire(SignalKind::interrupting);
  test::submit_barrier(*queue, {0}, done.handle());
  EXPECT_TRUE(test::completes(done));
}

} // namespace
