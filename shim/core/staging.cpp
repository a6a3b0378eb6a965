#include <core/staging.hpp>

#include <algorithm>

#include <core/context.hpp>
#include <core/device.hpp>

namespace shim::core {

namespace {
bool idle(const Staging::Block& block) {
  return !block.busy || block.busy->done();
}
} // namespace

Result<std::unique_ptr<Staging::Block>> Staging::acquire() {
  for (;;) {
    MarkerRef oldest;
    {
      std::lock_guard lock(mutex_);
      auto found = std::find_if(blocks_.begin(), blocks_.end(),
                                [](const std::unique_ptr<Block>& block) { return idle(*block); });
      if (found != blocks_.end()) {
        std::unique_ptr<Block> block = std::move(*found);
        blocks_.erase(found);
        block->busy.reset();
        return block;
      }
      if (made_ < most_blocks || blocks_.empty()) { // empty: the callers of other threads have them all
        ++made_;
        break;
      }
      oldest = blocks_.front()->busy;
    }
    if (Result<void> waited = oldest->wait(); !waited)
      return waited.error();
  }
  Result<kfd::Buffer> buffer =
      context_.device().opened().allocate(kfd::MemoryKind::gtt, block_bytes, {.host_access = true});
  if (!buffer) {
    std::lock_guard lock(mutex_);
    --made_;
    return buffer.error();
  }
  auto block = std::make_unique<Block>();
  block->buffer = std::move(*buffer);
  return block;
}

void Staging::release(std::unique_ptr<Block> block, MarkerRef busy) {
  block->busy = std::move(busy);
  std::vector<std::unique_ptr<Block>> freed; // without the lock
  std::lock_guard lock(mutex_);
  blocks_.push_back(std::move(block));
  freed = trim_locked();
}

void Staging::abandon(std::unique_ptr<Block> block) {
  std::lock_guard lock(mutex_);
  abandoned_.push_back(std::move(block));
  --made_;
}

void Staging::trim() {
  std::vector<std::unique_ptr<Block>> freed;
  std::lock_guard lock(mutex_);
  freed = trim_locked();
}

std::vector<std::unique_ptr<Staging::Block>> Staging::trim_locked() {
  std::vector<std::unique_ptr<Block>> freed;
  std::size_t idle_ones = 0;
  std::erase_if(blocks_, [&](std::unique_ptr<Block>& block) {
    if (!idle(*block) || ++idle_ones <= most_idle)
      return false;
    freed.push_back(std::move(block));
    return true;
  });
  made_ -= freed.size();
  return freed;
}

} // namespace shim::core
