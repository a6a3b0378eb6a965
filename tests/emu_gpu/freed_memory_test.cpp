// Memory that a program frees while engines are at it: whenever that happens, what they do ends well or in a
// page fault, and never in the program's end.
//
// A page fault ends a process's queues for good, so there are many processes.
#include "drm_gpu.hpp"
#include "kernels.hpp"
#include "kfd_aql.hpp"

#include <algorithm>
#include <atomic>
#include <functional>
#include <random>
#include <sys/wait.h>

using namespace kfd_test;

namespace {

constexpr std::uint64_t copied = 1 << 20; // bytes, of which a copy takes long enough to be met
constexpr u32 low(u64 value) {
  return static_cast<u32>(value);
}
constexpr u32 high(u64 value) {
  return static_cast<u32>(value >> 32);
}

std::vector<u32> sdma_copy(u64 to, u64 from) {
  return {1, copied - 1, 0, low(from), high(from), low(to), high(to)};
}
std::vector<u32> sdma_fence(u64 to, u32 value) {
  return {5, low(to), high(to), value};
}

// What all processes of a test have come to.
struct Ends {
  std::atomic<unsigned> well, faults;
};
Ends& shared_ends() {
  static auto* ends = static_cast<Ends*>(
      mmap(nullptr, sizeof(Ends), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  return *ends;
}

class Chance {
public:
  explicit Chance(unsigned seed) : random_(seed) {}
  unsigned below(unsigned limit) { return static_cast<unsigned>(random_() % limit); }
  void pause(unsigned most_microseconds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(below(most_microseconds));
    while (std::chrono::steady_clock::now() < end) {
    }
  }

private:
  std::mt19937 random_;
};

// Not a test: a process's device.
class Program : public KfdAql {
public:
  explicit Program(unsigned seed) : chance(seed) {
    SetUp();
    fault_event_ = make_event(EVENT_MEMORY);
    flags = make(ALLOC_MEM_FLAGS_GTT, page);
  }
  void TestBody() override {}

  // Registers memory; the GPU sees it at its own address.
  u64 register_memory(void* host, std::size_t size) {
    auto args = allocation(ALLOC_MEM_FLAGS_USERPTR | ordinary, size);
    args.va_addr = args.mmap_offset = reinterpret_cast<u64>(host);
    EXPECT_EQ(call(kfd_, ioc::ALLOC_MEMORY_OF_GPU, args), 0);
    EXPECT_EQ(map(args.handle), 0);
    return args.handle;
  }
  bool faulted(u32 milliseconds) {
    kfd_event_data data{};
    data.event_id = fault_event_;
    kfd_ioctl_wait_events_args args{reinterpret_cast<u64>(&data), 1, 0, milliseconds, 0};
    EXPECT_EQ(call(kfd_, ioc::WAIT_EVENTS, args), 0);
    return args.wait_result == WAIT_RESULT_COMPLETE;
  }
  // Waits until the GPU has done something, or met a page fault. False: the latter.
  bool ended_well(const std::function<bool()>& done) {
    bool fault = false;
    EXPECT_TRUE(eventually([&] { return done() || (fault = faulted(1)); }));
    ++(fault ? shared_ends().faults : shared_ends().well);
    return !fault;
  }
  u32 flag(u32 index) const {
    return __atomic_load_n(static_cast<u32*>(flags.cpu) + index, __ATOMIC_ACQUIRE);
  }
  u64 flag_address(u32 index) const { return flags.va + index * sizeof(u32); }

  struct SdmaQueue {
    Memory ring, pointers;
    u64* doorbell = nullptr;
    u64 end = 0; // bytes
  };
  SdmaQueue make_sdma_queue() {
    SdmaQueue queue;
    queue.ring = make(ALLOC_MEM_FLAGS_GTT, page);
    queue.pointers = make(ALLOC_MEM_FLAGS_GTT, page);
    std::memset(queue.pointers.cpu, 0, page);
    kfd_ioctl_create_queue_args args{};
    args.ring_base_address = queue.ring.va;
    args.ring_size = page;
    args.write_pointer_address = queue.pointers.va + 8;
    args.read_pointer_address = queue.pointers.va;
    args.gpu_id = gpu_;
    args.queue_type = QUEUE_TYPE_SDMA;
    args.queue_percentage = 100;
    args.queue_priority = 7;
    EXPECT_EQ(call(kfd_, ioc::CREATE_QUEUE, args), 0);
    void* doorbells = mmap(nullptr, doorbell_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, kfd_,
                           static_cast<off_t>(args.doorbell_offset & ~(doorbell_bytes - 1)));
    queue.doorbell =
        reinterpret_cast<u64*>(static_cast<char*>(doorbells) + (args.doorbell_offset & (doorbell_bytes - 1)));
    return queue;
  }
  // Copies, with flag 0 set to `number` before it and flag 1 behind.
  void submit_copy(SdmaQueue& queue, u64 to, u64 from, u32 number) {
    for (const auto& packet :
         {sdma_fence(flag_address(0), number), sdma_copy(to, from), sdma_fence(flag_address(1), number)})
      for (u32 word : packet) {
        static_cast<u32*>(queue.ring.cpu)[queue.end % page / 4] = word;
        queue.end += 4;
      }
    __atomic_store_n(static_cast<u64*>(queue.pointers.cpu) + 1, queue.end, __ATOMIC_RELEASE);
    __atomic_store_n(queue.doorbell, queue.end, __ATOMIC_RELEASE);
  }

  using KfdAql::Queue, KfdAql::Memory, KfdAql::make, KfdAql::release, KfdAql::map, KfdAql::unmap,
      KfdAql::free, KfdAql::make_queue, KfdAql::make_kernel, KfdAql::dispatch;
  Chance chance;
  Memory flags;

private:
  u32 fault_event_ = 0;
};

// Each of many processes runs `rounds`, which may end early.
void in_processes(unsigned count, const std::function<void(unsigned seed)>& rounds) {
  shared_ends().well = shared_ends().faults = 0;
  for (unsigned seed = 0; seed < count; ++seed) {
    std::fflush(nullptr);
    const pid_t child = fork();
    if (child == 0) {
      dup2(open("/dev/null", O_WRONLY), STDERR_FILENO); // thousands of faults
      rounds(seed);
      std::fflush(stdout);
      _exit(testing::Test::HasFailure() ? 1 : 0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status)) << "process " << seed << ": signal " << WTERMSIG(status);
    ASSERT_EQ(WEXITSTATUS(status), 0) << "process " << seed;
  }
  std::printf("%u ended well, %u page faults\n", shared_ends().well.load(), shared_ends().faults.load());
}

void expect_both_ends() {
  EXPECT_GT(shared_ends().well, 0u);
  EXPECT_GT(shared_ends().faults, 0u);
}

constexpr unsigned rounds_of_a_process = 40;

TEST(FreedMemory, under_an_sdma_copy) {
  in_processes(300, [](unsigned seed) {
    Program program(seed);
    auto queue = program.make_sdma_queue();
    for (u32 round = 1; round <= rounds_of_a_process; ++round) {
      const auto from = program.make(ALLOC_MEM_FLAGS_VRAM, copied);
      const auto to = program.make(ALLOC_MEM_FLAGS_GTT, copied);
      program.submit_copy(queue, to.va, from.va, round);
      ASSERT_TRUE(eventually([&] { return program.flag(0) == round; }));
      program.chance.pause(400);
      program.release(program.chance.below(2) ? from : to);
      if (!program.ended_well([&] { return program.flag(1) == round; }))
        return;
    }
  });
  expect_both_ends();
}

// What the program puts where its memory was is never written by the GPU.
TEST(FreedMemory, of_the_programs_own_under_an_sdma_copy) {
  in_processes(300, [](unsigned seed) {
    Program program(seed);
    auto queue = program.make_sdma_queue();
    const auto from = program.make(ALLOC_MEM_FLAGS_VRAM, copied);
    for (u32 round = 1; round <= rounds_of_a_process; ++round) {
      auto* to = static_cast<char*>(
          mmap(nullptr, copied, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
      const u64 handle = program.register_memory(to, copied);
      program.submit_copy(queue, reinterpret_cast<u64>(to), from.va, round);
      ASSERT_TRUE(eventually([&] { return program.flag(0) == round; }));
      program.chance.pause(400);
      const bool deregister_first = program.chance.below(2);
      if (deregister_first) {
        ASSERT_EQ(program.unmap(handle), 0);
        ASSERT_EQ(program.free(handle), 0);
      }
      ASSERT_EQ(munmap(to, copied), 0);
      void* other =
          mmap(to, copied, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
      ASSERT_EQ(other, to);
      std::memset(to, 0x5a, copied);
      const bool well = program.ended_well([&] { return program.flag(1) == round; });
      if (deregister_first) {
        ASSERT_EQ(std::count(to, to + copied, 0x5a), static_cast<std::ptrdiff_t>(copied));
      }
      if (!well)
        return;
      if (!deregister_first) {
        ASSERT_EQ(program.unmap(handle), 0);
        ASSERT_EQ(program.free(handle), 0);
      }
      munmap(to, copied);
    }
  });
  expect_both_ends();
}

TEST(FreedMemory, under_waves) {
  in_processes(500, [](unsigned seed) {
    Program program(seed);
    auto queue = program.make_queue();
    const auto kernel = program.make_kernel(kernels::spin_until_flag);
    const auto data = program.make(ALLOC_MEM_FLAGS_VRAM, page);
    const auto arguments = program.make(ALLOC_MEM_FLAGS_GTT, page);
    std::memcpy(arguments.cpu, &data.va, sizeof data.va);
    program.dispatch(queue, kernel, 1 + program.chance.below(64), arguments.va);
    program.chance.pause(2000);
    const bool free_data = program.chance.below(2);
    program.release(free_data ? data : kernel);
    if (!free_data) // code that runs may be in a cache, and goes on
      *static_cast<u32*>(data.cpu) = 1;
    program.ended_well([&] { return queue.read_index() == 1; });
  });
  EXPECT_GT(shared_ends().faults, 0u);
}

class DrmProgram {
public:
  explicit DrmProgram(unsigned seed) : chance(seed), commands_(gpu_, page) {}

  struct Buffer {
    Buffer(drm_test::Gpu& gpu, std::uint64_t bytes) : size(bytes) {
      amdgpu_bo_alloc_request request = {bytes, page, AMDGPU_GEM_DOMAIN_GTT, 0};
      EXPECT_EQ(amdgpu_bo_alloc(gpu.device(), &request, &bo), 0);
      EXPECT_EQ(
          amdgpu_va_range_alloc(gpu.device(), amdgpu_gpu_va_range_general, bytes, page, 0, &va, &range, 0),
          0);
      EXPECT_EQ(amdgpu_bo_va_op(bo, 0, bytes, va, 0, AMDGPU_VA_OP_MAP), 0);
    }
    std::uint64_t size = 0;
    std::uint64_t va = 0;
    amdgpu_bo_handle bo = nullptr;
    amdgpu_va_handle range = nullptr;
  };

  // One copy by a job. False: it met a page fault.
  void round(std::uint32_t ip, u32 number) {
    Buffer from(gpu_, copied), to(gpu_, copied), spare(gpu_, copied);
    amdgpu_context_handle context = nullptr;
    ASSERT_EQ(amdgpu_cs_ctx_create(gpu_.device(), &context), 0);
    amdgpu_cs_fence fence = {context, ip, 0, 0, submit_copy(context, ip, to.va, from.va, number)};
    ASSERT_TRUE(eventually([&] { return __atomic_load_n(gpu_.data() + 1, __ATOMIC_ACQUIRE) == number; }));
    chance.pause(400);
    Buffer& freed = chance.below(2) ? from : to;
    // Whatever is mapped over a buffer replaces it for the jobs that run; what is only unmapped outlives
    // them.
    if (chance.below(4) != 0) {
      EXPECT_EQ(amdgpu_bo_va_op_raw(gpu_.device(), spare.bo, 0, copied, freed.va, 0, AMDGPU_VA_OP_REPLACE),
                0);
    }
    if (chance.below(2)) {
      EXPECT_EQ(amdgpu_bo_va_op_raw(gpu_.device(), nullptr, 0, copied, freed.va, 0, AMDGPU_VA_OP_CLEAR), 0);
    }
    for (Buffer* buffer : {&freed, &spare})
      EXPECT_EQ(amdgpu_bo_free(buffer->bo), 0);
    std::uint32_t expired = 0;
    const int error = amdgpu_cs_query_fence_status(&fence, 20'000'000'000, 0, &expired);
    EXPECT_TRUE(error == -ECANCELED || (error == 0 && expired)) << error;
    ++(error ? shared_ends().faults : shared_ends().well);
    amdgpu_cs_ctx_free(context);
    EXPECT_EQ(amdgpu_bo_free(&freed == &from ? to.bo : from.bo), 0);
    for (Buffer* buffer : {&from, &to, &spare})
      EXPECT_EQ(amdgpu_va_range_free(buffer->range), 0);
  }

  Chance chance;

private:
  std::uint64_t submit_copy(amdgpu_context_handle context, std::uint32_t ip, u64 to, u64 from, u32 number) {
    const u64 flag = gpu_.data_address() + 4;
    std::vector<u32> words;
    const auto add = [&](const std::vector<u32>& packet) {
      words.insert(words.end(), packet.begin(), packet.end());
    };
    if (ip == AMDGPU_HW_IP_DMA) {
      add(sdma_fence(flag, number));
      add(sdma_copy(to, from));
    } else {
      add({0xc0033700, 5u << 8 | 1u << 20, low(flag), high(flag), number}); // WRITE_DATA
      add({0xc0055000, 3u << 29 | 3 << 20, low(from), high(from), low(to), high(to),
           u32{copied}}); // DMA_DATA
    }
    while (words.size() % 8 != 0)
      words.push_back(ip == AMDGPU_HW_IP_DMA ? 0 : 0xffff1000);
    void* cpu = nullptr;
    EXPECT_EQ(amdgpu_bo_cpu_map(commands_.bo, &cpu), 0);
    std::memcpy(cpu, words.data(), words.size() * sizeof(u32));
    EXPECT_EQ(amdgpu_bo_cpu_unmap(commands_.bo), 0);
    drm_amdgpu_cs_chunk_ib ib = {};
    ib.va_start = commands_.va;
    ib.ib_bytes = static_cast<u32>(words.size() * sizeof(u32));
    ib.ip_type = ip;
    drm_amdgpu_cs_chunk chunk = drm_test::Gpu::chunk(AMDGPU_CHUNK_ID_IB, &ib, 1);
    std::uint64_t sequence = 0;
    EXPECT_EQ(amdgpu_cs_submit_raw2(gpu_.device(), context, 0, 1, &chunk, &sequence), 0);
    return sequence;
  }

  drm_test::Gpu gpu_;
  Buffer commands_;
};

void under_jobs(std::uint32_t ip) {
  in_processes(10, [ip](unsigned seed) {
    DrmProgram program(seed);
    for (u32 number = 1; number <= 100 && !testing::Test::HasFatalFailure(); ++number)
      program.round(ip, number);
  });
  EXPECT_GT(shared_ends().well, 0u);
}

TEST(FreedMemory, under_a_job_of_the_dma_ring) {
  under_jobs(AMDGPU_HW_IP_DMA);
}
TEST(FreedMemory, under_a_job_of_the_compute_ring) {
  under_jobs(AMDGPU_HW_IP_COMPUTE);
}

} // namespace
