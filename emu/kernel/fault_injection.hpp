// Calls that fail because the environment says so: CUDA_SHIM_EMU_FAIL (docs/kernel-abi.md has the grammar).
// Every call that fails is told on stderr. Counters are the process's own and are inherited by fork().
#pragma once

#include <atomic>

namespace emu::kernel::fault_injection {

extern std::atomic<bool> is_active;
inline bool active() {
  return is_active.load(std::memory_order_relaxed);
}

// To be asked, where active(), once for each call upon a device, buffer or fence of ours: 0, or the negative
// errno that it shall fail with.
int before_ioctl(unsigned long request);
int before_mmap();
int before_open();

} // namespace emu::kernel::fault_injection
