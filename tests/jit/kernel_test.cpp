// What a compiled kernel needs and how it is laid out.
#include <cstring>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <jit/compiler.hpp>

namespace {

using namespace shim::jit;

const std::string header = ".version 6.4\n.target sm_61\n.address_size 64\n";

std::shared_ptr<const Kernel> build(const std::string& text, const Target& target = {}) {
  Log log;
  const auto module = load_module(header + text, &log);
  EXPECT_TRUE(module.ok()) << log.errors;
  if (!module)
    return nullptr;
  const auto kernel = compile(**module, 0, target, &log);
  EXPECT_TRUE(kernel.ok()) << log.errors;
  return kernel ? *kernel : nullptr;
}

template <class T>
T descriptor_field(const Kernel& kernel, std::size_t offset) {
  T value;
  std::memcpy(&value, kernel.image.data() + kernel.descriptor_offset + offset, sizeof value);
  return value;
}

bool is_code_entry_inside(const Kernel& kernel) {
  const auto entry =
      static_cast<std::int64_t>(kernel.descriptor_offset) + descriptor_field<std::int64_t>(kernel, 16);
  return entry >= 0 && entry % 256 == 0 && entry + 4 <= static_cast<std::int64_t>(kernel.image.size());
}

const char* const vector_add = R"(
.visible .entry add(.param .u64 a, .param .u64 b, .param .u64 c, .param .u32 n)
{
  .reg .pred %p; .reg .b32 %r<5>; .reg .b64 %d<8>; .reg .f32 %f<4>;
  mov.u32 %r1, %ctaid.x; mov.u32 %r2, %ntid.x; mov.u32 %r3, %tid.x;
  mad.lo.s32 %r4, %r1, %r2, %r3;
  ld.param.u32 %r0, [n];
  setp.ge.s32 %p, %r4, %r0;
  @%p bra done;
  ld.param.u64 %d0, [a]; ld.param.u64 %d1, [b]; ld.param.u64 %d2, [c];
  mul.wide.s32 %d3, %r4, 4;
  add.s64 %d4, %d0, %d3; add.s64 %d5, %d1, %d3; add.s64 %d6, %d2, %d3;
  ld.global.f32 %f0, [%d4]; ld.global.f32 %f1, [%d5];
  add.f32 %f2, %f0, %f1;
  st.global.f32 [%d6], %f2;
done:
  ret;
}
)";

TEST(Kernel, describes_a_vector_addition) {
  const auto kernel = build(vector_add);
  ASSERT_TRUE(kernel);
  EXPECT_EQ(kernel->implicit_offset, 32u); // 28 bytes of parameters
  EXPECT_EQ(kernel->kernarg_bytes, 80u);
  EXPECT_EQ(descriptor_field<std::uint32_t>(*kernel, 8), kernel->kernarg_bytes);
  EXPECT_EQ(kernel->static_shared_bytes, 0u);
  EXPECT_EQ(kernel->private_bytes, 0u);
  EXPECT_FALSE(kernel->dynamic_stack);
  EXPECT_EQ(kernel->max_threads, 1024u);
  EXPECT_EQ(kernel->wavefront_size, 32u);
  EXPECT_GE(kernel->vgprs, 8u);
  EXPECT_LE(kernel->vgprs, 32u);
  EXPECT_TRUE(is_code_entry_inside(*kernel));
}

TEST(Kernel, compiles_for_each_generation) {
  for (const char* gfx : {"gfx1010", "gfx1030", "gfx1031", "gfx1036", "gfx1100", "gfx1103"}) {
    Target target;
    target.gfx = gfx;
    EXPECT_TRUE(build(vector_add, target)) << gfx;
  }
}

TEST(Kernel, compiles_at_each_optimization_level) {
  for (unsigned level = 0; level <= 4; level++) {
    Target target;
    target.optimization = level;
    EXPECT_TRUE(build(vector_add, target)) << level;
  }
}

TEST(Kernel, refuses_processors_that_it_has_no_code_for) {
  Log log;
  const auto module = load_module(header + vector_add, &log);
  ASSERT_TRUE(module.ok());
  for (const char* gfx : {"gfx906", "gfx1999", "sm_61", ""}) {
    Target target;
    target.gfx = gfx;
    EXPECT_EQ(compile(**module, 0, target, &log).code(), CUDA_ERROR_NO_BINARY_FOR_GPU) << gfx;
  }
}

TEST(Kernel, puts_dynamic_shared_memory_behind_static) {
  const auto kernel = build(R"(
.shared .align 4 .b8 unused[4000];
.shared .align 4 .b8 used[100];
.extern .shared .align 16 .b8 dynamic[];
.visible .entry k(.param .u64 p)
{
  .shared .u64 own[3];
  .reg .u32 %r<4>;
  mov.u32 %r0, used; st.shared.u32 [%r0+4], %r0;
  st.shared.u32 [dynamic], %r0;
  st.shared.u32 [own+8], %r0;
  ret;
})");
  ASSERT_TRUE(kernel);
  EXPECT_EQ(kernel->static_shared_bytes, 128u); // 100, to 104, and 24
  EXPECT_EQ(descriptor_field<std::uint32_t>(*kernel, 0), 128u);
}

TEST(Kernel, allows_64_KiB_of_shared_memory_and_no_more) {
  const auto text = [](unsigned bytes) {
    return ".shared .b8 s[" + std::to_string(bytes) +
           "];\n.visible .entry k()\n{ st.shared.u8 [s], 1; ret; }";
  };
  EXPECT_TRUE(build(text(65536)));
  Log log;
  EXPECT_EQ(load_module(header + text(65537), &log).code(), CUDA_ERROR_INVALID_PTX);
  EXPECT_NE(log.errors.find("shared variables need more than 65536 bytes"), std::string::npos) << log.errors;
}

TEST(Kernel, reports_scratch_for_local_arrays) {
  const auto kernel = build(R"(
.visible .entry k(.param .u64 p, .param .u32 i)
{
  .local .align 16 .b8 memory[1024];
  .reg .u32 %r<4>; .reg .u64 %d<4>;
  ld.param.u32 %r0, [i];
  mov.u64 %d0, memory; cvt.u64.u32 %d1, %r0; add.u64 %d1, %d0, %d1;
  st.local.u32 [%d1], %r0;
  ld.local.u32 %r1, [memory+16];
  ld.param.u64 %d2, [p]; st.global.u32 [%d2], %r1;
  ret;
})");
  ASSERT_TRUE(kernel);
  EXPECT_GE(kernel->private_bytes, 1024u);
  EXPECT_LE(kernel->private_bytes, 1088u);
}

TEST(Kernel, takes_its_thread_limit_from_the_directives) {
  const auto kernel = build(".visible .entry k() .maxntid 64, 4, 1 { ret; }");
  ASSERT_TRUE(kernel);
  EXPECT_EQ(kernel->max_threads, 256u);
}

TEST(Kernel, says_that_recursion_needs_a_stack) {
  const auto kernel = build(R"(
.visible .func (.param .b32 r) factorial(.param .b32 n)
{
  .reg .b32 %r<4>; .reg .pred %p; .param .b32 q; .param .b32 s;
  ld.param.u32 %r0, [n];
  mov.u32 %r1, 1;
  setp.le.u32 %p, %r0, 1;
  @%p bra done;
  sub.u32 %r2, %r0, 1;
  st.param.b32 [q], %r2;
  call (s), factorial, (q);
  ld.param.b32 %r3, [s];
  mul.lo.u32 %r1, %r0, %r3;
done:
  st.param.b32 [r], %r1;
  ret;
}
.visible .entry k(.param .u64 p, .param .u32 n)
{
  .reg .b32 %r<2>; .reg .b64 %d; .param .b32 q; .param .b32 s;
  ld.param.u32 %r0, [n];
  st.param.b32 [q], %r0;
  call (s), factorial, (q);
  ld.param.b32 %r1, [s];
  ld.param.u64 %d, [p];
  st.global.u32 [%d], %r1;
  ret;
})");
  ASSERT_TRUE(kernel);
  EXPECT_TRUE(kernel->dynamic_stack);
}

TEST(Kernel, resolves_indirect_calls_to_any_function_that_fits) {
  EXPECT_TRUE(build(R"(
.func (.param .b32 r) one(.param .b32 x) { st.param.b32 [r], 1; ret; }
.func (.param .b32 r) two(.param .b32 x) { st.param.b32 [r], 2; exit; }
.func other(.param .b64 x) { ret; }
.global .u64 functions[2] = {one, two};
.visible .entry k(.param .u64 p, .param .u32 n)
{
  .reg .b32 %r<2>; .reg .b64 %d<3>; .param .b32 q; .param .b32 s;
  ld.param.u32 %r0, [n];
  mul.wide.u32 %d0, %r0, 8;
  mov.u64 %d1, functions;
  add.u64 %d0, %d0, %d1;
  ld.global.u64 %d0, [%d0];
  st.param.b32 [q], %r0;
  prototype: .callprototype (.param .b32 _) _ (.param .b32 _);
  call (s), %d0, (q), prototype;
  ld.param.b32 %r1, [s];
  ld.param.u64 %d2, [p];
  st.global.u32 [%d2], %r1;
  ret;
})"));
}

TEST(Kernel, knows_every_barrier_and_fence) {
  for (const char* text :
       {"bar.sync 0;", "bar.sync 1, 64;", "bar.arrive 2, 64;", "barrier.sync 0;", "barrier.sync.aligned 0;",
        "bar.warp.sync 0xffffffff;", "bar.red.popc.u32 %r, 0, %p;", "bar.red.popc.u32 %r, 0, 64, !%p;",
        "barrier.red.and.pred %p, 0, %p;", "barrier.red.aligned.or.pred %p, 0, %p;", "membar.cta;",
        "membar.gl;", "membar.sys;", "fence.sc.sys;", "fence.acq_rel.cta;", "fence.acq_rel.gpu;"}) {
    Log log;
    const auto module =
        load_module(header + ".visible .entry f() { .reg .b32 %r; .reg .pred %p; " + text + " ret; }", &log);
    ASSERT_TRUE(module.ok()) << text << log.errors;
    EXPECT_TRUE(compile(**module, 0, {}, &log).ok()) << text << log.errors;
  }
}

TEST(Kernel, refuses_a_call_of_a_function_that_no_one_defines) {
  Log log;
  const auto module = load_module(header + R"(
.extern .func missing();
.visible .entry k() { call missing; ret; })",
                                  &log);
  EXPECT_EQ(module.code(), CUDA_ERROR_INVALID_PTX);
  EXPECT_NE(log.errors.find("call of `missing`, which no one defines, in `call`"), std::string::npos)
      << log.errors;
}

TEST(Kernel, refuses_a_call_by_name_of_what_the_device_has_not_yet) {
  const std::string text = header + R"(
.extern .func (.param .b64 o) malloc(.param .b64 n);
.func get() { .param .b64 m; .param .b64 o; st.param.b64 [m], 16; call (o), malloc, (m); ret; }
.global .u64 table[1] = {get};
.visible .entry direct() { call get; ret; }
.visible .entry indirect() { .reg .b64 %q; ld.global.u64 %q, [table]; P: .callprototype _ (); call %q, (), P; ret; }
)";
  Log log;
  const auto module = load_module(text, &log);
  ASSERT_TRUE(module.ok()) << log.errors;
  EXPECT_EQ(compile(**module, 0, {}, &log).code(), CUDA_ERROR_INVALID_PTX);
  EXPECT_EQ(log.errors, "line 6: call of `malloc`, which is not supported, in `call`\n");
  EXPECT_TRUE(compile(**module, 1, {}, &log).ok()) << log.errors;
}

class Cache : public testing::Test {
protected:
  void SetUp() override {
    char name[] = "/tmp/jit-cache-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = name;
    setenv("CUDA_CACHE_PATH", name, 1);
    unsetenv("CUDA_CACHE_DISABLE");
    unsetenv("CUDA_CACHE_MAXSIZE");
  }
  void TearDown() override {
    setenv("CUDA_CACHE_DISABLE", "1", 1);
    std::filesystem::remove_all(folder_);
  }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder_), {}));
  }
  std::filesystem::path folder_;
};

TEST_F(Cache, gives_back_what_was_compiled) {
  const auto first = build(vector_add);
  EXPECT_EQ(files(), 2u); // the check's result and the kernel
  const auto second = build(vector_add);
  EXPECT_EQ(files(), 2u);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->image, second->image);
  EXPECT_EQ(first->descriptor_offset, second->descriptor_offset);
  EXPECT_EQ(first->kernarg_bytes, second->kernarg_bytes);
  EXPECT_EQ(first->vgprs, second->vgprs);
  EXPECT_EQ(first->max_threads, second->max_threads);
}

TEST_F(Cache, tells_entries_targets_and_levels_apart) {
  build(vector_add);
  Target other;
  other.gfx = "gfx1100";
  build(vector_add, other);
  other.optimization = 0;
  build(vector_add, other);
  EXPECT_EQ(files(), 4u);
}

TEST_F(Cache, survives_damaged_files) {
  const auto first = build(vector_add);
  for (const auto& entry : std::filesystem::directory_iterator(folder_))
    std::filesystem::resize_file(entry.path(), std::filesystem::file_size(entry.path()) - 1);
  const auto second = build(vector_add);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->image, second->image);
}

TEST_F(Cache, stays_within_its_size) {
  setenv("CUDA_CACHE_MAXSIZE", "4000", 1);
  for (const char* gfx : {"gfx1030", "gfx1031", "gfx1032", "gfx1100"}) {
    Target target;
    target.gfx = gfx;
    build(vector_add, target);
  }
  std::uintmax_t total = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_))
    total += entry.file_size();
  EXPECT_GT(total, 0u);
  EXPECT_LE(total, 4000u);
}

TEST_F(Cache, can_be_turned_off) {
  setenv("CUDA_CACHE_DISABLE", "1", 1);
  EXPECT_TRUE(build(vector_add));
  EXPECT_EQ(files(), 0u);
}

} // namespace
