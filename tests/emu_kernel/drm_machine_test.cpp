// What the files of a machine share: buffer names, clocks, resets; and calls whose answers no other test
// looks at.
#include "drm_bench.hpp"
#include "drm_gpu.hpp"
#include "processes.hpp"

#include <filesystem>
#include <sys/eventfd.h>
#include <sys/mman.h>

namespace {

using namespace drm_test;

constexpr std::uint64_t soon_ms = 20'000;

drm_amdgpu_ctx context_op(int fd, std::uint32_t op, std::uint32_t id, std::uint32_t flags = 0,
                          int expected = 0) {
  drm_amdgpu_ctx args = {};
  args.in.op = op;
  args.in.ctx_id = id;
  args.in.flags = flags;
  EXPECT_EQ(ioctl_error(fd, DRM_IOCTL_AMDGPU_CTX, &args), expected);
  return args;
}
std::uint32_t new_context(int fd) {
  return context_op(fd, AMDGPU_CTX_OP_ALLOC_CTX, 0).out.alloc.ctx_id;
}
std::uint32_t clocks(int fd, std::uint32_t id) {
  return context_op(fd, AMDGPU_CTX_OP_GET_STABLE_PSTATE, id).out.pstate.flags;
}
std::uint32_t state(int fd, std::uint32_t id) {
  return context_op(fd, AMDGPU_CTX_OP_QUERY_STATE, id).out.state.reset_status;
}
std::uint64_t state2(int fd, std::uint32_t id) {
  return context_op(fd, AMDGPU_CTX_OP_QUERY_STATE2, id).out.state.flags;
}

// A command buffer at an address where there is none.
int submit_into_nowhere(Gpu& gpu, std::uint64_t& sequence) {
  drm_amdgpu_cs_chunk_ib ib = {};
  ib.ip_type = AMDGPU_HW_IP_COMPUTE;
  ib.va_start = 0x7000'0000'0000;
  ib.ib_bytes = 64;
  drm_amdgpu_cs_chunk chunk = Gpu::chunk(AMDGPU_CHUNK_ID_IB, &ib, 1);
  return amdgpu_cs_submit_raw2(gpu.device(), gpu.context(), 0, 1, &chunk, &sequence);
}

TEST(DrmMachineTest, every_context_hears_of_a_reset_and_one_is_guilty) {
  const UniqueFd other(open_render_node());
  const std::uint32_t innocent = new_context(other.get());
  EXPECT_EQ(state(other.get(), innocent), AMDGPU_CTX_NO_RESET);
  EXPECT_EQ(state2(other.get(), innocent), 0u);
  {
    Gpu gpu;
    std::uint64_t sequence = 0, flags = 0;
    ASSERT_EQ(submit_into_nowhere(gpu, sequence), 0);
    EXPECT_FALSE(gpu.finished(sequence, soon_ms));
    ASSERT_EQ(amdgpu_cs_query_reset_state2(gpu.context(), &flags), 0);
    EXPECT_EQ(flags, AMDGPU_CTX_QUERY2_FLAGS_RESET | AMDGPU_CTX_QUERY2_FLAGS_GUILTY);
    EXPECT_EQ(gpu.submit(false, 1, 1, {}), -ECANCELED);
  }
  EXPECT_EQ(state2(other.get(), innocent), AMDGPU_CTX_QUERY2_FLAGS_RESET) << "and no more: memory is kept";
  EXPECT_EQ(state(other.get(), innocent), AMDGPU_CTX_UNKNOWN_RESET);
  EXPECT_EQ(state(other.get(), innocent), AMDGPU_CTX_NO_RESET) << "told once";
  EXPECT_EQ(state2(other.get(), new_context(other.get())), 0u) << "born after it";
}

// Roles of this executable.
int faulty() {
  Gpu gpu;
  std::uint64_t sequence = 0;
  return submit_into_nowhere(gpu, sequence) == 0 && !gpu.finished(sequence, soon_ms) ? 0 : 1;
}
int namesake(const char* name) {
  const UniqueFd card(open("/dev/dri/card0", O_RDWR | O_CLOEXEC));
  drm_gem_open args = {};
  args.name = static_cast<std::uint32_t>(std::atoi(name));
  if (ioctl_error(card.get(), DRM_IOCTL_GEM_OPEN, &args) != 0 || args.size != 8192)
    return 1;
  drm_amdgpu_gem_mmap map = {};
  map.in.handle = args.handle;
  if (ioctl_error(card.get(), DRM_IOCTL_AMDGPU_GEM_MMAP, &map) != 0)
    return 2;
  auto* words = static_cast<std::uint32_t*>(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED,
                                                 card.get(), static_cast<off_t>(map.out.addr_ptr)));
  words[5] = 55;
  return 0;
}
int clock_holder(int socket) {
  const UniqueFd card(open_render_node());
  context_op(card.get(), AMDGPU_CTX_OP_SET_STABLE_PSTATE, new_context(card.get()),
             AMDGPU_CTX_STABLE_PSTATE_MIN_SCLK);
  send_message(socket, 'h');
  receive_message(socket);
  return 0;
}

int status_of(Child& child) {
  const int status = child.exit_status();
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(DrmMachineTest, a_reset_of_another_process_is_heard_of) {
  const UniqueFd card(open_render_node());
  const std::uint32_t id = new_context(card.get());
  Child child("faulty");
  EXPECT_EQ(status_of(child), 0);
  EXPECT_EQ(state2(card.get(), id), AMDGPU_CTX_QUERY2_FLAGS_RESET);
  Gpu gpu;
  std::uint64_t sequence = 0;
  ASSERT_EQ(gpu.submit(false, 1, 1, {}, &sequence), 0);
  EXPECT_TRUE(gpu.finished(sequence, soon_ms));
}

TEST(DrmMachineTest, clocks_belong_to_one_context_until_it_goes) {
  const UniqueFd a(open_render_node()), b(open_render_node());
  const std::uint32_t holder = new_context(a.get()), other = new_context(b.get());
  EXPECT_EQ(clocks(b.get(), other), static_cast<std::uint32_t>(AMDGPU_CTX_STABLE_PSTATE_NONE));
  context_op(a.get(), AMDGPU_CTX_OP_SET_STABLE_PSTATE, holder, AMDGPU_CTX_STABLE_PSTATE_PEAK);
  EXPECT_EQ(clocks(b.get(), other), static_cast<std::uint32_t>(AMDGPU_CTX_STABLE_PSTATE_PEAK));
  context_op(b.get(), AMDGPU_CTX_OP_SET_STABLE_PSTATE, other, AMDGPU_CTX_STABLE_PSTATE_PEAK, EBUSY);
  context_op(a.get(), AMDGPU_CTX_OP_FREE_CTX, holder);
  EXPECT_EQ(clocks(b.get(), other), static_cast<std::uint32_t>(AMDGPU_CTX_STABLE_PSTATE_NONE));
  context_op(b.get(), AMDGPU_CTX_OP_SET_STABLE_PSTATE, other, AMDGPU_CTX_STABLE_PSTATE_STANDARD);
}

TEST(DrmMachineTest, clocks_of_a_killed_process_go_back) {
  const UniqueFd card(open_render_node());
  const std::uint32_t id = new_context(card.get());
  Child child("clock_holder");
  ASSERT_EQ(receive_message(child.socket()), 'h');
  context_op(card.get(), AMDGPU_CTX_OP_SET_STABLE_PSTATE, id, AMDGPU_CTX_STABLE_PSTATE_PEAK, EBUSY);
  child.kill();
  child.exit_status();
  context_op(card.get(), AMDGPU_CTX_OP_SET_STABLE_PSTATE, id, AMDGPU_CTX_STABLE_PSTATE_PEAK);
}

TEST(DrmMachineTest, named_buffers_are_one_buffer_everywhere) {
  Bench bench;
  drm_amdgpu_gem_create create = {};
  create.in = {8192, 0, AMDGPU_GEM_DOMAIN_GTT, 0};
  ASSERT_EQ(ioctl_error(bench.primary(), DRM_IOCTL_AMDGPU_GEM_CREATE, &create), 0);
  drm_gem_flink first = {create.out.handle, 0}, again = first;
  ASSERT_EQ(ioctl_error(bench.primary(), DRM_IOCTL_GEM_FLINK, &first), 0);
  ASSERT_EQ(ioctl_error(bench.primary(), DRM_IOCTL_GEM_FLINK, &again), 0);
  EXPECT_EQ(first.name, again.name);
  const UniqueFd other(open("/dev/dri/card0", O_RDWR | O_CLOEXEC));
  drm_gem_open one = {first.name, 0, 0}, two = one;
  ASSERT_EQ(ioctl_error(other.get(), DRM_IOCTL_GEM_OPEN, &one), 0);
  ASSERT_EQ(ioctl_error(other.get(), DRM_IOCTL_GEM_OPEN, &two), 0);
  EXPECT_EQ(one.size, 8192u);
  EXPECT_NE(one.handle, two.handle) << "a new handle every time";

  Child child("namesake", std::to_string(first.name));
  EXPECT_EQ(status_of(child), 0);
  drm_amdgpu_gem_mmap map = {};
  map.in.handle = two.handle;
  ASSERT_EQ(ioctl_error(other.get(), DRM_IOCTL_AMDGPU_GEM_MMAP, &map), 0);
  auto* words = static_cast<std::uint32_t*>(
      mmap(nullptr, 8192, PROT_READ, MAP_SHARED, other.get(), static_cast<off_t>(map.out.addr_ptr)));
  ASSERT_NE(words, MAP_FAILED);
  EXPECT_EQ(words[5], 55u);
  munmap(words, 8192);

  drm_gem_close close_args = {create.out.handle, 0};
  ASSERT_EQ(ioctl_error(bench.primary(), DRM_IOCTL_GEM_CLOSE, &close_args), 0);
  EXPECT_EQ(ioctl_error(other.get(), DRM_IOCTL_GEM_OPEN, &one), ENOENT) << "the name went with its handle";
}

TEST(DrmMachineTest, import_gives_the_handle_by_which_it_was_exported) {
  Bench bench;
  drm_amdgpu_gem_create create = {};
  create.in = {8192, 0, AMDGPU_GEM_DOMAIN_GTT, 0};
  ASSERT_EQ(ioctl_error(bench.primary(), DRM_IOCTL_AMDGPU_GEM_CREATE, &create), 0);
  drm_gem_flink name = {create.out.handle, 0};
  ASSERT_EQ(ioctl_error(bench.primary(), DRM_IOCTL_GEM_FLINK, &name), 0);
  drm_gem_open opened = {name.name, 0, 0};
  ASSERT_EQ(ioctl_error(bench.primary(), DRM_IOCTL_GEM_OPEN, &opened), 0);
  int exported = -1;
  ASSERT_EQ(drmPrimeHandleToFD(bench.primary(), opened.handle, DRM_CLOEXEC, &exported), 0);
  const UniqueFd file(exported);
  std::uint32_t imported = 0;
  ASSERT_EQ(drmPrimeFDToHandle(bench.primary(), file.get(), &imported), 0);
  EXPECT_EQ(imported, opened.handle) << "not the one that it was created with";
  drm_gem_close close_args = {opened.handle, 0};
  ASSERT_EQ(ioctl_error(bench.primary(), DRM_IOCTL_GEM_CLOSE, &close_args), 0);
  ASSERT_EQ(drmPrimeFDToHandle(bench.primary(), file.get(), &imported), 0);
  EXPECT_NE(imported, create.out.handle) << "which PRIME does not know";
}

TEST(DrmMachineTest, on_chip_buffers_tell_what_they_are) {
  Bench bench;
  struct {
    std::uint32_t domain;
    std::uint64_t size, pages;
  } const kinds[] = {
      {AMDGPU_GEM_DOMAIN_GDS, 1022, 1024}, {AMDGPU_GEM_DOMAIN_GWS, 1, 1}, {AMDGPU_GEM_DOMAIN_OA, 2, 2}};
  for (const auto& kind : kinds) {
    drm_amdgpu_gem_create_in info = {};
    drm_amdgpu_gem_op op = {bench.buffer(kind.size, 0, kind.domain), AMDGPU_GEM_OP_GET_GEM_CREATE_INFO,
                            address_of(&info)};
    ASSERT_EQ(ioctl_error(bench.fd(), DRM_IOCTL_AMDGPU_GEM_OP, &op), 0);
    EXPECT_EQ(info.domains, kind.domain);
    EXPECT_EQ(info.bo_size, kind.pages * 4096) << "a page for every unit";
    EXPECT_TRUE(info.domain_flags & AMDGPU_GEM_CREATE_NO_CPU_ACCESS);
  }
}

TEST(DrmMachineTest, the_bus_id_is_there_once_the_version_is_agreed_upon) {
  Bench bench;
  char name[32] = {};
  drm_unique unique = {sizeof name, name};
  ASSERT_EQ(ioctl_error(bench.primary(), DRM_IOCTL_GET_UNIQUE, &unique), 0);
  EXPECT_EQ(unique.unique_len, 0u);
  drm_set_version version = {1, 4, -1, -1};
  ASSERT_EQ(ioctl_error(bench.primary(), DRM_IOCTL_SET_VERSION, &version), 0);
  EXPECT_EQ(version.drm_dd_major, 3);
  unique.unique_len = sizeof name;
  ASSERT_EQ(ioctl_error(bench.primary(), DRM_IOCTL_GET_UNIQUE, &unique), 0);
  EXPECT_STREQ(name, "pci:0000:03:00.0");
}

TEST(DrmMachineTest, a_magic_is_taken_once) {
  Bench bench;
  const UniqueFd client(open("/dev/dri/card0", O_RDWR | O_CLOEXEC));
  drm_auth magic = {};
  ASSERT_EQ(ioctl_error(client.get(), DRM_IOCTL_GET_MAGIC, &magic), 0);
  EXPECT_EQ(ioctl_error(bench.primary(), DRM_IOCTL_AUTH_MAGIC, &magic), 0);
  EXPECT_EQ(ioctl_error(bench.primary(), DRM_IOCTL_AUTH_MAGIC, &magic), EINVAL);
}

int descriptors_open() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<int>(std::distance(begin(all), end(all)));
}

TEST(DrmMachineTest, an_eventfd_on_a_shared_syncobj_ends_with_its_last_holder) {
  const UniqueFd card(open_render_node());
  const UniqueFd event(eventfd(0, EFD_CLOEXEC));
  struct Eventfd {
    std::uint32_t handle, flags;
    std::uint64_t point;
    std::int32_t fd;
    std::uint32_t pad;
  };
  const auto make = [&](int& exported) {
    std::uint32_t handle = 0;
    EXPECT_EQ(drmSyncobjCreate(card.get(), 0, &handle), 0);
    EXPECT_EQ(drmSyncobjHandleToFD(card.get(), handle, &exported), 0);
    Eventfd args = {handle, 0, 0, event.get(), 0};
    EXPECT_EQ(ioctl_error(card.get(), DRM_IOWR(0xcf, Eventfd), &args), 0);
    EXPECT_EQ(drmSyncobjDestroy(card.get(), handle), 0);
  };
  int kept = -1;
  make(kept);
  const int before = descriptors_open();
  for (int i = 0; i < 20; ++i) {
    int exported = -1;
    make(exported);
    close(exported); // nobody can signal it any more
  }
  // The emulation looks when something happens.
  for (int i = 0; i < 200 && descriptors_open() > before; ++i) {
    std::uint32_t other = 0;
    drmSyncobjCreate(card.get(), DRM_SYNCOBJ_CREATE_SIGNALED, &other);
    drmSyncobjDestroy(card.get(), other);
    usleep(5000);
  }
  EXPECT_LE(descriptors_open(), before) << "nothing is kept for them";
  EXPECT_FALSE(readable(event.get(), 0));
  std::uint32_t again = 0;
  ASSERT_EQ(drmSyncobjFDToHandle(card.get(), kept, &again), 0);
  close(kept);
  ASSERT_EQ(drmSyncobjSignal(card.get(), &again, 1), 0);
  EXPECT_TRUE(readable(event.get(), 2000)) << "this one had a holder all the time";
}

} // namespace

int main(int argc, char** argv) {
  if (argc == 5 && std::strcmp(argv[1], "--role") == 0) {
    const std::string role = argv[2];
    return role == "faulty"     ? faulty()
           : role == "namesake" ? namesake(argv[4])
                                : clock_holder(std::atoi(argv[3]));
  }
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
