// /dev/kfd before and around the acquisition of a VM, and its dispatcher.
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

TEST_F(KfdProcess, unknown_request_is_refused) {
  std::uint64_t nothing[8] = {};
  EXPECT_EQ(call(kfd_, _IOWR('K', 0x00, std::uint64_t), nothing), -ENOTTY);
  EXPECT_EQ(call(kfd_, _IOWR('K', 0x27, std::uint64_t), nothing), -ENOTTY);
  EXPECT_EQ(call(kfd_, _IOWR('K', 0x82, std::uint64_t), nothing), -ENOTTY);
}

TEST_F(KfdProcess, bad_pointer_is_a_fault) {
  EXPECT_EQ(ioctl(kfd_, ioc::GET_VERSION, reinterpret_cast<void*>(8)), -1);
  EXPECT_EQ(errno, EFAULT);
  EXPECT_EQ(ioctl(kfd_, ioc::SET_EVENT, nullptr), -1);
  EXPECT_EQ(errno, EFAULT);
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

// First in the process: nothing is acquired yet.
TEST_F(KfdProcess, needs_a_vm_first) {
  auto memory = allocation(ALLOC_MEM_FLAGS_GTT | ordinary, page);
  EXPECT_EQ(call(kfd_, ioc::ALLOC_MEMORY_OF_GPU, memory), -ENODEV);
  kfd_ioctl_set_memory_policy_args policy{};
  policy.gpu_id = gpu_;
  EXPECT_EQ(call(kfd_, ioc::SET_MEMORY_POLICY, policy), -ESRCH);
  kfd_ioctl_set_trap_handler_args trap{};
  trap.gpu_id = gpu_;
  EXPECT_EQ(call(kfd_, ioc::SET_TRAP_HANDLER, trap), -ESRCH);
  kfd_ioctl_set_scratch_backing_va_args scratch{};
  scratch.gpu_id = gpu_;
  EXPECT_EQ(call(kfd_, ioc::SET_SCRATCH_BACKING_VA, scratch), -ENODEV);
  kfd_ioctl_create_queue_args queue{};
  queue.gpu_id = gpu_;
  queue.queue_type = QUEUE_TYPE_COMPUTE_AQL;
  EXPECT_EQ(call(kfd_, ioc::CREATE_QUEUE, queue), -ESRCH);
  kfd_ioctl_import_dmabuf_args import{};
  import.gpu_id = gpu_;
  EXPECT_EQ(call(kfd_, ioc::IMPORT_DMABUF, import), -ENODEV);
}

TEST_F(KfdProcess, acquires_one_vm_of_one_render_node) {
  kfd_ioctl_acquire_vm_args args{static_cast<u32>(-1), gpu_};
  EXPECT_EQ(call(kfd_, ioc::ACQUIRE_VM, args), -EINVAL);
  args.drm_fd = static_cast<u32>(kfd_);
  EXPECT_EQ(call(kfd_, ioc::ACQUIRE_VM, args), -EINVAL);
  const int render = open("/dev/dri/renderD128", O_RDWR | O_CLOEXEC);
  args = {static_cast<u32>(render), gpu_ + 1};
  EXPECT_EQ(call(kfd_, ioc::ACQUIRE_VM, args), -EINVAL);
  args.gpu_id = gpu_;
  EXPECT_EQ(call(kfd_, ioc::ACQUIRE_VM, args), 0);
  EXPECT_EQ(call(kfd_, ioc::ACQUIRE_VM, args), 0) << "the same file again";
  const int another = open("/dev/dri/renderD128", O_RDWR | O_CLOEXEC);
  args.drm_fd = static_cast<u32>(another);
  EXPECT_EQ(call(kfd_, ioc::ACQUIRE_VM, args), -EBUSY);
  const int same = dup(render);
  args.drm_fd = static_cast<u32>(same);
  EXPECT_EQ(call(kfd_, ioc::ACQUIRE_VM, args), 0) << "a duplicate is the same file";
  for (const int fd : {render, another, same})
    close(fd);
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

TEST_F(KfdProcess, policies_beyond_two_are_refused) {
  kfd_ioctl_set_memory_policy_args policy{};
  policy.gpu_id = gpu_;
  policy.default_policy = 2;
  EXPECT_EQ(call(kfd_, ioc::SET_MEMORY_POLICY, policy), -EINVAL);
}

TEST_F(KfdProcess, runtime_is_enabled_once) {
  kfd_ioctl_runtime_enable_args args{};
  args.mode_mask = RUNTIME_ENABLE_MODE_ENABLE;
  EXPECT_EQ(call(kfd_, ioc::RUNTIME_ENABLE, args), 0);
  EXPECT_EQ(call(kfd_, ioc::RUNTIME_ENABLE, args), -EBUSY);
  args.mode_mask = 0;
  EXPECT_EQ(call(kfd_, ioc::RUNTIME_ENABLE, args), 0);
}

TEST_F(KfdProcess, debugger_is_refused) {
  kfd_ioctl_dbg_trap_args args{};
  args.pid = 0x3ffffff;
  args.op = 2;
  EXPECT_EQ(call(kfd_, ioc::DBG_TRAP, args), -ESRCH);
  args.pid = static_cast<u32>(getpid());
  EXPECT_EQ(call(kfd_, ioc::DBG_TRAP, args), -EINVAL);
  kfd_ioctl_dbg_register_args old{};
  EXPECT_EQ(call(kfd_, ioc::DBG_REGISTER_DEPRECATED, old), -EPERM);
}

TEST_F(KfdProcess, xnack_is_off_for_good) {
  kfd_ioctl_set_xnack_mode_args args{-1};
  EXPECT_EQ(call(kfd_, ioc::SET_XNACK_MODE, args), 0);
  EXPECT_EQ(args.xnack_enabled, 0);
  args.xnack_enabled = 1;
  EXPECT_EQ(call(kfd_, ioc::SET_XNACK_MODE, args), -EPERM);
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
