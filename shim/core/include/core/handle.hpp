// Handles: what the application holds in place of a pointer to one of our objects.
//
// A handle names a slot and the slot's generation, never an address. Looking one up reads only the table's
// own memory, so that a null, stale, foreign or made-up handle is refused without a fault. Lookups are
// lock-free and wait-free.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

namespace shim::core {

enum class HandleKind : std::uint8_t {
  none,
  context,
  stream,
  event,
  module,
  function,
  external_memory,
  external_semaphore,
  array,
  mipmapped_array,
  link,
};

// Thread-safe. Handles are never 0, and never small enough to be taken for CU_STREAM_LEGACY or
// CU_STREAM_PER_THREAD. A destroyed object's handle is refused until its slot has been reused 2^28 times.
class HandleTable {
public:
  HandleTable() = default;
  HandleTable(const HandleTable&) = delete;
  HandleTable& operator=(const HandleTable&) = delete;
  ~HandleTable();

  // May throw std::bad_alloc. Returns 0 when 2^22 objects are alive.
  std::uint64_t insert(HandleKind kind, void* object);
  // The object is unreachable through its handle from here on. Unknown handles are ignored.
  void erase(std::uint64_t handle);
  // nullptr unless `handle` is alive and of this kind.
  void* find(HandleKind kind, std::uint64_t handle) const {
    std::uint64_t index = (handle >> index_shift) & index_mask;
    const Chunk* chunk = chunks_[index / chunk_slots].load(std::memory_order_acquire);
    if (!chunk || handle == 0 || ((handle >> kind_shift) & kind_mask) != static_cast<std::uint64_t>(kind))
      return nullptr;
    const Slot& slot = (*chunk)[index % chunk_slots];
    if (slot.handle.load(std::memory_order_acquire) != handle)
      return nullptr;
    return slot.object.load(std::memory_order_relaxed);
  }
  // Did insert() give `handle` to an object of this kind that has been erased? Takes the lock.
  bool was(HandleKind kind, std::uint64_t handle) const;
  // How many handles are alive: for leak checks.
  std::size_t size() const;

private:
  // Layout of a handle: generation [59:32], index [27:6], kind [5:2], zero [1:0].
  static constexpr unsigned kind_shift = 2, index_shift = 6, generation_shift = 32;
  static constexpr std::uint64_t kind_mask = 0xf, index_mask = (1u << 22) - 1,
                                 generation_mask = (1u << 28) - 1;
  static constexpr std::size_t chunk_slots = 1024;

  struct Slot {
    std::atomic<std::uint64_t> handle = 0;
    std::atomic<void*> object = nullptr;
    std::uint64_t generation = 0;
  };
  using Chunk = std::array<Slot, chunk_slots>;

  std::array<std::atomic<Chunk*>, (index_mask + 1) / chunk_slots> chunks_ = {};
  mutable std::mutex mutex_;
  std::vector<std::uint32_t> free_; // first in, first out from free_head_ on, so that generations last
  std::size_t free_head_ = 0;
  std::size_t used_ = 0;
  std::size_t alive_ = 0;
};

} // namespace shim::core
