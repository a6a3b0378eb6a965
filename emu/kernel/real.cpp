#include "real.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace emu::kernel::real {

namespace {
template <class... A>
long call(long number, A... arguments) {
  const int saved = errno;
  const long result = syscall(number, arguments...);
  const long answer = result == -1 ? -errno : result;
  errno = saved;
  return answer;
}
} // namespace

int open(const char* path, int flags, mode_t mode) {
  return static_cast<int>(call(SYS_openat, AT_FDCWD, path, flags, mode));
}
int close(int fd) {
  return static_cast<int>(call(SYS_close, fd));
}
long read(int fd, void* to, std::size_t size) {
  return call(SYS_read, fd, to, size);
}
long write(int fd, const void* from, std::size_t size) {
  return call(SYS_write, fd, from, size);
}
int memfd_create(const char* name, unsigned flags) {
  return static_cast<int>(call(SYS_memfd_create, name, flags));
}
int ftruncate(int fd, off64_t size) {
  return static_cast<int>(call(SYS_ftruncate, fd, size));
}
int set_final_size(int fd, off64_t size) {
  if (const int error = ftruncate(fd, size); error < 0)
    return error;
  return fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
}
int fstat(int fd, struct stat64& out) {
  return static_cast<int>(call(SYS_fstat, fd, &out));
}
int fcntl(int fd, int command, std::uint64_t argument) {
  return static_cast<int>(call(SYS_fcntl, fd, command, argument));
}
int readlink(const char* path, char* to, std::size_t size) {
  return static_cast<int>(call(SYS_readlink, path, to, size));
}

void* mmap(void* address, std::size_t length, int protection, int flags, int fd, off64_t offset) {
  return reinterpret_cast<void*>(call(SYS_mmap, address, length, protection, flags, fd, offset));
}
int munmap(void* address, std::size_t length) {
  return static_cast<int>(call(SYS_munmap, address, length));
}
int mprotect(void* address, std::size_t length, int protection) {
  return static_cast<int>(call(SYS_mprotect, address, length, protection));
}

} // namespace emu::kernel::real
