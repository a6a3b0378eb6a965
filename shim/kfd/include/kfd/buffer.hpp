// GPU memory that is unmapped and freed when its owner goes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace shim::kfd {

class Device;
class EventPage;

enum class MemoryKind : std::uint8_t { vram, gtt, userptr, imported };

// How an allocation is made. Every allocation is GPU-mapped, writable by the GPU.
struct AllocationFlags {
  // The CPU can read and write it at the same address. GTT always can. VRAM only where the BAR covers it:
  // without a large BAR such an allocation fails with CUDA_ERROR_NOT_SUPPORTED. CPU writes to VRAM need
  // Device::flush_hdp() before the GPU reads them.
  bool host_access = false;
  bool executable = false; // code may run from it
  // Not cached by the GPU's L2: what CPU and GPU poll while both run (signals, queues, flags).
  bool uncached = false;
  // Bytes, a power of two; 0 chooses 4 KiB, 64 KiB or 2 MiB by size.
  std::uint64_t alignment = 0;
};

// A range of GPU addresses, GPU-mapped on one device. The CPU uses the same addresses where cpu() is not
// null; elsewhere the range is reserved (PROT_NONE), so that no other mapping of the process can take its
// addresses.
//
// A registered host range (MemoryKind::userptr) also has address() == host pointer; it owns the registration,
// not the memory. The device must outlive the buffer. The destructor does not wait for the GPU: the owner
// does.
class Buffer {
public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    Buffer taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~Buffer();

  bool valid() const { return device_ != nullptr; }
  std::uint64_t address() const { return address_; } // GPU virtual address
  std::uint64_t size() const { return size_; }       // bytes, a multiple of the page size
  // The CPU's pointer to the first byte; null where the CPU cannot see it.
  void* cpu() const { return cpu_; }
  template <class T>
  T* cpu_as() const {
    return static_cast<T*>(cpu_);
  }
  MemoryKind kind() const { return kind_; }
  Device* device() const { return device_; }
  // KFD's handle, for the ioctls that name a buffer.
  std::uint64_t kfd_handle() const { return handle_; }

private:
  friend class Device;
  friend class EventPage;
  void swap(Buffer& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(address_, other.address_);
    std::swap(size_, other.size_);
    std::swap(cpu_, other.cpu_);
    std::swap(handle_, other.handle_);
    std::swap(kind_, other.kind_);
    std::swap(gpu_mapped_, other.gpu_mapped_);
  }

  Device* device_ = nullptr;
  std::uint64_t address_ = 0;
  std::uint64_t size_ = 0;
  void* cpu_ = nullptr;
  std::uint64_t handle_ = 0;
  MemoryKind kind_ = MemoryKind::vram;
  bool gpu_mapped_ = false;
};

} // namespace shim::kfd
