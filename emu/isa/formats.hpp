// The first level of decoding: which format an instruction word has.
#pragma once

#include <cstdint>
#include <span>

#include "instruction.hpp"

namespace emu::isa {

// A format's first word as a bit pattern, most significant bit first: 0 and 1 are fixed, o is the opcode, -
// is any.
struct FormatPattern {
  Format format;
  const char* name;
  std::uint32_t mask;
  std::uint32_t value;
  unsigned opcode_shift;
  unsigned opcode_bits;

  bool matches(std::uint32_t word) const { return (word & mask) == value; }
  unsigned opcode(std::uint32_t word) const { return word >> opcode_shift & ((1u << opcode_bits) - 1); }
};

// In the order in which they are to be tried.
std::span<const FormatPattern> format_patterns();

// The pattern that a word matches; nullptr where none does.
const FormatPattern* find_format(std::uint32_t word);

} // namespace emu::isa
