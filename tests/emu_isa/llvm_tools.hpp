// LLVM's assembler and disassembler for gfx1030, as the independent witness of encodings.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace emu::isa::test {

// Machine code of an assembly text; throws std::runtime_error with LLVM's message where it does not assemble.
std::vector<std::uint32_t> assemble(std::string_view text, bool wave64 = false);

struct Disassembly {
  std::string mnemonic; // without _e32, _e64, _sdwa, _dpp
  unsigned dwords = 0;
  std::string text; // the whole line
};

// The same without operands, several times as fast.
struct Decoded {
  std::string_view mnemonic; // lives as long as the disassembler
  unsigned dwords = 0;
  std::set<unsigned>
      registers; // that the operands name: see vgpr(), sgpr(), ttmp(); VCC, M0 and the like are left out
};

// Numbers of 32-bit registers in Decoded::registers.
constexpr unsigned vgpr(unsigned n) {
  return n;
}
constexpr unsigned sgpr(unsigned n) {
  return 1000 + n;
}
constexpr unsigned ttmp(unsigned n) {
  return 2000 + n;
}

class Disassembler {
public:
  Disassembler();
  ~Disassembler();
  Disassembler(const Disassembler&) = delete;
  Disassembler& operator=(const Disassembler&) = delete;

  // The first instruction; nullopt where LLVM knows none.
  std::optional<Disassembly> disassemble(std::span<const std::uint32_t> words);
  std::optional<Decoded> decode(std::span<const std::uint32_t> words);

private:
  struct Decoder;
  void* context_;
  std::unique_ptr<Decoder> decoder_;
};

} // namespace emu::isa::test
