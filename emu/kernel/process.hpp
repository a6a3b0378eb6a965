// This process as the emulated kernel sees it: where the machine's files are, what to tell on stderr, what
// ends when the process ends.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace emu::gpu {
class Gpu;
}

namespace emu::kernel {

// The directory of the machine: CUDA_SHIM_EMU_DIR, or /dev/shm/cuda-shim-emu-<uid>. Made (0700) on first use.
const std::string& machine_directory();

// The GPU's engines in this process; started on first use, stopped at exit. After fork() the child gets its
// own.
gpu::Gpu& gpu();
bool gpu_exists();

// "kfd-emu: ..." on stderr, one line, whatever the verbosity: something that this kernel does not know.
[[gnu::format(printf, 1, 2)]] void complain(const char* format, ...);

// The same, only where CUDA_SHIM_EMU_TRACE is set.
[[gnu::format(printf, 1, 2)]] void trace(const char* format, ...);
bool tracing();

// Runs at exit of the process, newest first. The engines still run then, and until the process is gone.
void at_exit(std::function<void()> work);

// CLOCK_MONOTONIC and CLOCK_BOOTTIME in nanoseconds; the GPU's 100 MHz counter (gpu/types.hpp).
std::uint64_t monotonic_ns();
std::uint64_t boottime_ns();
std::uint64_t gpu_clock_counter();

} // namespace emu::kernel
