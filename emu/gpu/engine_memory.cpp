#include "engine_memory.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace emu::gpu {

namespace {

// Of a copy or a fill, between looks at the page tables: what is unmapped meanwhile is a page fault.
constexpr std::uint64_t uninterrupted_size = 64 << 10;

const char* name_of(memory::Access access) {
  switch (access) {
  case memory::Access::read:
    return "read";
  case memory::Access::write:
    return "write";
  case memory::Access::execute:
    return "execute";
  }
  return "access";
}

} // namespace

void EngineMemory::stop_at_fault() {
  const memory::PageFault& page = translator_.fault();
  Fault fault{FaultKind::page_fault, no_queue, page, 0, {}};
  fault.text = fmt::format("{} of {:#x}: {}", name_of(page.access), page.address,
                           page.not_present ? "not mapped" : "not permitted");
  throw Stop{std::move(fault)};
}

void EngineMemory::stop_at(GpuAddress va, memory::Access access, FaultKind kind) {
  Fault fault{kind, no_queue, {va, access, false}, 0, {}};
  fault.text = fmt::format("{} of {:#x}: misaligned", name_of(access), va);
  throw Stop{std::move(fault)};
}

std::pair<std::byte*, std::uint64_t> EngineMemory::piece(GpuAddress va, std::uint64_t size,
                                                         memory::Access access) {
  va = memory::table_address(va);
  const std::optional<memory::Range> range = translator_.range_of(va, access);
  if (!range)
    stop_at_fault();
  const std::uint64_t length = std::min(size, range->end - va);
  if (access != memory::Access::write || !range->permissions.drops_writes)
    return {range->host + (va - range->begin), length};
  const std::uint64_t dropped =
      std::min({length, memory::Translator::dropped_size, memory::page_size - va % memory::page_size});
  return {at(va, dropped, access), dropped};
}

void EngineMemory::copy(GpuAddress to, GpuAddress from, std::uint64_t size) {
  while (size > 0) {
    auto [source, source_size] = piece(from, size, memory::Access::read);
    auto [target, target_size] = piece(to, size, memory::Access::write);
    std::uint64_t chunk = std::min(source_size, target_size);
    if (source + chunk <= target || target + chunk <= source)
      chunk = std::min(chunk, uninterrupted_size);
    std::memmove(target, source, chunk);
    to += chunk;
    from += chunk;
    size -= chunk;
  }
}

void EngineMemory::fill(GpuAddress to, std::uint32_t value, unsigned unit, std::uint64_t size) {
  while (size > 0) {
    auto [target, length] = piece(to, size, memory::Access::write);
    const std::uint64_t chunk = std::min(length, uninterrupted_size);
    if (unit == 1) {
      std::memset(target, static_cast<int>(value & 0xff), chunk);
    } else {
      // Mappings begin and end at page boundaries, so a piece holds whole units if the start is aligned.
      if (to % unit != 0)
        stop_at(to, memory::Access::write, FaultKind::memory_violation);
      for (std::uint64_t offset = 0; offset < chunk; offset += unit)
        std::memcpy(target + offset, &value, unit);
    }
    to += chunk;
    size -= chunk;
  }
}

} // namespace emu::gpu
