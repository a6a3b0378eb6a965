// Prints how long cuInit and cuCtxCreate took in this fresh process, in milliseconds.
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include <cuda.h>

#include "batch.hpp"

int main() {
  const auto start = std::chrono::steady_clock::now();
  CUcontext context;
  BENCH_REQUIRE(cuInit(0));
  BENCH_REQUIRE(cuCtxCreate(&context, 0, 0));
  const std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - start;
  std::printf("%.3f\n", elapsed.count());
  cuCtxDestroy(context);
}
