// The functions that unimplemented.inc lists: each logs its name and says CUDA_ERROR_NOT_SUPPORTED.
//
// <cuda.h> is left out here, so that every name can be defined without its parameters: the callee of the
// x86-64 ABI need not know them.
#include "unimplemented.hpp"

#define CUDA_SHIM_UNIMPLEMENTED(name)                                                                        \
  extern "C" __attribute__((visibility("default"))) int name() {                                             \
    return shim::cuda::not_supported(#name);                                                                 \
  }
#include "unimplemented.inc"
#undef CUDA_SHIM_UNIMPLEMENTED
