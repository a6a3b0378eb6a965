// 16-bit integers. op_sel names the halves; the other half of the destination keeps its value.
#include "valu.hpp"

namespace emu::isa {
namespace EMU_ISA_TARGET {
namespace {

struct Short {
  const u32* row;
  unsigned shift;
  u32 operator[](unsigned i) const { return row[i] >> shift & 0xffff; }
};

Short short_source(const Wave& wave, const Instruction& in, unsigned slot, Row& buffer) {
  return {source_row(wave, in.src[slot], buffer), uses_op_sel(in) && bit_of(in.op_sel, slot) ? 16u : 0u};
}

template <class T>
u32 saturated(i64 value) {
  constexpr i64 least = std::numeric_limits<T>::min(), most = std::numeric_limits<T>::max();
  return static_cast<u32>(value < least ? least : value > most ? most : value);
}

// Op::run gives the exact result; CLAMP saturates it, else its low half counts.
template <class Op, class T>
void binary(Wave& wave, const Instruction& in) {
  Row b0, b1;
  const Short a = short_source(wave, in, 0, b0), b = short_source(wave, in, 1, b1);
  const bool clamp = in.clamp;
  write_half(wave, in, [&](unsigned i) {
    const i64 exact = Op::run(static_cast<T>(a[i]), static_cast<T>(b[i]));
    return clamp ? saturated<T>(exact) : static_cast<u32>(exact);
  });
}

template <class Op, class T>
void ternary(Wave& wave, const Instruction& in) {
  Row b0, b1, b2;
  const Short a = short_source(wave, in, 0, b0), b = short_source(wave, in, 1, b1),
              c = short_source(wave, in, 2, b2);
  const bool clamp = in.clamp;
  write_half(wave, in, [&](unsigned i) {
    const i64 exact = Op::run(static_cast<T>(a[i]), static_cast<T>(b[i]), static_cast<T>(c[i]));
    return clamp ? saturated<T>(exact) : static_cast<u32>(exact);
  });
}

struct Add {
  template <class T>
  static i64 run(T a, T b) {
    return i64{a} + b;
  }
};
struct Sub {
  template <class T>
  static i64 run(T a, T b) {
    return i64{a} - b;
  }
};
struct MulLow { // clamp does not saturate a low product
  template <class T>
  static i64 run(T a, T b) {
    return static_cast<T>(u32{a} * b);
  }
};
struct ShiftLeftRev {
  template <class T>
  static i64 run(T a, T b) {
    return static_cast<T>(u32{b} << (a & 15));
  }
};
struct ShiftRightRev {
  template <class T>
  static i64 run(T a, T b) {
    return b >> (a & 15);
  }
};
struct Min {
  template <class T>
  static i64 run(T a, T b) {
    return a < b ? a : b;
  }
  template <class T>
  static i64 run(T a, T b, T c) {
    return run(static_cast<T>(run(a, b)), c);
  }
};
struct Max {
  template <class T>
  static i64 run(T a, T b) {
    return a > b ? a : b;
  }
  template <class T>
  static i64 run(T a, T b, T c) {
    return run(static_cast<T>(run(a, b)), c);
  }
};
struct Middle {
  template <class T>
  static i64 run(T a, T b, T c) {
    const T least = static_cast<T>(Min::run(a, b)), greatest = static_cast<T>(Max::run(a, b));
    return Max::run(least, static_cast<T>(Min::run(greatest, c)));
  }
};
struct Mad {
  template <class T>
  static i64 run(T a, T b, T c) {
    return i64{a} * b + c;
  }
};

// 16-bit factors, 32-bit addend and result.
template <class T, class Sum>
void mad_32(Wave& wave, const Instruction& in) {
  Row b0, b1, b2;
  const Short a = short_source(wave, in, 0, b0), b = short_source(wave, in, 1, b1);
  const u32* c = source_row(wave, in.src[2], b2);
  const bool clamp = in.clamp;
  write_lanes(wave, in.dst, [&](unsigned i) {
    const i64 exact = i64{static_cast<T>(a[i])} * static_cast<T>(b[i]) + static_cast<Sum>(c[i]);
    return clamp ? saturated<Sum>(exact) : static_cast<u32>(exact);
  });
}

constexpr Type h = Type::b16;
constexpr Type w = Type::b32;
constexpr Type none = Type::none;
constexpr u32 halves = row_op_sel | row_no_modifiers;

constexpr OpcodeRow vop3[] = {
    {0x303, "v_add_nc_u16", binary<Add, u16>, h, h, h, none, halves},
    {0x304, "v_sub_nc_u16", binary<Sub, u16>, h, h, h, none, halves},
    {0x305, "v_mul_lo_u16", binary<MulLow, u16>, h, h, h, none, halves},
    {0x307, "v_lshrrev_b16", binary<ShiftRightRev, u16>, h, h, h, none, halves},
    {0x308, "v_ashrrev_i16", binary<ShiftRightRev, i16>, h, h, h, none, halves},
    {0x309, "v_max_u16", binary<Max, u16>, h, h, h, none, halves},
    {0x30a, "v_max_i16", binary<Max, i16>, h, h, h, none, halves},
    {0x30b, "v_min_u16", binary<Min, u16>, h, h, h, none, halves},
    {0x30c, "v_min_i16", binary<Min, i16>, h, h, h, none, halves},
    {0x30d, "v_add_nc_i16", binary<Add, i16>, h, h, h, none, halves},
    {0x30e, "v_sub_nc_i16", binary<Sub, i16>, h, h, h, none, halves},
    {0x314, "v_lshlrev_b16", binary<ShiftLeftRev, u16>, h, h, h, none, halves},
    {0x340, "v_mad_u16", ternary<Mad, u16>, h, h, h, h, halves},
    {0x352, "v_min3_i16", ternary<Min, i16>, h, h, h, h, halves},
    {0x353, "v_min3_u16", ternary<Min, u16>, h, h, h, h, halves},
    {0x355, "v_max3_i16", ternary<Max, i16>, h, h, h, h, halves},
    {0x356, "v_max3_u16", ternary<Max, u16>, h, h, h, h, halves},
    {0x358, "v_med3_i16", ternary<Middle, i16>, h, h, h, h, halves},
    {0x359, "v_med3_u16", ternary<Middle, u16>, h, h, h, h, halves},
    {0x35e, "v_mad_i16", ternary<Mad, i16>, h, h, h, h, halves},
    {0x373, "v_mad_u32_u16", mad_32<u16, u32>, w, h, h, w, halves},
    {0x375, "v_mad_i32_i16", mad_32<i16, i32>, w, h, h, w, halves},
};

} // namespace

RowSet short_integer_rows() {
  return {{}, {}, {}, vop3, {}};
}

} // namespace EMU_ISA_TARGET
} // namespace emu::isa
