// The DRM user interface of Linux 6.12: libdrm's headers, and what Debian's libdrm 2.4.114 does not have yet.
// What is newer has the kernel's names, in a namespace, so that newer headers do not clash. Structs that
// Linux 7.2 has made longer are as long as there: its checks of the new members count.
#pragma once

#include <cstddef>
#include <cstdint>

#include <libdrm/amdgpu_drm.h>
#include <libdrm/drm.h>

namespace emu::kernel::uapi {

struct drm_syncobj_wait {
  std::uint64_t handles;
  std::int64_t timeout_nsec;
  std::uint32_t count_handles;
  std::uint32_t flags;
  std::uint32_t first_signaled;
  std::uint32_t pad;
  std::uint64_t deadline_nsec;
};

struct drm_syncobj_timeline_wait {
  std::uint64_t handles;
  std::uint64_t points;
  std::int64_t timeout_nsec;
  std::uint32_t count_handles;
  std::uint32_t flags;
  std::uint32_t first_signaled;
  std::uint32_t pad;
  std::uint64_t deadline_nsec;
};

struct drm_syncobj_eventfd {
  std::uint32_t handle;
  std::uint32_t flags;
  std::uint64_t point;
  std::int32_t fd;
  std::uint32_t pad;
};

struct drm_syncobj_handle {
  std::uint32_t handle;
  std::uint32_t flags;
  std::int32_t fd;
  std::uint32_t pad;
  std::uint64_t point; // 7.2
};

struct drm_amdgpu_gem_op {
  std::uint32_t handle;
  std::uint32_t op;
  std::uint64_t value;
  std::uint32_t num_entries; // 7.2, and what follows
  std::uint32_t padding;
};

struct drm_amdgpu_gem_va {
  std::uint32_t handle;
  std::uint32_t pad;
  std::uint32_t operation;
  std::uint32_t flags;
  std::uint64_t va_address;
  std::uint64_t offset_in_bo;
  std::uint64_t map_size;
  std::uint64_t vm_timeline_point; // 7.2, and what follows
  std::uint32_t vm_timeline_syncobj_out;
  std::uint32_t num_syncobj_handles;
  std::uint64_t input_fence_syncobj_handles;
};

inline constexpr std::uint32_t syncobj_wait_flags_wait_deadline =
    1u << 3; // DRM_SYNCOBJ_WAIT_FLAGS_WAIT_DEADLINE

// drm_ioctl numbers (_IOC_NR) that are newer.
inline constexpr unsigned nr_syncobj_eventfd = 0xcf;

} // namespace emu::kernel::uapi
