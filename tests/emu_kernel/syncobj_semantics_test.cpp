// Syncobjs, row by row, as Linux 6.12 was measured to behave.
#include "drm_test_device.hpp"

#include <chrono>
#include <sys/eventfd.h>
#include <thread>
#include <vector>

namespace {

using namespace drm_test;

constexpr std::uint32_t wait_for_submit = DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT;
constexpr std::uint32_t wait_available = DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE;
constexpr std::uint32_t wait_all = DRM_SYNCOBJ_WAIT_FLAGS_WAIT_ALL;
constexpr std::uint32_t wait_deadline = 1u << 3;

// Since Linux 6.6; libdrm 2.4.114 has no name for it.
struct syncobj_eventfd {
  std::uint32_t handle;
  std::uint32_t flags;
  std::uint64_t point;
  std::int32_t fd;
  std::uint32_t pad;
};

class SyncobjTest : public WithDevice {
protected:
  int eventfd_ioctl(std::uint32_t handle, std::uint64_t point, std::uint32_t flags, int event) {
    syncobj_eventfd args = {handle, flags, point, event, 0};
    return ioctl_error(fd(), DRM_IOWR(0xcf, syncobj_eventfd), &args);
  }
  int export_sync_file(std::uint32_t handle, UniqueFd& out) {
    int file = -1;
    if (drmSyncobjExportSyncFile(fd(), handle, &file) != 0)
      return errno;
    out = UniqueFd(file);
    return 0;
  }
  int import(int syncobj_fd, std::uint32_t flags, std::uint32_t handle = 0) {
    drm_syncobj_handle args = {};
    args.fd = syncobj_fd;
    args.flags = flags;
    args.handle = handle;
    const int error = ioctl_error(fd(), DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, &args);
    imported_ = args.handle;
    return error;
  }
  std::uint32_t imported_ = 0;
};

TEST_F(SyncobjTest, new_one_has_no_fence_and_created_signaled_has_one) {
  EXPECT_EQ(wait(create(), 0), EINVAL);
  EXPECT_EQ(wait(create(DRM_SYNCOBJ_CREATE_SIGNALED), 0), 0);
  drm_syncobj_create bad = {};
  bad.flags = 2;
  EXPECT_EQ(ioctl_error(fd(), DRM_IOCTL_SYNCOBJ_CREATE, &bad), EINVAL);
}

TEST_F(SyncobjTest, handles_are_the_lowest_free_numbers) {
  const std::uint32_t a = create(), b = create();
  EXPECT_EQ(b, a + 1);
  EXPECT_EQ(drmSyncobjDestroy(fd(), a), 0);
  EXPECT_EQ(create(), a);
}

TEST_F(SyncobjTest, destroyed_and_unknown_handles_are_refused) {
  const std::uint32_t handle = create();
  EXPECT_EQ(drmSyncobjDestroy(fd(), handle), 0);
  drm_syncobj_destroy again = {handle, 0};
  EXPECT_EQ(ioctl_error(fd(), DRM_IOCTL_SYNCOBJ_DESTROY, &again), EINVAL);
  EXPECT_EQ(wait(handle, 0), ENOENT);
  EXPECT_EQ(signal(handle), ENOENT);
  int out = -1;
  EXPECT_NE(drmSyncobjHandleToFD(fd(), handle, &out), 0);
  EXPECT_EQ(errno, EINVAL);
}

TEST_F(SyncobjTest, wait_without_fence) {
  const std::uint32_t handle = create();
  EXPECT_EQ(wait(handle, 0), EINVAL);
  EXPECT_EQ(wait(handle, wait_for_submit, 0), ETIME);
  EXPECT_EQ(wait(handle, wait_available), EINVAL) << "WAIT_AVAILABLE is TIMELINE_WAIT's and EVENTFD's";
}

TEST_F(SyncobjTest, wait_does_not_consume_and_reset_does) {
  const std::uint32_t handle = create();
  ASSERT_EQ(signal(handle), 0);
  EXPECT_EQ(wait(handle, 0), 0);
  EXPECT_EQ(wait(handle, 0), 0);
  ASSERT_EQ(reset(handle), 0);
  EXPECT_EQ(wait(handle, 0), EINVAL);
}

TEST_F(SyncobjTest, timeline_wait_on_point_0_asks_whether_there_is_a_fence) {
  const std::uint32_t handle = create();
  EXPECT_EQ(timeline_wait(handle, 0, wait_for_submit | wait_available), ETIME);
  ASSERT_EQ(signal(handle), 0);
  EXPECT_EQ(timeline_wait(handle, 0, wait_for_submit | wait_available), 0);
}

TEST_F(SyncobjTest, timeouts_are_absolute_and_end) {
  const std::uint32_t handle = create();
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(wait(handle, wait_for_submit, after_ms(60)), ETIME);
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_GE(took, std::chrono::milliseconds(55));
  EXPECT_EQ(wait(handle, wait_for_submit, -5), ETIME) << "in the past: does not block";
}

TEST_F(SyncobjTest, deadline_flag_is_accepted_and_unknown_flags_are_not) {
  const std::uint32_t handle = create(DRM_SYNCOBJ_CREATE_SIGNALED);
  EXPECT_EQ(wait(handle, wait_deadline), 0);
  EXPECT_EQ(timeline_wait(handle, 0, wait_deadline), 0);
  EXPECT_EQ(wait(handle, 1u << 4), EINVAL);
}

TEST_F(SyncobjTest, a_waiter_sees_the_fence_that_comes_later) {
  const std::uint32_t handle = create();
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    EXPECT_EQ(signal(handle), 0);
  });
  EXPECT_EQ(wait(handle, wait_for_submit, after_ms(5000)), 0);
  later.join();
}

TEST_F(SyncobjTest, a_waiter_sees_a_fence_that_is_reset_at_once) {
  const std::uint32_t handle = create();
  int result = -1;
  std::thread waiter([&] { result = wait(handle, wait_for_submit, after_ms(5000)); });
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_EQ(signal(handle), 0);
  EXPECT_EQ(reset(handle), 0);
  waiter.join();
  EXPECT_EQ(result, 0);
}

TEST_F(SyncobjTest, wait_any_tells_the_first_and_wait_all_needs_all) {
  const std::uint32_t handles[] = {create(), create(), create()};
  ASSERT_EQ(signal(handles[1]), 0);
  drm_syncobj_wait args = {};
  args.handles = reinterpret_cast<std::uint64_t>(handles);
  args.count_handles = 3;
  args.flags = wait_for_submit;
  EXPECT_EQ(ioctl_error(fd(), DRM_IOCTL_SYNCOBJ_WAIT, &args), 0);
  EXPECT_EQ(args.first_signaled, 1u);
  args.flags = wait_for_submit | wait_all;
  EXPECT_EQ(ioctl_error(fd(), DRM_IOCTL_SYNCOBJ_WAIT, &args), ETIME);
  ASSERT_EQ(signal(handles[0]), 0);
  ASSERT_EQ(signal(handles[2]), 0);
  EXPECT_EQ(ioctl_error(fd(), DRM_IOCTL_SYNCOBJ_WAIT, &args), 0);
}

TEST_F(SyncobjTest, every_import_gives_a_new_handle_to_the_same_object) {
  const std::uint32_t handle = create();
  const UniqueFd exported = export_fd(handle);
  EXPECT_NE(ftruncate(exported.get(), 0), 0);
  std::uint32_t first = 0, second = 0;
  ASSERT_EQ(drmSyncobjFDToHandle(fd(), exported.get(), &first), 0);
  ASSERT_EQ(drmSyncobjFDToHandle(fd(), exported.get(), &second), 0);
  EXPECT_NE(first, second);
  EXPECT_NE(first, handle);
  ASSERT_EQ(signal(first), 0);
  EXPECT_EQ(wait(handle, 0), 0);
  EXPECT_EQ(wait(second, 0), 0);
  ASSERT_EQ(reset(handle), 0);
  EXPECT_EQ(wait(second, 0), EINVAL);
}

TEST_F(SyncobjTest, exporting_keeps_what_was_there_before) {
  const std::uint32_t binary = create(DRM_SYNCOBJ_CREATE_SIGNALED), timeline = create(), empty = create();
  ASSERT_EQ(timeline_signal(timeline, 41), 0);
  const UniqueFd a = export_fd(binary), b = export_fd(timeline), c = export_fd(empty);
  EXPECT_EQ(wait(binary, 0), 0);
  EXPECT_EQ(query(timeline), 41u);
  EXPECT_EQ(wait(empty, 0), EINVAL);
  EXPECT_TRUE(readable(a.get(), 0)) << "poll() on a syncobj fd is always ready";
}

TEST_F(SyncobjTest, a_second_drm_file_imports_the_object) {
  const std::uint32_t handle = create();
  const UniqueFd exported = export_fd(handle);
  const UniqueFd other(open_render_node());
  std::uint32_t theirs = 0;
  ASSERT_EQ(drmSyncobjFDToHandle(other.get(), exported.get(), &theirs), 0);
  ASSERT_EQ(drmSyncobjSignal(other.get(), &theirs, 1), 0);
  EXPECT_EQ(wait(handle, 0), 0);
}

TEST_F(SyncobjTest, foreign_descriptors_are_refused) {
  const UniqueFd event(eventfd(0, EFD_CLOEXEC));
  EXPECT_EQ(import(event.get(), 0), EINVAL);
  EXPECT_EQ(import(-1, 0), EINVAL);
  EXPECT_EQ(import(fd(), 0), EINVAL);
  UniqueFd file;
  ASSERT_EQ(export_sync_file(create(DRM_SYNCOBJ_CREATE_SIGNALED), file), 0);
  EXPECT_EQ(import(file.get(), 0), EINVAL) << "a sync_file is no syncobj";
  const UniqueFd syncobj = export_fd(create());
  EXPECT_EQ(import(syncobj.get(), DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_IMPORT_SYNC_FILE, create()), EINVAL);
  EXPECT_EQ(import(syncobj.get(), 2), EINVAL);
}

TEST_F(SyncobjTest, sync_file_copies_the_fence) {
  const std::uint32_t handle = create(), copy = create();
  UniqueFd file;
  EXPECT_EQ(export_sync_file(handle, file), EINVAL) << "no fence, nothing to copy";
  ASSERT_EQ(signal(handle), 0);
  ASSERT_EQ(export_sync_file(handle, file), 0);
  EXPECT_TRUE(readable(file.get(), 1000));
  ASSERT_EQ(reset(handle), 0);
  EXPECT_EQ(import(file.get(), DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_IMPORT_SYNC_FILE, copy), 0);
  EXPECT_EQ(wait(copy, 0), 0);
  EXPECT_EQ(wait(handle, 0), EINVAL) << "a copy, not the object";
  EXPECT_EQ(import(file.get(), DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_IMPORT_SYNC_FILE, 9999), ENOENT);
}

TEST_F(SyncobjTest, transfer_without_a_source_fence) {
  const std::uint32_t from = create(), to = create();
  EXPECT_EQ(transfer(to, 0, from, 0), EINVAL);
  EXPECT_EQ(transfer(to, 7, from, 0), EINVAL);
  EXPECT_EQ(transfer(9999, 0, from, 0), ENOENT);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(transfer(to, 0, from, 0, wait_for_submit), ETIME);
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_GE(took, std::chrono::milliseconds(4900));
  EXPECT_LE(took, std::chrono::milliseconds(7000));
}

TEST_F(SyncobjTest, transfer_moves_between_binary_and_timeline) {
  const std::uint32_t binary = create(DRM_SYNCOBJ_CREATE_SIGNALED), timeline = create(), target = create();
  ASSERT_EQ(transfer(timeline, 5, binary, 0), 0);
  EXPECT_EQ(query(timeline), 5u);
  ASSERT_EQ(transfer(target, 0, timeline, 3), 0);
  EXPECT_EQ(wait(target, 0), 0);
  EXPECT_EQ(transfer(target, 0, timeline, 6), EINVAL) << "point 6 is not there yet";
}

TEST_F(SyncobjTest, timeline_points_count_up) {
  const std::uint32_t handle = create();
  EXPECT_EQ(query(handle), 0u);
  ASSERT_EQ(timeline_signal(handle, 5), 0);
  EXPECT_EQ(query(handle), 5u);
  EXPECT_EQ(timeline_wait(handle, 3, 0), 0);
  EXPECT_EQ(timeline_wait(handle, 5, 0), 0);
  EXPECT_EQ(timeline_wait(handle, 6, 0), EINVAL);
  EXPECT_EQ(timeline_wait(handle, 6, wait_for_submit), ETIME);
  ASSERT_EQ(timeline_signal(handle, 10), 0);
  EXPECT_EQ(query(handle), 10u);
  EXPECT_EQ(query(handle, DRM_SYNCOBJ_QUERY_FLAGS_LAST_SUBMITTED), 10u);
}

TEST_F(SyncobjTest, signaling_backwards_or_zero_keeps_the_value) {
  const std::uint32_t handle = create();
  ASSERT_EQ(timeline_signal(handle, 10), 0);
  EXPECT_EQ(timeline_signal(handle, 4), 0);
  EXPECT_EQ(query(handle), 10u);
  EXPECT_EQ(timeline_signal(handle, 0), 0);
  EXPECT_EQ(query(handle), 10u);
  ASSERT_EQ(timeline_signal(handle, 11), 0);
  EXPECT_EQ(query(handle), 11u);
}

TEST_F(SyncobjTest, binary_signal_destroys_a_timeline) {
  const std::uint32_t handle = create();
  ASSERT_EQ(timeline_signal(handle, 10), 0);
  ASSERT_EQ(signal(handle), 0);
  EXPECT_EQ(query(handle), 0u);
  EXPECT_EQ(timeline_wait(handle, 1, 0), EINVAL);
  EXPECT_EQ(wait(handle, 0), 0);
}

TEST_F(SyncobjTest, malformed_arrays_are_refused) {
  const std::uint32_t handle = create();
  drm_syncobj_array none = {};
  EXPECT_EQ(ioctl_error(fd(), DRM_IOCTL_SYNCOBJ_RESET, &none), EINVAL);
  EXPECT_EQ(ioctl_error(fd(), DRM_IOCTL_SYNCOBJ_SIGNAL, &none), EINVAL);
  drm_syncobj_array padded = {reinterpret_cast<std::uint64_t>(&handle), 1, 1};
  EXPECT_EQ(ioctl_error(fd(), DRM_IOCTL_SYNCOBJ_SIGNAL, &padded), EINVAL);
  drm_syncobj_array null = {0, 1, 0};
  EXPECT_EQ(ioctl_error(fd(), DRM_IOCTL_SYNCOBJ_SIGNAL, &null), EFAULT);
  drm_syncobj_wait nothing = {};
  EXPECT_EQ(ioctl_error(fd(), DRM_IOCTL_SYNCOBJ_WAIT, &nothing), 0);
}

TEST_F(SyncobjTest, eventfd_fires_once_when_the_fence_signals) {
  const std::uint32_t handle = create();
  const UniqueFd event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  ASSERT_EQ(eventfd_ioctl(handle, 0, 0, event.get()), 0);
  EXPECT_FALSE(readable(event.get(), 20));
  ASSERT_EQ(signal(handle), 0);
  ASSERT_TRUE(readable(event.get(), 2000));
  std::uint64_t count = 0;
  ASSERT_EQ(read(event.get(), &count, sizeof count), 8);
  EXPECT_EQ(count, 1u);
  ASSERT_EQ(reset(handle), 0);
  ASSERT_EQ(signal(handle), 0);
  EXPECT_FALSE(readable(event.get(), 50)) << "once only";
}

TEST_F(SyncobjTest, eventfd_tells_that_there_is_a_fence) {
  const std::uint32_t handle = create();
  const UniqueFd event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  std::uint64_t count = 0;
  for (int round = 0; round < 20; ++round) {
    ASSERT_EQ(eventfd_ioctl(handle, 0, wait_available, event.get()), 0);
    EXPECT_EQ(read(event.get(), &count, sizeof count), -1) << "there is none yet";
    ASSERT_EQ(drmSyncobjSignal(fd(), &handle, 1), 0);
    ASSERT_TRUE(readable(event.get(), 5000)) << round;
    ASSERT_EQ(drmSyncobjReset(fd(), &handle, 1), 0);
    EXPECT_EQ(read(event.get(), &count, sizeof count), static_cast<ssize_t>(sizeof count));
    EXPECT_EQ(count, 1u) << "once";
  }
  // Where there is one already, in the call; and emptying a syncobj tells nobody.
  ASSERT_EQ(drmSyncobjSignal(fd(), &handle, 1), 0);
  ASSERT_EQ(eventfd_ioctl(handle, 0, wait_available, event.get()), 0);
  EXPECT_EQ(read(event.get(), &count, sizeof count), static_cast<ssize_t>(sizeof count));
  ASSERT_EQ(drmSyncobjReset(fd(), &handle, 1), 0);
  ASSERT_EQ(eventfd_ioctl(handle, 0, wait_available, event.get()), 0);
  ASSERT_EQ(drmSyncobjReset(fd(), &handle, 1), 0);
  EXPECT_FALSE(readable(event.get(), 20));
  ASSERT_EQ(drmSyncobjSignal(fd(), &handle, 1), 0);
  EXPECT_TRUE(readable(event.get(), 5000));
}

TEST_F(SyncobjTest, eventfd_of_a_timeline_point) {
  const std::uint32_t handle = create();
  const UniqueFd event(eventfd(0, EFD_CLOEXEC)), past(eventfd(0, EFD_CLOEXEC)),
      available(eventfd(0, EFD_CLOEXEC));
  ASSERT_EQ(eventfd_ioctl(handle, 8, 0, event.get()), 0);
  ASSERT_EQ(eventfd_ioctl(handle, 8, wait_available, available.get()), 0);
  ASSERT_EQ(timeline_signal(handle, 7), 0);
  EXPECT_FALSE(readable(event.get(), 30));
  ASSERT_EQ(timeline_signal(handle, 9), 0);
  EXPECT_TRUE(readable(event.get(), 2000));
  EXPECT_TRUE(readable(available.get(), 2000));
  ASSERT_EQ(eventfd_ioctl(handle, 5, 0, past.get()), 0);
  EXPECT_TRUE(readable(past.get(), 0)) << "reached already: at once, within the call";
}

TEST_F(SyncobjTest, eventfd_dies_with_the_last_handle) {
  const std::uint32_t handle = create();
  const UniqueFd event(eventfd(0, EFD_CLOEXEC));
  ASSERT_EQ(eventfd_ioctl(handle, 0, 0, event.get()), 0);
  ASSERT_EQ(drmSyncobjDestroy(fd(), handle), 0);
  EXPECT_FALSE(readable(event.get(), 50));
}

TEST_F(SyncobjTest, eventfd_outlives_the_handle_where_a_descriptor_is_left) {
  const std::uint32_t handle = create();
  const UniqueFd event(eventfd(0, EFD_CLOEXEC)), exported = export_fd(handle);
  ASSERT_EQ(eventfd_ioctl(handle, 0, 0, event.get()), 0);
  ASSERT_EQ(drmSyncobjDestroy(fd(), handle), 0);
  std::uint32_t again = 0;
  ASSERT_EQ(drmSyncobjFDToHandle(fd(), exported.get(), &again), 0);
  ASSERT_EQ(signal(again), 0);
  EXPECT_TRUE(readable(event.get(), 2000));
}

TEST_F(SyncobjTest, eventfd_arguments_are_checked) {
  const std::uint32_t handle = create();
  const UniqueFd event(eventfd(0, EFD_CLOEXEC));
  EXPECT_EQ(eventfd_ioctl(handle, 0, wait_for_submit, event.get()), EINVAL);
  EXPECT_EQ(eventfd_ioctl(9999, 0, 0, event.get()), ENOENT);
  EXPECT_EQ(eventfd_ioctl(handle, 0, 0, -1), EBADF);
  EXPECT_EQ(eventfd_ioctl(handle, 0, 0, fd()), EINVAL);
}

TEST_F(SyncobjTest, thousands_of_handles_need_no_descriptors) {
  std::vector<std::uint32_t> handles;
  for (int i = 0; i < 3000; ++i)
    handles.push_back(create());
  EXPECT_EQ(signal(handles.back()), 0);
  EXPECT_EQ(wait(handles.back(), 0), 0);
}

} // namespace
