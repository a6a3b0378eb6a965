// Integer operations: 32, 64 and 16 bits, bytes, bit fields, carries.
#include <algorithm>

#include "valu_fixture.hpp"

namespace emu::isa {
namespace {

using namespace test;
using Integer = Valu;

using i16 = std::int16_t;
using i32 = std::int32_t;
using i64 = std::int64_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i128 = __int128;

constexpr int vcc = static_cast<int>(vcc_lo);

i32 s(u32 v) {
  return static_cast<i32>(v);
}
i64 s24(u32 v) {
  return (s(v << 8)) >> 8;
}
u32 u24(u32 v) {
  return v & 0xffffff;
}
u32 saturated_u(i64 v) {
  return static_cast<u32>(std::clamp<i64>(v, 0, 0xffffffff));
}
u32 saturated_i(i64 v) {
  return static_cast<u32>(std::clamp<i64>(v, INT32_MIN, INT32_MAX));
}

// An operation of up to three registers of 32 bits: v2, v4, v6 into v10.
struct Simple {
  const char* text;
  u32 (*f)(u32 a, u32 b, u32 c);
};

TEST_F(Integer, operations_on_words) {
  const Simple cases[] = {
      {"v_mov_b32 v10, v2", [](u32 a, u32, u32) { return a; }},
      {"v_not_b32 v10, v2", [](u32 a, u32, u32) { return ~a; }},
      {"v_bfrev_b32 v10, v2",
       [](u32 a, u32, u32) {
         u32 r = 0;
         for (int i = 0; i < 32; ++i)
           r |= (a >> i & 1) << (31 - i);
         return r;
       }},
      {"v_ffbh_u32 v10, v2", [](u32 a, u32, u32) { return a ? static_cast<u32>(__builtin_clz(a)) : ~0u; }},
      {"v_ffbl_b32 v10, v2", [](u32 a, u32, u32) { return a ? static_cast<u32>(__builtin_ctz(a)) : ~0u; }},
      {"v_ffbh_i32 v10, v2",
       [](u32 a, u32, u32) { return a && ~a ? static_cast<u32>(__builtin_clrsb(s(a))) + 1 : ~0u; }},
      {"v_and_b32 v10, v2, v4", [](u32 a, u32 b, u32) { return a & b; }},
      {"v_or_b32 v10, v2, v4", [](u32 a, u32 b, u32) { return a | b; }},
      {"v_xor_b32 v10, v2, v4", [](u32 a, u32 b, u32) { return a ^ b; }},
      {"v_xnor_b32 v10, v2, v4", [](u32 a, u32 b, u32) { return ~(a ^ b); }},
      {"v_lshlrev_b32 v10, v2, v4", [](u32 a, u32 b, u32) { return b << a % 32; }},
      {"v_lshrrev_b32 v10, v2, v4", [](u32 a, u32 b, u32) { return b >> a % 32; }},
      {"v_ashrrev_i32 v10, v2, v4", [](u32 a, u32 b, u32) { return static_cast<u32>(s(b) >> a % 32); }},
      {"v_min_i32 v10, v2, v4", [](u32 a, u32 b, u32) { return static_cast<u32>(std::min(s(a), s(b))); }},
      {"v_max_i32 v10, v2, v4", [](u32 a, u32 b, u32) { return static_cast<u32>(std::max(s(a), s(b))); }},
      {"v_min_u32 v10, v2, v4", [](u32 a, u32 b, u32) { return std::min(a, b); }},
      {"v_max_u32 v10, v2, v4", [](u32 a, u32 b, u32) { return std::max(a, b); }},
      {"v_add_nc_u32 v10, v2, v4", [](u32 a, u32 b, u32) { return a + b; }},
      {"v_sub_nc_u32 v10, v2, v4", [](u32 a, u32 b, u32) { return a - b; }},
      {"v_subrev_nc_u32 v10, v2, v4", [](u32 a, u32 b, u32) { return b - a; }},
      {"v_add_nc_u32_e64 v10, v2, v4 clamp", [](u32 a, u32 b, u32) { return saturated_u(i64{a} + b); }},
      {"v_sub_nc_u32_e64 v10, v2, v4 clamp", [](u32 a, u32 b, u32) { return saturated_u(i64{a} - b); }},
      {"v_add_nc_i32 v10, v2, v4", [](u32 a, u32 b, u32) { return a + b; }},
      {"v_add_nc_i32 v10, v2, v4 clamp", [](u32 a, u32 b, u32) { return saturated_i(i64{s(a)} + s(b)); }},
      {"v_sub_nc_i32 v10, v2, v4 clamp", [](u32 a, u32 b, u32) { return saturated_i(i64{s(a)} - s(b)); }},
      {"v_mul_i32_i24 v10, v2, v4", [](u32 a, u32 b, u32) { return static_cast<u32>(s24(a) * s24(b)); }},
      {"v_mul_hi_i32_i24 v10, v2, v4", [](u32 a, u32 b, u32) { return static_cast<u32>(s24(a) * s24(b) >> 32); }},
      {"v_mul_u32_u24 v10, v2, v4", [](u32 a, u32 b, u32) { return u24(a) * u24(b); }},
      {"v_mul_hi_u32_u24 v10, v2, v4", [](u32 a, u32 b, u32) { return static_cast<u32>(u64{u24(a)} * u24(b) >> 32); }},
      {"v_mul_lo_u32 v10, v2, v4", [](u32 a, u32 b, u32) { return a * b; }},
      {"v_mul_hi_u32 v10, v2, v4", [](u32 a, u32 b, u32) { return static_cast<u32>(u64{a} * b >> 32); }},
      {"v_mul_hi_i32 v10, v2, v4", [](u32 a, u32 b, u32) { return static_cast<u32>(i64{s(a)} * s(b) >> 32); }},
      {"v_mad_i32_i24 v10, v2, v4, v6", [](u32 a, u32 b, u32 c) { return static_cast<u32>(s24(a) * s24(b)) + c; }},
      {"v_mad_u32_u24 v10, v2, v4, v6", [](u32 a, u32 b, u32 c) { return u24(a) * u24(b) + c; }},
      {"v_mad_i32_i24 v10, v2, v4, v6 clamp",
       [](u32 a, u32 b, u32 c) { return saturated_i(s24(a) * s24(b) + s(c)); }},
      {"v_mad_u32_u24 v10, v2, v4, v6 clamp",
       [](u32 a, u32 b, u32 c) { return saturated_u(i64{u24(a)} * u24(b) + c); }},
      {"v_bfe_u32 v10, v2, v4, v6",
       [](u32 a, u32 b, u32 c) { return static_cast<u32>((u64{a} >> b % 32) % (u64{1} << c % 32)); }},
      {"v_bfe_i32 v10, v2, v4, v6",
       [](u32 a, u32 b, u32 c) {
         const u32 width = c % 32;
         const u64 field = static_cast<u64>(i64{s(a)} >> b % 32) & ((u64{1} << width) - 1);
         return width && field >> (width - 1) ? static_cast<u32>(field | ~u64{0} << width) : static_cast<u32>(field);
       }},
      {"v_bfi_b32 v10, v2, v4, v6", [](u32 a, u32 b, u32 c) { return (a & b) | (~a & c); }},
      {"v_bfm_b32 v10, v2, v4", [](u32 a, u32 b, u32) { return static_cast<u32>(((u64{1} << a % 32) - 1) << b % 32); }},
      {"v_alignbit_b32 v10, v2, v4, v6",
       [](u32 a, u32 b, u32 c) { return c % 32 ? b >> c % 32 | a << (32 - c % 32) : b; }},
      {"v_alignbyte_b32 v10, v2, v4, v6",
       [](u32 a, u32 b, u32 c) { return c % 4 ? b >> 8 * (c % 4) | a << (32 - 8 * (c % 4)) : b; }},
      {"v_min3_i32 v10, v2, v4, v6",
       [](u32 a, u32 b, u32 c) { return static_cast<u32>(std::min({s(a), s(b), s(c)})); }},
      {"v_max3_i32 v10, v2, v4, v6",
       [](u32 a, u32 b, u32 c) { return static_cast<u32>(std::max({s(a), s(b), s(c)})); }},
      {"v_min3_u32 v10, v2, v4, v6", [](u32 a, u32 b, u32 c) { return std::min({a, b, c}); }},
      {"v_max3_u32 v10, v2, v4, v6", [](u32 a, u32 b, u32 c) { return std::max({a, b, c}); }},
      {"v_med3_i32 v10, v2, v4, v6",
       [](u32 a, u32 b, u32 c) {
         i32 v[] = {s(a), s(b), s(c)};
         std::sort(v, v + 3);
         return static_cast<u32>(v[1]);
       }},
      {"v_med3_u32 v10, v2, v4, v6",
       [](u32 a, u32 b, u32 c) {
         u32 v[] = {a, b, c};
         std::sort(v, v + 3);
         return v[1];
       }},
      {"v_xor3_b32 v10, v2, v4, v6", [](u32 a, u32 b, u32 c) { return a ^ b ^ c; }},
      {"v_or3_b32 v10, v2, v4, v6", [](u32 a, u32 b, u32 c) { return a | b | c; }},
      {"v_and_or_b32 v10, v2, v4, v6", [](u32 a, u32 b, u32 c) { return (a & b) | c; }},
      {"v_add3_u32 v10, v2, v4, v6", [](u32 a, u32 b, u32 c) { return a + b + c; }},
      {"v_xad_u32 v10, v2, v4, v6", [](u32 a, u32 b, u32 c) { return (a ^ b) + c; }},
      {"v_lshl_add_u32 v10, v2, v4, v6", [](u32 a, u32 b, u32 c) { return (a << b % 32) + c; }},
      {"v_add_lshl_u32 v10, v2, v4, v6", [](u32 a, u32 b, u32 c) { return (a + b) << c % 32; }},
      {"v_lshl_or_b32 v10, v2, v4, v6", [](u32 a, u32 b, u32 c) { return (a << b % 32) | c; }},
      {"v_bcnt_u32_b32 v10, v2, v4", [](u32 a, u32 b, u32) { return static_cast<u32>(__builtin_popcount(a)) + b; }},
  };
  for (const Simple& c : cases)
    check(
        c.text, Values::b32, [&](Lane& l) { l.set(10, c.f(l.v(2), l.v(4), l.v(6))); }, Options{.rounds = 60});
}

TEST_F(Integer, scalars_constants_and_literals_are_sources) {
  check("v_add_nc_u32 v10, s7, v4", Values::b32, [](Lane& l) { l.set(10, l.s(7) + l.v(4)); });
  check("v_add_nc_u32 v10, -16, v4", Values::b32, [](Lane& l) { l.set(10, l.v(4) - 16); });
  check("v_xor_b32 v10, 0xdeadbeef, v4", Values::b32, [](Lane& l) { l.set(10, 0xdeadbeef ^ l.v(4)); });
  check("v_add3_u32 v10, s3, s5, 64", Values::b32, [](Lane& l) { l.set(10, l.s(3) + l.s(5) + 64); });
  check("v_and_or_b32 v10, v2, 0x12345678, v6", Values::b32,
        [](Lane& l) { l.set(10, (l.v(2) & 0x12345678) | l.v(6)); });
  check("v_add_nc_u32 v4, v4, v4", Values::b32, [](Lane& l) { l.set(4, 2 * l.v(4)); });
}

TEST_F(Integer, carries_go_in_and_out_of_lane_masks) {
  Options out;
  out.mask_register = vcc;
  const auto carry = [](Lane& l, i64 exact) {
    l.set(10, static_cast<u32>(exact));
    l.set_mask(vcc_lo, exact < 0 || exact > 0xffffffff);
  };
  check(
      "v_add_co_u32 v10, vcc_lo, v2, v4", Values::b32, [&](Lane& l) { carry(l, i64{l.v(2)} + l.v(4)); }, out);
  check(
      "v_sub_co_u32 v10, vcc_lo, v2, v4", Values::b32, [&](Lane& l) { carry(l, i64{l.v(2)} - l.v(4)); }, out);
  check(
      "v_subrev_co_u32 v10, vcc_lo, v2, v4", Values::b32, [&](Lane& l) { carry(l, i64{l.v(4)} - l.v(2)); },
      out);
  check(
      "v_add_co_ci_u32 v10, vcc_lo, v2, v4, vcc_lo", Values::b32,
      [&](Lane& l) { carry(l, i64{l.v(2)} + l.v(4) + l.mask(vcc_lo)); }, out);
  check(
      "v_sub_co_ci_u32 v10, vcc_lo, v2, v4, vcc_lo", Values::b32,
      [&](Lane& l) { carry(l, i64{l.v(2)} - l.v(4) - l.mask(vcc_lo)); }, out);
  check(
      "v_subrev_co_ci_u32 v10, vcc_lo, v2, v4, vcc_lo", Values::b32,
      [&](Lane& l) { carry(l, i64{l.v(4)} - l.v(2) - l.mask(vcc_lo)); }, out);
  out.mask_register = 20;
  check(
      "v_add_co_ci_u32_e64 v10, s20, v2, v4, s30", Values::b32,
      [](Lane& l) {
        const u64 exact = u64{l.v(2)} + l.v(4) + l.mask(30);
        l.set(10, exact);
        l.set_mask(20, exact >> 32);
      },
      out);
}

TEST_F(Integer, selection_by_a_lane_mask) {
  check("v_cndmask_b32 v10, v2, v4, vcc_lo", Values::b32,
        [](Lane& l) { l.set(10, l.mask(vcc_lo) ? l.v(4) : l.v(2)); });
  check("v_cndmask_b32_e64 v10, v2, 5, s20", Values::b32,
        [](Lane& l) { l.set(10, l.mask(20) ? 5 : l.v(2)); });
  check("v_cndmask_b32_e64 v10, -v2, |v4|, s20", Values::b32,
        [](Lane& l) { l.set(10, l.mask(20) ? l.v(4) & 0x7fffffff : l.v(2) ^ 0x80000000); });
}

TEST_F(Integer, counting_bits_of_the_lanes_below) {
  const auto below = [](Lane& l) { return (u64{1} << l.index) - 1; };
  check("v_mbcnt_lo_u32_b32 v10, s4, v4", Values::b32, [&](Lane& l) {
    l.set(10, static_cast<u32>(__builtin_popcount(l.s(4) & static_cast<u32>(below(l)))) + l.v(4));
  });
  check("v_mbcnt_hi_u32_b32 v10, s4, v4", Values::b32, [&](Lane& l) {
    l.set(10, static_cast<u32>(__builtin_popcount(l.s(4) & static_cast<u32>(below(l) >> 32))) + l.v(4));
  });
}

TEST_F(Integer, operations_on_64_bits) {
  check("v_lshlrev_b64 v[10:11], v2, v[4:5]", Values::b32,
        [](Lane& l) { l.set64(10, l.v64(4) << l.v(2) % 64); });
  check("v_lshrrev_b64 v[10:11], v2, v[4:5]", Values::b32,
        [](Lane& l) { l.set64(10, l.v64(4) >> l.v(2) % 64); });
  check("v_ashrrev_i64 v[10:11], v2, v[4:5]", Values::b32,
        [](Lane& l) { l.set64(10, static_cast<u64>(static_cast<i64>(l.v64(4)) >> l.v(2) % 64)); });
  check("v_lshlrev_b64 v[5:6], 7, v[4:5]", Values::b32, [](Lane& l) { l.set64(5, l.v64(4) << 7); });
  Options out;
  out.mask_register = 20;
  check(
      "v_mad_u64_u32 v[10:11], s20, v2, v4, v[6:7]", Values::b32,
      [](Lane& l) {
        const unsigned __int128 exact = static_cast<unsigned __int128>(l.v(2)) * l.v(4) + l.v64(6);
        l.set64(10, static_cast<u64>(exact));
        l.set_mask(20, exact >> 64 != 0);
      },
      out);
  check(
      "v_mad_i64_i32 v[10:11], s20, v2, v4, v[6:7]", Values::b32,
      [](Lane& l) {
        const i128 exact = static_cast<i128>(s(l.v(2))) * s(l.v(4)) + static_cast<i64>(l.v64(6));
        l.set64(10, static_cast<u64>(exact));
        l.set_mask(20, exact != static_cast<i64>(exact));
      },
      out);
}

// 16-bit operations: low halves of v2, v4, v6 into that of v10; packed ones work on both.
struct Short {
  const char* text;
  i64 (*f)(u32 a, u32 b, u32 c);
};
i32 h(u32 v) {
  return static_cast<i16>(v);
}

TEST_F(Integer, operations_on_halves_keep_the_other_half) {
  const Short cases[] = {
      {"v_add_nc_u16 v10, v2, v4", [](u32 a, u32 b, u32) { return i64{a} + b; }},
      {"v_add_nc_u16 v10, v2, v4 clamp", [](u32 a, u32 b, u32) { return std::min<i64>(i64{a} + b, 0xffff); }},
      {"v_sub_nc_u16 v10, v2, v4 clamp", [](u32 a, u32 b, u32) { return std::max<i64>(i64{a} - b, 0); }},
      {"v_add_nc_i16 v10, v2, v4 clamp",
       [](u32 a, u32 b, u32) { return std::clamp<i64>(h(a) + h(b), -32768, 32767); }},
      {"v_sub_nc_i16 v10, v2, v4 clamp",
       [](u32 a, u32 b, u32) { return std::clamp<i64>(h(a) - h(b), -32768, 32767); }},
      {"v_sub_nc_i16 v10, v2, v4", [](u32 a, u32 b, u32) { return i64{h(a) - h(b)}; }},
      {"v_mul_lo_u16 v10, v2, v4", [](u32 a, u32 b, u32) { return i64{a} * b; }},
      {"v_lshlrev_b16 v10, v2, v4", [](u32 a, u32 b, u32) { return i64{b} << a % 16; }},
      {"v_lshrrev_b16 v10, v2, v4", [](u32 a, u32 b, u32) { return i64{b} >> a % 16; }},
      {"v_ashrrev_i16 v10, v2, v4", [](u32 a, u32 b, u32) { return i64{h(b) >> a % 16}; }},
      {"v_max_u16 v10, v2, v4", [](u32 a, u32 b, u32) { return i64{std::max(a, b)}; }},
      {"v_min_u16 v10, v2, v4", [](u32 a, u32 b, u32) { return i64{std::min(a, b)}; }},
      {"v_max_i16 v10, v2, v4", [](u32 a, u32 b, u32) { return i64{std::max(h(a), h(b))}; }},
      {"v_min_i16 v10, v2, v4", [](u32 a, u32 b, u32) { return i64{std::min(h(a), h(b))}; }},
      {"v_mad_u16 v10, v2, v4, v6", [](u32 a, u32 b, u32 c) { return i64{a} * b + c; }},
      {"v_mad_u16 v10, v2, v4, v6 clamp",
       [](u32 a, u32 b, u32 c) { return std::min<i64>(i64{a} * b + c, 0xffff); }},
      {"v_mad_i16 v10, v2, v4, v6 clamp",
       [](u32 a, u32 b, u32 c) { return std::clamp<i64>(i64{h(a)} * h(b) + h(c), -32768, 32767); }},
      {"v_min3_i16 v10, v2, v4, v6",
       [](u32 a, u32 b, u32 c) {
         return i64{std::min({h(a), h(b), h(c)})};
       }},
      {"v_max3_u16 v10, v2, v4, v6",
       [](u32 a, u32 b, u32 c) {
         return i64{std::max({a, b, c})};
       }},
      {"v_min3_u16 v10, v2, v4, v6",
       [](u32 a, u32 b, u32 c) {
         return i64{std::min({a, b, c})};
       }},
      {"v_max3_i16 v10, v2, v4, v6",
       [](u32 a, u32 b, u32 c) {
         return i64{std::max({h(a), h(b), h(c)})};
       }},
      {"v_med3_i16 v10, v2, v4, v6",
       [](u32 a, u32 b, u32 c) {
         return i64{std::max(std::min(h(a), h(b)), std::min(std::max(h(a), h(b)), h(c)))};
       }},
      {"v_med3_u16 v10, v2, v4, v6",
       [](u32 a, u32 b, u32 c) { return i64{std::max(std::min(a, b), std::min(std::max(a, b), c))}; }},
  };
  for (const Short& c : cases)
    check(
        c.text, Values::b32,
        [&](Lane& l) { l.set_low(10, static_cast<u64>(c.f(l.low(2), l.low(4), l.low(6)))); },
        Options{.rounds = 60});
  check("v_add_nc_u16 v10, v2, v4 op_sel:[1,0,1]", Values::b32,
        [](Lane& l) { l.set_high(10, l.high(2) + l.low(4)); });
  check("v_mad_u32_u16 v10, v2, v4, v6 op_sel:[0,1,0,0]", Values::b32,
        [](Lane& l) { l.set(10, l.low(2) * l.high(4) + l.v(6)); });
  check("v_mad_i32_i16 v10, v2, v4, v6 clamp", Values::b32,
        [](Lane& l) { l.set(10, saturated_i(i64{h(l.low(2))} * h(l.low(4)) + s(l.v(6)))); });
}

TEST_F(Integer, packed_operations_work_on_both_halves) {
  const Short cases[] = {
      {"v_pk_mad_i16 v10, v2, v4, v6", [](u32 a, u32 b, u32 c) { return i64{a} * b + c; }},
      {"v_pk_mad_u16 v10, v2, v4, v6 clamp",
       [](u32 a, u32 b, u32 c) { return std::min<i64>(i64{a} * b + c, 0xffff); }},
      {"v_pk_mad_i16 v10, v2, v4, v6 clamp",
       [](u32 a, u32 b, u32 c) { return std::clamp<i64>(i64{h(a)} * h(b) + h(c), -32768, 32767); }},
      {"v_pk_mul_lo_u16 v10, v2, v4", [](u32 a, u32 b, u32) { return i64{a} * b; }},
      {"v_pk_add_i16 v10, v2, v4 clamp",
       [](u32 a, u32 b, u32) { return std::clamp<i64>(h(a) + h(b), -32768, 32767); }},
      {"v_pk_sub_i16 v10, v2, v4", [](u32 a, u32 b, u32) { return i64{h(a) - h(b)}; }},
      {"v_pk_add_u16 v10, v2, v4", [](u32 a, u32 b, u32) { return i64{a} + b; }},
      {"v_pk_sub_u16 v10, v2, v4 clamp", [](u32 a, u32 b, u32) { return std::max<i64>(i64{a} - b, 0); }},
      {"v_pk_lshlrev_b16 v10, v2, v4", [](u32 a, u32 b, u32) { return i64{b} << a % 16; }},
      {"v_pk_lshrrev_b16 v10, v2, v4", [](u32 a, u32 b, u32) { return i64{b} >> a % 16; }},
      {"v_pk_ashrrev_i16 v10, v2, v4", [](u32 a, u32 b, u32) { return i64{h(b) >> a % 16}; }},
      {"v_pk_max_i16 v10, v2, v4", [](u32 a, u32 b, u32) { return i64{std::max(h(a), h(b))}; }},
      {"v_pk_min_i16 v10, v2, v4", [](u32 a, u32 b, u32) { return i64{std::min(h(a), h(b))}; }},
      {"v_pk_max_u16 v10, v2, v4", [](u32 a, u32 b, u32) { return i64{std::max(a, b)}; }},
      {"v_pk_min_u16 v10, v2, v4", [](u32 a, u32 b, u32) { return i64{std::min(a, b)}; }},
  };
  for (const Short& c : cases)
    check(
        c.text, Values::b32,
        [&](Lane& l) {
          const auto low = static_cast<u32>(c.f(l.low(2), l.low(4), l.low(6))) & 0xffff;
          l.set(10, low | static_cast<u32>(c.f(l.high(2), l.high(4), l.high(6))) << 16);
        },
        Options{.rounds = 60});
}

TEST_F(Integer, dot_products) {
  const auto field = [](u32 v, unsigned n, unsigned bits, bool is_signed) {
    const u32 raw = v >> n * bits & ((1u << bits) - 1);
    return i64{raw} - (is_signed && raw >> (bits - 1) ? i64{1} << bits : 0);
  };
  const auto dot = [&](u32 a, u32 b, unsigned bits, bool is_signed) {
    i64 sum = 0;
    for (unsigned n = 0; n < 32 / bits; ++n)
      sum += field(a, n, bits, is_signed) * field(b, n, bits, is_signed);
    return sum;
  };
  struct Case {
    const char* name;
    unsigned bits;
    bool is_signed;
  };
  for (const Case& c :
       {Case{"v_dot2_i32_i16", 16, true}, Case{"v_dot2_u32_u16", 16, false}, Case{"v_dot4_i32_i8", 8, true},
        Case{"v_dot4_u32_u8", 8, false}, Case{"v_dot8_i32_i4", 4, true}, Case{"v_dot8_u32_u4", 4, false}})
    for (const bool clamp : {false, true})
      check(std::string(c.name) + " v10, v2, v4, v6" + (clamp ? " clamp" : ""), Values::b32, [&](Lane& l) {
        const i64 sum =
            dot(l.v(2), l.v(4), c.bits, c.is_signed) + (c.is_signed ? i64{s(l.v(6))} : i64{l.v(6)});
        l.set(10, !clamp ? static_cast<u32>(sum) : c.is_signed ? saturated_i(sum) : saturated_u(sum));
      });
  check("v_dot4c_i32_i8 v10, v2, v4", Values::b32,
        [&](Lane& l) { l.set(10, static_cast<u32>(dot(l.v(2), l.v(4), 8, true)) + l.v(10)); });
}

TEST_F(Integer, operations_on_bytes) {
  const auto byte = [](u64 v, unsigned n) { return static_cast<i32>(v >> 8 * n & 0xff); };
  const auto sad = [&](u64 a, u32 b, bool masked) {
    u32 sum = 0;
    for (unsigned n = 0; n < 4; ++n)
      sum += masked && byte(b, n) == 0 ? 0 : static_cast<u32>(std::abs(byte(a, n) - byte(b, n)));
    return sum;
  };
  check("v_lerp_u8 v10, v2, v4, v6", Values::b32, [&](Lane& l) {
    u32 result = 0;
    for (unsigned n = 0; n < 4; ++n)
      result |= static_cast<u32>((byte(l.v(2), n) + byte(l.v(4), n) + byte(l.v(6), n) % 2) / 2) << 8 * n;
    l.set(10, result);
  });
  check("v_sad_u8 v10, v2, v4, v6", Values::b32,
        [&](Lane& l) { l.set(10, sad(l.v(2), l.v(4), false) + l.v(6)); });
  check("v_sad_hi_u8 v10, v2, v4, v6", Values::b32,
        [&](Lane& l) { l.set(10, (sad(l.v(2), l.v(4), false) << 16) + l.v(6)); });
  check("v_msad_u8 v10, v2, v4, v6", Values::b32,
        [&](Lane& l) { l.set(10, sad(l.v(2), l.v(4), true) + l.v(6)); });
  check("v_sad_u16 v10, v2, v4, v6", Values::b32, [&](Lane& l) {
    const i32 low = s(l.low(2)) - s(l.low(4)), high = s(l.high(2)) - s(l.high(4));
    l.set(10, static_cast<u32>(std::abs(low) + std::abs(high)) + l.v(6));
  });
  check("v_sad_u32 v10, v2, v4, v6", Values::b32,
        [&](Lane& l) { l.set(10, static_cast<u32>(std::abs(i64{l.v(2)} - l.v(4))) + l.v(6)); });
  for (const bool masked : {false, true})
    check(std::string(masked ? "v_mqsad_pk_u16_u8" : "v_qsad_pk_u16_u8") + " v[10:11], v[2:3], v4, v[6:7]",
          Values::b32, [&](Lane& l) {
            u64 result = 0;
            for (unsigned n = 0; n < 4; ++n)
              result |= ((sad(l.v64(2) >> 8 * n, l.v(4), masked) + (l.v64(6) >> 16 * n)) & 0xffff) << 16 * n;
            l.set64(10, result);
          });
  check("v_mqsad_u32_u8 v[10:13], v[2:3], v4, v[6:9]", Values::b32, [&](Lane& l) {
    for (unsigned n = 0; n < 4; ++n)
      l.set(10 + n, sad(l.v64(2) >> 8 * n, l.v(4), true) + l.v(6 + n));
  });
  check("v_perm_b32 v10, v2, v4, v6", Values::b32, [&](Lane& l) {
    const u64 source = l.v(4) | u64{l.v(2)} << 32;
    u32 result = 0;
    for (unsigned n = 0; n < 4; ++n) {
      const u32 selector = l.v(6) >> 8 * n & 0xff;
      u32 value = 0xff;
      if (selector < 8)
        value = static_cast<u32>(byte(source, selector));
      else if (selector < 12)
        value = byte(source, 2 * selector - 15) & 0x80 ? 0xff : 0;
      else if (selector == 12)
        value = 0;
      result |= value << 8 * n;
    }
    l.set(10, result);
  });
}

} // namespace
} // namespace emu::isa
