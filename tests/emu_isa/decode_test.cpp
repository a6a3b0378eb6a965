// The decoder's tables against LLVM's disassembler: the same operations by the same names.
#include <array>
#include <random>
#include <set>
#include <string>

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

  std::mt19937 random_{20240607};
  test::Disassembler llvm_;
};

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
