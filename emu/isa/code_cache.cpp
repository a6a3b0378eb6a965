#include "code_cache.hpp"

#include <algorithm>
#include <cstring>
#include <span>

#include "decoder.hpp"
#include "group.hpp"

namespace emu::isa {

namespace {

void refuse_encoding(Wave& wave, const Instruction&) {
  wave.raise_illegal("no instruction of gfx1030");
}
void refuse_operation(Wave& wave, const Instruction&) {
  wave.raise_illegal("instruction that a compute wave of this device does not execute");
}

// Blocks kept at most; programs beyond that start over.
constexpr std::size_t block_limit = 512;

} // namespace

void CodeBlock::forget() {
  for (Instruction& slot : slots)
    slot.size = 0;
}

void CodeBlock::decode_slot(unsigned index) {
  Instruction& slot = slots[index];
  if (!decode(std::span(words).subspan(index, std::min(available - index, 1 + tail)), slot)) {
    slot = Instruction{};
    slot.handler = refuse_encoding;
  } else if (!slot.handler) {
    slot.handler = refuse_operation;
  }
}

CodeBlock* CodeCache::Impl::enter_slow(std::uint64_t pc) {
  const std::uint64_t base = pc & ~(CodeBlock::bytes - 1);
  const std::byte* host = memory.translate(base, CodeBlock::bytes, memory::Access::execute);
  if (!host)
    return nullptr;
  if (blocks.size() > block_limit) {
    blocks.clear();
    recent.fill(nullptr);
  }
  auto& owner = blocks[base];
  const bool fresh = !owner;
  if (fresh) {
    owner = std::make_unique<CodeBlock>();
    owner->base = base;
  }
  CodeBlock& block = *owner;
  std::array<std::uint32_t, CodeBlock::dwords + CodeBlock::tail> words{};
  std::memcpy(words.data(), host, CodeBlock::bytes);
  const bool has_tail = memory.read(base + CodeBlock::bytes, &words[CodeBlock::dwords], CodeBlock::tail * 4);
  const unsigned available = CodeBlock::dwords + (has_tail ? CodeBlock::tail : 0);
  if (fresh || available != block.available || words != block.words) {
    block.words = words;
    block.available = available;
    block.forget();
  }
  block.epoch = epoch;
  recent[pc / CodeBlock::bytes % recent.size()] = &block;
  return &block;
}

CodeCache::CodeCache(const memory::AddressSpace& space) : impl_(std::make_unique<Impl>(space)) {}
CodeCache::~CodeCache() = default;

} // namespace emu::isa
