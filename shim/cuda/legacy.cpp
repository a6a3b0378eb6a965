// Entry points of older versions that a 64-bit program can still mean: those without 32-bit device addresses.
#include <algorithm>
#include <limits>

#include "entry.hpp"

using namespace shim;
using namespace shim::cuda;

namespace {

// Sizes were 32-bit numbers: what does not fit is the largest one.
void store_narrow(unsigned int* out, CUresult result, size_t value) {
  if (result == CUDA_SUCCESS && out)
    *out = static_cast<unsigned>(std::min<size_t>(value, std::numeric_limits<unsigned>::max()));
}

} // namespace

CUresult cuDeviceTotalMem(unsigned int* bytes, CUdevice device) {
  size_t wide = 0;
  CUresult result = cuDeviceTotalMem_v2(bytes ? &wide : nullptr, device);
  store_narrow(bytes, result, wide);
  return result;
}

CUresult cuMemGetInfo(unsigned int* free_bytes, unsigned int* total_bytes) {
  size_t wide_free = 0, wide_total = 0;
  CUresult result = cuMemGetInfo_v2(&wide_free, &wide_total);
  store_narrow(free_bytes, result, wide_free);
  store_narrow(total_bytes, result, wide_total);
  return result;
}

CUresult cuCtxCreate(CUcontext* context, unsigned int flags, CUdevice device) {
  return cuCtxCreate_v2(context, flags, device);
}

CUresult cuCtxDestroy(CUcontext context) {
  return cuCtxDestroy_v2(context);
}

CUresult cuCtxPushCurrent(CUcontext context) {
  return cuCtxPushCurrent_v2(context);
}

CUresult cuCtxPopCurrent(CUcontext* context) {
  return cuCtxPopCurrent_v2(context);
}

CUresult cuStreamDestroy(CUstream stream) {
  return cuStreamDestroy_v2(stream);
}

CUresult cuEventDestroy(CUevent event) {
  return cuEventDestroy_v2(event);
}

CUresult cuMemAllocHost(void** pointer, unsigned int bytes) {
  return cuMemAllocHost_v2(pointer, bytes);
}

CUresult cuMemHostRegister(void* pointer, size_t bytes, unsigned int flags) {
  return cuMemHostRegister_v2(pointer, bytes, flags);
}
