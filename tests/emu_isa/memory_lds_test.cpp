// Every operation of DS: loads, stores and atomics of one and two places, counters, exchange between lanes.
#include "memory_fixture.hpp"

namespace emu::isa::test {
namespace {

using u8 = std::uint8_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

class Lds : public MemoryInstruction {
protected:
  // Addresses in v2: in a row, anywhere, on top of each other, some beyond the allocation, and some negative.
  void addresses(Wave& wave, u32 alignment) {
    const unsigned kind = below(5);
    const u32 start = below(1000);
    for (unsigned lane = 0; lane < max_lanes; ++lane) {
      const u32 at = kind == 0   ? start + lane * 4
                     : kind == 1 ? start
                     : kind == 4 ? below(64) - 32
                                 : below(kind == 2 ? 3000 : lds_size + 64);
      wave.vgpr[2][lane] = at / alignment * alignment;
    }
  }
  std::function<void(Wave&)> with_addresses(u32 alignment) {
    return [this, alignment](Wave& wave) { addresses(wave, alignment); };
  }

  // `size` bytes at an offset; null where they reach beyond the allocation.
  static u8* cell(const MemoryState& state, u64 at, unsigned size) {
    return at + size <= lds_size ? &state.bytes.lds[at] : nullptr;
  }
  static u64 read(const MemoryState& state, u64 at, unsigned size) {
    u64 value = 0;
    if (const u8* from = cell(state, at, size))
      std::memcpy(&value, from, size);
    return value;
  }
  static void write(const MemoryState& state, u64 at, unsigned size, u64 value) {
    if (u8* to = cell(state, at, size))
      std::memcpy(to, &value, size);
  }
  static u64 value(const MemoryState& state, unsigned reg, unsigned lane, unsigned size) {
    return size == 8 ? state.v64(reg, lane) : state.v(reg, lane);
  }
  static void set(MemoryState& state, unsigned reg, unsigned lane, unsigned size, u64 value) {
    for (unsigned i = 0; i < size / 4; ++i)
      state.expected.vgpr[reg + i][lane] = static_cast<u32>(value >> 32 * i);
  }
  static std::string registers(unsigned first, unsigned size) {
    return size == 4 ? "v" + std::to_string(first)
                     : "v[" + std::to_string(first) + ":" + std::to_string(first + size / 4 - 1) + "]";
  }

  // old, first and second data operand, bits
  using Next = std::function<u64(u64, u64, u64, unsigned)>;

  // `operands`: how many data registers. Names have %: "rtn_" goes there.
  void check_atomic(const std::string& name, unsigned size, unsigned operands, const Next& next,
                    bool floats = false) {
    const std::size_t hole = name.find('%');
    std::string data = registers(20, size);
    if (operands == 2)
      data += ", " + registers(20 + size / 4, size);
    const bool always = hole == std::string::npos;
    for (const bool returns : {true, false}) {
      if (always && !returns)
        continue;
      const std::string full =
          always ? name : name.substr(0, hole) + (returns ? "rtn_" : "") + name.substr(hole + 1);
      check(
          full + " " + (returns ? registers(10, size) + ", " : "") + "v2, " + data + " offset:24",
          [&](Wave& wave) {
            addresses(wave, size);
            for (unsigned lane = 0; lane < max_lanes; ++lane)
              for (unsigned i = 0; i < 4; ++i)
                if (below(2))
                  wave.vgpr[20 + i][lane] = floats ? (below(2) ? 0x3ff00000 : 0xc0000000) : below(3);
            auto* cells = reinterpret_cast<u32*>(after_bytes_->lds);
            for (u32 i = 0; i < lds_size / 4; ++i)
              if (i % 4 < 2 || floats)
                cells[i] = floats ? (i % 3 ? 0x3ff00000 : 0xc0000000) : cells[i] % 3;
          },
          [&](MemoryState& state) {
            state.for_each_lane([&](unsigned lane) {
              const u64 at = u64{state.v(2, lane) + 24}, old = read(state, at, size);
              write(
                  state, at, size,
                  next(old, value(state, 20, lane, size), value(state, 20 + size / 4, lane, size), size * 8));
              if (returns)
                set(state, 10, lane, size, old);
            });
          });
    }
  }
};

TEST_F(Lds, loads) {
  struct Name {
    const char* text;
    unsigned operation;
  };
  // The operations of load_operations, by their names here.
  constexpr Name names[] = {{"ds_read_u8", 0},        {"ds_read_i8", 1},         {"ds_read_u16", 2},
                            {"ds_read_i16", 3},       {"ds_read_b32", 4},        {"ds_read_b64", 5},
                            {"ds_read_b96", 6},       {"ds_read_b128", 7},       {"ds_read_u8_d16", 8},
                            {"ds_read_u8_d16_hi", 9}, {"ds_read_i8_d16", 10},    {"ds_read_i8_d16_hi", 11},
                            {"ds_read_u16_d16", 12},  {"ds_read_u16_d16_hi", 13}};
  for (const Name& name : names) {
    const LoadOperation& op = load_operations[name.operation];
    check(std::string(name.text) + " " + registers(10, op.registers * 4) + ", v2 offset:37",
          with_addresses(1), [&](MemoryState& state) {
            state.for_each_lane([&](unsigned lane) {
              u8 from[16] = {};
              if (const u8* at = cell(state, u64{state.v(2, lane) + 37}, op.bytes))
                std::memcpy(from, at, op.bytes);
              u32 to[4];
              for (unsigned i = 0; i < 4; ++i)
                to[i] = state.v(10 + i, lane);
              op.convert(from, to);
              for (unsigned i = 0; i < op.registers; ++i)
                state.expected.vgpr[10 + i][lane] = to[i];
            });
          });
  }
}

TEST_F(Lds, stores) {
  constexpr const char* names[] = {"ds_write_b8",         "ds_write_b8_d16_hi", "ds_write_b16",
                                   "ds_write_b16_d16_hi", "ds_write_b32",       "ds_write_b64",
                                   "ds_write_b96",        "ds_write_b128"};
  for (unsigned n = 0; n < std::size(names); ++n) {
    const StoreOperation& op = store_operations[n];
    check(std::string(names[n]) + " v2, " + registers(20, op.registers * 4) + " offset:37", with_addresses(1),
          [&](MemoryState& state) {
            state.for_each_lane([&](unsigned lane) {
              u8* to = cell(state, u64{state.v(2, lane) + 37}, op.bytes);
              for (unsigned i = 0; to && i < op.bytes; ++i)
                to[i] = static_cast<u8>(state.v(20 + (op.first + i) / 4, lane) >> (op.first + i) % 4 * 8);
            });
          });
  }
}

TEST_F(Lds, two_places_at_once) {
  for (const unsigned size : {4u, 8u})
    for (const unsigned scale : {1u, 64u}) {
      const std::string suffix = std::string(scale == 64 ? "st64" : "") + (size == 4 ? "_b32 " : "_b64 ");
      const u32 first = scale == 64 ? 1 : 3, second = scale == 64 ? 0 : 20;
      const std::string offsets = " offset0:" + std::to_string(first) + " offset1:" + std::to_string(second);
      const auto places = [=](const MemoryState& state, unsigned lane) {
        const u32 address = state.v(2, lane); // both sums modulo 2^32
        return std::pair(u64{address + first * size * scale}, u64{address + second * size * scale});
      };
      check("ds_read2" + suffix + registers(10, size * 2) + ", v2" + offsets, with_addresses(4),
            [&](MemoryState& state) {
              state.for_each_lane([&](unsigned lane) {
                const auto [a, b] = places(state, lane);
                set(state, 10, lane, size, read(state, a, size));
                set(state, 10 + size / 4, lane, size, read(state, b, size));
              });
            });
      const std::string data = registers(20, size) + ", " + registers(22, size);
      check("ds_write2" + suffix + "v2, " + data + offsets, with_addresses(4), [&](MemoryState& state) {
        state.for_each_lane([&](unsigned lane) {
          const auto [a, b] = places(state, lane);
          write(state, a, size, value(state, 20, lane, size));
          write(state, b, size, value(state, 22, lane, size));
        });
      });
      check("ds_wrxchg2" + std::string(scale == 64 ? "st64" : "") + "_rtn" + (size == 4 ? "_b32 " : "_b64 ") +
                registers(10, size * 2) + ", v2, " + data + offsets,
            with_addresses(4), [&](MemoryState& state) {
              state.for_each_lane([&](unsigned lane) {
                const auto [a, b] = places(state, lane);
                set(state, 10, lane, size, read(state, a, size));
                write(state, a, size, value(state, 20, lane, size));
                set(state, 10 + size / 4, lane, size, read(state, b, size));
                write(state, b, size, value(state, 22, lane, size));
              });
            });
    }
}

TEST_F(Lds, atomics_of_integers) {
  struct Row {
    const char* name; // the type follows
    u64 (*next)(u64 old, u64 data, u64 second, unsigned bits);
  };
  const Row unsigned_rows[] = {
      {"ds_add_%u", [](u64 o, u64 d, u64, unsigned) { return o + d; }},
      {"ds_sub_%u", [](u64 o, u64 d, u64, unsigned) { return o - d; }},
      {"ds_rsub_%u", [](u64 o, u64 d, u64, unsigned) { return d - o; }},
      {"ds_inc_%u", [](u64 o, u64 d, u64, unsigned) { return o >= d ? 0 : o + 1; }},
      {"ds_dec_%u", [](u64 o, u64 d, u64, unsigned) { return o == 0 || o > d ? d : o - 1; }},
      {"ds_min_%u", [](u64 o, u64 d, u64, unsigned) { return d < o ? d : o; }},
      {"ds_max_%u", [](u64 o, u64 d, u64, unsigned) { return d > o ? d : o; }},
      {"ds_min_%i",
       [](u64 o, u64 d, u64, unsigned b) { return signed_value(d, b) < signed_value(o, b) ? d : o; }},
      {"ds_max_%i",
       [](u64 o, u64 d, u64, unsigned b) { return signed_value(d, b) > signed_value(o, b) ? d : o; }},
      {"ds_and_%b", [](u64 o, u64 d, u64, unsigned) { return o & d; }},
      {"ds_or_%b", [](u64 o, u64 d, u64, unsigned) { return o | d; }},
      {"ds_xor_%b", [](u64 o, u64 d, u64, unsigned) { return o ^ d; }},
      {"ds_wrxchg_rtn_b", [](u64, u64 d, u64, unsigned) { return d; }},
  };
  const Row two_operands[] = {
      {"ds_mskor_%b", [](u64 o, u64 mask, u64 bits, unsigned) { return (o & ~mask) | bits; }},
      {"ds_cmpst_%b", [](u64 o, u64 compare, u64 d, unsigned) { return o == compare ? d : o; }},
  };
  for (const unsigned size : {4u, 8u}) {
    const std::string type = size == 4 ? "32" : "64";
    for (const Row& row : unsigned_rows)
      check_atomic(row.name + type, size, 1, row.next);
    for (const Row& row : two_operands)
      check_atomic(row.name + type, size, 2, row.next);
  }
  check_atomic("ds_wrap_rtn_b32", 4, 2,
               [](u64 o, u64 d, u64 second, unsigned) { return o >= d ? o - d : o + second; });
  // Each half is exchanged where its top bit says so; the bit itself stays out.
  check_atomic("ds_condxchg32_rtn_b64", 8, 1, [](u64 o, u64 d, u64, unsigned) {
    u64 result = 0;
    for (unsigned half = 0; half < 64; half += 32)
      result |= ((d >> half & 0x80000000) ? (d >> half) & 0x7fffffff : (o >> half) & 0xffffffff) << half;
    return result;
  });
}

TEST_F(Lds, atomics_of_floats) {
  for (const unsigned size : {4u, 8u}) {
    const std::string type = size == 4 ? "32" : "64";
    check_atomic(
        "ds_min_%f" + type, size, 1,
        [](u64 o, u64 d, u64, unsigned b) { return float_extremum(o, d, b, true); }, true);
    check_atomic(
        "ds_max_%f" + type, size, 1,
        [](u64 o, u64 d, u64, unsigned b) { return float_extremum(o, d, b, false); }, true);
    check_atomic(
        "ds_cmpst_%f" + type, size, 2,
        [](u64 o, u64 compare, u64 d, unsigned b) {
          return float_value(o, b) == float_value(compare, b) ? d : o;
        },
        true);
  }
  check_atomic(
      "ds_add_%f32", 4, 1,
      [](u64 o, u64 d, u64, unsigned) {
        const double sum = float_value(o, 32) + float_value(d, 32); // rounds once more, exactly
        return u64{std::bit_cast<u32>(static_cast<float>(sum))};
      },
      true);
}

// Input and output denormals by their bits of MODE: half of the least normal number, twice.
TEST_F(Lds, sums_of_floats_flush_denormals_as_mode_says) {
  constexpr u32 half = 0x00400000, least_normal = 0x00800000;
  for (const u32 denormals : {0u, 1u, 2u, 3u})
    for (const bool cancel : {false, true})
      check(
          "ds_add_f32 v2, v20",
          [&](Wave& wave) {
            wave.mode = 0xc0 | denormals << 4;
            for (unsigned lane = 0; lane < max_lanes; ++lane) {
              wave.vgpr[2][lane] = lane * 4;
              wave.vgpr[20][lane] = cancel ? half | 0x80000000 : half;
            }
            auto* cells = reinterpret_cast<u32*>(after_bytes_->lds);
            for (u32 i = 0; i < lds_size / 4; ++i)
              cells[i] = cancel ? least_normal : half;
          },
          [&](MemoryState& state) {
            const bool keeps_in = denormals & 1, keeps_out = denormals & 2;
            u32 sum = cancel ? least_normal : 0; // without the denormals
            if (keeps_in)
              sum = cancel ? (keeps_out ? half : 0) : least_normal;
            state.for_each_lane([&](unsigned lane) { write(state, lane * 4, 4, sum); });
          },
          4);
}

TEST_F(Lds, counters_move_by_the_active_lanes) {
  for (const bool append : {true, false})
    check((append ? "ds_append v10" : "ds_consume v10") + std::string(" offset:8"),
          [this](Wave& wave) { wave.sgpr[m0_register] = below(100) * 4; },
          [&](MemoryState& state) {
            const u64 at = state.before.m0() + 8, old = read(state, at, 4);
            u32 lanes = 0;
            state.for_each_lane([&](unsigned lane) {
              ++lanes;
              set(state, 10, lane, 4, old);
            });
            write(state, at, 4, append ? old + lanes : old - lanes);
          });
}

TEST_F(Lds, addresses_of_lane_numbers) {
  const auto m0 = [this](Wave& wave) { wave.sgpr[m0_register] = below(lds_size + 100) | 0x50000; };
  const auto place = [](const MemoryState& state, unsigned lane) {
    return u64{state.before.m0() & 0xffff} + 12 + lane * 4;
  };
  check("ds_read_addtid_b32 v10 offset:12", m0, [&](MemoryState& state) {
    state.for_each_lane([&](unsigned lane) { set(state, 10, lane, 4, read(state, place(state, lane), 4)); });
  });
  check("ds_write_addtid_b32 v20 offset:12", m0, [&](MemoryState& state) {
    state.for_each_lane([&](unsigned lane) { write(state, place(state, lane), 4, state.v(20, lane)); });
  });
}

class Exchange : public Lds {
protected:
  // v10 of a lane is v20 of the lane that `from` names within the same half of 32; lanes that are off give 0.
  void check_gather(const std::string& text, const std::function<u32(const MemoryState&, unsigned)>& from,
                    unsigned source = 20) {
    check(
        text, [](Wave&) {},
        [&](MemoryState& state) {
          state.for_each_lane([&](unsigned lane) {
            const unsigned at = lane / 32 * 32 + from(state, lane) % 32;
            state.expected.vgpr[10][lane] = state.before.exec() >> at & 1 ? state.v(source, at) : 0;
          });
        });
  }
};

TEST_F(Exchange, lanes_name_a_source_or_a_destination) {
  check_gather("ds_bpermute_b32 v10, v2, v20 offset:4",
               [](const MemoryState& state, unsigned lane) { return (state.v(2, lane) + 4) / 4; });
  check(
      "ds_permute_b32 v10, v2, v20 offset:8", [](Wave&) {},
      [](MemoryState& state) {
        u32 result[max_lanes] = {};
        state.for_each_lane([&](unsigned lane) {
          result[lane / 32 * 32 + (state.v(2, lane) + 8) / 4 % 32] = state.v(20, lane);
        });
        state.for_each_lane([&](unsigned lane) { state.expected.vgpr[10][lane] = result[lane]; });
      });
}

TEST_F(Exchange, swizzles) {
  check_gather("ds_swizzle_b32 v10, v20 offset:swizzle(QUAD_PERM,2,0,3,1)",
               [](const MemoryState&, unsigned lane) {
                 constexpr u32 order[] = {2, 0, 3, 1};
                 return lane / 4 * 4 + order[lane % 4];
               });
  check_gather("ds_swizzle_b32 v10, v20 offset:swizzle(SWAP,8)",
               [](const MemoryState&, unsigned lane) { return lane ^ 8; });
  check_gather("ds_swizzle_b32 v10, v20 offset:swizzle(REVERSE,16)",
               [](const MemoryState&, unsigned lane) { return lane / 16 * 16 + 15 - lane % 16; });
  check_gather("ds_swizzle_b32 v10, v20 offset:swizzle(BROADCAST,8,5)",
               [](const MemoryState&, unsigned lane) { return lane / 8 * 8 + 5; });
  // AND 0x15, OR 0x08, XOR 0x03
  check_gather("ds_swizzle_b32 v10, v20 offset:" + std::to_string(0x15 | 0x08 << 5 | 0x03 << 10),
               [](const MemoryState&, unsigned lane) { return ((lane & 0x15) | 0x08) ^ 0x03; });
  // Rotation of all 32 lanes by 5, downwards and upwards.
  check_gather("ds_swizzle_b32 v10, v20 offset:" + std::to_string(0xc000 | 5 << 5),
               [](const MemoryState&, unsigned lane) { return lane + 5; });
  check_gather("ds_swizzle_b32 v10, v20 offset:" + std::to_string(0xc000 | 1 << 10 | 5 << 5),
               [](const MemoryState&, unsigned lane) { return lane + 27; });
}

TEST_F(Lds, nothing) {
  check(
      "ds_nop", [](Wave&) {}, [](MemoryState&) {});
}

// A dword, or part of one, as the first source of a vector operation: M0 names the place and the type.
TEST_F(Lds, values_for_all_lanes_at_once) {
  struct Kind {
    u32 type;
    unsigned bytes;
    bool is_signed;
  };
  for (const Kind& kind :
       {Kind{0, 1, false}, Kind{1, 2, false}, Kind{2, 4, false}, Kind{4, 1, true}, Kind{5, 2, true}})
    check(
        "v_add_nc_u32 v10, src_lds_direct, v20",
        [&](Wave& wave) { wave.sgpr[m0_register] = kind.type << 16 | below(1200) * 4; },
        [&](MemoryState& state) {
          const u8* from = cell(state, state.before.m0() & 0xffff, kind.bytes);
          const u32 value = !from            ? 0
                            : kind.is_signed ? extended(from, kind.bytes)
                                             : little_endian(from, kind.bytes);
          state.for_each_lane(
              [&](unsigned lane) { state.expected.vgpr[10][lane] = value + state.v(20, lane); });
        });
}

} // namespace
} // namespace emu::isa::test
