// A kernel that goes wrong spoils its context, and its device for the process. Each test runs in a process of
// its own: nothing works afterwards.
#include <cstdlib>
#include <string>
#include <unistd.h>

#include "fixture.hpp"

namespace {

// What the kernel does, and what the driver says of it: the answers of NVIDIA's on an H200.
struct Wrong {
  const char* name;
  const char*
      body; // of `.visible .entry k(.param .u64 p)`; p is 256 bytes of device memory, %a a scratch register
  CUresult code;
  const char* before = ""; // in front of the entry
};

constexpr const char* declare_assert =
    ".extern .func __assertfail(.param .b64 m, .param .b64 f, .param .b32 l, .param .b64 n, .param .b64 s);\n"
    ".global .align 1 .b8 text[4] = {65, 66, 67, 0};\n";

// A device heap is not there yet: only the call fails.
constexpr const char* declare_malloc =
    ".extern .func (.param .b64 o) malloc(.param .b64 n);\n"
    ".func get(.param .b64 n) { .reg .b64 %r; ld.param.b64 %r, [n]; { .param .b64 m; .param .b64 o; "
    "st.param.b64 [m], %r; call (o), malloc, (m); } ret; }\n"
    ".global .u64 table[1] = {get};\n";

constexpr Wrong wrongs[] = {
    {"trap", "trap;", CUDA_ERROR_LAUNCH_FAILED},
    {"trap_of_one_thread", "mov.u32 %r, %tid.x; setp.eq.u32 %q, %r, 5; @%q trap;", CUDA_ERROR_LAUNCH_FAILED},
    {"breakpoint", "brkpt;", CUDA_ERROR_LAUNCH_FAILED},
    {"assertion",
     "mov.u64 %a, text; cvta.global.u64 %a, %a; { .param .b64 m; .param .b64 f; .param .b32 l; .param .b64 "
     "n; "
     ".param .b64 s; st.param.b64 [m], %a; st.param.b64 [f], %a; st.param.b32 [l], 42; st.param.b64 [n], %a; "
     "st.param.b64 [s], 1; call.uni __assertfail, (m, f, l, n, s); }",
     CUDA_ERROR_ASSERT, declare_assert},
    {"call_of_no_function", "mov.u64 %a, 0x123450; P: .callprototype _ (); call %a, (), P;",
     CUDA_ERROR_ILLEGAL_INSTRUCTION},
    {"malloc_by_its_address",
     "mov.u64 %a, malloc; { .param .b64 n; .param .b64 o; st.param.b64 [n], 16; "
     "P: .callprototype (.param .b64 _) _ (.param .b64 _); call (o), %a, (n), P; }",
     CUDA_ERROR_LAUNCH_FAILED, declare_malloc},
    {"malloc_behind_a_table",
     "ld.global.u64 %a, [table]; { .param .b64 n; st.param.b64 [n], 16; P: .callprototype _ (.param .b64 _); "
     "call %a, (n), P; }",
     CUDA_ERROR_LAUNCH_FAILED, declare_malloc},
    {"misaligned_atomic", "ld.param.u64 %a, [p]; add.u64 %a, %a, 1; atom.global.add.u32 %r, [%a], 1;",
     CUDA_ERROR_MISALIGNED_ADDRESS},
    {"store_to_null", "mov.u64 %a, 0; st.global.u32 [%a], 7;", CUDA_ERROR_ILLEGAL_ADDRESS},
    {"generic_store_to_null", "mov.u64 %a, 0; st.u32 [%a], 7;", CUDA_ERROR_ILLEGAL_ADDRESS},
};

std::string ptx_of(const Wrong& wrong) {
  return std::string(".version 6.4\n.target sm_61\n.address_size 64\n") + wrong.before +
         ".visible .entry k(.param .u64 p) { .reg .u64 %a; .reg .u32 %r; .reg .pred %q; " + wrong.body +
         " ret; }\n";
}

[[noreturn]] void leave() {
  _exit(testing::Test::HasFailure() ? 1 : 0);
}

class FaultDeathTest : public testing::TestWithParam<Wrong> {
protected:
  void SetUp() override { testing::FLAGS_gtest_death_test_style = "threadsafe"; }

  // Launches the kernel and returns what the next synchronization says.
  CUresult do_wrong() {
    EXPECT_OK(cuInit(0));
    EXPECT_OK(cuCtxCreate(&context_, 0, 0));
    CUdeviceptr memory = 0;
    EXPECT_OK(cuMemAlloc(&memory, 256));
    CUmodule module = nullptr;
    CUfunction kernel = nullptr;
    EXPECT_OK(cuModuleLoadData(&module, ptx_of(GetParam()).c_str()));
    EXPECT_OK(cuModuleGetFunction(&kernel, module, "k"));
    EXPECT_OK(cuStreamCreate(&stream_, CU_STREAM_NON_BLOCKING));
    EXPECT_OK(cuEventCreate(&event_, CU_EVENT_DEFAULT));
    void* parameters[] = {&memory};
    EXPECT_OK(cuLaunchKernel(kernel, 1, 1, 1, 32, 1, 1, 0, stream_, parameters, nullptr));
    cuEventRecord(event_, stream_); // the fault may be there already
    return cuStreamSynchronize(stream_);
  }

  CUcontext context_ = nullptr;
  CUstream stream_ = nullptr;
  CUevent event_ = nullptr;
};

TEST_P(FaultDeathTest, is_reported_and_sticks) {
  EXPECT_EXIT(
      {
        const CUresult code = GetParam().code;
        EXPECT_CUDA(code, do_wrong());
        EXPECT_CUDA(code, cuStreamQuery(stream_));
        EXPECT_CUDA(code, cuEventQuery(event_));
        CUdeviceptr address = 0;
        EXPECT_CUDA(code, cuMemAlloc(&address, 16));
        EXPECT_CUDA(code, cuCtxSynchronize());
        EXPECT_OK(cuCtxDestroy(context_));
        EXPECT_CUDA(code, cuCtxCreate(&context_, 0, 0));
        EXPECT_CUDA(CUDA_ERROR_INVALID_CONTEXT, cuMemAlloc(&address, 16));
        leave();
      },
      testing::ExitedWithCode(0), "");
}

TEST_P(FaultDeathTest, process_ends_in_peace) {
  EXPECT_EXIT(
      {
        EXPECT_CUDA(GetParam().code, do_wrong());
        std::exit(testing::Test::HasFailure() ? 1 : 0);
      },
      testing::ExitedWithCode(0), "");
}

INSTANTIATE_TEST_SUITE_P(kernels, FaultDeathTest, testing::ValuesIn(wrongs),
                         [](const auto& wrong) { return wrong.param.name; });

// s_trap stands in a block of its own; no lane gets there.
TEST(Faults, a_trap_that_no_thread_reaches_does_nothing) {
  EXPECT_OK(cuInit(0));
  CUcontext context = nullptr;
  EXPECT_OK(cuCtxCreate(&context, 0, 0));
  CUdeviceptr memory = 0;
  EXPECT_OK(cuMemAlloc(&memory, 256));
  CUmodule module = nullptr;
  CUfunction kernel = nullptr;
  constexpr Wrong none = {
      "none",
      "mov.u32 %r, %tid.x; setp.eq.u32 %q, %r, 99; @%q trap; setp.gt.u32 %q, %r, 31; @%q trap; "
      "ld.param.u64 %a, [p]; st.global.u32 [%a], 7;",
      CUDA_SUCCESS};
  EXPECT_OK(cuModuleLoadData(&module, ptx_of(none).c_str()));
  EXPECT_OK(cuModuleGetFunction(&kernel, module, "k"));
  void* parameters[] = {&memory};
  EXPECT_OK(cuLaunchKernel(kernel, 1, 1, 1, 32, 1, 1, 0, nullptr, parameters, nullptr));
  unsigned seen = 0;
  EXPECT_OK(cuMemcpyDtoH(&seen, memory, sizeof seen));
  EXPECT_EQ(seen, 7u);
  EXPECT_OK(cuCtxDestroy(context));
}

} // namespace
