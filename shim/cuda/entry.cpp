#include "entry.hpp"

#include "unimplemented.hpp"

namespace shim::cuda {

namespace detail {

void trace_result(const char* name, CUresult result) {
  const char* text = nullptr;
  cuGetErrorName(result, &text);
  util::log_trace("{} = {}", name, text ? text : "?");
}

} // namespace detail

bool known_context_flags(unsigned flags) {
  unsigned schedule = flags & CU_CTX_SCHED_MASK;
  return (flags & ~static_cast<unsigned>(CU_CTX_FLAGS_MASK)) == 0 &&
         (schedule == CU_CTX_SCHED_AUTO || schedule == CU_CTX_SCHED_SPIN || schedule == CU_CTX_SCHED_YIELD ||
          schedule == CU_CTX_SCHED_BLOCKING_SYNC);
}

Result<core::Stream*> stream_from(core::Context& current, CUstream handle, DefaultStream default_stream) {
  if (handle == nullptr)
    handle = default_stream == DefaultStream::legacy ? CU_STREAM_LEGACY : CU_STREAM_PER_THREAD;
  if (handle == CU_STREAM_LEGACY)
    return &current.legacy_stream();
  if (handle == CU_STREAM_PER_THREAD)
    return current.per_thread_stream();
  return object_from<core::Stream>(handle, "stream");
}

int not_supported(const char* name) {
  return call(name, [&]() -> Result<void> {
    return util::fail(CUDA_ERROR_NOT_SUPPORTED, "{} is not supported", name);
  });
}

} // namespace shim::cuda
