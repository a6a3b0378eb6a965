#include <util/fd.hpp>

#include <algorithm>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

namespace shim::util {

namespace {

// A process that may have a million descriptors should not get a table for a million.
constexpr rlim_t highest_end = 65536;
constexpr rlim_t region = 512;
// Below this a number is not worth moving to.
constexpr int lowest = 16;

int first_kept_number() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return lowest;
  rlim_t end = std::min(limit.rlim_cur, highest_end);
  return static_cast<int>(end - std::min(region, end / 2));
}

} // namespace

bool Fd::intact() const {
  if (!kept_)
    return valid();
  struct stat status;
  return valid() && ::fstat(fd_, &status) == 0 && status.st_dev == device_ && status.st_ino == inode_;
}

void Fd::reset() {
  if (valid() && intact())
    ::close(fd_);
  fd_ = -1;
  kept_ = false;
}

Fd keep_high(Fd fd) {
  if (!fd.valid())
    return fd;
  for (int from = first_kept_number(); from >= lowest; from /= 2) {
    int high = ::fcntl(fd.get(), F_DUPFD_CLOEXEC, from);
    if (high < 0)
      continue;
    if (high > fd.get())
      fd = Fd(high);
    else
      ::close(high);
    break;
  }
  struct stat status;
  if (::fstat(fd.get(), &status) == 0) {
    fd.kept_ = true;
    fd.device_ = status.st_dev;
    fd.inode_ = status.st_ino;
  }
  return fd;
}

} // namespace shim::util
