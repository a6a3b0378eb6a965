#include "fixture.hpp"

namespace {

using cuda_test::Gate;

class Event : public cuda_test::CudaTest {
protected:
  void SetUp() override {
    CudaTest::SetUp();
    ASSERT_OK(cuStreamCreate(&stream_, CU_STREAM_NON_BLOCKING));
  }
  void TearDown() override {
    EXPECT_OK(cuStreamDestroy(stream_));
    CudaTest::TearDown();
  }
  static CUevent create(unsigned flags = 0) {
    CUevent event = nullptr;
    EXPECT_OK(cuEventCreate(&event, flags));
    return event;
  }
  CUstream stream_ = nullptr;
};

TEST_F(Event, never_recorded_is_done) {
  CUevent event = create();
  EXPECT_OK(cuEventQuery(event));
  EXPECT_OK(cuEventSynchronize(event));
  EXPECT_OK(cuStreamWaitEvent(stream_, event, 0));
  EXPECT_OK(cuEventDestroy(event));
}

TEST_F(Event, is_done_when_what_was_before_it_is) {
  CUevent before = create(), behind = create(CU_EVENT_BLOCKING_SYNC);
  EXPECT_OK(cuEventRecord(before, stream_));
  {
    Gate gate(stream_);
    EXPECT_OK(cuEventRecord(behind, stream_));
    EXPECT_OK(cuEventSynchronize(before));
    EXPECT_CUDA(CUDA_ERROR_NOT_READY, cuEventQuery(behind));
  }
  EXPECT_OK(cuEventSynchronize(behind));
  EXPECT_OK(cuEventQuery(behind));
  EXPECT_OK(cuEventDestroy(before));
  EXPECT_OK(cuEventDestroy(behind));
}

TEST_F(Event, recording_again_replaces_the_point) {
  CUevent event = create();
  EXPECT_OK(cuEventRecord(event, stream_));
  EXPECT_OK(cuEventSynchronize(event));
  Gate gate(stream_);
  EXPECT_OK(cuEventRecord(event, stream_));
  EXPECT_CUDA(CUDA_ERROR_NOT_READY, cuEventQuery(event));
  gate.open();
  EXPECT_OK(cuEventSynchronize(event));
  EXPECT_OK(cuEventDestroy(event));
}

TEST_F(Event, elapsed_time_is_the_gpu_s) {
  CUevent start = create(), end = create();
  CUdeviceptr address = allocate(16 << 20);
  EXPECT_OK(cuEventRecord(start, stream_));
  EXPECT_OK(cuMemsetD8Async(address, 1, 16 << 20, stream_));
  EXPECT_OK(cuEventRecord(end, stream_));
  EXPECT_OK(cuEventSynchronize(end));
  float milliseconds = -1, back = 1;
  EXPECT_OK(cuEventElapsedTime(&milliseconds, start, end));
  EXPECT_GT(milliseconds, 0.0f);
  EXPECT_LT(milliseconds, 60'000.0f);
  EXPECT_OK(cuEventElapsedTime(&back, end, start));
  EXPECT_FLOAT_EQ(-milliseconds, back);
  EXPECT_OK(cuEventDestroy(start));
  EXPECT_OK(cuEventDestroy(end));
  EXPECT_OK(cuMemFree(address));
}

TEST_F(Event, elapsed_time_needs_two_recorded_timing_events) {
  CUevent recorded = create(), fresh = create(), untimed = create(CU_EVENT_DISABLE_TIMING),
          pending = create();
  float milliseconds = 0;
  EXPECT_OK(cuEventRecord(recorded, stream_));
  EXPECT_OK(cuEventRecord(untimed, stream_));
  EXPECT_OK(cuEventSynchronize(recorded));
  EXPECT_CUDA(CUDA_ERROR_INVALID_HANDLE, cuEventElapsedTime(&milliseconds, recorded, fresh));
  EXPECT_CUDA(CUDA_ERROR_INVALID_HANDLE, cuEventElapsedTime(&milliseconds, recorded, untimed));
  EXPECT_CUDA(CUDA_ERROR_INVALID_HANDLE, cuEventElapsedTime(nullptr, recorded, recorded));
  {
    Gate gate(stream_);
    EXPECT_OK(cuEventRecord(pending, stream_));
    EXPECT_CUDA(CUDA_ERROR_NOT_READY, cuEventElapsedTime(&milliseconds, recorded, pending));
  }
  EXPECT_OK(cuStreamSynchronize(stream_));
  for (CUevent event : {recorded, fresh, untimed, pending})
    EXPECT_OK(cuEventDestroy(event));
}

TEST_F(Event, bad_handles_and_flags_are_refused) {
  CUevent event = create();
  EXPECT_OK(cuEventDestroy(event));
  for (CUevent bad : {event, static_cast<CUevent>(nullptr), reinterpret_cast<CUevent>(stream_),
                      reinterpret_cast<CUevent>(0x40)}) {
    EXPECT_CUDA(CUDA_ERROR_INVALID_HANDLE, cuEventDestroy(bad));
    EXPECT_CUDA(CUDA_ERROR_INVALID_HANDLE, cuEventQuery(bad));
    EXPECT_CUDA(CUDA_ERROR_INVALID_HANDLE, cuEventSynchronize(bad));
    EXPECT_CUDA(CUDA_ERROR_INVALID_HANDLE, cuEventRecord(bad, stream_));
  }
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuEventCreate(&event, 0x80));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuEventCreate(&event, CU_EVENT_INTERPROCESS)); // needs DISABLE_TIMING
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuEventCreate(nullptr, 0));
}

TEST_F(Event, thousands_of_records) {
  CUevent event = create();
  for (int i = 0; i < 6000; ++i)
    ASSERT_OK(cuEventRecord(event, stream_));
  EXPECT_OK(cuEventSynchronize(event));
  EXPECT_OK(cuEventDestroy(event));
}

TEST_F(Event, more_events_than_the_kernel_has) {
  std::vector<CUevent> events;
  for (int i = 0; i < 5000; ++i) {
    events.push_back(create());
    ASSERT_OK(cuEventRecord(events.back(), stream_));
  }
  for (CUevent event : events)
    ASSERT_OK(cuEventSynchronize(event));
  for (CUevent event : events)
    ASSERT_OK(cuEventDestroy(event));
}

} // namespace
