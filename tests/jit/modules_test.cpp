// Whole modules, and what their kernel leaves in memory. NVIDIA's driver gives the same.
#include <cstdint>
#include <cuda.h>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace {

struct Subject {
  const char* name;
  std::string text; // behind the header; its kernel k(.param .u64 p) fills a block of zeros
  std::vector<std::uint32_t> expected;
};

std::ostream& operator<<(std::ostream& out, const Subject& subject) {
  return out << subject.name;
}

// f, and a kernel that takes its address to %f and does what `body` says.
std::string indirect(const std::string& function, const std::string& body) {
  return function +
         ".visible .entry k(.param .u64 p) { .reg .b64 %d, %f, %w; .reg .b32 %r; .reg .f32 %s;\n"
         "ld.param.u64 %d, [p]; mov.u64 %f, f; {" +
         body + "} ret; }\n";
}

const std::string increment = ".func (.param .b32 o) f(.param .b32 x) { .reg .b32 %r; ld.param.b32 %r, [x]; "
                              "add.u32 %r, %r, 1; st.param.b32 [o], %r; ret; }\n";
const std::string increment_64 =
    ".func (.param .b64 o) f(.param .b64 x) { .reg .b64 %r; ld.param.b64 %r, [x]; "
    "add.u64 %r, %r, 1; st.param.b64 [o], %r; ret; }\n";
const std::string pair = ".func (.param .b32 o) f(.param .b32 x, .param .b32 y) { .reg .b32 %r<3>; "
                         "ld.param.b32 %r0, [x]; ld.param.b32 %r1, [y]; shl.b32 %r1, %r1, 8; "
                         "or.b32 %r0, %r0, %r1; st.param.b32 [o], %r0; ret; }\n";
const std::string store_7 = ".func f(.param .b64 a) { .reg .b64 %r; .reg .b32 %v; ld.param.b64 %r, [a]; "
                            "mov.u32 %v, 7; st.u32 [%r], %v; ret; }\n";
const std::string low_byte = ".func (.param .b32 o) f(.param .b8 x) { .reg .b32 %r; .reg .b16 %h; "
                             "ld.param.u8 %h, [x]; cvt.u32.u16 %r, %h; st.param.b32 [o], %r; ret; }\n";
const std::string in_registers = ".func (.reg .b32 o) f(.reg .b32 x) { .reg .b32 %t; mov.u32 %t, %tid.x; "
                                 "add.u32 o, x, %t; ret; }\n";
const std::string store_result = "ld.param.b32 %r, [r0]; st.global.u32 [%d], %r;";

const std::vector<Subject> subjects = {
    {"a_subtraction_leaves_no_borrow_in_the_carry",
     R"(
.visible .entry k(.param .u64 p)
{
  .reg .b64 %d; .reg .b32 %r<4>;
  ld.param.u64 %d, [p];
  sub.cc.u32 %r1, 1, 2; addc.u32 %r2, 0, 0; st.global.u32 [%d], %r2;
  sub.cc.u32 %r1, 2, 1; addc.u32 %r3, 0, 0; st.global.u32 [%d+4], %r3;
  ret;
})",
     {0, 1}},

    {"a_signalling_nan_stays_one",
     R"(
.visible .entry k(.param .u64 p)
{
  .reg .b64 %d; .reg .b32 %r;
  ld.param.u64 %d, [p];
  mov.b32 %r, 0f7F800001; st.global.u32 [%d], %r;
  st.global.f32 [%d+4], 0fFF812345;
  st.global.f64 [%d+8], 0d7FF0000000000001;
  st.global.f64 [%d+16], -0d7FF0000000000002;
  ret;
})",
     {0x7f800001, 0xff812345, 1, 0x7ff00000, 2, 0xfff00000}},

    {"a_signalling_nan_stays_one_in_initial_values",
     R"(
.global .f32 x[3] = {0f7F800001, 1.5, 0fFFA00003};
.const .f32 c = 0f7F800004;
.global .f64 y[2][1] = {{0d7FF0000000000005}, {-0d7FF0000000000006}};
.global .v2 .f32 v = {0f7F800007, 0f7F800008};
.visible .entry k(.param .u64 p)
{
  .reg .b64 %d, %q; .reg .b32 %r;
  ld.param.u64 %d, [p];
  ld.global.u32 %r, [x]; st.global.u32 [%d], %r;
  ld.global.u32 %r, [x+4]; st.global.u32 [%d+4], %r;
  ld.global.u32 %r, [x+8]; st.global.u32 [%d+8], %r;
  ld.const.u32 %r, [c]; st.global.u32 [%d+12], %r;
  ld.global.u64 %q, [y]; st.global.u64 [%d+16], %q;
  ld.global.u64 %q, [y+8]; st.global.u64 [%d+24], %q;
  ld.global.u64 %q, [v]; st.global.u64 [%d+32], %q;
  ret;
})",
     {0x7f800001, 0x3fc00000, 0xffa00003, 0x7f800004, 5, 0x7ff00000, 6, 0xfff00000, 0x7f800007, 0x7f800008}},

    {"initial_values_lie_where_they_belong_with_zeros_between_them",
     R"(
.global .align 8 .u32 x[3][100] = {{1, 2}, {}, {3}};
.func f() { ret; }
.global .u64 y[][64] = {{f}, {x+4}, {5}};
.visible .entry k(.param .u64 p)
{
  .reg .b64 %d, %q, %a; .reg .b32 %r;
  ld.param.u64 %d, [p];
  ld.global.u32 %r, [x+4]; st.global.u32 [%d], %r;
  ld.global.u32 %r, [x+8]; st.global.u32 [%d+4], %r;
  ld.global.u32 %r, [x+400]; st.global.u32 [%d+8], %r;
  ld.global.u32 %r, [x+800]; st.global.u32 [%d+12], %r;
  ld.global.u64 %q, [y]; mov.u64 %a, f; sub.u64 %q, %q, %a; st.global.u64 [%d+16], %q;
  ld.global.u64 %q, [y+512]; mov.u64 %a, x; sub.u64 %q, %q, %a; st.global.u64 [%d+24], %q;
  ld.global.u64 %q, [y+1024]; st.global.u64 [%d+32], %q;
  ret;
})",
     {2, 0, 0, 3, 0, 0, 4, 0, 5, 0}},

    {"a_range_of_parameters",
     R"(
.visible .func f(.param .u64 a, .param .u64 b)
{
  .reg .u64 %R<2>;
  ld.param.u64 %R0, [a]; ld.param.u64 %R1, [b];
  st.u32 [%R0], 5; st.u32 [%R1+4], 6;
  ret;
}
.visible .entry k(.param .u64 arg)
{
  .reg .u64 %R<2>;
  ld.param.u64 %R0, [arg];
  {
    .param .u64 %P<2>;
    st.param.u64 [%P0], %R0;
    st.param.u64 [%P1], %R0;
    call.uni f, (%P0, %P1);
  }
  ret;
})",
     {5, 6}},

    {"ranges_in_every_state_space",
     R"(
.global .u32 g<3>;
.const .align 8 .u32 c<2>;
.shared .u32 t<2>;
.visible .entry k(.param .u64 p)
{
  .local .align 4 .b32 L<2>;
  .shared .u32 s<2>;
  .global .u32 h<12>;
  .reg .u32 %r<4000000>, %p1<5>;
  .reg .b64 %d;
  ld.param.u64 %d, [p];
  mov.u32 %r0, 1; mov.u32 %r3999999, 2; mov.u32 %p14, 3;
  st.local.u32 [L0], 9; st.local.u32 [L1], %r0;
  st.shared.u32 [s0], 9; st.shared.u32 [s1], %r3999999;
  st.shared.u32 [t0], 9; st.shared.u32 [t1], %p14;
  st.global.u32 [g1], 9; st.global.u32 [g2], 4; st.global.u32 [g0], 9;
  st.global.u32 [h1], 9; st.global.u32 [h11], 5;
  ld.local.u32 %r0, [L1]; st.global.u32 [%d], %r0;
  ld.shared.u32 %r0, [s1]; st.global.u32 [%d+4], %r0;
  ld.shared.u32 %r0, [t1]; st.global.u32 [%d+8], %r0;
  ld.global.u32 %r0, [g2]; st.global.u32 [%d+12], %r0;
  ld.global.u32 %r0, [h11]; st.global.u32 [%d+16], %r0;
  ld.const.u32 %r0, [c1]; st.global.u32 [%d+20], %r0;
  ret;
})",
     {1, 2, 3, 4, 5, 0}},

    {"names_of_a_range_belong_to_their_block",
     R"(
.visible .entry k(.param .u64 p)
{
  .reg .u32 %r<3>; .reg .b64 %d;
  ld.param.u64 %d, [p];
  mov.u32 %r1, 1; mov.u32 %r2, 2;
  { .reg .u32 %r<2>; mov.u32 %r1, 7; mov.u32 %r2, 8; st.global.u32 [%d], %r1; }
  { .reg .u32 %r<2>; mov.u32 %r0, 9; }
  st.global.u32 [%d+4], %r1; st.global.u32 [%d+8], %r2; st.global.u32 [%d+12], %r0;
  ret;
})",
     {7, 1, 8, 0}},

    {"ranges_of_vector_registers",
     R"(
.visible .entry k(.param .u64 a)
{
  .reg .v2 .f32 %v<2>; .reg .v4 .u32 %w<3>; .reg .u64 %R<2>;
  ld.param.u64 %R0, [a];
  mov.u32 %w1.x, 3; mov.u32 %w2.w, 4; mov.u32 %w1.w, 5; mov.u32 %w1.y, 6; mov.u32 %w1.z, 7;
  st.global.v4.u32 [%R0], %w1;
  ld.global.v2.f32 %v0, [%R0];
  mov.v2.f32 %v1, %v0;
  st.global.v2.f32 [%R0+16], %v1;
  st.global.u32 [%R0+24], %w2.w;
  ret;
})",
     {3, 6, 7, 5, 3, 6, 4}},

    {"a_variable_lies_at_its_alignment",
     R"(
.global .align 65536 .u32 x;
.visible .entry k(.param .u64 p)
{
  .shared .align 32768 .u32 s; .shared .u32 t;
  .local .align 4096 .b8 l[16];
  .reg .b64 %d, %q; .reg .b32 %r;
  ld.param.u64 %d, [p];
  mov.u64 %q, x; and.b64 %q, %q, 65535; st.global.u64 [%d], %q;
  mov.u32 %r, s; and.b32 %r, %r, 32767; st.global.u32 [%d+8], %r;
  mov.u64 %q, l; st.local.u32 [%q], 3; and.b64 %q, %q, 4095; st.global.u64 [%d+16], %q;
  st.shared.u32 [t], 4; ld.local.u32 %r, [l]; st.global.u32 [%d+24], %r;
  ret;
})",
     {0, 0, 0, 0, 0, 0, 3}},

    {"an_alias_behind_its_uses",
     R"(
.func (.param .b32 r) b();
.visible .entry k(.param .u64 p)
{
  .reg .b64 %d; .reg .b32 %r;
  ld.param.u64 %d, [p];
  { .param .b32 r0; call (r0), b; ld.param.b32 %r, [r0]; }
  st.global.u32 [%d], %r;
  ret;
}
.func (.param .b32 r) a() { st.param.b32 [r], 7; ret; }
.alias b, a;
)",
     {7}},

    {"an_alias_in_front_of_its_function",
     R"(
.func (.param .b32 r) a();
.func (.param .b32 r) b();
.alias b, a;
.func (.param .b32 r) a() { st.param.b32 [r], 7; ret; }
.visible .entry k(.param .u64 p)
{
  .reg .b64 %d; .reg .b32 %r;
  ld.param.u64 %d, [p];
  { .param .b32 r0; call (r0), b; ld.param.b32 %r, [r0]; }
  st.global.u32 [%d], %r;
  ret;
})",
     {7}},

    {"an_alias_has_the_address_of_its_function",
     R"(
.func (.param .b32 r) first() { st.param.b32 [r], 5; ret; }
.func (.param .b32 r) b();
.func (.param .b32 r) c();
.global .u64 t[3] = {c, b+8, first};
.visible .entry k(.param .u64 p)
{
  .reg .b64 %d, %q, %a; .reg .b32 %r;
  ld.param.u64 %d, [p];
  mov.u64 %a, b; mov.u64 %q, c; sub.u64 %q, %q, %a; st.global.u64 [%d], %q;
  ld.global.u64 %q, [t]; sub.u64 %q, %q, %a; st.global.u64 [%d+8], %q;
  ld.global.u64 %q, [t+8]; sub.u64 %q, %q, %a; st.global.u64 [%d+16], %q;
  ld.global.u64 %q, [t];
  { .param .b32 r0; P: .callprototype (.param .b32 _) _ (); call (r0), %q, P; ld.param.b32 %r, [r0]; }
  st.global.u32 [%d+24], %r;
  { .param .b32 r0; T: .calltargets b; call (r0), %a, T; ld.param.b32 %r, [r0]; }
  st.global.u32 [%d+28], %r;
  ret;
}
.func (.param .b32 r) a() { st.param.b32 [r], 7; ret; }
.alias b, a;
.alias c, b;
)",
     {0, 0, 0, 0, 8, 0, 7, 7}},

    {"a_call_that_expects_a_result_of_a_function_without",
     indirect(store_7, ".param .b64 p0; st.param.b64 [p0], %d; .param .b64 r0; "
                       "P: .callprototype (.param .b64 _) _ (.param .b64 _); call (r0), %f, (p0), P;"),
     {7}},
    {"a_call_that_ignores_the_result",
     indirect(increment, ".param .b32 a; st.param.b32 [a], 5; P: .callprototype _ (.param .b32 _); "
                         "call %f, (a), P; st.global.u32 [%d], 9;"),
     {9}},
    {"a_call_with_other_types_of_the_same_size",
     indirect(increment, ".param .f32 a; st.param.f32 [a], 0f40A00000; .param .f32 r0; "
                         "P: .callprototype (.param .f32 _) _ (.param .f32 _); call (r0), %f, (a), P; "
                         "ld.param.f32 %s, [r0]; st.global.f32 [%d], %s;"),
     {0x40a00001}},
    {"a_call_with_one_argument_more",
     indirect(increment,
              ".param .b32 a; .param .b32 b; st.param.b32 [a], 5; st.param.b32 [b], 6; .param .b32 r0; "
              "P: .callprototype (.param .b32 _) _ (.param .b32 _, .param .b32 _); "
              "call (r0), %f, (a, b), P;" +
                  store_result),
     {6}},
    {"a_call_with_one_argument_less", // NVIDIA's second argument is what the register held
     indirect(pair, ".param .b32 a; st.param.b32 [a], 5; .param .b32 r0; "
                    "P: .callprototype (.param .b32 _) _ (.param .b32 _); call (r0), %f, (a), P; "
                    "ld.param.b32 %r, [r0]; and.b32 %r, %r, 255; st.global.u32 [%d], %r;"),
     {5}},
    {"a_call_with_one_argument_for_two",
     indirect(pair, ".param .b64 a; mov.u64 %w, 0x600000005; st.param.b64 [a], %w; .param .b32 r0; "
                    "P: .callprototype (.param .b32 _) _ (.param .b64 _); call (r0), %f, (a), P;" +
                        store_result),
     {0x605}},
    {"a_call_with_a_narrow_argument_and_result",
     indirect(increment_64, ".param .b32 a; st.param.b32 [a], 5; .param .b32 r0; "
                            "P: .callprototype (.param .b32 _) _ (.param .b32 _); call (r0), %f, (a), P;" +
                                store_result),
     {6}},
    {"a_call_with_a_wide_argument_for_a_byte",
     indirect(low_byte, ".param .b32 a; st.param.b32 [a], 0x1234; .param .b32 r0; "
                        "P: .callprototype (.param .b32 _) _ (.param .b32 _); call (r0), %f, (a), P;" +
                            store_result),
     {0x34}},
    {"a_call_in_registers_by_another_signature",
     indirect(in_registers,
              ".reg .b32 %a; mov.u32 %a, 5; P: .callprototype (.reg .b32 _) _ (.reg .b32 _, .reg .b32 _); "
              "call (%r), %f, (%a, %a), P; st.global.u32 [%d], %r;"),
     {5}},

    {"a_kernel_that_could_come_to_what_is_not_there_but_does_not",
     R"(
.extern .func (.param .b64 o) malloc(.param .b64 n);
.extern .func (.param .b32 o) vprintf(.param .b64 f, .param .b64 l);
.extern .func __assertfail(.param .b64 m, .param .b64 f, .param .b32 l, .param .b64 n, .param .b64 s);
.func (.param .b32 r) prints(.param .b32 x)
{
  .reg .b64 %q; .reg .b32 %r;
  mov.u64 %q, 0;
  { .param .b64 f; .param .b64 l; .param .b32 o; st.param.b64 [f], %q; st.param.b64 [l], %q; call (o), vprintf, (f, l); }
  { .param .b64 n; .param .b64 o; st.param.b64 [n], 16; call (o), malloc, (n); ld.param.b64 %q, [o]; st.u32 [%q], 1; }
  st.param.b32 [r], 1;
  ret;
}
.func (.param .b32 r) adds(.param .b32 x) { .reg .b32 %r; ld.param.b32 %r, [x]; add.u32 %r, %r, 2; st.param.b32 [r], %r; ret; }
.global .u64 table[4] = {prints, adds, malloc, __assertfail};
.visible .entry k(.param .u64 p)
{
  .reg .b64 %d, %q; .reg .b32 %r;
  ld.param.u64 %d, [p];
  ld.global.u64 %q, [table+8];
  { .param .b32 a; .param .b32 r0; st.param.b32 [a], 5; P: .callprototype (.param .b32 _) _ (.param .b32 _);
    call (r0), %q, (a), P; ld.param.b32 %r, [r0]; }
  st.global.u32 [%d], %r;
  ret;
})",
     {7}},
};

class Modules : public testing::Test {
protected:
  static void SetUpTestSuite() {
    CUdevice device = 0;
    ASSERT_EQ(cuInit(0), CUDA_SUCCESS);
    ASSERT_EQ(cuDeviceGet(&device, 0), CUDA_SUCCESS);
    ASSERT_EQ(cuCtxCreate(&context, 0, device), CUDA_SUCCESS);
  }
  static void TearDownTestSuite() { EXPECT_EQ(cuCtxDestroy(context), CUDA_SUCCESS); }
  static inline CUcontext context = nullptr;
};

class Subjects : public Modules, public testing::WithParamInterface<Subject> {};

TEST_P(Subjects, leave_in_memory_what_nvidias_driver_leaves) {
  const std::string text = std::string(".version 6.4\n.target sm_61\n.address_size 64\n") + GetParam().text;
  std::vector<std::uint32_t> got(GetParam().expected.size());
  CUmodule module = nullptr;
  CUfunction kernel = nullptr;
  CUdeviceptr memory = 0;
  ASSERT_EQ(cuMemAlloc(&memory, 256), CUDA_SUCCESS);
  ASSERT_EQ(cuMemsetD8(memory, 0, 256), CUDA_SUCCESS);
  for (std::uintptr_t level : {0u, 4u}) {
    CUjit_option option = CU_JIT_OPTIMIZATION_LEVEL;
    void* value = reinterpret_cast<void*>(level);
    ASSERT_EQ(cuModuleLoadDataEx(&module, text.c_str(), 1, &option, &value), CUDA_SUCCESS);
    ASSERT_EQ(cuModuleGetFunction(&kernel, module, "k"), CUDA_SUCCESS);
    void* parameters[] = {&memory};
    ASSERT_EQ(cuLaunchKernel(kernel, 1, 1, 1, 1, 1, 1, 0, nullptr, parameters, nullptr), CUDA_SUCCESS);
    ASSERT_EQ(cuMemcpyDtoH(got.data(), memory, got.size() * sizeof got[0]), CUDA_SUCCESS);
    EXPECT_EQ(got, GetParam().expected) << "level " << level;
    ASSERT_EQ(cuModuleUnload(module), CUDA_SUCCESS);
  }
  ASSERT_EQ(cuMemFree(memory), CUDA_SUCCESS);
}

TEST_F(Modules, are_refused_where_a_size_is_beyond_all_bounds) {
  for (const char* text : {".global .b32 x[][2147483649][2147483647] = {{{1}}, {{2}}};\n",
                           ".visible .entry k(.param .b8 q[4294967295]) { ret; }\n"}) {
    CUmodule module = nullptr;
    const std::string whole = std::string(".version 6.4\n.target sm_61\n.address_size 64\n") + text;
    EXPECT_EQ(cuModuleLoadData(&module, whole.c_str()), CUDA_ERROR_INVALID_PTX) << text;
  }
}

INSTANTIATE_TEST_SUITE_P(modules, Subjects, testing::ValuesIn(subjects),
                         [](const auto& subject) { return std::string(subject.param.name); });

} // namespace
