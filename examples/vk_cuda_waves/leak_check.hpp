// Counts what a process holds, to see whether a frame leaves anything behind.
#pragma once

#include <cstddef>

namespace waves {

struct Holdings {
  std::size_t descriptors = 0;
  std::size_t threads = 0;
  std::size_t mappings = 0;
  std::size_t resident_kib = 0;
};

Holdings count_holdings();

} // namespace waves
