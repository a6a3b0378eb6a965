// Hardware registers of a wave, as s_getreg_b32 and s_setreg_b32 see them (RDNA2 manual, "Hardware
// registers").
#pragma once

#include <cstdint>

#include "wave.hpp"

namespace emu::isa {

// False, and the wave stopped, for a register that this device does not have.
bool read_hwreg(Wave& wave, unsigned reg, std::uint32_t& value);
void write_hwreg(Wave& wave, unsigned reg, std::uint32_t value);

// 100 MHz, as s_memrealtime counts.
std::uint64_t reference_clock();

} // namespace emu::isa
