// Moves: between lanes' registers, across lanes, to and from scalars, with relative addressing.
#include "valu.hpp"

namespace emu::isa {
namespace EMU_ISA_TARGET {

void v_mov_b32(Wave& wave, const Instruction& in) {
  Row b0;
  const u32* a = source_row(wave, in.src[0], b0);
  write_lanes(wave, in.dst, [&](unsigned i) { return a[i]; });
}

namespace {

// The first active lane, or lane 0 where none is.
unsigned first_lane(const Wave& wave) {
  const u64 exec = wave.exec();
  return exec ? static_cast<unsigned>(std::countr_zero(exec)) : 0;
}

u32 lane_of(const Wave& wave, const Operand& from, unsigned lane) {
  return from.is_vector() ? wave.vgpr[from.index][lane] : wave.read_scalar(from);
}

void v_readfirstlane_b32(Wave& wave, const Instruction& in) {
  wave.write_scalar(in.dst, lane_of(wave, in.src[0], first_lane(wave)));
}

void v_readlane_b32(Wave& wave, const Instruction& in) {
  wave.write_scalar(in.dst, lane_of(wave, in.src[0], wave.read_scalar(in.src[1]) & (wave.lanes - 1)));
}

// Whatever EXEC says.
void v_writelane_b32(Wave& wave, const Instruction& in) {
  wave.vgpr[in.dst.index][wave.read_scalar(in.src[1]) & (wave.lanes - 1)] = wave.read_scalar(in.src[0]);
}

void swap_rows(Wave& wave, unsigned first, unsigned second) {
  Row old;
  std::memcpy(old.lane, wave.vgpr[first], sizeof old.lane);
  store_row(wave, first, wave.vgpr[second], wave.exec());
  store_row(wave, second, old.lane, wave.exec());
}

void v_swap_b32(Wave& wave, const Instruction& in) {
  swap_rows(wave, in.dst.index, in.src[0].index);
}

// --- relative addressing through M0

bool in_range(Wave& wave, unsigned vgpr) {
  if (vgpr < vgpr_limit)
    return true;
  wave.raise_illegal("relative register out of range");
  return false;
}

void move_row(Wave& wave, unsigned to, const u32* from) {
  if (in_range(wave, to))
    store_row(wave, to, from, wave.exec());
}

void v_movreld_b32(Wave& wave, const Instruction& in) {
  Row b0;
  move_row(wave, in.dst.index + wave.m0(), source_row(wave, in.src[0], b0));
}

void v_movrels_b32(Wave& wave, const Instruction& in) {
  const unsigned from = in.src[0].index + wave.m0();
  if (in_range(wave, from))
    move_row(wave, in.dst.index, wave.vgpr[from]);
}

void v_movrelsd_b32(Wave& wave, const Instruction& in) {
  const unsigned from = in.src[0].index + wave.m0();
  if (in_range(wave, from))
    move_row(wave, in.dst.index + wave.m0(), wave.vgpr[from]);
}

// M0 has two offsets: bits 9:0 for the source, 25:16 for the destination.
unsigned source_offset(const Wave& wave) {
  return wave.m0() & 0x3ff;
}
unsigned destination_offset(const Wave& wave) {
  return wave.m0() >> 16 & 0x3ff;
}

void v_movrelsd_2_b32(Wave& wave, const Instruction& in) {
  const unsigned from = in.src[0].index + source_offset(wave);
  if (in_range(wave, from))
    move_row(wave, in.dst.index + destination_offset(wave), wave.vgpr[from]);
}

} // namespace

bool resolve_relative(Wave& wave, Instruction& in) {
  const bool two = in.row->flags & row_relative_two;
  unsigned from = in.src[0].index, to = in.dst.index;
  if (in.row->flags & row_relative_src)
    from += two ? source_offset(wave) : wave.m0();
  if (in.row->flags & row_relative_dst)
    to += two ? destination_offset(wave) : wave.m0();
  if ((in.src[0].is_vector() && !in_range(wave, from)) || !in_range(wave, to))
    return false;
  if (in.src[0].is_vector())
    in.src[0].index = static_cast<u16>(from);
  in.dst.index = static_cast<u16>(to);
  return true;
}

namespace {

void v_swaprel_b32(Wave& wave, const Instruction& in) {
  const unsigned to = in.dst.index + destination_offset(wave), from = in.src[0].index + source_offset(wave);
  if (in_range(wave, to) && in_range(wave, from))
    swap_rows(wave, to, from);
}

// --- selection

void v_cndmask_b32(Wave& wave, const Instruction& in) {
  Row b0, b1, choice;
  const u32* a = source_row(wave, in.src[0], b0);
  const u32* b = source_row(wave, in.src[1], b1);
  if (in.abs || in.neg) {
    a = modified_f32(a, bit_of(in.abs, 0), bit_of(in.neg, 0), false, wave.lanes, b0);
    b = modified_f32(b, bit_of(in.abs, 1), bit_of(in.neg, 1), false, wave.lanes, b1);
  }
  mask_to_row(wave.read_mask(in.src[2]), choice.lane, wave.lanes);
  write_lanes(wave, in.dst, [&](unsigned i) { return choice.lane[i] ? b[i] : a[i]; });
}

// --- permutation within rows of sixteen lanes

// `other_row` reads from the neighbouring row of the pair. op_sel[0] fetches inactive lanes too; without it
// such a lane gives zero (op_sel[1], bound control) or leaves the destination alone.
void permlane(Wave& wave, const Instruction& in, bool other_row) {
  const u32* from = wave.vgpr[in.src[0].index];
  const u64 selectors = wave.read_scalar(in.src[1]) | u64{wave.read_scalar(in.src[2])} << 32;
  const bool fetch_inactive = bit_of(in.op_sel, 0), bound_control = bit_of(in.op_sel, 1);
  const u64 exec = wave.exec();
  u64 written = exec;
  Row result;
  for (unsigned i = 0; i < wave.lanes; ++i) {
    const unsigned source = ((i & ~15u) ^ (other_row ? 16u : 0u)) | (selectors >> (4 * (i & 15)) & 15);
    const bool readable = fetch_inactive || (exec >> source & 1);
    result.lane[i] = readable ? from[source] : 0;
    if (!readable && !bound_control)
      written &= ~(u64{1} << i);
  }
  store_row(wave, in.dst.index, result.lane, written);
}

void v_permlane16_b32(Wave& wave, const Instruction& in) {
  permlane(wave, in, false);
}
void v_permlanex16_b32(Wave& wave, const Instruction& in) {
  permlane(wave, in, true);
}

void v_nop(Wave&, const Instruction&) {}
void v_pipeflush(Wave&, const Instruction&) {}
void v_clrexcp(Wave& wave, const Instruction&) {
  wave.trapsts &= ~0x1ffu;
}

constexpr Type b = Type::b32;
constexpr u32 e32_only = row_no_vop3 | row_no_sdwa | row_no_dpp;

constexpr OpcodeRow vop1[] = {
    {0x00, "v_nop", v_nop, Type::none, Type::none, Type::none, Type::none, row_no_sdwa | row_no_dpp},
    {0x01, "v_mov_b32", v_mov_b32, b, b},
    {0x02, "v_readfirstlane_b32", v_readfirstlane_b32, b, b, Type::none, Type::none,
     row_scalar_dst | row_src0_vgpr_only | row_no_vop3 | row_no_sdwa | row_no_dpp},
    {0x1b, "v_pipeflush", v_pipeflush, Type::none, Type::none, Type::none, Type::none,
     row_no_sdwa | row_no_dpp},
    {0x41, "v_clrexcp", v_clrexcp, Type::none, Type::none, Type::none, Type::none, row_no_sdwa | row_no_dpp},
    {0x42, "v_movreld_b32", v_movreld_b32, b, b, Type::none, Type::none, row_relative_dst},
    {0x43, "v_movrels_b32", v_movrels_b32, b, b, Type::none, Type::none,
     row_src0_vgpr_only | row_relative_src},
    {0x44, "v_movrelsd_b32", v_movrelsd_b32, b, b, Type::none, Type::none,
     row_src0_vgpr_only | row_relative_src | row_relative_dst},
    {0x48, "v_movrelsd_2_b32", v_movrelsd_2_b32, b, b, Type::none, Type::none,
     row_src0_vgpr_only | row_relative_src | row_relative_dst | row_relative_two},
    {0x65, "v_swap_b32", v_swap_b32, b, b, Type::none, Type::none, row_src0_vgpr_only | e32_only},
    {0x68, "v_swaprel_b32", v_swaprel_b32, b, b, Type::none, Type::none, row_src0_vgpr_only | e32_only},
};

constexpr OpcodeRow vop2[] = {
    {0x01, "v_cndmask_b32", v_cndmask_b32, b, b, b, Type::none, row_vcc_in},
};

constexpr OpcodeRow vop3[] = {
    {0x360, "v_readlane_b32", v_readlane_b32, b, b, b, Type::none, row_scalar_dst},
    {0x361, "v_writelane_b32", v_writelane_b32, b, b, b, Type::none, row_dst_is_source},
    {0x377, "v_permlane16_b32", v_permlane16_b32, b, b, b, b,
     row_src0_vgpr_only | row_op_sel | row_dst_is_source},
    {0x378, "v_permlanex16_b32", v_permlanex16_b32, b, b, b, b,
     row_src0_vgpr_only | row_op_sel | row_dst_is_source},
};

} // namespace

RowSet move_rows() {
  return {vop1, vop2, {}, vop3, {}};
}

} // namespace EMU_ISA_TARGET
} // namespace emu::isa
