// Cooperative launches: workgroups that meet at a barrier of the whole grid, through global wave sync.
#include "hip_client.hpp"

#include <hip/hip_cooperative_groups.h>

#include <vector>

namespace cg = cooperative_groups;

// A prefix sum in log n steps over a grid, each reading what other workgroups wrote in the step before.
__global__ void prefix_sum(unsigned* from, unsigned* to, unsigned n) {
  const cg::grid_group grid = cg::this_grid();
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  for (unsigned distance = 1; distance < n; distance *= 2) {
    to[i] = i >= distance ? from[i] + from[i - distance] : from[i];
    grid.sync();
    unsigned* other = from;
    from = to;
    to = other;
  }
}

__global__ void describe(unsigned* out) {
  const cg::grid_group grid = cg::this_grid();
  if (grid.thread_rank() == grid.size() - 1) {
    out[0] = grid.size();
    out[1] = grid.is_valid();
  }
  grid.sync();
}

void sum_over_grid(unsigned blocks, unsigned threads) {
  unsigned n = blocks * threads, steps = 0;
  for (unsigned distance = 1; distance < n; distance *= 2)
    ++steps;
  std::vector<unsigned> data(n), sums(n);
  unsigned sum = 0;
  for (unsigned i = 0; i < n; ++i) {
    data[i] = i * 2654435761u >> 20;
    sums[i] = sum += data[i];
  }
  const DeviceArray<unsigned> first(data), second(n);
  unsigned *from = first.get(), *to = second.get();
  void* arguments[] = {&from, &to, &n};
  CHECK(hipLaunchCooperativeKernel(reinterpret_cast<void*>(prefix_sum), dim3(blocks), dim3(threads), arguments, 0,
                                   nullptr));
  CHECK(hipDeviceSynchronize());
  EXPECT((steps % 2 ? second : first).read() == sums);
}

void test_grid_properties() {
  const DeviceArray<unsigned> out(2);
  unsigned* pointer = out.get();
  void* arguments[] = {&pointer};
  CHECK(hipLaunchCooperativeKernel(reinterpret_cast<void*>(describe), dim3(5), dim3(96), arguments, 0, nullptr));
  CHECK(hipDeviceSynchronize());
  EXPECT(out.read() == std::vector<unsigned>({5 * 96, 1}));
}

void test_grid_barriers() {
  for (const unsigned blocks : {1u, 2u, 7u, 32u})
    for (const unsigned threads : {32u, 64u, 256u})
      sum_over_grid(blocks, threads);
  for (int i = 0; i < 20; ++i)
    sum_over_grid(16, 128);
}

int main() {
  int supported = 0;
  CHECK(hipDeviceGetAttribute(&supported, hipDeviceAttributeCooperativeLaunch, 0));
  EXPECT(supported == 1);
  const Test tests[] = {{"barriers of a grid", test_grid_barriers},
                        {"properties of a grid", test_grid_properties}};
  return run_tests(tests);
}
