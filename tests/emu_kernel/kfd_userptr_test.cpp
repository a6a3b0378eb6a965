// Memory that goes away below a USERPTR buffer: the GPU finds a page fault there, not what used to be or now
// is there.
//
// A page fault ends a process's queues for good, so each case is a process of its own.
#include "kfd_checks.hpp"
#include "kfd_roles.hpp"
#include "kfd_test_queue.hpp"

#include <cstdlib>
#include <malloc.h>

using namespace kfd_test;

namespace {

// Not a test: a process's device, with a queue that runs.
class Program : public QueueDevice {
public:
  Program() {
    SetUp();
    fault_event_ = create_event(EVENT_MEMORY);
    queue_ = start();
  }
  void TestBody() override {}
  using KfdDevice::map;
  using KfdDevice::unmap;

  // Registers memory; the GPU sees it at its own address.
  u64 watch(void* host, std::size_t size) {
    auto args = allocation(ALLOC_MEM_FLAGS_USERPTR | ordinary, size);
    args.va_addr = args.mmap_offset = as_u64(host);
    EXPECT_EQ(call(kfd_, ioc::ALLOC_MEMORY_OF_GPU, args), 0);
    EXPECT_EQ(map(args.handle), 0);
    return args.handle;
  }
  long unmap_and_free(u64 handle) {
    const long error = unmap(handle);
    return error ? error : free(handle);
  }

  // Has the GPU complete a signal there: 1 if it did.
  int gpu_writes(void* at) {
    auto* signal = ready_signal(at);
    submit(queue_, as_u64(signal));
    for (int i = 0; i < 5000; ++i) {
      if (__atomic_load_n(&signal->value, __ATOMIC_ACQUIRE) == 0)
        return 1;
      usleep(1000);
    }
    return -1;
  }
  static amd_signal_t* ready_signal(void* at) {
    auto* signal = static_cast<amd_signal_t*>(at);
    std::memset(signal, 0, sizeof *signal);
    signal->kind = AMD_SIGNAL_KIND_USER;
    signal->value = 1;
    return signal;
  }
  void expect_fault(void* at) {
    submit(queue_, as_u64(at));
    kfd_event_data data{};
    EXPECT_EQ(wait(fault_event_, 10'000, data), WAIT_RESULT_COMPLETE);
    EXPECT_EQ(data.memory_exception_data.va, as_u64(at) & ~(page - 1));
    EXPECT_EQ(data.memory_exception_data.gpu_id, gpu_);
    EXPECT_EQ(data.memory_exception_data.failure.NotPresent, 1u);
  }
  bool fault_is_pending() {
    kfd_event_data data{};
    return wait(fault_event_, 0, data) == WAIT_RESULT_COMPLETE;
  }

private:
  u32 fault_event_ = 0;
  Running queue_;
};

char* anonymous(std::size_t size, int protection = PROT_READ | PROT_WRITE) {
  return static_cast<char*>(mmap(nullptr, size, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

int unmapped() {
  Program program;
  char* memory = anonymous(4 * page);
  const u64 handle = program.watch(memory, 4 * page);
  EXPECT_EQ(program.gpu_writes(memory + page), 1);
  munmap(memory, 4 * page);
  EXPECT_FALSE(program.fault_is_pending()) << "nobody has touched it";
  program.expect_fault(memory + page);
  EXPECT_EQ(program.unmap_and_free(handle), 0) << "the buffer is still there to be freed";
  return 0;
}

// One page missing makes the whole buffer unusable: its pages are pinned together or not at all.
int partly_unmapped() {
  Program program;
  char* memory = anonymous(4 * page);
  program.watch(memory, 4 * page);
  munmap(memory + 3 * page, page);
  program.expect_fault(memory);
  return 0;
}

int protected_against_writing() {
  Program program;
  char* memory = anonymous(2 * page);
  program.watch(memory, 2 * page);
  mprotect(memory, page, PROT_READ);
  program.expect_fault(memory + page);
  return 0;
}

int moved() {
  Program program;
  char* memory = anonymous(page);
  program.watch(memory, page);
  EXPECT_NE(mremap(memory, page, 2 * page, MREMAP_MAYMOVE | MREMAP_FIXED, anonymous(2 * page)), MAP_FAILED);
  program.expect_fault(memory);
  return 0;
}

// New memory in the place of the old is the buffer's memory from then on.
int mapped_over() {
  Program program;
  char* memory = anonymous(2 * page);
  const u64 handle = program.watch(memory, 2 * page);
  EXPECT_EQ(program.gpu_writes(memory), 1);
  EXPECT_EQ(mmap(memory, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
            memory);
  EXPECT_EQ(program.gpu_writes(memory + page), 1);
  munmap(memory, 2 * page);
  EXPECT_EQ(mmap(memory, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
            memory)
      << "gone for a while";
  EXPECT_EQ(program.gpu_writes(memory), 1);
  mprotect(memory, page, PROT_NONE);
  mprotect(memory, page, PROT_READ | PROT_WRITE);
  EXPECT_EQ(program.gpu_writes(memory), 1);
  EXPECT_EQ(program.unmap_and_free(handle), 0);
  return program.fault_is_pending() ? 1 : 0;
}

// Mapped for the GPU when its memory is gone already: accepted, and of no use.
int mapped_late() {
  Program program;
  char* memory = anonymous(page);
  const u64 handle = program.watch(memory, page);
  EXPECT_EQ(program.unmap(handle), 0);
  munmap(memory, page);
  EXPECT_EQ(program.map(handle), 0);
  program.expect_fault(memory);
  return 0;
}

// The C library unmaps a large block by itself.
int freed() {
  mallopt(M_MMAP_THRESHOLD, 1 << 16);
  Program program;
  constexpr std::size_t size = 1 << 20;
  char* block = static_cast<char*>(std::aligned_alloc(page, size));
  char* inside = reinterpret_cast<char*>((as_u64(block) + 4 * page) & ~(page - 1));
  program.watch(inside, 16 * page);
  EXPECT_EQ(program.gpu_writes(inside), 1);
  std::free(block);
  program.expect_fault(inside + page);
  return 0;
}

// A file below it is made shorter, which any process may do. The program's own access is no page of zeros.
int truncated() {
  Program program;
  const int file = memfd_create("shared", MFD_CLOEXEC);
  EXPECT_EQ(ftruncate(file, 4 * page), 0);
  char* memory = static_cast<char*>(mmap(nullptr, 4 * page, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
  const u64 handle = program.watch(memory, 4 * page);
  EXPECT_EQ(program.gpu_writes(memory + 3 * page), 1);
  EXPECT_EQ(ftruncate(file, page), 0);
  EXPECT_FALSE(program.fault_is_pending()) << "nobody has touched it";
  program.expect_fault(memory + 3 * page);
  EXPECT_EQ(program.unmap_and_free(handle), 0);
  const pid_t child = fork();
  if (child == 0) {
    *static_cast<volatile char*>(memory + 3 * page) = 1;
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS) << status;
  return 0;
}

// What the program does to its own memory is still its own crash.
int program_crashes() {
  Program program;
  char* memory = anonymous(page);
  program.watch(memory, page);
  munmap(memory, page);
  *static_cast<volatile char*>(memory) = 1;
  return 0;
}

// A child's mappings are its own.
int child_unmaps() {
  Program program;
  char* memory = anonymous(page);
  program.watch(memory, page);
  const pid_t child = fork();
  if (child == 0) {
    munmap(memory, page);
    _exit(anonymous(page) == MAP_FAILED);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(program.gpu_writes(memory), 1);
  return WEXITSTATUS(status);
}

class Userptr : public testing::TestWithParam<const char*> {};

TEST_P(Userptr, memory) {
  const Outcome outcome = run_role(GetParam());
  EXPECT_EQ(outcome.status, 0) << outcome.output;
  EXPECT_FALSE(outcome.timed_out);
}

INSTANTIATE_TEST_SUITE_P(Goes, Userptr,
                         testing::Values("unmapped", "partly_unmapped", "protected_against_writing", "moved",
                                         "mapped_over", "mapped_late", "freed", "truncated", "child_unmaps"),
                         [](const auto& role) { return std::string(role.param); });

TEST(UserptrProgram, crashes_where_it_would) {
  const Outcome outcome = run_role("program_crashes");
  EXPECT_EQ(outcome.status, -SIGSEGV) << outcome.output;
}

} // namespace

int main(int argc, char** argv) {
  return roles_main(argc, argv,
                    {{"unmapped", unmapped},
                     {"partly_unmapped", partly_unmapped},
                     {"protected_against_writing", protected_against_writing},
                     {"moved", moved},
                     {"mapped_over", mapped_over},
                     {"mapped_late", mapped_late},
                     {"freed", freed},
                     {"truncated", truncated},
                     {"program_crashes", program_crashes},
                     {"child_unmaps", child_unmaps}});
}
