// Data-parallel primitives: the first source comes from other lanes. Lanes whose source does not exist or
// must not be read give zero (bound control) or do not take part.
#include "valu.hpp"

namespace emu::isa {
namespace EMU_ISA_TARGET {
namespace {

constexpr unsigned row_size = 16;

// DPP_CTRL, RDNA2 manual "DPP16". The lane that lane i reads, or -1 where it lies outside its row.
int source_lane(unsigned ctrl, unsigned i, bool& known) {
  const unsigned row = i & ~(row_size - 1), position = i & (row_size - 1), amount = ctrl & 15;
  if (ctrl <= 0xff)
    return static_cast<int>((i & ~3u) | (ctrl >> (2 * (i & 3)) & 3));
  switch (ctrl >> 4) {
  case 0x10: // row_shl
    if (amount == 0)
      break;
    return position + amount < row_size ? static_cast<int>(i + amount) : -1;
  case 0x11: // row_shr
    if (amount == 0)
      break;
    return position >= amount ? static_cast<int>(i - amount) : -1;
  case 0x12: // row_ror
    if (amount == 0)
      break;
    return static_cast<int>(row | ((position - amount) & (row_size - 1)));
  case 0x14:
    if (amount == 0) // row_mirror
      return static_cast<int>(row | (row_size - 1 - position));
    if (amount == 1) // row_half_mirror
      return static_cast<int>((i & ~7u) | (7 - (i & 7)));
    break;
  case 0x15: // row_share
    return static_cast<int>(row | amount);
  case 0x16: // row_xmask
    return static_cast<int>(row | (position ^ amount));
  default:
    break;
  }
  known = false;
  return -1;
}

// Runs the operation with the permuted first source, on these lanes only.
void run_inner(Wave& wave, const Instruction& in, u64 enabled) {
  Instruction inner = in;
  inner.variant = Variant::plain;
  inner.src[0].index = static_cast<u16>(temporary_row);
  const u64 exec = wave.pair(exec_lo);
  wave.write_mask({OperandKind::scalar, Type::mask, exec_lo, 0, 0}, wave.exec() & enabled);
  const Handler operation = in.row->flags & row_relative ? v_mov_b32 : in.row->handler;
  operation(wave, inner);
  if (!(in.row->flags & row_writes_exec))
    wave.set_pair(exec_lo, exec);
}

void run_dpp16(Wave& wave, const Instruction& in) {
  const u32* from = wave.vgpr[in.src[0].index];
  u32* to = wave.vgpr[temporary_row];
  const u64 exec = wave.exec();
  u64 enabled = 0;
  bool known = true;
  for (unsigned i = 0; i < wave.lanes; ++i) {
    const int source = source_lane(in.dpp.ctrl, i, known);
    const bool readable = source >= 0 && (in.dpp.fetch_inactive || (exec >> source & 1));
    const bool selected = bit_of(in.dpp.row_mask, i / row_size) && bit_of(in.dpp.bank_mask, i % row_size / 4);
    to[i] = readable ? from[source] : 0;
    if (selected && (readable || in.dpp.bound_ctrl))
      enabled |= u64{1} << i;
  }
  if (!known)
    wave.raise_illegal("unknown DPP control");
  else
    run_inner(wave, in, enabled);
}

void run_dpp8(Wave& wave, const Instruction& in) {
  const u32* from = wave.vgpr[in.src[0].index];
  u32* to = wave.vgpr[temporary_row];
  const u64 exec = wave.exec();
  for (unsigned i = 0; i < wave.lanes; ++i) {
    const unsigned source = (i & ~7u) | (in.dpp.dpp8 >> (3 * (i & 7)) & 7);
    to[i] = in.dpp.fetch_inactive || (exec >> source & 1) ? from[source] : 0;
  }
  run_inner(wave, in, ~u64{0});
}

template <Handler run>
void with_registers(Wave& wave, const Instruction& in) {
  if (!(in.row->flags & row_relative))
    return run(wave, in);
  Instruction resolved = in;
  if (resolve_relative(wave, resolved))
    run(wave, resolved);
}

} // namespace

void execute_dpp16(Wave& wave, const Instruction& in) {
  with_registers<run_dpp16>(wave, in);
}
void execute_dpp8(Wave& wave, const Instruction& in) {
  with_registers<run_dpp8>(wave, in);
}

} // namespace EMU_ISA_TARGET
} // namespace emu::isa
