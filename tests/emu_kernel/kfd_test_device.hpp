// /dev/kfd and a render node, opened and called as a program does.
#pragma once

#include "kfd_ioctl.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

namespace kfd_test {

using namespace emu::kernel::uapi;

inline constexpr std::uint64_t page = 4096;

// 0 (or the result), or a negative errno.
template <class Args>
long call(int fd, unsigned long request, Args& args) {
  const int result = ioctl(fd, request, &args);
  return result < 0 ? -errno : result;
}

class KfdDevice : public ::testing::Test {
protected:
  void SetUp() override {
    kfd_ = open("/dev/kfd", O_RDWR | O_CLOEXEC);
    ASSERT_GE(kfd_, 0) << "is libkfd-emu.so preloaded?";
    kfd_ioctl_get_process_apertures_args apertures{};
    ASSERT_EQ(call(kfd_, ioc::GET_PROCESS_APERTURES, apertures), 0);
    // A real kernel in a virtual machine has no GPU (tests/real_kernel); events need none.
    ASSERT_EQ(apertures.num_of_nodes, std::getenv("CUDA_SHIM_TEST_REAL_KERNEL") ? 0u : 1u);
    gpu_ = apertures.process_apertures[0].gpu_id;
  }
  void TearDown() override { close(kfd_); }

  // A process acquires a VM once; every test of an executable shares it.
  void acquire() {
    static const int render = open("/dev/dri/renderD128", O_RDWR | O_CLOEXEC);
    render_ = render;
    ASSERT_GE(render_, 0);
    kfd_ioctl_acquire_vm_args args{static_cast<u32>(render_), gpu_};
    ASSERT_EQ(call(kfd_, ioc::ACQUIRE_VM, args), 0);
  }

  // Address space that nothing else uses.
  static void* reserve(std::size_t size) {
    return mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  }

  struct Memory {
    std::uint64_t handle = 0, va = 0, size = 0, mmap_offset = 0;
    void* cpu = nullptr;
  };

  static constexpr u32 ordinary =
      ALLOC_MEM_FLAGS_WRITABLE | ALLOC_MEM_FLAGS_EXECUTABLE | ALLOC_MEM_FLAGS_PUBLIC;

  kfd_ioctl_alloc_memory_of_gpu_args allocation(u32 flags, std::uint64_t size) const {
    kfd_ioctl_alloc_memory_of_gpu_args args{};
    args.size = size;
    args.gpu_id = gpu_;
    args.flags = flags;
    return args;
  }

  // Allocated at an address that the CPU mapping shares, and mapped on both sides.
  Memory make(u32 kind, std::uint64_t size) {
    Memory memory;
    memory.size = size;
    memory.cpu = reserve(size);
    memory.va = reinterpret_cast<std::uint64_t>(memory.cpu);
    auto args = allocation(kind | ordinary, size);
    args.va_addr = memory.va;
    EXPECT_EQ(call(kfd_, ioc::ALLOC_MEMORY_OF_GPU, args), 0);
    memory.handle = args.handle;
    memory.mmap_offset = args.mmap_offset;
    EXPECT_EQ(mmap(memory.cpu, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, render_,
                   static_cast<off_t>(args.mmap_offset)),
              memory.cpu)
        << strerror(errno);
    EXPECT_EQ(map(memory.handle), 0);
    return memory;
  }

  void release(const Memory& memory) {
    EXPECT_EQ(unmap(memory.handle), 0);
    EXPECT_EQ(free(memory.handle), 0);
    munmap(memory.cpu, memory.size);
  }

  long map(std::uint64_t handle) {
    kfd_ioctl_map_memory_to_gpu_args args{handle, reinterpret_cast<u64>(&gpu_), 1, 0};
    const long result = call(kfd_, ioc::MAP_MEMORY_TO_GPU, args);
    EXPECT_EQ(args.n_success, result == 0 ? 1u : 0u);
    return result;
  }
  long unmap(std::uint64_t handle) {
    kfd_ioctl_unmap_memory_from_gpu_args args{handle, reinterpret_cast<u64>(&gpu_), 1, 0};
    return call(kfd_, ioc::UNMAP_MEMORY_FROM_GPU, args);
  }
  long free(std::uint64_t handle) {
    kfd_ioctl_free_memory_of_gpu_args args{handle};
    return call(kfd_, ioc::FREE_MEMORY_OF_GPU, args);
  }

  int kfd_ = -1;
  int render_ = -1;
  u32 gpu_ = 0;
};

} // namespace kfd_test
