// The options that cuModuleLoadDataEx and cuLink* share.
#pragma once

#include <core/module.hpp>

#include "entry.hpp"

namespace shim::cuda {

// CUDA_ERROR_INVALID_VALUE for unknown options, and where there are some and no arrays of them.
Result<core::JitOptions> read_options(unsigned count, const CUjit_option* options, void** values);
// The values that options give back.
void write_options(const core::JitOptions& result, unsigned count, const CUjit_option* options,
                   void** values);

} // namespace shim::cuda
