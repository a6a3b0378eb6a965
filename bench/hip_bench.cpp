// The same calls where Debian's HIP runtime has them. It has no semaphores.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include <benchmark/benchmark.h>
#include <hip/hip_runtime_api.h>

#include "batch.hpp"
#include "empty_code_object.h"
#include "exporter.hpp"

namespace {

struct Hip {
  hipModule_t module;
  hipFunction_t empty;
  hipStream_t stream;
  bench::Exporter exporter;

  Hip() {
    BENCH_REQUIRE(hipInit(0));
    BENCH_REQUIRE(hipModuleLoadData(&module, empty_code_object));
    BENCH_REQUIRE(hipModuleGetFunction(&empty, module, "empty"));
    BENCH_REQUIRE(hipStreamCreateWithFlags(&stream, hipStreamNonBlocking));
    launch();
    drain();
  }

  void launch() {
    BENCH_REQUIRE(hipModuleLaunchKernel(empty, 1, 1, 1, 1, 1, 1, 0, stream, nullptr, nullptr));
  }
  void drain() { BENCH_REQUIRE(hipStreamSynchronize(stream)); }
};

Hip& hip() {
  static Hip& instance = *new Hip; // the runtime tears itself down first
  return instance;
}

void launch_enqueue(benchmark::State& state) {
  bench::time_batches(
      state, [] { hip().launch(); }, [] { hip().drain(); });
}

void launch_and_synchronize(benchmark::State& state) {
  hip();
  for (auto _ : state) {
    hip().launch();
    hip().drain();
  }
}

void event_record(benchmark::State& state) {
  hipEvent_t event;
  hip();
  BENCH_REQUIRE(hipEventCreate(&event));
  bench::time_batches(
      state, [&] { BENCH_REQUIRE(hipEventRecord(event, hip().stream)); }, [] { hip().drain(); });
  BENCH_REQUIRE(hipEventDestroy(event));
}

void import_map_free_destroy(benchmark::State& state) {
  hip();
  for (auto _ : state) {
    state.PauseTiming();
    hipExternalMemoryHandleDesc description = {};
    description.type = hipExternalMemoryHandleTypeOpaqueFd;
    description.handle.fd = hip().exporter.export_buffer();
    description.size = bench::Exporter::buffer_bytes;
    hipExternalMemoryBufferDesc mapping = {};
    mapping.size = bench::Exporter::buffer_bytes;
    state.ResumeTiming();
    hipExternalMemory_t memory;
    void* pointer;
    BENCH_REQUIRE(hipImportExternalMemory(&memory, &description));
    BENCH_REQUIRE(hipExternalMemoryGetMappedBuffer(&pointer, memory, &mapping));
    BENCH_REQUIRE(hipDestroyExternalMemory(memory));
    state.PauseTiming();
    close(description.handle.fd); // HIP leaves it open
    state.ResumeTiming();
  }
}

BENCHMARK(launch_enqueue)->UseManualTime()->Iterations(bench::batches);
BENCHMARK(launch_and_synchronize)->UseRealTime();
BENCHMARK(event_record)->UseManualTime()->Iterations(bench::batches);
BENCHMARK(import_map_free_destroy)->UseRealTime();

} // namespace

BENCHMARK_MAIN();
