// fork() and exec(): a drm file is the parent's and the child's, and what one does leaves the other whole.
#include "drm_gpu.hpp"
#include "processes.hpp"

#include <chrono>
#include <functional>
#include <sys/mman.h>

namespace {

using namespace drm_test;

constexpr std::uint64_t soon_ms = 20'000, never_ms = 30;

// What `body` returns in a forked child, which then ends without cleaning up.
int in_child(const std::function<int()>& body) {
  const pid_t pid = fork();
  if (pid == 0)
    _exit(body());
  int status = -1;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::uint64_t vram_usage(int fd) {
  std::uint64_t usage = ~0ull;
  drm_amdgpu_info args = {};
  args.query = AMDGPU_INFO_VRAM_USAGE;
  args.return_pointer = reinterpret_cast<std::uint64_t>(&usage);
  args.return_size = sizeof usage;
  EXPECT_EQ(ioctl_error(fd, DRM_IOCTL_AMDGPU_INFO, &args), 0);
  return usage;
}
std::uint32_t vram_buffer(int fd, std::uint64_t size) {
  drm_amdgpu_gem_create args = {};
  args.in.bo_size = size;
  args.in.domains = AMDGPU_GEM_DOMAIN_VRAM;
  EXPECT_EQ(ioctl_error(fd, DRM_IOCTL_AMDGPU_GEM_CREATE, &args), 0);
  return args.out.handle;
}
int close_buffer(int fd, std::uint32_t handle) {
  drm_gem_close args = {handle, 0};
  return ioctl_error(fd, DRM_IOCTL_GEM_CLOSE, &args);
}

TEST(DrmForkTest, child_that_closes_everything_leaves_the_parents_fences_alone) {
  Gpu gpu;
  std::uint64_t held = 0, next = 0;
  ASSERT_EQ(gpu.submit(true, 1, 1, {}, &held), 0);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(in_child([&] {
              close_range(3, ~0u, 0);
              return 0;
            }),
            0);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(900))
      << "nothing to wait for";
  EXPECT_FALSE(gpu.finished(held, never_ms)) << "the job runs still";
  ASSERT_EQ(gpu.submit(false, 2, 2, {}, &next), 0);
  EXPECT_FALSE(gpu.finished(next, never_ms));
  gpu.release();
  EXPECT_TRUE(gpu.finished(held, soon_ms));
  EXPECT_TRUE(gpu.finished(next, soon_ms));
}

TEST(DrmForkTest, memory_is_counted_once_whoever_frees_it) {
  const UniqueFd device(open_render_node());
  const std::uint64_t before = vram_usage(device.get());
  const std::uint32_t handle = vram_buffer(device.get(), 8 << 20);
  EXPECT_EQ(in_child([&] {
              if (vram_usage(device.get()) != before + (8 << 20))
                return 1;
              vram_buffer(device.get(), 4 << 20);
              if (vram_usage(device.get()) != before + (12 << 20))
                return 2;
              if (close_buffer(device.get(), handle) != 0)
                return 3;
              return vram_usage(device.get()) == before + (12 << 20) ? 0 : 4; // the parent has it still
            }),
            0);
  EXPECT_EQ(vram_usage(device.get()), before + (8 << 20)) << "what the child had is gone with it";
  EXPECT_EQ(close_buffer(device.get(), handle), 0);
  EXPECT_EQ(vram_usage(device.get()), before);
}

TEST(DrmForkTest, memory_of_the_parents_is_not_for_the_childs_submissions) {
  const UniqueFd device(open_render_node());
  void* memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  drm_amdgpu_gem_userptr args = {reinterpret_cast<std::uint64_t>(memory), 4096, AMDGPU_GEM_USERPTR_REGISTER,
                                 0};
  ASSERT_EQ(ioctl_error(device.get(), DRM_IOCTL_AMDGPU_GEM_USERPTR, &args), 0);
  const auto make_list = [&] {
    const drm_amdgpu_bo_list_entry entry = {args.handle, 0};
    drm_amdgpu_bo_list list = {};
    list.in = {AMDGPU_BO_LIST_OP_CREATE, 0, 1, sizeof entry, reinterpret_cast<std::uint64_t>(&entry)};
    return ioctl_error(device.get(), DRM_IOCTL_AMDGPU_BO_LIST, &list);
  };
  EXPECT_EQ(make_list(), 0);
  EXPECT_EQ(in_child(make_list), EPERM);
  munmap(memory, 4096);
}

TEST(DrmForkTest, syncobjs_from_before_the_fork_are_one_object_in_both) {
  const UniqueFd device(open_render_node());
  std::uint32_t binary = 0, timeline = 0;
  ASSERT_EQ(drmSyncobjCreate(device.get(), 0, &binary), 0);
  ASSERT_EQ(drmSyncobjCreate(device.get(), 0, &timeline), 0);
  std::uint64_t point = 4;
  ASSERT_EQ(drmSyncobjTimelineSignal(device.get(), &timeline, &point, 1), 0);
  EXPECT_EQ(in_child([&] {
              std::uint64_t value = 0;
              if (drmSyncobjQuery(device.get(), &timeline, &value, 1) != 0 || value != 4)
                return 1;
              value = 9;
              return drmSyncobjSignal(device.get(), &binary, 1) == 0 &&
                             drmSyncobjTimelineSignal(device.get(), &timeline, &value, 1) == 0
                         ? 0
                         : 2;
            }),
            0);
  EXPECT_EQ(drmSyncobjWait(device.get(), &binary, 1, 0, 0, nullptr), 0);
  ASSERT_EQ(drmSyncobjQuery(device.get(), &timeline, &point, 1), 0);
  EXPECT_EQ(point, 9u);
}

TEST(DrmForkTest, parent_wakes_a_child_that_waits) {
  const UniqueFd device(open_render_node());
  std::uint32_t handle = 0;
  ASSERT_EQ(drmSyncobjCreate(device.get(), 0, &handle), 0);
  const pid_t pid = fork();
  if (pid == 0)
    _exit(drmSyncobjWait(device.get(), &handle, 1, after_ms(static_cast<std::int64_t>(soon_ms)),
                         DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT, nullptr) == 0
              ? 0
              : 1);
  usleep(20'000);
  EXPECT_EQ(drmSyncobjSignal(device.get(), &handle, 1), 0);
  int status = -1;
  waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST(DrmForkTest, child_submits_to_the_file_that_it_inherited) {
  Gpu gpu;
  std::uint64_t sequence = 0;
  ASSERT_EQ(gpu.submit(false, 1, 11, {}, &sequence), 0);
  ASSERT_TRUE(gpu.finished(sequence, soon_ms)); // the ring's thread exists, and will not in the child
  EXPECT_EQ(in_child([&] {
              std::uint64_t mine = 0;
              if (gpu.submit(false, 2, 22, {}, &mine) != 0)
                return 1;
              return gpu.finished(mine, soon_ms) ? 0 : 2;
            }),
            0);
  EXPECT_EQ(gpu.data()[2], 22u) << "the buffer is the same";
  ASSERT_EQ(gpu.submit(false, 3, 33, {}, &sequence), 0);
  EXPECT_TRUE(gpu.finished(sequence, soon_ms));
}

TEST(DrmForkTest, job_of_the_parent_is_pending_for_the_child_too) {
  Gpu gpu;
  std::uint32_t out = 0;
  ASSERT_EQ(drmSyncobjCreate(gpu.fd(), 0, &out), 0);
  Gpu::Extra extra;
  extra.out = {{out}};
  ASSERT_EQ(gpu.submit(true, 1, 1, extra), 0);
  const pid_t pid = fork();
  if (pid == 0) {
    const auto wait = [&](std::uint64_t milliseconds) {
      return drmSyncobjWait(gpu.fd(), &out, 1, after_ms(static_cast<std::int64_t>(milliseconds)), 0, nullptr);
    };
    if (wait(never_ms) != -ETIME)
      _exit(1);
    gpu.release(); // shared memory: the parent's job sees it
    _exit(wait(soon_ms) == 0 ? 0 : 2);
  }
  int status = -1;
  waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0);
}

// exec: roles of this executable. The argument is "KEPT CLOSED HANDLE".
int heir(const char* argument) {
  int kept = -1, closed = -1;
  unsigned handle = 0;
  if (std::sscanf(argument, "%d %d %u", &kept, &closed, &handle) != 3)
    return 10;
  if (fcntl(closed, F_GETFD) != -1 || errno != EBADF)
    return 11;
  drmVersionPtr version = drmGetVersion(kept);
  if (!version || std::strcmp(version->name, "amdgpu") != 0)
    return 12;
  drmFreeVersion(version);
  std::uint32_t syncobj = 0;
  if (drmSyncobjCreate(kept, 0, &syncobj) != 0)
    return 13;
  // What this emulation cannot do: handles do not come along. It says so.
  drm_amdgpu_gem_mmap map = {};
  map.in.handle = handle;
  return ioctl_error(kept, DRM_IOCTL_AMDGPU_GEM_MMAP, &map) == ENOENT ? 0 : 14;
}

TEST(DrmExecTest, cloexec_closes_and_the_other_descriptor_works_on) {
  const UniqueFd closed(open_render_node()), kept(open("/dev/dri/renderD128", O_RDWR));
  const std::uint32_t handle = vram_buffer(kept.get(), 4096);
  Child child("heir",
              std::to_string(kept.get()) + " " + std::to_string(closed.get()) + " " + std::to_string(handle));
  const int status = child.exit_status();
  EXPECT_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
  std::uint32_t syncobj = 0;
  EXPECT_EQ(drmSyncobjCreate(kept.get(), 0, &syncobj), 0);
}

TEST(DrmExecTest, a_card_that_came_over_a_socket_works) {
  const UniqueFd device(open_render_node());
  Child child("client");
  send_message(child.socket(), 'f', device.get());
  const int status = child.exit_status();
  EXPECT_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
}

int client(int socket) {
  int card = -1;
  receive_message(socket, &card);
  std::uint32_t syncobj = 0;
  return drmSyncobjCreate(card, DRM_SYNCOBJ_CREATE_SIGNALED, &syncobj) == 0 &&
                 drmSyncobjWait(card, &syncobj, 1, 0, 0, nullptr) == 0
             ? 0
             : 1;
}

} // namespace

int main(int argc, char** argv) {
  if (argc == 5 && std::strcmp(argv[1], "--role") == 0)
    return std::strcmp(argv[2], "heir") == 0 ? heir(argv[4]) : client(std::atoi(argv[3]));
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
