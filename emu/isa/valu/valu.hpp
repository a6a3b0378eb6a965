// What the vector ALU's semantics are written with: operands as rows of lanes, modifiers, float modes, results.
//
// Every source of this directory is compiled once per host instruction set, EMU_ISA_TARGET naming the namespace. All
// that is defined here has internal linkage, so that the linker cannot mix code for different hosts.
#pragma once

#include <bit>
#include <cfenv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <type_traits>

#if defined(__AVX2__) || defined(__AVX512F__)
#include <immintrin.h>
#endif

#include "../group.hpp"
#include "../lanes.hpp"
#include "../tables.hpp"
#include "../wave.hpp"

#ifndef EMU_ISA_TARGET
#error "EMU_ISA_TARGET names the namespace of this host instruction set"
#endif

namespace emu::isa {
namespace EMU_ISA_TARGET {

// The rows that one source file implements, by format.
struct RowSet {
  std::span<const OpcodeRow> vop1;
  std::span<const OpcodeRow> vop2;
  std::span<const OpcodeRow> vopc;
  std::span<const OpcodeRow> vop3;
  std::span<const OpcodeRow> vop3p;
};

RowSet move_rows();
RowSet integer_rows();
RowSet wide_integer_rows();
RowSet short_integer_rows();
RowSet byte_rows();
RowSet f32_rows();
RowSet f32_division_rows();
RowSet f64_rows();
RowSet f16_rows();
RowSet conversion_rows();
RowSet compare_rows();
RowSet packed_rows();

// Handlers that wrap another (sdwa.cpp, dpp.cpp).
void execute_sdwa(Wave& wave, const Instruction& instruction);
void execute_dpp16(Wave& wave, const Instruction& instruction);
void execute_dpp8(Wave& wave, const Instruction& instruction);

namespace {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i8 = std::int8_t;
using i16 = std::int16_t;
using i32 = std::int32_t;
using i64 = std::int64_t;

inline float as_float(u32 bits) { return std::bit_cast<float>(bits); }
inline u32 as_bits(float value) { return std::bit_cast<u32>(value); }
inline double as_double(u64 bits) { return std::bit_cast<double>(bits); }
inline u64 as_bits(double value) { return std::bit_cast<u64>(value); }

inline bool bit_of(unsigned mask, unsigned index) { return mask >> index & 1; }

// --- masks of lanes

// Bit i is set where row[i] is not zero.
inline u64 row_to_mask(const u32* row, unsigned lanes) {
  u64 mask = 0;
#if defined(__AVX512F__)
  for (unsigned i = 0; i < lanes; i += 16) {
    const __m512i v = _mm512_load_si512(row + i);
    mask |= u64{_mm512_test_epi32_mask(v, v)} << i;
  }
#elif defined(__AVX2__)
  for (unsigned i = 0; i < lanes; i += 8) {
    const __m256i v = _mm256_load_si256(reinterpret_cast<const __m256i*>(row + i));
    const __m256i zero = _mm256_cmpeq_epi32(v, _mm256_setzero_si256());
    mask |= u64{static_cast<u8>(~_mm256_movemask_ps(_mm256_castsi256_ps(zero)))} << i;
  }
#else
  for (unsigned i = 0; i < lanes; ++i)
    mask |= u64{row[i] != 0} << i;
#endif
  return mask;
}

// row[i] is all ones where the bit is set, else zero.
inline void mask_to_row(u64 mask, u32* row, unsigned lanes) {
  for (unsigned half = 0; half < lanes; half += 32) {
    const u32 bits = static_cast<u32>(mask >> half);
#pragma GCC ivdep
    for (unsigned i = 0; i < 32; ++i)
      row[half + i] = (bits & (1u << i)) ? ~0u : 0u;
  }
}

// Evaluates f for all lanes; the mask of lanes of EXEC for which it holds.
template <class F>
[[gnu::always_inline]] inline u64 lanes_where(const Wave& wave, F&& f) {
  Row result;
  for_each_lane(wave, [&](unsigned i) { result.lane[i] = f(i) ? 1u : 0u; });
  return row_to_mask(result.lane, wave.lanes) & wave.exec();
}

// --- 32-bit integers: no modifiers

template <class Op>
void int_unary(Wave& wave, const Instruction& in) {
  Row b0;
  const u32* a = source_row(wave, in.src[0], b0);
  write_lanes(wave, in.dst, [&](unsigned i) { return static_cast<u32>(Op::run(a[i])); });
}

template <class Op>
void int_binary(Wave& wave, const Instruction& in) {
  Row b0, b1;
  const u32* a = source_row(wave, in.src[0], b0);
  const u32* b = source_row(wave, in.src[1], b1);
  write_lanes(wave, in.dst, [&](unsigned i) { return static_cast<u32>(Op::run(a[i], b[i])); });
}

template <class Op>
void int_ternary(Wave& wave, const Instruction& in) {
  Row b0, b1, b2;
  const u32* a = source_row(wave, in.src[0], b0);
  const u32* b = source_row(wave, in.src[1], b1);
  const u32* c = source_row(wave, in.src[2], b2);
  write_lanes(wave, in.dst, [&](unsigned i) { return static_cast<u32>(Op::run(a[i], b[i], c[i])); });
}

// --- 64-bit operands

struct Wide {
  const u32* low;
  const u32* high;
  u64 operator[](unsigned i) const { return low[i] | u64{high[i]} << 32; }
};

struct WideBuffer {
  Row low, high;
};

[[gnu::always_inline]] inline Wide wide_source(const Wave& wave, const Operand& from, WideBuffer& buffer) {
  return {source_row(wave, from, buffer.low, 0), source_row(wave, from, buffer.high, 1)};
}

// dst pair = f(i) under EXEC. Through buffers, because a source pair may overlap the destination by one register.
template <class F>
[[gnu::always_inline]] inline void write_wide_lanes(Wave& wave, const Operand& dst, F&& f) {
  WideBuffer result;
  for_each_lane(wave, [&](unsigned i) {
    const u64 value = f(i);
    result.low.lane[i] = static_cast<u32>(value);
    result.high.lane[i] = static_cast<u32>(value >> 32);
  });
  store_row(wave, dst.index, result.low.lane, wave.exec());
  store_row(wave, dst.index + 1u, result.high.lane, wave.exec());
}

// --- float modes

inline unsigned round_f32(const Wave& wave) { return wave.mode >> mode::round_f32_shift & 3; }
inline unsigned round_f64(const Wave& wave) { return wave.mode >> mode::round_f16_f64_shift & 3; }
inline bool flushes_in_f32(const Wave& wave) { return !(wave.mode >> mode::denorm_f32_shift & 1); }
inline bool flushes_out_f32(const Wave& wave) { return !(wave.mode >> mode::denorm_f32_shift & 2); }
inline bool flushes_in_f64(const Wave& wave) { return !(wave.mode >> mode::denorm_f16_f64_shift & 1); }
inline bool flushes_out_f64(const Wave& wave) { return !(wave.mode >> mode::denorm_f16_f64_shift & 2); }
inline bool ieee(const Wave& wave) { return wave.mode & mode::ieee; }
inline bool dx10_clamp(const Wave& wave) { return wave.mode & mode::dx10_clamp; }

// Host arithmetic in one of the hardware's rounding modes for as long as this lives.
class Rounding {
public:
  explicit Rounding(unsigned hardware_mode) : changed_(hardware_mode != 0) {
    if (changed_) {
      static constexpr int host[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
      std::fesetround(host[hardware_mode & 3]);
    }
  }
  ~Rounding() {
    if (changed_)
      std::fesetround(FE_TONEAREST);
  }
  Rounding(const Rounding&) = delete;
  Rounding& operator=(const Rounding&) = delete;

private:
  bool changed_;
};

inline u32 flush_f32(u32 bits) { return bits & 0x7f800000 ? bits : bits & 0x80000000; }
inline u64 flush_f64(u64 bits) { return bits & 0x7ff0000000000000 ? bits : bits & 0x8000000000000000; }

inline bool is_nan_bits(u32 bits) { return (bits & 0x7fffffff) > 0x7f800000; }
inline bool is_signaling(u32 bits) { return is_nan_bits(bits) && !(bits & 0x00400000); }
inline bool is_nan_bits(u64 bits) { return (bits & 0x7fffffffffffffff) > 0x7ff0000000000000; }
inline bool is_signaling(u64 bits) { return is_nan_bits(bits) && !(bits & 0x0008000000000000); }

// --- f32 operands and results

// A float source with its modifiers: |x|, -x, denormals flushed where MODE says so.
[[gnu::noinline]] inline const u32* modified_f32(const u32* row, bool abs, bool neg, bool flush, unsigned lanes,
                                                 Row& buffer) {
  const u32 keep = abs ? 0x7fffffffu : ~0u;
  const u32 flip = neg ? 0x80000000u : 0u;
  const u32 flush_mask = flush ? 0x7f800000u : 0u;
#pragma GCC ivdep
  for (unsigned i = 0; i < lanes; ++i) {
    u32 bits = (row[i] & keep) ^ flip;
    const bool denormal = flush_mask != 0 && (bits & 0x7f800000u) == 0;
    buffer.lane[i] = denormal ? bits & 0x80000000u : bits;
  }
  return buffer.lane;
}

[[gnu::always_inline]] inline const u32* f32_source(const Wave& wave, const Instruction& in, unsigned slot,
                                                    Row& buffer, bool always_flush = false) {
  const u32* row = source_row(wave, in.src[slot], buffer);
  const bool abs = bit_of(in.abs, slot), neg = bit_of(in.neg, slot);
  const bool flush = always_flush || flushes_in_f32(wave);
  if (!abs && !neg && !flush) [[likely]]
    return row;
  return modified_f32(row, abs, neg, flush, wave.lanes, buffer);
}

inline bool applies_omod(const Wave& wave, const Instruction& in) { return in.omod != 0 && !ieee(wave); }

inline float omod_factor(unsigned omod) { return omod == 1 ? 2.0f : omod == 2 ? 4.0f : omod == 3 ? 0.5f : 1.0f; }

// omod, clamp and output denormals.
[[gnu::noinline]] inline void finish_f32(const Wave& wave, const Instruction& in, Row& result, bool flush) {
  if (applies_omod(wave, in)) {
    const float factor = omod_factor(in.omod);
    for (unsigned i = 0; i < wave.lanes; ++i)
      result.lane[i] = as_bits(as_float(result.lane[i]) * factor);
  }
  if (in.clamp) {
    const bool nan_to_zero = dx10_clamp(wave);
    for (unsigned i = 0; i < wave.lanes; ++i) {
      const float v = as_float(result.lane[i]);
      const float clamped = v > 0.0f ? (v < 1.0f ? v : 1.0f) : 0.0f; // NaN gives 0
      result.lane[i] = is_nan_bits(result.lane[i]) && !nan_to_zero ? result.lane[i] : as_bits(clamped);
    }
  }
  if (flush)
    for (unsigned i = 0; i < wave.lanes; ++i)
      result.lane[i] = flush_f32(result.lane[i]);
}

// dst = f(i), bits of an f32, with the instruction's output modifiers, under EXEC.
template <class F>
[[gnu::always_inline]] inline void write_f32(Wave& wave, const Instruction& in, F&& f, bool always_flush = false) {
  const bool flush = always_flush || flushes_out_f32(wave);
  if (!flush && !in.clamp && in.omod == 0) [[likely]] {
    write_lanes(wave, in.dst, f);
    return;
  }
  Row result;
  for_each_lane(wave, [&](unsigned i) { result.lane[i] = f(i); });
  finish_f32(wave, in, result, flush);
  store_row(wave, in.dst.index, result.lane, wave.exec());
}

// --- f64 operands and results

struct WideFloat {
  Wide row;
  u64 keep, flip;
  bool flush;
  u64 bits(unsigned i) const {
    const u64 value = (row[i] & keep) ^ flip;
    return flush ? flush_f64(value) : value;
  }
  double operator[](unsigned i) const { return as_double(bits(i)); }
};

inline WideFloat f64_source(const Wave& wave, const Instruction& in, unsigned slot, WideBuffer& buffer) {
  return {wide_source(wave, in.src[slot], buffer), bit_of(in.abs, slot) ? 0x7fffffffffffffffu : ~u64{0},
          bit_of(in.neg, slot) ? 0x8000000000000000u : 0u, flushes_in_f64(wave)};
}

inline u64 finished_f64(const Wave& wave, const Instruction& in, u64 bits) {
  if (applies_omod(wave, in))
    bits = as_bits(as_double(bits) * static_cast<double>(omod_factor(in.omod)));
  if (in.clamp) {
    const double v = as_double(bits);
    if (!is_nan_bits(bits))
      bits = as_bits(v > 0.0 ? (v < 1.0 ? v : 1.0) : 0.0);
    else if (dx10_clamp(wave))
      bits = 0;
  }
  return flushes_out_f64(wave) ? flush_f64(bits) : bits;
}

template <class F>
[[gnu::always_inline]] inline void write_f64(Wave& wave, const Instruction& in, F&& f) {
  write_wide_lanes(wave, in.dst, [&](unsigned i) { return finished_f64(wave, in, f(i)); });
}

// --- f16: computed exactly in f64, rounded once

inline float half_to_float(u32 half) {
  const u32 magnitude = (half & 0x7fff) << 13;
  // A binary16 subnormal becomes a binary32 subnormal here; the multiplication makes both right.
  const u32 scaled = as_bits(as_float(magnitude) * 0x1p112f);
  const u32 bits = magnitude >= 0x0f800000 ? magnitude | 0x7f800000 : scaled;
  return as_float(bits | (half & 0x8000) << 16);
}

inline double half_to_double(u32 half) { return static_cast<double>(half_to_float(half)); }

inline u16 half_nan(double value) {
  const u64 bits = as_bits(value);
  return static_cast<u16>((bits >> 48 & 0x8000) | 0x7e00 | (bits >> 42 & 0x1ff));
}

// Rounds in one of the hardware's modes. `overflow_to_max` is MODE.fp16_ovfl.
inline u16 round_to_half(double value, unsigned rounding, bool overflow_to_max = false) {
  constexpr int least_exponent = 1023 - 14, beyond_exponent = 1023 + 16;
  const u64 bits = as_bits(value);
  const u32 sign = static_cast<u32>(bits >> 48) & 0x8000;
  const bool negative = sign != 0;
  const int raw_exponent = static_cast<int>(bits >> 52 & 0x7ff);
  if (raw_exponent == 0x7ff)
    return value != value ? half_nan(value) : static_cast<u16>(sign | 0x7c00);
  const int exponent = raw_exponent > beyond_exponent ? beyond_exponent : raw_exponent;
  const u64 significand = (bits & 0xfffffffffffff) | u64{raw_exponent != 0} << 52;
  // Units of the last place: 2^-24 at least, else ten bits below the leading one.
  const int below = exponent < least_exponent ? least_exponent - exponent : 0;
  const int shift = 42 + (below > 20 ? 20 : below);
  const u64 whole = significand >> shift, rest = significand & ((u64{1} << shift) - 1);
  const u64 half = u64{1} << (shift - 1);
  const bool up = rounding == 0   ? rest > half || (rest == half && (whole & 1))
                  : rounding == 1 ? rest != 0 && !negative
                  : rounding == 2 ? rest != 0 && negative
                                  : false;
  // The leading one adds 1 to the exponent field.
  const u32 excess = exponent > least_exponent ? static_cast<u32>(exponent - least_exponent) << 10 : 0;
  const u32 result = static_cast<u32>(whole) + up + excess;
  if (result >= 0x7c00) {
    const bool to_max =
        overflow_to_max || rounding == 3 || (rounding == 1 && negative) || (rounding == 2 && !negative);
    return static_cast<u16>(sign | (to_max ? 0x7bff : 0x7c00));
  }
  return static_cast<u16>(sign | result);
}

inline u32 flush_f16(u32 half) { return half & 0x7c00 ? half : half & 0x8000; }

// A 16-bit operand: the low half, or with op_sel the high one.
struct Half {
  const u32* row;
  unsigned shift;
  u32 keep, flip;
  bool flush;
  u32 bits(unsigned i) const {
    const u32 value = (row[i] >> shift & keep) ^ flip;
    return flush ? flush_f16(value) : value;
  }
  double operator[](unsigned i) const { return half_to_double(bits(i)); }
};

inline bool uses_op_sel(const Instruction& in) { return in.encoded_vop3 && (in.row->flags & row_op_sel); }

inline Half f16_source(const Wave& wave, const Instruction& in, unsigned slot, Row& buffer) {
  return {source_row(wave, in.src[slot], buffer), uses_op_sel(in) && bit_of(in.op_sel, slot) ? 16u : 0u,
          bit_of(in.abs, slot) ? 0x7fffu : 0xffffu, bit_of(in.neg, slot) ? 0x8000u : 0u, flushes_in_f64(wave)};
}

// omod, clamp, rounding (by MODE unless said otherwise) and output denormals.
inline u32 finished_f16(const Wave& wave, const Instruction& in, double value, unsigned rounding) {
  if (applies_omod(wave, in))
    value *= static_cast<double>(omod_factor(in.omod));
  if (in.clamp) {
    if (value == value)
      value = value > 0.0 ? (value < 1.0 ? value : 1.0) : 0.0;
    else if (dx10_clamp(wave))
      value = 0.0;
  }
  const u32 half = round_to_half(value, rounding, wave.mode & mode::fp16_ovfl);
  return flushes_out_f64(wave) ? flush_f16(half) : half;
}
inline u32 finished_f16(const Wave& wave, const Instruction& in, double value) {
  return finished_f16(wave, in, value, round_f64(wave));
}

// The same for a result that is exact already: only omod and clamp can change it.
inline u32 finished_f16_bits(const Wave& wave, const Instruction& in, u32 half) {
  if (in.clamp || applies_omod(wave, in))
    return finished_f16(wave, in, half_to_double(half));
  return flushes_out_f64(wave) ? flush_f16(half) : half;
}

// Writes 16 bits into the low half of dst, or with op_sel[3] the high one; the other half keeps its value.
template <class F>
[[gnu::always_inline]] inline void write_half(Wave& wave, const Instruction& in, F&& f) {
  const unsigned shift = uses_op_sel(in) && bit_of(in.op_sel, 3) ? 16 : 0;
  const u32 keep = shift ? 0x0000ffffu : 0xffff0000u;
  const u32* old = wave.vgpr[in.dst.index];
  Row result;
  for_each_lane(wave, [&](unsigned i) {
    result.lane[i] = (old[i] & keep) | (static_cast<u32>(f(i)) & 0xffffu) << shift;
  });
  store_row(wave, in.dst.index, result.lane, wave.exec());
}

template <class F>
[[gnu::always_inline]] inline void write_f16(Wave& wave, const Instruction& in, F&& f) {
  write_half(wave, in, [&](unsigned i) { return finished_f16(wave, in, f(i)); });
}

// a * b + c for binary16 operands: exact, but for a sticky bit that keeps the final rounding right.
inline double half_fma(double a, double b, double c) {
  const double product = a * b;
  const double sum = product + c;
  if (!std::isfinite(sum))
    return sum;
  const double c_part = sum - product;
  const double error = (product - (sum - c_part)) + (c - c_part);
  if (error == 0.0 || (as_bits(sum) & 1))
    return sum;
  const bool away = (error > 0.0) == (sum > 0.0);
  return as_double(away ? as_bits(sum) | 1 : as_bits(sum) - 1);
}

// --- min and max by the hardware's rules: a NaN loses against a number, -0 is below +0

template <class Float, class Bits>
inline Bits min_bits(Bits a, Bits b) {
  const Float x = std::bit_cast<Float>(a), y = std::bit_cast<Float>(b);
  const Bits number = x < y ? a : y < x ? b : a | b;
  return x != x ? b : y != y ? a : number;
}
template <class Float, class Bits>
inline Bits max_bits(Bits a, Bits b) {
  const Float x = std::bit_cast<Float>(a), y = std::bit_cast<Float>(b);
  const Bits number = x > y ? a : y > x ? b : a & b;
  return x != x ? b : y != y ? a : number;
}

template <class Bits>
inline constexpr Bits quiet_bit = sizeof(Bits) == 8 ? static_cast<Bits>(0x0008000000000000) : Bits{0x00400000};

// With MODE.ieee a signalling NaN wins, quieted.
template <class Bits>
inline Bits ieee_nan(Bits a, Bits b, Bits result, bool is_ieee) {
  const Bits quieted = is_signaling(a) ? a | quiet_bit<Bits> : is_signaling(b) ? b | quiet_bit<Bits> : result;
  return is_ieee ? quieted : result;
}

// The same for binary16, in the low half.
inline bool is_nan_f16(u32 half) { return (half & 0x7fff) > 0x7c00; }
inline bool is_signaling_f16(u32 half) { return is_nan_f16(half) && !(half & 0x200); }
inline u32 ieee_nan_f16(u32 a, u32 b, u32 result, bool is_ieee) {
  const u32 quieted = is_signaling_f16(a) ? a | 0x200 : is_signaling_f16(b) ? b | 0x200 : result;
  return is_ieee ? quieted : result;
}
inline u32 min_f16(u32 a, u32 b, bool is_ieee) {
  const float x = half_to_float(a), y = half_to_float(b);
  const u32 number = x < y ? a : y < x ? b : a | b;
  return ieee_nan_f16(a, b, is_nan_f16(a) ? b : is_nan_f16(b) ? a : number, is_ieee);
}
inline u32 max_f16(u32 a, u32 b, bool is_ieee) {
  const float x = half_to_float(a), y = half_to_float(b);
  const u32 number = x > y ? a : y > x ? b : a & b;
  return ieee_nan_f16(a, b, is_nan_f16(a) ? b : is_nan_f16(b) ? a : number, is_ieee);
}

} // namespace
} // namespace EMU_ISA_TARGET
} // namespace emu::isa
