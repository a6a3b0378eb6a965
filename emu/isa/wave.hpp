// The architectural state of one wave, laid out for handlers: a VGPR is a row of lanes, so that a loop over
// lanes is a loop over contiguous words.
#pragma once

#include <cstdint>
#include <cstring>

#include <isa/global_wave_sync.hpp>

#include "instruction.hpp"

namespace emu::isa {

struct Group; // group.hpp: the workgroup, its LDS and its way to memory

inline constexpr unsigned max_lanes = 64;
inline constexpr unsigned vgpr_limit = 256;
inline constexpr unsigned temporary_row =
    256; // first of the rows that handlers may use as scratch (SDWA, DPP)
inline constexpr unsigned temporary_rows = 16;

// What the interpreter loop must look at after an instruction.
enum class WaveEvent : std::uint8_t {
  none,    // go on
  barrier, // waits for the other waves of the workgroup
  yield,   // gives the rest of its time slice away
  ended,
  faulted, // Group::fault says why
  trapped, // on its way into the trap handler
  halted,  // until the end of the workgroup: there is no debugger to make it go on
};

// MODE, by field (RDNA2 manual, "Mode register").
namespace mode {
inline constexpr unsigned round_f32_shift = 0; // 2 bits: 0 nearest even, 1 +inf, 2 -inf, 3 zero
inline constexpr unsigned round_f16_f64_shift = 2;
inline constexpr unsigned denorm_f32_shift = 4; // 2 bits: bit 0 keeps input denormals, bit 1 output denormals
inline constexpr unsigned denorm_f16_f64_shift = 6;
inline constexpr std::uint32_t dx10_clamp = 1u << 8; // clamp turns NaN into 0
inline constexpr std::uint32_t ieee = 1u << 9;       // min/max quiet signalling NaNs; omod is off
inline constexpr std::uint32_t fp16_ovfl = 1u << 23; // f16 overflow clamps to the largest finite value
} // namespace mode

struct alignas(64) Wave {
  std::uint32_t vgpr[vgpr_limit + temporary_rows][max_lanes];

  // By source encoding: 0..105 SGPRs, 106 VCC, 108 TTMP0, 124 M0, 125 NULL (always zero), 126 EXEC.
  // Two more words, so that the pair which an odd lane mask in a wave64 names stays inside.
  alignas(64) std::uint32_t sgpr[128 + 2];

  std::uint64_t pc;         // byte address of the next instruction
  std::uint64_t current_pc; // of the instruction being executed
  std::uint64_t lane_mask;  // all lanes: 2^32-1 or 2^64-1
  std::uint64_t flat_scratch;
  Group* group;
  std::uint32_t lanes; // 32 or 64
  std::uint32_t mode;
  std::uint32_t trapsts;
  std::uint32_t index;   // of the wave in its workgroup
  std::uint32_t vgprs;   // allocated
  std::uint64_t trap_pc; // trapped: what the handler is told as the wave's PC
  std::uint32_t trap_id; // trapped: s_trap's, 0 for an exception
  bool scc;
  bool wave64;
  GlobalWaveSync::Wait gws_wait;
  bool privileged; // in the trap handler
  bool halt;       // STATUS.HALT: halts when it leaves the trap handler
  WaveEvent event;

  // Inlined always: some callers are compiled for host instruction sets that others must not execute.
  [[gnu::always_inline]] std::uint64_t pair(unsigned reg) const {
    std::uint64_t value;
    std::memcpy(&value, &sgpr[reg], sizeof value);
    return value;
  }
  [[gnu::always_inline]] void set_pair(unsigned reg, std::uint64_t value) {
    std::memcpy(&sgpr[reg], &value, sizeof value);
  }

  // EXEC and VCC restricted to the lanes that the wave has.
  [[gnu::always_inline]] std::uint64_t exec() const { return pair(exec_lo) & lane_mask; }
  [[gnu::always_inline]] std::uint64_t vcc() const { return pair(vcc_lo) & lane_mask; }
  [[gnu::always_inline]] bool full() const { return exec() == lane_mask; }
  [[gnu::always_inline]] std::uint32_t m0() const { return sgpr[m0_register]; }

  // Scalar destinations. Writes to NULL vanish.
  [[gnu::always_inline]] void write_scalar(const Operand& to, std::uint32_t value) {
    if (to.index != null_register)
      sgpr[to.index] = value;
  }
  [[gnu::always_inline]] void write_scalar64(const Operand& to, std::uint64_t value) {
    if (to.index != null_register)
      set_pair(to.index, value);
  }
  // A lane mask: one register in wave32, two in wave64.
  [[gnu::always_inline]] void write_mask(const Operand& to, std::uint64_t bits) {
    if (wave64)
      write_scalar64(to, bits);
    else
      write_scalar(to, static_cast<std::uint32_t>(bits));
  }

  // Scalar, constant and special sources (not vectors).
  [[gnu::always_inline]] std::uint32_t read_scalar(const Operand& from) const {
    switch (from.kind) {
    case OperandKind::scalar:
      return sgpr[from.index];
    case OperandKind::constant:
      return from.low;
    default:
      return static_cast<std::uint32_t>(read_special(from.index));
    }
  }
  [[gnu::always_inline]] std::uint64_t read_scalar64(const Operand& from) const {
    switch (from.kind) {
    case OperandKind::scalar:
      return from.index == null_register ? 0 : pair(from.index);
    case OperandKind::constant:
      return from.low | static_cast<std::uint64_t>(from.high) << 32;
    default:
      return read_special(from.index);
    }
  }
  // A lane mask source, restricted to the lanes that the wave has.
  [[gnu::always_inline]] std::uint64_t read_mask(const Operand& from) const {
    return (wave64 ? read_scalar64(from) : read_scalar(from)) & lane_mask;
  }
  std::uint64_t read_special(unsigned encoding) const;

  // Stops the wave, and with it the workgroup. `reason` is a static string.
  void raise_illegal(const char* reason);
};

} // namespace emu::isa
