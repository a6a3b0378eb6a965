// Every operation of SOP1, SOP2 and SOPC against arithmetic done another way, on the whole scalar state.
#include <functional>

#include "scalar_fixture.hpp"

namespace emu::isa::test {
namespace {

using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i32 = std::int32_t;
using i64 = std::int64_t;
using i128 = __int128;
using State = ScalarState;

using ScalarAlu = ScalarInstruction;

i32 signed32(u64 v) {
  return static_cast<i32>(v);
}
bool bit(u64 v, unsigned n) {
  return v >> n & 1;
}

// A word built bit by bit.
u64 from_bits(unsigned width, const std::function<bool(unsigned)>& f) {
  u64 result = 0;
  for (unsigned i = 0; i < width; ++i)
    result |= u64{f(i)} << i;
  return result;
}

const std::string narrow = " s8, s4, s6", wide = " s[8:9], s[4:5], s[6:7]", shift = " s[8:9], s[4:5], s6";

TEST_F(ScalarAlu, sums_and_differences) {
  const auto unsigned_sum = [this](const char* name, bool with_carry) {
    check(name + narrow, [=](State& w) {
      const u64 sum = u64{w.s(4)} + w.s(6) + (with_carry && w.scc());
      w.set(8, sum);
      w.set_scc(sum > 0xffffffff);
    });
  };
  unsigned_sum("s_add_u32", false);
  unsigned_sum("s_addc_u32", true);
  const auto unsigned_difference = [this](const char* name, bool with_borrow) {
    check(name + narrow, [=](State& w) {
      const i64 difference = i64{w.s(4)} - w.s(6) - (with_borrow && w.scc());
      w.set(8, static_cast<u64>(difference));
      w.set_scc(difference < 0);
    });
  };
  unsigned_difference("s_sub_u32", false);
  unsigned_difference("s_subb_u32", true);
  for (const int sign : {1, -1})
    check((sign > 0 ? "s_add_i32" : "s_sub_i32") + narrow, [=](State& w) {
      const i64 exact = i64{signed32(w.s(4))} + sign * i64{signed32(w.s(6))};
      w.set(8, static_cast<u64>(exact));
      w.set_scc(exact != signed32(static_cast<u64>(exact)));
    });
  for (unsigned n = 1; n <= 4; ++n)
    check("s_lshl" + std::to_string(n) + "_add_u32" + narrow, [=](State& w) {
      const u64 sum = (u64{w.s(4)} << n) + w.s(6);
      w.set(8, sum);
      w.set_scc(sum >> 32 != 0);
    });
  check("s_absdiff_i32" + narrow, [](State& w) {
    const u32 difference = w.s(4) - w.s(6);
    const u32 result = difference > 0x80000000u ? w.s(6) - w.s(4) : difference;
    w.set(8, result);
    w.set_scc(result != 0);
  });
}

TEST_F(ScalarAlu, extrema) {
  check("s_min_i32" + narrow, [](State& w) {
    w.set(8, signed32(w.s(4)) < signed32(w.s(6)) ? w.s(4) : w.s(6));
    w.set_scc(signed32(w.s(4)) < signed32(w.s(6)));
  });
  check("s_min_u32" + narrow, [](State& w) {
    w.set(8, std::min(w.s(4), w.s(6)));
    w.set_scc(w.s(4) < w.s(6));
  });
  check("s_max_i32" + narrow, [](State& w) {
    w.set(8, signed32(w.s(4)) < signed32(w.s(6)) ? w.s(6) : w.s(4));
    w.set_scc(signed32(w.s(4)) >= signed32(w.s(6)));
  });
  check("s_max_u32" + narrow, [](State& w) {
    w.set(8, std::max(w.s(4), w.s(6)));
    w.set_scc(w.s(4) >= w.s(6));
  });
}

TEST_F(ScalarAlu, products) {
  check("s_mul_i32" + narrow, [](State& w) { w.set(8, u64{w.s(4)} * w.s(6)); });
  check("s_mul_hi_u32" + narrow, [](State& w) { w.set(8, u64{w.s(4)} * w.s(6) >> 32); });
  check("s_mul_hi_i32" + narrow,
        [](State& w) { w.set(8, static_cast<u64>((i128{signed32(w.s(4))} * signed32(w.s(6))) >> 32)); });
}

TEST_F(ScalarAlu, logic) {
  const std::pair<const char*, bool (*)(bool, bool)> operations[] = {{"s_and", [](bool a, bool b) { return a && b; }},
                                                                     {"s_or", [](bool a, bool b) { return a || b; }},
                                                                     {"s_xor", [](bool a, bool b) { return a != b; }},
                                                                     {"s_andn2", [](bool a, bool b) { return a && !b; }},
                                                                     {"s_orn2", [](bool a, bool b) { return a || !b; }},
                                                                     {"s_nand", [](bool a, bool b) { return !(a && b); }},
                                                                     {"s_nor", [](bool a, bool b) { return !(a || b); }},
                                                                     {"s_xnor", [](bool a, bool b) { return a == b; }}};
  for (const auto& [name, operation] : operations) {
    const auto apply = [operation = operation](unsigned width, u64 a, u64 b) {
      return from_bits(width, [=](unsigned i) { return operation(bit(a, i), bit(b, i)); });
    };
    check(std::string(name) + "_b32" + narrow, [=](State& w) {
      const u64 result = apply(32, w.s(4), w.s(6));
      w.set(8, result);
      w.set_scc(result != 0);
    });
    check(std::string(name) + "_b64" + wide, [=](State& w) {
      const u64 result = apply(64, w.d(4), w.d(6));
      w.set64(8, result);
      w.set_scc(result != 0);
    });
  }
  check("s_not_b32 s8, s4", [](State& w) {
    w.set(8, 0xffffffff - w.s(4));
    w.set_scc(w.s(4) != 0xffffffff);
  });
  check("s_not_b64 s[8:9], s[4:5]", [](State& w) {
    w.set64(8, ~u64{0} - w.d(4));
    w.set_scc(w.d(4) != ~u64{0});
  });
}

TEST_F(ScalarAlu, shifts_and_fields) {
  const auto shifted = [](unsigned width, u64 a, int by, bool fill) {
    return from_bits(width, [=](unsigned i) {
      const int from = static_cast<int>(i) + by;
      return from < 0 ? false : from < static_cast<int>(width) ? bit(a, static_cast<unsigned>(from)) : fill;
    });
  };
  const auto one = [&](const char* name, int direction, bool arithmetic, bool is_wide) {
    check(name + (is_wide ? shift : narrow), [=](State& w) {
      const unsigned width = is_wide ? 64 : 32;
      const u64 a = is_wide ? w.d(4) : w.s(4);
      const int by = static_cast<int>(w.s(6) % width) * direction;
      const u64 result = shifted(width, a, by, arithmetic && bit(a, width - 1));
      is_wide ? w.set64(8, result) : w.set(8, result);
      w.set_scc(result != 0);
    });
  };
  one("s_lshl_b32", -1, false, false);
  one("s_lshl_b64", -1, false, true);
  one("s_lshr_b32", 1, false, false);
  one("s_lshr_b64", 1, false, true);
  one("s_ashr_i32", 1, true, false);
  one("s_ashr_i64", 1, true, true);
  const auto field = [&](const char* name, bool is_signed, bool is_wide) {
    check(name + (is_wide ? shift : narrow), [=](State& w) {
      const unsigned width = is_wide ? 64 : 32, offset = w.s(6) % width;
      const unsigned count = std::min(w.s(6) >> 16 & 127, width - offset);
      const u64 a = is_wide ? w.d(4) : w.s(4);
      const bool fill = is_signed && count && bit(a, offset + count - 1);
      const u64 result = from_bits(width, [=](unsigned i) { return i < count ? bit(a, offset + i) : fill; });
      is_wide ? w.set64(8, result) : w.set(8, result);
      w.set_scc(result != 0);
    });
  };
  field("s_bfe_u32", false, false);
  field("s_bfe_i32", true, false);
  field("s_bfe_u64", false, true);
  field("s_bfe_i64", true, true);
  check("s_bfm_b32" + narrow, [](State& w) {
    const unsigned count = w.s(4) % 32, offset = w.s(6) % 32;
    w.set(8, from_bits(32, [=](unsigned i) { return i >= offset && i < offset + count; }));
  });
  check("s_bfm_b64 s[8:9], s4, s6", [](State& w) {
    const unsigned count = w.s(4) % 64, offset = w.s(6) % 64;
    w.set64(8, from_bits(64, [=](unsigned i) { return i >= offset && i < offset + count; }));
  });
  check("s_pack_ll_b32_b16" + narrow, [](State& w) { w.set(8, w.s(4) % 65536 + w.s(6) % 65536 * 65536); });
  check("s_pack_lh_b32_b16" + narrow, [](State& w) { w.set(8, w.s(4) % 65536 + w.s(6) / 65536 * 65536); });
  check("s_pack_hh_b32_b16" + narrow, [](State& w) { w.set(8, w.s(4) / 65536 + w.s(6) / 65536 * 65536); });
}

TEST_F(ScalarAlu, selection_and_moves) {
  check("s_cselect_b32" + narrow, [](State& w) { w.set(8, w.s(w.scc() ? 4 : 6)); });
  check("s_cselect_b64" + wide, [](State& w) { w.set64(8, w.d(w.scc() ? 4 : 6)); });
  check("s_mov_b32 s8, s4", [](State& w) { w.set(8, w.s(4)); });
  check("s_mov_b64 s[8:9], s[4:5]", [](State& w) { w.set64(8, w.d(4)); });
  check("s_cmov_b32 s8, s4", [](State& w) { w.set(8, w.s(w.scc() ? 4 : 8)); });
  check("s_cmov_b64 s[8:9], s[4:5]", [](State& w) { w.set64(8, w.d(w.scc() ? 4 : 8)); });
  check("s_mov_b32 null, s4", [](State&) {});
  check("s_mov_b32 s8, null", [](State& w) { w.set(8, 0); });
}

TEST_F(ScalarAlu, comparisons) {
  const std::pair<const char*, bool (*)(i128, i128)> relations[] = {
      {"eq", [](i128 a, i128 b) { return a == b; }}, {"lg", [](i128 a, i128 b) { return a != b; }},
      {"gt", [](i128 a, i128 b) { return a > b; }},  {"ge", [](i128 a, i128 b) { return a >= b; }},
      {"lt", [](i128 a, i128 b) { return a < b; }},  {"le", [](i128 a, i128 b) { return a <= b; }}};
  for (const auto& [name, relation] : relations) {
    const auto holds = relation;
    check("s_cmp_" + std::string(name) + "_i32 s4, s6",
          [=](State& w) { w.set_scc(holds(signed32(w.s(4)), signed32(w.s(6)))); });
    check("s_cmp_" + std::string(name) + "_u32 s4, s6", [=](State& w) { w.set_scc(holds(w.s(4), w.s(6))); });
    check("s_cmpk_" + std::string(name) + "_i32 s4, 0xff80",
          [=](State& w) { w.set_scc(holds(signed32(w.s(4)), -128)); });
    check("s_cmpk_" + std::string(name) + "_u32 s4, 0xff80",
          [=](State& w) { w.set_scc(holds(w.s(4), 0xff80)); });
  }
  check("s_cmp_eq_u64 s[4:5], s[6:7]", [](State& w) { w.set_scc(w.d(4) == w.d(6)); });
  check("s_cmp_lg_u64 s[4:5], s[6:7]", [](State& w) { w.set_scc(w.d(4) != w.d(6)); });
  check("s_bitcmp0_b32 s4, s6", [](State& w) { w.set_scc(!bit(w.s(4), w.s(6) % 32)); });
  check("s_bitcmp1_b32 s4, s6", [](State& w) { w.set_scc(bit(w.s(4), w.s(6) % 32)); });
  check("s_bitcmp0_b64 s[4:5], s6", [](State& w) { w.set_scc(!bit(w.d(4), w.s(6) % 64)); });
  check("s_bitcmp1_b64 s[4:5], s6", [](State& w) { w.set_scc(bit(w.d(4), w.s(6) % 64)); });
}

// Bits of a word, counted and looked for one by one.
TEST_F(ScalarAlu, counting_and_finding_bits) {
  const auto count = [](unsigned width, u64 v, bool wanted) {
    u32 n = 0;
    for (unsigned i = 0; i < width; ++i)
      n += bit(v, i) == wanted;
    return n;
  };
  const auto lowest = [](unsigned width, u64 v, bool wanted) {
    for (unsigned i = 0; i < width; ++i)
      if (bit(v, i) == wanted)
        return i;
    return ~0u;
  };
  const auto from_top = [](unsigned width, u64 v, bool wanted) {
    for (unsigned i = 0; i < width; ++i)
      if (bit(v, width - 1 - i) == wanted)
        return i;
    return ~0u;
  };
  for (const bool is_wide : {false, true}) {
    const unsigned width = is_wide ? 64 : 32;
    const std::string size = is_wide ? "b64 s8, s[4:5]" : "b32 s8, s4";
    const auto value = [=](const State& w) { return is_wide ? w.d(4) : u64{w.s(4)}; };
    for (const bool wanted : {false, true}) {
      const std::string which = wanted ? "1" : "0";
      check("s_bcnt" + which + "_i32_" + size, [=](State& w) {
        w.set(8, count(width, value(w), wanted));
        w.set_scc(count(width, value(w), wanted) != 0);
      });
      check("s_ff" + which + "_i32_" + size, [=](State& w) { w.set(8, lowest(width, value(w), wanted)); });
    }
    check("s_flbit_i32_" + size, [=](State& w) { w.set(8, from_top(width, value(w), true)); });
    check(is_wide ? "s_flbit_i32_i64 s8, s[4:5]" : "s_flbit_i32 s8, s4",
          [=](State& w) { w.set(8, from_top(width, value(w), !bit(value(w), width - 1))); });
    const auto put = [=](State& w, u64 v) { is_wide ? w.set64(8, v) : w.set(8, v); };
    const std::string pair = is_wide ? "_b64 s[8:9], s[4:5]" : "_b32 s8, s4";
    check("s_brev" + pair, [=](State& w) {
      put(w, from_bits(width, [&](unsigned i) { return bit(value(w), width - 1 - i); }));
    });
    check("s_wqm" + pair, [=](State& w) {
      put(w, from_bits(width, [&](unsigned i) { return (value(w) >> (i & ~3u) & 15) != 0; }));
      w.set_scc(value(w) != 0);
    });
    check("s_quadmask" + pair, [=](State& w) {
      put(w, from_bits(width / 4, [&](unsigned i) { return (value(w) >> i * 4 & 15) != 0; }));
      w.set_scc(value(w) != 0);
    });
    for (const bool wanted : {false, true})
      check(std::string(wanted ? "s_bitset1" : "s_bitset0") + (is_wide ? "_b64 s[8:9], s4" : "_b32 s8, s4"),
            [=](State& w) {
              const u64 old = is_wide ? w.d(8) : w.s(8);
              put(w,
                  from_bits(width, [&](unsigned i) { return i == w.s(4) % width ? wanted : bit(old, i); }));
            });
  }
  check("s_sext_i32_i8 s8, s4",
        [](State& w) { w.set(8, from_bits(32, [&](unsigned i) { return bit(w.s(4), std::min(i, 7u)); })); });
  check("s_sext_i32_i16 s8, s4",
        [](State& w) { w.set(8, from_bits(32, [&](unsigned i) { return bit(w.s(4), std::min(i, 15u)); })); });
  check("s_abs_i32 s8, s4", [](State& w) {
    const i64 v = signed32(w.s(4));
    w.set(8, static_cast<u64>(v < 0 ? -v : v));
    w.set_scc(v != 0);
  });
  check("s_bitreplicate_b64_b32 s[8:9], s4",
        [](State& w) { w.set64(8, from_bits(64, [&](unsigned i) { return bit(w.s(4), i / 2); })); });
}

TEST_F(ScalarAlu, lane_masks_are_saved_and_changed) {
  const std::pair<const char*, bool (*)(bool, bool)> operations[] = {
      {"and_saveexec", [](bool s, bool e) { return s && e; }},
      {"or_saveexec", [](bool s, bool e) { return s || e; }},
      {"xor_saveexec", [](bool s, bool e) { return s != e; }},
      {"andn1_saveexec", [](bool s, bool e) { return !s && e; }},
      {"andn2_saveexec", [](bool s, bool e) { return s && !e; }},
      {"orn1_saveexec", [](bool s, bool e) { return !s || e; }},
      {"orn2_saveexec", [](bool s, bool e) { return s || !e; }},
      {"nand_saveexec", [](bool s, bool e) { return !(s && e); }},
      {"nor_saveexec", [](bool s, bool e) { return !(s || e); }},
      {"xnor_saveexec", [](bool s, bool e) { return s == e; }},
      {"andn1_wrexec", [](bool s, bool e) { return !s && e; }},
      {"andn2_wrexec", [](bool s, bool e) { return s && !e; }}};
  for (const auto& [name, operation] : operations) {
    const bool saves = std::string_view(name).ends_with("saveexec");
    const auto f = operation;
    check("s_" + std::string(name) + "_b64 s[8:9], s[4:5]", [=](State& w) {
      const u64 exec = w.d(exec_lo);
      const u64 result = from_bits(64, [&](unsigned i) { return f(bit(w.d(4), i), bit(exec, i)); });
      w.set64(8, saves ? exec : result);
      w.set64(exec_lo, result);
      w.set_scc(result != 0);
    });
    check("s_" + std::string(name) + "_b32 s8, s4", [=](State& w) {
      const u32 exec = w.s(exec_lo);
      const u64 result = from_bits(32, [&](unsigned i) { return f(bit(w.s(4), i), bit(exec, i)); });
      w.set(8, saves ? exec : result);
      w.set(exec_lo, result);
      w.set_scc(result != 0);
    });
  }
}

TEST_F(ScalarAlu, registers_relative_to_m0) {
  const auto m0 = [](u32 value) { return [value](Wave& wave) { wave.sgpr[m0_register] = value; }; };
  check(
      "s_movrels_b32 s8, s4", [](State& w) { w.set(8, w.s(4 + 7)); }, m0(7));
  check(
      "s_movrels_b64 s[8:9], s[4:5]", [](State& w) { w.set64(8, w.d(4 + 6)); }, m0(6));
  check(
      "s_movreld_b32 s8, s4", [](State& w) { w.set(8 + 7, w.s(4)); }, m0(7));
  check(
      "s_movreld_b64 s[8:9], s[4:5]", [](State& w) { w.set64(8 + 6, w.d(4)); }, m0(6));
  check(
      "s_movrelsd_2_b32 s8, s4", [](State& w) { w.set(8 + 5, w.s(4 + 3)); }, m0(3 | 5 << 16));
}

TEST_F(ScalarAlu, the_program_counter) {
  check("s_getpc_b64 s[8:9]", [](State& w) { w.set64(8, w.before.current_pc + 4); });
  check("s_setpc_b64 s[4:5]", [](State& w) { w.expected.pc = w.d(4) & ~u64{3}; });
  check("s_swappc_b64 s[8:9], s[4:5]", [](State& w) {
    w.set64(8, w.before.current_pc + 4);
    w.expected.pc = w.d(4) & ~u64{3};
  });
}

TEST_F(ScalarAlu, return_from_a_trap_handler) {
  for (const bool halt : {false, true})
    check(
        "s_rfe_b64 s[4:5]",
        [=](State& w) {
          w.expected.pc = w.d(4) & 0xfffffffffffc;
          w.expected.privileged = false;
          w.expected.event = halt ? WaveEvent::halted : WaveEvent::none;
        },
        [=](Wave& wave) {
          wave.privileged = true;
          wave.halt = halt;
        });
}

TEST_F(ScalarAlu, constants_fill_both_widths) {
  check("s_mov_b64 s[8:9], 0xfedcba98", [](State& w) { w.set64(8, 0xfedcba98); });
  check("s_mov_b64 s[8:9], -5", [](State& w) { w.set64(8, static_cast<u64>(-5)); });
  check("s_mov_b64 s[8:9], 0.5", [](State& w) { w.set64(8, 0x3fe0000000000000); });
  check("s_mov_b32 s8, 0.15915494", [](State& w) { w.set(8, 0x3e22f983); });
  check("s_ashr_i64 s[8:9], 0xf0000000, s6", [](State& w) {
    const u64 result = static_cast<u64>(i64{-0x10000000} >> (w.s(6) % 64));
    w.set64(8, result);
    w.set_scc(true);
  });
}

} // namespace
} // namespace emu::isa::test
