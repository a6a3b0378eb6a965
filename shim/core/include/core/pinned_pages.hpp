// Host memory that the GPU reaches, by whole pages: registrations of bytes may share a page, the kernel's
// mappings may not.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include <kfd/device.hpp>

namespace shim::core {

using util::Result;

// What a registration holds on to. The pages stay mapped as long as someone holds them.
using PinnedRange = std::vector<std::shared_ptr<kfd::Buffer>>;

// One for each device: the kernel knows an address once in a VM. Thread-safe.
class PinnedPages {
public:
  explicit PinnedPages(kfd::Device& device) : device_(device) {}
  // The pages of [address, address + size): those that are mapped already are shared, the others mapped now.
  // CUDA_ERROR_INVALID_VALUE where there is no memory that may be written.
  Result<PinnedRange> pin(std::uint64_t address, std::uint64_t size);

private:
  kfd::Device& device_;
  std::mutex mutex_;
  std::map<std::uint64_t, std::weak_ptr<kfd::Buffer>> by_address_; // some of them gone
};

} // namespace shim::core
