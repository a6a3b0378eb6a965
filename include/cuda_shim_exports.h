/*
 * The exported names that programs do not write: the versions of functions before 3.2 and before 4.0, the
 * per-thread default stream's, VDPAU and EGL. For the driver itself: included by <cuda.h> with
 * CUDA_SHIM_IMPLEMENTATION, in C++.
 */
#ifndef CUDA_SHIM_EXPORTS_H
#define CUDA_SHIM_EXPORTS_H

#ifndef __cplusplus
#error "the driver is written in C++"
#endif

/* == Before 3.2: addresses and sizes of 32 bits == */

typedef unsigned int CUdeviceptr_v1;

typedef struct CUDA_MEMCPY2D_v1_st {
  unsigned int srcXInBytes;
  unsigned int srcY;
  CUmemorytype srcMemoryType;
  const void* srcHost;
  CUdeviceptr_v1 srcDevice;
  CUarray srcArray;
  unsigned int srcPitch;
  unsigned int dstXInBytes;
  unsigned int dstY;
  CUmemorytype dstMemoryType;
  void* dstHost;
  CUdeviceptr_v1 dstDevice;
  CUarray dstArray;
  unsigned int dstPitch;
  unsigned int WidthInBytes;
  unsigned int Height;
} CUDA_MEMCPY2D_v1;

typedef struct CUDA_MEMCPY3D_v1_st {
  unsigned int srcXInBytes;
  unsigned int srcY;
  unsigned int srcZ;
  unsigned int srcLOD;
  CUmemorytype srcMemoryType;
  const void* srcHost;
  CUdeviceptr_v1 srcDevice;
  CUarray srcArray;
  void* reserved0;
  unsigned int srcPitch;
  unsigned int srcHeight;
  unsigned int dstXInBytes;
  unsigned int dstY;
  unsigned int dstZ;
  unsigned int dstLOD;
  CUmemorytype dstMemoryType;
  void* dstHost;
  CUdeviceptr_v1 dstDevice;
  CUarray dstArray;
  void* reserved1;
  unsigned int dstPitch;
  unsigned int dstHeight;
  unsigned int WidthInBytes;
  unsigned int Height;
  unsigned int Depth;
} CUDA_MEMCPY3D_v1;

typedef struct CUDA_ARRAY_DESCRIPTOR_v1_st {
  unsigned int Width;
  unsigned int Height;
  CUarray_format Format;
  unsigned int NumChannels;
} CUDA_ARRAY_DESCRIPTOR_v1;

typedef struct CUDA_ARRAY3D_DESCRIPTOR_v1_st {
  unsigned int Width;
  unsigned int Height;
  unsigned int Depth;
  CUarray_format Format;
  unsigned int NumChannels;
  unsigned int Flags;
} CUDA_ARRAY3D_DESCRIPTOR_v1;

CUresult cuDeviceTotalMem(unsigned int* bytes, CUdevice device);
CUresult cuCtxCreate(CUcontext* context, unsigned int flags, CUdevice device);
CUresult cuModuleGetGlobal(CUdeviceptr_v1* address, unsigned int* bytes, CUmodule module, const char* name);
CUresult cuMemGetInfo(unsigned int* free_bytes, unsigned int* total_bytes);
CUresult cuMemAlloc(CUdeviceptr_v1* address, unsigned int bytes);
CUresult cuMemAllocPitch(CUdeviceptr_v1* address, unsigned int* pitch, unsigned int width_bytes,
                         unsigned int height, unsigned int element_bytes);
CUresult cuMemFree(CUdeviceptr_v1 address);
CUresult cuMemGetAddressRange(CUdeviceptr_v1* base, unsigned int* bytes, CUdeviceptr_v1 address);
CUresult cuMemAllocHost(void** pointer, unsigned int bytes);
CUresult cuMemHostGetDevicePointer(CUdeviceptr_v1* address, void* pointer, unsigned int flags);
CUresult cuMemcpyHtoD(CUdeviceptr_v1 dst, const void* src, unsigned int bytes);
CUresult cuMemcpyDtoH(void* dst, CUdeviceptr_v1 src, unsigned int bytes);
CUresult cuMemcpyDtoD(CUdeviceptr_v1 dst, CUdeviceptr_v1 src, unsigned int bytes);
CUresult cuMemcpyDtoA(CUarray dst, unsigned int offset, CUdeviceptr_v1 src, unsigned int bytes);
CUresult cuMemcpyAtoD(CUdeviceptr_v1 dst, CUarray src, unsigned int offset, unsigned int bytes);
CUresult cuMemcpyHtoA(CUarray dst, unsigned int offset, const void* src, unsigned int bytes);
CUresult cuMemcpyAtoH(void* dst, CUarray src, unsigned int offset, unsigned int bytes);
CUresult cuMemcpyAtoA(CUarray dst, unsigned int dst_offset, CUarray src, unsigned int src_offset,
                      unsigned int bytes);
CUresult cuMemcpyHtoAAsync(CUarray dst, unsigned int offset, const void* src, unsigned int bytes,
                           CUstream stream);
CUresult cuMemcpyAtoHAsync(void* dst, CUarray src, unsigned int offset, unsigned int bytes, CUstream stream);
CUresult cuMemcpy2D(const CUDA_MEMCPY2D_v1* copy);
CUresult cuMemcpy2DUnaligned(const CUDA_MEMCPY2D_v1* copy);
CUresult cuMemcpy3D(const CUDA_MEMCPY3D_v1* copy);
CUresult cuMemcpyHtoDAsync(CUdeviceptr_v1 dst, const void* src, unsigned int bytes, CUstream stream);
CUresult cuMemcpyDtoHAsync(void* dst, CUdeviceptr_v1 src, unsigned int bytes, CUstream stream);
CUresult cuMemcpyDtoDAsync(CUdeviceptr_v1 dst, CUdeviceptr_v1 src, unsigned int bytes, CUstream stream);
CUresult cuMemcpy2DAsync(const CUDA_MEMCPY2D_v1* copy, CUstream stream);
CUresult cuMemcpy3DAsync(const CUDA_MEMCPY3D_v1* copy, CUstream stream);
CUresult cuMemsetD8(CUdeviceptr_v1 dst, unsigned char value, unsigned int count);
CUresult cuMemsetD16(CUdeviceptr_v1 dst, unsigned short value, unsigned int count);
CUresult cuMemsetD32(CUdeviceptr_v1 dst, unsigned int value, unsigned int count);
CUresult cuMemsetD2D8(CUdeviceptr_v1 dst, unsigned int pitch, unsigned char value, unsigned int width,
                      unsigned int height);
CUresult cuMemsetD2D16(CUdeviceptr_v1 dst, unsigned int pitch, unsigned short value, unsigned int width,
                       unsigned int height);
CUresult cuMemsetD2D32(CUdeviceptr_v1 dst, unsigned int pitch, unsigned int value, unsigned int width,
                       unsigned int height);
CUresult cuArrayCreate(CUarray* array, const CUDA_ARRAY_DESCRIPTOR_v1* descriptor);
CUresult cuArrayGetDescriptor(CUDA_ARRAY_DESCRIPTOR_v1* descriptor, CUarray array);
CUresult cuArray3DCreate(CUarray* array, const CUDA_ARRAY3D_DESCRIPTOR_v1* descriptor);
CUresult cuArray3DGetDescriptor(CUDA_ARRAY3D_DESCRIPTOR_v1* descriptor, CUarray array);
CUresult cuTexRefSetAddress(unsigned int* offset, CUtexref reference, CUdeviceptr_v1 address,
                            unsigned int bytes);
CUresult cuTexRefSetAddress2D(CUtexref reference, const CUDA_ARRAY_DESCRIPTOR_v1* descriptor,
                              CUdeviceptr_v1 address, unsigned int pitch);
CUresult cuTexRefGetAddress(CUdeviceptr_v1* address, CUtexref reference);
CUresult cuGraphicsResourceGetMappedPointer(CUdeviceptr_v1* address, unsigned int* bytes,
                                            CUgraphicsResource resource);
CUresult cuGLCtxCreate(CUcontext* context, unsigned int flags, CUdevice device);
CUresult cuGLMapBufferObject(CUdeviceptr_v1* address, unsigned int* bytes, unsigned int buffer);
CUresult cuGLMapBufferObjectAsync(CUdeviceptr_v1* address, unsigned int* bytes, unsigned int buffer,
                                  CUstream stream);

/* == The same arguments as today == */

decltype(cuCtxDestroy_v2) cuCtxDestroy;
decltype(cuCtxPopCurrent_v2) cuCtxPopCurrent;
decltype(cuCtxPushCurrent_v2) cuCtxPushCurrent;
decltype(cuStreamDestroy_v2) cuStreamDestroy;
decltype(cuEventDestroy_v2) cuEventDestroy;
decltype(cuLinkCreate_v2) cuLinkCreate;
decltype(cuLinkAddData_v2) cuLinkAddData;
decltype(cuLinkAddFile_v2) cuLinkAddFile;
decltype(cuMemHostRegister_v2) cuMemHostRegister;
decltype(cuGraphicsResourceSetMapFlags_v2) cuGraphicsResourceSetMapFlags;
decltype(cuTexRefSetAddress2D_v3) cuTexRefSetAddress2D_v2;
CUresult cuGLGetDevices(unsigned int* found, CUdevice* devices, unsigned int count, int list);

/* 10.0's: the mode is CU_STREAM_CAPTURE_MODE_GLOBAL. */
CUresult cuStreamBeginCapture(CUstream stream);
CUresult cuStreamBeginCapture_ptsz(CUstream stream);

/* == The per-thread default stream == */

decltype(cuEventRecord) cuEventRecord_ptsz;
decltype(cuGraphLaunch) cuGraphLaunch_ptsz;
decltype(cuGraphicsMapResources) cuGraphicsMapResources_ptsz;
decltype(cuGraphicsUnmapResources) cuGraphicsUnmapResources_ptsz;
decltype(cuLaunchCooperativeKernel) cuLaunchCooperativeKernel_ptsz;
decltype(cuLaunchHostFunc) cuLaunchHostFunc_ptsz;
decltype(cuLaunchKernel) cuLaunchKernel_ptsz;
decltype(cuMemPrefetchAsync) cuMemPrefetchAsync_ptsz;
decltype(cuMemcpy2DAsync_v2) cuMemcpy2DAsync_v2_ptsz;
decltype(cuMemcpy2DUnaligned_v2) cuMemcpy2DUnaligned_v2_ptds;
decltype(cuMemcpy2D_v2) cuMemcpy2D_v2_ptds;
decltype(cuMemcpy3DAsync_v2) cuMemcpy3DAsync_v2_ptsz;
decltype(cuMemcpy3DPeerAsync) cuMemcpy3DPeerAsync_ptsz;
decltype(cuMemcpy3DPeer) cuMemcpy3DPeer_ptds;
decltype(cuMemcpy3D_v2) cuMemcpy3D_v2_ptds;
decltype(cuMemcpyAsync) cuMemcpyAsync_ptsz;
decltype(cuMemcpyAtoA_v2) cuMemcpyAtoA_v2_ptds;
decltype(cuMemcpyAtoD_v2) cuMemcpyAtoD_v2_ptds;
decltype(cuMemcpyAtoHAsync_v2) cuMemcpyAtoHAsync_v2_ptsz;
decltype(cuMemcpyAtoH_v2) cuMemcpyAtoH_v2_ptds;
decltype(cuMemcpyDtoA_v2) cuMemcpyDtoA_v2_ptds;
decltype(cuMemcpyDtoDAsync_v2) cuMemcpyDtoDAsync_v2_ptsz;
decltype(cuMemcpyDtoD_v2) cuMemcpyDtoD_v2_ptds;
decltype(cuMemcpyDtoHAsync_v2) cuMemcpyDtoHAsync_v2_ptsz;
decltype(cuMemcpyDtoH_v2) cuMemcpyDtoH_v2_ptds;
decltype(cuMemcpyHtoAAsync_v2) cuMemcpyHtoAAsync_v2_ptsz;
decltype(cuMemcpyHtoA_v2) cuMemcpyHtoA_v2_ptds;
decltype(cuMemcpyHtoDAsync_v2) cuMemcpyHtoDAsync_v2_ptsz;
decltype(cuMemcpyHtoD_v2) cuMemcpyHtoD_v2_ptds;
decltype(cuMemcpyPeerAsync) cuMemcpyPeerAsync_ptsz;
decltype(cuMemcpyPeer) cuMemcpyPeer_ptds;
decltype(cuMemcpy) cuMemcpy_ptds;
decltype(cuMemsetD16Async) cuMemsetD16Async_ptsz;
decltype(cuMemsetD16_v2) cuMemsetD16_v2_ptds;
decltype(cuMemsetD2D16Async) cuMemsetD2D16Async_ptsz;
decltype(cuMemsetD2D16_v2) cuMemsetD2D16_v2_ptds;
decltype(cuMemsetD2D32Async) cuMemsetD2D32Async_ptsz;
decltype(cuMemsetD2D32_v2) cuMemsetD2D32_v2_ptds;
decltype(cuMemsetD2D8Async) cuMemsetD2D8Async_ptsz;
decltype(cuMemsetD2D8_v2) cuMemsetD2D8_v2_ptds;
decltype(cuMemsetD32Async) cuMemsetD32Async_ptsz;
decltype(cuMemsetD32_v2) cuMemsetD32_v2_ptds;
decltype(cuMemsetD8Async) cuMemsetD8Async_ptsz;
decltype(cuMemsetD8_v2) cuMemsetD8_v2_ptds;
decltype(cuSignalExternalSemaphoresAsync) cuSignalExternalSemaphoresAsync_ptsz;
decltype(cuStreamAddCallback) cuStreamAddCallback_ptsz;
decltype(cuStreamAttachMemAsync) cuStreamAttachMemAsync_ptsz;
decltype(cuStreamBatchMemOp) cuStreamBatchMemOp_ptsz;
decltype(cuStreamBeginCapture_v2) cuStreamBeginCapture_v2_ptsz;
decltype(cuStreamEndCapture) cuStreamEndCapture_ptsz;
decltype(cuStreamGetCaptureInfo) cuStreamGetCaptureInfo_ptsz;
decltype(cuStreamGetCtx) cuStreamGetCtx_ptsz;
decltype(cuStreamGetFlags) cuStreamGetFlags_ptsz;
decltype(cuStreamGetPriority) cuStreamGetPriority_ptsz;
decltype(cuStreamIsCapturing) cuStreamIsCapturing_ptsz;
decltype(cuStreamQuery) cuStreamQuery_ptsz;
decltype(cuStreamSynchronize) cuStreamSynchronize_ptsz;
decltype(cuStreamWaitEvent) cuStreamWaitEvent_ptsz;
decltype(cuStreamWaitValue32) cuStreamWaitValue32_ptsz;
decltype(cuStreamWaitValue64) cuStreamWaitValue64_ptsz;
decltype(cuStreamWriteValue32) cuStreamWriteValue32_ptsz;
decltype(cuStreamWriteValue64) cuStreamWriteValue64_ptsz;
decltype(cuWaitExternalSemaphoresAsync) cuWaitExternalSemaphoresAsync_ptsz;
CUresult cuGLMapBufferObject_v2_ptds(CUdeviceptr* address, size_t* bytes, unsigned int buffer);
CUresult cuGLMapBufferObjectAsync_v2_ptsz(CUdeviceptr* address, size_t* bytes, unsigned int buffer,
                                          CUstream stream);

/* == VDPAU interoperability == */

/* Objects of VDPAU are 32-bit numbers; its entry point is a function that nobody here calls. */
typedef uint32_t CUvdpauObject;
typedef void CUvdpauGetProcAddress(void);

CUresult cuVDPAUGetDevice(CUdevice* device, CUvdpauObject vdpau, CUvdpauGetProcAddress* get_proc_address);
CUresult cuVDPAUCtxCreate_v2(CUcontext* context, unsigned int flags, CUdevice device, CUvdpauObject vdpau,
                             CUvdpauGetProcAddress* get_proc_address);
decltype(cuVDPAUCtxCreate_v2) cuVDPAUCtxCreate;
CUresult cuGraphicsVDPAURegisterVideoSurface(CUgraphicsResource* resource, CUvdpauObject surface,
                                             unsigned int flags);
CUresult cuGraphicsVDPAURegisterOutputSurface(CUgraphicsResource* resource, CUvdpauObject surface,
                                              unsigned int flags);

/* == EGL interoperability == */

/* A frame of an EGL stream. The two enumerations are written as the integers that they are. */
typedef struct CUeglFrame_st {
  union {
    CUarray pArray[3];
    void* pPitch[3];
  } frame;
  unsigned int width;
  unsigned int height;
  unsigned int depth;
  unsigned int pitch;
  unsigned int planeCount;
  unsigned int numChannels;
  int frameType;
  int eglColorFormat;
  CUarray_format cuFormat;
} CUeglFrame;

typedef struct CUeglStreamConnection_st* CUeglStreamConnection;

CUresult cuGraphicsEGLRegisterImage(CUgraphicsResource* resource, void* image, unsigned int flags);
CUresult cuEGLStreamConsumerConnect(CUeglStreamConnection* connection, void* stream);
CUresult cuEGLStreamConsumerConnectWithFlags(CUeglStreamConnection* connection, void* stream,
                                             unsigned int flags);
CUresult cuEGLStreamConsumerDisconnect(CUeglStreamConnection* connection);
CUresult cuEGLStreamConsumerAcquireFrame(CUeglStreamConnection* connection, CUgraphicsResource* resource,
                                         CUstream* stream, unsigned int timeout);
CUresult cuEGLStreamConsumerReleaseFrame(CUeglStreamConnection* connection, CUgraphicsResource resource,
                                         CUstream* stream);
CUresult cuEGLStreamProducerConnect(CUeglStreamConnection* connection, void* stream, int32_t width,
                                    int32_t height);
CUresult cuEGLStreamProducerDisconnect(CUeglStreamConnection* connection);
CUresult cuEGLStreamProducerPresentFrame(CUeglStreamConnection* connection, CUeglFrame frame,
                                         CUstream* stream);
CUresult cuEGLStreamProducerReturnFrame(CUeglStreamConnection* connection, CUeglFrame* frame,
                                        CUstream* stream);
CUresult cuGraphicsResourceGetMappedEglFrame(CUeglFrame* frame, CUgraphicsResource resource,
                                             unsigned int index, unsigned int level);
CUresult cuEventCreateFromEGLSync(CUevent* event, void* sync, unsigned int flags);

#endif
