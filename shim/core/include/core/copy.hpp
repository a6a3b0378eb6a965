// cuMemcpy* and cuMemset*: what an address is, and how its bytes get there.
//
// Device and pinned memory is copied by kernels in the stream. Pageable host memory goes through pinned
// staging buffers.
#pragma once

#include <cstdint>

#include <core/memory.hpp>
#include <core/stream.hpp>

namespace shim::core {

enum class PointerKind : std::uint8_t { host, device, unified };

// One side of a copy. `address` is the first byte that is touched.
struct CopySide {
  PointerKind kind = PointerKind::unified;
  std::uint64_t address = 0;
  std::uint64_t pitch = 0; // bytes, from row to row
  std::uint64_t slice = 0; // bytes, from slice to slice
};

struct CopyRequest {
  CopySide destination, source;
  std::uint64_t width = 0, height = 1, depth = 1; // bytes, rows, slices
};

// `synchronous`: the call returns when the bytes are there, except between device memory (CUDA's "API
// synchronization behavior", which promises less for pageable memory; programs rely on more). Otherwise
// copies from host memory to host memory wait, and those to pageable memory. CUDA_ERROR_INVALID_VALUE for a
// device address without an allocation, or a range that leaves it.
Result<void> copy(Stream& stream, const CopyRequest& request, bool synchronous);

// `value_size` is 1, 2 or 4; width counts values. `synchronous`: waits for pinned and managed memory.
struct FillRequest {
  std::uint64_t address = 0, pitch = 0;
  std::uint64_t width = 0, height = 1;
  std::uint32_t value = 0;
  unsigned value_size = 1;
};
Result<void> fill(Stream& stream, const FillRequest& request, bool synchronous);

} // namespace shim::core
