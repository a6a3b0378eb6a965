// The relays between streams and syncobjs by themselves, with and without the kernel's eventfds.

#include <chrono>
#include <filesystem>
#include <string>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <core/external_semaphore.hpp>
#include <core/held_streams.hpp>
#include <core/marker.hpp>
#include <core/signal_relay.hpp>
#include <core/wait_relay.hpp>

#include "../kfd/gpu_fixture.hpp"

namespace {

using namespace shim;
using namespace std::chrono_literals;

std::vector<int> descriptors(const std::string& what = "") {
  std::vector<int> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone; // the iterator's own
    if (std::filesystem::read_symlink(entry.path(), gone).string().find(what) != std::string::npos)
      found.push_back(std::stoi(entry.path().filename()));
  }
  return found;
}

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
  std::shared_ptr<core::SharedSemaphore> syncobj() {
    auto made = kfd::Syncobj::create(test::device().render_fd());
    EXPECT_TRUE(made);
    auto semaphore = std::make_shared<core::SharedSemaphore>();
    semaphore->syncobj = *std::move(made);
    return semaphore;
  }
  static bool done_in_time(const core::MarkerRef& marker) {
    auto waited = marker->signal.wait_done(test::patience);
    return waited && *waited == kfd::WaitResult::satisfied;
  }

  // A syncobj as a semaphore is one.
  struct Armed {
    core::WaitRelay& relay;
    void complete_when(core::MarkerRef marker, const std::shared_ptr<core::SharedSemaphore>& semaphore,
                       std::uint64_t point) const {
      ASSERT_TRUE(relay.prepare());
      core::ArmedWait wait;
      wait.marker = std::move(marker);
      wait.semaphore = semaphore;
      wait.point = point;
      relay.arm(std::move(wait));
    }
  };

  core::MarkerPool markers{test::device()};
  core::WaitRelay waits{test::device(), {.timeline = true, .eventfd = GetParam()}};
  Armed relay{waits};
};
INSTANTIATE_TEST_SUITE_P(kernels, Kernel, testing::Bool(),
                         [](const auto& kind) { return kind.param ? "with_eventfds" : "before_eventfds"; });

TEST_P(Kernel, waits_complete_in_any_order) {
  auto timeline = syncobj();
  auto binary = syncobj();
  core::MarkerRef five = marker();
  core::MarkerRef three = marker();
  core::MarkerRef signalled = marker();
  relay.complete_when(five, timeline, 5);
  relay.complete_when(three, timeline, 3);
  relay.complete_when(signalled, binary, 0);
  std::this_thread::sleep_for(20ms);
  EXPECT_FALSE(five->done() || three->done() || signalled->done());
  ASSERT_TRUE(binary->syncobj.signal());
  EXPECT_TRUE(done_in_time(signalled));
  ASSERT_TRUE(timeline->syncobj.signal_point(3));
  EXPECT_TRUE(done_in_time(three));
  EXPECT_FALSE(five->done());
  ASSERT_TRUE(timeline->syncobj.signal_point(6));
  EXPECT_TRUE(done_in_time(five));
}

TEST_P(Kernel, many_waits_one_after_the_other) {
  auto timeline = syncobj();
  for (std::uint64_t value = 1; value <= 200; ++value) {
    core::MarkerRef reached = marker();
    relay.complete_when(reached, timeline, value);
    ASSERT_TRUE(timeline->syncobj.signal_point(value));
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
    relay.complete_when(reached.back(), timeline, value);
  }
  setrlimit(RLIMIT_NOFILE, &before);
  ASSERT_TRUE(timeline->syncobj.signal_point(199));
  for (std::size_t i = 0; i < 199; ++i)
    ASSERT_TRUE(done_in_time(reached[i])) << i;
  EXPECT_FALSE(reached.back()->done());
  ASSERT_TRUE(timeline->syncobj.signal_point(200));
  EXPECT_TRUE(done_in_time(reached.back()));
}

TEST_P(Kernel, release_completes_what_is_armed_for_a_context_and_later_waits_work) {
  auto never = syncobj();
  core::MarkerRef released = marker();
  relay.complete_when(released, never, 0);
  waits.release(nullptr); // the context that these waits are of
  EXPECT_TRUE(released->done());
  core::MarkerRef later = marker();
  auto other = syncobj();
  relay.complete_when(later, other, 0);
  ASSERT_TRUE(never->syncobj.signal()); // the released wait's: completes nobody else's
  std::this_thread::sleep_for(20ms);
  EXPECT_FALSE(later->done());
  ASSERT_TRUE(other->syncobj.signal());
  EXPECT_TRUE(done_in_time(later));
}

// Behind every one of its descriptors stand several waits.
TEST_P(Kernel, a_thousand_waits_at_once_need_few_descriptors) {
  auto timeline = syncobj();
  std::size_t before = descriptors().size();
  std::vector<core::MarkerRef> reached;
  for (std::uint64_t value = 1; value <= 1000; ++value) {
    reached.push_back(marker());
    relay.complete_when(reached.back(), timeline, value);
  }
  EXPECT_LE(descriptors().size(), before + 140); // the emulated kernel has a few, too
  for (std::uint64_t value : {500, 1000}) {
    ASSERT_TRUE(timeline->syncobj.signal_point(value));
    for (std::uint64_t i = 0; i < value; ++i)
      ASSERT_TRUE(done_in_time(reached[i])) << i;
    EXPECT_TRUE(value == 1000 || !reached[value]->done());
  }
}

TEST_P(Kernel, a_closed_epoll_descriptor_loses_no_wait) {
  auto timeline = syncobj();
  core::MarkerRef first = marker();
  relay.complete_when(first, timeline, 1);
  ASSERT_TRUE(timeline->syncobj.signal_point(1));
  ASSERT_TRUE(done_in_time(first));
  core::MarkerRef second = marker();
  core::MarkerRef third = marker();
  relay.complete_when(second, timeline, 2);
  relay.complete_when(third, timeline, 3);
  for (int fd : descriptors("eventpoll"))
    ::close(fd); // epoll_wait() sleeps on until something wakes it, such as the second wait's end
  ASSERT_TRUE(timeline->syncobj.signal_point(2));
  EXPECT_TRUE(done_in_time(second));
  ASSERT_TRUE(timeline->syncobj.signal_point(3));
  EXPECT_TRUE(done_in_time(third));
}

TEST_P(Kernel, its_end_completes_what_is_armed) {
  auto waited = syncobj();
  core::MarkerRef armed = marker();
  {
    core::WaitRelay short_lived(test::device(), {.timeline = true, .eventfd = GetParam()});
    Armed{short_lived}.complete_when(armed, waited, 0);
  }
  EXPECT_TRUE(armed->done());
}

TEST(signal_relay, performs_at_its_end_what_is_still_pending) {
  auto made = kfd::Syncobj::create(test::device().render_fd());
  ASSERT_TRUE(made);
  auto semaphore = std::make_shared<core::SharedSemaphore>();
  semaphore->syncobj = *std::move(made);
  core::MarkerPool markers(test::device());
  core::HeldStreams held;
  core::WaitRelay waits(test::device(), {.timeline = true, .eventfd = true});
  auto pending = markers.acquire(kfd::SignalKind::polled);
  ASSERT_TRUE(pending);
  {
    core::SignalRelay relay(test::device(), held, waits);
    ASSERT_TRUE(relay.watch(**pending));
    relay.promise(1);
    relay.add({*pending, semaphore, 0});
    relay.settle();
    auto seen = semaphore->syncobj.wait_available(0, 0);
    ASSERT_TRUE(seen);
    EXPECT_EQ(*seen, kfd::WaitResult::timed_out);
  }
  auto seen = semaphore->syncobj.wait_signaled(0, 0);
  ASSERT_TRUE(seen);
  EXPECT_EQ(*seen, kfd::WaitResult::satisfied);
}

} // namespace
