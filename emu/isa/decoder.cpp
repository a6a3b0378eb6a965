#include "decoder.hpp"

#include <bit>

#include "formats.hpp"
#include "tables.hpp"
#include "wave.hpp"

namespace emu::isa {

namespace {

// Source encodings beyond the scalar registers (RDNA2 manual, "Scalar operands").
constexpr unsigned encoding_dpp8 = 233;
constexpr unsigned encoding_dpp8_fi = 234;
constexpr unsigned encoding_sdwa = 249;
constexpr unsigned encoding_dpp16 = 250;
constexpr unsigned encoding_literal = 255;
constexpr unsigned encoding_vgpr0 = 256;
constexpr unsigned scalar_count = 128;

// VOP3 opcodes of operations that VOPC, VOP2 and VOP1 encode too.
constexpr unsigned vop3_vop2_base = 0x100;
constexpr unsigned vop3_vop1_base = 0x180;
constexpr unsigned vop3_only_base = 0x200;
constexpr unsigned vop3_only_low_base = 0x140;

constexpr unsigned bits(std::uint32_t word, unsigned high, unsigned low) {
  return word >> low & ((1u << (high - low + 1)) - 1);
}
constexpr bool bit(std::uint32_t word, unsigned position) {
  return word >> position & 1;
}

bool is_wide(Type type) {
  return type == Type::b64 || type == Type::i64 || type == Type::f64;
}

bool is_vector_alu(Format format) {
  switch (format) {
  case Format::vop1:
  case Format::vop2:
  case Format::vopc:
  case Format::vop3:
  case Format::vop3p:
    return true;
  default:
    return false;
  }
}

std::uint32_t float_constant(unsigned which, Type type) {
  // 0.5, -0.5, 1, -1, 2, -2, 4, -4, 1/(2 pi)
  static constexpr std::uint32_t single[] = {0x3f000000, 0xbf000000, 0x3f800000, 0xbf800000, 0x40000000,
                                             0xc0000000, 0x40800000, 0xc0800000, 0x3e22f983};
  static constexpr std::uint32_t half[] = {0x3800, 0xb800, 0x3c00, 0xbc00, 0x4000,
                                           0xc000, 0x4400, 0xc400, 0x3118};
  static constexpr std::uint32_t double_high[] = {0x3fe00000, 0xbfe00000, 0x3ff00000, 0xbff00000, 0x40000000,
                                                  0xc0000000, 0x40100000, 0xc0100000, 0x3fc45f30};
  if (type == Type::b16 || type == Type::v2f16)
    return half[which];
  return is_wide(type) ? double_high[which] : single[which];
}

Operand constant(std::uint32_t low, std::uint32_t high, Type type) {
  return {OperandKind::constant, type, 0, low, high};
}

class Decoder {
public:
  Decoder(std::span<const std::uint32_t> words, Instruction& out) : words_(words), out_(out) {}

  bool run() {
    const FormatPattern* pattern = words_.empty() ? nullptr : find_format(words_[0]);
    if (!pattern)
      return false;
    out_.format = pattern->format;
    const unsigned opcode = pattern->opcode(words_[0]);
    if (pattern->format == Format::vop3) {
      if (!vop3(opcode))
        return false;
    } else if (!fixed_format(pattern->format, opcode)) {
      return false;
    }
    out_.size = static_cast<std::uint8_t>(size_ + (literal_used_ ? 1 : 0));
    out_.plain = out_.variant == Variant::plain &&
                 !(out_.neg | out_.abs | out_.op_sel | out_.op_sel_hi | out_.omod | (out_.clamp ? 1 : 0));
    if (refused_ || !row_->handler)
      out_.handler = nullptr;
    return out_.size <= words_.size();
  }

private:
  std::uint32_t word(unsigned index) const { return index < words_.size() ? words_[index] : 0; }

  bool take_row(Format format, unsigned opcode) {
    row_ = find_row(format, opcode);
    if (!row_)
      return false;
    out_.row = row_;
    out_.handler = row_->handler;
    out_.format = format;
    return true;
  }

  bool fixed_format(Format format, unsigned opcode) {
    const std::uint32_t w = words_[0];
    if (format == Format::mtbuf)
      opcode |= bits(word(1), 21, 21) << 3;
    if (format == Format::mimg)
      opcode |= bits(w, 0, 0) << 7;
    if (!take_row(format, opcode))
      return false;
    switch (format) {
    case Format::sop2:
      return scalar_destination(bits(w, 22, 16), row_->dst) && source(0, bits(w, 7, 0), row_->src0) &&
             source(1, bits(w, 15, 8), row_->src1);
    case Format::sop1:
      return scalar_destination(bits(w, 22, 16), row_->dst) && source(0, bits(w, 7, 0), row_->src0);
    case Format::sopc:
      return source(0, bits(w, 7, 0), row_->src0) && source(1, bits(w, 15, 8), row_->src1);
    case Format::sopk:
      return sopk(w);
    case Format::sopp:
      out_.imm = static_cast<std::int16_t>(w);
      return true;
    case Format::smem:
      return smem(w, word(1));
    case Format::vop1:
      return vop1(w);
    case Format::vop2:
      return vop2(w);
    case Format::vopc:
      return vopc(w);
    case Format::vop3p:
      return vop3p(w, word(1));
    case Format::ds:
      return ds(w, word(1));
    case Format::flat:
    case Format::global:
    case Format::scratch:
      return flat(format, w, word(1));
    case Format::mubuf:
    case Format::mtbuf:
      return buffer(format, w, word(1));
    case Format::mimg:
      size_ = 2 + bits(w, 2, 1);
      return true;
    case Format::exp:
      size_ = 2;
      return true;
    default:
      return true;
    }
  }

  // --- operands

  static unsigned align_scalar(unsigned index, Type type) {
    const unsigned count = registers_of(type);
    if (index == null_register)
      return index;
    return count == 1 || type == Type::mask ? index : count == 2 ? index & ~1u : index & ~3u;
  }

  // Pairs are SGPRs, trap registers, VCC, NULL or EXEC: none begins at the high half of these, or at M0.
  static bool is_pair(unsigned index) {
    return index < vcc_lo || index == vcc_lo || (index >= ttmp0 && index < m0_register) ||
           index == null_register || index == exec_lo;
  }

  static bool is_valid_scalar(unsigned index, Type type) { return !is_wide(type) || is_pair(index); }

  Operand scalar(unsigned index, Type type) const {
    return {OperandKind::scalar, type, static_cast<std::uint16_t>(align_scalar(index, type)), 0, 0};
  }

  // Four SGPRs or trap registers in a row hold a descriptor; VCC, M0 and EXEC are no part of one.
  bool descriptor(Operand& to, unsigned index) const {
    to = scalar(index, Type::b128);
    return to.index + 4u <= vcc_lo || (to.index >= ttmp0 && to.index < m0_register);
  }

  bool vector(Operand& to, unsigned index, Type type) const {
    if (type == Type::none)
      return true;
    to = {OperandKind::vector, type, static_cast<std::uint16_t>(index), 0, 0};
    return index + registers_of(type) <= 256;
  }

  bool scalar_destination(unsigned index, Type type) {
    if (type != Type::none)
      out_.dst = scalar(index, type);
    return is_valid_scalar(index, type);
  }

  bool literal(Operand& to, Type type) {
    literal_used_ = true;
    const std::uint32_t value = word(size_);
    switch (type) {
    case Type::f64:
      to = constant(0, value, type);
      break;
    case Type::i64:
      to = constant(value, static_cast<std::int32_t>(value) < 0 ? ~0u : 0, type);
      break;
    default:
      to = constant(value, 0, type);
    }
    return true;
  }

  // A scalar or constant source, or with nine bits a vector.
  bool source(unsigned slot, unsigned encoding, Type type) {
    if (type == Type::none)
      return true;
    if (slot == 0 && is_vector_alu(out_.format))
      direct_ = &out_.src[0];
    return any_source(out_.src[slot], encoding, type);
  }

  bool any_source(Operand& to, unsigned encoding, Type type) {
    if (encoding >= encoding_vgpr0)
      return vector(to, encoding - encoding_vgpr0, type);
    if (type != Type::mask && registers_of(type) > 2)
      return false; // wide operands of vector operations are VGPRs
    if (encoding < scalar_count) {
      to = scalar(encoding, type);
      return is_valid_scalar(encoding, type);
    }
    if (encoding <= 192) {
      to = constant(encoding - 128, 0, type);
      return true;
    }
    if (encoding <= 208) {
      to = constant(192 - encoding, is_wide(type) ? ~0u : 0, type);
      return true;
    }
    if (encoding >= 240 && encoding <= 248) {
      const std::uint32_t value = float_constant(encoding - 240, type);
      if (is_wide(type))
        to = constant(encoding == 248 ? 0x6dc9c882 : 0, value, type);
      else
        to = constant(value, 0, type);
      return true;
    }
    if (encoding == encoding_literal)
      return literal(to, type);
    if ((encoding >= special_shared_base && encoding <= special_pops_exiting_wave_id) ||
        (encoding >= special_vccz && encoding <= special_lds_direct)) {
      to = {OperandKind::special, type, static_cast<std::uint16_t>(encoding), 0, 0};
      if (encoding == special_lds_direct && is_wide(type))
        return false;
      refused_ |=
          encoding == special_pops_exiting_wave_id || (encoding == special_lds_direct && &to != direct_);
      return true;
    }
    return false;
  }

  // --- scalar formats

  bool sopk(std::uint32_t w) {
    out_.imm = static_cast<std::int16_t>(w);
    if (!scalar_destination(bits(w, 22, 16), row_->dst))
      return false;
    if (row_->flags & row_literal_k)
      return literal(out_.src[0], Type::b32);
    return true;
  }

  bool smem(std::uint32_t w0, std::uint32_t w1) {
    size_ = 2;
    if (!scalar_destination(bits(w0, 12, 6), row_->dst))
      return false;
    const unsigned base = bits(w0, 5, 0) * 2;
    if (row_->src0 == Type::b128 && !descriptor(out_.scalar, base))
      return false;
    if (row_->src0 == Type::b64) {
      out_.scalar = scalar(base, Type::b64);
      if (!is_pair(base))
        return false;
    }
    out_.dlc = bit(w0, 14);
    out_.glc = bit(w0, 16);
    out_.offset = static_cast<std::int32_t>(w1 << 11) >> 11;
    const unsigned soffset = bits(w1, 31, 25);
    if (soffset != null_register && row_->src0 != Type::none)
      out_.soffset = scalar(soffset, Type::b32);
    return load_destination();
  }

  // Wide loads go to SGPRs or to trap registers as a whole.
  bool load_destination() const {
    const unsigned count = registers_of(row_->dst);
    if (count < 4 || out_.dst.index == null_register)
      return true;
    return out_.dst.index + count <= vcc_lo ||
           (out_.dst.index >= ttmp0 && out_.dst.index + count <= m0_register);
  }

  // --- vector formats

  // The first source of VOP1, VOP2 and VOPC, which also announces SDWA and DPP.
  bool first_source(unsigned encoding, bool compare) {
    switch (encoding) {
    case encoding_sdwa:
      return sdwa(word(1), compare);
    case encoding_dpp16:
      return dpp16(word(1));
    case encoding_dpp8:
    case encoding_dpp8_fi:
      return dpp8(word(1), encoding == encoding_dpp8_fi);
    default:
      return source(0, encoding, row_->src0) &&
             (!(row_->flags & row_src0_vgpr_only) || out_.src[0].is_vector() || refused_);
    }
  }

  bool vop1(std::uint32_t w) {
    const unsigned vdst = bits(w, 24, 17);
    if (row_->flags & row_scalar_dst && vdst >= scalar_count)
      return false;
    if (row_->flags & row_scalar_dst)
      out_.dst = scalar(vdst, row_->dst);
    else if (!vector(out_.dst, vdst, row_->dst))
      return false;
    return row_->src0 == Type::none || first_source(bits(w, 8, 0), false);
  }

  bool vop2(std::uint32_t w) {
    if (!vector(out_.dst, bits(w, 24, 17), row_->dst))
      return false;
    implicit_vcc();
    if (row_->flags & row_literal_k) {
      const bool last = row_->flags & row_k_is_src2;
      return source(0, bits(w, 8, 0), row_->src0) &&
             vector(out_.src[last ? 1 : 2], bits(w, 16, 9), row_->src1) &&
             literal(out_.src[last ? 2 : 1], row_->src1);
    }
    return vector(out_.src[1], bits(w, 16, 9), row_->src1) && first_source(bits(w, 8, 0), false);
  }

  void implicit_vcc() {
    if (row_->flags & row_vcc_in)
      out_.src[2] = scalar(vcc_lo, Type::mask);
    if (row_->flags & row_vcc_out)
      out_.dst2 = scalar(vcc_lo, Type::mask);
  }

  bool vopc(std::uint32_t w) {
    out_.dst = scalar(row_->flags & row_writes_exec ? exec_lo : vcc_lo, Type::mask);
    return vector(out_.src[1], bits(w, 16, 9), row_->src1) && first_source(bits(w, 8, 0), true);
  }

  bool sdwa(std::uint32_t w, bool compare) {
    if (row_->flags & row_no_sdwa)
      return false;
    size_ = 2;
    out_.variant = Variant::sdwa;
    out_.handler = valu_tables().sdwa;
    SdwaFields& s = out_.sdwa;
    s.src_sel[0] = static_cast<std::uint8_t>(bits(w, 18, 16));
    s.src_sel[1] = static_cast<std::uint8_t>(bits(w, 26, 24));
    s.src_sext[0] = bit(w, 19);
    s.src_sext[1] = bit(w, 27);
    out_.neg = static_cast<std::uint8_t>(bits(w, 20, 20) | bits(w, 28, 28) << 1);
    out_.abs = static_cast<std::uint8_t>(bits(w, 21, 21) | bits(w, 29, 29) << 1);
    if (compare) {
      if (bit(w, 15) && !(row_->flags & row_writes_exec))
        out_.dst = scalar(bits(w, 14, 8), Type::mask);
    } else {
      s.dst_sel = static_cast<std::uint8_t>(bits(w, 10, 8));
      s.dst_unused = static_cast<std::uint8_t>(bits(w, 12, 11));
      out_.clamp = bit(w, 13);
      out_.omod = static_cast<std::uint8_t>(bits(w, 15, 14));
    }
    if (s.src_sel[0] > 6 || s.src_sel[1] > 6 || s.dst_sel > 6 || s.dst_unused > 2)
      return false;
    if (bit(w, 31) && row_->src1 != Type::none &&
        !sdwa_scalar(out_.src[1], bits(words_[0], 16, 9), row_->src1))
      return false;
    if (bit(w, 23))
      return sdwa_scalar(out_.src[0], bits(w, 7, 0), row_->src0);
    return vector(out_.src[0], bits(w, 7, 0), row_->src0);
  }

  bool sdwa_scalar(Operand& to, unsigned encoding, Type type) {
    return encoding != encoding_literal && any_source(to, encoding, type);
  }

  bool dpp16(std::uint32_t w) {
    if (row_->flags & row_no_dpp || out_.format == Format::vopc)
      return false;
    size_ = 2;
    out_.variant = Variant::dpp16;
    out_.handler = valu_tables().dpp16;
    out_.dpp.ctrl = static_cast<std::uint16_t>(bits(w, 16, 8));
    out_.dpp.fetch_inactive = bit(w, 18);
    out_.dpp.bound_ctrl = bit(w, 19);
    out_.neg = static_cast<std::uint8_t>(bits(w, 20, 20) | bits(w, 22, 22) << 1);
    out_.abs = static_cast<std::uint8_t>(bits(w, 21, 21) | bits(w, 23, 23) << 1);
    out_.dpp.bank_mask = static_cast<std::uint8_t>(bits(w, 27, 24));
    out_.dpp.row_mask = static_cast<std::uint8_t>(bits(w, 31, 28));
    return vector(out_.src[0], bits(w, 7, 0), row_->src0);
  }

  bool dpp8(std::uint32_t w, bool fetch_inactive) {
    if (row_->flags & row_no_dpp || out_.format == Format::vopc)
      return false;
    size_ = 2;
    out_.variant = Variant::dpp8;
    out_.handler = valu_tables().dpp8;
    out_.dpp.dpp8 = bits(w, 31, 8);
    out_.dpp.fetch_inactive = fetch_inactive;
    return vector(out_.src[0], bits(w, 7, 0), row_->src0);
  }

  bool vop3_row(unsigned opcode) {
    if (opcode < vop3_vop2_base)
      return take_row(Format::vopc, opcode);
    if (opcode < vop3_only_low_base)
      return take_row(Format::vop2, opcode - vop3_vop2_base);
    if (opcode >= vop3_vop1_base && opcode < vop3_only_base)
      return take_row(Format::vop1, opcode - vop3_vop1_base);
    return take_row(Format::vop3, opcode);
  }

  bool vop3(unsigned opcode) {
    if (!vop3_row(opcode) || row_->flags & row_no_vop3)
      return false;
    const std::uint32_t w0 = words_[0], w1 = word(1);
    size_ = 2;
    out_.encoded_vop3 = true;
    const bool b_layout = row_->flags & (row_sdst | row_vcc_out);
    if (b_layout) {
      out_.dst2 = scalar(bits(w0, 14, 8), Type::mask);
    } else {
      out_.abs = static_cast<std::uint8_t>(bits(w0, 10, 8));
      out_.op_sel = static_cast<std::uint8_t>(bits(w0, 14, 11));
    }
    out_.clamp = bit(w0, 15);
    out_.omod = static_cast<std::uint8_t>(bits(w1, 28, 27));
    out_.neg = static_cast<std::uint8_t>(bits(w1, 31, 29));
    return vop3_destination(bits(w0, 7, 0)) && vop3_sources(w1);
  }

  bool vop3_destination(unsigned vdst) {
    if (out_.format == Format::vopc) {
      out_.dst = scalar(row_->flags & row_writes_exec ? exec_lo : vdst & 127, Type::mask);
      return vdst < scalar_count || row_->flags & row_writes_exec;
    }
    if (row_->flags & row_scalar_dst)
      return vdst < scalar_count && scalar_destination(vdst, row_->dst);
    return vector(out_.dst, vdst, row_->dst);
  }

  bool vop3_sources(std::uint32_t w1) {
    const Type third = row_->flags & row_vcc_in ? Type::mask : row_->src2;
    const unsigned first = bits(w1, 8, 0);
    if (row_->flags & row_src0_vgpr_only && first < encoding_vgpr0 && first != special_lds_direct)
      return false;
    return source(0, first, row_->src0) && source(1, bits(w1, 17, 9), row_->src1) &&
           source(2, bits(w1, 26, 18), third);
  }

  bool vop3p(std::uint32_t w0, std::uint32_t w1) {
    size_ = 2;
    out_.abs = static_cast<std::uint8_t>(bits(w0, 10, 8));
    out_.op_sel = static_cast<std::uint8_t>(bits(w0, 13, 11));
    out_.op_sel_hi = static_cast<std::uint8_t>(bits(w1, 28, 27) | bits(w0, 14, 14) << 2);
    out_.clamp = bit(w0, 15);
    out_.neg = static_cast<std::uint8_t>(bits(w1, 31, 29));
    return vector(out_.dst, bits(w0, 7, 0), row_->dst) && vop3_sources(w1);
  }

  // --- memory formats

  bool ds(std::uint32_t w0, std::uint32_t w1) {
    size_ = 2;
    out_.offset = static_cast<std::int32_t>(bits(w0, 15, 0));
    out_.gds = bit(w0, 17);
    return vector(out_.src[0], bits(w1, 7, 0), row_->src0) &&
           vector(out_.src[1], bits(w1, 15, 8), row_->src1) &&
           vector(out_.src[2], bits(w1, 23, 16), row_->src2) && vector(out_.dst, bits(w1, 31, 24), row_->dst);
  }

  bool flat(Format format, std::uint32_t w0, std::uint32_t w1) {
    size_ = 2;
    out_.dlc = bit(w0, 12);
    out_.lds = bit(w0, 13);
    out_.glc = bit(w0, 16);
    out_.slc = bit(w0, 17);
    // Twelve signed bits; FLAT proper has eleven unsigned ones.
    if (format == Format::flat)
      out_.offset = static_cast<std::int32_t>(bits(w0, 10, 0));
    else
      out_.offset = static_cast<std::int32_t>(w0 << 20) >> 20;
    const unsigned saddr = bits(w1, 22, 16);
    Type address = row_->src0;
    bool has_address = address != Type::none;
    if (format == Format::global && saddr != null_register) {
      if (!is_pair(saddr))
        return false;
      out_.scalar = scalar(saddr, Type::b64);
      address = Type::b32;
    } else if (format == Format::scratch && saddr != null_register) {
      has_address = false; // EXEC_HI: neither VGPR nor SGPR
      if (saddr != exec_lo + 1)
        out_.scalar = scalar(saddr, Type::b32);
    }
    if (has_address && !vector(out_.src[0], bits(w1, 7, 0), address))
      return false;
    if (out_.lds) {
      out_.handler = flat_lds_handler(format, row_->opcode);
      refused_ |= !out_.handler;
      if (out_.handler)
        return true;
    }
    const bool returns = !(row_->flags & row_atomic) || out_.glc;
    return vector(out_.src[1], bits(w1, 15, 8), row_->src1) &&
           (!returns || vector(out_.dst, bits(w1, 31, 24), row_->dst));
  }

  bool buffer(Format format, std::uint32_t w0, std::uint32_t w1) {
    size_ = 2;
    out_.offset = static_cast<std::int32_t>(bits(w0, 11, 0));
    out_.offen = bit(w0, 12);
    out_.idxen = bit(w0, 13);
    out_.glc = bit(w0, 14);
    out_.dlc = bit(w0, 15);
    out_.slc = bit(w1, 22);
    out_.tfe = bit(w1, 23);
    if (format == Format::mubuf)
      out_.lds = bit(w0, 16);
    else
      out_.format_id = static_cast<std::uint8_t>(bits(w0, 25, 19));
    if (row_->dst == Type::none && row_->src1 == Type::none)
      return true; // cache control
    if (!descriptor(out_.scalar, bits(w1, 20, 16) * 4))
      return false;
    const bool both = out_.offen && out_.idxen;
    if ((out_.offen || out_.idxen) && !vector(out_.src[0], bits(w1, 7, 0), both ? Type::b64 : Type::b32))
      return false;
    if (!any_source(out_.soffset, bits(w1, 31, 24), Type::b32) || literal_used_)
      return false;
    if (out_.lds) {
      out_.handler = mubuf_lds_handler(row_->opcode);
      refused_ |= !out_.handler || out_.tfe;
      if (out_.handler)
        return true;
    }
    const unsigned vdata = bits(w1, 15, 8);
    const bool returns = row_->dst != Type::none && (!(row_->flags & row_atomic) || out_.glc);
    if (!vector(out_.src[1], vdata, row_->src1) || (returns && !vector(out_.dst, vdata, row_->dst)))
      return false;
    if (returns && out_.tfe) {
      out_.handler = buffer_status_handler;
      return vdata + registers_of(row_->dst) < vgpr_limit;
    }
    return true;
  }

  std::span<const std::uint32_t> words_;
  Instruction& out_;
  const OpcodeRow* row_ = nullptr;
  unsigned size_ = 1;
  bool literal_used_ = false;
  bool refused_ = false;            // an operand that compute waves do not have: decodes, does not execute
  const Operand* direct_ = nullptr; // where LDS_DIRECT may stand
};

} // namespace

unsigned registers_of(Type type) {
  switch (type) {
  case Type::none:
    return 0;
  case Type::b64:
  case Type::i64:
  case Type::f64:
  case Type::mask:
    return 2;
  case Type::b96:
    return 3;
  case Type::b128:
    return 4;
  case Type::b256:
    return 8;
  case Type::b512:
    return 16;
  default:
    return 1;
  }
}

bool decode(std::span<const std::uint32_t> words, Instruction& out) {
  out = Instruction{};
  return Decoder(words, out).run();
}

} // namespace emu::isa
