// Initialisation, devices, contexts.
#include "world.hpp"

namespace answers {

namespace {

// Asks with no context current.
template <class Ask>
int without_context(Ask ask) {
  CUcontext context = nullptr;
  if (CUresult popped = cuCtxPopCurrent(&context))
    return popped;
  int answer = ask();
  cuCtxPushCurrent(context);
  return answer;
}

const Question questions[] = {
    ASK(cuInit(1)),
    ASK(cuDriverGetVersion(nullptr)),
    ASK(cuGetErrorName(CUDA_SUCCESS, nullptr)),
    ASK(cuGetErrorName(static_cast<CUresult>(12345), w.out)),
    ASK(cuGetErrorString(CUDA_SUCCESS, nullptr)),
    ASK(cuGetErrorString(static_cast<CUresult>(12345), w.out)),
    ASK(cuDeviceGet(nullptr, 0)),
    ASK(cuDeviceGet(w.out, -1)),
    ASK(cuDeviceGet(w.out, 1000)),
    ASK(cuDeviceGetCount(nullptr)),
    ASK(cuDeviceGetName(nullptr, 16, 0)),
    ASK(cuDeviceGetName(w.out, 0, 0)),
    ASK(cuDeviceGetName(w.out, -1, 0)),
    ASK(cuDeviceGetName(w.out, 1, 0)),
    ASK(cuDeviceGetName(w.out, 16, 1000)),
    ASK(cuDeviceGetUuid(nullptr, 0)),
    ASK(cuDeviceGetUuid(w.out, 1000)),
    ASK(cuDeviceTotalMem(nullptr, 0)),
    ASK(cuDeviceTotalMem(w.out, -1)),
    ASK(cuDeviceGetAttribute(nullptr, CU_DEVICE_ATTRIBUTE_WARP_SIZE, 0)),
    ASK(cuDeviceGetAttribute(w.out, static_cast<CUdevice_attribute>(0), 0)),
    ASK(cuDeviceGetAttribute(w.out, static_cast<CUdevice_attribute>(-1), 0)),
    ASK(cuDeviceGetAttribute(w.out, static_cast<CUdevice_attribute>(100000), 0)),
    ASK(cuDeviceGetAttribute(w.out, CU_DEVICE_ATTRIBUTE_WARP_SIZE, 1000)),
    ASK(cuDeviceGetProperties(nullptr, 0)),
    ASK(cuDeviceGetProperties(w.out, 1000)),
    ASK(cuDeviceComputeCapability(nullptr, w.out, 0)),
    ASK(cuDeviceComputeCapability(w.out, nullptr, 0)),
    ASK(cuDeviceComputeCapability(w.out, w.out, 1000)),
    ASK(cuDeviceGetByPCIBusId(nullptr, "0000:00:00.0")),
    ASK(cuDeviceGetByPCIBusId(w.out, nullptr)),
    ASK(cuDeviceGetByPCIBusId(w.out, "")),
    ASK(cuDeviceGetByPCIBusId(w.out, "nonsense")),
    ASK(cuDeviceGetByPCIBusId(w.out, "fffe:7e:1d.6")),
    ASK(cuDeviceGetPCIBusId(nullptr, 16, 0)),
    ASK(cuDeviceGetPCIBusId(w.out, 0, 0)),
    ASK(cuDeviceGetPCIBusId(w.out, -1, 0)),
    ASK(cuDeviceGetPCIBusId(w.out, 4, 0)),
    ASK(cuDeviceGetPCIBusId(w.out, 12, 0)),
    ASK(cuDeviceGetPCIBusId(w.out, 16, 1000)),
    ASK(cuDeviceCanAccessPeer(nullptr, 0, 0)),
    ASK(cuDeviceCanAccessPeer(w.out, 0, 0)),
    ASK_AS("a device as its own peer",
           { return cuDeviceCanAccessPeer(w.out, 0, 0), *static_cast<int*>(w.out); }),
    ASK(cuDeviceCanAccessPeer(w.out, 0, 1000)),
    ASK(cuDeviceCanAccessPeer(w.out, 1000, 0)),
    ASK(cuDeviceGetP2PAttribute(nullptr, CU_DEVICE_P2P_ATTRIBUTE_PERFORMANCE_RANK, 0, 0)),
    ASK(cuDeviceGetP2PAttribute(w.out, CU_DEVICE_P2P_ATTRIBUTE_PERFORMANCE_RANK, 0, 0)),
    ASK(cuDeviceGetP2PAttribute(w.out, static_cast<CUdevice_P2PAttribute>(99), 0, 0)),
    ASK(cuDeviceGetP2PAttribute(w.out, CU_DEVICE_P2P_ATTRIBUTE_PERFORMANCE_RANK, 0, 1000)),

    ASK(cuDevicePrimaryCtxRelease(0)),
    ASK(cuDevicePrimaryCtxRetain(nullptr, 0)),
    ASK(cuDevicePrimaryCtxRetain(w.out, 1000)),
    ASK(cuDevicePrimaryCtxRelease(1000)),
    ASK(cuDevicePrimaryCtxSetFlags(0, 0xffff)),
    ASK(cuDevicePrimaryCtxSetFlags(1000, 0)),
    ASK(cuDevicePrimaryCtxSetFlags(0, 3)),
    ASK(cuDevicePrimaryCtxGetState(0, nullptr, w.out)),
    ASK(cuDevicePrimaryCtxGetState(0, w.out, nullptr)),
    ASK(cuDevicePrimaryCtxGetState(1000, w.out, w.out)),
    ASK(cuDevicePrimaryCtxReset(0)),
    ASK(cuDevicePrimaryCtxReset(1000)),
    ASK_AS("flags of a primary context that is active",
           {
             cuDevicePrimaryCtxRetain(w.out, 0);
             int answer = cuDevicePrimaryCtxSetFlags(0, CU_CTX_SCHED_SPIN);
             cuDevicePrimaryCtxRelease(0);
             cuDevicePrimaryCtxSetFlags(0, 0);
             return answer;
           }),
    ASK_AS("cuCtxDestroy of a primary context",
           {
             CUcontext primary;
             cuDevicePrimaryCtxRetain(&primary, 0);
             int answer = cuCtxDestroy(primary);
             cuDevicePrimaryCtxRelease(0);
             return answer;
           }),

    ASK(cuCtxCreate(nullptr, 0, 0)),
    ASK(cuCtxCreate(w.out, 0, -1)),
    ASK(cuCtxCreate(w.out, 0, 1000)),
    ASK(cuCtxCreate(w.out, 0xffffff00, 0)),
    ASK(cuCtxCreate(w.out, 3, 0)),
    ASK(cuCtxCreate(w.out, 0x20, 0) ? 1 : (cuCtxPopCurrent(nullptr), 0)),
    ASK(cuCtxDestroy(nullptr)),
    ASK(cuCtxDestroy(w.dead_context)),
    ASK(cuCtxDestroy(w.zeros)),
    ASK(cuCtxDestroy(w.wild)),
    ASK(cuCtxPushCurrent(nullptr)),
    ASK(cuCtxPushCurrent(w.dead_context)),
    ASK_AS("cuCtxPushCurrent of zeros, then cuCtxGetDevice",
           {
             if (CUresult pushed = cuCtxPushCurrent(w.zeros))
               return pushed;
             return cuCtxGetDevice(w.out);
           }),
    ASK_AS("cuCtxSetCurrent of zeros, then cuCtxGetDevice",
           {
             if (CUresult set = cuCtxSetCurrent(w.zeros))
               return set;
             return cuCtxGetDevice(w.out);
           }),
    ASK_AS("cuCtxPopCurrent with nothing on the stack",
           { return without_context([&] { return cuCtxPopCurrent(w.out); }); }),
    ASK_AS("cuCtxSetCurrent(nullptr) with nothing on the stack",
           { return without_context([&] { return cuCtxSetCurrent(nullptr); }); }),
    ASK_AS("cuCtxGetCurrent without a context",
           { return without_context([&] { return cuCtxGetCurrent(w.out); }); }),
    ASK_AS("cuCtxGetDevice without a context",
           { return without_context([&] { return cuCtxGetDevice(w.out); }); }),
    ASK_AS("cuCtxSynchronize without a context",
           { return without_context([] { return cuCtxSynchronize(); }); }),
    ASK_AS("cuStreamSynchronize of a stream without a context",
           { return without_context([&] { return cuStreamSynchronize(w.stream); }); }),
    ASK_AS("cuStreamQuery of a stream without a context",
           { return without_context([&] { return cuStreamQuery(w.stream); }); }),
    ASK_AS("cuStreamSynchronize(nullptr) without a context",
           { return without_context([&] { return cuStreamSynchronize(nullptr); }); }),
    ASK_AS("cuEventRecord without a context",
           { return without_context([&] { return cuEventRecord(w.event, w.stream); }); }),
    ASK_AS("cuEventQuery without a context",
           { return without_context([&] { return cuEventQuery(w.event); }); }),
    ASK_AS("cuEventSynchronize without a context",
           { return without_context([&] { return cuEventSynchronize(w.event); }); }),
    ASK_AS("cuEventElapsedTime without a context",
           { return without_context([&] { return cuEventElapsedTime(w.out, w.event, w.event); }); }),
    ASK_AS("cuEventDestroy without a context",
           {
             CUevent event;
             cuEventCreate(&event, 0);
             return without_context([&] { return cuEventDestroy(event); });
           }),
    ASK_AS("cuStreamDestroy without a context",
           {
             CUstream stream;
             cuStreamCreate(&stream, 0);
             return without_context([&] { return cuStreamDestroy(stream); });
           }),
    ASK_AS("cuStreamWaitEvent without a context",
           { return without_context([&] { return cuStreamWaitEvent(w.stream, w.event, 0); }); }),
    ASK_AS("cuLaunchKernel in a stream without a context",
           {
             return without_context(
                 [&] { return cuLaunchKernel(w.nothing, 1, 1, 1, 1, 1, 1, 0, w.stream, nullptr, nullptr); });
           }),
    ASK_AS("cuFuncGetAttribute without a context",
           {
             return without_context(
                 [&] { return cuFuncGetAttribute(w.out, CU_FUNC_ATTRIBUTE_NUM_REGS, w.ramp); });
           }),
    ASK_AS("cuModuleGetFunction without a context",
           { return without_context([&] { return cuModuleGetFunction(w.out, w.module, "ramp"); }); }),
    ASK_AS(
        "cuModuleGetGlobal without a context",
        { return without_context([&] { return cuModuleGetGlobal(w.out, nullptr, w.module, "counter"); }); }),
    ASK_AS("cuModuleUnload without a context",
           {
             CUmodule module;
             cuModuleLoadData(
                 &module, ".version 6.0\n.target sm_30\n.address_size 64\n.visible .entry k() { ret; }\n");
             int answer = without_context([&] { return cuModuleUnload(module); });
             if (answer)
               cuModuleUnload(module);
             return answer;
           }),
    ASK_AS("cuMemFree without a context",
           {
             CUdeviceptr address;
             cuMemAlloc(&address, 16);
             int answer = without_context([&] { return cuMemFree(address); });
             if (answer)
               cuMemFree(address);
             return answer;
           }),
    ASK_AS("cuMemFree(0) without a context", { return without_context([] { return cuMemFree(0); }); }),
    ASK_AS("cuMemFreeHost without a context",
           {
             void* address;
             cuMemAllocHost(&address, 16);
             int answer = without_context([&] { return cuMemFreeHost(address); });
             if (answer)
               cuMemFreeHost(address);
             return answer;
           }),
    ASK_AS("cuMemAlloc without a context",
           { return without_context([&] { return cuMemAlloc(w.out, 16); }); }),
    ASK_AS("cuMemGetInfo without a context",
           { return without_context([&] { return cuMemGetInfo(w.out, w.out); }); }),
    ASK_AS("cuMemcpyDtoH without a context",
           { return without_context([&] { return cuMemcpyDtoH(w.out, w.memory, 16); }); }),
    ASK_AS("cuPointerGetAttribute without a context",
           {
             return without_context(
                 [&] { return cuPointerGetAttribute(w.out, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, w.memory); });
           }),
    ASK_AS("cuMemGetAddressRange without a context",
           { return without_context([&] { return cuMemGetAddressRange(w.out, nullptr, w.memory); }); }),
    ASK_AS("cuMemHostGetFlags without a context",
           { return without_context([&] { return cuMemHostGetFlags(w.out, w.pinned); }); }),
    ASK(cuCtxGetCurrent(nullptr)),
    ASK(cuCtxGetDevice(nullptr)),
    ASK(cuCtxGetFlags(nullptr)),
    ASK(cuCtxSetLimit(static_cast<CUlimit>(99), 1)),
    ASK(cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 0)),
    ASK(cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 1 << 30)),
    ASK(cuCtxSetLimit(CU_LIMIT_PRINTF_FIFO_SIZE, 0)),
    ASK(cuCtxSetLimit(CU_LIMIT_MALLOC_HEAP_SIZE, 0)),
    ASK(cuCtxGetLimit(nullptr, CU_LIMIT_STACK_SIZE)),
    ASK(cuCtxGetLimit(w.out, static_cast<CUlimit>(99))),
    ASK(cuCtxGetLimit(w.out, CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH)),
    ASK(cuCtxGetLimit(w.out, CU_LIMIT_DEV_RUNTIME_PENDING_LAUNCH_COUNT)),
    ASK(cuCtxGetLimit(w.out, CU_LIMIT_MAX_L2_FETCH_GRANULARITY)),
    ASK(cuCtxSetLimit(CU_LIMIT_MAX_L2_FETCH_GRANULARITY, 64)),
    ASK_AS("the stack limit after 1000 was asked for",
           {
             cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 1000);
             size_t value = 0;
             cuCtxGetLimit(&value, CU_LIMIT_STACK_SIZE);
             cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 1024);
             return static_cast<int>(value);
           }),
    ASK_AS("the stack limit at first",
           {
             size_t value = 0;
             cuCtxGetLimit(&value, CU_LIMIT_STACK_SIZE);
             return static_cast<int>(value);
           }),
    ASK_AS("the printf limit at first",
           {
             size_t value = 0;
             cuCtxCreate(w.out, 0, 0);
             cuCtxGetLimit(&value, CU_LIMIT_PRINTF_FIFO_SIZE);
             cuCtxPopCurrent(nullptr);
             return static_cast<int>(value);
           }),
    ASK_AS("the heap limit at first",
           {
             size_t value = 0;
             cuCtxCreate(w.out, 0, 0);
             cuCtxGetLimit(&value, CU_LIMIT_MALLOC_HEAP_SIZE);
             cuCtxPopCurrent(nullptr);
             return static_cast<int>(value);
           }),
    ASK(cuCtxGetCacheConfig(nullptr)),
    ASK(cuCtxSetCacheConfig(static_cast<CUfunc_cache>(99))),
    ASK(cuCtxSetCacheConfig(static_cast<CUfunc_cache>(-1))),
    ASK_AS("the cache preference after it was set",
           {
             CUfunc_cache config;
             cuCtxSetCacheConfig(CU_FUNC_CACHE_PREFER_L1);
             cuCtxGetCacheConfig(&config);
             cuCtxSetCacheConfig(CU_FUNC_CACHE_PREFER_NONE);
             return config;
           }),
    ASK(cuCtxGetSharedMemConfig(nullptr)),
    ASK(cuCtxSetSharedMemConfig(static_cast<CUsharedconfig>(99))),
    ASK_AS("the bank width after it was set",
           {
             CUsharedconfig config;
             cuCtxSetSharedMemConfig(CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE);
             cuCtxGetSharedMemConfig(&config);
             cuCtxSetSharedMemConfig(CU_SHARED_MEM_CONFIG_DEFAULT_BANK_SIZE);
             return config;
           }),
    ASK(cuCtxGetApiVersion(w.context, nullptr)),
    ASK(cuCtxGetApiVersion(nullptr, w.out)),
    ASK(cuCtxGetApiVersion(w.dead_context, w.out)),
    ASK(cuCtxGetApiVersion(w.zeros, w.out)),
    ASK(cuCtxGetApiVersion(w.wild, w.out)),
    ASK(cuCtxGetStreamPriorityRange(nullptr, nullptr)),
    ASK(cuCtxGetStreamPriorityRange(w.out, nullptr)),
    ASK(cuCtxAttach(nullptr, 0)),
    ASK(cuCtxAttach(w.out, 1)),
    ASK_AS("cuCtxAttach, cuCtxDetach",
           {
             if (CUresult attached = cuCtxAttach(w.out, 0))
               return 1000 + attached;
             return cuCtxDetach(w.context);
           }),
    ASK(cuCtxDetach(nullptr)),
    ASK(cuCtxDetach(w.other)),
    ASK(cuCtxDetach(w.dead_context)),
    ASK(cuCtxEnablePeerAccess(nullptr, 0)),
    ASK(cuCtxEnablePeerAccess(w.context, 0)),
    ASK(cuCtxEnablePeerAccess(w.other, 0)),
    ASK(cuCtxEnablePeerAccess(w.other, 1)),
    ASK(cuCtxEnablePeerAccess(w.dead_context, 0)),
    ASK(cuCtxDisablePeerAccess(nullptr)),
    ASK(cuCtxDisablePeerAccess(w.context)),
    ASK(cuCtxDisablePeerAccess(w.other)),
    ASK(cuGetExportTable(nullptr, w.zeros)),
    ASK(cuGetExportTable(w.out, nullptr)),
    ASK(cuGetExportTable(w.out, w.zeros)),
    ASK_AS("cuDevicePrimaryCtxRelease once too often",
           {
             cuDevicePrimaryCtxRetain(w.out, 0);
             cuDevicePrimaryCtxRelease(0);
             return cuDevicePrimaryCtxRelease(0);
           }),
    ASK_AS("cuStreamGetFlags without a context",
           { return without_context([&] { return cuStreamGetFlags(w.stream, w.out); }); }),
    ASK_AS("cuStreamGetCtx without a context",
           { return without_context([&] { return cuStreamGetCtx(w.stream, w.out); }); }),
    ASK_AS("cuStreamIsCapturing without a context",
           { return without_context([&] { return cuStreamIsCapturing(w.stream, w.out); }); }),
    ASK_AS("cuStreamCreate without a context",
           { return without_context([&] { return cuStreamCreate(w.out, 0); }); }),
    ASK_AS("cuEventCreate without a context",
           { return without_context([&] { return cuEventCreate(w.out, 0); }); }),
    ASK_AS("cuModuleLoadData without a context",
           { return without_context([&] { return cuModuleLoadData(w.out, "nonsense"); }); }),
    ASK_AS("cuMemAllocHost without a context",
           { return without_context([&] { return cuMemAllocHost(w.out, 16); }); }),
    ASK_AS("cuMemHostRegister without a context",
           { return without_context([&] { return cuMemHostRegister(w.pageable, 4096, 0); }); }),
    ASK_AS("cuMemHostUnregister without a context",
           {
             cuMemHostRegister(w.pageable, 4096, 0);
             int answer = without_context([&] { return cuMemHostUnregister(w.pageable); });
             if (answer)
               cuMemHostUnregister(w.pageable);
             return answer;
           }),
    ASK_AS("cuMemHostGetDevicePointer without a context",
           { return without_context([&] { return cuMemHostGetDevicePointer(w.out, w.pinned, 0); }); }),
    ASK_AS("cuPointerGetAttributes without a context",
           {
             auto attribute = CU_POINTER_ATTRIBUTE_MEMORY_TYPE;
             void* value = w.out;
             return without_context([&] { return cuPointerGetAttributes(1, &attribute, &value, w.memory); });
           }),
    ASK_AS("cuPointerSetAttribute without a context",
           {
             unsigned on = 0;
             return without_context(
                 [&] { return cuPointerSetAttribute(&on, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, w.memory); });
           }),
    ASK_AS(
        "cuMemcpyHtoDAsync in a stream without a context",
        { return without_context([&] { return cuMemcpyHtoDAsync(w.memory, w.pageable, 16, w.stream); }); }),
    ASK_AS("cuMemcpyAsync in a stream without a context",
           { return without_context([&] { return cuMemcpyAsync(w.memory, w.memory + 64, 16, w.stream); }); }),
    ASK_AS("cuMemcpy without a context",
           { return without_context([&] { return cuMemcpy(w.memory, w.memory + 64, 16); }); }),
    ASK_AS("cuMemcpy2D without a context", { return without_context([&] { return cuMemcpy2D(nullptr); }); }),
    ASK_AS("cuMemsetD8Async in a stream without a context",
           { return without_context([&] { return cuMemsetD8Async(w.memory, 1, 16, w.stream); }); }),
    ASK_AS("cuMemPrefetchAsync in a stream without a context",
           { return without_context([&] { return cuMemPrefetchAsync(w.managed, 4096, 0, w.stream); }); }),
    ASK_AS("cuMemAdvise without a context",
           {
             return without_context(
                 [&] { return cuMemAdvise(w.managed, 4096, CU_MEM_ADVISE_UNSET_READ_MOSTLY, 0); });
           }),
    ASK_AS("cuLaunchHostFunc in a stream without a context",
           {
             return without_context([&] {
               return cuLaunchHostFunc(
                   w.stream, [](void*) {}, nullptr);
             });
           }),
    ASK_AS(
        "cuFuncSetCacheConfig without a context",
        { return without_context([&] { return cuFuncSetCacheConfig(w.ramp, CU_FUNC_CACHE_PREFER_NONE); }); }),
    ASK_AS("cuFuncSetAttribute without a context",
           {
             return without_context([&] {
               return cuFuncSetAttribute(w.ramp, CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, -1);
             });
           }),
    ASK_AS("cuOccupancyMaxActiveBlocksPerMultiprocessor without a context",
           {
             return without_context(
                 [&] { return cuOccupancyMaxActiveBlocksPerMultiprocessor(w.out, w.ramp, 32, 0); });
           }),
    ASK_AS("cuOccupancyMaxPotentialBlockSize without a context",
           {
             return without_context(
                 [&] { return cuOccupancyMaxPotentialBlockSize(w.out, w.out, w.ramp, nullptr, 0, 0); });
           }),
    ASK_AS("cuLinkCreate without a context",
           { return without_context([&] { return cuLinkCreate(0, nullptr, nullptr, w.out); }); }),
    ASK_AS("cuImportExternalMemory without a context",
           { return without_context([&] { return cuImportExternalMemory(w.out, w.zeros); }); }),
    ASK_AS("cuFuncSetBlockShape without a context",
           { return without_context([&] { return cuFuncSetBlockShape(w.nothing, 1, 1, 1); }); }),
    ASK_AS("cuLaunchGrid without a context",
           { return without_context([&] { return cuLaunchGrid(w.nothing, 1, 1); }); }),
    ASK_AS("cuCtxGetApiVersion of a context without a current one",
           { return without_context([&] { return cuCtxGetApiVersion(w.context, w.out); }); }),
    ASK_AS("cuCtxGetStreamPriorityRange without a context",
           { return without_context([&] { return cuCtxGetStreamPriorityRange(w.out, w.out); }); }),
    ASK_AS("cuStreamSynchronize(CU_STREAM_PER_THREAD) without a context",
           { return without_context([&] { return cuStreamSynchronize(CU_STREAM_PER_THREAD); }); }),
    ASK_AS("cuStreamWaitEvent of stream 0 without a context",
           { return without_context([&] { return cuStreamWaitEvent(nullptr, w.event, 0); }); }),
    ASK_AS("cuEventRecord in stream 0 without a context",
           { return without_context([&] { return cuEventRecord(w.event, nullptr); }); }),
    ASK_AS("the context of stream 0's work after another context became current",
           {
             cuCtxPushCurrent(w.other);
             int answer = cuEventRecord(w.event, nullptr);
             cuCtxPopCurrent(nullptr);
             return answer;
           }),
    ASK_AS("cuEventQuery with a destroyed context current",
           {
             CUcontext lower, upper;
             cuCtxCreate(&lower, 0, 0);
             cuCtxCreate(&upper, 0, 0);
             cuCtxDestroy(lower);
             cuCtxDestroy(upper);
             int answer = cuEventQuery(w.event);
             cuCtxPopCurrent(nullptr);
             return answer;
           }),
    ASK_AS("the stack limit after 1 was asked for",
           {
             cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 1);
             size_t value = 0;
             cuCtxGetLimit(&value, CU_LIMIT_STACK_SIZE);
             cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 1024);
             return static_cast<int>(value);
           }),
    ASK_AS("the stack limit after 0 was asked for",
           {
             cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 0);
             size_t value = 0;
             cuCtxGetLimit(&value, CU_LIMIT_STACK_SIZE);
             cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 1024);
             return static_cast<int>(value);
           }),
    ASK(cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 600 << 10)),
    ASK_AS("cuCtxDestroy of a context further down the stack",
           {
             CUcontext lower, upper;
             cuCtxCreate(&lower, 0, 0);
             cuCtxCreate(&upper, 0, 0);
             CUresult destroyed = cuCtxDestroy(lower);
             cuCtxDestroy(upper);
             CUcontext current = nullptr;
             cuCtxGetCurrent(&current);
             int answer = destroyed ? destroyed : current == lower ? 2000 : current == nullptr ? 2001 : 2002;
             cuCtxPopCurrent(nullptr);
             return answer;
           }),
    ASK_AS("cuMemAlloc with a destroyed context current",
           {
             CUcontext lower, upper;
             cuCtxCreate(&lower, 0, 0);
             cuCtxCreate(&upper, 0, 0);
             cuCtxDestroy(lower);
             cuCtxDestroy(upper);
             int answer = cuMemAlloc(w.out, 16);
             cuCtxPopCurrent(nullptr);
             return answer;
           }),
    ASK_AS("cuCtxPopCurrent of a destroyed context",
           {
             CUcontext lower, upper;
             cuCtxCreate(&lower, 0, 0);
             cuCtxCreate(&upper, 0, 0);
             cuCtxDestroy(lower);
             cuCtxDestroy(upper);
             CUcontext popped = nullptr;
             int answer = cuCtxPopCurrent(&popped);
             return answer ? answer : popped == lower ? 2000 : 2001;
           }),
    ASK_AS("the current context after cuCtxDestroy of the current one",
           {
             CUcontext made, current;
             cuCtxCreate(&made, 0, 0);
             cuCtxDestroy(made);
             cuCtxGetCurrent(&current);
             return current == w.context ? 2000 : current == nullptr ? 2001 : 2002;
           }),
    ASK_AS("the current context after cuCtxSetCurrent(nullptr) over another",
           {
             CUcontext made, current;
             cuCtxCreate(&made, 0, 0);
             cuCtxSetCurrent(nullptr);
             cuCtxGetCurrent(&current);
             cuCtxDestroy(made);
             return current == w.context ? 2000 : current == nullptr ? 2001 : 2002;
           }),
};

} // namespace

std::span<const Question> context_questions() {
  return questions;
}

} // namespace answers
