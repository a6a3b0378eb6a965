// The words that a queue's inactive signal gets: from the packet processor's firmware, and from
// trap/handler.S.
#pragma once

#include <cstdint>

#include <util/error.hpp>

namespace shim::kfd {

enum QueueErrorBits : std::uint64_t {
  scratch_wanted_wave64 = 1,
  invalid_dimensions = 2,
  invalid_group_memory = 4,
  invalid_code = 8,
  invalid_packet = 0x20,
  group_too_large = 0x40,
  too_many_registers = 0x80,
  scratch_wanted_wave32 = 0x400,
  trap_number = 0xff0000, // with `trapped`: s_trap's
  memory_violation = 0x20000000,
  illegal_instruction = 0x40000000,
  trapped = 0x80000000,
};

struct QueueErrorMeaning {
  CUresult code;
  const char* words;
};
// Of anything but a wish for scratch.
QueueErrorMeaning meaning_of_queue_error(std::uint64_t bits);

} // namespace shim::kfd
