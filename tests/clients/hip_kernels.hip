// HIP programs of their own device code, compiled by Debian's hipcc for gfx1030, against the host's results.
#include "hip_client.hpp"

#include <cmath>
#include <cstring>

__global__ void saxpy(float a, const float* x, float* y, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n)
    y[i] = a * x[i] + y[i];
}

void test_saxpy() {
  constexpr int n = 10000;
  std::vector<float> x(n), y(n);
  for (int i = 0; i < n; ++i) {
    x[i] = 0.5f * i;
    y[i] = 3.0f - i;
  }
  const DeviceArray<float> dx(x), dy(y);
  saxpy<<<(n + 255) / 256, 256>>>(2.0f, dx.get(), dy.get(), n);
  CHECK(hipGetLastError());
  const std::vector<float> result = dy.read();
  int wrong = 0;
  for (int i = 0; i < n; ++i)
    wrong += result[i] != 2.0f * x[i] + y[i];
  EXPECT(wrong == 0);
}

__global__ void sums_in_lds(const int* in, int* out, int n) {
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

// Each wave by shuffles, the waves' sums through LDS.
template <class T>
__global__ void sums_by_shuffles(const T* in, T* out, int n) {
  __shared__ T waves[32];
  T sum = 0;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
    sum += in[i];
  for (int offset = warpSize / 2; offset > 0; offset /= 2)
    sum += __shfl_down(sum, offset);
  if (threadIdx.x % warpSize == 0)
    waves[threadIdx.x / warpSize] = sum;
  __syncthreads();
  if (threadIdx.x < warpSize) {
    sum = threadIdx.x < blockDim.x / warpSize ? waves[threadIdx.x] : T(0);
    for (int offset = warpSize / 2; offset > 0; offset /= 2)
      sum += __shfl_xor(sum, offset);
    if (threadIdx.x == 0)
      atomicAdd(out, sum);
  }
}

void test_reductions() {
  constexpr int n = 50'021;
  std::vector<int> numbers(n);
  std::vector<float> floats(n);
  std::vector<double> doubles(n);
  int sum = 0;
  for (int i = 0; i < n; ++i) {
    numbers[i] = i * 7 % 1000;
    floats[i] = numbers[i] % 8;
    doubles[i] = numbers[i] * 0.25;
    sum += numbers[i];
  }
  float float_sum = 0;
  double double_sum = 0;
  for (int i = 0; i < n; ++i) {
    float_sum += floats[i]; // whole numbers: exact in any order
    double_sum += doubles[i];
  }
  const DeviceArray<int> in(numbers), out(std::vector<int>(2));
  const DeviceArray<float> float_in(floats), float_out(std::vector<float>(1));
  const DeviceArray<double> double_in(doubles), double_out(std::vector<double>(1));
  sums_in_lds<<<(n + 255) / 256, 256>>>(in.get(), out.get(), n);
  sums_by_shuffles<<<20, 256>>>(in.get(), out.get() + 1, n);
  sums_by_shuffles<<<20, 256>>>(float_in.get(), float_out.get(), n);
  sums_by_shuffles<<<20, 256>>>(double_in.get(), double_out.get(), n);
  CHECK(hipGetLastError());
  EXPECT(out.read() == std::vector<int>(2, sum));
  EXPECT(float_out.read()[0] == float_sum);
  EXPECT(double_out.read()[0] == double_sum);
}

__global__ void histogram(const unsigned char* data, int n, unsigned* bins) {
  __shared__ unsigned local[256];
  local[threadIdx.x] = 0;
  __syncthreads();
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
    atomicAdd(&local[data[i]], 1u);
  __syncthreads();
  atomicAdd(&bins[threadIdx.x], local[threadIdx.x]);
}

void test_histogram() {
  constexpr int n = 100'003;
  std::vector<unsigned char> data(n);
  std::vector<unsigned> expected(256);
  for (int i = 0; i < n; ++i) {
    data[i] = static_cast<unsigned char>((i * i + i / 7) >> 3);
    ++expected[data[i]];
  }
  const DeviceArray<unsigned char> in(data);
  const DeviceArray<unsigned> bins(std::vector<unsigned>(256));
  histogram<<<30, 256>>>(in.get(), n, bins.get());
  CHECK(hipGetLastError());
  EXPECT(bins.read() == expected);
}

constexpr int tile = 16;

__global__ void product(const float* a, const float* b, float* c, int n) {
  __shared__ float left[tile][tile], right[tile][tile + 1];
  const int row = blockIdx.y * tile + threadIdx.y, column = blockIdx.x * tile + threadIdx.x;
  float sum = 0;
  for (int first = 0; first < n; first += tile) {
    const int across = first + threadIdx.x, down = first + threadIdx.y;
    left[threadIdx.y][threadIdx.x] = row < n && across < n ? a[row * n + across] : 0;
    right[threadIdx.y][threadIdx.x] = down < n && column < n ? b[down * n + column] : 0;
    __syncthreads();
    for (int k = 0; k < tile; ++k)
      sum += left[threadIdx.y][k] * right[k][threadIdx.x];
    __syncthreads();
  }
  if (row < n && column < n)
    c[row * n + column] = sum;
}

void test_matrix_product() {
  constexpr int n = 100;
  std::vector<float> a(n * n), b(n * n), expected(n * n);
  for (int i = 0; i < n * n; ++i) {
    a[i] = static_cast<float>(i * 7 % 13 - 6);
    b[i] = static_cast<float>(i * 5 % 11 - 5);
  }
  for (int row = 0; row < n; ++row)
    for (int column = 0; column < n; ++column)
      for (int k = 0; k < n; ++k)
        expected[row * n + column] += a[row * n + k] * b[k * n + column]; // small whole numbers: exact
  const DeviceArray<float> da(a), db(b), dc(n * n);
  const dim3 blocks((n + tile - 1) / tile, (n + tile - 1) / tile), threads(tile, tile);
  product<<<blocks, threads>>>(da.get(), db.get(), dc.get(), n);
  CHECK(hipGetLastError());
  EXPECT(dc.read() == expected);
}

__global__ void votes(const int* in, unsigned long long* ballots, int* flags) {
  const int value = in[threadIdx.x];
  const unsigned long long odd = __ballot(value & 1);
  if (threadIdx.x % warpSize == 0)
    ballots[threadIdx.x / warpSize] = odd;
  flags[threadIdx.x] = __any(value > 90) | __all(value < 100) << 1 | __popcll(odd) << 2 |
                       __shfl(value, (threadIdx.x + 5) % warpSize) << 8 | __shfl_up(value, 1) << 16;
}

void test_votes_and_shuffles() {
  std::vector<int> values(256);
  for (int i = 0; i < 256; ++i)
    values[i] = i * 37 % 101;
  const DeviceArray<int> in(values), flags(256);
  const DeviceArray<unsigned long long> ballots(8);
  votes<<<1, 256>>>(in.get(), ballots.get(), flags.get());
  CHECK(hipGetLastError());
  const std::vector<unsigned long long> seen = ballots.read();
  const std::vector<int> seen_flags = flags.read();
  int wrong = 0;
  for (int wave = 0; wave < 8; ++wave) {
    unsigned long long odd = 0;
    bool any = false, all = true;
    for (int lane = 0; lane < 32; ++lane) {
      const int value = values[wave * 32 + lane];
      odd |= static_cast<unsigned long long>(value & 1) << lane;
      any |= value > 90;
      all &= value < 100;
    }
    wrong += seen[wave] != odd;
    for (int lane = 0; lane < 32; ++lane) {
      const int above = values[wave * 32 + (lane + 5) % 32], below = values[wave * 32 + (lane ? lane - 1 : 0)];
      wrong += seen_flags[wave * 32 + lane] !=
               (any | all << 1 | __builtin_popcountll(odd) << 2 | above << 8 | below << 16);
    }
  }
  EXPECT(wrong == 0);
}

__global__ void functions(const float* in, float* out, double* wide, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  const float x = in[i];
  out[i * 4] = sinf(x) * cosf(x);
  out[i * 4 + 1] = expf(-fabsf(x));
  out[i * 4 + 2] = logf(fabsf(x) + 1);
  out[i * 4 + 3] = powf(fabsf(x), 0.3f);
  wide[i] = sqrt(fabs(static_cast<double>(x))) / 3;
}

void test_mathematics() {
  constexpr int n = 2000;
  std::vector<float> values(n);
  for (int i = 0; i < n; ++i)
    values[i] = (i - n / 2) * 0.037f;
  const DeviceArray<float> in(values), out(n * 4);
  const DeviceArray<double> wide(n);
  functions<<<(n + 127) / 128, 128>>>(in.get(), out.get(), wide.get(), n);
  CHECK(hipGetLastError());
  const std::vector<float> seen = out.read();
  const std::vector<double> seen_wide = wide.read();
  int wrong = 0;
  for (int i = 0; i < n; ++i) {
    const double x = values[i];
    const double expected[4] = {std::sin(x) * std::cos(x), std::exp(-std::abs(x)), std::log(std::abs(x) + 1),
                                std::pow(std::abs(x), 0.3)};
    for (int k = 0; k < 4; ++k)
      wrong += !(std::abs(seen[i * 4 + k] - expected[k]) <= 1e-6 * std::max(1.0, std::abs(expected[k])));
    wrong += !(std::abs(seen_wide[i] - std::sqrt(std::abs(x)) / 3) <= 1e-15 * (1 + std::abs(x)));
  }
  EXPECT(wrong == 0);
}

__device__ int device_counter = 3;
__constant__ int constants[4];

__global__ void use_symbols(int* out) {
  out[threadIdx.x] = constants[threadIdx.x] * device_counter;
  __syncthreads();
  if (threadIdx.x == 0)
    device_counter += 10;
}

void test_symbols() {
  const int values[4] = {1, 20, 300, 4000};
  CHECK(hipMemcpyToSymbol(HIP_SYMBOL(constants), values, sizeof values));
  const DeviceArray<int> out(4);
  use_symbols<<<1, 4>>>(out.get());
  EXPECT((out.read() == std::vector<int>{3, 60, 900, 12000}));
  int counter = 0;
  CHECK(hipMemcpyFromSymbol(&counter, HIP_SYMBOL(device_counter), sizeof counter));
  EXPECT(counter == 13);
}

// Scratch memory, recursion through a function pointer's table.
__device__ int collatz(int n) {
  int path[32] = {};
  int steps = 0;
  for (; n != 1 && steps < 32; ++steps) {
    path[(steps * 5 + n) & 31] += n;
    n = n % 2 ? 3 * n + 1 : n / 2;
  }
  int sum = 0;
  for (int i = 0; i < 32; ++i)
    sum += path[i] * (i + 1);
  return sum;
}

__global__ void paths(int* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n)
    out[i] = collatz(i + 1);
}

int host_collatz(int n) {
  int path[32] = {};
  for (int steps = 0; n != 1 && steps < 32; ++steps) {
    path[(steps * 5 + n) & 31] += n;
    n = n % 2 ? 3 * n + 1 : n / 2;
  }
  int sum = 0;
  for (int i = 0; i < 32; ++i)
    sum += path[i] * (i + 1);
  return sum;
}

void test_scratch() {
  constexpr int n = 1500;
  const DeviceArray<int> out(n);
  paths<<<(n + 63) / 64, 64>>>(out.get(), n);
  CHECK(hipGetLastError());
  const std::vector<int> seen = out.read();
  int wrong = 0;
  for (int i = 0; i < n; ++i)
    wrong += seen[i] != host_collatz(i + 1);
  EXPECT(wrong == 0);
}

void test_properties() {
  hipDeviceProp_t properties{};
  CHECK(hipGetDeviceProperties(&properties, 0));
  EXPECT(std::strcmp(properties.name, "AMD Radeon RX 6800 XT") == 0);
  EXPECT(std::strcmp(properties.gcnArchName, "gfx1030") == 0);
  EXPECT(properties.multiProcessorCount == 36); // pairs of compute units
  EXPECT(properties.warpSize == 32);
  EXPECT(properties.maxThreadsPerBlock == 1024);
  EXPECT(properties.sharedMemPerBlock == 65536);
  EXPECT(properties.totalGlobalMem == (16ull << 30) - (16 << 20));
  EXPECT(properties.pciBusID == 3);
  int blocks = 0;
  CHECK(hipOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, sums_in_lds, 256, 0));
  EXPECT(blocks > 0 && blocks <= 16);
}

int main() {
  const Test tests[] = {{"properties", test_properties},
                        {"saxpy", test_saxpy},
                        {"reductions", test_reductions},
                        {"histogram", test_histogram},
                        {"matrix product", test_matrix_product},
                        {"votes and shuffles", test_votes_and_shuffles},
                        {"mathematics", test_mathematics},
                        {"symbols", test_symbols},
                        {"scratch", test_scratch}};
  return run_tests(tests);
}
