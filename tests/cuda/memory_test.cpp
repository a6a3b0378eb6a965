#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

#include "fixture.hpp"

namespace {

using Memory = cuda_test::CudaTest;

TEST_F(Memory, allocations_are_aligned_and_apart) {
  CUdeviceptr first = allocate(1), second = allocate(1);
  EXPECT_EQ(0u, first % 256);
  EXPECT_EQ(0u, second % 256);
  EXPECT_NE(first, second);
  EXPECT_OK(cuMemFree(first));
  EXPECT_OK(cuMemFree(second));
}

TEST_F(Memory, bad_sizes_and_null_are_refused) {
  CUdeviceptr address = 0;
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuMemAlloc(&address, 0));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuMemAlloc(nullptr, 16));
  EXPECT_CUDA(CUDA_ERROR_OUT_OF_MEMORY, cuMemAlloc(&address, std::size_t{1} << 45));
  EXPECT_CUDA(CUDA_ERROR_OUT_OF_MEMORY, cuMemAlloc(&address, ~std::size_t{0}));
}

TEST_F(Memory, only_whole_allocations_are_freed_and_once) {
  CUdeviceptr address = allocate(4096);
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuMemFree(address + 16));
  EXPECT_OK(cuMemFree(address));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuMemFree(address));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuMemFree(0x1234));
  EXPECT_OK(cuMemFree(0));
}

TEST_F(Memory, address_range_is_the_allocation_s) {
  CUdeviceptr address = allocate(10000), base = 0;
  std::size_t size = 0;
  EXPECT_OK(cuMemGetAddressRange(&base, &size, address + 9999));
  EXPECT_EQ(address, base);
  EXPECT_EQ(10000u, size);
  EXPECT_OK(cuMemGetAddressRange(nullptr, &size, address));
  EXPECT_OK(cuMemGetAddressRange(&base, nullptr, address));
  EXPECT_CUDA(CUDA_ERROR_NOT_FOUND, cuMemGetAddressRange(&base, &size, 0x10));
  EXPECT_OK(cuMemFree(address));
}

TEST_F(Memory, pitch_holds_the_row) {
  CUdeviceptr address = 0;
  std::size_t pitch = 0;
  ASSERT_OK(cuMemAllocPitch(&address, &pitch, 1001, 33, 4));
  EXPECT_GE(pitch, 1001u);
  EXPECT_EQ(0u, pitch % 16);
  CUdeviceptr base = 0;
  std::size_t size = 0;
  EXPECT_OK(cuMemGetAddressRange(&base, &size, address));
  EXPECT_GE(size, pitch * 32 + 1001);
  EXPECT_OK(cuMemFree(address));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuMemAllocPitch(&address, &pitch, 100, 10, 3));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuMemAllocPitch(&address, &pitch, 0, 10, 4));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuMemAllocPitch(&address, nullptr, 100, 10, 4));
}

TEST_F(Memory, free_memory_shrinks_and_grows) {
  std::size_t before = 0, during = 0, after = 0, total = 0;
  ASSERT_OK(cuMemGetInfo(&before, &total));
  EXPECT_LE(before, total);
  constexpr std::size_t bytes = 256 << 20;
  CUdeviceptr address = allocate(bytes);
  ASSERT_OK(cuMemGetInfo(&during, nullptr));
  EXPECT_LE(during + bytes, before);
  EXPECT_OK(cuMemFree(address));
  ASSERT_OK(cuMemGetInfo(&after, nullptr));
  EXPECT_EQ(before, after);
}

TEST_F(Memory, host_memory_is_reached_by_both_sides) {
  void* host = nullptr;
  ASSERT_OK(cuMemHostAlloc(&host, 10000, CU_MEMHOSTALLOC_DEVICEMAP | CU_MEMHOSTALLOC_PORTABLE));
  CUdeviceptr seen = 0;
  ASSERT_OK(cuMemHostGetDevicePointer(&seen, host, 0));
  ASSERT_OK(cuMemsetD8(seen + 100, 0x5a, 1000));
  ASSERT_OK(cuCtxSynchronize());
  const auto* bytes = static_cast<unsigned char*>(host);
  EXPECT_EQ(0x5a, bytes[100]);
  EXPECT_EQ(0x5a, bytes[1099]);
  unsigned flags = 0;
  EXPECT_OK(cuMemHostGetFlags(&flags, host));
  EXPECT_TRUE(flags & CU_MEMHOSTALLOC_DEVICEMAP);
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuMemHostGetDevicePointer(&seen, host, 1));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuMemFreeHost(static_cast<char*>(host) + 64));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuMemFree(reinterpret_cast<CUdeviceptr>(host)));
  EXPECT_OK(cuMemFreeHost(host));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuMemFreeHost(host));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuMemHostAlloc(&host, 16, 0x100));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuMemAllocHost(nullptr, 16));
}

TEST_F(Memory, registered_memory_is_written_by_the_gpu) {
  constexpr std::size_t bytes = 5 * 4096;
  void* host = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_OK(cuMemHostRegister(host, bytes, CU_MEMHOSTREGISTER_DEVICEMAP));
  EXPECT_CUDA(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED, cuMemHostRegister(host, 4096, 0));
  CUdeviceptr seen = 0;
  ASSERT_OK(cuMemHostGetDevicePointer(&seen, host, 0));
  ASSERT_OK(cuMemsetD32(seen, 0xdeadbeef, bytes / 4));
  ASSERT_OK(cuCtxSynchronize());
  EXPECT_EQ(0xdeadbeefu, static_cast<unsigned*>(host)[bytes / 4 - 1]);
  EXPECT_OK(cuMemHostUnregister(host));
  EXPECT_CUDA(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, cuMemHostUnregister(host));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuMemHostRegister(nullptr, 4096, 0));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuMemHostRegister(host, 0, 0));
  munmap(host, bytes);
}

TEST_F(Memory, managed_memory_is_one_memory) {
  CUdeviceptr address = 0;
  ASSERT_OK(cuMemAllocManaged(&address, 4096, CU_MEM_ATTACH_GLOBAL));
  ASSERT_OK(cuMemsetD8(address, 7, 4096));
  ASSERT_OK(cuCtxSynchronize());
  EXPECT_EQ(7, reinterpret_cast<unsigned char*>(address)[4095]);
  unsigned managed = 0;
  EXPECT_OK(cuPointerGetAttribute(&managed, CU_POINTER_ATTRIBUTE_IS_MANAGED, address));
  EXPECT_EQ(1u, managed);
  EXPECT_OK(cuMemPrefetchAsync(address, 4096, device_, nullptr));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuMemPrefetchAsync(address, 5000, device_, nullptr));
  EXPECT_OK(cuStreamAttachMemAsync(nullptr, address, 0, CU_MEM_ATTACH_GLOBAL));
  EXPECT_OK(cuMemFree(address));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuMemAllocManaged(&address, 4096, 0x40));
}

TEST_F(Memory, pointer_attributes_tell_what_it_is) {
  CUdeviceptr device = allocate(4096);
  void* host = nullptr;
  ASSERT_OK(cuMemAllocHost(&host, 4096));
  auto host_address = reinterpret_cast<CUdeviceptr>(host);
  unsigned type = 0;
  EXPECT_OK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, device + 17));
  EXPECT_EQ(static_cast<unsigned>(CU_MEMORYTYPE_DEVICE), type);
  EXPECT_OK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, host_address));
  EXPECT_EQ(static_cast<unsigned>(CU_MEMORYTYPE_HOST), type);
  CUcontext context = nullptr;
  EXPECT_OK(cuPointerGetAttribute(&context, CU_POINTER_ATTRIBUTE_CONTEXT, device));
  EXPECT_EQ(context_, context);
  int ordinal = -1;
  EXPECT_OK(cuPointerGetAttribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, device));
  EXPECT_EQ(0, ordinal);
  CUdeviceptr back = 0;
  EXPECT_OK(cuPointerGetAttribute(&back, CU_POINTER_ATTRIBUTE_DEVICE_POINTER, device + 5));
  EXPECT_EQ(device + 5, back);
  void* host_pointer = nullptr;
  EXPECT_OK(cuPointerGetAttribute(&host_pointer, CU_POINTER_ATTRIBUTE_HOST_POINTER, host_address + 9));
  EXPECT_EQ(static_cast<char*>(host) + 9, host_pointer);
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE,
              cuPointerGetAttribute(&host_pointer, CU_POINTER_ATTRIBUTE_HOST_POINTER, device));
  unsigned long long first = 0, second = 0;
  EXPECT_OK(cuPointerGetAttribute(&first, CU_POINTER_ATTRIBUTE_BUFFER_ID, device));
  EXPECT_OK(cuPointerGetAttribute(&second, CU_POINTER_ATTRIBUTE_BUFFER_ID, host_address));
  EXPECT_NE(first, second);
  int local = 0;
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
                                                              reinterpret_cast<CUdeviceptr>(&local)));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE,
              cuPointerGetAttribute(nullptr, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, device));
  EXPECT_OK(cuMemFree(device));
  EXPECT_OK(cuMemFreeHost(host));
}

TEST_F(Memory, asking_about_host_pointers_prints_nothing) {
  int local = 0;
  testing::internal::CaptureStderr();
  for (int i = 0; i < 1000; ++i) {
    unsigned type = 0;
    EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
                                                                reinterpret_cast<CUdeviceptr>(&local)));
  }
  EXPECT_EQ("", testing::internal::GetCapturedStderr());
}

TEST_F(Memory, several_attributes_at_once_give_zeros_for_strangers) {
  CUdeviceptr device = allocate(64);
  CUpointer_attribute which[] = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_DEVICE_POINTER};
  unsigned type = 99;
  CUdeviceptr pointer = 99;
  void* values[] = {&type, &pointer};
  EXPECT_OK(cuPointerGetAttributes(2, which, values, device));
  EXPECT_EQ(static_cast<unsigned>(CU_MEMORYTYPE_DEVICE), type);
  EXPECT_EQ(device, pointer);
  int local = 0;
  EXPECT_OK(cuPointerGetAttributes(2, which, values, reinterpret_cast<CUdeviceptr>(&local)));
  EXPECT_EQ(0u, type);
  EXPECT_EQ(0u, pointer);
  EXPECT_OK(cuMemFree(device));
}

TEST_F(Memory, freed_memory_is_used_again) {
  for (int i = 0; i < 200; ++i) {
    CUdeviceptr address = allocate(64 << 20);
    ASSERT_NE(0u, address);
    ASSERT_OK(cuMemFree(address));
  }
}

TEST_F(Memory, registrations_share_a_page) {
  constexpr std::size_t page = 4096;
  std::vector<char> storage(4 * page);
  char* base = storage.data() + page - reinterpret_cast<std::uintptr_t>(storage.data()) % page;
  char *first = base, *second = base + 2000,
       *third = base + page - 500; // the last one reaches into the next page
  ASSERT_OK(cuMemHostRegister(first, 1000, 0));
  ASSERT_OK(cuMemHostRegister(second, 1000, 0));
  ASSERT_OK(cuMemHostRegister(third, 1000, 0));
  EXPECT_OK(cuMemHostUnregister(first));
  for (char* part : {second, third}) {
    EXPECT_OK(cuMemsetD8(reinterpret_cast<CUdeviceptr>(part), 7, 1000));
    EXPECT_OK(cuCtxSynchronize());
    EXPECT_EQ(7, part[0]);
    EXPECT_EQ(7, part[999]);
  }
  ASSERT_OK(cuMemHostRegister(first, 1000, 0));
  EXPECT_OK(cuMemsetD8(reinterpret_cast<CUdeviceptr>(first), 9, 1000));
  EXPECT_OK(cuCtxSynchronize());
  EXPECT_EQ(9, first[999]);
  EXPECT_EQ(0, first[1000]);
  for (char* part : {first, second, third})
    EXPECT_OK(cuMemHostUnregister(part));
}

} // namespace
