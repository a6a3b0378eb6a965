// Runs the tests, or skips them all (exit status 77) where there is no GPU.
#include <cstdio>
#include <cuda.h>
#include <gtest/gtest.h>

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (CUresult result = cuInit(0); result == CUDA_ERROR_NO_DEVICE) {
    std::puts("skipped: no GPU");
    return 77;
  }
  return RUN_ALL_TESTS();
}
