// Words as LLVM's disassembler accepts them: fields that an operation does not use cleared.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "decoder.hpp"
#include "tables.hpp"

namespace emu::isa::test {

using Words = std::array<std::uint32_t, 5>;

// Hardware ignores fields that an operation does not use; LLVM insists on zero. The same words with such
// fields cleared, as this decoder sees them.
inline void clear(std::uint32_t& word, unsigned high, unsigned low) {
  word &= ~(~0u >> (31 - high + low) << low);
}

inline void clear_unused_memory_fields(Words& words, const Instruction& in) {
  if (!in.src[0].is_vector())
    clear(words[1], 7, 0);
  switch (in.format) {
  case Format::ds:
    clear(words[0], 17, 16);
    if (std::string_view(in.row->mnemonic).starts_with("ds_gws") || in.row->opcode == 0x3f)
      words[0] |= 1u << 17; // these are GDS only
    if (std::string_view(in.row->mnemonic) == "ds_nop")
      clear(words[0], 15, 0);
    if (!in.src[1].is_vector())
      clear(words[1], 15, 8);
    if (!in.src[2].is_vector())
      clear(words[1], 23, 16);
    if (!in.dst.is_vector())
      clear(words[1], 31, 24);
    break;
  case Format::flat:
    clear(words[0], 11, 11);
    words[1] = (words[1] & ~(127u << 16)) | 125u << 16;
    [[fallthrough]];
  case Format::global:
  case Format::scratch:
    clear(words[0], 13, 12);
    clear(words[0], 25, 25);
    clear(words[1], 23, 23);
    if (!in.src[1].is_vector())
      clear(words[1], 15, 8);
    if (!in.dst.is_vector())
      clear(words[1], 31, 24);
    break;
  case Format::mubuf:
  case Format::mtbuf:
    if (in.format == Format::mubuf) {
      clear(words[0], 17, 16);
      clear(words[1], 21, 21);
    }
    clear(words[1], 23, 23);
    if (in.row->flags & row_atomic)
      clear(words[0], 15, 15);
    if (!in.scalar.is_scalar()) {
      clear(words[0], 17, 0);
      words[1] = 0;
    }
    break;
  default:
    break;
  }
}

inline void clear_unused_vector_fields(Words& words, const Instruction& in) {
  if (in.encoded_vop3 || in.format == Format::vop3) {
    clear(words[0], 15, in.dst2.kind == OperandKind::none ? 8 : 15);
    clear(words[1], 31, 27);
    for (unsigned i = 0; i < 3; ++i)
      if (in.src[i].kind == OperandKind::none)
        clear(words[1], i * 9 + 8, i * 9);
    if (in.dst.kind == OperandKind::none)
      clear(words[0], 7, 0);
    if (in.row->flags & row_writes_exec)
      words[0] = (words[0] & ~255u) | exec_lo;
  } else if (in.format == Format::vop3p) {
    clear(words[0], 15, 8);
    clear(words[1], 31, 27);
    if (in.src[2].kind == OperandKind::none) {
      clear(words[1], 26, 18);
      words[0] |= 1u << 14;
    }
  } else if (in.format == Format::vop1 && in.variant == Variant::plain) {
    if (in.dst.kind == OperandKind::none)
      clear(words[0], 24, 17);
    if (in.src[0].kind == OperandKind::none)
      clear(words[0], 8, 0);
  } else if (in.variant == Variant::sdwa) {
    clear(words[1], 21, 19);
    clear(words[1], 29, 27);
    clear(words[1], 22, 22);
    clear(words[1], 30, 30);
    if (in.format == Format::vopc) {
      if (in.row->flags & row_writes_exec)
        clear(words[1], 15, 8);
    } else {
      clear(words[1], 15, 13);
    }
    if (in.src[1].kind == OperandKind::none)
      clear(words[1], 31, 24);
  } else if (in.variant == Variant::dpp16) {
    clear(words[1], 23, 20);
    clear(words[1], 17, 17);
  }
}

inline Words canonical(Words words, const Instruction& in) {
  switch (in.format) {
  case Format::smem:
    clear(words[0], 17, 17);
    clear(words[0], 15, 15);
    clear(words[0], 13, 13);
    clear(words[1], 24, 21);
    if (in.dst.kind == OperandKind::none)
      clear(words[0], 16, in.scalar.is_scalar() ? 13 : 6);
    if (!in.scalar.is_scalar()) {
      clear(words[0], 5, 0);
      clear(words[0], 16, 13);
      words[1] = 0;
    }
    break;
  case Format::ds:
  case Format::flat:
  case Format::global:
  case Format::scratch:
  case Format::mubuf:
  case Format::mtbuf:
    clear_unused_memory_fields(words, in);
    break;
  case Format::sop1:
  case Format::sopk:
  case Format::sopp:
    if (in.format == Format::sopp)
      clear(words[0], 15, 0);
    if (in.format == Format::sop1 && in.src[0].kind == OperandKind::none)
      clear(words[0], 7, 0);
    if (in.format == Format::sop1 && in.dst.kind == OperandKind::none)
      clear(words[0], 22, 16);
    if (in.format == Format::sopk && in.dst.kind == OperandKind::none)
      clear(words[0], 22, 16);
    break;
  default:
    clear_unused_vector_fields(words, in);
  }
  return words;
}

} // namespace emu::isa::test
