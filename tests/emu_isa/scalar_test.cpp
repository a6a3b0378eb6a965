// Scalar operations against independent computations, SCC included.
#include <bit>
#include <functional>
#include <optional>
#include <random>

#include <gtest/gtest.h>

#include "machine.hpp"

namespace emu::isa::test {
namespace {

using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i32 = std::int32_t;
using i64 = std::int64_t;
using i128 = __int128;

struct Result {
  u64 value;
  std::optional<bool> scc{}; // none: unchanged
};

struct Case {
  const char* text; // sources s[4:5] and s[6:7], destination s[8:9]
  bool wide;        // the destination has 64 bits
  std::function<Result(u64 a, u64 b, bool scc)> expected;
};

u32 lo(u64 v) {
  return static_cast<u32>(v);
}
i32 s32(u64 v) {
  return static_cast<i32>(v);
}
Result nonzero32(u64 v) {
  return {lo(v), lo(v) != 0};
}
Result nonzero64(u64 v) {
  return {v, v != 0};
}
bool overflows(i128 v) {
  return v != static_cast<i32>(v);
}

u64 field(u64 value, unsigned offset, unsigned width, bool sign, unsigned bits) {
  u64 result = 0;
  unsigned taken = 0;
  for (; taken < width && offset + taken < bits; ++taken)
    result |= (value >> (offset + taken) & 1) << taken;
  if (sign && taken && (result >> (taken - 1) & 1))
    for (unsigned i = taken; i < bits; ++i)
      result |= u64{1} << i;
  return result;
}

const Case cases[] = {
    {"s_add_u32 s8, s4, s6", false,
     [](u64 a, u64 b, bool) {
       u64 r = u64{lo(a)} + lo(b);
       return Result{lo(r), r > 0xffffffff};
     }},
    {"s_addc_u32 s8, s4, s6", false,
     [](u64 a, u64 b, bool c) {
       u64 r = u64{lo(a)} + lo(b) + c;
       return Result{lo(r), r > 0xffffffff};
     }},
    {"s_sub_u32 s8, s4, s6", false,
     [](u64 a, u64 b, bool) {
       return Result{lo(a - b), lo(b) > lo(a)};
     }},
    {"s_subb_u32 s8, s4, s6", false,
     [](u64 a, u64 b, bool c) {
       return Result{lo(a - b - c), u64{lo(b)} + c > lo(a)};
     }},
    {"s_add_i32 s8, s4, s6", false,
     [](u64 a, u64 b, bool) {
       i128 r = i128{s32(a)} + s32(b);
       return Result{lo(static_cast<u64>(r)), overflows(r)};
     }},
    {"s_sub_i32 s8, s4, s6", false,
     [](u64 a, u64 b, bool) {
       i128 r = i128{s32(a)} - s32(b);
       return Result{lo(static_cast<u64>(r)), overflows(r)};
     }},
    {"s_min_u32 s8, s4, s6", false,
     [](u64 a, u64 b, bool) {
       return Result{std::min(lo(a), lo(b)), lo(a) < lo(b)};
     }},
    {"s_max_i32 s8, s4, s6", false,
     [](u64 a, u64 b, bool) {
       return Result{static_cast<u32>(std::max(s32(a), s32(b))), s32(a) >= s32(b)};
     }},
    {"s_cselect_b32 s8, s4, s6", false, [](u64 a, u64 b, bool c) { return Result{c ? lo(a) : lo(b)}; }},
    {"s_cselect_b64 s[8:9], s[4:5], s[6:7]", true, [](u64 a, u64 b, bool c) { return Result{c ? a : b}; }},
    {"s_and_b32 s8, s4, s6", false, [](u64 a, u64 b, bool) { return nonzero32(a & b); }},
    {"s_andn2_b64 s[8:9], s[4:5], s[6:7]", true, [](u64 a, u64 b, bool) { return nonzero64(a & ~b); }},
    {"s_orn2_b32 s8, s4, s6", false, [](u64 a, u64 b, bool) { return nonzero32(a | ~b); }},
    {"s_xor_b64 s[8:9], s[4:5], s[6:7]", true, [](u64 a, u64 b, bool) { return nonzero64(a ^ b); }},
    {"s_nand_b32 s8, s4, s6", false, [](u64 a, u64 b, bool) { return nonzero32(~(a & b)); }},
    {"s_nor_b64 s[8:9], s[4:5], s[6:7]", true, [](u64 a, u64 b, bool) { return nonzero64(~(a | b)); }},
    {"s_xnor_b32 s8, s4, s6", false, [](u64 a, u64 b, bool) { return nonzero32(~(a ^ b)); }},
    {"s_lshl_b32 s8, s4, s6", false, [](u64 a, u64 b, bool) { return nonzero32(a << (b % 32)); }},
    {"s_lshl_b64 s[8:9], s[4:5], s6", true, [](u64 a, u64 b, bool) { return nonzero64(a << (b % 64)); }},
    {"s_lshr_b64 s[8:9], s[4:5], s6", true, [](u64 a, u64 b, bool) { return nonzero64(a >> (b % 64)); }},
    {"s_ashr_i32 s8, s4, s6", false,
     [](u64 a, u64 b, bool) { return nonzero32(static_cast<u64>(i64{s32(a)} >> (b % 32))); }},
    {"s_ashr_i64 s[8:9], s[4:5], s6", true,
     [](u64 a, u64 b, bool) { return nonzero64(static_cast<u64>(static_cast<i64>(a) >> (b % 64))); }},
    {"s_bfm_b32 s8, s4, s6", false,
     [](u64 a, u64 b, bool) { return Result{lo(((u64{1} << (a % 32)) - 1) << (b % 32))}; }},
    {"s_bfe_u32 s8, s4, s6", false,
     [](u64 a, u64 b, bool) { return nonzero32(field(lo(a), b & 31, b >> 16 & 127, false, 32)); }},
    {"s_bfe_i32 s8, s4, s6", false,
     [](u64 a, u64 b, bool) { return nonzero32(field(lo(a), b & 31, b >> 16 & 127, true, 32)); }},
    {"s_bfe_u64 s[8:9], s[4:5], s6", true,
     [](u64 a, u64 b, bool) { return nonzero64(field(a, b & 63, b >> 16 & 127, false, 64)); }},
    {"s_bfe_i64 s[8:9], s[4:5], s6", true,
     [](u64 a, u64 b, bool) { return nonzero64(field(a, b & 63, b >> 16 & 127, true, 64)); }},
    {"s_mul_i32 s8, s4, s6", false, [](u64 a, u64 b, bool) { return Result{lo(u64{lo(a)} * lo(b))}; }},
    {"s_mul_hi_u32 s8, s4, s6", false, [](u64 a, u64 b, bool) { return Result{u64{lo(a)} * lo(b) >> 32}; }},
    {"s_mul_hi_i32 s8, s4, s6", false,
     [](u64 a, u64 b, bool) { return Result{lo(static_cast<u64>((i128{s32(a)} * s32(b)) >> 32))}; }},
    {"s_absdiff_i32 s8, s4, s6", false,
     [](u64 a, u64 b, bool) {
       i64 d = static_cast<i64>(s32(lo(a) - lo(b)));
       return nonzero32(static_cast<u64>(d < 0 ? -d : d));
     }},
    {"s_lshl3_add_u32 s8, s4, s6", false,
     [](u64 a, u64 b, bool) {
       u64 r = u64{lo(a)} * 8 + lo(b);
       return Result{lo(r), r > 0xffffffff};
     }},
    {"s_pack_lh_b32_b16 s8, s4, s6", false,
     [](u64 a, u64 b, bool) { return Result{(a % 65536) + (lo(b) / 65536) * 65536ull}; }},
    {"s_not_b64 s[8:9], s[4:5]", true, [](u64 a, u64, bool) { return nonzero64(~a); }},
    {"s_wqm_b32 s8, s4", false,
     [](u64 a, u64, bool) {
       u64 r = 0;
       for (int q = 0; q < 8; ++q)
         if (a >> q * 4 & 15)
           r |= 15ull << q * 4;
       return nonzero32(r);
     }},
    {"s_quadmask_b64 s[8:9], s[4:5]", true,
     [](u64 a, u64, bool) {
       u64 r = 0;
       for (int q = 0; q < 16; ++q)
         if (a >> q * 4 & 15)
           r |= 1ull << q;
       return nonzero64(r);
     }},
    {"s_brev_b32 s8, s4", false,
     [](u64 a, u64, bool) {
       u64 r = 0;
       for (int i = 0; i < 32; ++i)
         r = r * 2 + (a >> i & 1);
       return Result{r};
     }},
    {"s_bcnt0_i32_b64 s8, s[4:5]", false,
     [](u64 a, u64, bool) { return nonzero32(static_cast<u64>(64 - std::popcount(a))); }},
    {"s_bcnt1_i32_b32 s8, s4", false,
     [](u64 a, u64, bool) { return nonzero32(static_cast<u64>(std::popcount(lo(a)))); }},
    {"s_ff1_i32_b64 s8, s[4:5]", false,
     [](u64 a, u64, bool) {
       for (u32 i = 0; i < 64; ++i)
         if (a >> i & 1)
           return Result{i};
       return Result{0xffffffff};
     }},
    {"s_ff0_i32_b32 s8, s4", false,
     [](u64 a, u64, bool) {
       for (u32 i = 0; i < 32; ++i)
         if (!(a >> i & 1))
           return Result{i};
       return Result{0xffffffff};
     }},
    {"s_flbit_i32_b32 s8, s4", false,
     [](u64 a, u64, bool) {
       for (u32 i = 0; i < 32; ++i)
         if (a >> (31 - i) & 1)
           return Result{i};
       return Result{0xffffffff};
     }},
    {"s_flbit_i32 s8, s4", false,
     [](u64 a, u64, bool) {
       for (u32 i = 1; i < 32; ++i)
         if ((a >> (31 - i) & 1) != (a >> 31 & 1))
           return Result{i};
       return Result{0xffffffff};
     }},
    {"s_flbit_i32_i64 s8, s[4:5]", false,
     [](u64 a, u64, bool) {
       for (u32 i = 1; i < 64; ++i)
         if ((a >> (63 - i) & 1) != a >> 63)
           return Result{i};
       return Result{0xffffffff};
     }},
    {"s_sext_i32_i8 s8, s4", false, [](u64 a, u64, bool) { return Result{field(a, 0, 8, true, 32)}; }},
    {"s_sext_i32_i16 s8, s4", false, [](u64 a, u64, bool) { return Result{field(a, 0, 16, true, 32)}; }},
    {"s_abs_i32 s8, s4", false,
     [](u64 a, u64, bool) {
       i64 v = s32(a);
       return nonzero32(static_cast<u64>(v < 0 ? -v : v));
     }},
    {"s_bitreplicate_b64_b32 s[8:9], s4", true,
     [](u64 a, u64, bool) {
       u64 r = 0;
       for (int i = 0; i < 64; ++i)
         r |= (a >> i / 2 & 1) << i;
       return Result{r};
     }},
    {"s_mov_b64 s[8:9], s[4:5]\ns_bitset1_b64 s[8:9], s6", true,
     [](u64 a, u64 b, bool) { return Result{a | 1ull << (b % 64)}; }},
    {"s_mov_b32 s8, s4\ns_cmov_b32 s8, s6", false,
     [](u64 a, u64 b, bool c) { return Result{lo(c ? b : a)}; }},
    {"s_mov_b32 s8, s4\ns_addk_i32 s8, 0x8001", false,
     [](u64 a, u64, bool) {
       i128 r = i128{s32(a)} - 32767;
       return Result{lo(static_cast<u64>(r)), overflows(r)};
     }},
    {"s_mov_b32 s8, s4\ns_mulk_i32 s8, -3", false,
     [](u64 a, u64, bool) { return Result{lo(a * static_cast<u64>(-3))}; }},
    {"s_mov_b32 s8, s4\ns_cmp_lt_i32 s4, s6", false,
     [](u64 a, u64 b, bool) {
       return Result{lo(a), s32(a) < s32(b)};
     }},
    {"s_mov_b32 s8, s4\ns_cmp_ge_u32 s4, s6", false,
     [](u64 a, u64 b, bool) {
       return Result{lo(a), lo(a) >= lo(b)};
     }},
    {"s_mov_b64 s[8:9], s[4:5]\ns_cmp_eq_u64 s[4:5], s[6:7]", true,
     [](u64 a, u64 b, bool) {
       return Result{a, a == b};
     }},
    {"s_mov_b64 s[8:9], s[4:5]\ns_bitcmp1_b64 s[4:5], s6", true,
     [](u64 a, u64 b, bool) {
       return Result{a, (a >> (b % 64) & 1) == 1};
     }},
    {"s_mov_b32 s8, s4\ns_cmpk_gt_u32 s4, 0xfff0", false,
     [](u64 a, u64, bool) {
       return Result{lo(a), lo(a) > 0xfff0};
     }},
    {"s_mov_b32 s8, s4\ns_cmpk_le_i32 s4, 0xfff0", false,
     [](u64 a, u64, bool) {
       return Result{lo(a), s32(a) <= -16};
     }},
    {"s_add_u32 s8, s4, 0x12345678", false,
     [](u64 a, u64, bool) {
       u64 r = u64{lo(a)} + 0x12345678;
       return Result{lo(r), r > 0xffffffff};
     }},
    {"s_or_b64 s[8:9], s[4:5], -16", true,
     [](u64 a, u64, bool) { return nonzero64(a | static_cast<u64>(-16)); }},
    {"s_mov_b64 s[8:9], 0xfedcba98", true, [](u64, u64, bool) { return Result{0xfedcba98}; }},
    {"s_mov_b64 s[8:9], 0.5", true, [](u64, u64, bool) { return Result{std::bit_cast<u64>(0.5)}; }},
    {"s_mov_b32 s8, 0.15915494", false, [](u64, u64, bool) { return Result{0x3e22f983}; }},
    {"s_mov_b32 m0, 1\ns_mov_b32 s8, 0\ns_mov_b32 s9, s4\ns_movrels_b32 s8, s8", false,
     [](u64 a, u64, bool) { return Result{lo(a)}; }},
    {"s_mov_b32 s8, exec_lo\ns_and_saveexec_b32 s9, s4\ns_mov_b32 s8, exec_lo\ns_mov_b32 exec_lo, s9", false,
     [](u64 a, u64, bool) {
       return Result{lo(a), lo(a) != 0};
     }},
    {"s_andn1_wrexec_b32 s8, s4\ns_mov_b32 exec_lo, -1", false,
     [](u64 a, u64, bool) {
       return Result{lo(~a), lo(~a) != 0};
     }},
};

class Scalar : public ::testing::TestWithParam<std::size_t> {};

TEST_P(Scalar, gives_value_and_scc) {
  const Case& c = cases[GetParam()];
  Machine machine;
  machine.load(
      std::string("s_cmp_lg_u32 s10, 0\n") + c.text +
      "\ns_cselect_b32 s11, 1, 0\nv_mov_b32 v1, s8\nv_mov_b32 v2, s9\nv_mov_b32 v3, s11\nv_mov_b32 v4, 0\n"
      "s_mov_b32 exec_lo, 1\nglobal_store_dwordx3 v4, v[1:3], s[0:1]\n");
  std::mt19937_64 random(GetParam());
  const u64 corners[] = {0,       1,          0x7fffffff, 0x80000000, 0xffffffff, 0x8000000000000000,
                         ~u64{0}, 0x00200005, 31,         63};
  for (unsigned i = 0; i < 200; ++i) {
    u64 a = random(), b = random();
    if (i < 100) {
      a = corners[i / 10];
      b = corners[i % 10];
    } else if (i % 2) {
      b &= 0x003f003f;
    }
    const bool scc = random() & 1;
    Launch launch{.user = {0, 0, lo(a), lo(a >> 32), lo(b), lo(b >> 32), 0, 0, scc}};
    const Fault fault = machine.run(launch);
    ASSERT_EQ(fault.kind, FaultKind::none) << fault.describe();
    const Result expected = c.expected(a, b, scc);
    const u32* out = machine.at<u32>();
    const u64 value = c.wide ? out[0] | u64{out[1]} << 32 : out[0];
    ASSERT_EQ(value, expected.value) << c.text << std::hex << " a " << a << " b " << b;
    ASSERT_EQ(out[2], expected.scc.value_or(scc)) << c.text << " SCC" << std::hex << " a " << a << " b " << b;
  }
}

INSTANTIATE_TEST_SUITE_P(Operations, Scalar, ::testing::Range(std::size_t{0}, std::size(cases)));

Fault store_s8(Machine& machine, std::string_view text, const Launch& launch = {}) {
  return machine.run(std::string(text) + "\nv_mov_b32 v1, s8\nv_mov_b32 v4, 0\n"
                                         "s_mov_b32 exec_lo, 1\nglobal_store_dword v4, v1, s[0:1]\n",
                     launch);
}

TEST(Control, a_loop_counts) {
  Machine machine;
  EXPECT_EQ(store_s8(machine, "s_mov_b32 s8, 0\ns_movk_i32 s9, 1000\nl: s_add_u32 s8, s8, s9\n"
                              "s_sub_u32 s9, s9, 1\ns_cmp_lg_u32 s9, 0\ns_cbranch_scc1 l\n")
                .kind,
            FaultKind::none);
  EXPECT_EQ(*machine.at<u32>(), 1000u * 1001 / 2);
}

TEST(Control, calls_return) {
  Machine machine;
  EXPECT_EQ(store_s8(machine, "s_mov_b32 s8, 5\ns_call_b64 s[10:11], f\ns_getpc_b64 s[12:13]\n"
                              "s_add_u32 s12, s12, 16\ns_addc_u32 s13, s13, 0\n" // after the branch: f
                              "s_swappc_b64 s[10:11], s[12:13]\ns_branch done\n"
                              "f: s_mul_i32 s8, s8, 3\ns_setpc_b64 s[10:11]\ndone:\n")
                .kind,
            FaultKind::none);
  EXPECT_EQ(*machine.at<u32>(), 45u);
}

TEST(Control, branches_on_vcc_and_exec) {
  Machine machine;
  EXPECT_EQ(store_s8(machine,
                     "s_mov_b32 s8, 0\ns_mov_b32 vcc_lo, 0\ns_mov_b32 vcc_hi, 1\ns_cbranch_vccnz bad\n"
                     "s_cbranch_vccz a\ns_branch bad\na: s_or_b32 s8, s8, 1\ns_mov_b32 exec_lo, 0\n"
                     "s_cbranch_execz b\ns_branch bad\nb: s_or_b32 s8, s8, 2\ns_branch done\n"
                     "bad: s_mov_b32 s8, 99\ndone: s_mov_b32 exec_lo, -1\n")
                .kind,
            FaultKind::none);
  EXPECT_EQ(*machine.at<u32>(), 3u);
}

TEST(Control, mode_fields_are_read_back) {
  Machine machine;
  store_s8(machine,
           "s_setreg_imm32_b32 hwreg(HW_REG_MODE, 0, 4), 0x9\ns_getreg_b32 s8, hwreg(HW_REG_MODE, 0, 8)\n");
  EXPECT_EQ(*machine.at<u32>(), 0xc9u);
  store_s8(machine, "s_round_mode 0x3\ns_denorm_mode 5\ns_getreg_b32 s8, hwreg(HW_REG_MODE, 0, 8)\n");
  EXPECT_EQ(*machine.at<u32>(), 0x53u);
}

TEST(Control, registers_start_as_the_dispatch_says) {
  Machine machine;
  machine.load(
      "v_mov_b32 v10, s16\nv_mov_b32 v11, s17\nv_mov_b32 v12, s18\nv_mov_b32 v13, s19\n"
      "v_mov_b32 v14, s20\nv_mul_u32_u24 v4, 24, v1\nv_mul_u32_u24 v5, 72, v2\nv_lshl_add_u32 v4, v0, 2, v4\n"
      "v_add_nc_u32 v4, v4, v5\nv_mul_u32_u24 v4, 6, v4\nglobal_store_dwordx4 v4, v[10:13], s[0:1]\n"
      "global_store_dwordx2 v4, v[14:15], s[0:1] offset:16\n");
  Launch launch{.size = {6, 3, 4},
                .id = {7, 8, 9},
                .local_ids = 2,
                .group_ids = true,
                .group_info = true,
                .scratch = true,
                .scratch_wave_size = 1024};
  ASSERT_EQ(machine.run(launch).kind, FaultKind::none);
  for (u32 thread = 0; thread < 72; ++thread) {
    const u32* out = machine.at<u32>(thread * 24);
    const u32 wave = thread / 32;
    EXPECT_EQ(out[0], 7u);
    EXPECT_EQ(out[1], 8u);
    EXPECT_EQ(out[2], 9u);
    EXPECT_EQ(out[3], 3 | wave << 6 | wave << 20 | (wave == 0 ? 1u << 31 : 0)) << thread;
    EXPECT_EQ(out[4], wave * 1024);
  }
  EXPECT_EQ(machine.at<u32>(72 * 24)[0], 0u);
}

TEST(ScalarMemory, loads_come_from_base_immediate_and_register) {
  Machine machine;
  for (u32 i = 0; i < 64; ++i)
    machine.at<u32>(4096)[i] = i * 0x01010101;
  store_s8(machine,
           "s_movk_i32 s9, 0x1000\ns_load_dwordx16 s[20:35], s[0:1], s9 offset:8\ns_mov_b32 s8, s35\n");
  EXPECT_EQ(*machine.at<u32>(), 17 * 0x01010101u);
  store_s8(machine, "s_add_u32 s10, s0, 0x1010\ns_mov_b32 s11, s1\ns_load_dword s8, s[10:11], -12\n");
  EXPECT_EQ(*machine.at<u32>(), 0x01010101u);
}

TEST(ScalarMemory, buffer_loads_beyond_the_end_give_zero) {
  Machine machine;
  for (u32 i = 0; i < 64; ++i)
    machine.at<u32>(4096)[i] = 100 + i;
  const std::string srd = "s_add_u32 s4, s0, 0x1000\ns_mov_b32 s5, s1\ns_mov_b32 s6, 24\ns_mov_b32 s7, 0\n";
  store_s8(machine,
           srd +
               "s_buffer_load_dwordx4 s[20:23], s[4:7], 16\ns_add_u32 s8, s20, s21\ns_or_b32 s22, s22, s23\n"
               "s_lshl_b32 s22, s22, 16\ns_add_u32 s8, s8, s22\n");
  EXPECT_EQ(*machine.at<u32>(), 104u + 105u);
  store_s8(machine, srd + "s_buffer_load_dword s8, s[4:7], 24\n");
  EXPECT_EQ(*machine.at<u32>(), 0u);
}

} // namespace
} // namespace emu::isa::test
