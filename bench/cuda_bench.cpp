// The host cost of the calls that programs make every frame, on whatever libcuda.so.1 is found.
#include <cstdio>
#include <cstdlib>

#include <benchmark/benchmark.h>
#include <cuda.h>

#include "batch.hpp"
#include "exporter.hpp"

namespace {

constexpr auto timeline_fd = static_cast<CUexternalSemaphoreHandleType>(9);

constexpr const char* empty_kernel = R"(
.version 6.4
.target sm_61
.address_size 64
.visible .entry empty() { ret; }
)";

struct Cuda {
  CUcontext context;
  CUmodule module;
  CUfunction empty;
  CUstream stream;
  bench::Exporter exporter;

  Cuda() {
    CUdevice device;
    BENCH_REQUIRE(cuInit(0));
    BENCH_REQUIRE(cuDeviceGet(&device, 0));
    BENCH_REQUIRE(cuCtxCreate(&context, 0, device));
    BENCH_REQUIRE(cuModuleLoadData(&module, empty_kernel));
    BENCH_REQUIRE(cuModuleGetFunction(&empty, module, "empty"));
    BENCH_REQUIRE(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    launch();
    drain();
  }
  ~Cuda() {
    cuStreamDestroy(stream);
    cuModuleUnload(module);
    cuCtxDestroy(context);
  }

  void launch() { BENCH_REQUIRE(cuLaunchKernel(empty, 1, 1, 1, 1, 1, 1, 0, stream, nullptr, nullptr)); }
  void drain() { BENCH_REQUIRE(cuStreamSynchronize(stream)); }
};

Cuda& cuda() {
  static Cuda instance;
  return instance;
}

void launch_enqueue(benchmark::State& state) {
  bench::time_batches(
      state, [] { cuda().launch(); }, [] { cuda().drain(); });
}

void launch_and_synchronize(benchmark::State& state) {
  cuda();
  for (auto _ : state) {
    cuda().launch();
    cuda().drain();
  }
}

void event_record(benchmark::State& state) {
  CUevent event;
  cuda();
  BENCH_REQUIRE(cuEventCreate(&event, CU_EVENT_DEFAULT));
  bench::time_batches(
      state, [&] { BENCH_REQUIRE(cuEventRecord(event, cuda().stream)); }, [] { cuda().drain(); });
  cuEventDestroy(event);
}

void import_map_free_destroy(benchmark::State& state) {
  cuda();
  for (auto _ : state) {
    state.PauseTiming();
    CUDA_EXTERNAL_MEMORY_HANDLE_DESC description = {};
    description.type = CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD;
    description.handle.fd = cuda().exporter.export_buffer();
    description.size = bench::Exporter::buffer_bytes;
    CUDA_EXTERNAL_MEMORY_BUFFER_DESC mapping = {};
    mapping.size = bench::Exporter::buffer_bytes;
    state.ResumeTiming();
    CUexternalMemory memory;
    CUdeviceptr pointer;
    BENCH_REQUIRE(cuImportExternalMemory(&memory, &description));
    BENCH_REQUIRE(cuExternalMemoryGetMappedBuffer(&pointer, memory, &mapping));
    BENCH_REQUIRE(cuMemFree(pointer));
    BENCH_REQUIRE(cuDestroyExternalMemory(memory));
  }
}

struct Timeline {
  CUexternalSemaphore semaphore;
  std::uint64_t value = 0;

  explicit Timeline(int fd) {
    CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC description = {};
    description.type = timeline_fd;
    description.handle.fd = fd;
    BENCH_REQUIRE(cuImportExternalSemaphore(&semaphore, &description));
  }

  void signal() {
    CUDA_EXTERNAL_SEMAPHORE_SIGNAL_PARAMS parameters = {};
    parameters.params.fence.value = ++value;
    BENCH_REQUIRE(cuSignalExternalSemaphoresAsync(&semaphore, &parameters, 1, cuda().stream));
  }
  void wait() {
    CUDA_EXTERNAL_SEMAPHORE_WAIT_PARAMS parameters = {};
    parameters.params.fence.value = value;
    BENCH_REQUIRE(cuWaitExternalSemaphoresAsync(&semaphore, &parameters, 1, cuda().stream));
  }
};

// Of each one for the whole program, because their values only grow.
Timeline& timeline() {
  static Timeline instance(cuda().exporter.export_syncobj());
  return instance;
}
Timeline& gate() {
  static Timeline instance(cuda().exporter.export_gate());
  return instance;
}

// In a stream that waits, so that nothing is due before the batch is in.
void signal_enqueue(benchmark::State& state) {
  timeline();
  bench::time_batches(
      state,
      [] {
        ++gate().value;
        gate().wait();
      },
      [] { timeline().signal(); },
      [] {
        cuda().exporter.open_gate(gate().value);
        cuda().exporter.wait_for(timeline().value);
      });
  cuda().drain();
}

// For a value that has been reached.
void wait_enqueue(benchmark::State& state) {
  timeline().signal();
  cuda().exporter.wait_for(timeline().value);
  bench::time_batches(
      state, [] { timeline().wait(); }, [] { cuda().drain(); });
}

BENCHMARK(launch_enqueue)->UseManualTime()->Iterations(bench::batches);
BENCHMARK(launch_and_synchronize)->UseRealTime();
BENCHMARK(event_record)->UseManualTime()->Iterations(bench::batches);
BENCHMARK(import_map_free_destroy)->UseRealTime();
BENCHMARK(signal_enqueue)->UseManualTime()->Iterations(bench::batches);
BENCHMARK(wait_enqueue)->UseManualTime()->Iterations(bench::batches);

} // namespace

BENCHMARK_MAIN();
