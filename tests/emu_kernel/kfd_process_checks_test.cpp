// Every check of KFD's dispatcher, of the ioctls that are about the process, and of mmap(), broken once.
#include "kfd_checks.hpp"

#include <atomic>
#include <csignal>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>

using namespace kfd_test;

namespace {

constexpr unsigned long all_requests[] = {
    ioc::GET_VERSION,
    ioc::CREATE_QUEUE,
    ioc::DESTROY_QUEUE,
    ioc::SET_MEMORY_POLICY,
    ioc::GET_CLOCK_COUNTERS,
    ioc::GET_PROCESS_APERTURES,
    ioc::UPDATE_QUEUE,
    ioc::CREATE_EVENT,
    ioc::DESTROY_EVENT,
    ioc::SET_EVENT,
    ioc::RESET_EVENT,
    ioc::WAIT_EVENTS,
    ioc::DBG_REGISTER_DEPRECATED,
    ioc::DBG_UNREGISTER_DEPRECATED,
    ioc::DBG_ADDRESS_WATCH_DEPRECATED,
    ioc::DBG_WAVE_CONTROL_DEPRECATED,
    ioc::SET_SCRATCH_BACKING_VA,
    ioc::GET_TILE_CONFIG,
    ioc::SET_TRAP_HANDLER,
    ioc::GET_PROCESS_APERTURES_NEW,
    ioc::ACQUIRE_VM,
    ioc::ALLOC_MEMORY_OF_GPU,
    ioc::FREE_MEMORY_OF_GPU,
    ioc::MAP_MEMORY_TO_GPU,
    ioc::UNMAP_MEMORY_FROM_GPU,
    ioc::SET_CU_MASK,
    ioc::GET_QUEUE_WAVE_STATE,
    ioc::GET_DMABUF_INFO,
    ioc::IMPORT_DMABUF,
    ioc::ALLOC_QUEUE_GWS,
    ioc::SMI_EVENTS,
    ioc::SVM,
    ioc::SET_XNACK_MODE,
    ioc::CRIU_OP,
    ioc::AVAILABLE_MEMORY,
    ioc::EXPORT_DMABUF,
    ioc::RUNTIME_ENABLE,
    ioc::DBG_TRAP,
};

long raw(int fd, unsigned long request, const void* argument) {
  return ioctl(fd, request, argument) < 0 ? -errno : 0;
}

// Runs `body` in a child; its result is the exit status.
int in_child(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0)
    _exit(body());
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

class ProcessChecks : public KfdDevice {
protected:
  template <class Args>
  std::function<long()> calling(unsigned long request, Args args) {
    return [this, request, args]() mutable { return call(kfd_, request, args); };
  }
};

TEST_F(ProcessChecks, bad_pointers) {
  EXPECT_EQ(std::size(all_requests), 0x26u) << "every ioctl is here";
  for (const unsigned long request : all_requests) {
    EXPECT_EQ(raw(kfd_, request, hole()), -EFAULT) << std::hex << request;
    EXPECT_EQ(raw(kfd_, request, nullptr), -EFAULT) << std::hex << request;
  }
  // What is written back cannot be written.
  for (const unsigned long request : {ioc::GET_VERSION, ioc::GET_CLOCK_COUNTERS, ioc::GET_PROCESS_APERTURES})
    EXPECT_EQ(raw(kfd_, request, read_only()), -EFAULT) << std::hex << request;
  // A structure that ends in a hole.
  EXPECT_EQ(raw(kfd_, ioc::SET_EVENT, static_cast<char*>(hole()) - 4), -EFAULT);
}

TEST_F(ProcessChecks, unknown_requests) {
  u64 nothing[8] = {};
  for (const unsigned number : {0x00u, 0x27u, 0x28u, 0x7fu, 0x80u, 0x82u, 0xffu})
    EXPECT_EQ(raw(kfd_, _IOWR('K', number, u64), nothing), -ENOTTY) << number;
}

// Their numbers are those of other ioctls here; the kernel does not ask the driver.
TEST_F(ProcessChecks, requests_that_every_file_answers) {
  int on = 1;
  EXPECT_EQ(raw(kfd_, FIONCLEX, nullptr), 0);
  EXPECT_EQ(fcntl(kfd_, F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_EQ(raw(kfd_, FIOCLEX, nullptr), 0);
  EXPECT_EQ(fcntl(kfd_, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  EXPECT_EQ(raw(kfd_, FIONBIO, &on), 0);
  EXPECT_NE(fcntl(kfd_, F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(ProcessChecks, a_child_may_not_use_the_descriptor) {
  EXPECT_EQ(in_child([&] {
              u64 nothing[128] = {};
              for (const unsigned long request : all_requests)
                if (raw(kfd_, request, nothing) != -EBADF || raw(kfd_, request, nullptr) != -EBADF)
                  return 1;
              if (raw(kfd_, _IOWR('K', 0x27, u64), nothing) != -ENOTTY)
                return 2;
              // mmap() asks for the caller's KFD process, which is not there.
              if (try_mmap(kfd_, SIGNAL_EVENT_LIMIT * 8, KFD_MMAP_TYPE_EVENTS) != -EINVAL)
                return 3;
              // And where it is there, it is not the one that opened this descriptor.
              const int own = open("/dev/kfd", O_RDWR | O_CLOEXEC);
              const u64 doorbells = KFD_MMAP_TYPE_DOORBELL | mmap_gpu_id(gpu_);
              if (try_mmap(kfd_, 2 * page, doorbells) != -EBADF)
                return 4;
              return try_mmap(own, 2 * page, doorbells) == 0 ? 0 : 5;
            }),
            0);
}

// In a process of its own, since a VM is acquired once.
TEST_F(ProcessChecks, before_a_vm_is_acquired) {
  EXPECT_EQ(
      in_child([this] {
        close(kfd_);
        kfd_ = open("/dev/kfd", O_RDWR | O_CLOEXEC);
        const auto with_gpu = [&](auto args) {
          args.gpu_id = gpu_;
          return args;
        };
        kfd_ioctl_create_queue_args queue = with_gpu(kfd_ioctl_create_queue_args{});
        kfd_ioctl_create_event_args event{};
        event.event_page_offset = make_handle(gpu_, 0);
        kfd_ioctl_map_memory_to_gpu_args map{make_handle(gpu_, 0), as_u64(&gpu_), 1, 0};
        run({
            {"queue", calling(ioc::CREATE_QUEUE, queue), -ESRCH},
            {"policy", calling(ioc::SET_MEMORY_POLICY, with_gpu(kfd_ioctl_set_memory_policy_args{})), -ESRCH},
            {"trap handler", calling(ioc::SET_TRAP_HANDLER, with_gpu(kfd_ioctl_set_trap_handler_args{})),
             -ESRCH},
            {"scratch",
             calling(ioc::SET_SCRATCH_BACKING_VA, with_gpu(kfd_ioctl_set_scratch_backing_va_args{})),
             -ENODEV},
            {"memory", calling(ioc::ALLOC_MEMORY_OF_GPU, allocation(ALLOC_MEM_FLAGS_GTT | ordinary, page)),
             -ENODEV},
            {"mapping", calling(ioc::MAP_MEMORY_TO_GPU, map), -ENODEV},
            {"import", calling(ioc::IMPORT_DMABUF, with_gpu(kfd_ioctl_import_dmabuf_args{})), -ENODEV},
            {"event page", calling(ioc::CREATE_EVENT, event), -ENODEV},
            {"free",
             calling(ioc::FREE_MEMORY_OF_GPU, kfd_ioctl_free_memory_of_gpu_args{make_handle(gpu_, 0)}),
             -EINVAL},
            {"events that nobody made", [&] { return try_mmap(kfd_, page, KFD_MMAP_TYPE_EVENTS); }, -EINVAL},
        });
        return HasFailure() ? 1 : 0;
      }),
      0);
}

TEST_F(ProcessChecks, acquiring_a_vm) {
  const int render = open("/dev/dri/renderD128", O_RDWR | O_CLOEXEC),
            another = open("/dev/dri/renderD128", O_RDWR), same = dup(render),
            null = open("/dev/null", O_RDWR);
  const auto acquiring = [&](int fd, u32 gpu) {
    return calling(ioc::ACQUIRE_VM, kfd_ioctl_acquire_vm_args{static_cast<u32>(fd), gpu});
  };
  run({
      {"no descriptor", acquiring(-1, gpu_), -EINVAL},
      {"not a drm file", acquiring(null, gpu_), -EINVAL},
      {"kfd itself", acquiring(kfd_, gpu_), -EINVAL},
      {"unknown GPU", acquiring(render, gpu_ + 1), -EINVAL},
      {"nothing wrong", acquiring(render, gpu_), 0},
      {"the same again", acquiring(render, gpu_), 0},
      {"the same by another descriptor", acquiring(same, gpu_), 0},
      {"another file", acquiring(another, gpu_), -EBUSY},
      {"no drm file, once there is one", acquiring(null, gpu_), -EBUSY},
  });
  // A VM is acquired once in its life, by whatever process.
  EXPECT_EQ(in_child([&] {
              const int own = open("/dev/kfd", O_RDWR | O_CLOEXEC);
              kfd_ioctl_acquire_vm_args args{static_cast<u32>(render), gpu_};
              return call(own, ioc::ACQUIRE_VM, args) == -EINVAL ? 0 : 1;
            }),
            0);
  for (const int fd : {render, another, same, null})
    close(fd);
}

TEST_F(ProcessChecks, unknown_gpus_and_arguments) {
  const u32 unknown = gpu_ + 1;
  kfd_ioctl_set_memory_policy_args policy{};
  policy.gpu_id = gpu_;
  auto bad_default = policy, bad_alternate = policy, bad_gpu = policy;
  bad_default.default_policy = 2;
  bad_alternate.alternate_policy = 2;
  bad_gpu.gpu_id = unknown;
  kfd_ioctl_set_trap_handler_args trap{};
  trap.gpu_id = unknown;
  kfd_ioctl_set_scratch_backing_va_args scratch{};
  scratch.gpu_id = unknown;
  kfd_ioctl_get_process_apertures_new_args too_many{0, 3, 0}, into_hole{as_u64(hole()), 1, 0},
      into_read_only{as_u64(read_only()), 2, 0};
  run({
      {"default policy", calling(ioc::SET_MEMORY_POLICY, bad_default), -EINVAL},
      {"alternate policy", calling(ioc::SET_MEMORY_POLICY, bad_alternate), -EINVAL},
      {"policy of an unknown GPU", calling(ioc::SET_MEMORY_POLICY, bad_gpu), -EINVAL},
      {"trap handler of an unknown GPU", calling(ioc::SET_TRAP_HANDLER, trap), -EINVAL},
      {"scratch of an unknown GPU", calling(ioc::SET_SCRATCH_BACKING_VA, scratch), -EINVAL},
      {"memory of an unknown GPU",
       calling(ioc::AVAILABLE_MEMORY, kfd_ioctl_get_available_memory_args{0, unknown, 0}), -EINVAL},
      {"SMI events of an unknown GPU", calling(ioc::SMI_EVENTS, kfd_ioctl_smi_events_args{unknown, 0}),
       -EINVAL},
      {"more apertures than the topology has devices", calling(ioc::GET_PROCESS_APERTURES_NEW, too_many),
       -EINVAL},
      {"apertures into a hole", calling(ioc::GET_PROCESS_APERTURES_NEW, into_hole), -EFAULT},
      {"apertures into what cannot be written", calling(ioc::GET_PROCESS_APERTURES_NEW, into_read_only),
       -EFAULT},
  });
  kfd_ioctl_get_clock_counters_args counters{};
  counters.gpu_id = unknown;
  EXPECT_EQ(call(kfd_, ioc::GET_CLOCK_COUNTERS, counters), 0) << "any node has a clock";
  EXPECT_EQ(counters.gpu_clock_counter, 0u);
}

TEST_F(ProcessChecks, tile_configuration) {
  u32 tiles[32], macro_tiles[16];
  const auto asking = [&](u32 gpu, void* to, void* macro_to) {
    kfd_ioctl_get_tile_config_args args{as_u64(to), as_u64(macro_to), 32, 16, gpu, 0, 0, 0};
    return calling(ioc::GET_TILE_CONFIG, args);
  };
  run({
      {"unknown GPU", asking(gpu_ + 1, tiles, macro_tiles), -EINVAL},
      {"tiles into a hole", asking(gpu_, hole(), macro_tiles), -EFAULT},
      {"macro tiles into a hole", asking(gpu_, tiles, hole()), -EFAULT},
      {"nothing wrong", asking(gpu_, tiles, macro_tiles), 0},
  });
}

TEST_F(ProcessChecks, what_this_kernel_was_built_without) {
  struct {
    kfd_ioctl_svm_args args;
    kfd_ioctl_svm_attribute attribute;
  } svm{{0x100000, page, 1, 1}, {}};
  const unsigned long with_one = _IOC(_IOC_READ | _IOC_WRITE, 'K', 0x20, sizeof svm);
  run({
      {"SVM: an attribute that was not given", calling(ioc::SVM, svm.args), -EINVAL},
      {"SVM", calling(with_one, svm), -EPERM},
      {"XNACK asked for", calling(ioc::SET_XNACK_MODE, kfd_ioctl_set_xnack_mode_args{-1}), -EPERM},
      {"XNACK off", calling(ioc::SET_XNACK_MODE, kfd_ioctl_set_xnack_mode_args{0}), -EPERM},
      {"IPC handles are of the out-of-tree driver", calling(_IOWR('K', 0x80, u64), svm), -ENOTTY},
  });
}

TEST_F(ProcessChecks, retired_debugger) {
  const kfd_ioctl_dbg_register_args args{gpu_, 0};
  const kfd_ioctl_dbg_address_watch_args watch{0, gpu_, 0};
  run({
      {"register", calling(ioc::DBG_REGISTER_DEPRECATED, args), -EPERM},
      {"unregister", calling(ioc::DBG_UNREGISTER_DEPRECATED, args), -EPERM},
      {"watch", calling(ioc::DBG_ADDRESS_WATCH_DEPRECATED, watch), -EPERM},
      {"waves", calling(ioc::DBG_WAVE_CONTROL_DEPRECATED, watch), -EPERM},
  });
}

// A child that opens /dev/kfd, or does not, and lives until it is told to end.
class Other {
public:
  explicit Other(bool uses_kfd) {
    int ready[2], done[2];
    EXPECT_EQ(pipe(ready), 0);
    EXPECT_EQ(pipe(done), 0);
    pid_ = fork();
    if (pid_ == 0) {
      for (int fd = 3; fd < 64; ++fd) // what the parent has is no KFD process of this one's
        if (fd != ready[1] && fd != done[0])
          close(fd);
      if (uses_kfd && open("/dev/kfd", O_RDWR | O_CLOEXEC) < 0)
        _exit(1);
      char byte = 0;
      if (write(ready[1], &byte, 1) == 1 && read(done[0], &byte, 1) == 0)
        _exit(0);
      _exit(1);
    }
    char byte = 0;
    close(done[0]);
    EXPECT_EQ(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    done_ = done[1];
  }
  ~Other() {
    close(done_);
    int status = 0;
    waitpid(pid_, &status, 0);
    EXPECT_EQ(WEXITSTATUS(status), 0);
  }
  pid_t pid() const { return pid_; }

private:
  pid_t pid_ = 0;
  int done_ = -1;
};

TEST_F(ProcessChecks, debugging) {
  constexpr u32 disable = 1, suspend_queues = 6;
  const auto op = [&](pid_t pid, u32 number) {
    kfd_ioctl_dbg_trap_args args{};
    args.pid = static_cast<u32>(pid);
    args.op = number;
    return calling(ioc::DBG_TRAP, args);
  };
  Other with(true), without(false);
  run({
      {"no such process", op(0x3ffffff, disable), -ESRCH},
      {"process 0", op(0, disable), -ESRCH},
      {"a process without KFD", op(without.pid(), disable), -ESRCH},
      {"enabling for a process without KFD", op(without.pid(), DBG_TRAP_ENABLE), -ESRCH},
      {"a process that is not traced", op(with.pid(), disable), -EPERM},
      {"enabling for a process that is not traced", op(with.pid(), DBG_TRAP_ENABLE), -EPERM},
      {"not enabled", op(getpid(), disable), -EINVAL},
      {"not enabled, whatever the operation", op(getpid(), suspend_queues), -EINVAL},
      {"unknown operation", op(getpid(), 99), -EINVAL},
  });
  std::atomic<pid_t> thread_id{0};
  std::atomic<bool> done{false};
  std::thread thread([&] {
    thread_id = gettid();
    thread_id.notify_one();
    done.wait(false);
  });
  thread_id.wait(0);
  EXPECT_EQ(op(thread_id, disable)(), -EINVAL) << "a thread stands for its process";
  done = true;
  done.notify_one();
  thread.join();
}

TEST_F(ProcessChecks, checkpoints_that_nobody_began) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
  ASSERT_EQ(syscall(SYS_capget, &header, data), 0);
  const auto has = [&](unsigned capability) {
    return (data[capability / 32].effective >> (capability % 32) & 1) != 0;
  };
  if (!has(CAP_SYS_ADMIN) && !has(CAP_CHECKPOINT_RESTORE))
    GTEST_SKIP() << "neither CAP_SYS_ADMIN nor CAP_CHECKPOINT_RESTORE";
  const auto op = [&](u32 number, pid_t pid = 0) {
    kfd_ioctl_criu_args args{};
    args.op = number;
    args.pid = static_cast<u32>(pid);
    return calling(ioc::CRIU_OP, args);
  };
  Other with(true), without(false);
  run({
      {"checkpoint of queues that run", op(CRIU_OP_CHECKPOINT), -EINVAL},
      {"unpause of queues that run", op(CRIU_OP_UNPAUSE), -EINVAL},
      {"restore of nothing", op(CRIU_OP_RESTORE), -EINVAL},
      {"resume of no process", op(CRIU_OP_RESUME, 0x3ffffff), -ESRCH},
      {"resume of a process without KFD", op(CRIU_OP_RESUME, without.pid()), -ESRCH},
      {"resume of what was not restored", op(CRIU_OP_RESUME, with.pid()), -EINVAL},
      {"resume of oneself", op(CRIU_OP_RESUME, getpid()), -EINVAL},
      {"unknown operation", op(5), -EINVAL},
  });
}

TEST_F(ProcessChecks, checkpoints_want_a_capability) {
  EXPECT_EQ(in_child([&] {
              const int own = open("/dev/kfd", O_RDWR | O_CLOEXEC);
              __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
              __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
              if (syscall(SYS_capset, &header, none) != 0)
                return 1;
              kfd_ioctl_criu_args args{};
              if (call(own, ioc::CRIU_OP, args) != -EACCES)
                return 2;
              return raw(own, ioc::CRIU_OP, nullptr) == -EACCES ? 0 : 3; // before the arguments are read
            }),
            0);
}

TEST_F(ProcessChecks, the_runtime_is_enabled_once) {
  const kfd_ioctl_runtime_enable_args enable{0, RUNTIME_ENABLE_MODE_ENABLE, 0}, disable{};
  run({
      {"off while off", calling(ioc::RUNTIME_ENABLE, disable), 0},
      {"on", calling(ioc::RUNTIME_ENABLE, enable), 0},
      {"on again", calling(ioc::RUNTIME_ENABLE, enable), -EBUSY},
      {"off", calling(ioc::RUNTIME_ENABLE, disable), 0},
  });
}

TEST_F(ProcessChecks, mapping_the_device) {
  const u64 gpu = mmap_gpu_id(gpu_), other = mmap_gpu_id(gpu_ + 1);
  const u64 mmio = KFD_MMAP_TYPE_MMIO | gpu;
  const int reader = open("/dev/kfd", O_RDONLY | O_CLOEXEC), writer = open("/dev/kfd", O_WRONLY | O_CLOEXEC);
  kfd_ioctl_create_event_args event{};
  ASSERT_EQ(call(kfd_, ioc::CREATE_EVENT, event), 0);
  run({
      {"an offset in a page", [&] { return try_mmap(kfd_, page, mmio | 8); }, -EINVAL},
      {"nothing", [&] { return try_mmap(kfd_, 0, mmio); }, -EINVAL},
      {"for writing, opened for reading", [&] { return try_mmap(reader, page, mmio); }, -EACCES},
      {"for reading, opened for reading", [&] { return try_mmap(reader, page, mmio, PROT_READ); }, 0},
      {"for writing, opened for writing only", [&] { return try_mmap(writer, page, mmio, PROT_WRITE); },
       -EACCES},
      {"more events than there are", [&] { return try_mmap(kfd_, 9 * page, KFD_MMAP_TYPE_EVENTS); }, -EINVAL},
      {"MMIO of no GPU", [&] { return try_mmap(kfd_, page, KFD_MMAP_TYPE_MMIO); }, -ENODEV},
      {"MMIO of an unknown GPU", [&] { return try_mmap(kfd_, page, KFD_MMAP_TYPE_MMIO | other); }, -ENODEV},
      {"two pages of MMIO", [&] { return try_mmap(kfd_, 2 * page, KFD_MMAP_TYPE_MMIO | gpu); }, -EINVAL},
      {"one byte of MMIO is its page", [&] { return try_mmap(kfd_, 1, KFD_MMAP_TYPE_MMIO | gpu); }, 0},
      {"doorbells of an unknown GPU",
       [&] { return try_mmap(kfd_, 2 * page, KFD_MMAP_TYPE_DOORBELL | other); }, -ENODEV},
      {"half of the doorbells", [&] { return try_mmap(kfd_, page, KFD_MMAP_TYPE_DOORBELL | gpu); }, -EINVAL},
      {"reserved memory of an unknown GPU",
       [&] { return try_mmap(kfd_, 2 * page, KFD_MMAP_TYPE_RESERVED_MEM | other); }, -ENODEV},
      {"reserved memory of the wrong size",
       [&] { return try_mmap(kfd_, page, KFD_MMAP_TYPE_RESERVED_MEM | gpu); }, -EINVAL},
      {"reserved memory", [&] { return try_mmap(kfd_, 2 * page, KFD_MMAP_TYPE_RESERVED_MEM | gpu); },
       -EINVAL},
  });
  close(reader);
  close(writer);
}

} // namespace
