// The emulated card's render node, and small RAII helpers, for tests that talk to it through libdrm and bare
// ioctls.
#pragma once

#include <gtest/gtest.h>

#include <amdgpu_drm.h>
#include <xf86drm.h>

#include <cerrno>
#include <cstdint>
#include <ctime>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace drm_test {

class UniqueFd {
public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~UniqueFd() {
    if (fd_ >= 0)
      close(fd_);
  }
  int get() const { return fd_; }
  void reset() { UniqueFd().swap(*this); }
  void swap(UniqueFd& other) { std::swap(fd_, other.fd_); }

private:
  int fd_ = -1;
};

inline int open_render_node() {
  return open("/dev/dri/renderD128", O_RDWR | O_CLOEXEC);
}

// 0, or the errno of an ioctl.
inline int ioctl_error(int fd, unsigned long request, void* argument) {
  return drmIoctl(fd, request, argument) == 0 ? 0 : errno;
}

inline std::int64_t after_ms(std::int64_t milliseconds) {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000ll + now.tv_nsec + milliseconds * 1'000'000;
}

// Is there something to read within the time?
inline bool readable(int fd, int milliseconds) {
  pollfd one = {fd, POLLIN, 0};
  return poll(&one, 1, milliseconds) == 1 && (one.revents & POLLIN);
}

// A test with the render node open.
class WithDevice : public ::testing::Test {
protected:
  void SetUp() override {
    device_ = UniqueFd(open_render_node());
    ASSERT_GE(device_.get(), 0) << "no /dev/dri/renderD128: is libkfd-emu.so preloaded?";
  }

  int fd() const { return device_.get(); }

  std::uint32_t create(std::uint32_t flags = 0) {
    std::uint32_t handle = 0;
    EXPECT_EQ(drmSyncobjCreate(fd(), flags, &handle), 0);
    return handle;
  }
  int wait(std::uint32_t handle, std::uint32_t flags, std::int64_t timeout = 0) {
    drm_syncobj_wait args = {};
    args.handles = reinterpret_cast<std::uint64_t>(&handle);
    args.count_handles = 1;
    args.flags = flags;
    args.timeout_nsec = timeout;
    return ioctl_error(fd(), DRM_IOCTL_SYNCOBJ_WAIT, &args);
  }
  int timeline_wait(std::uint32_t handle, std::uint64_t point, std::uint32_t flags,
                    std::int64_t timeout = 0) {
    drm_syncobj_timeline_wait args = {};
    args.handles = reinterpret_cast<std::uint64_t>(&handle);
    args.points = reinterpret_cast<std::uint64_t>(&point);
    args.count_handles = 1;
    args.flags = flags;
    args.timeout_nsec = timeout;
    return ioctl_error(fd(), DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT, &args);
  }
  int timeline_signal(std::uint32_t handle, std::uint64_t point) {
    return drmSyncobjTimelineSignal(fd(), &handle, &point, 1) == 0 ? 0 : errno;
  }
  std::uint64_t query(std::uint32_t handle, std::uint32_t flags = 0) {
    std::uint64_t point = ~0ull;
    EXPECT_EQ(drmSyncobjQuery2(fd(), &handle, &point, 1, flags), 0);
    return point;
  }
  int signal(std::uint32_t handle) { return drmSyncobjSignal(fd(), &handle, 1) == 0 ? 0 : errno; }
  int reset(std::uint32_t handle) { return drmSyncobjReset(fd(), &handle, 1) == 0 ? 0 : errno; }
  int transfer(std::uint32_t to, std::uint64_t to_point, std::uint32_t from, std::uint64_t from_point,
               std::uint32_t flags = 0) {
    drm_syncobj_transfer args = {};
    args.src_handle = from;
    args.dst_handle = to;
    args.src_point = from_point;
    args.dst_point = to_point;
    args.flags = flags;
    return ioctl_error(fd(), DRM_IOCTL_SYNCOBJ_TRANSFER, &args);
  }
  UniqueFd export_fd(std::uint32_t handle) {
    int out = -1;
    EXPECT_EQ(drmSyncobjHandleToFD(fd(), handle, &out), 0);
    return UniqueFd(out);
  }

private:
  UniqueFd device_;
};

} // namespace drm_test
