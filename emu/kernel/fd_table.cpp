#include "fd_table.hpp"

#include "bo.hpp"
#include "real.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <linux/memfd.h>
#include <mutex>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>
#include <unordered_map>
#include <utility>

namespace emu::kernel {

long File::mmap(void*, std::size_t, int, int, off64_t) {
  return -ENODEV;
}

namespace fd_table {
namespace {

enum class Kind : std::uint8_t { none, file, hidden };

// One byte a descriptor: what every close(), ioctl() and mmap() of the program looks at.
constexpr std::size_t max_descriptors = 1 << 20;
std::atomic<Kind> kinds[max_descriptors];
std::atomic<unsigned> highest_hidden{0};
std::atomic<unsigned> highest_file{0};

void raise(std::atomic<unsigned>& highest, unsigned to) {
  unsigned seen = highest.load(std::memory_order_relaxed);
  while (seen < to && !highest.compare_exchange_weak(seen, to)) {
  }
}

struct Table {
  std::mutex mutex;
  std::unordered_map<int, std::shared_ptr<File>> files;
  int hidden_base = 0;
};

// Never destroyed: descriptors are closed after static destructors too.
Table& table() {
  static Table* instance = new Table;
  return *instance;
}

// The process that the table speaks of. Between vfork() and exec a child runs on the parent's memory with
// descriptors of its own: what it closes is not closed here.
std::atomic<pid_t> owner{0};

bool is_owner() {
  const pid_t self = getpid();
  pid_t known = owner.load(std::memory_order_relaxed);
  if (known == 0 && owner.compare_exchange_strong(known, self))
    return true;
  return known == self;
}

void before_fork() {
  table().mutex.lock();
}
void after_fork_in_parent() {
  table().mutex.unlock();
}
void after_fork_in_child() {
  owner.store(getpid(), std::memory_order_relaxed);
  table().mutex.unlock();
}

[[gnu::constructor(201)]] void watch_forks() {
  is_owner();
  pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

Kind kind(int fd) {
  return fd >= 0 && static_cast<std::size_t>(fd) < max_descriptors ? kinds[fd].load(std::memory_order_acquire)
                                                                   : Kind::none;
}

// Hidden descriptors start at a quarter of the (raised) soft limit, so that a program's own stay low.
int hidden_base_locked(Table& t) {
  if (t.hidden_base)
    return t.hidden_base;
  constexpr rlim_t wanted = 65536;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return t.hidden_base = 256;
  if (limit.rlim_cur < wanted) {
    limit.rlim_cur = std::min(limit.rlim_max, wanted);
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  return t.hidden_base = static_cast<int>(std::min(limit.rlim_cur, wanted) / 4);
}

} // namespace

bool knows(int fd) {
  return kind(fd) == Kind::file;
}
bool is_hidden(int fd) {
  return kind(fd) == Kind::hidden && is_owner();
}

std::shared_ptr<File> find(int fd) {
  if (!knows(fd))
    return nullptr;
  std::scoped_lock lock(table().mutex);
  auto it = table().files.find(fd);
  return it == table().files.end() ? nullptr : it->second;
}

void attach(int fd, std::shared_ptr<File> file) {
  if (fd < 0 || static_cast<std::size_t>(fd) >= max_descriptors || !is_owner())
    return;
  std::shared_ptr<File> old; // destroyed without the lock
  std::scoped_lock lock(table().mutex);
  old = std::exchange(table().files[fd], std::move(file));
  kinds[fd].store(Kind::file, std::memory_order_release);
  raise(highest_file, static_cast<unsigned>(fd));
}

int install(std::shared_ptr<File> file, const char* name, int flags) {
  const int fd = real::memfd_create(name, flags & O_CLOEXEC ? MFD_CLOEXEC : 0);
  if (fd < 0)
    return fd;
  if (static_cast<std::size_t>(fd) >= max_descriptors) {
    real::close(fd);
    return -EMFILE;
  }
  attach(fd, std::move(file));
  return fd;
}

void forget(int fd) {
  if (kind(fd) != Kind::file || !is_owner())
    return;
  std::shared_ptr<File> old;
  {
    std::scoped_lock lock(table().mutex);
    auto it = table().files.find(fd);
    if (it == table().files.end())
      return;
    old = std::move(it->second);
    table().files.erase(it);
    kinds[fd].store(Kind::none, std::memory_order_release);
  }
}

void forget_range(unsigned first, unsigned last) {
  const unsigned end = std::min(last, highest_file.load(std::memory_order_relaxed));
  for (std::uint64_t fd = first; fd <= end; ++fd)
    forget(static_cast<int>(fd));
}

void duplicate(int from, int to) {
  if (from == to)
    return;
  if (std::shared_ptr<File> file = find(from))
    attach(to, std::move(file));
  else
    forget(to);
}

int hide(int fd) {
  std::scoped_lock lock(table().mutex);
  const int high = real::fcntl(fd, F_DUPFD_CLOEXEC, static_cast<std::uint64_t>(hidden_base_locked(table())));
  real::close(fd);
  if (high < 0)
    return high;
  if (static_cast<std::size_t>(high) < max_descriptors) {
    kinds[high].store(Kind::hidden, std::memory_order_release);
    raise(highest_hidden, static_cast<unsigned>(high));
  }
  return high;
}

void close_hidden(int fd) {
  if (fd < 0)
    return;
  if (static_cast<std::size_t>(fd) < max_descriptors)
    kinds[fd].store(Kind::none, std::memory_order_release);
  real::close(fd);
}

std::uint64_t next_hidden(unsigned first, unsigned last) {
  const unsigned end = highest_hidden.load(std::memory_order_relaxed) + 1;
  for (std::uint64_t fd = first; fd < end && fd <= last; ++fd)
    if (is_hidden(static_cast<int>(fd)))
      return fd;
  return std::uint64_t{last} + 1;
}

std::shared_ptr<File> find_or_adopt(int fd) {
  if (std::shared_ptr<File> file = find(fd))
    return file;
  char path[32];
  std::snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  char link[128];
  const int length = real::readlink(path, link, sizeof link - 1);
  constexpr char prefix[] = "/memfd:";
  if (length <= 0 || static_cast<std::size_t>(length) < sizeof prefix)
    return nullptr;
  link[length] = 0;
  if (std::memcmp(link, prefix, sizeof prefix - 1) != 0)
    return nullptr;
  char* name = link + sizeof prefix - 1;
  if (char* deleted = std::strstr(name, " (deleted)"))
    *deleted = 0;

  std::shared_ptr<File> file;
  if (std::strcmp(name, "amdgpu-bo") == 0) {
    std::shared_ptr<BufferObject> bo;
    if (BufferObject::import_fd(fd, bo) == 0)
      file = std::make_shared<DmaBufFile>(std::move(bo), fd);
  } else {
    file = adopt_sync_descriptor(fd, name);
  }
  if (file)
    attach(fd, file);
  return file;
}

} // namespace fd_table
} // namespace emu::kernel
