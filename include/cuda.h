/*
 * The CUDA 10.1 driver API, in our own words. Binary compatible with NVIDIA's: a program compiled against
 * either header runs on either driver.
 *
 * Unless said otherwise a function may be called from any thread, at the same time as any other; every
 * function may return CUDA_ERROR_NOT_INITIALIZED before cuInit, CUDA_ERROR_INVALID_CONTEXT where it needs a
 * current context and there is none (a call about a stream, an event, a module or a function needs none),
 * CUDA_ERROR_INVALID_VALUE for a null or senseless argument, CUDA_ERROR_INVALID_HANDLE for a handle that is
 * stale or of another kind, and the error of asynchronous work that failed earlier. Functions that this
 * driver does not have return CUDA_ERROR_NOT_SUPPORTED; docs/api-status.md lists them.
 *
 * Programs see the names without suffix and get the newest version of 10.1 (cuMemAlloc is cuMemAlloc_v2).
 * With CUDA_API_PER_THREAD_DEFAULT_STREAM defined, stream 0 is the calling thread's own and the names with
 * _ptds or _ptsz are linked. CUDA_SHIM_IMPLEMENTATION, for those who build the driver itself, turns that
 * mapping off and declares every exported name.
 */
#ifndef CUDA_SHIM_CUDA_H
#define CUDA_SHIM_CUDA_H
#define __cuda_cuda_h__

#include <cuda_shim_types.h>

#if defined(CUDA_SHIM_IMPLEMENTATION)
#define CUDA_SHIM_EXPORT __attribute__((visibility("default")))
#else
#define CUDA_SHIM_EXPORT
#endif

#if defined(CUDA_API_PER_THREAD_DEFAULT_STREAM) && !defined(CUDA_SHIM_IMPLEMENTATION)
#define __CUDA_API_PER_THREAD_DEFAULT_STREAM
#define __CUDA_API_PTDS(name) name##_ptds
#define __CUDA_API_PTSZ(name) name##_ptsz
#else
#define __CUDA_API_PTDS(name) name
#define __CUDA_API_PTSZ(name) name
#endif

#ifdef __cplusplus
extern "C" {
#endif

#if defined(CUDA_SHIM_IMPLEMENTATION)
#pragma GCC visibility push(default)
#endif

/* == Error handling == */

/* The error's name ("CUDA_ERROR_INVALID_VALUE"), static; null and CUDA_ERROR_INVALID_VALUE for an unknown
 * code. */
CUresult CUDAAPI cuGetErrorName(CUresult error, const char** name);
/* A sentence about the error, static; null and CUDA_ERROR_INVALID_VALUE for an unknown code. */
CUresult CUDAAPI cuGetErrorString(CUresult error, const char** text);

/* == Initialization and version == */

/* Starts the driver; flags must be 0. Must succeed before anything else; calling it again does nothing. */
CUresult CUDAAPI cuInit(unsigned int flags);
/* The version of the API, 10010. Works before cuInit. */
CUresult CUDAAPI cuDriverGetVersion(int* version);

/* == Device management == */

/* The device with that number, 0 to count - 1. */
CUresult CUDAAPI cuDeviceGet(CUdevice* device, int ordinal);
/* How many devices there are. */
CUresult CUDAAPI cuDeviceGetCount(int* count);
/* The device's name, cut to `size` bytes with the terminating zero. */
CUresult CUDAAPI cuDeviceGetName(char* name, int size, CUdevice device);
/* The device's UUID, the same as the Vulkan driver's. */
CUresult CUDAAPI cuDeviceGetUuid(CUuuid* uuid, CUdevice device);
/* The size of the device's memory in bytes. */
CUresult CUDAAPI cuDeviceTotalMem_v2(size_t* bytes, CUdevice device);
/* One number about the device. */
CUresult CUDAAPI cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice device);
/* A few numbers about the device; superseded by cuDeviceGetAttribute. */
CUresult CUDAAPI cuDeviceGetProperties(CUdevprop* properties, CUdevice device);
/* The compute capability; superseded by cuDeviceGetAttribute. */
CUresult CUDAAPI cuDeviceComputeCapability(int* major, int* minor, CUdevice device);

/* == Primary contexts == */

/* The device's primary context, created on first use; each call is undone by one cuDevicePrimaryCtxRelease.
 */
CUresult CUDAAPI cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device);
/* Gives one reference back; the last one destroys what the context holds. */
CUresult CUDAAPI cuDevicePrimaryCtxRelease(CUdevice device);
/* The CUctx_flags to create the primary context with; refused while it is active. */
CUresult CUDAAPI cuDevicePrimaryCtxSetFlags(CUdevice device, unsigned int flags);
/* The primary context's flags and whether it is active. */
CUresult CUDAAPI cuDevicePrimaryCtxGetState(CUdevice device, unsigned int* flags, int* active);
/* Destroys everything in the primary context, whoever retains it. */
CUresult CUDAAPI cuDevicePrimaryCtxReset(CUdevice device);

/* == Context management == */

/* Creates a context and makes it the thread's current one. */
CUresult CUDAAPI cuCtxCreate_v2(CUcontext* context, unsigned int flags, CUdevice device);
/* Finishes or releases the context's work and destroys everything in it. */
CUresult CUDAAPI cuCtxDestroy_v2(CUcontext context);
/* Puts a context on top of the thread's stack, which makes it current. */
CUresult CUDAAPI cuCtxPushCurrent_v2(CUcontext context);
/* Takes the current context off the thread's stack. `context` may be null. */
CUresult CUDAAPI cuCtxPopCurrent_v2(CUcontext* context);
/* Replaces the top of the thread's stack; null removes it. */
CUresult CUDAAPI cuCtxSetCurrent(CUcontext context);
/* The current context, null where there is none. */
CUresult CUDAAPI cuCtxGetCurrent(CUcontext* context);
/* The current context's device. */
CUresult CUDAAPI cuCtxGetDevice(CUdevice* device);
/* The current context's CUctx_flags. */
CUresult CUDAAPI cuCtxGetFlags(unsigned int* flags);
/* Waits until all work of the current context is done. */
CUresult CUDAAPI cuCtxSynchronize(void);
/* Asks for a limit; the driver may round. */
CUresult CUDAAPI cuCtxSetLimit(CUlimit limit, size_t value);
/* The value of a limit. */
CUresult CUDAAPI cuCtxGetLimit(size_t* value, CUlimit limit);
/* The preferred split of cache and shared memory, a hint. */
CUresult CUDAAPI cuCtxGetCacheConfig(CUfunc_cache* config);
/* Sets that hint. */
CUresult CUDAAPI cuCtxSetCacheConfig(CUfunc_cache config);
/* The width of a shared memory bank, a hint. */
CUresult CUDAAPI cuCtxGetSharedMemConfig(CUsharedconfig* config);
/* Sets that hint. */
CUresult CUDAAPI cuCtxSetSharedMemConfig(CUsharedconfig config);
/* The version of the API that the context was created with; null means the current one. */
CUresult CUDAAPI cuCtxGetApiVersion(CUcontext context, unsigned int* version);
/* The range of stream priorities: lower numbers are more urgent. Either pointer may be null. */
CUresult CUDAAPI cuCtxGetStreamPriorityRange(int* least, int* greatest);
/* Adds a reference to the current context; superseded. */
CUresult CUDAAPI cuCtxAttach(CUcontext* context, unsigned int flags);
/* Gives such a reference back; superseded. */
CUresult CUDAAPI cuCtxDetach(CUcontext context);

/* == Module management == */

/* Loads a PTX or fatbin file. */
CUresult CUDAAPI cuModuleLoad(CUmodule* module, const char* path);
/* Loads an image from memory: PTX text with its terminating zero, a fatbin or a fatbin wrapper. */
CUresult CUDAAPI cuModuleLoadData(CUmodule* module, const void* image);
/* The same with options; logs come back through them. */
CUresult CUDAAPI cuModuleLoadDataEx(CUmodule* module, const void* image, unsigned int option_count,
                                    CUjit_option* options, void** values);
/* Loads a fatbin from memory. */
CUresult CUDAAPI cuModuleLoadFatBinary(CUmodule* module, const void* fatbin);
/* Unloads a module; its functions and variables are gone. */
CUresult CUDAAPI cuModuleUnload(CUmodule module);
/* A kernel of the module, by name; CUDA_ERROR_NOT_FOUND where there is none. */
CUresult CUDAAPI cuModuleGetFunction(CUfunction* function, CUmodule module, const char* name);
/* Address and size of a module-scope variable. One of the two pointers may be null. */
CUresult CUDAAPI cuModuleGetGlobal_v2(CUdeviceptr* address, size_t* bytes, CUmodule module, const char* name);
/* A texture reference of the module, by name. */
CUresult CUDAAPI cuModuleGetTexRef(CUtexref* reference, CUmodule module, const char* name);
/* A surface reference of the module, by name. */
CUresult CUDAAPI cuModuleGetSurfRef(CUsurfref* reference, CUmodule module, const char* name);
/* Begins linking images into one module. */
CUresult CUDAAPI cuLinkCreate_v2(unsigned int option_count, CUjit_option* options, void** values,
                                 CUlinkState* state);
/* Adds an image from memory. */
CUresult CUDAAPI cuLinkAddData_v2(CUlinkState state, CUjitInputType type, void* data, size_t size,
                                  const char* name, unsigned int option_count, CUjit_option* options,
                                  void** values);
/* Adds an image from a file. */
CUresult CUDAAPI cuLinkAddFile_v2(CUlinkState state, CUjitInputType type, const char* path,
                                  unsigned int option_count, CUjit_option* options, void** values);
/* Links; the image belongs to `state`. */
CUresult CUDAAPI cuLinkComplete(CUlinkState state, void** image, size_t* size);
/* Ends it. */
CUresult CUDAAPI cuLinkDestroy(CUlinkState state);

/* == Memory management == */

/* Free and total device memory in bytes. Either pointer may be null. */
CUresult CUDAAPI cuMemGetInfo_v2(size_t* free_bytes, size_t* total_bytes);
/* Allocates device memory, aligned for every use. */
CUresult CUDAAPI cuMemAlloc_v2(CUdeviceptr* address, size_t bytes);
/* Allocates rows of device memory and tells their distance in bytes; element_bytes is 4, 8 or 16. */
CUresult CUDAAPI cuMemAllocPitch_v2(CUdeviceptr* address, size_t* pitch, size_t width_bytes, size_t height,
                                    unsigned int element_bytes);
/* Frees device memory, or an external buffer's mapping, by its first address. Null does nothing. */
CUresult CUDAAPI cuMemFree_v2(CUdeviceptr address);
/* The allocation that holds an address. Either result pointer may be null. */
CUresult CUDAAPI cuMemGetAddressRange_v2(CUdeviceptr* base, size_t* bytes, CUdeviceptr address);
/* Allocates host memory that the device reaches at the same address. */
CUresult CUDAAPI cuMemAllocHost_v2(void** pointer, size_t bytes);
/* Frees host memory of cuMemAllocHost and cuMemHostAlloc. */
CUresult CUDAAPI cuMemFreeHost(void* pointer);
/* The same as cuMemAllocHost with CU_MEMHOSTALLOC_* flags. */
CUresult CUDAAPI cuMemHostAlloc(void** pointer, size_t bytes, unsigned int flags);
/* Where the device sees pinned host memory; flags must be 0. */
CUresult CUDAAPI cuMemHostGetDevicePointer_v2(CUdeviceptr* address, void* pointer, unsigned int flags);
/* The flags that pinned host memory was made with. */
CUresult CUDAAPI cuMemHostGetFlags(unsigned int* flags, void* pointer);
/* Pins memory of the program for the device; CU_MEMHOSTREGISTER_* flags. */
CUresult CUDAAPI cuMemHostRegister_v2(void* pointer, size_t bytes, unsigned int flags);
/* Undoes that. */
CUresult CUDAAPI cuMemHostUnregister(void* pointer);
/* Allocates memory that host and device share; CU_MEM_ATTACH_* flags. */
CUresult CUDAAPI cuMemAllocManaged(CUdeviceptr* address, size_t bytes, unsigned int flags);
/* The device at a PCI address ("0000:03:00.0"). */
CUresult CUDAAPI cuDeviceGetByPCIBusId(CUdevice* device, const char* pci_bus_id);
/* The device's PCI address, cut to `size` bytes with the terminating zero. */
CUresult CUDAAPI cuDeviceGetPCIBusId(char* pci_bus_id, int size, CUdevice device);
/* A handle by which another process can open an event. */
CUresult CUDAAPI cuIpcGetEventHandle(CUipcEventHandle* handle, CUevent event);
/* Opens it there. */
CUresult CUDAAPI cuIpcOpenEventHandle(CUevent* event, CUipcEventHandle handle);
/* A handle by which another process can open device memory. */
CUresult CUDAAPI cuIpcGetMemHandle(CUipcMemHandle* handle, CUdeviceptr address);
/* Opens it there. */
CUresult CUDAAPI cuIpcOpenMemHandle(CUdeviceptr* address, CUipcMemHandle handle, unsigned int flags);
/* Closes it there. */
CUresult CUDAAPI cuIpcCloseMemHandle(CUdeviceptr address);

/* == Copies == */

/* Copies between two addresses, whatever memory they are in. */
CUresult CUDAAPI __CUDA_API_PTDS(cuMemcpy)(CUdeviceptr dst, CUdeviceptr src, size_t bytes);
/* The same between the memories of two contexts. */
CUresult CUDAAPI __CUDA_API_PTDS(cuMemcpyPeer)(CUdeviceptr dst, CUcontext dst_context, CUdeviceptr src,
                                               CUcontext src_context, size_t bytes);
/* Host to device. */
CUresult CUDAAPI __CUDA_API_PTDS(cuMemcpyHtoD_v2)(CUdeviceptr dst, const void* src, size_t bytes);
/* Device to host; returns when the data is there. */
CUresult CUDAAPI __CUDA_API_PTDS(cuMemcpyDtoH_v2)(void* dst, CUdeviceptr src, size_t bytes);
/* Device to device. */
CUresult CUDAAPI __CUDA_API_PTDS(cuMemcpyDtoD_v2)(CUdeviceptr dst, CUdeviceptr src, size_t bytes);
/* Device to one-dimensional array; offsets in bytes. */
CUresult CUDAAPI __CUDA_API_PTDS(cuMemcpyDtoA_v2)(CUarray dst, size_t offset, CUdeviceptr src, size_t bytes);
/* One-dimensional array to device. */
CUresult CUDAAPI __CUDA_API_PTDS(cuMemcpyAtoD_v2)(CUdeviceptr dst, CUarray src, size_t offset, size_t bytes);
/* Host to one-dimensional array. */
CUresult CUDAAPI __CUDA_API_PTDS(cuMemcpyHtoA_v2)(CUarray dst, size_t offset, const void* src, size_t bytes);
/* One-dimensional array to host. */
CUresult CUDAAPI __CUDA_API_PTDS(cuMemcpyAtoH_v2)(void* dst, CUarray src, size_t offset, size_t bytes);
/* One-dimensional array to another. */
CUresult CUDAAPI __CUDA_API_PTDS(cuMemcpyAtoA_v2)(CUarray dst, size_t dst_offset, CUarray src,
                                                  size_t src_offset, size_t bytes);
/* Copies a rectangle. */
CUresult CUDAAPI __CUDA_API_PTDS(cuMemcpy2D_v2)(const CUDA_MEMCPY2D* copy);
/* Copies a rectangle of any pitch. */
CUresult CUDAAPI __CUDA_API_PTDS(cuMemcpy2DUnaligned_v2)(const CUDA_MEMCPY2D* copy);
/* Copies a box. */
CUresult CUDAAPI __CUDA_API_PTDS(cuMemcpy3D_v2)(const CUDA_MEMCPY3D* copy);
/* Copies a box between two contexts. */
CUresult CUDAAPI __CUDA_API_PTDS(cuMemcpy3DPeer)(const CUDA_MEMCPY3D_PEER* copy);
/* As cuMemcpy, in stream order. Like all that follow it may return before the copy was made. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuMemcpyAsync)(CUdeviceptr dst, CUdeviceptr src, size_t bytes,
                                                CUstream stream);
/* As cuMemcpyPeer, in stream order. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuMemcpyPeerAsync)(CUdeviceptr dst, CUcontext dst_context, CUdeviceptr src,
                                                    CUcontext src_context, size_t bytes, CUstream stream);
/* As cuMemcpyHtoD, in stream order; pageable memory has been read when the call returns. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuMemcpyHtoDAsync_v2)(CUdeviceptr dst, const void* src, size_t bytes,
                                                       CUstream stream);
/* As cuMemcpyDtoH, in stream order; pageable memory has been written when the call returns. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuMemcpyDtoHAsync_v2)(void* dst, CUdeviceptr src, size_t bytes,
                                                       CUstream stream);
/* As cuMemcpyDtoD, in stream order. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuMemcpyDtoDAsync_v2)(CUdeviceptr dst, CUdeviceptr src, size_t bytes,
                                                       CUstream stream);
/* As cuMemcpyHtoA, in stream order. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuMemcpyHtoAAsync_v2)(CUarray dst, size_t offset, const void* src,
                                                       size_t bytes, CUstream stream);
/* As cuMemcpyAtoH, in stream order. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuMemcpyAtoHAsync_v2)(void* dst, CUarray src, size_t offset, size_t bytes,
                                                       CUstream stream);
/* As cuMemcpy2DUnaligned, in stream order. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuMemcpy2DAsync_v2)(const CUDA_MEMCPY2D* copy, CUstream stream);
/* As cuMemcpy3D, in stream order. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuMemcpy3DAsync_v2)(const CUDA_MEMCPY3D* copy, CUstream stream);
/* As cuMemcpy3DPeer, in stream order. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuMemcpy3DPeerAsync)(const CUDA_MEMCPY3D_PEER* copy, CUstream stream);

/* == Fills == */

/* Sets `count` bytes. */
CUresult CUDAAPI __CUDA_API_PTDS(cuMemsetD8_v2)(CUdeviceptr dst, unsigned char value, size_t count);
/* Sets `count` 16-bit words; the address is even. */
CUresult CUDAAPI __CUDA_API_PTDS(cuMemsetD16_v2)(CUdeviceptr dst, unsigned short value, size_t count);
/* Sets `count` 32-bit words; the address is a multiple of 4. */
CUresult CUDAAPI __CUDA_API_PTDS(cuMemsetD32_v2)(CUdeviceptr dst, unsigned int value, size_t count);
/* Sets a rectangle of bytes; pitch in bytes. */
CUresult CUDAAPI __CUDA_API_PTDS(cuMemsetD2D8_v2)(CUdeviceptr dst, size_t pitch, unsigned char value,
                                                  size_t width, size_t height);
/* Sets a rectangle of 16-bit words; pitch in bytes. */
CUresult CUDAAPI __CUDA_API_PTDS(cuMemsetD2D16_v2)(CUdeviceptr dst, size_t pitch, unsigned short value,
                                                   size_t width, size_t height);
/* Sets a rectangle of 32-bit words; pitch in bytes. */
CUresult CUDAAPI __CUDA_API_PTDS(cuMemsetD2D32_v2)(CUdeviceptr dst, size_t pitch, unsigned int value,
                                                   size_t width, size_t height);
/* As cuMemsetD8, in stream order. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuMemsetD8Async)(CUdeviceptr dst, unsigned char value, size_t count,
                                                  CUstream stream);
/* As cuMemsetD16, in stream order. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuMemsetD16Async)(CUdeviceptr dst, unsigned short value, size_t count,
                                                   CUstream stream);
/* As cuMemsetD32, in stream order. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuMemsetD32Async)(CUdeviceptr dst, unsigned int value, size_t count,
                                                   CUstream stream);
/* As cuMemsetD2D8, in stream order. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuMemsetD2D8Async)(CUdeviceptr dst, size_t pitch, unsigned char value,
                                                    size_t width, size_t height, CUstream stream);
/* As cuMemsetD2D16, in stream order. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuMemsetD2D16Async)(CUdeviceptr dst, size_t pitch, unsigned short value,
                                                     size_t width, size_t height, CUstream stream);
/* As cuMemsetD2D32, in stream order. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuMemsetD2D32Async)(CUdeviceptr dst, size_t pitch, unsigned int value,
                                                     size_t width, size_t height, CUstream stream);

/* == Arrays == */

/* Creates a one- or two-dimensional array. */
CUresult CUDAAPI cuArrayCreate_v2(CUarray* array, const CUDA_ARRAY_DESCRIPTOR* descriptor);
/* What an array was made with. */
CUresult CUDAAPI cuArrayGetDescriptor_v2(CUDA_ARRAY_DESCRIPTOR* descriptor, CUarray array);
/* Destroys an array. */
CUresult CUDAAPI cuArrayDestroy(CUarray array);
/* Creates an array of any kind. */
CUresult CUDAAPI cuArray3DCreate_v2(CUarray* array, const CUDA_ARRAY3D_DESCRIPTOR* descriptor);
/* What an array was made with. */
CUresult CUDAAPI cuArray3DGetDescriptor_v2(CUDA_ARRAY3D_DESCRIPTOR* descriptor, CUarray array);
/* Creates an array with mipmap levels, each half the extent of the one before. */
CUresult CUDAAPI cuMipmappedArrayCreate(CUmipmappedArray* array, const CUDA_ARRAY3D_DESCRIPTOR* descriptor,
                                        unsigned int level_count);
/* One level of it. */
CUresult CUDAAPI cuMipmappedArrayGetLevel(CUarray* level_array, CUmipmappedArray array, unsigned int level);
/* Destroys it. */
CUresult CUDAAPI cuMipmappedArrayDestroy(CUmipmappedArray array);

/* == Unified addressing == */

/* One fact about the memory behind an address; its type depends on the attribute. */
CUresult CUDAAPI cuPointerGetAttribute(void* value, CUpointer_attribute attribute, CUdeviceptr address);
/* Several at once; an address that the driver does not know gives zeros. */
CUresult CUDAAPI cuPointerGetAttributes(unsigned int count, CUpointer_attribute* attributes, void** values,
                                        CUdeviceptr address);
/* Sets CU_POINTER_ATTRIBUTE_SYNC_MEMOPS. */
CUresult CUDAAPI cuPointerSetAttribute(const void* value, CUpointer_attribute attribute, CUdeviceptr address);
/* Moves managed memory to a device, or to CU_DEVICE_CPU. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuMemPrefetchAsync)(CUdeviceptr address, size_t bytes, CUdevice device,
                                                     CUstream stream);
/* Tells how managed memory will be used. */
CUresult CUDAAPI cuMemAdvise(CUdeviceptr address, size_t bytes, CUmem_advise advice, CUdevice device);
/* What was told about a range. */
CUresult CUDAAPI cuMemRangeGetAttribute(void* value, size_t value_bytes, CUmem_range_attribute attribute,
                                        CUdeviceptr address, size_t bytes);
/* Several at once. */
CUresult CUDAAPI cuMemRangeGetAttributes(void** values, size_t* value_bytes,
                                         CUmem_range_attribute* attributes, size_t attribute_count,
                                         CUdeviceptr address, size_t bytes);

/* == Stream management == */

/* Creates a stream; CUstream_flags. */
CUresult CUDAAPI cuStreamCreate(CUstream* stream, unsigned int flags);
/* The same with a priority, moved into the range that the context offers. */
CUresult CUDAAPI cuStreamCreateWithPriority(CUstream* stream, unsigned int flags, int priority);
/* The stream's priority. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuStreamGetPriority)(CUstream stream, int* priority);
/* The stream's CUstream_flags. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuStreamGetFlags)(CUstream stream, unsigned int* flags);
/* The stream's context. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuStreamGetCtx)(CUstream stream, CUcontext* context);
/* Makes the stream wait for the event's latest record; flags must be 0. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuStreamWaitEvent)(CUstream stream, CUevent event, unsigned int flags);
/* Calls back in stream order; what comes later in the stream waits for it. Flags must be 0. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuStreamAddCallback)(CUstream stream, CUstreamCallback callback,
                                                      void* user_data, unsigned int flags);
/* Begins recording the stream's work into a graph. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuStreamBeginCapture_v2)(CUstream stream, CUstreamCaptureMode mode);
/* Exchanges the thread's capture mode with *mode. */
CUresult CUDAAPI cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode* mode);
/* Ends recording and gives the graph. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuStreamEndCapture)(CUstream stream, CUgraph* graph);
/* Whether the stream is recording. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuStreamIsCapturing)(CUstream stream, CUstreamCaptureStatus* status);
/* The same, with a number for the recording. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuStreamGetCaptureInfo)(CUstream stream, CUstreamCaptureStatus* status,
                                                         cuuint64_t* id);
/* Binds managed memory to a stream. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuStreamAttachMemAsync)(CUstream stream, CUdeviceptr address, size_t bytes,
                                                         unsigned int flags);
/* CUDA_SUCCESS where all work of the stream is done, else CUDA_ERROR_NOT_READY. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuStreamQuery)(CUstream stream);
/* Waits until all work of the stream is done. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuStreamSynchronize)(CUstream stream);
/* Destroys the stream; work that is in it is still done. */
CUresult CUDAAPI cuStreamDestroy_v2(CUstream stream);

/* == Event management == */

/* Creates an event; CUevent_flags. */
CUresult CUDAAPI cuEventCreate(CUevent* event, unsigned int flags);
/* Records in the event what the stream holds now. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuEventRecord)(CUevent event, CUstream stream);
/* CUDA_SUCCESS where what was recorded is done, or nothing was, else CUDA_ERROR_NOT_READY. */
CUresult CUDAAPI cuEventQuery(CUevent event);
/* Waits for what was recorded. */
CUresult CUDAAPI cuEventSynchronize(CUevent event);
/* Destroys the event; who waits for it is still served. */
CUresult CUDAAPI cuEventDestroy_v2(CUevent event);
/* Milliseconds between two events, as the device's clock saw them. */
CUresult CUDAAPI cuEventElapsedTime(float* milliseconds, CUevent start, CUevent end);

/* == External resource interoperability == */

/*
 * Imports memory that another API or process exported, for the device of the current context.
 *
 * On success the file descriptor belongs to the driver and is closed by the time the call returns; the
 * program must not use or close it any more. On failure it stays the program's, open and unchanged. The
 * object does not hold the exporter back: it may free its side first, and the memory lives until the last
 * user on either side is gone.
 *
 * A `size` beyond what was really exported is found out when the object is mapped, not here.
 *
 * Errors: CUDA_ERROR_INVALID_VALUE for a null pointer, an unknown handle type, size 0, unknown flags or a
 * reserved word that is not 0; CUDA_ERROR_NOT_SUPPORTED for the Windows and Direct3D types;
 * CUDA_ERROR_UNKNOWN for a descriptor that is closed or is not memory which this device can reach;
 * CUDA_ERROR_OUT_OF_MEMORY. `*memory` is set on success only.
 */
CUresult CUDAAPI cuImportExternalMemory(CUexternalMemory* memory,
                                        const CUDA_EXTERNAL_MEMORY_HANDLE_DESC* descriptor);

/*
 * Maps `size` bytes from byte `offset` of imported memory and gives the address. Neither needs an alignment.
 * Mapping the same or an overlapping range again gives another address for the same bytes: a write through
 * one is seen through the others, once it is ordered before the read.
 *
 * The address is used like that of cuMemAlloc, in the context that was current at the import, and is given
 * back with cuMemFree. It stays valid after cuDestroyExternalMemory.
 *
 * Errors: CUDA_ERROR_INVALID_VALUE for a null pointer, size 0, flags or reserved words that are not 0, or a
 * range that reaches beyond the imported size or beyond the object itself, or a handle that never was
 * imported memory; CUDA_ERROR_INVALID_HANDLE for one that was destroyed; CUDA_ERROR_OUT_OF_MEMORY. `*address`
 * is set on success only.
 */
CUresult CUDAAPI cuExternalMemoryGetMappedBuffer(CUdeviceptr* address, CUexternalMemory memory,
                                                 const CUDA_EXTERNAL_MEMORY_BUFFER_DESC* descriptor);

/*
 * Presents an image in imported memory as an array with mipmap levels. The descriptor must say what the
 * exporter's image is: extents and formats in elements, depth 0 for a two-dimensional one,
 * CUDA_ARRAY3D_LAYERED where it has layers, CUDA_ARRAY3D_COLOR_ATTACHMENT where it is rendered to. Levels
 * come from cuMipmappedArrayGetLevel; the array goes with cuMipmappedArrayDestroy and stays valid after
 * cuDestroyExternalMemory.
 *
 * Errors: as cuExternalMemoryGetMappedBuffer, for `numLevels` 0 too; CUDA_ERROR_NOT_SUPPORTED for an image
 * whose layout in memory the driver does not know.
 */
CUresult CUDAAPI
cuExternalMemoryGetMappedMipmappedArray(CUmipmappedArray* array, CUexternalMemory memory,
                                        const CUDA_EXTERNAL_MEMORY_MIPMAPPED_ARRAY_DESC* descriptor);

/*
 * Gives the import up. Buffers and arrays that were mapped from it stay valid and keep the memory alive. The
 * handle must not be used any more, by any thread; CUDA_ERROR_INVALID_HANDLE where it is.
 */
CUresult CUDAAPI cuDestroyExternalMemory(CUexternalMemory memory);

/*
 * Imports a semaphore that another API or process exported. Who owns the file descriptor, before and after,
 * is as for cuImportExternalMemory, and so are the errors; a descriptor that is no semaphore gives
 * CUDA_ERROR_UNKNOWN. The semaphore keeps its state: nothing is signaled or reset by the import.
 */
CUresult CUDAAPI cuImportExternalSemaphore(CUexternalSemaphore* semaphore,
                                           const CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC* descriptor);

/*
 * Signals semaphores when all work that the stream holds at the call is done, and its writes can be seen by
 * every device and process. Does not wait for that. `count` semaphores, each with its own parameters, are
 * signaled together.
 *
 * A binary semaphore must not be signaled, or have a signal pending, unless somebody waits for that one
 * first. A timeline semaphore's value may only grow; where it is lower than the present one, the higher value
 * stays.
 *
 * Calls for one stream take effect in the order they were made; for two streams order them with an event.
 * Destroying stream or context completes what is pending: a peer that waits is never left behind.
 *
 * Errors: CUDA_ERROR_INVALID_VALUE for `count` 0, a null array, flags that are not 0, what never was a
 * semaphore; CUDA_ERROR_INVALID_HANDLE for a destroyed semaphore or stream. Nothing is signaled then.
 */
CUresult CUDAAPI __CUDA_API_PTSZ(cuSignalExternalSemaphoresAsync)(
    const CUexternalSemaphore* semaphores, const CUDA_EXTERNAL_SEMAPHORE_SIGNAL_PARAMS* parameters,
    unsigned int count, CUstream stream);

/*
 * Makes all work that the stream gets after the call wait until every one of `count` semaphores is signaled,
 * and sees what was written before that. Other streams run on; the waiting stream answers
 * CUDA_ERROR_NOT_READY.
 *
 * A wait for a binary semaphore takes its signal away. The signal must have been submitted: the call itself
 * waits until the other side has submitted it. A timeline semaphore may be waited for before anybody has
 * submitted the signal.
 *
 * Errors: as cuSignalExternalSemaphoresAsync. Nothing is waited for then.
 */
CUresult CUDAAPI __CUDA_API_PTSZ(cuWaitExternalSemaphoresAsync)(
    const CUexternalSemaphore* semaphores, const CUDA_EXTERNAL_SEMAPHORE_WAIT_PARAMS* parameters,
    unsigned int count, CUstream stream);

/*
 * Gives the semaphore up. Signals and waits that are in a stream are still carried out. The handle must not
 * be used any more, by any thread; CUDA_ERROR_INVALID_HANDLE where it is.
 */
CUresult CUDAAPI cuDestroyExternalSemaphore(CUexternalSemaphore semaphore);

/* == Stream memory operations == */

/* Makes the stream wait until a 32-bit word in memory compares as CUstreamWaitValue_flags say. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuStreamWaitValue32)(CUstream stream, CUdeviceptr address, cuuint32_t value,
                                                      unsigned int flags);
/* The same for a 64-bit word. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuStreamWaitValue64)(CUstream stream, CUdeviceptr address, cuuint64_t value,
                                                      unsigned int flags);
/* Writes a 32-bit word in stream order. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuStreamWriteValue32)(CUstream stream, CUdeviceptr address, cuuint32_t value,
                                                       unsigned int flags);
/* The same for a 64-bit word. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuStreamWriteValue64)(CUstream stream, CUdeviceptr address, cuuint64_t value,
                                                       unsigned int flags);
/* Several of these at once; flags must be 0. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuStreamBatchMemOp)(CUstream stream, unsigned int count,
                                                     CUstreamBatchMemOpParams* operations,
                                                     unsigned int flags);

/* == Execution control == */

/* One number about a function. */
CUresult CUDAAPI cuFuncGetAttribute(int* value, CUfunction_attribute attribute, CUfunction function);
/* Sets the largest dynamic shared memory, or the carveout. */
CUresult CUDAAPI cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value);
/* The function's preferred split of cache and shared memory, a hint. */
CUresult CUDAAPI cuFuncSetCacheConfig(CUfunction function, CUfunc_cache config);
/* The function's width of a shared memory bank, a hint. */
CUresult CUDAAPI cuFuncSetSharedMemConfig(CUfunction function, CUsharedconfig config);
/* Launches a grid of blocks of threads. Parameters come as an array of pointers, or packed through `extra`.
 */
CUresult CUDAAPI __CUDA_API_PTSZ(cuLaunchKernel)(CUfunction function, unsigned int grid_x,
                                                 unsigned int grid_y, unsigned int grid_z,
                                                 unsigned int block_x, unsigned int block_y,
                                                 unsigned int block_z, unsigned int shared_bytes,
                                                 CUstream stream, void** parameters, void** extra);
/* Launches a grid whose blocks all run at once and can wait for each other. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuLaunchCooperativeKernel)(CUfunction function, unsigned int grid_x,
                                                            unsigned int grid_y, unsigned int grid_z,
                                                            unsigned int block_x, unsigned int block_y,
                                                            unsigned int block_z, unsigned int shared_bytes,
                                                            CUstream stream, void** parameters);
/* The same over several devices. */
CUresult CUDAAPI cuLaunchCooperativeKernelMultiDevice(CUDA_LAUNCH_PARAMS* launches, unsigned int device_count,
                                                      unsigned int flags);
/* Runs a function of the host in stream order. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuLaunchHostFunc)(CUstream stream, CUhostFn function, void* user_data);
/* The block of the next cuLaunch; superseded like the nine that follow. */
CUresult CUDAAPI cuFuncSetBlockShape(CUfunction function, int x, int y, int z);
/* Its dynamic shared memory in bytes. */
CUresult CUDAAPI cuFuncSetSharedSize(CUfunction function, unsigned int bytes);
/* The size of its parameters in bytes. */
CUresult CUDAAPI cuParamSetSize(CUfunction function, unsigned int bytes);
/* An integer parameter at a byte offset. */
CUresult CUDAAPI cuParamSeti(CUfunction function, int offset, unsigned int value);
/* A float parameter at a byte offset. */
CUresult CUDAAPI cuParamSetf(CUfunction function, int offset, float value);
/* Any bytes at a byte offset. */
CUresult CUDAAPI cuParamSetv(CUfunction function, int offset, void* data, unsigned int bytes);
/* Launches one block. */
CUresult CUDAAPI cuLaunch(CUfunction function);
/* Launches a two-dimensional grid. */
CUresult CUDAAPI cuLaunchGrid(CUfunction function, int width, int height);
/* The same in stream order. */
CUresult CUDAAPI cuLaunchGridAsync(CUfunction function, int width, int height, CUstream stream);
/* Makes a texture reference usable by the function. */
CUresult CUDAAPI cuParamSetTexRef(CUfunction function, int unit, CUtexref reference);

#include <cuda_shim_prototypes.h>

#if defined(CUDA_SHIM_IMPLEMENTATION)
#include <cuda_shim_exports.h>
#pragma GCC visibility pop
#else
#include <cuda_shim_names.h>
#endif

#ifdef __cplusplus
}
#endif

#endif
