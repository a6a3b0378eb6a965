// Tables of calls that break one check each, and the errno that the kernel answers them with.
#pragma once

#include "kfd_test_device.hpp"

#include <functional>

namespace kfd_test {

struct Check {
  const char* what;
  std::function<long()> broken; // a negative errno, or something else
  long expected;
};

inline void run(std::initializer_list<Check> checks) {
  for (const Check& check : checks)
    EXPECT_EQ(check.broken(), check.expected) << check.what;
}

// A page that is not there, right behind one that is, and a page that can only be read. They stay as they
// are: the kernel gives out addresses from the other end.
inline void* hole() {
  static void* address = [] {
    constexpr u64 far_from_everything = 0x2000'0000'0000;
    void* at = mmap(reinterpret_cast<void*>(far_from_everything), page, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    return static_cast<char*>(at) + page;
  }();
  return address;
}
inline void* read_only() {
  static void* address = mmap(nullptr, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return address;
}
inline u64 as_u64(const void* address) {
  return reinterpret_cast<u64>(address);
}

// The result of mmap(): 0 (and unmapped again) or a negative errno.
inline long try_mmap(int fd, std::size_t length, u64 offset, int protection = PROT_READ | PROT_WRITE) {
  void* at = mmap(nullptr, length, protection, MAP_SHARED, fd, static_cast<off_t>(offset));
  if (at == MAP_FAILED)
    return -errno;
  munmap(at, length);
  return 0;
}

} // namespace kfd_test
