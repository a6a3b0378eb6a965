// Execution control and occupancy.
#include <utility>

#include <core/launch.hpp>

#include "entry.hpp"

using namespace shim;
using namespace shim::cuda;

namespace {

Result<core::Pinned<core::Function>> function_from(CUfunction handle) {
  return object_from<core::Function>(handle, "function");
}

// `body(core::Function&)`.
template <class Body, class... Args>
CUresult call_on_function(const char* name, CUfunction function, Body&& body, const Args&... args) {
  return call_on_object<core::Function>(name, function, "function", std::forward<Body>(body), args...);
}

// The same for the few calls that ask for a current context all the same.
template <class Body, class... Args>
CUresult call_on_function_in_context(const char* name, CUfunction function, Body&& body,
                                     const Args&... args) {
  return call_in_context(
      name,
      [&](core::Context&) -> Result<void> {
        Result<core::Pinned<core::Function>> found = function_from(function);
        if (!found)
          return found.error();
        return body(**found);
      },
      function, args...);
}

CUresult launch_kernel(const char* name, DefaultStream default_stream, CUfunction function,
                       const core::LaunchShape& shape, CUstream stream, void** parameters, void** extra) {
  return call_on_stream(
      name, stream, default_stream,
      [&](core::Stream& found) -> Result<void> {
        Result<core::Pinned<core::Function>> kernel = function_from(function);
        if (!kernel) [[unlikely]]
          return kernel.error();
        if (&(*kernel)->module().context() != &found.context()) [[unlikely]]
          return util::fail(CUDA_ERROR_INVALID_HANDLE, "{}: function and stream belong to two contexts",
                            name);
        return core::launch(**kernel, found, shape, parameters, extra);
      },
      function, shape.grid[0], shape.grid[1], shape.grid[2], shape.block[0], shape.block[1], shape.block[2],
      shape.dynamic_shared, parameters, extra);
}

} // namespace

CUresult cuLaunchKernel(CUfunction function, unsigned int grid_x, unsigned int grid_y, unsigned int grid_z,
                        unsigned int block_x, unsigned int block_y, unsigned int block_z,
                        unsigned int shared_bytes, CUstream stream, void** parameters, void** extra) {
  return launch_kernel("cuLaunchKernel", DefaultStream::legacy, function,
                       {{grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, shared_bytes}, stream,
                       parameters, extra);
}

CUresult cuLaunchKernel_ptsz(CUfunction function, unsigned int grid_x, unsigned int grid_y,
                             unsigned int grid_z, unsigned int block_x, unsigned int block_y,
                             unsigned int block_z, unsigned int shared_bytes, CUstream stream,
                             void** parameters, void** extra) {
  return launch_kernel("cuLaunchKernel_ptsz", DefaultStream::per_thread, function,
                       {{grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, shared_bytes}, stream,
                       parameters, extra);
}

CUresult cuFuncGetAttribute(int* value, CUfunction_attribute attribute, CUfunction function) {
  return call_on_function(
      "cuFuncGetAttribute", function,
      [&](core::Function& found) -> Result<void> {
        if (Result<void> given = require("cuFuncGetAttribute", value); !given)
          return given;
        return store(value, found.attribute(attribute));
      },
      value, attribute);
}

CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value) {
  return call_on_function(
      "cuFuncSetAttribute", function,
      [&](core::Function& found) { return found.set_attribute(attribute, value); }, attribute, value);
}

CUresult cuFuncSetCacheConfig(CUfunction function, CUfunc_cache config) {
  return call_on_function(
      "cuFuncSetCacheConfig", function,
      [&](core::Function& found) -> Result<void> {
        if (config < CU_FUNC_CACHE_PREFER_NONE || config > CU_FUNC_CACHE_PREFER_EQUAL)
          return util::fail(CUDA_ERROR_INVALID_VALUE, "cuFuncSetCacheConfig({})", static_cast<int>(config));
        found.cache_config = config;
        return {};
      },
      config);
}

CUresult cuFuncSetSharedMemConfig(CUfunction function, CUsharedconfig config) {
  return call_on_function(
      "cuFuncSetSharedMemConfig", function,
      [&](core::Function&) -> Result<void> {
        if (config < CU_SHARED_MEM_CONFIG_DEFAULT_BANK_SIZE ||
            config > CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE)
          return util::fail(CUDA_ERROR_INVALID_VALUE, "cuFuncSetSharedMemConfig({})",
                            static_cast<int>(config));
        return {}; // a hint for banks that are always four bytes wide
      },
      config);
}

namespace {

CUresult active_blocks(const char* name, int* blocks, CUfunction function, int block_size,
                       size_t shared_bytes, unsigned int flags) {
  return call_on_function_in_context(
      name, function,
      [&](core::Function& found) -> Result<void> {
        if (Result<void> given = require(name, blocks); !given)
          return given;
        if (flags & ~static_cast<unsigned>(CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE))
          return util::fail(CUDA_ERROR_INVALID_VALUE, "{}: flags {:#x}", name, flags);
        return store(blocks, core::max_active_blocks(found, block_size, shared_bytes));
      },
      blocks, block_size, shared_bytes, flags);
}

CUresult best_block_size(const char* name, int* grid_size, int* block_size, CUfunction function,
                         CUoccupancyB2DSize shared_bytes_of, size_t shared_bytes, int limit,
                         unsigned int flags) {
  return call_on_function_in_context(
      name, function,
      [&](core::Function& found) -> Result<void> {
        if (Result<void> given = require(name, grid_size, block_size); !given)
          return given;
        if (flags & ~static_cast<unsigned>(CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE))
          return util::fail(CUDA_ERROR_INVALID_VALUE, "{}: flags {:#x}", name, flags);
        if (limit < 0)
          return util::fail(CUDA_ERROR_INVALID_VALUE, "{}: a limit of {} threads", name, limit);
        Result<core::BlockSizeHint> hint = core::best_block_size(found, shared_bytes_of, shared_bytes, limit);
        if (!hint)
          return hint.error();
        *grid_size = hint->min_grid;
        *block_size = hint->block;
        return {};
      },
      grid_size, block_size, shared_bytes, limit, flags);
}

} // namespace

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, CUfunction function, int block_size,
                                                     size_t shared_bytes) {
  return active_blocks("cuOccupancyMaxActiveBlocksPerMultiprocessor", blocks, function, block_size,
                       shared_bytes, 0);
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, CUfunction function,
                                                              int block_size, size_t shared_bytes,
                                                              unsigned int flags) {
  return active_blocks("cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags", blocks, function, block_size,
                       shared_bytes, flags);
}

CUresult cuOccupancyMaxPotentialBlockSize(int* grid_size, int* block_size, CUfunction function,
                                          CUoccupancyB2DSize shared_bytes_of, size_t shared_bytes,
                                          int block_size_limit) {
  return best_block_size("cuOccupancyMaxPotentialBlockSize", grid_size, block_size, function, shared_bytes_of,
                         shared_bytes, block_size_limit, 0);
}

CUresult cuOccupancyMaxPotentialBlockSizeWithFlags(int* grid_size, int* block_size, CUfunction function,
                                                   CUoccupancyB2DSize shared_bytes_of, size_t shared_bytes,
                                                   int block_size_limit, unsigned int flags) {
  return best_block_size("cuOccupancyMaxPotentialBlockSizeWithFlags", grid_size, block_size, function,
                         shared_bytes_of, shared_bytes, block_size_limit, flags);
}
