// Streams that wait for the host, in numbers: nothing that stands behind them is lost, and nobody else is
// held up.

#include <algorithm>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "fixture.hpp"

namespace {

using namespace cuda_test;

class HeldTest : public CudaTest {
protected:
  CUstream stream() {
    CUstream made = nullptr;
    EXPECT_OK(cuStreamCreate(&made, CU_STREAM_NON_BLOCKING));
    return made;
  }
};

std::size_t mappings() {
  std::ifstream maps("/proc/self/maps");
  std::size_t count = 0;
  for (std::string line; std::getline(maps, line);)
    ++count;
  return count;
}

TEST_F(HeldTest, small_uploads_in_110_waiting_streams_arrive) {
  constexpr unsigned count = 110;
  CUstream gated = stream();
  CUdeviceptr words = allocate(count * 4);
  CUevent event = nullptr;
  ASSERT_OK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
  auto gate = std::make_unique<Gate>(gated);
  ASSERT_OK(cuEventRecord(event, gated));
  for (unsigned i = 0; i < count; ++i) {
    CUstream each = stream();
    ASSERT_OK(cuStreamWaitEvent(each, event, 0));
    ASSERT_OK(cuMemcpyHtoDAsync(words + i * 4, &i, 4, each));
  }
  gate.reset();
  ASSERT_OK(cuCtxSynchronize());
  std::vector<unsigned> seen(count);
  ASSERT_OK(cuMemcpyDtoH(seen.data(), words, count * 4));
  for (unsigned i = 0; i < count; ++i)
    EXPECT_EQ(seen[i], i);
}

TEST_F(HeldTest, uploads_of_every_size_arrive_in_order) {
  CUstream waiting = stream();
  std::vector<std::size_t> sizes = {1, 16 << 10, (16 << 10) + 1, 100'000, 3 << 20};
  std::vector<CUdeviceptr> places;
  std::vector<std::vector<std::uint8_t>> sent;
  {
    Gate gate(waiting);
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      places.push_back(allocate(sizes[i]));
      std::vector<std::uint8_t> data = pattern(sizes[i], static_cast<unsigned>(i));
      sent.push_back(data);
      if (sizes[i] > 1 << 20) // NVIDIA's driver waits with larger ones
        gate.open();
      ASSERT_OK(cuMemcpyHtoDAsync(places[i], data.data(), data.size(), waiting));
      std::fill(data.begin(), data.end(), 0); // it has been read
    }
  }
  ASSERT_OK(cuStreamSynchronize(waiting));
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    std::vector<std::uint8_t> seen(sizes[i]);
    ASSERT_OK(cuMemcpyDtoH(seen.data(), places[i], sizes[i]));
    EXPECT_EQ(seen, sent[i]) << sizes[i];
  }
}

TEST_F(HeldTest, rectangles_uploaded_into_a_waiting_stream_arrive) {
  constexpr std::size_t width = 300, height = 200, pitch = 512;
  CUstream waiting = stream();
  CUdeviceptr place = allocate(pitch * height);
  std::vector<std::uint8_t> sent = pattern(width * height);
  {
    Gate gate(waiting);
    CUDA_MEMCPY2D copy = {};
    copy.srcMemoryType = CU_MEMORYTYPE_HOST;
    copy.srcHost = sent.data();
    copy.srcPitch = width;
    copy.dstMemoryType = CU_MEMORYTYPE_DEVICE;
    copy.dstDevice = place;
    copy.dstPitch = pitch;
    copy.WidthInBytes = width;
    copy.Height = height;
    ASSERT_OK(cuMemcpy2DAsync(&copy, waiting));
  }
  ASSERT_OK(cuStreamSynchronize(waiting));
  std::vector<std::uint8_t> seen(pitch * height);
  ASSERT_OK(cuMemcpyDtoH(seen.data(), place, seen.size()));
  for (std::size_t row = 0; row < height; ++row)
    ASSERT_TRUE(std::equal(&sent[row * width], &sent[row * width] + width, &seen[row * pitch])) << row;
}

// Pinned memory is not given to a stream that may wait for ever.
TEST_F(HeldTest, uploads_behind_a_wait_pin_no_memory) {
  CUstream waiting = stream();
  CUdeviceptr place = allocate(64 << 10);
  std::vector<std::uint8_t> data = pattern(64 << 10);
  std::size_t before = 0;
  {
    Gate gate(waiting);
    before = mappings();
    for (int i = 0; i < 256; ++i)
      ASSERT_OK(cuMemcpyHtoDAsync(place, data.data(), data.size(), waiting));
    EXPECT_LE(mappings(), before + 40);
  }
  ASSERT_OK(cuStreamSynchronize(waiting));
}

TEST_F(HeldTest, staging_memory_is_bounded_and_given_back) {
  constexpr std::size_t bytes = 128 << 20;
  CUstream busy = stream();
  CUdeviceptr place = allocate(bytes);
  std::vector<std::uint8_t> data(bytes);
  std::size_t before = mappings();
  ASSERT_OK(cuMemcpyHtoDAsync(place, data.data(), bytes, busy));
  EXPECT_LE(mappings(), before + 160); // two for each of 64 blocks
  ASSERT_OK(cuCtxSynchronize());
  EXPECT_LE(mappings(), before + 40);
}

TEST_F(HeldTest, idle_streams_of_ten_contexts_all_work) {
  std::vector<CUcontext> contexts(10);
  int failures = 0;
  for (CUcontext& context : contexts) {
    ASSERT_OK(cuCtxCreate(&context, 0, device_));
    for (int i = 0; i < 20; ++i) {
      CUstream each = stream();
      CUdeviceptr memory = allocate(4096);
      failures += cuMemsetD32Async(memory, 1, 1024, each) != CUDA_SUCCESS;
      failures += cuStreamSynchronize(each) != CUDA_SUCCESS;
    }
  }
  EXPECT_EQ(failures, 0);
  for (CUcontext context : contexts)
    EXPECT_OK(cuCtxDestroy(context));
  ASSERT_OK(cuCtxSetCurrent(context_));
}

// More than the hardware has queues, in several contexts, all with work that is behind something.
TEST_F(HeldTest, three_hundred_streams_of_three_contexts_wait_and_go_on) {
  std::vector<CUcontext> contexts(3);
  std::vector<std::unique_ptr<Gate>> gates;
  std::vector<CUdeviceptr> words;
  for (CUcontext& context : contexts) {
    ASSERT_OK(cuCtxCreate(&context, 0, device_));
    CUstream gated = stream();
    gates.push_back(std::make_unique<Gate>(gated));
    CUevent event = nullptr;
    ASSERT_OK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    ASSERT_OK(cuEventRecord(event, gated));
    words.push_back(allocate(100 * 4));
    for (unsigned i = 0; i < 100; ++i) {
      CUstream each = stream();
      ASSERT_OK(cuStreamWaitEvent(each, event, 0));
      ASSERT_OK(cuMemsetD32Async(words.back() + i * 4, i, 1, each));
      ASSERT_OK(cuMemsetD32Async(words.back() + i * 4, i + 1, 1, each));
    }
  }
  gates.clear();
  for (std::size_t c = 0; c < contexts.size(); ++c) {
    ASSERT_OK(cuCtxSetCurrent(contexts[c]));
    ASSERT_OK(cuCtxSynchronize());
    std::vector<unsigned> seen(100);
    ASSERT_OK(cuMemcpyDtoH(seen.data(), words[c], 400));
    for (unsigned i = 0; i < 100; ++i)
      ASSERT_EQ(seen[i], i + 1);
    EXPECT_OK(cuCtxDestroy(contexts[c]));
  }
  ASSERT_OK(cuCtxSetCurrent(context_));
}

TEST_F(HeldTest, a_blocking_upload_has_arrived_for_every_stream) {
  constexpr unsigned count = 4 << 18;
  CUstream other = stream();
  CUdeviceptr source = allocate(count * 4);
  CUdeviceptr destination = allocate(count * 4);
  std::vector<unsigned> data(count);
  for (unsigned round = 1; round <= 5; ++round) {
    std::fill(data.begin(), data.end(), round);
    ASSERT_OK(cuMemcpyHtoD(source, data.data(), count * 4));
    std::fill(data.begin(), data.end(), 0xdead);
    ASSERT_OK(cuMemcpyDtoDAsync(destination, source, count * 4, other));
    ASSERT_OK(cuStreamSynchronize(other));
    ASSERT_OK(cuMemcpyDtoH(data.data(), destination, count * 4));
    ASSERT_EQ(std::count(data.begin(), data.end(), round), count);
  }
}

} // namespace
