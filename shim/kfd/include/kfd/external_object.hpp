// A reference to memory that somebody else exported, and what the exporter said about it.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include <kfd/buffer.hpp>

namespace shim::kfd {

class Device;

// What an exporter said about a dma-buf.
struct DmabufInfo {
  std::uint64_t size = 0; // bytes, of the whole object
  MemoryKind kind = MemoryKind::vram;
  bool host_visible = false;
  std::uint64_t tiling_info = 0; // AMDGPU_TILING_*; 0 is linear
  std::vector<std::uint32_t>
      metadata; // umd_metadata: version, vendor and device, image descriptor...; may be empty
};

// Made by Device::hold_dmabuf(). Keeps the memory, without a descriptor. The device must outlive it.
class ExternalObject {
public:
  ExternalObject() = default;
  ExternalObject(ExternalObject&& other) noexcept
      : device_(std::exchange(other.device_, nullptr)), handle_(other.handle_),
        info_(std::move(other.info_)) {}
  ExternalObject& operator=(ExternalObject&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(handle_, other.handle_);
    std::swap(info_, other.info_);
    return *this;
  }
  ~ExternalObject();

  const DmabufInfo& info() const { return info_; }

private:
  friend class Device;
  Device* device_ = nullptr;
  std::uint32_t handle_ = 0; // of GEM, counted by GemHandles
  DmabufInfo info_;
};

} // namespace shim::kfd
