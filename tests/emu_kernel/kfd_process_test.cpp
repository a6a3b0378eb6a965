// /dev/kfd: what it says of itself.
#include "kfd_test_device.hpp"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

using namespace kfd_test;

namespace {

class KfdProcess : public KfdDevice {};

TEST_F(KfdProcess, version_is_that_of_linux_6_12) {
  kfd_ioctl_get_version_args args{};
  ASSERT_EQ(call(kfd_, ioc::GET_VERSION, args), 0);
  EXPECT_EQ(args.major_version, 1u);
  EXPECT_EQ(args.minor_version, 17u);
}

// A program built with an older header passes less: the rest counts as zero and is not written.
TEST_F(KfdProcess, shorter_structure_is_accepted) {
  struct {
    u32 major_version = 0;
    u32 guard = 0xdeadbeef;
  } args;
  ASSERT_EQ(call(kfd_, _IOC(_IOC_READ, 'K', 0x01, sizeof(u32)), args), 0);
  EXPECT_EQ(args.major_version, 1u);
  EXPECT_EQ(args.guard, 0xdeadbeefu);
}

TEST_F(KfdProcess, apertures_are_those_of_gfx10) {
  kfd_process_device_apertures one{};
  kfd_ioctl_get_process_apertures_new_args args{reinterpret_cast<u64>(&one), 0, 0};
  ASSERT_EQ(call(kfd_, ioc::GET_PROCESS_APERTURES_NEW, args), 0);
  EXPECT_EQ(args.num_of_nodes, 1u);
  EXPECT_EQ(one.gpu_id, 0u) << "only asked";
  ASSERT_EQ(call(kfd_, ioc::GET_PROCESS_APERTURES_NEW, args), 0);
  EXPECT_EQ(one.gpu_id, gpu_);
  EXPECT_EQ(one.lds_base, 1ull << 48);
  EXPECT_EQ(one.lds_limit, (1ull << 48) + 0xffffffff);
  EXPECT_EQ(one.scratch_base, 2ull << 48);
  EXPECT_EQ(one.gpuvm_limit, (1ull << 47) - 1);
  args.num_of_nodes = 3;
  EXPECT_EQ(call(kfd_, ioc::GET_PROCESS_APERTURES_NEW, args), -EINVAL);
  args = {16, 1, 0};
  EXPECT_EQ(call(kfd_, ioc::GET_PROCESS_APERTURES_NEW, args), -EFAULT);
}

TEST_F(KfdProcess, clocks_advance_together) {
  kfd_ioctl_get_clock_counters_args before{}, after{};
  before.gpu_id = after.gpu_id = gpu_;
  ASSERT_EQ(call(kfd_, ioc::GET_CLOCK_COUNTERS, before), 0);
  usleep(20000);
  ASSERT_EQ(call(kfd_, ioc::GET_CLOCK_COUNTERS, after), 0);
  EXPECT_EQ(after.system_clock_freq, 1'000'000'000u);
  const std::uint64_t gpu_ns = (after.gpu_clock_counter - before.gpu_clock_counter) * 10;
  const std::uint64_t cpu_ns = after.cpu_clock_counter - before.cpu_clock_counter;
  EXPECT_GE(cpu_ns, 20'000'000u);
  EXPECT_NEAR(static_cast<double>(gpu_ns), static_cast<double>(cpu_ns), 5e6);
  before.gpu_id = 1;
  ASSERT_EQ(call(kfd_, ioc::GET_CLOCK_COUNTERS, before), 0) << "a node without a GPU";
  EXPECT_EQ(before.gpu_clock_counter, 0u);
}

TEST_F(KfdProcess, child_cannot_use_its_parent_s_descriptor) {
  const pid_t child = fork();
  if (child == 0) {
    kfd_ioctl_get_version_args args{};
    if (call(kfd_, ioc::GET_VERSION, args) != -EBADF)
      _exit(1);
    const int own = open("/dev/kfd", O_RDWR | O_CLOEXEC);
    if (own < 0 || call(own, ioc::GET_VERSION, args) != 0)
      _exit(2);
    auto memory = allocation(ALLOC_MEM_FLAGS_GTT | ordinary, page);
    _exit(call(own, ioc::ALLOC_MEMORY_OF_GPU, memory) == -ENODEV ? 0 : 3); // a KFD process without a VM
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  kfd_ioctl_get_version_args args{};
  EXPECT_EQ(call(kfd_, ioc::GET_VERSION, args), 0);
}

TEST_F(KfdProcess, descriptor_is_a_character_device) {
  struct stat by_path {
  }, by_fd{};
  ASSERT_EQ(stat("/dev/kfd", &by_path), 0);
  ASSERT_EQ(fstat(kfd_, &by_fd), 0);
  EXPECT_TRUE(S_ISCHR(by_path.st_mode));
  EXPECT_TRUE(S_ISCHR(by_fd.st_mode));
  EXPECT_EQ(by_path.st_rdev, by_fd.st_rdev);
}

} // namespace
