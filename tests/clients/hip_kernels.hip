// A HIP program of its own device code, compiled by Debian's hipcc for gfx1030, on the emulated card.
#include <hip/hip_runtime.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

#define CHECK(CALL)                                                                                                    \
  do {                                                                                                                 \
    if (hipError_t error = (CALL); error != hipSuccess) {                                                              \
      std::fprintf(stderr, "%s: %s\n", #CALL, hipGetErrorString(error));                                              \
      std::exit(1);                                                                                                    \
    }                                                                                                                  \
  } while (0)

__global__ void saxpy(float a, const float* x, float* y, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n)
    y[i] = a * x[i] + y[i];
}

__global__ void block_sums(const int* in, int* out, int n) {
  __shared__ int partial[256];
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  partial[threadIdx.x] = i < n ? in[i] : 0;
  __syncthreads();
  for (int step = blockDim.x / 2; step > 0; step /= 2) {
    if (threadIdx.x < step)
      partial[threadIdx.x] += partial[threadIdx.x + step];
    __syncthreads();
  }
  if (threadIdx.x == 0)
    atomicAdd(out, partial[0]);
}

int main() {
  constexpr int n = 10000;
  hipDeviceProp_t properties{};
  CHECK(hipGetDeviceProperties(&properties, 0));
  std::printf("%s, %s\n", properties.name, properties.gcnArchName);

  std::vector<float> x(n), y(n);
  std::vector<int> numbers(n);
  long expected_sum = 0;
  for (int i = 0; i < n; ++i) {
    x[i] = 0.5f * i;
    y[i] = 3.0f - i;
    numbers[i] = i * 7 % 1000;
    expected_sum += numbers[i];
  }
  float *dx = nullptr, *dy = nullptr;
  int *dn = nullptr, *dsum = nullptr;
  CHECK(hipMalloc(reinterpret_cast<void**>(&dx), n * sizeof(float)));
  CHECK(hipMalloc(reinterpret_cast<void**>(&dy), n * sizeof(float)));
  CHECK(hipMalloc(reinterpret_cast<void**>(&dn), n * sizeof(int)));
  CHECK(hipMalloc(reinterpret_cast<void**>(&dsum), sizeof(int)));
  CHECK(hipMemcpy(dx, x.data(), n * sizeof(float), hipMemcpyHostToDevice));
  CHECK(hipMemcpy(dy, y.data(), n * sizeof(float), hipMemcpyHostToDevice));
  CHECK(hipMemcpy(dn, numbers.data(), n * sizeof(int), hipMemcpyHostToDevice));
  CHECK(hipMemset(dsum, 0, sizeof(int)));
  saxpy<<<(n + 255) / 256, 256>>>(2.0f, dx, dy, n);
  CHECK(hipGetLastError());
  block_sums<<<(n + 255) / 256, 256>>>(dn, dsum, n);
  CHECK(hipGetLastError());
  std::vector<float> result(n);
  int sum = 0;
  CHECK(hipMemcpy(result.data(), dy, n * sizeof(float), hipMemcpyDeviceToHost));
  CHECK(hipMemcpy(&sum, dsum, sizeof(int), hipMemcpyDeviceToHost));
  for (int i = 0; i < n; ++i)
    if (result[i] != 2.0f * x[i] + y[i]) {
      std::fprintf(stderr, "y[%d] = %g, expected %g\n", i, result[i], 2.0f * x[i] + y[i]);
      return 1;
    }
  if (sum != expected_sum) {
    std::fprintf(stderr, "sum = %d, expected %ld\n", sum, expected_sum);
    return 1;
  }
  for (void* pointer : {static_cast<void*>(dx), static_cast<void*>(dy), static_cast<void*>(dn), static_cast<void*>(dsum)})
    CHECK(hipFree(pointer));
  std::puts("correct");
  return 0;
}
