#include <thread>

#include "fixture.hpp"
#include "kernels.hpp"

namespace {

class Launch : public cuda_test::CudaTest {
protected:
  void SetUp() override {
    CudaTest::SetUp();
    ASSERT_OK(cuModuleLoadData(&module_, cuda_test::kernels_ptx));
  }
  void TearDown() override {
    if (module_) {
      EXPECT_OK(cuModuleUnload(module_));
    }
    CudaTest::TearDown();
  }
  CUfunction function(const char* name) {
    CUfunction found = nullptr;
    EXPECT_OK(cuModuleGetFunction(&found, module_, name));
    return found;
  }
  std::vector<unsigned> read(CUdeviceptr address, std::size_t count) {
    std::vector<unsigned> values(count);
    EXPECT_OK(cuMemcpyDtoH(values.data(), address, count * 4));
    return values;
  }
  CUmodule module_ = nullptr;
};

TEST_F(Launch, parameters_come_as_an_array_of_pointers) {
  CUfunction ramp = function("ramp");
  unsigned count = 1000, scale = 3, offset = 5;
  CUdeviceptr out = allocate(count * 4);
  ASSERT_OK(cuMemsetD32(out, 0, count));
  void* parameters[] = {&out, &scale, &offset, &count};
  ASSERT_OK(cuLaunchKernel(ramp, 8, 1, 1, 128, 1, 1, 0, nullptr, parameters, nullptr));
  std::vector<unsigned> values = read(out, count);
  for (unsigned i = 0; i < count; ++i)
    ASSERT_EQ(i * 3 + 5, values[i]);
  EXPECT_OK(cuMemFree(out));
}

TEST_F(Launch, parameters_come_packed) {
  CUfunction sum = function("sum");
  CUdeviceptr out = allocate(8);
  struct {
    CUdeviceptr out;
    std::uint8_t a;
    std::uint16_t b;
    std::uint32_t c;
    std::uint64_t d;
  } packed = {out, 200, 60000, 4'000'000'000u, 1'000'000'000'000ull};
  std::size_t size = sizeof(packed);
  void* extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &packed, CU_LAUNCH_PARAM_BUFFER_SIZE, &size,
                   CU_LAUNCH_PARAM_END};
  ASSERT_OK(cuLaunchKernel(sum, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, extra));
  std::uint64_t value = 0;
  EXPECT_OK(cuMemcpyDtoH(&value, out, 8));
  EXPECT_EQ(200ull + 60000 + 4'000'000'000ull + 1'000'000'000'000ull, value);
  size = sizeof(packed) + 1;
  EXPECT_CUDA(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES,
              cuLaunchKernel(sum, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, extra));
  void* unknown[] = {reinterpret_cast<void*>(9), &packed, CU_LAUNCH_PARAM_END};
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(sum, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, unknown));
  EXPECT_OK(cuMemFree(out));
}

TEST_F(Launch, parameters_are_copied_by_the_call) {
  CUfunction ramp = function("ramp");
  CUstream stream = nullptr;
  ASSERT_OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  CUdeviceptr out = allocate(64 * 4);
  unsigned count = 1, scale = 0;
  {
    cuda_test::Gate gate(stream);
    for (unsigned i = 0; i < 64; ++i) {
      CUdeviceptr slot = out + i * 4;
      unsigned offset = i * i;
      void* parameters[] = {&slot, &scale, &offset, &count};
      ASSERT_OK(cuLaunchKernel(ramp, 1, 1, 1, 32, 1, 1, 0, stream, parameters, nullptr));
    }
  }
  ASSERT_OK(cuStreamSynchronize(stream));
  std::vector<unsigned> values = read(out, 64);
  for (unsigned i = 0; i < 64; ++i)
    EXPECT_EQ(i * i, values[i]);
  EXPECT_OK(cuStreamDestroy(stream));
  EXPECT_OK(cuMemFree(out));
}

TEST_F(Launch, every_block_and_thread_knows_its_place) {
  CUfunction places = function("places");
  constexpr unsigned grid[3] = {3, 4, 5}, block[3] = {4, 3, 2}, threads = 24;
  CUdeviceptr out = allocate(60 * threads * 4);
  ASSERT_OK(cuMemsetD32(out, ~0u, 60 * threads));
  void* parameters[] = {&out};
  ASSERT_OK(cuLaunchKernel(places, grid[0], grid[1], grid[2], block[0], block[1], block[2], 0, nullptr,
                           parameters, nullptr));
  std::vector<unsigned> values = read(out, 60 * threads);
  for (unsigned b = 0; b < 60; ++b)
    for (unsigned t = 0; t < threads; ++t)
      ASSERT_EQ(b % 3 | (b / 3 % 4) << 8 | (b / 12) << 16 | (t / 12) << 24, values[b * threads + t])
          << b << " " << t;
  EXPECT_OK(cuMemFree(out));
}

TEST_F(Launch, dynamic_shared_memory) {
  CUfunction reverse = function("reverse");
  CUdeviceptr data = allocate(1024 * 4);
  std::vector<unsigned> values(1024);
  for (unsigned i = 0; i < 1024; ++i)
    values[i] = i;
  ASSERT_OK(cuMemcpyHtoD(data, values.data(), 1024 * 4));
  void* parameters[] = {&data};
  ASSERT_OK(cuLaunchKernel(reverse, 1, 1, 1, 1024, 1, 1, 1024 * 4, nullptr, parameters, nullptr));
  values = read(data, 1024);
  for (unsigned i = 0; i < 1024; ++i)
    ASSERT_EQ(1023 - i, values[i]);
  EXPECT_OK(cuMemFree(data));
}

TEST_F(Launch, module_variables_are_shared_by_launches) {
  CUfunction use = function("use_variables");
  CUdeviceptr out = allocate(4), counter = 0;
  ASSERT_OK(cuModuleGetGlobal(&counter, nullptr, module_, "counter"));
  void* parameters[] = {&out};
  for (unsigned i = 0; i < 3; ++i) {
    ASSERT_OK(cuLaunchKernel(use, 1, 1, 1, 1, 1, 1, 0, nullptr, parameters, nullptr));
    EXPECT_EQ((7 + i) * 100, read(out, 1)[0]);
  }
  unsigned value = 41;
  ASSERT_OK(cuMemcpyHtoD(counter, &value, 4));
  ASSERT_OK(cuLaunchKernel(use, 1, 1, 1, 1, 1, 1, 0, nullptr, parameters, nullptr));
  EXPECT_EQ(4100u, read(out, 1)[0]);
  EXPECT_EQ(42u, read(counter, 1)[0]);
  EXPECT_OK(cuMemFree(out));
}

TEST_F(Launch, shapes_that_cannot_run_are_refused) {
  CUfunction nothing = function("nothing");
  auto shape = [&](unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared) {
    return cuLaunchKernel(nothing, gx, gy, gz, bx, by, bz, shared, nullptr, nullptr, nullptr);
  };
  EXPECT_OK(shape(1, 1, 1, 1024, 1, 1, 0));
  EXPECT_OK(shape(1, 65535, 1, 1, 1, 1, 0));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, shape(0, 1, 1, 1, 1, 1, 0));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, shape(1, 1, 1, 0, 1, 1, 0));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, shape(1, 1, 1, 1025, 1, 1, 0));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, shape(1, 1, 1, 64, 64, 1, 0));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, shape(1, 65536, 1, 1, 1, 1, 0));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, shape(1, 1, 65536, 1, 1, 1, 0));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, shape(1, 1, 1, 1, 1, 1, 1 << 30));
  EXPECT_OK(cuCtxSynchronize());
}

TEST_F(Launch, missing_parameters_and_bad_handles_are_refused) {
  CUfunction ramp = function("ramp");
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(ramp, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr));
  EXPECT_CUDA(CUDA_ERROR_INVALID_HANDLE,
              cuLaunchKernel(nullptr, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr));
  EXPECT_CUDA(CUDA_ERROR_INVALID_HANDLE, cuLaunchKernel(reinterpret_cast<CUfunction>(module_), 1, 1, 1, 1, 1,
                                                        1, 0, nullptr, nullptr, nullptr));
  EXPECT_CUDA(CUDA_ERROR_INVALID_HANDLE, cuLaunchKernel(function("nothing"), 1, 1, 1, 1, 1, 1, 0,
                                                        reinterpret_cast<CUstream>(0x88), nullptr, nullptr));
}

TEST_F(Launch, maxntid_limits_the_block) {
  CUfunction small = function("small_blocks");
  CUdeviceptr out = allocate(4);
  void* parameters[] = {&out};
  EXPECT_OK(cuLaunchKernel(small, 1, 1, 1, 64, 1, 1, 0, nullptr, parameters, nullptr));
  EXPECT_NE(CUDA_SUCCESS, cuLaunchKernel(small, 1, 1, 1, 128, 1, 1, 0, nullptr, parameters, nullptr));
  int threads = 0;
  EXPECT_OK(cuFuncGetAttribute(&threads, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, small));
  EXPECT_EQ(64, threads);
  EXPECT_OK(cuCtxSynchronize());
  EXPECT_OK(cuMemFree(out));
}

TEST_F(Launch, functions_have_attributes) {
  CUfunction ramp = function("ramp");
  int value = -1;
  EXPECT_OK(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_NUM_REGS, ramp));
  EXPECT_GT(value, 0);
  EXPECT_OK(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, ramp));
  EXPECT_EQ(0, value);
  EXPECT_OK(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_PTX_VERSION, ramp));
  EXPECT_EQ(30, value);
  EXPECT_OK(cuFuncSetAttribute(ramp, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 1024));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuFuncSetAttribute(ramp, CU_FUNC_ATTRIBUTE_NUM_REGS, 4));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE,
              cuFuncGetAttribute(&value, static_cast<CUfunction_attribute>(99), ramp));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuFuncGetAttribute(nullptr, CU_FUNC_ATTRIBUTE_NUM_REGS, ramp));
  EXPECT_OK(cuFuncSetCacheConfig(ramp, CU_FUNC_CACHE_PREFER_L1));
}

TEST_F(Launch, occupancy_is_consistent) {
  CUfunction ramp = function("ramp");
  int blocks = 0, more_shared = 0, grid = 0, block = 0, per_processor = 0;
  ASSERT_OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, ramp, 256, 0));
  EXPECT_GT(blocks, 0);
  ASSERT_OK(
      cuDeviceGetAttribute(&per_processor, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR, device_));
  EXPECT_LE(blocks * 256, per_processor);
  ASSERT_OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&more_shared, ramp, 256, 32 * 1024));
  EXPECT_LE(more_shared, blocks);
  for (std::size_t too_much : {std::size_t{1} << 32, ~std::size_t{0} - 100, ~std::size_t{0}}) {
    ASSERT_OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&more_shared, ramp, 256, too_much));
    EXPECT_EQ(more_shared, 0) << too_much;
  }
  ASSERT_OK(cuOccupancyMaxPotentialBlockSize(&grid, &block, ramp, nullptr, 0, 0));
  EXPECT_GT(block, 0);
  EXPECT_GT(grid, 0);
  ASSERT_OK(cuOccupancyMaxPotentialBlockSize(&grid, &block, ramp, nullptr, 0, 96));
  EXPECT_LE(block, 96);
}

TEST_F(Launch, deprecated_calls_describe_a_launch) {
  CUfunction ramp = function("ramp");
  unsigned count = 96;
  CUdeviceptr out = allocate(count * 4);
  ASSERT_OK(cuFuncSetBlockShape(ramp, 32, 1, 1));
  ASSERT_OK(cuParamSetv(ramp, 0, &out, sizeof(out)));
  ASSERT_OK(cuParamSeti(ramp, 8, 2));
  ASSERT_OK(cuParamSeti(ramp, 12, 1));
  ASSERT_OK(cuParamSeti(ramp, 16, count));
  ASSERT_OK(cuParamSetSize(ramp, 20));
  ASSERT_OK(cuLaunchGrid(ramp, 3, 1));
  std::vector<unsigned> values = read(out, count);
  for (unsigned i = 0; i < count; ++i)
    ASSERT_EQ(2 * i + 1, values[i]);
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuParamSeti(ramp, -4, 1));
  EXPECT_OK(cuMemFree(out));
}

TEST_F(Launch, threads_launch_at_the_same_time) {
  CUdeviceptr out = allocate(4 * 256 * 4);
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      ASSERT_OK(cuCtxSetCurrent(context_));
      CUstream stream = nullptr;
      ASSERT_OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
      CUfunction ramp = function("ramp"); // the first call compiles
      CUdeviceptr mine = out + t * 256 * 4;
      unsigned count = 256;
      for (unsigned i = 0; i < 50; ++i) {
        unsigned scale = i, offset = t;
        void* parameters[] = {&mine, &scale, &offset, &count};
        ASSERT_OK(cuLaunchKernel(ramp, 4, 1, 1, 64, 1, 1, 0, stream, parameters, nullptr));
      }
      ASSERT_OK(cuStreamSynchronize(stream));
      EXPECT_OK(cuStreamDestroy(stream));
    });
  for (std::thread& thread : threads)
    thread.join();
  std::vector<unsigned> values = read(out, 4 * 256);
  for (unsigned t = 0; t < 4; ++t)
    for (unsigned i = 0; i < 256; ++i)
      ASSERT_EQ(i * 49 + t, values[t * 256 + i]);
  EXPECT_OK(cuMemFree(out));
}

} // namespace
