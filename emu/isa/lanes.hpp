// Lane loops for vector handlers. Everything here has internal linkage, because the vector ALU is compiled
// for several host instruction sets: nothing that the linker could merge across them.
#pragma once

#include <bit>
#include <cstdint>

#if defined(__AVX2__) || defined(__AVX512F__)
#include <immintrin.h>
#endif

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

// Words of a row that the host handles at once, under a mask of as many bits: `merge` writes those of `from`
// that are chosen, `store_chosen` all ones or zero.
#if defined(__AVX512F__)
inline constexpr unsigned lanes_at_once = 16;
[[gnu::always_inline]] inline void merge(std::uint32_t* to, const std::uint32_t* from, std::uint64_t mask) {
  _mm512_mask_storeu_epi32(to, static_cast<__mmask16>(mask), _mm512_loadu_si512(from));
}
[[gnu::always_inline]] inline void store_chosen(std::uint32_t* to, std::uint64_t mask) {
  _mm512_storeu_si512(to, _mm512_maskz_set1_epi32(static_cast<__mmask16>(mask), -1));
}
#elif defined(__AVX2__)
inline constexpr unsigned lanes_at_once = 8;
[[gnu::always_inline]] inline __m256i chosen_words(std::uint64_t mask) {
  const __m256i bits = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  return _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(static_cast<int>(mask)), bits), bits);
}
[[gnu::always_inline]] inline void merge(std::uint32_t* to, const std::uint32_t* from, std::uint64_t mask) {
  auto* target = reinterpret_cast<__m256i*>(to);
  const __m256i value = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  _mm256_storeu_si256(target, _mm256_blendv_epi8(_mm256_loadu_si256(target), value, chosen_words(mask)));
}
[[gnu::always_inline]] inline void store_chosen(std::uint32_t* to, std::uint64_t mask) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), chosen_words(mask));
}
#else
inline constexpr unsigned lanes_at_once = 32;
[[gnu::always_inline]] inline void merge(std::uint32_t* to, const std::uint32_t* from, std::uint64_t mask) {
  const auto bits = static_cast<std::uint32_t>(mask);
#pragma GCC ivdep
  for (unsigned i = 0; i < lanes_at_once; ++i) {
    const std::uint32_t take = (bits & (1u << i)) ? ~0u : 0u;
    to[i] = (from[i] & take) | (to[i] & ~take);
  }
}
[[gnu::always_inline]] inline void store_chosen(std::uint32_t* to, std::uint64_t mask) {
  const auto bits = static_cast<std::uint32_t>(mask);
#pragma GCC ivdep
  for (unsigned i = 0; i < lanes_at_once; ++i)
    to[i] = (bits & (1u << i)) ? ~0u : 0u;
}
#endif

// Copies `from` into a VGPR row where `mask` has a lane's bit.
[[gnu::always_inline]] inline void store_row(Wave& wave, unsigned vgpr, const std::uint32_t* from,
                                             std::uint64_t mask) {
  for (unsigned i = 0; i < wave.lanes; i += lanes_at_once)
    merge(wave.vgpr[vgpr] + i, from + i, mask >> i);
}

// dst = f(i) under EXEC, for a 32-bit vector destination. Straight into the register where EXEC is full; a
// register that is source and destination is safe because each lane reads before it writes.
template <class F>
[[gnu::always_inline]] inline void write_lanes(Wave& wave, const Operand& dst, F&& f) {
  if (wave.full()) {
    std::uint32_t* to = wave.vgpr[dst.index];
    for_each_lane(
        wave, [&](unsigned i) __attribute__((always_inline)) { to[i] = f(i); });
    return;
  }
  Row result;
  for_each_lane(
      wave, [&](unsigned i) __attribute__((always_inline)) { result.lane[i] = f(i); });
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
