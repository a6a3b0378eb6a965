// Memory management and unified addressing: everything but copies and fills.
#include <core/pointer.hpp>

#include "entry.hpp"

using namespace shim;
using namespace shim::cuda;

CUresult cuMemGetInfo_v2(size_t* free_bytes, size_t* total_bytes) {
  return call_in_context(
      "cuMemGetInfo_v2",
      [&](core::Context& context) -> Result<void> {
        Result<kfd::MemoryInfo> info = context.device().opened().memory_info();
        if (!info)
          return info.error();
        if (free_bytes)
          *free_bytes = info->free;
        if (total_bytes)
          *total_bytes = info->total;
        return {};
      },
      free_bytes, total_bytes);
}

CUresult cuMemAlloc_v2(CUdeviceptr* address, size_t bytes) {
  return call_in_context(
      "cuMemAlloc_v2",
      [&](core::Context& context) -> Result<void> {
        if (Result<void> given = require("cuMemAlloc", address); !given)
          return given;
        *address = 0;
        return store(address, core::allocate_device(context, bytes));
      },
      address, bytes);
}

CUresult cuMemAllocPitch_v2(CUdeviceptr* address, size_t* pitch, size_t width_bytes, size_t height,
                            unsigned int element_bytes) {
  return call_in_context(
      "cuMemAllocPitch_v2",
      [&](core::Context& context) -> Result<void> {
        if (Result<void> given = require("cuMemAllocPitch", address, pitch); !given)
          return given;
        Result<core::PitchedAllocation> made =
            core::allocate_pitched(context, width_bytes, height, element_bytes);
        if (!made)
          return made.error();
        *address = made->address;
        *pitch = made->pitch;
        return {};
      },
      address, pitch, width_bytes, height, element_bytes);
}

CUresult cuMemFree_v2(CUdeviceptr address) {
  return call_anywhere(
      "cuMemFree_v2", [&]() { return core::free_device(address); }, address);
}

CUresult cuMemAllocManaged(CUdeviceptr* address, size_t bytes, unsigned int flags) {
  return call_in_context(
      "cuMemAllocManaged",
      [&](core::Context& context) -> Result<void> {
        if (Result<void> given = require("cuMemAllocManaged", address); !given)
          return given;
        return store(address, core::allocate_managed(context, bytes, flags));
      },
      address, bytes, flags);
}

CUresult cuMemGetAddressRange_v2(CUdeviceptr* base, size_t* bytes, CUdeviceptr address) {
  return call_in_context(
      "cuMemGetAddressRange_v2",
      [&](core::Context&) -> Result<void> {
        std::optional<core::AllocationView> found = core::driver().allocations().find(address);
        if (!found)
          return util::fail(CUDA_ERROR_NOT_FOUND, "cuMemGetAddressRange: {:#x} is in no allocation", address);
        if (base)
          *base = found->base;
        if (bytes)
          *bytes = found->size;
        return {};
      },
      base, bytes, address);
}

namespace {

CUresult allocate_host(const char* name, void** pointer, size_t bytes, unsigned int flags) {
  return call_in_context(
      name,
      [&](core::Context& context) -> Result<void> {
        if (Result<void> given = require(name, pointer); !given)
          return given;
        *pointer = nullptr;
        return bytes ? store(pointer, core::allocate_host(context, bytes, flags)) : Result<void>();
      },
      pointer, bytes, flags);
}

} // namespace

CUresult cuMemAllocHost_v2(void** pointer, size_t bytes) {
  return allocate_host("cuMemAllocHost_v2", pointer, bytes, 0);
}

CUresult cuMemHostAlloc(void** pointer, size_t bytes, unsigned int flags) {
  return allocate_host("cuMemHostAlloc", pointer, bytes, flags);
}

CUresult cuMemFreeHost(void* pointer) {
  return call_anywhere(
      "cuMemFreeHost", [&]() { return core::free_host(pointer); }, pointer);
}

CUresult cuMemHostRegister_v2(void* pointer, size_t bytes, unsigned int flags) {
  return call_in_context(
      "cuMemHostRegister_v2",
      [&](core::Context& context) { return core::register_host(context, pointer, bytes, flags); }, pointer,
      bytes, flags);
}

CUresult cuMemHostUnregister(void* pointer) {
  return call_anywhere(
      "cuMemHostUnregister", [&]() { return core::unregister_host(pointer); }, pointer);
}

CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr* address, void* pointer, unsigned int flags) {
  return call_in_context(
      "cuMemHostGetDevicePointer_v2",
      [&](core::Context&) -> Result<void> {
        if (Result<void> given = require("cuMemHostGetDevicePointer", address); !given)
          return given;
        Result<core::AllocationView> found = core::find_host(pointer);
        if (!found)
          return found.error();
        if (flags != 0)
          return util::fail(CUDA_ERROR_INVALID_VALUE, "cuMemHostGetDevicePointer: flags {:#x}", flags);
        *address = reinterpret_cast<CUdeviceptr>(pointer);
        return {};
      },
      address, pointer, flags);
}

CUresult cuMemHostGetFlags(unsigned int* flags, void* pointer) {
  return call_in_context(
      "cuMemHostGetFlags",
      [&](core::Context&) -> Result<void> {
        if (Result<void> given = require("cuMemHostGetFlags", flags); !given)
          return given;
        Result<core::AllocationView> found = core::find_host(pointer);
        if (!found)
          return found.error();
        *flags = found->flags;
        return {};
      },
      flags, pointer);
}

CUresult cuPointerGetAttribute(void* value, CUpointer_attribute attribute, CUdeviceptr address) {
  return call_anywhere(
      "cuPointerGetAttribute",
      [&]() -> Result<void> {
        if (Result<void> given = require("cuPointerGetAttribute", value); !given)
          return given;
        return core::pointer_attribute(value, attribute, address);
      },
      value, attribute, address);
}

CUresult cuPointerGetAttributes(unsigned int count, CUpointer_attribute* attributes, void** values,
                                CUdeviceptr address) {
  return call_anywhere(
      "cuPointerGetAttributes",
      [&]() -> Result<void> {
        if (count == 0 || !attributes || !values)
          return util::fail(CUDA_ERROR_INVALID_VALUE,
                            "cuPointerGetAttributes: {} attributes, or a null pointer", count);
        for (unsigned i = 0; i < count; ++i) {
          if (Result<void> given = require("cuPointerGetAttributes", values[i]); !given)
            return given;
          if (Result<void> got = core::pointer_attribute_or_none(values[i], attributes[i], address); !got)
            return got;
        }
        return {};
      },
      count, attributes, values, address);
}

CUresult cuPointerSetAttribute(const void* value, CUpointer_attribute attribute, CUdeviceptr address) {
  return call_anywhere(
      "cuPointerSetAttribute",
      [&]() -> Result<void> {
        if (Result<void> given = require("cuPointerSetAttribute", value); !given)
          return given;
        return core::set_pointer_attribute(value, attribute, address);
      },
      value, attribute, address);
}

namespace {

CUresult prefetch(const char* name, DefaultStream default_stream, CUdeviceptr address, size_t bytes,
                  CUdevice device, CUstream stream) {
  return call_on_stream(
      name, stream, default_stream,
      [&](core::Stream&) { return core::prefetch_managed(address, bytes, device); }, address, bytes, device);
}

CUresult attach(const char* name, DefaultStream default_stream, CUstream stream, CUdeviceptr address,
                size_t bytes, unsigned int flags) {
  return call_on_stream(
      name, stream, default_stream,
      [&](core::Stream& found) -> Result<void> {
        if (flags == CU_MEM_ATTACH_SINGLE && found.role() == core::StreamRole::legacy)
          return util::fail(CUDA_ERROR_INVALID_VALUE, "{}: the legacy stream has no memory of its own", name);
        return core::attach_managed(address, bytes, flags);
      },
      address, bytes, flags);
}

} // namespace

CUresult cuMemPrefetchAsync(CUdeviceptr address, size_t bytes, CUdevice device, CUstream stream) {
  return prefetch("cuMemPrefetchAsync", DefaultStream::legacy, address, bytes, device, stream);
}

CUresult cuMemPrefetchAsync_ptsz(CUdeviceptr address, size_t bytes, CUdevice device, CUstream stream) {
  return prefetch("cuMemPrefetchAsync_ptsz", DefaultStream::per_thread, address, bytes, device, stream);
}

CUresult cuStreamAttachMemAsync(CUstream stream, CUdeviceptr address, size_t bytes, unsigned int flags) {
  return attach("cuStreamAttachMemAsync", DefaultStream::legacy, stream, address, bytes, flags);
}

CUresult cuStreamAttachMemAsync_ptsz(CUstream stream, CUdeviceptr address, size_t bytes, unsigned int flags) {
  return attach("cuStreamAttachMemAsync_ptsz", DefaultStream::per_thread, stream, address, bytes, flags);
}

CUresult cuMemAdvise(CUdeviceptr address, size_t bytes, CUmem_advise advice, CUdevice device) {
  return call_in_context(
      "cuMemAdvise", [&](core::Context&) { return core::advise(address, bytes, advice, device); }, address,
      bytes, advice, device);
}

CUresult cuMemRangeGetAttribute(void* value, size_t value_bytes, CUmem_range_attribute attribute,
                                CUdeviceptr address, size_t bytes) {
  return call_in_context(
      "cuMemRangeGetAttribute",
      [&](core::Context&) { return core::range_attribute(value, value_bytes, attribute, address, bytes); },
      value, value_bytes, attribute, address, bytes);
}

CUresult cuMemRangeGetAttributes(void** values, size_t* value_bytes, CUmem_range_attribute* attributes,
                                 size_t attribute_count, CUdeviceptr address, size_t bytes) {
  return call_in_context(
      "cuMemRangeGetAttributes",
      [&](core::Context&) -> Result<void> {
        if (!values || !value_bytes || !attributes || attribute_count == 0)
          return util::fail(CUDA_ERROR_INVALID_VALUE,
                            "cuMemRangeGetAttributes: {} attributes, or a null pointer", attribute_count);
        for (size_t i = 0; i < attribute_count; ++i)
          if (Result<void> got =
                  core::range_attribute(values[i], value_bytes[i], attributes[i], address, bytes);
              !got)
            return got;
        return {};
      },
      values, value_bytes, attributes, attribute_count, address, bytes);
}
