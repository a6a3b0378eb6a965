// The driver's own kernels, for copies and fills. Compiled with the shim; no compiler is needed at run time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include <kfd/device.hpp>
#include <util/error.hpp>

namespace shim::core {

using util::Result;

class Stream;

// Rectangles that the GPU can reach. Bytes; any alignment.
struct CopyRegion {
  std::uint64_t destination = 0, source = 0;
  std::uint64_t destination_pitch = 0, source_pitch = 0; // from row to row
  std::uint64_t destination_slice = 0, source_slice = 0; // from slice to slice
  std::uint64_t width = 0, height = 1, depth = 1;        // bytes, rows, slices
};

struct FillRegion {
  std::uint64_t destination = 0, pitch = 0;
  std::uint64_t width = 0, height = 1; // bytes, rows
  std::uint32_t pattern = 0; // the value, repeated to 32 bits; destination and pitch are aligned to the value
};

class BlitKernels {
public:
  // CUDA_ERROR_NO_BINARY_FOR_GPU for a GPU whose family has no kernels.
  static Result<std::unique_ptr<BlitKernels>> load(kfd::Device& gpu);

  // In stream order; returns when they are queued.
  // With a payload (32000 bytes at most) the source is a copy of it, which the stream keeps; region.source is
  // ignored.
  Result<void> copy(Stream& stream, const CopyRegion& region, std::span<const std::byte> payload = {}) const;
  Result<void> fill(Stream& stream, const FillRegion& region) const;

private:
  kfd::Buffer code_;
  std::uint64_t copy_ = 0, fill_ = 0; // GPU addresses of the kernel descriptors
};

} // namespace shim::core
