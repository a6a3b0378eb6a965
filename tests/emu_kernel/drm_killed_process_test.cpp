// A process that shares buffers and syncobjs is killed at fifty different moments of its life; its peer goes
// on as with the real kernel. The fences of the dead signal, what they had not submitted stays unsubmitted,
// locks that they held are free, their memory is back, and the machine has forgotten them.
#include "drm_gpu.hpp"
#include "processes.hpp"

#include <bo.hpp>
#include <machine_state.hpp>
#include <syncobj_shared.hpp>

#include <chrono>
#include <filesystem>
#include <functional>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <thread>

namespace {

using namespace drm_test;
namespace kernel = emu::kernel;

constexpr int soon_ms = 10'000, never_ms = 15;
constexpr std::uint64_t buffer_size = 4 << 20;
constexpr std::uint32_t written = 0x5eed;

// A shared mapping of something that the emulated mmap() would refuse: what lies behind an object of ours.
void* behind(int fd, std::size_t size, off_t offset = 0) {
  return reinterpret_cast<void*>(
      syscall(SYS_mmap, nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset));
}

kernel::MachineState& machine_state() {
  static auto* state = [] {
    const std::string path =
        std::string(std::getenv("CUDA_SHIM_EMU_DIR")) + "/" + kernel::MachineState::file_name();
    const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
    return static_cast<kernel::MachineState*>(behind(fd, sizeof(kernel::MachineState)));
  }();
  return *state;
}

// The victim
// ---------------------------------------------------------------------------------------------------------------

class Victim {
public:
  explicit Victim(int socket) : socket_(socket) {}

  // Its life, moment by moment.
  const std::vector<std::pair<const char*, std::function<void()>>> life = {
      {"before anything", [] {}},
      {"with the card open", [this] { gpu_ = std::make_unique<Gpu>(); }},
      {"with a buffer", [this] { allocate(); }},
      {"with the buffer mapped for the CPU", [this] { map_for_cpu(); }},
      {"with the buffer mapped for the GPU", [this] { map_for_gpu(); }},
      {"with syncobjs",
       [this] {
         drmSyncobjCreate(gpu_->fd(), 0, &binary_);
         drmSyncobjCreate(gpu_->fd(), 0, &timeline_);
       }},
      {"with one of them exported", [this] { drmSyncobjHandleToFD(gpu_->fd(), binary_, &fds_[0]); }},
      {"with both exported", [this] { drmSyncobjHandleToFD(gpu_->fd(), timeline_, &fds_[1]); }},
      {"with the buffer exported",
       [this] { drmPrimeHandleToFD(gpu_->fd(), buffer_, DRM_CLOEXEC | DRM_RDWR, &fds_[2]); }},
      {"after it shared everything",
       [this] {
         for (int fd : fds_)
           send_message(socket_, 'f', fd);
       }},
      {"in the middle of a syncobj's lock",
       [this] {
         auto* shared = static_cast<kernel::SharedSyncobj*>(behind(fds_[0], sizeof(kernel::SharedSyncobj)));
         pthread_mutex_lock(&shared->lock);
         locked_ = &shared->lock;
         shared->nodes[(shared->state.load() & 1) ^ 1][0].seqno = ~0ull; // the half of an install
       }},
      {"between locks", [this] { pthread_mutex_unlock(locked_); }},
      {"in the middle of the machine's lock", [] { pthread_mutex_lock(&machine_state().table_lock); }},
      {"after it", [] { pthread_mutex_unlock(&machine_state().table_lock); }},
      {"in the middle of the buffer's metadata lock", [this] { metadata().lock = self(); }},
      {"in the middle of the buffer's reservation lock",
       [this] {
         metadata().lock = 0;
         reservation_lock() = self();
       }},
      {"outside of both", [this] { reservation_lock() = 0; }},
      {"with a running job", [this] { submit_gated(); }},
      {"with a pending timeline point",
       [this] { drmSyncobjTransfer(gpu_->fd(), timeline_, 3, binary_, 0, 0); }},
      {"with the fence as a sync_file", [this] { share_sync_file(); }},
      {"with a job behind the running one", [this] { gpu_->submit(false, 2, 2, {}); }},
      {"with a job that waits for a fence",
       [this] {
         Gpu::Extra extra;
         extra.in = {{binary_}};
         gpu_->submit(false, 3, 3, extra, nullptr, AMDGPU_HW_IP_COMPUTE, 1);
       }},
      {"while it waits for its job",
       [this] {
         std::thread([this] { gpu_->finished(sequence_, soon_ms); }).detach();
         std::this_thread::sleep_for(std::chrono::milliseconds(2));
       }},
      {"while it waits for a point to come",
       [this] {
         std::thread([this] {
           std::uint64_t point = 5;
           drmSyncobjTimelineWait(gpu_->fd(), &timeline_, &point, 1, INT64_MAX,
                                  DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT, nullptr);
         }).detach();
         std::this_thread::sleep_for(std::chrono::milliseconds(2));
       }},
      {"with an eventfd on the point",
       [this] {
         struct {
           std::uint32_t handle, flags;
           std::uint64_t point;
           std::int32_t fd;
           std::uint32_t pad;
         } args = {timeline_, 0, 5, eventfd(0, EFD_CLOEXEC), 0};
         drmIoctl(gpu_->fd(), DRM_IOWR(0xcf, args), &args);
       }},
      {"after its job ended",
       [this] {
         gpu_->release();
         gpu_->finished(sequence_, soon_ms);
       }},
      {"with the buffer freed",
       [this] {
         drm_gem_close args = {buffer_, 0};
         drmIoctl(gpu_->fd(), DRM_IOCTL_GEM_CLOSE, &args);
       }},
      {"with the clocks raised and a VMID reserved",
       [this] {
         drm_amdgpu_ctx args = {};
         args.in.op = AMDGPU_CTX_OP_ALLOC_CTX;
         drmIoctl(gpu_->fd(), DRM_IOCTL_AMDGPU_CTX, &args);
         const std::uint32_t id = args.out.alloc.ctx_id;
         args = {};
         args.in.op = AMDGPU_CTX_OP_SET_STABLE_PSTATE;
         args.in.ctx_id = id;
         args.in.flags = AMDGPU_CTX_STABLE_PSTATE_PEAK;
         drmIoctl(gpu_->fd(), DRM_IOCTL_AMDGPU_CTX, &args);
         drm_amdgpu_vm vm = {};
         vm.in.op = AMDGPU_VM_OP_RESERVE_VMID;
         drmIoctl(gpu_->fd(), DRM_IOCTL_AMDGPU_VM, &vm);
       }},
      {"with the syncobjs destroyed",
       [this] {
         drmSyncobjDestroy(gpu_->fd(), binary_);
         drmSyncobjDestroy(gpu_->fd(), timeline_);
       }},
      {"with the card closed", [this] { gpu_.reset(); }},
  };

  // Dies at the moment of that number; -1: lives on, over and over, until somebody kills it.
  [[noreturn]] void live(int death) {
    for (std::size_t i = 0; i < life.size(); ++i) {
      life[i].second();
      if (static_cast<int>(i) == death)
        ::kill(getpid(), SIGKILL);
      if (i == shared_moment)
        send_message(socket_, 'b'); // bustling from here on
    }
    for (;;) { // keeps all kinds of calls going: one of them is hit
      Gpu gpu;
      std::uint32_t handle = 0;
      drmSyncobjFDToHandle(gpu.fd(), fds_[1], &handle);
      for (std::uint64_t point = 10; point < 40; ++point) {
        Gpu::Extra extra;
        extra.timeline_signal = {{handle, 0, point}};
        gpu.submit(false, 2, 2, extra);
        drm_amdgpu_gem_create buffer = {};
        buffer.in.bo_size = 1 << 20;
        buffer.in.domains = AMDGPU_GEM_DOMAIN_VRAM;
        drmIoctl(gpu.fd(), DRM_IOCTL_AMDGPU_GEM_CREATE, &buffer);
        int again = -1;
        drmSyncobjHandleToFD(gpu.fd(), handle, &again);
        close(again);
      }
    }
  }

  static constexpr std::size_t shared_moment = 9;  // "after it shared everything"
  static constexpr std::size_t submit_moment = 17; // "with a running job"
  static constexpr std::size_t point_moment = 18;  // "with a pending timeline point"
  static constexpr std::size_t sync_file_moment = 19;

private:
  static std::uint32_t self() { return static_cast<std::uint32_t>(getpid()); }

  void allocate() {
    drm_amdgpu_gem_create args = {};
    args.in.bo_size = buffer_size;
    args.in.domains = AMDGPU_GEM_DOMAIN_VRAM;
    drmIoctl(gpu_->fd(), DRM_IOCTL_AMDGPU_GEM_CREATE, &args);
    buffer_ = args.out.handle;
  }
  void map_for_cpu() {
    drm_amdgpu_gem_mmap args = {};
    args.in.handle = buffer_;
    drmIoctl(gpu_->fd(), DRM_IOCTL_AMDGPU_GEM_MMAP, &args);
    auto* words = static_cast<std::uint32_t*>(mmap(nullptr, buffer_size, PROT_READ | PROT_WRITE, MAP_SHARED,
                                                   gpu_->fd(), static_cast<off_t>(args.out.addr_ptr)));
    words[0] = written;
  }
  void map_for_gpu() {
    drm_amdgpu_gem_va args = {};
    args.handle = buffer_;
    args.operation = AMDGPU_VA_OP_MAP;
    args.flags = AMDGPU_VM_PAGE_READABLE | AMDGPU_VM_PAGE_WRITEABLE;
    args.va_address = 0x3'0000'0000;
    args.map_size = buffer_size;
    drmIoctl(gpu_->fd(), DRM_IOCTL_AMDGPU_GEM_VA, &args);
  }
  void submit_gated() {
    Gpu::Extra extra;
    extra.out = {{binary_}};
    gpu_->submit(true, 1, 77, extra, &sequence_);
  }
  void share_sync_file() {
    int file = -1;
    drmSyncobjExportSyncFile(gpu_->fd(), binary_, &file);
    send_message(socket_, 's', file);
    close(file);
  }
  kernel::BufferMetadata& metadata() {
    if (!metadata_)
      metadata_ = static_cast<kernel::BufferMetadata*>(behind(fds_[2], 4096, buffer_size));
    return *metadata_;
  }
  std::atomic<std::uint32_t>& reservation_lock() {
    return *reinterpret_cast<std::atomic<std::uint32_t>*>(metadata().reservation);
  }

  const int socket_;
  std::unique_ptr<Gpu> gpu_;
  std::uint32_t buffer_ = 0, binary_ = 0, timeline_ = 0;
  std::uint64_t sequence_ = 0;
  int fds_[3] = {-1, -1, -1};
  pthread_mutex_t* locked_ = nullptr;
  kernel::BufferMetadata* metadata_ = nullptr;
};

// The peer
// ---------------------------------------------------------------------------------------------------------------

constexpr std::uint32_t for_submit = DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT;

class KilledProcessTest : public WithDevice {
protected:
  void SetUp() override {
    WithDevice::SetUp();
    vram_before_ = vram_usage();
  }

  std::uint64_t vram_usage() {
    std::uint64_t usage = ~0ull;
    drm_amdgpu_info args = {};
    args.query = AMDGPU_INFO_VRAM_USAGE;
    args.return_pointer = reinterpret_cast<std::uint64_t>(&usage);
    args.return_size = sizeof usage;
    EXPECT_EQ(ioctl_error(fd(), DRM_IOCTL_AMDGPU_INFO, &args), 0);
    return usage;
  }

  void take_shared(Child& victim) {
    int fds[3];
    for (int& one : fds)
      ASSERT_EQ(receive_message(victim.socket(), &one), 'f');
    ASSERT_EQ(drmSyncobjFDToHandle(fd(), fds[0], &binary_), 0);
    ASSERT_EQ(drmSyncobjFDToHandle(fd(), fds[1], &timeline_), 0);
    ASSERT_EQ(drmPrimeFDToHandle(fd(), fds[2], &buffer_), 0);
    for (int one : fds)
      close(one);
    waiter_result_ = -1;
    waiter_ =
        std::thread([this] { waiter_result_ = timeline_wait(timeline_, 5, for_submit, after_ms(soon_ms)); });
  }

  // The victim is dead. What it has shared is as the kernel leaves it.
  void expect_usable(bool submitted, bool has_point_3, bool knows) {
    const int binary = wait(binary_, for_submit, after_ms(submitted ? soon_ms : never_ms));
    const int point = timeline_wait(timeline_, 3, for_submit, after_ms(has_point_3 ? soon_ms : never_ms));
    if (knows) {
      EXPECT_EQ(binary, submitted ? 0 : ETIME);
      EXPECT_EQ(point, has_point_3 ? 0 : ETIME);
      EXPECT_EQ(query(timeline_), has_point_3 ? 3u : 0u);
    }
    expect_buffer_usable();
    EXPECT_EQ(timeline_signal(timeline_, 50), 0) << "the waiter for point 5 is still there, and ends now";
    waiter_.join();
    EXPECT_EQ(waiter_result_.load(), 0);
    EXPECT_EQ(signal(binary_), 0);
    EXPECT_EQ(wait(binary_, 0), 0);
    EXPECT_EQ(drmSyncobjDestroy(fd(), binary_), 0);
    EXPECT_EQ(drmSyncobjDestroy(fd(), timeline_), 0);
  }

  void expect_buffer_usable() {
    drm_amdgpu_gem_wait_idle idle = {};
    idle.in.handle = buffer_;
    idle.in.timeout = static_cast<std::uint64_t>(after_ms(soon_ms));
    EXPECT_EQ(ioctl_error(fd(), DRM_IOCTL_AMDGPU_GEM_WAIT_IDLE, &idle), 0);
    EXPECT_EQ(idle.out.status, 0u) << "nobody uses the buffer any more";
    drm_amdgpu_gem_metadata metadata = {};
    metadata.handle = buffer_;
    metadata.op = AMDGPU_GEM_METADATA_OP_GET_METADATA;
    EXPECT_EQ(ioctl_error(fd(), DRM_IOCTL_AMDGPU_GEM_METADATA, &metadata), 0);
    drm_amdgpu_gem_mmap map = {};
    map.in.handle = buffer_;
    ASSERT_EQ(ioctl_error(fd(), DRM_IOCTL_AMDGPU_GEM_MMAP, &map), 0);
    void* memory =
        mmap(nullptr, buffer_size, PROT_READ, MAP_SHARED, fd(), static_cast<off_t>(map.out.addr_ptr));
    ASSERT_NE(memory, MAP_FAILED);
    EXPECT_EQ(*static_cast<std::uint32_t*>(memory), written) << "its content outlives who wrote it";
    munmap(memory, buffer_size);
    drm_gem_close close_args = {buffer_, 0};
    EXPECT_EQ(ioctl_error(fd(), DRM_IOCTL_GEM_CLOSE, &close_args), 0);
  }

  void expect_forgotten() {
    EXPECT_EQ(vram_usage(), vram_before_) << "memory of the dead is free";
    int processes = 0;
    for (const kernel::ProcessEntry& entry : machine_state().processes)
      processes += entry.incarnation.load() != 0;
    EXPECT_EQ(processes, 1) << "this one alone is left in the table";
    int foreign_slots = 0;
    for (const kernel::FenceSlot& slot : machine_state().slots)
      foreign_slots += slot.owner.load() != 0;
    EXPECT_EQ(foreign_slots, 0) << "no fence is owed";
    EXPECT_GE(machine_state().waiters.load(), 0);
    EXPECT_EQ(machine_state().clocks.owner, 0u);
    EXPECT_EQ(machine_state().vmid.owner, 0u);
  }

  std::uint64_t vram_before_ = 0;
  std::uint32_t binary_ = 0, timeline_ = 0, buffer_ = 0;
  std::thread waiter_;
  std::atomic<int> waiter_result_{-1};
};

TEST_F(KilledProcessTest, peer_goes_on_whatever_the_moment) {
  const Victim names(-1);
  const int moments = static_cast<int>(names.life.size());
  EXPECT_EQ(moments, 30);
  for (int moment = 0; moment < moments; ++moment) {
    SCOPED_TRACE(names.life[static_cast<std::size_t>(moment)].first);
    Child victim("victim", std::to_string(moment));
    const auto at = static_cast<std::size_t>(moment);
    const bool shared = at >= Victim::shared_moment;
    if (shared)
      take_shared(victim);
    UniqueFd sync_file;
    for (int one = -1; receive_message(victim.socket(), &one) != '\0';)
      if (one >= 0)
        sync_file = UniqueFd(one);
    const int status = victim.exit_status();
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
    if (shared)
      expect_usable(at >= Victim::submit_moment, at >= Victim::point_moment, true);
    EXPECT_EQ(sync_file.get() >= 0, at >= Victim::sync_file_moment);
    if (sync_file.get() >= 0) {
      EXPECT_TRUE(readable(sync_file.get(), soon_ms));
    }
    expect_forgotten();
  }
}

TEST_F(KilledProcessTest, peer_goes_on_when_the_victim_is_hit_at_random) {
  for (int i = 0; i < 20; ++i) {
    SCOPED_TRACE(i);
    Child victim("victim", "-1");
    take_shared(victim);
    ASSERT_EQ(receive_message(victim.socket()), 'b');
    std::this_thread::sleep_for(std::chrono::microseconds(i * i * 60));
    victim.kill();
    ASSERT_TRUE(WIFSIGNALED(victim.exit_status()));
    expect_usable(false, false, false);
    expect_forgotten();
  }
}

TEST_F(KilledProcessTest, own_jobs_that_wait_for_the_dead_run) {
  Child victim("victim", std::to_string(Victim::submit_moment + 20)); // lives on with a running job
  victim.kill();
  victim.exit_status();
  Child second("victim", std::to_string(Victim::submit_moment));
  take_shared(second);
  second.exit_status();
  {
    Gpu gpu;
    int exported = -1;
    ASSERT_EQ(drmSyncobjHandleToFD(fd(), binary_, &exported), 0);
    std::uint32_t mine = 0;
    ASSERT_EQ(drmSyncobjFDToHandle(gpu.fd(), exported, &mine), 0);
    close(exported);
    Gpu::Extra extra;
    extra.in = {{mine}};
    std::uint64_t sequence = 0;
    ASSERT_EQ(gpu.submit(false, 3, 33, extra, &sequence), 0);
    EXPECT_TRUE(gpu.finished(sequence, soon_ms));
    EXPECT_EQ(gpu.data()[3], 33u);
  }
  expect_usable(true, false, true);
  expect_forgotten();
}

} // namespace

int main(int argc, char** argv) {
  if (argc == 5 && std::strcmp(argv[1], "--role") == 0)
    Victim(std::atoi(argv[3])).live(std::atoi(argv[4]));
  char directory[] = "/tmp/killed_process_test.XXXXXX"; // a machine of its own: nobody else is in its tables
  if (!mkdtemp(directory))
    return 1;
  setenv("CUDA_SHIM_EMU_DIR", directory, 1);
  ::testing::InitGoogleTest(&argc, argv);
  const int result = RUN_ALL_TESTS();
  std::filesystem::remove_all(directory);
  return result;
}
