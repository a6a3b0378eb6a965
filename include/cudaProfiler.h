/* The profiler's chapter of the CUDA 10.1 driver API. */
#ifndef CUDA_SHIM_PROFILER_H
#define CUDA_SHIM_PROFILER_H
#define cuda_profiler_H

#include <cuda.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(CUDA_SHIM_IMPLEMENTATION)
#pragma GCC visibility push(default)
#endif

typedef enum CUoutput_mode_enum CUDA_SHIM_ENUM_BASE {
  CU_OUT_KEY_VALUE_PAIR = 0,
  CU_OUT_CSV = 1
} CUoutput_mode;

/* == Profiler control == */

/* Names the profiler's configuration and output files; superseded. */
CUresult CUDAAPI cuProfilerInitialize(const char* config_path, const char* output_path, CUoutput_mode mode);
/* Begins collecting, where a profiler is attached. */
CUresult CUDAAPI cuProfilerStart(void);
/* Ends collecting. */
CUresult CUDAAPI cuProfilerStop(void);

#if defined(CUDA_SHIM_IMPLEMENTATION)
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif
