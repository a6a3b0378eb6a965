#include "ioctl.hpp"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <kfd/fork.hpp>

namespace shim::kfd {

namespace {

constexpr unsigned drm_major = 226;
std::atomic<dev_t> kfd_device{0};

// Errors that a request of ours gets from a file that is not ours.
bool may_be_lost(int err) {
  return err == EBADF || err == ENOTTY || err == EINVAL || err == EOPNOTSUPP;
}

bool is_lost(int fd, unsigned long request) {
  struct stat status;
  if (::fstat(fd, &status) != 0 || !S_ISCHR(status.st_mode))
    return true;
  if (_IOC_TYPE(request) == DRM_IOCTL_BASE)
    return major(status.st_rdev) != drm_major;
  return status.st_rdev != kfd_device.load(std::memory_order_relaxed);
}

} // namespace

void note_kfd(int fd) {
  struct stat status;
  if (::fstat(fd, &status) == 0)
    kfd_device.store(status.st_rdev, std::memory_order_relaxed);
}

int lost_or(int err, int fd, unsigned long request) {
  return may_be_lost(err) && is_lost(fd, request) ? EBADFD : err;
}

namespace detail {

int perform(int fd, unsigned long request, const char* name, void* args) {
  if (in_forked_child())
    return EBADF;
  int err;
  do {
    err = ::ioctl(fd, request, args) == -1 ? errno : 0;
  } while (err == EINTR || err == EAGAIN);
  err = lost_or(err, fd, request);
  util::log_trace("{} on fd {}: {}", name, fd, err ? std::strerror(err) : "ok");
  return err;
}

} // namespace detail

Error ioctl_error(const char* name, int err) {
  if (in_forked_child())
    return fail(CUDA_ERROR_NOT_INITIALIZED, "{}: this process was forked from the one that opened the device",
                name);
  if (err == EBADFD)
    return lost_descriptor(name);
  return fail_errno(name, err);
}

Error lost_descriptor(const char* name) {
  return fail(CUDA_ERROR_OPERATING_SYSTEM,
              "{}: the program closed the driver's descriptor, or put another file in its place", name);
}

} // namespace shim::kfd
