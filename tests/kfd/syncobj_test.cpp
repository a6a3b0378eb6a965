#include "gpu_fixture.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <thread>
#include <time.h>

namespace {

using namespace shim::kfd;
using namespace std::chrono_literals;
using shim::util::Fd;

Syncobj create(bool signaled = false) {
  auto syncobj = Syncobj::create(test::device().render_fd(), signaled);
  EXPECT_TRUE(syncobj);
  return *std::move(syncobj);
}

std::int64_t after(std::chrono::nanoseconds time) {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000ll + now.tv_nsec + time.count();
}

bool fired(const Fd& event, std::chrono::milliseconds patience) {
  pollfd entry{event.get(), POLLIN, 0};
  return ::poll(&entry, 1, static_cast<int>(patience.count())) == 1;
}

TEST(features, timelines_and_eventfds_are_there) {
  // Kernels before 6.6 lack eventfds; the emulated one and current ones do not.
  EXPECT_TRUE(test::device().syncobj_features().timeline);
  EXPECT_TRUE(test::device().syncobj_features().eventfd);
}

TEST(binary, signal_and_reset_are_seen_through_every_handle) {
  Syncobj ours = create();
  auto fd = ours.export_fd();
  ASSERT_TRUE(fd);
  auto theirs = Syncobj::import_fd(test::device().render_fd(), fd->get());
  ASSERT_TRUE(theirs);
  EXPECT_NE(theirs->handle(), ours.handle());
  EXPECT_NE(::fcntl(fd->get(), F_GETFD), -1);

  EXPECT_EQ(*theirs->wait_available(0, 0), WaitResult::timed_out);
  ASSERT_TRUE(ours.signal());
  EXPECT_EQ(*theirs->wait_available(0, 0), WaitResult::satisfied);
  EXPECT_EQ(*theirs->wait_signaled(0, 0), WaitResult::satisfied);
  EXPECT_EQ(*theirs->wait_signaled(0, 0), WaitResult::satisfied); // a wait consumes nothing
  ASSERT_TRUE(theirs->reset());
  EXPECT_EQ(*ours.wait_signaled(0, 0), WaitResult::timed_out);
}

TEST(binary, a_wait_sleeps_until_another_thread_signals) {
  Syncobj syncobj = create();
  std::thread signaller([&] {
    std::this_thread::sleep_for(20ms);
    EXPECT_TRUE(syncobj.signal());
  });
  auto waited = syncobj.wait_signaled(0, after(20s));
  signaller.join();
  ASSERT_TRUE(waited);
  EXPECT_EQ(*waited, WaitResult::satisfied);
}

TEST(binary, a_transfer_keeps_the_fence_that_was_there) {
  Syncobj shared = create();
  Syncobj snapshot = create();
  EXPECT_FALSE(shared.transfer_to(snapshot, 0, 0)); // no fence to take
  ASSERT_TRUE(shared.signal());
  ASSERT_TRUE(shared.transfer_to(snapshot, 0, 0));
  ASSERT_TRUE(shared.reset());
  EXPECT_EQ(*snapshot.wait_signaled(0, 0), WaitResult::satisfied);
  EXPECT_EQ(*shared.wait_available(0, 0), WaitResult::timed_out);
}

TEST(timeline, points_rise) {
  Syncobj syncobj = create();
  ASSERT_TRUE(syncobj.signal_point(5));
  EXPECT_EQ(*syncobj.query_point(), 5u);
  EXPECT_EQ(*syncobj.wait_signaled(4, 0), WaitResult::satisfied);
  EXPECT_EQ(*syncobj.wait_signaled(6, 0), WaitResult::timed_out);
  ASSERT_TRUE(syncobj.signal_point(1ull << 40));
  EXPECT_EQ(*syncobj.query_point(), 1ull << 40);
}

TEST(eventfd, fires_for_a_point_that_comes_later) {
  Syncobj syncobj = create();
  Fd event(::eventfd(0, EFD_CLOEXEC));
  ASSERT_TRUE(syncobj.register_eventfd(7, event.get()));
  ASSERT_TRUE(syncobj.signal_point(6));
  EXPECT_FALSE(fired(event, 20ms));
  ASSERT_TRUE(syncobj.signal_point(7));
  EXPECT_TRUE(fired(event, 5s));
}

TEST(eventfd, fires_at_once_for_what_is_signalled_and_later_for_a_binary_without_fence) {
  Syncobj signalled = create(true);
  Syncobj empty = create();
  Fd now(::eventfd(0, EFD_CLOEXEC));
  Fd later(::eventfd(0, EFD_CLOEXEC));
  ASSERT_TRUE(signalled.register_eventfd(0, now.get()));
  ASSERT_TRUE(empty.register_eventfd(0, later.get()));
  EXPECT_TRUE(fired(now, 5s));
  EXPECT_FALSE(fired(later, 20ms));
  ASSERT_TRUE(empty.signal());
  EXPECT_TRUE(fired(later, 5s));
}

TEST(sync_file, a_fence_becomes_one_and_no_fence_does_not) {
  Syncobj syncobj = create();
  EXPECT_FALSE(syncobj.export_sync_file());
  ASSERT_TRUE(syncobj.signal());
  auto file = syncobj.export_sync_file();
  ASSERT_TRUE(file);
  EXPECT_TRUE(fired(*file, 5s));
}

TEST(import, other_fds_are_refused_and_stay_open) {
  Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  Fd event(::eventfd(0, EFD_CLOEXEC));
  for (int fd : {null.get(), event.get(), test::device().render_fd()}) {
    EXPECT_EQ(Syncobj::import_fd(test::device().render_fd(), fd).code(), CUDA_ERROR_UNKNOWN);
    EXPECT_NE(::fcntl(fd, F_GETFD), -1);
  }
  EXPECT_EQ(Syncobj::import_fd(test::device().render_fd(), -1).code(), CUDA_ERROR_UNKNOWN);
}

} // namespace
