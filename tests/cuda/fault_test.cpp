// A kernel that goes wrong spoils its context. Each test runs in a process of its own: nothing works
// afterwards.
#include <cstdlib>
#include <unistd.h>

#include "fixture.hpp"
#include "kernels.hpp"

namespace {

class FaultDeathTest : public testing::Test {
protected:
  // Launches a store to an address that nobody allocated, and returns what the next synchronization says.
  static CUresult write_nowhere() {
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    CUcontext context = nullptr;
    CUmodule module = nullptr;
    CUfunction ramp = nullptr;
    EXPECT_OK(cuInit(0));
    EXPECT_OK(cuCtxCreate(&context, 0, 0));
    EXPECT_OK(cuModuleLoadData(&module, cuda_test::kernels_ptx));
    EXPECT_OK(cuModuleGetFunction(&ramp, module, "ramp"));
    CUdeviceptr out = 0x10000;
    unsigned scale = 1, offset = 0, count = 32;
    void* parameters[] = {&out, &scale, &offset, &count};
    EXPECT_OK(cuLaunchKernel(ramp, 1, 1, 1, 32, 1, 1, 0, nullptr, parameters, nullptr));
    return cuCtxSynchronize();
  }
  void SetUp() override { testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

[[noreturn]] void leave() {
  _exit(testing::Test::HasFailure() ? 1 : 0);
}

TEST_F(FaultDeathTest, illegal_address_is_reported_and_sticks) {
  EXPECT_EXIT(
      {
        EXPECT_CUDA(CUDA_ERROR_ILLEGAL_ADDRESS, write_nowhere());
        CUdeviceptr address = 0;
        EXPECT_CUDA(CUDA_ERROR_ILLEGAL_ADDRESS, cuMemAlloc(&address, 16));
        EXPECT_CUDA(CUDA_ERROR_ILLEGAL_ADDRESS, cuStreamQuery(nullptr));
        EXPECT_CUDA(CUDA_ERROR_ILLEGAL_ADDRESS, cuCtxSynchronize());
        leave();
      },
      testing::ExitedWithCode(0), "");
}

TEST_F(FaultDeathTest, context_can_still_be_destroyed) {
  EXPECT_EXIT(
      {
        EXPECT_CUDA(CUDA_ERROR_ILLEGAL_ADDRESS, write_nowhere());
        CUcontext context = nullptr;
        EXPECT_OK(cuCtxGetCurrent(&context));
        EXPECT_OK(cuCtxDestroy(context));
        leave();
      },
      testing::ExitedWithCode(0), "");
}

TEST_F(FaultDeathTest, process_ends_in_peace) {
  EXPECT_EXIT(
      {
        EXPECT_CUDA(CUDA_ERROR_ILLEGAL_ADDRESS, write_nowhere());
        std::exit(testing::Test::HasFailure() ? 1 : 0);
      },
      testing::ExitedWithCode(0), "");
}

} // namespace
