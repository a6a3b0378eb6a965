// AMDGPU code objects (ELF, amdhsa ABI) that need no relocation: the driver's own kernels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <kfd/device.hpp>
#include <util/error.hpp>

namespace shim::core {

using util::Result;

struct CodeObject {
  std::vector<std::byte> image;                 // the segments, laid out as they are addressed
  std::map<std::string, std::uint64_t> symbols; // offsets in the image
};

// CUDA_ERROR_INVALID_IMAGE where it is not a complete 64-bit AMDGPU ELF file.
Result<CodeObject> read_code_object(std::span<const std::byte> file);

// A copy in executable memory of the GPU.
Result<kfd::Buffer> load_code(kfd::Device& gpu, std::span<const std::byte> image);
// Memory that a program's code or data is written into by the CPU, once, before the GPU sees it.
Result<kfd::Buffer> allocate_for_loading(kfd::Device& gpu, std::uint64_t size, bool executable);

} // namespace shim::core
