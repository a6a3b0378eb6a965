// What CUDA tells about an address.
#pragma once

#include <cstdint>

#include <core/memory.hpp>

namespace shim::core {

// Writes the attribute's value to `out`, whose type depends on the attribute. CUDA_ERROR_INVALID_VALUE for an
// attribute that 10.1 does not have, for an address that no allocation holds, and where there is no answer
// (device memory has no host pointer).
Result<void> pointer_attribute(void* out, CUpointer_attribute which, std::uint64_t address);
// The same, but an unknown address or a missing answer gives zeros (CU_DEVICE_INVALID for the ordinal).
Result<void> pointer_attribute_or_none(void* out, CUpointer_attribute which, std::uint64_t address);
// CU_POINTER_ATTRIBUTE_SYNC_MEMOPS alone can be set.
Result<void> set_pointer_attribute(const void* value, CUpointer_attribute which, std::uint64_t address);

} // namespace shim::core
