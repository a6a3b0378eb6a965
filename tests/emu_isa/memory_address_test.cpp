// Where the sums that make up an address wrap, and where they do not.
#include "memory_fixture.hpp"

namespace emu::isa::test {
namespace {

using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i64 = std::int64_t;

class MemoryAddress : public MemoryInstruction {
protected:
  // Lane 0 meets a page fault at the address that is expected: alone, and among lanes that lie elsewhere.
  void check_fault(const std::string& text, const std::function<void(Wave&)>& prepare,
                   const std::function<u64(const Wave&)>& address) {
    SCOPED_TRACE(text);
    const Instruction in = decoded(text);
    for (const bool wave64 : {false, true})
      for (const u64 exec : {u64{1}, u64{3}}) {
        Wave& wave = *before_;
        randomise(wave);
        wave.wave64 = wave64;
        wave.lanes = wave64 ? 64 : 32;
        wave.set_pair(exec_lo, exec);
        wave.flat_scratch = first_piece;
        wave.vgpr[2][1] = static_cast<u32>(first_piece);
        wave.vgpr[3][1] = static_cast<u32>(first_piece >> 32);
        prepare(wave);
        group_.fault = Fault{};
        in.handler(wave, in);
        EXPECT_EQ(group_.fault.kind, FaultKind::page_fault) << wave.lanes << " lanes, exec " << exec;
        EXPECT_EQ(group_.fault.page.address, address(wave)) << wave.lanes << " lanes, exec " << exec;
      }
  }

  static u64 scratch_address(const Wave& wave, i64 offset) {
    return wave.flat_scratch + static_cast<u64>(offset / 4 * 4 * i64{wave.lanes});
  }
};

TEST_F(MemoryAddress, flat_instructions_choose_the_segment_without_the_immediate) {
  for (const u64 aperture : {group_.shared_aperture, group_.private_aperture})
    for (const char* text :
         {"flat_load_dword v10, v[2:3] offset:12", "flat_store_dword v[2:3], v10 offset:12",
          "flat_atomic_add v10, v[2:3], v11 offset:12 glc"})
      check_fault(
          text,
          [&](Wave& wave) {
            wave.vgpr[2][0] = static_cast<u32>(aperture - 8);
            wave.vgpr[3][0] = static_cast<u32>((aperture - 8) >> 32);
          },
          [&](const Wave&) { return aperture + 4; });
}

TEST_F(MemoryAddress, flat_offsets_do_not_wrap_within_a_segment) {
  const auto end_of = [](u64 aperture) {
    return [aperture](Wave& wave) {
      for (unsigned lane = 0; lane < max_lanes; ++lane) {
        wave.vgpr[2][lane] = 0xfffffff8;
        wave.vgpr[3][lane] = static_cast<u32>(aperture >> 32);
      }
    };
  };
  check("flat_load_dword v10, v[2:3] offset:12", end_of(group_.shared_aperture), [](MemoryState& state) {
    state.for_each_lane([&](unsigned lane) { state.expected.vgpr[10][lane] = 0; });
  });
  check("flat_store_dword v[2:3], v10 offset:12", end_of(group_.shared_aperture), [](MemoryState&) {});
  check_fault("flat_load_dword v10, v[2:3] offset:12", end_of(group_.private_aperture),
              [](const Wave& wave) { return scratch_address(wave, (i64{1} << 32) + 4); });
}

TEST_F(MemoryAddress, scratch_registers_are_unsigned) {
  const auto negative = [](Wave& wave) { wave.vgpr[2][0] = wave.vgpr[2][1] = wave.sgpr[4] = 0xfffffff8; };
  const auto beyond = [](const Wave& wave) { return scratch_address(wave, (i64{1} << 32) + 8); };
  for (const char* text :
       {"scratch_load_dword v10, v2, off offset:16", "scratch_load_dword v10, off, s4 offset:16",
        "scratch_store_dword v2, v10, off offset:16", "scratch_load_ubyte v10, v2, off offset:16"})
    check_fault(text, negative, beyond);
}

TEST_F(MemoryAddress, scratch_immediates_are_signed) {
  for (const bool same : {false, true})
    check(
        "scratch_load_dword v10, v2, off offset:-24",
        [&](Wave& wave) {
          wave.flat_scratch = first_piece;
          const u32 at = 24 + below(100) * 4;
          for (u32& lane : wave.vgpr[2])
            lane = same ? at : 24 + below(100) * 4;
        },
        [](MemoryState& state) {
          state.for_each_lane([&](unsigned lane) {
            const u64 row = scratch_address(state.before, state.v(2, lane) - 24);
            state.expected.vgpr[10][lane] = little_endian(state.at(row + lane * 4), 4);
          });
        });
  check_fault(
      "scratch_load_dword v10, v2, off offset:-24", [](Wave& wave) { wave.vgpr[2][0] = wave.vgpr[2][1] = 8; },
      [](const Wave& wave) { return scratch_address(wave, -16); });
}

TEST_F(MemoryAddress, global_registers_behind_a_scalar_base_are_unsigned) {
  check(
      "global_load_dword v10, v2, s[4:5] offset:-8",
      [this](Wave& wave) {
        const bool same = below(2);
        for (u32& lane : wave.vgpr[2])
          lane = 0xfffff000 + (same ? 16 : below(100) * 4);
        wave.set_pair(4, first_piece - 0xfffff000 + 64);
      },
      [](MemoryState& state) {
        state.for_each_lane([&](unsigned lane) {
          const u64 address = first_piece + 64 + (state.v(2, lane) - 0xfffff000) - 8;
          state.expected.vgpr[10][lane] = little_endian(state.at(address), 4);
        });
      });
}

// The register and the immediate are added modulo 2^32, and what SOFFSET adds comes behind that.
TEST_F(MemoryAddress, scalar_offsets_of_buffers_are_outside_of_the_sum_that_wraps) {
  const auto buffer = [](u32 word1, u32 word3) {
    return [=](Wave& wave) {
      wave.vgpr[2][0] = 0xfffffff8;
      wave.vgpr[2][1] = 16;
      wave.set_pair(8, first_piece);
      wave.sgpr[9] |= word1;
      wave.sgpr[10] = ~0u;
      wave.sgpr[11] = word3;
      wave.sgpr[12] = 16;
    };
  };
  check_fault("buffer_load_dword v10, v2, s[8:11], s12 offen", buffer(0, 2u << 28),
              [](const Wave&) { return first_piece + 0xfffffff8 + 16; });
  constexpr u32 swizzle = 1u << 31, scratch = 2u << 28 | 1u << 23;
  check_fault("buffer_load_dword v10, v2, s[8:11], s12 offen", buffer(swizzle, scratch | 2u << 21),
              [](const Wave&) { return first_piece + u64{0xfffffff8} * 32 + 16; });
}

TEST_F(MemoryAddress, lanes_whose_place_in_lds_is_beyond_the_allocation_read_nothing) {
  const auto prepare = [](Wave& wave) {
    for (unsigned lane = 0; lane < max_lanes; ++lane)
      wave.vgpr[2][lane] = lane < 3 ? lane * 4 : 0x40000000; // nothing is mapped there
    wave.set_pair(4, first_piece);
    wave.set_pair(8, first_piece);
    wave.sgpr[10] = ~0u;
    constexpr u32 buf_fmt_32_uint = 20;
    wave.sgpr[11] = 2u << 28 | buf_fmt_32_uint << 12 | 4;
    wave.sgpr[m0_register] = lds_size - 12;
  };
  for (const char* text : {"global_load_dword v2, s[4:5] lds", "buffer_load_dword v2, s[8:11], 0 offen lds",
                           "buffer_load_format_x v2, s[8:11], 0 offen lds"})
    check(text, prepare, [](MemoryState& state) {
      state.for_each_lane([&](unsigned lane) {
        if (lane < 3)
          std::memcpy(&state.bytes.lds[lds_size - 12 + lane * 4], state.at(first_piece + lane * 4), 4);
      });
    });
}

} // namespace
} // namespace emu::isa::test
