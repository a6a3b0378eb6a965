#include "gpu_fixture.hpp"

#include <atomic>
#include <set>
#include <thread>
#include <vector>

namespace {

using namespace shim::kfd;
using namespace std::chrono_literals;

Signal acquire(SignalKind kind, std::int64_t initial = 1) {
  auto signal = test::device().acquire_signal(kind, initial);
  EXPECT_TRUE(signal);
  return *std::move(signal);
}

TEST(signal, starts_with_its_value_and_is_aligned_for_the_packet_processor) {
  Signal signal = acquire(SignalKind::polled, 42);
  EXPECT_EQ(signal.value(), 42);
  EXPECT_EQ(signal.gpu_address() % 64, 0u);
  EXPECT_EQ(signal.start_ticks(), 0u);
}

TEST(signal, a_polled_one_is_only_spun_for) {
  Signal signal = acquire(SignalKind::polled);
  auto waited = signal.wait_done();
  ASSERT_TRUE(waited);
  EXPECT_EQ(*waited, WaitResult::timed_out);
  signal.set(0);
  waited = signal.wait_done();
  ASSERT_TRUE(waited);
  EXPECT_EQ(*waited, WaitResult::satisfied);
}

TEST(signal, a_wait_ends_at_its_timeout) {
  Signal signal = acquire(SignalKind::interrupting);
  auto begin = std::chrono::steady_clock::now();
  auto waited = signal.wait_done(30ms);
  auto took = std::chrono::steady_clock::now() - begin;
  ASSERT_TRUE(waited);
  EXPECT_EQ(*waited, WaitResult::timed_out);
  EXPECT_GE(took, 30ms);
  EXPECT_LT(took, 5s);
}

TEST(signal, the_host_wakes_every_waiter) {
  Signal signal = acquire(SignalKind::interrupting);
  std::atomic<int> satisfied = 0;
  std::vector<std::thread> waiters;
  for (int i = 0; i < 8; ++i)
    waiters.emplace_back([&] {
      auto waited = signal.wait_done(test::patience);
      satisfied += waited && *waited == WaitResult::satisfied;
    });
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(satisfied, 0);
  ASSERT_TRUE(signal.set_and_wake(0));
  for (std::thread& waiter : waiters)
    waiter.join();
  EXPECT_EQ(satisfied, 8);
}

TEST(signal, waiters_that_come_and_go_miss_nothing) {
  Signal signal = acquire(SignalKind::interrupting);
  for (int round = 0; round < 200; ++round) {
    signal.set(1);
    std::atomic<int> satisfied = 0;
    std::vector<std::thread> waiters;
    for (int i = 0; i < 3; ++i)
      waiters.emplace_back([&] {
        auto waited = signal.wait_done(test::patience);
        satisfied += waited && *waited == WaitResult::satisfied;
      });
    ASSERT_TRUE(signal.set_and_wake(0));
    for (std::thread& waiter : waiters)
      waiter.join();
    ASSERT_EQ(satisfied, 3) << "round " << round;
  }
}

TEST(signal, the_gpu_wakes_a_sleeping_thread) {
  auto queue = test::device().create_queue();
  ASSERT_TRUE(queue);
  Signal gate = acquire(SignalKind::polled);
  Signal done = acquire(SignalKind::interrupting);
  test::submit_barrier(**queue, gate.handle(), done.handle());
  std::thread opener([&] {
    std::this_thread::sleep_for(30ms);
    gate.set(0);
  });
  EXPECT_TRUE(test::completes(done));
  opener.join();
}

// More than the kernel has events for.
TEST(signal, thousands_can_be_slept_for_at_once) {
  std::vector<Signal> signals;
  for (int i = 0; i < 5000; ++i)
    signals.push_back(acquire(SignalKind::interrupting));
  std::vector<std::thread> sleepers;
  std::atomic<int> woken = 0;
  for (int i = 0; i < 8; ++i)
    sleepers.emplace_back([&, i] { // two each of one event: the first that shares, and its owner
      auto waited = signals[static_cast<std::size_t>(i % 2 ? 100 + i / 2 : 3072 + 100 + i / 2)].wait_done(
          test::patience);
      woken += waited && *waited == WaitResult::satisfied;
    });
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(woken, 0);
  for (std::size_t i = 0; i < 4; ++i)
    ASSERT_TRUE(signals[3072 + 100 + i].set_and_wake(0));
  for (int i = 0; i < 8; i += 2)
    sleepers[static_cast<std::size_t>(i)].join();
  EXPECT_EQ(woken, 4);
  for (std::size_t i = 0; i < 4; ++i)
    ASSERT_TRUE(signals[100 + i].set_and_wake(0));
  for (int i = 1; i < 8; i += 2)
    sleepers[static_cast<std::size_t>(i)].join();
  EXPECT_EQ(woken, 8);
}

TEST(signal, polled_ones_can_raise_the_event_of_another) {
  auto queue = test::device().create_queue();
  ASSERT_TRUE(queue);
  Signal waker = acquire(SignalKind::waker);
  Signal gate = acquire(SignalKind::polled);
  Signal done = acquire(SignalKind::polled);
  done.raise_through(waker);
  test::submit_barrier(**queue, gate.handle(), done.handle());
  std::thread opener([&] {
    std::this_thread::sleep_for(20ms);
    gate.set(0);
  });
  while (done.value() > 0)
    ASSERT_TRUE(waker.wait_raised(test::patience));
  opener.join();
  done.raise_nothing();
  EXPECT_EQ(waker.value(), 1);
}

TEST(signal, the_pool_gives_distinct_ones_and_takes_them_back) {
  std::set<std::uint64_t> addresses;
  {
    std::vector<Signal> signals;
    for (int i = 0; i < 3000; ++i) {
      signals.push_back(acquire(SignalKind::polled));
      addresses.insert(signals.back().gpu_address());
    }
    EXPECT_EQ(addresses.size(), 3000u);
  }
  std::vector<Signal> again;
  for (int i = 0; i < 3000; ++i) {
    again.push_back(acquire(SignalKind::polled));
    EXPECT_TRUE(addresses.count(again.back().gpu_address()));
  }
}

} // namespace
