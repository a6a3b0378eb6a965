// Host memory that a descriptor stands for: memfd_create(), shm_open(). Mapped shared and given to the GPU,
// so that both, and every process that has the file, see the same bytes.
#pragma once

#include <cstdint>
#include <memory>

#include <kfd/device.hpp>
#include <util/error.hpp>
#include <util/mapping.hpp>

namespace shim::core {

using util::Result;

// A reference to such memory, without a descriptor. The CPU never touches it: a file may be made shorter at
// any time, and then only whoever reads or writes beyond its end is to notice.
class SharedMemory {
public:
  // What the GPU reaches, at an address of its own. Independent of the SharedMemory.
  struct View {
    util::Mapping pages;
    kfd::Buffer buffer; // goes first
    std::uint64_t address = 0;
  };

  SharedMemory() = default;
  // Is it a file in memory that has pages of the usual size or larger ones?
  static bool is_behind(int fd);
  // The first `size` bytes; the fd stays the caller's. CUDA_ERROR_INVALID_VALUE where the file is shorter;
  // CUDA_ERROR_NOT_PERMITTED where it must not be written (opened for reading, sealed);
  // CUDA_ERROR_NOT_SUPPORTED for huge pages.
  static Result<SharedMemory> open(int fd, std::uint64_t size);

  bool valid() const { return pages_.valid(); }
  // [offset, offset + size), which must lie within. CUDA_ERROR_INVALID_VALUE where the file has become
  // shorter.
  Result<std::shared_ptr<View>> map(kfd::Device& device, std::uint64_t offset, std::uint64_t size) const;

private:
  explicit SharedMemory(util::Mapping pages) : pages_(std::move(pages)) {}
  util::Mapping pages_;
};

} // namespace shim::core
