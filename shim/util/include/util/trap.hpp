// The numbers of s_trap in compiled kernels: what the compiler writes, and the fault monitor reads.
#pragma once

#include <cstdint>

namespace shim::util {

enum class Trap : std::uint8_t {
  abort = 2,     // `trap`, and what LLVM itself traps with: CUDA_ERROR_LAUNCH_FAILED
  assertion = 4, // a failed assert(): CUDA_ERROR_ASSERT
  no_code = 5,   // a call to where no function is: CUDA_ERROR_ILLEGAL_INSTRUCTION
};

} // namespace shim::util
