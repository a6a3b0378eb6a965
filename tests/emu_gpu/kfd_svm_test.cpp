// The program's own memory as SVM has it, seen by the GPU: what kernels and copies read and write there, and
// where they meet a page fault, on a kernel that has SVM.
//
// A page fault ends a process's queues for good, so each that shall happen is in a process of its own.
#include "kernels.hpp"
#include "kfd_aql.hpp"
#include "kfd_roles.hpp"
#include "kfd_svm_test_device.hpp"

#include <atomic>
#include <numeric>

using namespace kfd_test;

namespace {

// Some words for a kernel to read, and a queue to run it on.
class KfdSvm : public KfdAql {
protected:
  void SetUp() override {
    KfdAql::SetUp();
    fault_event_ = make_event(EVENT_MEMORY);
    queue_ = make_queue();
    arguments_ = make(ALLOC_MEM_FLAGS_GTT, page);
    words_ = make(ALLOC_MEM_FLAGS_GTT, page);
    copy_ = make_kernel(kernels::copy_plus_one);
    std::iota(of(words_.cpu), of(words_.cpu) + page / 4, 100);
  }
  void TearDown() override {
    destroy(queue_);
    for (const Memory& memory : {arguments_, words_, copy_})
      release(memory);
    KfdAql::TearDown();
  }

  static u32* of(void* memory) { return static_cast<u32*>(memory); }
  long set(const void* begin, u64 size, Attributes attributes) {
    return set_svm(kfd_, begin, size, std::move(attributes));
  }
  char* shared(u64 size, u32 type = SVM_ATTR_ACCESS) {
    char* memory = anonymous(size);
    EXPECT_EQ(set(memory, size, {{type, gpu_}}), 0);
    return memory;
  }

  void start(const void* from, void* to, u32 count = 16) {
    const u64 pointers[] = {reinterpret_cast<u64>(from), reinterpret_cast<u64>(to)};
    std::memcpy(arguments_.cpu, pointers, sizeof pointers);
    dispatch(queue_, copy_, count, arguments_.va);
  }
  // The GPU stores into `to` and reads it again.
  void expect_reached(void* to) {
    std::memset(to, 0, 64);
    start(words_.cpu, to);
    EXPECT_TRUE(eventually([&] { return queue_.read_index() == queue_.next; }));
    u32 seen[16]; // `to` need not be aligned
    std::memcpy(seen, to, sizeof seen);
    for (u32 i = 0; i < 16; ++i)
      EXPECT_EQ(seen[i], 101 + i);
    start(to, static_cast<char*>(words_.cpu) + page / 2);
    EXPECT_TRUE(eventually([&] { return queue_.read_index() == queue_.next; }));
    for (u32 i = 0; i < 16; ++i)
      EXPECT_EQ(of(words_.cpu)[page / 8 + i], 102 + i);
  }
  void expect_fault(const void* at, bool present = false) {
    const kfd_hsa_memory_exception_data data = wait(fault_event_).memory_exception_data;
    EXPECT_EQ(data.va, reinterpret_cast<u64>(at) & ~(page - 1));
    EXPECT_EQ(data.failure.NotPresent, present ? 0u : 1u);
  }
  void expect_store_faults(void* to, bool present = false) {
    start(words_.cpu, to, 1);
    expect_fault(to, present);
  }
  void expect_load_faults(const void* from) {
    start(from, words_.cpu, 1);
    expect_fault(from);
  }
  bool fault_is_pending() {
    kfd_event_data data{};
    data.event_id = fault_event_;
    kfd_ioctl_wait_events_args args{reinterpret_cast<u64>(&data), 1, 0, 0, 0};
    return call(kfd_, ioc::WAIT_EVENTS, args) == 0 && args.wait_result == WAIT_RESULT_COMPLETE;
  }

  u32 fault_event_ = 0;
  Queue queue_;
  Memory arguments_, words_, copy_;
};

TEST_F(KfdSvm, memory_with_access_is_reached_by_kernels) {
  for (const u32 type : {SVM_ATTR_ACCESS, SVM_ATTR_ACCESS_IN_PLACE}) {
    char* memory = shared(4 * page, type);
    for (const int at : {0, 3})
      expect_reached(memory + at * page);
    munmap(memory, 4 * page);
  }
}

TEST_F(KfdSvm, parts_of_a_range_are_ranges_of_their_own) {
  char* memory = shared(5 * page);
  EXPECT_EQ(set(memory + 2 * page, page, {{SVM_ATTR_ACCESS_IN_PLACE, gpu_}, {SVM_ATTR_GRANULARITY, 2}}), 0);
  for (int at = 0; at < 5; ++at)
    expect_reached(memory + at * page);
  munmap(memory + page, page);
  for (const int at : {0, 2, 3, 4})
    expect_reached(memory + at * page);
  munmap(memory, 5 * page);
  EXPECT_FALSE(fault_is_pending());
}

// A store that crosses from one range into the next.
TEST_F(KfdSvm, neighbouring_ranges_are_one_memory) {
  char* memory = anonymous(2 * page);
  EXPECT_EQ(set(memory, page, {{SVM_ATTR_ACCESS, gpu_}}), 0);
  EXPECT_EQ(set(memory + page, page, {{SVM_ATTR_ACCESS_IN_PLACE, gpu_}}), 0);
  expect_reached(memory + page - 24);
  expect_reached(memory + page - 2);
  munmap(memory, 2 * page);
}

TEST_F(KfdSvm, prefetched_memory_is_reached) {
  char* memory = anonymous(page);
  EXPECT_EQ(set(memory, page, {{SVM_ATTR_ACCESS, gpu_}, {SVM_ATTR_PREFETCH_LOC, gpu_}}), 0);
  expect_reached(memory);
  EXPECT_EQ(set(memory, page, {{SVM_ATTR_PREFETCH_LOC, SVM_LOCATION_SYSMEM}}), 0);
  expect_reached(memory);
  munmap(memory, page);
}

TEST_F(KfdSvm, file_memory_is_reached) {
  const int file = memfd_create("words", MFD_CLOEXEC);
  ASSERT_EQ(ftruncate(file, 2 * page), 0);
  void* memory = mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  EXPECT_EQ(set(memory, 2 * page, {{SVM_ATTR_ACCESS, gpu_}}), 0);
  expect_reached(memory);
  munmap(memory, 2 * page);
  close(file);
}

// Page tables say what was written into them last.
TEST_F(KfdSvm, a_buffer_that_is_mapped_at_its_address_comes_before_it) {
  char* memory = anonymous(page);
  auto args = allocation(ALLOC_MEM_FLAGS_GTT | ordinary, page);
  args.va_addr = reinterpret_cast<u64>(memory);
  ASSERT_EQ(call(kfd_, ioc::ALLOC_MEMORY_OF_GPU, args), 0);
  EXPECT_EQ(set(memory, page, {{SVM_ATTR_ACCESS, gpu_}}), 0);
  of(memory)[0] = 5;
  ASSERT_EQ(map(args.handle), 0);
  void* buffer =
      mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED, render_, static_cast<off_t>(args.mmap_offset));
  of(buffer)[0] = 500;
  start(memory, static_cast<char*>(words_.cpu) + page / 2, 1);
  EXPECT_TRUE(eventually([&] { return queue_.read_index() == queue_.next; }));
  EXPECT_EQ(of(words_.cpu)[page / 8], 501u);
  EXPECT_EQ(set(memory, page, {{SVM_ATTR_ACCESS, gpu_}}), -EADDRINUSE);
  EXPECT_EQ(unmap(args.handle), 0);
  EXPECT_EQ(free(args.handle), 0);
  EXPECT_EQ(set(memory, page, {{SVM_ATTR_ACCESS_IN_PLACE, gpu_}}), 0);
  expect_reached(memory);
  munmap(buffer, page);
  munmap(memory, page);
}

// The kernel says nothing of it, and neither are its pages taken away.
TEST_F(KfdSvm, memory_that_loses_access_stays_reachable_until_it_changes) {
  char* memory = shared(page);
  EXPECT_EQ(set(memory, page, {{SVM_ATTR_NO_ACCESS, gpu_}}), 0);
  expect_reached(memory);
  munmap(memory, page);
}

TEST_F(KfdSvm, protections_that_come_back_are_followed) {
  char* memory = shared(3 * page);
  for (const int protection : {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE}) {
    mprotect(memory + page, page, protection);
    expect_reached(memory);
    expect_reached(memory + 2 * page);
  }
  expect_reached(memory + page);
  munmap(memory, 3 * page);
}

// While the program protects and unprotects, a kernel that reads never notices.
TEST_F(KfdSvm, a_running_kernel_outlives_changes_of_protection) {
  char* memory = shared(2 * page);
  *reinterpret_cast<std::uint64_t*>(arguments_.cpu) = reinterpret_cast<u64>(memory);
  dispatch(queue_, make_kernel(kernels::spin_until_flag), 1, arguments_.va);
  for (int i = 0; i < 500; ++i) {
    mprotect(memory, page, PROT_READ);
    mprotect(memory, 2 * page, PROT_READ | PROT_WRITE);
  }
  __atomic_store_n(of(memory), 1, __ATOMIC_RELEASE);
  EXPECT_TRUE(eventually([&] { return queue_.read_index() == queue_.next; }));
  EXPECT_FALSE(fault_is_pending());
  munmap(memory, 2 * page);
}

TEST_F(KfdSvm, a_child_takes_nothing_away) {
  char* memory = shared(page);
  const pid_t child = fork();
  if (child == 0) {
    munmap(memory, page);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  expect_reached(memory);
  munmap(memory, page);
}

TEST_F(KfdSvm, sdma_copies_between_it_and_buffers) {
  Queue sdma;
  sdma.ring = make(ALLOC_MEM_FLAGS_GTT, ring_size);
  sdma.pointers = make(ALLOC_MEM_FLAGS_GTT, page);
  std::memset(sdma.pointers.cpu, 0, page);
  kfd_ioctl_create_queue_args args{};
  args.gpu_id = gpu_;
  args.queue_type = QUEUE_TYPE_SDMA;
  args.ring_base_address = sdma.ring.va;
  args.ring_size = ring_size;
  args.write_pointer_address = sdma.pointers.va;
  args.read_pointer_address = sdma.pointers.va + 8;
  args.queue_percentage = 100;
  ASSERT_EQ(call(kfd_, ioc::CREATE_QUEUE, args), 0);
  void* doorbells = mmap(nullptr, doorbell_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, kfd_,
                         static_cast<off_t>(args.doorbell_offset & ~(doorbell_bytes - 1)));
  ASSERT_NE(doorbells, MAP_FAILED);

  constexpr u32 bytes = 3 * page;
  char* from = shared(bytes);
  char* to = shared(bytes + page);
  for (u32 i = 0; i < bytes; ++i)
    from[i] = static_cast<char>(i * 7);
  u32* signal = of(shared(page));
  const auto low = [](const void* address) { return static_cast<u32>(reinterpret_cast<u64>(address)); };
  const auto high = [](const void* address) {
    return static_cast<u32>(reinterpret_cast<u64>(address) >> 32);
  };
  const u32 packets[] = {1,
                         bytes - 1,
                         0,
                         low(from),
                         high(from),
                         low(to + 8),
                         high(to + 8), // linear copy
                         5,
                         low(signal),
                         high(signal),
                         77}; // fence
  std::memcpy(sdma.ring.cpu, packets, sizeof packets);
  __atomic_store_n(static_cast<u64*>(sdma.pointers.cpu), sizeof packets, __ATOMIC_RELEASE);
  __atomic_store_n(
      reinterpret_cast<u64*>(static_cast<char*>(doorbells) + (args.doorbell_offset & (doorbell_bytes - 1))),
      sizeof packets, __ATOMIC_RELEASE);
  EXPECT_TRUE(eventually([&] { return __atomic_load_n(signal, __ATOMIC_ACQUIRE) == 77; }));
  EXPECT_EQ(std::memcmp(to + 8, from, bytes), 0);
  kfd_ioctl_destroy_queue_args end{args.queue_id, 0};
  EXPECT_EQ(call(kfd_, ioc::DESTROY_QUEUE, end), 0);
  munmap(doorbells, doorbell_bytes);
  release(sdma.ring);
  release(sdma.pointers);
  munmap(from, bytes);
  munmap(to, bytes + page);
  munmap(signal, page);
}

TEST_F(KfdSvm, xnack_waits_for_the_queues_to_go) {
  for (const std::int32_t enabled : {0, 1}) {
    kfd_ioctl_set_xnack_mode_args args{enabled};
    EXPECT_EQ(call(kfd_, ioc::SET_XNACK_MODE, args), -EBUSY);
  }
}

// A queue's context area may be memory that is always mapped.
TEST_F(KfdSvm, a_context_area_may_be_shared_memory) {
  const u64 size = queue_.context.size;
  char* memory = anonymous(size);
  auto args = queue_.args;
  args.ctx_save_restore_address = reinterpret_cast<u64>(memory);
  const auto create = [&] {
    auto copy = args;
    const long error = call(kfd_, ioc::CREATE_QUEUE, copy);
    if (error == 0) {
      kfd_ioctl_destroy_queue_args end{copy.queue_id, 0};
      EXPECT_EQ(call(kfd_, ioc::DESTROY_QUEUE, end), 0);
    }
    return error;
  };
  EXPECT_EQ(create(), -EINVAL) << "no range";
  EXPECT_EQ(set(memory, size, {{SVM_ATTR_SET_FLAGS, SVM_FLAG_GPU_ALWAYS_MAPPED}}), 0);
  EXPECT_EQ(create(), -EINVAL) << "no access";
  EXPECT_EQ(set(memory, size, {{SVM_ATTR_ACCESS, gpu_}}), 0);
  EXPECT_EQ(create(), 0);
  EXPECT_EQ(set(memory + page, page, {{SVM_ATTR_CLR_FLAGS, SVM_FLAG_GPU_ALWAYS_MAPPED}}), 0);
  EXPECT_EQ(create(), -EINVAL) << "not always mapped";
  EXPECT_EQ(set(memory, size, {{SVM_ATTR_SET_FLAGS, SVM_FLAG_GPU_ALWAYS_MAPPED}}), 0);
  EXPECT_EQ(create(), 0) << "several ranges";
  munmap(memory, page);
  EXPECT_EQ(create(), -EINVAL) << "not all of it";
  munmap(memory, size);
}

// --- page faults

class Faults : public KfdSvm {
public:
  Faults() { SetUp(); }
  void TestBody() override {}

  void memory_in_no_range() { expect_store_faults(anonymous(page)); }
  void no_access() {
    char* memory = anonymous(page);
    EXPECT_EQ(set(memory, page, {{SVM_ATTR_PREFERRED_LOC, gpu_}}), 0);
    expect_load_faults(memory);
  }
  void behind_the_range() {
    char* memory = anonymous(2 * page);
    EXPECT_EQ(set(memory, page, {{SVM_ATTR_ACCESS, gpu_}}), 0);
    start(words_.cpu, memory + page - 4, 1);
    EXPECT_TRUE(eventually([&] { return queue_.read_index() == queue_.next; }));
    EXPECT_EQ(of(memory + page)[-1], 101u);
    start(words_.cpu, memory + page - 4, 2); // either word's workgroup may come first
    expect_fault(memory + page);
  }
  void unmapped() {
    char* memory = shared(2 * page);
    expect_reached(memory);
    munmap(memory, page);
    expect_reached(memory + page);
    EXPECT_FALSE(fault_is_pending());
    expect_load_faults(memory);
  }
  void mapped_over() {
    char* memory = shared(page);
    mmap(memory, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    expect_store_faults(memory);
  }
  void lost_access_and_changed() {
    char* memory = shared(page);
    EXPECT_EQ(set(memory, page, {{SVM_ATTR_NO_ACCESS, gpu_}}), 0);
    mprotect(memory, page, PROT_NONE);
    mprotect(memory, page, PROT_READ | PROT_WRITE);
    expect_store_faults(memory);
  }
  void read_only_memory() {
    char* memory = anonymous(page, PROT_READ);
    EXPECT_EQ(set(memory, page, {{SVM_ATTR_ACCESS, gpu_}}), 0);
    start(memory, words_.cpu, 1);
    EXPECT_TRUE(eventually([&] { return queue_.read_index() == queue_.next; }));
    EXPECT_EQ(of(words_.cpu)[0], 1u);
    expect_store_faults(memory, true);
  }
  void protected_later() {
    char* memory = shared(page);
    expect_reached(memory);
    mprotect(memory, page, PROT_READ);
    expect_store_faults(memory, true);
  }
  void protected_from_reading() {
    char* memory = shared(2 * page);
    mprotect(memory, page, PROT_NONE);
    expect_reached(memory + page);
    expect_load_faults(memory);
  }
  // What was not readable when it got access is not mapped when it becomes so.
  void unreadable_at_first() {
    char* memory = anonymous(page, PROT_NONE);
    EXPECT_EQ(set(memory, page, {{SVM_ATTR_ACCESS, gpu_}}), 0);
    mprotect(memory, page, PROT_READ | PROT_WRITE);
    expect_load_faults(memory);
  }
  // Nor is a range whose end was not.
  void unreadable_end() {
    char* memory = anonymous(2 * page);
    mprotect(memory + page, page, PROT_NONE);
    EXPECT_EQ(set(memory, 2 * page, {{SVM_ATTR_ACCESS, gpu_}}), 0);
    mprotect(memory + page, page, PROT_READ | PROT_WRITE);
    expect_reached(memory);
    expect_load_faults(memory + page);
  }
  void flag_read_only() {
    char* memory = shared(page);
    EXPECT_EQ(set(memory, page, {{SVM_ATTR_SET_FLAGS, SVM_FLAG_GPU_RO}}), 0);
    EXPECT_EQ(set(memory, page, {{SVM_ATTR_CLR_FLAGS, SVM_FLAG_GPU_RO}}), 0);
    expect_reached(memory);
    EXPECT_EQ(set(memory, page, {{SVM_ATTR_SET_FLAGS, SVM_FLAG_GPU_RO}}), 0);
    expect_store_faults(memory, true);
  }
  void code(bool executable) {
    Memory code;
    code.cpu = shared(page);
    code.va = reinterpret_cast<u64>(code.cpu);
    std::memcpy(code.cpu, copy_.cpu, page);
    EXPECT_EQ(set(code.cpu, page, {{SVM_ATTR_SET_FLAGS, executable ? u32{SVM_FLAG_GPU_EXEC} : 0}}), 0);
    char* target = shared(page);
    const u64 pointers[] = {words_.va, reinterpret_cast<u64>(target)};
    std::memcpy(arguments_.cpu, pointers, sizeof pointers);
    dispatch(queue_, code, 1, arguments_.va);
    if (!executable)
      return expect_fault(code.cpu, true);
    EXPECT_TRUE(eventually([&] { return queue_.read_index() == queue_.next; }));
    EXPECT_EQ(of(target)[0], 101u);
  }
  // A large block that free() unmaps in the C library, where nobody sees it.
  void freed() {
    constexpr u64 size = 1 << 20;
    auto block = reinterpret_cast<u64>(std::malloc(size));
    char* memory = reinterpret_cast<char*>((block + page - 1) & ~(page - 1));
    EXPECT_EQ(set(memory, 16 * page, {{SVM_ATTR_ACCESS, gpu_}}), 0);
    expect_reached(memory + 8 * page);
    std::free(reinterpret_cast<void*>(block));
    expect_load_faults(memory + 8 * page);
    Attributes none;
    EXPECT_EQ(svm(kfd_, SVM_OP_GET_ATTR, reinterpret_cast<u64>(memory), page, none), -EFAULT);
  }
  // Kernels that are at it while their memory goes.
  void unmapped_in_the_middle() {
    char* memory = shared(64 * page);
    for (int i = 0; i < 16; ++i)
      start(memory, memory + 32 * page, 32 * page / 4);
    usleep(2000);
    munmap(memory + 16 * page, 32 * page);
    wait(fault_event_);
  }
  void context_area_goes() {
    const u64 size = queue_.context.size;
    char* memory = anonymous(size);
    EXPECT_EQ(set(memory, size,
                  {{SVM_ATTR_SET_FLAGS, SVM_FLAG_GPU_ALWAYS_MAPPED}, {SVM_ATTR_ACCESS_IN_PLACE, gpu_}}),
              0);
    auto args = queue_.args;
    args.ctx_save_restore_address = reinterpret_cast<u64>(memory);
    EXPECT_EQ(call(kfd_, ioc::CREATE_QUEUE, args), 0);
    munmap(memory, size);
    usleep(100'000);
    barrier(queue_);
    usleep(50'000);
    EXPECT_EQ(queue_.read_index(), 0u) << "all queues of the process are off the hardware";
  }
};

template <auto what>
int role() {
  static auto* program = new Faults; // its queue does not end any more in the ordinary way
  (program->*what)();
  return 0;
}
int runs_code() {
  static auto* program = new Faults;
  program->code(true);
  return 0;
}
int runs_no_code() {
  static auto* program = new Faults;
  program->code(false);
  return 0;
}

constexpr Role roles[] = {{"memory_in_no_range", role<&Faults::memory_in_no_range>},
                          {"no_access", role<&Faults::no_access>},
                          {"behind_the_range", role<&Faults::behind_the_range>},
                          {"unmapped", role<&Faults::unmapped>},
                          {"mapped_over", role<&Faults::mapped_over>},
                          {"read_only_memory", role<&Faults::read_only_memory>},
                          {"protected_later", role<&Faults::protected_later>},
                          {"protected_from_reading", role<&Faults::protected_from_reading>},
                          {"unreadable_at_first", role<&Faults::unreadable_at_first>},
                          {"unreadable_end", role<&Faults::unreadable_end>},
                          {"flag_read_only", role<&Faults::flag_read_only>},
                          {"lost_access_and_changed", role<&Faults::lost_access_and_changed>},
                          {"freed", role<&Faults::freed>},
                          {"unmapped_in_the_middle", role<&Faults::unmapped_in_the_middle>},
                          {"context_area_goes", role<&Faults::context_area_goes>},
                          {"runs_code", runs_code},
                          {"runs_no_code", runs_no_code}};

class KfdSvmFaults : public testing::TestWithParam<Role> {};

TEST_P(KfdSvmFaults, happen) {
  const Outcome outcome = run_role(GetParam().name);
  EXPECT_EQ(outcome.status, 0) << outcome.output;
  EXPECT_FALSE(outcome.timed_out);
}
INSTANTIATE_TEST_SUITE_P(Roles, KfdSvmFaults, testing::ValuesIn(roles),
                         [](const auto& role) { return std::string(role.param.name); });

} // namespace

int main(int argc, char** argv) {
  return roles_main(argc, argv, roles);
}
