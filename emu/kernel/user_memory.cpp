#include "user_memory.hpp"

#include "device.hpp"
#include "real.hpp"
#include "userptr.hpp"

#include <gpu/segv.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

// rep movsb, and where to go on when it faults. Returns 0, or 1 after a fault.
asm(R"(
  .text
  .local emu_user_copy
  .type emu_user_copy, @function
emu_user_copy:
  mov %rdx, %rcx
  .local emu_user_copy_access
emu_user_copy_access:
  rep movsb
  xor %eax, %eax
  ret
  .local emu_user_copy_fault
emu_user_copy_fault:
  mov $1, %eax
  ret
  .size emu_user_copy, . - emu_user_copy
)");

extern "C" {
[[gnu::visibility("hidden")]] int emu_user_copy(void* to, const void* from, std::size_t size);
[[gnu::visibility("hidden")]] extern const char emu_user_copy_access[], emu_user_copy_fault[];
}

namespace emu::kernel {

namespace {

bool on_fault(const siginfo_t& info, void* context) {
  auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  auto& rip = registers[REG_RIP];
  if (rip == reinterpret_cast<greg_t>(emu_user_copy_access)) {
    rip = reinterpret_cast<greg_t>(emu_user_copy_fault);
    return true;
  }
  constexpr greg_t caused_by_write = 2;
  return userptr::on_engine_fault(info, registers[REG_ERR] & caused_by_write);
}

std::atomic<bool> hooked{false};

bool transfer(void* to, const void* from, std::size_t size) {
  if (size == 0)
    return true;
  hook_faults();
  return emu_user_copy(to, from, size) == 0;
}

constexpr std::uint64_t page = 4096;

// Lines of /proc/self/maps in order, without a large buffer or an allocation.
class AreaReader {
public:
  AreaReader() : fd_(real::open("/proc/self/maps", O_RDONLY | O_CLOEXEC)) {}
  ~AreaReader() {
    if (fd_ >= 0)
      real::close(fd_);
  }
  AreaReader(const AreaReader&) = delete;
  AreaReader& operator=(const AreaReader&) = delete;

  bool is_open() const { return fd_ >= 0; }

  bool next(UserArea& area) {
    char line[512];
    std::size_t length = 0;
    for (;;) {
      if (at_ == filled_ && !fill())
        return false;
      const char c = buffer_[at_++];
      if (c == '\n')
        break;
      if (length < sizeof line - 1)
        line[length++] = c;
    }
    line[length] = 0;
    char* after = line;
    area.begin = std::strtoull(after, &after, 16);
    area.end = std::strtoull(after + 1, &after, 16);
    area.readable = after[1] == 'r';
    area.writable = after[2] == 'w';
    area.file = std::strchr(after, '/');
    area.device = std::strstr(after, "/memfd:amdgpu-") || std::strstr(after, "[vvar");
    return true;
  }

private:
  bool fill() {
    const long got = real::read(fd_, buffer_, sizeof buffer_);
    at_ = 0;
    filled_ = got > 0 ? static_cast<std::size_t>(got) : 0;
    return filled_ > 0;
  }

  int fd_;
  char buffer_[4096];
  std::size_t at_ = 0, filled_ = 0;
};

} // namespace

void hook_faults() {
  if (!hooked.load(std::memory_order_acquire)) {
    gpu::set_fault_hook(on_fault);
    hooked.store(true, std::memory_order_release);
  }
}

bool copy_from_user(void* to, std::uint64_t from, std::size_t size) {
  return transfer(to, reinterpret_cast<const void*>(from), size);
}

bool copy_to_user(std::uint64_t to, const void* from, std::size_t size) {
  return transfer(reinterpret_cast<void*>(to), from, size);
}

namespace {
// Kernels that cannot say it (before 5.14) are taken to say no.
bool beyond_the_file(std::uint64_t begin, std::uint64_t end, bool write) {
  return syscall(SYS_madvise, begin, end - begin, write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ) == -1 &&
         errno == EFAULT;
}
} // namespace

int pin_user_pages(std::uint64_t address, std::uint64_t size, bool write) {
  std::uint64_t at = address & ~(page - 1);
  if (size > card::va_end || at > card::va_end - size)
    return -EFAULT;
  const std::uint64_t end = (address + size + page - 1) & ~(page - 1);
  AreaReader areas;
  if (!areas.is_open())
    return 0; // a sandbox hides it: the pointer is trusted
  for (UserArea area; at < end && areas.next(area);) {
    if (area.end <= at)
      continue;
    if (area.begin > at || !area.readable || area.device)
      return -EFAULT;
    if (write && !area.writable)
      return -EPERM;
    if (area.file && beyond_the_file(at, std::min(area.end, end), write))
      return -EFAULT;
    at = area.end;
  }
  return at >= end ? 0 : -EFAULT;
}

std::vector<UserArea> user_areas(std::uint64_t begin, std::uint64_t end) {
  AreaReader areas;
  if (!areas.is_open())
    return {{begin, end, true, true, false}};
  std::vector<UserArea> result;
  for (UserArea area; areas.next(area) && area.begin < end;)
    if (area.end > begin) {
      area.begin = std::max(area.begin, begin);
      area.end = std::min(area.end, end);
      result.push_back(area);
    }
  return result;
}

} // namespace emu::kernel
