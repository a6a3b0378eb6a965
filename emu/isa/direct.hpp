// Accesses of a whole wave at once: where the bytes of all active lanes lie in one piece of host memory, one
// translation serves them all.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>

#include "group.hpp"
#include "tables.hpp"
#include "wave.hpp"

namespace emu::isa {

// Where lanes find their bytes: at base + offset[lane], or without `offset` at base + 4 * lane. From a dword
// to the next it is `stride` bytes.
struct Direct {
  std::byte* base = nullptr; // of the offset `least`
  const std::uint32_t* offset = nullptr;
  std::uint32_t least = 0;
  std::uint32_t stride = 4;

  std::byte* of_lane(unsigned lane) const { return base + (offset ? offset[lane] - least : lane * 4); }
};

// Lanes further apart are looked up one by one: they hardly ever lie in one mapping.
inline constexpr std::uint32_t widest_span = 1u << 24;

// Memory at address + offset[lane], for accesses of `size` bytes.
inline bool direct_memory(Wave& wave, std::uint64_t address, const std::uint32_t* offset, unsigned size,
                          memory::Access access, Direct& to) {
  const Extent extent = valu_tables().extent(offset, wave.exec(), wave.lanes);
  const std::uint32_t span = extent.greatest - extent.least;
  if (span > widest_span)
    return false;
  to.base = wave.group->memory.translate(address + extent.least, std::uint64_t{span} + size, access);
  to.offset = offset;
  to.least = extent.least;
  return to.base != nullptr;
}

// LDS at `start` + offset[lane], inside the allocation.
inline bool direct_lds(Wave& wave, std::uint32_t start, const std::uint32_t* offset, unsigned size,
                       Direct& to) {
  const Extent extent = valu_tables().extent(offset, wave.exec(), wave.lanes);
  if (std::uint64_t{extent.greatest} + start + size > wave.group->lds_size)
    return false;
  to.base = &wave.group->lds[extent.least + start];
  to.offset = offset;
  to.least = extent.least;
  return true;
}

// Interleaved dwords: the first of lane 0 at `address`, of the other lanes behind it, then all the second
// ones.
inline bool direct_interleaved(Wave& wave, std::uint64_t address, unsigned size, memory::Access access,
                               Direct& to) {
  to.stride = wave.lanes * 4;
  to.base = wave.group->memory.translate(address, std::uint64_t{(size + 3) / 4} * to.stride, access);
  return to.base != nullptr;
}

// The value that all active lanes have in a row, if they have one.
inline bool uniform(const Wave& wave, const std::uint32_t* row, std::uint32_t& value) {
  const Extent extent = valu_tables().extent(row, wave.exec(), wave.lanes);
  value = extent.least;
  return extent.least == extent.greatest;
}

// f(lane, host address) for every active lane, lowest first.
template <class F>
[[gnu::always_inline]] inline void for_each_direct(const Wave& wave, const Direct& at, F&& f) {
  if (wave.full()) {
    for (unsigned lane = 0; lane < wave.lanes; ++lane)
      f(lane, at.of_lane(lane));
    return;
  }
  for (std::uint64_t mask = wave.exec(); mask; mask &= mask - 1) {
    const auto lane = static_cast<unsigned>(std::countr_zero(mask));
    f(lane, at.of_lane(lane));
  }
}

// Are a full wave's dwords one after the other?
inline bool is_row(const Wave& wave, const Direct& at) {
  return wave.full() && (!at.offset || valu_tables().consecutive(at.offset, wave.lanes));
}

template <unsigned dwords>
void load_direct(Wave& wave, unsigned vgpr, const Direct& at) {
  if ((dwords == 1 || !at.offset) && is_row(wave, at)) {
    for (unsigned i = 0; i < dwords; ++i)
      std::memcpy(wave.vgpr[vgpr + i], at.base + i * at.stride, wave.lanes * 4);
    return;
  }
  for_each_direct(wave, at, [&](unsigned lane, const std::byte* from) {
    std::uint32_t value[dwords];
    for (unsigned i = 0; i < dwords; ++i)
      std::memcpy(&value[i], from + i * at.stride, 4);
    for (unsigned i = 0; i < dwords; ++i)
      wave.vgpr[vgpr + i][lane] = value[i];
  });
}

template <unsigned dwords>
void store_direct(Wave& wave, unsigned vgpr, const Direct& at) {
  if ((dwords == 1 || !at.offset) && is_row(wave, at)) {
    for (unsigned i = 0; i < dwords; ++i)
      std::memcpy(at.base + i * at.stride, wave.vgpr[vgpr + i], wave.lanes * 4);
    return;
  }
  for_each_direct(wave, at, [&](unsigned lane, std::byte* to) {
    for (unsigned i = 0; i < dwords; ++i)
      std::memcpy(to + i * at.stride, &wave.vgpr[vgpr + i][lane], 4);
  });
}

template <class Space>
concept KnowsDirect = requires(const Space& space, Wave& wave, Direct& to) {
  { space.direct(wave, 4u, memory::Access::read, to) } -> std::same_as<bool>;
};

// True where the space can serve all lanes of this access at once.
template <class Space>
bool find_direct(const Space& space, Wave& wave, unsigned size, memory::Access access, Direct& to) {
  if constexpr (KnowsDirect<Space>)
    return wave.exec() != 0 && space.direct(wave, size, access, to);
  else
    return false;
}

} // namespace emu::isa
