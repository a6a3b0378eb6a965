// Sums of absolute differences and averages of bytes and words.
#include "valu.hpp"

namespace emu::isa {
namespace EMU_ISA_TARGET {
namespace {

u32 byte_of(u64 value, unsigned index) {
  return static_cast<u32>(value >> (8 * index)) & 0xff;
}
u32 difference(u32 a, u32 b) {
  return a > b ? a - b : b - a;
}

// Sum over four bytes; with `masked`, bytes whose reference is zero do not count.
u32 sad_bytes(u32 a, u32 reference, bool masked) {
  u32 sum = 0;
  for (unsigned i = 0; i < 4; ++i)
    if (!masked || byte_of(reference, i) != 0)
      sum += difference(byte_of(a, i), byte_of(reference, i));
  return sum;
}

struct LerpU8 {
  static u32 run(u32 a, u32 b, u32 c) {
    u32 result = 0;
    for (unsigned i = 0; i < 4; ++i)
      result |= ((byte_of(a, i) + byte_of(b, i) + (byte_of(c, i) & 1)) >> 1) << (8 * i);
    return result;
  }
};

template <class Sum>
void accumulate(Wave& wave, const Instruction& in, Sum&& sum) {
  Row b0, b1, b2;
  const u32* a = source_row(wave, in.src[0], b0);
  const u32* b = source_row(wave, in.src[1], b1);
  const u32* c = source_row(wave, in.src[2], b2);
  const bool clamp = in.clamp;
  write_lanes(wave, in.dst, [&](unsigned i) {
    const u64 exact = u64{c[i]} + sum(a[i], b[i]);
    return clamp && exact > 0xffffffff ? ~0u : static_cast<u32>(exact);
  });
}

void v_sad_u8(Wave& wave, const Instruction& in) {
  accumulate(wave, in, [](u32 a, u32 b) { return u64{sad_bytes(a, b, false)}; });
}
void v_msad_u8(Wave& wave, const Instruction& in) {
  accumulate(wave, in, [](u32 a, u32 b) { return u64{sad_bytes(a, b, true)}; });
}
void v_sad_hi_u8(Wave& wave, const Instruction& in) {
  accumulate(wave, in, [](u32 a, u32 b) { return u64{sad_bytes(a, b, false)} << 16; });
}
void v_sad_u16(Wave& wave, const Instruction& in) {
  accumulate(wave, in, [](u32 a, u32 b) {
    return u64{difference(a & 0xffff, b & 0xffff)} + difference(a >> 16, b >> 16);
  });
}
void v_sad_u32(Wave& wave, const Instruction& in) {
  accumulate(wave, in, [](u32 a, u32 b) { return u64{difference(a, b)}; });
}

// Four sums at the four byte positions of a 64-bit source, each added to 16 bits of the third operand.
template <bool masked>
void quad_sad_u16(Wave& wave, const Instruction& in) {
  WideBuffer b0, b2;
  Row b1;
  const Wide a = wide_source(wave, in.src[0], b0);
  const u32* reference = source_row(wave, in.src[1], b1);
  const Wide c = wide_source(wave, in.src[2], b2);
  const bool clamp = in.clamp;
  write_wide_lanes(wave, in.dst, [&](unsigned i) {
    u64 result = 0;
    for (unsigned position = 0; position < 4; ++position) {
      const u32 window = static_cast<u32>(a[i] >> (8 * position));
      const u32 exact =
          sad_bytes(window, reference[i], masked) + (static_cast<u32>(c[i] >> (16 * position)) & 0xffff);
      const u32 sum = clamp && exact > 0xffff ? 0xffff : exact & 0xffff;
      result |= u64{sum} << (16 * position);
    }
    return result;
  });
}

// The same with 32-bit sums in four registers.
void v_mqsad_u32_u8(Wave& wave, const Instruction& in) {
  WideBuffer b0;
  Row b1, b2[4], result[4];
  const Wide a = wide_source(wave, in.src[0], b0);
  const u32* reference = source_row(wave, in.src[1], b1);
  const u32* c[4];
  for (unsigned k = 0; k < 4; ++k) {
    Operand word = in.src[2];
    if (word.is_constant() || word.kind == OperandKind::special) {
      c[k] = source_row(wave, word, b2[k], k ? 1 : 0);
      continue;
    }
    word.index = static_cast<u16>(word.index + k);
    c[k] = source_row(wave, word, b2[k]);
  }
  for_each_lane(wave, [&](unsigned i) {
    for (unsigned k = 0; k < 4; ++k) {
      const u64 exact = u64{c[k][i]} + sad_bytes(static_cast<u32>(a[i] >> (8 * k)), reference[i], true);
      result[k].lane[i] = in.clamp && exact > 0xffffffff ? ~0u : static_cast<u32>(exact);
    }
  });
  for (unsigned k = 0; k < 4; ++k)
    store_row(wave, in.dst.index + k, result[k].lane, wave.exec());
}

constexpr Type t = Type::b32;
constexpr Type w = Type::b64;

constexpr OpcodeRow vop3[] = {
    {0x14d, "v_lerp_u8", int_ternary<LerpU8>, t, t, t, t},
    {0x15a, "v_sad_u8", v_sad_u8, t, t, t, t},
    {0x15b, "v_sad_hi_u8", v_sad_hi_u8, t, t, t, t},
    {0x15c, "v_sad_u16", v_sad_u16, t, t, t, t},
    {0x15d, "v_sad_u32", v_sad_u32, t, t, t, t},
    {0x171, "v_msad_u8", v_msad_u8, t, t, t, t},
    {0x172, "v_qsad_pk_u16_u8", quad_sad_u16<false>, w, w, t, w},
    {0x173, "v_mqsad_pk_u16_u8", quad_sad_u16<true>, w, w, t, w},
    {0x175, "v_mqsad_u32_u8", v_mqsad_u32_u8, Type::b128, w, t, Type::b128},
};

} // namespace

RowSet byte_rows() {
  return {{}, {}, {}, vop3, {}};
}

} // namespace EMU_ISA_TARGET
} // namespace emu::isa
