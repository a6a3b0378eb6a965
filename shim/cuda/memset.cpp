// Fills.
#include <core/copy.hpp>

#include "entry.hpp"

using namespace shim;
using namespace shim::cuda;

namespace {

CUresult fill(const char* name, CUstream stream, DefaultStream default_stream, bool synchronous,
              const core::FillRequest& request) {
  return call_on_stream(
      name, stream, default_stream,
      [&](core::Stream& found) { return core::fill(found, request, synchronous); }, request.address,
      request.pitch, request.value, request.width, request.height);
}

constexpr DefaultStream legacy = DefaultStream::legacy;
constexpr DefaultStream per_thread = DefaultStream::per_thread;

} // namespace

// The eight functions that fill with values of one type.
#define CUDA_SHIM_FILLS(suffix, Type)                                                                        \
  CUresult cuMemset##suffix##_v2(CUdeviceptr dst, Type value, size_t count) {                                \
    return fill("cuMemset" #suffix "_v2", nullptr, legacy, true, {dst, 0, count, 1, value, sizeof(Type)});   \
  }                                                                                                          \
  CUresult cuMemset##suffix##_v2_ptds(CUdeviceptr dst, Type value, size_t count) {                           \
    return fill("cuMemset" #suffix "_v2_ptds", nullptr, per_thread, true,                                    \
                {dst, 0, count, 1, value, sizeof(Type)});                                                    \
  }                                                                                                          \
  CUresult cuMemset##suffix##Async(CUdeviceptr dst, Type value, size_t count, CUstream stream) {             \
    return fill("cuMemset" #suffix "Async", stream, legacy, false, {dst, 0, count, 1, value, sizeof(Type)}); \
  }                                                                                                          \
  CUresult cuMemset##suffix##Async_ptsz(CUdeviceptr dst, Type value, size_t count, CUstream stream) {        \
    return fill("cuMemset" #suffix "Async_ptsz", stream, per_thread, false,                                  \
                {dst, 0, count, 1, value, sizeof(Type)});                                                    \
  }
#define CUDA_SHIM_RECTANGLE_FILLS(suffix, Type)                                                              \
  CUresult cuMemset##suffix##_v2(CUdeviceptr dst, size_t pitch, Type value, size_t width, size_t height) {   \
    return fill("cuMemset" #suffix "_v2", nullptr, legacy, true,                                             \
                {dst, pitch, width, height, value, sizeof(Type)});                                           \
  }                                                                                                          \
  CUresult cuMemset##suffix##_v2_ptds(CUdeviceptr dst, size_t pitch, Type value, size_t width,               \
                                      size_t height) {                                                       \
    return fill("cuMemset" #suffix "_v2_ptds", nullptr, per_thread, true,                                    \
                {dst, pitch, width, height, value, sizeof(Type)});                                           \
  }                                                                                                          \
  CUresult cuMemset##suffix##Async(CUdeviceptr dst, size_t pitch, Type value, size_t width, size_t height,   \
                                   CUstream stream) {                                                        \
    return fill("cuMemset" #suffix "Async", stream, legacy, false,                                           \
                {dst, pitch, width, height, value, sizeof(Type)});                                           \
  }                                                                                                          \
  CUresult cuMemset##suffix##Async_ptsz(CUdeviceptr dst, size_t pitch, Type value, size_t width,             \
                                        size_t height, CUstream stream) {                                    \
    return fill("cuMemset" #suffix "Async_ptsz", stream, per_thread, false,                                  \
                {dst, pitch, width, height, value, sizeof(Type)});                                           \
  }

CUDA_SHIM_FILLS(D8, unsigned char)
CUDA_SHIM_FILLS(D16, unsigned short)
CUDA_SHIM_FILLS(D32, unsigned int)
CUDA_SHIM_RECTANGLE_FILLS(D2D8, unsigned char)
CUDA_SHIM_RECTANGLE_FILLS(D2D16, unsigned short)
CUDA_SHIM_RECTANGLE_FILLS(D2D32, unsigned int)
