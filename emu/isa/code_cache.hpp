// Decoded code by address, in blocks that are checked against memory when a workgroup first enters them.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>

#include <isa/execute.hpp>

#include "instruction.hpp"

namespace emu::isa {

struct CodeBlock {
  static constexpr unsigned dwords = 256;
  static constexpr std::uint64_t bytes = dwords * 4;
  static constexpr unsigned tail = 4; // words of the next block that the last instruction may extend into

  std::uint64_t base = 0;
  std::uint64_t epoch = 0; // of the last comparison with memory
  unsigned available = 0;  // words that could be read
  std::array<std::uint32_t, dwords + tail> words{};
  std::array<Instruction, dwords> slots; // size 0: not decoded yet

  // The instruction at a dword of the block; one that does not decode raises when it is executed.
  const Instruction& at(unsigned index) {
    if (slots[index].size == 0) [[unlikely]]
      decode_slot(index);
    return slots[index];
  }
  void forget();

private:
  void decode_slot(unsigned index);
};

struct CodeCache::Impl {
  explicit Impl(const memory::AddressSpace& space) : memory(space) {}

  // The block that holds a code address; nullptr where it cannot be fetched: memory.fault() says why.
  CodeBlock* enter(std::uint64_t pc) {
    CodeBlock* block = recent[pc / CodeBlock::bytes % recent.size()];
    if (block && block->base == (pc & ~(CodeBlock::bytes - 1)) && block->epoch == epoch)
      return block;
    return enter_slow(pc);
  }

  // From now on, blocks are compared with memory again before they are used.
  void revalidate() { ++epoch; }

  memory::Translator memory;
  std::uint64_t epoch = 1;
  std::array<CodeBlock*, 64> recent{};
  std::unordered_map<std::uint64_t, std::unique_ptr<CodeBlock>> blocks;

private:
  CodeBlock* enter_slow(std::uint64_t pc);
};

} // namespace emu::isa
