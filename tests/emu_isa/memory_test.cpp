// Memory instructions of every kind against plain memcpy and arithmetic.
#include <bit>
#include <cmath>
#include <functional>
#include <random>

#include <gtest/gtest.h>

#include "machine.hpp"

namespace emu::isa::test {
namespace {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i32 = std::int32_t;
using i64 = std::int64_t;

constexpr u32 input = 0x10000; // random bytes here
constexpr u32 lanes = 32;

class Memory : public ::testing::Test {
protected:
  Memory() {
    for (u32 i = 0; i < 0x10000; ++i)
      machine_.at<u8>(input)[i] = static_cast<u8>(random_());
  }

  void run(std::string_view text, Launch launch = {}) {
    const Fault fault =
        machine_.run("v_lshlrev_b32 v30, 2, v0\nglobal_load_dword v1, v30, s[0:1] offset:2032\n"
                     "v_add_nc_u32 v30, 16, v30\n" +
                         std::string(text),
                     launch);
    ASSERT_EQ(fault.kind, FaultKind::none) << fault.describe();
  }
  // What v1 is in each lane (addresses sit at 2032, so that the offset fits).
  u32& lane_address(u32 lane) { return machine_.at<u32>(2032)[lane]; }
  template <class T>
  T in(u64 offset) {
    T value;
    std::memcpy(&value, machine_.at<u8>(offset), sizeof value);
    return value;
  }

  std::mt19937 random_{7};
  Machine machine_;
};

constexpr u32 results = 0x20000;

// A result register of each lane goes to results + 16 * lane.
std::string store_results(unsigned dwords) {
  const char* suffix[] = {"", "dword", "dwordx2", "dwordx3", "dwordx4"};
  const std::string registers = dwords == 1 ? "v4" : "v[4:" + std::to_string(3 + dwords) + "]";
  return "v_lshlrev_b32 v31, 4, v0\nv_add_nc_u32 v31, 0x20000, v31\nglobal_store_" +
         std::string(suffix[dwords]) + " v31, " + registers + ", s[0:1]\n";
}

struct LoadCase {
  const char* name;
  unsigned dwords;
  std::function<void(const u8* from, u32* to)> expected; // `to` holds 0xa5a5a5a5 before
};

u16 half_at(const u8* from) {
  u16 value;
  std::memcpy(&value, from, 2);
  return value;
}

const LoadCase loads[] = {
    {"ubyte", 1, [](const u8* f, u32* t) { *t = *f; }},
    {"sbyte", 1, [](const u8* f, u32* t) { *t = *f >= 128 ? *f + 0xffffff00u : *f; }},
    {"ushort", 1, [](const u8* f, u32* t) { *t = half_at(f); }},
    {"sshort", 1,
     [](const u8* f, u32* t) { *t = half_at(f) >= 0x8000 ? half_at(f) + 0xffff0000u : half_at(f); }},
    {"dword", 1, [](const u8* f, u32* t) { std::memcpy(t, f, 4); }},
    {"dwordx2", 2, [](const u8* f, u32* t) { std::memcpy(t, f, 8); }},
    {"dwordx3", 3, [](const u8* f, u32* t) { std::memcpy(t, f, 12); }},
    {"dwordx4", 4, [](const u8* f, u32* t) { std::memcpy(t, f, 16); }},
    {"ubyte_d16", 1, [](const u8* f, u32* t) { *t = (*t & 0xffff0000) + *f; }},
    {"ubyte_d16_hi", 1, [](const u8* f, u32* t) { *t = (*t & 0xffff) + *f * 65536u; }},
    {"sbyte_d16", 1, [](const u8* f, u32* t) { *t = (*t & 0xffff0000) + (*f >= 128 ? *f + 0xff00u : *f); }},
    {"sbyte_d16_hi", 1,
     [](const u8* f, u32* t) { *t = (*t & 0xffff) + (*f >= 128 ? *f + 0xff00u : *f) * 65536u; }},
    {"short_d16", 1, [](const u8* f, u32* t) { *t = (*t & 0xffff0000) + half_at(f); }},
    {"short_d16_hi", 1, [](const u8* f, u32* t) { *t = (*t & 0xffff) + half_at(f) * 65536u; }},
};

constexpr const char* fill_v4 = "v_mov_b32 v4, 0xa5a5a5a5\n";

TEST_F(Memory, global_loads_read_every_width_at_any_alignment) {
  for (const LoadCase& c : loads) {
    for (u32 lane = 0; lane < lanes; ++lane)
      lane_address(lane) = input + random_() % 0x8000;
    run(fill_v4 + ("global_load_" + std::string(c.name)) +
        (c.dwords == 1 ? " v4" : " v[4:" + std::to_string(3 + c.dwords) + "]") + ", v1, s[0:1] offset:-5\n" +
        store_results(c.dwords));
    for (u32 lane = 0; lane < lanes; ++lane) {
      u32 expected[4] = {0xa5a5a5a5};
      c.expected(machine_.at<u8>(lane_address(lane) - 5), expected);
      for (u32 i = 0; i < c.dwords; ++i)
        ASSERT_EQ(in<u32>(results + lane * 16 + i * 4), expected[i]) << c.name << " lane " << lane;
    }
  }
}

TEST_F(Memory, scratch_loads_read_what_scratch_stores_wrote_lane_by_lane) {
  // Each lane writes 16 bytes at offset 8 of its own scratch, then reads them at odd offsets.
  for (u32 lane = 0; lane < lanes; ++lane)
    lane_address(lane) = 8 + lane % 5;
  const std::string setup =
      "s_add_u32 s10, s0, 0x40000\ns_addc_u32 s11, s1, 0\ns_setreg_b32 hwreg(HW_REG_FLAT_SCR_LO), s10\n"
      "s_setreg_b32 hwreg(HW_REG_FLAT_SCR_HI), s11\nv_lshlrev_b32 v20, 5, v0\nv_add_nc_u32 v20, 0x10000, "
      "v20\n"
      "global_load_dwordx4 v[8:11], v20, s[0:1]\nglobal_load_dwordx4 v[12:15], v20, s[0:1] offset:16\n"
      "v_mov_b32 v21, 8\nscratch_store_dwordx4 v21, v[8:11], off\nscratch_store_dwordx4 v21, v[12:15], off "
      "offset:16\n";
  for (const LoadCase& c : loads) {
    run(setup + fill_v4 + "scratch_load_" + c.name +
        (c.dwords == 1 ? " v4" : " v[4:" + std::to_string(3 + c.dwords) + "]") + ", v1, off offset:3\n" +
        store_results(c.dwords));
    for (u32 lane = 0; lane < lanes; ++lane) {
      u32 expected[4] = {0xa5a5a5a5};
      c.expected(machine_.at<u8>(input + lane * 32 + lane % 5 + 3), expected);
      for (u32 i = 0; i < c.dwords; ++i)
        ASSERT_EQ(in<u32>(results + lane * 16 + i * 4), expected[i]) << c.name << " lane " << lane;
    }
  }
  // Dwords of the lanes are interleaved: dword 2 of lane 7 is the eighth of the third row.
  EXPECT_EQ(in<u32>(0x40000 + 2 * 128 + 7 * 4), in<u32>(input + 7 * 32));
}

TEST_F(Memory, flat_loads_reach_global_memory_lds_and_scratch) {
  run("s_add_u32 s10, s0, 0x40000\ns_addc_u32 s11, s1, 0\ns_setreg_b32 hwreg(HW_REG_FLAT_SCR_LO), s10\n"
      "s_setreg_b32 hwreg(HW_REG_FLAT_SCR_HI), s11\nv_lshlrev_b32 v20, 2, v0\nv_mov_b32 v21, "
      "0x111\nv_mov_b32 v22, 0x222\n"
      "v_mov_b32 v23, 0x333\nds_write_b32 v20, v21\nv_mov_b32 v2, 64\nscratch_store_dword v2, v22, off\n"
      "s_mov_b64 s[12:13], src_shared_base\ns_mov_b64 s[14:15], src_private_base\n"
      // A third of the lanes each: LDS, private, global.
      "v_mov_b32 v10, v20\nv_mov_b32 v11, s13\nv_cmp_lt_u32 vcc_lo, 9, v0\nv_cndmask_b32 v10, v10, v2, "
      "vcc_lo\n"
      "v_mov_b32 v12, s15\nv_cndmask_b32 v11, v11, v12, vcc_lo\nv_cmp_lt_u32 vcc_lo, 19, v0\n"
      "v_mov_b32 v12, s0\nv_add_nc_u32 v12, 0x10000, v12\nv_cndmask_b32 v10, v10, v12, vcc_lo\nv_mov_b32 "
      "v12, s1\n"
      "v_cndmask_b32 v11, v11, v12, vcc_lo\nflat_load_dword v4, v[10:11]\n" +
          store_results(1) +
          "flat_atomic_add v5, v[10:11], v23 glc\nv_mov_b32 v4, v5\nv_add_nc_u32 v31, 4, v31\n"
          "global_store_dword v31, v5, s[0:1]\nds_read_b32 v6, v20\nglobal_store_dword v31, v6, s[0:1] "
          "offset:4\n",
      {.lds = 512});
  for (u32 lane = 0; lane < lanes; ++lane) {
    const u32 expected = lane < 10 ? 0x111 : lane < 20 ? 0x222 : in<u32>(results + 20 * 16);
    EXPECT_EQ(in<u32>(results + lane * 16), expected) << lane;
    if (lane < 20) {
      EXPECT_EQ(in<u32>(results + lane * 16 + 4), expected) << lane;
    } else {
      EXPECT_EQ(in<u32>(results + lane * 16 + 4), expected + (lane - 20) * 0x333) << lane;
    }
    EXPECT_EQ(in<u32>(results + lane * 16 + 8), lane < 10 ? 0x444u : 0x111u) << lane;
  }
}

TEST_F(Memory, stores_write_only_active_lanes_and_their_width) {
  struct StoreCase {
    const char* text;
    unsigned bytes, shift;
  };
  const StoreCase stores[] = {
      {"global_store_byte v1, v4, s[0:1]", 1, 0},         {"global_store_byte_d16_hi v1, v4, s[0:1]", 1, 2},
      {"global_store_short v1, v4, s[0:1]", 2, 0},        {"global_store_short_d16_hi v1, v4, s[0:1]", 2, 2},
      {"global_store_dword v1, v4, s[0:1]", 4, 0},        {"global_store_dwordx2 v1, v[4:5], s[0:1]", 8, 0},
      {"global_store_dwordx3 v1, v[4:6], s[0:1]", 12, 0}, {"global_store_dwordx4 v1, v[4:7], s[0:1]", 16, 0}};
  for (const StoreCase& c : stores) {
    std::memset(machine_.at<u8>(results), 0xee, lanes * 32);
    for (u32 lane = 0; lane < lanes; ++lane)
      lane_address(lane) = results + lane * 32 + lane % 7;
    run("v_lshlrev_b32 v20, 4, v0\nv_add_nc_u32 v20, 0x10000, v20\nglobal_load_dwordx4 v[4:7], v20, s[0:1]\n"
        "s_mov_b32 exec_lo, 0x0ff0f00f\n" +
        std::string(c.text) + "\n");
    for (u32 lane = 0; lane < lanes; ++lane)
      for (u32 byte = 0; byte < 32; ++byte) {
        const u32 at = byte - lane % 7;
        const bool written = (0x0ff0f00fu >> lane & 1) && byte >= lane % 7 && at < c.bytes;
        ASSERT_EQ(in<u8>(results + lane * 32 + byte),
                  written ? in<u8>(input + lane * 16 + at + c.shift) : 0xee)
            << c.text << " lane " << lane << " byte " << byte;
      }
  }
}

// --- atomics: every lane works on one cell, so that what it returns is the value after all lanes before it

struct AtomicCase {
  const char* name; // without prefix
  unsigned size;
  std::function<u64(u64 old, u64 data, u64 compare)> expected;
  const char* ds; // the DS operation that returns; nullptr where DS has none
};

u32 lo(u64 v) {
  return static_cast<u32>(v);
}

const AtomicCase atomics[] = {
    {"swap", 4, [](u64, u64 d, u64) { return d; }, "ds_wrxchg_rtn_b32"},
    {"add", 4, [](u64 o, u64 d, u64) { return u64{lo(o + d)}; }, "ds_add_rtn_u32"},
    {"sub", 4, [](u64 o, u64 d, u64) { return u64{lo(o - d)}; }, "ds_sub_rtn_u32"},
    {"csub", 4, [](u64 o, u64 d, u64) { return o < d ? 0 : o - d; }, nullptr},
    {"smin", 4, [](u64 o, u64 d, u64) { return static_cast<i32>(o) < static_cast<i32>(d) ? o : d; },
     "ds_min_rtn_i32"},
    {"umin", 4, [](u64 o, u64 d, u64) { return o < d ? o : d; }, "ds_min_rtn_u32"},
    {"smax", 4, [](u64 o, u64 d, u64) { return static_cast<i32>(o) > static_cast<i32>(d) ? o : d; },
     "ds_max_rtn_i32"},
    {"umax", 4, [](u64 o, u64 d, u64) { return o > d ? o : d; }, "ds_max_rtn_u32"},
    {"and", 4, [](u64 o, u64 d, u64) { return o & d; }, "ds_and_rtn_b32"},
    {"or", 4, [](u64 o, u64 d, u64) { return o | d; }, "ds_or_rtn_b32"},
    {"xor", 4, [](u64 o, u64 d, u64) { return o ^ d; }, "ds_xor_rtn_b32"},
    {"inc", 4, [](u64 o, u64 d, u64) { return o >= d ? 0 : o + 1; }, "ds_inc_rtn_u32"},
    {"dec", 4, [](u64 o, u64 d, u64) { return o == 0 || o > d ? d : o - 1; }, "ds_dec_rtn_u32"},
    {"cmpswap", 4, [](u64 o, u64 d, u64 c) { return o == c ? d : o; }, nullptr},
    {"fmin", 4,
     [](u64 o, u64 d, u64) {
       return u64{std::bit_cast<u32>(std::fmin(std::bit_cast<float>(lo(o)), std::bit_cast<float>(lo(d))))};
     },
     "ds_min_rtn_f32"},
    {"fmax", 4,
     [](u64 o, u64 d, u64) {
       return u64{std::bit_cast<u32>(std::fmax(std::bit_cast<float>(lo(o)), std::bit_cast<float>(lo(d))))};
     },
     "ds_max_rtn_f32"},
    {"swap_x2", 8, [](u64, u64 d, u64) { return d; }, "ds_wrxchg_rtn_b64"},
    {"add_x2", 8, [](u64 o, u64 d, u64) { return o + d; }, "ds_add_rtn_u64"},
    {"sub_x2", 8, [](u64 o, u64 d, u64) { return o - d; }, "ds_sub_rtn_u64"},
    {"smin_x2", 8, [](u64 o, u64 d, u64) { return static_cast<i64>(o) < static_cast<i64>(d) ? o : d; },
     "ds_min_rtn_i64"},
    {"umax_x2", 8, [](u64 o, u64 d, u64) { return o > d ? o : d; }, "ds_max_rtn_u64"},
    {"and_x2", 8, [](u64 o, u64 d, u64) { return o & d; }, "ds_and_rtn_b64"},
    {"xor_x2", 8, [](u64 o, u64 d, u64) { return o ^ d; }, "ds_xor_rtn_b64"},
    {"inc_x2", 8, [](u64 o, u64 d, u64) { return o >= d ? 0 : o + 1; }, "ds_inc_rtn_u64"},
    {"dec_x2", 8, [](u64 o, u64 d, u64) { return o == 0 || o > d ? d : o - 1; }, "ds_dec_rtn_u64"},
    {"cmpswap_x2", 8, [](u64 o, u64 d, u64 c) { return o == c ? d : o; }, nullptr},
    {"fmax_x2", 8,
     [](u64 o, u64 d, u64) {
       return std::bit_cast<u64>(std::fmax(std::bit_cast<double>(o), std::bit_cast<double>(d)));
     },
     "ds_max_rtn_f64"},
};

class Atomics : public Memory {
protected:
  static constexpr u32 cell = 0x30000;

  // Data of a lane at input + 16 * lane: the operand, then the value to compare with.
  void prepare(const AtomicCase& c) {
    const bool floating = std::string_view(c.name).starts_with("f");
    for (u32 lane = 0; lane < lanes; ++lane) {
      u64* data = machine_.at<u64>(input + lane * 16);
      if (c.size == 4) {
        auto* words = reinterpret_cast<u32*>(data);
        words[0] = floating ? std::bit_cast<u32>(static_cast<float>(random_() % 100) - 50) : random_();
        words[1] = random_();
      } else {
        data[0] = floating ? std::bit_cast<u64>(static_cast<double>(random_() % 100) - 50)
                           : random_() | u64{random_()} << 32;
        data[1] = random_();
      }
    }
    initial_ = c.size == 4 ? random_() : random_() | u64{random_()} << 32;
    if (floating)
      initial_ = c.size == 4 ? std::bit_cast<u32>(1.5f) : std::bit_cast<u64>(1.5);
    // Compare and swap: some lanes expect what an earlier lane leaves behind.
    for (u32 lane = 0; lane < lanes; lane += 3) {
      const u64 previous = lane == 0 ? initial_ : operand(c, lane - 3, 0);
      if (c.size == 4)
        machine_.at<u32>(input + lane * 16)[1] = lo(previous);
      else
        machine_.at<u64>(input + lane * 16)[1] = previous;
    }
    *machine_.at<u64>(cell) = initial_;
  }

  u64 operand(const AtomicCase& c, u32 lane, u32 which) {
    return c.size == 4 ? machine_.at<u32>(input + lane * 16)[which]
                       : machine_.at<u64>(input + lane * 16)[which];
  }

  void check(const AtomicCase& c, u64 cell_after, const char* what) {
    u64 value = initial_;
    for (u32 lane = 0; lane < lanes; ++lane) {
      const u64 returned = c.size == 4 ? in<u32>(results + lane * 16) : in<u64>(results + lane * 16);
      ASSERT_EQ(returned, value) << what << c.name << " lane " << lane;
      value = c.expected(value, operand(c, lane, 0), operand(c, lane, 1));
    }
    ASSERT_EQ(c.size == 4 ? lo(cell_after) : cell_after, value) << what << c.name;
  }

  static std::string data_registers(const AtomicCase& c) {
    const bool compare = std::string_view(c.name).starts_with("cmpswap");
    const unsigned count = c.size / 4 * (compare ? 2 : 1);
    return count == 1 ? "v8" : "v[8:" + std::to_string(7 + count) + "]";
  }

  u64 initial_ = 0;
};

constexpr const char* load_data = "v_lshlrev_b32 v20, 4, v0\nv_add_nc_u32 v20, 0x10000, v20\n"
                                  "global_load_dwordx4 v[8:11], v20, s[0:1]\nv_mov_b32 v2, 0x30000\n";

TEST_F(Atomics, global_atomics_return_the_old_value_in_lane_order) {
  for (const AtomicCase& c : atomics) {
    prepare(c);
    run(load_data + ("global_atomic_" + std::string(c.name)) + (c.size == 4 ? " v4" : " v[4:5]") + ", v2, " +
        data_registers(c) + ", s[0:1] glc\n" + store_results(c.size / 4));
    check(c, *machine_.at<u64>(cell), "global ");
  }
}

TEST_F(Atomics, buffer_atomics_do_the_same) {
  for (const AtomicCase& c : atomics) {
    prepare(c);
    run(load_data +
        ("s_mov_b32 s4, s0\ns_mov_b32 s5, s1\ns_mov_b32 s6, -1\ns_mov_b32 s7, 0x30000000\nbuffer_atomic_" +
         std::string(c.name)) +
        " " + data_registers(c) + ", v2, s[4:7], 0 offen glc\nv_mov_b32 v4, v8\nv_mov_b32 v5, v9\n" +
        store_results(c.size / 4));
    check(c, *machine_.at<u64>(cell), "buffer ");
  }
}

TEST_F(Atomics, lds_atomics_do_the_same) {
  for (const AtomicCase& c : atomics) {
    if (!c.ds)
      continue;
    prepare(c);

    run(load_data +
            std::string("v_mov_b32 v12, 0\nglobal_load_dwordx2 v[14:15], v2, s[0:1]\nv_mov_b32 v3, 64\n"
                        "ds_write_b64 v3, v[14:15]\n") +
            c.ds + (c.size == 4 ? " v4, v3, v8\n" : " v[4:5], v3, v[8:9]\n") + store_results(c.size / 4) +
            "ds_read_b64 v[14:15], v3\nglobal_store_dwordx2 v2, v[14:15], s[0:1]\n",
        {.lds = 512});
    check(c, *machine_.at<u64>(cell), "lds ");
  }
}

// --- LDS

TEST_F(Memory, lds_reads_and_writes_of_every_kind) {
  run("v_lshlrev_b32 v20, 4, v0\nv_add_nc_u32 v21, 0x10000, v20\nglobal_load_dwordx4 v[8:11], v21, s[0:1]\n"
      "ds_write_b128 v20, v[8:11]\n"
      "ds_read2_b32 v[12:13], v20 offset0:1 offset1:3\nds_read_u8 v14, v20 offset:7\nds_read_i16 v15, v20 "
      "offset:5\n" // odd
      "v_mov_b32 v4, v12\nv_mov_b32 v5, v13\nv_mov_b32 v6, v14\nv_mov_b32 v7, v15\n" +
          store_results(4),
      {.lds = 1024});
  for (u32 lane = 0; lane < lanes; ++lane) {
    const u32 from = input + lane * 16, to = results + lane * 16;
    EXPECT_EQ(in<u32>(to), in<u32>(from + 4));
    EXPECT_EQ(in<u32>(to + 4), in<u32>(from + 12));
    EXPECT_EQ(in<u32>(to + 8), in<u8>(from + 7));
    EXPECT_EQ(in<i32>(to + 12), in<std::int16_t>(from + 5));
  }
}

TEST_F(Memory, lds_beyond_the_allocation_reads_zero_and_is_not_written) {
  run("v_mov_b32 v20, 0x3fc\nv_mov_b32 v21, 77\nds_write_b32 v20, v21 offset:4\nds_write_b64 v20, v[21:22]\n"
      "ds_read_b32 v4, v20 offset:4\nds_read_b32 v5, v20\nds_write_b32 v20, v21\nds_read_b32 v6, v20\n" +
          store_results(3),
      {.lds = 1024});
  EXPECT_EQ(in<u32>(results), 0u);
  EXPECT_EQ(in<u32>(results + 4), 0u);
  EXPECT_EQ(in<u32>(results + 8), 77u);
}

TEST_F(Memory, lds_addresses_wrap) {
  run("v_mov_b32 v20, -8\nv_mov_b32 v21, 77\nv_mov_b32 v22, 88\nds_write_b64 v20, v[21:22] offset:24\n"
      "v_mov_b32 v23, 16\nds_read_b32 v4, v23\nds_read2_b32 v[5:6], v20 offset0:6 offset1:7\n" +
          store_results(3),
      {.lds = 1024});
  EXPECT_EQ(in<u32>(results), 77u);
  EXPECT_EQ(in<u32>(results + 4), 77u);
  EXPECT_EQ(in<u32>(results + 8), 88u);
}

TEST_F(Memory, lanes_exchange_values_through_ds) {
  for (u32 lane = 0; lane < lanes; ++lane)
    lane_address(lane) = 4 * (lane * 7 + 3); // wraps
  run("v_mov_b32 v20, v0\ns_mov_b32 exec_lo, 0x7fffffff\nds_bpermute_b32 v4, v1, v20\nds_permute_b32 v5, v1, "
      "v20\n"
      "ds_swizzle_b32 v6, v20 offset:swizzle(SWAP,4)\nds_swizzle_b32 v7, v20 "
      "offset:swizzle(QUAD_PERM,3,2,1,0)\n"
      "s_mov_b32 exec_lo, -1\n" +
      store_results(4));
  for (u32 lane = 0; lane < 31; ++lane) {
    const u32 source = (lane * 7 + 3) % 32;
    EXPECT_EQ(in<u32>(results + lane * 16), source == 31 ? 0 : source) << lane;
    EXPECT_EQ(in<u32>(results + lane * 16 + 8), (lane ^ 4) == 31 ? 0 : lane ^ 4) << lane;
    EXPECT_EQ(in<u32>(results + lane * 16 + 12), (lane ^ 3) == 31 ? 0 : lane ^ 3) << lane;
    if (source != 31) {
      EXPECT_EQ(in<u32>(results + source * 16 + 4), lane);
    }
  }
}

TEST_F(Memory, append_and_consume_count_lanes) {
  run("s_mov_b32 m0, 16\ns_mov_b32 exec_lo, 0xff\nds_append v4 offset:4\nds_append v5 offset:4\ns_mov_b32 "
      "exec_lo, 0x7\n"
      "ds_consume v6 offset:4\n" +
          store_results(3),
      {.lds = 512});
  EXPECT_EQ(in<u32>(results), 0u);
  EXPECT_EQ(in<u32>(results + 4), 8u);
  EXPECT_EQ(in<u32>(results + 8), 16u);
}

// --- buffers

std::string srd(u32 stride, bool swizzle, u32 records, u32 word3) {
  return "s_add_u32 s4, s0, 0x10000\ns_or_b32 s5, s1, " +
         std::to_string(stride << 16 | (swizzle ? 1u << 31 : 0)) + "\ns_mov_b32 s6, " +
         std::to_string(records) + "\ns_mov_b32 s7, " + std::to_string(word3) + "\n";
}

TEST_F(Memory, raw_buffers_check_every_dword) {
  for (u32 lane = 0; lane < lanes; ++lane)
    lane_address(lane) = lane * 4;
  // 70 bytes: dword 17 begins within, and counts as a whole.
  run(srd(0, false, 70, 3u << 28) +
      "s_mov_b32 s8, 8\nbuffer_load_dwordx4 v[4:7], v1, s[4:7], s8 offen offset:4\n" + store_results(4));
  for (u32 lane = 0; lane < lanes; ++lane)
    for (u32 i = 0; i < 4; ++i) {
      const u32 at = lane * 4 + 12 + i * 4;
      EXPECT_EQ(in<u32>(results + lane * 16 + i * 4), at < 70 ? in<u32>(input + at) : 0) << lane << " " << i;
    }
}

TEST_F(Memory, structured_buffers_check_index_and_offset) {
  for (u32 lane = 0; lane < lanes; ++lane)
    lane_address(lane) = lane;
  run(srd(12, false, 20, 0) +
      "v_mov_b32 v10, v1\nv_lshlrev_b32 v11, 2, v0\nv_and_b32 v11, 15, v11\n"
      "buffer_load_dword v4, v[10:11], s[4:7], 0 idxen offen\n" +
      store_results(1));
  for (u32 lane = 0; lane < lanes; ++lane) {
    const u32 offset = lane * 4 & 15;
    EXPECT_EQ(in<u32>(results + lane * 16),
              lane < 20 && offset < 12 ? in<u32>(input + lane * 12 + offset) : 0)
        << lane;
  }
}

TEST_F(Memory, swizzled_buffers_interleave_elements_of_four_bytes) {
  for (u32 lane = 0; lane < lanes; ++lane)
    lane_address(lane) = lane;
  run(srd(16, true, 0x10000, 3u << 28 | 0u << 21) +
      "buffer_load_dwordx2 v[4:5], v1, s[4:7], 0 idxen offset:4\n" + store_results(2));
  for (u32 lane = 0; lane < lanes; ++lane)
    for (u32 i = 0; i < 2; ++i)
      EXPECT_EQ(in<u32>(results + lane * 16 + i * 4),
                in<u32>(input + (lane / 8 * 16 + 4 + i * 4) * 8 + lane % 8 * 4))
          << lane;
}

TEST_F(Memory, a_scratch_descriptor_and_scratch_instructions_agree_on_the_layout) {
  run("s_add_u32 s10, s0, 0x10000\ns_addc_u32 s11, s1, 0\ns_setreg_b32 hwreg(HW_REG_FLAT_SCR_LO), s10\n"
      "s_setreg_b32 hwreg(HW_REG_FLAT_SCR_HI), s11\nv_mov_b32 v20, 12\nv_xor_b32 v21, 0x5500, v0\n"
      "scratch_store_dword v20, v21, off\n" +
      srd(0, true, 0x10000, 2u << 21 | 1u << 23 | 3u << 28) +
      "buffer_load_dword v4, off, s[4:7], 0 offset:12\n" + store_results(1));
  for (u32 lane = 0; lane < lanes; ++lane)
    EXPECT_EQ(in<u32>(results + lane * 16), 0x5500 ^ lane);
}

TEST_F(Memory, stores_beyond_a_buffer_change_nothing) {
  const std::vector<u8> before(machine_.at<u8>(input), machine_.at<u8>(input) + 256);
  run(srd(0, false, 16, 3u << 28) + "v_mov_b32 v20, 8\nbuffer_store_dwordx4 v[0:3], v20, s[4:7], 0 offen\n");
  EXPECT_NE(std::memcmp(before.data() + 8, machine_.at<u8>(input + 8), 8), 0);
  EXPECT_EQ(std::memcmp(before.data() + 16, machine_.at<u8>(input + 16), 240), 0);
}

// --- formats

constexpr u32 identity_select = 4 | 5 << 3 | 6 << 6 | 7 << 9;

struct FormatCase {
  const char* name;
  u32 bytes;
  std::function<std::array<u32, 4>(const u8*)> expected;
};

u32 f(double v) {
  return std::bit_cast<u32>(static_cast<float>(v));
}
u32 word_at(const u8* p) {
  u32 v;
  std::memcpy(&v, p, 4);
  return v;
}
double snorm(i32 v, i32 max) {
  return std::max(static_cast<double>(v) / max, -1.0);
}
double ufloat(u32 bits, unsigned mantissa) {
  const u32 exponent = bits >> mantissa, fraction = bits & ((1u << mantissa) - 1);
  const double scaled = static_cast<double>(fraction) / (1u << mantissa);
  return exponent == 0 ? std::ldexp(scaled, -14) : std::ldexp(1 + scaled, static_cast<int>(exponent) - 15);
}

const FormatCase formats[] = {
    {"BUF_FMT_8_UNORM", 1,
     [](const u8* p) {
       return std::array<u32, 4>{f(p[0] / 255.0), 0, 0, f(1)};
     }},
    {"BUF_FMT_8_8_SINT", 2,
     [](const u8* p) {
       return std::array<u32, 4>{static_cast<u32>(static_cast<std::int8_t>(p[0])),
                                 static_cast<u32>(static_cast<std::int8_t>(p[1])), 0, 1};
     }},
    {"BUF_FMT_8_8_8_8_UNORM", 4,
     [](const u8* p) {
       return std::array<u32, 4>{f(p[0] / 255.0), f(p[1] / 255.0), f(p[2] / 255.0), f(p[3] / 255.0)};
     }},
    {"BUF_FMT_8_8_8_8_SNORM", 4,
     [](const u8* p) {
       return std::array<u32, 4>{
           f(snorm(static_cast<std::int8_t>(p[0]), 127)), f(snorm(static_cast<std::int8_t>(p[1]), 127)),
           f(snorm(static_cast<std::int8_t>(p[2]), 127)), f(snorm(static_cast<std::int8_t>(p[3]), 127))};
     }},
    {"BUF_FMT_16_USCALED", 2,
     [](const u8* p) {
       return std::array<u32, 4>{f(half_at(p)), 0, 0, f(1)};
     }},
    {"BUF_FMT_16_16_UINT", 4,
     [](const u8* p) {
       return std::array<u32, 4>{half_at(p), half_at(p + 2), 0, 1};
     }},
    {"BUF_FMT_2_10_10_10_UNORM", 4,
     [](const u8* p) {
       const u32 w = word_at(p);
       return std::array<u32, 4>{f((w & 1023) / 1023.0), f((w >> 10 & 1023) / 1023.0),
                                 f((w >> 20 & 1023) / 1023.0), f((w >> 30) / 3.0)};
     }},
    {"BUF_FMT_10_11_11_FLOAT", 4,
     [](const u8* p) {
       const u32 w = word_at(p) & 0xbbfdfbff;
       return std::array<u32, 4>{f(ufloat(w & 2047, 6)), f(ufloat(w >> 11 & 2047, 6)), f(ufloat(w >> 22, 5)),
                                 f(1)};
     }},
    {"BUF_FMT_32_32_32_FLOAT", 12,
     [](const u8* p) {
       return std::array<u32, 4>{word_at(p), word_at(p + 4), word_at(p + 8), f(1)};
     }},
    {"BUF_FMT_32_32_32_32_UINT", 16,
     [](const u8* p) {
       return std::array<u32, 4>{word_at(p), word_at(p + 4), word_at(p + 8), word_at(p + 12)};
     }},
};

TEST_F(Memory, typed_loads_convert_texels) {
  for (u32 i = 0; i < 0x1000; i += 4) // small floats: keep exponents away from infinity
    *machine_.at<u32>(input + i) &= 0xbbfdfbff;
  for (const FormatCase& c : formats) {
    for (u32 lane = 0; lane < lanes; ++lane)
      lane_address(lane) = lane;
    run(srd(c.bytes, false, 30, identity_select) + "tbuffer_load_format_xyzw v[4:7], v1, s[4:7], 0 format:[" +
        c.name + "] idxen\n" + store_results(4));
    for (u32 lane = 0; lane < lanes; ++lane) {
      const auto expected =
          lane < 30 ? c.expected(machine_.at<u8>(input + lane * c.bytes)) : std::array<u32, 4>{};
      for (u32 i = 0; i < 4; ++i)
        ASSERT_EQ(in<u32>(results + lane * 16 + i * 4), expected[i])
            << c.name << " lane " << lane << " component " << i;
    }
  }
}

TEST_F(Memory, what_a_typed_load_read_a_typed_store_writes_back) {
  for (u32 i = 0; i < 0x1000; i += 4)
    *machine_.at<u32>(input + i) &= 0xbbfdfbff;
  for (const FormatCase& c : formats) {
    if (std::string_view(c.name) == "BUF_FMT_8_8_8_8_SNORM")
      continue; // two codes mean -1
    for (u32 lane = 0; lane < lanes; ++lane)
      lane_address(lane) = lane;
    std::memset(machine_.at<u8>(results), 0, 0x400);
    const std::string format = std::string(", s[4:7], 0 format:[") + c.name + "] idxen\n";
    run(srd(c.bytes, false, 32, identity_select) + "tbuffer_load_format_xyzw v[4:7], v1" + format +
        "s_add_u32 s4, s0, 0x20000\ntbuffer_store_format_xyzw v[4:7], v1" + format);
    EXPECT_EQ(std::memcmp(machine_.at<u8>(input), machine_.at<u8>(results), c.bytes * lanes), 0) << c.name;
  }
}

TEST_F(Memory, formatted_loads_take_format_and_selectors_from_the_descriptor) {
  for (u32 lane = 0; lane < lanes; ++lane)
    lane_address(lane) = lane;
  constexpr u32 buf_fmt_8_8_8_8_uint = 60;
  // x <- w, y <- 0, z <- 1, w <- x
  run(srd(4, false, 32, 7 | 0 << 3 | 1 << 6 | 4 << 9 | buf_fmt_8_8_8_8_uint << 12) +
      "buffer_load_format_xyzw v[4:7], v1, s[4:7], 0 idxen\n" + store_results(4));
  for (u32 lane = 0; lane < lanes; ++lane) {
    EXPECT_EQ(in<u32>(results + lane * 16), in<u8>(input + lane * 4 + 3));
    EXPECT_EQ(in<u32>(results + lane * 16 + 4), 0u);
    EXPECT_EQ(in<u32>(results + lane * 16 + 8), 1u);
    EXPECT_EQ(in<u32>(results + lane * 16 + 12), in<u8>(input + lane * 4));
  }
}

TEST_F(Memory, formatted_stores_put_values_where_loads_take_them_from) {
  for (u32 lane = 0; lane < lanes; ++lane)
    lane_address(lane) = lane;
  constexpr u32 buf_fmt_8_8_8_8_uint = 60;
  // x <-> z, as for blue, green, red
  const std::string bgra = srd(4, false, 32, 6 | 5 << 3 | 4 << 6 | 7 << 9 | buf_fmt_8_8_8_8_uint << 12);
  std::memset(machine_.at<u8>(results), 0, 0x400);
  run(bgra + "v_mov_b32 v4, 1\nv_mov_b32 v5, 2\nv_mov_b32 v6, 3\nv_mov_b32 v7, 4\n"
             "s_add_u32 s4, s0, 0x20000\nbuffer_store_format_xyzw v[4:7], v1, s[4:7], 0 idxen\n");
  for (u32 lane = 0; lane < lanes; ++lane)
    EXPECT_EQ(in<u32>(results + lane * 4), 0x04010203u);
}

TEST_F(Memory, wave64_uses_all_lanes) {
  const Fault fault =
      machine_.run("v_lshlrev_b32 v1, 2, v0\nv_mul_u32_u24 v2, 5, v0\nglobal_store_dword v1, v2, s[0:1]\n",
                   {.wave64 = true, .size = {100, 1, 1}});
  ASSERT_EQ(fault.kind, FaultKind::none) << fault.describe();
  for (u32 i = 0; i < 100; ++i)
    EXPECT_EQ(in<u32>(i * 4), i * 5);
  EXPECT_EQ(in<u32>(400), 0u);
}

} // namespace
} // namespace emu::isa::test
