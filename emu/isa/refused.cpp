// Operations of formats that this device decodes but does not execute: images, exports, parameter
// interpolation.
#include "tables.hpp"

namespace emu::isa {

namespace {

#include "mimg_rows.inc"

constexpr OpcodeRow exp_table[] = {{0, "exp", nullptr, Type::none}};

constexpr OpcodeRow vintrp_table[] = {
    {0, "v_interp_p1_f32", nullptr, Type::none},
    {1, "v_interp_p2_f32", nullptr, Type::none},
    {2, "v_interp_mov_f32", nullptr, Type::none},
};

} // namespace

std::span<const OpcodeRow> mimg_rows() {
  return mimg_table;
}
std::span<const OpcodeRow> exp_rows() {
  return exp_table;
}
std::span<const OpcodeRow> vintrp_rows() {
  return vintrp_table;
}

} // namespace emu::isa
