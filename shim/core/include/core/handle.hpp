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
#include <memory>
#include <mutex>
#include <utility>
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
  class Pin;

  HandleTable() = default;
  HandleTable(const HandleTable&) = delete;
  HandleTable& operator=(const HandleTable&) = delete;
  ~HandleTable();

  // `keep` is given up after `object`: what the object refers to. May throw std::bad_alloc. Returns 0 when
  // 2^22 objects are alive.
  std::uint64_t insert(HandleKind kind, std::shared_ptr<void> object, std::shared_ptr<void> keep = nullptr);
  // The object is unreachable through its handle from here on, and given up once nobody has it pinned: here,
  // or where the last pin goes. False where the handle is unknown, or was erased already.
  bool erase(std::uint64_t handle);
  // Empty unless `handle` is alive and of this kind.
  Pin find(HandleKind kind, std::uint64_t handle);
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
  // In a slot's state, above its pins. Erased: whoever sees it without pins may give the object up. Given up:
  // somebody does, or has.
  static constexpr std::uint32_t erased = 1u << 31, given_up = 1u << 30;

  // A cache line each: threads that use different objects do not meet.
  struct alignas(64) Slot {
    std::atomic<std::uint64_t> handle = 0;
    std::atomic<std::uint32_t> state = given_up; // pins, some of them of handles that are no longer alive
    std::uint32_t index = 0;
    std::uint64_t generation = 0;
    std::shared_ptr<void> object, keep; // constant while the handle is alive or the object pinned
  };
  using Chunk = std::array<Slot, chunk_slots>;

  void unpin(Slot& slot) {
    if (slot.state.fetch_sub(1, std::memory_order_acq_rel) == (erased | 1)) [[unlikely]]
      give_up(slot);
  }
  void give_up(Slot& slot);

  std::array<std::atomic<Chunk*>, (index_mask + 1) / chunk_slots> chunks_ = {};
  mutable std::mutex mutex_;
  std::vector<std::uint32_t> free_; // first in, first out from free_head_ on, so that generations last
  std::size_t free_head_ = 0;
  std::size_t used_ = 0;
  std::size_t alive_ = 0;
};

// Keeps an object alive. Move-only; empty where there was none.
class HandleTable::Pin {
public:
  Pin() = default;
  Pin(Pin&& other) noexcept : table_(other.table_), slot_(std::exchange(other.slot_, nullptr)) {}
  Pin& operator=(Pin&& other) noexcept {
    std::swap(table_, other.table_);
    std::swap(slot_, other.slot_);
    return *this;
  }
  ~Pin() {
    if (slot_)
      table_->unpin(*slot_);
  }
  void* object() const { return slot_ ? slot_->object.get() : nullptr; }

private:
  friend class HandleTable;
  Pin(HandleTable* table, Slot* slot) : table_(table), slot_(slot) {}
  HandleTable* table_ = nullptr;
  Slot* slot_ = nullptr;
};

inline HandleTable::Pin HandleTable::find(HandleKind kind, std::uint64_t handle) {
  std::uint64_t index = (handle >> index_shift) & index_mask;
  Chunk* chunk = chunks_[index / chunk_slots].load(std::memory_order_acquire);
  if (!chunk || handle == 0 || ((handle >> kind_shift) & kind_mask) != static_cast<std::uint64_t>(kind))
    return {};
  // First the pin, then the look: erase() does it the other way round, so that one of the two sees the other.
  Slot& slot = (*chunk)[index % chunk_slots];
  slot.state.fetch_add(1, std::memory_order_acq_rel);
  Pin pin(this, &slot);
  if (slot.handle.load(std::memory_order_acquire) != handle)
    return {};
  return pin;
}

// A pinned T, or nothing.
template <class T>
class Pinned {
public:
  Pinned() = default;
  explicit Pinned(HandleTable::Pin pin) : pin_(std::move(pin)), object_(static_cast<T*>(pin_.object())) {}
  // `object` lives as long as what `by` pins.
  template <class U>
  Pinned(Pinned<U> by, T& object) : pin_(std::move(by).release()), object_(&object) {}

  explicit operator bool() const { return object_ != nullptr; }
  T& operator*() const { return *object_; }
  T* operator->() const { return object_; }
  HandleTable::Pin release() && {
    object_ = nullptr;
    return std::move(pin_);
  }

private:
  HandleTable::Pin pin_;
  T* object_ = nullptr;
};

} // namespace shim::core
