// System calls of the real kernel, past every interposition. The emulator's own files, descriptors and
// mappings go through these. Results are the kernel's: a negative errno on failure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <sys/stat.h>
#include <sys/types.h>

namespace emu::kernel::real {

int open(const char* path, int flags, mode_t mode = 0);
int close(int fd);
long read(int fd, void* to, std::size_t size);
long write(int fd, const void* from, std::size_t size);
int memfd_create(const char* name, unsigned flags);
int ftruncate(int fd, off64_t size);
// For memfds that allow sealing: of that size, and nobody changes it again. Programs get their descriptors.
int set_final_size(int fd, off64_t size);
int fstat(int fd, struct stat64& out); // mode, size, device and inode are right; the rest is the kernel's
int fcntl(int fd, int command, std::uint64_t argument = 0);
int readlink(const char* path, char* to, std::size_t size);
// The address or a negative errno; failed(address) tells.
void* mmap(void* address, std::size_t length, int protection, int flags, int fd, off64_t offset);
int munmap(void* address, std::size_t length);
int mprotect(void* address, std::size_t length, int protection);

inline bool failed(const void* address) {
  return reinterpret_cast<std::uintptr_t>(address) > static_cast<std::uintptr_t>(-4096);
}
inline int error_of(const void* address) {
  return static_cast<int>(reinterpret_cast<std::intptr_t>(address));
}

} // namespace emu::kernel::real
