// What the environment does to the emulated machine: calls that fail, less VRAM, events that come late.
#include "kfd_checks.hpp"
#include "kfd_roles.hpp"
#include "kfd_test_queue.hpp"

#include <amdgpu_drm.h>
#include <drm.h>

#include <chrono>
#include <fstream>
#include <linux/dma-buf.h>

using namespace kfd_test;

namespace {

class Program : public QueueDevice {
public:
  Program() { KfdDevice::SetUp(); }
  void TestBody() override {}

  int kfd() const { return kfd_; }
  int render() {
    acquire();
    return render_;
  }
  u32 gpu() const { return gpu_; }

  long allocate(u32 kind, u64 size, u64* handle = nullptr) {
    auto args = allocation(kind | ordinary, size);
    const long error = call(kfd_, ioc::ALLOC_MEMORY_OF_GPU, args);
    if (handle)
      *handle = args.handle;
    return error;
  }
  long version() {
    kfd_ioctl_get_version_args args{};
    return call(kfd_, ioc::GET_VERSION, args);
  }
  u64 available() {
    kfd_ioctl_get_available_memory_args args{0, gpu_, 0};
    EXPECT_EQ(call(kfd_, ioc::AVAILABLE_MEMORY, args), 0);
    return args.available;
  }

  // Milliseconds from a barrier packet until its event arrives.
  long event_latency() {
    QueueDevice::SetUp();
    const Memory events = make(ALLOC_MEM_FLAGS_GTT, SIGNAL_EVENT_LIMIT * 8),
                 signals = make(ALLOC_MEM_FLAGS_GTT, page);
    kfd_ioctl_create_event_args event{};
    event.event_page_offset = events.handle;
    event.auto_reset = 1;
    EXPECT_EQ(call(kfd_, ioc::CREATE_EVENT, event), 0);
    auto* signal = static_cast<amd_signal_t*>(signals.cpu);
    signal->kind = AMD_SIGNAL_KIND_USER;
    signal->value = 1;
    signal->event_mailbox_ptr = events.va + event.event_slot_index * 8;
    signal->event_id = event.event_id;
    const Running queue = start();
    const auto before = std::chrono::steady_clock::now();
    submit(queue, signals.va);
    kfd_event_data data{};
    EXPECT_EQ(wait(event.event_id, 20'000, data), WAIT_RESULT_COMPLETE);
    const auto took = std::chrono::steady_clock::now() - before;
    stop(queue);
    return std::chrono::duration_cast<std::chrono::milliseconds>(took).count();
  }
  // The same from a wild access to its page fault.
  long fault_latency() {
    QueueDevice::SetUp();
    const u32 event = create_event(EVENT_MEMORY);
    const Running queue = start();
    const auto before = std::chrono::steady_clock::now();
    submit(queue, 0x6000'0000'1000);
    kfd_event_data data{};
    EXPECT_EQ(wait(event, 20'000, data), WAIT_RESULT_COMPLETE);
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - before)
        .count();
  }
};

// --- calls that fail

int third_allocation_fails() {
  Program program;
  program.render();
  for (int i = 1; i <= 4; ++i)
    EXPECT_EQ(program.allocate(ALLOC_MEM_FLAGS_GTT, page), i == 3 ? -ENOMEM : 0) << i;
  EXPECT_EQ(program.version(), 0) << "other calls are left alone";
  return 0;
}

int drm_calls_fail() {
  Program program;
  const int render = program.render();
  drm_syncobj_create create{};
  EXPECT_EQ(call(render, DRM_IOCTL_SYNCOBJ_CREATE, create), -EMFILE);
  EXPECT_EQ(call(render, DRM_IOCTL_SYNCOBJ_CREATE, create), 0);
  drm_amdgpu_gem_create gem{};
  gem.in.bo_size = page;
  gem.in.domains = AMDGPU_GEM_DOMAIN_GTT;
  EXPECT_EQ(call(render, DRM_IOCTL_AMDGPU_GEM_CREATE, gem), 0);
  gem = {};
  gem.in.bo_size = page;
  gem.in.domains = AMDGPU_GEM_DOMAIN_GTT;
  EXPECT_EQ(call(render, DRM_IOCTL_AMDGPU_GEM_CREATE, gem), -ENOSPC);
  return 0;
}

int buffers_and_fences_fail() {
  Program program;
  program.render();
  u64 handle = 0;
  EXPECT_EQ(program.allocate(ALLOC_MEM_FLAGS_GTT, page, &handle), 0);
  kfd_ioctl_export_dmabuf_args args{handle, O_CLOEXEC, 0};
  EXPECT_EQ(call(program.kfd(), ioc::EXPORT_DMABUF, args), 0);
  dma_buf_sync sync{DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW};
  EXPECT_EQ(call(static_cast<int>(args.dmabuf_fd), DMA_BUF_IOCTL_SYNC, sync), -EIO);
  EXPECT_EQ(call(static_cast<int>(args.dmabuf_fd), DMA_BUF_IOCTL_SYNC, sync), 0);
  return 0;
}

int mmap_fails_from_the_second_on() {
  Program program;
  const int render = program.render();
  auto args = kfd_ioctl_alloc_memory_of_gpu_args{};
  args.size = page;
  args.gpu_id = program.gpu();
  args.flags = ALLOC_MEM_FLAGS_GTT;
  EXPECT_EQ(call(program.kfd(), ioc::ALLOC_MEMORY_OF_GPU, args), 0);
  EXPECT_EQ(try_mmap(render, page, args.mmap_offset), 0);
  EXPECT_EQ(try_mmap(render, page, args.mmap_offset), -EAGAIN);
  EXPECT_EQ(try_mmap(render, page, args.mmap_offset), -EAGAIN);
  EXPECT_NE(mmap(nullptr, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), MAP_FAILED)
      << "not a device's";
  return 0;
}

int opening_fails() {
  EXPECT_EQ(open("/dev/kfd", O_RDWR), -1);
  EXPECT_EQ(errno, EACCES);
  const int second = open("/dev/kfd", O_RDWR);
  EXPECT_GE(second, 0);
  return 0;
}

int any_call_counts() {
  const int kfd = open("/dev/kfd", O_RDWR); // 1
  kfd_ioctl_get_version_args args{};
  EXPECT_EQ(call(kfd, ioc::GET_VERSION, args), 0);                        // 2
  EXPECT_EQ(try_mmap(kfd, page, KFD_MMAP_TYPE_EVENTS), -ENOTRECOVERABLE); // 3
  EXPECT_EQ(call(kfd, ioc::GET_VERSION, args), 0);                        // 4
  EXPECT_EQ(call(kfd, ioc::GET_VERSION, args), -ENOTRECOVERABLE);         // 5
  EXPECT_EQ(call(kfd, ioc::GET_VERSION, args), 0);
  return 0;
}

TEST(Injection, fails_the_call_that_it_names) {
  const struct {
    const char* role;
    const char* rules;
    const char* said;
  } cases[] = {
      {"third_allocation_fails", "AMDKFD_IOC_ALLOC_MEMORY_OF_GPU:3:ENOMEM",
       "kfd-emu: injected: AMDKFD_IOC_ALLOC_MEMORY_OF_GPU (call 3) fails with ENOMEM"},
      {"drm_calls_fail", "DRM_IOCTL_SYNCOBJ_CREATE:1:EMFILE,DRM_IOCTL_AMDGPU_GEM_CREATE:2:ENOSPC",
       "injected: DRM_IOCTL_AMDGPU_GEM_CREATE (call 2) fails with ENOSPC"},
      {"buffers_and_fences_fail", "DMA_BUF_IOCTL_SYNC:1:EIO",
       "injected: DMA_BUF_IOCTL_SYNC (call 1) fails with EIO"},
      {"mmap_fails_from_the_second_on", "mmap:2+:EAGAIN", "injected: mmap (call 3) fails with EAGAIN"},
      {"opening_fails", "open:1:EACCES", "injected: open (call 1) fails with EACCES"},
      {"any_call_counts", "*:3:ENOTRECOVERABLE,*:5:ENOTRECOVERABLE",
       "injected: mmap (call 3) fails with ENOTRECOVERABLE"},
  };
  for (const auto& one : cases) {
    const Outcome outcome = run_role(one.role, {std::string("CUDA_SHIM_EMU_FAIL=") + one.rules});
    EXPECT_EQ(outcome.status, 0) << one.role << '\n' << outcome.output;
    EXPECT_TRUE(outcome.said(one.said)) << outcome.output;
  }
}

TEST(Injection, refuses_rules_that_it_does_not_understand) {
  for (const char* rules :
       {"AMDKFD_IOC_NOTHING:1:ENOMEM", "mmap", "mmap:1", "mmap:0:ENOMEM", "mmap:one:ENOMEM", "mmap:-1:ENOMEM",
        "mmap:1:ENOTHING", "mmap:1:", "mmap:1:12", "mmap:1:ENOMEM,", ",", "mmap:1 :ENOMEM", "mmap:1++:ENOMEM",
        "mmap:1234567890:ENOMEM", "MMAP:1:ENOMEM"}) {
    const Outcome outcome = run_role("opening_fails", {std::string("CUDA_SHIM_EMU_FAIL=") + rules});
    EXPECT_EQ(outcome.status, 2) << rules;
    EXPECT_TRUE(outcome.said("kfd-emu: CUDA_SHIM_EMU_FAIL=")) << outcome.output;
  }
}

// --- less VRAM

constexpr u64 limit = 256 << 20;

int allocations_stop_at_the_limit() {
  Program program;
  const int render = program.render();
  const u64 free_before = program.available();
  EXPECT_LT(free_before, limit);
  EXPECT_GT(free_before, limit / 2);
  EXPECT_EQ(program.allocate(ALLOC_MEM_FLAGS_VRAM, limit), -ENOMEM);
  EXPECT_EQ(program.allocate(ALLOC_MEM_FLAGS_VRAM, free_before + page), -ENOMEM);
  EXPECT_EQ(program.allocate(ALLOC_MEM_FLAGS_VRAM, free_before - (64 << 20)), 0);
  EXPECT_EQ(program.available(), 64u << 20);
  EXPECT_EQ(program.allocate(ALLOC_MEM_FLAGS_VRAM, 65 << 20), -ENOMEM) << "what there is counts together";
  EXPECT_EQ(program.allocate(ALLOC_MEM_FLAGS_GTT, 65 << 20), 0) << "GTT is not VRAM";
  EXPECT_EQ(program.allocate(ALLOC_MEM_FLAGS_VRAM, 64 << 20), 0);
  EXPECT_EQ(program.available(), 0u);

  drm_amdgpu_memory_info info{};
  drm_amdgpu_info query{};
  query.return_pointer = as_u64(&info);
  query.return_size = sizeof info;
  query.query = AMDGPU_INFO_MEMORY;
  EXPECT_EQ(call(render, DRM_IOCTL_AMDGPU_INFO, query), 0);
  EXPECT_EQ(info.vram.total_heap_size, limit);
  EXPECT_LT(info.vram.usable_heap_size, limit);

  std::string word;
  u64 size = 0;
  std::ifstream bank("/sys/class/kfd/kfd/topology/nodes/1/mem_banks/0/properties");
  while (bank >> word >> size && word != "size_in_bytes") {
  }
  EXPECT_EQ(size, limit);
  std::ifstream("/sys/class/drm/renderD128/device/mem_info_vram_total") >> size;
  EXPECT_EQ(size, limit);
  return 0;
}

TEST(VideoMemory, is_as_much_as_the_environment_says) {
  for (const char* size : {"256M", "262144K", "268435456"}) {
    const Outcome outcome =
        run_role("allocations_stop_at_the_limit", {std::string("CUDA_SHIM_EMU_VRAM=") + size});
    EXPECT_EQ(outcome.status, 0) << size << '\n' << outcome.output;
  }
}

TEST(VideoMemory, refuses_sizes_that_make_no_sense) {
  for (const char* size :
       {"lots", "256m", "256MB", "-1", "0", "63M", "17G", "99999999999999999999", "268435457", "M", "1.5G"}) {
    const Outcome outcome = run_role("opening_fails", {std::string("CUDA_SHIM_EMU_VRAM=") + size});
    EXPECT_EQ(outcome.status, 2) << size;
    EXPECT_TRUE(outcome.said("kfd-emu: CUDA_SHIM_EMU_VRAM=")) << outcome.output;
  }
}

TEST(DebugMask, refuses_bits_that_are_not_known) {
  for (const char* mask : {"all", "0x1", "0x401", "-1", " 0x400", "0x400 ", "99999999999999999999"}) {
    const Outcome outcome = run_role("opening_fails", {std::string("CUDA_SHIM_EMU_DEBUG_MASK=") + mask});
    EXPECT_EQ(outcome.status, 2) << mask;
    EXPECT_TRUE(outcome.said("kfd-emu: CUDA_SHIM_EMU_DEBUG_MASK=")) << outcome.output;
  }
}

TEST(Svm, refuses_what_it_does_not_understand) {
  for (const char* value : {"0", "2", "yes", "1 ", "on"}) {
    const Outcome outcome = run_role("opening_fails", {std::string("CUDA_SHIM_EMU_SVM=") + value});
    EXPECT_EQ(outcome.status, 2) << value;
    EXPECT_TRUE(outcome.said("kfd-emu: CUDA_SHIM_EMU_SVM=")) << outcome.output;
  }
}

// --- events that come late

int prompt() {
  EXPECT_LT(Program().event_latency(), 200);
  return 0;
}
int late() {
  EXPECT_GE(Program().event_latency(), 250);
  return 0;
}
int late_fault() {
  EXPECT_GE(Program().fault_latency(), 250);
  return 0;
}

TEST(Events, arrive_late_where_they_shall) {
  EXPECT_EQ(run_role("prompt").status, 0);
  for (const char* role : {"late", "late_fault"}) {
    const Outcome outcome = run_role(role, {"CUDA_SHIM_EMU_EVENT_DELAY=250"});
    EXPECT_EQ(outcome.status, 0) << outcome.output;
  }
}

TEST(Events, refuse_delays_that_make_no_sense) {
  for (const char* delay : {"soon", "-1", "1s", "60001", "0x10", " 5"}) {
    const Outcome outcome = run_role("opening_fails", {std::string("CUDA_SHIM_EMU_EVENT_DELAY=") + delay});
    EXPECT_EQ(outcome.status, 2) << delay;
    EXPECT_TRUE(outcome.said("kfd-emu: CUDA_SHIM_EMU_EVENT_DELAY=")) << outcome.output;
  }
}

} // namespace

int main(int argc, char** argv) {
  return roles_main(argc, argv,
                    {{"third_allocation_fails", third_allocation_fails},
                     {"drm_calls_fail", drm_calls_fail},
                     {"buffers_and_fences_fail", buffers_and_fences_fail},
                     {"mmap_fails_from_the_second_on", mmap_fails_from_the_second_on},
                     {"opening_fails", opening_fails},
                     {"any_call_counts", any_call_counts},
                     {"allocations_stop_at_the_limit", allocations_stop_at_the_limit},
                     {"prompt", prompt},
                     {"late", late},
                     {"late_fault", late_fault}});
}
