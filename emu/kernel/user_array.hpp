// Arrays that an ioctl's arguments point to, copied in as the kernel copies them.
#pragma once

#include "user_memory.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace emu::kernel {

inline constexpr std::size_t kmalloc_max_size = 4 << 20; // KMALLOC_MAX_SIZE on x86-64
inline constexpr std::size_t kvmalloc_max_size = std::numeric_limits<std::int32_t>::max(); // INT_MAX

// 0, ENOMEM for more than `limit` bytes, EFAULT. An array of nothing may be anywhere.
template <class T>
int copy_array_from_user(std::vector<T>& to, std::uint64_t from, std::size_t count,
                         std::size_t limit = kmalloc_max_size) {
  if (count > limit / sizeof(T))
    return -ENOMEM;
  // Page by page, so that a huge count with nothing behind it costs no memory.
  constexpr std::size_t step = 4096 / sizeof(T) + 1;
  to.clear();
  while (to.size() < count) {
    const std::size_t done = to.size(), more = count - done < step ? count - done : step;
    to.resize(done + more);
    if (!copy_from_user(to.data() + done, from + done * sizeof(T), more * sizeof(T)))
      return -EFAULT;
  }
  return 0;
}

} // namespace emu::kernel
