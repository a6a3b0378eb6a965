// f32 arithmetic.
#include "valu.hpp"

namespace emu::isa {
namespace EMU_ISA_TARGET {
namespace {

// The usual case: no modifiers, every lane on, rounding to nearest. Denormals are kept on both sides or
// flushed on both.
enum class Quick { no, keeps_denormals, flushes_denormals };

[[gnu::always_inline]] inline Quick quick(const Wave& wave, const Instruction& in) {
  constexpr u32 denormals = 3u << mode::denorm_f32_shift, rounding = 3u << mode::round_f32_shift;
  if (!in.plain || !wave.full() || wave.mode & rounding)
    return Quick::no;
  const u32 kept = wave.mode & denormals;
  return kept == denormals ? Quick::keeps_denormals : kept == 0 ? Quick::flushes_denormals : Quick::no;
}

template <bool flush>
[[gnu::always_inline]] inline u32 kept(u32 bits) {
  return flush ? flush_f32(bits) : bits;
}

template <class Op, bool flush, class... Rows>
[[gnu::always_inline]] inline void quick_lanes(Wave& wave, const Operand& dst, Rows... rows) {
  u32* to = wave.vgpr[dst.index];
  for_each_lane(
      wave, [&](unsigned i) __attribute__((always_inline)) {
        to[i] = kept<flush>(as_bits(Op::run(as_float(kept<flush>(rows[i]))...)));
      });
}

// True where it has been done.
template <class Op, class... Rows>
[[gnu::always_inline]] inline bool done_quickly(Wave& wave, const Instruction& in, Rows... rows) {
  switch (quick(wave, in)) {
  case Quick::keeps_denormals:
    quick_lanes<Op, false>(wave, in.dst, rows...);
    return true;
  case Quick::flushes_denormals:
    quick_lanes<Op, true>(wave, in.dst, rows...);
    return true;
  default:
    return false;
  }
}

template <class Op>
void unary(Wave& wave, const Instruction& in) {
  Row b0;
  const u32* a = f32_source(wave, in, 0, b0);
  const Rounding rounding(round_f32(wave));
  write_f32(wave, in, [&](unsigned i) { return as_bits(Op::run(as_float(a[i]))); });
}

// Without a rounding mode: hosts that lack an instruction for it round to whole numbers by adding and
// subtracting.
template <class Op>
void to_whole(Wave& wave, const Instruction& in) {
  Row b0;
  const u32* a = f32_source(wave, in, 0, b0);
  write_f32(wave, in, [&](unsigned i) { return as_bits(Op::run(as_float(a[i]))); });
}

template <class Op>
void binary(Wave& wave, const Instruction& in) {
  Row b0, b1;
  if (done_quickly<Op>(wave, in, source_row(wave, in.src[0], b0), source_row(wave, in.src[1], b1))) [[likely]]
    return;
  const u32* a = f32_source(wave, in, 0, b0);
  const u32* b = f32_source(wave, in, 1, b1);
  const Rounding rounding(round_f32(wave));
  write_f32(wave, in, [&](unsigned i) { return as_bits(Op::run(as_float(a[i]), as_float(b[i]))); });
}

template <class Op>
void ternary(Wave& wave, const Instruction& in) {
  Row b0, b1, b2;
  if (done_quickly<Op>(wave, in, source_row(wave, in.src[0], b0), source_row(wave, in.src[1], b1),
                       source_row(wave, in.src[2], b2))) [[likely]]
    return;
  const u32* a = f32_source(wave, in, 0, b0);
  const u32* b = f32_source(wave, in, 1, b1);
  const u32* c = f32_source(wave, in, 2, b2);
  const Rounding rounding(round_f32(wave));
  write_f32(wave, in,
            [&](unsigned i) { return as_bits(Op::run(as_float(a[i]), as_float(b[i]), as_float(c[i]))); });
}

// dst = a * b + dst
template <class Op>
void accumulate(Wave& wave, const Instruction& in) {
  Row b0, b1, b2;
  const u32* sum = wave.vgpr[in.dst.index];
  if (done_quickly<Op>(wave, in, source_row(wave, in.src[0], b0), source_row(wave, in.src[1], b1), sum))
      [[likely]]
    return;
  const u32* a = f32_source(wave, in, 0, b0);
  const u32* b = f32_source(wave, in, 1, b1);
  const u32* c = wave.vgpr[in.dst.index];
  if (flushes_in_f32(wave) || bit_of(in.neg, 2) || bit_of(in.abs, 2))
    c = modified_f32(c, bit_of(in.abs, 2), bit_of(in.neg, 2), flushes_in_f32(wave), wave.lanes, b2);
  const Rounding rounding(round_f32(wave));
  write_f32(wave, in,
            [&](unsigned i) { return as_bits(Op::run(as_float(a[i]), as_float(b[i]), as_float(c[i]))); });
}

struct Add {
  static float run(float a, float b) { return a + b; }
};
struct Sub {
  static float run(float a, float b) { return a - b; }
};
struct SubRev {
  static float run(float a, float b) { return b - a; }
};
struct Mul {
  static float run(float a, float b) { return a * b; }
};
struct MulLegacy {
  static float run(float a, float b) { return a == 0.0f || b == 0.0f ? 0.0f : a * b; }
};
struct Fma {
  static float run(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
};
struct FmaLegacy {
  static float run(float a, float b, float c) {
    return a == 0.0f || b == 0.0f ? 0.0f + c : __builtin_fmaf(a, b, c);
  }
};
struct Mullit {
  static float run(float a, float b, float c) {
    constexpr float lowest = -0x1.fffffep127f;
    return b == lowest || b == -HUGE_VALF || b != b || c <= 0.0f || c != c ? lowest : MulLegacy::run(a, b);
  }
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
    return fraction >= 1.0f ? 0x1.fffffep-1f : fraction;
  }
};

// min and max work on bits; the ieee bit decides what a signalling NaN does.
struct Min {
  static u32 run(u32 a, u32 b) { return min_bits<float>(a, b); }
};
struct Max {
  static u32 run(u32 a, u32 b) { return max_bits<float>(a, b); }
};

template <class Op>
void extremum(Wave& wave, const Instruction& in) {
  Row b0, b1;
  const u32* a = f32_source(wave, in, 0, b0);
  const u32* b = f32_source(wave, in, 1, b1);
  const bool is_ieee = ieee(wave);
  write_f32(wave, in, [&](unsigned i) { return ieee_nan(a[i], b[i], Op::run(a[i], b[i]), is_ieee); });
}

template <class Op>
void extremum3(Wave& wave, const Instruction& in) {
  Row b0, b1, b2;
  const u32* a = f32_source(wave, in, 0, b0);
  const u32* b = f32_source(wave, in, 1, b1);
  const u32* c = f32_source(wave, in, 2, b2);
  const bool is_ieee = ieee(wave);
  write_f32(wave, in, [&](unsigned i) {
    const u32 first = ieee_nan(a[i], b[i], Op::run(a[i], b[i]), is_ieee);
    return ieee_nan(first, c[i], Op::run(first, c[i]), is_ieee);
  });
}

// The middle value; with a NaN among them, the least of the three.
void v_med3_f32(Wave& wave, const Instruction& in) {
  Row b0, b1, b2;
  const u32* a = f32_source(wave, in, 0, b0);
  const u32* b = f32_source(wave, in, 1, b1);
  const u32* c = f32_source(wave, in, 2, b2);
  write_f32(wave, in, [&](unsigned i) {
    const u32 x = a[i], y = b[i], z = c[i];
    const u32 least = Min::run(Min::run(x, y), z);
    const u32 middle = Max::run(Min::run(x, y), Min::run(Max::run(x, y), z));
    return is_nan_bits(x) || is_nan_bits(y) || is_nan_bits(z) ? least : middle;
  });
}

// The transcendental unit: no denormals on either side, whatever MODE says; one ulp. Here the result is the
// rounded exact one.
template <class Op>
void transcendental(Wave& wave, const Instruction& in) {
  Row b0;
  const u32* a = f32_source(wave, in, 0, b0, true);
  write_f32(
      wave, in, [&](unsigned i) { return as_bits(Op::run(as_float(a[i]))); }, true);
}

struct Rcp {
  static float run(float a) { return 1.0f / a; }
};
struct Rsq {
  static float run(float a) {
    return a == 0.0f ? 1.0f / a : static_cast<float>(1.0 / __builtin_sqrt(static_cast<double>(a)));
  }
};
struct Sqrt {
  static float run(float a) { return __builtin_sqrtf(a); }
};
struct Exp {
  static float run(float a) { return static_cast<float>(std::exp2(static_cast<double>(a))); }
};
struct Log {
  static float run(float a) { return static_cast<float>(std::log2(static_cast<double>(a))); }
};

// Sources are revolutions. Beyond 256 of them the hardware answers as for 0.
double reduced_angle(float revolutions) {
  const double value = static_cast<double>(revolutions);
  if (std::fabs(value) > 256.0)
    return value - value; // NaN for infinities
  return (value - std::nearbyint(value)) * 6.283185307179586476925;
}
struct Sin {
  static float run(float a) { return static_cast<float>(std::sin(reduced_angle(a))); }
};
struct Cos {
  static float run(float a) { return static_cast<float>(std::cos(reduced_angle(a))); }
};

void v_ldexp_f32(Wave& wave, const Instruction& in) {
  Row b0, b1;
  const u32* a = f32_source(wave, in, 0, b0);
  const u32* b = source_row(wave, in.src[1], b1);
  const Rounding rounding(round_f32(wave));
  write_f32(wave, in, [&](unsigned i) {
    const int exponent = static_cast<i32>(b[i]) < -2000  ? -2000
                         : static_cast<i32>(b[i]) > 2000 ? 2000
                                                         : static_cast<i32>(b[i]);
    return as_bits(std::ldexp(as_float(a[i]), exponent));
  });
}

void v_frexp_exp_i32_f32(Wave& wave, const Instruction& in) {
  Row b0;
  const u32* a = f32_source(wave, in, 0, b0);
  write_lanes(wave, in.dst, [&](unsigned i) {
    int exponent = 0;
    if (std::isfinite(as_float(a[i])))
      std::frexp(as_float(a[i]), &exponent);
    return static_cast<u32>(exponent);
  });
}

void v_frexp_mant_f32(Wave& wave, const Instruction& in) {
  Row b0;
  const u32* a = f32_source(wave, in, 0, b0);
  write_f32(wave, in, [&](unsigned i) {
    int exponent = 0;
    const float value = as_float(a[i]);
    return std::isfinite(value) ? as_bits(std::frexp(value, &exponent)) : a[i];
  });
}

enum class Cube { id, sc, tc, ma };

template <Cube what>
float cube(float x, float y, float z) {
  const float ax = std::fabs(x), ay = std::fabs(y), az = std::fabs(z);
  const int major = az >= ax && az >= ay ? 2 : ay >= ax ? 1 : 0;
  switch (what) {
  case Cube::id:
    return major == 2   ? (z < 0.0f ? 5.0f : 4.0f)
           : major == 1 ? (y < 0.0f ? 3.0f : 2.0f)
                        : (x < 0.0f ? 1.0f : 0.0f);
  case Cube::sc:
    return major == 2 ? (z < 0.0f ? -x : x) : major == 1 ? x : (x < 0.0f ? z : -z);
  case Cube::tc:
    return major == 1 ? (y < 0.0f ? -z : z) : -y;
  case Cube::ma:
    return 2.0f * (major == 2 ? z : major == 1 ? y : x);
  }
  return 0.0f;
}
template <Cube what>
struct CubeOp {
  static float run(float a, float b, float c) { return cube<what>(a, b, c); }
};

constexpr Type f = Type::b32;

constexpr OpcodeRow vop1[] = {
    {0x20, "v_fract_f32", unary<Fract>, f, f},
    {0x21, "v_trunc_f32", to_whole<Trunc>, f, f},
    {0x22, "v_ceil_f32", to_whole<Ceil>, f, f},
    {0x23, "v_rndne_f32", to_whole<Rndne>, f, f},
    {0x24, "v_floor_f32", to_whole<Floor>, f, f},
    {0x25, "v_exp_f32", transcendental<Exp>, f, f},
    {0x27, "v_log_f32", transcendental<Log>, f, f},
    {0x2a, "v_rcp_f32", transcendental<Rcp>, f, f},
    {0x2b, "v_rcp_iflag_f32", transcendental<Rcp>, f, f},
    {0x2e, "v_rsq_f32", transcendental<Rsq>, f, f},
    {0x33, "v_sqrt_f32", transcendental<Sqrt>, f, f},
    {0x35, "v_sin_f32", transcendental<Sin>, f, f},
    {0x36, "v_cos_f32", transcendental<Cos>, f, f},
    {0x3f, "v_frexp_exp_i32_f32", v_frexp_exp_i32_f32, f, f},
    {0x40, "v_frexp_mant_f32", v_frexp_mant_f32, f, f},
};

constexpr OpcodeRow vop2[] = {
    {0x03, "v_add_f32", binary<Add>, f, f, f},
    {0x04, "v_sub_f32", binary<Sub>, f, f, f},
    {0x05, "v_subrev_f32", binary<SubRev>, f, f, f},
    {0x06, "v_fmac_legacy_f32", accumulate<FmaLegacy>, f, f, f, Type::none,
     row_dst_is_source | row_no_sdwa | row_no_dpp},
    {0x07, "v_mul_legacy_f32", binary<MulLegacy>, f, f, f},
    {0x08, "v_mul_f32", binary<Mul>, f, f, f},
    {0x0f, "v_min_f32", extremum<Min>, f, f, f},
    {0x10, "v_max_f32", extremum<Max>, f, f, f},
    {0x2b, "v_fmac_f32", accumulate<Fma>, f, f, f, Type::none, row_dst_is_source | row_no_sdwa},
    {0x2c, "v_fmamk_f32", ternary<Fma>, f, f, f, f, row_literal_k | row_no_vop3 | row_no_sdwa | row_no_dpp},
    {0x2d, "v_fmaak_f32", ternary<Fma>, f, f, f, f,
     row_literal_k | row_k_is_src2 | row_no_vop3 | row_no_sdwa | row_no_dpp},
};

constexpr OpcodeRow vop3[] = {
    {0x140, "v_fma_legacy_f32", ternary<FmaLegacy>, f, f, f, f},
    {0x144, "v_cubeid_f32", ternary<CubeOp<Cube::id>>, f, f, f, f},
    {0x145, "v_cubesc_f32", ternary<CubeOp<Cube::sc>>, f, f, f, f},
    {0x146, "v_cubetc_f32", ternary<CubeOp<Cube::tc>>, f, f, f, f},
    {0x147, "v_cubema_f32", ternary<CubeOp<Cube::ma>>, f, f, f, f},
    {0x14b, "v_fma_f32", ternary<Fma>, f, f, f, f},
    {0x150, "v_mullit_f32", ternary<Mullit>, f, f, f, f},
    {0x151, "v_min3_f32", extremum3<Min>, f, f, f, f},
    {0x154, "v_max3_f32", extremum3<Max>, f, f, f, f},
    {0x157, "v_med3_f32", v_med3_f32, f, f, f, f},
    {0x362, "v_ldexp_f32", v_ldexp_f32, f, f, f},
};

} // namespace

RowSet f32_rows() {
  return {vop1, vop2, {}, vop3, {}};
}

} // namespace EMU_ISA_TARGET
} // namespace emu::isa
