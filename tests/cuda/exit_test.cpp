// How processes end: with work under way, with threads inside the driver, with calls after main().
#include <chrono>
#include <cstdlib>
#include <thread>
#include <unistd.h>

#include "fixture.hpp"
#include "kernels.hpp"

namespace {

// Destroyed after the driver has ended: it is older.
struct LateCaller {
  ~LateCaller() {
    if (!armed)
      return;
    CUdeviceptr address = 0;
    CUcontext other = nullptr;
    CUevent made_event = nullptr;
    CUstream made_stream = nullptr;
    CUfunction found = nullptr;
    std::uint32_t word = 0;
    int number = 0;
    std::size_t bytes = 0, more = 0;
    const CUresult results[] = {
        cuInit(0),
        cuDeviceGetCount(&number),
        cuDevicePrimaryCtxRetain(&other, 0),
        cuDevicePrimaryCtxRelease(0),
        cuCtxCreate(&other, 0, 0),
        cuCtxSetCurrent(context),
        cuCtxGetCurrent(&other),
        cuCtxPushCurrent(context),
        cuCtxPopCurrent(&other),
        cuCtxSynchronize(),
        cuMemAlloc(&address, 16),
        cuMemGetInfo(&bytes, &more),
        cuMemsetD32(memory, 1, 1),
        cuMemcpyDtoH(&word, memory, sizeof word),
        cuMemcpyHtoDAsync(memory, &word, sizeof word, CU_STREAM_PER_THREAD),
        cuPointerGetAttribute(&number, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, memory),
        cuMemFree(memory),
        cuStreamCreate(&made_stream, 0),
        cuStreamSynchronize(stream),
        cuStreamSynchronize(nullptr),
        cuStreamQuery(CU_STREAM_PER_THREAD),
        cuLaunchHostFunc(
            stream, [](void*) {}, nullptr),
        cuStreamDestroy(stream),
        cuEventCreate(&made_event, 0),
        cuEventRecord(event, stream),
        cuEventSynchronize(event),
        cuEventDestroy(event),
        cuModuleGetFunction(&found, module, "ramp"),
        cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, stream, nullptr, nullptr),
        cuModuleUnload(module),
        cuDestroyExternalMemory(nullptr),
        cuDestroyExternalSemaphore(nullptr),
        cuGraphCreate(nullptr, 0),
        cuCtxDestroy(context),
    };
    int call = 0;
    for (CUresult result : results) {
      ++call;
      if (result != CUDA_ERROR_DEINITIALIZED)
        _exit(call);
    }
  }
  static inline bool armed = false;
  static inline CUcontext context = nullptr;
  static inline CUstream stream = nullptr;
  static inline CUevent event = nullptr;
  static inline CUdeviceptr memory = 0;
  static inline CUmodule module = nullptr;
  static inline CUfunction function = nullptr;
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
        start();
        EXPECT_OK(cuCtxGetCurrent(&LateCaller::context));
        EXPECT_OK(cuStreamCreate(&LateCaller::stream, 0));
        EXPECT_OK(cuEventCreate(&LateCaller::event, 0));
        EXPECT_OK(cuMemAlloc(&LateCaller::memory, 4096));
        EXPECT_OK(cuModuleLoadData(&LateCaller::module, cuda_test::kernels_ptx));
        EXPECT_OK(cuModuleGetFunction(&LateCaller::function, LateCaller::module, "ramp"));
        LateCaller::armed = true;
        leave();
      },
      testing::ExitedWithCode(0), "^$"); // and nothing is said
}

// Behind the destructors of the thread's own objects, before the driver ends.
TEST_F(ExitDeathTest, calls_of_exit_handlers_work) {
  EXPECT_EXIT(
      {
        start();
        for (int i = 0; i < 40; ++i) {
          CUcontext context = nullptr;
          EXPECT_OK(cuCtxGetCurrent(&context));
          EXPECT_OK(cuCtxPushCurrent(context));
        }
        EXPECT_OK(cuMemAlloc(&LateCaller::memory, 4096));
        EXPECT_OK(cuMemsetD32Async(LateCaller::memory, 1, 1024, CU_STREAM_PER_THREAD));
        std::atexit([] {
          CUdeviceptr memory = LateCaller::memory;
          EXPECT_OK(cuMemsetD32Async(memory, 1, 1024, CU_STREAM_PER_THREAD));
          EXPECT_OK(cuStreamSynchronize(CU_STREAM_PER_THREAD));
          CUcontext first = nullptr, popped = nullptr;
          EXPECT_OK(cuCtxGetCurrent(&first));
          for (int i = 0; i < 41; ++i) {
            EXPECT_OK(cuCtxPopCurrent(&popped));
            EXPECT_EQ(first, popped);
          }
          EXPECT_CUDA(CUDA_ERROR_INVALID_CONTEXT, cuCtxPopCurrent(&popped));
          if (testing::Test::HasFailure())
            _exit(1);
        });
        leave();
      },
      testing::ExitedWithCode(0), "");
}

// Its thread_local objects are destroyed after the driver has heard of the thread's end, or before.
TEST_F(ExitDeathTest, calls_of_a_thread_that_ends_work) {
  EXPECT_EXIT(
      {
        start();
        CUcontext context = nullptr;
        EXPECT_OK(cuCtxGetCurrent(&context));
        EXPECT_OK(cuMemAlloc(&LateCaller::memory, 4096));
        for (int i = 0; i < 20; ++i)
          std::thread([=] {
            struct AtThreadEnd {
              ~AtThreadEnd() {
                EXPECT_OK(cuMemsetD32Async(LateCaller::memory, 1, 1024, CU_STREAM_PER_THREAD));
                EXPECT_OK(cuStreamSynchronize(CU_STREAM_PER_THREAD));
                EXPECT_OK(cuCtxPopCurrent(nullptr));
                EXPECT_OK(cuCtxPopCurrent(nullptr));
              }
            };
            thread_local AtThreadEnd older;
            static_cast<void>(older);
            EXPECT_OK(cuCtxPushCurrent(context));
            EXPECT_OK(cuCtxPushCurrent(context));
            EXPECT_OK(cuMemsetD32Async(LateCaller::memory, 1, 1024, CU_STREAM_PER_THREAD));
          }).join();
        leave();
      },
      testing::ExitedWithCode(0), "^$");
}

} // namespace
