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

// A generic address is below its window until the constant is added. The instruction looks at the register
// alone to tell shared and local from global memory.
TEST_F(Address, generic_addresses_enter_their_window_by_a_constant) {
  const std::string text = R"(
.visible .entry k(.param .u64 p)
{
  .shared .align 4 .b8 shared[256]; .local .align 4 .b8 local[256];
  .reg .b64 %d<12>; .reg .b32 %r<9>; .reg .pred %q;
  ld.param.u64 %d1, [p];
  mov.u32 %r1, %tid.x; mul.wide.u32 %d2, %r1, 4; add.s64 %d1, %d1, %d2;
  ld.global.u32 %r2, [%d1];       // how many words too low, shifted left, and which window
  and.b32 %r3, %r2, 1; shr.u32 %r2, %r2, 1;
  mov.u64 %d3, shared; mov.u64 %d4, local; add.s64 %d5, %d3, %d2; add.s64 %d6, %d4, %d2;
  add.s32 %r4, %r1, 100; st.shared.u32 [%d5], %r4;
  add.s32 %r4, %r1, 200; st.local.u32 [%d6], %r4;
  bar.sync 0;
  cvta.shared.u64 %d3, %d3; cvta.local.u64 %d4, %d4;
  setp.eq.u32 %q, %r3, 0; selp.b64 %d7, %d3, %d4, %q;
  sub.s32 %r5, %r1, %r2; mul.wide.s32 %d8, %r5, 4; add.s64 %d7, %d7, %d8;
  ld.u32 %r6, [%d7+40];
  st.global.u32 [%d1], %r6;
  ret;
}
)";
  for (const unsigned window : {0u, 1u})
    for (std::uintptr_t level = 0; level <= 4; ++level) {
      const std::vector<std::uint32_t> values =
          run(text, level, std::vector<std::uint32_t>(threads, 20 + window));
      for (unsigned i = 0; i < threads; ++i)
        ASSERT_EQ(values[i], i + (window ? 200 : 100)) << "level " << level << ", thread " << i;
    }
}

} // namespace
