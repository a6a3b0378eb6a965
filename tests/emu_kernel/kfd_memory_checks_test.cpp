// Every check of KFD's memory ioctls, broken once.
#include "kfd_checks.hpp"

#include <amdgpu_drm.h>
#include <drm.h>

#include <sys/eventfd.h>

using namespace kfd_test;

namespace {

class MemoryChecks : public KfdDevice {
protected:
  void SetUp() override {
    KfdDevice::SetUp();
    acquire();
  }

  // Allocates and, where that works, frees again.
  long allocate(u32 flags, u64 size, u64 host = 0) { return allocate(allocation(flags, size), host); }
  long allocate(kfd_ioctl_alloc_memory_of_gpu_args args, u64 host = 0) {
    args.mmap_offset = host;
    const long error = call(kfd_, ioc::ALLOC_MEMORY_OF_GPU, args);
    if (error == 0) {
      EXPECT_EQ(free(args.handle), 0);
    }
    return error;
  }
  template <class Args>
  long map_call(unsigned long request, u64 handle, u64 devices, u32 count, u32 done, u32* reached = nullptr) {
    Args args{handle, devices, count, done};
    const long error = call(kfd_, request, args);
    if (reached)
      *reached = args.n_success;
    return error;
  }
  long map_with(u64 handle, u64 devices, u32 count, u32 done, u32* reached = nullptr) {
    return map_call<kfd_ioctl_map_memory_to_gpu_args>(ioc::MAP_MEMORY_TO_GPU, handle, devices, count, done,
                                                      reached);
  }
  long unmap_with(u64 handle, u64 devices, u32 count, u32 done, u32* reached = nullptr) {
    return map_call<kfd_ioctl_unmap_memory_from_gpu_args>(ioc::UNMAP_MEMORY_FROM_GPU, handle, devices, count,
                                                          done, reached);
  }
  // Maps a fresh buffer at `va`.
  long map_at(u64 va) {
    auto args = allocation(ALLOC_MEM_FLAGS_GTT | ordinary, page);
    args.va_addr = va;
    EXPECT_EQ(call(kfd_, ioc::ALLOC_MEMORY_OF_GPU, args), 0);
    const long error = map(args.handle);
    if (error == 0) {
      EXPECT_EQ(unmap(args.handle), 0);
    }
    EXPECT_EQ(free(args.handle), 0);
    return error;
  }
  long export_fd(u64 handle) {
    kfd_ioctl_export_dmabuf_args args{handle, O_CLOEXEC, 0};
    const long error = call(kfd_, ioc::EXPORT_DMABUF, args);
    return error ? error : static_cast<long>(args.dmabuf_fd);
  }
  long import(u32 gpu, int fd) {
    kfd_ioctl_import_dmabuf_args args{0x100000, 0, gpu, static_cast<u32>(fd)};
    return call(kfd_, ioc::IMPORT_DMABUF, args);
  }
  long info(int fd, u64 metadata, u32 size, u32* said = nullptr) {
    kfd_ioctl_get_dmabuf_info_args args{};
    args.dmabuf_fd = static_cast<u32>(fd);
    args.metadata_ptr = metadata;
    args.metadata_size = size;
    const long error = call(kfd_, ioc::GET_DMABUF_INFO, args);
    if (said)
      *said = args.metadata_size;
    return error;
  }
  // Gives the buffer behind `fd` 16 bytes of metadata, as a Vulkan driver does.
  void set_metadata(int fd) {
    drm_prime_handle prime{};
    prime.fd = fd;
    ASSERT_EQ(ioctl(render_, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime), 0);
    drm_amdgpu_gem_metadata metadata{};
    metadata.handle = prime.handle;
    metadata.op = AMDGPU_GEM_METADATA_OP_SET_METADATA;
    metadata.data.data_size_bytes = 16;
    ASSERT_EQ(ioctl(render_, DRM_IOCTL_AMDGPU_GEM_METADATA, &metadata), 0);
    drm_gem_close close_args{prime.handle, 0};
    ASSERT_EQ(ioctl(render_, DRM_IOCTL_GEM_CLOSE, &close_args), 0);
  }

  static constexpr u32 vram = ALLOC_MEM_FLAGS_VRAM | ordinary, gtt = ALLOC_MEM_FLAGS_GTT | ordinary;
  static constexpr u32 userptr = ALLOC_MEM_FLAGS_USERPTR | ordinary;
};

TEST_F(MemoryChecks, allocation) {
  auto other_gpu = allocation(vram, page);
  other_gpu.gpu_id = gpu_ + 1;
  run({
      {"size 0", [&] { return allocate(vram, 0); }, -EINVAL},
      {"size 0 comes before the GPU",
       [&] {
         auto args = other_gpu;
         args.size = 0;
         return allocate(args);
       },
       -EINVAL},
      {"unknown GPU", [&] { return allocate(other_gpu); }, -EINVAL},
      {"no kind of memory", [&] { return allocate(ordinary, page); }, -EINVAL},
      {"half of one byte for an AQL queue", [&] { return allocate(gtt | ALLOC_MEM_FLAGS_AQL_QUEUE_MEM, 1); },
       -EINVAL},
      {"more VRAM than the card has", [&] { return allocate(vram, 64ull << 30); }, -ENOMEM},
      {"all of VRAM, part of which the driver needs", [&] { return allocate(vram, 16368ull << 20); },
       -ENOMEM},
      {"more GTT than there is memory", [&] { return allocate(gtt, 1ull << 42); }, -ENOMEM},
      {"doorbells that are not 8 KiB",
       [&] { return allocate(ALLOC_MEM_FLAGS_DOORBELL | ALLOC_MEM_FLAGS_WRITABLE, page); }, -EINVAL},
      {"an MMIO page that is not a page",
       [&] { return allocate(ALLOC_MEM_FLAGS_MMIO_REMAP | ALLOC_MEM_FLAGS_WRITABLE, 2 * page); }, -EINVAL},
  });
}

TEST_F(MemoryChecks, userptr) {
  char* mapped =
      static_cast<char*>(mmap(nullptr, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  mprotect(mapped + page, page, PROT_NONE);
  const Memory device = make(ALLOC_MEM_FLAGS_VRAM, page);
  const int file = memfd_create("file", MFD_CLOEXEC);
  ASSERT_EQ(ftruncate(file, page + 1), 0); // two pages
  char* of_file = static_cast<char*>(mmap(nullptr, 4 * page, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
  close(file);
  run({
      {"no address", [&] { return allocate(userptr, page); }, -EINVAL},
      {"pages of a file", [&] { return allocate(userptr, 2 * page, as_u64(of_file)); }, 0},
      {"a page beyond the file", [&] { return allocate(userptr, 3 * page, as_u64(of_file)); }, -EFAULT},
      {"a hole", [&] { return allocate(userptr, page, as_u64(hole())); }, -EFAULT},
      {"a hole behind memory", [&] { return allocate(userptr, 16 * page, as_u64(hole()) - page); }, -EFAULT},
      {"an inaccessible page", [&] { return allocate(userptr, 2 * page, as_u64(mapped)); }, -EFAULT},
      {"memory that cannot be written", [&] { return allocate(userptr, page, as_u64(read_only())); }, -EPERM},
      {"an address of the kernel's", [&] { return allocate(userptr, page, 0xffff'8000'0000'0000); }, -EFAULT},
      {"an address of the kernel's, up to its last",
       [&] { return allocate(userptr, page, ~0ull - page + 1); }, -EFAULT},
      {"beyond the last address", [&] { return allocate(userptr, 2 * page, ~0ull - page + 1); }, -EOVERFLOW},
      {"one byte beyond the last address", [&] { return allocate(userptr, page, ~0ull - page + 2); },
       -EOVERFLOW},
      {"memory of a device", [&] { return allocate(userptr, page, as_u64(device.cpu)); }, -EFAULT},
      {"more than the machine's memory", [&] { return allocate(userptr, 1ull << 42, as_u64(mapped)); },
       -ENOMEM},
      {"nothing wrong", [&] { return allocate(userptr, page, as_u64(mapped)); }, 0},
      {"the page counts, not the byte", [&] { return allocate(userptr, page, as_u64(mapped + 16)); }, 0},
  });
  release(device);
  munmap(of_file, 4 * page);
  munmap(mapped, 4 * page);
}

TEST_F(MemoryChecks, cpu_mapping) {
  const Memory memory = make(ALLOC_MEM_FLAGS_GTT, 2 * page);
  const int stranger = open("/dev/dri/renderD128", O_RDWR | O_CLOEXEC);
  run({
      {"by another drm file", [&] { return try_mmap(stranger, page, memory.mmap_offset); }, -EACCES},
      {"longer than the buffer", [&] { return try_mmap(render_, 3 * page, memory.mmap_offset); }, -EINVAL},
      {"beyond its end", [&] { return try_mmap(render_, 2 * page, memory.mmap_offset + page); }, -EINVAL},
      {"of nothing", [&] { return try_mmap(render_, page, page); }, -EINVAL},
  });
  release(memory);
  EXPECT_EQ(try_mmap(render_, page, memory.mmap_offset), -EINVAL) << "of a buffer that is gone";
  close(stranger);
}

TEST_F(MemoryChecks, freeing) {
  const Memory memory = make(ALLOC_MEM_FLAGS_GTT, page);
  run({
      {"unknown handle", [&] { return free(make_handle(gpu_, 0xffff)); }, -EINVAL},
      {"unknown GPU", [&] { return free(make_handle(gpu_ + 1, 0)); }, -EINVAL},
      {"mapped", [&] { return free(memory.handle); }, -EBUSY},
  });
  release(memory);
  EXPECT_EQ(free(memory.handle), -EINVAL) << "freed already";
}

// Last of what needs no event page: it stays for the process's life.
TEST_F(MemoryChecks, the_event_page_is_not_freed) {
  const Memory events = make(ALLOC_MEM_FLAGS_GTT, SIGNAL_EVENT_LIMIT * 8);
  kfd_ioctl_create_event_args args{};
  args.event_page_offset = events.handle;
  ASSERT_EQ(call(kfd_, ioc::CREATE_EVENT, args), 0);
  EXPECT_EQ(free(events.handle), -EPERM) << "before it is seen that it is mapped";
  EXPECT_EQ(unmap(events.handle), 0);
  EXPECT_EQ(free(events.handle), -EPERM);
}

TEST_F(MemoryChecks, gpu_mapping) {
  const Memory memory = make(ALLOC_MEM_FLAGS_GTT, 4 * page);
  const u64 gpu = as_u64(&gpu_), handle = memory.handle;
  const u32 one_unknown[] = {gpu_, gpu_ + 1};
  u32 reached = 9;
  run({
      {"no devices", [&] { return map_with(handle, gpu, 0, 0); }, -EINVAL},
      {"more done than asked for", [&] { return map_with(handle, gpu, 1, 2); }, -EINVAL},
      {"an array larger than the kernel allocates", [&] { return map_with(handle, gpu, 1u << 31, 0); },
       -ENOMEM},
      {"an array in a hole", [&] { return map_with(handle, as_u64(hole()), 1, 0); }, -EFAULT},
      {"an array that ends in a hole", [&] { return map_with(handle, as_u64(hole()) - 4, 2, 0); }, -EFAULT},
      {"a handle of another GPU", [&] { return map_with(make_handle(gpu_ + 1, 0), gpu, 1, 0); }, -EINVAL},
      {"unknown handle", [&] { return map_with(make_handle(gpu_, 0xffff), gpu, 1, 0); }, -ENOMEM},
      {"an unknown device", [&] { return map_with(handle, as_u64(one_unknown), 2, 0, &reached); }, -EINVAL},
      {"address 0", [&] { return map_at(0); }, -EINVAL},
      {"an address in a page", [&] { return map_at(0x10010); }, -EINVAL},
      {"an address that is taken", [&] { return map_at(memory.va + page); }, -EINVAL},
      {"an address beyond 48 bits", [&] { return map_at(1ull << 48); }, -EINVAL},
      {"mapped already", [&] { return map_with(handle, gpu, 1, 0); }, 0},
  });
  EXPECT_EQ(reached, 1u) << "how far it came is told on failure too";
  release(memory);
}

// An AQL queue's ring is mapped twice; where the second mapping finds no place, the first one stays.
TEST_F(MemoryChecks, half_of_an_aql_ring) {
  auto args = allocation(gtt | ALLOC_MEM_FLAGS_AQL_QUEUE_MEM, 4 * page);
  void* place = reserve(args.size);
  args.va_addr = as_u64(place);
  ASSERT_EQ(call(kfd_, ioc::ALLOC_MEMORY_OF_GPU, args), 0);
  auto in_the_way = allocation(gtt, page);
  in_the_way.va_addr = args.va_addr + 3 * page;
  ASSERT_EQ(call(kfd_, ioc::ALLOC_MEMORY_OF_GPU, in_the_way), 0);
  ASSERT_EQ(map(in_the_way.handle), 0);
  run({
      {"no place for the second half", [&] { return map(args.handle); }, -EINVAL},
      {"again", [&] { return map(args.handle); }, -EINVAL},
      {"the first half is mapped", [&] { return free(args.handle); }, -EBUSY},
      {"where another buffer cannot be", [&] { return map_at(args.va_addr + page); }, -EINVAL},
      {"unmapped", [&] { return unmap(args.handle); }, 0},
      {"unmapped already", [&] { return unmap(args.handle); }, -EINVAL},
      {"the first half alone once more", [&] { return map(args.handle); }, -EINVAL},
      {"out of the way", [&] { return unmap(in_the_way.handle); }, 0},
      {"the second half too", [&] { return map(args.handle); }, 0},
      {"both unmapped", [&] { return unmap(args.handle); }, 0},
      {"freed", [&] { return free(args.handle); }, 0},
      {"freed too", [&] { return free(in_the_way.handle); }, 0},
  });
  munmap(place, args.size);
}

TEST_F(MemoryChecks, gpu_unmapping) {
  const Memory memory = make(ALLOC_MEM_FLAGS_GTT, page);
  const u64 gpu = as_u64(&gpu_), handle = memory.handle;
  const u32 unknown = gpu_ + 1;
  run({
      {"no devices", [&] { return unmap_with(handle, gpu, 0, 0); }, -EINVAL},
      {"more done than asked for", [&] { return unmap_with(handle, gpu, 1, 2); }, -EINVAL},
      {"an array larger than the kernel allocates", [&] { return unmap_with(handle, gpu, 1u << 31, 0); },
       -ENOMEM},
      {"an array in a hole", [&] { return unmap_with(handle, as_u64(hole()), 1, 0); }, -EFAULT},
      {"a handle of another GPU", [&] { return unmap_with(make_handle(gpu_ + 1, 0), gpu, 1, 0); }, -EINVAL},
      {"unknown handle", [&] { return unmap_with(make_handle(gpu_, 0xffff), gpu, 1, 0); }, -ENOMEM},
      {"an unknown device", [&] { return unmap_with(handle, as_u64(&unknown), 1, 0); }, -EINVAL},
      {"nothing wrong", [&] { return unmap_with(handle, gpu, 1, 0); }, 0},
      {"not mapped", [&] { return unmap_with(handle, gpu, 1, 0); }, -EINVAL},
  });
  EXPECT_EQ(free(handle), 0);
  munmap(memory.cpu, memory.size);
}

TEST_F(MemoryChecks, dma_buf_information) {
  const Memory memory = make(ALLOC_MEM_FLAGS_VRAM, page);
  const int fd = static_cast<int>(export_fd(memory.handle)), event = eventfd(0, 0);
  set_metadata(fd);
  u32 words[4] = {}, needed = 0;
  run({
      {"no descriptor", [&] { return info(-1, as_u64(words), 16); }, -EBADF},
      {"an eventfd", [&] { return info(event, as_u64(words), 16); }, -EINVAL},
      {"a drm file", [&] { return info(render_, as_u64(words), 16); }, -EINVAL},
      {"no room for the metadata", [&] { return info(fd, as_u64(words), 15, &needed); }, -EINVAL},
      {"room in a hole", [&] { return info(fd, as_u64(hole()), 16); }, -EFAULT},
      {"room that cannot be written", [&] { return info(fd, as_u64(read_only()), 16); }, -EFAULT},
      {"nothing wrong", [&] { return info(fd, as_u64(words), 16); }, 0},
  });
  EXPECT_EQ(needed, 16u) << "the size that it takes is told";
  close(event);
  close(fd);
  release(memory);
}

// A buffer that shall stay with the CPU: neither VRAM nor GTT.
TEST_F(MemoryChecks, dma_buf_of_system_memory) {
  drm_amdgpu_gem_create gem{};
  gem.in.bo_size = page;
  gem.in.domains = AMDGPU_GEM_DOMAIN_CPU;
  ASSERT_EQ(ioctl(render_, DRM_IOCTL_AMDGPU_GEM_CREATE, &gem), 0);
  drm_prime_handle prime{};
  prime.handle = gem.out.handle;
  prime.flags = DRM_CLOEXEC | DRM_RDWR;
  ASSERT_EQ(ioctl(render_, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime), 0);
  EXPECT_EQ(info(prime.fd, 0, 0), -EINVAL);
  EXPECT_EQ(import(gpu_, prime.fd), -EINVAL);
  close(prime.fd);
  drm_gem_close close_args{prime.handle, 0};
  EXPECT_EQ(ioctl(render_, DRM_IOCTL_GEM_CLOSE, &close_args), 0);
}

TEST_F(MemoryChecks, dma_buf_import_and_export) {
  const Memory memory = make(ALLOC_MEM_FLAGS_VRAM, page);
  const int fd = static_cast<int>(export_fd(memory.handle)), event = eventfd(0, 0);
  const int running = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  const int sealed = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  ASSERT_EQ(ftruncate(sealed, 2 * page), 0);
  ASSERT_EQ(fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE), 0);
  void* host = mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  auto own = allocation(userptr, page);
  own.mmap_offset = as_u64(host);
  ASSERT_EQ(call(kfd_, ioc::ALLOC_MEMORY_OF_GPU, own), 0);
  run({
      {"import for an unknown GPU", [&] { return import(gpu_ + 1, fd); }, -EINVAL},
      {"the GPU comes before the descriptor", [&] { return import(gpu_ + 1, -1); }, -EINVAL},
      {"import of no descriptor", [&] { return import(gpu_, -1); }, -EBADF},
      {"import of an eventfd", [&] { return import(gpu_, event); }, -EINVAL},
      {"import of a running program's file", [&] { return import(gpu_, running); }, -EINVAL},
      {"import of a sealed file", [&] { return import(gpu_, sealed); }, -EINVAL},
      {"export of an unknown handle", [&] { return export_fd(make_handle(gpu_, 0xffff)); }, -EINVAL},
      {"export of another GPU's handle", [&] { return export_fd(make_handle(gpu_ + 1, 0)); }, -EINVAL},
      {"export of a userptr", [&] { return export_fd(own.handle); }, -EPERM},
  });
  EXPECT_EQ(free(own.handle), 0);
  munmap(host, page);
  for (int other : {event, running, sealed})
    close(other);
  close(fd);
  release(memory);
}

TEST_F(MemoryChecks, available_memory) {
  kfd_ioctl_get_available_memory_args args{};
  args.gpu_id = gpu_ + 1;
  EXPECT_EQ(call(kfd_, ioc::AVAILABLE_MEMORY, args), -EINVAL);
  args.gpu_id = gpu_;
  EXPECT_EQ(call(kfd_, ioc::AVAILABLE_MEMORY, args), 0);
  EXPECT_EQ(args.available % (2 << 20), 0u);
  EXPECT_EQ(allocate(vram, args.available + page), -ENOMEM) << "no more than that is available";
}

} // namespace
