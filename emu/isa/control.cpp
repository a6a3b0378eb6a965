// SOPK and SOPP: scalar operations with an immediate, hardware registers, branches, messages, waits.
#include "control.hpp"

#include "group.hpp"
#include "tables.hpp"

namespace emu::isa {

namespace {

using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i32 = std::int32_t;

// --- SOPK

void nothing(Wave&, const Instruction&) {}

void s_movk_i32(Wave& wave, const Instruction& in) {
  wave.write_scalar(in.dst, static_cast<u32>(in.imm));
}
void s_cmovk_i32(Wave& wave, const Instruction& in) {
  if (wave.scc)
    wave.write_scalar(in.dst, static_cast<u32>(in.imm));
}
void s_addk_i32(Wave& wave, const Instruction& in) {
  i32 sum;
  wave.scc = __builtin_add_overflow(static_cast<i32>(wave.read_scalar(in.dst)), in.imm, &sum);
  wave.write_scalar(in.dst, static_cast<u32>(sum));
}
void s_mulk_i32(Wave& wave, const Instruction& in) {
  wave.write_scalar(in.dst, wave.read_scalar(in.dst) * static_cast<u32>(in.imm));
}

template <auto F>
void cmpk_i32(Wave& wave, const Instruction& in) {
  wave.scc = F(static_cast<i32>(wave.read_scalar(in.dst)), in.imm);
}
template <auto F>
void cmpk_u32(Wave& wave, const Instruction& in) {
  wave.scc = F(wave.read_scalar(in.dst), static_cast<u32>(in.imm) & 0xffff);
}
constexpr auto equal = [](auto a, auto b) { return a == b; };
constexpr auto differ = [](auto a, auto b) { return a != b; };
constexpr auto greater = [](auto a, auto b) { return a > b; };
constexpr auto not_less = [](auto a, auto b) { return a >= b; };
constexpr auto less = [](auto a, auto b) { return a < b; };
constexpr auto not_greater = [](auto a, auto b) { return a <= b; };

// The HWREG operand: register in bits 0..5, first bit in 6..10, size - 1 in 11..15.
struct HwregField {
  unsigned reg, offset;
  u32 mask;

  explicit HwregField(i32 imm)
      : reg(static_cast<u32>(imm) & 63), offset(static_cast<u32>(imm) >> 6 & 31),
        mask(~0u >> (31 - (static_cast<u32>(imm) >> 11 & 31))) {}
};

void s_getreg_b32(Wave& wave, const Instruction& in) {
  const HwregField field(in.imm);
  u32 value;
  if (read_hwreg(wave, field.reg, value))
    wave.write_scalar(in.dst, value >> field.offset & field.mask);
}

void set_hwreg(Wave& wave, i32 imm, u32 value) {
  const HwregField field(imm);
  u32 old;
  if (!read_hwreg(wave, field.reg, old))
    return;
  const u32 mask = field.mask << field.offset;
  write_hwreg(wave, field.reg, (old & ~mask) | (value << field.offset & mask));
}
void s_setreg_b32(Wave& wave, const Instruction& in) {
  set_hwreg(wave, in.imm, wave.read_scalar(in.dst));
}
void s_setreg_imm32_b32(Wave& wave, const Instruction& in) {
  set_hwreg(wave, in.imm, in.src[0].low);
}

void branch(Wave& wave, const Instruction& in) {
  wave.pc += static_cast<u64>(std::int64_t{in.imm} * 4);
}

void s_call_b64(Wave& wave, const Instruction& in) {
  wave.write_scalar64(in.dst, wave.pc);
  branch(wave, in);
}

// Wave64 code runs a loop body for each half of EXEC; D keeps the half that waits for its turn.
void s_subvector_loop_begin(Wave& wave, const Instruction& in) {
  u32& low = wave.sgpr[exec_lo];
  u32& high = wave.sgpr[exec_lo + 1];
  if ((low | high) == 0) {
    branch(wave, in);
  } else if (low == 0) {
    wave.write_scalar(in.dst, low);
  } else {
    wave.write_scalar(in.dst, high);
    high = 0;
  }
}
void s_subvector_loop_end(Wave& wave, const Instruction& in) {
  u32& low = wave.sgpr[exec_lo];
  u32& high = wave.sgpr[exec_lo + 1];
  const u32 saved = wave.read_scalar(in.dst);
  if (high != 0) {
    low = saved;
  } else if (saved == 0) {
    high = saved;
  } else {
    high = saved;
    wave.write_scalar(in.dst, low);
    low = 0;
    branch(wave, in);
  }
}

// --- SOPP

void s_endpgm(Wave& wave, const Instruction&) {
  wave.event = WaveEvent::ended;
}

template <auto Condition>
void conditional(Wave& wave, const Instruction& in) {
  if (Condition(wave))
    branch(wave, in);
}
constexpr auto scc0 = [](const Wave& wave) { return !wave.scc; };
constexpr auto scc1 = [](const Wave& wave) { return wave.scc; };
constexpr auto vccz = [](const Wave& wave) { return wave.vcc() == 0; };
constexpr auto vccnz = [](const Wave& wave) { return wave.vcc() != 0; };
constexpr auto execz = [](const Wave& wave) { return wave.exec() == 0; };
constexpr auto execnz = [](const Wave& wave) { return wave.exec() != 0; };

void s_barrier(Wave& wave, const Instruction&) {
  if (wave.group->wave_count > 1)
    wave.event = WaveEvent::barrier;
}
void s_setkill(Wave& wave, const Instruction& in) {
  if (in.imm & 1)
    wave.event = WaveEvent::ended;
}
void s_sethalt(Wave& wave, const Instruction& in) {
  if (!wave.group->trap_handler) {
    if (in.imm & 1)
      wave.group->raise(wave, FaultKind::illegal_instruction, "s_sethalt without a debugger");
    return;
  }
  wave.halt = in.imm & 1;
  if (wave.halt && !wave.privileged)
    wave.event = WaveEvent::halted;
}
void s_sleep(Wave& wave, const Instruction&) {
  wave.event = WaveEvent::yield;
}

constexpr u32 message_interrupt = 1, message_get_doorbell = 10;

void s_sendmsg(Wave& wave, const Instruction& in) {
  Group& group = *wave.group;
  const u32 message = static_cast<u32>(in.imm) & 15;
  if (message == message_get_doorbell && wave.privileged) {
    wave.sgpr[exec_lo] = group.doorbell; // bit 31 is clear: the answer has come
    return;
  }
  if (message != message_interrupt)
    return group.raise(wave, FaultKind::illegal_instruction, "s_sendmsg with a message unknown to compute");
  if (!group.interrupt_handler)
    return group.raise(wave, FaultKind::illegal_instruction, "s_sendmsg: no one takes the interrupt");
  group.interrupt_handler(wave.m0(), wave.privileged);
}
void s_sendmsghalt(Wave& wave, const Instruction& in) {
  s_sendmsg(wave, in);
  if (wave.event != WaveEvent::none)
    return;
  if (!wave.group->trap_handler)
    return wave.group->raise(wave, FaultKind::illegal_instruction, "s_sendmsghalt without a debugger");
  wave.halt = true;
  if (!wave.privileged)
    wave.event = WaveEvent::halted;
}

void s_trap(Wave& wave, const Instruction& in) {
  wave.group->raise_trap(wave, static_cast<u32>(in.imm) & 0xff);
}

void s_icache_inv(Wave& wave, const Instruction&) {
  wave.group->code_stale = true;
  wave.event = WaveEvent::yield; // leaves the block that is being executed
}

void s_code_end(Wave& wave, const Instruction&) {
  wave.group->raise(wave, FaultKind::illegal_instruction,
                    "s_code_end: execution ran past the end of the program");
}

void s_round_mode(Wave& wave, const Instruction& in) {
  wave.mode = (wave.mode & ~0xfu) | (static_cast<u32>(in.imm) & 15);
}
void s_denorm_mode(Wave& wave, const Instruction& in) {
  wave.mode = (wave.mode & ~0xf0u) | (static_cast<u32>(in.imm) & 15) << mode::denorm_f32_shift;
}

constexpr Type w = Type::b32;
constexpr Type d = Type::b64;
constexpr Type no = Type::none;

constexpr OpcodeRow sopk_table[] = {
    {0x00, "s_movk_i32", s_movk_i32, w},
    {0x01, "s_version", nothing, no},
    {0x02, "s_cmovk_i32", s_cmovk_i32, w},
    {0x03, "s_cmpk_eq_i32", cmpk_i32<equal>, w},
    {0x04, "s_cmpk_lg_i32", cmpk_i32<differ>, w},
    {0x05, "s_cmpk_gt_i32", cmpk_i32<greater>, w},
    {0x06, "s_cmpk_ge_i32", cmpk_i32<not_less>, w},
    {0x07, "s_cmpk_lt_i32", cmpk_i32<less>, w},
    {0x08, "s_cmpk_le_i32", cmpk_i32<not_greater>, w},
    {0x09, "s_cmpk_eq_u32", cmpk_u32<equal>, w},
    {0x0a, "s_cmpk_lg_u32", cmpk_u32<differ>, w},
    {0x0b, "s_cmpk_gt_u32", cmpk_u32<greater>, w},
    {0x0c, "s_cmpk_ge_u32", cmpk_u32<not_less>, w},
    {0x0d, "s_cmpk_lt_u32", cmpk_u32<less>, w},
    {0x0e, "s_cmpk_le_u32", cmpk_u32<not_greater>, w},
    {0x0f, "s_addk_i32", s_addk_i32, w},
    {0x10, "s_mulk_i32", s_mulk_i32, w},
    {0x12, "s_getreg_b32", s_getreg_b32, w},
    {0x13, "s_setreg_b32", s_setreg_b32, w},
    {0x15, "s_setreg_imm32_b32", s_setreg_imm32_b32, no, no, no, no, row_literal_k},
    {0x16, "s_call_b64", s_call_b64, d, no, no, no, row_branch},
    {0x17, "s_waitcnt_vscnt", nothing, w},
    {0x18, "s_waitcnt_vmcnt", nothing, w},
    {0x19, "s_waitcnt_expcnt", nothing, w},
    {0x1a, "s_waitcnt_lgkmcnt", nothing, w},
    {0x1b, "s_subvector_loop_begin", s_subvector_loop_begin, w, no, no, no, row_branch},
    {0x1c, "s_subvector_loop_end", s_subvector_loop_end, w, no, no, no, row_branch},
};

constexpr OpcodeRow sopp_table[] = {
    {0x00, "s_nop", nothing, no},
    {0x01, "s_endpgm", s_endpgm, no},
    {0x02, "s_branch", branch, no, no, no, no, row_branch},
    {0x03, "s_wakeup", nothing, no},
    {0x04, "s_cbranch_scc0", conditional<scc0>, no, no, no, no, row_branch},
    {0x05, "s_cbranch_scc1", conditional<scc1>, no, no, no, no, row_branch},
    {0x06, "s_cbranch_vccz", conditional<vccz>, no, no, no, no, row_branch},
    {0x07, "s_cbranch_vccnz", conditional<vccnz>, no, no, no, no, row_branch},
    {0x08, "s_cbranch_execz", conditional<execz>, no, no, no, no, row_branch},
    {0x09, "s_cbranch_execnz", conditional<execnz>, no, no, no, no, row_branch},
    {0x0a, "s_barrier", s_barrier, no},
    {0x0b, "s_setkill", s_setkill, no},
    {0x0c, "s_waitcnt", nothing, no},
    {0x0d, "s_sethalt", s_sethalt, no},
    {0x0e, "s_sleep", s_sleep, no},
    {0x0f, "s_setprio", nothing, no},
    {0x10, "s_sendmsg", s_sendmsg, no},
    {0x11, "s_sendmsghalt", s_sendmsghalt, no},
    {0x12, "s_trap", s_trap, no},
    {0x13, "s_icache_inv", s_icache_inv, no},
    {0x14, "s_incperflevel", nothing, no},
    {0x15, "s_decperflevel", nothing, no},
    {0x16, "s_ttracedata", nothing, no},
    {0x17, "s_cbranch_cdbgsys", nothing, no},
    {0x18, "s_cbranch_cdbguser", nothing, no},
    {0x19, "s_cbranch_cdbgsys_or_user", nothing, no},
    {0x1a, "s_cbranch_cdbgsys_and_user", nothing, no},
    {0x1b, "s_endpgm_saved", nullptr, no},
    {0x1e, "s_endpgm_ordered_ps_done", nullptr, no},
    {0x1f, "s_code_end", s_code_end, no},
    {0x20, "s_inst_prefetch", nothing, no},
    {0x21, "s_clause", nothing, no},
    {0x22, "s_wait_idle", nothing, no},
    {0x23, "s_waitcnt_depctr", nothing, no},
    {0x24, "s_round_mode", s_round_mode, no},
    {0x25, "s_denorm_mode", s_denorm_mode, no},
    {0x28, "s_ttracedata_imm", nothing, no},
};

} // namespace

std::span<const OpcodeRow> sopk_rows() {
  return sopk_table;
}
std::span<const OpcodeRow> sopp_rows() {
  return sopp_table;
}

} // namespace emu::isa
