// Two operations on the halves of a register, dot products, and f32 multiply-adds with f16 operands.
#include "valu.hpp"

namespace emu::isa {
namespace EMU_ISA_TARGET {
namespace {

// One source of a packed operation: which half feeds the low result, which the high one, and what is negated.
struct Halves {
  const u32* row;
  unsigned low_shift, high_shift;
  u32 low_flip, high_flip;
  u32 denormal; // what remains of one

  u32 low(unsigned i) const { return row[i] >> low_shift & 0xffff; }
  u32 high(unsigned i) const { return row[i] >> high_shift & 0xffff; }
  u32 low_f16(unsigned i) const { return flushed(low(i) ^ low_flip); }
  u32 high_f16(unsigned i) const { return flushed(high(i) ^ high_flip); }

private:
  u32 flushed(u32 half) const { return half & 0x7c00 ? half : half & denormal; }
};

Halves halves(const Wave& wave, const Instruction& in, unsigned slot, Row& buffer) {
  return {source_row(wave, in.src[slot], buffer), bit_of(in.op_sel, slot) ? 16u : 0u,
          bit_of(in.op_sel_hi, slot) ? 16u : 0u,  bit_of(in.neg, slot) ? 0x8000u : 0u,
          bit_of(in.abs, slot) ? 0x8000u : 0u,    kept_of_denormal_f16(wave)};
}

// --- 16-bit integers

u32 pack(i32 low, i32 high) {
  return (static_cast<u32>(low) & 0xffff) | static_cast<u32>(high) << 16;
}

template <class Integer>
i32 saturated(i64 value) {
  constexpr i64 least = std::numeric_limits<Integer>::min(), most = std::numeric_limits<Integer>::max();
  return static_cast<i32>(value < least ? least : value > most ? most : value);
}

template <class Op>
i32 finished(i64 exact, bool clamp) {
  return clamp ? saturated<typename Op::Integer>(exact) : static_cast<i32>(exact);
}

template <class Op>
void integer_binary(Wave& wave, const Instruction& in) {
  using T = typename Op::Integer;
  Row b0, b1;
  const Halves a = halves(wave, in, 0, b0), b = halves(wave, in, 1, b1);
  const bool clamp = in.clamp;
  write_lanes(wave, in.dst, [&](unsigned i) {
    return pack(finished<Op>(Op::run(static_cast<T>(a.low(i)), static_cast<T>(b.low(i))), clamp),
                finished<Op>(Op::run(static_cast<T>(a.high(i)), static_cast<T>(b.high(i))), clamp));
  });
}

template <class T>
void integer_mad(Wave& wave, const Instruction& in) {
  Row b0, b1, b2;
  const Halves a = halves(wave, in, 0, b0), b = halves(wave, in, 1, b1), c = halves(wave, in, 2, b2);
  const bool clamp = in.clamp;
  const auto mad = [&](u32 x, u32 y, u32 z) {
    const i64 exact = i64{static_cast<T>(x)} * static_cast<T>(y) + static_cast<T>(z);
    return clamp ? saturated<T>(exact) : static_cast<i32>(exact);
  };
  write_lanes(wave, in.dst, [&](unsigned i) {
    return pack(mad(a.low(i), b.low(i), c.low(i)), mad(a.high(i), b.high(i), c.high(i)));
  });
}

template <class T>
struct Add {
  using Integer = T;
  static i64 run(T a, T b) { return i64{a} + b; }
};
template <class T>
struct Sub {
  using Integer = T;
  static i64 run(T a, T b) { return i64{a} - b; }
};
template <class T>
struct Least {
  using Integer = T;
  static i64 run(T a, T b) { return a < b ? a : b; }
};
template <class T>
struct Greatest {
  using Integer = T;
  static i64 run(T a, T b) { return a > b ? a : b; }
};
// The low sixteen bits, clamp or not.
struct MulLow {
  using Integer = u16;
  static i64 run(u16 a, u16 b) { return static_cast<u16>(u32{a} * b); }
};
struct ShiftLeft {
  using Integer = u16;
  static i64 run(u16 a, u16 b) { return static_cast<u16>(u32{b} << (a & 15)); }
};
template <class T>
struct ShiftRight {
  using Integer = T;
  static i64 run(T a, T b) { return b >> (a & 15); }
};

// --- f16

template <class Op>
void f16_binary(Wave& wave, const Instruction& in) {
  Row b0, b1;
  const Halves a = halves(wave, in, 0, b0), b = halves(wave, in, 1, b1);
  const HalfFinish finish(wave, in);
  const auto half = [&](u32 x, u32 y) __attribute__((always_inline)) {
    return finish(Op::run(finish, half_to_float(x), half_to_float(y)));
  };
  write_lanes(
      wave, in.dst, [&](unsigned i) __attribute__((always_inline)) {
        return half(a.low_f16(i), b.low_f16(i)) | half(a.high_f16(i), b.high_f16(i)) << 16;
      });
}

struct AddF16 {
  static float run(const HalfFinish& to, float a, float b) { return to.sum(a, b); }
};
struct MulF16 {
  static float run(const HalfFinish&, float a, float b) { return a * b; }
};

template <u32 (*op)(u32, u32, bool)>
void f16_extremum(Wave& wave, const Instruction& in) {
  Row b0, b1;
  const Halves a = halves(wave, in, 0, b0), b = halves(wave, in, 1, b1);
  const bool is_ieee = ieee(wave);
  const HalfFinish finish(wave, in);
  const auto half = [&](u32 x, u32 y) __attribute__((always_inline)) {
    return finish.bits(op(x, y, is_ieee));
  };
  write_lanes(
      wave, in.dst, [&](unsigned i) __attribute__((always_inline)) {
        return half(a.low_f16(i), b.low_f16(i)) | half(a.high_f16(i), b.high_f16(i)) << 16;
      });
}

void v_pk_fma_f16(Wave& wave, const Instruction& in) {
  Row b0, b1, b2;
  const Halves a = halves(wave, in, 0, b0), b = halves(wave, in, 1, b1), c = halves(wave, in, 2, b2);
  const HalfFinish finish(wave, in);
  const auto half = [&](u32 x, u32 y, u32 z) __attribute__((always_inline)) {
    return finish(finish.fma(half_to_float(x), half_to_float(y), half_to_float(z)));
  };
  write_lanes(
      wave, in.dst, [&](unsigned i) __attribute__((always_inline)) {
        return half(a.low_f16(i), b.low_f16(i), c.low_f16(i)) |
               half(a.high_f16(i), b.high_f16(i), c.high_f16(i)) << 16;
      });
}

// VOP2: both halves in place, the destination is the addend.
Instruction accumulating(const Instruction& in) {
  Instruction result = in;
  result.src[2] = in.dst;
  result.op_sel = 0;
  result.op_sel_hi = 7;
  result.neg = result.abs = 0;
  return result;
}

void v_pk_fmac_f16(Wave& wave, const Instruction& in) {
  v_pk_fma_f16(wave, accumulating(in));
}

// --- dot products

void v_dot2_f32_f16(Wave& wave, const Instruction& in) {
  Row b0, b1, b2;
  const Halves a = halves(wave, in, 0, b0), b = halves(wave, in, 1, b1);
  const u32* c = f32_source(wave, in, 2, b2);
  const Rounding rounding(round_f32(wave));
  write_f32(wave, in, [&](unsigned i) {
    // Products of binary16 are exact in binary32.
    const float low = half_to_float(a.low_f16(i)) * half_to_float(b.low_f16(i));
    const float high = half_to_float(a.high_f16(i)) * half_to_float(b.high_f16(i));
    return as_bits(low + high + as_float(c[i]));
  });
}

void v_dot2c_f32_f16(Wave& wave, const Instruction& in) {
  v_dot2_f32_f16(wave, accumulating(in));
}

template <class Sum>
u32 clamped_sum(i64 sum) {
  constexpr i64 least = std::numeric_limits<Sum>::min(), most = std::numeric_limits<Sum>::max();
  return static_cast<u32>(sum < least ? least : sum > most ? most : sum);
}

template <class T>
void dot2(Wave& wave, const Instruction& in) {
  using Sum = std::conditional_t<std::is_signed_v<T>, i32, u32>;
  Row b0, b1, b2;
  const Halves a = halves(wave, in, 0, b0), b = halves(wave, in, 1, b1);
  const u32* c = source_row(wave, in.src[2], b2);
  const bool clamp = in.clamp;
  write_lanes(wave, in.dst, [&](unsigned i) {
    const i64 sum = i64{static_cast<T>(a.low(i))} * static_cast<T>(b.low(i)) +
                    i64{static_cast<T>(a.high(i))} * static_cast<T>(b.high(i)) + static_cast<Sum>(c[i]);
    return clamp ? clamped_sum<Sum>(sum) : static_cast<u32>(sum);
  });
}

// Element `n` of `bits` bits.
template <class Sum, unsigned bits>
i32 element(u32 word, unsigned n) {
  const u32 top = word << (32 - bits - bits * n);
  return std::is_signed_v<Sum> ? static_cast<i32>(top) >> (32 - bits) : static_cast<i32>(top >> (32 - bits));
}

template <class Sum, unsigned bits>
void dot(Wave& wave, const Instruction& in) {
  Row b0, b1, b2;
  const u32* a = source_row(wave, in.src[0], b0);
  const u32* b = source_row(wave, in.src[1], b1);
  const u32* c = source_row(wave, in.src[2], b2);
  const bool clamp = in.clamp;
  write_lanes(wave, in.dst, [&](unsigned i) {
    i32 products = 0;
    for (unsigned n = 0; n < 32 / bits; ++n)
      products += element<Sum, bits>(a[i], n) * element<Sum, bits>(b[i], n);
    const i64 sum = i64{products} + static_cast<Sum>(c[i]);
    return clamp ? clamped_sum<Sum>(sum) : static_cast<u32>(sum);
  });
}

void v_dot4c_i32_i8(Wave& wave, const Instruction& in) {
  dot<i32, 8>(wave, accumulating(in));
}

// --- mixed precision: op_sel_hi makes a source binary16, op_sel then names the half; neg_hi is the absolute
// value

const u32* mixed(const Wave& wave, const Instruction& in, unsigned slot, Row& buffer) {
  if (!bit_of(in.op_sel_hi, slot))
    return f32_source(wave, in, slot, buffer);
  const u32* row = source_row(wave, in.src[slot], buffer);
  const unsigned shift = bit_of(in.op_sel, slot) ? 16 : 0;
  const u32 denormal = kept_of_denormal_f16(wave);
  for_each_lane(wave, [&](unsigned i) {
    const u32 half = row[i] >> shift & 0xffff;
    buffer.lane[i] = as_bits(half_to_float(half & 0x7c00 ? half : half & denormal));
  });
  return modified_f32(buffer.lane, bit_of(in.abs, slot), bit_of(in.neg, slot), false, wave.lanes, buffer);
}

// The multiply-add itself is binary32, also where the result is then narrowed.
void fma_mix(Wave& wave, const Instruction& in, Row& result) {
  Row b0, b1, b2;
  const u32* a = mixed(wave, in, 0, b0);
  const u32* b = mixed(wave, in, 1, b1);
  const u32* c = mixed(wave, in, 2, b2);
  const Rounding rounding(round_f32(wave));
  for_each_lane(wave, [&](unsigned i) {
    result.lane[i] = as_bits(__builtin_fmaf(as_float(a[i]), as_float(b[i]), as_float(c[i])));
  });
  finish_f32(wave, in, result, flushes_out_f32(wave));
}

void v_fma_mix_f32(Wave& wave, const Instruction& in) {
  Row result;
  fma_mix(wave, in, result);
  store_row(wave, in.dst.index, result.lane, wave.exec());
}

template <unsigned shift>
void fma_mix_half(Wave& wave, const Instruction& in) {
  Row result;
  fma_mix(wave, in, result);
  const u32* old = wave.vgpr[in.dst.index];
  const HalfFinish finish(wave, in);
  for_each_lane(wave, [&](unsigned i) {
    const u32 half = finish(as_float(result.lane[i]));
    result.lane[i] = (old[i] & ~(0xffffu << shift)) | half << shift;
  });
  store_row(wave, in.dst.index, result.lane, wave.exec());
}

constexpr Type h = Type::v2f16;
constexpr Type s = Type::v2b16;
constexpr Type w = Type::b32;
constexpr Type none = Type::none;

constexpr OpcodeRow vop2[] = {
    {0x02, "v_dot2c_f32_f16", v_dot2c_f32_f16, w, h, h, none, row_no_vop3 | row_no_sdwa | row_dst_is_source},
    {0x0d, "v_dot4c_i32_i8", v_dot4c_i32_i8, w, w, w, none, row_no_vop3 | row_no_sdwa | row_dst_is_source},
    {0x3c, "v_pk_fmac_f16", v_pk_fmac_f16, h, h, h, none,
     row_no_vop3 | row_no_sdwa | row_no_dpp | row_dst_is_source},
};

constexpr OpcodeRow vop3p[] = {
    {0x00, "v_pk_mad_i16", integer_mad<i16>, s, s, s, s},
    {0x01, "v_pk_mul_lo_u16", integer_binary<MulLow>, s, s, s},
    {0x02, "v_pk_add_i16", integer_binary<Add<i16>>, s, s, s},
    {0x03, "v_pk_sub_i16", integer_binary<Sub<i16>>, s, s, s},
    {0x04, "v_pk_lshlrev_b16", integer_binary<ShiftLeft>, s, s, s},
    {0x05, "v_pk_lshrrev_b16", integer_binary<ShiftRight<u16>>, s, s, s},
    {0x06, "v_pk_ashrrev_i16", integer_binary<ShiftRight<i16>>, s, s, s},
    {0x07, "v_pk_max_i16", integer_binary<Greatest<i16>>, s, s, s},
    {0x08, "v_pk_min_i16", integer_binary<Least<i16>>, s, s, s},
    {0x09, "v_pk_mad_u16", integer_mad<u16>, s, s, s, s},
    {0x0a, "v_pk_add_u16", integer_binary<Add<u16>>, s, s, s},
    {0x0b, "v_pk_sub_u16", integer_binary<Sub<u16>>, s, s, s},
    {0x0c, "v_pk_max_u16", integer_binary<Greatest<u16>>, s, s, s},
    {0x0d, "v_pk_min_u16", integer_binary<Least<u16>>, s, s, s},
    {0x0e, "v_pk_fma_f16", v_pk_fma_f16, h, h, h, h},
    {0x0f, "v_pk_add_f16", f16_binary<AddF16>, h, h, h},
    {0x10, "v_pk_mul_f16", f16_binary<MulF16>, h, h, h},
    {0x11, "v_pk_min_f16", f16_extremum<min_f16>, h, h, h},
    {0x12, "v_pk_max_f16", f16_extremum<max_f16>, h, h, h},
    {0x13, "v_dot2_f32_f16", v_dot2_f32_f16, w, h, h, w},
    {0x14, "v_dot2_i32_i16", dot2<i16>, w, s, s, w},
    {0x15, "v_dot2_u32_u16", dot2<u16>, w, s, s, w},
    {0x16, "v_dot4_i32_i8", dot<i32, 8>, w, w, w, w},
    {0x17, "v_dot4_u32_u8", dot<u32, 8>, w, w, w, w},
    {0x18, "v_dot8_i32_i4", dot<i32, 4>, w, w, w, w},
    {0x19, "v_dot8_u32_u4", dot<u32, 4>, w, w, w, w},
    {0x20, "v_fma_mix_f32", v_fma_mix_f32, w, w, w, w},
    {0x21, "v_fma_mixlo_f16", fma_mix_half<0>, w, w, w, w},
    {0x22, "v_fma_mixhi_f16", fma_mix_half<16>, w, w, w, w},
};

} // namespace

RowSet packed_rows() {
  return {{}, vop2, {}, {}, vop3p};
}

} // namespace EMU_ISA_TARGET
} // namespace emu::isa
