// Lane loops for vector handlers. Everything here has internal linkage, because the vector ALU is compiled
// for several host instruction sets: nothing that the linker could merge across them.
#pragma once

#include <bit>
#include <cstdint>

#include "wave.hpp"

namespace emu::isa {
namespace {

struct alignas(64) Row {
  std::uint32_t lane[max_lanes];
};

// One word of an operand for all lanes: the VGPR row itself, or `buffer` filled with the broadcast scalar.
// `word` is 0 for 32-bit operands, 0 or 1 for the halves of 64-bit ones.
[[gnu::always_inline]] inline const std::uint32_t* source_row(const Wave& wave, const Operand& from,
                                                              Row& buffer, unsigned word = 0) {
  if (from.kind == OperandKind::vector)
    return wave.vgpr[from.index + word];
  std::uint32_t value;
  if (from.kind == OperandKind::constant)
    value = word ? from.high : from.low;
  else if (word)
    value = static_cast<std::uint32_t>(wave.read_scalar64(from) >> 32);
  else
    value = wave.read_scalar(from);
  for (unsigned i = 0; i < max_lanes; ++i)
    buffer.lane[i] = value;
  return buffer.lane;
}

// f(i) for i in 0..lanes-1 with a constant trip count, so that the loop vectorises. f must not depend on
// order.
template <class F>
[[gnu::always_inline]] inline void for_each_lane(const Wave& wave, F&& f) {
  if (wave.wave64) {
#pragma GCC ivdep
    for (unsigned i = 0; i < 64; ++i)
      f(i);
  } else {
#pragma GCC ivdep
    for (unsigned i = 0; i < 32; ++i)
      f(i);
  }
}

// Copies `from` into a VGPR row where `mask` has a lane's bit.
[[gnu::always_inline]] inline void store_row(Wave& wave, unsigned vgpr, const std::uint32_t* from,
                                             std::uint64_t mask) {
  std::uint32_t* to = wave.vgpr[vgpr];
  for (unsigned half = 0; half < wave.lanes; half += 32) {
    const auto bits = static_cast<std::uint32_t>(mask >> half);
#pragma GCC ivdep
    for (unsigned i = 0; i < 32; ++i) {
      const std::uint32_t take = (bits & (1u << i)) ? ~0u : 0u;
      to[half + i] = (from[half + i] & take) | (to[half + i] & ~take);
    }
  }
}

// dst = f(i) under EXEC, for a 32-bit vector destination. Straight into the register where EXEC is full; a
// register that is source and destination is safe because each lane reads before it writes.
template <class F>
[[gnu::always_inline]] inline void write_lanes(Wave& wave, const Operand& dst, F&& f) {
  if (wave.full()) {
    std::uint32_t* to = wave.vgpr[dst.index];
    for_each_lane(wave, [&](unsigned i) { to[i] = f(i); });
    return;
  }
  Row result;
  for_each_lane(wave, [&](unsigned i) { result.lane[i] = f(i); });
  store_row(wave, dst.index, result.lane, wave.exec());
}

// The bits of lanes for which f(i) holds, as v_cmp writes them: inactive lanes give 0.
template <class F>
[[gnu::always_inline]] inline std::uint64_t collect_mask(const Wave& wave, F&& f) {
  Row result;
  for_each_lane(wave, [&](unsigned i) { result.lane[i] = f(i) ? 1u : 0u; });
  std::uint64_t bits = 0;
  for (unsigned i = 0; i < wave.lanes; ++i)
    bits |= static_cast<std::uint64_t>(result.lane[i]) << i;
  return bits & wave.exec();
}

// Calls f(lane) for every set bit, lowest first.
template <class F>
inline void for_each_bit(std::uint64_t mask, F&& f) {
  for (; mask; mask &= mask - 1)
    f(static_cast<unsigned>(std::countr_zero(mask)));
}

} // namespace
} // namespace emu::isa
