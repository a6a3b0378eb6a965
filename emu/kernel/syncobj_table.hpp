// The syncobj handles of one drm file, and the DRM_IOCTL_SYNCOBJ_* calls upon them, as drm_syncobj.c of Linux
// 6.12 answers them, and with what 7.2 refuses. Thread-safe.
#pragma once

#include "drm_uapi.hpp"
#include "syncobj.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace emu::kernel {

class SyncobjTable {
public:
  // Answers an ioctl of the syncobj range; `data` is the request's struct, in the kernel's newest form. A
  // negative errno on failure; -ENOTTY: not a syncobj ioctl.
  long ioctl(unsigned nr, void* data);

  std::shared_ptr<Syncobj> find(std::uint32_t handle);

  // drm_syncobj_find_fence: the fence that `point` of the syncobj means. With
  // DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT in `flags` it blocks up to 5 s for one to appear.
  int find_fence(std::uint32_t handle, std::uint64_t point, std::uint64_t flags, Payload& fence);

  std::uint32_t add(std::shared_ptr<Syncobj> syncobj);
  // A descriptor for the syncobj or for its present fence; negative errno.
  int export_sync_file(std::uint32_t handle);
  int export_syncobj(std::uint32_t handle);

private:
  using Objects = std::vector<std::shared_ptr<Syncobj>>;
  long create(drm_syncobj_create& args);
  long destroy(const drm_syncobj_destroy& args);
  long handle_to_fd(uapi::drm_syncobj_handle& args);
  long fd_to_handle(uapi::drm_syncobj_handle& args);
  long transfer(const drm_syncobj_transfer& args);
  long wait(uapi::drm_syncobj_wait& args);
  long timeline_wait(uapi::drm_syncobj_timeline_wait& args);
  long eventfd(const uapi::drm_syncobj_eventfd& args);
  long reset(const drm_syncobj_array& args);
  long signal(const drm_syncobj_array& args);
  long timeline_signal(const drm_syncobj_timeline_array& args);
  long query(const drm_syncobj_timeline_array& args);

  int find_all(std::uint64_t handles, std::uint32_t count, Objects& out);
  static long wait_all(const Objects& objects, std::uint64_t user_points, std::uint32_t flags,
                       std::int64_t timeout, std::uint32_t& first);

  std::mutex mutex_;
  std::map<std::uint32_t, std::shared_ptr<Syncobj>> handles_;
};

} // namespace emu::kernel
