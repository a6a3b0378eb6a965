// The driver root: the one global. Everything that the process has of CUDA hangs from it.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include <core/context.hpp>
#include <core/device.hpp>
#include <core/handle.hpp>
#include <core/memory.hpp>
#include <kfd/device.hpp>
#include <util/error.hpp>

namespace shim::core {

// Thread-safe.
class Driver {
public:
  // cuInit: opens KFD and lists the devices. Once; later calls return what the first one did, unless it
  // failed.
  Result<void> initialise();
  // CUDA_ERROR_NOT_INITIALIZED before initialise() and in a forked child, CUDA_ERROR_DEINITIALIZED at exit.
  CUresult state() const { return state_.load(std::memory_order_acquire); }

  int device_count() const { return static_cast<int>(devices_.size()); }
  // CUDA_ERROR_INVALID_DEVICE where there is no such ordinal.
  Result<Device*> device(int ordinal) const;
  // The ordinal of the device at a PCI address (parse_pci_address). CUDA_ERROR_INVALID_DEVICE where there is
  // none, CUDA_ERROR_INVALID_VALUE where that is no address.
  Result<int> device_at(const char* pci_bus_id) const;
  const std::vector<std::unique_ptr<Device>>& devices() const { return devices_; }

  HandleTable& handles() { return handles_; }
  AllocationTable& allocations() { return allocations_; }

  // Its handle.
  Result<std::uint64_t> create_context(Device& device, unsigned flags);
  // CUDA_ERROR_CONTEXT_IS_DESTROYED where another thread has just done it.
  Result<void> destroy_context(Context& context);

  // At exit: releases everyone outside who waits for us. Later calls give CUDA_ERROR_DEINITIALIZED.
  void tear_down();

private:
  Result<void> initialise_locked();
  void forked();
  bool in_forked_child() const;

  std::atomic<bool> forked_ = false;
  // The process that has called cuInit, while that is under way and once it has succeeded. A child may have
  // been forked when another thread was there.
  std::atomic<int> process_id_ = 0;
  bool hooked_ = false;

  std::atomic<CUresult> state_ = CUDA_ERROR_NOT_INITIALIZED;
  std::mutex mutex_;
  std::unique_ptr<kfd::Process> process_;
  HandleTable handles_;
  AllocationTable allocations_;
  std::vector<std::unique_ptr<Device>> devices_;
  std::unordered_map<Context*, std::shared_ptr<Context>> contexts_; // not the primary ones
};

Driver& driver();

// The object behind an application's handle, or nothing.
template <class T>
Pinned<T> find(std::uint64_t handle) {
  return Pinned<T>(driver().handles().find(T::handle_kind, handle));
}
template <class T>
Pinned<T> find(const void* handle) {
  return find<T>(reinterpret_cast<std::uint64_t>(handle));
}

// Was this one of our handles of the kind, of an object that has been destroyed?
template <class T>
bool was_handle(const void* handle) {
  return driver().handles().was(T::handle_kind, reinterpret_cast<std::uint64_t>(handle));
}

} // namespace shim::core
