// Execution control before 4.0: a function's launch is described by one call after the other.
#include <cstdint>
#include <cstring>

#include <core/device.hpp>
#include <core/launch.hpp>

#include "entry.hpp"

using namespace shim;
using namespace shim::cuda;

namespace {

constexpr std::size_t most_parameter_bytes = 4096;

// `body(core::Function&, core::Function::LegacyLaunch&)`, under the description's lock.
template <class Body, class... Args>
CUresult describe(const char* name, CUfunction function, Body&& body, const Args&... args) {
  return call_in_context(
      name,
      [&](core::Context&) -> Result<void> {
        Result<core::Pinned<core::Function>> found = object_from<core::Function>(function, "function");
        if (!found)
          return found.error();
        core::Function::LegacyLaunch& launch = (*found)->legacy_launch();
        std::lock_guard lock(launch.mutex);
        return body(**found, launch);
      },
      function, args...);
}

Result<void> set_parameter(core::Function::LegacyLaunch& launch, int offset, const void* data,
                           std::size_t bytes) {
  if (offset < 0 || static_cast<std::size_t>(offset) > most_parameter_bytes ||
      bytes > most_parameter_bytes - static_cast<std::size_t>(offset) || (!data && bytes > 0))
    return util::fail(CUDA_ERROR_INVALID_VALUE, "cuParamSet: {} bytes at {}", bytes, offset);
  launch.parameters.resize(most_parameter_bytes);
  if (bytes > 0)
    std::memcpy(launch.parameters.data() + offset, data, bytes);
  return {};
}

Result<void> launch_grid(core::Function& function, core::Function::LegacyLaunch& launch, int width,
                         int height, core::Stream& stream) {
  if (width <= 0 || height <= 0)
    return util::fail(CUDA_ERROR_INVALID_VALUE, "cuLaunchGrid: {} by {} blocks", width, height);
  launch.parameters.resize(most_parameter_bytes);
  void* extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, launch.parameters.data(), CU_LAUNCH_PARAM_BUFFER_SIZE,
                   &launch.parameter_bytes, CU_LAUNCH_PARAM_END};
  core::LaunchShape shape = {{static_cast<unsigned>(width), static_cast<unsigned>(height), 1},
                             {launch.block[0], launch.block[1], launch.block[2]},
                             launch.shared_bytes};
  return core::launch(function, stream, shape, nullptr, extra);
}

CUresult launch_described(const char* name, CUfunction function, int width, int height, CUstream stream) {
  return describe(
      name, function,
      [&](core::Function& found, core::Function::LegacyLaunch& launch) -> Result<void> {
        Result<core::Pinned<core::Stream>> in = stream_from(stream, DefaultStream::legacy);
        if (!in)
          return in.error();
        if (&(*in)->context() != &found.module().context())
          return util::fail(CUDA_ERROR_INVALID_HANDLE, "{}: function and stream belong to two contexts",
                            name);
        return launch_grid(found, launch, width, height, **in);
      },
      width, height, stream);
}

} // namespace

CUresult cuFuncSetBlockShape(CUfunction function, int x, int y, int z) {
  return describe(
      "cuFuncSetBlockShape", function,
      [&](core::Function&, core::Function::LegacyLaunch& launch) -> Result<void> {
        const int most[] = {1024, 1024, 64};
        const int given[] = {x, y, z};
        bool fits = std::int64_t{x} * y * z <= 1024;
        for (int i = 0; i < 3; ++i)
          fits = fits && given[i] > 0 && given[i] <= most[i];
        if (!fits)
          return util::fail(CUDA_ERROR_INVALID_VALUE, "cuFuncSetBlockShape({}, {}, {})", x, y, z);
        launch.block[0] = static_cast<unsigned>(x);
        launch.block[1] = static_cast<unsigned>(y);
        launch.block[2] = static_cast<unsigned>(z);
        return {};
      },
      x, y, z);
}

CUresult cuFuncSetSharedSize(CUfunction function, unsigned int bytes) {
  return describe(
      "cuFuncSetSharedSize", function,
      [&](core::Function& found, core::Function::LegacyLaunch& launch) -> Result<void> {
        if (bytes > found.module().context().device().shape().shared_per_block)
          return util::fail(CUDA_ERROR_INVALID_VALUE, "cuFuncSetSharedSize({})", bytes);
        launch.shared_bytes = bytes;
        return {};
      },
      bytes);
}

CUresult cuParamSetSize(CUfunction function, unsigned int bytes) {
  return describe(
      "cuParamSetSize", function,
      [&](core::Function&, core::Function::LegacyLaunch& launch) -> Result<void> {
        if (bytes > most_parameter_bytes)
          return util::fail(CUDA_ERROR_INVALID_VALUE, "cuParamSetSize({})", bytes);
        launch.parameter_bytes = bytes;
        return {};
      },
      bytes);
}

CUresult cuParamSeti(CUfunction function, int offset, unsigned int value) {
  return describe(
      "cuParamSeti", function,
      [&](core::Function&, core::Function::LegacyLaunch& launch) {
        return set_parameter(launch, offset, &value, sizeof(value));
      },
      offset, value);
}

CUresult cuParamSetf(CUfunction function, int offset, float value) {
  return describe(
      "cuParamSetf", function,
      [&](core::Function&, core::Function::LegacyLaunch& launch) {
        return set_parameter(launch, offset, &value, sizeof(value));
      },
      offset, value);
}

CUresult cuParamSetv(CUfunction function, int offset, void* data, unsigned int bytes) {
  return describe(
      "cuParamSetv", function,
      [&](core::Function&, core::Function::LegacyLaunch& launch) {
        return set_parameter(launch, offset, data, bytes);
      },
      offset, data, bytes);
}

CUresult cuLaunch(CUfunction function) {
  return launch_described("cuLaunch", function, 1, 1, nullptr);
}

CUresult cuLaunchGrid(CUfunction function, int width, int height) {
  return launch_described("cuLaunchGrid", function, width, height, nullptr);
}

CUresult cuLaunchGridAsync(CUfunction function, int width, int height, CUstream stream) {
  return launch_described("cuLaunchGridAsync", function, width, height, stream);
}
