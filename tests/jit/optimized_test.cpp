// Code that the code generator is known to get wrong, unless it is kept from it.
#include <bit>
#include <cstdint>
#include <cuda.h>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace {

using Reference = std::function<std::uint64_t(std::uint64_t, std::uint64_t)>;

struct Case {
  const char* name;
  const char* body; // %a, %b: b64; %r: the result
  Reference reference;
};

std::int64_t low16(std::uint64_t x) {
  return static_cast<std::int16_t>(x);
}
std::uint64_t low32(std::uint64_t x) {
  return x & 0xffffffff;
}

const std::vector<Case> cases = {
    {"complement of a number of 32 bits", "and.b64 %b, %b, 0xffffffff; not.b64 %b, %b; or.b64 %r, %a, %b;",
     [](std::uint64_t a, std::uint64_t b) { return a | ~low32(b); }},
    {"complement of a number shifted by 32", "shl.b64 %b, %b, 32; not.b64 %b, %b; or.b64 %r, %a, %b;",
     [](std::uint64_t a, std::uint64_t b) { return a | ~(b << 32); }},
    {"complement of a masked number",
     "and.b64 %b, %b, 0xffff; and.b64 %b, %b, %a; not.b64 %b, %b; or.b64 %r, %a, %b;",
     [](std::uint64_t a, std::uint64_t b) { return a | ~(a & (b & 0xffff)); }},
    {"minus one less a number of 32 bits",
     "and.b64 %b, %b, 0xffffffff; sub.s64 %b, -1, %b; or.b64 %r, %a, %b;",
     [](std::uint64_t a, std::uint64_t b) { return a | (~0ull - low32(b)); }},
    {"quotient of sign-extended numbers",
     "cvt.s64.s16 %a, %a; cvt.s64.s16 %b, %b; or.b64 %b, %b, 1; div.u64 %r, %a, %b;",
     [](std::uint64_t a, std::uint64_t b) {
       return static_cast<std::uint64_t>(low16(a)) / static_cast<std::uint64_t>(low16(b) | 1);
     }},
    {"remainder of a sign-extended number",
     "cvt.s64.s16 %a, %a; and.b64 %b, %b, 0xff; or.b64 %b, %b, 1; rem.u64 %r, %a, %b;",
     [](std::uint64_t a, std::uint64_t b) {
       return static_cast<std::uint64_t>(low16(a)) % ((b & 0xff) | 1);
     }},
    {"remainder of sign-extended words",
     "cvt.s32.s16 %v, %a; cvt.s32.s16 %w, %b; or.b32 %w, %w, 1; rem.u32 %v, %v, %w; cvt.u64.u32 %r, %v;",
     [](std::uint64_t a, std::uint64_t b) -> std::uint64_t {
       return static_cast<std::uint32_t>(low16(a)) % static_cast<std::uint32_t>(low16(b) | 1);
     }},
    {"quotient by a small negative constant",
     "and.b64 %a, %a, 0xff; cvt.u32.u64 %v, %a; div.u32 %v, %v, 0xfffffffb; cvt.u64.u32 %r, %v;",
     [](std::uint64_t a, std::uint64_t) -> std::uint64_t {
       return static_cast<std::uint32_t>(a & 0xff) / 0xfffffffbu;
     }},
    {"zero minus a float",
     "cvt.u32.u64 %v, %a; and.b32 %v, %v, 0x80000001; mov.b32 %x, %v; sub.f32 %x, 0f00000000, %x; mul.f32 "
     "%x, %x, "
     "0f40400000; mov.b32 %v, %x; cvt.u64.u32 %r, %v;",
     [](std::uint64_t a, std::uint64_t) -> std::uint64_t {
       return std::bit_cast<std::uint32_t>(
           (0.0f - std::bit_cast<float>(static_cast<std::uint32_t>(a & 0x80000001))) * 3.0f);
     }},
    {"zero minus a double",
     "and.b64 %a, %a, 0x8000000000000001; mov.b64 %p, %a; sub.f64 %p, 0d0000000000000000, %p; "
     "mul.f64 %p, %p, 0d4008000000000000; mov.b64 %r, %p;",
     [](std::uint64_t a, std::uint64_t) {
       return std::bit_cast<std::uint64_t>((0.0 - std::bit_cast<double>(a & 0x8000000000000001ull)) * 3.0);
     }},
};

std::string kernel(const Case& subject) {
  return std::string(R"(.version 6.4
.target sm_60
.address_size 64
.visible .entry f(.param .u64 in, .param .u64 out)
{
  .reg .b64 %a, %b, %r, %in, %out, %at; .reg .b32 %v, %w, %t; .reg .f32 %x; .reg .f64 %p;
  ld.param.u64 %in, [in]; ld.param.u64 %out, [out];
  mov.u32 %t, %tid.x;
  mul.wide.u32 %at, %t, 16; add.u64 %in, %in, %at; ld.global.u64 %a, [%in]; ld.global.u64 %b, [%in+8];
  )") + subject.body +
         R"(
  mul.wide.u32 %at, %t, 8; add.u64 %out, %out, %at; st.global.u64 [%out], %r;
  ret;
}
)";
}

TEST(Optimized, code_gives_what_the_host_gives) {
  CUdevice device = 0;
  CUcontext context = nullptr;
  ASSERT_EQ(cuInit(0), CUDA_SUCCESS);
  ASSERT_EQ(cuDeviceGet(&device, 0), CUDA_SUCCESS);
  ASSERT_EQ(cuCtxCreate(&context, 0, device), CUDA_SUCCESS);
  const std::vector<std::uint64_t> numbers = {0,
                                              1,
                                              7,
                                              0x7fff,
                                              0x8000,
                                              0xffea,
                                              0xffffffff,
                                              0x12345678,
                                              0x100000000ull,
                                              0x123456789abcdef0ull,
                                              ~0ull,
                                              0xffffffffffff8001ull};
  std::vector<std::uint64_t> inputs;
  for (std::uint64_t a : numbers)
    for (std::uint64_t b : numbers)
      inputs.insert(inputs.end(), {a, b});
  const unsigned count = static_cast<unsigned>(inputs.size() / 2);
  CUdeviceptr in = 0, out = 0;
  ASSERT_EQ(cuMemAlloc(&in, inputs.size() * 8), CUDA_SUCCESS);
  ASSERT_EQ(cuMemAlloc(&out, count * 8), CUDA_SUCCESS);
  ASSERT_EQ(cuMemcpyHtoD(in, inputs.data(), inputs.size() * 8), CUDA_SUCCESS);
  for (const Case& subject : cases)
    for (std::uintptr_t level = 0; level <= 4; ++level) {
      CUjit_option option = CU_JIT_OPTIMIZATION_LEVEL;
      void* value = reinterpret_cast<void*>(level);
      CUmodule module = nullptr;
      CUfunction function = nullptr;
      ASSERT_EQ(cuModuleLoadDataEx(&module, kernel(subject).c_str(), 1, &option, &value), CUDA_SUCCESS)
          << subject.name;
      ASSERT_EQ(cuModuleGetFunction(&function, module, "f"), CUDA_SUCCESS);
      void* parameters[] = {&in, &out};
      ASSERT_EQ(cuLaunchKernel(function, 1, 1, 1, count, 1, 1, 0, nullptr, parameters, nullptr),
                CUDA_SUCCESS);
      std::vector<std::uint64_t> results(count);
      ASSERT_EQ(cuMemcpyDtoH(results.data(), out, count * 8), CUDA_SUCCESS);
      for (unsigned i = 0; i < count; ++i)
        EXPECT_EQ(results[i], subject.reference(inputs[2 * i], inputs[2 * i + 1]))
            << subject.name << ", level " << level << ": " << std::hex << inputs[2 * i] << ", "
            << inputs[2 * i + 1];
      ASSERT_EQ(cuModuleUnload(module), CUDA_SUCCESS);
    }
  EXPECT_EQ(cuCtxDestroy(context), CUDA_SUCCESS);
}

} // namespace
