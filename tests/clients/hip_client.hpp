// What the HIP programs share: calls that must succeed, checks, device memory.
#pragma once

#include <hip/hip_runtime.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

inline int failures = 0;

#define CHECK(CALL)                                                                                          \
  do {                                                                                                       \
    if (const hipError_t error_ = (CALL); error_ != hipSuccess) {                                            \
      std::fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #CALL, hipGetErrorString(error_));         \
      std::exit(1);                                                                                          \
    }                                                                                                        \
  } while (0)

#define EXPECT(CONDITION)                                                                                    \
  do {                                                                                                       \
    if (!(CONDITION)) {                                                                                      \
      std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #CONDITION);                           \
      ++failures;                                                                                            \
    }                                                                                                        \
  } while (0)

// Device memory of `count` elements.
template <class T>
class DeviceArray {
public:
  explicit DeviceArray(std::size_t count) : count_(count) {
    CHECK(hipMalloc(reinterpret_cast<void**>(&data_), count * sizeof(T)));
  }
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) {
    CHECK(hipMemcpy(data_, values.data(), values.size() * sizeof(T), hipMemcpyHostToDevice));
  }
  ~DeviceArray() { CHECK(hipFree(data_)); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  T* get() const { return data_; }
  std::vector<T> read() const {
    std::vector<T> values(count_);
    CHECK(hipMemcpy(values.data(), data_, count_ * sizeof(T), hipMemcpyDeviceToHost));
    return values;
  }

private:
  T* data_ = nullptr;
  std::size_t count_;
};

struct Test {
  const char* name;
  void (*run)();
};

// Runs all; the exit status of the program.
template <std::size_t n>
int run_tests(const Test (&tests)[n]) {
  for (const Test& test : tests) {
    const int before = failures;
    test.run();
    std::printf("%s: %s\n", test.name, failures == before ? "correct" : "wrong");
  }
  return failures != 0;
}
