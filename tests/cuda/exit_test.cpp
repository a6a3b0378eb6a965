// How processes end: with work under way, with threads inside the driver, with calls after main().
#include <chrono>
#include <cstdlib>
#include <thread>
#include <unistd.h>

#include "fixture.hpp"

namespace {

// Destroyed after the driver has ended: it is older.
struct LateCaller {
  ~LateCaller() {
    CUdeviceptr address = 0;
    if (armed && cuMemAlloc(&address, 16) != CUDA_ERROR_DEINITIALIZED)
      _exit(2);
  }
  static inline bool armed = false;
} late_caller;

class ExitDeathTest : public testing::Test {
protected:
  void SetUp() override { testing::FLAGS_gtest_death_test_style = "threadsafe"; }
  static void start() {
    EXPECT_OK(cuInit(0));
    CUcontext context = nullptr;
    EXPECT_OK(cuCtxCreate(&context, 0, 0));
  }
  [[noreturn]] static void leave() { std::exit(testing::Test::HasFailure() ? 1 : 0); }
};

TEST_F(ExitDeathTest, nothing_was_destroyed) {
  EXPECT_EXIT(
      {
        start();
        CUstream stream = nullptr;
        CUdeviceptr address = 0;
        EXPECT_OK(cuStreamCreate(&stream, 0));
        EXPECT_OK(cuMemAlloc(&address, 64 << 20));
        for (int i = 0; i < 20; ++i) {
          EXPECT_OK(cuMemsetD8Async(address, 1, 64 << 20, stream)); // still runs when the process ends
        }
        leave();
      },
      testing::ExitedWithCode(0), "");
}

TEST_F(ExitDeathTest, a_thread_waits_for_work_that_never_ends) {
  EXPECT_EXIT(
      {
        start();
        CUcontext context = nullptr;
        EXPECT_OK(cuCtxGetCurrent(&context));
        auto* gate = new cuda_test::Gate(nullptr); // never opened
        std::thread([=] {
          cuCtxSetCurrent(context);
          cuCtxSynchronize();
          static_cast<void>(gate);
        }).detach();
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        leave();
      },
      testing::ExitedWithCode(0), "");
}

TEST_F(ExitDeathTest, calls_after_main_are_refused_without_a_word) {
  EXPECT_EXIT(
      {
        LateCaller::armed = true;
        start();
        leave();
      },
      testing::ExitedWithCode(0), "^$");
}

} // namespace
