// The program's memory, which ioctl arguments point into and which may not be there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace emu::kernel {

// Plain copies, at the speed of one: a page that is not there, or not readable or writable, is found by the
// fault that it makes. False: EFAULT; how much was copied is not told.
bool copy_from_user(void* to, std::uint64_t from, std::size_t size);
bool copy_to_user(std::uint64_t to, const void* from, std::size_t size);

// Makes faults of engine threads and of the copies above ours (gpu/segv.hpp). The copies do it themselves.
void hook_faults();

// What pinning the pages would say (hmm_range_fault): 0; EFAULT (negative) where one is not mapped, not
// accessible, a device's (one of our own buffers) or beyond the end of its file; EPERM where it should be
// written and is not writable. Pages of files are faulted in. Reads the process's map: not for hot paths.
int pin_user_pages(std::uint64_t address, std::uint64_t size, bool write);

// What the program has mapped: what a vm_area_struct says.
struct UserArea {
  std::uint64_t begin = 0, end = 0;
  bool readable = false, writable = false;
  bool device = false; // one of our own buffers, or something of the kernel's
  bool file = false;   // it has pages as far as a file goes
};
// What lies within [begin, end), in order; areas that reach beyond it are cut. Not for hot paths either.
std::vector<UserArea> user_areas(std::uint64_t begin, std::uint64_t end);

} // namespace emu::kernel
