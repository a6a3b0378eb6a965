// Every check of SVM, broken once, and what is answered about ranges, on a kernel that has it.
#include "kfd_checks.hpp"
#include "kfd_svm_test_device.hpp"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <sys/wait.h>

using namespace kfd_test;

namespace {

class SvmChecks : public KfdDevice {
protected:
  void SetUp() override {
    KfdDevice::SetUp();
    acquire();
  }
  long set(u64 begin, u64 size, Attributes attributes) {
    return svm(kfd_, SVM_OP_SET_ATTR, begin, size, attributes);
  }
  long set(const void* begin, u64 size, Attributes attributes) {
    return set(as_u64(begin), size, std::move(attributes));
  }
  long get(u64 begin, u64 size, Attributes attributes) {
    return svm(kfd_, SVM_OP_GET_ATTR, begin, size, attributes);
  }
  long get(const void* begin, u64 size, Attributes attributes) {
    return get(as_u64(begin), size, std::move(attributes));
  }
  // The answer to one question, or the type that an access turned into.
  u32 ask(const void* begin, u64 size, u32 type, u32 value = 0) {
    const kfd_ioctl_svm_attribute answer = get_svm(kfd_, begin, size, {{type, value}})[0];
    return type == SVM_ATTR_ACCESS ? answer.type : answer.value;
  }
  u32 access(const void* begin, u64 size = page) { return ask(begin, size, SVM_ATTR_ACCESS, gpu_); }
  long allocate(u32 flags, u64 size, u64 va, u64 host = 0) {
    auto args = allocation(flags | ordinary, size);
    args.va_addr = va;
    args.mmap_offset = host;
    const long error = call(kfd_, ioc::ALLOC_MEMORY_OF_GPU, args);
    if (error == 0)
      free(args.handle);
    return error;
  }

  const Attributes nothing;
};

// Before any VM is acquired: this test runs first.
TEST(SvmChecksFirst, attributes_are_set_with_a_vm_only) {
  const int kfd = open("/dev/kfd", O_RDWR | O_CLOEXEC);
  char* memory = anonymous(page);
  EXPECT_EQ(set_svm(kfd, memory, page, {{SVM_ATTR_GRANULARITY, 3}}), -EINVAL);
  EXPECT_EQ(set_svm(kfd, hole(), page, {{SVM_ATTR_GRANULARITY, 3}}), -EINVAL) << "comes before the memory";
  EXPECT_EQ(get_svm(kfd, memory, page, {{SVM_ATTR_GRANULARITY, 0}})[0].value, 9u) << "they can be asked for";
  munmap(memory, page);
  close(kfd);
}

TEST_F(SvmChecks, ranges) {
  char* memory = anonymous(8 * page);
  const u64 at = as_u64(memory);
  const Attributes wrong{{99, 0}};
  for (const u32 op : {SVM_OP_SET_ATTR, SVM_OP_GET_ATTR}) {
    const auto trying = [&](u64 begin, u64 size, Attributes attributes = {}) {
      return [=, this]() mutable { return svm(kfd_, op, begin, size, attributes); };
    };
    run({
        {"an address within a page", trying(at + 8, page), -EINVAL},
        {"a size that is no pages", trying(at, page + 1), -EINVAL},
        {"address 0", trying(0, page), -EINVAL},
        {"size 0", trying(at, 0), -EINVAL},
        {"a hole", trying(as_u64(hole()), page), -EFAULT},
        {"a hole behind memory", trying(as_u64(hole()) - page, 2 * page), -EFAULT},
        {"an address of the kernel's", trying(0xffff'8000'0000'0000, page), -EFAULT},
        {"beyond the last address", trying(~0ull - page + 1, page), -EOVERFLOW},
        {"an attribute that is none", trying(at, page, wrong), -EINVAL},
        {"nothing asked", trying(at, page), 0},
    });
  }
  run({{"an operation that is none",
        [&] {
          Attributes none;
          return svm(kfd_, SVM_OP_GET_ATTR + 1, at, page, none);
        },
        -EINVAL},
       {"attributes to be set come before the memory", [&] { return set(hole(), page, wrong); }, -EINVAL},
       {"the memory comes before attributes that are asked for", [&] { return get(hole(), page, wrong); },
        -EFAULT},
       {"an attribute that was not given",
        [&] {
          kfd_ioctl_svm_args args{at, page, SVM_OP_SET_ATTR, 1};
          return call(kfd_, ioc::SVM, args);
        },
        -EINVAL}});
  munmap(memory, 8 * page);
}

TEST_F(SvmChecks, attributes) {
  char* memory = anonymous(page);
  const u32 other = gpu_ + 1;
  const auto setting = [&](u32 type, u32 value) {
    return [=, this] { return set(memory, page, {{type, value}}); };
  };
  const auto asking = [&](u32 type, u32 value = 0) {
    return [=, this] { return get(memory, page, {{type, value}}); };
  };
  run({
      {"preferred location: unknown GPU", setting(SVM_ATTR_PREFERRED_LOC, other), -EINVAL},
      {"preferred location: the GPU", setting(SVM_ATTR_PREFERRED_LOC, gpu_), 0},
      {"preferred location: system memory", setting(SVM_ATTR_PREFERRED_LOC, SVM_LOCATION_SYSMEM), 0},
      {"preferred location: none", setting(SVM_ATTR_PREFERRED_LOC, SVM_LOCATION_UNDEFINED), 0},
      {"prefetch to an unknown GPU", setting(SVM_ATTR_PREFETCH_LOC, other), -EINVAL},
      {"prefetch to nowhere", setting(SVM_ATTR_PREFETCH_LOC, SVM_LOCATION_UNDEFINED), -EINVAL},
      {"prefetch to the GPU", setting(SVM_ATTR_PREFETCH_LOC, gpu_), 0},
      {"prefetch to system memory", setting(SVM_ATTR_PREFETCH_LOC, SVM_LOCATION_SYSMEM), 0},
      {"access of an unknown GPU", setting(SVM_ATTR_ACCESS, other), -EINVAL},
      {"access of the CPU", setting(SVM_ATTR_ACCESS, 0), -EINVAL},
      {"access in place of an unknown GPU", setting(SVM_ATTR_ACCESS_IN_PLACE, other), -EINVAL},
      {"no access of an unknown GPU", setting(SVM_ATTR_NO_ACCESS, other), -EINVAL},
      {"flags that nobody knows", setting(SVM_ATTR_SET_FLAGS, ~0u), 0},
      {"flags that nobody knows, cleared", setting(SVM_ATTR_CLR_FLAGS, ~0u), 0},
      {"any granularity", setting(SVM_ATTR_GRANULARITY, 1000), 0},
      {"behind the last type", setting(SVM_ATTR_GRANULARITY + 1, 0), -EINVAL},
      {"asked for access in place", asking(SVM_ATTR_ACCESS_IN_PLACE, gpu_), -EINVAL},
      {"asked for no access", asking(SVM_ATTR_NO_ACCESS, gpu_), -EINVAL},
      {"asked behind the last type", asking(SVM_ATTR_GRANULARITY + 1), -EINVAL},
      {"asked for access of an unknown GPU", asking(SVM_ATTR_ACCESS, other), -EINVAL},
      {"asked for access", asking(SVM_ATTR_ACCESS, gpu_), 0},
  });
  EXPECT_EQ(ask(memory, page, SVM_ATTR_GRANULARITY), 0x3fu) << "six bits are kept";
  EXPECT_EQ(set(memory, page, {{SVM_ATTR_GRANULARITY, 5}, {SVM_ATTR_ACCESS, other}}), -EINVAL);
  EXPECT_EQ(ask(memory, page, SVM_ATTR_GRANULARITY), 0x3fu) << "one that is wrong, and none is set";
  Attributes questions{{SVM_ATTR_GRANULARITY, 0}, {SVM_ATTR_ACCESS, other}, {SVM_ATTR_CLR_FLAGS, 7}};
  EXPECT_EQ(svm(kfd_, SVM_OP_GET_ATTR, as_u64(memory), page, questions), -EINVAL);
  EXPECT_EQ(questions[0].value, 0x3fu) << "what came before the unknown GPU is answered";
  EXPECT_EQ(questions[2].value, 7u);
  munmap(memory, page);
}

TEST_F(SvmChecks, buffers_and_ranges_keep_out_of_each_others_way) {
  const Memory buffer = make(ALLOC_MEM_FLAGS_GTT, 2 * page);
  char* memory = anonymous(4 * page);
  ASSERT_EQ(set(memory + page, page, nothing), 0);
  // A buffer whose address has memory of the program's.
  char* mapped_there = anonymous(2 * page);
  auto args = allocation(ALLOC_MEM_FLAGS_VRAM | ordinary, page);
  args.va_addr = as_u64(mapped_there) + page;
  ASSERT_EQ(call(kfd_, ioc::ALLOC_MEMORY_OF_GPU, args), 0);
  EXPECT_EQ(set(mapped_there, 2 * page, nothing), 0) << "allocated, not mapped";
  munmap(mapped_there, 2 * page);
  mapped_there = static_cast<char*>(
      mmap(mapped_there, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
  ASSERT_EQ(map(args.handle), 0);
  run({
      {"memory of a device", [&] { return set(buffer.cpu, page, nothing); }, -EFAULT},
      {"a buffer's address", [&] { return set(mapped_there, 2 * page, nothing); }, -EADDRINUSE},
      {"a buffer's address, asked about", [&] { return get(mapped_there, 2 * page, nothing); }, -EADDRINUSE},
      {"beside a buffer's address", [&] { return set(mapped_there, page, nothing); }, 0},
      {"a buffer at a range's address",
       [&] { return allocate(ALLOC_MEM_FLAGS_GTT, 4 * page, as_u64(memory)); }, -EADDRINUSE},
      {"VRAM at a range's address",
       [&] { return allocate(ALLOC_MEM_FLAGS_VRAM, page, as_u64(memory) + page); }, -EADDRINUSE},
      {"a userptr upon a range",
       [&] { return allocate(ALLOC_MEM_FLAGS_USERPTR, 2 * page, 0x100000, as_u64(memory)); }, -EADDRINUSE},
      {"size 0 comes first", [&] { return allocate(ALLOC_MEM_FLAGS_GTT, 0, as_u64(memory) + page); },
       -EINVAL},
      {"a range comes before the GPU",
       [&] {
         auto unknown = allocation(ALLOC_MEM_FLAGS_GTT | ordinary, page);
         unknown.va_addr = as_u64(memory) + page;
         ++unknown.gpu_id;
         return call(kfd_, ioc::ALLOC_MEMORY_OF_GPU, unknown);
       },
       -EADDRINUSE},
      {"a buffer beside a range", [&] { return allocate(ALLOC_MEM_FLAGS_GTT, page, as_u64(memory)); }, 0},
      {"a userptr beside a range",
       [&] { return allocate(ALLOC_MEM_FLAGS_USERPTR, page, 0x100000, as_u64(memory)); }, 0},
      {"VRAM without an address", [&] { return allocate(ALLOC_MEM_FLAGS_VRAM, page, 0); }, 0},
  });
  EXPECT_EQ(unmap(args.handle), 0);
  EXPECT_EQ(free(args.handle), 0);
  munmap(mapped_there, 2 * page);
  munmap(memory, 4 * page);
  EXPECT_EQ(allocate(ALLOC_MEM_FLAGS_GTT, 4 * page, as_u64(memory)), 0) << "the range went with its memory";
  release(buffer);
}

TEST_F(SvmChecks, no_more_than_the_machine_has) {
  constexpr u64 huge = 1ull << 42;
  void* memory =
      mmap(nullptr, huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  EXPECT_EQ(set(memory, huge, {{SVM_ATTR_GRANULARITY, 2}}), -ENOMEM);
  EXPECT_EQ(ask(memory, page, SVM_ATTR_GRANULARITY), 9u) << "no part of it is set";
  for (int round = 0; round < 200; ++round) { // what goes is given back
    ASSERT_EQ(set(memory, 1ull << 30, nothing), 0) << round;
    munmap(memory, 1ull << 30);
    ASSERT_EQ(mmap(memory, 1ull << 30, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0),
              memory);
  }
  munmap(memory, huge);
}

TEST_F(SvmChecks, xnack) {
  const auto mode = [&](std::int32_t enabled) {
    return [this, enabled] {
      kfd_ioctl_set_xnack_mode_args args{enabled};
      return call(kfd_, ioc::SET_XNACK_MODE, args);
    };
  };
  kfd_ioctl_set_xnack_mode_args query{-1};
  EXPECT_EQ(call(kfd_, ioc::SET_XNACK_MODE, query), 0);
  EXPECT_EQ(query.xnack_enabled, 0);
  run({
      {"off", mode(0), 0},
      {"on, which gfx10.3 cannot", mode(1), -EPERM},
      {"any other value", mode(2), -EPERM},
  });
}

TEST_F(SvmChecks, topology_offers_it) {
  std::ifstream properties("/sys/class/kfd/kfd/topology/nodes/1/properties");
  std::string word;
  u64 value = 0;
  while (properties >> word >> value && word != "capability") {
  }
  EXPECT_EQ(value & 0x08000000, 0x08000000u);
}

// --- what is answered

TEST_F(SvmChecks, memory_that_is_in_no_range_has_the_defaults) {
  char* memory = anonymous(4 * page);
  EXPECT_EQ(ask(memory, 4 * page, SVM_ATTR_PREFERRED_LOC), SVM_LOCATION_UNDEFINED);
  EXPECT_EQ(ask(memory, 4 * page, SVM_ATTR_PREFETCH_LOC), SVM_LOCATION_UNDEFINED);
  EXPECT_EQ(ask(memory, 4 * page, SVM_ATTR_GRANULARITY), 9u);
  EXPECT_EQ(ask(memory, 4 * page, SVM_ATTR_SET_FLAGS), SVM_FLAG_HOST_ACCESS | SVM_FLAG_COHERENT);
  EXPECT_EQ(ask(memory, 4 * page, SVM_ATTR_CLR_FLAGS), ~(SVM_FLAG_HOST_ACCESS | SVM_FLAG_COHERENT));
  EXPECT_EQ(access(memory, 4 * page), SVM_ATTR_NO_ACCESS);
  ASSERT_EQ(set(memory + page, page, nothing), 0);
  EXPECT_EQ(ask(memory, 4 * page, SVM_ATTR_GRANULARITY), 9u) << "a range without attributes has them too";
  munmap(memory, 4 * page);
}

TEST_F(SvmChecks, each_attribute_is_answered_as_it_was_set) {
  char* memory = anonymous(2 * page);
  ASSERT_EQ(set(memory, 2 * page,
                {{SVM_ATTR_PREFERRED_LOC, gpu_},
                 {SVM_ATTR_PREFETCH_LOC, SVM_LOCATION_SYSMEM},
                 {SVM_ATTR_GRANULARITY, 4},
                 {SVM_ATTR_SET_FLAGS, SVM_FLAG_GPU_EXEC | SVM_FLAG_GPU_RO},
                 {SVM_ATTR_CLR_FLAGS, SVM_FLAG_COHERENT | SVM_FLAG_GPU_RO},
                 {SVM_ATTR_ACCESS_IN_PLACE, gpu_}}),
            0);
  const u32 flags = SVM_FLAG_HOST_ACCESS | SVM_FLAG_GPU_EXEC;
  const Attributes answers = get_svm(kfd_, memory, 2 * page,
                                     {{SVM_ATTR_PREFERRED_LOC, 1},
                                      {SVM_ATTR_PREFETCH_LOC, 1},
                                      {SVM_ATTR_GRANULARITY, 1},
                                      {SVM_ATTR_SET_FLAGS, 1},
                                      {SVM_ATTR_CLR_FLAGS, 1},
                                      {SVM_ATTR_ACCESS, gpu_}});
  EXPECT_EQ(answers[0].value, gpu_);
  EXPECT_EQ(answers[1].value, SVM_LOCATION_SYSMEM);
  EXPECT_EQ(answers[2].value, 4u);
  EXPECT_EQ(answers[3].value, flags);
  EXPECT_EQ(answers[4].value, ~flags);
  EXPECT_EQ(answers[5].type, u32{SVM_ATTR_ACCESS_IN_PLACE});
  EXPECT_EQ(answers[5].value, gpu_);
  ASSERT_EQ(set(memory, 2 * page, {{SVM_ATTR_ACCESS, gpu_}, {SVM_ATTR_PREFETCH_LOC, gpu_}}), 0);
  EXPECT_EQ(access(memory), SVM_ATTR_ACCESS) << "instead of the other";
  EXPECT_EQ(ask(memory, page, SVM_ATTR_PREFETCH_LOC), gpu_);
  ASSERT_EQ(set(memory, 2 * page, {{SVM_ATTR_NO_ACCESS, gpu_}}), 0);
  EXPECT_EQ(access(memory), SVM_ATTR_NO_ACCESS);
  munmap(memory, 2 * page);
}

// Three pages: [0] and [2] alike, [1] otherwise.
TEST_F(SvmChecks, ranges_that_differ_agree_on_what_they_share) {
  char* memory = anonymous(4 * page);
  ASSERT_EQ(set(memory, 3 * page,
                {{SVM_ATTR_PREFERRED_LOC, gpu_},
                 {SVM_ATTR_PREFETCH_LOC, gpu_},
                 {SVM_ATTR_GRANULARITY, 7},
                 {SVM_ATTR_SET_FLAGS, SVM_FLAG_GPU_EXEC},
                 {SVM_ATTR_ACCESS, gpu_}}),
            0);
  EXPECT_EQ(ask(memory, 4 * page, SVM_ATTR_PREFERRED_LOC), gpu_) << "what is in no range is not looked at";
  EXPECT_EQ(access(memory, 4 * page), SVM_ATTR_ACCESS);
  ASSERT_EQ(set(memory + page, page,
                {{SVM_ATTR_PREFERRED_LOC, SVM_LOCATION_SYSMEM},
                 {SVM_ATTR_PREFETCH_LOC, SVM_LOCATION_SYSMEM},
                 {SVM_ATTR_GRANULARITY, 3},
                 {SVM_ATTR_SET_FLAGS, SVM_FLAG_GPU_RO},
                 {SVM_ATTR_CLR_FLAGS, SVM_FLAG_GPU_EXEC},
                 {SVM_ATTR_ACCESS_IN_PLACE, gpu_}}),
            0);
  const u32 always = SVM_FLAG_HOST_ACCESS | SVM_FLAG_COHERENT;
  EXPECT_EQ(ask(memory, 3 * page, SVM_ATTR_PREFERRED_LOC), SVM_LOCATION_UNDEFINED);
  EXPECT_EQ(ask(memory, 3 * page, SVM_ATTR_PREFETCH_LOC), SVM_LOCATION_UNDEFINED);
  EXPECT_EQ(ask(memory, 3 * page, SVM_ATTR_GRANULARITY), 3u) << "the smallest";
  EXPECT_EQ(ask(memory, 3 * page, SVM_ATTR_SET_FLAGS), always) << "set in all";
  EXPECT_EQ(ask(memory, 3 * page, SVM_ATTR_CLR_FLAGS), ~(always | SVM_FLAG_GPU_RO | SVM_FLAG_GPU_EXEC))
      << "set in none";
  EXPECT_EQ(access(memory, 3 * page), SVM_ATTR_NO_ACCESS);
  for (const int at : {0, 2}) {
    EXPECT_EQ(ask(memory + at * page, page, SVM_ATTR_PREFERRED_LOC), gpu_) << at;
    EXPECT_EQ(ask(memory + at * page, page, SVM_ATTR_GRANULARITY), 7u) << at;
    EXPECT_EQ(ask(memory + at * page, page, SVM_ATTR_SET_FLAGS), always | SVM_FLAG_GPU_EXEC) << at;
    EXPECT_EQ(access(memory + at * page), SVM_ATTR_ACCESS) << at;
  }
  EXPECT_EQ(ask(memory + page, page, SVM_ATTR_PREFERRED_LOC), SVM_LOCATION_SYSMEM);
  EXPECT_EQ(access(memory + page), SVM_ATTR_ACCESS_IN_PLACE);
  // All of it again: what was cut is the same everywhere.
  ASSERT_EQ(set(memory, 4 * page, {{SVM_ATTR_PREFERRED_LOC, gpu_}, {SVM_ATTR_ACCESS, gpu_}}), 0);
  EXPECT_EQ(ask(memory, 4 * page, SVM_ATTR_PREFERRED_LOC), gpu_);
  EXPECT_EQ(access(memory, 4 * page), SVM_ATTR_ACCESS);
  EXPECT_EQ(ask(memory, 4 * page, SVM_ATTR_GRANULARITY), 3u);
  EXPECT_EQ(ask(memory + 3 * page, page, SVM_ATTR_GRANULARITY), 9u);
  munmap(memory, 4 * page);
}

// --- what ends a range

TEST_F(SvmChecks, a_range_ends_with_its_memory) {
  const int protection = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS;
  char* memory = anonymous(8 * page);
  ASSERT_EQ(set(memory, 8 * page, {{SVM_ATTR_GRANULARITY, 1}}), 0);
  const auto again = [&](char* at) {
    ASSERT_EQ(mmap(at, page, protection, flags | MAP_FIXED_NOREPLACE, -1, 0), at);
  };
  const auto granularity = [&](int at) { return ask(memory + at * page, page, SVM_ATTR_GRANULARITY); };
  munmap(memory + page, page);
  EXPECT_EQ(get(memory, 8 * page, nothing), -EFAULT);
  again(memory + page);
  EXPECT_EQ(granularity(1), 9u);
  ASSERT_EQ(mmap(memory + 3 * page, page, protection, flags | MAP_FIXED, -1, 0), memory + 3 * page);
  EXPECT_EQ(granularity(3), 9u) << "mapped over";
  char* elsewhere = anonymous(page);
  ASSERT_EQ(mremap(memory + 5 * page, page, page, MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere), elsewhere);
  again(memory + 5 * page);
  EXPECT_EQ(granularity(5), 9u) << "moved away";
  EXPECT_EQ(ask(elsewhere, page, SVM_ATTR_GRANULARITY), 9u) << "attributes do not move";
  ASSERT_EQ(mremap(memory + 6 * page, 2 * page, page, 0), memory + 6 * page);
  again(memory + 7 * page);
  EXPECT_EQ(granularity(7), 9u) << "shrunk";
  for (const int at : {0, 2, 4, 6})
    EXPECT_EQ(granularity(at), 1u) << at;
  munmap(elsewhere, page);
  munmap(memory, 8 * page);
}

TEST_F(SvmChecks, what_fails_or_only_protects_ends_no_range) {
  char* memory = anonymous(2 * page);
  ASSERT_EQ(set(memory, 2 * page, {{SVM_ATTR_GRANULARITY, 1}}), 0);
  EXPECT_EQ(munmap(memory + 1, page), -1);
  EXPECT_EQ(mmap(memory, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
            MAP_FAILED);
  EXPECT_EQ(mmap(memory, page, PROT_READ, MAP_PRIVATE | MAP_FIXED, -1, 0), MAP_FAILED);
  EXPECT_EQ(mprotect(memory, page, PROT_NONE), 0);
  EXPECT_EQ(madvise(memory + page, page, MADV_DONTNEED), 0);
  for (const int at : {0, 1})
    EXPECT_EQ(ask(memory + at * page, page, SVM_ATTR_GRANULARITY), 1u) << at;
  munmap(memory, 2 * page);
}

// By the C library, where nobody sees it: free() of a large block.
TEST_F(SvmChecks, memory_that_went_unseen_is_missed_at_the_next_call) {
  constexpr u64 size = 4 << 20;
  void* block = std::malloc(size);
  const u64 at = (as_u64(block) + page - 1) & ~(page - 1);
  ASSERT_EQ(set(at, size / 2, nothing), 0);
  EXPECT_EQ(allocate(ALLOC_MEM_FLAGS_GTT, page, at), -EADDRINUSE);
  std::free(block);
  EXPECT_EQ(allocate(ALLOC_MEM_FLAGS_GTT, page, at), 0);
  EXPECT_EQ(get(at, page, nothing), -EFAULT);
}

// What SMI events tell: queues that pause for SVM, and pages that leave the GPU's page tables.
TEST_F(SvmChecks, events_tell_of_it) {
  kfd_ioctl_smi_events_args smi{gpu_, 0};
  ASSERT_EQ(call(kfd_, ioc::SMI_EVENTS, smi), 0);
  const int events = static_cast<int>(smi.anon_fd);
  const u64 mask = 1 << (SMI_EVENT_QUEUE_EVICTION - 1) | 1 << (SMI_EVENT_UNMAP_FROM_GPU - 1);
  ASSERT_EQ(write(events, &mask, sizeof mask), static_cast<ssize_t>(sizeof mask));
  char* memory = anonymous(4 * page);
  ASSERT_EQ(set(memory, 2 * page, {{SVM_ATTR_ACCESS, gpu_}}), 0);
  ASSERT_EQ(set(memory + 3 * page, page, nothing), 0);
  mprotect(memory + 3 * page, page, PROT_READ);
  mprotect(memory, page, PROT_READ);
  munmap(memory + page, 3 * page);
  char text[1024] = {};
  ASSERT_GT(read(events, text, sizeof text - 1), 0);
  long long time = 0;
  int pid = 0, used = 0;
  unsigned gpu = 0, trigger = 99;
  u64 address = 0, size = 0;
  ASSERT_EQ(std::sscanf(text, "9 %lld -%d %x %u\n%n", &time, &pid, &gpu, &trigger, &used), 4) << text;
  EXPECT_EQ(trigger, 0u); // KFD_QUEUE_EVICTION_TRIGGER_SVM
  int end = 0;
  ASSERT_EQ(std::sscanf(text + used, "b %lld -%d @%lx(%lx) %x %u\n%n", &time, &pid, &address, &size, &gpu,
                        &trigger, &end),
            6)
      << text;
  EXPECT_EQ(address, as_u64(memory) / page + 1);
  EXPECT_EQ(size, 1u);
  EXPECT_EQ(gpu, gpu_);
  EXPECT_EQ(trigger, 2u); // KFD_SVM_UNMAP_TRIGGER_UNMAP_FROM_CPU
  EXPECT_EQ(text[used + end], 0) << "nothing of memory that the GPU never had: " << text;
  munmap(memory, page);
  close(events);
}

TEST_F(SvmChecks, a_child_has_none_of_it) {
  char* memory = anonymous(2 * page);
  ASSERT_EQ(set(memory, 2 * page, {{SVM_ATTR_GRANULARITY, 1}}), 0);
  const pid_t child = fork();
  if (child == 0) {
    Attributes none;
    bool right = svm(kfd_, SVM_OP_GET_ATTR, as_u64(memory), page, none) == -EBADF;
    munmap(memory, page);
    const int own = open("/dev/kfd", O_RDWR | O_CLOEXEC);
    right = right && get_svm(own, memory + page, page, {{SVM_ATTR_GRANULARITY, 0}})[0].value == 9;
    _exit(right ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(ask(memory, 2 * page, SVM_ATTR_GRANULARITY), 1u);
  munmap(memory, 2 * page);
}

} // namespace
