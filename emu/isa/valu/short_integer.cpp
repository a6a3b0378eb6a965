// 16-bit integers. The half of the destination that is not written keeps its value.
#include "valu.hpp"

namespace emu::isa {
namespace EMU_ISA_TARGET {
namespace {

struct ShortSource {
  const u32* row;
  unsigned shift;
  u16 operator[](unsigned i) const { return static_cast<u16>(row[i] >> shift); }
};

ShortSource short_source(const Wave& wave, const Instruction& in, unsigned slot, Row& buffer) {
  return {source_row(wave, in.src[slot], buffer), uses_op_sel(in) && bit_of(in.op_sel, slot) ? 16u : 0u};
}

i32 sign(u16 v) {
  return static_cast<i16>(v);
}

u32 saturate_u(i64 exact) {
  return exact < 0 ? 0 : exact > 0xffff ? 0xffff : static_cast<u32>(exact);
}
u32 saturate_i(i64 exact) {
  return exact < -32768 ? 0x8000 : exact > 32767 ? 0x7fff : static_cast<u32>(exact) & 0xffff;
}

// Op::exact gives the unbounded result, which CLAMP saturates.
template <class Op, u32 (*saturate)(i64)>
void binary(Wave& wave, const Instruction& in) {
  Row b0, b1;
  const ShortSource a = short_source(wave, in, 0, b0);
  const ShortSource b = short_source(wave, in, 1, b1);
  const bool clamp = in.clamp;
  write_half(wave, in, [&](unsigned i) {
    const i64 exact = Op::exact(a[i], b[i]);
    return clamp ? saturate(exact) : static_cast<u32>(exact);
  });
}

template <class Op, u32 (*saturate)(i64)>
void ternary(Wave& wave, const Instruction& in) {
  Row b0, b1, b2;
  const ShortSource a = short_source(wave, in, 0, b0);
  const ShortSource b = short_source(wave, in, 1, b1);
  const ShortSource c = short_source(wave, in, 2, b2);
  const bool clamp = in.clamp;
  write_half(wave, in, [&](unsigned i) {
    const i64 exact = Op::exact(a[i], b[i], c[i]);
    return clamp ? saturate(exact) : static_cast<u32>(exact);
  });
}

struct AddU {
  static i64 exact(u16 a, u16 b) { return i64{a} + b; }
};
struct SubU {
  static i64 exact(u16 a, u16 b) { return i64{a} - b; }
};
struct AddI {
  static i64 exact(u16 a, u16 b) { return i64{sign(a)} + sign(b); }
};
struct SubI {
  static i64 exact(u16 a, u16 b) { return i64{sign(a)} - sign(b); }
};
struct MulLo {
  static i64 exact(u16 a, u16 b) { return i64{a} * b; }
};
struct ShiftLeftRev {
  static i64 exact(u16 a, u16 b) { return static_cast<u16>(b << (a & 15)); }
};
struct ShiftRightRev {
  static i64 exact(u16 a, u16 b) { return b >> (a & 15); }
};
struct ShiftArithmeticRev {
  static i64 exact(u16 a, u16 b) { return sign(b) >> (a & 15); }
};
struct MinU {
  static i64 exact(u16 a, u16 b) { return a < b ? a : b; }
  static i64 exact(u16 a, u16 b, u16 c) { return exact(static_cast<u16>(exact(a, b)), c); }
};
struct MaxU {
  static i64 exact(u16 a, u16 b) { return a > b ? a : b; }
  static i64 exact(u16 a, u16 b, u16 c) { return exact(static_cast<u16>(exact(a, b)), c); }
};
struct MinI {
  static i64 exact(u16 a, u16 b) { return sign(a) < sign(b) ? sign(a) : sign(b); }
  static i64 exact(u16 a, u16 b, u16 c) { return exact(static_cast<u16>(exact(a, b)), c); }
};
struct MaxI {
  static i64 exact(u16 a, u16 b) { return sign(a) > sign(b) ? sign(a) : sign(b); }
  static i64 exact(u16 a, u16 b, u16 c) { return exact(static_cast<u16>(exact(a, b)), c); }
};
template <class Least, class Greatest>
struct Middle {
  static i64 exact(u16 a, u16 b, u16 c) {
    const u16 low = static_cast<u16>(Least::exact(a, b)), high = static_cast<u16>(Greatest::exact(a, b));
    return Greatest::exact(low, static_cast<u16>(Least::exact(high, c)));
  }
};
struct MadU {
  static i64 exact(u16 a, u16 b, u16 c) { return i64{a} * b + c; }
};
struct MadI {
  static i64 exact(u16 a, u16 b, u16 c) { return i64{sign(a)} * sign(b) + sign(c); }
};

// 16-bit factors, a 32-bit addend and result.
template <bool is_signed>
void mad_32_16(Wave& wave, const Instruction& in) {
  Row b0, b1, b2;
  const ShortSource a = short_source(wave, in, 0, b0);
  const ShortSource b = short_source(wave, in, 1, b1);
  const u32* c = source_row(wave, in.src[2], b2);
  const bool clamp = in.clamp;
  write_lanes(wave, in.dst, [&](unsigned i) {
    const i64 exact =
        is_signed ? i64{sign(a[i])} * sign(b[i]) + static_cast<i32>(c[i]) : i64{a[i]} * b[i] + c[i];
    if (!clamp)
      return static_cast<u32>(exact);
    if (is_signed)
      return exact < INT32_MIN ? 0x80000000u : exact > INT32_MAX ? 0x7fffffffu : static_cast<u32>(exact);
    return exact > 0xffffffffll ? ~0u : static_cast<u32>(exact);
  });
}

constexpr Type h = Type::b16;
constexpr Type t = Type::b32;
constexpr Type none = Type::none;
constexpr u32 op_sel = row_op_sel | row_dst_is_source;

constexpr OpcodeRow vop3[] = {
    {0x303, "v_add_nc_u16", binary<AddU, saturate_u>, h, h, h, none, op_sel},
    {0x304, "v_sub_nc_u16", binary<SubU, saturate_u>, h, h, h, none, op_sel},
    {0x305, "v_mul_lo_u16", binary<MulLo, saturate_u>, h, h, h, none, op_sel},
    {0x307, "v_lshrrev_b16", binary<ShiftRightRev, saturate_u>, h, h, h, none, op_sel},
    {0x308, "v_ashrrev_i16", binary<ShiftArithmeticRev, saturate_i>, h, h, h, none, op_sel},
    {0x309, "v_max_u16", binary<MaxU, saturate_u>, h, h, h, none, op_sel},
    {0x30a, "v_max_i16", binary<MaxI, saturate_i>, h, h, h, none, op_sel},
    {0x30b, "v_min_u16", binary<MinU, saturate_u>, h, h, h, none, op_sel},
    {0x30c, "v_min_i16", binary<MinI, saturate_i>, h, h, h, none, op_sel},
    {0x30d, "v_add_nc_i16", binary<AddI, saturate_i>, h, h, h, none, op_sel},
    {0x30e, "v_sub_nc_i16", binary<SubI, saturate_i>, h, h, h, none, op_sel},
    {0x314, "v_lshlrev_b16", binary<ShiftLeftRev, saturate_u>, h, h, h, none, op_sel},
    {0x340, "v_mad_u16", ternary<MadU, saturate_u>, h, h, h, h, op_sel},
    {0x352, "v_min3_i16", ternary<MinI, saturate_i>, h, h, h, h, op_sel},
    {0x353, "v_min3_u16", ternary<MinU, saturate_u>, h, h, h, h, op_sel},
    {0x355, "v_max3_i16", ternary<MaxI, saturate_i>, h, h, h, h, op_sel},
    {0x356, "v_max3_u16", ternary<MaxU, saturate_u>, h, h, h, h, op_sel},
    {0x358, "v_med3_i16", ternary<Middle<MinI, MaxI>, saturate_i>, h, h, h, h, op_sel},
    {0x359, "v_med3_u16", ternary<Middle<MinU, MaxU>, saturate_u>, h, h, h, h, op_sel},
    {0x35e, "v_mad_i16", ternary<MadI, saturate_i>, h, h, h, h, op_sel},
    {0x373, "v_mad_u32_u16", mad_32_16<false>, t, h, h, t, row_op_sel},
    {0x375, "v_mad_i32_i16", mad_32_16<true>, t, h, h, t, row_op_sel},
};

} // namespace

RowSet short_integer_rows() {
  return {{}, {}, {}, vop3, {}};
}

} // namespace EMU_ISA_TARGET
} // namespace emu::isa
