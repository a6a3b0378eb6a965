// The instruction set as data: formats are bit patterns (formats.cpp), every format has rows, one per opcode.
// Decoder, tracing, coverage report and tests read the same rows.
#pragma once

#include <cstdint>
#include <span>

#include "instruction.hpp"

namespace emu::isa {

// OpcodeRow::flags.
enum RowFlag : std::uint32_t {
  row_plain = 0,
  row_no_vop3 = 1u << 0,    // VOP1/VOP2/VOPC operation without a VOP3 encoding (fmamk, fmaak, swap ...)
  row_no_sdwa = 1u << 1,    // no SDWA form
  row_no_dpp = 1u << 2,     // no DPP form
  row_literal_k = 1u << 3,  // a literal constant always follows, it is src1 (types say where: see `k_source`)
  row_vcc_in = 1u << 4,     // VOP2: third source is VCC in e32, a mask SGPR (src2) in VOP3
  row_vcc_out = 1u << 5,    // VOP2: dst2 is VCC in e32; in VOP3 (VOP3B) the SDST field
  row_sdst = 1u << 6,       // VOP3-only operation in the VOP3B layout: dst2 is the SDST field
  row_scalar_dst = 1u << 7, // VOP1/VOP3 whose VDST field names an SGPR (v_readlane, v_readfirstlane)
  row_writes_exec = 1u << 8,    // v_cmpx: dst is EXEC in every encoding
  row_src0_vgpr_only = 1u << 9, // src0 must be a VGPR
  row_k_is_src2 = 1u << 10,     // with row_literal_k: K is src2 (fmaak), not src1 (fmamk)
  row_no_modifiers =
      1u << 11,          // integer operation: VOP3 abs/neg/omod are ignored (clamp may still mean saturate)
  row_op_sel = 1u << 12, // VOP3 op_sel selects halves of 16-bit operands
  row_branch = 1u << 13, // may change the program counter
  row_store = 1u << 14,  // memory: writes memory and returns nothing
  row_atomic = 1u << 15, // memory: returns the old value where GLC is set (DS: where dst is present)
  row_vop3_only_sources = 1u << 16, // VOP2 in VOP3: src1 may be a scalar
  row_dst_is_source =
      1u << 17, // the old destination is read (v_fmac, v_dot2c): SDWA/DPP must seed temporaries
  row_relative_src = 1u << 18, // v_movrel*: M0 is added to the source's register number
  row_relative_dst = 1u << 19, // and to the destination's
  row_relative_two = 1u << 20, // with an offset for each in M0
};

// One operation. `mnemonic` is LLVM's, without _e32, _e64, _sdwa, _dpp. A null handler is an operation that
// decodes but that a compute wave of this device refuses: executing it is an illegal-instruction fault.
struct OpcodeRow {
  std::uint16_t opcode;
  const char* mnemonic;
  Handler handler;
  Type dst;
  Type src0 = Type::none;
  Type src1 = Type::none;
  Type src2 = Type::none;
  std::uint32_t flags = row_plain;
};

// The rows of a format; opcodes are unique, order is free. Scalar and memory formats.
std::span<const OpcodeRow> sop2_rows();
std::span<const OpcodeRow> sopk_rows();
std::span<const OpcodeRow> sop1_rows();
std::span<const OpcodeRow> sopc_rows();
std::span<const OpcodeRow> sopp_rows();
std::span<const OpcodeRow> smem_rows();
std::span<const OpcodeRow> ds_rows();
std::span<const OpcodeRow> flat_rows();
std::span<const OpcodeRow> global_rows();
std::span<const OpcodeRow> scratch_rows();
std::span<const OpcodeRow> mubuf_rows();
std::span<const OpcodeRow> mtbuf_rows();
std::span<const OpcodeRow> mimg_rows();
std::span<const OpcodeRow> exp_rows();
std::span<const OpcodeRow> vintrp_rows();

// Vector ALU sources (valu_*.cpp) are compiled once per host instruction set, each time with EMU_ISA_TARGET
// naming the namespace, and register their rows through one function each. vop3_rows() has the VOP3-only
// operations (opcode as in the VOP3 field, 0x140..0x17f, 0x300..); VOPC, VOP2 and VOP1 rows are found from
// VOP3 by opcode - 0, - 0x100, - 0x180.
struct Extent {
  std::uint32_t least, greatest;
};

struct ValuTables {
  std::span<const OpcodeRow> vop1;
  std::span<const OpcodeRow> vop2;
  std::span<const OpcodeRow> vopc;
  std::span<const OpcodeRow> vop3;
  std::span<const OpcodeRow> vop3p;
  // Wrappers that the decoder puts into Instruction::handler; they prepare sources, call row->handler and
  // merge.
  Handler sdwa;
  Handler dpp16;
  Handler dpp8;
  // Of the words of a row whose lanes are in `mask`, which is not empty.
  Extent (*extent)(const std::uint32_t* row, std::uint64_t mask, unsigned lanes);
  // Is every lane's word four more than that of the lane before?
  bool (*consecutive)(const std::uint32_t* row, unsigned lanes);
};

namespace baseline {
const ValuTables& valu_tables();
}
namespace avx2 {
const ValuTables& valu_tables();
}
namespace avx512 {
const ValuTables& valu_tables();
}

// The tables for this host: the best instruction set that the CPU has, or what CUDA_SHIM_EMU_SIMD names
// (baseline, avx2, avx512) where the CPU has it.
const ValuTables& valu_tables();

// Loads that put a dword per lane into LDS instead of a register (the LDS bit); nullptr where an operation
// has no such form.
Handler mubuf_lds_handler(unsigned opcode);
Handler flat_lds_handler(Format format, unsigned opcode);

// A MUBUF or MTBUF operation with TFE: row->handler, then the status behind the data registers.
void buffer_status_handler(Wave& wave, const Instruction& instruction);

// The row of an opcode; nullptr where the format has no such opcode.
const OpcodeRow* find_row(Format format, unsigned opcode);

std::span<const OpcodeRow> rows_of(Format format);
const char* format_name(Format format);

} // namespace emu::isa
