#include <thread>

#include "fixture.hpp"

namespace {

class Context : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_OK(cuInit(0));
    CUcontext current = nullptr;
    ASSERT_OK(cuCtxGetCurrent(&current));
    ASSERT_EQ(nullptr, current);
  }
  static CUcontext current() {
    CUcontext context = nullptr;
    EXPECT_OK(cuCtxGetCurrent(&context));
    return context;
  }
  static CUcontext create() {
    CUcontext context = nullptr;
    EXPECT_OK(cuCtxCreate(&context, 0, 0));
    return context;
  }
};

TEST_F(Context, calls_without_one_are_refused) {
  CUdeviceptr address = 0;
  CUstream stream = nullptr;
  CUdevice device = 0;
  EXPECT_CUDA(CUDA_ERROR_INVALID_CONTEXT, cuMemAlloc(&address, 16));
  EXPECT_CUDA(CUDA_ERROR_INVALID_CONTEXT, cuMemAlloc(nullptr, 16));
  EXPECT_CUDA(CUDA_ERROR_INVALID_CONTEXT, cuStreamCreate(&stream, 0));
  EXPECT_CUDA(CUDA_ERROR_INVALID_CONTEXT, cuCtxSynchronize());
  EXPECT_CUDA(CUDA_ERROR_INVALID_CONTEXT, cuCtxGetDevice(&device));
  EXPECT_CUDA(CUDA_ERROR_INVALID_CONTEXT, cuCtxPopCurrent(nullptr));
}

TEST_F(Context, creation_pushes_and_destruction_pops) {
  CUcontext first = create();
  EXPECT_EQ(first, current());
  CUcontext second = create();
  EXPECT_NE(first, second);
  EXPECT_EQ(second, current());
  EXPECT_OK(cuCtxDestroy(second));
  EXPECT_EQ(first, current());
  EXPECT_OK(cuCtxDestroy(first));
  EXPECT_EQ(nullptr, current());
}

TEST_F(Context, stack_is_last_in_first_out) {
  CUcontext first = create(), second = create(), popped = nullptr;
  EXPECT_OK(cuCtxPushCurrent(first));
  EXPECT_EQ(first, current());
  EXPECT_OK(cuCtxPopCurrent(&popped));
  EXPECT_EQ(first, popped);
  EXPECT_OK(cuCtxPopCurrent(&popped));
  EXPECT_EQ(second, popped);
  EXPECT_OK(cuCtxPopCurrent(nullptr));
  EXPECT_EQ(nullptr, current());
  EXPECT_CUDA(CUDA_ERROR_INVALID_CONTEXT, cuCtxPopCurrent(&popped));
  EXPECT_OK(cuCtxDestroy(first));
  EXPECT_OK(cuCtxDestroy(second));
}

TEST_F(Context, set_current_replaces_the_top) {
  CUcontext first = create(), second = create();
  EXPECT_OK(cuCtxSetCurrent(first));
  EXPECT_EQ(first, current());
  EXPECT_OK(cuCtxSetCurrent(nullptr)); // removes the replaced top; below it is the first
  EXPECT_EQ(first, current());
  EXPECT_OK(cuCtxDestroy(second));
  EXPECT_OK(cuCtxDestroy(first));
  EXPECT_EQ(nullptr, current());
}

TEST_F(Context, every_thread_has_its_own_stack) {
  CUcontext context = create();
  std::thread([&] {
    EXPECT_EQ(nullptr, current());
    EXPECT_OK(cuCtxSetCurrent(context));
    CUdeviceptr address = 0;
    EXPECT_OK(cuMemAlloc(&address, 16));
  }).join();
  EXPECT_OK(cuCtxDestroy(context));
}

TEST_F(Context, destroyed_elsewhere_it_stays_current_and_useless) {
  CUcontext context = create();
  std::thread([&] { EXPECT_OK(cuCtxDestroy(context)); }).join();
  EXPECT_EQ(context, current());
  CUdeviceptr address = 0;
  EXPECT_CUDA(CUDA_ERROR_CONTEXT_IS_DESTROYED, cuMemAlloc(&address, 16));
  EXPECT_CUDA(CUDA_ERROR_CONTEXT_IS_DESTROYED, cuCtxSynchronize());
  EXPECT_OK(cuCtxPopCurrent(nullptr));
  EXPECT_EQ(nullptr, current());
}

TEST_F(Context, stale_and_made_up_handles_are_refused) {
  CUcontext context = create();
  EXPECT_OK(cuCtxDestroy(context));
  int local = 0;
  for (CUcontext bad : {context, reinterpret_cast<CUcontext>(0x1234), reinterpret_cast<CUcontext>(&local),
                        reinterpret_cast<CUcontext>(~0ull)}) {
    EXPECT_CUDA(bad == context ? CUDA_ERROR_CONTEXT_IS_DESTROYED : CUDA_ERROR_INVALID_CONTEXT,
                cuCtxDestroy(bad));
    EXPECT_CUDA(CUDA_ERROR_INVALID_CONTEXT, cuCtxPushCurrent(bad));
    EXPECT_CUDA(CUDA_ERROR_INVALID_CONTEXT, cuCtxSetCurrent(bad));
  }
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuCtxDestroy(nullptr));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuCtxPushCurrent(nullptr));
}

TEST_F(Context, flags_are_checked_and_remembered) {
  CUcontext context = nullptr;
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuCtxCreate(&context, 0x80, 0));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuCtxCreate(nullptr, 0, 0));
  EXPECT_CUDA(CUDA_ERROR_INVALID_DEVICE, cuCtxCreate(&context, 0, 99));
  ASSERT_OK(cuCtxCreate(&context, CU_CTX_SCHED_BLOCKING_SYNC | CU_CTX_MAP_HOST, 0));
  unsigned flags = 0;
  EXPECT_OK(cuCtxGetFlags(&flags));
  EXPECT_EQ(CU_CTX_SCHED_BLOCKING_SYNC, flags & CU_CTX_SCHED_MASK);
  EXPECT_OK(cuCtxDestroy(context));
}

TEST_F(Context, destruction_takes_what_was_made_in_it) {
  CUcontext context = create(), other = create();
  EXPECT_OK(cuCtxSetCurrent(context));
  CUstream stream = nullptr;
  CUevent event = nullptr;
  CUdeviceptr address = 0;
  ASSERT_OK(cuStreamCreate(&stream, 0));
  ASSERT_OK(cuEventCreate(&event, 0));
  ASSERT_OK(cuMemAlloc(&address, 4096));
  ASSERT_OK(cuMemsetD8Async(address, 1, 4096, stream));
  EXPECT_OK(cuCtxDestroy(context));
  EXPECT_OK(cuCtxSetCurrent(other));
  EXPECT_CUDA(CUDA_ERROR_INVALID_HANDLE, cuStreamSynchronize(stream));
  EXPECT_CUDA(CUDA_ERROR_INVALID_HANDLE, cuEventQuery(event));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuMemFree(address));
  EXPECT_OK(cuCtxDestroy(other));
  while (current())
    cuCtxPopCurrent(nullptr);
}

TEST_F(Context, primary_one_is_counted) {
  CUcontext first = nullptr, second = nullptr;
  unsigned flags = 99;
  int active = 99;
  EXPECT_OK(cuDevicePrimaryCtxGetState(0, &flags, &active));
  EXPECT_EQ(0, active);
  ASSERT_OK(cuDevicePrimaryCtxRetain(&first, 0));
  ASSERT_OK(cuDevicePrimaryCtxRetain(&second, 0));
  EXPECT_EQ(first, second);
  EXPECT_EQ(nullptr, current()); // retaining makes nothing current
  EXPECT_OK(cuDevicePrimaryCtxGetState(0, &flags, &active));
  EXPECT_EQ(1, active);
  EXPECT_CUDA(CUDA_ERROR_INVALID_CONTEXT, cuCtxDestroy(first));
  EXPECT_OK(cuCtxSetCurrent(first));
  CUdeviceptr address = 0;
  EXPECT_OK(cuMemAlloc(&address, 16));
  EXPECT_OK(cuDevicePrimaryCtxRelease(0));
  EXPECT_OK(cuMemFree(address));
  EXPECT_OK(cuCtxSetCurrent(nullptr));
  EXPECT_OK(cuDevicePrimaryCtxRelease(0));
  EXPECT_OK(cuDevicePrimaryCtxGetState(0, &flags, &active));
  EXPECT_EQ(0, active);
  EXPECT_OK(cuDevicePrimaryCtxRelease(0)); // nobody holds it
}

TEST_F(Context, primary_flags_are_set_before_use) {
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuDevicePrimaryCtxSetFlags(0, 0x100));
  EXPECT_OK(cuDevicePrimaryCtxSetFlags(0, CU_CTX_SCHED_YIELD));
  unsigned flags = 0;
  int active = 0;
  EXPECT_OK(cuDevicePrimaryCtxGetState(0, &flags, &active));
  EXPECT_EQ(CU_CTX_SCHED_YIELD, flags & CU_CTX_SCHED_MASK);
  EXPECT_OK(cuDevicePrimaryCtxSetFlags(0, 0));
}

TEST_F(Context, limits_can_be_read_and_set) {
  CUcontext context = create();
  std::size_t before = 0, after = 0;
  EXPECT_OK(cuCtxGetLimit(&before, CU_LIMIT_STACK_SIZE));
  EXPECT_GE(before, 512u);
  EXPECT_OK(cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 4096));
  EXPECT_OK(cuCtxGetLimit(&after, CU_LIMIT_STACK_SIZE));
  EXPECT_GE(after, 4096u);
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuCtxGetLimit(nullptr, CU_LIMIT_STACK_SIZE));
  EXPECT_NE(CUDA_SUCCESS, cuCtxSetLimit(static_cast<CUlimit>(77), 1));
  EXPECT_OK(cuCtxDestroy(context));
}

TEST_F(Context, attach_and_detach_count) {
  CUcontext context = create(), again = nullptr;
  EXPECT_OK(cuCtxAttach(&again, 0));
  EXPECT_EQ(context, again);
  EXPECT_OK(cuCtxDetach(context));
  EXPECT_OK(cuCtxSynchronize());
  EXPECT_OK(cuCtxDetach(context));
  EXPECT_EQ(nullptr, current());
}

TEST_F(Context, a_hundred_come_and_go) {
  for (int i = 0; i < 100; ++i) {
    CUcontext context = create();
    CUdeviceptr address = 0;
    ASSERT_OK(cuMemAlloc(&address, 1 << 20));
    ASSERT_OK(cuMemsetD8(address, 1, 1 << 20));
    ASSERT_OK(cuCtxDestroy(context));
  }
}

} // namespace
