// A lock in memory that processes share, held for a few instructions: the word holds the holder's pid. A
// holder that was killed is robbed.
#pragma once

#include "machine.hpp"

#include <atomic>
#include <cstdint>

#include <sched.h>
#include <unistd.h>

namespace emu::kernel {

class PidLock {
public:
  explicit PidLock(std::atomic<std::uint32_t>& word) : word_(word) {
    const auto self = static_cast<std::uint32_t>(getpid());
    for (unsigned turn = 1;; ++turn) {
      std::uint32_t holder = 0;
      if (word_.compare_exchange_weak(holder, self, std::memory_order_acquire))
        return;
      constexpr unsigned patience = 256; // looking after the holder takes a few system calls
      if (turn % patience == 0 && holder != 0 && !process_runs(holder) &&
          word_.compare_exchange_strong(holder, self, std::memory_order_acquire))
        return;
      sched_yield();
    }
  }
  ~PidLock() { word_.store(0, std::memory_order_release); }
  PidLock(const PidLock&) = delete;
  PidLock& operator=(const PidLock&) = delete;

private:
  std::atomic<std::uint32_t>& word_;
};

} // namespace emu::kernel
