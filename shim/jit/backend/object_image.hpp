// A relocatable AMDGPU object as bytes that run wherever they are put.
#pragma once

#include <cstddef>
#include <string_view>

#include <jit/compiler.hpp>

namespace shim::jit {

// Lays out the object's sections, resolves its relocations (all must be relative), and fills in what the
// kernel's descriptor says: image, image_alignment, descriptor_offset, sizes and register counts. Throws
// std::runtime_error for an object that is not as expected.
void make_image(std::string_view object, std::string_view kernel_name, Kernel& kernel);

} // namespace shim::jit
