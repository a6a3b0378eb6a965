#include "emitter.hpp"

namespace shim::jit {

const LoweringTable& lowering_table() {
  static const LoweringTable table = [] {
    LoweringTable rows;
    for (auto* add : {add_integer, add_bits, add_float, add_approximate, add_compare, add_convert, add_move,
                      add_memory, add_atomic, add_warp, add_barrier, add_control, add_video})
      add(rows);
    return rows;
  }();
  return table;
}

} // namespace shim::jit
