// Instruction words to Instruction. Unknown encodings do not decode.
#pragma once

#include <cstdint>
#include <span>

#include "instruction.hpp"

namespace emu::isa {

inline constexpr unsigned max_instruction_dwords = 5; // MIMG with three NSA words

// Decodes the instruction at the start of `words`. False where the words are no instruction of this device,
// or where it is longer than `words`. Instruction::handler is set where the operation can be executed.
bool decode(std::span<const std::uint32_t> words, Instruction& out);

// 32-bit registers that a value of this type occupies (mask: in a wave64).
unsigned registers_of(Type type);

} // namespace emu::isa
