// Scalar operations with two sources, and scalar comparisons.
#include <algorithm>
#include <cstdlib>

#include "tables.hpp"
#include "wave.hpp"

namespace emu::isa {

namespace {

using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i32 = std::int32_t;
using i64 = std::int64_t;

// What becomes of SCC.
enum class Scc { keep, nonzero };

// D.u32 = F(S0, S1)
template <auto F, Scc scc = Scc::keep>
void binary32(Wave& wave, const Instruction& in) {
  const u32 result = F(wave.read_scalar(in.src[0]), wave.read_scalar(in.src[1]));
  wave.write_scalar(in.dst, result);
  if constexpr (scc == Scc::nonzero)
    wave.scc = result != 0;
}

// D.u64 = F(S0, S1), both sources of 64 bits.
template <auto F, Scc scc = Scc::keep>
void binary64(Wave& wave, const Instruction& in) {
  const u64 result = F(wave.read_scalar64(in.src[0]), wave.read_scalar64(in.src[1]));
  wave.write_scalar64(in.dst, result);
  if constexpr (scc == Scc::nonzero)
    wave.scc = result != 0;
}

// D.u64 = F(S0.u64, S1.u32)
template <auto F, Scc scc = Scc::keep>
void shift64(Wave& wave, const Instruction& in) {
  const u64 result = F(wave.read_scalar64(in.src[0]), wave.read_scalar(in.src[1]));
  wave.write_scalar64(in.dst, result);
  if constexpr (scc == Scc::nonzero)
    wave.scc = result != 0;
}

// The operation gives result and SCC in one 33-bit number.
template <auto F>
void carrying(Wave& wave, const Instruction& in) {
  const u64 result = F(wave.read_scalar(in.src[0]), wave.read_scalar(in.src[1]), wave.scc);
  wave.write_scalar(in.dst, static_cast<u32>(result));
  wave.scc = result >> 32 & 1;
}

constexpr auto add_u32 = [](u32 a, u32 b, bool) -> u64 { return u64{a} + b; };
constexpr auto addc_u32 = [](u32 a, u32 b, bool carry) -> u64 { return u64{a} + b + carry; };
constexpr auto sub_u32 = [](u32 a, u32 b, bool) -> u64 { return u64{a} - b; };
constexpr auto subb_u32 = [](u32 a, u32 b, bool borrow) -> u64 { return u64{a} - b - borrow; };
constexpr auto add_i32 = [](u32 a, u32 b, bool) -> u64 {
  const u32 r = a + b;
  return r | u64{(~(a ^ b) & (a ^ r)) >> 31} << 32;
};
constexpr auto sub_i32 = [](u32 a, u32 b, bool) -> u64 {
  const u32 r = a - b;
  return r | u64{((a ^ b) & (a ^ r)) >> 31} << 32;
};
constexpr auto min_i32 = [](u32 a, u32 b, bool) -> u64 {
  const bool first = static_cast<i32>(a) < static_cast<i32>(b);
  return (first ? a : b) | u64{first} << 32;
};
constexpr auto min_u32 = [](u32 a, u32 b, bool) -> u64 { return (a < b ? a : b) | u64{a < b} << 32; };
constexpr auto max_i32 = [](u32 a, u32 b, bool) -> u64 {
  const bool first = static_cast<i32>(a) >= static_cast<i32>(b);
  return (first ? a : b) | u64{first} << 32;
};
constexpr auto max_u32 = [](u32 a, u32 b, bool) -> u64 { return (a >= b ? a : b) | u64{a >= b} << 32; };
template <unsigned n>
constexpr auto shift_add = [](u32 a, u32 b, bool) -> u64 {
  const u64 sum = (u64{a} << n) + b;
  return (sum & 0xffffffff) | u64{sum >> 32 != 0} << 32;
};

constexpr auto logic_and = [](auto a, auto b) { return a & b; };
constexpr auto logic_or = [](auto a, auto b) { return a | b; };
constexpr auto logic_xor = [](auto a, auto b) { return a ^ b; };
constexpr auto logic_andn2 = [](auto a, auto b) { return a & ~b; };
constexpr auto logic_orn2 = [](auto a, auto b) { return a | ~b; };
constexpr auto logic_nand = [](auto a, auto b) { return ~(a & b); };
constexpr auto logic_nor = [](auto a, auto b) { return ~(a | b); };
constexpr auto logic_xnor = [](auto a, auto b) { return ~(a ^ b); };

constexpr auto lshl32 = [](u32 a, u32 b) { return a << (b & 31); };
constexpr auto lshr32 = [](u32 a, u32 b) { return a >> (b & 31); };
constexpr auto ashr32 = [](u32 a, u32 b) { return static_cast<u32>(static_cast<i32>(a) >> (b & 31)); };
constexpr auto lshl64 = [](u64 a, u32 b) { return a << (b & 63); };
constexpr auto lshr64 = [](u64 a, u32 b) { return a >> (b & 63); };
constexpr auto ashr64 = [](u64 a, u32 b) { return static_cast<u64>(static_cast<i64>(a) >> (b & 63)); };

// Bit-field extraction: offset in the low bits of `field`, width in bits 16..22.
constexpr auto bfe_u32 = [](u32 a, u32 field) -> u32 {
  const u32 offset = field & 31, width = field >> 16 & 127;
  const u32 shifted = a >> offset;
  return width >= 32 ? shifted : shifted & ((1u << width) - 1);
};
constexpr auto bfe_i32 = [](u32 a, u32 field) -> u32 {
  const u32 offset = field & 31, width = std::min(field >> 16 & 127, 32 - offset);
  if (width == 0)
    return 0;
  return static_cast<u32>(static_cast<i32>(a << (32 - offset - width)) >> (32 - width));
};
constexpr auto bfe_u64 = [](u64 a, u32 field) -> u64 {
  const u32 offset = field & 63, width = field >> 16 & 127;
  const u64 shifted = a >> offset;
  return width >= 64 ? shifted : shifted & ((u64{1} << width) - 1);
};
constexpr auto bfe_i64 = [](u64 a, u32 field) -> u64 {
  const u32 offset = field & 63, width = std::min(field >> 16 & 127, 64 - offset);
  if (width == 0)
    return 0;
  return static_cast<u64>(static_cast<i64>(a << (64 - offset - width)) >> (64 - width));
};
constexpr auto bfm_b32 = [](u32 a, u32 b) -> u32 { return ((1u << (a & 31)) - 1) << (b & 31); };

void s_bfm_b64(Wave& wave, const Instruction& in) {
  const u64 ones = (u64{1} << (wave.read_scalar(in.src[0]) & 63)) - 1;
  wave.write_scalar64(in.dst, ones << (wave.read_scalar(in.src[1]) & 63));
}

constexpr auto mul_lo = [](u32 a, u32 b) { return a * b; };
constexpr auto mul_hi_u32 = [](u32 a, u32 b) { return static_cast<u32>(u64{a} * b >> 32); };
constexpr auto mul_hi_i32 = [](u32 a, u32 b) {
  return static_cast<u32>(static_cast<u64>(i64{static_cast<i32>(a)} * static_cast<i32>(b)) >> 32);
};
constexpr auto absdiff = [](u32 a, u32 b) -> u32 {
  const u32 difference = a - b;
  return static_cast<i32>(difference) < 0 ? 0 - difference : difference;
};
constexpr auto pack_ll = [](u32 a, u32 b) { return (a & 0xffff) | b << 16; };
constexpr auto pack_lh = [](u32 a, u32 b) { return (a & 0xffff) | (b & 0xffff0000); };
constexpr auto pack_hh = [](u32 a, u32 b) { return a >> 16 | (b & 0xffff0000); };

void s_cselect_b32(Wave& wave, const Instruction& in) {
  wave.write_scalar(in.dst, wave.read_scalar(in.src[wave.scc ? 0 : 1]));
}
void s_cselect_b64(Wave& wave, const Instruction& in) {
  wave.write_scalar64(in.dst, wave.read_scalar64(in.src[wave.scc ? 0 : 1]));
}

template <auto F>
void compare32(Wave& wave, const Instruction& in) {
  wave.scc = F(wave.read_scalar(in.src[0]), wave.read_scalar(in.src[1]));
}
template <auto F>
void compare_i32(Wave& wave, const Instruction& in) {
  wave.scc = F(static_cast<i32>(wave.read_scalar(in.src[0])), static_cast<i32>(wave.read_scalar(in.src[1])));
}
template <auto F>
void compare64(Wave& wave, const Instruction& in) {
  wave.scc = F(wave.read_scalar64(in.src[0]), wave.read_scalar64(in.src[1]));
}
template <bool wanted>
void s_bitcmp_b32(Wave& wave, const Instruction& in) {
  wave.scc = (wave.read_scalar(in.src[0]) >> (wave.read_scalar(in.src[1]) & 31) & 1) == wanted;
}
template <bool wanted>
void s_bitcmp_b64(Wave& wave, const Instruction& in) {
  wave.scc = (wave.read_scalar64(in.src[0]) >> (wave.read_scalar(in.src[1]) & 63) & 1) == wanted;
}

constexpr auto equal = [](auto a, auto b) { return a == b; };
constexpr auto differ = [](auto a, auto b) { return a != b; };
constexpr auto greater = [](auto a, auto b) { return a > b; };
constexpr auto not_less = [](auto a, auto b) { return a >= b; };
constexpr auto less = [](auto a, auto b) { return a < b; };
constexpr auto not_greater = [](auto a, auto b) { return a <= b; };

constexpr Type w = Type::b32;
constexpr Type d = Type::b64;
constexpr Type sd = Type::i64;

constexpr OpcodeRow sop2_table[] = {
    {0x00, "s_add_u32", carrying<add_u32>, w, w, w},
    {0x01, "s_sub_u32", carrying<sub_u32>, w, w, w},
    {0x02, "s_add_i32", carrying<add_i32>, w, w, w},
    {0x03, "s_sub_i32", carrying<sub_i32>, w, w, w},
    {0x04, "s_addc_u32", carrying<addc_u32>, w, w, w},
    {0x05, "s_subb_u32", carrying<subb_u32>, w, w, w},
    {0x06, "s_min_i32", carrying<min_i32>, w, w, w},
    {0x07, "s_min_u32", carrying<min_u32>, w, w, w},
    {0x08, "s_max_i32", carrying<max_i32>, w, w, w},
    {0x09, "s_max_u32", carrying<max_u32>, w, w, w},
    {0x0a, "s_cselect_b32", s_cselect_b32, w, w, w},
    {0x0b, "s_cselect_b64", s_cselect_b64, d, d, d},
    {0x0e, "s_and_b32", binary32<logic_and, Scc::nonzero>, w, w, w},
    {0x0f, "s_and_b64", binary64<logic_and, Scc::nonzero>, d, d, d},
    {0x10, "s_or_b32", binary32<logic_or, Scc::nonzero>, w, w, w},
    {0x11, "s_or_b64", binary64<logic_or, Scc::nonzero>, d, d, d},
    {0x12, "s_xor_b32", binary32<logic_xor, Scc::nonzero>, w, w, w},
    {0x13, "s_xor_b64", binary64<logic_xor, Scc::nonzero>, d, d, d},
    {0x14, "s_andn2_b32", binary32<logic_andn2, Scc::nonzero>, w, w, w},
    {0x15, "s_andn2_b64", binary64<logic_andn2, Scc::nonzero>, d, d, d},
    {0x16, "s_orn2_b32", binary32<logic_orn2, Scc::nonzero>, w, w, w},
    {0x17, "s_orn2_b64", binary64<logic_orn2, Scc::nonzero>, d, d, d},
    {0x18, "s_nand_b32", binary32<logic_nand, Scc::nonzero>, w, w, w},
    {0x19, "s_nand_b64", binary64<logic_nand, Scc::nonzero>, d, d, d},
    {0x1a, "s_nor_b32", binary32<logic_nor, Scc::nonzero>, w, w, w},
    {0x1b, "s_nor_b64", binary64<logic_nor, Scc::nonzero>, d, d, d},
    {0x1c, "s_xnor_b32", binary32<logic_xnor, Scc::nonzero>, w, w, w},
    {0x1d, "s_xnor_b64", binary64<logic_xnor, Scc::nonzero>, d, d, d},
    {0x1e, "s_lshl_b32", binary32<lshl32, Scc::nonzero>, w, w, w},
    {0x1f, "s_lshl_b64", shift64<lshl64, Scc::nonzero>, d, d, w},
    {0x20, "s_lshr_b32", binary32<lshr32, Scc::nonzero>, w, w, w},
    {0x21, "s_lshr_b64", shift64<lshr64, Scc::nonzero>, d, d, w},
    {0x22, "s_ashr_i32", binary32<ashr32, Scc::nonzero>, w, w, w},
    {0x23, "s_ashr_i64", shift64<ashr64, Scc::nonzero>, d, sd, w},
    {0x24, "s_bfm_b32", binary32<bfm_b32>, w, w, w},
    {0x25, "s_bfm_b64", s_bfm_b64, d, w, w},
    {0x26, "s_mul_i32", binary32<mul_lo>, w, w, w},
    {0x27, "s_bfe_u32", binary32<bfe_u32, Scc::nonzero>, w, w, w},
    {0x28, "s_bfe_i32", binary32<bfe_i32, Scc::nonzero>, w, w, w},
    {0x29, "s_bfe_u64", shift64<bfe_u64, Scc::nonzero>, d, d, w},
    {0x2a, "s_bfe_i64", shift64<bfe_i64, Scc::nonzero>, d, sd, w},
    {0x2c, "s_absdiff_i32", binary32<absdiff, Scc::nonzero>, w, w, w},
    {0x2e, "s_lshl1_add_u32", carrying<shift_add<1>>, w, w, w},
    {0x2f, "s_lshl2_add_u32", carrying<shift_add<2>>, w, w, w},
    {0x30, "s_lshl3_add_u32", carrying<shift_add<3>>, w, w, w},
    {0x31, "s_lshl4_add_u32", carrying<shift_add<4>>, w, w, w},
    {0x32, "s_pack_ll_b32_b16", binary32<pack_ll>, w, w, w},
    {0x33, "s_pack_lh_b32_b16", binary32<pack_lh>, w, w, w},
    {0x34, "s_pack_hh_b32_b16", binary32<pack_hh>, w, w, w},
    {0x35, "s_mul_hi_u32", binary32<mul_hi_u32>, w, w, w},
    {0x36, "s_mul_hi_i32", binary32<mul_hi_i32>, w, w, w},
};

constexpr Type no = Type::none;

constexpr OpcodeRow sopc_table[] = {
    {0x00, "s_cmp_eq_i32", compare_i32<equal>, no, w, w},
    {0x01, "s_cmp_lg_i32", compare_i32<differ>, no, w, w},
    {0x02, "s_cmp_gt_i32", compare_i32<greater>, no, w, w},
    {0x03, "s_cmp_ge_i32", compare_i32<not_less>, no, w, w},
    {0x04, "s_cmp_lt_i32", compare_i32<less>, no, w, w},
    {0x05, "s_cmp_le_i32", compare_i32<not_greater>, no, w, w},
    {0x06, "s_cmp_eq_u32", compare32<equal>, no, w, w},
    {0x07, "s_cmp_lg_u32", compare32<differ>, no, w, w},
    {0x08, "s_cmp_gt_u32", compare32<greater>, no, w, w},
    {0x09, "s_cmp_ge_u32", compare32<not_less>, no, w, w},
    {0x0a, "s_cmp_lt_u32", compare32<less>, no, w, w},
    {0x0b, "s_cmp_le_u32", compare32<not_greater>, no, w, w},
    {0x0c, "s_bitcmp0_b32", s_bitcmp_b32<false>, no, w, w},
    {0x0d, "s_bitcmp1_b32", s_bitcmp_b32<true>, no, w, w},
    {0x0e, "s_bitcmp0_b64", s_bitcmp_b64<false>, no, d, w},
    {0x0f, "s_bitcmp1_b64", s_bitcmp_b64<true>, no, d, w},
    {0x12, "s_cmp_eq_u64", compare64<equal>, no, d, d},
    {0x13, "s_cmp_lg_u64", compare64<differ>, no, d, d},
};

} // namespace

std::span<const OpcodeRow> sop2_rows() {
  return sop2_table;
}
std::span<const OpcodeRow> sopc_rows() {
  return sopc_table;
}

} // namespace emu::isa
