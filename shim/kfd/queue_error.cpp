#include "queue_error.hpp"

#include <util/trap.hpp>

namespace shim::kfd {

namespace {

struct Row {
  std::uint64_t bits;
  QueueErrorMeaning meaning;
};

// The first row that applies counts.
constexpr Row rows[] = {
    {invalid_group_memory, {CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, "more shared memory than there is"}},
    {group_too_large, {CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, "too many threads in a block"}},
    {too_many_registers, {CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, "more registers than there are"}},
    {memory_violation, {CUDA_ERROR_MISALIGNED_ADDRESS, "a misaligned access"}},
    {illegal_instruction, {CUDA_ERROR_ILLEGAL_INSTRUCTION, "an illegal instruction"}},
    {invalid_dimensions, {CUDA_ERROR_LAUNCH_FAILED, "a packet without dimensions"}},
    {invalid_code, {CUDA_ERROR_LAUNCH_FAILED, "a packet without code"}},
    {invalid_packet, {CUDA_ERROR_LAUNCH_FAILED, "an invalid packet"}},
};

QueueErrorMeaning meaning_of_trap(util::Trap trap) {
  switch (trap) {
  case util::Trap::abort:
    return {CUDA_ERROR_LAUNCH_FAILED, "a kernel trapped"};
  case util::Trap::assertion:
    return {CUDA_ERROR_ASSERT, "an assertion failed in a kernel"};
  case util::Trap::no_code:
    return {CUDA_ERROR_ILLEGAL_INSTRUCTION, "a kernel called an address where no function is"};
  }
  return {CUDA_ERROR_LAUNCH_FAILED, "a kernel trapped for no known reason"};
}

} // namespace

QueueErrorMeaning meaning_of_queue_error(std::uint64_t bits) {
  for (const Row& row : rows)
    if (bits & row.bits)
      return row.meaning;
  if (bits & trapped)
    return meaning_of_trap(static_cast<util::Trap>((bits & trap_number) >> 16));
  return {CUDA_ERROR_LAUNCH_FAILED, "an unknown error"};
}

} // namespace shim::kfd
