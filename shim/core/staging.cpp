#include <core/staging.hpp>

#include <core/context.hpp>
#include <core/device.hpp>

namespace shim::core {

Result<std::unique_ptr<Staging::Block>> Staging::acquire() {
  {
    std::lock_guard lock(mutex_);
    for (auto it = blocks_.begin(); it != blocks_.end(); ++it)
      if (!(*it)->busy || (*it)->busy->done()) {
        std::unique_ptr<Block> block = std::move(*it);
        blocks_.erase(it);
        block->busy.reset();
        return block;
      }
  }
  Result<kfd::Buffer> buffer =
      context_.device().opened().allocate(kfd::MemoryKind::gtt, block_bytes, {.host_access = true});
  if (!buffer)
    return buffer.error();
  auto block = std::make_unique<Block>();
  block->buffer = std::move(*buffer);
  return block;
}

void Staging::release(std::unique_ptr<Block> block, MarkerRef busy) {
  block->busy = std::move(busy);
  std::lock_guard lock(mutex_);
  blocks_.push_back(std::move(block));
}

void Staging::abandon(std::unique_ptr<Block> block) {
  std::lock_guard lock(mutex_);
  abandoned_.push_back(std::move(block));
}

} // namespace shim::core
