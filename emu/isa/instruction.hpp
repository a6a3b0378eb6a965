// A decoded instruction: every encoding of an operation (e32, e64, SDWA, DPP) brought to one shape, so that a
// handler sees only operands and modifiers.
#pragma once

#include <cstdint>

namespace emu::isa {

struct Wave;
struct Instruction;
struct OpcodeRow;

// Executes one instruction of a wave. wave.pc is already at the next instruction; branches overwrite it.
// Errors go through Wave::raise(), never by exception.
using Handler = void (*)(Wave& wave, const Instruction& instruction);

enum class Format : std::uint8_t {
  sop2,
  sopk,
  sop1,
  sopc,
  sopp,
  smem,
  vop2,
  vop1,
  vopc,
  vop3,
  vop3p,
  vintrp,
  ds,
  flat,
  global,
  scratch,
  mubuf,
  mtbuf,
  mimg,
  exp,
};
inline constexpr unsigned format_count = 20;

// How an operand's bits are to be taken: this decides what inline constants and literals expand to, and how
// many registers the operand has.
enum class Type : std::uint8_t {
  none,  // the operation does not have this operand
  b16,   // any 16-bit value in the low half; float constants are binary16
  b32,   // any 32-bit value; float constants are binary32
  b64,   // any 64-bit integer or bit pattern; a literal is zero-extended, float constants are binary64
  i64,   // as b64, a literal is sign-extended
  f64,   // binary64; a literal is the high half
  v2b16, // two 16-bit integers; inline constants are 32-bit patterns, as for b32
  v2f16, // two binary16; an inline float constant sits in the low half, the high half is zero
  b96,   // registers only
  b128,  // registers only (or SRDs)
  b256,  // registers only
  b512,  // registers only
  mask,  // one bit per lane: one SGPR in wave32, a pair in wave64
};

enum class OperandKind : std::uint8_t {
  none,
  scalar,   // index 0..127 into Wave::sgpr (VCC, M0, EXEC, NULL and TTMP included)
  vector,   // index 0..255 (or a temporary row) into Wave::vgpr
  constant, // inline constant or literal, expanded: low and high word
  special,  // index is the source encoding: SHARED_BASE 235 .. POPS 239, VCCZ 251, EXECZ 252, SCC 253,
            // LDS_DIRECT 254
};

struct Operand {
  OperandKind kind = OperandKind::none;
  Type type = Type::none;
  std::uint16_t index = 0;
  std::uint32_t low = 0;  // constant
  std::uint32_t high = 0; // constant of 64 bits; zero for narrower ones

  bool is_scalar() const { return kind == OperandKind::scalar; }
  bool is_vector() const { return kind == OperandKind::vector; }
  bool is_constant() const { return kind == OperandKind::constant; }
};

// Register numbers in the scalar operand space.
inline constexpr unsigned sgpr_count = 106;
inline constexpr unsigned vcc_lo = 106;
inline constexpr unsigned ttmp0 = 108;
inline constexpr unsigned m0_register = 124;
inline constexpr unsigned null_register = 125;
inline constexpr unsigned exec_lo = 126;

// Values of Operand::index where kind is special.
inline constexpr unsigned special_shared_base = 235;
inline constexpr unsigned special_shared_limit = 236;
inline constexpr unsigned special_private_base = 237;
inline constexpr unsigned special_private_limit = 238;
inline constexpr unsigned special_pops_exiting_wave_id = 239;
inline constexpr unsigned special_vccz = 251;
inline constexpr unsigned special_execz = 252;
inline constexpr unsigned special_scc = 253;
inline constexpr unsigned special_lds_direct = 254;

enum class Variant : std::uint8_t { plain, sdwa, dpp16, dpp8 };

// SDWA selectors as encoded: 0..3 BYTE_n, 4 WORD_0, 5 WORD_1, 6 DWORD; dst_unused: 0 PAD, 1 SEXT, 2 PRESERVE.
struct SdwaFields {
  std::uint8_t dst_sel = 6;
  std::uint8_t dst_unused = 0;
  std::uint8_t src_sel[2] = {6, 6};
  bool src_sext[2] = {false, false};
};

// DPP16: ctrl, masks. DPP8: selectors, three bits per lane of eight, in `dpp8`.
struct DppFields {
  std::uint16_t ctrl = 0;
  std::uint8_t row_mask = 0xf;
  std::uint8_t bank_mask = 0xf;
  bool bound_ctrl = false;
  bool fetch_inactive = false;
  std::uint32_t dpp8 = 0;
};

struct Instruction {
  Handler handler = nullptr; // what the interpreter calls: row->handler, or the SDWA/DPP wrapper around it
  const OpcodeRow* row = nullptr;
  Format format = Format::sopp; // the format of the row: vop1/vop2/vopc also where VOP3 encodes the operation
  Variant variant = Variant::plain;
  std::uint8_t size = 1;     // dwords
  bool encoded_vop3 = false; // VOP1/2/C operation in VOP3 clothes

  // Vector and scalar ALU. `dst` is VDST or SDST; `dst2` the second result: carry-out mask (VOP3B and VOP2
  // with implicit VCC) or nothing. Implicit operands are explicit here: the VCC of v_cndmask/v_addc e32 is
  // src[2], of VOPC e32 dst; v_cmpx has dst EXEC; the K of fmamk is src[1], of fmaak src[2]; v_fmac's
  // accumulator is dst only.
  //
  // Memory: src[0] is the address VGPR (none where off), src[1] DATA/DATA0, src[2] DATA1; `scalar` is SADDR,
  // SBASE or SRSRC; `soffset` SOFFSET; dst is VDST or SDATA. For buffer and image stores and atomics VDATA is
  // src[1] and dst.
  Operand dst;
  Operand dst2;
  Operand src[3];
  Operand scalar;
  Operand soffset;

  // VOP3/VOP3P/SDWA/DPP modifiers: bit n belongs to src n (of op_sel also bit 3 to the destination).
  std::uint8_t neg = 0; // VOP3P: neg_lo
  std::uint8_t abs = 0; // VOP3P: neg_hi
  std::uint8_t op_sel = 0;
  std::uint8_t op_sel_hi = 0; // VOP3P only; bit 2 for src2
  std::uint8_t omod = 0;      // 1: *2, 2: *4, 3: /2
  bool clamp = false;
  bool plain = false; // none of these, no SDWA, no DPP

  // Memory modifiers. `format_id` is the unified buffer format of MTBUF.
  bool glc = false, slc = false, dlc = false, lds = false, gds = false, offen = false, idxen = false,
       tfe = false;
  std::uint8_t format_id = 0;
  std::int32_t offset = 0; // immediate offset; ds_*2: offset0 | offset1 << 8
  std::int32_t imm = 0;    // SIMM16 of SOPK and SOPP, sign-extended

  SdwaFields sdwa;
  DppFields dpp;
};

} // namespace emu::isa
