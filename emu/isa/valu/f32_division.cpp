// The three steps around a Newton division that make it exact: scale, multiply-add with rescaling, fix up.
#include "valu.hpp"

namespace emu::isa {
namespace EMU_ISA_TARGET {
namespace {

struct Single {
  using Float = float;
  using Bits = u32;
  static constexpr unsigned mantissa_bits = 23;
  static constexpr unsigned exponent_limit = 255;
  static constexpr int bias = 127;
  static constexpr unsigned far_apart =
      96; // exponents so different that the quotient nears the largest number
  static constexpr double factor = 0x1p64;
  static constexpr int least_quotient = -150; // exponent difference below which it is zero
};
struct Double {
  using Float = double;
  using Bits = u64;
  static constexpr unsigned mantissa_bits = 52;
  static constexpr unsigned exponent_limit = 2047;
  static constexpr int bias = 1023;
  static constexpr unsigned far_apart = 768;
  static constexpr double factor = 0x1p128;
  static constexpr int least_quotient = -1075;
};

template <class T>
int exponent_of(typename T::Bits bits) {
  return static_cast<int>(bits >> T::mantissa_bits & T::exponent_limit);
}

// `value` is the numerator or the denominator; `flag` becomes 1 where v_div_fmas has to scale back. One
// selection after the other, the decisive one last, so that loops over lanes become vectors.
template <class T>
typename T::Bits scaled(typename T::Bits value, typename T::Bits denominator, typename T::Bits numerator,
                        typename T::Bits& flag) {
  using Float = typename T::Float;
  using Bits = typename T::Bits;
  constexpr Bits exponent_mask = static_cast<Bits>(T::exponent_limit) << T::mantissa_bits;
  constexpr Bits magnitude_mask = ~(Bits{1} << (sizeof(Bits) * 8 - 1));
  constexpr Float up = static_cast<Float>(T::factor), down = 1 / up, keep = 1;
  const Float n = std::bit_cast<Float>(numerator), d = std::bit_cast<Float>(denominator);
  const Bits quotient = std::bit_cast<Bits>(n / d), reciprocal = std::bit_cast<Bits>(Float{1} / d);
  const Bits tiny_quotient = quotient & exponent_mask ? 0 : 1;
  const Bits tiny_reciprocal = reciprocal & exponent_mask ? 0 : reciprocal & magnitude_mask;
  const Bits n_exponent = numerator >> T::mantissa_bits & T::exponent_limit;
  const Bits d_exponent = denominator >> T::mantissa_bits & T::exponent_limit;

  const Float up_denominator = value == denominator ? up : keep;
  const Float down_denominator = value == denominator ? down : keep;
  const Float up_numerator = value == numerator ? up : keep;
  const Float down_for_tiny = tiny_quotient ? down_denominator : down;
  Float factor = n_exponent <= T::mantissa_bits ? up : keep;
  factor = tiny_quotient ? up_numerator : factor;
  factor = tiny_reciprocal ? down_for_tiny : factor;
  factor = d_exponent ? factor : up; // the denominator is a denormal
  Bits scales_back = d_exponent ? tiny_quotient : 0;
  factor = n_exponent >= d_exponent + T::far_apart ? up_denominator : factor;
  scales_back = n_exponent >= d_exponent + T::far_apart ? 1 : scales_back;

  const Bits nan = exponent_mask | quiet_bit<Bits>;
  Bits result = std::bit_cast<Bits>(std::bit_cast<Float>(value) * factor);
  result = numerator & magnitude_mask ? result : nan;
  scales_back = numerator & magnitude_mask ? scales_back : 0;
  result = denominator & magnitude_mask ? result : nan;
  flag = denominator & magnitude_mask ? scales_back : 0;
  return result;
}

using Quad = __float128;

// a * b + c, times or divided by T::factor as c, the quotient so far, is large or small; its last bit says
// whether it is inexact, so that it can be rounded to T in any mode. Host rounding must be to nearest here.
template <class T>
Quad rescaled_fma(typename T::Float a, typename T::Float b, typename T::Float c) {
  const bool large = exponent_of<T>(std::bit_cast<typename T::Bits>(c)) > T::bias;
  const Quad factor = static_cast<Quad>(large ? T::factor : 1 / T::factor);
  if (!std::isfinite(a) || !std::isfinite(b) || !std::isfinite(c))
    return static_cast<Quad>(std::fma(a, b, c));
  const Quad product = static_cast<Quad>(a) * static_cast<Quad>(b), addend = static_cast<Quad>(c);
  const Quad sum = product + addend;
  const Quad addend_part = sum - product;
  const Quad error = (product - (sum - addend_part)) + (addend - addend_part);
  auto bits = std::bit_cast<unsigned __int128>(sum);
  if (error != 0 && !(bits & 1))
    bits = (error > 0) == (sum > 0) ? bits | 1 : bits - 1;
  return std::bit_cast<Quad>(bits) * factor;
}

template <class T>
typename T::Bits fixed_up(typename T::Bits quotient, typename T::Bits denominator,
                          typename T::Bits numerator) {
  using Bits = typename T::Bits;
  constexpr Bits sign_bit = Bits{1} << (sizeof(Bits) * 8 - 1);
  constexpr Bits infinity = static_cast<Bits>(T::exponent_limit) << T::mantissa_bits;
  const Bits sign = (denominator ^ numerator) & sign_bit;
  const Bits d = denominator & ~sign_bit, n = numerator & ~sign_bit;
  const int difference = static_cast<int>(numerator >> T::mantissa_bits & T::exponent_limit) -
                         static_cast<int>(denominator >> T::mantissa_bits & T::exponent_limit);
  const Bits overflow = sign | infinity, invalid = sign_bit | infinity | quiet_bit<Bits>;
  // One selection after the other, the decisive one last. Between finite numbers a NaN comes from an overflow
  // on the way.
  Bits result = sign | (quotient & ~sign_bit);
  const auto where = [&result](bool condition, Bits value) {
    const Bits mask = static_cast<Bits>(0) - static_cast<Bits>(condition);
    result = (value & mask) | (result & ~mask);
  };
  where((quotient & ~sign_bit) > infinity, overflow);
  where(difference < T::least_quotient, sign);
  where(n == 0, sign);
  where(d == infinity, sign);
  where(n == infinity, overflow);
  where(d == 0, overflow);
  where((n | d) == 0, invalid);
  where(((n ^ infinity) | (d ^ infinity)) == 0, invalid);
  where(d > infinity, denominator | quiet_bit<Bits>);
  where(n > infinity, numerator | quiet_bit<Bits>);
  return result;
}

void v_div_scale_f32(Wave& wave, const Instruction& in) {
  Row b0, b1, b2, result, flags;
  const u32* value = source_row(wave, in.src[0], b0);
  const u32* denominator = source_row(wave, in.src[1], b1);
  const u32* numerator = source_row(wave, in.src[2], b2);
  for_each_lane(wave, [&](unsigned i) {
    result.lane[i] = scaled<Single>(value[i], denominator[i], numerator[i], flags.lane[i]);
  });
  wave.write_mask(in.dst2, row_to_mask(flags.lane, wave.lanes) & wave.exec());
  store_row(wave, in.dst.index, result.lane, wave.exec());
}

void v_div_scale_f64(Wave& wave, const Instruction& in) {
  WideBuffer b0, b1, b2;
  const Wide value = wide_source(wave, in.src[0], b0);
  const Wide denominator = wide_source(wave, in.src[1], b1);
  const Wide numerator = wide_source(wave, in.src[2], b2);
  Row flags;
  write_wide_lanes(wave, in.dst, [&](unsigned i) {
    u64 flag;
    const u64 result = scaled<Double>(value[i], denominator[i], numerator[i], flag);
    flags.lane[i] = static_cast<u32>(flag);
    return result;
  });
  wave.write_mask(in.dst2, row_to_mask(flags.lane, wave.lanes) & wave.exec());
}

void v_div_fmas_f32(Wave& wave, const Instruction& in) {
  Row b0, b1, b2;
  const u32* a = f32_source(wave, in, 0, b0);
  const u32* b = f32_source(wave, in, 1, b1);
  const u32* c = f32_source(wave, in, 2, b2);
  const u64 scaled_lanes = wave.vcc() & wave.exec();
  Quad scaled[max_lanes];
  for_each_bit(scaled_lanes, [&](unsigned i) {
    scaled[i] = rescaled_fma<Single>(as_float(a[i]), as_float(b[i]), as_float(c[i]));
  });
  const Rounding rounding(round_f32(wave));
  if (!scaled_lanes) {
    write_f32(wave, in, [&](unsigned i) {
      return as_bits(__builtin_fmaf(as_float(a[i]), as_float(b[i]), as_float(c[i])));
    });
    return;
  }
  write_f32(wave, in, [&](unsigned i) {
    if (scaled_lanes >> i & 1)
      return as_bits(static_cast<float>(scaled[i]));
    return as_bits(__builtin_fmaf(as_float(a[i]), as_float(b[i]), as_float(c[i])));
  });
}

void v_div_fmas_f64(Wave& wave, const Instruction& in) {
  WideBuffer b0, b1, b2;
  const WideFloat a = f64_source(wave, in, 0, b0);
  const WideFloat b = f64_source(wave, in, 1, b1);
  const WideFloat c = f64_source(wave, in, 2, b2);
  const u64 scaled_lanes = wave.vcc() & wave.exec();
  Quad scaled[max_lanes];
  for_each_bit(scaled_lanes, [&](unsigned i) { scaled[i] = rescaled_fma<Double>(a[i], b[i], c[i]); });
  const Rounding rounding(round_f64(wave));
  write_f64(wave, in, [&](unsigned i) {
    return as_bits(scaled_lanes >> i & 1 ? static_cast<double>(scaled[i]) : __builtin_fma(a[i], b[i], c[i]));
  });
}

void v_div_fixup_f32(Wave& wave, const Instruction& in) {
  Row b0, b1, b2;
  const u32* quotient = f32_source(wave, in, 0, b0);
  const u32* denominator = f32_source(wave, in, 1, b1);
  const u32* numerator = f32_source(wave, in, 2, b2);
  write_f32(wave, in,
            [&](unsigned i) { return fixed_up<Single>(quotient[i], denominator[i], numerator[i]); });
}

void v_div_fixup_f64(Wave& wave, const Instruction& in) {
  WideBuffer b0, b1, b2;
  const WideFloat quotient = f64_source(wave, in, 0, b0);
  const WideFloat denominator = f64_source(wave, in, 1, b1);
  const WideFloat numerator = f64_source(wave, in, 2, b2);
  write_f64(wave, in, [&](unsigned i) {
    return fixed_up<Double>(quotient.bits(i), denominator.bits(i), numerator.bits(i));
  });
}

constexpr Type f = Type::b32;
constexpr Type d = Type::f64;

constexpr OpcodeRow vop3[] = {
    {0x15f, "v_div_fixup_f32", v_div_fixup_f32, f, f, f, f},
    {0x160, "v_div_fixup_f64", v_div_fixup_f64, d, d, d, d},
    {0x16d, "v_div_scale_f32", v_div_scale_f32, f, f, f, f, row_sdst},
    {0x16e, "v_div_scale_f64", v_div_scale_f64, d, d, d, d, row_sdst},
    {0x16f, "v_div_fmas_f32", v_div_fmas_f32, f, f, f, f},
    {0x170, "v_div_fmas_f64", v_div_fmas_f64, d, d, d, d},
};

} // namespace

RowSet f32_division_rows() {
  return {{}, {}, {}, vop3, {}};
}

} // namespace EMU_ISA_TARGET
} // namespace emu::isa
