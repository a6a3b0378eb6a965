// Sub-dword addressing: sources are taken out of bytes or words, the result is put into one. The operation
// itself runs on temporary rows.
#include "valu.hpp"

namespace emu::isa {
namespace EMU_ISA_TARGET {
namespace {

constexpr unsigned select_word0 = 4, select_dword = 6;
constexpr unsigned unused_pad = 0, unused_sign = 1; // 2: the other bits keep their value

unsigned shift_of(unsigned select) {
  return select < select_word0 ? 8 * select : 16 * (select - select_word0);
}
unsigned width_of(unsigned select) {
  return select < select_word0 ? 8 : select == select_dword ? 32 : 16;
}

void select(const Wave& wave, const u32* from, unsigned selector, bool extend_sign, u32* to) {
  const unsigned shift = selector == select_dword ? 0 : shift_of(selector), unused = 32 - width_of(selector);
  for (unsigned i = 0; i < wave.lanes; ++i) {
    const u32 top = from[i] >> shift << unused;
    to[i] = extend_sign ? static_cast<u32>(static_cast<i32>(top) >> unused) : top >> unused;
  }
}

void merge(Wave& wave, const Instruction& in, const u32* value) {
  const unsigned selector = in.sdwa.dst_sel;
  const u32* old = wave.vgpr[in.dst.index];
  const unsigned shift = selector == select_dword ? 0 : shift_of(selector), width = width_of(selector);
  const u32 field = width == 32 ? ~0u : ((1u << width) - 1) << shift;
  const u32 above = width + shift == 32 ? 0 : ~0u << (width + shift);
  Row result;
  for (unsigned i = 0; i < wave.lanes; ++i) {
    const u32 placed = value[i] << shift & field;
    const bool negative = placed >> (shift + width - 1) & 1;
    const u32 rest = in.sdwa.dst_unused == unused_pad    ? 0
                     : in.sdwa.dst_unused == unused_sign ? (negative ? above : 0)
                                                         : old[i] & ~field;
    result.lane[i] = placed | rest;
  }
  store_row(wave, in.dst.index, result.lane, wave.exec());
}

void run_sdwa(Wave& wave, const Instruction& in, Handler operation) {
  Instruction inner = in;
  inner.variant = Variant::plain;
  for (unsigned slot = 0; slot < 2; ++slot) {
    if (in.src[slot].kind == OperandKind::none)
      continue;
    Row buffer;
    const u32* from = source_row(wave, in.src[slot], buffer);
    select(wave, from, in.sdwa.src_sel[slot], in.sdwa.src_sext[slot], wave.vgpr[temporary_row + slot]);
    inner.src[slot].kind = OperandKind::vector;
    inner.src[slot].index = static_cast<u16>(temporary_row + slot);
  }
  if (!in.dst.is_vector()) {
    operation(wave, inner);
    return;
  }
  const unsigned out = temporary_row + 2;
  std::memcpy(wave.vgpr[out], wave.vgpr[in.dst.index], sizeof wave.vgpr[out]);
  inner.dst.index = static_cast<u16>(out);
  operation(wave, inner);
  merge(wave, in, wave.vgpr[out]);
}

} // namespace

void execute_sdwa(Wave& wave, const Instruction& in) {
  if (!(in.row->flags & row_relative))
    return run_sdwa(wave, in, in.row->handler);
  Instruction resolved = in;
  if (resolve_relative(wave, resolved))
    run_sdwa(wave, resolved, v_mov_b32);
}

} // namespace EMU_ISA_TARGET
} // namespace emu::isa
