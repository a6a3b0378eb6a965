// HIP's runtime: copies of every kind, streams, events, callbacks.
#include "hip_client.hpp"

#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

__global__ void step(int* data, int n, int factor, int addend) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n)
    data[i] = data[i] * factor + addend;
}

__global__ void wait_for(volatile int* flag) {
  while (*flag == 0) {
  }
}

std::vector<unsigned char> noise(std::size_t bytes, unsigned seed) {
  std::vector<unsigned char> result(bytes);
  for (unsigned char& byte : result) {
    seed = seed * 1664525 + 1013904223;
    byte = static_cast<unsigned char>(seed >> 24);
  }
  return result;
}

void test_copies() {
  for (const std::size_t bytes : {1ul, 3ul, 100ul, 4096ul, 65537ul, 5'000'001ul}) {
    const std::vector<unsigned char> data = noise(bytes, static_cast<unsigned>(bytes));
    const DeviceArray<unsigned char> first(data), second(bytes);
    CHECK(hipMemcpy(second.get(), first.get(), bytes, hipMemcpyDeviceToDevice));
    EXPECT(second.read() == data);
    std::vector<unsigned char> back(bytes);
    CHECK(hipMemcpyDtoH(back.data(), second.get(), bytes));
    EXPECT(back == data);
  }
  std::vector<int> numbers(1000, 7), others(1000);
  CHECK(hipMemcpy(others.data(), numbers.data(), 4000, hipMemcpyHostToHost));
  EXPECT(others == numbers);
}

// Between pitched areas, pageable and pinned, waiting and not.
void test_copies_of_rectangles() {
  constexpr std::size_t width = 301, height = 37, host_pitch = 512;
  const std::vector<unsigned char> data = noise(host_pitch * height, 5);
  unsigned char* device = nullptr;
  std::size_t pitch = 0;
  CHECK(hipMallocPitch(reinterpret_cast<void**>(&device), &pitch, width, height));
  EXPECT(pitch >= width);
  unsigned char* pinned = nullptr;
  CHECK(hipHostMalloc(reinterpret_cast<void**>(&pinned), host_pitch * height));
  hipStream_t stream{};
  CHECK(hipStreamCreate(&stream));
  for (const bool async : {false, true}) {
    std::memset(pinned, 0x99, host_pitch * height);
    CHECK(hipMemset2D(device, pitch, 0, width, height));
    if (async) {
      CHECK(hipMemcpy2DAsync(device, pitch, data.data(), host_pitch, width, height, hipMemcpyHostToDevice, stream));
      CHECK(hipMemcpy2DAsync(pinned, host_pitch, device, pitch, width, height, hipMemcpyDeviceToHost, stream));
      CHECK(hipStreamSynchronize(stream));
    } else {
      CHECK(hipMemcpy2D(device, pitch, data.data(), host_pitch, width, height, hipMemcpyHostToDevice));
      CHECK(hipMemcpy2D(pinned, host_pitch, device, pitch, width, height, hipMemcpyDeviceToHost));
    }
    int wrong = 0;
    for (std::size_t y = 0; y < height; ++y)
      for (std::size_t x = 0; x < host_pitch; ++x)
        wrong += pinned[y * host_pitch + x] != (x < width ? data[y * host_pitch + x] : 0x99);
    EXPECT(wrong == 0);
  }
  CHECK(hipStreamDestroy(stream));
  CHECK(hipHostFree(pinned));
  CHECK(hipFree(device));
}

void test_fills() {
  const DeviceArray<unsigned char> bytes(std::vector<unsigned char>(10'000, 1));
  CHECK(hipMemset(bytes.get() + 3, 0xab, 5'001));
  CHECK(hipMemsetD16(reinterpret_cast<hipDeviceptr_t>(bytes.get() + 6'000), 0x1234, 100));
  CHECK(hipMemsetD32(reinterpret_cast<hipDeviceptr_t>(bytes.get() + 8'000), 0x01020304, 50));
  const std::vector<unsigned char> seen = bytes.read();
  int wrong = 0;
  for (int i = 0; i < 10'000; ++i) {
    int expected = 1;
    if (i >= 3 && i < 5'004)
      expected = 0xab;
    else if (i >= 6'000 && i < 6'200)
      expected = i % 2 ? 0x12 : 0x34;
    else if (i >= 8'000 && i < 8'200)
      expected = 4 - i % 4;
    wrong += seen[i] != expected;
  }
  EXPECT(wrong == 0);
}

void test_pinned_memory() {
  constexpr int n = 5000;
  int* mapped = nullptr;
  CHECK(hipHostMalloc(reinterpret_cast<void**>(&mapped), n * sizeof(int), hipHostMallocMapped));
  std::vector<int> registered(n);
  for (int i = 0; i < n; ++i)
    mapped[i] = registered[i] = i;
  CHECK(hipHostRegister(registered.data(), n * sizeof(int), hipHostRegisterMapped));
  int *first = nullptr, *second = nullptr;
  CHECK(hipHostGetDevicePointer(reinterpret_cast<void**>(&first), mapped, 0));
  CHECK(hipHostGetDevicePointer(reinterpret_cast<void**>(&second), registered.data(), 0));
  step<<<(n + 255) / 256, 256>>>(first, n, 2, 1);
  step<<<(n + 255) / 256, 256>>>(second, n, 3, 2);
  CHECK(hipDeviceSynchronize());
  int wrong = 0;
  for (int i = 0; i < n; ++i)
    wrong += (mapped[i] != 2 * i + 1) + (registered[i] != 3 * i + 2);
  EXPECT(wrong == 0);
  CHECK(hipHostUnregister(registered.data()));
  CHECK(hipHostFree(mapped));
}

void test_managed_memory() {
  int supported = 0;
  CHECK(hipDeviceGetAttribute(&supported, hipDeviceAttributeManagedMemory, 0));
  if (!supported) {
    std::puts("managed memory is not supported");
    return;
  }
  constexpr int n = 3000;
  int* data = nullptr;
  CHECK(hipMallocManaged(reinterpret_cast<void**>(&data), n * sizeof(int)));
  for (int i = 0; i < n; ++i)
    data[i] = i;
  step<<<(n + 255) / 256, 256>>>(data, n, 4, 3);
  CHECK(hipDeviceSynchronize());
  int wrong = 0;
  for (int i = 0; i < n; ++i)
    wrong += data[i] != 4 * i + 3;
  EXPECT(wrong == 0);
  CHECK(hipFree(data));
}

void test_streams_and_events() {
  constexpr int n = 20'000, rounds = 8;
  hipStream_t streams[4];
  std::vector<int*> data;
  hipEvent_t events[4], begin{}, end{};
  CHECK(hipEventCreate(&begin));
  CHECK(hipEventCreate(&end));
  for (int i = 0; i < 4; ++i) {
    CHECK(hipStreamCreateWithFlags(&streams[i], hipStreamNonBlocking));
    CHECK(hipEventCreateWithFlags(&events[i], hipEventDisableTiming));
    int* pointer = nullptr;
    CHECK(hipMalloc(reinterpret_cast<void**>(&pointer), n * sizeof(int)));
    data.push_back(pointer);
    CHECK(hipMemsetAsync(pointer, 0, n * sizeof(int), streams[i]));
  }
  CHECK(hipEventRecord(begin, streams[0]));
  int expected = 0;
  for (int round = 0; round < rounds; ++round) { // one buffer, through all streams in turn
    const int i = round % 4;
    step<<<(n + 255) / 256, 256, 0, streams[i]>>>(data[0], n, 3, round);
    CHECK(hipEventRecord(events[i], streams[i]));
    CHECK(hipStreamWaitEvent(streams[(i + 1) % 4], events[i], 0));
    expected = expected * 3 + round;
  }
  CHECK(hipEventRecord(end, streams[0]));
  CHECK(hipEventSynchronize(end));
  float elapsed = -1;
  CHECK(hipEventElapsedTime(&elapsed, begin, end));
  EXPECT(elapsed > 0 && elapsed < 10'000);
  EXPECT(hipEventQuery(end) == hipSuccess);
  std::vector<int> seen(n);
  CHECK(hipMemcpy(seen.data(), data[0], n * sizeof(int), hipMemcpyDeviceToHost));
  EXPECT(seen == std::vector<int>(n, expected));
  for (int i = 0; i < 4; ++i) {
    CHECK(hipStreamDestroy(streams[i]));
    CHECK(hipEventDestroy(events[i]));
    CHECK(hipFree(data[i]));
  }
  CHECK(hipEventDestroy(begin));
  CHECK(hipEventDestroy(end));
}

void test_a_waiting_stream_holds_up_no_other() {
  int* flag = nullptr;
  CHECK(hipHostMalloc(reinterpret_cast<void**>(&flag), sizeof(int), hipHostMallocCoherent));
  *flag = 0;
  hipStream_t waiting{}, other{};
  CHECK(hipStreamCreateWithFlags(&waiting, hipStreamNonBlocking));
  CHECK(hipStreamCreateWithFlags(&other, hipStreamNonBlocking));
  const DeviceArray<int> data(std::vector<int>(100, 5));
  wait_for<<<1, 1, 0, waiting>>>(flag);
  step<<<1, 128, 0, other>>>(data.get(), 100, 2, 1);
  CHECK(hipStreamSynchronize(other));
  EXPECT(hipStreamQuery(waiting) == hipErrorNotReady);
  __atomic_store_n(flag, 1, __ATOMIC_RELEASE);
  CHECK(hipStreamSynchronize(waiting));
  EXPECT(data.read() == std::vector<int>(100, 11));
  CHECK(hipStreamDestroy(waiting));
  CHECK(hipStreamDestroy(other));
  CHECK(hipHostFree(flag));
}

void test_callbacks() {
  struct Record {
    std::atomic<int> calls{0};
    int seen = 0;
    int* pinned = nullptr;
  } record;
  CHECK(hipHostMalloc(reinterpret_cast<void**>(&record.pinned), sizeof(int)));
  *record.pinned = 20;
  hipStream_t stream{};
  CHECK(hipStreamCreate(&stream));
  step<<<1, 1, 0, stream>>>(record.pinned, 1, 2, 2);
  CHECK(hipStreamAddCallback(
      stream,
      [](hipStream_t, hipError_t status, void* data) {
        auto* r = static_cast<Record*>(data);
        r->seen = status == hipSuccess ? *r->pinned : -1;
        *r->pinned = 100;
        ++r->calls;
      },
      &record, 0));
  step<<<1, 1, 0, stream>>>(record.pinned, 1, 3, 1);
  CHECK(hipStreamSynchronize(stream));
  for (int i = 0; i < 2000 && record.calls == 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT(record.calls == 1);
  EXPECT(record.seen == 42);
  EXPECT(*record.pinned == 301); // what follows a callback waits for it
  CHECK(hipStreamDestroy(stream));
  CHECK(hipHostFree(record.pinned));
}

void test_errors_are_reported() {
  void* pointer = nullptr;
  EXPECT(hipMalloc(&pointer, 1ull << 40) == hipErrorOutOfMemory);
  EXPECT(hipSetDevice(1) == hipErrorInvalidDevice);
  step<<<1, 2048>>>(nullptr, 0, 0, 0); // more threads than a block can have
  EXPECT(hipGetLastError() != hipSuccess);
  CHECK(hipDeviceSynchronize());
}

int main() {
  const Test tests[] = {{"copies", test_copies},
                        {"copies of rectangles", test_copies_of_rectangles},
                        {"fills", test_fills},
                        {"pinned memory", test_pinned_memory},
                        {"managed memory", test_managed_memory},
                        {"streams and events", test_streams_and_events},
                        {"a waiting stream holds up no other", test_a_waiting_stream_holds_up_no_other},
                        {"callbacks", test_callbacks},
                        {"errors", test_errors_are_reported}};
  return run_tests(tests);
}
