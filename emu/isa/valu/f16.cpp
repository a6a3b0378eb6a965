// f16 arithmetic: in f32, with enough bits to spare, then rounded once.
#include "valu.hpp"

namespace emu::isa {
namespace EMU_ISA_TARGET {
namespace {

template <class Op>
void unary(Wave& wave, const Instruction& in) {
  Row b0;
  const Half a = f16_source(wave, in, 0, b0);
  write_f16(wave, in, [&](unsigned i) { return Op::run(a[i]); });
}

template <class Op>
void binary(Wave& wave, const Instruction& in) {
  Row b0, b1;
  const Half a = f16_source(wave, in, 0, b0), b = f16_source(wave, in, 1, b1);
  const HalfFinish finish(wave, in);
  write_half(wave, in, [&](unsigned i) { return finish(Op::run(finish, a[i], b[i])); });
}

void fma(Wave& wave, const Instruction& in) {
  Row b0, b1, b2;
  const Half a = f16_source(wave, in, 0, b0), b = f16_source(wave, in, 1, b1),
             c = f16_source(wave, in, 2, b2);
  const HalfFinish finish(wave, in);
  write_half(wave, in, [&](unsigned i) { return finish(finish.fma(a[i], b[i], c[i])); });
}

// dst = a * b + dst
void v_fmac_f16(Wave& wave, const Instruction& in) {
  Instruction with_addend = in;
  with_addend.src[2] = in.dst;
  fma(wave, with_addend);
}

struct Add {
  static float run(const HalfFinish& to, float a, float b) { return to.sum(a, b); }
};
struct Sub {
  static float run(const HalfFinish& to, float a, float b) { return to.sum(a, -b); }
};
struct SubRev {
  static float run(const HalfFinish& to, float a, float b) { return to.sum(b, -a); }
};
struct Mul {
  static float run(const HalfFinish&, float a, float b) { return a * b; }
};
struct Trunc {
  static float run(float a) { return __builtin_truncf(a); }
};
struct Ceil {
  static float run(float a) { return __builtin_ceilf(a); }
};
struct Floor {
  static float run(float a) { return __builtin_floorf(a); }
};
struct Rndne {
  static float run(float a) { return __builtin_roundevenf(a); }
};
struct Fract {
  static float run(float a) {
    const float fraction = a - __builtin_floorf(a);
    constexpr float below_one = 0x1.ffcp-1f;
    return fraction > below_one ? below_one : fraction;
  }
};
struct Rcp {
  static float run(float a) { return 1.0f / a; }
};
struct Sqrt {
  static float run(float a) { return __builtin_sqrtf(a); }
};
struct Rsq {
  static float run(float a) { return 1.0f / __builtin_sqrtf(a); }
};
struct Log {
  static float run(float a) { return std::log2(a); }
};
struct Exp {
  static float run(float a) { return std::exp2(a); }
};

// Sources are revolutions. Beyond 256 of them the hardware answers as for 0.
float reduced_angle(float revolutions) {
  if (std::fabs(revolutions) > 256.0f)
    return revolutions - revolutions; // NaN for infinities
  return (revolutions - __builtin_roundevenf(revolutions)) * 6.283185307179586476925f;
}
struct Sin {
  static float run(float a) { return std::sin(reduced_angle(a)); }
};
struct Cos {
  static float run(float a) { return std::cos(reduced_angle(a)); }
};

using BitsOp = u32 (*)(u32, u32, bool);

template <BitsOp op>
void extremum(Wave& wave, const Instruction& in) {
  Row b0, b1;
  const Half a = f16_source(wave, in, 0, b0), b = f16_source(wave, in, 1, b1);
  const bool is_ieee = ieee(wave);
  const HalfFinish finish(wave, in);
  write_half(wave, in, [&](unsigned i) { return finish.bits(op(a.bits(i), b.bits(i), is_ieee)); });
}

template <BitsOp op>
void extremum3(Wave& wave, const Instruction& in) {
  Row b0, b1, b2;
  const Half a = f16_source(wave, in, 0, b0), b = f16_source(wave, in, 1, b1),
             c = f16_source(wave, in, 2, b2);
  const bool is_ieee = ieee(wave);
  const HalfFinish finish(wave, in);
  write_half(wave, in, [&](unsigned i) {
    return finish.bits(op(op(a.bits(i), b.bits(i), is_ieee), c.bits(i), is_ieee));
  });
}

// The middle value; with a NaN among them, the least of the three.
void v_med3_f16(Wave& wave, const Instruction& in) {
  Row b0, b1, b2;
  const Half a = f16_source(wave, in, 0, b0), b = f16_source(wave, in, 1, b1),
             c = f16_source(wave, in, 2, b2);
  const bool is_ieee = ieee(wave);
  const HalfFinish finish(wave, in);
  write_half(wave, in, [&](unsigned i) {
    const u32 x = a.bits(i), y = b.bits(i), z = c.bits(i);
    const u32 least = min_f16(min_f16(x, y, is_ieee), z, is_ieee);
    const u32 middle = max_f16(min_f16(x, y, false), min_f16(max_f16(x, y, false), z, false), false);
    const bool any_nan = is_nan_f16(x) || is_nan_f16(y) || is_nan_f16(z);
    return finish.bits(any_nan ? least : middle);
  });
}

void v_ldexp_f16(Wave& wave, const Instruction& in) {
  Row b0, b1;
  const Half a = f16_source(wave, in, 0, b0);
  const u32* b = source_row(wave, in.src[1], b1);
  write_f16(wave, in, [&](unsigned i) {
    // Beyond 64 everything is infinite or rounds as the least number does.
    const int exponent = static_cast<i16>(b[i]);
    return std::ldexp(a[i], exponent < -64 ? -64 : exponent > 64 ? 64 : exponent);
  });
}

void v_frexp_mant_f16(Wave& wave, const Instruction& in) {
  Row b0;
  const Half a = f16_source(wave, in, 0, b0);
  write_f16(wave, in, [&](unsigned i) {
    int exponent = 0;
    return std::isfinite(a[i]) ? std::frexp(a[i], &exponent) : a[i];
  });
}

void v_frexp_exp_i16_f16(Wave& wave, const Instruction& in) {
  Row b0;
  const Half a = f16_source(wave, in, 0, b0);
  write_half(wave, in, [&](unsigned i) {
    int exponent = 0;
    if (std::isfinite(a[i]))
      std::frexp(a[i], &exponent);
    return static_cast<u32>(exponent);
  });
}

// The special cases of numerator / denominator; else the quotient with the right sign.
u32 fixed_up(u32 quotient, u32 denominator, u32 numerator) {
  constexpr u32 infinity = 0x7c00, magnitude = 0x7fff, quiet = 0x200;
  const u32 sign = (denominator ^ numerator) & 0x8000;
  const u32 d = denominator & magnitude, n = numerator & magnitude;
  if (n > infinity)
    return numerator | quiet;
  if (d > infinity)
    return denominator | quiet;
  if ((d == 0 && n == 0) || (d == infinity && n == infinity))
    return 0xfe00;
  if (d == 0 || n == infinity)
    return sign | infinity;
  if (d == infinity || n == 0)
    return sign;
  return sign | (quotient & magnitude);
}

void v_div_fixup_f16(Wave& wave, const Instruction& in) {
  Row b0, b1, b2;
  const Half quotient = f16_source(wave, in, 0, b0), denominator = f16_source(wave, in, 1, b1),
             numerator = f16_source(wave, in, 2, b2);
  const HalfFinish finish(wave, in);
  write_half(wave, in, [&](unsigned i) {
    return finish.bits(fixed_up(quotient.bits(i), denominator.bits(i), numerator.bits(i)));
  });
}

constexpr Type h = Type::b16;
constexpr Type none = Type::none;
constexpr u32 literal = row_literal_k | row_no_vop3 | row_no_sdwa | row_no_dpp;

constexpr OpcodeRow vop1[] = {
    {0x54, "v_rcp_f16", unary<Rcp>, h, h},
    {0x55, "v_sqrt_f16", unary<Sqrt>, h, h},
    {0x56, "v_rsq_f16", unary<Rsq>, h, h},
    {0x57, "v_log_f16", unary<Log>, h, h},
    {0x58, "v_exp_f16", unary<Exp>, h, h},
    {0x59, "v_frexp_mant_f16", v_frexp_mant_f16, h, h},
    {0x5a, "v_frexp_exp_i16_f16", v_frexp_exp_i16_f16, h, h},
    {0x5b, "v_floor_f16", unary<Floor>, h, h},
    {0x5c, "v_ceil_f16", unary<Ceil>, h, h},
    {0x5d, "v_trunc_f16", unary<Trunc>, h, h},
    {0x5e, "v_rndne_f16", unary<Rndne>, h, h},
    {0x5f, "v_fract_f16", unary<Fract>, h, h},
    {0x60, "v_sin_f16", unary<Sin>, h, h},
    {0x61, "v_cos_f16", unary<Cos>, h, h},
};

constexpr OpcodeRow vop2[] = {
    {0x32, "v_add_f16", binary<Add>, h, h, h},
    {0x33, "v_sub_f16", binary<Sub>, h, h, h},
    {0x34, "v_subrev_f16", binary<SubRev>, h, h, h},
    {0x35, "v_mul_f16", binary<Mul>, h, h, h},
    {0x36, "v_fmac_f16", v_fmac_f16, h, h, h, none, row_dst_is_source | row_no_sdwa},
    {0x37, "v_fmamk_f16", fma, h, h, h, h, literal},
    {0x38, "v_fmaak_f16", fma, h, h, h, h, literal | row_k_is_src2},
    {0x39, "v_max_f16", extremum<max_f16>, h, h, h},
    {0x3a, "v_min_f16", extremum<min_f16>, h, h, h},
    {0x3b, "v_ldexp_f16", v_ldexp_f16, h, h, h},
};

constexpr OpcodeRow vop3[] = {
    {0x34b, "v_fma_f16", fma, h, h, h, h, row_op_sel},
    {0x351, "v_min3_f16", extremum3<min_f16>, h, h, h, h, row_op_sel},
    {0x354, "v_max3_f16", extremum3<max_f16>, h, h, h, h, row_op_sel},
    {0x357, "v_med3_f16", v_med3_f16, h, h, h, h, row_op_sel},
    {0x35f, "v_div_fixup_f16", v_div_fixup_f16, h, h, h, h, row_op_sel},
};

} // namespace

RowSet f16_rows() {
  return {vop1, vop2, {}, vop3, {}};
}

} // namespace EMU_ISA_TARGET
} // namespace emu::isa
