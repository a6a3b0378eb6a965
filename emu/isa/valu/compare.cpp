// Comparisons: a bit per lane, into VCC, an SGPR pair or (v_cmpx) EXEC. Inactive lanes give 0.
#include "valu.hpp"

namespace emu::isa {
namespace EMU_ISA_TARGET {
namespace {

// The opcode's low bits say which of the three outcomes less, equal, greater make it true; floats have a
// fourth, unordered.
constexpr unsigned less = 1, equal = 2, greater = 4, unordered = 8;

template <unsigned outcomes, class T>
bool holds(T a, T b) {
  if constexpr (outcomes == (less | equal | greater | unordered))
    return true;
  else
    return ((outcomes & less) && a < b) || ((outcomes & equal) && a == b) ||
           ((outcomes & greater) && a > b) || ((outcomes & unordered) && (a != a || b != b));
}

template <unsigned outcomes>
void f32(Wave& wave, const Instruction& in) {
  Row b0, b1;
  const u32* a = f32_source(wave, in, 0, b0);
  const u32* b = f32_source(wave, in, 1, b1);
  wave.write_mask(
      in.dst, lanes_where(wave, [&](unsigned i) { return holds<outcomes>(as_float(a[i]), as_float(b[i])); }));
}

template <unsigned outcomes>
void f64(Wave& wave, const Instruction& in) {
  WideBuffer b0, b1;
  const WideFloat a = f64_source(wave, in, 0, b0);
  const WideFloat b = f64_source(wave, in, 1, b1);
  wave.write_mask(in.dst, lanes_where(wave, [&](unsigned i) { return holds<outcomes>(a[i], b[i]); }));
}

template <unsigned outcomes>
void f16(Wave& wave, const Instruction& in) {
  Row b0, b1;
  const Half a = f16_source(wave, in, 0, b0);
  const Half b = f16_source(wave, in, 1, b1);
  wave.write_mask(in.dst, lanes_where(wave, [&](unsigned i) { return holds<outcomes>(a[i], b[i]); }));
}

template <class T, unsigned outcomes>
void integer(Wave& wave, const Instruction& in) {
  if constexpr (sizeof(T) == 8) {
    WideBuffer b0, b1;
    const Wide a = wide_source(wave, in.src[0], b0);
    const Wide b = wide_source(wave, in.src[1], b1);
    wave.write_mask(in.dst, lanes_where(wave, [&](unsigned i) {
                      return holds<outcomes>(static_cast<T>(a[i]), static_cast<T>(b[i]));
                    }));
  } else {
    Row b0, b1;
    const u32* a = source_row(wave, in.src[0], b0);
    const u32* b = source_row(wave, in.src[1], b1);
    const unsigned a_shift = uses_op_sel(in) && bit_of(in.op_sel, 0) ? 16 : 0;
    const unsigned b_shift = uses_op_sel(in) && bit_of(in.op_sel, 1) ? 16 : 0;
    wave.write_mask(in.dst, lanes_where(wave, [&](unsigned i) {
                      return holds<outcomes>(static_cast<T>(a[i] >> a_shift),
                                             static_cast<T>(b[i] >> b_shift));
                    }));
  }
}

// --- v_cmp_class: the second source's ten bits name classes.

template <class Bits, int mantissa_bits>
unsigned class_of(Bits bits) {
  constexpr Bits sign = Bits{1} << (sizeof(Bits) * 8 - 1);
  constexpr Bits mantissa = (Bits{1} << mantissa_bits) - 1;
  constexpr Bits exponent = static_cast<Bits>(~sign & ~mantissa);
  const bool negative = bits & sign;
  if ((bits & exponent) == exponent) {
    if (bits & mantissa)
      return bits & (Bits{1} << (mantissa_bits - 1)) ? 1 : 0; // quiet : signalling
    return negative ? 2 : 9;
  }
  if ((bits & exponent) == 0)
    return bits & mantissa ? (negative ? 4 : 7) : (negative ? 5 : 6);
  return negative ? 3 : 8;
}

void class_f32(Wave& wave, const Instruction& in) {
  Row b0, b1, modified;
  const u32* a = modified_f32(source_row(wave, in.src[0], b0), bit_of(in.abs, 0), bit_of(in.neg, 0), false,
                              wave.lanes, modified);
  const u32* b = source_row(wave, in.src[1], b1);
  wave.write_mask(in.dst, lanes_where(wave, [&](unsigned i) { return b[i] >> class_of<u32, 23>(a[i]) & 1; }));
}

void class_f64(Wave& wave, const Instruction& in) {
  WideBuffer b0;
  Row b1;
  WideFloat a = f64_source(wave, in, 0, b0);
  a.denormal = ~u64{0};
  const u32* b = source_row(wave, in.src[1], b1);
  wave.write_mask(in.dst,
                  lanes_where(wave, [&](unsigned i) { return b[i] >> class_of<u64, 52>(a.bits(i)) & 1; }));
}

void class_f16(Wave& wave, const Instruction& in) {
  Row b0, b1;
  Half a = f16_source(wave, in, 0, b0);
  a.denormal = ~0u;
  const u32* b = source_row(wave, in.src[1], b1);
  wave.write_mask(in.dst, lanes_where(wave, [&](unsigned i) {
                    return b[i] >> class_of<u16, 10>(static_cast<u16>(a.bits(i))) & 1;
                  }));
}

constexpr Type single = Type::b32;
constexpr Type wide = Type::b64;
constexpr Type f64_type = Type::f64;
constexpr Type half = Type::b16;
constexpr Type mask = Type::mask;
constexpr u32 exec = row_writes_exec;
constexpr u32 no_sub = row_no_sdwa | row_no_dpp; // 64-bit operations have neither form
constexpr u32 all = less | equal | greater | unordered;

// The sixteen float comparisons in opcode order are the sixteen subsets of the outcomes, in two halves for
// f16.
#define FLOAT_LOW(base, handler, type, size, x, flags)                                                       \
  {base + 0x0, "v_cmp" x "_f_" size, handler<0>, mask, type, type, Type::none, flags},                       \
      {base + 0x1, "v_cmp" x "_lt_" size, handler<less>, mask, type, type, Type::none, flags},               \
      {base + 0x2, "v_cmp" x "_eq_" size, handler<equal>, mask, type, type, Type::none, flags},              \
      {base + 0x3, "v_cmp" x "_le_" size, handler<less | equal>, mask, type, type, Type::none, flags},       \
      {base + 0x4, "v_cmp" x "_gt_" size, handler<greater>, mask, type, type, Type::none, flags},            \
      {base + 0x5, "v_cmp" x "_lg_" size, handler<less | greater>, mask, type, type, Type::none, flags},     \
      {base + 0x6, "v_cmp" x "_ge_" size, handler<greater | equal>, mask, type, type, Type::none, flags}, {  \
    base + 0x7, "v_cmp" x "_o_" size, handler<less | equal | greater>, mask, type, type, Type::none, flags   \
  }
#define FLOAT_HIGH(base, handler, type, size, x, flags)                                                        \
  {base + 0x0, "v_cmp" x "_u_" size, handler<unordered>, mask, type, type, Type::none, flags},                 \
      {base + 0x1, "v_cmp" x "_nge_" size, handler<less | unordered>, mask, type, type, Type::none, flags},    \
      {base + 0x2, "v_cmp" x "_nlg_" size, handler<equal | unordered>, mask, type, type, Type::none, flags},   \
      {base + 0x3, "v_cmp" x "_ngt_" size, handler<less | equal | unordered>, mask, type, type, Type::none,    \
       flags},                                                                                                 \
      {base + 0x4, "v_cmp" x "_nle_" size, handler<greater | unordered>, mask, type, type, Type::none, flags}, \
      {base + 0x5, "v_cmp" x "_neq_" size, handler<less | greater | unordered>, mask, type, type, Type::none,  \
       flags},                                                                                                 \
      {base + 0x6, "v_cmp" x "_nlt_" size, handler<greater | equal | unordered>, mask, type, type, Type::none, \
       flags},                                                                                                 \
  {                                                                                                            \
    base + 0x7, "v_cmp" x "_tru_" size, handler<all>, mask, type, type, Type::none, flags                      \
  }

// lt, eq, le, gt, ne, ge; 32 and 64 bits have f before them and t behind.
#define INTEGER_SIX(base, T, type, size, x, flags)                                                           \
  {base + 0x1, "v_cmp" x "_lt_" size, integer<T, less>, mask, type, type, Type::none, flags},                \
      {base + 0x2, "v_cmp" x "_eq_" size, integer<T, equal>, mask, type, type, Type::none, flags},           \
      {base + 0x3, "v_cmp" x "_le_" size, integer<T, less | equal>, mask, type, type, Type::none, flags},    \
      {base + 0x4, "v_cmp" x "_gt_" size, integer<T, greater>, mask, type, type, Type::none, flags},         \
      {base + 0x5, "v_cmp" x "_ne_" size, integer<T, less | greater>, mask, type, type, Type::none, flags},  \
  {                                                                                                          \
    base + 0x6, "v_cmp" x "_ge_" size, integer<T, greater | equal>, mask, type, type, Type::none, flags      \
  }
#define INTEGER_EIGHT(base, T, type, size, x, flags)                                                         \
  {base + 0x0, "v_cmp" x "_f_" size, integer<T, 0>, mask, type, type, Type::none, flags},                    \
      INTEGER_SIX(base, T, type, size, x, flags), {                                                          \
    base + 0x7, "v_cmp" x "_t_" size, integer<T, all>, mask, type, type, Type::none, flags                   \
  }

constexpr OpcodeRow vopc[] = {
    FLOAT_LOW(0x00, f32, single, "f32", "", row_plain),
    FLOAT_HIGH(0x08, f32, single, "f32", "", row_plain),
    FLOAT_LOW(0x10, f32, single, "f32", "x", exec),
    FLOAT_HIGH(0x18, f32, single, "f32", "x", exec),
    FLOAT_LOW(0x20, f64, f64_type, "f64", "", no_sub),
    FLOAT_HIGH(0x28, f64, f64_type, "f64", "", no_sub),
    FLOAT_LOW(0x30, f64, f64_type, "f64", "x", exec | no_sub),
    FLOAT_HIGH(0x38, f64, f64_type, "f64", "x", exec | no_sub),
    INTEGER_EIGHT(0x80, i32, single, "i32", "", row_plain),
    {0x88, "v_cmp_class_f32", class_f32, mask, single, single},
    INTEGER_SIX(0x88, i16, half, "i16", "", row_op_sel),
    {0x8f, "v_cmp_class_f16", class_f16, mask, half, half},
    INTEGER_EIGHT(0x90, i32, single, "i32", "x", exec),
    {0x98, "v_cmpx_class_f32", class_f32, mask, single, single, Type::none, exec},
    INTEGER_SIX(0x98, i16, half, "i16", "x", exec | row_op_sel),
    {0x9f, "v_cmpx_class_f16", class_f16, mask, half, half, Type::none, exec},
    INTEGER_EIGHT(0xa0, i64, wide, "i64", "", no_sub),
    {0xa8, "v_cmp_class_f64", class_f64, mask, f64_type, single, Type::none, no_sub},
    INTEGER_SIX(0xa8, u16, half, "u16", "", row_op_sel),
    INTEGER_EIGHT(0xb0, i64, wide, "i64", "x", exec | no_sub),
    {0xb8, "v_cmpx_class_f64", class_f64, mask, f64_type, single, Type::none, exec | no_sub},
    INTEGER_SIX(0xb8, u16, half, "u16", "x", exec | row_op_sel),
    INTEGER_EIGHT(0xc0, u32, single, "u32", "", row_plain),
    FLOAT_LOW(0xc8, f16, half, "f16", "", row_op_sel),
    INTEGER_EIGHT(0xd0, u32, single, "u32", "x", exec),
    FLOAT_LOW(0xd8, f16, half, "f16", "x", exec | row_op_sel),
    INTEGER_EIGHT(0xe0, u64, wide, "u64", "", no_sub),
    FLOAT_HIGH(0xe8, f16, half, "f16", "", row_op_sel),
    INTEGER_EIGHT(0xf0, u64, wide, "u64", "x", exec | no_sub),
    FLOAT_HIGH(0xf8, f16, half, "f16", "x", exec | row_op_sel),
};

} // namespace

RowSet compare_rows() {
  return {{}, {}, vopc, {}, {}};
}

} // namespace EMU_ISA_TARGET
} // namespace emu::isa
