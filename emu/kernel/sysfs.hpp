// The files of /sys, /dev and /proc that tell of the emulated card, as a tree on disk, and the mapping of
// paths to it.
//
// The tree is made once per machine directory, under a name that carries its layout's version, and renamed
// into place when it is complete.
#pragma once

#include <climits>
#include <cstddef>

namespace emu::kernel::sysfs {

enum class Device { none, kfd, primary, render };

// The path to hand to the real kernel instead of `path`: `path` itself where it is none of ours (a few
// comparisons of bytes), else one in the tree, written into `buffer`.
const char* redirect(const char* path, char (&buffer)[PATH_MAX]);

// The character device that `path` (as the program gave it) names.
Device device_at(const char* path);

// Takes the tree's root off a path that the real kernel answered (realpath), in place.
void unredirect(char* path);

} // namespace emu::kernel::sysfs
