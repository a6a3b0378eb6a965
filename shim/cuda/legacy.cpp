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
  CUresult result = call_newer("cuDeviceTotalMem", cuDeviceTotalMem_v2, bytes ? &wide : nullptr, device);
  store_narrow(bytes, result, wide);
  return result;
}

CUresult cuMemGetInfo(unsigned int* free_bytes, unsigned int* total_bytes) {
  size_t wide_free = 0, wide_total = 0;
  CUresult result = call_newer("cuMemGetInfo", cuMemGetInfo_v2, &wide_free, &wide_total);
  store_narrow(free_bytes, result, wide_free);
  store_narrow(total_bytes, result, wide_total);
  return result;
}

CUresult cuCtxCreate(CUcontext* context, unsigned int flags, CUdevice device) {
  return call_newer("cuCtxCreate", cuCtxCreate_v2, context, flags, device);
}

CUresult cuCtxDestroy(CUcontext context) {
  return call_newer("cuCtxDestroy", cuCtxDestroy_v2, context);
}

CUresult cuCtxPushCurrent(CUcontext context) {
  return call_newer("cuCtxPushCurrent", cuCtxPushCurrent_v2, context);
}

CUresult cuCtxPopCurrent(CUcontext* context) {
  return call_newer("cuCtxPopCurrent", cuCtxPopCurrent_v2, context);
}

CUresult cuStreamDestroy(CUstream stream) {
  return call_newer("cuStreamDestroy", cuStreamDestroy_v2, stream);
}

CUresult cuEventDestroy(CUevent event) {
  return call_newer("cuEventDestroy", cuEventDestroy_v2, event);
}

CUresult cuMemAllocHost(void** pointer, unsigned int bytes) {
  return call_newer("cuMemAllocHost", cuMemAllocHost_v2, pointer, bytes);
}

CUresult cuMemHostRegister(void* pointer, size_t bytes, unsigned int flags) {
  return call_newer("cuMemHostRegister", cuMemHostRegister_v2, pointer, bytes, flags);
}
