// What the tests of the driver API share. Public API only: the same programs run on NVIDIA's driver.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <cuda.h>
#include <gtest/gtest.h>
#include <mutex>
#include <ostream>
#include <vector>

namespace cuda_test {

// Compares by number, prints the name.
struct Code {
  CUresult value;
  bool operator==(const Code&) const = default;
};
inline std::ostream& operator<<(std::ostream& out, Code code) {
  const char* name = nullptr;
  cuGetErrorName(code.value, &name);
  return out << (name ? name : "?") << " (" << static_cast<int>(code.value) << ")";
}

#define EXPECT_CUDA(expected, call) EXPECT_EQ(cuda_test::Code{expected}, cuda_test::Code{call})
#define ASSERT_CUDA(expected, call) ASSERT_EQ(cuda_test::Code{expected}, cuda_test::Code{call})
#define EXPECT_OK(call) EXPECT_CUDA(CUDA_SUCCESS, call)
#define ASSERT_OK(call) ASSERT_CUDA(CUDA_SUCCESS, call)

// A context of its own for each test.
class CudaTest : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_OK(cuInit(0));
    ASSERT_OK(cuDeviceGet(&device_, 0));
    ASSERT_OK(cuCtxCreate(&context_, 0, device_));
  }
  void TearDown() override {
    if (context_) {
      EXPECT_OK(cuCtxDestroy(context_));
    }
  }
  CUdeviceptr allocate(std::size_t bytes) {
    CUdeviceptr address = 0;
    EXPECT_OK(cuMemAlloc(&address, bytes));
    return address;
  }

  CUdevice device_ = 0;
  CUcontext context_ = nullptr;
};

// Keeps a stream busy until it is opened: a host function that waits.
class Gate {
public:
  explicit Gate(CUstream stream) {
    EXPECT_OK(cuLaunchHostFunc(
        stream, [](void* self) { static_cast<Gate*>(self)->wait(); }, this));
  }
  ~Gate() {
    open();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return passed_; });
  }
  void open() {
    std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

private:
  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return open_; });
    passed_ = true;
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  bool passed_ = false;
};

inline std::vector<std::uint8_t> pattern(std::size_t bytes, unsigned seed = 1) {
  std::vector<std::uint8_t> data(bytes);
  std::uint32_t state = seed * 2654435761u + 1;
  for (std::uint8_t& byte : data) {
    state = state * 1664525u + 1013904223u;
    byte = static_cast<std::uint8_t>(state >> 24);
  }
  return data;
}

} // namespace cuda_test
