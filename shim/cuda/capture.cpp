// Stream capture, as far as it is true that nothing is ever captured: graphs are not supported.
#include <utility>

#include "entry.hpp"

using namespace shim;
using namespace shim::cuda;

namespace {

CUresult capture_status(const char* name, DefaultStream default_stream, CUstream stream,
                        CUstreamCaptureStatus* status) {
  return call_on_stream(
      name, stream, default_stream,
      [&](core::Stream&) -> Result<void> {
        if (Result<void> given = require(name, status); !given)
          return given;
        *status = CU_STREAM_CAPTURE_STATUS_NONE;
        return {};
      },
      status);
}

} // namespace

CUresult cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus* status) {
  return capture_status("cuStreamIsCapturing", DefaultStream::legacy, stream, status);
}

CUresult cuStreamIsCapturing_ptsz(CUstream stream, CUstreamCaptureStatus* status) {
  return capture_status("cuStreamIsCapturing_ptsz", DefaultStream::per_thread, stream, status);
}

// The id is written only while something is captured.
CUresult cuStreamGetCaptureInfo(CUstream stream, CUstreamCaptureStatus* status, cuuint64_t*) {
  return capture_status("cuStreamGetCaptureInfo", DefaultStream::legacy, stream, status);
}

CUresult cuStreamGetCaptureInfo_ptsz(CUstream stream, CUstreamCaptureStatus* status, cuuint64_t*) {
  return capture_status("cuStreamGetCaptureInfo_ptsz", DefaultStream::per_thread, stream, status);
}

CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode* mode) {
  return call(
      "cuThreadExchangeStreamCaptureMode",
      [&]() -> Result<void> {
        if (Result<void> given = require("cuThreadExchangeStreamCaptureMode", mode); !given)
          return given;
        if (*mode < CU_STREAM_CAPTURE_MODE_GLOBAL || *mode > CU_STREAM_CAPTURE_MODE_RELAXED)
          return util::fail(CUDA_ERROR_INVALID_VALUE, "capture mode {}", static_cast<int>(*mode));
        int before = std::exchange(core::this_thread().capture_mode, static_cast<int>(*mode));
        *mode = static_cast<CUstreamCaptureMode>(before);
        return {};
      },
      mode);
}
