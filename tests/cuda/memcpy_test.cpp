#include <chrono>
#include <cstring>
#include <future>
#include <string>
#include <tuple>

#include "fixture.hpp"

namespace {

using cuda_test::pattern;
using Memcpy = cuda_test::CudaTest;

enum class Place { pageable, pinned, device };

std::ostream& operator<<(std::ostream& out, Place place) {
  return out << (place == Place::pageable ? "pageable" : place == Place::pinned ? "pinned" : "device");
}

// Memory of one kind, filled and read through the simplest path there is.
class Area {
public:
  Area(Place place, std::size_t bytes) : place_(place), bytes_(bytes), pageable_(bytes) {
    if (place == Place::pinned) {
      EXPECT_OK(cuMemAllocHost(&pinned_, bytes));
    }
    if (place == Place::device) {
      EXPECT_OK(cuMemAlloc(&device_, bytes));
    }
  }
  ~Area() {
    if (pinned_) {
      EXPECT_OK(cuMemFreeHost(pinned_));
    }
    if (device_) {
      EXPECT_OK(cuMemFree(device_));
    }
  }
  CUdeviceptr address() {
    return place_ == Place::device   ? device_
           : place_ == Place::pinned ? reinterpret_cast<CUdeviceptr>(pinned_)
                                     : reinterpret_cast<CUdeviceptr>(pageable_.data());
  }
  void write(const std::vector<std::uint8_t>& data) {
    if (place_ == Place::device) {
      ASSERT_OK(cuMemcpyHtoD(device_, data.data(), data.size()));
    } else
      std::memcpy(reinterpret_cast<void*>(address()), data.data(), data.size());
  }
  std::vector<std::uint8_t> read() {
    std::vector<std::uint8_t> data(bytes_);
    if (place_ == Place::device) {
      EXPECT_OK(cuMemcpyDtoH(data.data(), device_, bytes_));
    } else
      std::memcpy(data.data(), reinterpret_cast<void*>(address()), bytes_);
    return data;
  }

private:
  Place place_;
  std::size_t bytes_;
  std::vector<std::uint8_t> pageable_;
  void* pinned_ = nullptr;
  CUdeviceptr device_ = 0;
};

class MemcpyPairs : public cuda_test::CudaTest,
                    public testing::WithParamInterface<std::tuple<Place, Place>> {};

INSTANTIATE_TEST_SUITE_P(All, MemcpyPairs,
                         testing::Combine(testing::Values(Place::pageable, Place::pinned, Place::device),
                                          testing::Values(Place::pageable, Place::pinned, Place::device)),
                         [](const auto& pair) {
                           return testing::PrintToString(std::get<0>(pair.param)) + "_to_" +
                                  testing::PrintToString(std::get<1>(pair.param));
                         });

TEST_P(MemcpyPairs, any_size_at_any_alignment) {
  auto [from_place, to_place] = GetParam();
  constexpr std::size_t room = 70000;
  Area from(from_place, room), to(to_place, room);
  std::vector<std::uint8_t> source = pattern(room, 1), target = pattern(room, 2);
  from.write(source);
  for (std::size_t bytes : {1, 3, 15, 16, 17, 63, 255, 1000, 4096, 16385, 65537})
    for (auto [from_at, to_at] : {std::pair{0, 0}, {1, 0}, {0, 3}, {5, 7}, {16, 4}}) {
      to.write(target);
      ASSERT_OK(cuMemcpy(to.address() + static_cast<unsigned>(to_at),
                         from.address() + static_cast<unsigned>(from_at), bytes));
      ASSERT_OK(cuCtxSynchronize());
      std::vector<std::uint8_t> expected = target;
      std::copy_n(source.begin() + from_at, bytes, expected.begin() + to_at);
      ASSERT_EQ(expected, to.read()) << bytes << " bytes, " << from_at << " to " << to_at;
    }
}

TEST_P(MemcpyPairs, rectangles_of_any_pitch) {
  auto [from_place, to_place] = GetParam();
  constexpr std::size_t from_pitch = 301, to_pitch = 263, width = 201, height = 37;
  Area from(from_place, from_pitch * 64), to(to_place, to_pitch * 64);
  std::vector<std::uint8_t> source = pattern(from_pitch * 64, 3), target = pattern(to_pitch * 64, 4);
  from.write(source);
  to.write(target);
  CUDA_MEMCPY2D copy = {};
  copy.srcMemoryType = copy.dstMemoryType = CU_MEMORYTYPE_UNIFIED;
  copy.srcDevice = from.address();
  copy.srcPitch = from_pitch;
  copy.srcXInBytes = 13;
  copy.srcY = 5;
  copy.dstDevice = to.address();
  copy.dstPitch = to_pitch;
  copy.dstXInBytes = 11;
  copy.dstY = 9;
  copy.WidthInBytes = width;
  copy.Height = height;
  ASSERT_OK(cuMemcpy2D(&copy));
  ASSERT_OK(cuCtxSynchronize());
  for (std::size_t y = 0; y < height; ++y)
    std::copy_n(source.begin() + static_cast<long>((y + 5) * from_pitch + 13), width,
                target.begin() + static_cast<long>((y + 9) * to_pitch + 11));
  EXPECT_EQ(target, to.read());
}

TEST_P(MemcpyPairs, boxes) {
  auto [from_place, to_place] = GetParam();
  constexpr std::size_t pitch = 128, rows = 20, slices = 6;
  Area from(from_place, pitch * rows * slices), to(to_place, pitch * rows * slices);
  std::vector<std::uint8_t> source = pattern(pitch * rows * slices, 5),
                            target = pattern(pitch * rows * slices, 6);
  from.write(source);
  to.write(target);
  CUDA_MEMCPY3D copy = {};
  copy.srcMemoryType = copy.dstMemoryType = CU_MEMORYTYPE_UNIFIED;
  copy.srcDevice = from.address();
  copy.dstDevice = to.address();
  copy.srcPitch = copy.dstPitch = pitch;
  copy.srcHeight = copy.dstHeight = rows;
  copy.srcXInBytes = 3;
  copy.srcY = 2;
  copy.srcZ = 1;
  copy.dstXInBytes = 1;
  copy.dstY = 4;
  copy.dstZ = 2;
  copy.WidthInBytes = 77;
  copy.Height = 11;
  copy.Depth = 3;
  ASSERT_OK(cuMemcpy3D(&copy));
  ASSERT_OK(cuCtxSynchronize());
  for (std::size_t z = 0; z < 3; ++z)
    for (std::size_t y = 0; y < 11; ++y)
      std::copy_n(source.begin() + static_cast<long>(((z + 1) * rows + y + 2) * pitch + 3), 77,
                  target.begin() + static_cast<long>(((z + 2) * rows + y + 4) * pitch + 1));
  EXPECT_EQ(target, to.read());
}

TEST_F(Memcpy, larger_than_every_staging_buffer) {
  constexpr std::size_t bytes = 9'000'001;
  std::vector<std::uint8_t> source = pattern(bytes), target(bytes);
  CUdeviceptr device = allocate(bytes);
  ASSERT_OK(cuMemcpyHtoD(device, source.data(), bytes));
  ASSERT_OK(cuMemcpyDtoH(target.data(), device, bytes));
  EXPECT_TRUE(source == target);
  EXPECT_OK(cuMemFree(device));
}

TEST_F(Memcpy, wide_rows_through_pageable_memory) {
  constexpr std::size_t width = 1'500'000, pitch = 1'600'000, height = 3;
  std::vector<std::uint8_t> source = pattern(pitch * height), target(width * height);
  CUdeviceptr device = allocate(width * height);
  CUDA_MEMCPY2D copy = {};
  copy.srcMemoryType = CU_MEMORYTYPE_HOST;
  copy.srcHost = source.data();
  copy.srcPitch = pitch;
  copy.dstMemoryType = CU_MEMORYTYPE_DEVICE;
  copy.dstDevice = device;
  copy.dstPitch = width;
  copy.WidthInBytes = width;
  copy.Height = height;
  ASSERT_OK(cuMemcpy2D(&copy));
  ASSERT_OK(cuMemcpyDtoH(target.data(), device, target.size()));
  for (std::size_t y = 0; y < height; ++y)
    ASSERT_EQ(0, std::memcmp(source.data() + y * pitch, target.data() + y * width, width)) << y;
  EXPECT_OK(cuMemFree(device));
}

TEST_F(Memcpy, asynchronous_ones_keep_stream_order) {
  constexpr std::size_t count = 1 << 16;
  CUstream stream = nullptr;
  ASSERT_OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  CUdeviceptr first = allocate(count * 4), second = allocate(count * 4);
  void* pinned = nullptr;
  ASSERT_OK(cuMemAllocHost(&pinned, count * 4));
  for (unsigned round = 1; round <= 20; ++round) {
    ASSERT_OK(cuMemsetD32Async(first, round, count, stream));
    ASSERT_OK(cuMemcpyDtoDAsync(second, first, count * 4, stream));
    ASSERT_OK(cuMemsetD32Async(first, 0, count, stream));
    ASSERT_OK(cuMemcpyDtoHAsync(pinned, second, count * 4, stream));
    ASSERT_OK(cuStreamSynchronize(stream));
    EXPECT_EQ(round, static_cast<unsigned*>(pinned)[0]);
    EXPECT_EQ(round, static_cast<unsigned*>(pinned)[count - 1]);
  }
  EXPECT_OK(cuStreamDestroy(stream));
  EXPECT_OK(cuMemFreeHost(pinned));
  EXPECT_OK(cuMemFree(first));
  EXPECT_OK(cuMemFree(second));
}

TEST_F(Memcpy, pageable_source_may_change_after_the_call) {
  CUstream stream = nullptr;
  ASSERT_OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  for (std::size_t bytes : {64, 100'000, 3'000'000}) {
    CUdeviceptr device = allocate(bytes);
    std::vector<std::uint8_t> source = pattern(bytes), kept = source, target(bytes);
    ASSERT_OK(cuMemcpyHtoDAsync(device, source.data(), bytes, stream));
    std::fill(source.begin(), source.end(), std::uint8_t{0});
    ASSERT_OK(cuMemcpyDtoHAsync(target.data(), device, bytes, stream));
    EXPECT_TRUE(kept == target) << bytes;
    EXPECT_OK(cuMemFree(device));
  }
  EXPECT_OK(cuStreamDestroy(stream));
}

TEST_F(Memcpy, ranges_outside_an_allocation_are_refused) {
  CUdeviceptr device = allocate(4096);
  std::vector<std::uint8_t> host(8192);
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD(device, host.data(), 4097));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD(device + 4000, host.data(), 97));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH(host.data(), device, 8192));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD(0x1000, host.data(), 16));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD(device, nullptr, 16));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH(host.data(), device, ~std::size_t{0}));
  EXPECT_OK(cuMemcpyHtoD(device, host.data(), 0));
  EXPECT_OK(cuMemFree(device));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD(device, host.data(), 16));
}

TEST_F(Memcpy, senseless_descriptors_are_refused) {
  CUdeviceptr device = allocate(4096);
  CUDA_MEMCPY2D copy = {};
  copy.srcMemoryType = copy.dstMemoryType = CU_MEMORYTYPE_DEVICE;
  copy.srcDevice = copy.dstDevice = device;
  copy.WidthInBytes = 64;
  copy.Height = 4;
  copy.srcPitch = 63; // shorter than the row
  copy.dstPitch = 64;
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuMemcpy2D(&copy));
  copy.srcPitch = 64;
  copy.srcMemoryType = static_cast<CUmemorytype>(9);
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuMemcpy2D(&copy));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuMemcpy2D(nullptr));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuMemcpy3D(nullptr));
  EXPECT_OK(cuMemFree(device));
}

// NVIDIA's driver, asked behind a function that has not returned.
TEST_F(Memcpy, which_copies_and_fills_wait) {
  enum Kind { pinned, device, managed, pageable, count };
  constexpr const char* names[] = {"pinned", "device", "managed", "pageable"};
  constexpr std::size_t small = 1024, large = 4 << 20;
  std::vector<std::uint8_t> host[2] = {pattern(large), pattern(large)};
  CUdeviceptr memory[2][count] = {};
  for (int side = 0; side < 2; ++side) {
    void* address = nullptr;
    ASSERT_OK(cuMemAllocHost(&address, large));
    memory[side][pinned] = reinterpret_cast<CUdeviceptr>(address);
    memory[side][device] = allocate(large);
    ASSERT_OK(cuMemAllocManaged(&memory[side][managed], large, CU_MEM_ATTACH_GLOBAL));
    memory[side][pageable] = reinterpret_cast<CUdeviceptr>(host[side].data());
  }
  CUstream stream = nullptr;
  ASSERT_OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  auto expect = [&](bool waits, CUstream in, auto call) {
    constexpr std::chrono::milliseconds a_while(20), patience(20000);
    cuda_test::Gate gate(in);
    std::future<void> done = std::async(std::launch::async, [&] {
      EXPECT_OK(cuCtxSetCurrent(context_));
      EXPECT_OK(call());
    });
    EXPECT_EQ(done.wait_for(waits ? a_while : patience),
              waits ? std::future_status::timeout : std::future_status::ready);
    gate.open();
  };
  for (std::size_t bytes : {small, large})
    for (int to = 0; to < count; ++to) {
      for (int from = 0; from < count; ++from) {
        SCOPED_TRACE(std::string(names[from]) + " to " + names[to] + ", " + std::to_string(bytes));
        CUdeviceptr a = memory[0][to], b = memory[1][from];
        expect(to != device || from != device, nullptr, [&] { return cuMemcpy(a, b, bytes); });
        bool host_to_host = (to == pinned || to == pageable) && (from == pinned || from == pageable);
        if (bytes == small || from != pageable) // it may wait to read large ones
          expect(to == pageable || host_to_host, stream, [&] { return cuMemcpyAsync(a, b, bytes, stream); });
      }
      SCOPED_TRACE(std::string("fill of ") + names[to]);
      if (to != pageable) {
        expect(to != device, nullptr, [&] { return cuMemsetD8(memory[0][to], 1, bytes); });
        expect(false, stream, [&] { return cuMemsetD8Async(memory[0][to], 1, bytes, stream); });
      }
    }
  unsigned on = 1;
  ASSERT_OK(cuPointerSetAttribute(&on, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, memory[0][device]));
  expect(true, stream, [&] { return cuMemcpyAsync(memory[0][device], memory[1][pageable], small, stream); });
  for (int side = 0; side < 2; ++side) {
    EXPECT_OK(cuMemFreeHost(reinterpret_cast<void*>(memory[side][pinned])));
    EXPECT_OK(cuMemFree(memory[side][device]));
    EXPECT_OK(cuMemFree(memory[side][managed]));
  }
  EXPECT_OK(cuStreamDestroy(stream));
}

} // namespace
