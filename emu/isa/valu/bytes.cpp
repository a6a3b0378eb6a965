// Operations on the bytes of a register: interpolation and sums of absolute differences.
#include "valu.hpp"

namespace emu::isa {
namespace EMU_ISA_TARGET {
namespace {

u32 byte_of(u64 word, unsigned n) {
  return static_cast<u32>(word >> (8 * n)) & 0xff;
}
u32 difference(u32 a, u32 b) {
  return a > b ? a - b : b - a;
}

// (a + b + c's lowest bit) / 2 in each byte.
struct Lerp {
  static u32 run(u32 a, u32 b, u32 c) {
    u32 result = 0;
    for (unsigned n = 0; n < 4; ++n)
      result |= (byte_of(a, n) + byte_of(b, n) + (byte_of(c, n) & 1)) >> 1 << (8 * n);
    return result;
  }
};

struct Sad {
  static u32 run(u32 a, u32 b, u32 c) {
    for (unsigned n = 0; n < 4; ++n)
      c += difference(byte_of(a, n), byte_of(b, n));
    return c;
  }
};
struct SadHigh {
  static u32 run(u32 a, u32 b, u32 c) { return (Sad::run(a, b, 0) << 16) + c; }
};
struct SadShort {
  static u32 run(u32 a, u32 b, u32 c) {
    return difference(a & 0xffff, b & 0xffff) + difference(a >> 16, b >> 16) + c;
  }
};
struct SadWord {
  static u32 run(u32 a, u32 b, u32 c) { return difference(a, b) + c; }
};
// Bytes where the reference, b, is zero do not count.
struct MaskedSad {
  static u32 run(u32 a, u32 b, u32 c) {
    for (unsigned n = 0; n < 4; ++n)
      c += byte_of(b, n) ? difference(byte_of(a, n), byte_of(b, n)) : 0;
    return c;
  }
};

u32 clamped_short(u32 value, bool clamp) {
  return clamp && value > 0xffff ? 0xffff : value & 0xffff;
}

// Four windows of four bytes out of a's eight, a byte apart, against b; sums are added to c's four halves.
template <class Op>
void quad(Wave& wave, const Instruction& in) {
  WideBuffer b0, b2;
  Row b1;
  const Wide a = wide_source(wave, in.src[0], b0), c = wide_source(wave, in.src[2], b2);
  const u32* b = source_row(wave, in.src[1], b1);
  const bool clamp = in.clamp;
  write_wide_lanes(wave, in.dst, [&](unsigned i) {
    u64 result = 0;
    for (unsigned n = 0; n < 4; ++n) {
      const u32 addend = static_cast<u32>(c[i] >> (16 * n)) & 0xffff;
      const u32 sum = Op::run(static_cast<u32>(a[i] >> (8 * n)), b[i], addend);
      result |= u64{clamped_short(sum, clamp)} << (16 * n);
    }
    return result;
  });
}

// As above, with four 32-bit sums.
void v_mqsad_u32_u8(Wave& wave, const Instruction& in) {
  WideBuffer b0;
  Row b1, addends[4], results[4];
  const Wide a = wide_source(wave, in.src[0], b0);
  const u32* b = source_row(wave, in.src[1], b1);
  const u32* c[4];
  for (unsigned n = 0; n < 4; ++n)
    c[n] = in.src[2].is_vector() ? wave.vgpr[in.src[2].index + n] : source_row(wave, in.src[2], addends[n]);
  const bool clamp = in.clamp;
  for (unsigned n = 0; n < 4; ++n)
    for_each_lane(wave, [&](unsigned i) {
      const u32 window = static_cast<u32>(a[i] >> (8 * n));
      const u32 sum = MaskedSad::run(window, b[i], c[n][i]);
      results[n].lane[i] = clamp && sum < c[n][i] ? ~0u : sum;
    });
  for (unsigned n = 0; n < 4; ++n)
    store_row(wave, in.dst.index + n, results[n].lane, wave.exec());
}

// CLAMP saturates the sum, which can only wrap once.
template <class Op>
void sum(Wave& wave, const Instruction& in) {
  Row b0, b1, b2;
  const u32* a = source_row(wave, in.src[0], b0);
  const u32* b = source_row(wave, in.src[1], b1);
  const u32* c = source_row(wave, in.src[2], b2);
  const bool clamp = in.clamp;
  write_lanes(wave, in.dst, [&](unsigned i) {
    const u32 result = Op::run(a[i], b[i], c[i]);
    return clamp && result < c[i] ? ~0u : result;
  });
}

constexpr Type w = Type::b32;
constexpr Type wide = Type::b64;

constexpr OpcodeRow vop3[] = {
    {0x14d, "v_lerp_u8", int_ternary<Lerp>, w, w, w, w},
    {0x15a, "v_sad_u8", sum<Sad>, w, w, w, w},
    {0x15b, "v_sad_hi_u8", sum<SadHigh>, w, w, w, w},
    {0x15c, "v_sad_u16", sum<SadShort>, w, w, w, w},
    {0x15d, "v_sad_u32", sum<SadWord>, w, w, w, w},
    {0x171, "v_msad_u8", sum<MaskedSad>, w, w, w, w},
    {0x172, "v_qsad_pk_u16_u8", quad<Sad>, wide, wide, w, wide},
    {0x173, "v_mqsad_pk_u16_u8", quad<MaskedSad>, wide, wide, w, wide},
    {0x175, "v_mqsad_u32_u8", v_mqsad_u32_u8, Type::b128, wide, w, Type::b128},
};

} // namespace

RowSet byte_rows() {
  return {{}, {}, {}, vop3, {}};
}

} // namespace EMU_ISA_TARGET
} // namespace emu::isa
