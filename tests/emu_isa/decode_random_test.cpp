// The decoder against LLVM's disassembler on millions of random words: same mnemonic, size and registers.
// What disagrees is in a table with its reason; a row of the table that nothing needs any more fails too.
//
// Arguments: a number that seeds the words. CUDA_SHIM_TEST_WORDS: how many.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "decode_canonical.hpp"
#include "formats.hpp"
#include "llvm_tools.hpp"

namespace emu::isa::test {
namespace {

unsigned long seed = 1;

struct Case {
  const Words& words;
  const FormatPattern* pattern; // null: no format
  std::string_view mnemonic;    // of the side that accepts
  Disassembler& llvm;
};

struct Disagreement {
  const char* what; // also in docs/isa-errata.md
  bool (*applies)(const Case&);
};

bool is_buffer(const Case& c) {
  return c.pattern && (c.pattern->format == Format::mubuf || c.pattern->format == Format::mtbuf);
}

// Selectors 7 and dst_unused 3. (LLVM decodes them, but its printer cannot name them and may crash.)
bool has_reserved_sdwa_fields(const Case& c) {
  constexpr std::uint32_t sdwa = 0xf9;
  const Format format = c.pattern ? c.pattern->format : Format::sopp;
  if ((c.words[0] & 0x1ff) != sdwa ||
      (format != Format::vop1 && format != Format::vop2 && format != Format::vopc))
    return false;
  const std::uint32_t w = c.words[1];
  const bool destination = format != Format::vopc && ((w >> 8 & 7) == 7 || (w >> 11 & 3) == 3);
  return destination || (w >> 16 & 7) == 7 || (w >> 24 & 7) == 7;
}

// Decoded by LLVM, not here. The first row that applies counts.
const Disagreement llvm_only[] = {
    {"reserved values in the selectors of SDWA", has_reserved_sdwa_fields},
    {"a literal as the scalar offset of a buffer instruction",
     [](const Case& c) { return is_buffer(c) && c.words[1] >> 24 == 255; }},
    {"parameter interpolation in VOP3 clothes, for pixel shaders",
     [](const Case& c) { return c.mnemonic.starts_with("v_interp_"); }},
    {"a scalar as the source of an operation that reads a VGPR by number",
     [](const Case& c) {
       return c.mnemonic.starts_with("v_movrels") || c.mnemonic.starts_with("v_swap") ||
              c.mnemonic == "v_readfirstlane_b32";
     }},
    {"an operand of the wrong register class, which LLVM itself marks as invalid",
     [](const Case& c) {
       const auto text = c.llvm.disassemble(c.words);
       return text && text->text.find("Invalid ") != std::string::npos;
     }},
};

// Decoded here, not by LLVM, and not for the sake of fields that the operation does not use.
const Disagreement ours_only[] = {
    {"image operands, which are not looked at: the instruction is refused",
     [](const Case& c) { return c.pattern && c.pattern->format == Format::mimg; }},
};

template <std::size_t n>
class Table {
public:
  explicit Table(const Disagreement (&rows)[n]) : rows_(rows) {}

  bool knows(const Case& c) {
    for (std::size_t i = 0; i < n; ++i)
      if (rows_[i].applies(c)) {
        ++counts_[i];
        return true;
      }
    return false;
  }

  void report(const char* title, unsigned long words) const {
    for (std::size_t i = 0; i < n; ++i) {
      std::printf("%s: %lu x %s\n", title, counts_[i], rows_[i].what);
      if (words >= 1'000'000) {
        EXPECT_GT(counts_[i], 0u) << "a disagreement that does not occur: " << rows_[i].what;
      }
    }
  }

private:
  const Disagreement (&rows_)[n];
  unsigned long counts_[n] = {};
};

std::string hex(const Words& words) {
  char text[64];
  std::snprintf(text, sizeof text, "%08x %08x %08x", words[0], words[1], words[2]);
  return text;
}

class RandomWords : public ::testing::Test {
protected:
  // Every other one of a format chosen evenly: in plain random words half are VOP2.
  Words next() {
    Words words;
    for (std::uint32_t& word : words)
      word = static_cast<std::uint32_t>(random_());
    if (random_() % 2) {
      const auto patterns = format_patterns();
      const FormatPattern& pattern = patterns[random_() % patterns.size()];
      words[0] = (words[0] & ~pattern.mask) | pattern.value;
    }
    return words;
  }

  void compare(const Words& words) {
    Instruction ours;
    const bool decoded = decode(words, ours);
    const auto theirs = llvm_.decode(words);
    if (decoded && theirs)
      same(words, ours, *theirs);
    else if (theirs)
      missing(words, *theirs);
    else if (decoded)
      surplus(words, ours);
  }

  void same(const Words& words, const Instruction& ours, const Decoded& theirs) {
    ++agreed_;
    if (theirs.mnemonic != ours.row->mnemonic || theirs.dwords != ours.size)
      complain(std::string(theirs.mnemonic) + " taken for " + ours.row->mnemonic, hex(words));
    else if (ours.handler && theirs.registers != registers_in(ours))
      complain(std::string(theirs.mnemonic) + " has other registers",
               hex(words) + llvm_.disassemble(words)->text);
  }

  // Registers of the operands, as LLVM numbers them. A lane mask has one register: the disassembler is set to
  // wave32.
  static void add_registers(const Operand& operand, std::set<unsigned>& to) {
    const unsigned count = operand.type == Type::mask ? 1 : registers_of(operand.type);
    for (unsigned i = 0; i < count; ++i) {
      const unsigned reg = operand.index + i;
      if (operand.is_vector())
        to.insert(vgpr(reg));
      else if (operand.is_scalar() && reg < sgpr_count)
        to.insert(sgpr(reg));
      else if (operand.is_scalar() && reg >= ttmp0 && reg < m0_register)
        to.insert(ttmp(reg - ttmp0));
    }
  }

  static std::set<unsigned> registers_in(const Instruction& in) {
    std::set<unsigned> result;
    for (const Operand* operand :
         {&in.dst, &in.dst2, &in.src[0], &in.src[1], &in.src[2], &in.scalar, &in.soffset})
      add_registers(*operand, result);
    // The status, which LLVM sees with stores too, where nothing writes it.
    const Operand& data = in.dst.is_vector() ? in.dst : in.src[1];
    if (in.tfe && !in.lds && data.is_vector())
      result.insert(vgpr(data.index + registers_of(data.type)));
    return result;
  }

  void missing(const Words& words, const Decoded& theirs) {
    if (!llvm_only_.knows({words, find_format(words[0]), theirs.mnemonic, llvm_}))
      complain("rejected " + std::string(theirs.mnemonic), hex(words) + llvm_.disassemble(words)->text);
  }

  void surplus(const Words& words, const Instruction& ours) {
    if (ours_only_.knows({words, find_format(words[0]), ours.row->mnemonic, llvm_}))
      return;
    const Words cleared = canonical(words, ours);
    const auto theirs = llvm_.decode(cleared);
    if (theirs && theirs->mnemonic == ours.row->mnemonic && theirs->dwords == ours.size)
      ++agreed_;
    else
      complain(std::string(ours.row->mnemonic) + (ours.encoded_vop3 ? "_e64" : "") + " variant " +
                   std::to_string(static_cast<int>(ours.variant)) + " is unknown to LLVM",
               hex(words) + " cleared " + hex(cleared));
  }

  void complain(const std::string& what, const std::string& example) {
    auto& entry = complaints_[what];
    ++entry.first;
    entry.second = example;
  }

  std::mt19937_64 random_{seed};
  Disassembler llvm_;
  Table<std::size(llvm_only)> llvm_only_{llvm_only};
  Table<std::size(ours_only)> ours_only_{ours_only};
  std::map<std::string, std::pair<unsigned long, std::string>> complaints_; // count and an example
  unsigned long agreed_ = 0;
};

TEST_F(RandomWords, decode_as_llvm_says) {
  const char* wanted = std::getenv("CUDA_SHIM_TEST_WORDS");
  const unsigned long words = wanted ? std::strtoul(wanted, nullptr, 0) : 5'000'000;
  for (unsigned long i = 0; i < words; ++i)
    compare(next());
  EXPECT_GT(agreed_, words / 4);
  unsigned shown = 0;
  for (const auto& [what, entry] : complaints_)
    if (++shown <= 100)
      ADD_FAILURE() << entry.first << " x " << what << ", e.g. " << entry.second;
  std::printf("seed %lu: %lu words, %lu decode alike\n", seed, words, agreed_);
  llvm_only_.report("LLVM alone", words);
  ours_only_.report("here alone", words);
}

} // namespace
} // namespace emu::isa::test

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (argc > 1)
    emu::isa::test::seed = std::strtoul(argv[1], nullptr, 0);
  return RUN_ALL_TESTS();
}
