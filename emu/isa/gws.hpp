// Handlers of the global wave sync instructions, for DS's table.
#pragma once

#include "instruction.hpp"

namespace emu::isa {

struct Wave;

void ds_gws_init(Wave& wave, const Instruction& in);
void ds_gws_barrier(Wave& wave, const Instruction& in);
void ds_gws_sema_v(Wave& wave, const Instruction& in);
void ds_gws_sema_br(Wave& wave, const Instruction& in);
void ds_gws_sema_p(Wave& wave, const Instruction& in);
void ds_gws_sema_release_all(Wave& wave, const Instruction& in);

} // namespace emu::isa
