#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "fixture.hpp"

namespace {

using cuda_test::Gate;

class Stream : public cuda_test::CudaTest {
protected:
  CUstream create(unsigned flags = CU_STREAM_NON_BLOCKING) {
    CUstream stream = nullptr;
    EXPECT_OK(cuStreamCreate(&stream, flags));
    return stream;
  }
};

TEST_F(Stream, blocked_one_is_not_ready_and_delays_no_other) {
  CUstream blocked = create(), other = create();
  CUdeviceptr address = allocate(1024);
  {
    Gate gate(blocked);
    ASSERT_OK(cuMemsetD8Async(address, 1, 1024, blocked));
    EXPECT_CUDA(CUDA_ERROR_NOT_READY, cuStreamQuery(blocked));
    ASSERT_OK(cuMemsetD8Async(address, 2, 1024, other));
    EXPECT_OK(cuStreamSynchronize(other));
    EXPECT_OK(cuStreamQuery(other));
    EXPECT_CUDA(CUDA_ERROR_NOT_READY, cuStreamQuery(blocked));
    gate.open();
    EXPECT_OK(cuStreamSynchronize(blocked));
  }
  EXPECT_OK(cuStreamQuery(blocked));
  unsigned char byte = 0;
  EXPECT_OK(cuMemcpyDtoH(&byte, address, 1));
  EXPECT_EQ(1, byte);
  EXPECT_OK(cuStreamDestroy(blocked));
  EXPECT_OK(cuStreamDestroy(other));
  EXPECT_OK(cuMemFree(address));
}

TEST_F(Stream, flags_priority_and_context_are_remembered) {
  int least = 0, greatest = 0, priority = 99;
  ASSERT_OK(cuCtxGetStreamPriorityRange(&least, &greatest));
  EXPECT_LE(greatest, least);
  CUstream stream = nullptr;
  ASSERT_OK(cuStreamCreateWithPriority(&stream, CU_STREAM_NON_BLOCKING, greatest - 100));
  EXPECT_OK(cuStreamGetPriority(stream, &priority));
  EXPECT_EQ(greatest, priority);
  unsigned flags = 0;
  EXPECT_OK(cuStreamGetFlags(stream, &flags));
  EXPECT_EQ(static_cast<unsigned>(CU_STREAM_NON_BLOCKING), flags);
  CUcontext context = nullptr;
  EXPECT_OK(cuStreamGetCtx(stream, &context));
  EXPECT_EQ(context_, context);
  EXPECT_OK(cuStreamDestroy(stream));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuStreamCreate(&stream, 0x10));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuStreamCreate(nullptr, 0));
}

TEST_F(Stream, is_not_captured_unless_someone_began) {
  CUstream stream = create();
  CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_ACTIVE;
  EXPECT_OK(cuStreamIsCapturing(stream, &status));
  EXPECT_EQ(CU_STREAM_CAPTURE_STATUS_NONE, status);
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuStreamIsCapturing(stream, nullptr));
  CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
  EXPECT_OK(cuThreadExchangeStreamCaptureMode(&mode));
  EXPECT_EQ(CU_STREAM_CAPTURE_MODE_GLOBAL, mode);
  EXPECT_OK(cuThreadExchangeStreamCaptureMode(&mode));
  EXPECT_EQ(CU_STREAM_CAPTURE_MODE_RELAXED, mode);
  EXPECT_OK(cuStreamDestroy(stream));
}

TEST_F(Stream, bad_handles_are_refused) {
  CUstream stream = create();
  CUevent event = nullptr;
  ASSERT_OK(cuEventCreate(&event, 0));
  EXPECT_OK(cuStreamDestroy(stream));
  for (CUstream bad : {stream, reinterpret_cast<CUstream>(event), reinterpret_cast<CUstream>(0x77),
                       reinterpret_cast<CUstream>(&stream)}) {
    EXPECT_CUDA(CUDA_ERROR_INVALID_HANDLE, cuStreamDestroy(bad));
    EXPECT_CUDA(CUDA_ERROR_INVALID_HANDLE, cuStreamSynchronize(bad));
    EXPECT_CUDA(CUDA_ERROR_INVALID_HANDLE, cuStreamQuery(bad));
    EXPECT_CUDA(CUDA_ERROR_INVALID_HANDLE, cuEventRecord(event, bad));
  }
  EXPECT_CUDA(CUDA_ERROR_INVALID_HANDLE, cuStreamDestroy(nullptr));
  EXPECT_OK(cuEventDestroy(event));
}

TEST_F(Stream, legacy_stream_waits_for_blocking_streams) {
  CUstream blocking = create(CU_STREAM_DEFAULT);
  CUdeviceptr address = allocate(64);
  {
    Gate gate(blocking);
    ASSERT_OK(cuMemsetD8Async(address, 1, 64, blocking));
    ASSERT_OK(cuMemsetD8Async(address, 2, 64, CU_STREAM_LEGACY));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_CUDA(CUDA_ERROR_NOT_READY, cuStreamQuery(nullptr));
  }
  EXPECT_OK(cuStreamSynchronize(nullptr));
  unsigned char byte = 0;
  EXPECT_OK(cuMemcpyDtoH(&byte, address, 1));
  EXPECT_EQ(2, byte);
  EXPECT_OK(cuStreamDestroy(blocking));
  EXPECT_OK(cuMemFree(address));
}

TEST_F(Stream, blocking_streams_wait_for_the_legacy_stream_and_others_do_not) {
  CUstream blocking = create(CU_STREAM_DEFAULT), free_running = create(CU_STREAM_NON_BLOCKING);
  CUdeviceptr address = allocate(64);
  {
    Gate gate(CU_STREAM_LEGACY);
    ASSERT_OK(cuMemsetD8Async(address, 1, 64, blocking));
    ASSERT_OK(cuMemsetD8Async(address + 32, 3, 32, free_running));
    EXPECT_OK(cuStreamSynchronize(free_running));
    EXPECT_CUDA(CUDA_ERROR_NOT_READY, cuStreamQuery(blocking));
    EXPECT_CUDA(CUDA_ERROR_NOT_READY, cuStreamQuery(CU_STREAM_LEGACY));
  }
  EXPECT_OK(cuStreamSynchronize(blocking));
  EXPECT_OK(cuStreamDestroy(blocking));
  EXPECT_OK(cuStreamDestroy(free_running));
  EXPECT_OK(cuMemFree(address));
}

TEST_F(Stream, per_thread_streams_are_independent_of_each_other) {
  CUdeviceptr address = allocate(64);
  Gate gate(CU_STREAM_PER_THREAD);
  std::thread([&] {
    ASSERT_OK(cuCtxSetCurrent(context_));
    ASSERT_OK(cuMemsetD8Async(address, 1, 64, CU_STREAM_PER_THREAD));
    EXPECT_OK(cuStreamSynchronize(CU_STREAM_PER_THREAD));
  }).join();
  EXPECT_CUDA(CUDA_ERROR_NOT_READY, cuStreamQuery(CU_STREAM_PER_THREAD));
  gate.open();
  EXPECT_OK(cuStreamSynchronize(CU_STREAM_PER_THREAD));
  EXPECT_OK(cuMemFree(address));
}

TEST_F(Stream, events_order_two_streams) {
  CUstream first = create(), second = create();
  CUevent event = nullptr;
  ASSERT_OK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
  CUdeviceptr address = allocate(64);
  {
    Gate gate(first);
    ASSERT_OK(cuMemsetD8Async(address, 1, 64, first));
    ASSERT_OK(cuEventRecord(event, first));
    ASSERT_OK(cuStreamWaitEvent(second, event, 0));
    ASSERT_OK(cuMemsetD8Async(address, 2, 64, second));
    EXPECT_CUDA(CUDA_ERROR_NOT_READY, cuStreamQuery(second));
    EXPECT_CUDA(CUDA_ERROR_NOT_READY, cuEventQuery(event));
    ASSERT_OK(cuEventDestroy(event)); // who waits is still served
  }
  EXPECT_OK(cuStreamSynchronize(second));
  unsigned char byte = 0;
  EXPECT_OK(cuMemcpyDtoH(&byte, address, 1));
  EXPECT_EQ(2, byte);
  EXPECT_CUDA(CUDA_ERROR_INVALID_HANDLE, cuStreamWaitEvent(first, event, 0));
  EXPECT_OK(cuStreamDestroy(first));
  EXPECT_OK(cuStreamDestroy(second));
  EXPECT_OK(cuMemFree(address));
}

TEST_F(Stream, destroyed_with_work_left_it_still_does_it) {
  CUstream stream = create();
  void* host = nullptr;
  ASSERT_OK(cuMemAllocHost(&host, 64));
  *static_cast<unsigned char*>(host) = 0;
  {
    Gate gate(stream);
    ASSERT_OK(cuMemsetD8Async(reinterpret_cast<CUdeviceptr>(host), 9, 64, stream));
    EXPECT_OK(cuStreamDestroy(stream));
    EXPECT_EQ(0, *static_cast<unsigned char*>(host));
  }
  EXPECT_OK(cuCtxSynchronize());
  EXPECT_EQ(9, *static_cast<unsigned char*>(host));
  EXPECT_OK(cuMemFreeHost(host));
}

struct Log {
  std::mutex mutex;
  std::vector<int> entries;
  void add(int entry) {
    std::lock_guard lock(mutex);
    entries.push_back(entry);
  }
  // Race detectors do not see that the GPU puts the functions before the synchronization: so the lock, here
  // as well.
  std::vector<int> read() {
    std::lock_guard lock(mutex);
    return entries;
  }
};
struct Call {
  Log* log;
  int entry;
};

TEST_F(Stream, host_functions_run_in_order_and_hold_up_what_follows) {
  CUstream stream = create();
  Log log;
  std::vector<Call> calls;
  for (int i = 0; i < 50; ++i)
    calls.push_back({&log, i});
  for (Call& call : calls)
    ASSERT_OK(cuLaunchHostFunc(
        stream, [](void* data) { static_cast<Call*>(data)->log->add(static_cast<Call*>(data)->entry); },
        &call));
  ASSERT_OK(cuStreamSynchronize(stream));
  std::vector<int> entries = log.read();
  ASSERT_EQ(50u, entries.size());
  for (int i = 0; i < 50; ++i)
    EXPECT_EQ(i, entries[static_cast<std::size_t>(i)]);
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuLaunchHostFunc(stream, nullptr, nullptr));
  EXPECT_OK(cuStreamDestroy(stream));
}

TEST_F(Stream, more_host_functions_than_the_queue_holds) {
  CUstream stream = create();
  std::atomic<int> calls = 0;
  {
    Gate gate(stream);
    std::thread opener([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      gate.open();
    });
    for (int i = 0; i < 2000; ++i)
      ASSERT_OK(cuLaunchHostFunc(
          stream, [](void* count) { ++*static_cast<std::atomic<int>*>(count); }, &calls));
    opener.join();
  }
  ASSERT_OK(cuStreamSynchronize(stream));
  EXPECT_EQ(2000, calls);
  EXPECT_OK(cuStreamDestroy(stream));
}

TEST_F(Stream, event_in_a_blocking_stream_waits_for_the_legacy_stream) {
  CUstream blocking = create(CU_STREAM_DEFAULT);
  CUevent event = nullptr;
  ASSERT_OK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
  {
    Gate gate(CU_STREAM_LEGACY);
    ASSERT_OK(cuEventRecord(event, blocking));
    EXPECT_CUDA(CUDA_ERROR_NOT_READY, cuEventQuery(event));
  }
  EXPECT_OK(cuEventSynchronize(event));
  EXPECT_OK(cuEventDestroy(event));
  EXPECT_OK(cuStreamDestroy(blocking));
}

TEST_F(Stream, callbacks_see_stream_status_and_data) {
  struct Seen {
    std::atomic<CUstream> stream = nullptr;
    std::atomic<CUresult> status = CUDA_ERROR_UNKNOWN;
    std::atomic<std::thread::id> thread;
  } seen;
  CUstream stream = create();
  ASSERT_OK(cuStreamAddCallback(
      stream,
      [](CUstream where, CUresult status, void* data) {
        auto* result = static_cast<Seen*>(data);
        result->stream = where;
        result->status = status;
        result->thread = std::this_thread::get_id();
      },
      &seen, 0));
  ASSERT_OK(cuStreamSynchronize(stream));
  EXPECT_EQ(stream, seen.stream.load());
  EXPECT_EQ(CUDA_SUCCESS, seen.status.load());
  EXPECT_NE(std::this_thread::get_id(), seen.thread.load());
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuStreamAddCallback(stream, nullptr, nullptr, 0));
  EXPECT_OK(cuStreamDestroy(stream));
}

TEST_F(Stream, calls_from_host_functions_are_refused) {
  CUstream stream = create();
  std::atomic<CUresult> result = CUDA_SUCCESS;
  ASSERT_OK(cuLaunchHostFunc(
      stream, [](void* data) { *static_cast<std::atomic<CUresult>*>(data) = cuCtxSynchronize(); }, &result));
  ASSERT_OK(cuStreamSynchronize(stream));
  EXPECT_NE(CUDA_SUCCESS, result.load());
  EXPECT_OK(cuStreamDestroy(stream));
}

TEST_F(Stream, more_work_than_the_queue_holds) {
  CUstream stream = create();
  CUdeviceptr address = allocate(4096);
  for (unsigned i = 0; i < 5000; ++i)
    ASSERT_OK(cuMemsetD32Async(address, i, 16, stream));
  ASSERT_OK(cuStreamSynchronize(stream));
  unsigned value = 0;
  EXPECT_OK(cuMemcpyDtoH(&value, address, 4));
  EXPECT_EQ(4999u, value);
  EXPECT_OK(cuStreamDestroy(stream));
  EXPECT_OK(cuMemFree(address));
}

// Threads that wait for room in a full queue hold up no others.
TEST_F(Stream, full_one_that_a_thread_waits_for_lets_others_call) {
  CUstream full = create(CU_STREAM_DEFAULT);
  CUdeviceptr word = allocate(4);
  auto gate = std::make_unique<cuda_test::Gate>(full);
  std::vector<std::thread> waiting;
  auto wait_in = [&](auto call) {
    waiting.emplace_back([=, this] {
      EXPECT_OK(cuCtxSetCurrent(context_));
      call();
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  };
  wait_in([=] {
    for (int i = 0; i < 1100; ++i) {
      EXPECT_OK(cuMemsetD32Async(word, 1, 1, full));
    }
  });
  wait_in([] { EXPECT_OK(cuCtxSynchronize()); });
  wait_in([=] { EXPECT_OK(cuMemsetD32Async(word, 2, 1, CU_STREAM_LEGACY)); });
  std::future<void> other = std::async(std::launch::async, [this] {
    EXPECT_OK(cuCtxSetCurrent(context_));
    CUevent event = nullptr;
    EXPECT_OK(cuEventCreate(&event, CU_EVENT_DEFAULT));
    EXPECT_OK(cuEventDestroy(event));
  });
  EXPECT_EQ(other.wait_for(std::chrono::seconds(20)), std::future_status::ready);
  gate.reset();
  for (std::thread& thread : waiting)
    thread.join();
  EXPECT_OK(cuStreamDestroy(full));
}

TEST_F(Stream, many_at_once) {
  std::vector<CUstream> streams;
  CUdeviceptr address = allocate(64 * 4);
  for (unsigned i = 0; i < 64; ++i) {
    streams.push_back(create());
    ASSERT_OK(cuMemsetD32Async(address + 4 * i, i, 1, streams.back()));
  }
  ASSERT_OK(cuCtxSynchronize());
  std::vector<unsigned> values(64);
  EXPECT_OK(cuMemcpyDtoH(values.data(), address, 64 * 4));
  for (unsigned i = 0; i < 64; ++i)
    EXPECT_EQ(i, values[i]);
  for (CUstream stream : streams)
    EXPECT_OK(cuStreamDestroy(stream));
  EXPECT_OK(cuMemFree(address));
}

// The kernel gives a process 127 queues: streams that have nothing to do pass theirs on.
TEST_F(Stream, a_thousand_of_them) {
  constexpr unsigned count = 1000;
  std::vector<CUstream> streams;
  CUdeviceptr address = allocate(count * 4);
  for (unsigned i = 0; i < count; ++i) {
    streams.push_back(create());
    ASSERT_OK(cuMemsetD32Async(address + 4 * i, i, 1, streams.back()));
  }
  for (unsigned i = 0; i < count; i += 50)
    ASSERT_OK(cuMemsetD32Async(address + 4 * i, i + 1, 1, streams[i]));
  ASSERT_OK(cuCtxSynchronize());
  std::vector<unsigned> values(count);
  EXPECT_OK(cuMemcpyDtoH(values.data(), address, count * 4));
  for (unsigned i = 0; i < count; ++i)
    ASSERT_EQ(i % 50 == 0 ? i + 1 : i, values[i]);
  for (CUstream stream : streams)
    EXPECT_OK(cuStreamDestroy(stream));
  EXPECT_OK(cuMemFree(address));
}

TEST_F(Stream, threads_share_one) {
  CUstream stream = create();
  CUdeviceptr address = allocate(8 * 4);
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      ASSERT_OK(cuCtxSetCurrent(context_));
      for (unsigned i = 0; i < 200; ++i)
        ASSERT_OK(cuMemsetD32Async(address + 4 * t, i + t, 1, stream));
    });
  for (std::thread& thread : threads)
    thread.join();
  ASSERT_OK(cuStreamSynchronize(stream));
  std::vector<unsigned> values(8);
  EXPECT_OK(cuMemcpyDtoH(values.data(), address, 8 * 4));
  for (unsigned t = 0; t < 8; ++t)
    EXPECT_EQ(199 + t, values[t]);
  EXPECT_OK(cuStreamDestroy(stream));
  EXPECT_OK(cuMemFree(address));
}

} // namespace
