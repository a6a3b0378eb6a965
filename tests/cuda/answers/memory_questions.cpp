// Memory, copies, fills, pointers.
#include "world.hpp"

namespace answers {

namespace {

// A rectangle from pageable memory to the device, which `change` spoils.
template <class Change>
int rectangle(World& w, Change change) {
  CUDA_MEMCPY2D copy{};
  copy.srcMemoryType = CU_MEMORYTYPE_HOST;
  copy.srcHost = w.pageable;
  copy.srcPitch = 64;
  copy.dstMemoryType = CU_MEMORYTYPE_DEVICE;
  copy.dstDevice = w.memory;
  copy.dstPitch = 128;
  copy.WidthInBytes = 16;
  copy.Height = 4;
  change(copy);
  return cuMemcpy2D(&copy);
}

// A box, likewise.
template <class Change>
int box(World& w, Change change) {
  CUDA_MEMCPY3D copy{};
  copy.srcMemoryType = CU_MEMORYTYPE_HOST;
  copy.srcHost = w.pageable;
  copy.srcPitch = 64;
  copy.srcHeight = 4;
  copy.dstMemoryType = CU_MEMORYTYPE_DEVICE;
  copy.dstDevice = w.memory;
  copy.dstPitch = 128;
  copy.dstHeight = 8;
  copy.WidthInBytes = 16;
  copy.Height = 4;
  copy.Depth = 2;
  change(copy);
  return cuMemcpy3D(&copy);
}

// What 32 bytes of the destination hold after a copy that `copy` makes from pageable memory, where byte i is
// i: how many bytes changed, and the first of them behind the first 16.
template <class Copy>
int effect(World& w, Copy copy) {
  unsigned char after[1024];
  for (int i = 0; i < 4096; ++i)
    w.pageable[i] = static_cast<char>(i % 251);
  cuMemsetD8(w.memory, 0xff, sizeof after);
  if (int failed = copy())
    return failed;
  cuMemcpyDtoH(after, w.memory, sizeof after);
  int changed = 0, first = 0;
  for (int i = 0; i < 1024; ++i)
    if (after[i] != 0xff) {
      ++changed;
      if (i >= 16 && first == 0)
        first = i * 1000 + after[i];
    }
  return changed * 1000000 + first;
}

int memory_type(CUdeviceptr address) {
  unsigned type = 0;
  if (CUresult result = cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address))
    return result;
  return 2000 + static_cast<int>(type);
}

CUdeviceptr as_address(const void* pointer) {
  return reinterpret_cast<CUdeviceptr>(pointer);
}

const Question questions[] = {
    ASK(cuMemGetInfo(nullptr, w.out)),
    ASK(cuMemGetInfo(w.out, nullptr)),
    ASK(cuMemAlloc(nullptr, 16)),
    ASK(cuMemAlloc(w.out, 0)),
    ASK(cuMemAlloc(w.out, ~size_t{0})),
    ASK(cuMemAlloc(w.out, size_t{1} << 44)),
    ASK(cuMemAllocPitch(nullptr, w.out, 16, 16, 4)),
    ASK(cuMemAllocPitch(w.out, nullptr, 16, 16, 4)),
    ASK(cuMemAllocPitch(w.out, w.out, 0, 16, 4)),
    ASK(cuMemAllocPitch(w.out, w.out, 16, 0, 4)),
    ASK(cuMemAllocPitch(w.out, w.out, 16, 16, 0)),
    ASK(cuMemAllocPitch(w.out, w.out, 16, 16, 1)),
    ASK(cuMemAllocPitch(w.out, w.out, 16, 16, 3)),
    ASK(cuMemAllocPitch(w.out, w.out, 16, 16, 32)),
    ASK(cuMemAllocPitch(w.out, w.out, size_t{1} << 40, 16, 4)),
    ASK(cuMemFree(0)),
    ASK(cuMemFree(w.memory + 16)),
    ASK(cuMemFree(w.dead_memory)),
    ASK(cuMemFree(w.nowhere)),
    ASK(cuMemFree(as_address(w.pinned))),
    ASK(cuMemFree(as_address(w.pageable))),
    ASK(cuMemFree(w.variable + 1)),
    ASK_AS("cuMemFree of a module's variable",
           {
             CUmodule module;
             CUdeviceptr address;
             cuModuleLoadData(
                 &module, ".version 6.0\n.target sm_30\n.address_size 64\n.global .align 4 .u32 v = 5;\n");
             cuModuleGetGlobal(&address, nullptr, module, "v");
             return cuMemFree(address);
           }),
    ASK_AS("cuMemFree of a variable without initial value",
           {
             CUdeviceptr address;
             cuModuleGetGlobal(&address, nullptr, w.module, "scratch");
             return cuMemFree(address);
           }),
    ASK_AS("reading a module's variable after its cuMemFree",
           {
             CUmodule module;
             CUdeviceptr address;
             cuModuleLoadData(
                 &module, ".version 6.0\n.target sm_30\n.address_size 64\n.global .align 4 .u32 v = 5;\n");
             cuModuleGetGlobal(&address, nullptr, module, "v");
             cuMemFree(address);
             return cuMemcpyDtoH(w.out, address, 4);
           }),
    ASK_AS("cuMemFree of a module's variable, again",
           {
             CUmodule module;
             CUdeviceptr address;
             cuModuleLoadData(
                 &module, ".version 6.0\n.target sm_30\n.address_size 64\n.global .align 4 .u32 v = 5;\n");
             cuModuleGetGlobal(&address, nullptr, module, "v");
             cuMemFree(address);
             return cuMemFree(address);
           }),
    ASK_AS("cuModuleUnload after cuMemFree of its variable",
           {
             CUmodule module;
             CUdeviceptr address;
             cuModuleLoadData(
                 &module, ".version 6.0\n.target sm_30\n.address_size 64\n.global .align 4 .u32 v = 5;\n");
             cuModuleGetGlobal(&address, nullptr, module, "v");
             cuMemFree(address);
             return cuModuleUnload(module);
           }),
    ASK_AS("cuModuleGetGlobal after cuMemFree of the variable",
           {
             CUmodule module;
             CUdeviceptr address;
             cuModuleLoadData(
                 &module, ".version 6.0\n.target sm_30\n.address_size 64\n.global .align 4 .u32 v = 5;\n");
             cuModuleGetGlobal(&address, nullptr, module, "v");
             cuMemFree(address);
             return cuModuleGetGlobal(&address, nullptr, module, "v");
           }),
    ASK_AS("cuMemFree of a second variable of a module",
           {
             CUmodule module;
             CUdeviceptr address;
             cuModuleLoadData(&module,
                              ".version 6.0\n.target sm_30\n.address_size 64\n.global .align 4 .u32 v = 5;\n"
                              ".global .align 4 .u32 u = 5;\n");
             cuModuleGetGlobal(&address, nullptr, module, "u");
             return cuMemFree(address);
           }),
    ASK_AS("cuMemFree in another context",
           {
             CUdeviceptr address;
             cuMemAlloc(&address, 16);
             cuCtxPushCurrent(w.other);
             int answer = cuMemFree(address);
             cuCtxPopCurrent(nullptr);
             return answer;
           }),
    ASK(cuMemAllocManaged(nullptr, 16, CU_MEM_ATTACH_GLOBAL)),
    ASK(cuMemAllocManaged(w.out, 0, CU_MEM_ATTACH_GLOBAL)),
    ASK(cuMemAllocManaged(w.out, 16, 0)),
    ASK(cuMemAllocManaged(w.out, 16, CU_MEM_ATTACH_SINGLE)),
    ASK(cuMemAllocManaged(w.out, 16, 0x10)),
    ASK(cuMemGetAddressRange(nullptr, nullptr, w.memory)),
    ASK(cuMemGetAddressRange(w.out, nullptr, w.memory + 5)),
    ASK(cuMemGetAddressRange(w.out, nullptr, 0)),
    ASK(cuMemGetAddressRange(w.out, nullptr, w.nowhere)),
    ASK(cuMemGetAddressRange(w.out, nullptr, w.memory + (1 << 16))),
    ASK(cuMemGetAddressRange(w.out, nullptr, as_address(w.pinned))),
    ASK(cuMemGetAddressRange(w.out, nullptr, as_address(w.pageable))),
    ASK(cuMemGetAddressRange(w.out, nullptr, w.dead_memory)),
    ASK(cuMemGetAddressRange(w.out, nullptr, w.variable)),
    ASK_AS("the size of the range of a variable",
           {
             size_t size = 0;
             cuMemGetAddressRange(nullptr, &size, w.variable);
             return static_cast<int>(size);
           }),
    ASK(cuMemAllocHost(nullptr, 16)),
    ASK(cuMemAllocHost(w.out, 0)),
    ASK(cuMemHostAlloc(nullptr, 16, 0)),
    ASK(cuMemHostAlloc(w.out, 0, 0)),
    ASK(cuMemHostAlloc(w.out, 16, 0x80)),
    ASK(cuMemHostAlloc(w.out, 16, 7)),
    ASK(cuMemFreeHost(nullptr)),
    ASK(cuMemFreeHost(static_cast<char*>(w.pinned) + 1)),
    ASK(cuMemFreeHost(w.pageable)),
    ASK(cuMemFreeHost(reinterpret_cast<void*>(w.memory))),
    ASK_AS("cuMemFreeHost, again",
           {
             void* memory;
             cuMemAllocHost(&memory, 16);
             cuMemFreeHost(memory);
             return cuMemFreeHost(memory);
           }),
    ASK(cuMemHostRegister(nullptr, 4096, 0)),
    ASK(cuMemHostRegister(w.pageable, 0, 0)),
    ASK(cuMemHostRegister(w.pageable, 4096, 0x100)),
    ASK(cuMemHostRegister(w.pinned, 4096, 0)),
    ASK(cuMemHostRegister(w.wild, 4096, 0)),
    ASK_AS("cuMemHostRegister of part of a page",
           {
             int answer = cuMemHostRegister(w.pageable + 100, 200, 0);
             cuMemHostUnregister(w.pageable + 100);
             return answer;
           }),
    ASK_AS("cuMemHostRegister, again",
           {
             cuMemHostRegister(w.pageable, 4096, 0);
             int answer = cuMemHostRegister(w.pageable, 4096, 0);
             cuMemHostUnregister(w.pageable);
             return answer;
           }),
    ASK_AS("cuMemHostRegister of an overlapping range",
           {
             cuMemHostRegister(w.pageable, 8192, 0);
             int answer = cuMemHostRegister(w.pageable + 4096, 8192, 0);
             cuMemHostUnregister(w.pageable);
             return answer;
           }),
    ASK_AS("cuMemHostRegister of two parts of one page",
           {
             cuMemHostRegister(w.pageable, 1000, 0);
             int answer = cuMemHostRegister(w.pageable + 2000, 1000, 0);
             cuMemHostUnregister(w.pageable);
             cuMemHostUnregister(w.pageable + 2000);
             return answer;
           }),
    ASK_AS("cuMemHostUnregister inside a registration",
           {
             cuMemHostRegister(w.pageable, 8192, 0);
             int answer = cuMemHostUnregister(w.pageable + 4096);
             cuMemHostUnregister(w.pageable);
             return answer;
           }),
    ASK(cuMemHostUnregister(nullptr)),
    ASK(cuMemHostUnregister(w.pageable)),
    ASK(cuMemHostUnregister(w.pinned)),
    ASK_AS("cuMemFreeHost of registered memory",
           {
             cuMemHostRegister(w.pageable, 4096, 0);
             int answer = cuMemFreeHost(w.pageable);
             cuMemHostUnregister(w.pageable);
             return answer;
           }),
    ASK(cuMemHostGetDevicePointer(nullptr, w.pinned, 0)),
    ASK(cuMemHostGetDevicePointer(w.out, nullptr, 0)),
    ASK(cuMemHostGetDevicePointer(w.out, w.pageable, 0)),
    ASK(cuMemHostGetDevicePointer(w.out, w.pinned, 1)),
    ASK(cuMemHostGetDevicePointer(w.out, static_cast<char*>(w.pinned) + 5, 0)),
    ASK(cuMemHostGetFlags(nullptr, w.pinned)),
    ASK(cuMemHostGetFlags(w.out, nullptr)),
    ASK(cuMemHostGetFlags(w.out, w.pageable)),
    ASK(cuMemHostGetFlags(w.out, static_cast<char*>(w.pinned) + 5)),
    ASK_AS("the flags of cuMemAllocHost",
           {
             unsigned flags = 99;
             cuMemHostGetFlags(&flags, w.pinned);
             return static_cast<int>(flags);
           }),
    ASK_AS("the flags of cuMemHostAlloc with 0",
           {
             unsigned flags = 99;
             void* memory;
             cuMemHostAlloc(&memory, 16, 0);
             cuMemHostGetFlags(&flags, memory);
             return static_cast<int>(flags);
           }),
    ASK_AS("the flags of cuMemHostRegister with 0",
           {
             unsigned flags = 99;
             cuMemHostRegister(w.pageable, 4096, 0);
             int answer = cuMemHostGetFlags(&flags, w.pageable);
             cuMemHostUnregister(w.pageable);
             return answer ? answer : 2000 + static_cast<int>(flags);
           }),

    ASK(cuMemcpyHtoD(0, w.pageable, 16)),
    ASK(cuMemcpyHtoD(w.memory, nullptr, 16)),
    ASK(cuMemcpyHtoD(w.memory, w.pageable, 0)),
    ASK(cuMemcpyHtoD(0, nullptr, 0)),
    ASK(cuMemcpyHtoD(w.nowhere, w.pageable, 16)),
    ASK(cuMemcpyHtoD(w.nowhere, w.pageable, 0)),
    ASK(cuMemcpyHtoD(w.memory, w.pageable, (1 << 16) + 1)),
    ASK(cuMemcpyHtoD(w.dead_memory, w.pageable, 16)),
    ASK(cuMemcpyHtoD(as_address(w.pinned), w.pageable, 16)),
    ASK(cuMemcpyHtoD(as_address(w.pageable), w.pageable, 16)),
    ASK(cuMemcpyHtoD(w.memory, reinterpret_cast<void*>(w.memory + 64), 16)),
    ASK(cuMemcpyDtoH(nullptr, w.memory, 16)),
    ASK(cuMemcpyDtoH(w.pageable, 0, 16)),
    ASK(cuMemcpyDtoH(w.pageable, w.memory, 0)),
    ASK(cuMemcpyDtoH(w.pageable, w.nowhere, 16)),
    ASK(cuMemcpyDtoH(w.pageable, w.memory + (1 << 16), 16)),
    ASK(cuMemcpyDtoH(w.pageable, as_address(w.pinned), 16)),
    ASK(cuMemcpyDtoH(reinterpret_cast<void*>(w.memory + 64), w.memory, 16)),
    ASK(cuMemcpyDtoD(w.memory, 0, 16)),
    ASK(cuMemcpyDtoD(0, w.memory, 16)),
    ASK(cuMemcpyDtoD(w.memory, w.memory, 16)),
    ASK(cuMemcpyDtoD(w.memory + 8, w.memory, 16)),
    ASK(cuMemcpyDtoD(w.memory, w.memory + 64, 0)),
    ASK(cuMemcpyDtoD(w.memory, w.nowhere, 16)),
    ASK(cuMemcpyDtoD(as_address(w.pinned), w.memory, 16)),
    ASK(cuMemcpyDtoD(as_address(w.pageable), w.memory, 16)),
    ASK(cuMemcpy(w.memory, as_address(w.pageable), 16)),
    ASK(cuMemcpy(as_address(w.pageable), w.memory, 16)),
    ASK(cuMemcpy(as_address(w.pageable), as_address(w.pageable + 64), 16)),
    ASK(cuMemcpy(0, 0, 0)),
    ASK(cuMemcpy(0, w.memory, 16)),
    ASK(cuMemcpyAsync(w.memory, as_address(w.pageable), 16, w.dead_stream)),
    ASK(cuMemcpyAsync(w.memory, as_address(w.pageable), 16, w.zeros)),
    ASK(cuMemcpyHtoDAsync(w.memory, nullptr, 16, w.stream)),
    ASK(cuMemcpyHtoDAsync(w.nowhere, w.pageable, 16, w.stream)),
    ASK(cuMemcpyDtoHAsync(nullptr, w.memory, 16, w.stream)),
    ASK(cuMemcpyDtoDAsync(w.memory, w.nowhere, 16, w.stream)),
    ASK(cuMemcpyHtoDAsync(w.memory, w.pageable, 16, w.other_stream)),
    ASK(cuMemcpyPeer(w.memory, w.context, w.memory + 64, w.context, 16)),
    ASK(cuMemcpyPeer(w.memory, nullptr, w.memory + 64, w.context, 16)),
    ASK(cuMemcpyPeer(w.memory, w.context, w.memory + 64, nullptr, 16)),
    ASK(cuMemcpyPeer(w.memory, w.dead_context, w.memory + 64, w.context, 16)),
    ASK(cuMemcpyPeer(0, w.context, w.memory, w.context, 16)),
    ASK(cuMemcpyPeerAsync(w.memory, w.context, w.memory + 64, w.context, 16, w.dead_stream)),

    ASK(cuMemcpy2D(nullptr)),
    ASK_AS("a good rectangle", { return rectangle(w, [](CUDA_MEMCPY2D&) {}); }),
    ASK_AS("a rectangle with a source pitch below its width",
           { return rectangle(w, [](CUDA_MEMCPY2D& c) { c.srcPitch = 8; }); }),
    ASK_AS("a rectangle with a destination pitch below its width",
           { return rectangle(w, [](CUDA_MEMCPY2D& c) { c.dstPitch = 8; }); }),
    ASK_AS("a rectangle with pitches of 0",
           { return rectangle(w, [](CUDA_MEMCPY2D& c) { c.srcPitch = c.dstPitch = 0; }); }),
    ASK_AS("one row with pitches of 0",
           {
             return rectangle(w, [](CUDA_MEMCPY2D& c) {
               c.srcPitch = c.dstPitch = 0;
               c.Height = 1;
             });
           }),
    ASK_AS("a rectangle of width 0", { return rectangle(w, [](CUDA_MEMCPY2D& c) { c.WidthInBytes = 0; }); }),
    ASK_AS("a rectangle of height 0", { return rectangle(w, [](CUDA_MEMCPY2D& c) { c.Height = 0; }); }),
    ASK_AS("a rectangle from a null host pointer",
           { return rectangle(w, [](CUDA_MEMCPY2D& c) { c.srcHost = nullptr; }); }),
    ASK_AS("a rectangle to a null device pointer",
           { return rectangle(w, [](CUDA_MEMCPY2D& c) { c.dstDevice = 0; }); }),
    ASK_AS("a rectangle to nowhere",
           { return rectangle(w, [&w](CUDA_MEMCPY2D& c) { c.dstDevice = w.nowhere; }); }),
    ASK_AS(
        "a rectangle with an unknown source type",
        { return rectangle(w, [](CUDA_MEMCPY2D& c) { c.srcMemoryType = static_cast<CUmemorytype>(0); }); }),
    ASK_AS(
        "a rectangle with an unknown destination type",
        { return rectangle(w, [](CUDA_MEMCPY2D& c) { c.dstMemoryType = static_cast<CUmemorytype>(9); }); }),
    ASK_AS("a rectangle from a null array",
           { return rectangle(w, [](CUDA_MEMCPY2D& c) { c.srcMemoryType = CU_MEMORYTYPE_ARRAY; }); }),
    ASK_AS("a rectangle to unified memory",
           { return rectangle(w, [](CUDA_MEMCPY2D& c) { c.dstMemoryType = CU_MEMORYTYPE_UNIFIED; }); }),
    ASK_AS("a rectangle beyond the end of its destination",
           { return rectangle(w, [](CUDA_MEMCPY2D& c) { c.dstY = 1 << 16; }); }),
    ASK_AS("a rectangle with a pitch above the greatest",
           {
             return rectangle(w, [](CUDA_MEMCPY2D& c) {
               c.dstPitch = size_t{1} << 40;
               c.Height = 1;
             });
           }),
    ASK_AS("a rectangle beside its row",
           { return rectangle(w, [](CUDA_MEMCPY2D& c) { c.dstXInBytes = 120; }); }),
    ASK(cuMemcpy3D(nullptr)),
    ASK_AS("a good box", { return box(w, [](CUDA_MEMCPY3D&) {}); }),
    ASK_AS("a box of depth 0", { return box(w, [](CUDA_MEMCPY3D& c) { c.Depth = 0; }); }),
    ASK_AS("a box of width 0", { return box(w, [](CUDA_MEMCPY3D& c) { c.WidthInBytes = 0; }); }),
    ASK_AS("a box of height 0", { return box(w, [](CUDA_MEMCPY3D& c) { c.Height = 0; }); }),
    ASK_AS("a box with a source height below its own",
           { return box(w, [](CUDA_MEMCPY3D& c) { c.srcHeight = 2; }); }),
    ASK_AS("a box with a destination height below its own",
           { return box(w, [](CUDA_MEMCPY3D& c) { c.dstHeight = 2; }); }),
    ASK_AS("a box with heights of 0",
           { return box(w, [](CUDA_MEMCPY3D& c) { c.srcHeight = c.dstHeight = 0; }); }),
    ASK_AS("a box with a source pitch below its width",
           { return box(w, [](CUDA_MEMCPY3D& c) { c.srcPitch = 8; }); }),
    ASK_AS("a box with a level of detail", { return box(w, [](CUDA_MEMCPY3D& c) { c.srcLOD = 1; }); }),
    ASK_AS("a box with reserved words set",
           { return box(w, [](CUDA_MEMCPY3D& c) { c.reserved0 = reinterpret_cast<void*>(8); }); }),
    ASK_AS("a box with an unknown source type",
           { return box(w, [](CUDA_MEMCPY3D& c) { c.srcMemoryType = static_cast<CUmemorytype>(0); }); }),

    ASK(cuMemsetD8(w.memory, 1, 0)),
    ASK(cuMemsetD8(0, 1, 16)),
    ASK(cuMemsetD8(0, 1, 0)),
    ASK(cuMemsetD8(w.nowhere, 1, 16)),
    ASK(cuMemsetD8(as_address(w.pageable), 1, 16)),
    ASK(cuMemsetD8(as_address(w.pinned), 1, 16)),
    ASK(cuMemsetD8(w.managed, 1, 16)),
    ASK(cuMemsetD16(w.memory + 1, 1, 16)),
    ASK(cuMemsetD32(w.memory + 2, 1, 16)),
    ASK(cuMemsetD32(w.memory + 2, 1, 0)),
    ASK(cuMemsetD2D8(w.memory, 8, 1, 16, 4)),
    ASK(cuMemsetD2D8(w.memory, 0, 1, 16, 4)),
    ASK(cuMemsetD2D8(w.memory, 0, 1, 16, 1)),
    ASK(cuMemsetD2D8(w.memory, 64, 1, 0, 4)),
    ASK(cuMemsetD2D8(w.memory, 64, 1, 16, 0)),
    ASK(cuMemsetD2D16(w.memory, 33, 1, 16, 4)),
    ASK(cuMemsetD2D32(w.memory, 66, 1, 16, 4)),
    ASK(cuMemsetD2D32(w.memory, 65, 1, 16, 1)),
    ASK(cuMemsetD8Async(w.memory, 1, 16, w.dead_stream)),
    ASK(cuMemsetD8Async(w.memory, 1, 16, w.zeros)),
    ASK(cuMemsetD8Async(w.memory, 1, 16, w.other_stream)),

    ASK(cuPointerGetAttribute(nullptr, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, w.memory)),
    ASK(cuPointerGetAttribute(w.out, static_cast<CUpointer_attribute>(0), w.memory)),
    ASK(cuPointerGetAttribute(w.out, static_cast<CUpointer_attribute>(1000), w.memory)),
    ASK(cuPointerGetAttribute(w.out, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, 0)),
    ASK(cuPointerGetAttribute(w.out, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, w.nowhere)),
    ASK(cuPointerGetAttribute(w.out, CU_POINTER_ATTRIBUTE_P2P_TOKENS, w.memory)),
    ASK(cuPointerGetAttribute(w.out, CU_POINTER_ATTRIBUTE_HOST_POINTER, w.memory)),
    ASK(cuPointerGetAttribute(w.out, CU_POINTER_ATTRIBUTE_HOST_POINTER, w.managed)),
    ASK(cuPointerGetAttribute(w.out, CU_POINTER_ATTRIBUTE_DEVICE_POINTER, as_address(w.pinned))),
    ASK(cuPointerGetAttribute(w.out, CU_POINTER_ATTRIBUTE_CONTEXT, as_address(w.pinned))),
    ASK(cuPointerGetAttribute(w.out, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, w.memory)),
    ASK(cuPointerGetAttribute(w.out, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, as_address(w.pinned))),
    ASK(cuPointerGetAttribute(w.out, CU_POINTER_ATTRIBUTE_BUFFER_ID, as_address(w.pageable))),
    ASK(cuPointerGetAttribute(w.out, CU_POINTER_ATTRIBUTE_IS_MANAGED, w.memory)),
    ASK(cuPointerGetAttribute(w.out, CU_POINTER_ATTRIBUTE_IS_MANAGED, as_address(w.pageable))),
    ASK(cuPointerGetAttribute(w.out, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, w.managed)),
    ASK(memory_type(w.memory)),
    ASK(memory_type(w.memory + 100)),
    ASK(memory_type(w.managed)),
    ASK(memory_type(w.variable)),
    ASK(memory_type(as_address(w.pinned))),
    ASK(memory_type(as_address(w.pageable))),
    ASK(memory_type(w.dead_memory)),
    ASK(cuPointerGetAttributes(0, w.zeros, w.zeros, w.memory)),
    ASK(cuPointerGetAttributes(1, nullptr, w.zeros, w.memory)),
    ASK(cuPointerGetAttributes(1, w.zeros, nullptr, w.memory)),
    ASK(cuPointerGetAttributes(1, w.zeros, w.zeros, w.memory)),
    ASK_AS("several attributes of pageable memory",
           {
             CUpointer_attribute attribute = CU_POINTER_ATTRIBUTE_MEMORY_TYPE;
             unsigned type = 77;
             void* value = &type;
             CUresult result = cuPointerGetAttributes(1, &attribute, &value, as_address(w.pageable));
             return result ? result : 2000 + static_cast<int>(type);
           }),
    ASK_AS("several attributes, one of them unknown",
           {
             auto attribute = static_cast<CUpointer_attribute>(1000);
             unsigned type = 77;
             void* value = &type;
             return cuPointerGetAttributes(1, &attribute, &value, w.memory);
           }),
    ASK(cuPointerSetAttribute(nullptr, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, w.memory)),
    ASK(cuPointerSetAttribute(w.zeros, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, w.memory)),
    ASK(cuPointerSetAttribute(w.zeros, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, w.nowhere)),
    ASK(cuPointerSetAttribute(w.zeros, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, as_address(w.pinned))),
    ASK(cuPointerSetAttribute(w.zeros, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, w.memory)),
    ASK(cuMemPrefetchAsync(w.managed, 4096, 0, w.stream)),
    ASK(cuMemPrefetchAsync(w.managed, 0, 0, w.stream)),
    ASK(cuMemPrefetchAsync(w.managed, 8192, 0, w.stream)),
    ASK(cuMemPrefetchAsync(w.memory, 4096, 0, w.stream)),
    ASK(cuMemPrefetchAsync(w.managed, 4096, 1000, w.stream)),
    ASK(cuMemPrefetchAsync(w.managed, 4096, -2, w.stream)),
    ASK(cuMemPrefetchAsync(w.managed, 4096, CU_DEVICE_CPU, w.stream)),
    ASK(cuMemAdvise(w.managed, 4096, CU_MEM_ADVISE_SET_READ_MOSTLY, 0)),
    ASK(cuMemAdvise(w.managed, 4096, static_cast<CUmem_advise>(0), 0)),
    ASK(cuMemAdvise(w.managed, 4096, static_cast<CUmem_advise>(99), 0)),
    ASK(cuMemAdvise(w.managed, 0, CU_MEM_ADVISE_SET_READ_MOSTLY, 0)),
    ASK(cuMemAdvise(w.managed, 8192, CU_MEM_ADVISE_SET_READ_MOSTLY, 0)),
    ASK(cuMemAdvise(w.memory, 4096, CU_MEM_ADVISE_SET_READ_MOSTLY, 0)),
    ASK(cuMemAdvise(w.managed, 4096, CU_MEM_ADVISE_SET_PREFERRED_LOCATION, 1000)),
    ASK(cuMemAdvise(w.managed, 4096, CU_MEM_ADVISE_SET_PREFERRED_LOCATION, CU_DEVICE_CPU)),
    ASK(cuMemAdvise(w.managed, 4096, CU_MEM_ADVISE_UNSET_PREFERRED_LOCATION, 1000)),
    ASK(cuMemAdvise(w.managed, 4096, CU_MEM_ADVISE_SET_READ_MOSTLY, 1000)),
    ASK(cuMemRangeGetAttribute(w.out, 4, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, w.managed, 4096)),
    ASK(cuMemRangeGetAttribute(nullptr, 4, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, w.managed, 4096)),
    ASK(cuMemRangeGetAttribute(w.out, 0, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, w.managed, 4096)),
    ASK(cuMemRangeGetAttribute(w.out, 8, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, w.managed, 4096)),
    ASK(cuMemRangeGetAttribute(w.out, 4, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, w.managed, 0)),
    ASK(cuMemRangeGetAttribute(w.out, 4, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, w.memory, 4096)),
    ASK(cuMemRangeGetAttribute(w.out, 4, static_cast<CUmem_range_attribute>(99), w.managed, 4096)),
    ASK(cuMemRangeGetAttribute(w.out, 8, CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY, w.managed, 4096)),
    ASK(cuMemRangeGetAttribute(w.out, 6, CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY, w.managed, 4096)),
    ASK_AS("read-mostly after it was advised",
           {
             int value = 77;
             cuMemAdvise(w.managed, 4096, CU_MEM_ADVISE_SET_READ_MOSTLY, 0);
             cuMemRangeGetAttribute(&value, 4, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, w.managed, 4096);
             cuMemAdvise(w.managed, 4096, CU_MEM_ADVISE_UNSET_READ_MOSTLY, 0);
             return value;
           }),
    ASK_AS("the preferred location before one was advised",
           {
             int value = 77;
             CUdeviceptr fresh;
             cuMemAllocManaged(&fresh, 4096, CU_MEM_ATTACH_GLOBAL);
             cuMemRangeGetAttribute(&value, 4, CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION, fresh, 4096);
             return value;
           }),
    ASK_AS("the last prefetch before there was one",
           {
             int value = 77;
             CUdeviceptr fresh;
             cuMemAllocManaged(&fresh, 4096, CU_MEM_ATTACH_GLOBAL);
             cuMemRangeGetAttribute(&value, 4, CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION, fresh, 4096);
             return value;
           }),
    ASK_AS("the last prefetch after one",
           {
             int value = 77;
             cuMemPrefetchAsync(w.managed, 4096, 0, w.stream);
             cuMemRangeGetAttribute(&value, 4, CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION, w.managed,
                                    4096);
             return value;
           }),
    ASK_AS("accessed-by after it was advised",
           {
             int value[2] = {77, 77};
             cuMemAdvise(w.managed, 4096, CU_MEM_ADVISE_SET_ACCESSED_BY, 0);
             cuMemRangeGetAttribute(value, 8, CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY, w.managed, 4096);
             cuMemAdvise(w.managed, 4096, CU_MEM_ADVISE_UNSET_ACCESSED_BY, 0);
             return value[0] * 100 + value[1];
           }),
    ASK_AS("what a rectangle with pitches of 0 copies",
           {
             return effect(
                 w, [&] { return rectangle(w, [](CUDA_MEMCPY2D& c) { c.srcPitch = c.dstPitch = 0; }); });
           }),
    ASK_AS("what a rectangle with a source pitch of 0 copies",
           { return effect(w, [&] { return rectangle(w, [](CUDA_MEMCPY2D& c) { c.srcPitch = 0; }); }); }),
    ASK_AS("what a rectangle with a destination pitch of 0 copies",
           { return effect(w, [&] { return rectangle(w, [](CUDA_MEMCPY2D& c) { c.dstPitch = 0; }); }); }),
    ASK_AS("what a box with heights of 0 copies",
           {
             return effect(w,
                           [&] { return box(w, [](CUDA_MEMCPY3D& c) { c.srcHeight = c.dstHeight = 0; }); });
           }),
    ASK_AS("what a box with pitches and heights of 0 copies",
           {
             return effect(w, [&] {
               return box(w,
                          [](CUDA_MEMCPY3D& c) { c.srcHeight = c.dstHeight = c.srcPitch = c.dstPitch = 0; });
             });
           }),
    ASK_AS("what a good rectangle copies",
           { return effect(w, [&] { return rectangle(w, [](CUDA_MEMCPY2D&) {}); }); }),
    ASK_AS("what a good box copies", { return effect(w, [&] { return box(w, [](CUDA_MEMCPY3D&) {}); }); }),
    ASK_AS("the pointer that cuMemAllocHost of 0 bytes gives",
           {
             void* pointer = &w;
             cuMemAllocHost(&pointer, 0);
             return pointer == nullptr ? 2000 : pointer == &w ? 2001 : 2002;
           }),
    ASK_AS("the pointer that cuMemHostAlloc of 0 bytes gives",
           {
             void* pointer = &w;
             cuMemHostAlloc(&pointer, 0, 0);
             return pointer == nullptr ? 2000 : pointer == &w ? 2001 : 2002;
           }),
    ASK_AS("the address that cuMemAlloc of 0 bytes leaves",
           {
             CUdeviceptr address = 77;
             cuMemAlloc(&address, 0);
             return static_cast<int>(address);
           }),
    ASK_AS("the flags of cuMemHostAlloc with PORTABLE",
           {
             unsigned flags = 99;
             void* memory;
             cuMemHostAlloc(&memory, 16, CU_MEMHOSTALLOC_PORTABLE);
             cuMemHostGetFlags(&flags, memory);
             return static_cast<int>(flags);
           }),
    ASK(cuMemcpyHtoD(w.memory, w.pageable, 16)),
    ASK(cuMemcpyHtoD(w.memory, w.pinned, 16)),
    ASK(cuMemcpyHtoD(w.memory, reinterpret_cast<void*>(w.managed), 16)),
    ASK(cuMemcpyDtoH(w.pageable, w.memory, 16)),
    ASK(cuMemcpyDtoD(w.memory + 64, w.memory, 16)),
    ASK(cuMemcpyHtoDAsync(w.memory, reinterpret_cast<void*>(w.memory + 64), 16, w.stream)),
    ASK(cuMemcpyDtoHAsync(reinterpret_cast<void*>(w.memory + 64), w.memory, 16, w.stream)),
    ASK(cuMemcpyHtoD(w.managed, w.pageable, 16)),
    ASK(cuMemcpyPeer(w.memory, w.zeros, w.memory + 64, w.context, 16)),
    ASK(cuMemHostUnregister(reinterpret_cast<void*>(w.memory))),
    ASK(cuMemHostRegister(reinterpret_cast<void*>(w.memory), 4096, 0)),
    ASK_AS("cuMemHostRegister of memory that is read-only",
           {
             int answer = cuMemHostRegister(w.zeros, 4096, 0);
             cuMemHostUnregister(w.zeros);
             return answer;
           }),
    ASK_AS("cuMemFree of registered memory",
           {
             cuMemHostRegister(w.pageable, 4096, 0);
             int answer = cuMemFree(as_address(w.pageable));
             cuMemHostUnregister(w.pageable);
             return answer;
           }),
    ASK_AS("cuMemFree of managed memory, again",
           {
             CUdeviceptr address;
             cuMemAllocManaged(&address, 4096, CU_MEM_ATTACH_GLOBAL);
             cuMemFree(address);
             return cuMemFree(address);
           }),
    ASK_AS("preferred location after it was advised",
           {
             int value = 77;
             CUdeviceptr fresh;
             cuMemAllocManaged(&fresh, 4096, CU_MEM_ATTACH_GLOBAL);
             cuMemAdvise(fresh, 4096, CU_MEM_ADVISE_SET_PREFERRED_LOCATION, CU_DEVICE_CPU);
             cuMemRangeGetAttribute(&value, 4, CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION, fresh, 4096);
             return value;
           }),
    ASK_AS("preferred location of a range that was advised in part",
           {
             int value = 77;
             CUdeviceptr fresh;
             cuMemAllocManaged(&fresh, 1 << 22, CU_MEM_ATTACH_GLOBAL);
             cuMemAdvise(fresh, 1 << 21, CU_MEM_ADVISE_SET_PREFERRED_LOCATION, CU_DEVICE_CPU);
             cuMemRangeGetAttribute(&value, 4, CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION, fresh, 1 << 22);
             return value;
           }),
    ASK_AS("read-mostly of a range that was advised in part",
           {
             int value = 77;
             CUdeviceptr fresh;
             cuMemAllocManaged(&fresh, 1 << 22, CU_MEM_ATTACH_GLOBAL);
             cuMemAdvise(fresh, 1 << 21, CU_MEM_ADVISE_SET_READ_MOSTLY, 0);
             cuMemRangeGetAttribute(&value, 4, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, fresh, 1 << 22);
             return value;
           }),
    ASK_AS("read-mostly of half a page that was advised",
           {
             int value = 77;
             CUdeviceptr fresh;
             cuMemAllocManaged(&fresh, 1 << 22, CU_MEM_ATTACH_GLOBAL);
             cuMemAdvise(fresh, 100, CU_MEM_ADVISE_SET_READ_MOSTLY, 0);
             cuMemRangeGetAttribute(&value, 4, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, fresh, 4096);
             return value;
           }),
    ASK(cuMemRangeGetAttribute(w.out, 0, CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY, w.managed, 4096)),
    ASK(cuMemRangeGetAttributes(nullptr, nullptr, nullptr, 0, w.managed, 4096)),
    ASK_AS("two attributes of a range",
           {
             int first = 77, second = 77;
             void* values[] = {&first, &second};
             size_t sizes[] = {4, 4};
             CUmem_range_attribute which[] = {CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY,
                                              CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION};
             CUdeviceptr fresh;
             cuMemAllocManaged(&fresh, 4096, CU_MEM_ATTACH_GLOBAL);
             CUresult result = cuMemRangeGetAttributes(values, sizes, which, 2, fresh, 4096);
             return result ? result : 1000 + first * 10 + second;
           }),
    ASK_AS("zero attributes of a range",
           {
             void* values[1];
             size_t sizes[1];
             CUmem_range_attribute which[1];
             return cuMemRangeGetAttributes(values, sizes, which, 0, w.managed, 4096);
           }),
    ASK(cuMemAdvise(w.managed, 4096, CU_MEM_ADVISE_SET_ACCESSED_BY, 1000)),
    ASK(cuMemAdvise(w.managed, 4096, CU_MEM_ADVISE_SET_ACCESSED_BY, CU_DEVICE_CPU)),
    ASK(cuMemAdvise(w.managed, 4096, CU_MEM_ADVISE_UNSET_ACCESSED_BY, 1000)),
    ASK(cuMemAdvise(as_address(w.pageable), 4096, CU_MEM_ADVISE_SET_READ_MOSTLY, 0)),
    ASK(cuStreamAttachMemAsync(w.stream, w.managed, 0, CU_MEM_ATTACH_GLOBAL)),
    ASK(cuStreamAttachMemAsync(w.stream, w.managed, 0, 0)),
    ASK(cuStreamAttachMemAsync(w.stream, w.managed, 0, 9)),
    ASK(cuStreamAttachMemAsync(w.stream, w.managed, 16, CU_MEM_ATTACH_GLOBAL)),
    ASK(cuStreamAttachMemAsync(w.stream, w.managed + 16, 0, CU_MEM_ATTACH_GLOBAL)),
    ASK(cuStreamAttachMemAsync(w.stream, w.memory, 0, CU_MEM_ATTACH_GLOBAL)),
    ASK(cuStreamAttachMemAsync(nullptr, w.managed, 0, CU_MEM_ATTACH_SINGLE)),
    ASK(cuStreamAttachMemAsync(w.stream, w.managed, 0, CU_MEM_ATTACH_SINGLE)),
};

} // namespace

std::span<const Question> memory_questions() {
  return questions;
}

} // namespace answers
