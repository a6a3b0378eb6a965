#include "kernel_file.hpp"

#include <cstring>

namespace shim::jit {
namespace {

// Everything but the image, in the order of the header's members.
struct Header {
  std::uint32_t version;
  std::uint32_t image_bytes;
  std::uint32_t image_alignment;
  std::uint32_t descriptor_offset;
  std::uint32_t kernarg_bytes;
  std::uint32_t kernarg_alignment;
  std::uint32_t implicit_offset;
  std::uint32_t static_shared_bytes;
  std::uint32_t private_bytes;
  std::uint32_t dynamic_stack;
  std::uint32_t wavefront_size;
  std::uint32_t max_threads;
  std::uint32_t vgprs;
  std::uint32_t sgprs;
};

constexpr std::uint32_t file_version = 1;

} // namespace

std::string encode(const Kernel& kernel) {
  const Header header = {file_version,           static_cast<std::uint32_t>(kernel.image.size()),
                         kernel.image_alignment, kernel.descriptor_offset,
                         kernel.kernarg_bytes,   kernel.kernarg_alignment,
                         kernel.implicit_offset, kernel.static_shared_bytes,
                         kernel.private_bytes,   kernel.dynamic_stack,
                         kernel.wavefront_size,  kernel.max_threads,
                         kernel.vgprs,           kernel.sgprs};
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
  bytes.append(reinterpret_cast<const char*>(kernel.image.data()), kernel.image.size());
  return bytes;
}

std::optional<Kernel> decode(std::string_view bytes) {
  Header header;
  if (bytes.size() < sizeof header)
    return std::nullopt;
  std::memcpy(&header, bytes.data(), sizeof header);
  bytes.remove_prefix(sizeof header);
  if (header.version != file_version || header.image_bytes != bytes.size())
    return std::nullopt;
  Kernel kernel;
  kernel.image.resize(bytes.size());
  std::memcpy(kernel.image.data(), bytes.data(), bytes.size());
  kernel.image_alignment = header.image_alignment;
  kernel.descriptor_offset = header.descriptor_offset;
  kernel.kernarg_bytes = header.kernarg_bytes;
  kernel.kernarg_alignment = header.kernarg_alignment;
  kernel.implicit_offset = header.implicit_offset;
  kernel.static_shared_bytes = header.static_shared_bytes;
  kernel.private_bytes = header.private_bytes;
  kernel.dynamic_stack = header.dynamic_stack != 0;
  kernel.wavefront_size = header.wavefront_size;
  kernel.max_threads = header.max_threads;
  kernel.vgprs = header.vgprs;
  kernel.sgprs = header.sgprs;
  return kernel;
}

} // namespace shim::jit
