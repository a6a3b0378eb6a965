// The relay between streams and syncobjs by itself, with and without the kernel's eventfds.

#include <chrono>
#include <sys/resource.h>
#include <thread>
#include <vector>

#include <core/marker.hpp>
#include <core/relay.hpp>

#include "../kfd/gpu_fixture.hpp"

namespace {

using namespace shim;
using namespace std::chrono_literals;

class Kernel : public testing::TestWithParam<bool> {
protected:
  core::MarkerRef marker() {
    auto made = markers.acquire(kfd::SignalKind::interrupting);
    EXPECT_TRUE(made);
    return *made;
  }
  core::MarkerRef polled_marker() {
    auto made = markers.acquire(kfd::SignalKind::polled);
    EXPECT_TRUE(made);
    return *made;
  }
  std::shared_ptr<kfd::Syncobj> syncobj() {
    auto made = kfd::Syncobj::create(test::device().render_fd());
    EXPECT_TRUE(made);
    return std::make_shared<kfd::Syncobj>(*std::move(made));
  }
  static bool done_in_time(const core::MarkerRef& marker) {
    auto waited = marker->signal.wait_done(test::patience);
    return waited && *waited == kfd::WaitResult::satisfied;
  }

  core::MarkerPool markers{test::device()};
  core::Relay relay{test::device(), {.timeline = true, .eventfd = GetParam()}};
};
INSTANTIATE_TEST_SUITE_P(kernels, Kernel, testing::Bool(),
                         [](const auto& kind) { return kind.param ? "with_eventfds" : "before_eventfds"; });

TEST_P(Kernel, waits_complete_in_any_order) {
  auto timeline = syncobj();
  auto binary = syncobj();
  core::MarkerRef five = marker();
  core::MarkerRef three = marker();
  core::MarkerRef signalled = marker();
  relay.complete_when(five, *timeline, 5, timeline);
  relay.complete_when(three, *timeline, 3, timeline);
  relay.complete_when(signalled, *binary, 0, binary);
  std::this_thread::sleep_for(20ms);
  EXPECT_FALSE(five->done() || three->done() || signalled->done());
  ASSERT_TRUE(binary->signal());
  EXPECT_TRUE(done_in_time(signalled));
  ASSERT_TRUE(timeline->signal_point(3));
  EXPECT_TRUE(done_in_time(three));
  EXPECT_FALSE(five->done());
  ASSERT_TRUE(timeline->signal_point(6));
  EXPECT_TRUE(done_in_time(five));
}

TEST_P(Kernel, many_waits_one_after_the_other) {
  auto timeline = syncobj();
  for (std::uint64_t value = 1; value <= 200; ++value) {
    core::MarkerRef reached = marker();
    relay.complete_when(reached, *timeline, value, timeline);
    ASSERT_TRUE(timeline->signal_point(value));
    ASSERT_TRUE(done_in_time(reached)) << value;
  }
}

TEST_P(Kernel, more_waits_than_the_process_may_have_descriptors) {
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit few = {64, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  auto timeline = syncobj();
  std::vector<core::MarkerRef> reached;
  for (std::uint64_t value = 1; value <= 200; ++value) {
    reached.push_back(marker());
    relay.complete_when(reached.back(), *timeline, value, timeline);
  }
  setrlimit(RLIMIT_NOFILE, &before);
  ASSERT_TRUE(timeline->signal_point(199));
  for (std::size_t i = 0; i < 199; ++i)
    ASSERT_TRUE(done_in_time(reached[i])) << i;
  EXPECT_FALSE(reached.back()->done());
  ASSERT_TRUE(timeline->signal_point(200));
  EXPECT_TRUE(done_in_time(reached.back()));
}

TEST_P(Kernel, release_completes_what_is_armed_and_later_waits_work) {
  auto never = syncobj();
  core::MarkerRef released = marker();
  relay.complete_when(released, *never, 0, never);
  relay.release_armed();
  EXPECT_TRUE(released->done());
  core::MarkerRef later = marker();
  auto other = syncobj();
  relay.complete_when(later, *other, 0, other);
  ASSERT_TRUE(never->signal()); // the released wait's: completes nobody else's
  std::this_thread::sleep_for(20ms);
  EXPECT_FALSE(later->done());
  ASSERT_TRUE(other->signal());
  EXPECT_TRUE(done_in_time(later));
}

TEST_P(Kernel, its_end_releases_both_sides) {
  auto waited = syncobj();
  auto signalled = std::make_shared<core::SharedSemaphore>();
  auto made = kfd::Syncobj::create(test::device().render_fd());
  ASSERT_TRUE(made);
  signalled->syncobj = *std::move(made);
  core::ExternalSemaphore semaphore(nullptr, signalled);
  core::SemaphoreOperation operation = {&semaphore, 0};
  core::MarkerRef armed = marker();
  core::MarkerRef pending = polled_marker();
  {
    core::Relay short_lived(test::device(), {.timeline = true, .eventfd = GetParam()});
    ASSERT_TRUE(short_lived.watch(*pending));
    short_lived.complete_when(armed, *waited, 0, waited);
    short_lived.signal_after(pending, {&operation, 1});
    EXPECT_FALSE(short_lived.flush());
  }
  EXPECT_TRUE(armed->done());
  auto seen = signalled->syncobj.wait_signaled(0, 0);
  ASSERT_TRUE(seen);
  EXPECT_EQ(*seen, kfd::WaitResult::satisfied);
}

} // namespace
