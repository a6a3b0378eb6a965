// A word that threads sleep on, in the kernel, until someone else has news for them.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>

namespace emu::gpu {

// Usage: read value(), look for work, wait(value) if there was none. A wake() in between makes wait() return
// at once.
class WakeWord {
public:
  std::uint32_t value() const { return word_.load(std::memory_order_acquire); }
  void wake();
  // Returns when value() is no longer `seen`, or after `timeout`, or spuriously.
  void wait(std::uint32_t seen, std::optional<std::chrono::microseconds> timeout);
  std::atomic<std::uint32_t>* word() { return &word_; }

private:
  std::atomic<std::uint32_t> word_{0};
};

} // namespace emu::gpu
