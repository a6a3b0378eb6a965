#include "kfd_smi.hpp"

#include "device.hpp"
#include "fd_table.hpp"
#include "kfd_ioctl.hpp"
#include "process.hpp"
#include "real.hpp"
#include "user_memory.hpp"

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <mutex>
#include <set>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

namespace emu::kernel::smi {

namespace {

constexpr std::size_t fifo_size = 1024;  // MAX_KFIFO_SIZE
constexpr std::size_t message_size = 96; // KFD_SMI_EVENT_MSG_SIZE
constexpr const char* reset_cause = "HWS hang";

class SmiFile;
struct Clients {
  std::mutex mutex;
  std::set<SmiFile*> all;
  unsigned resets = 0;
};
// Never destroyed: descriptors are closed after static objects are gone.
Clients& clients() {
  static Clients* instance = new Clients;
  return *instance;
}

// The reading end of a pipe, whose writing end is hidden here.
class SmiFile : public File {
public:
  explicit SmiFile(int writing_end) : writing_end_(writing_end) {
    std::scoped_lock lock(clients().mutex);
    clients().all.insert(this);
  }
  ~SmiFile() override {
    {
      std::scoped_lock lock(clients().mutex);
      clients().all.erase(this);
    }
    fd_table::close_hidden(writing_end_);
  }

  long ioctl(unsigned long, void*) override { return -ENOTTY; }

  long write(const void* from, std::size_t size) override {
    std::uint64_t mask = 0;
    if (size < sizeof mask || !copy_from_user(&mask, reinterpret_cast<std::uint64_t>(from), sizeof mask))
      return -EFAULT;
    mask_.store(mask, std::memory_order_relaxed);
    return sizeof mask;
  }

  // A message that does not fit is lost.
  void tell(unsigned event, const char* message, std::size_t length) {
    if (!(mask_.load(std::memory_order_relaxed) >> (event - 1) & 1))
      return;
    int waiting = 0;
    if (syscall(SYS_ioctl, writing_end_, FIONREAD, &waiting) == 0 &&
        static_cast<std::size_t>(waiting) + length <= fifo_size)
      real::write(writing_end_, message, length);
  }

private:
  int writing_end_;
  std::atomic<std::uint64_t> mask_{0};
};

template <class... Args>
void tell_all_locked(unsigned event, const char* format, Args... args) {
  char message[message_size];
  const int head = std::snprintf(message, sizeof message, "%x ", event);
  const int tail =
      std::snprintf(message + head, sizeof message - static_cast<std::size_t>(head), format, args...);
  for (SmiFile* client : clients().all)
    client->tell(event, message, static_cast<std::size_t>(head + tail));
}

long long boottime() {
  return static_cast<long long>(boottime_ns());
}

} // namespace

int open() {
  int ends[2];
  const int saved = errno;
  const bool made = syscall(SYS_pipe2, ends, O_NONBLOCK) == 0;
  const int error = std::exchange(errno, saved);
  if (!made)
    return -error;
  const int hidden = fd_table::hide(ends[1]);
  if (hidden < 0) {
    real::close(ends[0]);
    return hidden;
  }
  fd_table::attach(ends[0], std::make_shared<SmiFile>(hidden));
  return ends[0];
}

void vm_fault() {
  char name[32] = {};
  if (const int fd = real::open("/proc/self/comm", O_RDONLY | O_CLOEXEC); fd >= 0) {
    real::read(fd, name, sizeof name - 1);
    real::close(fd);
    name[std::strcspn(name, "\n")] = 0;
  }
  std::scoped_lock lock(clients().mutex);
  tell_all_locked(uapi::SMI_EVENT_VMFAULT, "%x:%s\n", static_cast<unsigned>(getpid()), name);
}

void gpu_reset() {
  std::scoped_lock lock(clients().mutex);
  ++clients().resets;
  tell_all_locked(uapi::SMI_EVENT_GPU_PRE_RESET, "%x %s\n", clients().resets, reset_cause);
  tell_all_locked(uapi::SMI_EVENT_GPU_POST_RESET, "%x %s\n", clients().resets, "");
}

void queues_paused(Trigger trigger) {
  std::scoped_lock lock(clients().mutex);
  if (clients().all.empty())
    return;
  tell_all_locked(uapi::SMI_EVENT_QUEUE_EVICTION, "%lld -%d %x %d\n", boottime(), static_cast<int>(getpid()),
                  card::gpu_id, static_cast<int>(trigger));
  tell_all_locked(uapi::SMI_EVENT_QUEUE_RESTORE, "%lld -%d %x %c\n", boottime(), static_cast<int>(getpid()),
                  card::gpu_id, '0');
}

void unmapped_from_gpu(std::uint64_t address, std::uint64_t size) {
  constexpr int trigger_unmap_from_cpu = 2; // KFD_SVM_UNMAP_TRIGGER_UNMAP_FROM_CPU
  constexpr unsigned page_shift = 12;
  std::scoped_lock lock(clients().mutex);
  if (!clients().all.empty())
    tell_all_locked(uapi::SMI_EVENT_UNMAP_FROM_GPU, "%lld -%d @%llx(%llx) %x %d\n", boottime(),
                    static_cast<int>(getpid()), static_cast<unsigned long long>(address >> page_shift),
                    static_cast<unsigned long long>(size >> page_shift), card::gpu_id,
                    trigger_unmap_from_cpu);
}

} // namespace emu::kernel::smi
