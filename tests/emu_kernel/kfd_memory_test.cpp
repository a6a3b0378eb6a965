// KFD memory: allocation, mapping on both sides, dma-bufs, and every refusal with its errno.
#include "kfd_test_device.hpp"

#include <dirent.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

using namespace kfd_test;

namespace {

int open_descriptors() {
  int count = 0;
  DIR* directory = opendir("/proc/self/fd");
  while (readdir(directory))
    ++count;
  closedir(directory);
  return count;
}

class KfdMemory : public KfdDevice {
protected:
  void SetUp() override {
    KfdDevice::SetUp();
    acquire();
  }

  int export_fd(std::uint64_t handle) {
    kfd_ioctl_export_dmabuf_args args{handle, O_CLOEXEC, 0};
    const long result = call(kfd_, ioc::EXPORT_DMABUF, args);
    return result ? static_cast<int>(result) : static_cast<int>(args.dmabuf_fd);
  }

  long import(int fd, std::uint64_t va, std::uint64_t& handle) {
    kfd_ioctl_import_dmabuf_args args{va, 0, gpu_, static_cast<u32>(fd)};
    const long result = call(kfd_, ioc::IMPORT_DMABUF, args);
    handle = args.handle;
    return result;
  }
};

TEST_F(KfdMemory, cpu_mapping_through_the_render_node_keeps_data) {
  for (const u32 kind : {ALLOC_MEM_FLAGS_VRAM, ALLOC_MEM_FLAGS_GTT}) {
    const Memory memory = make(kind, 4 * page);
    std::memset(memory.cpu, 0x5a, memory.size);
    void* again =
        mmap(nullptr, memory.size, PROT_READ, MAP_SHARED, render_, static_cast<off_t>(memory.mmap_offset));
    ASSERT_NE(again, MAP_FAILED);
    EXPECT_EQ(static_cast<unsigned char*>(again)[memory.size - 1], 0x5a);
    munmap(again, memory.size);
    release(memory);
  }
}

TEST_F(KfdMemory, cpu_mapping_is_for_the_acquired_file_only) {
  const Memory memory = make(ALLOC_MEM_FLAGS_GTT, page);
  const int stranger = open("/dev/dri/renderD128", O_RDWR | O_CLOEXEC);
  EXPECT_EQ(mmap(nullptr, page, PROT_READ, MAP_SHARED, stranger, static_cast<off_t>(memory.mmap_offset)),
            MAP_FAILED);
  EXPECT_EQ(errno, EACCES);
  close(stranger);
  EXPECT_EQ(mmap(nullptr, 2 * page, PROT_READ, MAP_SHARED, render_, static_cast<off_t>(memory.mmap_offset)),
            MAP_FAILED);
  EXPECT_EQ(errno, EINVAL) << "larger than the buffer";
  release(memory);
}

TEST_F(KfdMemory, dma_buf_aliases_the_memory) {
  const Memory memory = make(ALLOC_MEM_FLAGS_VRAM, 8 * page);
  const int fd = export_fd(memory.handle);
  ASSERT_GE(fd, 0);
  EXPECT_EQ(lseek(fd, 0, SEEK_END), static_cast<off_t>(memory.size));
  EXPECT_EQ(lseek(fd, 1, SEEK_SET), -1);
  EXPECT_EQ(errno, EINVAL);
  struct stat info {};
  ASSERT_EQ(fstat(fd, &info), 0);
  EXPECT_EQ(info.st_size, static_cast<off_t>(memory.size));

  kfd_ioctl_get_dmabuf_info_args about{};
  about.dmabuf_fd = static_cast<u32>(fd);
  ASSERT_EQ(call(kfd_, ioc::GET_DMABUF_INFO, about), 0);
  EXPECT_EQ(about.size, memory.size);
  EXPECT_EQ(about.gpu_id, gpu_);
  EXPECT_EQ(about.flags, ALLOC_MEM_FLAGS_VRAM | ALLOC_MEM_FLAGS_PUBLIC);
  EXPECT_EQ(about.metadata_size, 0u);

  void* va = reserve(memory.size);
  std::uint64_t handle = 0;
  ASSERT_EQ(import(fd, reinterpret_cast<u64>(va), handle), 0);
  EXPECT_EQ(map(handle), 0);
  release(memory); // the import keeps the memory
  auto* through_fd =
      static_cast<unsigned char*>(mmap(nullptr, 8 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  ASSERT_NE(through_fd, MAP_FAILED);
  through_fd[8 * page - 1] = 0x77;
  EXPECT_EQ(mmap(nullptr, 9 * page, PROT_READ, MAP_SHARED, fd, 0), MAP_FAILED) << "beyond the buffer";
  munmap(through_fd, 8 * page);
  close(fd);

  const int second = export_fd(handle);
  ASSERT_GE(second, 0);
  auto* again = static_cast<unsigned char*>(mmap(nullptr, 8 * page, PROT_READ, MAP_SHARED, second, 0));
  ASSERT_NE(again, MAP_FAILED);
  EXPECT_EQ(again[8 * page - 1], 0x77);
  munmap(again, 8 * page);
  close(second);
  EXPECT_EQ(unmap(handle), 0);
  EXPECT_EQ(free(handle), 0);
}

TEST_F(KfdMemory, wrong_descriptors_are_not_imported) {
  std::uint64_t handle = 0;
  EXPECT_EQ(import(-1, 0x100000, handle), -EBADF);
  int pipes[2];
  ASSERT_EQ(pipe(pipes), 0);
  EXPECT_EQ(import(pipes[0], 0x100000, handle), -EINVAL);
  const int null = open("/dev/null", O_RDWR);
  EXPECT_EQ(import(null, 0x100000, handle), -EINVAL);
  const int event = eventfd(0, 0);
  EXPECT_EQ(import(event, 0x100000, handle), -EINVAL);
  const int memfd = memfd_create("anything", 0);
  ASSERT_EQ(ftruncate(memfd, 4 * page), 0);
  EXPECT_EQ(import(memfd, 0x100000, handle), -EINVAL);
  EXPECT_EQ(import(render_, 0x100000, handle), -EINVAL);
  for (const int fd : {pipes[0], pipes[1], null, event, memfd})
    EXPECT_EQ(close(fd), 0) << "a refused descriptor stays open";
}

// The descriptor alone carries the buffer to a process that never saw this one's memory.
TEST_F(KfdMemory, dma_buf_crosses_to_another_process) {
  int sockets[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
  const pid_t child = fork();
  if (child == 0) {
    char byte = 0;
    iovec data{&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    if (recvmsg(sockets[1], &message, 0) != 1)
      _exit(1);
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    if (lseek(fd, 0, SEEK_END) != 2 * static_cast<off_t>(page))
      _exit(2);
    const int kfd = open("/dev/kfd", O_RDWR | O_CLOEXEC);
    kfd_ioctl_get_dmabuf_info_args about{};
    about.dmabuf_fd = static_cast<u32>(fd);
    if (call(kfd, ioc::GET_DMABUF_INFO, about) != 0 || about.size != 2 * page)
      _exit(3);
    auto* memory =
        static_cast<unsigned char*>(mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    if (memory == MAP_FAILED || memory[page] != 0x21)
      _exit(4);
    memory[page] = 0x42;
    _exit(0);
  }
  const Memory memory = make(ALLOC_MEM_FLAGS_VRAM, 2 * page); // after the fork: the child cannot know it
  static_cast<unsigned char*>(memory.cpu)[page] = 0x21;
  int fd = export_fd(memory.handle);
  char byte = 1;
  iovec data{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* part = CMSG_FIRSTHDR(&message);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(part), &fd, sizeof fd);
  ASSERT_EQ(sendmsg(sockets[0], &message, 0), 1);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(static_cast<unsigned char*>(memory.cpu)[page], 0x42);
  close(fd);
  close(sockets[0]);
  close(sockets[1]);
  release(memory);
}

TEST_F(KfdMemory, available_memory_falls_and_rises) {
  kfd_ioctl_get_available_memory_args before{}, during{}, after{};
  before.gpu_id = during.gpu_id = after.gpu_id = gpu_;
  ASSERT_EQ(call(kfd_, ioc::AVAILABLE_MEMORY, before), 0);
  const Memory memory = make(ALLOC_MEM_FLAGS_VRAM, 64 << 20);
  ASSERT_EQ(call(kfd_, ioc::AVAILABLE_MEMORY, during), 0);
  EXPECT_EQ(before.available - during.available, 64u << 20);
  release(memory);
  ASSERT_EQ(call(kfd_, ioc::AVAILABLE_MEMORY, after), 0);
  EXPECT_EQ(after.available, before.available);
}

TEST_F(KfdMemory, every_buffer_takes_whole_blocks_of_what_is_available) {
  constexpr u64 block = 2 << 20;
  kfd_ioctl_get_available_memory_args before{}, during{}, after{};
  before.gpu_id = during.gpu_id = after.gpu_id = gpu_;
  ASSERT_EQ(call(kfd_, ioc::AVAILABLE_MEMORY, before), 0);
  const Memory one = make(ALLOC_MEM_FLAGS_VRAM, page), two = make(ALLOC_MEM_FLAGS_VRAM, block + page);
  ASSERT_EQ(call(kfd_, ioc::AVAILABLE_MEMORY, during), 0);
  EXPECT_EQ(before.available - during.available, 3 * block);
  auto rest = allocation(ALLOC_MEM_FLAGS_VRAM | ordinary, during.available + block);
  EXPECT_EQ(call(kfd_, ioc::ALLOC_MEMORY_OF_GPU, rest), 0)
      << "there is more: an allocation counts by the page";
  EXPECT_EQ(free(rest.handle), 0);
  release(one);
  release(two);
  ASSERT_EQ(call(kfd_, ioc::AVAILABLE_MEMORY, after), 0);
  EXPECT_EQ(after.available, before.available);
}

TEST_F(KfdMemory, nothing_is_left_behind) {
  release(make(ALLOC_MEM_FLAGS_GTT, page));
  const int before = open_descriptors();
  for (int i = 0; i < 50; ++i) {
    const Memory memory = make(ALLOC_MEM_FLAGS_VRAM, 4 * page);
    const int fd = export_fd(memory.handle);
    release(memory);
    close(fd);
  }
  EXPECT_EQ(open_descriptors(), before);
}

TEST_F(KfdMemory, mmio_page_maps_through_kfd) {
  void* va = reserve(page);
  auto args = allocation(ALLOC_MEM_FLAGS_MMIO_REMAP | ALLOC_MEM_FLAGS_WRITABLE, page);
  args.va_addr = reinterpret_cast<u64>(va);
  ASSERT_EQ(call(kfd_, ioc::ALLOC_MEMORY_OF_GPU, args), 0);
  void* cpu = mmap(va, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, kfd_,
                   static_cast<off_t>(args.mmap_offset));
  ASSERT_EQ(cpu, va);
  *static_cast<volatile u32*>(cpu) = 1; // flush the HDP cache
  EXPECT_EQ(map(args.handle), 0);
  EXPECT_EQ(unmap(args.handle), 0);
  EXPECT_EQ(free(args.handle), 0);
  EXPECT_EQ(mmap(nullptr, 2 * page, PROT_READ, MAP_SHARED, kfd_, static_cast<off_t>(args.mmap_offset)),
            MAP_FAILED);
  EXPECT_EQ(errno, EINVAL);
  munmap(cpu, page);
}

} // namespace
