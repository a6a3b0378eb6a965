// What stands behind a file descriptor of this process, where that is not what the real kernel thinks.
//
// Every emulated descriptor is also a real one (a memfd, or an eventfd), so that numbers, poll(), SCM_RIGHTS
// and inheritance are the real kernel's. The table only adds behaviour: which File answers ioctl, mmap,
// fstat.
//
// Thread-safe. A look-up of a descriptor that is not ours costs one load.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <sys/stat.h>
#include <sys/types.h>

namespace emu::kernel {

// An open file description. Shared by all descriptors that dup() made of one; destroyed with the last of them
// (and with the last look-up in flight). All functions return what the system call returns in the kernel: a
// negative errno on failure.
class File {
public:
  // st_mode of what lies in no file system, such as a dma-buf (alloc_anon_inode): no type.
  static constexpr mode_t anonymous_mode = 0600;

  File() = default;
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  virtual ~File() = default;

  virtual long ioctl(unsigned long request, void* argument) = 0;

  // The address, or a negative errno. -ENODEV: this file has no mmap.
  virtual long mmap(void* address, std::size_t length, int protection, int flags, off64_t offset);

  // write(): how much was taken, or a negative errno. write_through: the underlying descriptor's own write()
  // is right.
  static constexpr long write_through = -4096;
  virtual long write(const void*, std::size_t) { return write_through; }

  // Corrects what fstat() of the underlying real descriptor said (size, mode, device number).
  virtual void fix_stat(struct stat64&) const {}

  // SEEK_END's answer where the file has one of its own (a dma-buf's size), else -1: the underlying file
  // decides.
  virtual off64_t seek_end() const { return -1; }
};

namespace fd_table {

// The File behind `fd`, or null where the descriptor is not ours.
std::shared_ptr<File> find(int fd);

template <class T>
std::shared_ptr<T> find_as(int fd) {
  return std::dynamic_pointer_cast<T>(find(fd));
}

// Is `fd` ours? One load.
bool knows(int fd);

// Gives an existing real descriptor a File. Replaces what was there.
void attach(int fd, std::shared_ptr<File> file);

// A new descriptor for `file` upon an empty memfd of that name. `flags`: O_CLOEXEC or 0 counts. The
// descriptor or a negative errno.
int install(std::shared_ptr<File> file, const char* name, int flags);

// Forgets `fd` (before the real close), or makes `to` another name for what `from` is (after the real dup).
void forget(int fd);
void forget_range(unsigned first, unsigned last);
void duplicate(int from, int to);

// Descriptors that the emulator keeps for itself (a buffer's memfd, the machine's state). They live above the
// numbers that programs see, and a program's close() or dup2() does not reach them (EBADF). Takes `fd` over,
// also on failure: the new number or a negative errno.
int hide(int fd);
void close_hidden(int fd);
bool is_hidden(int fd);
// The first hidden descriptor in [first, last], or last + 1.
std::uint64_t next_hidden(unsigned first, unsigned last);

// The File for a descriptor that came from elsewhere (SCM_RIGHTS, exec, another library's raw system call): a
// dma-buf, syncobj or sync_file of ours, recognised by its memfd name and magic, and attached. Null where it
// is none.
std::shared_ptr<File> find_or_adopt(int fd);

} // namespace fd_table

// Answered by the DRM side (drm_*.cpp).
// A drm file for card::primary_minor or card::render_minor; negative errno through `error` where it is
// refused.
std::shared_ptr<File> open_drm(unsigned minor, int flags, int& error);
// Recognises a foreign syncobj or sync_file descriptor; `name` is its memfd name without "/memfd:" and "
// (deleted)".
std::shared_ptr<File> adopt_sync_descriptor(int fd, const char* name);

// Answered by the KFD side (kfd_*.cpp).
std::shared_ptr<File> open_kfd(int flags, int& error);

} // namespace emu::kernel
