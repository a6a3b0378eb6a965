#include "wake.hpp"

#include <climits>
#include <ctime>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace emu::gpu {

void WakeWord::wake() {
  word_.fetch_add(1, std::memory_order_acq_rel);
  syscall(SYS_futex, &word_, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

void WakeWord::wait(std::uint32_t seen, std::optional<std::chrono::microseconds> timeout) {
  timespec limit{};
  if (timeout) {
    limit.tv_sec = timeout->count() / 1'000'000;
    limit.tv_nsec = timeout->count() % 1'000'000 * 1000;
  }
  syscall(SYS_futex, &word_, FUTEX_WAIT_PRIVATE, seen, timeout ? &limit : nullptr, nullptr, 0);
}

} // namespace emu::gpu
