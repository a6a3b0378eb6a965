// The program's memory, which ioctl arguments point into and which may not be there.
#pragma once

#include <cstddef>
#include <cstdint>

namespace emu::kernel {

// False: EFAULT.
bool copy_from_user(void* to, std::uint64_t from, std::size_t size);
bool copy_to_user(std::uint64_t to, const void* from, std::size_t size);

// Is every page of the range mapped, whatever its permissions?
bool user_range_is_mapped(std::uint64_t address, std::uint64_t size);

} // namespace emu::kernel
