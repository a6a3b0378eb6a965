// The CUDA half of process_test: another process with descriptors of the first one's Vulkan objects.
//
//   other_process write MEMORY_FD SIZE VALUE TIMELINE_FD
//                                                 fills the memory, then signals 1
//   other_process leave TIMELINE_FD NEVER_FD      ends with a signal to 1 that waits for what never comes
//   other_process abandon TIMELINE_FD             ends with a signal to 1 behind work that never ends
//   other_process quit TIMELINE_FD                ends without any clean-up once it has seen the work behind
//   a
//                                                 signal to 1 done
//   other_process fault TIMELINE_FD BINARY_FD     waits for both, of which nobody signals either, while a
//   kernel
//                                                 goes wrong; a signal to 1 is behind these waits
//   other_process early MEMORY_FD                 calls before there is a context

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

#include <cuda.h>

namespace {

#define CHECK(call)                                                                                          \
  if (CUresult code = (call); code != CUDA_SUCCESS) {                                                        \
    std::fprintf(stderr, "%s answered %d\n", #call, code);                                                   \
    return 1;                                                                                                \
  }

CUresult import_memory(CUexternalMemory* memory, const char* fd, unsigned long long size) {
  CUDA_EXTERNAL_MEMORY_HANDLE_DESC desc{};
  desc.type = CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD;
  desc.handle.fd = std::atoi(fd);
  desc.size = size;
  return cuImportExternalMemory(memory, &desc);
}

CUresult import_timeline(CUexternalSemaphore* semaphore, const char* fd) {
  CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC desc{};
  desc.type = CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_TIMELINE_SEMAPHORE_FD;
  desc.handle.fd = std::atoi(fd);
  return cuImportExternalSemaphore(semaphore, &desc);
}

int open_device() {
  CUcontext context = nullptr;
  CHECK(cuInit(0));
  CHECK(cuCtxCreate(&context, 0, 0));
  return 0;
}

int write(char** arguments) {
  if (open_device() != 0)
    return 1;
  unsigned long long size = std::strtoull(arguments[1], nullptr, 0);
  CUexternalMemory memory = nullptr;
  CHECK(import_memory(&memory, arguments[0], size));
  CUDA_EXTERNAL_MEMORY_BUFFER_DESC all{};
  all.size = size;
  CUdeviceptr address = 0;
  CHECK(cuExternalMemoryGetMappedBuffer(&address, memory, &all));
  CUexternalSemaphore semaphore = nullptr;
  CHECK(import_timeline(&semaphore, arguments[3]));
  CUstream stream = nullptr;
  CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  CHECK(cuMemsetD32Async(address, static_cast<unsigned>(std::atoi(arguments[2])), size / 4, stream));
  CUDA_EXTERNAL_SEMAPHORE_SIGNAL_PARAMS params{};
  params.params.fence.value = 1;
  CHECK(cuSignalExternalSemaphoresAsync(&semaphore, &params, 1, stream));
  CHECK(cuStreamSynchronize(stream));
  return 0;
}

int leave(char** arguments) {
  if (open_device() != 0)
    return 1;
  CUexternalSemaphore signalled = nullptr;
  CUexternalSemaphore never = nullptr;
  CHECK(import_timeline(&signalled, arguments[0]));
  CHECK(import_timeline(&never, arguments[1]));
  CUstream stream = nullptr;
  CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  CUDA_EXTERNAL_SEMAPHORE_WAIT_PARAMS wait{};
  wait.params.fence.value = 1;
  CHECK(cuWaitExternalSemaphoresAsync(&never, &wait, 1, stream));
  CUDA_EXTERNAL_SEMAPHORE_SIGNAL_PARAMS signal{};
  signal.params.fence.value = 1;
  CHECK(cuSignalExternalSemaphoresAsync(&signalled, &signal, 1, stream));
  return cuStreamQuery(stream) == CUDA_ERROR_NOT_READY ? 0 : 1; // and nothing is cleaned up
}

int abandon(char** arguments) {
  if (open_device() != 0)
    return 1;
  CUexternalSemaphore signalled = nullptr;
  CHECK(import_timeline(&signalled, arguments[0]));
  CUstream stream = nullptr;
  CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  CHECK(cuLaunchHostFunc(
      stream, [](void*) { ::pause(); }, nullptr));
  CUDA_EXTERNAL_SEMAPHORE_SIGNAL_PARAMS signal{};
  signal.params.fence.value = 1;
  CHECK(cuSignalExternalSemaphoresAsync(&signalled, &signal, 1, stream));
  return cuStreamQuery(stream) == CUDA_ERROR_NOT_READY ? 0 : 1;
}

int quit(char** arguments) {
  if (open_device() != 0)
    return 1;
  constexpr std::size_t words = 1 << 18;
  CUexternalSemaphore semaphore = nullptr;
  CUdeviceptr memory = 0;
  CUstream stream = nullptr;
  CHECK(import_timeline(&semaphore, arguments[0]));
  CHECK(cuMemAlloc(&memory, words * 4));
  CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  CHECK(cuMemsetD32Async(memory, 1, words, stream));
  CUDA_EXTERNAL_SEMAPHORE_SIGNAL_PARAMS signal{};
  signal.params.fence.value = 1;
  CHECK(cuSignalExternalSemaphoresAsync(&semaphore, &signal, 1, stream));
  CHECK(cuStreamSynchronize(stream));
  ::_exit(0);
}

constexpr const char* wild_store = ".version 6.0\n.target sm_30\n.address_size 64\n"
                                   ".visible .entry wild() { .reg .u64 %a; mov.u64 %a, 16; "
                                   "st.global.u32 [%a], 7; ret; }\n";

int fault(char** arguments) {
  if (open_device() != 0)
    return 1;
  CUexternalSemaphore timeline = nullptr;
  CUexternalSemaphore binary = nullptr;
  CHECK(import_timeline(&timeline, arguments[0]));
  CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC desc{};
  desc.type = CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_FD;
  desc.handle.fd = std::atoi(arguments[1]);
  CHECK(cuImportExternalSemaphore(&binary, &desc));
  CUstream waiting = nullptr;
  CUstream running = nullptr;
  CUmodule module = nullptr;
  CUfunction kernel = nullptr;
  CHECK(cuStreamCreate(&waiting, CU_STREAM_NON_BLOCKING));
  CHECK(cuStreamCreate(&running, CU_STREAM_NON_BLOCKING));
  CHECK(cuModuleLoadData(&module, wild_store));
  CHECK(cuModuleGetFunction(&kernel, module, "wild"));
  CUDA_EXTERNAL_SEMAPHORE_WAIT_PARAMS waits[2] = {};
  waits[0].params.fence.value = 100;
  const CUexternalSemaphore both[2] = {timeline, binary};
  CHECK(cuWaitExternalSemaphoresAsync(both, waits, 2, waiting));
  CUDA_EXTERNAL_SEMAPHORE_SIGNAL_PARAMS signal{};
  signal.params.fence.value = 1;
  CHECK(cuSignalExternalSemaphoresAsync(&timeline, &signal, 1, waiting));
  CHECK(cuLaunchKernel(kernel, 1, 1, 1, 1, 1, 1, 0, running, nullptr, nullptr));
  const CUresult told = cuStreamSynchronize(waiting);
  if (told != CUDA_ERROR_ILLEGAL_ADDRESS || cuStreamQuery(waiting) != told)
    std::fprintf(stderr, "the waiting stream was told %d\n", told);
  CUcontext context = nullptr;
  cuCtxGetCurrent(&context);
  cuCtxDestroy(context);
  ::_exit(told == CUDA_ERROR_ILLEGAL_ADDRESS ? 0 : 1); // the peer is not helped by our end
}

int early(char** arguments) {
  CUexternalMemory memory = nullptr;
  if (import_memory(&memory, arguments[0], 4096) != CUDA_ERROR_NOT_INITIALIZED)
    return 1;
  CHECK(cuInit(0));
  return import_memory(&memory, arguments[0], 4096) == CUDA_ERROR_INVALID_CONTEXT ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
  if (argc == 6 && std::strcmp(argv[1], "write") == 0)
    return write(argv + 2);
  if (argc == 4 && std::strcmp(argv[1], "leave") == 0)
    return leave(argv + 2);
  if (argc == 3 && std::strcmp(argv[1], "abandon") == 0)
    return abandon(argv + 2);
  if (argc == 3 && std::strcmp(argv[1], "quit") == 0)
    return quit(argv + 2);
  if (argc == 4 && std::strcmp(argv[1], "fault") == 0)
    return fault(argv + 2);
  if (argc == 3 && std::strcmp(argv[1], "early") == 0)
    return early(argv + 2);
  return 2;
}
