#include <fmt/format.h>

#include "decoder.hpp"
#include "group.hpp"
#include "tables.hpp"

namespace emu::isa {

namespace {

const char* access_name(memory::Access access) {
  switch (access) {
  case memory::Access::read:
    return "read";
  case memory::Access::write:
    return "write";
  case memory::Access::execute:
    return "fetch";
  }
  return "";
}

} // namespace

std::string Fault::describe() const {
  const std::string where = fmt::format("wave {} at 0x{:x}: {:08x} {:08x}{}{}", wave, pc, dwords[0],
                                        dwords[1], *mnemonic ? " " : "", mnemonic);
  switch (kind) {
  case FaultKind::none:
    return "no fault";
  case FaultKind::page_fault:
    return fmt::format("page fault: {} of 0x{:x} ({}), {}", access_name(page.access), page.address,
                       page.not_present ? "not mapped" : "no permission", where);
  case FaultKind::illegal_instruction:
    return fmt::format("illegal instruction: {}, {}", reason, where);
  case FaultKind::memory_violation:
    return fmt::format("memory violation: {} at 0x{:x}, {}", reason, address, where);
  case FaultKind::trap:
    return fmt::format("trap {}, {}", trap_id, where);
  case FaultKind::aborted:
    return fmt::format("aborted, {}", where);
  }
  return {};
}

Fault Group::describe(const Wave& wave, FaultKind kind, const char* reason) {
  Fault result;
  result.kind = kind;
  result.reason = reason;
  result.pc = wave.current_pc;
  result.wave = wave.index;
  unsigned count = 0;
  while (count < result.dwords.size() && memory.read(wave.current_pc + count * 4, &result.dwords[count], 4))
    ++count;
  Instruction at;
  if (decode(std::span(result.dwords).first(count), at))
    result.mnemonic = at.row->mnemonic;
  return result;
}

void Group::raise(Wave& wave, FaultKind kind, const char* reason) {
  raise(wave, describe(wave, kind, reason));
}

void Group::raise(Wave& wave, const Fault& raised) {
  if (trap_handler && raised.kind != FaultKind::page_fault && raised.kind != FaultKind::aborted)
    return raise_exception(wave, raised);
  wave.event = WaveEvent::faulted;
  if (fault.kind == FaultKind::none)
    fault = raised;
}

// The instruction does not count as executed where it is illegal or s_trap. A memory violation is noticed
// later; how much later is the hardware's affair.
void Group::raise_exception(Wave& wave, const Fault& raised) {
  constexpr std::uint32_t trapsts_memory_violation = 1u << 8, trapsts_illegal_instruction = 1u << 11;
  if (raised.kind == FaultKind::memory_violation)
    wave.trapsts |= trapsts_memory_violation;
  else if (raised.kind == FaultKind::illegal_instruction)
    wave.trapsts |= trapsts_illegal_instruction;
  if (wave.event == WaveEvent::trapped || wave.event == WaveEvent::halted)
    return; // another lane of the same instruction
  if (exception_handler && (raised.kind != FaultKind::trap || wave.privileged))
    exception_handler(raised);
  wave.event = wave.privileged ? WaveEvent::halted : WaveEvent::trapped; // nothing handles the handler's own
  wave.trap_id = raised.trap_id;
  wave.trap_pc = raised.kind == FaultKind::memory_violation ? wave.pc : wave.current_pc;
}

void Group::raise_trap(Wave& wave, std::uint32_t id) {
  Fault trap = describe(wave, FaultKind::trap, "s_trap");
  trap.trap_id = id;
  raise(wave, trap);
}

void Group::raise_page_fault(Wave& wave, const memory::PageFault& page) {
  const memory::PageFault copy = page; // describe() reads the code through the translator that it belongs to
  Fault raised = describe(wave, FaultKind::page_fault, "page fault");
  raised.page = copy;
  raise(wave, raised);
}

void Group::raise_violation(Wave& wave, std::uint64_t address, const char* reason) {
  Fault violation = describe(wave, FaultKind::memory_violation, reason);
  violation.address = address;
  raise(wave, violation);
}

} // namespace emu::isa
