#include <cstring>

#include "fixture.hpp"

namespace {

class Memset : public cuda_test::CudaTest {
protected:
  static constexpr std::size_t room = 8192;
  void SetUp() override {
    CudaTest::SetUp();
    device_ = allocate(room);
    ASSERT_OK(cuMemsetD8(device_, 0xee, room));
  }
  void TearDown() override {
    EXPECT_OK(cuMemFree(device_));
    CudaTest::TearDown();
  }
  std::vector<std::uint8_t> read() {
    std::vector<std::uint8_t> data(room);
    EXPECT_OK(cuMemcpyDtoH(data.data(), device_, room));
    return data;
  }
  // Everything outside the rows must still be 0xee.
  void expect_rows(std::size_t offset, std::size_t pitch, std::size_t width, std::size_t height,
                   std::uint32_t value, std::size_t value_size) {
    std::vector<std::uint8_t> expected(room, 0xee);
    for (std::size_t y = 0; y < height; ++y)
      for (std::size_t x = 0; x < width * value_size; ++x)
        expected[offset + y * pitch + x] = static_cast<std::uint8_t>(value >> (x % value_size * 8));
    EXPECT_EQ(expected, read());
  }
  CUdeviceptr device_ = 0;
};

TEST_F(Memset, bytes_at_any_address) {
  ASSERT_OK(cuMemsetD8(device_ + 3, 0x12, 1001));
  expect_rows(3, 0, 1001, 1, 0x12, 1);
}

TEST_F(Memset, halfwords_at_even_addresses) {
  ASSERT_OK(cuMemsetD16(device_ + 6, 0x1234, 333));
  expect_rows(6, 0, 333, 1, 0x1234, 2);
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuMemsetD16(device_ + 1, 0, 4));
}

TEST_F(Memset, words_at_multiples_of_four) {
  ASSERT_OK(cuMemsetD32(device_ + 4, 0x12345678, 1023));
  expect_rows(4, 0, 1023, 1, 0x12345678, 4);
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuMemsetD32(device_ + 2, 0, 4));
}

TEST_F(Memset, rectangles_leave_the_gaps_alone) {
  ASSERT_OK(cuMemsetD2D8(device_ + 5, 129, 0x7, 100, 40));
  expect_rows(5, 129, 100, 40, 0x7, 1);
}

TEST_F(Memset, rectangles_of_halfwords) {
  ASSERT_OK(cuMemsetD2D16(device_ + 2, 202, 0xabcd, 77, 33));
  expect_rows(2, 202, 77, 33, 0xabcd, 2);
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuMemsetD2D16(device_, 201, 0, 10, 2));
}

TEST_F(Memset, rectangles_of_words_in_a_stream) {
  CUstream stream = nullptr;
  ASSERT_OK(cuStreamCreate(&stream, 0));
  ASSERT_OK(cuMemsetD2D32Async(device_ + 8, 256, 0xcafef00d, 50, 20, stream));
  ASSERT_OK(cuStreamSynchronize(stream));
  expect_rows(8, 256, 50, 20, 0xcafef00d, 4);
  EXPECT_OK(cuStreamDestroy(stream));
}

TEST_F(Memset, nothing_and_too_much) {
  EXPECT_OK(cuMemsetD8(device_, 1, 0));
  EXPECT_OK(cuMemsetD2D8(device_, 64, 1, 0, 4));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuMemsetD8(device_, 1, room + 1));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuMemsetD8(0, 1, 16));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuMemsetD32(device_, 1, ~std::size_t{0}));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuMemsetD2D8(device_, room, 1, 16, 2));
  expect_rows(0, 0, 0, 0, 0, 1);
}

} // namespace
