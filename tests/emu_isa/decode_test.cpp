// The decoder against LLVM's disassembler: same mnemonic, same size, for every table row and for random
// words.
#include <array>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "decoder.hpp"
#include "formats.hpp"
#include "llvm_tools.hpp"
#include "tables.hpp"

namespace emu::isa {
namespace {

using Words = std::array<std::uint32_t, 5>;

class Decode : public ::testing::Test {
protected:
  // Words of a pattern: fixed bits as they must be, the opcode given, everything else random.
  Words random_words(const FormatPattern& pattern) {
    Words words;
    for (std::uint32_t& word : words)
      word = static_cast<std::uint32_t>(random_());
    words[0] = (words[0] & ~pattern.mask) | pattern.value;
    return words;
  }

  static Words with_opcode(Words words, const FormatPattern& pattern, unsigned opcode) {
    const std::uint32_t field = ((1u << pattern.opcode_bits) - 1) << pattern.opcode_shift;
    words[0] = (words[0] & ~field) | (opcode << pattern.opcode_shift & field);
    if (pattern.format == Format::mtbuf)
      words[1] = (words[1] & ~(1u << 21)) | (opcode >> 3 & 1) << 21;
    if (pattern.format == Format::mimg)
      words[0] = (words[0] & ~1u) | (opcode >> 7 & 1);
    return words;
  }

  static std::string hex(const Words& words) {
    char text[64];
    std::snprintf(text, sizeof text, "%08x %08x %08x", words[0], words[1], words[2]);
    return text;
  }

  std::mt19937 random_{20240607};
  test::Disassembler llvm_;
};

// What LLVM checks that this decoder leaves alone: image operands (images are refused whatever they are).
bool beyond_comparison(const FormatPattern& pattern) {
  return pattern.format == Format::mimg || pattern.format == Format::exp || pattern.format == Format::vintrp;
}

// How often something went wrong, with an example.
using Complaints = std::map<std::string, std::pair<unsigned, std::string>>;

void report(const Complaints& complaints) {
  unsigned shown = 0;
  for (const auto& [what, entry] : complaints)
    if (++shown <= 100)
      ADD_FAILURE() << entry.first << " x " << what << ", e.g. " << entry.second;
}

// What LLVM prints although no device executes it: operands that it calls invalid itself, a literal as buffer
// offset.
bool is_lenient(const FormatPattern& pattern, const Words& words, const test::Disassembly& theirs) {
  const bool buffer = pattern.format == Format::mubuf || pattern.format == Format::mtbuf;
  const std::string& name = theirs.mnemonic;
  return theirs.text.find("Invalid ") != std::string::npos || (buffer && words[1] >> 24 == 255) ||
         name.starts_with("v_interp") || name.starts_with("v_movrel") || name.starts_with("v_swap") ||
         name == "v_readfirstlane_b32";
}

TEST_F(Decode, what_llvm_accepts_decodes_to_the_same_mnemonic_and_size) {
  const unsigned rounds = 400'000;
  Complaints complaints;
  unsigned accepted = 0;
  for (unsigned i = 0; i < rounds; ++i) {
    const auto patterns = format_patterns();
    const FormatPattern& pattern = patterns[random_() % patterns.size()];
    const Words words = random_words(pattern);
    const auto theirs = llvm_.disassemble(words);
    if (!theirs || is_lenient(pattern, words, *theirs))
      continue;
    ++accepted;
    Instruction ours;
    if (!decode(words, ours)) {
      auto& entry = complaints["rejected " + theirs->mnemonic];
      ++entry.first;
      entry.second = hex(words) + theirs->text;
      continue;
    }
    if (theirs->mnemonic != ours.row->mnemonic || theirs->dwords != ours.size) {
      auto& entry = complaints[theirs->mnemonic + " taken for " + ours.row->mnemonic];
      ++entry.first;
      entry.second = hex(words) + theirs->text;
    }
  }
  EXPECT_GT(accepted, rounds / 20);
  report(complaints);
}

// Hardware ignores fields that an operation does not use; LLVM insists on zero. The same words with such
// fields cleared, as this decoder sees them.
void clear(std::uint32_t& word, unsigned high, unsigned low) {
  word &= ~(~0u >> (31 - high + low) << low);
}

void clear_unused_memory_fields(Words& words, const Instruction& in) {
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

void clear_unused_vector_fields(Words& words, const Instruction& in) {
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

Words canonical(Words words, const Instruction& in) {
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

TEST_F(Decode, what_llvm_rejects_differs_only_in_fields_that_the_operation_does_not_use) {
  const unsigned rounds = 400'000;
  Complaints complaints;
  for (unsigned i = 0; i < rounds; ++i) {
    const auto patterns = format_patterns();
    const FormatPattern& pattern = patterns[random_() % patterns.size()];
    if (beyond_comparison(pattern))
      continue;
    const Words words = random_words(pattern);
    Instruction ours;
    if (!decode(words, ours) || llvm_.disassemble(words))
      continue;
    const Words cleared = canonical(words, ours);
    const auto theirs = llvm_.disassemble(cleared);
    if (theirs && theirs->mnemonic == ours.row->mnemonic && theirs->dwords == ours.size)
      continue;
    auto& entry = complaints[std::string(ours.row->mnemonic) + (ours.encoded_vop3 ? "_e64" : "") +
                             " variant " + std::to_string(static_cast<int>(ours.variant))];
    ++entry.first;
    entry.second = hex(words) + " cleared " + hex(cleared);
  }
  report(complaints);
}

TEST_F(Decode, llvm_knows_every_table_row_by_the_same_name) {
  for (const FormatPattern& pattern : format_patterns()) {
    if (pattern.format == Format::mimg)
      continue; // LLVM names one only with operands that suit it
    for (const OpcodeRow& row : rows_of(pattern.format)) {
      std::set<std::string> names;
      for (unsigned attempt = 0; attempt < 3000 && !names.contains(row.mnemonic); ++attempt) {
        Words words = with_opcode(random_words(pattern), pattern, row.opcode);
        if (attempt % 2) // operands of zero suit most
          words[1] = attempt % 4 == 1 ? 0 : words[1] & 0x00ff00ff;
        if (attempt % 3 == 0)
          words[0] &= pattern.mask | ((1u << pattern.opcode_bits) - 1) << pattern.opcode_shift | 1u << 17;
        if (const auto theirs = llvm_.disassemble(words))
          names.insert(theirs->mnemonic);
      }
      std::string seen;
      for (const std::string& name : names)
        seen += name + " ";
      EXPECT_TRUE(names.contains(row.mnemonic))
          << pattern.name << " " << row.opcode << " " << row.mnemonic << ", LLVM says: " << seen;
    }
  }
}

} // namespace
} // namespace emu::isa
