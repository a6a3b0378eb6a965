// The pages below AMDGPU_GEM_USERPTR: what amdgpu_ttm_tt_get_user_pages and hmm_range_fault say of them.
#include "drm_file.hpp"

#include "real.hpp"

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <string>

#include <fcntl.h>

namespace emu::kernel {

namespace {

struct Area {
  std::uint64_t begin, end, inode;
  bool readable, writable, device;
};

std::string read_maps() {
  const int fd = real::open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  std::string text;
  char part[4096];
  for (long got; fd >= 0 && (got = real::read(fd, part, sizeof part)) > 0;)
    text.append(part, static_cast<std::size_t>(got));
  if (fd >= 0)
    real::close(fd);
  return text;
}

bool parse(const char* line, Area& area) {
  char permissions[5] = {};
  if (std::sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*x %*s %" SCNu64, &area.begin, &area.end, permissions,
                  &area.inode) != 4)
    return false;
  area.readable = permissions[0] == 'r';
  area.writable = permissions[1] == 'w';
  const char* end = std::strchr(line, '\n');
  const std::string_view whole(line, end ? static_cast<std::size_t>(end - line) : std::strlen(line));
  area.device = whole.find("/memfd:amdgpu-") != whole.npos;
  return true;
}

} // namespace

int DrmFile::check_user_pages(std::uint64_t address, std::uint64_t size, std::uint32_t flags) {
  const std::string maps = read_maps();
  if (maps.empty())
    return 0; // a sandbox hides them
  const std::uint64_t end = address + size;
  std::uint64_t at = address;
  for (const char* line = maps.c_str(); *line && at < end;) {
    Area area;
    if (parse(line, area) && area.end > at) {
      if (area.begin > at)
        return -EFAULT;
      // The first area decides, and must hold all.
      if (at == address && flags & AMDGPU_GEM_USERPTR_ANONONLY && (area.inode != 0 || area.end < end))
        return -EPERM;
      if (!area.readable || area.device)
        return -EFAULT;
      if (!(flags & AMDGPU_GEM_USERPTR_READONLY) && !area.writable)
        return -EPERM;
      at = area.end;
    }
    const char* newline = std::strchr(line, '\n');
    line = newline ? newline + 1 : "";
  }
  return at >= end ? 0 : -EFAULT;
}

// A buffer list with the program's own memory in it: its pages are looked for at every submission, those of
// the last entry first, as amdgpu_bo_list_create turns them round.
int DrmFile::check_user_pages(const BufferList& buffers) {
  for (auto entry = buffers.rbegin(); entry != buffers.rend(); ++entry) {
    const std::shared_ptr<BufferObject>& bo = *entry;
    if (!bo->is_userptr())
      continue;
    std::uint32_t flags = 0;
    {
      std::lock_guard lock(gem_mutex_);
      if (auto it = userptr_flags_.find(bo.get()); it != userptr_flags_.end())
        flags = it->second;
    }
    if (const int error = check_user_pages(reinterpret_cast<std::uint64_t>(bo->host()), bo->size(), flags);
        error < 0)
      return error;
  }
  return 0;
}

} // namespace emu::kernel
