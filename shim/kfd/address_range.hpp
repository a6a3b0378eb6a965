// Address ranges that are taken out of the process's address space before the GPU maps them.
#pragma once

#include <cstdint>

#include <util/mapping.hpp>

namespace shim::kfd {

inline constexpr std::uint64_t page_bytes = 4096;

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t to) {
  return (value + to - 1) & ~(to - 1);
}

// What suits the GPU's page tables: large fragments for large buffers.
constexpr std::uint64_t natural_alignment(std::uint64_t size) {
  constexpr std::uint64_t small_fragment = 64 << 10;
  constexpr std::uint64_t huge_fragment = 2 << 20;
  return size >= huge_fragment ? huge_fragment : size >= small_fragment ? small_fragment : page_bytes;
}

// `size` bytes (a multiple of the page) that nothing can be read from or written to yet. Invalid where there
// is no room.
util::Mapping reserve_addresses(std::uint64_t size, std::uint64_t alignment);

} // namespace shim::kfd
