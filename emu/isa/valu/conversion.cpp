// Conversions between number formats. Floats become integers by truncation; what does not fit saturates, NaN
// gives 0.
#include "valu.hpp"

namespace emu::isa {
namespace EMU_ISA_TARGET {
namespace {

template <class Integer, class Float>
Integer saturated(Float value) {
  constexpr Float least = static_cast<Float>(std::numeric_limits<Integer>::min());
  constexpr Float beyond = static_cast<Float>(u64{1} << std::numeric_limits<Integer>::digits);
  const Integer high = value >= beyond ? std::numeric_limits<Integer>::max() : Integer{0};
  const Integer low = value < least ? std::numeric_limits<Integer>::min() : high;
  const bool fits = value >= least && value < beyond;
  return fits ? static_cast<Integer>(value) : low;
}

// Through i64, which hosts convert to in vectors.
template <>
u32 saturated<u32, float>(float value) {
  const bool fits = value > 0.0f && value < 0x1p32f;
  const i64 whole = static_cast<i64>(fits ? value : 0.0f);
  return value >= 0x1p32f ? ~0u : static_cast<u32>(whole);
}

// --- f32 -> 32-bit integers

struct ToI32 {
  static u32 run(float a) { return static_cast<u32>(saturated<i32>(a)); }
};
struct ToU32 {
  static u32 run(float a) { return saturated<u32>(a); }
};
struct NearestUp {
  static u32 run(float a) {
    return static_cast<u32>(saturated<i32>(std::floor(static_cast<double>(a) + 0.5)));
  }
};
struct Floor {
  static u32 run(float a) { return static_cast<u32>(saturated<i32>(__builtin_floorf(a))); }
};

template <class Op>
void f32_to_int(Wave& wave, const Instruction& in) {
  Row b0;
  const u32* a = f32_source(wave, in, 0, b0);
  write_lanes(wave, in.dst, [&](unsigned i) { return Op::run(as_float(a[i])); });
}

// --- integers -> f32

struct FromI32 {
  static float run(u32 a) { return static_cast<float>(static_cast<i32>(a)); }
};
struct FromU32 {
  static float run(u32 a) { return static_cast<float>(a); }
};
template <unsigned byte>
struct FromByte {
  static float run(u32 a) { return static_cast<float>(static_cast<i32>(a >> (8 * byte) & 0xff)); }
};
// Four signed bits as sixteenths.
struct FromOffset {
  static float run(u32 a) { return static_cast<float>(static_cast<i32>(a << 28) >> 28) * 0.0625f; }
};

template <class Op>
void int_to_f32(Wave& wave, const Instruction& in) {
  Row b0;
  const u32* a = source_row(wave, in.src[0], b0);
  const Rounding rounding(round_f32(wave));
  write_f32(wave, in, [&](unsigned i) { return as_bits(Op::run(a[i])); });
}

// --- f64

template <class Integer>
void f64_to_int(Wave& wave, const Instruction& in) {
  WideBuffer b0;
  const WideFloat a = f64_source(wave, in, 0, b0);
  write_lanes(wave, in.dst, [&](unsigned i) { return static_cast<u32>(saturated<Integer>(a[i])); });
}

template <class Integer>
void int_to_f64(Wave& wave, const Instruction& in) {
  Row b0;
  const u32* a = source_row(wave, in.src[0], b0);
  write_f64(wave, in, [&](unsigned i) { return as_bits(static_cast<double>(static_cast<Integer>(a[i]))); });
}

void v_cvt_f64_f32(Wave& wave, const Instruction& in) {
  Row b0;
  const u32* a = f32_source(wave, in, 0, b0);
  write_f64(wave, in, [&](unsigned i) { return as_bits(static_cast<double>(as_float(a[i]))); });
}

// Narrowing rounds as its result's format does.
void v_cvt_f32_f64(Wave& wave, const Instruction& in) {
  WideBuffer b0;
  const WideFloat a = f64_source(wave, in, 0, b0);
  const Rounding rounding(round_f32(wave));
  write_f32(wave, in, [&](unsigned i) { return as_bits(static_cast<float>(a[i])); });
}

// --- f16

void v_cvt_f16_f32(Wave& wave, const Instruction& in) {
  Row b0;
  const u32* a = f32_source(wave, in, 0, b0);
  write_f16(wave, in, [&](unsigned i) { return as_float(a[i]); });
}

void v_cvt_f32_f16(Wave& wave, const Instruction& in) {
  Row b0;
  const Half a = f16_source(wave, in, 0, b0);
  write_f32(wave, in, [&](unsigned i) { return as_bits(half_to_float(a.bits(i))); });
}

template <class Integer>
void int_to_f16(Wave& wave, const Instruction& in) {
  Row b0;
  const u32* a = source_row(wave, in.src[0], b0);
  write_f16(wave, in, [&](unsigned i) { return static_cast<float>(static_cast<Integer>(a[i])); });
}

template <class Integer>
void f16_to_int(Wave& wave, const Instruction& in) {
  Row b0;
  const Half a = f16_source(wave, in, 0, b0);
  write_half(wave, in, [&](unsigned i) {
    const i32 value = saturated<i32>(half_to_float(a.bits(i)));
    constexpr i32 least = std::numeric_limits<Integer>::min(), most = std::numeric_limits<Integer>::max();
    // 65504 fits the unsigned format, infinity has to.
    return static_cast<u32>(value < least ? least : value > most ? most : value);
  });
}

// --- normalised integers: [-1, 1] or [0, 1] over the whole range

struct SignedNorm {
  static double scaled(float a) {
    const double value = static_cast<double>(a);
    const double clamped = value > -1.0 ? (value < 1.0 ? value : 1.0) : value <= -1.0 ? -1.0 : 0.0;
    return clamped * 32767.0;
  }
};
struct UnsignedNorm {
  static double scaled(float a) {
    const double value = static_cast<double>(a);
    const double clamped = value > 0.0 ? (value < 1.0 ? value : 1.0) : 0.0;
    return clamped * 65535.0;
  }
};

// The packed forms round to nearest even, whatever MODE says.
template <class Op>
u32 norm(float a) {
  return static_cast<u32>(static_cast<i32>(__builtin_roundeven(Op::scaled(a)))) & 0xffff;
}

template <class Op>
void norm_f16(Wave& wave, const Instruction& in) {
  Row b0;
  const Half a = f16_source(wave, in, 0, b0);
  const Rounding rounding(round_f64(wave));
  write_half(wave, in, [&](unsigned i) {
    return static_cast<u32>(static_cast<i32>(__builtin_nearbyint(Op::scaled(half_to_float(a.bits(i))))));
  });
}

template <class Op>
void pack_norm_f16(Wave& wave, const Instruction& in) {
  Row b0, b1;
  const Half a = f16_source(wave, in, 0, b0), b = f16_source(wave, in, 1, b1);
  write_lanes(wave, in.dst, [&](unsigned i) {
    return norm<Op>(half_to_float(a.bits(i))) | norm<Op>(half_to_float(b.bits(i))) << 16;
  });
}

template <class Op>
void pack_norm_f32(Wave& wave, const Instruction& in) {
  Row b0, b1;
  const u32* a = f32_source(wave, in, 0, b0);
  const u32* b = f32_source(wave, in, 1, b1);
  write_lanes(wave, in.dst,
              [&](unsigned i) { return norm<Op>(as_float(a[i])) | norm<Op>(as_float(b[i])) << 16; });
}

// --- packing

void v_cvt_pkrtz_f16_f32(Wave& wave, const Instruction& in) {
  Row b0, b1;
  const u32* a = f32_source(wave, in, 0, b0);
  const u32* b = f32_source(wave, in, 1, b1);
  constexpr unsigned to_zero = 3;
  const HalfFinish finish(wave, in, to_zero);
  write_lanes(wave, in.dst,
              [&](unsigned i) { return finish(as_float(a[i])) | finish(as_float(b[i])) << 16; });
}

void v_pack_b32_f16(Wave& wave, const Instruction& in) {
  Row b0, b1;
  const Half a = f16_source(wave, in, 0, b0), b = f16_source(wave, in, 1, b1);
  write_lanes(wave, in.dst, [&](unsigned i) { return a.bits(i) | b.bits(i) << 16; });
}

void v_sat_pk_u8_i16(Wave& wave, const Instruction& in) {
  Row b0;
  const u32* a = source_row(wave, in.src[0], b0);
  const auto byte = [](u32 half) {
    const i32 value = static_cast<i16>(half);
    return static_cast<u32>(value < 0 ? 0 : value > 255 ? 255 : value);
  };
  write_lanes(wave, in.dst, [&](unsigned i) { return byte(a[i]) | byte(a[i] >> 16) << 8; });
}

// The byte of src2 that src1 selects is replaced, by src0 rounded as MODE says.
void v_cvt_pk_u8_f32(Wave& wave, const Instruction& in) {
  Row b0, b1, b2;
  const u32* a = f32_source(wave, in, 0, b0);
  const u32* selector = source_row(wave, in.src[1], b1);
  const u32* rest = source_row(wave, in.src[2], b2);
  const Rounding rounding(round_f32(wave));
  write_lanes(wave, in.dst, [&](unsigned i) {
    const float value = as_float(a[i]);
    const float limited = value > 0.0f ? (value < 255.0f ? value : 255.0f) : 0.0f; // NaN gives 0
    const u32 whole = static_cast<u32>(static_cast<i32>(__builtin_nearbyintf(limited)));
    const u32 shift = 8 * (selector[i] & 3);
    return (rest[i] & ~(0xffu << shift)) | whole << shift;
  });
}

struct PackU16 {
  static u32 half(u32 a) { return a > 0xffff ? 0xffff : a; }
  static u32 run(u32 a, u32 b) { return half(a) | half(b) << 16; }
};
struct PackI16 {
  static u32 half(u32 a) {
    const i32 value = static_cast<i32>(a);
    return static_cast<u32>(value < -32768 ? -32768 : value > 32767 ? 32767 : value) & 0xffff;
  }
  static u32 run(u32 a, u32 b) { return half(a) | half(b) << 16; }
};

constexpr Type b16 = Type::b16;
constexpr Type b32 = Type::b32;
constexpr Type f64 = Type::f64;
constexpr Type none = Type::none;
constexpr u32 wide = row_no_sdwa | row_no_dpp; // 64-bit operands have neither form

constexpr OpcodeRow vop1[] = {
    {0x03, "v_cvt_i32_f64", f64_to_int<i32>, b32, f64, none, none, wide},
    {0x04, "v_cvt_f64_i32", int_to_f64<i32>, f64, b32, none, none, wide},
    {0x05, "v_cvt_f32_i32", int_to_f32<FromI32>, b32, b32},
    {0x06, "v_cvt_f32_u32", int_to_f32<FromU32>, b32, b32},
    {0x07, "v_cvt_u32_f32", f32_to_int<ToU32>, b32, b32},
    {0x08, "v_cvt_i32_f32", f32_to_int<ToI32>, b32, b32},
    {0x0a, "v_cvt_f16_f32", v_cvt_f16_f32, b16, b32},
    {0x0b, "v_cvt_f32_f16", v_cvt_f32_f16, b32, b16},
    {0x0c, "v_cvt_rpi_i32_f32", f32_to_int<NearestUp>, b32, b32},
    {0x0d, "v_cvt_flr_i32_f32", f32_to_int<Floor>, b32, b32},
    {0x0e, "v_cvt_off_f32_i4", int_to_f32<FromOffset>, b32, b32},
    {0x0f, "v_cvt_f32_f64", v_cvt_f32_f64, b32, f64, none, none, wide},
    {0x10, "v_cvt_f64_f32", v_cvt_f64_f32, f64, b32, none, none, wide},
    {0x11, "v_cvt_f32_ubyte0", int_to_f32<FromByte<0>>, b32, b32},
    {0x12, "v_cvt_f32_ubyte1", int_to_f32<FromByte<1>>, b32, b32},
    {0x13, "v_cvt_f32_ubyte2", int_to_f32<FromByte<2>>, b32, b32},
    {0x14, "v_cvt_f32_ubyte3", int_to_f32<FromByte<3>>, b32, b32},
    {0x15, "v_cvt_u32_f64", f64_to_int<u32>, b32, f64, none, none, wide},
    {0x16, "v_cvt_f64_u32", int_to_f64<u32>, f64, b32, none, none, wide},
    {0x50, "v_cvt_f16_u16", int_to_f16<u16>, b16, b16},
    {0x51, "v_cvt_f16_i16", int_to_f16<i16>, b16, b16},
    {0x52, "v_cvt_u16_f16", f16_to_int<u16>, b16, b16},
    {0x53, "v_cvt_i16_f16", f16_to_int<i16>, b16, b16},
    {0x62, "v_sat_pk_u8_i16", v_sat_pk_u8_i16, b32, b32},
    {0x63, "v_cvt_norm_i16_f16", norm_f16<SignedNorm>, b16, b16},
    {0x64, "v_cvt_norm_u16_f16", norm_f16<UnsignedNorm>, b16, b16},
};

constexpr OpcodeRow vop2[] = {
    {0x2f, "v_cvt_pkrtz_f16_f32", v_cvt_pkrtz_f16_f32, b32, b32, b32},
};

constexpr OpcodeRow vop3[] = {
    {0x15e, "v_cvt_pk_u8_f32", v_cvt_pk_u8_f32, b32, b32, b32, b32},
    {0x311, "v_pack_b32_f16", v_pack_b32_f16, b32, b16, b16, none, row_op_sel},
    {0x312, "v_cvt_pknorm_i16_f16", pack_norm_f16<SignedNorm>, b32, b16, b16, none, row_op_sel},
    {0x313, "v_cvt_pknorm_u16_f16", pack_norm_f16<UnsignedNorm>, b32, b16, b16, none, row_op_sel},
    {0x368, "v_cvt_pknorm_i16_f32", pack_norm_f32<SignedNorm>, b32, b32, b32},
    {0x369, "v_cvt_pknorm_u16_f32", pack_norm_f32<UnsignedNorm>, b32, b32, b32},
    {0x36a, "v_cvt_pk_u16_u32", int_binary<PackU16>, b32, b32, b32},
    {0x36b, "v_cvt_pk_i16_i32", int_binary<PackI16>, b32, b32, b32},
};

} // namespace

RowSet conversion_rows() {
  return {vop1, vop2, {}, vop3, {}};
}

} // namespace EMU_ISA_TARGET
} // namespace emu::isa
