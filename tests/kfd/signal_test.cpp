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
      waiters.emplace_back([&, i] {
        SignalCondition condition{&signal, 1};
        auto waited = i == 0 ? wait_any(test::device(), {&condition, 1}, test::patience)
                             : signal.wait_done(test::patience);
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

TEST(signal, wait_any_returns_with_the_first_of_many) {
  std::vector<Signal> signals;
  std::vector<SignalCondition> conditions;
  for (int i = 0; i < 40; ++i)
    signals.push_back(acquire(SignalKind::interrupting));
  for (Signal& signal : signals)
    conditions.push_back({&signal, 1});
  auto nothing = wait_any(test::device(), conditions, 10ms);
  ASSERT_TRUE(nothing);
  EXPECT_EQ(*nothing, WaitResult::timed_out);
  std::thread setter([&] {
    std::this_thread::sleep_for(10ms);
    EXPECT_TRUE(signals[33].set_and_wake(0));
  });
  auto waited = wait_any(test::device(), conditions, test::patience);
  setter.join();
  ASSERT_TRUE(waited);
  EXPECT_EQ(*waited, WaitResult::satisfied);
}

TEST(signal, polled_ones_can_raise_the_event_of_another) {
  auto queue = test::device().create_queue();
  ASSERT_TRUE(queue);
  Signal waker = acquire(SignalKind::interrupting);
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
