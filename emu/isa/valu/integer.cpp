// 32-bit integer arithmetic, logic and bit fields.
#include "valu.hpp"

namespace emu::isa {
namespace EMU_ISA_TARGET {
namespace {

i32 sign(u32 v) {
  return static_cast<i32>(v);
}
u32 low24(u32 v) {
  return v & 0xffffff;
}
i32 signed24(u32 v) {
  return static_cast<i32>(v << 8) >> 8;
}

struct Not {
  static u32 run(u32 a) { return ~a; }
};
struct BitReverse {
  static u32 run(u32 a) {
    a = (a >> 1 & 0x55555555) | (a & 0x55555555) << 1;
    a = (a >> 2 & 0x33333333) | (a & 0x33333333) << 2;
    a = (a >> 4 & 0x0f0f0f0f) | (a & 0x0f0f0f0f) << 4;
    return __builtin_bswap32(a);
  }
};
// Position of the highest or lowest set bit; -1 where there is none.
struct FindHigh {
  static u32 run(u32 a) { return a ? static_cast<u32>(std::countl_zero(a)) : ~0u; }
};
struct FindLow {
  static u32 run(u32 a) { return a ? static_cast<u32>(std::countr_zero(a)) : ~0u; }
};
struct FindSign {
  static u32 run(u32 a) { return FindHigh::run(sign(a) < 0 ? ~a : a); }
};

struct And {
  static u32 run(u32 a, u32 b) { return a & b; }
};
struct Or {
  static u32 run(u32 a, u32 b) { return a | b; }
};
struct Xor {
  static u32 run(u32 a, u32 b) { return a ^ b; }
};
struct Xnor {
  static u32 run(u32 a, u32 b) { return ~(a ^ b); }
};
struct ShiftLeftRev {
  static u32 run(u32 a, u32 b) { return b << (a & 31); }
};
struct ShiftRightRev {
  static u32 run(u32 a, u32 b) { return b >> (a & 31); }
};
struct ShiftArithmeticRev {
  static u32 run(u32 a, u32 b) { return static_cast<u32>(sign(b) >> (a & 31)); }
};
struct MinI {
  static u32 run(u32 a, u32 b) { return sign(a) < sign(b) ? a : b; }
};
struct MaxI {
  static u32 run(u32 a, u32 b) { return sign(a) > sign(b) ? a : b; }
};
struct MinU {
  static u32 run(u32 a, u32 b) { return a < b ? a : b; }
};
struct MaxU {
  static u32 run(u32 a, u32 b) { return a > b ? a : b; }
};
struct MulLo {
  static u32 run(u32 a, u32 b) { return a * b; }
};
struct MulHiU {
  static u32 run(u32 a, u32 b) { return static_cast<u32>(u64{a} * b >> 32); }
};
struct MulHiI {
  static u32 run(u32 a, u32 b) { return static_cast<u32>(static_cast<u64>(i64{sign(a)} * sign(b)) >> 32); }
};
struct MulHiU24 {
  static u32 run(u32 a, u32 b) { return static_cast<u32>(u64{low24(a)} * low24(b) >> 32); }
};
struct MulHiI24 {
  static u32 run(u32 a, u32 b) {
    return static_cast<u32>(static_cast<u64>(i64{signed24(a)} * signed24(b)) >> 32);
  }
};
struct BitCountAdd {
  static u32 run(u32 a, u32 b) { return static_cast<u32>(std::popcount(a)) + b; }
};
struct BitFieldMask {
  static u32 run(u32 a, u32 b) { return ((1u << (a & 31)) - 1) << (b & 31); }
};

struct BfeU {
  static u32 run(u32 a, u32 b, u32 c) { return a >> (b & 31) & ((1u << (c & 31)) - 1); }
};
struct BfeI {
  static u32 run(u32 a, u32 b, u32 c) {
    const u32 width = c & 31;
    if (width == 0)
      return 0;
    // Where the field reaches beyond bit 31, the sign bit is bit 31 of the shifted value.
    const i64 shifted = static_cast<i64>(sign(a)) >> (b & 31);
    return static_cast<u32>(static_cast<i64>(static_cast<u64>(shifted) << (64 - width)) >> (64 - width));
  }
};
struct Bfi {
  static u32 run(u32 a, u32 b, u32 c) { return (a & b) | (~a & c); }
};
struct AlignBit {
  static u32 run(u32 a, u32 b, u32 c) { return static_cast<u32>((b | u64{a} << 32) >> (c & 31)); }
};
struct AlignByte {
  static u32 run(u32 a, u32 b, u32 c) { return static_cast<u32>((b | u64{a} << 32) >> (8 * (c & 3))); }
};
template <class Op>
struct Three { // op(op(a, b), c)
  static u32 run(u32 a, u32 b, u32 c) { return Op::run(Op::run(a, b), c); }
};
template <class Least, class Greatest>
struct Middle {
  static u32 run(u32 a, u32 b, u32 c) {
    return Greatest::run(Least::run(a, b), Least::run(Greatest::run(a, b), c));
  }
};
struct Xor3 {
  static u32 run(u32 a, u32 b, u32 c) { return a ^ b ^ c; }
};
struct Or3 {
  static u32 run(u32 a, u32 b, u32 c) { return a | b | c; }
};
struct Add3 {
  static u32 run(u32 a, u32 b, u32 c) { return a + b + c; }
};
struct XorAdd {
  static u32 run(u32 a, u32 b, u32 c) { return (a ^ b) + c; }
};
struct ShiftAdd {
  static u32 run(u32 a, u32 b, u32 c) { return (a << (b & 31)) + c; }
};
struct AddShift {
  static u32 run(u32 a, u32 b, u32 c) { return (a + b) << (c & 31); }
};
struct ShiftOr {
  static u32 run(u32 a, u32 b, u32 c) { return (a << (b & 31)) | c; }
};
struct AndOr {
  static u32 run(u32 a, u32 b, u32 c) { return (a & b) | c; }
};
// A byte for each selector byte: 0..3 from b, 4..7 from a, 8..11 the sign of a 16-bit half, 12 zero, above
// ones.
struct Perm {
  static u32 run(u32 a, u32 b, u32 c) {
    const u64 bytes = b | u64{a} << 32;
    u32 result = 0;
    for (unsigned i = 0; i < 4; ++i) {
      const u32 selector = c >> (8 * i) & 0xff;
      u32 byte;
      if (selector >= 13)
        byte = 0xff;
      else if (selector == 12)
        byte = 0;
      else if (selector >= 8)
        byte = bytes >> (16 * (selector - 8) + 15) & 1 ? 0xff : 0;
      else
        byte = bytes >> (8 * selector) & 0xff;
      result |= byte << (8 * i);
    }
    return result;
  }
};

// --- results that CLAMP saturates

u32 saturate_u(i64 exact) {
  return exact < 0 ? 0 : exact > 0xffffffffll ? ~0u : static_cast<u32>(exact);
}
u32 saturate_i(i64 exact) {
  return exact < INT32_MIN ? 0x80000000u : exact > INT32_MAX ? 0x7fffffffu : static_cast<u32>(exact);
}

template <class Op, u32 (*saturate)(i64)>
void clamped_binary(Wave& wave, const Instruction& in) {
  Row b0, b1;
  const u32* a = source_row(wave, in.src[0], b0);
  const u32* b = source_row(wave, in.src[1], b1);
  if (in.clamp)
    write_lanes(wave, in.dst, [&](unsigned i) { return saturate(Op::exact(a[i], b[i])); });
  else
    write_lanes(wave, in.dst, [&](unsigned i) { return Op::run(a[i], b[i]); });
}

template <class Op, u32 (*saturate)(i64)>
void clamped_ternary(Wave& wave, const Instruction& in) {
  Row b0, b1, b2;
  const u32* a = source_row(wave, in.src[0], b0);
  const u32* b = source_row(wave, in.src[1], b1);
  const u32* c = source_row(wave, in.src[2], b2);
  if (in.clamp)
    write_lanes(wave, in.dst, [&](unsigned i) { return saturate(Op::exact(a[i], b[i], c[i])); });
  else
    write_lanes(wave, in.dst, [&](unsigned i) { return static_cast<u32>(Op::exact(a[i], b[i], c[i])); });
}

struct AddU {
  static u32 run(u32 a, u32 b) { return a + b; }
  static i64 exact(u32 a, u32 b) { return i64{a} + b; }
};
struct SubU {
  static u32 run(u32 a, u32 b) { return a - b; }
  static i64 exact(u32 a, u32 b) { return i64{a} - b; }
};
struct SubRevU {
  static u32 run(u32 a, u32 b) { return b - a; }
  static i64 exact(u32 a, u32 b) { return i64{b} - a; }
};
struct AddI {
  static u32 run(u32 a, u32 b) { return a + b; }
  static i64 exact(u32 a, u32 b) { return i64{sign(a)} + sign(b); }
};
struct SubI {
  static u32 run(u32 a, u32 b) { return a - b; }
  static i64 exact(u32 a, u32 b) { return i64{sign(a)} - sign(b); }
};
struct MulU24 {
  static u32 run(u32 a, u32 b) { return low24(a) * low24(b); }
  static i64 exact(u32 a, u32 b) { return i64{low24(a)} * low24(b); }
};
struct MulI24 {
  static u32 run(u32 a, u32 b) { return static_cast<u32>(signed24(a)) * static_cast<u32>(signed24(b)); }
  static i64 exact(u32 a, u32 b) { return i64{signed24(a)} * signed24(b); }
};
struct MadU24 {
  static i64 exact(u32 a, u32 b, u32 c) { return i64{low24(a)} * low24(b) + c; }
};
struct MadI24 {
  static i64 exact(u32 a, u32 b, u32 c) { return i64{signed24(a)} * signed24(b) + sign(c); }
};

// --- carries

// dst = op(a, b, carry in), dst2 = carry out. `Op::run` gives 33 bits, the 33rd set on carry or borrow.
template <class Op, bool carry_in>
void with_carry(Wave& wave, const Instruction& in) {
  Row b0, b1, carries, result, out;
  const u32* a = source_row(wave, in.src[0], b0);
  const u32* b = source_row(wave, in.src[1], b1);
  if constexpr (carry_in)
    mask_to_row(wave.read_mask(in.src[2]), carries.lane, wave.lanes);
  const bool clamp = in.clamp;
  for_each_lane(wave, [&](unsigned i) {
    const u64 wide = Op::run(a[i], b[i], carry_in ? carries.lane[i] & 1 : 0);
    const u32 carry = static_cast<u32>(wide >> 32) & 1;
    result.lane[i] = clamp && carry ? Op::saturated : static_cast<u32>(wide);
    out.lane[i] = carry;
  });
  store_row(wave, in.dst.index, result.lane, wave.exec());
  wave.write_mask(in.dst2, row_to_mask(out.lane, wave.lanes) & wave.exec());
}

struct AddCarry {
  static constexpr u32 saturated = ~0u;
  static u64 run(u32 a, u32 b, u32 carry) { return u64{a} + b + carry; }
};
struct SubBorrow {
  static constexpr u32 saturated = 0;
  static u64 run(u32 a, u32 b, u32 borrow) { return u64{a} - b - borrow; }
};
struct SubRevBorrow {
  static constexpr u32 saturated = 0;
  static u64 run(u32 a, u32 b, u32 borrow) { return u64{b} - a - borrow; }
};

// --- counting the lanes below

template <unsigned first_lane>
void mbcnt(Wave& wave, const Instruction& in) {
  Row b0, b1;
  const u32* a = source_row(wave, in.src[0], b0);
  const u32* b = source_row(wave, in.src[1], b1);
  write_lanes(wave, in.dst, [&](unsigned i) {
    const u64 below = (u64{1} << i) - 1;
    return static_cast<u32>(std::popcount(a[i] & static_cast<u32>(below >> first_lane))) + b[i];
  });
}

constexpr Type t = Type::b32;
constexpr Type none = Type::none;

constexpr OpcodeRow vop1[] = {
    {0x37, "v_not_b32", int_unary<Not>, t, t},       {0x38, "v_bfrev_b32", int_unary<BitReverse>, t, t},
    {0x39, "v_ffbh_u32", int_unary<FindHigh>, t, t}, {0x3a, "v_ffbl_b32", int_unary<FindLow>, t, t},
    {0x3b, "v_ffbh_i32", int_unary<FindSign>, t, t},
};

constexpr OpcodeRow vop2[] = {
    {0x09, "v_mul_i32_i24", clamped_binary<MulI24, saturate_i>, t, t, t},
    {0x0a, "v_mul_hi_i32_i24", int_binary<MulHiI24>, t, t, t},
    {0x0b, "v_mul_u32_u24", clamped_binary<MulU24, saturate_u>, t, t, t},
    {0x0c, "v_mul_hi_u32_u24", int_binary<MulHiU24>, t, t, t},
    {0x11, "v_min_i32", int_binary<MinI>, t, t, t},
    {0x12, "v_max_i32", int_binary<MaxI>, t, t, t},
    {0x13, "v_min_u32", int_binary<MinU>, t, t, t},
    {0x14, "v_max_u32", int_binary<MaxU>, t, t, t},
    {0x16, "v_lshrrev_b32", int_binary<ShiftRightRev>, t, t, t},
    {0x18, "v_ashrrev_i32", int_binary<ShiftArithmeticRev>, t, t, t},
    {0x1a, "v_lshlrev_b32", int_binary<ShiftLeftRev>, t, t, t},
    {0x1b, "v_and_b32", int_binary<And>, t, t, t},
    {0x1c, "v_or_b32", int_binary<Or>, t, t, t},
    {0x1d, "v_xor_b32", int_binary<Xor>, t, t, t},
    {0x1e, "v_xnor_b32", int_binary<Xnor>, t, t, t},
    {0x25, "v_add_nc_u32", clamped_binary<AddU, saturate_u>, t, t, t},
    {0x26, "v_sub_nc_u32", clamped_binary<SubU, saturate_u>, t, t, t},
    {0x27, "v_subrev_nc_u32", clamped_binary<SubRevU, saturate_u>, t, t, t},
    {0x28, "v_add_co_ci_u32", with_carry<AddCarry, true>, t, t, t, none, row_vcc_in | row_vcc_out},
    {0x29, "v_sub_co_ci_u32", with_carry<SubBorrow, true>, t, t, t, none, row_vcc_in | row_vcc_out},
    {0x2a, "v_subrev_co_ci_u32", with_carry<SubRevBorrow, true>, t, t, t, none, row_vcc_in | row_vcc_out},
};

constexpr OpcodeRow vop3[] = {
    {0x142, "v_mad_i32_i24", clamped_ternary<MadI24, saturate_i>, t, t, t, t},
    {0x143, "v_mad_u32_u24", clamped_ternary<MadU24, saturate_u>, t, t, t, t},
    {0x148, "v_bfe_u32", int_ternary<BfeU>, t, t, t, t},
    {0x149, "v_bfe_i32", int_ternary<BfeI>, t, t, t, t},
    {0x14a, "v_bfi_b32", int_ternary<Bfi>, t, t, t, t},
    {0x14e, "v_alignbit_b32", int_ternary<AlignBit>, t, t, t, t},
    {0x14f, "v_alignbyte_b32", int_ternary<AlignByte>, t, t, t, t},
    {0x152, "v_min3_i32", int_ternary<Three<MinI>>, t, t, t, t},
    {0x153, "v_min3_u32", int_ternary<Three<MinU>>, t, t, t, t},
    {0x155, "v_max3_i32", int_ternary<Three<MaxI>>, t, t, t, t},
    {0x156, "v_max3_u32", int_ternary<Three<MaxU>>, t, t, t, t},
    {0x158, "v_med3_i32", int_ternary<Middle<MinI, MaxI>>, t, t, t, t},
    {0x159, "v_med3_u32", int_ternary<Middle<MinU, MaxU>>, t, t, t, t},
    {0x169, "v_mul_lo_u32", int_binary<MulLo>, t, t, t},
    {0x16a, "v_mul_hi_u32", int_binary<MulHiU>, t, t, t},
    {0x16c, "v_mul_hi_i32", int_binary<MulHiI>, t, t, t},
    {0x178, "v_xor3_b32", int_ternary<Xor3>, t, t, t, t},
    {0x30f, "v_add_co_u32", with_carry<AddCarry, false>, t, t, t, none, row_sdst},
    {0x310, "v_sub_co_u32", with_carry<SubBorrow, false>, t, t, t, none, row_sdst},
    {0x319, "v_subrev_co_u32", with_carry<SubRevBorrow, false>, t, t, t, none, row_sdst},
    {0x344, "v_perm_b32", int_ternary<Perm>, t, t, t, t},
    {0x345, "v_xad_u32", int_ternary<XorAdd>, t, t, t, t},
    {0x346, "v_lshl_add_u32", int_ternary<ShiftAdd>, t, t, t, t},
    {0x347, "v_add_lshl_u32", int_ternary<AddShift>, t, t, t, t},
    {0x363, "v_bfm_b32", int_binary<BitFieldMask>, t, t, t},
    {0x364, "v_bcnt_u32_b32", int_binary<BitCountAdd>, t, t, t},
    {0x365, "v_mbcnt_lo_u32_b32", mbcnt<0>, t, t, t},
    {0x366, "v_mbcnt_hi_u32_b32", mbcnt<32>, t, t, t},
    {0x36d, "v_add3_u32", int_ternary<Add3>, t, t, t, t},
    {0x36f, "v_lshl_or_b32", int_ternary<ShiftOr>, t, t, t, t},
    {0x371, "v_and_or_b32", int_ternary<AndOr>, t, t, t, t},
    {0x372, "v_or3_b32", int_ternary<Or3>, t, t, t, t},
    {0x376, "v_sub_nc_i32", clamped_binary<SubI, saturate_i>, t, t, t},
    {0x37f, "v_add_nc_i32", clamped_binary<AddI, saturate_i>, t, t, t},
};

} // namespace

RowSet integer_rows() {
  return {vop1, vop2, {}, vop3, {}};
}

} // namespace EMU_ISA_TARGET
} // namespace emu::isa
