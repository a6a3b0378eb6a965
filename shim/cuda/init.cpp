// Initialization, version management, export tables, profiler control.
#include <cudaProfiler.h>

#include "entry.hpp"

using namespace shim;
using namespace shim::cuda;

CUresult cuInit(unsigned int flags) {
  return call_in_any_state(
      "cuInit",
      [&]() -> Result<void> {
        if (flags != 0)
          return util::fail(CUDA_ERROR_INVALID_VALUE, "cuInit: flags {:#x}", flags);
        return core::driver().initialise();
      },
      flags);
}

CUresult cuDriverGetVersion(int* version) {
  return call_in_any_state(
      "cuDriverGetVersion",
      [&]() -> Result<void> {
        if (Result<void> given = require("cuDriverGetVersion", version); !given)
          return given;
        *version = CUDA_VERSION;
        return {};
      },
      version);
}

CUresult cuGetExportTable(const void** table, const CUuuid* id) {
  return call_in_any_state(
      "cuGetExportTable",
      [&]() -> Result<void> {
        if (Result<void> given = require("cuGetExportTable", table, id); !given)
          return given;
        std::string text;
        for (char byte : id->bytes)
          text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
        return util::fail(CUDA_ERROR_INVALID_VALUE, "cuGetExportTable: no table {}", text);
      },
      table, id);
}

// There is never a profiler: CUDA documents that starting and stopping then do nothing.
CUresult cuProfilerStart() {
  return call_in_context("cuProfilerStart", [](core::Context&) -> Result<void> { return {}; });
}

CUresult cuProfilerStop() {
  return call_in_context("cuProfilerStop", [](core::Context&) -> Result<void> { return {}; });
}
