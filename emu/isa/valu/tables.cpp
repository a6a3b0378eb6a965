// All vector rows of one host instruction set, by format.
#include "valu.hpp"

namespace emu::isa {
namespace EMU_ISA_TARGET {
namespace {

struct Storage {
  OpcodeRow rows[512];
  unsigned count = 0;

  void append(std::span<const OpcodeRow> more) {
    for (const OpcodeRow& row : more)
      rows[count++] = row;
  }
  std::span<const OpcodeRow> all() const { return {rows, count}; }
};

struct Tables {
  Storage vop1, vop2, vopc, vop3, vop3p;
  ValuTables result;

  Tables() {
    const RowSet sets[] = {move_rows(), integer_rows(),    wide_integer_rows(), short_integer_rows(),
                           byte_rows(), f32_rows(),        f32_division_rows(), f64_rows(),
                           f16_rows(),  conversion_rows(), compare_rows(),      packed_rows()};
    for (const RowSet& set : sets) {
      vop1.append(set.vop1);
      vop2.append(set.vop2);
      vopc.append(set.vopc);
      vop3.append(set.vop3);
      vop3p.append(set.vop3p);
    }
    result = {vop1.all(),   vop2.all(),    vopc.all(),   vop3.all(), vop3p.all(),
              execute_sdwa, execute_dpp16, execute_dpp8, extent,     consecutive};
  }
};

} // namespace

const ValuTables& valu_tables() {
  static const Tables tables;
  return tables.result;
}

} // namespace EMU_ISA_TARGET
} // namespace emu::isa
