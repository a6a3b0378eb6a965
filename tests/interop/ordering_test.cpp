// Streams and Vulkan queues that wait for each other.

#include <atomic>
#include <chrono>
#include <thread>

#include "fixture.hpp"

namespace {

using namespace interop;
using namespace std::chrono_literals;

constexpr unsigned long long size = 256 << 10;
constexpr std::size_t words = size / sizeof(std::uint32_t);

// Long enough for work that is not held back to finish, and for what should be held back to show that it is
// not.
constexpr auto a_while = 50ms;

class EveryKind : public testing::TestWithParam<Semaphore::Kind> {
protected:
  bool timeline() const { return GetParam() == Semaphore::Kind::timeline; }
};
INSTANTIATE_TEST_SUITE_P(semaphores, EveryKind,
                         testing::Values(Semaphore::Kind::binary, Semaphore::Kind::timeline),
                         [](const auto& kind) {
                           return kind.param == Semaphore::Kind::binary ? "binary" : "timeline";
                         });

// A semaphore that both sides know.
struct Shared {
  explicit Shared(Semaphore::Kind kind) : vulkan(kind), cuda(import(vulkan)) {}
  ~Shared() { cuDestroyExternalSemaphore(cuda); }
  At at(std::uint64_t value) const { return {&vulkan, value}; }
  Op op(std::uint64_t value = 0) const { return {cuda, value}; }
  Semaphore vulkan;
  CUexternalSemaphore cuda;
};

struct Memory {
  explicit Memory(Buffer::Kind kind = Buffer::Kind::device_local)
      : vulkan(size, kind), imported(import(vulkan)), cuda(map(imported, 0, size)) {}
  ~Memory() {
    cuMemFree(cuda);
    cuDestroyExternalMemory(imported);
  }
  Buffer vulkan;
  CUexternalMemory imported;
  CUdeviceptr cuda;
};

bool waits(CUstream stream) {
  std::this_thread::sleep_for(a_while);
  return cuStreamQuery(stream) == CUDA_ERROR_NOT_READY;
}

TEST_P(EveryKind, signal_then_wait_on_one_stream) {
  Shared shared(GetParam());
  Stream stream;
  for (unsigned i = 1; i <= 20; ++i) {
    signal(stream, {shared.op(i)});
    wait(stream, {shared.op(i)});
  }
  EXPECT_EQ(cuStreamSynchronize(stream), CUDA_SUCCESS);
}

TEST_P(EveryKind, signal_behind_work_then_wait_on_another_stream) {
  Shared shared(GetParam());
  Memory memory;
  Stream first;
  Stream second;
  for (unsigned i = 1; i <= 5; ++i) {
    Gate gate(first);
    CU(cuMemsetD32Async(memory.cuda, i, words, first));
    signal(first, {shared.op(i)});
    wait(second, {shared.op(i)});
    Pinned seen(words);
    CU(cuMemcpyDtoHAsync(seen.words, memory.cuda, size, second));
    EXPECT_TRUE(waits(second));
    gate.open();
    CU(cuStreamSynchronize(second));
    EXPECT_TRUE(all_are(seen, i));
  }
}

TEST_P(EveryKind, vulkan_signals_and_cuda_waits) {
  Shared shared(GetParam());
  Memory memory;
  Stream stream;
  for (unsigned i = 1; i <= 10; ++i) {
    At done = shared.at(i);
    Submission submission(fill(memory.vulkan, 1000 + i), {}, {&done, 1});
    wait(stream, {shared.op(i)});
    Pinned seen(words);
    CU(cuMemcpyDtoHAsync(seen.words, memory.cuda, size, stream));
    CU(cuStreamSynchronize(stream));
    EXPECT_TRUE(all_are(seen, 1000 + i));
  }
}

TEST_P(EveryKind, cuda_signals_behind_long_work_and_vulkan_waits) {
  Shared shared(GetParam());
  Memory memory;
  Buffer result(size, Buffer::Kind::host_visible, false);
  Stream stream;
  for (unsigned i = 1; i <= 3; ++i) {
    Gate gate(stream);
    CU(cuMemsetD32Async(memory.cuda, 50 + i, words, stream));
    signal(stream, {shared.op(i)});
    std::atomic<bool> finished = false;
    // A binary wait may block vkQueueSubmit until the signal is there.
    std::thread vulkan_thread([&] {
      At ready = shared.at(i);
      Submission(copy(memory.vulkan, result), {&ready, 1}).wait();
      finished = true;
    });
    std::this_thread::sleep_for(a_while);
    EXPECT_FALSE(finished);
    gate.open();
    vulkan_thread.join();
    EXPECT_TRUE(all_are({result.words, words}, 50 + i));
  }
}

TEST_P(EveryKind, ping_pong_a_hundred_times) {
  Shared ping(GetParam());
  Shared pong(GetParam());
  Memory memory;
  Buffer result(size, Buffer::Kind::host_visible, false);
  Stream stream;
  for (unsigned i = 1; i <= 100; ++i) {
    At filled = ping.at(i);
    Submission vulkan_part(fill(memory.vulkan, i), {}, {&filled, 1});
    wait(stream, {ping.op(i)});
    CU(cuMemsetD32Async(memory.cuda, 1000 + i, words / 2, stream)); // the first half only
    signal(stream, {pong.op(i)});
    At changed = pong.at(i);
    Submission(copy(memory.vulkan, result), {&changed, 1}).wait();
    ASSERT_TRUE(all_are({result.words, words / 2}, 1000 + i)) << "round " << i;
    ASSERT_TRUE(all_are({result.words + words / 2, words / 2}, i)) << "round " << i;
  }
}

TEST(waiting_stream, is_not_ready_and_delays_no_other) {
  Shared shared(Semaphore::Kind::timeline);
  Memory memory;
  Stream waiting;
  wait(waiting, {shared.op(5)});
  CU(cuMemsetD32Async(memory.cuda, 1, words, waiting));
  CUevent behind = nullptr;
  CU(cuEventCreate(&behind, CU_EVENT_DEFAULT));
  CU(cuEventRecord(behind, waiting));

  CUdeviceptr elsewhere = 0;
  CU(cuMemAlloc(&elsewhere, 4096));
  for (int i = 0; i < 4; ++i) {
    Stream other;
    CU(cuMemsetD32Async(elsewhere, 7, 1024, other));
    EXPECT_EQ(cuStreamSynchronize(other), CUDA_SUCCESS);
  }
  EXPECT_TRUE(waits(waiting));
  EXPECT_EQ(cuEventQuery(behind), CUDA_ERROR_NOT_READY);
  shared.vulkan.signal(4);
  EXPECT_TRUE(waits(waiting));
  shared.vulkan.signal(5);
  CU(cuStreamSynchronize(waiting));
  EXPECT_EQ(cuEventQuery(behind), CUDA_SUCCESS);
  EXPECT_TRUE(all_are(read_through_cuda(memory.cuda, words), 1));
  CU(cuEventDestroy(behind));
  CU(cuMemFree(elsewhere));
}

TEST(timeline, a_wait_may_come_before_vulkan_submits_the_signal) {
  Shared shared(Semaphore::Kind::timeline);
  Memory memory;
  Stream stream;
  Pinned seen(words);
  wait(stream, {shared.op(3)});
  CU(cuMemcpyDtoHAsync(seen.words, memory.cuda, size, stream));
  EXPECT_TRUE(waits(stream));
  At done = shared.at(3);
  Submission submission(fill(memory.vulkan, 333), {}, {&done, 1});
  CU(cuStreamSynchronize(stream));
  EXPECT_TRUE(all_are(seen, 333));
}

TEST(timeline, what_is_reached_already_does_not_wait) {
  Shared shared(Semaphore::Kind::timeline);
  shared.vulkan.signal(10);
  Stream stream;
  wait(stream, {shared.op(10)});
  wait(stream, {shared.op(3)});
  wait(stream, {shared.op(0)});
  EXPECT_EQ(cuStreamQuery(stream), CUDA_SUCCESS);
}

TEST(timeline, an_idle_stream_signals_within_the_call) {
  Shared shared(Semaphore::Kind::timeline);
  Stream stream;
  signal(stream, {shared.op(1ull << 40)});
  EXPECT_EQ(shared.vulkan.value(), 1ull << 40);
}

TEST(timeline, has_reached_0_from_the_start) {
  Shared shared(Semaphore::Kind::timeline);
  Stream stream;
  wait(stream, {shared.op(0)});
  EXPECT_EQ(cuStreamQuery(stream), CUDA_SUCCESS);
  signal(stream, {shared.op(0)});
  EXPECT_EQ(shared.vulkan.value(), 0u);
}

TEST(timeline, goes_up_to_the_largest_number) {
  constexpr std::uint64_t largest = ~std::uint64_t{0};
  Shared shared(Semaphore::Kind::timeline);
  Stream stream;
  Stream other;
  wait(other, {shared.op(largest)});
  signal(stream, {shared.op(largest - 1)});
  EXPECT_TRUE(waits(other));
  signal(stream, {shared.op(largest)});
  EXPECT_EQ(cuStreamSynchronize(other), CUDA_SUCCESS);
  EXPECT_EQ(shared.vulkan.value(), largest);
}

TEST(timeline, keeps_its_value_where_a_signal_repeats_or_goes_down) {
  Shared shared(Semaphore::Kind::timeline);
  Stream stream;
  for (unsigned value : {7, 7, 5})
    signal(stream, {shared.op(value)});
  EXPECT_EQ(shared.vulkan.value(), 7u);
}

TEST(timeline, an_idle_blocking_stream_signals_within_the_call_though_another_has_work) {
  Shared shared(Semaphore::Kind::timeline);
  CUstream busy = nullptr;
  CUstream idle = nullptr;
  CU(cuStreamCreate(&busy, CU_STREAM_DEFAULT));
  CU(cuStreamCreate(&idle, CU_STREAM_DEFAULT));
  {
    Gate gate(busy);
    signal(idle, {shared.op(3)});
    EXPECT_EQ(shared.vulkan.value(), 3u);
  }
  CU(cuStreamDestroy(idle));
  CU(cuStreamDestroy(busy));
}

TEST(timeline, signals_of_a_stream_come_in_its_order) {
  Shared shared(Semaphore::Kind::timeline);
  Stream stream;
  Gate gate(stream);
  for (unsigned i = 1; i <= 200; ++i)
    signal(stream, {shared.op(i)});
  std::this_thread::sleep_for(a_while);
  EXPECT_EQ(shared.vulkan.value(), 0u);
  gate.open();
  EXPECT_TRUE(shared.vulkan.wait(200, 20s));
  CU(cuStreamSynchronize(stream));
  EXPECT_EQ(shared.vulkan.value(), 200u);
}

TEST(legacy_stream, takes_part) {
  Shared shared(Semaphore::Kind::timeline);
  Memory memory;
  wait(nullptr, {shared.op(1)});
  CU(cuMemsetD32Async(memory.cuda, 4, words, nullptr));
  signal(nullptr, {shared.op(2)});
  std::this_thread::sleep_for(a_while);
  EXPECT_EQ(shared.vulkan.value(), 0u);
  shared.vulkan.signal(1);
  EXPECT_TRUE(shared.vulkan.wait(2, 20s));
  EXPECT_TRUE(all_are(read_through_cuda(memory.cuda, words), 4));
}

TEST(legacy_stream, work_in_it_comes_before_a_blocking_streams_signal) {
  Shared shared(Semaphore::Kind::timeline);
  CUstream blocking = nullptr;
  CU(cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
  {
    Gate gate(nullptr);
    signal(blocking, {shared.op(1)});
    std::this_thread::sleep_for(a_while);
    EXPECT_EQ(shared.vulkan.value(), 0u);
  }
  EXPECT_TRUE(shared.vulkan.wait(1, 20s));
  CU(cuStreamDestroy(blocking));
}

TEST(one_call, takes_several_semaphores_of_both_kinds) {
  Shared a(Semaphore::Kind::timeline);
  Shared b(Semaphore::Kind::timeline);
  Shared c(Semaphore::Kind::binary);
  Shared d(Semaphore::Kind::binary);
  Stream first;
  Stream second;
  Gate gate(first);
  signal(first, {a.op(2), c.op(), b.op(9), d.op()});
  wait(second, {d.op(), b.op(9), a.op(2), c.op()});
  EXPECT_TRUE(waits(second));
  EXPECT_EQ(a.vulkan.value(), 0u);
  gate.open();
  CU(cuStreamSynchronize(second));
  EXPECT_EQ(a.vulkan.value(), 2u);
  EXPECT_EQ(b.vulkan.value(), 9u);
}

TEST(one_call, waits_for_all_of_them) {
  Shared a(Semaphore::Kind::timeline);
  Shared b(Semaphore::Kind::timeline);
  Stream stream;
  wait(stream, {a.op(1), b.op(1)});
  b.vulkan.signal(1);
  EXPECT_TRUE(waits(stream));
  a.vulkan.signal(1);
  EXPECT_EQ(cuStreamSynchronize(stream), CUDA_SUCCESS);
}

TEST(binary, an_earlier_frames_fence_is_never_taken_for_a_pending_signal) {
  Shared shared(Semaphore::Kind::binary);
  Stream stream;
  for (int frame = 0; frame < 5; ++frame) {
    Gate gate(stream);
    signal(stream, {shared.op()});
    std::atomic<bool> finished = false;
    std::thread vulkan_thread([&] {
      At ready = shared.at(0);
      Submission(nothing(), {&ready, 1}).wait();
      finished = true;
    });
    std::this_thread::sleep_for(20ms);
    EXPECT_FALSE(finished) << "frame " << frame;
    gate.open();
    vulkan_thread.join();
  }
}

TEST(destruction, of_a_semaphore_leaves_its_work_in_flight_alone) {
  Semaphore semaphore(Semaphore::Kind::timeline);
  CUexternalSemaphore imported = import(semaphore);
  Stream signalling;
  Stream waiting;
  Gate gate(signalling);
  signal(signalling, {{imported, 1}});
  wait(waiting, {{imported, 2}});
  CU(cuDestroyExternalSemaphore(imported));
  EXPECT_TRUE(waits(waiting));
  gate.open();
  EXPECT_TRUE(semaphore.wait(1, 20s));
  EXPECT_TRUE(waits(waiting));
  semaphore.signal(2);
  EXPECT_EQ(cuStreamSynchronize(waiting), CUDA_SUCCESS);
}

TEST(destruction, of_a_stream_leaves_its_signals_to_come) {
  Shared shared(Semaphore::Kind::timeline);
  auto stream = std::make_unique<Stream>();
  Gate gate(*stream);
  signal(*stream, {shared.op(1)});
  stream.reset();
  gate.open();
  EXPECT_TRUE(shared.vulkan.wait(1, 20s));
}

TEST(destruction, of_a_context_releases_both_sides) {
  Semaphore never(Semaphore::Kind::timeline);
  Semaphore signalled(Semaphore::Kind::timeline);
  CUcontext other = nullptr;
  CU(cuCtxCreate(&other, 0, 0));
  CUexternalSemaphore waited = import(never);
  CUexternalSemaphore pending = import(signalled);
  CUstream stream = nullptr;
  CU(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  wait(stream, {{waited, 1}});
  signal(stream, {{pending, 1}});
  EXPECT_TRUE(waits(stream));
  EXPECT_EQ(cuCtxDestroy(other), CUDA_SUCCESS);
  EXPECT_TRUE(signalled.wait(1, 20s));
}

TEST(a_hundred_streams, can_wait_at_once) {
  Shared shared(Semaphore::Kind::timeline);
  std::vector<std::unique_ptr<Stream>> streams;
  for (unsigned i = 0; i < 100; ++i) {
    streams.push_back(std::make_unique<Stream>());
    wait(*streams.back(), {shared.op(i + 1)});
  }
  for (unsigned i = 0; i < 100; ++i) {
    ASSERT_EQ(cuStreamQuery(*streams[i]), CUDA_ERROR_NOT_READY);
    shared.vulkan.signal(i + 1);
    ASSERT_EQ(cuStreamSynchronize(*streams[i]), CUDA_SUCCESS);
  }
}

} // namespace
