// SMI events: a descriptor that tells of faults, resets and evictions in lines of text.
#include "kfd_checks.hpp"
#include "kfd_test_queue.hpp"

#include <poll.h>
#include <string>

using namespace kfd_test;

namespace {

constexpr u64 mask_of(unsigned event) {
  return 1ull << (event - 1);
}

class Smi : public QueueDevice {
protected:
  int events() {
    kfd_ioctl_smi_events_args args{gpu_, 0};
    EXPECT_EQ(call(kfd_, ioc::SMI_EVENTS, args), 0);
    return static_cast<int>(args.anon_fd);
  }
  static void listen(int fd, u64 mask) { EXPECT_EQ(write(fd, &mask, sizeof mask), 8); }
  static bool readable(int fd, int timeout_ms) {
    pollfd one{fd, POLLIN, 0};
    return poll(&one, 1, timeout_ms) == 1 && one.revents == POLLIN;
  }
  static std::string all_of(int fd) {
    char text[2048];
    const ssize_t got = read(fd, text, sizeof text);
    return got < 0 ? std::string(strerrorname_np(errno)) : std::string(text, static_cast<std::size_t>(got));
  }
  // A userptr's memory is mapped over: its queues are paused and go on.
  void evict() {
    void* host = mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    auto args = allocation(ALLOC_MEM_FLAGS_USERPTR | ordinary, page);
    args.va_addr = args.mmap_offset = as_u64(host);
    ASSERT_EQ(call(kfd_, ioc::ALLOC_MEMORY_OF_GPU, args), 0);
    mmap(host, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    EXPECT_EQ(free(args.handle), 0);
    munmap(host, page);
  }
};

TEST_F(Smi, a_mask_is_eight_bytes) {
  const int fd = events();
  const u64 mask = 1;
  EXPECT_EQ(write(fd, &mask, 7), -1);
  EXPECT_EQ(errno, EFAULT);
  EXPECT_EQ(write(fd, hole(), 8), -1);
  EXPECT_EQ(errno, EFAULT);
  EXPECT_EQ(write(fd, &mask, 8), 8);
  char larger[16] = {};
  EXPECT_EQ(write(fd, larger, 16), 8);
  EXPECT_EQ(ioctl(fd, ioc::GET_VERSION, larger), -1);
  EXPECT_EQ(errno, ENOTTY);
  EXPECT_EQ(close(fd), 0);
  EXPECT_EQ(write(fd, &mask, 8), -1);
  EXPECT_EQ(errno, EBADF);
}

TEST_F(Smi, nothing_to_read_is_told_at_once) {
  const int fd = events();
  EXPECT_EQ(all_of(fd), "EAGAIN");
  EXPECT_FALSE(readable(fd, 0));
  close(fd);
}

TEST_F(Smi, only_what_was_asked_for_is_told) {
  const int none = events(), faults = events(), evictions = events();
  listen(faults, mask_of(SMI_EVENT_VMFAULT));
  listen(evictions, mask_of(SMI_EVENT_QUEUE_EVICTION) | mask_of(SMI_EVENT_QUEUE_RESTORE));
  evict();
  EXPECT_EQ(all_of(none), "EAGAIN");
  EXPECT_EQ(all_of(faults), "EAGAIN");
  ASSERT_TRUE(readable(evictions, 1000));
  const std::string text = all_of(evictions);
  long long from = 0, to = 0;
  int pid = 0, again = 0;
  unsigned gpu = 0, same = 0, trigger = 0;
  char restored = 0;
  EXPECT_EQ(sscanf(text.c_str(), "9 %lld -%d %x %u\na %lld -%d %x %c\n", &from, &pid, &gpu, &trigger, &to,
                   &again, &same, &restored),
            8)
      << text;
  EXPECT_LE(from, to);
  EXPECT_EQ(pid, getpid());
  EXPECT_EQ(gpu, gpu_);
  EXPECT_EQ(trigger, 1u) << "for a userptr";
  listen(evictions, 0);
  evict();
  EXPECT_EQ(all_of(evictions), "EAGAIN") << "no longer wanted";
  for (const int fd : {none, faults, evictions})
    close(fd);
}

TEST_F(Smi, a_full_descriptor_loses_whole_messages) {
  const int fd = events();
  listen(fd, mask_of(SMI_EVENT_QUEUE_EVICTION));
  for (int i = 0; i < 200; ++i)
    evict();
  const std::string text = all_of(fd);
  EXPECT_LE(text.size(), 1024u);
  EXPECT_GT(text.size(), 900u);
  EXPECT_EQ(text.back(), '\n');
  close(fd);
}

// A packet that the DMA engine does not know hangs it, and a hang is followed by a reset.
TEST_F(Smi, a_reset_is_told_before_and_after) {
  const int fd = events();
  listen(fd, mask_of(SMI_EVENT_GPU_PRE_RESET) | mask_of(SMI_EVENT_GPU_POST_RESET));
  const u32 exception = create_event(EVENT_HW_EXCEPTION);
  std::memset(pointers_.cpu, 0, page);
  auto args = good();
  args.queue_type = QUEUE_TYPE_SDMA;
  ASSERT_EQ(call(kfd_, ioc::CREATE_QUEUE, args), 0);
  void* doorbells = mmap(nullptr, doorbell_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, kfd_,
                         static_cast<off_t>(args.doorbell_offset & ~(doorbell_bytes - 1)));
  ASSERT_NE(doorbells, MAP_FAILED);
  *static_cast<u32*>(ring_.cpu) = 0xff;
  auto* write_pointer = reinterpret_cast<u64*>(args.write_pointer_address);
  __atomic_store_n(write_pointer, sizeof(u32), __ATOMIC_RELEASE);
  __atomic_store_n(
      reinterpret_cast<u64*>(static_cast<char*>(doorbells) + (args.doorbell_offset & (doorbell_bytes - 1))),
      sizeof(u32), __ATOMIC_RELEASE);

  kfd_event_data data{};
  ASSERT_EQ(wait(exception, 10'000, data), WAIT_RESULT_COMPLETE);
  EXPECT_EQ(data.hw_exception_data.reset_cause, HW_EXCEPTION_GPU_HANG);
  EXPECT_EQ(data.hw_exception_data.memory_lost, 1u);
  EXPECT_EQ(data.hw_exception_data.gpu_id, gpu_);
  EXPECT_EQ(all_of(fd), "3 1 HWS hang\n4 1 \n");
  EXPECT_EQ(destroy(args.queue_id), 0);
  munmap(doorbells, doorbell_bytes);
  close(fd);
}

// Last: it ends the process's queues.
TEST_F(Smi, a_page_fault_is_told_with_the_process_s_name) {
  const int fd = events();
  listen(fd, mask_of(SMI_EVENT_VMFAULT) | mask_of(SMI_EVENT_GPU_PRE_RESET));
  const Running queue = start();
  submit(queue, 0x6000'0000'1000);
  ASSERT_TRUE(readable(fd, 10'000));
  char expected[64];
  std::snprintf(expected, sizeof expected, "1 %x:%.15s\n", getpid(), program_invocation_short_name);
  EXPECT_EQ(all_of(fd), expected);
  stop(queue);
  close(fd);

  // Queues made after it do not run either.
  const Running another = start();
  const Memory signals = make(ALLOC_MEM_FLAGS_GTT, page);
  static_cast<amd_signal_t*>(signals.cpu)->value = 1;
  submit(another, signals.va);
  usleep(50'000);
  EXPECT_EQ(static_cast<amd_signal_t*>(signals.cpu)->value, 1);
  stop(another);
  release(signals);
}

} // namespace
