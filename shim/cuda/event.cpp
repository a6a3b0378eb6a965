// Event management.
#include <utility>

#include "entry.hpp"

using namespace shim;
using namespace shim::cuda;

namespace {

CUresult record(const char* name, DefaultStream default_stream, CUevent event, CUstream stream) {
  return call_on_stream(
      name, stream, default_stream,
      [&](core::Stream& found) -> Result<void> {
        Result<core::Pinned<core::Event>> recorded = object_from<core::Event>(event, "event");
        if (!recorded)
          return recorded.error();
        if (&(*recorded)->context() != &found.context())
          return util::fail(CUDA_ERROR_INVALID_HANDLE, "{}: event and stream belong to two contexts", name);
        return (*recorded)->record(found);
      },
      event);
}

// `body(core::Event&)`.
template <class Body>
CUresult call_on_event(const char* name, CUevent event, Body&& body) {
  return call_on_object<core::Event>(name, event, "event", std::forward<Body>(body));
}

} // namespace

CUresult cuEventCreate(CUevent* event, unsigned int flags) {
  return call_in_context(
      "cuEventCreate",
      [&](core::Context& context) -> Result<void> {
        if (Result<void> given = require("cuEventCreate", event); !given)
          return given;
        constexpr unsigned known = CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS;
        if ((flags & ~known) || ((flags & CU_EVENT_INTERPROCESS) && !(flags & CU_EVENT_DISABLE_TIMING)))
          return util::fail(CUDA_ERROR_INVALID_VALUE, "cuEventCreate: flags {:#x}", flags);
        if (flags & CU_EVENT_INTERPROCESS)
          return util::fail(CUDA_ERROR_NOT_SUPPORTED, "cuEventCreate: events for several processes");
        Result<std::uint64_t> made = context.create_event(flags);
        if (!made)
          return made.error();
        *event = to_handle<CUevent>(*made);
        return {};
      },
      event, flags);
}

CUresult cuEventDestroy_v2(CUevent event) {
  return call_on_event("cuEventDestroy_v2", event,
                       [](core::Event& found) { return found.context().remove_child(found.handle); });
}

CUresult cuEventRecord(CUevent event, CUstream stream) {
  return record("cuEventRecord", DefaultStream::legacy, event, stream);
}

CUresult cuEventRecord_ptsz(CUevent event, CUstream stream) {
  return record("cuEventRecord_ptsz", DefaultStream::per_thread, event, stream);
}

CUresult cuEventQuery(CUevent event) {
  return call_on_event("cuEventQuery", event, [](core::Event& found) -> Result<void> {
    return found.done() ? Result<void>() : util::Error{CUDA_ERROR_NOT_READY};
  });
}

CUresult cuEventSynchronize(CUevent event) {
  return call_on_event("cuEventSynchronize", event, [](core::Event& found) { return found.synchronize(); });
}

CUresult cuEventElapsedTime(float* milliseconds, CUevent start, CUevent end) {
  return call_anywhere(
      "cuEventElapsedTime",
      [&]() -> Result<void> {
        if (!milliseconds) // NVIDIA's driver says so
          return util::fail(CUDA_ERROR_INVALID_HANDLE, "cuEventElapsedTime: a null pointer");
        Result<core::Pinned<core::Event>> first = object_from<core::Event>(start, "event");
        if (!first)
          return first.error();
        Result<core::Pinned<core::Event>> second = object_from<core::Event>(end, "event");
        if (!second)
          return second.error();
        if (&(*first)->context() != &(*second)->context())
          return util::fail(CUDA_ERROR_INVALID_HANDLE, "cuEventElapsedTime: events of two contexts");
        return store(milliseconds, core::Event::elapsed(**first, **second));
      },
      milliseconds, start, end);
}
