// Addresses whose parts lie outside of what the whole address points into.
#include <cstdint>
#include <cuda.h>
#include <vector>

#include <gtest/gtest.h>

namespace {

constexpr char header[] = ".version 6.0\n.target sm_61\n.address_size 64\n";

class Address : public ::testing::Test {
protected:
  void SetUp() override {
    CUdevice device = 0;
    ASSERT_EQ(cuInit(0), CUDA_SUCCESS);
    ASSERT_EQ(cuDeviceGet(&device, 0), CUDA_SUCCESS);
    ASSERT_EQ(cuCtxCreate(&context_, 0, device), CUDA_SUCCESS);
    ASSERT_EQ(cuMemAlloc(&memory_, words * 4), CUDA_SUCCESS);
  }
  void TearDown() override {
    if (context_) {
      EXPECT_EQ(cuCtxDestroy(context_), CUDA_SUCCESS);
    }
  }

  // What kernel `k` makes of the words, at an optimization level.
  std::vector<std::uint32_t> run(const std::string& text, std::uintptr_t level,
                                 std::vector<std::uint32_t> values) {
    CUjit_option option = CU_JIT_OPTIMIZATION_LEVEL;
    void* value = reinterpret_cast<void*>(level);
    CUmodule module = nullptr;
    CUfunction function = nullptr;
    EXPECT_EQ(cuModuleLoadDataEx(&module, (header + text).c_str(), 1, &option, &value), CUDA_SUCCESS);
    EXPECT_EQ(cuModuleGetFunction(&function, module, "k"), CUDA_SUCCESS);
    values.resize(words);
    EXPECT_EQ(cuMemcpyHtoD(memory_, values.data(), words * 4), CUDA_SUCCESS);
    void* parameters[] = {&memory_};
    EXPECT_EQ(cuLaunchKernel(function, 1, 1, 1, threads, 1, 1, 0, nullptr, parameters, nullptr),
              CUDA_SUCCESS);
    EXPECT_EQ(cuMemcpyDtoH(values.data(), memory_, words * 4), CUDA_SUCCESS);
    EXPECT_EQ(cuModuleUnload(module), CUDA_SUCCESS);
    return values;
  }

  static constexpr unsigned threads = 32, words = 64;
  CUcontext context_ = nullptr;
  CUdeviceptr memory_ = 0;
};

// The loop's counter runs up to zero: its register is negative, and the immediate makes up for that.
TEST_F(Address, local_memory_behind_a_negative_register) {
  const std::string text = R"(
.visible .entry k(.param .u64 p)
{
  .local .align 16 .b8 depot[544];
  .reg .b64 %d<9>; .reg .b32 %r<9>; .reg .pred %q<3>;
  ld.param.u64 %d1, [p];
  mov.u64 %d2, depot; add.u64 %d3, %d2, 16;
  mov.u64 %d4, 0; mov.u32 %r1, 7;
next:
  shl.b64 %d5, %d4, 2; add.s64 %d6, %d3, %d5;
  st.local.u32 [%d6], %r1;
  add.s64 %d4, %d4, 1; add.s32 %r1, %r1, 5;
  setp.lt.u64 %q1, %d4, 64;
  @%q1 bra next;
  mov.u32 %r4, %tid.x; mul.wide.u32 %d8, %r4, 4; add.s64 %d1, %d1, %d8;
  ld.global.u32 %r2, [%d1];
  mul.wide.u32 %d7, %r2, 4; add.s64 %d7, %d3, %d7;
  ld.local.u32 %r3, [%d7];
  st.global.u32 [%d1], %r3;
  ret;
}
)";
  std::vector<std::uint32_t> places(threads);
  for (unsigned i = 0; i < threads; ++i)
    places[i] = i * 7 % 64;
  for (std::uintptr_t level = 0; level <= 4; ++level) {
    const std::vector<std::uint32_t> values = run(text, level, places);
    for (unsigned i = 0; i < threads; ++i)
      ASSERT_EQ(values[i], 7 + 5 * places[i]) << "level " << level << ", thread " << i;
  }
}

} // namespace
