#include <core/handle.hpp>

#include <memory>

namespace shim::core {

HandleTable::~HandleTable() {
  for (std::atomic<Chunk*>& chunk : chunks_)
    delete chunk.load(std::memory_order_relaxed);
}

std::uint64_t HandleTable::insert(HandleKind kind, void* object) {
  std::lock_guard lock(mutex_);
  std::size_t index;
  if (free_head_ < free_.size()) {
    index = free_[free_head_++];
    if (free_head_ > 1024 && free_head_ > free_.size() / 2) {
      free_.erase(free_.begin(), free_.begin() + static_cast<std::ptrdiff_t>(free_head_));
      free_head_ = 0;
    }
  } else {
    if (used_ > index_mask)
      return 0;
    index = used_;
    std::atomic<Chunk*>& chunk = chunks_[index / chunk_slots];
    if (!chunk.load(std::memory_order_relaxed))
      chunk.store(new Chunk, std::memory_order_release);
    free_.reserve(used_ + 1 + free_head_); // erase() must not fail
    ++used_;
  }
  Slot& slot = (*chunks_[index / chunk_slots].load(std::memory_order_relaxed))[index % chunk_slots];
  slot.generation = (slot.generation + 1) & generation_mask;
  if (slot.generation == 0)
    slot.generation = 1;
  std::uint64_t handle = (slot.generation << generation_shift) | (index << index_shift) |
                         (static_cast<std::uint64_t>(kind) << kind_shift);
  slot.object.store(object, std::memory_order_relaxed);
  slot.handle.store(handle, std::memory_order_release);
  ++alive_;
  return handle;
}

void HandleTable::erase(std::uint64_t handle) {
  std::lock_guard lock(mutex_);
  std::uint64_t index = (handle >> index_shift) & index_mask;
  Chunk* chunk = chunks_[index / chunk_slots].load(std::memory_order_relaxed);
  if (!chunk || handle == 0)
    return;
  Slot& slot = (*chunk)[index % chunk_slots];
  if (slot.handle.load(std::memory_order_relaxed) != handle)
    return;
  slot.handle.store(0, std::memory_order_release);
  slot.object.store(nullptr, std::memory_order_relaxed);
  free_.push_back(static_cast<std::uint32_t>(index));
  --alive_;
}

bool HandleTable::was(HandleKind kind, std::uint64_t handle) const {
  std::lock_guard lock(mutex_);
  std::uint64_t index = (handle >> index_shift) & index_mask;
  std::uint64_t generation = handle >> generation_shift;
  std::uint64_t remade = (generation << generation_shift) | (index << index_shift) |
                         (static_cast<std::uint64_t>(kind) << kind_shift);
  if (index >= used_ || generation == 0 || handle != remade)
    return false;
  const Slot& slot = (*chunks_[index / chunk_slots].load(std::memory_order_relaxed))[index % chunk_slots];
  return generation <= slot.generation && slot.handle.load(std::memory_order_relaxed) != handle;
}

std::size_t HandleTable::size() const {
  std::lock_guard lock(mutex_);
  return alive_;
}

} // namespace shim::core
