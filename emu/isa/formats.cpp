#include "formats.hpp"

#include <array>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "tables.hpp"

namespace emu::isa {

namespace {

consteval FormatPattern pattern(Format format, const char* name, std::string_view bits) {
  if (bits.size() != 32)
    throw "a pattern has 32 bits";
  FormatPattern result{format, name, 0, 0, 0, 0};
  for (unsigned i = 0; i < 32; ++i) {
    const unsigned bit = 31 - i;
    switch (bits[i]) {
    case '1':
      result.value |= 1u << bit;
      [[fallthrough]];
    case '0':
      result.mask |= 1u << bit;
      break;
    case 'o':
      result.opcode_shift = bit;
      ++result.opcode_bits;
      break;
    case '-':
      break;
    default:
      throw "a pattern consists of 0, 1, o and -";
    }
  }
  return result;
}

// RDNA2 manual, chapter "Microcode formats". The specific patterns come before those that contain them.
constexpr FormatPattern patterns[] = {
    pattern(Format::sop1, "SOP1", "101111101-------oooooooo--------"),
    pattern(Format::sopc, "SOPC", "101111110ooooooo----------------"),
    pattern(Format::sopp, "SOPP", "101111111ooooooo----------------"),
    pattern(Format::sopk, "SOPK", "1011ooooo-----------------------"),
    pattern(Format::sop2, "SOP2", "10ooooooo-----------------------"),
    pattern(Format::vop1, "VOP1", "0111111--------oooooooo---------"),
    pattern(Format::vopc, "VOPC", "0111110oooooooo-----------------"),
    pattern(Format::vop2, "VOP2", "0oooooo-------------------------"),
    pattern(Format::vop3, "VOP3", "110101oooooooooo----------------"),
    pattern(Format::vop3p, "VOP3P", "110011000ooooooo----------------"),
    pattern(Format::vintrp, "VINTRP", "110010--------oo----------------"),
    pattern(Format::ds, "DS", "110110oooooooo------------------"),
    pattern(Format::flat, "FLAT", "110111-ooooooo--00--------------"),
    pattern(Format::scratch, "SCRATCH", "110111-ooooooo--01--------------"),
    pattern(Format::global, "GLOBAL", "110111-ooooooo--10--------------"),
    pattern(Format::mubuf, "MUBUF", "111000oooooooo------------------"),
    pattern(Format::mtbuf, "MTBUF", "111010-------ooo----------------"),
    pattern(Format::mimg, "MIMG", "111100-ooooooo------------------"),
    pattern(Format::smem, "SMEM", "111101oooooooo------------------"),
    pattern(Format::exp, "EXP", "111110--------------------------"),
};
static_assert(std::size(patterns) == format_count);

constexpr unsigned opcode_limit = 1024;

struct Index {
  std::array<std::array<const OpcodeRow*, opcode_limit>, format_count> rows{};

  Index() {
    for (const FormatPattern& p : patterns)
      for (const OpcodeRow& row : rows_of(p.format))
        add(p.format, row);
  }

  void add(Format format, const OpcodeRow& row) {
    const OpcodeRow*& slot = rows[static_cast<unsigned>(format)].at(row.opcode);
    if (slot)
      std::abort(); // two rows for one opcode
    slot = &row;
  }
};

} // namespace

std::span<const FormatPattern> format_patterns() {
  return patterns;
}

const FormatPattern* find_format(std::uint32_t word) {
  for (const FormatPattern& p : patterns)
    if (p.matches(word))
      return &p;
  return nullptr;
}

std::span<const OpcodeRow> rows_of(Format format) {
  switch (format) {
  case Format::sop2:
    return sop2_rows();
  case Format::sopk:
    return sopk_rows();
  case Format::sop1:
    return sop1_rows();
  case Format::sopc:
    return sopc_rows();
  case Format::sopp:
    return sopp_rows();
  case Format::smem:
    return smem_rows();
  case Format::vop2:
    return valu_tables().vop2;
  case Format::vop1:
    return valu_tables().vop1;
  case Format::vopc:
    return valu_tables().vopc;
  case Format::vop3:
    return valu_tables().vop3;
  case Format::vop3p:
    return valu_tables().vop3p;
  case Format::vintrp:
    return vintrp_rows();
  case Format::ds:
    return ds_rows();
  case Format::flat:
    return flat_rows();
  case Format::global:
    return global_rows();
  case Format::scratch:
    return scratch_rows();
  case Format::mubuf:
    return mubuf_rows();
  case Format::mtbuf:
    return mtbuf_rows();
  case Format::mimg:
    return mimg_rows();
  case Format::exp:
    return exp_rows();
  }
  return {};
}

const OpcodeRow* find_row(Format format, unsigned opcode) {
  static const Index index;
  return opcode < opcode_limit ? index.rows[static_cast<unsigned>(format)][opcode] : nullptr;
}

const char* format_name(Format format) {
  for (const FormatPattern& p : patterns)
    if (p.format == format)
      return p.name;
  return "";
}

} // namespace emu::isa
