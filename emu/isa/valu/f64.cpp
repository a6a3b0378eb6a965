// f64 arithmetic.
#include "valu.hpp"

namespace emu::isa {
namespace EMU_ISA_TARGET {
namespace {

template <class Op>
void unary(Wave& wave, const Instruction& in) {
  WideBuffer b0;
  const WideFloat a = f64_source(wave, in, 0, b0);
  const Rounding rounding(round_f64(wave));
  write_f64(wave, in, [&](unsigned i) { return as_bits(Op::run(a[i])); });
}

// Without a rounding mode: hosts that lack an instruction for it round to whole numbers by adding and
// subtracting.
template <class Op>
void to_whole(Wave& wave, const Instruction& in) {
  WideBuffer b0;
  const WideFloat a = f64_source(wave, in, 0, b0);
  write_f64(wave, in, [&](unsigned i) { return as_bits(Op::run(a[i])); });
}

template <class Op>
void binary(Wave& wave, const Instruction& in) {
  WideBuffer b0, b1;
  const WideFloat a = f64_source(wave, in, 0, b0), b = f64_source(wave, in, 1, b1);
  const Rounding rounding(round_f64(wave));
  write_f64(wave, in, [&](unsigned i) { return as_bits(Op::run(a[i], b[i])); });
}

struct Add {
  static double run(double a, double b) { return a + b; }
};
struct Mul {
  static double run(double a, double b) { return a * b; }
};
struct Trunc {
  static double run(double a) { return __builtin_trunc(a); }
};
struct Ceil {
  static double run(double a) { return __builtin_ceil(a); }
};
struct Floor {
  static double run(double a) { return __builtin_floor(a); }
};
struct Rndne {
  static double run(double a) { return __builtin_roundeven(a); }
};
struct Fract {
  static double run(double a) {
    const double fraction = a - __builtin_floor(a);
    return fraction >= 1.0 ? 0x1.fffffffffffffp-1 : fraction;
  }
};
// The hardware's are approximations to about 2^-29 that compilers refine; here they are the rounded exact
// results.
struct Rcp {
  static double run(double a) { return 1.0 / a; }
};
struct Rsq {
  static double run(double a) { return a == 0.0 ? 1.0 / a : 1.0 / __builtin_sqrt(a); }
};
struct Sqrt {
  static double run(double a) { return __builtin_sqrt(a); }
};

void v_fma_f64(Wave& wave, const Instruction& in) {
  WideBuffer b0, b1, b2;
  const WideFloat a = f64_source(wave, in, 0, b0), b = f64_source(wave, in, 1, b1),
                  c = f64_source(wave, in, 2, b2);
  const Rounding rounding(round_f64(wave));
  write_f64(wave, in, [&](unsigned i) { return as_bits(__builtin_fma(a[i], b[i], c[i])); });
}

struct Min {
  static u64 run(u64 a, u64 b) { return min_bits<double>(a, b); }
};
struct Max {
  static u64 run(u64 a, u64 b) { return max_bits<double>(a, b); }
};

template <class Op>
void extremum(Wave& wave, const Instruction& in) {
  WideBuffer b0, b1;
  const WideFloat a = f64_source(wave, in, 0, b0), b = f64_source(wave, in, 1, b1);
  const bool is_ieee = ieee(wave);
  write_f64(wave, in, [&](unsigned i) {
    const u64 x = a.bits(i), y = b.bits(i);
    return ieee_nan(x, y, Op::run(x, y), is_ieee);
  });
}

void v_ldexp_f64(Wave& wave, const Instruction& in) {
  WideBuffer b0;
  Row b1;
  const WideFloat a = f64_source(wave, in, 0, b0);
  const u32* b = source_row(wave, in.src[1], b1);
  const Rounding rounding(round_f64(wave));
  write_f64(wave, in, [&](unsigned i) { return as_bits(std::ldexp(a[i], static_cast<i32>(b[i]))); });
}

void v_frexp_exp_i32_f64(Wave& wave, const Instruction& in) {
  WideBuffer b0;
  const WideFloat a = f64_source(wave, in, 0, b0);
  write_lanes(wave, in.dst, [&](unsigned i) {
    int exponent = 0;
    if (std::isfinite(a[i]))
      std::frexp(a[i], &exponent);
    return static_cast<u32>(exponent);
  });
}

void v_frexp_mant_f64(Wave& wave, const Instruction& in) {
  WideBuffer b0;
  const WideFloat a = f64_source(wave, in, 0, b0);
  write_f64(wave, in, [&](unsigned i) {
    int exponent = 0;
    return std::isfinite(a[i]) ? as_bits(std::frexp(a[i], &exponent)) : a.bits(i);
  });
}

// The first 1201 binary digits of 2/pi behind the point.
constexpr unsigned two_over_pi_digits = 1201;
constexpr u64 two_over_pi[] = {0xa2f9836e4e441529, 0xfc2757d1f534ddc0, 0xdb6295993c439041, 0xfe5163abdebbc561,
                               0xb7246e3a424dd2e0, 0x06492eea09d1921c, 0xfe1deb1cb129a73e, 0xe88235f52ebb4484,
                               0xe99c7026b45f7e41, 0x3991d639835339f4, 0x9c845f8bbdf9283b, 0x1ff897ffde05980f,
                               0xef2f118b5a0a6d1f, 0x6d367ecf27cb09b7, 0x4f463f669e5fea2d, 0x7527bac7ebe5f17b,
                               0x3d0739f78a5292ea, 0x6bfb5fb11f8d5d08, 0x56033046fc7b0000};

// Digits from `first` on, as a whole number of 53 bits.
u64 two_over_pi_segment(unsigned first) {
  if (first >= two_over_pi_digits)
    return 0;
  constexpr unsigned words = std::size(two_over_pi);
  const unsigned word = first / 64, shift = first % 64;
  u64 digits = two_over_pi[word] << shift;
  if (shift && word + 1 < words)
    digits |= two_over_pi[word + 1] >> (64 - shift);
  return digits >> 11;
}

// For argument reduction: 53 digits of 2/pi, from where the exponent of src0 makes them matter. src1 counts
// segments.
void v_trig_preop_f64(Wave& wave, const Instruction& in) {
  constexpr int first_exponent = 1077, rescaled_exponent = 1968, segment_digits = 53;
  WideBuffer b0;
  Row b1;
  const WideFloat a = f64_source(wave, in, 0, b0);
  const u32* segment = source_row(wave, in.src[1], b1);
  write_f64(wave, in, [&](unsigned i) {
    const int exponent = static_cast<int>(a.bits(i) >> 52 & 0x7ff);
    int shift = static_cast<int>(segment[i] & 31) * segment_digits;
    if (exponent > first_exponent)
      shift += exponent - first_exponent;
    const int scale = -segment_digits - shift + (exponent >= rescaled_exponent ? 128 : 0);
    return as_bits(std::ldexp(static_cast<double>(two_over_pi_segment(static_cast<unsigned>(shift))), scale));
  });
}

constexpr Type d = Type::f64;
constexpr Type w = Type::b32;
constexpr Type none = Type::none;
constexpr u32 wide = row_no_sdwa | row_no_dpp;

constexpr OpcodeRow vop1[] = {
    {0x17, "v_trunc_f64", to_whole<Trunc>, d, d, none, none, wide},
    {0x18, "v_ceil_f64", to_whole<Ceil>, d, d, none, none, wide},
    {0x19, "v_rndne_f64", to_whole<Rndne>, d, d, none, none, wide},
    {0x1a, "v_floor_f64", to_whole<Floor>, d, d, none, none, wide},
    {0x2f, "v_rcp_f64", unary<Rcp>, d, d, none, none, wide},
    {0x31, "v_rsq_f64", unary<Rsq>, d, d, none, none, wide},
    {0x34, "v_sqrt_f64", unary<Sqrt>, d, d, none, none, wide},
    {0x3c, "v_frexp_exp_i32_f64", v_frexp_exp_i32_f64, w, d, none, none, wide},
    {0x3d, "v_frexp_mant_f64", v_frexp_mant_f64, d, d, none, none, wide},
    {0x3e, "v_fract_f64", unary<Fract>, d, d, none, none, wide},
};

constexpr OpcodeRow vop3[] = {
    {0x14c, "v_fma_f64", v_fma_f64, d, d, d, d},
    {0x164, "v_add_f64", binary<Add>, d, d, d},
    {0x165, "v_mul_f64", binary<Mul>, d, d, d},
    {0x166, "v_min_f64", extremum<Min>, d, d, d},
    {0x167, "v_max_f64", extremum<Max>, d, d, d},
    {0x168, "v_ldexp_f64", v_ldexp_f64, d, d, w},
    {0x174, "v_trig_preop_f64", v_trig_preop_f64, d, d, w},
};

} // namespace

RowSet f64_rows() {
  return {vop1, {}, {}, vop3, {}};
}

} // namespace EMU_ISA_TARGET
} // namespace emu::isa
