// Every PTX snippet that NVIDIA's driver takes compiles here too.
#include <gtest/gtest.h>
#include <jit/compiler.hpp>

#include "ptx_cases.hpp"

namespace {

using namespace shim::jit;

TEST(CompileCases, every_snippet_compiles) {
  for (const auto& c : ptx_cases::load()) {
    Log log;
    const auto module = load_module(ptx_cases::source(c), &log);
    ASSERT_TRUE(module.ok()) << c.name << ": " << log.errors;
    const auto kernel = compile(**module, 0, Target{}, &log);
    ASSERT_TRUE(kernel.ok()) << c.name << ": " << log.errors;
    EXPECT_GE((*kernel)->image.size(), 64u);
    EXPECT_EQ((*kernel)->implicit_offset, 32u);
    EXPECT_EQ((*kernel)->kernarg_bytes, 32u + sizeof(ImplicitArguments));
  }
}

} // namespace
