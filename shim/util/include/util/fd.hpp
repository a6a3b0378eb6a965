// A file descriptor that is closed when its owner goes.
#pragma once

#include <sys/types.h>
#include <unistd.h>
#include <utility>

namespace shim::util {

class Fd {
public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept { swap(other); }
  Fd& operator=(Fd&& other) noexcept {
    Fd taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~Fd() { reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  // Of one from keep_high(): does the number still name our file? Not where the program has closed it, or put
  // another file there. One fstat(). Anonymous files (eventfd, epoll) are told from all other files, but not
  // from each other.
  bool intact() const;
  int release() { return std::exchange(fd_, -1); }
  // Closes it; one from keep_high() only where it is intact.
  void reset();

private:
  friend Fd keep_high(Fd fd);
  void swap(Fd& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(kept_, other.kept_);
    std::swap(device_, other.device_);
    std::swap(inode_, other.inode_);
  }

  int fd_ = -1;
  bool kept_ = false; // by keep_high(), which noted the file:
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

// For every descriptor that we keep for longer than a call: moves it to a number near the top of what the
// process may have (with FD_CLOEXEC), out of the way of programs that close a descriptor once more after they
// gave it away. Where there is no room so high the number is as high as can be had, or stays. An invalid one
// is passed on, with errno.
Fd keep_high(Fd fd);

} // namespace shim::util
