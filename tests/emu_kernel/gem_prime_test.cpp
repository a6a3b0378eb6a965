// GEM handles of dma-bufs: how many a file has of one buffer, and what a close closes (drm_gem.c,
// drm_prime.c). Runs on a real kernel too, where any driver will do.
#include "drm_test_device.hpp"

#include <cstdlib>
#include <sys/eventfd.h>
#include <sys/stat.h>

using namespace drm_test;

namespace {

class GemPrime : public WithDevice {
protected:
  static constexpr std::uint32_t pages = 4;
  static constexpr off_t size = pages * 4096;

  void SetUp() override {
    WithDevice::SetUp();
    // A driver's own allocation, or one that every driver with a screen has.
    if (std::getenv("CUDA_SHIM_TEST_REAL_KERNEL")) {
      exporter_ = UniqueFd(open("/dev/dri/card0", O_RDWR | O_CLOEXEC));
      drm_mode_create_dumb create{};
      create.width = 1024;
      create.height = pages;
      create.bpp = 32;
      ASSERT_EQ(ioctl_error(exporter_.get(), DRM_IOCTL_MODE_CREATE_DUMB, &create), 0);
      buffer_ = create.handle;
    } else {
      exporter_ = UniqueFd(open_render_node());
      drm_amdgpu_gem_create create{};
      create.in.bo_size = size;
      create.in.domains = AMDGPU_GEM_DOMAIN_GTT;
      ASSERT_EQ(ioctl_error(exporter_.get(), DRM_IOCTL_AMDGPU_GEM_CREATE, &create), 0);
      buffer_ = create.out.handle;
    }
  }

  static UniqueFd to_fd(int file, std::uint32_t handle) {
    drm_prime_handle args{handle, DRM_CLOEXEC | DRM_RDWR, -1};
    EXPECT_EQ(ioctl_error(file, DRM_IOCTL_PRIME_HANDLE_TO_FD, &args), 0);
    return UniqueFd(args.fd);
  }
  static std::uint32_t to_handle(int file, int dmabuf) {
    drm_prime_handle args{0, 0, dmabuf};
    EXPECT_EQ(ioctl_error(file, DRM_IOCTL_PRIME_FD_TO_HANDLE, &args), 0);
    return args.handle;
  }
  static int close_handle(int file, std::uint32_t handle) {
    drm_gem_close args{handle, 0};
    return ioctl_error(file, DRM_IOCTL_GEM_CLOSE, &args);
  }
  static ino_t inode(int fd) {
    struct stat status {};
    EXPECT_EQ(fstat(fd, &status), 0);
    return status.st_ino;
  }

  UniqueFd exporter_;
  std::uint32_t buffer_ = 0;
};

TEST_F(GemPrime, a_buffer_has_one_handle_and_one_close_closes_it) {
  const UniqueFd dmabuf = to_fd(exporter_.get(), buffer_);
  const std::uint32_t handle = to_handle(fd(), dmabuf.get());
  EXPECT_EQ(to_handle(fd(), dmabuf.get()), handle);
  EXPECT_EQ(to_handle(fd(), to_fd(exporter_.get(), buffer_).get()), handle) << "by another descriptor";
  EXPECT_EQ(close_handle(fd(), handle), 0);
  EXPECT_EQ(close_handle(fd(), handle), EINVAL);
  drm_prime_handle gone{handle, DRM_CLOEXEC, -1};
  EXPECT_EQ(ioctl_error(fd(), DRM_IOCTL_PRIME_HANDLE_TO_FD, &gone), ENOENT);
  const std::uint32_t again = to_handle(fd(), dmabuf.get());
  EXPECT_EQ(close_handle(fd(), again), 0);
}

TEST_F(GemPrime, the_exporter_finds_its_own_handle) {
  const UniqueFd dmabuf = to_fd(exporter_.get(), buffer_);
  EXPECT_EQ(to_handle(exporter_.get(), dmabuf.get()), buffer_);
  EXPECT_EQ(close_handle(exporter_.get(), buffer_), 0);
  EXPECT_EQ(close_handle(exporter_.get(), buffer_), EINVAL) << "the import added none";
}

TEST_F(GemPrime, files_count_for_themselves) {
  const UniqueFd other(open_render_node());
  const UniqueFd dmabuf = to_fd(exporter_.get(), buffer_);
  const std::uint32_t here = to_handle(fd(), dmabuf.get());
  const std::uint32_t there = to_handle(other.get(), dmabuf.get());
  EXPECT_EQ(close_handle(fd(), here), 0);
  EXPECT_EQ(to_handle(other.get(), dmabuf.get()), there);
  EXPECT_EQ(close_handle(other.get(), there), 0);
}

TEST_F(GemPrime, a_handle_keeps_the_buffer_and_exports_the_same_one_again) {
  UniqueFd dmabuf = to_fd(exporter_.get(), buffer_);
  const ino_t number = inode(dmabuf.get());
  const std::uint32_t handle = to_handle(fd(), dmabuf.get());
  dmabuf.reset();
  EXPECT_EQ(close_handle(exporter_.get(), buffer_), 0);
  const UniqueFd again = to_fd(fd(), handle);
  EXPECT_EQ(inode(again.get()), number);
  EXPECT_EQ(lseek(again.get(), 0, SEEK_END), size);
  EXPECT_EQ(to_handle(fd(), again.get()), handle);
  EXPECT_EQ(close_handle(fd(), handle), 0);
}

TEST_F(GemPrime, a_dma_buf_is_no_regular_file) {
  const UniqueFd dmabuf = to_fd(exporter_.get(), buffer_);
  struct stat status {};
  ASSERT_EQ(fstat(dmabuf.get(), &status), 0);
  EXPECT_EQ(status.st_mode & S_IFMT, 0u);
  EXPECT_EQ(status.st_size, size);
}

TEST_F(GemPrime, what_is_no_dma_buf_is_refused) {
  const UniqueFd event(eventfd(0, EFD_CLOEXEC));
  drm_prime_handle args{0, 0, event.get()};
  EXPECT_EQ(ioctl_error(fd(), DRM_IOCTL_PRIME_FD_TO_HANDLE, &args), EINVAL);
  args.fd = -1;
  EXPECT_EQ(ioctl_error(fd(), DRM_IOCTL_PRIME_FD_TO_HANDLE, &args), EBADF);
}

} // namespace
