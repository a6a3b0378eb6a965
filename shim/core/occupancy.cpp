#include <algorithm>
#include <limits>

#include <core/device.hpp>
#include <core/launch.hpp>

namespace shim::core {

namespace {

constexpr unsigned lds_granule = 512;         // bytes
constexpr unsigned most_blocks_per_unit = 32; // work-groups that a multiprocessor keeps track of

constexpr std::uint64_t align_up(std::uint64_t value, std::uint64_t granule) {
  return (value + granule - 1) / granule * granule;
}

int blocks_that_fit(const MachineShape& shape, const jit::Kernel& kernel, int threads,
                    std::size_t dynamic_shared) {
  std::uint64_t waves = (static_cast<std::uint64_t>(threads) + shape.wave_size - 1) / shape.wave_size;
  std::uint64_t registers = align_up(std::max(kernel.vgprs, 1u), shape.vgpr_granule);
  std::uint64_t waves_per_simd =
      std::min<std::uint64_t>(shape.waves_per_simd, shape.vgprs_per_simd / registers);
  std::uint64_t blocks = waves_per_simd * shape.simds_per_multiprocessor / waves;
  if (dynamic_shared > shape.shared_per_block)
    return 0;
  std::uint64_t shared = align_up(kernel.static_shared_bytes + dynamic_shared, lds_granule);
  if (shared > shape.shared_per_block)
    return 0;
  if (shared > 0)
    blocks = std::min<std::uint64_t>(blocks, shape.shared_per_multiprocessor / shared);
  return static_cast<int>(std::min<std::uint64_t>(blocks, most_blocks_per_unit));
}

} // namespace

Result<int> max_active_blocks(Function& function, int block_threads, std::size_t dynamic_shared) {
  Result<const LoadedKernel*> loaded = function.load();
  if (!loaded)
    return loaded.error();
  if (block_threads <= 0)
    return util::fail(CUDA_ERROR_INVALID_VALUE, "occupancy of blocks of {} threads", block_threads);
  const jit::Kernel& kernel = *(*loaded)->kernel;
  if (static_cast<unsigned>(block_threads) > kernel.max_threads)
    return 0;
  return blocks_that_fit(function.module().context().device().shape(), kernel, block_threads, dynamic_shared);
}

Result<BlockSizeHint> best_block_size(Function& function, CUoccupancyB2DSize shared_for_block,
                                      std::size_t dynamic_shared, int limit) {
  Result<const LoadedKernel*> loaded = function.load();
  if (!loaded)
    return loaded.error();
  const jit::Kernel& kernel = *(*loaded)->kernel;
  const MachineShape& shape = function.module().context().device().shape();
  int wave = static_cast<int>(shape.wave_size);
  int largest = static_cast<int>(kernel.max_threads);
  if (limit > 0)
    largest = std::min(largest, limit);
  BlockSizeHint best = {0, 0};
  int best_threads = 0;
  for (int candidate = static_cast<int>(align_up(static_cast<std::uint64_t>(largest), shape.wave_size));
       candidate > 0; candidate -= wave) {
    int block = std::min(candidate, largest);
    std::size_t shared = shared_for_block ? shared_for_block(block) : dynamic_shared;
    int blocks = blocks_that_fit(shape, kernel, block, shared);
    if (blocks * block > best_threads) {
      best_threads = blocks * block;
      best = {blocks * static_cast<int>(shape.multiprocessors), block};
    }
  }
  if (best.block == 0)
    return util::fail(CUDA_ERROR_INVALID_VALUE, "no block size lets {} run", function.entry().name);
  return best;
}

} // namespace shim::core
