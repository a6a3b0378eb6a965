// Wrong calls of the external memory functions: the codes that NVIDIA's driver gives, and an error where it
// crashes.

#include <sys/eventfd.h>
#include <unistd.h>

#include "fixture.hpp"

namespace {

using namespace interop;

constexpr unsigned long long object_size = 1 << 20;

// An import that is expected to fail: the code, with the descriptor still open.
CUresult import_code(const CUDA_EXTERNAL_MEMORY_HANDLE_DESC& desc) {
  CUexternalMemory memory = nullptr;
  CUresult code = cuImportExternalMemory(&memory, &desc);
  if (code == CUDA_SUCCESS)
    cuDestroyExternalMemory(memory);
  else
    EXPECT_EQ(memory, nullptr);
  return code;
}

class ImportErrors : public testing::Test {
protected:
  ~ImportErrors() override { ::close(fd); }
  Buffer buffer{object_size};
  int fd = buffer.export_fd();
  CUDA_EXTERNAL_MEMORY_HANDLE_DESC desc = memory_desc(fd, buffer.allocated);
};

TEST_F(ImportErrors, null_pointers) {
  CUexternalMemory memory = nullptr;
  EXPECT_EQ(cuImportExternalMemory(nullptr, &desc), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuImportExternalMemory(&memory, nullptr), CUDA_ERROR_INVALID_VALUE);
  EXPECT_TRUE(is_open(fd));
}

TEST_F(ImportErrors, unknown_types) {
  for (unsigned type : {0u, 6u, 100u, 0xffffffffu}) {
    desc.type = static_cast<CUexternalMemoryHandleType>(type);
    EXPECT_EQ(import_code(desc), CUDA_ERROR_INVALID_VALUE) << type;
  }
  EXPECT_TRUE(is_open(fd));
}

TEST_F(ImportErrors, windows_types) {
  for (CUexternalMemoryHandleType type :
       {CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_WIN32, CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_WIN32_KMT,
        CU_EXTERNAL_MEMORY_HANDLE_TYPE_D3D12_HEAP}) {
    desc.type = type;
    EXPECT_EQ(import_code(desc), CUDA_ERROR_NOT_SUPPORTED) << type;
  }
  desc.type = CU_EXTERNAL_MEMORY_HANDLE_TYPE_D3D12_RESOURCE; // always dedicated
  EXPECT_EQ(import_code(desc), CUDA_ERROR_INVALID_VALUE);
  desc.flags = CUDA_EXTERNAL_MEMORY_DEDICATED;
  EXPECT_EQ(import_code(desc), CUDA_ERROR_NOT_SUPPORTED);
  EXPECT_TRUE(is_open(fd));
}

TEST_F(ImportErrors, size_zero) {
  desc.size = 0;
  EXPECT_EQ(import_code(desc), CUDA_ERROR_INVALID_VALUE);
  EXPECT_TRUE(is_open(fd));
}

TEST_F(ImportErrors, unknown_flags) {
  for (unsigned flags : {2u, 3u, 0x80000000u}) {
    desc.flags = flags;
    EXPECT_EQ(import_code(desc), CUDA_ERROR_INVALID_VALUE) << flags;
  }
  EXPECT_TRUE(is_open(fd));
}

TEST_F(ImportErrors, reserved_words) {
  for (unsigned& word : desc.reserved) {
    word = 1;
    EXPECT_EQ(import_code(desc), CUDA_ERROR_INVALID_VALUE);
    word = 0;
  }
  EXPECT_TRUE(is_open(fd));
}

TEST_F(ImportErrors, no_current_context) {
  CUcontext popped = nullptr;
  CU(cuCtxPopCurrent(&popped));
  EXPECT_EQ(import_code(desc), CUDA_ERROR_INVALID_CONTEXT);
  CU(cuCtxPushCurrent(popped));
  EXPECT_TRUE(is_open(fd));
}

TEST(import_of, what_is_no_memory_is_unknown_and_stays_open) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  Semaphore binary(Semaphore::Kind::binary);
  Semaphore timeline(Semaphore::Kind::timeline);
  for (int fd :
       {ends[0], ends[1], ::open("/dev/null", O_RDWR | O_CLOEXEC), ::eventfd(0, EFD_CLOEXEC),
        ::open("/dev/dri/renderD128", O_RDWR | O_CLOEXEC), binary.export_fd(), timeline.export_fd()}) {
    ASSERT_TRUE(is_open(fd));
    EXPECT_EQ(import_code(memory_desc(fd, object_size)), CUDA_ERROR_UNKNOWN);
    EXPECT_TRUE(is_open(fd));
    ::close(fd);
    EXPECT_EQ(import_code(memory_desc(fd, object_size)), CUDA_ERROR_UNKNOWN); // and now closed
  }
  EXPECT_EQ(import_code(memory_desc(-1, object_size)), CUDA_ERROR_UNKNOWN);
  EXPECT_EQ(import_code(memory_desc(1 << 20, object_size)), CUDA_ERROR_UNKNOWN);
}

TEST(import_of, memory_closes_the_descriptor) {
  Buffer buffer(object_size);
  int fd = buffer.export_fd();
  CUDA_EXTERNAL_MEMORY_HANDLE_DESC desc = memory_desc(fd, buffer.allocated);
  CUexternalMemory memory = nullptr;
  ASSERT_EQ(cuImportExternalMemory(&memory, &desc), CUDA_SUCCESS);
  EXPECT_FALSE(is_open(fd));
  EXPECT_EQ(cuDestroyExternalMemory(memory), CUDA_SUCCESS);
}

class MappingErrors : public testing::Test {
protected:
  ~MappingErrors() override { cuDestroyExternalMemory(memory); }
  CUresult map_code(const CUDA_EXTERNAL_MEMORY_BUFFER_DESC& desc) {
    CUdeviceptr address = 0;
    CUresult code = cuExternalMemoryGetMappedBuffer(&address, memory, &desc);
    if (code == CUDA_SUCCESS)
      cuMemFree(address);
    return code;
  }
  Buffer buffer{object_size};
  CUexternalMemory memory = import(buffer);
};

TEST_F(MappingErrors, null_pointers) {
  CUDA_EXTERNAL_MEMORY_BUFFER_DESC desc = buffer_desc(0, 16);
  CUdeviceptr address = 0;
  EXPECT_EQ(cuExternalMemoryGetMappedBuffer(nullptr, memory, &desc), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuExternalMemoryGetMappedBuffer(&address, memory, nullptr), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(MappingErrors, size_zero_flags_and_reserved_words) {
  EXPECT_EQ(map_code(buffer_desc(0, 0)), CUDA_ERROR_INVALID_VALUE);
  CUDA_EXTERNAL_MEMORY_BUFFER_DESC desc = buffer_desc(0, 16);
  desc.flags = 1;
  EXPECT_EQ(map_code(desc), CUDA_ERROR_INVALID_VALUE);
  desc = buffer_desc(0, 16);
  desc.reserved[15] = 1;
  EXPECT_EQ(map_code(desc), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(MappingErrors, beyond_the_imported_size) {
  EXPECT_EQ(map_code(buffer_desc(0, buffer.allocated)), CUDA_SUCCESS);
  EXPECT_EQ(map_code(buffer_desc(0, buffer.allocated + 1)), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(map_code(buffer_desc(1, buffer.allocated)), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(map_code(buffer_desc(buffer.allocated, 1)), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(map_code(buffer_desc(16, ~0ull - 8)), CUDA_ERROR_INVALID_VALUE); // offset + size wraps
  EXPECT_EQ(map_code(buffer_desc(~0ull, 2)), CUDA_ERROR_INVALID_VALUE);
}

TEST(mapping, a_size_beyond_the_object_is_accepted_at_import_and_refused_when_mapped) {
  Buffer buffer(object_size);
  CUDA_EXTERNAL_MEMORY_HANDLE_DESC desc = memory_desc(buffer.export_fd(), 16 * object_size);
  CUexternalMemory memory = nullptr;
  ASSERT_EQ(cuImportExternalMemory(&memory, &desc), CUDA_SUCCESS);
  CUdeviceptr address = 0;
  CUDA_EXTERNAL_MEMORY_BUFFER_DESC all = buffer_desc(0, 16 * object_size);
  EXPECT_EQ(cuExternalMemoryGetMappedBuffer(&address, memory, &all), CUDA_ERROR_INVALID_VALUE);
  CUDA_EXTERNAL_MEMORY_BUFFER_DESC part = buffer_desc(0, object_size);
  EXPECT_EQ(cuExternalMemoryGetMappedBuffer(&address, memory, &part), CUDA_SUCCESS);
  EXPECT_EQ(cuMemFree(address), CUDA_SUCCESS);
  CU(cuDestroyExternalMemory(memory));
}

TEST(mapping, a_smaller_imported_size_limits_it) {
  Buffer buffer(object_size);
  CUDA_EXTERNAL_MEMORY_HANDLE_DESC desc = memory_desc(buffer.export_fd(), 4096);
  CUexternalMemory memory = nullptr;
  ASSERT_EQ(cuImportExternalMemory(&memory, &desc), CUDA_SUCCESS);
  CUdeviceptr address = 0;
  CUDA_EXTERNAL_MEMORY_BUFFER_DESC beyond = buffer_desc(0, 4097);
  EXPECT_EQ(cuExternalMemoryGetMappedBuffer(&address, memory, &beyond), CUDA_ERROR_INVALID_VALUE);
  CU(cuDestroyExternalMemory(memory));
}

TEST_F(MappingErrors, mipmapped_arrays_are_not_there_yet) {
  CUDA_EXTERNAL_MEMORY_MIPMAPPED_ARRAY_DESC desc{};
  desc.arrayDesc.Width = 16;
  desc.arrayDesc.Height = 16;
  desc.arrayDesc.Format = CU_AD_FORMAT_UNSIGNED_INT8;
  desc.arrayDesc.NumChannels = 4;
  desc.numLevels = 1;
  CUmipmappedArray array = nullptr;
  EXPECT_EQ(cuExternalMemoryGetMappedMipmappedArray(&array, memory, &desc), CUDA_ERROR_NOT_SUPPORTED);
}

TEST_F(MappingErrors, freeing_twice_or_inside) {
  CUdeviceptr address = map(memory, 4096, 8192);
  EXPECT_EQ(cuMemFree(address + 1), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuMemFree(address - 4096), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuMemFree(address), CUDA_SUCCESS);
  EXPECT_EQ(cuMemFree(address), CUDA_ERROR_INVALID_VALUE);
}

TEST(handles, destroyed_ones_are_refused) {
  Buffer buffer(object_size);
  CUexternalMemory memory = import(buffer);
  ASSERT_EQ(cuDestroyExternalMemory(memory), CUDA_SUCCESS);
  EXPECT_EQ(cuDestroyExternalMemory(memory), CUDA_ERROR_INVALID_HANDLE);
  CUdeviceptr address = 0;
  CUDA_EXTERNAL_MEMORY_BUFFER_DESC desc = buffer_desc(0, 16);
  EXPECT_EQ(cuExternalMemoryGetMappedBuffer(&address, memory, &desc), CUDA_ERROR_INVALID_HANDLE);
}

TEST(handles, garbage_and_objects_of_another_kind_are_refused) {
  int local = 0;
  Stream stream;
  Semaphore vk_semaphore(Semaphore::Kind::timeline);
  CUexternalSemaphore semaphore = import(vk_semaphore);
  for (void* garbage :
       {static_cast<void*>(nullptr), static_cast<void*>(&local), reinterpret_cast<void*>(0x123456789abc),
        static_cast<void*>(stream.handle), reinterpret_cast<void*>(semaphore)}) {
    auto memory = reinterpret_cast<CUexternalMemory>(garbage);
    CUdeviceptr address = 0;
    CUDA_EXTERNAL_MEMORY_BUFFER_DESC desc = buffer_desc(0, 16);
    EXPECT_EQ(cuExternalMemoryGetMappedBuffer(&address, memory, &desc), CUDA_ERROR_INVALID_VALUE);
    EXPECT_EQ(cuDestroyExternalMemory(memory), CUDA_ERROR_INVALID_VALUE);
  }
  CU(cuDestroyExternalSemaphore(semaphore));
}

} // namespace
