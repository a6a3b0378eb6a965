// A wave's way into the trap handler of its process, and back.
//
// The hardware enters KFD's first-level handler, which the kernel binds to every queue of a process. What
// that one does for anything but a context save is done here, without its instructions: it hands the wave to
// the second-level handler that SET_TRAP_HANDLER named, or, where there is none, skips the s_trap or halts
// the wave.
//
// Sources: "RDNA 2" Instruction Set Architecture manual, "Trap and Exception registers" and S_TRAP;
// amdkfd/cwsr_trap_handler_gfx10.asm for the first level (Linux 6.12, as CHIP_SIENNA_CICHLID).
#include "group.hpp"

namespace emu::isa {

namespace {

// Trap registers at the entry of a second-level handler. TTMP2..5 are the first level's to spoil.
constexpr unsigned saved_pc = ttmp0; // and above PC[47:32] the trap's number; no host trap, no PC to rewind
constexpr unsigned ttmp11 = ttmp0 + 11;
constexpr unsigned saved_status = ttmp0 + 12;
constexpr unsigned handler_memory = ttmp0 + 14;

constexpr unsigned trap_id_shift = 48; // of TTMP1:0
constexpr std::uint32_t debugger_attached = 1u << 23;
constexpr std::uint32_t status_never_saved = 3u << 1 | 1u << 17; // SPI_PRIO, ECC_ERR
constexpr std::uint64_t pc_mask = ((std::uint64_t{1} << 48) - 1) & ~std::uint64_t{3};

} // namespace

void enter_trap_handler(Wave& wave) {
  const std::uint64_t code = wave.group->trap_handler->code.load(std::memory_order_acquire);
  wave.event = WaveEvent::none;
  if (code == 0) {
    wave.halt = wave.halt || wave.trap_id == 0;
    // A wave that is halted at s_endpgm could not be saved: the first level steps back.
    return leave_trap_handler(wave, wave.trap_id == 0 ? wave.trap_pc - 8 : wave.trap_pc + 4);
  }
  wave.set_pair(saved_pc, (wave.trap_pc & pc_mask) | std::uint64_t{wave.trap_id} << trap_id_shift);
  wave.sgpr[ttmp11] &= ~debugger_attached;
  wave.sgpr[saved_status] = status(wave) & ~status_never_saved;
  wave.set_pair(handler_memory, wave.group->trap_handler->memory.load(std::memory_order_acquire));
  wave.privileged = true;
  wave.pc = code;
}

void leave_trap_handler(Wave& wave, std::uint64_t pc) {
  wave.privileged = false;
  wave.pc = pc & pc_mask;
  if (wave.halt)
    wave.event = WaveEvent::halted;
}

} // namespace emu::isa
