#pragma once

namespace shim::cuda {

// CUDA_ERROR_NOT_SUPPORTED and a line in the log; CUDA_ERROR_NOT_INITIALIZED before cuInit.
int not_supported(const char* name);

} // namespace shim::cuda
