// What the environment says about the emulated machine. A value that makes no sense ends the process at its
// start, with a line on stderr.
#pragma once

#include <cstdint>

namespace emu::kernel::settings {

// CUDA_SHIM_EMU_VRAM: VRAM in bytes (K, M or G may follow the number), at most the card's own; the card's
// where unset. The driver's parameter vramlimit does the same to a real card.
std::uint64_t vram_size();

// CUDA_SHIM_EMU_EVENT_DELAY: so many milliseconds later than they happen do KFD's events arrive. 0 where
// unset.
std::uint64_t event_delay_ns();

// CUDA_SHIM_EMU_DEBUG_MASK: the driver's parameter debug_mask, of which one bit is known: 0x400 lets IBs of
// the constant engine pass, as in Linux 7.2.
bool constant_engine();

// CUDA_SHIM_EMU_SVM: is this a kernel that was built with shared virtual memory (CONFIG_HSA_AMD_SVM)?
bool shared_virtual_memory();

// Says that `variable` cannot be understood and ends the process.
[[noreturn]] void refuse(const char* variable, const char* value, const char* expected);

} // namespace emu::kernel::settings
