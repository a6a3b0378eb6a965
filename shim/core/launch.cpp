#include <core/launch.hpp>

#include <atomic>
#include <cstring>
#include <optional>

#include <core/device.hpp>
#include <core/driver.hpp>

namespace shim::core {

namespace {

constexpr unsigned max_grid[3] = {0x7fffffff, 65535, 65535};
constexpr unsigned max_block[3] = {1024, 1024, 64};

// A parameter block that the application made itself.
struct PackedParameters {
  const void* data = nullptr;
  std::size_t size = 0;
};

Result<PackedParameters> read_extra(void** extra) {
  PackedParameters packed;
  const std::size_t* size = nullptr;
  for (; *extra != CU_LAUNCH_PARAM_END; extra += 2) {
    if (*extra == CU_LAUNCH_PARAM_BUFFER_POINTER)
      packed.data = extra[1];
    else if (*extra == CU_LAUNCH_PARAM_BUFFER_SIZE)
      size = static_cast<const std::size_t*>(extra[1]);
    else
      return util::fail(CUDA_ERROR_INVALID_VALUE, "cuLaunchKernel: unknown option {} in extra", *extra);
  }
  if (!packed.data != !size)
    return util::fail(CUDA_ERROR_INVALID_VALUE,
                      "cuLaunchKernel: a buffer without size, or a size without buffer");
  packed.size = size ? *size : 0;
  return packed;
}

Result<void> check_shape(const Device& device, const jit::Entry& entry, const jit::Kernel& kernel,
                         const LaunchShape& shape, std::uint64_t shared_limit) {
  std::uint64_t threads = 1;
  for (int i = 0; i < 3; ++i) {
    if (shape.grid[i] == 0 || shape.block[i] == 0 || shape.block[i] > max_block[i] ||
        shape.grid[i] > max_grid[i] || std::uint64_t{shape.grid[i]} * shape.block[i] > 0xffffffff)
      return util::fail(CUDA_ERROR_INVALID_VALUE, "launch of {}: {} blocks of {} threads in dimension {}",
                        entry.name, shape.grid[i], shape.block[i], i);
    if (entry.required_threads[0] != 0 &&
        shape.block[i] != std::max(1u, entry.required_threads[static_cast<std::size_t>(i)]))
      return util::fail(CUDA_ERROR_INVALID_VALUE, "launch of {}: it requires blocks of {}x{}x{}", entry.name,
                        entry.required_threads[0], entry.required_threads[1], entry.required_threads[2]);
    threads *= shape.block[i];
  }
  if (threads > 1024)
    return util::fail(CUDA_ERROR_INVALID_VALUE, "launch of {}: blocks of {} threads", entry.name, threads);
  std::uint64_t allowed = std::uint64_t{entry.max_threads[0]} * std::max(1u, entry.max_threads[1]) *
                          std::max(1u, entry.max_threads[2]);
  if (threads > kernel.max_threads)
    return util::fail(
        allowed != 0 && threads > allowed ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES,
        "launch of {}: blocks of {} threads, of {} at most", entry.name, threads, kernel.max_threads);
  if (std::uint64_t{kernel.static_shared_bytes} + shape.dynamic_shared > device.shape().shared_per_block ||
      shape.dynamic_shared > shared_limit)
    return util::fail(CUDA_ERROR_INVALID_VALUE, "launch of {}: {} + {} bytes of shared memory", entry.name,
                      kernel.static_shared_bytes, shape.dynamic_shared);
  return {};
}

Result<void> check_parameters(const jit::Entry& entry, void** params,
                              const std::optional<PackedParameters>& packed) {
  if (entry.parameters.empty())
    return {};
  // As NVIDIA's driver does: fewer bytes will do, and the rest is undefined (zero here).
  if (packed && packed->size > entry.parameter_bytes)
    return util::fail(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, "launch of {}: {} bytes of parameters, not {}",
                      entry.name, packed->size, entry.parameter_bytes);
  if (packed && (!packed->data || packed->size == 0))
    return util::fail(CUDA_ERROR_INVALID_VALUE, "launch of {}: extra holds no parameters", entry.name);
  if (packed)
    return {};
  if (!params)
    return util::fail(CUDA_ERROR_INVALID_VALUE, "launch of {}: no parameters", entry.name);
  for (std::size_t i = 0; i < entry.parameters.size(); ++i)
    if (!params[i])
      return util::fail(CUDA_ERROR_INVALID_VALUE, "launch of {}: parameter {} is null", entry.name, i);
  return {};
}

} // namespace

Result<void> launch(Function& function, Stream& stream, const LaunchShape& shape, void** params,
                    void** extra) {
  static std::atomic<std::uint64_t> next_grid_id = 1;
  Result<const LoadedKernel*> loaded = function.load();
  if (!loaded)
    return loaded.error();
  const jit::Kernel& kernel = *(*loaded)->kernel;
  const jit::Entry& entry = function.entry();
  Context& context = function.module().context();
  int limit = function.dynamic_shared_limit.load(std::memory_order_relaxed);
  if (Result<void> fits = check_shape(context.device(), entry, kernel, shape,
                                      limit < 0 ? ~std::uint64_t{0} : static_cast<std::uint64_t>(limit));
      !fits)
    return fits;
  if (extra && *extra == CU_LAUNCH_PARAM_END && params)
    extra = nullptr;
  if (params && extra)
    return util::fail(CUDA_ERROR_INVALID_VALUE, "launch of {}: both kernelParams and extra", entry.name);
  std::optional<PackedParameters> packed;
  if (extra) {
    Result<PackedParameters> read = read_extra(extra);
    if (!read)
      return read.error();
    packed = *read;
  }
  if (Result<void> complete = check_parameters(entry, params, packed); !complete)
    return complete;
  if (kernel.kernarg_bytes > Channel::max_kernarg_bytes)
    return util::fail(CUDA_ERROR_INVALID_VALUE, "launch of {}: {} bytes of parameters", entry.name,
                      kernel.kernarg_bytes);

  Dispatch dispatch;
  dispatch.kernel_object = (*loaded)->kernel_object;
  for (int i = 0; i < 3; ++i) {
    dispatch.grid[i] = shape.grid[i] * shape.block[i];
    dispatch.group[i] = static_cast<std::uint16_t>(shape.block[i]);
  }
  dispatch.group_segment = kernel.static_shared_bytes + shape.dynamic_shared;
  dispatch.private_segment =
      kernel.private_bytes + (kernel.dynamic_stack ? static_cast<std::uint32_t>(context.stack_limit()) : 0);
  dispatch.kernarg_bytes = kernel.kernarg_bytes;
  jit::ImplicitArguments implicit = {};
  std::copy_n(shape.grid, 3, implicit.grid_blocks);
  std::copy_n(shape.block, 3, implicit.block_threads);
  implicit.dynamic_shared_bytes = shape.dynamic_shared;
  implicit.variable_addresses = function.module().variable_table();
  implicit.grid_id = next_grid_id.fetch_add(1, std::memory_order_relaxed);
  return stream.dispatch(dispatch, [&](void* kernargs) {
    auto* bytes = static_cast<std::byte*>(kernargs);
    if (packed && packed->data) {
      std::memcpy(bytes, packed->data, packed->size);
      std::memset(bytes + packed->size, 0, entry.parameter_bytes - packed->size);
    } else if (!packed)
      for (std::size_t i = 0; i < entry.parameters.size(); ++i)
        std::memcpy(bytes + entry.parameters[i].offset, params[i], entry.parameters[i].size);
    std::memcpy(bytes + kernel.implicit_offset, &implicit, sizeof(implicit));
  });
}

} // namespace shim::core
