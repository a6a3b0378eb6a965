// Questions about a row of lanes that memory instructions ask.
#include "valu.hpp"

namespace emu::isa {
namespace EMU_ISA_TARGET {

Extent extent(const u32* row, u64 mask, unsigned lanes) {
  u32 least = ~0u, greatest = 0;
  if (mask == (lanes == 64 ? ~u64{0} : 0xffffffffu)) {
    for (unsigned i = 0; i < lanes; ++i) {
      least = row[i] < least ? row[i] : least;
      greatest = row[i] > greatest ? row[i] : greatest;
    }
    return {least, greatest};
  }
  Row taken;
  mask_to_row(mask, taken.lane, lanes);
  for (unsigned i = 0; i < lanes; ++i) {
    const u32 low = row[i] | ~taken.lane[i], high = row[i] & taken.lane[i];
    least = low < least ? low : least;
    greatest = high > greatest ? high : greatest;
  }
  return {least, greatest};
}

bool consecutive(const u32* row, unsigned lanes) {
  u32 difference = 0;
  const u32 first = row[0];
  for (unsigned i = 0; i < lanes; ++i)
    difference |= (row[i] - first) ^ (i * 4);
  return difference == 0;
}

} // namespace EMU_ISA_TARGET
} // namespace emu::isa
