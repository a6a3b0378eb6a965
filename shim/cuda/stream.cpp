// Stream management.
#include <algorithm>

#include <core/host_functions.hpp>

#include "entry.hpp"

using namespace shim;
using namespace shim::cuda;

namespace {

CUresult create_stream(const char* name, CUstream* stream, unsigned int flags, int priority) {
  return call_in_context(
      name,
      [&](core::Context& context) -> Result<void> {
        if (Result<void> given = require(name, stream); !given)
          return given;
        if (flags & ~static_cast<unsigned>(CU_STREAM_NON_BLOCKING))
          return util::fail(CUDA_ERROR_INVALID_VALUE, "{}: flags {:#x}", name, flags);
        int clamped = std::clamp(priority, core::greatest_stream_priority, core::least_stream_priority);
        Result<std::uint64_t> made = context.create_stream(flags, clamped);
        if (!made)
          return made.error();
        *stream = to_handle<CUstream>(*made);
        return {};
      },
      stream, flags, priority);
}

CUresult get_priority(const char* name, DefaultStream default_stream, CUstream stream, int* priority) {
  return call_on_stream(
      name, stream, default_stream,
      [&](core::Stream& found) -> Result<void> {
        if (Result<void> given = require(name, priority); !given)
          return given;
        *priority = found.priority();
        return {};
      },
      priority);
}

CUresult get_flags(const char* name, DefaultStream default_stream, CUstream stream, unsigned int* flags) {
  return call_on_stream(
      name, stream, default_stream,
      [&](core::Stream& found) -> Result<void> {
        if (Result<void> given = require(name, flags); !given)
          return given;
        *flags = found.flags();
        return {};
      },
      flags);
}

CUresult get_context(const char* name, DefaultStream default_stream, CUstream stream, CUcontext* context) {
  return call_on_stream(
      name, stream, default_stream,
      [&](core::Stream& found) -> Result<void> {
        if (Result<void> given = require(name, context); !given)
          return given;
        *context = to_handle<CUcontext>(found.context().handle);
        return {};
      },
      context);
}

CUresult wait_event(const char* name, DefaultStream default_stream, CUstream stream, CUevent event,
                    unsigned int flags) {
  return call_on_stream(
      name, stream, default_stream,
      [&](core::Stream& found) -> Result<void> {
        if (flags != 0)
          return util::fail(CUDA_ERROR_INVALID_VALUE, "{}: flags {:#x}", name, flags);
        Result<core::Pinned<core::Event>> awaited = object_from<core::Event>(event, "event");
        if (!awaited)
          return awaited.error();
        return (*awaited)->make_wait(found);
      },
      event, flags);
}

CUresult query(const char* name, DefaultStream default_stream, CUstream stream) {
  return call_on_stream(name, stream, default_stream, [&](core::Stream& found) -> Result<void> {
    Result<bool> idle = found.idle();
    if (!idle)
      return idle.error();
    return *idle ? Result<void>() : util::Error{CUDA_ERROR_NOT_READY};
  });
}

CUresult synchronize(const char* name, DefaultStream default_stream, CUstream stream) {
  return call_on_stream(name, stream, default_stream,
                        [&](core::Stream& found) { return found.synchronize(); });
}

CUresult add_callback(const char* name, DefaultStream default_stream, CUstream stream,
                      CUstreamCallback callback, void* user_data, unsigned int flags) {
  return call_on_stream(
      name, stream, default_stream,
      [&](core::Stream& found) -> Result<void> {
        if (!callback || flags != 0)
          return util::fail(CUDA_ERROR_INVALID_VALUE, "{}: no function, or flags {:#x}", name, flags);
        return found.context().host_functions().enqueue(
            found, [=](CUresult status) { callback(stream, status, user_data); }, true);
      },
      callback, user_data, flags);
}

CUresult launch_host_func(const char* name, DefaultStream default_stream, CUstream stream, CUhostFn function,
                          void* user_data) {
  return call_on_stream(
      name, stream, default_stream,
      [&](core::Stream& found) -> Result<void> {
        if (!function)
          return util::fail(CUDA_ERROR_INVALID_VALUE, "{}: no function", name);
        return found.context().host_functions().enqueue(
            found, [=](CUresult) { function(user_data); }, false);
      },
      function, user_data);
}

} // namespace

CUresult cuStreamCreate(CUstream* stream, unsigned int flags) {
  return create_stream("cuStreamCreate", stream, flags, 0);
}

CUresult cuStreamCreateWithPriority(CUstream* stream, unsigned int flags, int priority) {
  return create_stream("cuStreamCreateWithPriority", stream, flags, priority);
}

CUresult cuStreamDestroy_v2(CUstream stream) {
  return call_anywhere(
      "cuStreamDestroy_v2",
      [&]() -> Result<void> {
        Result<core::Pinned<core::Stream>> found = object_from<core::Stream>(stream, "stream");
        if (!found)
          return found.error();
        if ((*found)->role() != core::StreamRole::user)
          return util::fail(CUDA_ERROR_INVALID_HANDLE, "cuStreamDestroy: a default stream");
        return (*found)->context().destroy_stream(**found);
      },
      stream);
}

CUresult cuStreamGetPriority(CUstream stream, int* priority) {
  return get_priority("cuStreamGetPriority", DefaultStream::legacy, stream, priority);
}

CUresult cuStreamGetPriority_ptsz(CUstream stream, int* priority) {
  return get_priority("cuStreamGetPriority_ptsz", DefaultStream::per_thread, stream, priority);
}

CUresult cuStreamGetFlags(CUstream stream, unsigned int* flags) {
  return get_flags("cuStreamGetFlags", DefaultStream::legacy, stream, flags);
}

CUresult cuStreamGetFlags_ptsz(CUstream stream, unsigned int* flags) {
  return get_flags("cuStreamGetFlags_ptsz", DefaultStream::per_thread, stream, flags);
}

CUresult cuStreamGetCtx(CUstream stream, CUcontext* context) {
  return get_context("cuStreamGetCtx", DefaultStream::legacy, stream, context);
}

CUresult cuStreamGetCtx_ptsz(CUstream stream, CUcontext* context) {
  return get_context("cuStreamGetCtx_ptsz", DefaultStream::per_thread, stream, context);
}

CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned int flags) {
  return wait_event("cuStreamWaitEvent", DefaultStream::legacy, stream, event, flags);
}

CUresult cuStreamWaitEvent_ptsz(CUstream stream, CUevent event, unsigned int flags) {
  return wait_event("cuStreamWaitEvent_ptsz", DefaultStream::per_thread, stream, event, flags);
}

CUresult cuStreamQuery(CUstream stream) {
  return query("cuStreamQuery", DefaultStream::legacy, stream);
}

CUresult cuStreamQuery_ptsz(CUstream stream) {
  return query("cuStreamQuery_ptsz", DefaultStream::per_thread, stream);
}

CUresult cuStreamSynchronize(CUstream stream) {
  return synchronize("cuStreamSynchronize", DefaultStream::legacy, stream);
}

CUresult cuStreamSynchronize_ptsz(CUstream stream) {
  return synchronize("cuStreamSynchronize_ptsz", DefaultStream::per_thread, stream);
}

CUresult cuStreamAddCallback(CUstream stream, CUstreamCallback callback, void* user_data,
                             unsigned int flags) {
  return add_callback("cuStreamAddCallback", DefaultStream::legacy, stream, callback, user_data, flags);
}

CUresult cuStreamAddCallback_ptsz(CUstream stream, CUstreamCallback callback, void* user_data,
                                  unsigned int flags) {
  return add_callback("cuStreamAddCallback_ptsz", DefaultStream::per_thread, stream, callback, user_data,
                      flags);
}

CUresult cuLaunchHostFunc(CUstream stream, CUhostFn function, void* user_data) {
  return launch_host_func("cuLaunchHostFunc", DefaultStream::legacy, stream, function, user_data);
}

CUresult cuLaunchHostFunc_ptsz(CUstream stream, CUhostFn function, void* user_data) {
  return launch_host_func("cuLaunchHostFunc_ptsz", DefaultStream::per_thread, stream, function, user_data);
}
