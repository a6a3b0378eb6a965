#include "memory.hpp"

#include <algorithm>

namespace emu::isa {

namespace {

// Calls f(address, done, count) for each run of bytes of a location that is contiguous in memory.
template <class F>
bool for_each_run(const Location& at, unsigned size, F&& f) {
  if (at.stride == contiguous)
    return f(at.address, 0u, size);
  unsigned done = 0;
  while (done < size) {
    const unsigned place = at.low + done;
    const unsigned count = std::min(4 - place % 4, size - done);
    if (!f(at.address + std::uint64_t{place / 4} * at.stride + place % 4, done, count))
      return false;
    done += count;
  }
  return true;
}

// How many of the `size` bytes are in range: whole dwords, or all of a smaller access.
unsigned bytes_in_range(const Location& at, unsigned size) {
  if (at.kind == Location::Kind::none)
    return 0;
  if (at.limit >= size)
    return size;
  return at.limit & ~3u;
}

bool read_run(Wave& wave, std::uint64_t address, void* to, unsigned count) {
  memory::Translator& memory = wave.group->memory;
  if (const std::byte* host = memory.translate(address, count, memory::Access::read)) {
    if (count == 4)
      std::memcpy(to, host, 4);
    else
      std::memcpy(to, host, count);
    return true;
  }
  if (memory.read(address, to, count))
    return true;
  raise_memory_fault(wave);
  return false;
}

bool write_run(Wave& wave, std::uint64_t address, const void* from, unsigned count) {
  memory::Translator& memory = wave.group->memory;
  if (std::byte* host = memory.translate(address, count, memory::Access::write)) {
    if (count == 4)
      std::memcpy(host, from, 4);
    else
      std::memcpy(host, from, count);
    return true;
  }
  if (memory.write(address, from, count))
    return true;
  raise_memory_fault(wave);
  return false;
}

} // namespace

void raise_memory_fault(Wave& wave) {
  wave.group->raise_page_fault(wave, wave.group->memory.fault());
}

bool read_pieces(Wave& wave, const Location& from, void* to, unsigned size) {
  std::memset(to, 0, size);
  const unsigned count = bytes_in_range(from, size);
  if (count == 0)
    return true;
  if (from.kind == Location::Kind::lds) {
    std::memcpy(to, &wave.group->lds[from.address], count);
    return true;
  }
  return for_each_run(from, count, [&](std::uint64_t address, unsigned done, unsigned run) {
    return read_run(wave, address, static_cast<std::byte*>(to) + done, run);
  });
}

bool write_pieces(Wave& wave, const Location& to, const void* from, unsigned size) {
  const unsigned count = bytes_in_range(to, size);
  if (count == 0)
    return true;
  if (to.kind == Location::Kind::lds) {
    std::memcpy(&wave.group->lds[to.address], from, count);
    return true;
  }
  return for_each_run(to, count, [&](std::uint64_t address, unsigned done, unsigned run) {
    return write_run(wave, address, static_cast<const std::byte*>(from) + done, run);
  });
}

std::byte* atomic_location(Wave& wave, const Location& at, unsigned size) {
  if (at.kind == Location::Kind::none || at.limit < size)
    return nullptr;
  if ((at.address + at.low) % size != 0 || (at.stride != contiguous && size > 4)) {
    wave.group->raise_violation(wave, at.address + at.low, "misaligned atomic");
    return nullptr;
  }
  if (at.kind == Location::Kind::lds)
    return &wave.group->lds[at.address];
  std::byte* host = wave.group->memory.translate(at.address, size, memory::Access::write);
  if (!host)
    raise_memory_fault(wave);
  return host;
}

} // namespace emu::isa
