// Pinned memory through which pageable memory is copied.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include <core/marker.hpp>
#include <kfd/buffer.hpp>

namespace shim::core {

class Context;

// Thread-safe. Only what the GPU is certain to get to uses blocks, so that one is free again in a while.
class Staging {
public:
  static constexpr std::uint64_t block_bytes = 1 << 20;
  static constexpr std::size_t most_blocks = 64;
  static constexpr std::size_t most_idle = 8; // the others are given back

  explicit Staging(Context& context) : context_(context) {}

  struct Block {
    kfd::Buffer buffer;
    MarkerRef busy; // done when the GPU is through with it; an interrupting one
  };
  // Waits for the oldest where most_blocks are in use.
  Result<std::unique_ptr<Block>> acquire();
  // `busy` may be empty.
  void release(std::unique_ptr<Block> block, MarkerRef busy);
  // The GPU may be using it, and nothing will tell when it no longer is: it lives as long as the context.
  void abandon(std::unique_ptr<Block> block);
  // Gives back what is idle and more than a few.
  void trim();

private:
  std::vector<std::unique_ptr<Block>> trim_locked();

  Context& context_;
  std::mutex mutex_;
  std::size_t made_ = 0;                       // blocks there are, abandoned ones apart
  std::vector<std::unique_ptr<Block>> blocks_; // not in a caller's hands; oldest first
  std::vector<std::unique_ptr<Block>> abandoned_;
};

} // namespace shim::core
