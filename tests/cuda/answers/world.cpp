#include "world.hpp"

#include <cstdio>
#include <cstdlib>
#include <sys/mman.h>

#include "../kernels.hpp"

namespace answers {

namespace {

void need(CUresult result, const char* what) {
  if (result == CUDA_SUCCESS)
    return;
  std::fprintf(stderr, "%s: %d\n", what, static_cast<int>(result));
  std::_Exit(2);
}
#define NEED(call) need(call, #call)

void* page(int protection) {
  return mmap(nullptr, 1 << 16, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

CUevent recorded(unsigned flags) {
  CUevent event;
  NEED(cuEventCreate(&event, flags));
  NEED(cuEventRecord(event, nullptr));
  NEED(cuEventSynchronize(event));
  return event;
}

} // namespace

World::World() {
  out.address = page(PROT_READ | PROT_WRITE);
  zeros.address = page(PROT_READ);
  wild.address = page(PROT_NONE);
  pageable = static_cast<char*>(page(PROT_READ | PROT_WRITE));
  NEED(cuInit(0));
  NEED(cuCtxCreate(&dead_context, 0, device));
  NEED(cuCtxDestroy(dead_context));
  NEED(cuCtxCreate(&other, 0, device));
  NEED(cuStreamCreate(&other_stream, 0));
  other_event = recorded(0);
  CUmodule other_module;
  NEED(cuModuleLoadData(&other_module, cuda_test::kernels_ptx));
  NEED(cuModuleGetFunction(&other_ramp, other_module, "ramp"));
  NEED(cuCtxPopCurrent(nullptr));
  NEED(cuCtxCreate(&context, 0, device));
  NEED(cuStreamCreate(&dead_stream, 0));
  NEED(cuStreamDestroy(dead_stream));
  NEED(cuStreamCreate(&stream, 0));
  dead_event = recorded(0);
  NEED(cuEventDestroy(dead_event));
  event = recorded(0);
  untimed = recorded(CU_EVENT_DISABLE_TIMING);
  NEED(cuEventCreate(&fresh, 0));
  NEED(cuModuleLoadData(&dead_module, cuda_test::kernels_ptx));
  NEED(cuModuleGetFunction(&dead_function, dead_module, "ramp"));
  NEED(cuModuleUnload(dead_module));
  NEED(cuModuleLoadData(&module, cuda_test::kernels_ptx));
  NEED(cuModuleGetFunction(&ramp, module, "ramp"));
  NEED(cuModuleGetFunction(&sum, module, "sum"));
  NEED(cuModuleGetFunction(&nothing, module, "nothing"));
  NEED(cuModuleGetFunction(&small_blocks, module, "small_blocks"));
  NEED(cuModuleGetGlobal(&variable, nullptr, module, "counter"));
  NEED(cuMemAlloc(&memory, 1 << 16));
  NEED(cuMemAlloc(&dead_memory, 1 << 24));
  NEED(cuMemFree(dead_memory));
  NEED(cuMemAllocManaged(&managed, 4096, CU_MEM_ATTACH_GLOBAL));
  NEED(cuMemAllocHost(&pinned, 4096));
}

} // namespace answers
