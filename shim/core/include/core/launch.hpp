// cuLaunchKernel and the occupancy calculator.
#pragma once

#include <core/module.hpp>
#include <core/stream.hpp>

namespace shim::core {

struct LaunchShape {
  unsigned grid[3];  // blocks
  unsigned block[3]; // threads
  unsigned dynamic_shared;
};

// `params`: one pointer for each parameter; or `extra`: CU_LAUNCH_PARAM_* pairs. One of them must be null;
// both may be, for a kernel without parameters. CUDA_ERROR_INVALID_VALUE for shapes that the device cannot
// run, CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES for more threads or shared memory than the kernel can have.
Result<void> launch(Function& function, Stream& stream, const LaunchShape& shape, void** params,
                    void** extra);

// How many blocks fit on a multiprocessor at once.
Result<int> max_active_blocks(Function& function, int block_threads, std::size_t dynamic_shared);

struct BlockSizeHint {
  int min_grid;
  int block;
};
Result<BlockSizeHint> best_block_size(Function& function, CUoccupancyB2DSize shared_for_block,
                                      std::size_t dynamic_shared, int limit);

} // namespace shim::core
