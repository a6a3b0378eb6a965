#include "ioctl.hpp"

#include <cerrno>
#include <cstring>

#include <kfd/fork.hpp>

namespace shim::kfd {

namespace detail {

int perform(int fd, unsigned long request, const char* name, void* args) {
  if (in_forked_child())
    return EBADF;
  int err;
  do {
    err = ::ioctl(fd, request, args) == -1 ? errno : 0;
  } while (err == EINTR || err == EAGAIN);
  util::log_trace("{} on fd {}: {}", name, fd, err ? std::strerror(err) : "ok");
  return err;
}

} // namespace detail

Error ioctl_error(const char* name, int err) {
  if (in_forked_child())
    return fail(CUDA_ERROR_NOT_INITIALIZED, "{}: this process was forked from the one that opened the device",
                name);
  return fail_errno(name, err);
}

} // namespace shim::kfd
