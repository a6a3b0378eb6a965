// Memory that Vulkan allocated and CUDA mapped: both see the same bytes, for as long as either holds on to
// them.

#include "fixture.hpp"

namespace {

using namespace interop;

constexpr unsigned long long size = 1 << 20;
constexpr std::size_t words = size / sizeof(std::uint32_t);

class EveryKind : public testing::TestWithParam<Buffer::Kind> {};
INSTANTIATE_TEST_SUITE_P(memory, EveryKind,
                         testing::Values(Buffer::Kind::device_local, Buffer::Kind::host_visible),
                         [](const auto& kind) {
                           return kind.param == Buffer::Kind::device_local ? "device_local" : "host_visible";
                         });

TEST_P(EveryKind, what_vulkan_writes_cuda_reads) {
  Buffer buffer(size, GetParam());
  CUexternalMemory memory = import(buffer);
  CUdeviceptr address = map(memory, 0, size);
  Submission(fill(buffer, 0xdecade)).wait();
  EXPECT_TRUE(all_are(read_through_cuda(address, words), 0xdecade));
  CU(cuMemFree(address));
  CU(cuDestroyExternalMemory(memory));
}

TEST_P(EveryKind, what_cuda_writes_vulkan_reads) {
  Buffer buffer(size, GetParam());
  CUexternalMemory memory = import(buffer);
  CUdeviceptr address = map(memory, 0, size);
  std::vector<std::uint32_t> pattern(words);
  for (std::size_t i = 0; i < words; ++i)
    pattern[i] = static_cast<std::uint32_t>(i * 2654435761u);
  CU(cuMemcpyHtoD(address, pattern.data(), size)); // returns when the source may be reused
  CU(cuCtxSynchronize());
  std::vector<std::uint32_t> seen = read_through_vulkan(buffer);
  for (std::size_t i = 0; i < words; ++i)
    ASSERT_EQ(seen[i], pattern[i]) << "word " << i;
  CU(cuMemsetD32(address, 77, words));
  CU(cuCtxSynchronize());
  EXPECT_TRUE(all_are(read_through_vulkan(buffer), 77));
  CU(cuMemFree(address));
  CU(cuDestroyExternalMemory(memory));
}

TEST_P(EveryKind, dedicated_allocations_too) {
  Buffer buffer(size, GetParam(), true, true);
  CUDA_EXTERNAL_MEMORY_HANDLE_DESC desc = memory_desc(buffer.export_fd(), buffer.allocated);
  desc.flags = CUDA_EXTERNAL_MEMORY_DEDICATED;
  CUexternalMemory memory = nullptr;
  ASSERT_EQ(cuImportExternalMemory(&memory, &desc), CUDA_SUCCESS);
  CUdeviceptr address = map(memory, 0, size);
  Submission(fill(buffer, 5)).wait();
  EXPECT_TRUE(all_are(read_through_cuda(address, words), 5));
  CU(cuMemFree(address));
  CU(cuDestroyExternalMemory(memory));
}

class EveryOffset : public testing::TestWithParam<unsigned long long> {};
INSTANTIATE_TEST_SUITE_P(offsets, EveryOffset,
                         testing::Values(1, 4, 13, 256, 4095, 4096, 65537, 131072, 1048575 - 63));

TEST_P(EveryOffset, is_honoured_to_the_byte) {
  Buffer buffer(size, Buffer::Kind::host_visible);
  auto* bytes = reinterpret_cast<unsigned char*>(buffer.words);
  for (std::size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<unsigned char>(i * 31 + i / 251);
  CUexternalMemory memory = import(buffer);
  CUdeviceptr address = map(memory, GetParam(), 64);
  unsigned char read[64];
  CU(cuMemcpyDtoH(read, address, sizeof read));
  EXPECT_EQ(std::memcmp(read, bytes + GetParam(), sizeof read), 0);
  unsigned char before = bytes[GetParam() - 1];
  CU(cuMemsetD8(address, 0xee, 64));
  CU(cuCtxSynchronize());
  EXPECT_EQ(bytes[GetParam() - 1], before);
  EXPECT_EQ(bytes[GetParam()], 0xee);
  EXPECT_EQ(bytes[GetParam() + 63], 0xee);

  CUdeviceptr base = 0;
  std::size_t length = 0;
  CU(cuMemGetAddressRange(&base, &length, address + 5));
  EXPECT_EQ(base, address);
  EXPECT_EQ(length, 64u);
  CU(cuMemFree(address));
  CU(cuDestroyExternalMemory(memory));
}

TEST(mappings, of_the_same_range_are_two_addresses_of_the_same_bytes) {
  Buffer buffer(size);
  CUexternalMemory memory = import(buffer);
  CUdeviceptr first = map(memory, 0, size);
  CUdeviceptr second = map(memory, 0, size);
  CUdeviceptr overlapping = map(memory, size / 2, size / 4);
  EXPECT_NE(first, second);
  CU(cuMemsetD32(first, 1, words));
  EXPECT_TRUE(all_are(read_through_cuda(second, words), 1));
  CU(cuMemsetD32(overlapping, 2, words / 4));
  std::vector<std::uint32_t> seen = read_through_cuda(first, words);
  EXPECT_TRUE(all_are(std::span(seen).first(words / 2), 1));
  EXPECT_TRUE(all_are(std::span(seen).subspan(words / 2, words / 4), 2));
  EXPECT_TRUE(all_are(std::span(seen).subspan(words / 2 + words / 4), 1));
  CU(cuMemFree(first));
  CU(cuMemsetD32(overlapping, 3, words / 4));
  EXPECT_TRUE(all_are(read_through_cuda(second + size / 2, words / 4), 3));
  CU(cuMemFree(overlapping));
  CU(cuMemFree(second));
  CU(cuDestroyExternalMemory(memory));
}

TEST(imports, of_the_same_memory_alias) {
  Buffer buffer(size);
  CUexternalMemory first = import(buffer);
  CUexternalMemory second = import(buffer);
  CUdeviceptr here = map(first, 0, size);
  CUdeviceptr there = map(second, 0, size);
  CU(cuMemsetD32(here, 9, words));
  EXPECT_TRUE(all_are(read_through_cuda(there, words), 9));
  CU(cuMemFree(here));
  CU(cuMemFree(there));
  CU(cuDestroyExternalMemory(first));
  CU(cuDestroyExternalMemory(second));
}

TEST(mappings, outlive_the_import_and_vulkans_memory) {
  auto buffer = std::make_unique<Buffer>(size);
  CUexternalMemory memory = import(*buffer);
  CUdeviceptr address = map(memory, 0, size);
  Submission(fill(*buffer, 0xabcd)).wait();
  CU(cuDestroyExternalMemory(memory));
  EXPECT_TRUE(all_are(read_through_cuda(address, words), 0xabcd));
  buffer.reset();
  EXPECT_TRUE(all_are(read_through_cuda(address, words), 0xabcd));
  CU(cuMemsetD32(address, 6, words));
  EXPECT_TRUE(all_are(read_through_cuda(address, words), 6));
  EXPECT_EQ(cuMemFree(address), CUDA_SUCCESS);
}

TEST(mappings, can_be_made_after_vulkan_freed_its_side) {
  auto buffer = std::make_unique<Buffer>(size);
  Submission(fill(*buffer, 0x1234)).wait();
  CUexternalMemory memory = import(*buffer);
  buffer.reset();
  CUdeviceptr address = map(memory, 0, size);
  EXPECT_TRUE(all_are(read_through_cuda(address, words), 0x1234));
  CU(cuMemFree(address));
  CU(cuDestroyExternalMemory(memory));
}

TEST(pointers, into_mappings_have_the_attributes_of_device_memory) {
  Buffer buffer(size);
  CUexternalMemory memory = import(buffer);
  CUdeviceptr address = map(memory, 256, 4096);
  CUmemorytype type{};
  EXPECT_EQ(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address + 100), CUDA_SUCCESS);
  EXPECT_EQ(type, CU_MEMORYTYPE_DEVICE);
  CUcontext owner = nullptr;
  EXPECT_EQ(cuPointerGetAttribute(&owner, CU_POINTER_ATTRIBUTE_CONTEXT, address), CUDA_SUCCESS);
  EXPECT_EQ(owner, context());
  int ordinal = -1;
  EXPECT_EQ(cuPointerGetAttribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, address), CUDA_SUCCESS);
  EXPECT_EQ(ordinal, 0);
  void* host = nullptr;
  EXPECT_EQ(cuPointerGetAttribute(&host, CU_POINTER_ATTRIBUTE_HOST_POINTER, address),
            CUDA_ERROR_INVALID_VALUE);
  CU(cuMemFree(address));
  CU(cuDestroyExternalMemory(memory));
}

TEST(cycles, of_import_map_free_destroy_leave_nothing) {
  Buffer buffer(size);
  auto cycle = [&] {
    CUexternalMemory memory = import(buffer);
    CUdeviceptr address = map(memory, 128, 4096);
    CU(cuMemFree(address));
    CU(cuDestroyExternalMemory(memory));
  };
  cycle();
  std::size_t fds = count_fds();
  std::size_t mappings = count_mappings();
  std::size_t threads = count_threads();
  std::size_t free_before = 0;
  std::size_t free_after = 0;
  std::size_t total = 0;
  CU(cuMemGetInfo(&free_before, &total));
  for (int i = 0; i < 300; ++i)
    cycle();
  CU(cuMemGetInfo(&free_after, &total));
  EXPECT_EQ(count_fds(), fds);
  EXPECT_EQ(count_threads(), threads);
  EXPECT_LE(count_mappings(), mappings + 4); // the heap may have grown
  EXPECT_EQ(free_after, free_before);
}

TEST(contexts, take_their_imports_and_mappings_with_them) {
  Buffer buffer(size);
  std::size_t fds = count_fds();
  CUcontext other = nullptr;
  CU(cuCtxCreate(&other, 0, 0));
  CUexternalMemory memory = import(buffer);
  CUdeviceptr address = map(memory, 0, size);
  CU(cuCtxDestroy(other));
  EXPECT_EQ(cuDestroyExternalMemory(memory), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(cuMemFree(address), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(count_fds(), fds);
}

} // namespace
