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

CUresult cuMemsetD8_v2(CUdeviceptr dst, unsigned char value, size_t count) {
  return fill("cuMemsetD8_v2", nullptr, legacy, true, {dst, 0, count, 1, value, 1});
}

CUresult cuMemsetD8_v2_ptds(CUdeviceptr dst, unsigned char value, size_t count) {
  return fill("cuMemsetD8_v2_ptds", nullptr, per_thread, true, {dst, 0, count, 1, value, 1});
}

CUresult cuMemsetD8Async(CUdeviceptr dst, unsigned char value, size_t count, CUstream stream) {
  return fill("cuMemsetD8Async", stream, legacy, false, {dst, 0, count, 1, value, 1});
}

CUresult cuMemsetD8Async_ptsz(CUdeviceptr dst, unsigned char value, size_t count, CUstream stream) {
  return fill("cuMemsetD8Async_ptsz", stream, per_thread, false, {dst, 0, count, 1, value, 1});
}

CUresult cuMemsetD2D8_v2(CUdeviceptr dst, size_t pitch, unsigned char value, size_t width, size_t height) {
  return fill("cuMemsetD2D8_v2", nullptr, legacy, true, {dst, pitch, width, height, value, 1});
}

CUresult cuMemsetD2D8_v2_ptds(CUdeviceptr dst, size_t pitch, unsigned char value, size_t width,
                              size_t height) {
  return fill("cuMemsetD2D8_v2_ptds", nullptr, per_thread, true, {dst, pitch, width, height, value, 1});
}

CUresult cuMemsetD2D8Async(CUdeviceptr dst, size_t pitch, unsigned char value, size_t width, size_t height,
                           CUstream stream) {
  return fill("cuMemsetD2D8Async", stream, legacy, false, {dst, pitch, width, height, value, 1});
}

CUresult cuMemsetD2D8Async_ptsz(CUdeviceptr dst, size_t pitch, unsigned char value, size_t width,
                                size_t height, CUstream stream) {
  return fill("cuMemsetD2D8Async_ptsz", stream, per_thread, false, {dst, pitch, width, height, value, 1});
}

CUresult cuMemsetD16_v2(CUdeviceptr dst, unsigned short value, size_t count) {
  return fill("cuMemsetD16_v2", nullptr, legacy, true, {dst, 0, count, 1, value, 2});
}

CUresult cuMemsetD16_v2_ptds(CUdeviceptr dst, unsigned short value, size_t count) {
  return fill("cuMemsetD16_v2_ptds", nullptr, per_thread, true, {dst, 0, count, 1, value, 2});
}

CUresult cuMemsetD16Async(CUdeviceptr dst, unsigned short value, size_t count, CUstream stream) {
  return fill("cuMemsetD16Async", stream, legacy, false, {dst, 0, count, 1, value, 2});
}

CUresult cuMemsetD16Async_ptsz(CUdeviceptr dst, unsigned short value, size_t count, CUstream stream) {
  return fill("cuMemsetD16Async_ptsz", stream, per_thread, false, {dst, 0, count, 1, value, 2});
}

CUresult cuMemsetD2D16_v2(CUdeviceptr dst, size_t pitch, unsigned short value, size_t width, size_t height) {
  return fill("cuMemsetD2D16_v2", nullptr, legacy, true, {dst, pitch, width, height, value, 2});
}

CUresult cuMemsetD2D16_v2_ptds(CUdeviceptr dst, size_t pitch, unsigned short value, size_t width,
                               size_t height) {
  return fill("cuMemsetD2D16_v2_ptds", nullptr, per_thread, true, {dst, pitch, width, height, value, 2});
}

CUresult cuMemsetD2D16Async(CUdeviceptr dst, size_t pitch, unsigned short value, size_t width, size_t height,
                            CUstream stream) {
  return fill("cuMemsetD2D16Async", stream, legacy, false, {dst, pitch, width, height, value, 2});
}

CUresult cuMemsetD2D16Async_ptsz(CUdeviceptr dst, size_t pitch, unsigned short value, size_t width,
                                 size_t height, CUstream stream) {
  return fill("cuMemsetD2D16Async_ptsz", stream, per_thread, false, {dst, pitch, width, height, value, 2});
}

CUresult cuMemsetD32_v2(CUdeviceptr dst, unsigned int value, size_t count) {
  return fill("cuMemsetD32_v2", nullptr, legacy, true, {dst, 0, count, 1, value, 4});
}

CUresult cuMemsetD32_v2_ptds(CUdeviceptr dst, unsigned int value, size_t count) {
  return fill("cuMemsetD32_v2_ptds", nullptr, per_thread, true, {dst, 0, count, 1, value, 4});
}

CUresult cuMemsetD32Async(CUdeviceptr dst, unsigned int value, size_t count, CUstream stream) {
  return fill("cuMemsetD32Async", stream, legacy, false, {dst, 0, count, 1, value, 4});
}

CUresult cuMemsetD32Async_ptsz(CUdeviceptr dst, unsigned int value, size_t count, CUstream stream) {
  return fill("cuMemsetD32Async_ptsz", stream, per_thread, false, {dst, 0, count, 1, value, 4});
}

CUresult cuMemsetD2D32_v2(CUdeviceptr dst, size_t pitch, unsigned int value, size_t width, size_t height) {
  return fill("cuMemsetD2D32_v2", nullptr, legacy, true, {dst, pitch, width, height, value, 4});
}

CUresult cuMemsetD2D32_v2_ptds(CUdeviceptr dst, size_t pitch, unsigned int value, size_t width,
                               size_t height) {
  return fill("cuMemsetD2D32_v2_ptds", nullptr, per_thread, true, {dst, pitch, width, height, value, 4});
}

CUresult cuMemsetD2D32Async(CUdeviceptr dst, size_t pitch, unsigned int value, size_t width, size_t height,
                            CUstream stream) {
  return fill("cuMemsetD2D32Async", stream, legacy, false, {dst, pitch, width, height, value, 4});
}

CUresult cuMemsetD2D32Async_ptsz(CUdeviceptr dst, size_t pitch, unsigned int value, size_t width,
                                 size_t height, CUstream stream) {
  return fill("cuMemsetD2D32Async_ptsz", stream, per_thread, false, {dst, pitch, width, height, value, 4});
}
