#include "entry.hpp"

#include "unimplemented.hpp"

namespace shim::cuda {

namespace detail {

void trace_result(const char* name, CUresult result) {
  util::log_trace("{} = {}", name, error_name(result));
}

util::Error refuse_in_state(CUresult state, const char* name) {
  if (state == CUDA_ERROR_DEINITIALIZED)
    return {state};
  return util::fail(state, "{}: the driver is not initialised", name);
}

} // namespace detail

bool known_context_flags(unsigned flags) {
  unsigned schedule = flags & CU_CTX_SCHED_MASK;
  return (flags & ~static_cast<unsigned>(CU_CTX_FLAGS_MASK)) == 0 &&
         (schedule == CU_CTX_SCHED_AUTO || schedule == CU_CTX_SCHED_SPIN || schedule == CU_CTX_SCHED_YIELD ||
          schedule == CU_CTX_SCHED_BLOCKING_SYNC);
}

Result<void> current_status() {
  Result<core::Pinned<core::Context>> current = core::current_context();
  if (current || current.code() == CUDA_ERROR_INVALID_CONTEXT ||
      current.code() == CUDA_ERROR_CONTEXT_IS_DESTROYED)
    return {};
  return current.error();
}

Result<core::Pinned<core::Stream>> stream_from(CUstream handle, DefaultStream default_stream) {
  if (handle == nullptr)
    handle = default_stream == DefaultStream::legacy ? CU_STREAM_LEGACY : CU_STREAM_PER_THREAD;
  if (handle == CU_STREAM_LEGACY || handle == CU_STREAM_PER_THREAD) {
    Result<core::Pinned<core::Context>> current = core::current_context();
    if (!current)
      return current.error();
    Result<core::Stream*> own =
        handle == CU_STREAM_LEGACY ? &(*current)->legacy_stream() : (*current)->per_thread_stream();
    if (!own)
      return own.error();
    return core::Pinned<core::Stream>(*std::move(current), **own);
  }
  Result<core::Pinned<core::Stream>> found = object_from<core::Stream>(handle, "stream");
  if (found)
    if (Result<void> status = (*found)->context().status(); !status) [[unlikely]]
      return status.error();
  return found;
}

int not_supported(const char* name) {
  return call(name, [&]() -> Result<void> {
    return util::fail(CUDA_ERROR_NOT_SUPPORTED, "{} is not supported", name);
  });
}

} // namespace shim::cuda
