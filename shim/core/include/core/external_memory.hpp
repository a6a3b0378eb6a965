// cuImportExternalMemory: memory that another API exported as a file descriptor, and, as an extension, host
// memory that one stands for (shared_memory.hpp).
//
// The imported object keeps a reference of its own to the memory; every mapping keeps another. So neither
// depends on the order in which the application, the exporter and cuDestroyExternalMemory let go. None of
// these references is a descriptor: a process may have thousands of imports.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>

#include <core/handle.hpp>
#include <core/shared_memory.hpp>
#include <kfd/device.hpp>
#include <util/error.hpp>

namespace shim::core {

using util::Result;

class Context;

// Thread-safe.
class ExternalMemory {
public:
  static constexpr HandleKind handle_kind = HandleKind::external_memory;

  Context& context() const { return context_; }
  // What the application said at import; may exceed the object (mapping it all is refused then).
  std::uint64_t imported_size() const { return imported_size_; }
  // Host memory: it has no object.
  bool is_host() const { return host_.valid(); }
  // The kernel's word about the object: its size, domain, tiling and image descriptor.
  const kfd::DmabufInfo& object() const { return object_.info(); }

  std::uint64_t handle = 0;

private:
  friend Result<std::uint64_t> import_external_memory(Context&, const CUDA_EXTERNAL_MEMORY_HANDLE_DESC&);
  friend Result<std::uint64_t> map_buffer(ExternalMemory&, const CUDA_EXTERNAL_MEMORY_BUFFER_DESC&);
  ExternalMemory(Context& context, std::uint64_t imported_size);
  // Bytes that can be mapped.
  std::uint64_t limit() const { return is_host() ? imported_size_ : std::min(imported_size_, object().size); }

  Context& context_;
  kfd::ExternalObject object_;
  SharedMemory host_;
  std::uint64_t imported_size_;
};

// A handle. Takes desc.handle.fd: closed on success, untouched on failure. Errors (NVIDIA's):
// CUDA_ERROR_INVALID_VALUE for size 0, unknown flags or types and reserved words that are not zero;
// CUDA_ERROR_NOT_SUPPORTED for Windows' types; CUDA_ERROR_UNKNOWN for an fd that is no memory of this GPU's
// driver. Host memory must be as large as desc.size says, and writable: SharedMemory::open(). The object
// belongs to the context.
Result<std::uint64_t> import_external_memory(Context& context, const CUDA_EXTERNAL_MEMORY_HANDLE_DESC& desc);

// An address for [offset, offset + size): any offset, each call a new address. It is freed with cuMemFree or
// with the context. CUDA_ERROR_INVALID_VALUE for size 0, flags, reserved words, and a range beyond the
// imported size or the object.
Result<std::uint64_t> map_buffer(ExternalMemory& memory, const CUDA_EXTERNAL_MEMORY_BUFFER_DESC& desc);

} // namespace shim::core
