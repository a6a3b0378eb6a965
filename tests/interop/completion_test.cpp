// A signal is work of its stream: whoever learns that the stream has come to a point behind it finds it
// performed.

#include <chrono>
#include <functional>
#include <thread>
#include <vector>

#include "fixture.hpp"

namespace {

using namespace interop;
using namespace std::chrono_literals;

constexpr std::size_t words = 1 << 18; // work that takes a moment
constexpr std::uint64_t rounds = 60;

class Completion : public testing::Test {
protected:
  void SetUp() override {
    cuda = import(semaphore);
    CU(cuMemAlloc(&memory, words * 4));
    CU(cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
    CU(cuEventCreate(&event, CU_EVENT_DEFAULT));
  }
  void TearDown() override {
    cuCtxSynchronize();
    cuEventDestroy(event);
    cuStreamDestroy(blocking);
    cuMemFree(memory);
    cuDestroyExternalSemaphore(cuda);
  }
  void work_and_signal(CUstream in, std::uint64_t value) {
    CU(cuMemsetD32Async(memory, static_cast<unsigned>(value), words, in));
    signal(in, {{cuda, value}});
  }
  // `learn` returns when the work of this round is known to be done.
  void expect_no_signal_late(CUstream in, const std::function<void()>& learn) {
    for (std::uint64_t round = 1; round <= rounds; ++round) {
      work_and_signal(in, round);
      learn();
      ASSERT_EQ(semaphore.value(), round);
    }
  }
  static void poll(const std::function<CUresult()>& query) {
    while (query() == CUDA_ERROR_NOT_READY)
      std::this_thread::yield();
  }

  Semaphore semaphore{Semaphore::Kind::timeline};
  CUexternalSemaphore cuda = nullptr;
  CUdeviceptr memory = 0;
  Stream stream;
  Stream other;
  CUstream blocking = nullptr;
  CUevent event = nullptr;
};

TEST_F(Completion, synchronized_stream) {
  expect_no_signal_late(stream, [&] { CU(cuStreamSynchronize(stream)); });
}

TEST_F(Completion, stream_whose_query_says_done) {
  expect_no_signal_late(stream, [&] { poll([&] { return cuStreamQuery(stream); }); });
}

TEST_F(Completion, synchronized_event) {
  expect_no_signal_late(stream, [&] {
    CU(cuEventRecord(event, stream));
    CU(cuEventSynchronize(event));
  });
}

TEST_F(Completion, event_whose_query_says_done) {
  expect_no_signal_late(stream, [&] {
    CU(cuEventRecord(event, stream));
    poll([&] { return cuEventQuery(event); });
  });
}

TEST_F(Completion, synchronized_context) {
  expect_no_signal_late(stream, [&] { CU(cuCtxSynchronize()); });
}

TEST_F(Completion, blocking_copy_behind_it) {
  std::uint32_t seen = 0;
  expect_no_signal_late(blocking, [&] { CU(cuMemcpyDtoH(&seen, memory, 4)); });
}

TEST_F(Completion, blocking_upload_behind_it) {
  std::uint32_t value = 5;
  expect_no_signal_late(blocking, [&] { CU(cuMemcpyHtoD(memory, &value, 4)); });
}

TEST_F(Completion, host_function_behind_it) {
  struct Look {
    const Semaphore& semaphore;
    std::uint64_t seen = 0;
  } look = {semaphore};
  for (std::uint64_t round = 1; round <= rounds; ++round) {
    work_and_signal(stream, round);
    CU(cuLaunchHostFunc(
        stream,
        [](void* pointer) {
          auto& at = *static_cast<Look*>(pointer);
          at.seen = at.semaphore.value();
        },
        &look));
    CU(cuStreamSynchronize(stream));
    ASSERT_EQ(look.seen, round);
  }
}

TEST_F(Completion, another_stream_behind_an_event) {
  expect_no_signal_late(stream, [&] {
    CU(cuEventRecord(event, stream));
    CU(cuStreamWaitEvent(other, event, 0));
    CU(cuStreamSynchronize(other));
  });
}

TEST_F(Completion, legacy_stream_behind_a_blocking_one) {
  expect_no_signal_late(blocking, [&] {
    CU(cuMemsetD32Async(memory, 0, 1, nullptr));
    CU(cuStreamSynchronize(nullptr));
  });
}

TEST_F(Completion, blocking_stream_behind_the_legacy_one) {
  expect_no_signal_late(nullptr, [&] {
    CU(cuMemsetD32Async(memory, 0, 1, blocking));
    CU(cuStreamSynchronize(blocking));
  });
}

TEST_F(Completion, event_in_the_middle_of_a_stream_that_goes_on) {
  for (std::uint64_t round = 1; round <= rounds; ++round) {
    work_and_signal(stream, 2 * round - 1);
    CU(cuEventRecord(event, stream));
    work_and_signal(stream, 2 * round);
    CU(cuEventSynchronize(event));
    ASSERT_GE(semaphore.value(), 2 * round - 1);
  }
}

TEST_F(Completion, of_signals_in_a_chain_of_streams_comes_in_the_chains_order) {
  Semaphore second(Semaphore::Kind::timeline);
  CUexternalSemaphore second_cuda = import(second);
  for (std::uint64_t round = 1; round <= rounds; ++round) {
    work_and_signal(stream, round);
    CU(cuEventRecord(event, stream));
    CU(cuStreamWaitEvent(other, event, 0));
    signal(other, {{second_cuda, round}});
    while (second.value() < round)
      std::this_thread::yield();
    ASSERT_EQ(semaphore.value(), round);
  }
  CU(cuStreamSynchronize(other));
  CU(cuDestroyExternalSemaphore(second_cuda));
}

TEST_F(Completion, binary_semaphores_too) {
  Semaphore binary(Semaphore::Kind::binary);
  CUexternalSemaphore binary_cuda = import(binary);
  for (std::uint64_t round = 1; round <= rounds; ++round) {
    CU(cuMemsetD32Async(memory, static_cast<unsigned>(round), words, stream));
    signal(stream, {{binary_cuda, 0}, {cuda, round}});
    CU(cuStreamSynchronize(stream));
    ASSERT_EQ(semaphore.value(), round);
    wait(other, {{binary_cuda, 0}});
    ASSERT_EQ(cuStreamSynchronize(other), CUDA_SUCCESS);
  }
  CU(cuDestroyExternalSemaphore(binary_cuda));
}

} // namespace
