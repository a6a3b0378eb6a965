// Every vector operation that LLVM knows for the device has a row of that name with a handler, in every
// compilation.
#include <map>
#include <set>

#include "valu_fixture.hpp"

namespace emu::isa {
namespace {

using namespace test;

struct Encoding {
  Format format;
  std::uint32_t base;
  unsigned opcode_shift, opcodes;
  bool vop3;
};

// What the device has for pixel and geometry shaders only.
bool needs_a_shader_stage(const std::string& mnemonic) {
  return mnemonic.starts_with("v_interp_");
}

class Coverage : public Valu {
protected:
  static std::vector<std::uint32_t> words(const Encoding& e, unsigned opcode, std::uint32_t second) {
    return {e.base | opcode << e.opcode_shift, second, 0, 0};
  }

  // Mnemonics that LLVM prints for some operands of an opcode.
  std::set<std::string> llvm_mnemonics(const Encoding& e, unsigned opcode) {
    // VGPRs, scalars or zeros in the place of the sources: not every operation takes everything.
    static constexpr std::uint32_t seconds[] = {
        258 | 260 << 9 | 262 << 18, 258 | 260 << 9,           258,        0,
        258 | 4 << 9 | 6 << 18,     258 | 260 << 9 | 6 << 18, 4 | 6 << 9, 258 | 4 << 9};
    std::set<std::string> result;
    for (const std::uint32_t second : seconds) {
      if (e.vop3 && second == 0)
        continue;
      const auto found = llvm_.disassemble(words(e, opcode, second));
      if (found && found->text.find("Invalid") == std::string::npos)
        result.insert(found->mnemonic);
      if (!e.vop3)
        break;
    }
    return result;
  }

  test::Disassembler llvm_;
};

TEST_F(Coverage, every_operation_of_llvm_has_a_handler) {
  const Encoding encodings[] = {
      {Format::vop1, 0x7e000000 | 10 << 17 | 258, 9, 256, false},
      {Format::vop2, 10u << 17 | 4 << 9 | 258, 25, 62, false},
      {Format::vopc, 0x7c000000 | 4 << 9 | 258, 17, 256, false},
      {Format::vop3, 0xd4000000 | 10, 16, 1024, true},
      {Format::vop3p, 0xcc000000 | 10, 16, 128, true},
  };
  unsigned operations = 0;
  for (const Encoding& e : encodings)
    for (unsigned opcode = 0; opcode < e.opcodes; ++opcode)
      for (const std::string& mnemonic : llvm_mnemonics(e, opcode)) {
        if (needs_a_shader_stage(mnemonic))
          continue;
        ++operations;
        const Format format = e.format != Format::vop3            ? e.format
                              : opcode < 0x100                    ? Format::vopc
                              : opcode < 0x140                    ? Format::vop2
                              : opcode >= 0x180 && opcode < 0x200 ? Format::vop1
                                                                  : Format::vop3;
        const unsigned own = format == e.format       ? opcode
                             : format == Format::vopc ? opcode
                             : format == Format::vop2 ? opcode - 0x100
                                                      : opcode - 0x180;
        for (const Target& target : targets_) {
          const OpcodeRow* row = nullptr;
          for (const OpcodeRow& candidate : rows_in(*target.tables, format))
            if (candidate.opcode == own)
              row = &candidate;
          ASSERT_NE(row, nullptr) << target.name << ": " << mnemonic << std::hex << " opcode " << opcode;
          EXPECT_EQ(row->mnemonic, mnemonic) << std::hex << opcode;
          EXPECT_NE(row->handler, nullptr) << target.name << ": " << mnemonic;
        }
      }
  EXPECT_GT(operations, 600u);
}

TEST_F(Coverage, no_opcode_has_two_rows) {
  for (const Target& target : targets_)
    for (const Format format : {Format::vop1, Format::vop2, Format::vopc, Format::vop3, Format::vop3p}) {
      std::set<unsigned> seen;
      for (const OpcodeRow& row : rows_in(*target.tables, format))
        EXPECT_TRUE(seen.insert(row.opcode).second) << target.name << ": " << row.mnemonic;
    }
}

} // namespace
} // namespace emu::isa
