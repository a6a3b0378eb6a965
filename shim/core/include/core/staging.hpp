// Pinned memory through which pageable memory is copied.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include <core/marker.hpp>
#include <kfd/buffer.hpp>

namespace shim::core {

class Context;

// Thread-safe. A stream that is blocked never takes memory from another one: where all blocks are busy,
// another is made.
class Staging {
public:
  static constexpr std::uint64_t block_bytes = 1 << 20;

  explicit Staging(Context& context) : context_(context) {}

  struct Block {
    kfd::Buffer buffer;
    MarkerRef busy; // done when the GPU is through with it
  };
  Result<std::unique_ptr<Block>> acquire();
  // `busy` may be empty.
  void release(std::unique_ptr<Block> block, MarkerRef busy);
  // The GPU may be using it, and nothing will tell when it no longer is: it lives as long as the context.
  void abandon(std::unique_ptr<Block> block);

private:
  Context& context_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Block>> blocks_; // oldest first
  std::vector<std::unique_ptr<Block>> abandoned_;
};

} // namespace shim::core
