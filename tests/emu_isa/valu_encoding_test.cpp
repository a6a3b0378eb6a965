// What encodings add to operations: sub-dword selection, data from other lanes, lanes that are off.
#include <algorithm>

#include "valu_fixture.hpp"

namespace emu::isa {
namespace {

using namespace test;

using u32 = std::uint32_t;
using u64 = std::uint64_t;

using Sdwa = Valu;

TEST_F(Sdwa, sources_are_bytes_and_words) {
  check("v_add_nc_u32_sdwa v10, v2, v4 dst_sel:DWORD dst_unused:UNUSED_PAD src0_sel:BYTE_1 src1_sel:WORD_1",
        Values::b32, [](Lane& l) { l.set(10, (l.v(2) >> 8 & 0xff) + l.high(4)); });
  check("v_add_nc_u32_sdwa v10, sext(v2), sext(v4) dst_sel:DWORD dst_unused:UNUSED_PAD src0_sel:BYTE_3 "
        "src1_sel:WORD_0",
        Values::b32, [](Lane& l) {
          l.set(10,
                static_cast<u32>(static_cast<std::int8_t>(l.v(2) >> 24) + static_cast<std::int16_t>(l.v(4))));
        });
  check("v_lshlrev_b32_sdwa v10, s2, v4 dst_sel:DWORD dst_unused:UNUSED_PAD src0_sel:DWORD src1_sel:BYTE_2",
        Values::b32, [](Lane& l) { l.set(10, (l.v(4) >> 16 & 0xff) << l.s(2) % 32); });
}

TEST_F(Sdwa, results_go_into_bytes_and_words) {
  check(
      "v_add_nc_u32_sdwa v10, v2, v4 dst_sel:BYTE_2 dst_unused:UNUSED_PRESERVE src0_sel:DWORD src1_sel:DWORD",
      Values::b32, [](Lane& l) { l.set(10, (l.v(10) & 0xff00ffff) | ((l.v(2) + l.v(4)) & 0xff) << 16); });
  check("v_add_nc_u32_sdwa v10, v2, v4 dst_sel:WORD_1 dst_unused:UNUSED_PAD src0_sel:DWORD src1_sel:DWORD",
        Values::b32, [](Lane& l) { l.set(10, (l.v(2) + l.v(4)) << 16); });
  check("v_add_nc_u32_sdwa v10, v2, v4 dst_sel:BYTE_1 dst_unused:UNUSED_SEXT src0_sel:DWORD src1_sel:DWORD",
        Values::b32, [](Lane& l) {
          l.set(10, static_cast<u32>(static_cast<std::int32_t>((l.v(2) + l.v(4)) << 24) >> 16) & 0xffffff00);
        });
}

TEST_F(Sdwa, half_floats_are_read_and_written_anywhere) {
  check(
      "v_add_f16_sdwa v10, v2, -v4 dst_sel:WORD_1 dst_unused:UNUSED_PRESERVE src0_sel:WORD_1 src1_sel:WORD_0",
      Values::f16, [](Lane& l) {
        l.set_high(10, l.f16().out(l.f16().add(l.f16().in(l.high(2)), l.f16().in(l.low(4) ^ 0x8000))));
      });
  check(
      "v_cvt_f32_f16_sdwa v10, v2 dst_sel:DWORD dst_unused:UNUSED_PAD src0_sel:WORD_1", Values::f16,
      [](Lane& l) {
        const u64 v = l.f16().in(l.high(2));
        const u32 sign = v & 0x8000 ? 0x80000000 : 0;
        l.set(10, half_format.is_nan(v)        ? single_format.nan()
                  : half_format.is_infinite(v) ? sign | single_format.infinity()
                                               : single_format.round(half_format.value(v), 0, sign != 0));
      },
      Options{.nan = NanWidth::single});
}

TEST_F(Sdwa, comparisons_take_parts) {
  check(
      "v_cmp_eq_u32_sdwa vcc_lo, v2, v4 src0_sel:BYTE_0 src1_sel:BYTE_0", Values::b32,
      [](Lane& l) { l.set_mask(vcc_lo, (l.v(2) & 0xff) == (l.v(4) & 0xff)); },
      Options{.mask_register = vcc_lo});
}

class Dpp : public Valu {
protected:
  // v_add_nc_u32 with the first source from lane `source(i)` (negative: outside its row). `bound` gives zero
  // where there is nothing to read; else such lanes do not take part. `fetch` reads lanes that are off.
  void check_dpp(const std::string& control, int (*source)(int), bool bound, bool fetch = false,
                 unsigned rows = 0xf, unsigned banks = 0xf) {
    check("v_add_nc_u32_dpp v10, v2, v4 " + control, Values::b32, [=](Lane& l) {
      const int from = source(static_cast<int>(l.index));
      const bool readable = from >= 0 && (fetch || (l.before.exec() >> from & 1));
      const bool selected = (rows >> l.index / 16 & 1) && (banks >> l.index % 16 / 4 & 1);
      if (selected && (readable || bound))
        l.set(10, (readable ? l.before.vgpr[2][from] : 0) + l.v(4));
    });
  }
};

TEST_F(Dpp, rows_of_sixteen_lanes_shift_rotate_and_mirror) {
  const std::string all = " row_mask:0xf bank_mask:0xf";
  check_dpp(
      "quad_perm:[3,0,2,1]" + all,
      [](int i) {
        return (i & ~3) + (i % 4 == 0 ? 3 : i % 4 == 1 ? 0 : i % 4 == 2 ? 2 : 1);
      },
      false);
  check_dpp(
      "row_shl:3" + all, [](int i) { return i % 16 + 3 < 16 ? i + 3 : -1; }, false);
  check_dpp(
      "row_shl:3" + all + " bound_ctrl:1", [](int i) { return i % 16 + 3 < 16 ? i + 3 : -1; }, true);
  check_dpp(
      "row_shr:5" + all, [](int i) { return i % 16 >= 5 ? i - 5 : -1; }, false);
  check_dpp(
      "row_ror:7" + all, [](int i) { return (i & ~15) + (i + 16 - 7) % 16; }, false);
  check_dpp(
      "row_mirror" + all, [](int i) { return i ^ 15; }, false);
  check_dpp(
      "row_half_mirror" + all, [](int i) { return i ^ 7; }, false);
  check_dpp(
      "row_share:9" + all, [](int i) { return (i & ~15) + 9; }, false);
  check_dpp(
      "row_xmask:6" + all, [](int i) { return i ^ 6; }, false);
}

TEST_F(Dpp, masks_and_inactive_lanes) {
  check_dpp(
      "row_shr:1 row_mask:0xa bank_mask:0x6", [](int i) { return i % 16 ? i - 1 : -1; }, false, false, 0xa,
      0x6);
  check_dpp(
      "row_shr:1 row_mask:0x5 bank_mask:0xf bound_ctrl:1", [](int i) { return i % 16 ? i - 1 : -1; }, true,
      false, 0x5);
  check_dpp(
      "row_mirror row_mask:0xf bank_mask:0xf fi:1", [](int i) { return i ^ 15; }, false, true);
}

TEST_F(Dpp, float_modifiers_apply_to_moved_values) {
  check("v_add_f32_dpp v10, -v2, |v4| row_mirror row_mask:0xf bank_mask:0xf fi:1", Values::f32, [](Lane& l) {
    const u32 moved = l.before.vgpr[2][l.index ^ 15] ^ 0x80000000;
    l.set(10, l.f32().out(l.f32().add(l.f32().in(moved), l.f32().in(l.v(4) & 0x7fffffff))));
  });
  check("v_fmac_f32_dpp v10, v2, v4 row_mirror row_mask:0xf bank_mask:0xf fi:1", Values::f32, [](Lane& l) {
    const u32 moved = l.before.vgpr[2][l.index ^ 15];
    l.set(10, l.f32().out(l.f32().fma(l.f32().in(moved), l.f32().in(l.v(4)), l.f32().in(l.v(10)))));
  });
}

TEST_F(Dpp, eight_lanes_in_any_order) {
  static constexpr int order[] = {7, 0, 6, 1, 5, 2, 4, 3};
  check("v_mov_b32_dpp v10, v2 dpp8:[7,0,6,1,5,2,4,3] fi:1", Values::b32, [](Lane& l) {
    l.set(10, l.before.vgpr[2][(l.index & ~7u) + static_cast<unsigned>(order[l.index % 8])]);
  });
  check("v_mov_b32_dpp v10, v2 dpp8:[7,0,6,1,5,2,4,3]", Values::b32, [](Lane& l) {
    const unsigned from = (l.index & ~7u) + static_cast<unsigned>(order[l.index % 8]);
    l.set(10, l.before.exec() >> from & 1 ? l.before.vgpr[2][from] : 0);
  });
}

using CrossLane = Valu;

TEST_F(CrossLane, permutations_within_rows) {
  const auto permute = [](Lane& l, unsigned flip, bool fetch, bool bound) {
    const u64 selectors = l.s(4) | u64{l.s(6)} << 32;
    const unsigned from = ((l.index & ~15u) ^ flip) + (selectors >> l.index % 16 * 4 & 15);
    const bool readable = fetch || (l.before.exec() >> from & 1);
    if (readable || bound)
      l.set(10, readable ? l.before.vgpr[2][from] : 0);
  };
  check("v_permlane16_b32 v10, v2, s4, s6", Values::b32, [&](Lane& l) { permute(l, 0, false, false); });
  check("v_permlane16_b32 v10, v2, s4, s6 op_sel:[1,0]", Values::b32,
        [&](Lane& l) { permute(l, 0, true, false); });
  check("v_permlanex16_b32 v10, v2, s4, s6 op_sel:[0,1]", Values::b32,
        [&](Lane& l) { permute(l, 16, false, true); });
}

TEST_F(CrossLane, lanes_are_read_and_written_by_number) {
  for (const Target& target : targets_) {
    const auto run = [&](const std::string& text) {
      const Instruction in = retargeted(decoded(text), *target.tables);
      randomise(*before_, Values::b32, {});
      *after_ = *before_;
      in.handler(*after_, in);
    };
    for (unsigned round = 0; round < 100; ++round) {
      run("v_readlane_b32 s8, v2, s4");
      EXPECT_EQ(after_->sgpr[8], before_->vgpr[2][before_->sgpr[4] % before_->lanes]);
      run("v_readfirstlane_b32 s8, v2");
      const u64 exec = before_->exec();
      EXPECT_EQ(after_->sgpr[8], before_->vgpr[2][exec ? __builtin_ctzll(exec) : 0]);
      run("v_writelane_b32 v2, s8, s4");
      const unsigned lane = before_->sgpr[4] % before_->lanes;
      for (unsigned i = 0; i < max_lanes; ++i)
        EXPECT_EQ(after_->vgpr[2][i], i == lane ? before_->sgpr[8] : before_->vgpr[2][i]);
    }
  }
}

TEST_F(CrossLane, swapping_registers) {
  check("v_swap_b32 v10, v2", Values::b32, [](Lane& l) {
    l.set(10, l.v(2));
    l.set(2, l.v(10));
  });
}

TEST_F(CrossLane, registers_relative_to_m0) {
  Options options;
  options.prepare = [](Wave& wave) { wave.sgpr[m0_register] = 3; };
  check(
      "v_movreld_b32 v10, v2", Values::b32, [](Lane& l) { l.set(13, l.v(2)); }, options);
  check(
      "v_movrels_b32 v10, v2", Values::b32, [](Lane& l) { l.set(10, l.v(5)); }, options);
  check(
      "v_movrelsd_b32 v10, v2", Values::b32, [](Lane& l) { l.set(13, l.v(5)); }, options);
  options.prepare = [](Wave& wave) { wave.sgpr[m0_register] = 3 | 7 << 16; };
  check(
      "v_movrelsd_2_b32 v10, v2", Values::b32, [](Lane& l) { l.set(17, l.v(5)); }, options);
  check(
      "v_swaprel_b32 v10, v2", Values::b32,
      [](Lane& l) {
        l.set(17, l.v(5));
        l.set(5, l.v(17));
      },
      options);
}

// The moved registers are what SDWA and DPP select from and write to.
TEST_F(CrossLane, relative_registers_take_parts_and_other_lanes) {
  Options options;
  options.prepare = [](Wave& wave) { wave.sgpr[m0_register] = 3; };
  check(
      "v_movreld_b32_sdwa v10, v2 dst_sel:WORD_1 dst_unused:UNUSED_PRESERVE src0_sel:BYTE_2", Values::b32,
      [](Lane& l) { l.set_high(13, l.v(2) >> 16 & 0xff); }, options);
  check(
      "v_movrels_b32_sdwa v10, sext(v2) dst_sel:DWORD dst_unused:UNUSED_PAD src0_sel:WORD_0", Values::b32,
      [](Lane& l) { l.set(10, static_cast<u32>(static_cast<std::int16_t>(l.v(5)))); }, options);
  check(
      "v_movrelsd_b32_dpp v10, v2 row_mirror row_mask:0xf bank_mask:0xf fi:1", Values::b32,
      [](Lane& l) { l.set(13, l.before.vgpr[5][l.index ^ 15]); }, options);
  options.prepare = [](Wave& wave) { wave.sgpr[m0_register] = 3 | 7 << 16; };
  check(
      "v_movrelsd_2_b32_dpp v10, v2 dpp8:[7,6,5,4,3,2,1,0] fi:1", Values::b32,
      [](Lane& l) { l.set(17, l.before.vgpr[5][l.index ^ 7]); }, options);
}

TEST_F(CrossLane, nothing_happens) {
  check("v_nop", Values::b32, [](Lane&) {});
  check("v_pipeflush", Values::b32, [](Lane&) {});
}

TEST_F(CrossLane, exceptions_are_cleared) {
  for (const Target& target : targets_) {
    const Instruction in = retargeted(decoded("v_clrexcp"), *target.tables);
    randomise(*before_, Values::b32, {});
    before_->trapsts = 0xffffffff;
    in.handler(*before_, in);
    EXPECT_EQ(before_->trapsts, 0xfffffe00u);
  }
}

// What memory instructions ask every compilation about a row of addresses.
TEST_F(CrossLane, extents_of_rows) {
  for (const Target& target : targets_)
    for (unsigned round = 0; round < 2000 && !HasFailure(); ++round) {
      randomise(*before_, Values::b32, {});
      const u32* row = before_->vgpr[2];
      const unsigned lanes = before_->lanes;
      const u64 mask = before_->exec() ? before_->exec() : 1;
      u32 least = ~0u, greatest = 0;
      for (unsigned i = 0; i < lanes; ++i)
        if (mask >> i & 1) {
          least = std::min(least, row[i]);
          greatest = std::max(greatest, row[i]);
        }
      const Extent extent = target.tables->extent(row, mask, lanes);
      EXPECT_EQ(extent.least, least) << target.name << std::hex << " mask " << mask;
      EXPECT_EQ(extent.greatest, greatest) << target.name << std::hex << " mask " << mask;
      for (unsigned i = 0; i < max_lanes; ++i)
        before_->vgpr[2][i] = before_->vgpr[3][0] + 4 * i;
      EXPECT_TRUE(target.tables->consecutive(row, lanes)) << target.name;
      before_->vgpr[2][1 + random32() % (lanes - 1)] += 1 + random32() % 100;
      EXPECT_FALSE(target.tables->consecutive(row, lanes)) << target.name;
    }
}

} // namespace
} // namespace emu::isa
