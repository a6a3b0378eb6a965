// Scalar operations with one source.
#include <bit>

#include "group.hpp"
#include "tables.hpp"
#include "wave.hpp"

namespace emu::isa {

namespace {

using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i32 = std::int32_t;
using i64 = std::int64_t;

enum class Scc { keep, nonzero };

template <auto F, Scc scc = Scc::keep>
void unary32(Wave& wave, const Instruction& in) {
  const u32 result = F(wave.read_scalar(in.src[0]));
  wave.write_scalar(in.dst, result);
  if constexpr (scc == Scc::nonzero)
    wave.scc = result != 0;
}
template <auto F, Scc scc = Scc::keep>
void unary64(Wave& wave, const Instruction& in) {
  const u64 result = F(wave.read_scalar64(in.src[0]));
  wave.write_scalar64(in.dst, result);
  if constexpr (scc == Scc::nonzero)
    wave.scc = result != 0;
}
// D.u32 = F(S0.u64)
template <auto F, Scc scc = Scc::keep>
void narrow64(Wave& wave, const Instruction& in) {
  const u32 result = static_cast<u32>(F(wave.read_scalar64(in.src[0])));
  wave.write_scalar(in.dst, result);
  if constexpr (scc == Scc::nonzero)
    wave.scc = result != 0;
}

constexpr auto copy = [](auto a) { return a; };
constexpr auto complement = [](auto a) { return ~a; };

// Every lane of a quad is on where one of its four bits is.
constexpr auto wqm = [](auto a) {
  using T = decltype(a);
  constexpr auto ones = static_cast<T>(0x1111111111111111ull);
  return static_cast<T>(((a | a >> 1 | a >> 2 | a >> 3) & ones) * 15);
};
constexpr auto quadmask = [](auto a) {
  using T = decltype(a);
  T result = 0;
  for (unsigned quad = 0; quad < sizeof(T) * 2; ++quad)
    result |= static_cast<T>((a >> quad * 4 & 15) != 0) << quad;
  return result;
};
constexpr auto reverse = [](auto a) {
  using T = decltype(a);
  T result = 0;
  for (unsigned i = 0; i < sizeof(T) * 8; ++i)
    result |= (a >> i & 1) << (sizeof(T) * 8 - 1 - i);
  return result;
};
constexpr auto count_zeros = [](auto a) {
  return static_cast<u32>(std::popcount(static_cast<decltype(a)>(~a)));
};
constexpr auto count_ones = [](auto a) { return static_cast<u32>(std::popcount(a)); };
constexpr auto find_one = [](auto a) { return a ? static_cast<u32>(std::countr_zero(a)) : ~0u; };
constexpr auto find_zero = [](auto a) {
  const auto inverse = static_cast<decltype(a)>(~a);
  return inverse ? static_cast<u32>(std::countr_zero(inverse)) : ~0u;
};
constexpr auto first_bit_high = [](auto a) { return a ? static_cast<u32>(std::countl_zero(a)) : ~0u; };
// How many bits from the top equal the sign; all ones where every bit does.
constexpr auto first_bit_opposite = [](auto a) {
  using T = decltype(a);
  const T difference = a >> (sizeof(T) * 8 - 1) ? static_cast<T>(~a) : a;
  return difference ? static_cast<u32>(std::countl_zero(difference)) : ~0u;
};
constexpr auto sext8 = [](u32 a) { return static_cast<u32>(i32{static_cast<std::int8_t>(a)}); };
constexpr auto sext16 = [](u32 a) { return static_cast<u32>(i32{static_cast<std::int16_t>(a)}); };
constexpr auto absolute = [](u32 a) { return static_cast<i32>(a) < 0 ? 0 - a : a; };

void s_cmov_b32(Wave& wave, const Instruction& in) {
  if (wave.scc)
    wave.write_scalar(in.dst, wave.read_scalar(in.src[0]));
}
void s_cmov_b64(Wave& wave, const Instruction& in) {
  if (wave.scc)
    wave.write_scalar64(in.dst, wave.read_scalar64(in.src[0]));
}

template <bool value>
void s_bitset_b32(Wave& wave, const Instruction& in) {
  const u32 bit = 1u << (wave.read_scalar(in.src[0]) & 31);
  const u32 old = wave.read_scalar(in.dst);
  wave.write_scalar(in.dst, value ? old | bit : old & ~bit);
}
template <bool value>
void s_bitset_b64(Wave& wave, const Instruction& in) {
  const u64 bit = u64{1} << (wave.read_scalar(in.src[0]) & 63);
  const u64 old = wave.read_scalar64(in.dst);
  wave.write_scalar64(in.dst, value ? old | bit : old & ~bit);
}

void s_bitreplicate_b64_b32(Wave& wave, const Instruction& in) {
  const u32 value = wave.read_scalar(in.src[0]);
  u64 result = 0;
  for (unsigned i = 0; i < 32; ++i)
    result |= u64{value >> i & 1} * 3 << i * 2;
  wave.write_scalar64(in.dst, result);
}

void s_getpc_b64(Wave& wave, const Instruction& in) {
  wave.write_scalar64(in.dst, wave.pc);
}
void s_setpc_b64(Wave& wave, const Instruction& in) {
  wave.pc = wave.read_scalar64(in.src[0]) & ~u64{3};
}
void s_swappc_b64(Wave& wave, const Instruction& in) {
  const u64 target = wave.read_scalar64(in.src[0]) & ~u64{3};
  wave.write_scalar64(in.dst, wave.pc);
  wave.pc = target;
}

// D = EXEC; EXEC = F(S0, EXEC); SCC = EXEC != 0
template <auto F>
void saveexec_b64(Wave& wave, const Instruction& in) {
  const u64 exec = wave.pair(exec_lo);
  const u64 result = F(wave.read_scalar64(in.src[0]), exec);
  wave.write_scalar64(in.dst, exec);
  wave.set_pair(exec_lo, result);
  wave.scc = result != 0;
}
template <auto F>
void saveexec_b32(Wave& wave, const Instruction& in) {
  const u32 exec = wave.sgpr[exec_lo];
  const u32 result = F(wave.read_scalar(in.src[0]), exec);
  wave.write_scalar(in.dst, exec);
  wave.sgpr[exec_lo] = result;
  wave.scc = result != 0;
}
// EXEC = D = F(S0, EXEC)
template <auto F>
void wrexec_b64(Wave& wave, const Instruction& in) {
  const u64 result = F(wave.read_scalar64(in.src[0]), wave.pair(exec_lo));
  wave.write_scalar64(in.dst, result);
  wave.set_pair(exec_lo, result);
  wave.scc = result != 0;
}
template <auto F>
void wrexec_b32(Wave& wave, const Instruction& in) {
  const u32 result = F(wave.read_scalar(in.src[0]), wave.sgpr[exec_lo]);
  wave.write_scalar(in.dst, result);
  wave.sgpr[exec_lo] = result;
  wave.scc = result != 0;
}

constexpr auto op_and = [](auto s, auto e) { return s & e; };
constexpr auto op_or = [](auto s, auto e) { return s | e; };
constexpr auto op_xor = [](auto s, auto e) { return s ^ e; };
constexpr auto op_andn1 = [](auto s, auto e) { return ~s & e; };
constexpr auto op_andn2 = [](auto s, auto e) { return s & ~e; };
constexpr auto op_orn1 = [](auto s, auto e) { return ~s | e; };
constexpr auto op_orn2 = [](auto s, auto e) { return s | ~e; };
constexpr auto op_nand = [](auto s, auto e) { return ~(s & e); };
constexpr auto op_nor = [](auto s, auto e) { return ~(s | e); };
constexpr auto op_xnor = [](auto s, auto e) { return ~(s ^ e); };

// A register number moved by M0; leaving the register file is an error of the program.
bool relative(Wave& wave, unsigned index, u32 offset, unsigned count, unsigned& result) {
  const u64 moved = u64{index} + offset;
  if (moved + count > vcc_lo + 2) {
    wave.raise_illegal("a relative SGPR index leaves the register file");
    return false;
  }
  result = static_cast<unsigned>(moved);
  return true;
}

void s_movrels_b32(Wave& wave, const Instruction& in) {
  unsigned from;
  if (relative(wave, in.src[0].index, wave.m0(), 1, from))
    wave.write_scalar(in.dst, wave.sgpr[from]);
}
void s_movrels_b64(Wave& wave, const Instruction& in) {
  unsigned from;
  if (relative(wave, in.src[0].index, wave.m0(), 2, from))
    wave.write_scalar64(in.dst, wave.pair(from));
}
void s_movreld_b32(Wave& wave, const Instruction& in) {
  unsigned to;
  if (relative(wave, in.dst.index, wave.m0(), 1, to))
    wave.sgpr[to] = wave.read_scalar(in.src[0]);
}
void s_movreld_b64(Wave& wave, const Instruction& in) {
  unsigned to;
  if (relative(wave, in.dst.index, wave.m0(), 2, to))
    wave.set_pair(to, wave.read_scalar64(in.src[0]));
}
void s_movrelsd_2_b32(Wave& wave, const Instruction& in) {
  unsigned from, to;
  if (relative(wave, in.src[0].index, wave.m0() & 0x3ff, 1, from) &&
      relative(wave, in.dst.index, wave.m0() >> 16 & 0x3ff, 1, to))
    wave.sgpr[to] = wave.sgpr[from];
}

void s_rfe_b64(Wave& wave, const Instruction& in) {
  if (!wave.privileged)
    return wave.raise_illegal("s_rfe_b64 outside of a trap handler");
  leave_trap_handler(wave, wave.read_scalar64(in.src[0]));
}

constexpr Type w = Type::b32;
constexpr Type d = Type::b64;
constexpr Type sd = Type::i64;
constexpr Type no = Type::none;
constexpr Scc nz = Scc::nonzero;

constexpr OpcodeRow sop1_table[] = {
    {0x03, "s_mov_b32", unary32<copy>, w, w},
    {0x04, "s_mov_b64", unary64<copy>, d, d},
    {0x05, "s_cmov_b32", s_cmov_b32, w, w},
    {0x06, "s_cmov_b64", s_cmov_b64, d, d},
    {0x07, "s_not_b32", unary32<complement, nz>, w, w},
    {0x08, "s_not_b64", unary64<complement, nz>, d, d},
    {0x09, "s_wqm_b32", unary32<wqm, nz>, w, w},
    {0x0a, "s_wqm_b64", unary64<wqm, nz>, d, d},
    {0x0b, "s_brev_b32", unary32<reverse>, w, w},
    {0x0c, "s_brev_b64", unary64<reverse>, d, d},
    {0x0d, "s_bcnt0_i32_b32", unary32<count_zeros, nz>, w, w},
    {0x0e, "s_bcnt0_i32_b64", narrow64<count_zeros, nz>, w, d},
    {0x0f, "s_bcnt1_i32_b32", unary32<count_ones, nz>, w, w},
    {0x10, "s_bcnt1_i32_b64", narrow64<count_ones, nz>, w, d},
    {0x11, "s_ff0_i32_b32", unary32<find_zero>, w, w},
    {0x12, "s_ff0_i32_b64", narrow64<find_zero>, w, d},
    {0x13, "s_ff1_i32_b32", unary32<find_one>, w, w},
    {0x14, "s_ff1_i32_b64", narrow64<find_one>, w, d},
    {0x15, "s_flbit_i32_b32", unary32<first_bit_high>, w, w},
    {0x16, "s_flbit_i32_b64", narrow64<first_bit_high>, w, d},
    {0x17, "s_flbit_i32", unary32<first_bit_opposite>, w, w},
    {0x18, "s_flbit_i32_i64", narrow64<first_bit_opposite>, w, sd},
    {0x19, "s_sext_i32_i8", unary32<sext8>, w, w},
    {0x1a, "s_sext_i32_i16", unary32<sext16>, w, w},
    {0x1b, "s_bitset0_b32", s_bitset_b32<false>, w, w},
    {0x1c, "s_bitset0_b64", s_bitset_b64<false>, d, w},
    {0x1d, "s_bitset1_b32", s_bitset_b32<true>, w, w},
    {0x1e, "s_bitset1_b64", s_bitset_b64<true>, d, w},
    {0x1f, "s_getpc_b64", s_getpc_b64, d},
    {0x20, "s_setpc_b64", s_setpc_b64, no, d, no, no, row_branch},
    {0x21, "s_swappc_b64", s_swappc_b64, d, d, no, no, row_branch},
    {0x22, "s_rfe_b64", s_rfe_b64, no, d, no, no, row_branch},
    {0x24, "s_and_saveexec_b64", saveexec_b64<op_and>, d, d},
    {0x25, "s_or_saveexec_b64", saveexec_b64<op_or>, d, d},
    {0x26, "s_xor_saveexec_b64", saveexec_b64<op_xor>, d, d},
    {0x27, "s_andn2_saveexec_b64", saveexec_b64<op_andn2>, d, d},
    {0x28, "s_orn2_saveexec_b64", saveexec_b64<op_orn2>, d, d},
    {0x29, "s_nand_saveexec_b64", saveexec_b64<op_nand>, d, d},
    {0x2a, "s_nor_saveexec_b64", saveexec_b64<op_nor>, d, d},
    {0x2b, "s_xnor_saveexec_b64", saveexec_b64<op_xnor>, d, d},
    {0x2c, "s_quadmask_b32", unary32<quadmask, nz>, w, w},
    {0x2d, "s_quadmask_b64", unary64<quadmask, nz>, d, d},
    {0x2e, "s_movrels_b32", s_movrels_b32, w, w},
    {0x2f, "s_movrels_b64", s_movrels_b64, d, d},
    {0x30, "s_movreld_b32", s_movreld_b32, w, w},
    {0x31, "s_movreld_b64", s_movreld_b64, d, d},
    {0x34, "s_abs_i32", unary32<absolute, nz>, w, w},
    {0x37, "s_andn1_saveexec_b64", saveexec_b64<op_andn1>, d, d},
    {0x38, "s_orn1_saveexec_b64", saveexec_b64<op_orn1>, d, d},
    {0x39, "s_andn1_wrexec_b64", wrexec_b64<op_andn1>, d, d},
    {0x3a, "s_andn2_wrexec_b64", wrexec_b64<op_andn2>, d, d},
    {0x3b, "s_bitreplicate_b64_b32", s_bitreplicate_b64_b32, d, w},
    {0x3c, "s_and_saveexec_b32", saveexec_b32<op_and>, w, w},
    {0x3d, "s_or_saveexec_b32", saveexec_b32<op_or>, w, w},
    {0x3e, "s_xor_saveexec_b32", saveexec_b32<op_xor>, w, w},
    {0x3f, "s_andn2_saveexec_b32", saveexec_b32<op_andn2>, w, w},
    {0x40, "s_orn2_saveexec_b32", saveexec_b32<op_orn2>, w, w},
    {0x41, "s_nand_saveexec_b32", saveexec_b32<op_nand>, w, w},
    {0x42, "s_nor_saveexec_b32", saveexec_b32<op_nor>, w, w},
    {0x43, "s_xnor_saveexec_b32", saveexec_b32<op_xnor>, w, w},
    {0x44, "s_andn1_saveexec_b32", saveexec_b32<op_andn1>, w, w},
    {0x45, "s_orn1_saveexec_b32", saveexec_b32<op_orn1>, w, w},
    {0x46, "s_andn1_wrexec_b32", wrexec_b32<op_andn1>, w, w},
    {0x47, "s_andn2_wrexec_b32", wrexec_b32<op_andn2>, w, w},
    {0x49, "s_movrelsd_2_b32", s_movrelsd_2_b32, w, w},
};

} // namespace

std::span<const OpcodeRow> sop1_rows() {
  return sop1_table;
}

} // namespace emu::isa
