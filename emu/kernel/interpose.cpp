// The C library calls through which a program meets the kernel. Each looks whether it is about something
// emulated, which costs a comparison or two, and else goes on to the next definition: the C library's.

// The names below are the symbols to define, not aliases of their 64-bit twins.
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE

#include "device.hpp"
#include "fault_injection.hpp"
#include "fd_table.hpp"
#include "kfd.hpp"
#include "real.hpp"
#include "svm.hpp"
#include "sysfs.hpp"
#include "userptr.hpp"

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace {

using namespace emu::kernel;

// The next definition of a symbol, looked up when first called: programs call before any constructor ran.
template <class Signature>
class Next;
template <class R, class... A>
class Next<R(A...)> {
public:
  constexpr explicit Next(const char* name) : name_(name) {}
  template <class... B>
  R operator()(B... arguments) {
    auto* function = function_.load(std::memory_order_relaxed);
    if (!function) {
      function = reinterpret_cast<R (*)(A...)>(dlsym(RTLD_NEXT, name_));
      function_.store(function, std::memory_order_relaxed);
    }
    return function(arguments...);
  }
  // For what may first be called where dlsym() must not be: in a signal handler, or after fork().
  void resolve() {
    function_.store(reinterpret_cast<R (*)(A...)>(dlsym(RTLD_NEXT, name_)), std::memory_order_relaxed);
  }

private:
  const char* name_;
  std::atomic<R (*)(A...)> function_{nullptr};
};

// One path, redirected for as long as this lives.
class Path {
public:
  explicit Path(const char* path) : path_(sysfs::redirect(path, buffer_)) {}
  operator const char*() const { return path_; }

private:
  char buffer_[PATH_MAX];
  const char* path_;
};

int fail_with(long error) {
  errno = static_cast<int>(-error);
  return -1;
}

bool makes_file(int flags) {
  return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;
}

// A descriptor for a device of ours; -1 with errno.
int open_device(sysfs::Device device, int flags) {
  if (fault_injection::active())
    if (const int injected = fault_injection::before_open())
      return fail_with(injected);
  int error = 0;
  std::shared_ptr<File> file;
  const char* name = "amdgpu-kfd";
  if (device == sysfs::Device::kfd) {
    file = open_kfd(flags, error);
  } else {
    const bool render = device == sysfs::Device::render;
    name = render ? "amdgpu-renderD128" : "amdgpu-card0";
    file = open_drm(render ? card::render_minor : card::primary_minor, flags, error);
  }
  if (!file)
    return fail_with(error);
  const int fd = fd_table::install(std::move(file), name, flags);
  return fd < 0 ? fail_with(fd) : fd;
}

void fix_device(sysfs::Device device, mode_t& mode, unsigned& major_number, unsigned& minor_number) {
  mode = S_IFCHR | 0666;
  major_number = device == sysfs::Device::kfd ? card::kfd_major : card::drm_major;
  minor_number = device == sysfs::Device::render ? card::render_minor : card::primary_minor;
}

// What stat() of a path of ours must say beyond what the tree's file says.
template <class Stat>
int fixed_by_path(int result, const char* path, Stat* out) {
  if (result != 0)
    return result;
  if (const sysfs::Device device = sysfs::device_at(path); device != sysfs::Device::none) {
    unsigned major_number = 0, minor_number = 0;
    mode_t mode = 0;
    fix_device(device, mode, major_number, minor_number);
    out->st_mode = mode;
    out->st_rdev = makedev(major_number, minor_number);
  }
  return result;
}

template <class Stat>
int fixed_by_fd(int result, int fd, Stat* out) {
  static_assert(sizeof(Stat) == sizeof(struct stat64));
  if (result == 0 && fd_table::knows(fd))
    if (const std::shared_ptr<File> file = fd_table::find(fd))
      file->fix_stat(*reinterpret_cast<struct stat64*>(out));
  return result;
}

bool by_fd(const char* path, int flags) {
  return flags & AT_EMPTY_PATH && path && !*path;
}

Next<int(const char*, int, mode_t)> next_open("open"), next_open64("open64");
Next<int(int, const char*, int, mode_t)> next_openat("openat"), next_openat64("openat64");
Next<FILE*(const char*, const char*)> next_fopen("fopen"), next_fopen64("fopen64");
Next<DIR*(const char*)> next_opendir("opendir");
using Select = int(const dirent*);
using Select64 = int(const dirent64*);
using Compare = int(const dirent**, const dirent**);
using Compare64 = int(const dirent64**, const dirent64**);
Next<int(const char*, dirent***, Select*, Compare*)> next_scandir("scandir");
Next<int(const char*, dirent64***, Select64*, Compare64*)> next_scandir64("scandir64");
Next<int(const char*, struct stat*)> next_stat("stat"), next_lstat("lstat");
Next<int(const char*, struct stat64*)> next_stat64("stat64"), next_lstat64("lstat64");
Next<int(int, struct stat*)> next_fstat("fstat");
Next<int(int, struct stat64*)> next_fstat64("fstat64");
Next<int(int, const char*, struct stat*, int)> next_fstatat("fstatat");
Next<int(int, const char*, struct stat64*, int)> next_fstatat64("fstatat64");
Next<int(int, const char*, struct stat*)> next_xstat("__xstat"), next_lxstat("__lxstat");
Next<int(int, const char*, struct stat64*)> next_xstat64("__xstat64"), next_lxstat64("__lxstat64");
Next<int(int, int, struct stat*)> next_fxstat("__fxstat");
Next<int(int, int, struct stat64*)> next_fxstat64("__fxstat64");
Next<int(int, const char*, int, unsigned, struct statx*)> next_statx("statx");
Next<int(const char*, int)> next_access("access");
Next<int(int, const char*, int, int)> next_faccessat("faccessat");
Next<ssize_t(const char*, char*, size_t)> next_readlink("readlink");
Next<ssize_t(int, const char*, char*, size_t)> next_readlinkat("readlinkat");
Next<char*(const char*, char*)> next_realpath("realpath");
Next<int(int)> next_close("close");
Next<int(int)> next_dup("dup");
Next<int(int, int)> next_dup2("dup2");
Next<int(int, int, int)> next_dup3("dup3");
Next<int(int, int, void*)> next_fcntl("fcntl"), next_fcntl64("fcntl64");
Next<int(int, unsigned long, void*)> next_ioctl("ioctl");
Next<void*(void*, size_t, int, int, int, off_t)> next_mmap("mmap");
Next<void*(void*, size_t, int, int, int, off64_t)> next_mmap64("mmap64");
Next<int(void*, size_t)> next_munmap("munmap");
Next<int(void*, size_t, int)> next_mprotect("mprotect");
Next<void*(void*, size_t, size_t, int, void*)> next_mremap("mremap");
Next<ssize_t(int, const void*, size_t)> next_write("write");
Next<off_t(int, off_t, int)> next_lseek("lseek");
Next<off64_t(int, off64_t, int)> next_lseek64("lseek64");
Next<ssize_t(int, msghdr*, int)> next_recvmsg("recvmsg");

template <class NextOpen>
int open_path(NextOpen& next, const char* path, int flags, mode_t mode) {
  if (const sysfs::Device device = sysfs::device_at(path); device != sysfs::Device::none)
    return open_device(device, flags);
  return next(Path(path), flags, mode);
}

template <class NextOpen>
int open_path_at(NextOpen& next, int at, const char* path, int flags, mode_t mode) {
  if (const sysfs::Device device = sysfs::device_at(path); device != sysfs::Device::none)
    return open_device(device, flags);
  return next(at, Path(path), flags, mode);
}

template <class NextFcntl>
int control(NextFcntl& next, int fd, int command, void* argument) {
  if (fd_table::is_hidden(fd))
    return fail_with(-EBADF);
  const int result = next(fd, command, argument);
  if (result >= 0 && (command == F_DUPFD || command == F_DUPFD_CLOEXEC))
    fd_table::duplicate(fd, result);
  return result;
}

template <class NextMmap, class Offset>
void* map(NextMmap& next, void* address, size_t length, int protection, int flags, int fd, Offset offset) {
  const bool over_others = flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);
  if (over_others)
    kfd_forget_mappings(address, length);
  const userptr::Change change(address, over_others ? length : 0);
  svm::Unmapping over(address, flags & MAP_FIXED && !(flags & MAP_FIXED_NOREPLACE) ? length : 0);
  if (flags & MAP_ANONYMOUS || !fd_table::knows(fd))
    return over.ended(next(address, length, protection, flags, fd, offset));
  const std::shared_ptr<File> file = fd_table::find(fd);
  if (!file)
    return over.ended(next(address, length, protection, flags, fd, offset));
  if (fault_injection::active())
    if (const int injected = fault_injection::before_mmap()) {
      errno = -injected;
      return over.ended(MAP_FAILED);
    }
  const long result = file->mmap(address, length, protection, flags, offset);
  if (real::failed(reinterpret_cast<void*>(result))) {
    errno = static_cast<int>(-result);
    return over.ended(MAP_FAILED);
  }
  return over.ended(reinterpret_cast<void*>(result));
}

template <class NextSeek, class Offset>
Offset seek(NextSeek& next, int fd, Offset offset, int whence) {
  if (fd_table::knows(fd))
    if (const std::shared_ptr<File> file = fd_table::find(fd); file && file->seek_end() >= 0) {
      if (offset != 0 || (whence != SEEK_END && whence != SEEK_SET))
        return fail_with(-EINVAL);
      return whence == SEEK_END ? file->seek_end() : 0;
    }
  return next(fd, offset, whence);
}

// Requests of DRM, KFD, dma-buf and sync_file: worth a look at descriptors that the table does not know yet.
bool may_be_ours(unsigned long request) {
  const unsigned type = _IOC_TYPE(request);
  return type == 'd' || type == 'K' || type == 'b' || type == '>';
}

// What do_vfs_ioctl() answers before it asks any driver, whatever the descriptor is.
bool is_for_every_file(unsigned long request) {
  return request == FIOCLEX || request == FIONCLEX || request == FIONBIO || request == FIOASYNC;
}

// Descriptors that this program was started with.
[[gnu::constructor]] void adopt_inherited() {
  next_write.resolve();
  const int directory = real::open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0)
    return;
  struct Entry {
    std::uint64_t inode;
    std::int64_t offset;
    std::uint16_t length;
    std::uint8_t type;
    char name[];
  };
  alignas(8) char buffer[2048];
  for (long n; (n = syscall(SYS_getdents64, directory, buffer, sizeof buffer)) > 0;)
    for (long at = 0; at < n;) {
      const auto* entry = reinterpret_cast<const Entry*>(buffer + at);
      at += entry->length;
      const int fd = atoi(entry->name);
      if (fd > STDERR_FILENO && fd != directory)
        fd_table::find_or_adopt(fd);
    }
  real::close(directory);
}

} // namespace

#pragma GCC visibility push(default)
extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = makes_file(flags) ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  return open_path(next_open, path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = makes_file(flags) ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  return open_path(next_open64, path, flags, mode);
}

int __open_2(const char* path, int flags) {
  return open_path(next_open, path, flags, 0);
}
int __open64_2(const char* path, int flags) {
  return open_path(next_open64, path, flags, 0);
}

int openat(int at, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = makes_file(flags) ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  return open_path_at(next_openat, at, path, flags, mode);
}

int openat64(int at, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = makes_file(flags) ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  return open_path_at(next_openat64, at, path, flags, mode);
}

int __openat_2(int at, const char* path, int flags) {
  return open_path_at(next_openat, at, path, flags, 0);
}
int __openat64_2(int at, const char* path, int flags) {
  return open_path_at(next_openat64, at, path, flags, 0);
}

FILE* fopen(const char* path, const char* mode) {
  return next_fopen(Path(path), mode);
}
FILE* fopen64(const char* path, const char* mode) {
  return next_fopen64(Path(path), mode);
}
DIR* opendir(const char* path) {
  return next_opendir(Path(path));
}

int scandir(const char* path, dirent*** list, Select* select, Compare* compare) {
  return next_scandir(Path(path), list, select, compare);
}
int scandir64(const char* path, dirent64*** list, Select64* select, Compare64* compare) {
  return next_scandir64(Path(path), list, select, compare);
}

int stat(const char* path, struct stat* out) noexcept {
  return fixed_by_path(next_stat(Path(path), out), path, out);
}
int stat64(const char* path, struct stat64* out) noexcept {
  return fixed_by_path(next_stat64(Path(path), out), path, out);
}
int lstat(const char* path, struct stat* out) noexcept {
  return fixed_by_path(next_lstat(Path(path), out), path, out);
}
int lstat64(const char* path, struct stat64* out) noexcept {
  return fixed_by_path(next_lstat64(Path(path), out), path, out);
}
int fstat(int fd, struct stat* out) noexcept {
  return fixed_by_fd(next_fstat(fd, out), fd, out);
}
int fstat64(int fd, struct stat64* out) noexcept {
  return fixed_by_fd(next_fstat64(fd, out), fd, out);
}

int fstatat(int at, const char* path, struct stat* out, int flags) noexcept {
  const int result = next_fstatat(at, Path(path), out, flags);
  return by_fd(path, flags) ? fixed_by_fd(result, at, out) : fixed_by_path(result, path, out);
}
int fstatat64(int at, const char* path, struct stat64* out, int flags) noexcept {
  const int result = next_fstatat64(at, Path(path), out, flags);
  return by_fd(path, flags) ? fixed_by_fd(result, at, out) : fixed_by_path(result, path, out);
}

int __xstat(int version, const char* path, struct stat* out) {
  return fixed_by_path(next_xstat(version, Path(path), out), path, out);
}
int __xstat64(int version, const char* path, struct stat64* out) {
  return fixed_by_path(next_xstat64(version, Path(path), out), path, out);
}
int __lxstat(int version, const char* path, struct stat* out) {
  return fixed_by_path(next_lxstat(version, Path(path), out), path, out);
}
int __lxstat64(int version, const char* path, struct stat64* out) {
  return fixed_by_path(next_lxstat64(version, Path(path), out), path, out);
}
int __fxstat(int version, int fd, struct stat* out) {
  return fixed_by_fd(next_fxstat(version, fd, out), fd, out);
}
int __fxstat64(int version, int fd, struct stat64* out) {
  return fixed_by_fd(next_fxstat64(version, fd, out), fd, out);
}

int statx(int at, const char* path, int flags, unsigned mask, struct statx* out) noexcept {
  const int result = next_statx(at, Path(path), flags, mask, out);
  if (result != 0)
    return result;
  if (by_fd(path, flags)) {
    if (const std::shared_ptr<File> file = fd_table::find(at)) {
      struct stat64 fixed {};
      fixed.st_mode = out->stx_mode;
      fixed.st_size = static_cast<off64_t>(out->stx_size);
      fixed.st_rdev = makedev(out->stx_rdev_major, out->stx_rdev_minor);
      file->fix_stat(fixed);
      out->stx_mode = static_cast<std::uint16_t>(fixed.st_mode);
      out->stx_size = static_cast<std::uint64_t>(fixed.st_size);
      out->stx_rdev_major = major(fixed.st_rdev);
      out->stx_rdev_minor = minor(fixed.st_rdev);
    }
  } else if (const sysfs::Device device = sysfs::device_at(path); device != sysfs::Device::none) {
    mode_t mode = 0;
    fix_device(device, mode, out->stx_rdev_major, out->stx_rdev_minor);
    out->stx_mode = static_cast<std::uint16_t>(mode);
  }
  return result;
}

int access(const char* path, int mode) noexcept {
  return next_access(Path(path), mode);
}
int faccessat(int at, const char* path, int mode, int flags) noexcept {
  return next_faccessat(at, Path(path), mode, flags);
}

ssize_t readlink(const char* path, char* to, size_t size) noexcept {
  return next_readlink(Path(path), to, size);
}
ssize_t __readlink_chk(const char* path, char* to, size_t size, size_t) {
  return next_readlink(Path(path), to, size);
}
ssize_t readlinkat(int at, const char* path, char* to, size_t size) noexcept {
  return next_readlinkat(at, Path(path), to, size);
}

char* realpath(const char* path, char* resolved) noexcept {
  const Path there(path);
  char* result = next_realpath(there, resolved);
  if (static_cast<const char*>(there) != path)
    sysfs::unredirect(result);
  return result;
}
char* __realpath_chk(const char* path, char* resolved, size_t) {
  return realpath(path, resolved);
}
char* canonicalize_file_name(const char* path) noexcept {
  return realpath(path, nullptr);
}

int close(int fd) {
  if (fd_table::is_hidden(fd))
    return fail_with(-EBADF);
  fd_table::forget(fd);
  return next_close(fd);
}

// Everything but what the emulator keeps for itself.
int close_range(unsigned first, unsigned last, int flags) noexcept {
  if (first > last)
    return fail_with(-EINVAL);
  if (!(flags & CLOSE_RANGE_CLOEXEC))
    fd_table::forget_range(first, last);
  for (std::uint64_t from = first; from <= last;) {
    const std::uint64_t hidden = fd_table::next_hidden(static_cast<unsigned>(from), last);
    if (hidden > from)
      if (syscall(SYS_close_range, from, hidden - 1, flags) != 0)
        return -1;
    from = hidden + 1;
  }
  return 0;
}

void closefrom(int first) noexcept {
  close_range(first < 0 ? 0u : static_cast<unsigned>(first), ~0u, 0);
}

int dup(int fd) noexcept {
  if (fd_table::is_hidden(fd))
    return fail_with(-EBADF);
  const int result = next_dup(fd);
  if (result >= 0)
    fd_table::duplicate(fd, result);
  return result;
}

int dup2(int fd, int to) noexcept {
  if (fd_table::is_hidden(fd) || fd_table::is_hidden(to))
    return fail_with(-EBADF);
  const int result = next_dup2(fd, to);
  if (result >= 0)
    fd_table::duplicate(fd, result);
  return result;
}

int dup3(int fd, int to, int flags) noexcept {
  if (fd_table::is_hidden(fd) || fd_table::is_hidden(to))
    return fail_with(-EBADF);
  const int result = next_dup3(fd, to, flags);
  if (result >= 0)
    fd_table::duplicate(fd, result);
  return result;
}

int fcntl(int fd, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  void* argument = va_arg(arguments, void*);
  va_end(arguments);
  return control(next_fcntl, fd, command, argument);
}

int fcntl64(int fd, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  void* argument = va_arg(arguments, void*);
  va_end(arguments);
  return control(next_fcntl64, fd, command, argument);
}

int ioctl(int fd, unsigned long request, ...) noexcept {
  va_list arguments;
  va_start(arguments, request);
  void* argument = va_arg(arguments, void*);
  va_end(arguments);
  if (!is_for_every_file(request) && (fd_table::knows(fd) || may_be_ours(request)))
    if (const std::shared_ptr<File> file = fd_table::find_or_adopt(fd)) {
      const int before = errno;
      if (fault_injection::active())
        if (const int injected = fault_injection::before_ioctl(request))
          return fail_with(injected);
      const long result = file->ioctl(request, argument);
      errno = before;
      return result < 0 ? fail_with(result) : static_cast<int>(result);
    }
  return next_ioctl(fd, request, argument);
}

void* mmap(void* address, size_t length, int protection, int flags, int fd, off_t offset) noexcept {
  return map(next_mmap, address, length, protection, flags, fd, offset);
}
void* mmap64(void* address, size_t length, int protection, int flags, int fd, off64_t offset) noexcept {
  return map(next_mmap64, address, length, protection, flags, fd, offset);
}
int munmap(void* address, size_t length) noexcept {
  kfd_forget_mappings(address, length);
  const userptr::Change change(address, length);
  svm::Unmapping unmapping(address, length);
  return unmapping.ended(next_munmap(address, length));
}
int mprotect(void* address, size_t length, int protection) noexcept {
  const userptr::Change change(address, length);
  const svm::Protecting protecting(address, length, protection);
  return next_mprotect(address, length, protection);
}
void* mremap(void* address, size_t length, size_t new_length, int flags, ...) noexcept {
  va_list arguments;
  va_start(arguments, flags);
  void* target = flags & MREMAP_FIXED ? va_arg(arguments, void*) : nullptr;
  va_end(arguments);
  kfd_forget_mappings(address, length);
  const userptr::Change from(address, length);
  const userptr::Change to(target, target ? new_length : 0);
  svm::Unmapping over(target, target ? new_length : 0);
  void* result = over.ended(next_mremap(address, length, new_length, flags, target));
  svm::moved(address, length, result, new_length);
  return result;
}

// Only what a write() to a descriptor of ours must do beyond what its underlying one does.
ssize_t write(int fd, const void* from, size_t size) {
  if (fd_table::knows(fd))
    if (const std::shared_ptr<File> file = fd_table::find(fd)) {
      const long result = file->write(from, size);
      if (result != File::write_through)
        return result < 0 ? fail_with(result) : result;
    }
  return next_write(fd, from, size);
}

off_t lseek(int fd, off_t offset, int whence) noexcept {
  return seek(next_lseek, fd, offset, whence);
}
off64_t lseek64(int fd, off64_t offset, int whence) noexcept {
  return seek(next_lseek64, fd, offset, whence);
}

ssize_t recvmsg(int fd, msghdr* message, int flags) {
  const ssize_t result = next_recvmsg(fd, message, flags);
  if (result < 0)
    return result;
  for (cmsghdr* part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
      continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int received = -1;
      std::memcpy(&received, CMSG_DATA(part) + i * sizeof(int), sizeof received);
      fd_table::find_or_adopt(received);
    }
  }
  return result;
}

} // extern "C"
#pragma GCC visibility pop
