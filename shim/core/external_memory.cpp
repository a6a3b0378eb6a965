#include <core/external_memory.hpp>

#include <algorithm>
#include <iterator>
#include <unistd.h>

#include <core/context.hpp>
#include <core/device.hpp>
#include <core/driver.hpp>

namespace shim::core {

namespace {

using util::fail;

template <std::size_t count>
bool all_zero(const unsigned (&words)[count]) {
  return std::all_of(std::begin(words), std::end(words), [](unsigned word) { return word == 0; });
}

Result<void> check(const CUDA_EXTERNAL_MEMORY_HANDLE_DESC& desc) {
  // Numbers that CUDA gave to later types, all of them foreign to this system.
  constexpr unsigned d3d11_resource = 6, d3d11_resource_kmt = 7, nvscibuf = 8, later = 9;
  if (desc.size == 0 || (desc.flags & ~CUDA_EXTERNAL_MEMORY_DEDICATED) || !all_zero(desc.reserved))
    return fail(CUDA_ERROR_INVALID_VALUE, "external memory of {} bytes, flags {:#x}", desc.size, desc.flags);
  switch (static_cast<unsigned>(desc.type)) {
  case CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD:
    return {};
  case CU_EXTERNAL_MEMORY_HANDLE_TYPE_D3D12_RESOURCE:
  case d3d11_resource:
  case d3d11_resource_kmt:
    if (!(desc.flags & CUDA_EXTERNAL_MEMORY_DEDICATED))
      return fail(CUDA_ERROR_INVALID_VALUE, "external memory handle type {} is always dedicated",
                  static_cast<unsigned>(desc.type));
    [[fallthrough]];
  case CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_WIN32:
  case CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_WIN32_KMT:
  case CU_EXTERNAL_MEMORY_HANDLE_TYPE_D3D12_HEAP:
  case nvscibuf:
  case later:
    return fail(CUDA_ERROR_NOT_SUPPORTED, "external memory handle type {} belongs to another system",
                static_cast<unsigned>(desc.type));
  default:
    return fail(CUDA_ERROR_INVALID_VALUE, "external memory handle type {}", static_cast<unsigned>(desc.type));
  }
}

} // namespace

ExternalMemory::ExternalMemory(Context& context, std::uint64_t imported_size)
    : context_(context), imported_size_(imported_size) {}

Result<std::uint64_t> import_external_memory(Context& context, const CUDA_EXTERNAL_MEMORY_HANDLE_DESC& desc) {
  if (Result<void> checked = check(desc); !checked)
    return checked.error();
  int theirs = desc.handle.fd;
  std::shared_ptr<ExternalMemory> memory(new ExternalMemory(context, desc.size));
  if (SharedMemory::is_behind(theirs)) {
    Result<SharedMemory> host = SharedMemory::open(theirs, desc.size);
    if (!host)
      return host.error();
    memory->host_ = *std::move(host);
  } else {
    Result<kfd::ExternalObject> object = context.device().opened().hold_dmabuf(theirs);
    if (!object)
      return object.error();
    memory->object_ = *std::move(object);
  }
  Result<std::uint64_t> added = context.add_child(std::move(memory));
  if (added)
    ::close(theirs); // the import has succeeded: it was given to us
  return added;
}

Result<std::uint64_t> map_buffer(ExternalMemory& memory, const CUDA_EXTERNAL_MEMORY_BUFFER_DESC& desc) {
  if (desc.size == 0 || desc.flags != 0 || !all_zero(desc.reserved))
    return fail(CUDA_ERROR_INVALID_VALUE, "mapping of {} bytes, flags {:#x}", desc.size, desc.flags);
  if (desc.offset > memory.limit() || desc.size > memory.limit() - desc.offset)
    return fail(CUDA_ERROR_INVALID_VALUE, "mapping of {} bytes at {} of {} bytes, imported as {}", desc.size,
                desc.offset, memory.limit(), memory.imported_size_);
  kfd::Device& device = memory.context_.device().opened();
  auto allocation = std::make_shared<Allocation>();
  allocation->kind = AllocationKind::mapped;
  allocation->context = memory.context_.shared_from_this();
  allocation->size = desc.size;
  if (memory.is_host()) {
    Result<std::shared_ptr<SharedMemory::View>> view = memory.host_.map(device, desc.offset, desc.size);
    if (!view)
      return view.error();
    allocation->base = (*view)->address;
    allocation->owner = *std::move(view);
  } else {
    Result<kfd::Buffer> buffer = device.map_object(memory.object_);
    if (!buffer)
      return buffer.error();
    allocation->base = buffer->address() + desc.offset;
    allocation->buffer = *std::move(buffer);
  }
  Result<AllocationView> inserted = driver().allocations().insert(std::move(allocation));
  if (!inserted)
    return inserted.error();
  return inserted->base;
}

} // namespace shim::core
