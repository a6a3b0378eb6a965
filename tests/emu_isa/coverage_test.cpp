// Every operation that LLVM's disassembler knows for the device, in every encoding that a compute wave may
// meet: has it a row of that name, is it implemented, and has a test compared what it does with an
// independent computation? Arguments: the tests to ask, which are run with ISA_COVERAGE_FILE set. The report
// goes to isa_coverage.txt in the working directory.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "formats.hpp"
#include "llvm_tools.hpp"
#include "tables.hpp"

namespace emu::isa::test {
namespace {

std::vector<std::string> semantic_tests;

using Key = std::pair<Format, unsigned>;

// Operations that decode and are refused when executed.
struct Refusal {
  const char* prefix; // of the mnemonic
  const char* reason;
};
constexpr Refusal refusals[] = {
    {"ds_ordered_count", "global data share"},     {"s_endpgm_saved", "the kernel's trap handler only"},
    {"s_endpgm_ordered_ps_done", "pixel shaders"}, {"v_interp_", "pixel shaders"},
    {"exp", "exports of graphics stages"},         {"image_", "image instructions"},
};
const Refusal* refusal(std::string_view mnemonic) {
  for (const Refusal& r : refusals)
    if (mnemonic.starts_with(r.prefix))
      return &r;
  return nullptr;
}

// Operands that suit some operation: what to put into the words around the opcode.
struct Shape {
  std::uint32_t first, second;
};

const std::vector<Shape>& shapes(Format format) {
  static const std::vector<Shape> scalar = {
      {0x080402, 0}, {0x080002, 0}, {0x7d007d, 0}, {0, 0}, {0x6a0000, 0}};
  static const std::vector<Shape> smem = {
      {0x102, 0xfa000000}, {0x100, 0}, {0, 0xfa000000}, {0, 0}, {2, 0xfa000000}};
  static const std::vector<Shape> ds = {
      {0, 0x08060402}, {0, 0x08000002}, {0, 0x00060402},       {0, 0x402},
      {0, 2},          {0, 0},          {0, 0x08000000},       {0, 0x08000402},
      {0, 0x400},      {0x20000, 0},    {0x20000, 0x00000002}, {0x20000, 0x08000002}};
  static const std::vector<Shape> flat = {{0, 0x087d0402},       {0, 0x007d0402}, {0, 0x087d0002},
                                          {0x10000, 0x087d0402}, {0, 0x08040000}, {0, 0x00040400}};
  static const std::vector<Shape> buffer = {
      {0, 0x80010402}, {0, 0x80010400}, {0, 0}, {0x1000, 0x80010402}, {0, 0x80210400}};
  static const std::vector<Shape> vop32 = {
      {10u << 17 | 4 << 9 | 258, 0}, {10u << 17 | 258, 0}, {0, 0}, {10u << 17, 0}};
  static const std::vector<Shape> vop3 = {{10, 258 | 260 << 9 | 262 << 18},
                                          {10, 258 | 260 << 9},
                                          {10, 258},
                                          {10, 0},
                                          {10, 258 | 4 << 9 | 6 << 18},
                                          {10, 258 | 260 << 9 | 6 << 18},
                                          {10, 4 | 6 << 9},
                                          {10, 258 | 4 << 9},
                                          {0x4000 | 10, 258 | 260 << 9},
                                          {0, 0}};
  switch (format) {
  case Format::smem:
    return smem;
  case Format::ds:
    return ds;
  case Format::flat:
  case Format::global:
  case Format::scratch:
    return flat;
  case Format::mubuf:
  case Format::mtbuf:
    return buffer;
  case Format::vop1:
  case Format::vop2:
  case Format::vopc:
    return vop32;
  case Format::vop3:
  case Format::vop3p:
    return vop3;
  default:
    return scalar;
  }
}

// Where an encoding's operation has its row: VOP3 encodes those of VOPC, VOP2 and VOP1 too.
Key row_key(Format format, unsigned opcode) {
  if (format != Format::vop3)
    return {format, opcode};
  if (opcode < 0x100)
    return {Format::vopc, opcode};
  if (opcode < 0x140)
    return {Format::vop2, opcode - 0x100};
  if (opcode >= 0x180 && opcode < 0x200)
    return {Format::vop1, opcode - 0x180};
  return {Format::vop3, opcode};
}

// What LLVM knows: the mnemonics of each operation. Graphics formats (MIMG, EXP, VINTRP) are not asked for.
std::map<Key, std::set<std::string>> operations_of_llvm() {
  Disassembler llvm;
  std::map<Key, std::set<std::string>> result;
  for (const FormatPattern& pattern : format_patterns()) {
    if (pattern.format == Format::mimg || pattern.format == Format::exp || pattern.format == Format::vintrp)
      continue;
    for (unsigned field = 0; field < 1u << pattern.opcode_bits; ++field)
      for (const Shape& shape : shapes(pattern.format)) {
        const std::uint32_t opcode_mask = ((1u << pattern.opcode_bits) - 1) << pattern.opcode_shift;
        const std::uint32_t first =
            pattern.value | field << pattern.opcode_shift | (shape.first & ~pattern.mask & ~opcode_mask);
        if (find_format(first) != &pattern)
          continue;
        const std::uint32_t words[] = {first, shape.second, 0, 0, 0};
        const auto found = llvm.disassemble(words);
        if (!found || found->text.find("Invalid ") != std::string::npos || found->mnemonic == "v_illegal")
          continue;
        const unsigned opcode =
            pattern.format == Format::mtbuf ? field | (shape.second >> 21 & 1) << 3 : field;
        result[row_key(pattern.format, opcode)].insert(found->mnemonic);
      }
  }
  return result;
}

// What the tests have compared.
std::set<Key> tested_operations() {
  std::map<std::string, Format, std::less<>> formats;
  for (const FormatPattern& pattern : format_patterns())
    formats[pattern.name] = pattern.format;
  const std::string path = "isa_coverage." + std::to_string(getpid());
  setenv("ISA_COVERAGE_FILE", path.c_str(), 1);
  for (const std::string& test : semantic_tests)
    EXPECT_EQ(std::system((test + " >/dev/null 2>&1").c_str()), 0) << test;
  std::set<Key> result;
  std::ifstream file(path);
  std::string format;
  for (unsigned opcode; file >> format >> opcode;)
    result.emplace(formats.at(format), opcode);
  std::remove(path.c_str());
  return result;
}

TEST(Coverage, every_operation_of_llvm_is_implemented_and_tested) {
  const auto operations = operations_of_llvm();
  const auto tested = tested_operations();
  struct Sum {
    unsigned known = 0, implemented = 0, tested = 0, refused = 0;
  };
  std::map<std::string, Sum> sums;
  std::ofstream report("isa_coverage.txt");
  for (const auto& [key, mnemonics] : operations) {
    const auto [format, opcode] = key;
    const OpcodeRow* row = find_row(format, opcode);
    for (const std::string& mnemonic : mnemonics) {
      const Refusal* refused = refusal(mnemonic);
      Sum& sum = sums[format_name(format)];
      ++sum.known;
      const bool implemented = row && row->handler, compared = tested.contains(key);
      sum.implemented += implemented;
      sum.tested += compared;
      sum.refused += refused != nullptr;
      report << format_name(format) << ' ' << opcode << ' ' << mnemonic << ' '
             << (refused       ? refused->reason
                 : compared    ? "tested"
                 : implemented ? "implemented"
                               : "missing")
             << '\n';
      if (refused) {
        EXPECT_FALSE(implemented) << mnemonic << " is not refused any more";
        continue;
      }
      if (!row) {
        ADD_FAILURE() << format_name(format) << ' ' << opcode << ' ' << mnemonic << " has no row";
        continue;
      }
      EXPECT_EQ(row->mnemonic, mnemonic) << format_name(format) << ' ' << opcode;
      EXPECT_TRUE(implemented) << mnemonic << " is not implemented";
      EXPECT_TRUE(compared) << format_name(format) << ' ' << mnemonic << " is not tested";
    }
  }
  std::printf("%-8s %6s %12s %7s %8s\n", "format", "known", "implemented", "tested", "refused");
  Sum all;
  for (const auto& [name, sum] : sums) {
    std::printf("%-8s %6u %12u %7u %8u\n", name.c_str(), sum.known, sum.implemented, sum.tested, sum.refused);
    all.known += sum.known;
    all.implemented += sum.implemented;
    all.tested += sum.tested;
    all.refused += sum.refused;
  }
  std::printf("%-8s %6u %12u %7u %8u\n", "all", all.known, all.implemented, all.tested, all.refused);
  EXPECT_GT(all.known, 1000u);
}

// The other direction: no row that LLVM does not know.
TEST(Coverage, every_row_is_an_operation_of_llvm) {
  const auto operations = operations_of_llvm();
  for (const FormatPattern& pattern : format_patterns()) {
    if (pattern.format == Format::mimg || pattern.format == Format::exp || pattern.format == Format::vintrp)
      continue;
    for (const OpcodeRow& row : rows_of(pattern.format)) {
      const auto found = operations.find({pattern.format, row.opcode});
      EXPECT_TRUE(found != operations.end() && found->second.contains(row.mnemonic))
          << pattern.name << ' ' << row.opcode << ' ' << row.mnemonic;
    }
  }
}

} // namespace
} // namespace emu::isa::test

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i)
    emu::isa::test::semantic_tests.push_back(std::filesystem::absolute(argv[i]));
  return RUN_ALL_TESTS();
}
