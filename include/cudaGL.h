/* The OpenGL chapter of the CUDA 10.1 driver API. GLuint and GLenum are unsigned int, and are written so. */
#ifndef CUDA_SHIM_GL_H
#define CUDA_SHIM_GL_H
#define CUDAGL_H

#include <cuda.h>

#if defined(__has_include) && !defined(CUDA_SHIM_IMPLEMENTATION)
#if __has_include(<GL/gl.h>)
#include <GL/gl.h>
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

#if defined(CUDA_SHIM_IMPLEMENTATION)
#pragma GCC visibility push(default)
#endif

/* Which devices of the current OpenGL context are meant. */
typedef enum CUGLDeviceList_enum CUDA_SHIM_ENUM_BASE {
  CU_GL_DEVICE_LIST_ALL = 1,
  CU_GL_DEVICE_LIST_CURRENT_FRAME = 2,
  CU_GL_DEVICE_LIST_NEXT_FRAME = 3
} CUGLDeviceList;

typedef enum CUGLmap_flags_enum CUDA_SHIM_ENUM_BASE {
  CU_GL_MAP_RESOURCE_FLAGS_NONE = 0,
  CU_GL_MAP_RESOURCE_FLAGS_READ_ONLY = 1,
  CU_GL_MAP_RESOURCE_FLAGS_WRITE_DISCARD = 2
} CUGLmap_flags;

/* == OpenGL interoperability == */

/* Registers a buffer; CUgraphicsRegisterFlags. */
CUresult CUDAAPI cuGraphicsGLRegisterBuffer(CUgraphicsResource* resource, unsigned int buffer,
                                            unsigned int flags);
/* Registers a texture or renderbuffer. */
CUresult CUDAAPI cuGraphicsGLRegisterImage(CUgraphicsResource* resource, unsigned int image,
                                           unsigned int target, unsigned int flags);
/* The CUDA devices behind the current OpenGL context. */
CUresult CUDAAPI cuGLGetDevices_v2(unsigned int* found, CUdevice* devices, unsigned int count,
                                   CUGLDeviceList list);
/* Creates a context for OpenGL; superseded like all that follow. */
CUresult CUDAAPI cuGLCtxCreate_v2(CUcontext* context, unsigned int flags, CUdevice device);
/* Does nothing since 3.0. */
CUresult CUDAAPI cuGLInit(void);
/* Registers a buffer. */
CUresult CUDAAPI cuGLRegisterBufferObject(unsigned int buffer);
/* Maps a buffer. */
CUresult CUDAAPI __CUDA_API_PTDS(cuGLMapBufferObject_v2)(CUdeviceptr* address, size_t* bytes,
                                                         unsigned int buffer);
/* Unmaps it. */
CUresult CUDAAPI cuGLUnmapBufferObject(unsigned int buffer);
/* Gives it up. */
CUresult CUDAAPI cuGLUnregisterBufferObject(unsigned int buffer);
/* How it will be mapped: CUGLmap_flags. */
CUresult CUDAAPI cuGLSetBufferObjectMapFlags(unsigned int buffer, unsigned int flags);
/* Maps a buffer in stream order. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuGLMapBufferObjectAsync_v2)(CUdeviceptr* address, size_t* bytes,
                                                              unsigned int buffer, CUstream stream);
/* Unmaps it in stream order. */
CUresult CUDAAPI cuGLUnmapBufferObjectAsync(unsigned int buffer, CUstream stream);

#if defined(CUDA_SHIM_IMPLEMENTATION)
#pragma GCC visibility pop
#else
#define cuGLGetDevices cuGLGetDevices_v2
#define cuGLCtxCreate cuGLCtxCreate_v2
#define cuGLMapBufferObject __CUDA_API_PTDS(cuGLMapBufferObject_v2)
#define cuGLMapBufferObjectAsync __CUDA_API_PTSZ(cuGLMapBufferObjectAsync_v2)
#endif

#ifdef __cplusplus
}
#endif

#endif
