// One memory object, imported more than once: by its sub-allocations, in two contexts, by many threads. And
// many imports in a process that may have few descriptors.

#include <sys/resource.h>
#include <unistd.h>

#include <atomic>

#include "fixture.hpp"

namespace {

using namespace interop;

constexpr unsigned long long size = 1 << 20;
constexpr std::size_t words = size / sizeof(std::uint32_t);
constexpr rlim_t few_descriptors = 1024;

// Before anything else of the process asks how many it may have.
[[gnu::constructor]] void live_with_few_descriptors() {
  rlimit limit{few_descriptors, few_descriptors};
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

TEST(imports, made_later_leave_earlier_mappings_alone) {
  Buffer buffer(size);
  CUexternalMemory first = import(buffer);
  CUdeviceptr here = map(first, 0, size);
  CUexternalMemory second = import(buffer);
  CU(cuMemsetD32(here, 1, words));
  EXPECT_TRUE(all_are(read_through_cuda(here, words), 1));
  CUdeviceptr there = map(second, 0, size);
  CU(cuDestroyExternalMemory(first));
  CU(cuMemsetD32(there, 2, words));
  EXPECT_TRUE(all_are(read_through_cuda(here, words), 2));
  CU(cuMemFree(here));
  EXPECT_TRUE(all_are(read_through_cuda(there, words), 2));
  CU(cuDestroyExternalMemory(second));
  EXPECT_TRUE(all_are(read_through_cuda(there, words), 2));
  EXPECT_TRUE(all_are(read_through_vulkan(buffer), 2));
  CU(cuMemFree(there));
}

// As of an allocator that puts several buffers into one allocation, and exports it for each.
TEST(imports, of_sub_allocations_each_map_their_part) {
  Buffer memory(size, Buffer::Kind::host_visible);
  constexpr std::size_t parts = 16, part_words = words / parts;
  std::vector<CUexternalMemory> imported;
  std::vector<CUdeviceptr> addresses;
  for (std::size_t i = 0; i < parts; ++i) {
    imported.push_back(import(memory));
    addresses.push_back(map(imported.back(), i * (size / parts), size / parts));
    CU(cuMemsetD32(addresses.back(), static_cast<unsigned>(100 + i), part_words));
  }
  for (std::size_t i = 0; i < parts; i += 2) {
    CU(cuMemFree(addresses[i]));
    CU(cuDestroyExternalMemory(imported[i]));
  }
  for (std::size_t i = 1; i < parts; i += 2) {
    EXPECT_TRUE(all_are(read_through_cuda(addresses[i], part_words), static_cast<std::uint32_t>(100 + i)));
    CU(cuMemsetD32(addresses[i], static_cast<unsigned>(200 + i), part_words));
    CU(cuDestroyExternalMemory(imported[i]));
    CU(cuMemFree(addresses[i]));
  }
  for (std::size_t i = 0; i < parts; ++i)
    EXPECT_TRUE(all_are(std::span(memory.words + i * part_words, part_words),
                        static_cast<std::uint32_t>(i % 2 ? 200 + i : 100 + i)));
}

TEST(imports, of_two_contexts_do_not_know_of_each_other) {
  Buffer buffer(size);
  CUexternalMemory first = import(buffer);
  CUdeviceptr here = map(first, 0, size);
  CUcontext other = nullptr;
  CU(cuCtxCreate(&other, 0, 0));
  CUexternalMemory second = import(buffer);
  CUdeviceptr there = map(second, 0, size);
  CU(cuMemsetD32(there, 5, words));
  CU(cuCtxSynchronize());
  CU(cuCtxDestroy(other)); // with its import and mapping
  EXPECT_TRUE(all_are(read_through_cuda(here, words), 5));
  CU(cuMemsetD32(here, 6, words));
  EXPECT_TRUE(all_are(read_through_cuda(here, words), 6));
  CU(cuMemFree(here));
  CU(cuDestroyExternalMemory(first));
}

TEST(imports, of_eight_threads_come_and_go) {
  Buffer buffer(size);
  constexpr std::size_t threads = 8, part_words = words / threads;
  constexpr unsigned rounds = 40;
  std::atomic<unsigned> wrong{0};
  std::vector<std::thread> all;
  for (std::size_t i = 0; i < threads; ++i)
    all.emplace_back([&, i] {
      CU(cuCtxSetCurrent(context()));
      for (unsigned round = 0; round < rounds; ++round) {
        CUexternalMemory memory = import(buffer);
        CUdeviceptr address = map(memory, i * (size / threads), size / threads);
        if (round % 2)
          CU(cuDestroyExternalMemory(memory));
        auto value = static_cast<std::uint32_t>(i * rounds + round);
        CU(cuMemsetD32(address, value, part_words));
        wrong += !all_are(read_through_cuda(address, part_words), value);
        CU(cuMemFree(address));
        if (round % 2 == 0)
          CU(cuDestroyExternalMemory(memory));
      }
    });
  for (std::thread& thread : all)
    thread.join();
  EXPECT_EQ(wrong, 0u);
}

TEST(imports, hold_no_descriptors) {
  Buffer buffer(size);
  CU(cuDestroyExternalMemory(import(buffer)));
  std::size_t fds = count_fds();
  std::vector<CUexternalMemory> all;
  for (int i = 0; i < 1500; ++i)
    all.push_back(import(buffer));
  EXPECT_EQ(count_fds(), fds);
  std::vector<CUdeviceptr> addresses;
  for (std::size_t i = 0; i < all.size(); i += 10)
    addresses.push_back(map(all[i], 0, size));
  EXPECT_EQ(count_fds(), fds);
  CU(cuMemsetD32(addresses.front(), 8, words));
  EXPECT_TRUE(all_are(read_through_cuda(addresses.back(), words), 8));
  for (CUdeviceptr address : addresses)
    CU(cuMemFree(address));
  for (CUexternalMemory memory : all)
    CU(cuDestroyExternalMemory(memory));
  EXPECT_EQ(count_fds(), fds);
}

TEST(imports, keep_memory_that_vulkan_freed_and_let_it_go_in_the_end) {
  std::size_t before = 0, after = 0, total = 0;
  CU(cuDestroyExternalMemory(import(Buffer(size))));
  CU(cuMemGetInfo(&before, &total));
  constexpr std::size_t large = 64 << 20;
  auto buffer = std::make_unique<Buffer>(large);
  CUexternalMemory first = import(*buffer);
  CUexternalMemory second = import(*buffer);
  Submission(fill(*buffer, 0x77)).wait();
  buffer.reset();
  CU(cuDestroyExternalMemory(first));
  CUdeviceptr address = map(second, 0, large);
  CU(cuDestroyExternalMemory(second));
  EXPECT_TRUE(all_are(read_through_cuda(address, words), 0x77));
  CU(cuMemGetInfo(&after, &total));
  EXPECT_LE(after + large, before);
  CU(cuMemFree(address));
  CU(cuMemGetInfo(&after, &total));
  EXPECT_EQ(after, before);
}

// As four public programs do.
TEST(a_descriptor_closed_once_more, hits_nothing_of_the_drivers) {
  Buffer buffer(size);
  std::vector<CUexternalMemory> all;
  std::vector<CUdeviceptr> addresses;
  for (int i = 0; i < 8; ++i) {
    int fd = buffer.export_fd();
    bool next_is_free = !is_open(fd + 1);
    CUDA_EXTERNAL_MEMORY_HANDLE_DESC desc = memory_desc(fd, buffer.allocated);
    CU(cuImportExternalMemory(&all.emplace_back(), &desc));
    ::close(fd);
    if (next_is_free)
      ::close(fd + 1);
    addresses.push_back(map(all.back(), 0, size));
    ::close(fd);
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    CU(cuMemsetD32(addresses[i], static_cast<unsigned>(i), words));
    EXPECT_TRUE(all_are(read_through_cuda(addresses[i], words), static_cast<std::uint32_t>(i)));
    CUdeviceptr again = map(all[i], 0, size);
    CU(cuMemFree(again));
    CU(cuMemFree(addresses[i]));
    CU(cuDestroyExternalMemory(all[i]));
  }
}

} // namespace
