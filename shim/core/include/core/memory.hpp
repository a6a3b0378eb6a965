// What the process's addresses mean to the GPU: every allocation, registration and mapping, by address.
//
// Addresses are unified: the GPU and the CPU use the same ones, so one table serves device and host pointers.
#pragma once

#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <vector>

#include <core/advice.hpp>
#include <core/handle.hpp>
#include <kfd/buffer.hpp>
#include <util/error.hpp>

namespace shim::core {

using util::Result;

class Context;

enum class AllocationKind : std::uint8_t {
  device,     // cuMemAlloc*
  host,       // cuMemAllocHost, cuMemHostAlloc
  registered, // cuMemHostRegister
  managed,    // cuMemAllocManaged
  module,     // a module's variable
  mapped,     // cuExternalMemoryGetMappedBuffer
};

struct Allocation {
  Allocation() = default;
  Allocation(const Allocation&) = delete;
  Allocation& operator=(const Allocation&) = delete;
  // Waits for the context's work where that may use it.
  ~Allocation();

  AllocationKind kind = AllocationKind::device;
  std::shared_ptr<Context> context;
  std::uint64_t base = 0; // what the application was given
  std::uint64_t size = 0; // bytes, as it was asked for
  unsigned flags = 0;     // of cuMemHostAlloc, cuMemHostRegister, cuMemAllocManaged
  std::uint64_t id = 0;   // CU_POINTER_ATTRIBUTE_BUFFER_ID: unique in the process
  bool sync_memops = false;
  bool in_use = false; // since it was in the table, until it is out of it and its work is waited for
  std::unique_ptr<AdvisedMemory> advice; // of managed memory
  kfd::Buffer buffer;
  // What must live as long as the allocation, where that is not `buffer` (a shared mapping, a module's
  // memory).
  std::shared_ptr<void> owner;

  std::uint64_t end() const { return base + size; }
  bool is_host() const { return kind == AllocationKind::host || kind == AllocationKind::registered; }
};

// A copy of the facts, safe to look at after the allocation went.
struct AllocationView {
  AllocationKind kind;
  std::uint64_t context; // a handle
  int device;            // an ordinal
  std::uint64_t base, size;
  unsigned flags;
  std::uint64_t id;
  bool sync_memops;
  bool is_host() const { return kind == AllocationKind::host || kind == AllocationKind::registered; }
  // Does the program read and write it without asking the driver?
  bool cpu_uses() const { return is_host() || kind == AllocationKind::managed; }
  bool contains(std::uint64_t address, std::uint64_t bytes) const {
    return address >= base && address - base <= size && bytes <= size - (address - base);
  }
};

// The same, and the memory stays while work that uses it is put into a stream: who frees it then waits for
// that work.
struct HeldAllocation : AllocationView {
  std::shared_ptr<const Allocation> keep;
};

// Thread-safe.
class AllocationTable {
public:
  // CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED where it overlaps another one, CUDA_ERROR_CONTEXT_IS_DESTROYED
  // where its context is closed.
  Result<AllocationView> insert(std::shared_ptr<Allocation> allocation);
  // The allocation that holds this address.
  std::optional<AllocationView> find(std::uint64_t address) const;
  std::optional<HeldAllocation> hold(std::uint64_t address) const;
  // Does any allocation touch [address, address + size)?
  bool overlaps(std::uint64_t address, std::uint64_t size) const;
  // Frees the allocation that begins at exactly this address, once the work in its context is done: what the
  // wait said. CUDA_ERROR_INVALID_VALUE where there is none.
  Result<void> remove(std::uint64_t base);
  // The same for those at several addresses.
  void remove(const std::vector<std::uint64_t>& bases);
  // The same for all of a context's.
  void remove_all(const Context& context);
  // Calls `body(AdvisedMemory&, offset)` where [address, address + size) lies in one managed allocation, at
  // `offset` in it, and `size` is not 0; else false.
  template <class Body>
  bool with_advice(std::uint64_t address, std::uint64_t size, Body&& body) {
    std::unique_lock lock(mutex_);
    auto next = by_base_.upper_bound(address);
    if (size == 0 || next == by_base_.begin())
      return false;
    Allocation& found = *std::prev(next)->second;
    std::uint64_t offset = address - found.base;
    if (found.kind != AllocationKind::managed || offset > found.size || size > found.size - offset)
      return false;
    body(*found.advice, offset);
    return true;
  }
  bool set_sync_memops(std::uint64_t address, bool on);
  std::size_t size() const;

private:
  const std::shared_ptr<Allocation>* find_locked(std::uint64_t address) const;
  mutable std::shared_mutex mutex_;
  std::map<std::uint64_t, std::shared_ptr<Allocation>> by_base_;
  std::uint64_t next_id_ = 1;
};

struct PitchedAllocation {
  std::uint64_t address;
  std::uint64_t pitch; // bytes
};

// All of these belong to `context`, and are freed with it. Sizes in bytes; 0 gives CUDA_ERROR_INVALID_VALUE.
Result<std::uint64_t> allocate_device(Context& context, std::uint64_t size);
Result<PitchedAllocation> allocate_pitched(Context& context, std::uint64_t width, std::uint64_t height,
                                           unsigned element_size);
Result<std::uint64_t> allocate_managed(Context& context, std::uint64_t size, unsigned flags);
// cuMemFree: waits for the context's work. CUDA_ERROR_INVALID_VALUE unless `address` is what an allocation
// function (or cuExternalMemoryGetMappedBuffer) returned.
Result<void> free_device(std::uint64_t address);
// cuStreamAttachMemAsync: every stream may use managed memory at any time, whatever it is attached to. `size`
// 0 means the whole allocation.
Result<void> attach_managed(std::uint64_t address, std::uint64_t size, unsigned flags);
Result<void*> allocate_host(Context& context, std::uint64_t size, unsigned flags);
Result<void> free_host(void* pointer);
Result<void> register_host(Context& context, void* pointer, std::uint64_t size, unsigned flags);
Result<void> unregister_host(void* pointer);
// The pinned host memory that holds an address. CUDA_ERROR_INVALID_VALUE where there is none.
Result<AllocationView> find_host(const void* pointer);

} // namespace shim::core
