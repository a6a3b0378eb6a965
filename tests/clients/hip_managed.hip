// HIP upon a kernel with shared virtual memory: managed memory, advice, prefetches, and memory that malloc() gave.
#include "hip_client.hpp"

#include <cstdint>
#include <cstring>

__global__ void step(int* data, int n, int factor, int addend) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n)
    data[i] = data[i] * factor + addend;
}

constexpr int n = 300'000, device = 0;

void fill(int* data) {
  for (int i = 0; i < n; ++i)
    data[i] = i;
}
void run(int* data, int factor, int addend, hipStream_t stream = nullptr) {
  step<<<(n + 255) / 256, 256, 0, stream>>>(data, n, factor, addend);
}
int wrong(const int* data, int factor, int addend) {
  int count = 0;
  for (int i = 0; i < n; ++i)
    count += data[i] != i * factor + addend;
  return count;
}
int attribute(hipDeviceAttribute_t which) {
  int value = 0;
  CHECK(hipDeviceGetAttribute(&value, which, device));
  return value;
}
int range_attribute(const void* data, hipMemRangeAttribute which) {
  int value = -99;
  CHECK(hipMemRangeGetAttribute(&value, sizeof value, which, data, n * sizeof(int)));
  return value;
}

void test_attributes() {
  EXPECT(attribute(hipDeviceAttributeManagedMemory) == 1);
  EXPECT(attribute(hipDeviceAttributeConcurrentManagedAccess) == 1);
  EXPECT(attribute(hipDeviceAttributePageableMemoryAccess) == 0); // that wants XNACK
}

void test_managed_memory() {
  for (const unsigned flags : {hipMemAttachGlobal, hipMemAttachHost}) {
    int* data = nullptr;
    CHECK(hipMallocManaged(reinterpret_cast<void**>(&data), n * sizeof(int), flags));
    fill(data);
    run(data, 4, 3);
    CHECK(hipDeviceSynchronize());
    EXPECT(wrong(data, 4, 3) == 0);
    run(data, 2, 1);
    CHECK(hipDeviceSynchronize());
    EXPECT(wrong(data, 8, 7) == 0);
    CHECK(hipFree(data));
  }
}

void test_prefetches() {
  int* data = nullptr;
  CHECK(hipMallocManaged(reinterpret_cast<void**>(&data), n * sizeof(int)));
  hipStream_t stream{};
  CHECK(hipStreamCreate(&stream));
  fill(data);
  CHECK(hipMemPrefetchAsync(data, n * sizeof(int), device, stream));
  run(data, 3, 1, stream);
  CHECK(hipMemPrefetchAsync(data, n * sizeof(int), hipCpuDeviceId, stream));
  CHECK(hipStreamSynchronize(stream));
  EXPECT(wrong(data, 3, 1) == 0);
  EXPECT(range_attribute(data, hipMemRangeAttributeLastPrefetchLocation) == hipCpuDeviceId);
  CHECK(hipMemPrefetchAsync(data, n * sizeof(int), device, stream));
  CHECK(hipStreamSynchronize(stream));
  EXPECT(range_attribute(data, hipMemRangeAttributeLastPrefetchLocation) == device);
  EXPECT(wrong(data, 3, 1) == 0);
  CHECK(hipStreamDestroy(stream));
  CHECK(hipFree(data));
}

void test_advice() {
  int* data = nullptr;
  const std::size_t bytes = n * sizeof(int);
  CHECK(hipMallocManaged(reinterpret_cast<void**>(&data), bytes));
  fill(data);
  CHECK(hipMemAdvise(data, bytes, hipMemAdviseSetReadMostly, device));
  EXPECT(range_attribute(data, hipMemRangeAttributeReadMostly) != 0);
  CHECK(hipMemAdvise(data, bytes, hipMemAdviseUnsetReadMostly, device));
  EXPECT(range_attribute(data, hipMemRangeAttributeReadMostly) == 0);
  CHECK(hipMemAdvise(data, bytes, hipMemAdviseSetPreferredLocation, device));
  EXPECT(range_attribute(data, hipMemRangeAttributePreferredLocation) == device);
  CHECK(hipMemAdvise(data, bytes, hipMemAdviseSetPreferredLocation, hipCpuDeviceId));
  EXPECT(range_attribute(data, hipMemRangeAttributePreferredLocation) == hipCpuDeviceId);
  CHECK(hipMemAdvise(data, bytes, hipMemAdviseUnsetPreferredLocation, device));
  EXPECT(range_attribute(data, hipMemRangeAttributePreferredLocation) == hipInvalidDeviceId);
  CHECK(hipMemAdvise(data, bytes, hipMemAdviseSetCoarseGrain, device));
  EXPECT(range_attribute(data, hipMemRangeAttributeCoherencyMode) == hipMemRangeCoherencyModeCoarseGrain);
  CHECK(hipMemAdvise(data, bytes, hipMemAdviseUnsetCoarseGrain, device));
  EXPECT(range_attribute(data, hipMemRangeAttributeCoherencyMode) == hipMemRangeCoherencyModeFineGrain);
  CHECK(hipMemAdvise(data, bytes, hipMemAdviseSetAccessedBy, device));
  EXPECT(range_attribute(data, hipMemRangeAttributeAccessedBy) == device);
  run(data, 5, 2);
  CHECK(hipDeviceSynchronize());
  EXPECT(wrong(data, 5, 2) == 0);
  CHECK(hipFree(data));
}

// Without XNACK the device must be told of it.
void test_memory_of_malloc() {
  int* data = static_cast<int*>(std::malloc(n * sizeof(int)));
  fill(data);
  CHECK(hipMemAdvise(data, n * sizeof(int), hipMemAdviseSetAccessedBy, device));
  run(data, 6, 5);
  CHECK(hipDeviceSynchronize());
  EXPECT(wrong(data, 6, 5) == 0);
  std::free(data);
}

void test_copies() {
  int *managed = nullptr, *other = nullptr;
  const std::size_t bytes = n * sizeof(int);
  CHECK(hipMallocManaged(reinterpret_cast<void**>(&managed), bytes));
  CHECK(hipMalloc(reinterpret_cast<void**>(&other), bytes));
  fill(managed);
  CHECK(hipMemcpy(other, managed, bytes, hipMemcpyDefault));
  run(other, 7, 1);
  CHECK(hipMemset(managed, 0, bytes));
  CHECK(hipMemcpy(managed, other, bytes, hipMemcpyDefault));
  EXPECT(wrong(managed, 7, 1) == 0);
  CHECK(hipFree(managed));
  CHECK(hipFree(other));
}

__managed__ int counter = 5;
__global__ void count() { counter += 100; }

void test_managed_variables() {
  counter += 1;
  count<<<1, 1>>>();
  CHECK(hipDeviceSynchronize());
  EXPECT(counter == 106);
}

int main() {
  const Test tests[] = {{"attributes", test_attributes},
                        {"managed memory", test_managed_memory},
                        {"prefetches", test_prefetches},
                        {"advice", test_advice},
                        {"memory of malloc()", test_memory_of_malloc},
                        {"copies", test_copies},
                        {"managed variables", test_managed_variables}};
  return run_tests(tests);
}
