// Streams, events, host functions, operations on words in memory.
#include "world.hpp"

namespace answers {

namespace {

void CUDA_CB do_nothing(void*) {}
void CUDA_CB do_nothing_with_status(CUstream, CUresult, void*) {}

int one_operation(World& w, CUstreamBatchMemOpType type, unsigned flags, CUdeviceptr address) {
  CUstreamBatchMemOpParams operation{};
  operation.operation = type;
  operation.writeValue.operation = type;
  operation.writeValue.address = address;
  operation.writeValue.value = 0;
  operation.writeValue.flags = flags;
  return cuStreamBatchMemOp(w.stream, 1, &operation, 0);
}

const Question questions[] = {
    ASK(cuStreamCreate(nullptr, 0)),
    ASK(cuStreamCreate(w.out, 2)),
    ASK(cuStreamCreate(w.out, 0x80000000)),
    ASK(cuStreamCreateWithPriority(nullptr, 0, 0)),
    ASK(cuStreamCreateWithPriority(w.out, 4, 0)),
    ASK(cuStreamCreateWithPriority(w.out, 0, 1000)),
    ASK(cuStreamCreateWithPriority(w.out, 0, -1000)),
    ASK_AS("the priority that 1000 becomes",
           {
             CUstream made;
             int priority = 77;
             cuStreamCreateWithPriority(&made, 0, 1000);
             cuStreamGetPriority(made, &priority);
             cuStreamDestroy(made);
             return priority;
           }),
    ASK(cuStreamGetPriority(w.stream, nullptr)),
    ASK(cuStreamGetPriority(nullptr, w.out)),
    ASK(cuStreamGetPriority(w.dead_stream, w.out)),
    ASK(cuStreamGetPriority(w.zeros, w.out)),
    ASK(cuStreamGetPriority(w.wild, w.out)),
    ASK(cuStreamGetFlags(w.stream, nullptr)),
    ASK(cuStreamGetFlags(nullptr, w.out)),
    ASK_AS("the flags of stream 0",
           {
             unsigned flags = 77;
             cuStreamGetFlags(nullptr, &flags);
             return static_cast<int>(flags);
           }),
    ASK_AS("the flags of CU_STREAM_PER_THREAD",
           {
             unsigned flags = 77;
             cuStreamGetFlags(CU_STREAM_PER_THREAD, &flags);
             return static_cast<int>(flags);
           }),
    ASK(cuStreamGetFlags(w.dead_stream, w.out)),
    ASK(cuStreamGetCtx(w.stream, nullptr)),
    ASK(cuStreamGetCtx(nullptr, w.out)),
    ASK(cuStreamGetCtx(w.other_stream, w.out)),
    ASK(cuStreamGetCtx(w.zeros, w.out)),
    ASK(cuStreamQuery(w.stream)),
    ASK(cuStreamQuery(nullptr)),
    ASK(cuStreamQuery(CU_STREAM_LEGACY)),
    ASK(cuStreamQuery(CU_STREAM_PER_THREAD)),
    ASK(cuStreamQuery(w.dead_stream)),
    ASK(cuStreamQuery(w.zeros)),
    ASK(cuStreamQuery(w.wild)),
    ASK(cuStreamQuery(reinterpret_cast<CUstream>(3))),
    ASK(cuStreamSynchronize(w.other_stream) ? 1000 : cuStreamQuery(w.other_stream)),
    ASK(cuStreamSynchronize(w.dead_stream)),
    ASK(cuStreamSynchronize(w.zeros)),
    ASK(cuStreamSynchronize(w.other_stream)),
    ASK(cuStreamDestroy(nullptr)),
    ASK(cuStreamDestroy(CU_STREAM_LEGACY)),
    ASK(cuStreamDestroy(CU_STREAM_PER_THREAD)),
    ASK(cuStreamDestroy(w.dead_stream)),
    ASK(cuStreamDestroy(w.zeros)),
    ASK(cuStreamDestroy(w.wild)),
    ASK(cuStreamWaitEvent(w.stream, nullptr, 0)),
    ASK(cuStreamWaitEvent(w.stream, w.fresh, 0)),
    ASK(cuStreamWaitEvent(w.stream, w.event, 2)),
    ASK(cuStreamWaitEvent(w.stream, w.dead_event, 0)),
    ASK(cuStreamWaitEvent(w.stream, w.zeros, 0)),
    ASK(cuStreamWaitEvent(w.dead_stream, w.event, 0)),
    ASK(cuStreamWaitEvent(w.stream, w.other_event, 0)),
    ASK(cuStreamWaitEvent(w.other_stream, w.event, 0)),
    ASK(cuStreamWaitEvent(nullptr, w.event, 0)),
    ASK(cuStreamAddCallback(w.stream, nullptr, nullptr, 0)),
    ASK(cuStreamAddCallback(w.stream, do_nothing_with_status, nullptr, 1)),
    ASK(cuStreamAddCallback(w.dead_stream, do_nothing_with_status, nullptr, 0)),
    ASK(cuStreamAddCallback(nullptr, do_nothing_with_status, nullptr, 0)),
    ASK(cuLaunchHostFunc(w.stream, nullptr, nullptr)),
    ASK(cuLaunchHostFunc(w.dead_stream, do_nothing, nullptr)),
    ASK(cuLaunchHostFunc(w.zeros, do_nothing, nullptr)),
    ASK(cuStreamIsCapturing(w.stream, nullptr)),
    ASK(cuStreamIsCapturing(nullptr, w.out)),
    ASK(cuStreamIsCapturing(w.dead_stream, w.out)),
    ASK(cuStreamGetCaptureInfo(w.stream, nullptr, w.out)),
    ASK(cuStreamGetCaptureInfo(w.stream, w.out, nullptr)),
    ASK(cuStreamGetCaptureInfo(nullptr, w.out, w.out)),
    ASK(cuThreadExchangeStreamCaptureMode(nullptr)),
    ASK_AS("an unknown capture mode",
           {
             auto mode = static_cast<CUstreamCaptureMode>(99);
             return cuThreadExchangeStreamCaptureMode(&mode);
           }),

    ASK(cuEventCreate(nullptr, 0)),
    ASK(cuEventCreate(w.out, 0x10)),
    ASK(cuEventCreate(w.out, CU_EVENT_INTERPROCESS)),
    ASK(cuEventDestroy(nullptr)),
    ASK(cuEventDestroy(w.dead_event)),
    ASK(cuEventDestroy(w.zeros)),
    ASK(cuEventDestroy(w.wild)),
    ASK_AS("cuEventDestroy with another context current",
           {
             CUevent event;
             cuEventCreate(&event, 0);
             cuCtxPushCurrent(w.other);
             int answer = cuEventDestroy(event);
             cuCtxPopCurrent(nullptr);
             return answer;
           }),
    ASK(cuEventRecord(nullptr, w.stream)),
    ASK(cuEventRecord(w.dead_event, w.stream)),
    ASK(cuEventRecord(w.zeros, w.stream)),
    ASK(cuEventRecord(w.event, w.dead_stream)),
    ASK(cuEventRecord(w.event, w.zeros)),
    ASK(cuEventRecord(w.event, w.other_stream)),
    ASK(cuEventRecord(w.other_event, w.stream)),
    ASK(cuEventRecord(w.other_event, nullptr)),
    ASK_AS("an event of another context, in a stream of that",
           {
             int answer = cuEventRecord(w.other_event, w.other_stream);
             cuEventSynchronize(w.other_event);
             return answer;
           }),
    ASK(cuEventQuery(nullptr)),
    ASK(cuEventQuery(w.fresh)),
    ASK(cuEventQuery(w.dead_event)),
    ASK(cuEventQuery(w.zeros)),
    ASK(cuEventQuery(w.other_event)),
    ASK(cuEventSynchronize(nullptr)),
    ASK(cuEventSynchronize(w.fresh)),
    ASK(cuEventSynchronize(w.dead_event)),
    ASK(cuEventSynchronize(w.other_event)),
    ASK(cuEventElapsedTime(nullptr, w.event, w.event)),
    ASK(cuEventElapsedTime(nullptr, nullptr, nullptr)),
    ASK(cuEventElapsedTime(nullptr, w.fresh, w.event)),
    ASK(cuEventElapsedTime(nullptr, w.dead_event, w.event)),
    ASK(cuEventElapsedTime(w.out, nullptr, w.event)),
    ASK(cuEventElapsedTime(w.out, w.event, nullptr)),
    ASK(cuEventElapsedTime(w.out, w.event, w.event)),
    ASK(cuEventElapsedTime(w.out, w.untimed, w.event)),
    ASK(cuEventElapsedTime(w.out, w.event, w.untimed)),
    ASK(cuEventElapsedTime(w.out, w.fresh, w.event)),
    ASK(cuEventElapsedTime(w.out, w.event, w.fresh)),
    ASK(cuEventElapsedTime(w.out, w.other_event, w.event)),
    ASK(cuEventElapsedTime(w.out, w.other_event, w.other_event)),
    ASK(cuEventElapsedTime(w.out, w.dead_event, w.event)),
    ASK(cuEventElapsedTime(w.out, w.zeros, w.event)),

    ASK(cuStreamWriteValue32(w.stream, w.memory, 5, 0)),
    ASK(cuStreamWriteValue32(w.stream, w.memory, 5, CU_STREAM_WRITE_VALUE_NO_MEMORY_BARRIER)),
    ASK(cuStreamWriteValue32(w.stream, w.memory, 5, 0x10)),
    ASK(cuStreamWriteValue32(w.stream, w.memory + 2, 5, 0)),
    ASK(cuStreamWriteValue32(w.stream, 0, 5, 0)),
    ASK(cuStreamWriteValue32(w.stream, w.nowhere, 5, 0)),
    ASK(cuStreamWriteValue32(w.stream, reinterpret_cast<CUdeviceptr>(w.pinned), 5, 0)),
    ASK(cuStreamWriteValue32(w.stream, reinterpret_cast<CUdeviceptr>(w.pageable), 5, 0)),
    ASK(cuStreamWriteValue32(w.stream, w.managed, 5, 0)),
    ASK(cuStreamWriteValue32(nullptr, w.memory, 5, 0)),
    ASK(cuStreamWriteValue32(w.dead_stream, w.memory, 5, 0)),
    ASK(cuStreamWriteValue64(w.stream, w.memory, 5, 0)),
    ASK(cuStreamWriteValue64(w.stream, w.memory + 4, 5, 0)),
    ASK_AS("cuStreamWaitValue32 for a value that is there",
           {
             cuMemsetD32(w.memory, 5, 4);
             return cuStreamWaitValue32(w.stream, w.memory, 5, CU_STREAM_WAIT_VALUE_EQ);
           }),
    ASK(cuStreamWaitValue32(w.stream, w.memory, 0, 4)),
    ASK(cuStreamWaitValue32(w.stream, w.memory, 0, 0x80)),
    ASK(cuStreamWaitValue32(w.stream, w.memory + 1, 0, 0)),
    ASK(cuStreamWaitValue32(w.stream, 0, 0, 0)),
    ASK(cuStreamWaitValue32(w.stream, w.nowhere, 0, 0)),
    ASK(cuStreamWaitValue32(w.stream, w.memory, 0, CU_STREAM_WAIT_VALUE_FLUSH)),
    ASK(cuStreamWaitValue64(w.stream, w.memory, 0, 0)),
    ASK(cuStreamWaitValue64(w.stream, w.memory + 4, 0, 0)),
    ASK(cuStreamBatchMemOp(w.stream, 0, nullptr, 0)),
    ASK(cuStreamBatchMemOp(w.stream, 0, w.zeros, 0)),
    ASK(cuStreamBatchMemOp(w.stream, 1, nullptr, 0)),
    ASK(cuStreamBatchMemOp(w.stream, 1, w.zeros, 0)),
    ASK(cuStreamBatchMemOp(w.stream, 257, w.zeros, 0)),
    ASK(cuStreamBatchMemOp(w.stream, 1, w.zeros, 1)),
    ASK(one_operation(w, CU_STREAM_MEM_OP_WRITE_VALUE_32, 0, w.memory)),
    ASK(one_operation(w, CU_STREAM_MEM_OP_WRITE_VALUE_64, 0, w.memory)),
    ASK(one_operation(w, CU_STREAM_MEM_OP_WRITE_VALUE_32, 0x40, w.memory)),
    ASK(one_operation(w, CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES, 0, 0)),
    ASK(one_operation(w, static_cast<CUstreamBatchMemOpType>(77), 0, w.memory)),
};

} // namespace

std::span<const Question> stream_questions() {
  return questions;
}

} // namespace answers
