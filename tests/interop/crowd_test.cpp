// More streams than the hardware has queues, each of which waits for someone outside.

#include <chrono>
#include <sys/resource.h>
#include <thread>
#include <vector>

#include "fixture.hpp"

namespace {

using namespace interop;
using namespace std::chrono_literals;

constexpr std::size_t crowd = 1000;

// The emulated kernel has one for each buffer and syncobj; the driver has none for a wait.
void allow_descriptors() {
  rlimit limit;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = limit.rlim_max;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  if (limit.rlim_max < 8 * crowd)
    GTEST_SKIP() << "a process may have only " << limit.rlim_max << " descriptors";
}

struct Member {
  explicit Member(CUdeviceptr place) : word(place), cuda(import(vulkan)) {}
  ~Member() { cuDestroyExternalSemaphore(cuda); }
  CUdeviceptr word;
  Semaphore vulkan{Semaphore::Kind::timeline};
  CUexternalSemaphore cuda;
  Stream stream;
};

class Crowd : public testing::Test {
protected:
  void SetUp() override {
    allow_descriptors();
    CU(cuMemAlloc(&words, crowd * 4));
    CU(cuMemsetD32(words, 0, crowd));
    CU(cuCtxSynchronize());
  }
  void TearDown() override { cuMemFree(words); }
  std::vector<std::uint32_t> values() const { return read_through_cuda(words, crowd); }
  CUdeviceptr words = 0;
};

TEST_F(Crowd, each_waits_for_a_semaphore_of_its_own) {
  std::vector<std::unique_ptr<Member>> members;
  for (std::size_t i = 0; i < crowd; ++i) {
    Member& member = *members.emplace_back(std::make_unique<Member>(words + i * 4));
    wait(member.stream, {{member.cuda, 1}});
    CU(cuMemsetD32Async(member.word, static_cast<unsigned>(i) + 1, 1, member.stream));
    signal(member.stream, {{member.cuda, 2}});
  }
  std::this_thread::sleep_for(50ms);
  for (const auto& member : members)
    ASSERT_EQ(cuStreamQuery(member->stream), CUDA_ERROR_NOT_READY);
  EXPECT_TRUE(all_are(values(), 0)) << "and another stream runs";

  // In no order of theirs.
  for (std::size_t i = 0; i < crowd; ++i)
    members[i * 7 % crowd]->vulkan.signal(1);
  for (const auto& member : members)
    ASSERT_TRUE(member->vulkan.wait(2, 20s));
  CU(cuCtxSynchronize());
  std::vector<std::uint32_t> seen = values();
  for (std::size_t i = 0; i < crowd; ++i)
    ASSERT_EQ(seen[i], i + 1);
}

TEST_F(Crowd, one_released_goes_on_while_the_others_wait) {
  std::vector<std::unique_ptr<Member>> members;
  for (std::size_t i = 0; i < 300; ++i) {
    Member& member = *members.emplace_back(std::make_unique<Member>(words + i * 4));
    wait(member.stream, {{member.cuda, 1}});
    CU(cuMemsetD32Async(member.word, 7, 1, member.stream));
  }
  for (std::size_t i : {299u, 0u, 150u}) {
    members[i]->vulkan.signal(1);
    EXPECT_EQ(cuStreamSynchronize(members[i]->stream), CUDA_SUCCESS);
    EXPECT_EQ(values()[i], 7u);
  }
  EXPECT_EQ(cuStreamQuery(members[298]->stream), CUDA_ERROR_NOT_READY);
  for (const auto& member : members)
    member->vulkan.signal(1);
  CU(cuCtxSynchronize());
}

// Event waits that end in somebody outside: the whole chain is held.
TEST_F(Crowd, a_chain_of_events_behind_one_semaphore) {
  constexpr std::size_t length = 400;
  Member first(words);
  std::vector<Stream> streams(length);
  std::vector<CUevent> events(length);
  wait(first.stream, {{first.cuda, 1}});
  CU(cuMemsetD32Async(words, 5, 1, first.stream));
  CUstream before = first.stream;
  for (std::size_t i = 0; i < length; ++i) {
    CU(cuEventCreate(&events[i], CU_EVENT_DISABLE_TIMING));
    CU(cuEventRecord(events[i], before));
    CU(cuStreamWaitEvent(streams[i], events[i], 0));
    CU(cuMemcpyDtoDAsync(words + (i + 1) * 4, words + i * 4, 4, streams[i]));
    before = streams[i];
  }
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(cuStreamQuery(before), CUDA_ERROR_NOT_READY);
  EXPECT_TRUE(all_are(values(), 0));
  first.vulkan.signal(1);
  CU(cuStreamSynchronize(before));
  std::vector<std::uint32_t> seen = values();
  EXPECT_TRUE(all_are(std::span(seen).first(length + 1), 5));
  for (CUevent event : events)
    CU(cuEventDestroy(event));
}

TEST_F(Crowd, the_end_of_its_context_releases_it) {
  CUcontext lonely;
  CU(cuCtxCreate(&lonely, 0, 0));
  std::vector<std::unique_ptr<Semaphore>> vulkan;
  for (std::size_t i = 0; i < 200; ++i) {
    CUstream stream;
    CU(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    CUexternalSemaphore semaphore =
        import(*vulkan.emplace_back(std::make_unique<Semaphore>(Semaphore::Kind::timeline)));
    wait(stream, {{semaphore, 1}});
    signal(stream, {{semaphore, 2}});
  }
  EXPECT_EQ(cuCtxDestroy(lonely), CUDA_SUCCESS);
  for (const auto& semaphore : vulkan)
    EXPECT_TRUE(semaphore->wait(2, 20s));
}

} // namespace
