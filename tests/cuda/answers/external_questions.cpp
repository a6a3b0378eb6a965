// External memory and semaphores, as far as wrong arguments go.
#include <fcntl.h>
#include <unistd.h>

#include "world.hpp"

namespace answers {

namespace {

template <class Change>
int import_memory(World& w, Change change) {
  int fd = open("/dev/null", O_RDWR);
  CUDA_EXTERNAL_MEMORY_HANDLE_DESC descriptor{};
  descriptor.type = CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD;
  descriptor.handle.fd = fd;
  descriptor.size = 4096;
  change(descriptor);
  int answer = cuImportExternalMemory(w.out, &descriptor);
  close(fd);
  return answer;
}

template <class Change>
int import_semaphore(World& w, Change change) {
  int fd = open("/dev/null", O_RDWR);
  CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC descriptor{};
  descriptor.type = CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_FD;
  descriptor.handle.fd = fd;
  change(descriptor);
  int answer = cuImportExternalSemaphore(w.out, &descriptor);
  close(fd);
  return answer;
}

int memory_type(World& w, unsigned type) {
  return import_memory(w, [&](CUDA_EXTERNAL_MEMORY_HANDLE_DESC& d) {
    d.type = static_cast<CUexternalMemoryHandleType>(type);
  });
}

int semaphore_type(World& w, unsigned type) {
  return import_semaphore(w, [&](CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC& d) {
    d.type = static_cast<CUexternalSemaphoreHandleType>(type);
  });
}

// Signals (or waits for) one semaphore that is none.
int signal(World& w, AnyPointer semaphore, unsigned flags = 0) {
  CUexternalSemaphore handle = semaphore;
  CUDA_EXTERNAL_SEMAPHORE_SIGNAL_PARAMS parameters{};
  parameters.flags = flags;
  return cuSignalExternalSemaphoresAsync(&handle, &parameters, 1, w.stream);
}

int wait(World& w, AnyPointer semaphore, unsigned flags = 0) {
  CUexternalSemaphore handle = semaphore;
  CUDA_EXTERNAL_SEMAPHORE_WAIT_PARAMS parameters{};
  parameters.flags = flags;
  return cuWaitExternalSemaphoresAsync(&handle, &parameters, 1, w.stream);
}

int map(World& w, AnyPointer memory) {
  CUDA_EXTERNAL_MEMORY_BUFFER_DESC descriptor{};
  descriptor.size = 4096;
  return cuExternalMemoryGetMappedBuffer(w.out, memory, &descriptor);
}

constexpr AnyPointer null = {nullptr};

const Question questions[] = {
    ASK(cuImportExternalMemory(nullptr, w.zeros)),
    ASK(cuImportExternalMemory(w.out, nullptr)),
    ASK(cuImportExternalMemory(w.out, w.zeros)),
    ASK(memory_type(w, 0)),
    ASK(memory_type(w, 1)),
    ASK(memory_type(w, 2)),
    ASK(memory_type(w, 3)),
    ASK(memory_type(w, 4)),
    ASK(memory_type(w, 5)),
    ASK(memory_type(w, 6)),
    ASK(memory_type(w, 7)),
    ASK(memory_type(w, 8)),
    ASK(memory_type(w, 9)),
    ASK(memory_type(w, 100)),
    ASK_AS("type 5 with the flag DEDICATED",
           {
             return import_memory(w, [](CUDA_EXTERNAL_MEMORY_HANDLE_DESC& d) {
               d.type = CU_EXTERNAL_MEMORY_HANDLE_TYPE_D3D12_RESOURCE;
               d.flags = CUDA_EXTERNAL_MEMORY_DEDICATED;
             });
           }),
    ASK_AS("type 2 of size 0",
           {
             return import_memory(w, [](CUDA_EXTERNAL_MEMORY_HANDLE_DESC& d) {
               d.type = CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_WIN32;
               d.size = 0;
             });
           }),
    ASK_AS("type 2 with unknown flags",
           {
             return import_memory(w, [](CUDA_EXTERNAL_MEMORY_HANDLE_DESC& d) {
               d.type = CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_WIN32;
               d.flags = 8;
             });
           }),
    ASK_AS("memory of size 0",
           { return import_memory(w, [](CUDA_EXTERNAL_MEMORY_HANDLE_DESC& d) { d.size = 0; }); }),
    ASK_AS("memory with unknown flags",
           { return import_memory(w, [](CUDA_EXTERNAL_MEMORY_HANDLE_DESC& d) { d.flags = 2; }); }),
    ASK_AS("memory with a reserved word",
           { return import_memory(w, [](CUDA_EXTERNAL_MEMORY_HANDLE_DESC& d) { d.reserved[15] = 2; }); }),
    ASK_AS("memory behind a closed descriptor",
           { return import_memory(w, [](CUDA_EXTERNAL_MEMORY_HANDLE_DESC& d) { d.handle.fd = 1000; }); }),
    ASK_AS("memory behind descriptor -1",
           { return import_memory(w, [](CUDA_EXTERNAL_MEMORY_HANDLE_DESC& d) { d.handle.fd = -1; }); }),
    ASK(map(w, null)),
    ASK(map(w, w.zeros)),
    ASK(map(w, w.wild)),
    ASK(cuDestroyExternalMemory(nullptr)),
    ASK(cuDestroyExternalMemory(w.zeros)),
    ASK(cuExternalMemoryGetMappedMipmappedArray(w.out, nullptr, w.zeros)),
    ASK(cuImportExternalSemaphore(nullptr, w.zeros)),
    ASK(cuImportExternalSemaphore(w.out, nullptr)),
    ASK(cuImportExternalSemaphore(w.out, w.zeros)),
    ASK(semaphore_type(w, 1)),
    ASK(semaphore_type(w, 2)),
    ASK(semaphore_type(w, 3)),
    ASK(semaphore_type(w, 4)),
    ASK(semaphore_type(w, 5)),
    ASK(semaphore_type(w, 6)),
    ASK(semaphore_type(w, 7)),
    ASK(semaphore_type(w, 8)),
    ASK(semaphore_type(w, 9)),
    ASK(semaphore_type(w, 10)),
    ASK(semaphore_type(w, 100)),
    ASK_AS("a semaphore with flags",
           { return import_semaphore(w, [](CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC& d) { d.flags = 1; }); }),
    ASK_AS(
        "a semaphore with a reserved word",
        { return import_semaphore(w, [](CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC& d) { d.reserved[0] = 1; }); }),
    ASK_AS("a semaphore behind descriptor -1",
           { return import_semaphore(w, [](CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC& d) { d.handle.fd = -1; }); }),
    ASK(cuDestroyExternalSemaphore(nullptr)),
    ASK(cuDestroyExternalSemaphore(w.zeros)),
    ASK(signal(w, null)),
    ASK(signal(w, w.zeros)),
    ASK(signal(w, null, 0x10)),
    ASK(wait(w, null)),
    ASK(wait(w, w.zeros)),
    ASK(wait(w, null, 0x10)),
    ASK(cuSignalExternalSemaphoresAsync(nullptr, w.zeros, 1, w.stream)),
    ASK(cuSignalExternalSemaphoresAsync(w.zeros, nullptr, 1, w.stream)),
    ASK(cuSignalExternalSemaphoresAsync(w.zeros, w.zeros, 0, w.stream)),
    ASK(cuSignalExternalSemaphoresAsync(nullptr, nullptr, 0, w.stream)),
    ASK(cuSignalExternalSemaphoresAsync(w.zeros, w.zeros, 0, w.dead_stream)),
    ASK(cuWaitExternalSemaphoresAsync(nullptr, w.zeros, 1, w.stream)),
    ASK(cuWaitExternalSemaphoresAsync(w.zeros, nullptr, 1, w.stream)),
    ASK(cuWaitExternalSemaphoresAsync(w.zeros, w.zeros, 0, w.stream)),
};

} // namespace

std::span<const Question> external_questions() {
  return questions;
}

} // namespace answers
