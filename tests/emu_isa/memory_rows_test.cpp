// Every load, store and atomic of GLOBAL, FLAT, SCRATCH and MUBUF, byte by byte, on waves whose lanes lie
// side by side, anywhere, or on top of each other.
#include "memory_fixture.hpp"

namespace emu::isa::test {
namespace {

using u8 = std::uint8_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

// How instructions of a space are written, and where byte `n` of a lane's access of `size` bytes lies; null
// where it is out of range.
struct Space {
  const char* prefix;
  std::string address;  // operands behind (or before) the data
  std::string modifier; // behind the operands
  bool data_first;      // stores and atomics name the data before the address
  bool in_place;        // atomics return into their data registers
  std::function<void(Wave&, u32 alignment)> prepare;
  std::function<u8*(const MemoryState&, unsigned lane, unsigned n, unsigned size)> byte;
};

std::string vgprs(unsigned first, unsigned count) {
  return count == 1 ? "v" + std::to_string(first)
                    : "v[" + std::to_string(first) + ":" + std::to_string(first + count - 1) + "]";
}

class MemoryRows : public MemoryInstruction {
protected:
  void check_loads(const Space& space) {
    for (const LoadOperation& op : load_operations)
      check(
          std::string(space.prefix) + "_load_" + op.suffix + " " + vgprs(10, op.registers) + ", " +
              space.address + space.modifier,
          [&](Wave& wave) { space.prepare(wave, 1); },
          [&](MemoryState& state) {
            state.for_each_lane([&](unsigned lane) {
              u8 from[16];
              for (unsigned n = 0; n < op.bytes; ++n) {
                const u8* byte = space.byte(state, lane, n, op.bytes);
                from[n] = byte ? *byte : 0;
              }
              u32 to[4];
              for (unsigned i = 0; i < 4; ++i)
                to[i] = state.v(10 + i, lane);
              op.convert(from, to);
              for (unsigned i = 0; i < op.registers; ++i)
                state.expected.vgpr[10 + i][lane] = to[i];
            });
          });
  }

  void check_stores(const Space& space) {
    for (const StoreOperation& op : store_operations) {
      const std::string data = vgprs(20, op.registers);
      check(
          std::string(space.prefix) + "_store_" + op.suffix + " " + joined(space, data) + space.modifier,
          [&](Wave& wave) { space.prepare(wave, 1); },
          [&](MemoryState& state) {
            state.for_each_lane([&](unsigned lane) {
              for (unsigned n = 0; n < op.bytes; ++n) {
                const unsigned at = op.first + n;
                if (u8* byte = space.byte(state, lane, n, op.bytes))
                  *byte = static_cast<u8>(state.v(20 + at / 4, lane) >> at % 4 * 8);
              }
            });
          });
    }
  }

  // The operands in their order: GLOBAL's SADDR comes last.
  static std::string joined(const Space& space, const std::string& data) {
    if (space.data_first)
      return data + ", " + space.address;
    const std::size_t comma = space.address.find(", ");
    return comma == std::string::npos
               ? space.address + ", " + data
               : space.address.substr(0, comma) + ", " + data + space.address.substr(comma);
  }

  void check_atomics(const Space& space, bool with_eight_bytes) {
    for (const AtomicOperation& op : atomic_operations)
      for (const unsigned bits : {32u, 64u})
        for (const bool returns : {true, false})
          if (bits == 32 || with_eight_bytes)
            check_atomic(space, op, bits, returns);
  }

  void check_atomic(const Space& space, const AtomicOperation& op, unsigned bits, bool returns) {
    const unsigned words = bits / 32;
    const unsigned result = space.in_place ? 20 : 10;
    const std::string data = vgprs(20, words * (op.compares ? 2 : 1));
    const std::string destination = returns && !space.in_place ? vgprs(10, words) + ", " : "";
    check(
        std::string(space.prefix) + "_atomic_" + op.suffix + (bits == 64 ? "_x2 " : " ") + destination +
            joined(space, data) + space.modifier + (returns ? " glc" : ""),
        [&](Wave& wave) {
          space.prepare(wave, bits / 8);
          make_data_meet(wave, op, words);
        },
        [&](MemoryState& state) {
          state.for_each_lane([&](unsigned lane) {
            const auto value = [&](unsigned reg) {
              return words == 2 ? state.v64(reg, lane) : u64{state.v(reg, lane)};
            };
            u64 old = 0;
            bool inside = true;
            for (unsigned n = 0; n < bits / 8; ++n) {
              const u8* byte = space.byte(state, lane, n, bits / 8);
              inside = inside && byte;
              old |= u64{byte ? *byte : u8{0}} << n * 8;
            }
            const u64 next = op.next(old, value(20), value(20 + words), bits);
            for (unsigned n = 0; inside && n < bits / 8; ++n)
              *space.byte(state, lane, n, bits / 8) = static_cast<u8>(next >> n * 8);
            for (unsigned i = 0; returns && i < words; ++i)
              state.expected.vgpr[result + i][lane] = inside ? static_cast<u32>(old >> i * 32) : 0;
          });
        },
        20);
  }

  // Values that are often equal to what is in memory, and floats that are often comparable.
  void make_data_meet(Wave& wave, const AtomicOperation& op, unsigned words) {
    const bool floats = op.suffix[0] == 'f';
    for (unsigned lane = 0; lane < max_lanes; ++lane)
      for (unsigned i = 0; i < words * 2; ++i) {
        u32& word = wave.vgpr[20 + i][lane];
        if (below(2))
          word = floats ? (below(2) ? 0x3ff00000 : 0xc0000000) : below(3);
      }
    // Memory of small numbers, so that comparisons succeed.
    auto* cells = reinterpret_cast<u32*>(after_bytes_->memory);
    for (u32 i = 0; i < 2 * piece_size / 4; ++i)
      if (i % 4 < 2 || floats)
        cells[i] = floats ? (i % 3 ? 0x3ff00000 : 0xc0000000) : cells[i] % 3;
  }
};

class GlobalRows : public MemoryRows {
protected:
  Space with_saddr() {
    return {"global",
            "v2, s[4:5]",
            " offset:-64",
            false,
            false,
            [this](Wave& wave, u32 alignment) {
              random_offsets(wave.vgpr[2], alignment);
              wave.set_pair(4, first_piece + 64);
            },
            [](const MemoryState& state, unsigned lane, unsigned n, unsigned) {
              return state.at(first_piece + state.v(2, lane) + n);
            }};
  }
  Space with_vaddr(const char* prefix = "global") {
    const bool flat = std::string_view(prefix) == "flat";
    return {prefix,
            flat ? "v[2:3]" : "v[2:3], off",
            flat ? " offset:40" : " offset:-24",
            false,
            false,
            [this, flat](Wave& wave, u32 alignment) {
              random_offsets(wave.vgpr[2], alignment);
              for (unsigned lane = 0; lane < max_lanes; ++lane) {
                const u64 address =
                    first_piece + wave.vgpr[2][lane] + (flat ? -40ull : 24ull) + (flat ? 64 : 0);
                wave.vgpr[2][lane] = static_cast<u32>(address);
                wave.vgpr[3][lane] = static_cast<u32>(address >> 32);
              }
            },
            [flat](const MemoryState& state, unsigned lane, unsigned n, unsigned) {
              return state.at(state.v64(2, lane) + (flat ? 40 : -24ull) + n);
            }};
  }
};

TEST_F(GlobalRows, loads) {
  check_loads(with_saddr());
  check_loads(with_vaddr());
}
TEST_F(GlobalRows, stores) {
  check_stores(with_saddr());
  check_stores(with_vaddr());
}
TEST_F(GlobalRows, atomics) {
  check_atomics(with_saddr(), true);
  check_atomics(with_vaddr(), true);
}

TEST_F(GlobalRows, conditional_subtraction) {
  const Space space = with_saddr();
  check(
      "global_atomic_csub v10, v2, v20, s[4:5] offset:-64 glc", [&](Wave& wave) { space.prepare(wave, 4); },
      [&](MemoryState& state) {
        state.for_each_lane([&](unsigned lane) {
          u8* cell = space.byte(state, lane, 0, 4);
          u32 old;
          std::memcpy(&old, cell, 4);
          const u32 next = old < state.v(20, lane) ? 0 : old - state.v(20, lane);
          std::memcpy(cell, &next, 4);
          state.expected.vgpr[10][lane] = old;
        });
      });
}

TEST_F(GlobalRows, addresses_of_lane_numbers) {
  const auto prepare = [](Wave& wave) { wave.set_pair(4, first_piece + 256); };
  check("global_load_dword_addtid v10, s[4:5] offset:-8", prepare, [](MemoryState& state) {
    state.for_each_lane([&](unsigned lane) {
      state.expected.vgpr[10][lane] = little_endian(state.at(first_piece + 248 + lane * 4), 4);
    });
  });
  check("global_store_dword_addtid v20, s[4:5] offset:-8", prepare, [](MemoryState& state) {
    state.for_each_lane([&](unsigned lane) {
      const u32 value = state.v(20, lane);
      std::memcpy(state.at(first_piece + 248 + lane * 4), &value, 4);
    });
  });
}

// Loads that go to LDS: at M0, plus the immediate that the address gets too, plus four bytes a lane.
TEST_F(GlobalRows, loads_into_lds) {
  const auto into = [](MemoryState& state, unsigned lane, u32 start, u32 value) {
    const u32 at = start + lane * 4;
    if (at + 4 <= lds_size)
      std::memcpy(&state.bytes.lds[at], &value, 4);
  };
  for (const LoadOperation& op :
       {load_operations[0], load_operations[1], load_operations[2], load_operations[3], load_operations[4]}) {
    const auto prepare = [&](Wave& wave) {
      random_offsets(wave.vgpr[2], 1);
      wave.set_pair(4, first_piece);
      wave.sgpr[m0_register] = below(lds_size);
    };
    check("global_load_" + std::string(op.suffix) + " v2, s[4:5] offset:20 lds", prepare,
          [&](MemoryState& state) {
            state.for_each_lane([&](unsigned lane) {
              u32 value;
              op.convert(state.at(first_piece + state.v(2, lane) + 20), &value);
              into(state, lane, state.before.m0() + 20, value);
            });
          });
    check(
        "buffer_load_" + std::string(op.suffix) + " v2, s[8:11], 0 offen offset:20 lds",
        [&](Wave& wave) {
          prepare(wave);
          wave.set_pair(8, first_piece);
          wave.sgpr[10] = ~0u;
          wave.sgpr[11] = 3u << 28;
        },
        [&](MemoryState& state) {
          state.for_each_lane([&](unsigned lane) {
            u32 value;
            op.convert(state.at(first_piece + state.v(2, lane) + 20), &value);
            into(state, lane, state.before.m0() + 20, value);
          });
        });
  }
}

class FlatRows : public GlobalRows {
protected:
  // Lanes in memory, in LDS and in scratch: all in one, or mixed.
  Space everywhere() {
    return {"flat",
            "v[2:3]",
            " offset:12",
            false,
            false,
            [this](Wave& wave, u32 alignment) {
              wave.flat_scratch = first_piece + 0x4000;
              const unsigned kind = below(4);
              const u32 same = below(100) * 4;
              const bool uniform = below(2);
              for (unsigned lane = 0; lane < max_lanes; ++lane) {
                const unsigned where = kind < 3 ? kind : below(3);
                const u64 base = where == 0   ? first_piece
                                 : where == 1 ? group_.shared_aperture
                                              : group_.private_aperture;
                u32 offset = where == 2 && uniform ? same : below(where == 1 ? lds_size + 40 : 400);
                offset = offset / alignment * alignment + (alignment > 1 ? 64 - 12 : 0);
                wave.vgpr[2][lane] = static_cast<u32>(base + offset);
                wave.vgpr[3][lane] = static_cast<u32>((base + offset) >> 32);
              }
            },
            [this](const MemoryState& state, unsigned lane, unsigned n, unsigned size) -> u8* {
              const u64 address = state.v64(2, lane) + 12;
              const auto offset = static_cast<u32>(address) + n;
              if (address >> 32 == group_.shared_aperture >> 32)
                return static_cast<u32>(address) + size <= lds_size ? &state.bytes.lds[offset] : nullptr;
              if (address >> 32 == group_.private_aperture >> 32)
                return state.at(state.before.flat_scratch + u64{offset / 4} * 4 * state.before.lanes +
                                lane * 4 + offset % 4);
              return state.at(address + n);
            }};
  }
};

TEST_F(FlatRows, loads) {
  check_loads(with_vaddr("flat"));
  check_loads(everywhere());
}
TEST_F(FlatRows, stores) {
  check_stores(with_vaddr("flat"));
  check_stores(everywhere());
}
TEST_F(FlatRows, atomics) {
  check_atomics(with_vaddr("flat"), true);
  check_atomics(everywhere(), false); // eight bytes of scratch do not lie together
}

class ScratchRows : public MemoryRows {
protected:
  enum class Address { vgpr, sgpr, immediate };

  Space scratch(Address kind) {
    const std::string address = kind == Address::vgpr   ? "v2, off"
                                : kind == Address::sgpr ? "off, s4"
                                                        : "off, off";
    return {"scratch",
            address,
            " offset:13",
            false,
            false,
            [this](Wave& wave, u32) {
              wave.flat_scratch = first_piece + 0x4000;
              const bool same = below(2);
              const u32 at = below(100) * 4 + 3;
              for (u32& lane : wave.vgpr[2])
                lane = same ? at : below(400);
              wave.sgpr[4] = below(400);
            },
            [kind](const MemoryState& state, unsigned lane, unsigned n, unsigned) {
              const u32 offset = (kind == Address::vgpr   ? state.v(2, lane)
                                  : kind == Address::sgpr ? state.before.sgpr[4]
                                                          : 0) +
                                 13 + n;
              return state.at(state.before.flat_scratch + u64{offset / 4} * 4 * state.before.lanes +
                              lane * 4 + offset % 4);
            }};
  }
};

TEST_F(ScratchRows, loads) {
  check_loads(scratch(Address::vgpr));
  check_loads(scratch(Address::sgpr));
}
TEST_F(ScratchRows, stores) {
  check_stores(scratch(Address::vgpr));
  check_stores(scratch(Address::sgpr));
}
TEST_F(ScratchRows, an_immediate_alone) {
  // Stores write `off` in the place of both registers.
  check(
      "scratch_load_dword v10, off, off offset:16", [](Wave& wave) { wave.flat_scratch = first_piece; },
      [](MemoryState& state) {
        state.for_each_lane([&](unsigned lane) {
          state.expected.vgpr[10][lane] =
              little_endian(state.at(first_piece + 4 * 4 * state.before.lanes + lane * 4), 4);
        });
      });
}

// Buffer resources of every kind.
struct Resource {
  bool indexed, offset, swizzled, lane_numbers;
  unsigned out_of_bounds;
};

class BufferRows : public MemoryRows {
protected:
  static constexpr u32 stride = 48, immediate = 16;

  Space buffer(const Resource& r) {
    const std::string registers = r.indexed && r.offset ? "v[2:3]" : r.indexed || r.offset ? "v2" : "off";
    return {"buffer",
            registers + ", s[8:11], s12",
            std::string(r.indexed ? " idxen" : "") + (r.offset ? " offen" : "") + " offset:16",
            true,
            true,
            [this, r](Wave& wave, u32 alignment) { prepare(wave, r, alignment); },
            [this, r](const MemoryState& state, unsigned lane, unsigned n, unsigned size) {
              return byte(state, r, lane, n, size);
            }};
  }

  void prepare(Wave& wave, const Resource& r, u32 alignment) {
    const unsigned offset_register = r.indexed ? 3 : 2;
    const bool same = below(2);
    const u32 at = below(6) * 4, range = r.out_of_bounds == 3 && !r.swizzled ? 4000 : 40;
    const u32 before_zero = below(2) ? 0 : immediate; // some offsets are negative without the immediate
    for (unsigned lane = 0; lane < max_lanes; ++lane) {
      if (r.indexed)
        wave.vgpr[2][lane] = below(70);
      if (r.offset)
        wave.vgpr[offset_register][lane] = (same ? at : below(range)) / alignment * alignment - before_zero;
    }
    wave.set_pair(8, first_piece + 0x100);
    wave.sgpr[9] |= stride << 16 | (r.swizzled ? 1u << 31 : 0);
    wave.sgpr[10] = r.out_of_bounds == 3 ? 2998 + below(5) : r.out_of_bounds == 2 ? below(4) : 60;
    const unsigned index_stride = below(4);
    wave.sgpr[11] = index_stride << 21 | (r.lane_numbers ? 1u << 23 : 0) | r.out_of_bounds << 28;
    wave.sgpr[12] = 64;
  }

  // RDNA2 manual, "Buffer addressing" and "Range checking", one byte after the other.
  static u8* byte(const MemoryState& state, const Resource& r, unsigned lane, unsigned n, unsigned size) {
    const u32* s = state.before.sgpr;
    const u64 index = (r.indexed ? state.v(2, lane) : 0) + (r.lane_numbers ? lane : 0);
    const u32 offset = (r.offset ? state.v(r.indexed ? 3 : 2, lane) : 0) + immediate; // modulo 2^32
    const u64 records = s[10], dword = size < 4 ? 0 : n / 4 * 4; // each counts by where it begins
    const auto place = [&](u64 at) {
      if (!r.swizzled)
        return index * stride + at;
      const u64 index_stride = 8u << (s[11] >> 21 & 3);
      return (index / index_stride * stride + at / 4 * 4) * index_stride + index % index_stride * 4 + at % 4;
    };
    bool inside = true;
    switch (r.out_of_bounds) {
    case 0:
      inside = index < records && offset + dword < stride;
      break;
    case 1:
      inside = index < records;
      break;
    case 2:
      inside = records != 0;
      break;
    case 3:
      inside = r.swizzled ? place(offset / 4 * 4) + s[12] < records : place(offset) + s[12] + dword < records;
      break;
    }
    return inside ? state.at(first_piece + 0x100 + s[12] + place(offset + n)) : nullptr;
  }
};

constexpr Resource resources[] = {
    {false, true, false, false, 3},  // raw, by byte
    {false, false, false, false, 3}, // one place for all lanes
    {true, false, false, false, 1},  // structured, by index
    {true, true, false, false, 0},   // and by byte
    {true, true, true, false, 1},    // swizzled
    {false, true, true, true, 2},    // scratch
    {false, false, true, true, 3},   {false, true, false, true, 2},
};

TEST_F(BufferRows, loads) {
  for (const Resource& r : resources)
    check_loads(buffer(r));
}
TEST_F(BufferRows, stores) {
  for (const Resource& r : resources)
    check_stores(buffer(r));
}
TEST_F(BufferRows, atomics) {
  for (const Resource& r : resources)
    if (!r.swizzled)
      check_atomics(buffer(r), true);
}
TEST_F(BufferRows, conditional_subtraction) {
  const Space space = buffer(resources[0]);
  check(
      "buffer_atomic_csub v20, v2, s[8:11], s12 offen offset:16 glc",
      [&](Wave& wave) { space.prepare(wave, 4); },
      [&](MemoryState& state) {
        state.for_each_lane([&](unsigned lane) {
          u8* cell = space.byte(state, lane, 0, 4);
          u32 old = 0;
          if (cell) {
            std::memcpy(&old, cell, 4);
            const u32 next = old < state.v(20, lane) ? 0 : old - state.v(20, lane);
            std::memcpy(cell, &next, 4);
          }
          state.expected.vgpr[20][lane] = old;
        });
      });
}

// What is mapped is resident: a zero behind the data.
TEST_F(BufferRows, loads_with_a_status) {
  const Space space = buffer(resources[0]);
  for (const LoadOperation& op : load_operations) {
    const bool packed = std::string_view(op.suffix).find("d16") != std::string_view::npos;
    if (packed)
      continue;
    check(
        "buffer_load_" + std::string(op.suffix) + " " + vgprs(10, op.registers + 1) +
            ", v2, s[8:11], s12 offen "
            "offset:16 tfe",
        [&](Wave& wave) { space.prepare(wave, 1); },
        [&](MemoryState& state) {
          state.for_each_lane([&](unsigned lane) {
            u8 from[16];
            for (unsigned n = 0; n < op.bytes; ++n) {
              const u8* byte = space.byte(state, lane, n, op.bytes);
              from[n] = byte ? *byte : 0;
            }
            u32 to[4];
            op.convert(from, to);
            for (unsigned i = 0; i < op.registers; ++i)
              state.expected.vgpr[10 + i][lane] = to[i];
            state.expected.vgpr[10 + op.registers][lane] = 0;
          });
        });
  }
}

TEST_F(BufferRows, cache_control_changes_nothing) {
  for (const char* text : {"buffer_gl0_inv", "buffer_gl1_inv"})
    check(
        text, [](Wave&) {}, [](MemoryState&) {});
}

} // namespace
} // namespace emu::isa::test
