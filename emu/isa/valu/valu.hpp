// What the vector ALU's semantics are written with: operands as rows of lanes, modifiers, float modes,
// results.
//
// Every source of this directory is compiled once per host instruction set, EMU_ISA_TARGET naming the
// namespace. All that is defined here has internal linkage, so that the linker cannot mix code for different
// hosts.
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

// What SDWA and DPP wrap in the place of an operation on relative registers: a move between those that M0
// names. False, and the wave stopped, where there are none.
bool resolve_relative(Wave& wave, Instruction& instruction);
void v_mov_b32(Wave& wave, const Instruction& instruction);

inline constexpr std::uint32_t row_relative = row_relative_src | row_relative_dst;

// Handlers that wrap another (sdwa.cpp, dpp.cpp).
void execute_sdwa(Wave& wave, const Instruction& instruction);
void execute_dpp16(Wave& wave, const Instruction& instruction);
void execute_dpp8(Wave& wave, const Instruction& instruction);

// ValuTables (lane_tools.cpp).
Extent extent(const std::uint32_t* row, std::uint64_t mask, unsigned lanes);
bool consecutive(const std::uint32_t* row, unsigned lanes);

namespace {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i8 = std::int8_t;
using i16 = std::int16_t;
using i32 = std::int32_t;
using i64 = std::int64_t;

inline float as_float(u32 bits) {
  return std::bit_cast<float>(bits);
}
inline u32 as_bits(float value) {
  return std::bit_cast<u32>(value);
}
inline double as_double(u64 bits) {
  return std::bit_cast<double>(bits);
}
inline u64 as_bits(double value) {
  return std::bit_cast<u64>(value);
}

inline bool bit_of(unsigned mask, unsigned index) {
  return mask >> index & 1;
}

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
  for (unsigned i = 0; i < lanes && i < max_lanes; ++i) // the second bound is for the compiler
    mask |= u64{row[i] != 0} << i;
#endif
  return mask;
}

// row[i] is all ones where the bit is set, else zero.
inline void mask_to_row(u64 mask, u32* row, unsigned lanes) {
  for (unsigned i = 0; i < lanes; i += lanes_at_once)
    store_chosen(row + i, mask >> i);
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

// dst pair = f(i) under EXEC. Through buffers, because a source pair may overlap the destination by one
// register.
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

inline unsigned round_f32(const Wave& wave) {
  return wave.mode >> mode::round_f32_shift & 3;
}
inline unsigned round_f64(const Wave& wave) {
  return wave.mode >> mode::round_f16_f64_shift & 3;
}
inline bool flushes_in_f32(const Wave& wave) {
  return !(wave.mode >> mode::denorm_f32_shift & 1);
}
inline bool flushes_out_f32(const Wave& wave) {
  return !(wave.mode >> mode::denorm_f32_shift & 2);
}
inline bool flushes_in_f64(const Wave& wave) {
  return !(wave.mode >> mode::denorm_f16_f64_shift & 1);
}
inline bool flushes_out_f64(const Wave& wave) {
  return !(wave.mode >> mode::denorm_f16_f64_shift & 2);
}
inline bool ieee(const Wave& wave) {
  return wave.mode & mode::ieee;
}
inline bool dx10_clamp(const Wave& wave) {
  return wave.mode & mode::dx10_clamp;
}

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

inline u32 flush_f32(u32 bits) {
  return bits & 0x7f800000 ? bits : bits & 0x80000000;
}
inline u64 flush_f64(u64 bits) {
  return bits & 0x7ff0000000000000 ? bits : bits & 0x8000000000000000;
}

inline bool is_nan_bits(u32 bits) {
  return (bits & 0x7fffffff) > 0x7f800000;
}
inline bool is_signaling(u32 bits) {
  return is_nan_bits(bits) & !(bits & 0x00400000);
}
inline bool is_nan_bits(u64 bits) {
  return (bits & 0x7fffffffffffffff) > 0x7ff0000000000000;
}
inline bool is_signaling(u64 bits) {
  return is_nan_bits(bits) & !(bits & 0x0008000000000000);
}

// --- f32 operands and results

// A float source with its modifiers: |x|, -x, denormals flushed where MODE says so.
[[gnu::noinline]] inline const u32* modified_f32(const u32* row, bool abs, bool neg, bool flush,
                                                 unsigned lanes, Row& buffer) {
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

// Output modifiers need IEEE off and output denormals flushed; they make -0 a +0.
inline bool applies_omod(const Wave& wave, const Instruction& in, bool flushes_out) {
  return in.omod != 0 && !ieee(wave) && flushes_out;
}

inline float omod_factor(unsigned omod) {
  return omod == 1 ? 2.0f : omod == 2 ? 4.0f : omod == 3 ? 0.5f : 1.0f;
}

// omod, clamp and output denormals.
[[gnu::noinline]] inline void finish_f32(const Wave& wave, const Instruction& in, Row& result, bool flush) {
  if (applies_omod(wave, in, flushes_out_f32(wave))) {
    const float factor = omod_factor(in.omod);
    for (unsigned i = 0; i < wave.lanes; ++i) {
      const u32 bits = as_bits(as_float(result.lane[i]) * factor);
      result.lane[i] = flush_f32(bits) & 0x7fffffff ? bits : 0;
    }
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
[[gnu::always_inline]] inline void write_f32(Wave& wave, const Instruction& in, F&& f,
                                             bool always_flush = false) {
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
  u64 keep, flip, denormal; // what remains of the magnitude and the sign, and of a denormal
  u64 bits(unsigned i) const {
    const u64 value = (row[i] & keep) ^ flip;
    return value & 0x7ff0000000000000 ? value : value & denormal;
  }
  double operator[](unsigned i) const { return as_double(bits(i)); }
};

inline WideFloat f64_source(const Wave& wave, const Instruction& in, unsigned slot, WideBuffer& buffer) {
  return {wide_source(wave, in.src[slot], buffer), bit_of(in.abs, slot) ? 0x7fffffffffffffffu : ~u64{0},
          bit_of(in.neg, slot) ? 0x8000000000000000u : 0u,
          flushes_in_f64(wave) ? 0x8000000000000000u : ~u64{0}};
}

// omod, clamp and output denormals.
inline u64 finished_f64(const Wave& wave, const Instruction& in, u64 bits) {
  if (applies_omod(wave, in, flushes_out_f64(wave))) {
    bits = as_bits(as_double(bits) * static_cast<double>(omod_factor(in.omod)));
    bits = flush_f64(bits) & 0x7fffffffffffffff ? bits : 0;
  }
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
  if (!in.clamp && in.omod == 0 && !flushes_out_f64(wave)) [[likely]]
    write_wide_lanes(wave, in.dst, f);
  else
    write_wide_lanes(wave, in.dst, [&](unsigned i) { return finished_f64(wave, in, f(i)); });
}

// --- f16: computed in f32, exactly or rounded to odd, then rounded once

[[gnu::always_inline]] inline float half_to_float(u32 half) {
  const u32 magnitude = (half & 0x7fff) << 13;
  // A binary16 subnormal becomes a binary32 subnormal here; the multiplication makes both right.
  const u32 scaled = as_bits(as_float(magnitude) * 0x1p112f);
  const u32 bits = magnitude >= 0x0f800000 ? magnitude | 0x7f800000 : scaled;
  return as_float(bits | (half & 0x8000) << 16);
}

// How a binary16 result leaves an instruction: omod, clamp, rounding (by MODE unless said otherwise),
// denormals.
class HalfFinish {
public:
  HalfFinish(const Wave& wave, const Instruction& in) : HalfFinish(wave, in, round_f64(wave)) {}
  HalfFinish(const Wave& wave, const Instruction& in, unsigned rounding)
      : omod_(applies_omod(wave, in, flushes_out_f64(wave))), factor_(omod_ ? omod_factor(in.omod) : 1.0f),
        clamp_(all_if(in.clamp)), nan_(all_if(!dx10_clamp(wave))),
        denormal_(omod_                   ? 0
                  : flushes_out_f64(wave) ? 0x8000
                                          : 0xffff),
        plain_(all_if(!in.clamp && !omod_)), overflow_to_max_(wave.mode & mode::fp16_ovfl ? 1 : 0),
        nearest_(rounding == 0), up_(rounding == 1), down_(rounding == 2) {}

  [[gnu::always_inline]] u32 operator()(float value) const {
    const float scaled = value * factor_;
    const u32 unclamped = as_bits(scaled);
    const u32 limited = as_bits(scaled > 0.0f ? (scaled < 1.0f ? scaled : 1.0f) : 0.0f);
    const u32 clamped = scaled != scaled ? unclamped & nan_ : limited;
    const u32 half = rounded((clamped & clamp_) | (unclamped & ~clamp_));
    return half & 0x7c00 ? half : half & denormal_;
  }

  // p + c, for numbers whose sum neither overflows nor underflows. Its last bit says whether it is inexact,
  // so that rounding it again to fewer bits is right in every mode.
  [[gnu::always_inline]] float sum(float p, float c) const {
    const float total = p + c;
    const float c_part = total - p;
    const float error = (p - (total - c_part)) + (c - c_part);
    const u32 all = as_bits(total);
    const u32 toward_zero = (as_bits(error) ^ all) >> 31;
    const u32 even = ~all & 1;
    const u32 inexact = error != 0.0f ? even : 0;
    const u32 odd = all + (toward_zero ? 0u - inexact : inexact);
    const u32 finite = (all & 0x7f800000) == 0x7f800000 ? all : odd;
    const u32 opposite = (as_bits(p) ^ as_bits(c)) >> 31;
    const u32 zero = opposite ? down_ << 31 : all;
    return as_float(total == 0.0f ? zero : finite);
  }

  // a * b + c for binary16 operands, whose product is exact in binary32.
  [[gnu::always_inline]] float fma(float a, float b, float c) const { return sum(a * b, c); }

  // As operator(), for a result that is binary16 already.
  [[gnu::always_inline]] u32 bits(u32 half) const {
    const u32 flushed = half & 0x7c00 ? half : half & denormal_;
    return (flushed & plain_) | ((*this)(half_to_float(half)) & ~plain_);
  }

private:
  [[gnu::always_inline]] u32 rounded(u32 value) const {
    constexpr u32 least_exponent = 127 - 14, beyond_exponent = 127 + 16;
    const u32 magnitude = value & 0x7fffffff, sign = value >> 16 & 0x8000;
    const u32 away = value & 0x80000000 ? down_ : up_;
    const u32 raw_exponent = magnitude >> 23;
    const u32 exponent = raw_exponent > beyond_exponent ? beyond_exponent : raw_exponent;
    const u32 significand = (magnitude & 0x7fffff) | (raw_exponent ? 0x800000u : 0u);
    // Units of the last place: 2^-24 at least, else ten bits below the leading one.
    const u32 below = exponent < least_exponent ? least_exponent - exponent : 0;
    const u32 shift = 13 + (below > 18 ? 18 : below);
    const u32 whole = significand >> shift, rest = significand & ((1u << shift) - 1), tie = 1u << (shift - 1);
    const u32 to_nearest = rest + (whole & 1) > tie ? nearest_ : 0;
    const u32 step = rest ? away | to_nearest : 0;
    // The leading one adds 1 to the exponent field.
    const u32 excess = exponent > least_exponent ? (exponent - least_exponent) << 10 : 0;
    const u32 finite = whole + step + excess;
    const u32 overflowed = 0x7c00 - (overflow_to_max_ | ((nearest_ | away) ^ 1));
    const u32 number = finite >= 0x7c00 ? overflowed : finite;
    const u32 special = magnitude > 0x7f800000 ? 0x7e00 | (value >> 13 & 0x1ff) : 0x7c00;
    return sign | (magnitude >= 0x7f800000 ? special : number);
  }

  static u32 all_if(bool condition) { return condition ? ~0u : 0u; }

  // Masks and numbers, as wide as a lane: loops with truth values in them do not become vectors.
  bool omod_;
  float factor_;
  u32 clamp_, nan_, denormal_, plain_;
  u32 overflow_to_max_, nearest_, up_, down_; // 0 or 1
};

inline u32 kept_of_denormal_f16(const Wave& wave) {
  return flushes_in_f64(wave) ? 0x8000 : 0xffff;
}

// A 16-bit operand: the low half, or with op_sel the high one.
struct Half {
  const u32* row;
  unsigned shift;
  u32 keep, flip, denormal; // what remains of the magnitude and the sign, and of a denormal
  u32 bits(unsigned i) const {
    const u32 value = (row[i] >> shift & keep) ^ flip;
    return value & 0x7c00 ? value : value & denormal;
  }
  float operator[](unsigned i) const { return half_to_float(bits(i)); }
};

inline bool uses_op_sel(const Instruction& in) {
  return in.encoded_vop3 && (in.row->flags & row_op_sel);
}

inline Half f16_source(const Wave& wave, const Instruction& in, unsigned slot, Row& buffer) {
  return {source_row(wave, in.src[slot], buffer), uses_op_sel(in) && bit_of(in.op_sel, slot) ? 16u : 0u,
          bit_of(in.abs, slot) ? 0x7fffu : 0xffffu, bit_of(in.neg, slot) ? 0x8000u : 0u,
          kept_of_denormal_f16(wave)};
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
  const HalfFinish finish(wave, in);
  write_half(wave, in, [&](unsigned i) { return finish(f(i)); });
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
inline constexpr Bits quiet_bit = sizeof(Bits) == 8 ? static_cast<Bits>(0x0008000000000000)
                                                    : Bits{0x00400000};

// With MODE.ieee a signalling NaN wins, quieted.
template <class Bits>
inline Bits ieee_nan(Bits a, Bits b, Bits result, bool is_ieee) {
  const Bits quieted = is_signaling(a) ? a | quiet_bit<Bits> : is_signaling(b) ? b | quiet_bit<Bits> : result;
  return is_ieee ? quieted : result;
}

// The same for binary16, in the low half.
inline bool is_nan_f16(u32 half) {
  return (half & 0x7fff) > 0x7c00;
}
inline bool is_signaling_f16(u32 half) {
  return is_nan_f16(half) & !(half & 0x200);
}
inline u32 ieee_nan_f16(u32 a, u32 b, u32 result, bool is_ieee) {
  const u32 quieted = is_signaling_f16(a) ? a | 0x200 : is_signaling_f16(b) ? b | 0x200 : result;
  return result ^ ((quieted ^ result) & (is_ieee ? ~0u : 0u));
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
