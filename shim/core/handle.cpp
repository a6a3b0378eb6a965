#include <core/handle.hpp>

#include <memory>

namespace shim::core {

HandleTable::~HandleTable() {
  for (std::atomic<Chunk*>& chunk : chunks_)
    delete chunk.load(std::memory_order_relaxed);
}

std::uint64_t HandleTable::insert(HandleKind kind, std::shared_ptr<void> object, std::shared_ptr<void> keep) {
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
  slot.index = static_cast<std::uint32_t>(index);
  slot.object = std::move(object);
  slot.keep = std::move(keep);
  slot.state.fetch_sub(given_up,
                       std::memory_order_release); // the pins of those who look for old handles stay
  slot.handle.store(handle, std::memory_order_release);
  ++alive_;
  return handle;
}

bool HandleTable::erase(std::uint64_t handle) {
  Slot* slot;
  {
    std::lock_guard lock(mutex_);
    std::uint64_t index = (handle >> index_shift) & index_mask;
    Chunk* chunk = chunks_[index / chunk_slots].load(std::memory_order_relaxed);
    if (!chunk || handle == 0)
      return false;
    slot = &(*chunk)[index % chunk_slots];
    if (slot->handle.load(std::memory_order_relaxed) != handle)
      return false;
    slot->handle.store(0, std::memory_order_release);
    --alive_;
  }
  if (slot->state.fetch_or(erased, std::memory_order_acq_rel) == 0)
    give_up(*slot);
  return true;
}

// Several may come here, one after the other saw the last pin go: a late look at an old handle is a pin, too.
void HandleTable::give_up(Slot& slot) {
  std::uint32_t expected = erased;
  if (!slot.state.compare_exchange_strong(expected, given_up, std::memory_order_acq_rel))
    return;
  std::shared_ptr<void> object = std::move(slot.object), keep = std::move(slot.keep);
  {
    std::lock_guard lock(mutex_);
    free_.push_back(slot.index);
  }
  object.reset();
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
