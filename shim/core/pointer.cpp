#include <core/pointer.hpp>

#include <core/driver.hpp>

namespace shim::core {

namespace {

template <class T>
void put(void* out, T value) {
  *static_cast<T*>(out) = value;
}

// Without an allocation: what cuPointerGetAttributes gives for addresses that CUDA does not know.
bool put_none(void* out, CUpointer_attribute which) {
  switch (which) {
  case CU_POINTER_ATTRIBUTE_CONTEXT:
  case CU_POINTER_ATTRIBUTE_HOST_POINTER:
    put<void*>(out, nullptr);
    return true;
  case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
    put<CUdeviceptr>(out, 0);
    return true;
  case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
  case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
  case CU_POINTER_ATTRIBUTE_IS_MANAGED:
    put<unsigned>(out, 0);
    return true;
  case CU_POINTER_ATTRIBUTE_BUFFER_ID:
    put<unsigned long long>(out, 0);
    return true;
  case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
    put<int>(out, CU_DEVICE_INVALID);
    return true;
  default:
    return false;
  }
}

void put_known(void* out, CUpointer_attribute which, const AllocationView& allocation,
               std::uint64_t address) {
  switch (which) {
  case CU_POINTER_ATTRIBUTE_CONTEXT:
    put<std::uint64_t>(out, allocation.context);
    return;
  case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
    put<unsigned>(out, allocation.is_host() ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE);
    return;
  case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
  case CU_POINTER_ATTRIBUTE_HOST_POINTER:
    put<std::uint64_t>(out, address);
    return;
  case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
    put<unsigned>(out, allocation.sync_memops);
    return;
  case CU_POINTER_ATTRIBUTE_BUFFER_ID:
    put<unsigned long long>(out, allocation.id);
    return;
  case CU_POINTER_ATTRIBUTE_IS_MANAGED:
    put<unsigned>(out, allocation.kind == AllocationKind::managed);
    return;
  case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
    put<int>(out, allocation.device);
    return;
  default:
    return;
  }
}

bool known(CUpointer_attribute which) {
  return which >= CU_POINTER_ATTRIBUTE_CONTEXT && which <= CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL &&
         which != CU_POINTER_ATTRIBUTE_P2P_TOKENS;
}

util::Error unknown_attribute(CUpointer_attribute which) {
  if (which == CU_POINTER_ATTRIBUTE_P2P_TOKENS)
    return util::fail(CUDA_ERROR_NOT_SUPPORTED, "there are no peer-to-peer tokens");
  return util::fail(CUDA_ERROR_INVALID_VALUE, "there is no pointer attribute {}", static_cast<int>(which));
}

} // namespace

Result<void> pointer_attribute(void* out, CUpointer_attribute which, std::uint64_t address) {
  if (!known(which))
    return unknown_attribute(which);
  std::optional<AllocationView> allocation = driver().allocations().find(address);
  if (!allocation)
    return util::fail(CUDA_ERROR_INVALID_VALUE, "{:#x} is in no allocation", address);
  if (which == CU_POINTER_ATTRIBUTE_HOST_POINTER && !allocation->cpu_uses())
    return util::fail(CUDA_ERROR_INVALID_VALUE, "device memory at {:#x} has no host pointer", address);
  put_known(out, which, *allocation, address);
  return {};
}

Result<void> pointer_attribute_or_none(void* out, CUpointer_attribute which, std::uint64_t address) {
  if (!known(which))
    return unknown_attribute(which);
  std::optional<AllocationView> allocation = driver().allocations().find(address);
  if (!allocation || (which == CU_POINTER_ATTRIBUTE_HOST_POINTER && !allocation->cpu_uses()))
    put_none(out, which);
  else
    put_known(out, which, *allocation, address);
  return {};
}

Result<void> set_pointer_attribute(const void* value, CUpointer_attribute which, std::uint64_t address) {
  if (which != CU_POINTER_ATTRIBUTE_SYNC_MEMOPS)
    return util::fail(CUDA_ERROR_INVALID_VALUE, "pointer attribute {} cannot be set",
                      static_cast<int>(which));
  if (!driver().allocations().set_sync_memops(address, *static_cast<const unsigned*>(value) != 0))
    return util::fail(CUDA_ERROR_INVALID_VALUE, "{:#x} is in no allocation", address);
  return {};
}

} // namespace shim::core
