// Host memory as external memory: memfd_create() and shm_open() descriptors, imported as OPAQUE_FD. NVIDIA's
// driver has no such thing.

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>

#include "fixture.hpp"

namespace {

using namespace interop;

constexpr std::size_t page = 4096;
constexpr std::size_t size = 64 * page;
constexpr std::size_t words = size / sizeof(std::uint32_t);

int memory_file(std::size_t bytes, unsigned flags = 0) {
  int fd = ::memfd_create("host", MFD_CLOEXEC | flags);
  EXPECT_EQ(::ftruncate(fd, static_cast<off_t>(bytes)), 0);
  return fd;
}

// The program's own view of a file.
class View {
public:
  View(int fd, std::size_t bytes) : bytes_(bytes) {
    void* mapped = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    EXPECT_NE(mapped, MAP_FAILED);
    words = static_cast<std::uint32_t*>(mapped);
  }
  ~View() { ::munmap(words, bytes_); }
  View(const View&) = delete;
  View& operator=(const View&) = delete;
  std::uint32_t* words = nullptr;

private:
  std::size_t bytes_;
};

CUresult import_code(int fd, std::size_t bytes, CUexternalMemory* memory = nullptr) {
  CUDA_EXTERNAL_MEMORY_HANDLE_DESC desc = memory_desc(fd, bytes);
  CUexternalMemory imported = nullptr;
  CUresult code = cuImportExternalMemory(&imported, &desc);
  if (memory)
    *memory = imported;
  else if (code == CUDA_SUCCESS)
    cuDestroyExternalMemory(imported);
  return code;
}

CUexternalMemory import_file(int fd, std::size_t bytes) {
  CUexternalMemory memory = nullptr;
  CU(import_code(fd, bytes, &memory));
  return memory;
}

void expect_both_sides_see_each_other(int fd) {
  View view(fd, size);
  CUexternalMemory memory = import_file(fd, size);
  EXPECT_FALSE(is_open(fd));
  CUdeviceptr address = map(memory, 0, size);
  std::fill_n(view.words, words, 0x600dcafeu);
  EXPECT_TRUE(all_are(read_through_cuda(address, words), 0x600dcafe));
  CU(cuMemsetD32(address, 0x1234, words));
  CU(cuCtxSynchronize());
  EXPECT_TRUE(all_are(std::span(view.words, words), 0x1234));
  CU(cuMemFree(address));
  CU(cuDestroyExternalMemory(memory));
}

TEST(host_memory, of_a_memfd) {
  expect_both_sides_see_each_other(memory_file(size));
}

TEST(host_memory, of_posix_shared_memory) {
  std::string name = "/cuda-shim-test-" + std::to_string(::getpid());
  int fd = ::shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
  ASSERT_GE(fd, 0);
  ::shm_unlink(name.c_str());
  ASSERT_EQ(::ftruncate(fd, size), 0);
  expect_both_sides_see_each_other(fd);
}

TEST(host_memory, is_shared_with_other_processes) {
  int fd = memory_file(size);
  View view(fd, size);
  CUexternalMemory memory = import_file(fd, size);
  CUdeviceptr address = map(memory, 0, size);
  CU(cuMemsetD32(address, 1, words));
  CU(cuCtxSynchronize());
  pid_t child = ::fork();
  if (child == 0) {
    bool seen = view.words[words - 1] == 1;
    std::fill_n(view.words, words, 2);
    ::_exit(seen ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(all_are(read_through_cuda(address, words), 2));
  CU(cuMemFree(address));
  CU(cuDestroyExternalMemory(memory));
}

TEST(host_memory, is_mapped_at_any_offset_to_the_byte) {
  int fd = memory_file(size);
  View view(fd, size);
  auto* bytes = reinterpret_cast<unsigned char*>(view.words);
  for (std::size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<unsigned char>(i * 31 + i / 251);
  CUexternalMemory memory = import_file(fd, size);
  for (std::size_t offset : {std::size_t{1}, std::size_t{13}, page - 1, page, 3 * page + 5, size - 64}) {
    CUdeviceptr address = map(memory, offset, 64);
    unsigned char read[64];
    CU(cuMemcpyDtoH(read, address, sizeof read));
    EXPECT_EQ(std::memcmp(read, bytes + offset, sizeof read), 0) << offset;
    CUdeviceptr base = 0;
    std::size_t length = 0;
    CU(cuMemGetAddressRange(&base, &length, address + 5));
    EXPECT_EQ(base, address);
    EXPECT_EQ(length, 64u);
    unsigned char before = bytes[offset - 1];
    CU(cuMemsetD8(address, 0xee, 64));
    CU(cuCtxSynchronize());
    EXPECT_EQ(bytes[offset - 1], before);
    EXPECT_EQ(bytes[offset], 0xee);
    EXPECT_EQ(bytes[offset + 63], 0xee);
    CU(cuMemFree(address));
  }
  CU(cuDestroyExternalMemory(memory));
}

TEST(host_memory, mappings_alias_and_outlive_the_import) {
  int fd = memory_file(size);
  View view(fd, size);
  CUexternalMemory memory = import_file(fd, size);
  CUdeviceptr first = map(memory, 0, size);
  CUdeviceptr second = map(memory, 0, size);
  EXPECT_NE(first, second);
  CU(cuDestroyExternalMemory(memory));
  CU(cuMemsetD32(first, 3, words));
  EXPECT_TRUE(all_are(read_through_cuda(second, words), 3));
  CU(cuMemFree(first));
  CU(cuMemsetD32(second, 4, words));
  CU(cuCtxSynchronize());
  EXPECT_TRUE(all_are(std::span(view.words, words), 4));
  EXPECT_EQ(cuMemFree(second), CUDA_SUCCESS);
  EXPECT_EQ(cuMemFree(second), CUDA_ERROR_INVALID_VALUE);
}

TEST(host_memory, leaves_nothing) {
  int fd = memory_file(size);
  auto cycle = [&] {
    CUexternalMemory memory = import_file(::fcntl(fd, F_DUPFD_CLOEXEC, 0), size);
    CUdeviceptr address = map(memory, 128, page);
    CU(cuMemFree(address));
    CU(cuDestroyExternalMemory(memory));
  };
  cycle();
  std::size_t fds = count_fds(), mappings = count_mappings();
  for (int i = 0; i < 200; ++i)
    cycle();
  EXPECT_EQ(count_fds(), fds);
  EXPECT_LE(count_mappings(), mappings + 4); // the heap may have grown
  ::close(fd);
}

TEST(host_memory, that_the_gpu_must_not_write_is_refused_and_stays_open) {
  int file = memory_file(size, MFD_ALLOW_SEALING);
  std::string path = "/proc/self/fd/" + std::to_string(file);
  int read_only = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  EXPECT_EQ(import_code(read_only, size), CUDA_ERROR_NOT_PERMITTED);
  EXPECT_TRUE(is_open(read_only));
  ::close(read_only);
  ASSERT_EQ(::fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
  EXPECT_EQ(import_code(::fcntl(file, F_DUPFD_CLOEXEC, 0), size), CUDA_SUCCESS);
  ASSERT_EQ(::fcntl(file, F_ADD_SEALS, F_SEAL_WRITE), 0);
  EXPECT_EQ(import_code(file, size), CUDA_ERROR_NOT_PERMITTED);
  EXPECT_TRUE(is_open(file));
  ::close(file);
}

TEST(host_memory, that_is_too_small_is_refused) {
  int file = memory_file(page + 1);
  EXPECT_EQ(import_code(file, page + 2), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(import_code(file, ~0ull), CUDA_ERROR_INVALID_VALUE);
  EXPECT_TRUE(is_open(file));
  CUexternalMemory memory = import_file(file, page + 1);
  CUdeviceptr address = 0;
  for (auto [offset, length] : {std::pair{0ull, page + 2ull}, {page + 1ull, 1ull}, {16ull, ~0ull - 8}}) {
    CUDA_EXTERNAL_MEMORY_BUFFER_DESC beyond = buffer_desc(offset, length);
    EXPECT_EQ(cuExternalMemoryGetMappedBuffer(&address, memory, &beyond), CUDA_ERROR_INVALID_VALUE);
  }
  address = map(memory, page, 1);
  CU(cuMemsetD8(address, 1, 1));
  CU(cuMemFree(address));
  CU(cuDestroyExternalMemory(memory));
  EXPECT_EQ(import_code(memory_file(0), 1), CUDA_ERROR_INVALID_VALUE);
}

TEST(host_memory, that_became_shorter_is_refused_when_mapped) {
  int fd = memory_file(size);
  int mine = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  CUexternalMemory memory = import_file(fd, size);
  ASSERT_EQ(::ftruncate(mine, page), 0);
  CUdeviceptr address = 0;
  CUDA_EXTERNAL_MEMORY_BUFFER_DESC all = buffer_desc(0, size);
  EXPECT_EQ(cuExternalMemoryGetMappedBuffer(&address, memory, &all), CUDA_ERROR_INVALID_VALUE);
  address = map(memory, 0, page);
  CU(cuMemsetD8(address, 7, page));
  CU(cuMemFree(address));
  ASSERT_EQ(::ftruncate(mine, size), 0);
  address = map(memory, 0, size);
  CU(cuMemFree(address));
  CU(cuDestroyExternalMemory(memory));
  ::close(mine);
}

TEST(host_memory, of_files_on_disk_is_no_memory) {
  int fd = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  EXPECT_EQ(import_code(fd, page), CUDA_ERROR_UNKNOWN);
  EXPECT_TRUE(is_open(fd));
  ::close(fd);
}

// Last: the context is of no use afterwards, and so is the process's GPU.
TEST(host_memory, that_becomes_shorter_when_mapped_is_a_page_fault_of_the_gpus) {
  int fd = memory_file(size);
  int mine = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  CUexternalMemory memory = import_file(fd, size);
  CUdeviceptr address = map(memory, 0, size);
  CU(cuMemsetD32(address, 1, words));
  CU(cuCtxSynchronize());
  ASSERT_EQ(::ftruncate(mine, page), 0);
  // A fault may be told after the work that made it ends.
  CUresult code = CUDA_SUCCESS;
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (code == CUDA_SUCCESS && std::chrono::steady_clock::now() < deadline) {
    code = cuMemsetD32(address, 2, words);
    if (code == CUDA_SUCCESS)
      code = cuCtxSynchronize();
  }
  EXPECT_EQ(code, CUDA_ERROR_ILLEGAL_ADDRESS);
  EXPECT_EQ(cuMemFree(address), CUDA_ERROR_ILLEGAL_ADDRESS);
  ::close(mine);
}

} // namespace
