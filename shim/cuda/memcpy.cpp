// Copies in linear memory. Arrays are not supported yet: descriptors that name one say so.
#include <core/copy.hpp>

#include "entry.hpp"

using namespace shim;
using namespace shim::cuda;

namespace {

using core::PointerKind;

std::uint64_t address_of(const void* pointer) {
  return reinterpret_cast<std::uint64_t>(pointer);
}
std::uint64_t address_of(CUdeviceptr pointer) {
  return pointer;
}

template <class To, class From>
CUresult copy_linear(const char* name, CUstream stream, DefaultStream default_stream, bool synchronous,
                     PointerKind to_kind, To to, PointerKind from_kind, From from, size_t bytes) {
  return call_on_stream(
      name, stream, default_stream,
      [&](core::Stream& found) {
        core::CopyRequest request;
        request.destination = {to_kind, address_of(to)};
        request.source = {from_kind, address_of(from)};
        request.width = bytes;
        return core::copy(found, request, synchronous);
      },
      to, from, bytes);
}

// One side of a descriptor: where its first byte is.
struct Corner {
  CUmemorytype type;
  const void* host;
  CUdeviceptr device;
  CUarray array;
  size_t x, y, z, pitch, rows; // bytes, rows, slices; bytes in a row, rows in a slice
};

// A pitch of 0 means rows without gaps, a height of 0 slices without.
Result<core::CopySide> side_of(Corner corner, size_t width, size_t height, size_t depth) {
  if (corner.pitch == 0)
    corner.pitch = width;
  if (corner.rows == 0)
    corner.rows = height;
  core::CopySide side;
  switch (corner.type) {
  case CU_MEMORYTYPE_HOST:
    side.kind = PointerKind::host;
    side.address = address_of(corner.host);
    break;
  case CU_MEMORYTYPE_DEVICE:
    side.kind = PointerKind::device;
    side.address = corner.device;
    break;
  case CU_MEMORYTYPE_UNIFIED:
    side.kind = PointerKind::unified;
    side.address = corner.device;
    break;
  case CU_MEMORYTYPE_ARRAY:
    if (!corner.array)
      return util::fail(CUDA_ERROR_INVALID_VALUE, "copy: a null array");
    return util::fail(CUDA_ERROR_NOT_SUPPORTED, "copy: arrays are not supported");
  default:
    return util::fail(CUDA_ERROR_INVALID_VALUE, "copy: memory type {}", static_cast<int>(corner.type));
  }
  bool many_rows = height > 1 || depth > 1 || corner.y > 0 || corner.z > 0;
  bool many_slices = depth > 1 || corner.z > 0;
  if ((many_rows && corner.pitch < width + corner.x) || (many_slices && corner.rows < height + corner.y))
    return util::fail(CUDA_ERROR_INVALID_VALUE,
                      "copy: a pitch of {} bytes and {} rows do not hold {} bytes and {} rows", corner.pitch,
                      corner.rows, width + corner.x, height + corner.y);
  if (side.address == 0)
    return util::fail(CUDA_ERROR_INVALID_VALUE, "copy: a null pointer");
  side.pitch = corner.pitch;
  if (__builtin_mul_overflow(corner.pitch, corner.rows, &side.slice) && many_slices)
    return util::fail(CUDA_ERROR_INVALID_VALUE, "copy: slices of {} rows of {} bytes", corner.rows,
                      corner.pitch);
  side.address += corner.z * side.slice + corner.y * corner.pitch + corner.x;
  return side;
}

Result<void> copy_box(core::Stream& stream, bool synchronous, const Corner& to, const Corner& from,
                      size_t width, size_t height, size_t depth) {
  core::CopyRequest request;
  request.width = width;
  request.height = height;
  request.depth = depth;
  if (width == 0 || height == 0 || depth == 0)
    return {};
  Result<core::CopySide> destination = side_of(to, width, height, depth);
  if (!destination)
    return destination.error();
  Result<core::CopySide> source = side_of(from, width, height, depth);
  if (!source)
    return source.error();
  request.destination = *destination;
  request.source = *source;
  return core::copy(stream, request, synchronous);
}

CUresult copy_2d(const char* name, CUstream stream, DefaultStream default_stream, bool synchronous,
                 const CUDA_MEMCPY2D* copy) {
  return call_on_stream(
      name, stream, default_stream,
      [&](core::Stream& found) -> Result<void> {
        if (Result<void> given = require(name, copy); !given)
          return given;
        const CUDA_MEMCPY2D c = *copy;
        Corner to = {c.dstMemoryType, c.dstHost, c.dstDevice, c.dstArray, c.dstXInBytes,
                     c.dstY,          0,         c.dstPitch,  0};
        Corner from = {c.srcMemoryType, c.srcHost, c.srcDevice, c.srcArray, c.srcXInBytes,
                       c.srcY,          0,         c.srcPitch,  0};
        return copy_box(found, synchronous, to, from, c.WidthInBytes, c.Height, 1);
      },
      copy);
}

template <class Descriptor>
Result<void> copy_3d_in(core::Stream& stream, bool synchronous, const Descriptor& c) {
  Corner to = {c.dstMemoryType, c.dstHost, c.dstDevice, c.dstArray, c.dstXInBytes,
               c.dstY,          c.dstZ,    c.dstPitch,  c.dstHeight};
  Corner from = {c.srcMemoryType, c.srcHost, c.srcDevice, c.srcArray, c.srcXInBytes,
                 c.srcY,          c.srcZ,    c.srcPitch,  c.srcHeight};
  return copy_box(stream, synchronous, to, from, c.WidthInBytes, c.Height, c.Depth);
}

CUresult copy_3d(const char* name, CUstream stream, DefaultStream default_stream, bool synchronous,
                 const CUDA_MEMCPY3D* copy) {
  return call_on_stream(
      name, stream, default_stream,
      [&](core::Stream& found) -> Result<void> {
        if (Result<void> given = require(name, copy); !given)
          return given;
        return copy_3d_in(found, synchronous, *copy);
      },
      copy);
}

Result<void> check_contexts(CUcontext to, CUcontext from) {
  for (CUcontext context : {to, from}) // null: the current one
    if (context && !core::find<core::Context>(context))
      return util::fail(CUDA_ERROR_INVALID_CONTEXT, "{:#x} is no context",
                        reinterpret_cast<std::uintptr_t>(context));
  return {};
}

// Contexts of one device share its memory; other devices are out of reach, and the copy finds no allocation
// there.
CUresult copy_peer(const char* name, CUstream stream, DefaultStream default_stream, bool synchronous,
                   CUdeviceptr dst, CUcontext dst_context, CUdeviceptr src, CUcontext src_context,
                   size_t bytes) {
  return call_on_stream(
      name, stream, default_stream,
      [&](core::Stream& found) -> Result<void> {
        if (Result<void> known = check_contexts(dst_context, src_context); !known)
          return known;
        core::CopyRequest request;
        request.destination = {PointerKind::device, dst};
        request.source = {PointerKind::device, src};
        request.width = bytes;
        return core::copy(found, request, synchronous);
      },
      dst, dst_context, src, src_context, bytes);
}

CUresult copy_3d_peer(const char* name, CUstream stream, DefaultStream default_stream, bool synchronous,
                      const CUDA_MEMCPY3D_PEER* copy) {
  return call_on_stream(
      name, stream, default_stream,
      [&](core::Stream& found) -> Result<void> {
        if (Result<void> given = require(name, copy); !given)
          return given;
        if (Result<void> known = check_contexts(copy->dstContext, copy->srcContext); !known)
          return known;
        return copy_3d_in(found, synchronous, *copy);
      },
      copy);
}

constexpr DefaultStream legacy = DefaultStream::legacy;
constexpr DefaultStream per_thread = DefaultStream::per_thread;

} // namespace

CUresult cuMemcpy(CUdeviceptr dst, CUdeviceptr src, size_t bytes) {
  return copy_linear("cuMemcpy", nullptr, legacy, true, PointerKind::unified, dst, PointerKind::unified, src,
                     bytes);
}

CUresult cuMemcpy_ptds(CUdeviceptr dst, CUdeviceptr src, size_t bytes) {
  return copy_linear("cuMemcpy_ptds", nullptr, per_thread, true, PointerKind::unified, dst,
                     PointerKind::unified, src, bytes);
}

CUresult cuMemcpyAsync(CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream stream) {
  return copy_linear("cuMemcpyAsync", stream, legacy, false, PointerKind::unified, dst, PointerKind::unified,
                     src, bytes);
}

CUresult cuMemcpyAsync_ptsz(CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream stream) {
  return copy_linear("cuMemcpyAsync_ptsz", stream, per_thread, false, PointerKind::unified, dst,
                     PointerKind::unified, src, bytes);
}

CUresult cuMemcpyHtoD_v2(CUdeviceptr dst, const void* src, size_t bytes) {
  return copy_linear("cuMemcpyHtoD_v2", nullptr, legacy, true, PointerKind::device, dst, PointerKind::host,
                     src, bytes);
}

CUresult cuMemcpyHtoD_v2_ptds(CUdeviceptr dst, const void* src, size_t bytes) {
  return copy_linear("cuMemcpyHtoD_v2_ptds", nullptr, per_thread, true, PointerKind::device, dst,
                     PointerKind::host, src, bytes);
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr dst, const void* src, size_t bytes, CUstream stream) {
  return copy_linear("cuMemcpyHtoDAsync_v2", stream, legacy, false, PointerKind::device, dst,
                     PointerKind::host, src, bytes);
}

CUresult cuMemcpyHtoDAsync_v2_ptsz(CUdeviceptr dst, const void* src, size_t bytes, CUstream stream) {
  return copy_linear("cuMemcpyHtoDAsync_v2_ptsz", stream, per_thread, false, PointerKind::device, dst,
                     PointerKind::host, src, bytes);
}

CUresult cuMemcpyDtoH_v2(void* dst, CUdeviceptr src, size_t bytes) {
  return copy_linear("cuMemcpyDtoH_v2", nullptr, legacy, true, PointerKind::host, dst, PointerKind::device,
                     src, bytes);
}

CUresult cuMemcpyDtoH_v2_ptds(void* dst, CUdeviceptr src, size_t bytes) {
  return copy_linear("cuMemcpyDtoH_v2_ptds", nullptr, per_thread, true, PointerKind::host, dst,
                     PointerKind::device, src, bytes);
}

CUresult cuMemcpyDtoHAsync_v2(void* dst, CUdeviceptr src, size_t bytes, CUstream stream) {
  return copy_linear("cuMemcpyDtoHAsync_v2", stream, legacy, false, PointerKind::host, dst,
                     PointerKind::device, src, bytes);
}

CUresult cuMemcpyDtoHAsync_v2_ptsz(void* dst, CUdeviceptr src, size_t bytes, CUstream stream) {
  return copy_linear("cuMemcpyDtoHAsync_v2_ptsz", stream, per_thread, false, PointerKind::host, dst,
                     PointerKind::device, src, bytes);
}

CUresult cuMemcpyDtoD_v2(CUdeviceptr dst, CUdeviceptr src, size_t bytes) {
  return copy_linear("cuMemcpyDtoD_v2", nullptr, legacy, true, PointerKind::device, dst, PointerKind::device,
                     src, bytes);
}

CUresult cuMemcpyDtoD_v2_ptds(CUdeviceptr dst, CUdeviceptr src, size_t bytes) {
  return copy_linear("cuMemcpyDtoD_v2_ptds", nullptr, per_thread, true, PointerKind::device, dst,
                     PointerKind::device, src, bytes);
}

CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream stream) {
  return copy_linear("cuMemcpyDtoDAsync_v2", stream, legacy, false, PointerKind::device, dst,
                     PointerKind::device, src, bytes);
}

CUresult cuMemcpyDtoDAsync_v2_ptsz(CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream stream) {
  return copy_linear("cuMemcpyDtoDAsync_v2_ptsz", stream, per_thread, false, PointerKind::device, dst,
                     PointerKind::device, src, bytes);
}

CUresult cuMemcpy2D_v2(const CUDA_MEMCPY2D* copy) {
  return copy_2d("cuMemcpy2D_v2", nullptr, legacy, true, copy);
}

CUresult cuMemcpy2D_v2_ptds(const CUDA_MEMCPY2D* copy) {
  return copy_2d("cuMemcpy2D_v2_ptds", nullptr, per_thread, true, copy);
}

CUresult cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D* copy, CUstream stream) {
  return copy_2d("cuMemcpy2DAsync_v2", stream, legacy, false, copy);
}

CUresult cuMemcpy2DAsync_v2_ptsz(const CUDA_MEMCPY2D* copy, CUstream stream) {
  return copy_2d("cuMemcpy2DAsync_v2_ptsz", stream, per_thread, false, copy);
}

CUresult cuMemcpy2DUnaligned_v2(const CUDA_MEMCPY2D* copy) {
  return copy_2d("cuMemcpy2DUnaligned_v2", nullptr, legacy, true, copy);
}

CUresult cuMemcpy2DUnaligned_v2_ptds(const CUDA_MEMCPY2D* copy) {
  return copy_2d("cuMemcpy2DUnaligned_v2_ptds", nullptr, per_thread, true, copy);
}

CUresult cuMemcpy3D_v2(const CUDA_MEMCPY3D* copy) {
  return copy_3d("cuMemcpy3D_v2", nullptr, legacy, true, copy);
}

CUresult cuMemcpy3D_v2_ptds(const CUDA_MEMCPY3D* copy) {
  return copy_3d("cuMemcpy3D_v2_ptds", nullptr, per_thread, true, copy);
}

CUresult cuMemcpy3DAsync_v2(const CUDA_MEMCPY3D* copy, CUstream stream) {
  return copy_3d("cuMemcpy3DAsync_v2", stream, legacy, false, copy);
}

CUresult cuMemcpy3DAsync_v2_ptsz(const CUDA_MEMCPY3D* copy, CUstream stream) {
  return copy_3d("cuMemcpy3DAsync_v2_ptsz", stream, per_thread, false, copy);
}

CUresult cuMemcpyPeer(CUdeviceptr dst, CUcontext dst_context, CUdeviceptr src, CUcontext src_context,
                      size_t bytes) {
  return copy_peer("cuMemcpyPeer", nullptr, legacy, true, dst, dst_context, src, src_context, bytes);
}

CUresult cuMemcpy3DPeer(const CUDA_MEMCPY3D_PEER* copy) {
  return copy_3d_peer("cuMemcpy3DPeer", nullptr, legacy, true, copy);
}

CUresult cuMemcpyPeer_ptds(CUdeviceptr dst, CUcontext dst_context, CUdeviceptr src, CUcontext src_context,
                           size_t bytes) {
  return copy_peer("cuMemcpyPeer_ptds", nullptr, per_thread, true, dst, dst_context, src, src_context, bytes);
}

CUresult cuMemcpy3DPeer_ptds(const CUDA_MEMCPY3D_PEER* copy) {
  return copy_3d_peer("cuMemcpy3DPeer_ptds", nullptr, per_thread, true, copy);
}

CUresult cuMemcpyPeerAsync(CUdeviceptr dst, CUcontext dst_context, CUdeviceptr src, CUcontext src_context,
                           size_t bytes, CUstream stream) {
  return copy_peer("cuMemcpyPeerAsync", stream, legacy, false, dst, dst_context, src, src_context, bytes);
}

CUresult cuMemcpy3DPeerAsync(const CUDA_MEMCPY3D_PEER* copy, CUstream stream) {
  return copy_3d_peer("cuMemcpy3DPeerAsync", stream, legacy, false, copy);
}

CUresult cuMemcpyPeerAsync_ptsz(CUdeviceptr dst, CUcontext dst_context, CUdeviceptr src,
                                CUcontext src_context, size_t bytes, CUstream stream) {
  return copy_peer("cuMemcpyPeerAsync_ptsz", stream, per_thread, false, dst, dst_context, src, src_context,
                   bytes);
}

CUresult cuMemcpy3DPeerAsync_ptsz(const CUDA_MEMCPY3D_PEER* copy, CUstream stream) {
  return copy_3d_peer("cuMemcpy3DPeerAsync_ptsz", stream, per_thread, false, copy);
}
