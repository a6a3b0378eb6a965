// Syncobjs, sync_files and buffers between processes: two that exec'd independently and pass descriptors over
// a socket, and what happens when the one that owes a fence is killed.
#include "drm_gpu.hpp"
#include "processes.hpp"

#include <chrono>
#include <string>
#include <sys/mman.h>

namespace {

using namespace drm_test;

constexpr int soon_ms = 20'000, never_ms = 40;

// Roles
// ---------------------------------------------------------------------------------------------------------------

// Takes a syncobj, and does to it what it is told: s signal, r reset, 1..9 timeline point, q quit.
int obedient_child(int socket) {
  const UniqueFd device(open_render_node());
  int fd = -1;
  receive_message(socket, &fd);
  std::uint32_t handle = 0;
  if (drmSyncobjFDToHandle(device.get(), fd, &handle) != 0)
    return 1;
  close(fd);
  send_message(socket, 'k');
  for (char word = receive_message(socket); word != 'q' && word != '\0'; word = receive_message(socket)) {
    std::uint64_t point = static_cast<std::uint64_t>(word - '0');
    const int result = word == 's'   ? drmSyncobjSignal(device.get(), &handle, 1)
                       : word == 'r' ? drmSyncobjReset(device.get(), &handle, 1)
                                     : drmSyncobjTimelineSignal(device.get(), &handle, &point, 1);
    send_message(socket, result == 0 ? 'k' : 'x');
  }
  return 0;
}

// Submits a job that waits, with its fence in a binary syncobj, a timeline's point 5 and a sync_file, and
// sends all three. 'g' lets the job go on.
int working_child(int socket) {
  Gpu gpu;
  std::uint32_t binary = 0, timeline = 0;
  drmSyncobjCreate(gpu.fd(), 0, &binary);
  drmSyncobjCreate(gpu.fd(), 0, &timeline);
  Gpu::Extra extra;
  extra.out = {{binary}};
  if (gpu.submit(true, 1, 77, extra) != 0 || drmSyncobjTransfer(gpu.fd(), timeline, 5, binary, 0, 0) != 0)
    return 1;
  int fds[3] = {-1, -1, -1};
  drmSyncobjHandleToFD(gpu.fd(), binary, &fds[0]);
  drmSyncobjHandleToFD(gpu.fd(), timeline, &fds[1]);
  drmSyncobjExportSyncFile(gpu.fd(), binary, &fds[2]);
  for (int fd : fds) {
    send_message(socket, 'f', fd);
    close(fd);
  }
  if (receive_message(socket) == 'g')
    gpu.release();
  receive_message(socket);
  return 0;
}

// Takes a buffer, reads word 0, writes word 1, and says whether the metadata is what it should be.
int buffer_child(int socket) {
  const UniqueFd device(open_render_node());
  int fd = -1;
  receive_message(socket, &fd);
  std::uint32_t handle = 0;
  if (drmPrimeFDToHandle(device.get(), fd, &handle) != 0)
    return 1;
  close(fd);
  drm_amdgpu_gem_metadata metadata = {};
  metadata.handle = handle;
  metadata.op = AMDGPU_GEM_METADATA_OP_GET_METADATA;
  if (ioctl_error(device.get(), DRM_IOCTL_AMDGPU_GEM_METADATA, &metadata) != 0 ||
      metadata.data.tiling_info != 0x1234 || metadata.data.data_size_bytes != 12 ||
      metadata.data.data[2] != 30)
    return 2;
  drm_amdgpu_gem_create_in info = {};
  drm_amdgpu_gem_op op = {handle, AMDGPU_GEM_OP_GET_GEM_CREATE_INFO, reinterpret_cast<std::uint64_t>(&info)};
  if (ioctl_error(device.get(), DRM_IOCTL_AMDGPU_GEM_OP, &op) != 0 || info.bo_size != 8192 ||
      info.domains != AMDGPU_GEM_DOMAIN_VRAM)
    return 3;
  drm_amdgpu_gem_mmap map = {};
  map.in.handle = handle;
  if (ioctl_error(device.get(), DRM_IOCTL_AMDGPU_GEM_MMAP, &map) != 0)
    return 4;
  void* memory = mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, device.get(),
                      static_cast<off_t>(map.out.addr_ptr));
  if (memory == MAP_FAILED)
    return 5;
  auto* words = static_cast<volatile std::uint32_t*>(memory);
  if (words[0] != 4711)
    return 6;
  words[1] = 4712;
  send_message(socket, 'k');
  return 0;
}

// Tests
// ---------------------------------------------------------------------------------------------------------------

class SharingTest : public WithDevice {
protected:
  // What the working child sends.
  void take_from(const Child& child) {
    int fds[3];
    for (int& fd : fds)
      ASSERT_EQ(receive_message(child.socket(), &fd), 'f');
    ASSERT_EQ(drmSyncobjFDToHandle(fd(), fds[0], &binary_), 0);
    ASSERT_EQ(drmSyncobjFDToHandle(fd(), fds[1], &timeline_), 0);
    close(fds[0]);
    close(fds[1]);
    sync_file_ = UniqueFd(fds[2]);
  }
  void expect_pending() {
    EXPECT_EQ(wait(binary_, 0, after_ms(never_ms)), ETIME);
    EXPECT_EQ(timeline_wait(timeline_, 5, 0, after_ms(never_ms)), ETIME);
    EXPECT_EQ(query(timeline_), 0u);
    EXPECT_EQ(query(timeline_, DRM_SYNCOBJ_QUERY_FLAGS_LAST_SUBMITTED), 5u);
    EXPECT_FALSE(readable(sync_file_.get(), never_ms));
  }
  void expect_signaled() {
    EXPECT_EQ(wait(binary_, 0, after_ms(soon_ms)), 0);
    EXPECT_EQ(timeline_wait(timeline_, 5, 0, after_ms(soon_ms)), 0);
    EXPECT_EQ(query(timeline_), 5u);
    EXPECT_TRUE(readable(sync_file_.get(), soon_ms));
  }
  std::uint32_t binary_ = 0, timeline_ = 0;
  UniqueFd sync_file_;
};

TEST_F(SharingTest, what_one_process_does_the_other_sees) {
  Child child("obedient");
  const std::uint32_t handle = create();
  send_message(child.socket(), 'f', export_fd(handle).get());
  ASSERT_EQ(receive_message(child.socket()), 'k');
  EXPECT_EQ(wait(handle, 0), EINVAL);
  send_message(child.socket(), 's');
  EXPECT_EQ(wait(handle, DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT, after_ms(soon_ms)), 0)
      << "blocks until the peer signals";
  ASSERT_EQ(receive_message(child.socket()), 'k');
  send_message(child.socket(), 'r');
  ASSERT_EQ(receive_message(child.socket()), 'k');
  EXPECT_EQ(wait(handle, 0), EINVAL);
  send_message(child.socket(), '4');
  ASSERT_EQ(receive_message(child.socket()), 'k');
  EXPECT_EQ(query(handle), 4u);
  ASSERT_EQ(timeline_signal(handle, 6), 0);
  send_message(child.socket(), '9');
  EXPECT_EQ(timeline_wait(handle, 9, DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT, after_ms(soon_ms)), 0);
  ASSERT_EQ(receive_message(child.socket()), 'k');
  send_message(child.socket(), 'q');
  EXPECT_EQ(child.exit_status(), 0);
  EXPECT_EQ(query(handle), 9u) << "the object outlives the process";
}

TEST_F(SharingTest, a_fence_of_another_process_signals_when_its_job_ends) {
  Child child("working");
  take_from(child);
  expect_pending();
  send_message(child.socket(), 'g');
  expect_signaled();
}

TEST_F(SharingTest, an_own_job_waits_for_a_fence_of_another_process) {
  Child child("working");
  Gpu gpu;
  int fds[3];
  for (int& fd : fds)
    ASSERT_EQ(receive_message(child.socket(), &fd), 'f');
  std::uint32_t handle = 0;
  ASSERT_EQ(drmSyncobjFDToHandle(gpu.fd(), fds[0], &handle), 0);
  for (int fd : fds)
    close(fd);
  Gpu::Extra extra;
  extra.in = {{handle}};
  std::uint64_t sequence = 0;
  ASSERT_EQ(gpu.submit(false, 3, 33, extra, &sequence), 0);
  EXPECT_FALSE(gpu.finished(sequence, never_ms));
  send_message(child.socket(), 'g');
  EXPECT_TRUE(gpu.finished(sequence, soon_ms));
}

TEST_F(SharingTest, a_sync_file_of_another_process_is_imported) {
  Child child("working");
  take_from(child);
  const std::uint32_t mine = create();
  ASSERT_EQ(drmSyncobjImportSyncFile(fd(), mine, sync_file_.get()), 0);
  EXPECT_EQ(wait(mine, 0, after_ms(never_ms)), ETIME);
  send_message(child.socket(), 'g');
  EXPECT_EQ(wait(mine, 0, after_ms(soon_ms)), 0);
}

TEST_F(SharingTest, a_killed_process_leaves_no_fence_pending) {
  Child child("working");
  take_from(child);
  expect_pending();
  child.kill();
  const auto begin = std::chrono::steady_clock::now();
  expect_signaled();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

TEST_F(SharingTest, death_before_the_first_look_is_noticed_without_blocking) {
  Child child("working");
  take_from(child);
  child.kill();
  child.exit_status();
  EXPECT_EQ(query(timeline_), 5u);
  EXPECT_EQ(wait(binary_, 0, 0), 0);
}

TEST_F(SharingTest, a_waiter_that_is_killed_disturbs_nobody) {
  const std::uint32_t handle = create();
  {
    Child child("obedient");
    send_message(child.socket(), 'f', export_fd(handle).get());
    ASSERT_EQ(receive_message(child.socket()), 'k');
    child.kill();
  }
  EXPECT_EQ(signal(handle), 0);
  EXPECT_EQ(wait(handle, 0), 0);
}

TEST_F(SharingTest, buffers_travel_with_their_content_and_metadata) {
  drm_amdgpu_gem_create buffer = {};
  buffer.in.bo_size = 8192;
  buffer.in.domains = AMDGPU_GEM_DOMAIN_VRAM;
  ASSERT_EQ(ioctl_error(fd(), DRM_IOCTL_AMDGPU_GEM_CREATE, &buffer), 0);
  const std::uint32_t handle = buffer.out.handle;
  drm_amdgpu_gem_metadata metadata = {};
  metadata.handle = handle;
  metadata.op = AMDGPU_GEM_METADATA_OP_SET_METADATA;
  metadata.data.tiling_info = 0x1234;
  metadata.data.data_size_bytes = 12;
  metadata.data.data[2] = 30;
  ASSERT_EQ(ioctl_error(fd(), DRM_IOCTL_AMDGPU_GEM_METADATA, &metadata), 0);
  drm_amdgpu_gem_mmap map = {};
  map.in.handle = handle;
  ASSERT_EQ(ioctl_error(fd(), DRM_IOCTL_AMDGPU_GEM_MMAP, &map), 0);
  void* memory =
      mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd(), static_cast<off_t>(map.out.addr_ptr));
  ASSERT_NE(memory, MAP_FAILED);
  auto* words = static_cast<volatile std::uint32_t*>(memory);
  words[0] = 4711;
  int exported = -1;
  ASSERT_EQ(drmPrimeHandleToFD(fd(), handle, DRM_CLOEXEC | DRM_RDWR, &exported), 0);
  EXPECT_EQ(lseek(exported, 0, SEEK_END), 8192);
  Child child("buffer");
  send_message(child.socket(), 'f', exported);
  close(exported);
  EXPECT_EQ(receive_message(child.socket()), 'k');
  EXPECT_EQ(child.exit_status(), 0);
  EXPECT_EQ(words[1], 4712u);
  munmap(memory, 8192);
}

} // namespace

int main(int argc, char** argv) {
  if (argc >= 4 && std::strcmp(argv[1], "--role") == 0) {
    const std::string role = argv[2];
    const int socket = std::atoi(argv[3]);
    return role == "obedient"  ? obedient_child(socket)
           : role == "working" ? working_child(socket)
                               : buffer_child(socket);
  }
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
