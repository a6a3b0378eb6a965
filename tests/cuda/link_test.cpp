// Linking PTX with PTX.
#include <cstring>
#include <string>

#include "fixture.hpp"

namespace {

using namespace cuda_test;

const std::string header = ".version 6.0\n.target sm_30\n.address_size 64\n";

class Link : public CudaTest {
protected:
  void SetUp() override {
    CudaTest::SetUp();
    ASSERT_OK(cuLinkCreate(0, nullptr, nullptr, &state_));
    out_ = allocate(4);
  }
  CUresult add(const std::string& ptx) {
    std::string text = header + ptx;
    return cuLinkAddData(state_, CU_JIT_INPUT_PTX, text.data(), text.size() + 1, "part", 0, nullptr, nullptr);
  }
  // What `kernel` of the linked module stores.
  unsigned run(const char* kernel) {
    if (!module_) {
      void* image = nullptr;
      std::size_t size = 0;
      EXPECT_OK(cuLinkComplete(state_, &image, &size));
      EXPECT_GT(size, 0u);
      EXPECT_OK(cuModuleLoadData(&module_, image));
    }
    CUfunction function = nullptr;
    unsigned value = 0;
    void* parameters[] = {&out_};
    EXPECT_OK(cuModuleGetFunction(&function, module_, kernel));
    EXPECT_OK(cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, nullptr, parameters, nullptr));
    EXPECT_OK(cuMemcpyDtoH(&value, out_, 4));
    return value;
  }
  // A kernel that stores what `compute` leaves in %r0.
  static std::string kernel(const std::string& name, const std::string& compute) {
    return ".visible .entry " + name + "(.param .u64 out) { .reg .u32 %r<4>; .reg .u64 %d<3>;\n" + compute +
           "\nld.param.u64 %d0, [out]; cvta.to.global.u64 %d1, %d0; st.global.u32 [%d1], %r0; ret; }\n";
  }
  static std::string call(const std::string& function) {
    return "{ .param .u32 a; .param .u32 r; st.param.u32 [a], 20; call (r), " + function +
           ", (a); ld.param.u32 %r0, [r]; }";
  }
  static std::string adder(const std::string& linkage, const std::string& name, int amount) {
    return linkage + " .func (.param .u32 r) " + name +
           "(.param .u32 a) { .reg .u32 %r<3>; ld.param.u32 %r0, [a]; add.u32 %r1, %r0, " +
           std::to_string(amount) + "; st.param.u32 [r], %r1; ret; }\n";
  }
  static inline const std::string declaration = ".extern .func (.param .u32 r) helper(.param .u32 a);\n";

  CUlinkState state_ = nullptr;
  CUmodule module_ = nullptr;
  CUdeviceptr out_ = 0;
};

TEST_F(Link, functions_are_found_in_later_and_earlier_parts) {
  ASSERT_OK(add(declaration + kernel("before", call("helper"))));
  ASSERT_OK(add(adder(".visible", "helper", 22)));
  ASSERT_OK(add(declaration + kernel("after", call("helper"))));
  EXPECT_EQ(42u, run("before"));
  EXPECT_EQ(42u, run("after"));
}

TEST_F(Link, variables_are_shared) {
  ASSERT_OK(
      add(".visible .global .u32 common = 7;\n" +
          kernel("bump", "ld.global.u32 %r0, [common]; add.u32 %r0, %r0, 1; st.global.u32 [common], %r0;")));
  ASSERT_OK(add(".extern .global .u32 common;\n" + kernel("look", "ld.global.u32 %r0, [common];")));
  EXPECT_EQ(8u, run("bump"));
  EXPECT_EQ(8u, run("look"));
}

TEST_F(Link, static_names_stay_apart) {
  ASSERT_OK(add(".global .u32 own = 1;\n" + adder("", "same", 100) +
                kernel("first", call("same") + "ld.global.u32 %r1, [own]; add.u32 %r0, %r0, %r1;")));
  ASSERT_OK(add(".global .u32 own = 2;\n" + adder("", "same", 200) +
                kernel("second", call("same") + "ld.global.u32 %r1, [own]; add.u32 %r0, %r0, %r1;")));
  EXPECT_EQ(121u, run("first"));
  EXPECT_EQ(222u, run("second"));
}

TEST_F(Link, static_ranges_stay_apart) {
  for (const char* part : {"1", "2"})
    ASSERT_OK(
        add(std::string(".global .u32 own<3>;\n") +
            kernel(std::string("part") + part, "ld.global.u32 %r0, [own2]; add.u32 %r0, %r0, " +
                                                   std::string(part) + "; st.global.u32 [own2], %r0;")));
  EXPECT_EQ(1u, run("part1"));
  EXPECT_EQ(2u, run("part2"));
  EXPECT_EQ(2u, run("part1"));
}

TEST_F(Link, an_alias_is_a_definition) {
  ASSERT_OK(add(declaration + kernel("before", call("helper"))));
  ASSERT_OK(add(".visible .func (.param .u32 r) helper(.param .u32 a);\n" + adder("", "other", 22) +
                ".alias helper, other;\n"));
  EXPECT_EQ(42u, run("before"));
}

TEST_F(Link, of_weak_definitions_the_first_counts) {
  ASSERT_OK(add(adder(".weak", "helper", 1) + kernel("first", call("helper"))));
  ASSERT_OK(add(adder(".weak", "helper", 2) + kernel("second", call("helper"))));
  EXPECT_EQ(21u, run("first"));
  EXPECT_EQ(21u, run("second"));
}

TEST_F(Link, what_nobody_defines_is_named_in_the_log) {
  char log[256] = "";
  CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  void* values[] = {log, reinterpret_cast<void*>(sizeof log)};
  ASSERT_OK(cuLinkDestroy(state_));
  ASSERT_OK(cuLinkCreate(2, options, values, &state_));
  ASSERT_OK(add(declaration + kernel("alone", call("helper"))));
  void* image = nullptr;
  std::size_t size = 0;
  EXPECT_CUDA(CUDA_ERROR_INVALID_SOURCE, cuLinkComplete(state_, &image, &size));
  EXPECT_NE(nullptr, std::strstr(log, "helper"));
}

TEST_F(Link, a_module_outlives_its_link_state) {
  ASSERT_OK(add(kernel("three", "mov.u32 %r0, 3;")));
  EXPECT_EQ(3u, run("three"));
  EXPECT_OK(cuLinkDestroy(state_));
  EXPECT_EQ(3u, run("three"));
  EXPECT_CUDA(CUDA_ERROR_INVALID_HANDLE, cuLinkDestroy(state_));
}

} // namespace
