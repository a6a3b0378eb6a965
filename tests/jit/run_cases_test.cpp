// Runs every PTX snippet through the driver API and holds the results against those of an NVIDIA GPU.
#include <cstring>
#include <map>

#include <cuda.h>
#include <gtest/gtest.h>

#include "ptx_cases.hpp"

namespace {

class Device {
public:
  Device() {
    CUdevice device = 0;
    ready_ = cuInit(0) == CUDA_SUCCESS && cuDeviceGet(&device, 0) == CUDA_SUCCESS &&
             cuCtxCreate(&context_, 0, device) == CUDA_SUCCESS;
    for (CUdeviceptr& array : arrays_)
      ready_ = ready_ && cuMemAlloc(&array, ptx_cases::threads * sizeof(std::uint64_t)) == CUDA_SUCCESS;
  }
  ~Device() {
    if (context_)
      cuCtxDestroy(context_);
  }
  bool ready() const { return ready_; }

  // The results array; empty, and an error said, where a call fails.
  std::vector<std::byte> run(const ptx_cases::Case& c) {
    CUmodule module = nullptr;
    const std::string text = ptx_cases::source(c);
    if (!done("cuModuleLoadData", cuModuleLoadData(&module, text.c_str())))
      return {};
    std::vector<std::byte> results = run(c, module);
    done("cuModuleUnload", cuModuleUnload(module));
    return results;
  }

private:
  static bool done(const char* call, CUresult result) {
    if (result != CUDA_SUCCESS)
      ADD_FAILURE() << call << ": " << result;
    return result == CUDA_SUCCESS;
  }

  std::vector<std::byte> run(const ptx_cases::Case& c, CUmodule module) {
    CUfunction function = nullptr;
    if (!done("cuModuleGetFunction", cuModuleGetFunction(&function, module, "k")))
      return {};
    const auto inputs = ptx_cases::inputs(c);
    for (std::size_t i = 0; i < inputs.size(); i++)
      if (!done("cuMemcpyHtoD", cuMemcpyHtoD(arrays_[i], inputs[i].data(), inputs[i].size())))
        return {};
    std::vector<std::byte> results(std::size_t{ptx_cases::threads} * ptx_cases::type_bytes(c.result));
    void* arguments[] = {&arrays_[0], &arrays_[1], &arrays_[2], &arrays_[3]};
    const bool good = done("cuMemsetD8", cuMemsetD8(arrays_[3], 0xcd, results.size())) &&
                      done("cuLaunchKernel",
                           cuLaunchKernel(function, ptx_cases::threads / ptx_cases::block_threads, 1, 1,
                                          ptx_cases::block_threads, 1, 1, 0, nullptr, arguments, nullptr)) &&
                      done("cuMemcpyDtoH", cuMemcpyDtoH(results.data(), arrays_[3], results.size()));
    return good ? results : std::vector<std::byte>{};
  }

  bool ready_ = false;
  CUcontext context_ = nullptr;
  CUdeviceptr arrays_[4] = {};
};

std::uint64_t element(const std::vector<std::byte>& array, std::size_t index, unsigned width) {
  std::uint64_t value = 0;
  std::memcpy(&value, array.data() + index * width, width);
  return value;
}

TEST(RunCases, results_agree_with_a_real_gpu) {
  Device device;
  ASSERT_TRUE(device.ready());
  for (const auto& c : ptx_cases::load()) {
    SCOPED_TRACE(c.name);
    const auto expected = ptx_cases::golden(c);
    if (expected.empty())
      continue;
    const auto got = device.run(c);
    ASSERT_EQ(got.size(), expected.size());
    const unsigned width = ptx_cases::type_bytes(c.result);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < ptx_cases::threads; i++) {
      const std::uint64_t want = element(expected, i, width), have = element(got, i, width);
      if (!ptx_cases::agrees(c, want, have) && wrong++ == 0)
        ADD_FAILURE() << "thread " << i << ": want " << std::hex << want << ", got " << have;
    }
    EXPECT_EQ(wrong, 0u);
  }
}

TEST(RunCases, digests_agree_with_a_real_gpu) {
  Device device;
  ASSERT_TRUE(device.ready());
  for (const auto& c : ptx_cases::load("PTX_DIGESTS"))
    EXPECT_EQ(ptx_cases::digest(c, device.run(c)), ptx_cases::expected_digest(c)) << c.name;
}

} // namespace
