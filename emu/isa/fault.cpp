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

void Group::raise(Wave& wave, FaultKind kind, const char* reason) {
  wave.event = WaveEvent::faulted;
  if (fault.kind != FaultKind::none)
    return;
  fault.kind = kind;
  fault.reason = reason;
  fault.pc = wave.current_pc;
  fault.wave = wave.index;
  unsigned count = 0;
  while (count < fault.dwords.size() && memory.read(wave.current_pc + count * 4, &fault.dwords[count], 4))
    ++count;
  Instruction at;
  if (decode(std::span(fault.dwords).first(count), at))
    fault.mnemonic = at.row->mnemonic;
}

void Group::raise_page_fault(Wave& wave, const memory::PageFault& page) {
  const memory::PageFault copy = page; // raise() reads the code through the translator that `page` belongs to
  const bool first = fault.kind == FaultKind::none;
  raise(wave, FaultKind::page_fault, "page fault");
  if (first)
    fault.page = copy;
}

void Group::raise_violation(Wave& wave, std::uint64_t address, const char* reason) {
  const bool first = fault.kind == FaultKind::none;
  raise(wave, FaultKind::memory_violation, reason);
  if (first)
    fault.address = address;
}

} // namespace emu::isa
