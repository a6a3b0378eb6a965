#include <gpu/types.hpp>

#include <ctime>

namespace emu::gpu {

std::uint64_t gpu_clock() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_RAW, &now);
  constexpr std::uint64_t nanoseconds_per_tick = 1'000'000'000 / gpu_clock_hz;
  return static_cast<std::uint64_t>(now.tv_sec) * gpu_clock_hz +
         static_cast<std::uint64_t>(now.tv_nsec) / nanoseconds_per_tick;
}

const char* to_string(FaultKind kind) {
  switch (kind) {
  case FaultKind::page_fault:
    return "page fault";
  case FaultKind::illegal_instruction:
    return "illegal instruction";
  case FaultKind::illegal_packet:
    return "illegal packet";
  case FaultKind::illegal_register:
    return "illegal register";
  case FaultKind::illegal_dispatch:
    return "illegal dispatch";
  case FaultKind::memory_violation:
    return "memory violation";
  case FaultKind::trap:
    return "trap";
  case FaultKind::hang:
    return "hang";
  case FaultKind::stopped:
    return "stopped";
  }
  return "unknown fault";
}

} // namespace emu::gpu
