#include <core/blit.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <span>

#include <core/code_object.hpp>
#include <core/stream.hpp>

#include "blit_gfx10_1.hpp"
#include "blit_gfx10_3.hpp"
#include "blit_gfx11.hpp"
#include "blit_gfx9.hpp"

namespace shim::core {

namespace {

constexpr std::uint32_t unit_bytes = 16;
constexpr std::uint32_t group_threads = 256;
constexpr std::uint32_t most_groups_x = 1024, most_groups_y = 4096;

// Arguments of the kernels, as blit/blit.cl declares them.
struct CopyArguments {
  std::uint64_t destination, source, destination_pitch, source_pitch, destination_slice, source_slice, width,
      height;
  std::uint32_t group_x, group_y, step_x, step_y;
};
struct FillArguments {
  std::uint64_t destination, pitch, width, height;
  std::uint32_t pattern, group_x, group_y, step_x, step_y;
};

std::span<const unsigned char> code_for(const kfd::NodeProperties& node) {
  if (node.gfx_major() == 9)
    return blit_gfx9;
  if (node.gfx_major() == 10 && node.gfx_minor() == 1)
    return blit_gfx10_1;
  if (node.gfx_major() == 10)
    return blit_gfx10_3;
  if (node.gfx_major() == 11)
    return blit_gfx11;
  return {};
}

// How a rectangle is spread over work-groups.
struct Spread {
  std::uint32_t group_x, group_y, groups_x, groups_y;
};

Spread spread(std::uint64_t width, std::uint64_t height) {
  std::uint64_t units =
      std::max<std::uint64_t>(width / unit_bytes, unit_bytes); // the last bytes need 16 threads
  Spread result;
  result.group_x = static_cast<std::uint32_t>(std::min<std::uint64_t>(std::bit_ceil(units), group_threads));
  result.group_y = group_threads / result.group_x;
  result.group_y = static_cast<std::uint32_t>(std::min<std::uint64_t>(result.group_y, std::bit_ceil(height)));
  auto groups = [](std::uint64_t items, std::uint32_t group, std::uint32_t most) {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>((items + group - 1) / group, most));
  };
  result.groups_x = groups(units, result.group_x, most_groups_x);
  result.groups_y = groups(height, result.group_y, most_groups_y);
  return result;
}

Dispatch dispatch_for(std::uint64_t kernel, const Spread& by, std::uint32_t depth,
                      std::uint32_t kernarg_bytes) {
  Dispatch dispatch;
  dispatch.kernel_object = kernel;
  dispatch.group[0] = static_cast<std::uint16_t>(by.group_x);
  dispatch.group[1] = static_cast<std::uint16_t>(by.group_y);
  dispatch.grid[0] = by.groups_x * by.group_x;
  dispatch.grid[1] = by.groups_y * by.group_y;
  dispatch.grid[2] = depth;
  dispatch.kernarg_bytes = kernarg_bytes;
  return dispatch;
}

} // namespace

Result<std::unique_ptr<BlitKernels>> BlitKernels::load(kfd::Device& gpu) {
  std::span<const unsigned char> image = code_for(gpu.properties());
  if (image.empty())
    return util::fail(CUDA_ERROR_NO_BINARY_FOR_GPU, "no copy kernels for {}", gpu.properties().gfx_name());
  Result<CodeObject> object = read_code_object(std::as_bytes(image));
  if (!object)
    return object.error();
  Result<kfd::Buffer> code = load_code(gpu, object->image);
  if (!code)
    return code.error();
  auto kernels = std::make_unique<BlitKernels>();
  kernels->copy_ = code->address() + object->symbols.at("blit_copy.kd");
  kernels->fill_ = code->address() + object->symbols.at("blit_fill.kd");
  kernels->code_ = std::move(*code);
  return kernels;
}

Result<void> BlitKernels::copy(Stream& stream, const CopyRegion& region,
                               std::span<const std::byte> payload) const {
  constexpr std::uint32_t payload_offset = 128;
  static_assert(sizeof(CopyArguments) <= payload_offset);
  Spread by = spread(region.width, region.height);
  CopyArguments arguments = {region.destination,
                             region.source,
                             region.destination_pitch,
                             region.source_pitch,
                             region.destination_slice,
                             region.source_slice,
                             region.width,
                             region.height,
                             by.group_x,
                             by.group_y,
                             by.groups_x * by.group_x,
                             by.groups_y * by.group_y};
  auto bytes = static_cast<std::uint32_t>(payload_offset + payload.size());
  Dispatch dispatch = dispatch_for(copy_, by, static_cast<std::uint32_t>(region.depth), bytes);
  if (!payload.empty()) {
    dispatch.inline_pointer = offsetof(CopyArguments, source);
    dispatch.inline_data = payload_offset;
  }
  return stream.dispatch(dispatch, [&](void* kernargs) {
    std::memcpy(kernargs, &arguments, sizeof(arguments));
    if (!payload.empty())
      std::memcpy(static_cast<std::byte*>(kernargs) + payload_offset, payload.data(), payload.size());
  });
}

Result<void> BlitKernels::fill(Stream& stream, const FillRegion& region) const {
  Spread by = spread(region.width, region.height);
  FillArguments arguments = {region.destination,      region.pitch, region.width, region.height,
                             region.pattern,          by.group_x,   by.group_y,   by.groups_x * by.group_x,
                             by.groups_y * by.group_y};
  return stream.dispatch(dispatch_for(fill_, by, 1, sizeof(arguments)),
                         [&](void* kernargs) { std::memcpy(kernargs, &arguments, sizeof(arguments)); });
}

} // namespace shim::core
