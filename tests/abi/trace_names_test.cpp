// What CUDA_SHIM_LOG=trace calls the exported functions. Its environment asks for the trace.
#define CUDA_SHIM_IMPLEMENTATION
#include <cstdlib>
#include <string>

#include <cuda.h>
#include <cudaGL.h>
#include <cudaProfiler.h>
#include <gtest/gtest.h>

namespace {

struct Export {
  std::string name;
  void* address;
};

#define ABI_EXPORT(name) {#name, reinterpret_cast<void*>(&name)},
const Export exports[] = {
#include "exports.inc"
};

// Zeros for all parameters: the callee of the x86-64 ABI takes as many as it has.
std::string trace_of(const Export& function) {
  using Any =
      CUresult (*)(long, long, long, long, long, long, long, long, long, long, long, long, long, long);
  testing::internal::CaptureStderr();
  reinterpret_cast<Any>(function.address)(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  return testing::internal::GetCapturedStderr();
}

TEST(Trace, calls_every_function_by_its_exported_name) {
  setenv("CUDA_VISIBLE_DEVICES", "", 1); // cuInit finds none: nobody does what zeros may mean
  for (const Export& function : exports) {
    const std::string trace = trace_of(function);
    EXPECT_TRUE(trace.starts_with("cuda-shim: trace: " + function.name + "(")) << function.name << ":\n"
                                                                               << trace;
    EXPECT_NE(std::string::npos, trace.find("cuda-shim: trace: " + function.name + " = CUDA_"))
        << function.name << ":\n"
        << trace;
  }
}

} // namespace
