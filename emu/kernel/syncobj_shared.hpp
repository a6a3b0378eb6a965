// What the memfd of an exported syncobj holds. syncobj.cpp works on it; tests look at it.
#pragma once

#include "fence.hpp"

#include <atomic>
#include <cstdint>

#include <pthread.h>

namespace emu::kernel {

// A payload is written into the buffer that is not in use, then `state` changes in one store: a process that
// dies half-way leaves the old payload.
struct SharedSyncobj {
  static constexpr const char* memfd_name = "syncobj_file";
  static constexpr std::uint64_t magic_value = 0x3262'6f63'6e79'7331ull;
  static constexpr std::uint32_t node_capacity = 2048;
  // `state`: which buffer holds the last payload that there was, whether it is there still, and above these
  // bits how many have been put in so far.
  static constexpr std::uint64_t buffer_bit = 1, present_bit = 2, install = 4;

  std::uint64_t magic;
  pthread_mutex_t lock; // robust
  std::atomic<std::uint64_t> state;
  std::uint32_t count[2];
  alignas(4096) FenceNode nodes[2][node_capacity]; // sparse: only what was used takes memory
};

} // namespace emu::kernel
