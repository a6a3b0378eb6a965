// Waits that come before anybody has signalled: they return at once, whoever signals later.

#include <chrono>
#include <thread>
#include <vector>

#include "fixture.hpp"

namespace {

using namespace interop;
using namespace std::chrono_literals;

constexpr std::size_t words = 1 << 12;
constexpr auto a_while = 30ms;

bool waits(CUstream stream) {
  std::this_thread::sleep_for(a_while);
  return cuStreamQuery(stream) == CUDA_ERROR_NOT_READY;
}

// Unlike cuStreamSynchronize(), it ends where the stream never does.
bool comes(CUstream stream) {
  const auto end = std::chrono::steady_clock::now() + 20s;
  while (cuStreamQuery(stream) == CUDA_ERROR_NOT_READY && std::chrono::steady_clock::now() < end)
    std::this_thread::yield();
  return cuStreamQuery(stream) == CUDA_SUCCESS;
}

struct Shared {
  explicit Shared(Semaphore::Kind kind = Semaphore::Kind::binary) : vulkan(kind), cuda(import(vulkan)) {}
  ~Shared() { cuDestroyExternalSemaphore(cuda); }
  At at(std::uint64_t value = 0) const { return {&vulkan, value}; }
  Op op(std::uint64_t value = 0) const { return {cuda, value}; }
  Semaphore vulkan;
  CUexternalSemaphore cuda;
};

class WaitFirst : public testing::Test {
protected:
  void SetUp() override {
    CU(cuMemAlloc(&memory, words * 4));
    CU(cuMemsetD32(memory, 0, words));
    CU(cuCtxSynchronize());
  }
  void TearDown() override { cuMemFree(memory); }
  std::uint32_t value() { return read_through_cuda(memory, 1)[0]; }
  CUdeviceptr memory = 0;
  Shared shared;
  Stream stream;
};

TEST_F(WaitFirst, vulkan_signals_later) {
  wait(stream, {shared.op()});
  CU(cuMemsetD32Async(memory, 7, words, stream));
  EXPECT_TRUE(waits(stream));
  EXPECT_EQ(value(), 0u);
  At done = shared.at();
  Submission submission(nothing(), {}, {&done, 1});
  EXPECT_EQ(cuStreamSynchronize(stream), CUDA_SUCCESS);
  EXPECT_EQ(value(), 7u);
}

TEST_F(WaitFirst, work_of_vulkan_is_seen) {
  Buffer buffer(words * 4);
  CUexternalMemory imported = import(buffer);
  CUdeviceptr mapped = map(imported, 0, words * 4);
  Pinned seen(words);
  for (unsigned round = 1; round <= 5; ++round) {
    wait(stream, {shared.op()});
    CU(cuMemcpyDtoHAsync(seen.words, mapped, words * 4, stream));
    At done = shared.at();
    Submission submission(fill(buffer, round), {}, {&done, 1});
    CU(cuStreamSynchronize(stream));
    ASSERT_TRUE(all_are(seen, round));
  }
  CU(cuMemFree(mapped));
  CU(cuDestroyExternalMemory(imported));
}

TEST_F(WaitFirst, another_stream_signals_later) {
  Stream other;
  wait(stream, {shared.op()});
  CU(cuMemsetD32Async(memory, 8, words, stream));
  EXPECT_TRUE(waits(stream));
  signal(other, {shared.op()});
  EXPECT_EQ(cuStreamSynchronize(stream), CUDA_SUCCESS);
  EXPECT_EQ(value(), 8u);
}

TEST_F(WaitFirst, another_stream_signals_behind_work_that_is_not_done) {
  Stream other;
  wait(stream, {shared.op()});
  Gate gate(other);
  signal(other, {shared.op()});
  EXPECT_TRUE(waits(stream));
  gate.open();
  EXPECT_EQ(cuStreamSynchronize(stream), CUDA_SUCCESS);
}

TEST_F(WaitFirst, through_another_import_of_the_semaphore) {
  Stream other;
  CUexternalSemaphore again = import(shared.vulkan);
  for (int round = 0; round < 5; ++round) {
    wait(stream, {shared.op()});
    EXPECT_TRUE(waits(stream));
    CU(cuMemsetD32Async(memory, 1, words, other));
    signal(other, {{again, 0}});
    EXPECT_EQ(cuStreamSynchronize(stream), CUDA_SUCCESS);
  }
  CU(cuDestroyExternalSemaphore(again));
}

TEST_F(WaitFirst, twenty_rounds) {
  Shared back;
  Buffer result(words * 4, Buffer::Kind::host_visible, false);
  Buffer buffer(words * 4);
  CUexternalMemory imported = import(buffer);
  CUdeviceptr mapped = map(imported, 0, words * 4);
  for (unsigned round = 1; round <= 20; ++round) {
    wait(stream, {shared.op()});
    CU(cuMemsetD32Async(mapped, round, words / 2, stream));
    signal(stream, {back.op()});
    At filled = shared.at();
    Submission vulkan_part(fill(buffer, 1000 + round), {}, {&filled, 1});
    At changed = back.at();
    Submission(copy(buffer, result), {&changed, 1}).wait();
    ASSERT_TRUE(all_are({result.words, words / 2}, round));
    ASSERT_TRUE(all_are({result.words + words / 2, words / 2}, 1000 + round));
  }
  CU(cuStreamSynchronize(stream));
  CU(cuMemFree(mapped));
  CU(cuDestroyExternalMemory(imported));
}

TEST_F(WaitFirst, several_before_their_signals_each_gets_one) {
  constexpr int count = 20;
  std::vector<Stream> streams(count);
  for (Stream& each : streams)
    wait(each, {shared.op()});
  auto ready = [&] {
    int number = 0;
    for (Stream& each : streams)
      number += cuStreamQuery(each) == CUDA_SUCCESS;
    return number;
  };
  Stream other;
  for (int signalled = 1; signalled <= count; ++signalled) {
    if (signalled % 2) {
      signal(other, {shared.op()});
    } else {
      At done = shared.at();
      Submission(nothing(), {}, {&done, 1}).wait();
    }
    while (ready() < signalled)
      std::this_thread::yield();
    std::this_thread::sleep_for(1ms);
    ASSERT_EQ(ready(), signalled);
  }
}

TEST_F(WaitFirst, binary_and_timeline_in_one_call) {
  Shared timeline(Semaphore::Kind::timeline);
  Shared second;
  wait(stream, {shared.op(), timeline.op(3), second.op()});
  CU(cuMemsetD32Async(memory, 9, words, stream));
  EXPECT_TRUE(waits(stream));
  At done[] = {second.at(), timeline.at(3)};
  Submission submission(nothing(), {}, done);
  EXPECT_TRUE(waits(stream));
  Stream other;
  signal(other, {shared.op()});
  EXPECT_EQ(cuStreamSynchronize(stream), CUDA_SUCCESS);
  EXPECT_EQ(value(), 9u);
}

// Whoever looks first, the relay's thread or the next wait, gives the first wait its fence.
TEST_F(WaitFirst, the_fence_of_one_wait_has_come_when_the_next_is_called) {
  Stream next;
  Stream signalling;
  CUexternalSemaphore again = import(shared.vulkan); // knows of no wait: its signal is a fence, at once
  for (int round = 0; round < 100; ++round) {
    wait(stream, {shared.op()});
    signal(signalling, {{again, 0}});
    wait(next, {shared.op()});
    ASSERT_TRUE(comes(stream)) << "round " << round;
    ASSERT_EQ(cuStreamQuery(next), CUDA_ERROR_NOT_READY);
    signal(signalling, {{again, 0}});
    ASSERT_TRUE(comes(next)) << "round " << round;
  }
  CU(cuDestroyExternalSemaphore(again));
}

TEST_F(WaitFirst, behind_work_that_is_not_done) {
  Gate gate(stream);
  wait(stream, {shared.op()}); // there is no fence, and the stream has not come to it
  At done = shared.at();
  Submission submission(nothing(), {}, {&done, 1});
  submission.wait();
  EXPECT_TRUE(waits(stream));
  gate.open();
  EXPECT_EQ(cuStreamSynchronize(stream), CUDA_SUCCESS);
}

TEST_F(WaitFirst, an_earlier_waits_fence_is_not_lost_to_a_signal_of_ours) {
  Stream other;
  for (int round = 0; round < 20; ++round) {
    wait(stream, {shared.op()});
    At done = shared.at();
    Submission submission(nothing(), {}, {&done, 1}); // this wait's
    Gate gate(other);
    signal(other, {shared.op()}); // empties the semaphore for the next one
    EXPECT_EQ(cuStreamSynchronize(stream), CUDA_SUCCESS);
    wait(stream, {shared.op()});
    EXPECT_EQ(cuStreamQuery(stream), CUDA_ERROR_NOT_READY);
    gate.open();
    EXPECT_EQ(cuStreamSynchronize(stream), CUDA_SUCCESS);
  }
}

TEST_F(WaitFirst, destroyed_semaphore_still_lets_it_go_on) {
  Semaphore semaphore(Semaphore::Kind::binary);
  CUexternalSemaphore imported = import(semaphore);
  wait(stream, {{imported, 0}});
  CU(cuDestroyExternalSemaphore(imported));
  EXPECT_TRUE(waits(stream));
  At done = {&semaphore, 0};
  Submission submission(nothing(), {}, {&done, 1});
  EXPECT_EQ(cuStreamSynchronize(stream), CUDA_SUCCESS);
}

TEST_F(WaitFirst, destroyed_stream_still_does_its_work) {
  Shared behind(Semaphore::Kind::timeline);
  auto short_lived = std::make_unique<Stream>();
  wait(*short_lived, {shared.op()});
  CU(cuMemsetD32Async(memory, 4, words, *short_lived));
  signal(*short_lived, {behind.op(1)});
  short_lived.reset();
  At done = shared.at();
  Submission submission(nothing(), {}, {&done, 1});
  EXPECT_TRUE(behind.vulkan.wait(1, 20s));
  EXPECT_EQ(value(), 4u);
}

TEST_F(WaitFirst, end_of_the_context_releases_it) {
  Semaphore never(Semaphore::Kind::binary);
  Semaphore behind(Semaphore::Kind::timeline);
  CUcontext lonely = nullptr;
  CU(cuCtxCreate(&lonely, 0, 0));
  CUstream held = nullptr;
  CU(cuStreamCreate(&held, CU_STREAM_NON_BLOCKING));
  CUexternalSemaphore awaited = import(never);
  CUexternalSemaphore pending = import(behind);
  wait(held, {{awaited, 0}});
  wait(held, {{awaited, 0}});
  signal(held, {{pending, 1}});
  EXPECT_EQ(cuCtxDestroy(lonely), CUDA_SUCCESS);
  EXPECT_TRUE(behind.wait(1, 20s));
  // And the fence that comes later is nobody's but Vulkan's.
  At done = {&never, 0};
  Submission(nothing(), {}, {&done, 1}).wait();
  Submission(nothing(), {&done, 1}).wait();
}

TEST_F(WaitFirst, another_contexts_semaphore_is_refused) {
  CUcontext mine = context();
  CUcontext other = nullptr;
  CU(cuCtxCreate(&other, 0, 0));
  for (Semaphore::Kind kind : {Semaphore::Kind::binary, Semaphore::Kind::timeline}) {
    CU(cuCtxSetCurrent(other));
    Semaphore semaphore(kind);
    CUexternalSemaphore foreign = import(semaphore);
    CUexternalSemaphore own = nullptr;
    CUstream theirs = nullptr;
    CU(cuStreamCreate(&theirs, CU_STREAM_NON_BLOCKING));
    CUDA_EXTERNAL_SEMAPHORE_SIGNAL_PARAMS signals = {};
    CUDA_EXTERNAL_SEMAPHORE_WAIT_PARAMS waits = {};
    for (CUcontext current : {mine, other}) {
      CU(cuCtxSetCurrent(current));
      EXPECT_EQ(cuSignalExternalSemaphoresAsync(&foreign, &signals, 1, stream), CUDA_ERROR_INVALID_VALUE);
      EXPECT_EQ(cuWaitExternalSemaphoresAsync(&foreign, &waits, 1, stream), CUDA_ERROR_INVALID_VALUE);
    }
    CU(cuCtxSetCurrent(mine));
    own = import(semaphore);
    EXPECT_EQ(cuSignalExternalSemaphoresAsync(&own, &signals, 1, theirs), CUDA_ERROR_INVALID_VALUE);
    EXPECT_EQ(cuWaitExternalSemaphoresAsync(&own, &waits, 1, theirs), CUDA_ERROR_INVALID_VALUE);
    // Its own context's stream takes it, whatever context is current.
    EXPECT_EQ(cuSignalExternalSemaphoresAsync(&foreign, &signals, 1, theirs), CUDA_SUCCESS);
    EXPECT_EQ(cuDestroyExternalSemaphore(foreign), CUDA_SUCCESS);
    EXPECT_EQ(cuDestroyExternalSemaphore(own), CUDA_SUCCESS);
    CU(cuStreamDestroy(theirs));
  }
  CU(cuCtxSetCurrent(other));
  CU(cuCtxDestroy(other));
  CU(cuCtxSetCurrent(mine));
}

// --- any number of operations behind a wait ---

TEST_F(WaitFirst, a_hundred_thousand_operations_stand_behind_it) {
  constexpr unsigned operations = 100'000;
  Shared timeline(Semaphore::Kind::timeline);
  CUevent event = nullptr;
  CU(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
  wait(stream, {shared.op()});
  for (unsigned i = 1; i <= operations / 4; ++i) {
    CU(cuMemsetD32Async(memory, i, 16, stream));
    CU(cuMemcpyDtoDAsync(memory + 256, memory, 64, stream));
    CU(cuEventRecord(event, stream));
    signal(stream, {timeline.op(i)});
  }
  EXPECT_EQ(cuStreamQuery(stream), CUDA_ERROR_NOT_READY);
  EXPECT_EQ(timeline.vulkan.value(), 0u);
  At done = shared.at();
  Submission submission(nothing(), {}, {&done, 1});
  CU(cuStreamSynchronize(stream));
  EXPECT_EQ(timeline.vulkan.value(), operations / 4);
  EXPECT_EQ(value(), operations / 4);
  EXPECT_EQ(cuEventQuery(event), CUDA_SUCCESS);
  CU(cuEventDestroy(event));
}

TEST_F(WaitFirst, waits_and_signals_of_one_thread_in_every_order) {
  // Six waits of three semaphores in two streams, and signals in an order of their own.
  Shared semaphores[3];
  Stream streams[2];
  Stream signalling;
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 3; ++i)
      wait(streams[i % 2], {semaphores[(i + round) % 3].op()});
    for (int i = 0; i < 3; ++i)
      signal(signalling, {semaphores[(2 * i + round) % 3].op()});
    for (Stream& each : streams)
      ASSERT_EQ(cuStreamSynchronize(each), CUDA_SUCCESS);
  }
}

} // namespace
