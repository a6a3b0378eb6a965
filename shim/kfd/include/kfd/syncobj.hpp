// DRM sync objects: what RADV exports as a semaphore fd, binary and timeline alike.
//
// A Syncobj is a handle on one drm file (a device's private render node). All members are thread-safe. Times
// are absolute CLOCK_MONOTONIC nanoseconds, 0 polls. Kernel source: drivers/gpu/drm/drm_syncobj.c.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include <kfd/signal.hpp>
#include <util/error.hpp>
#include <util/fd.hpp>

namespace shim::kfd {

using util::Result;

// What this kernel can do, probed once per drm file.
struct SyncobjFeatures {
  bool timeline = false; // DRM_CAP_SYNCOBJ_TIMELINE
  bool eventfd = false;  // SYNCOBJ_EVENTFD, since 6.6
};
SyncobjFeatures probe_syncobj_features(int drm_fd);

struct SyncobjPoint {
  std::uint32_t handle = 0;
  std::uint64_t point = 0;
};

class Syncobj {
public:
  Syncobj() = default;
  Syncobj(Syncobj&& other) noexcept
      : drm_fd_(std::exchange(other.drm_fd_, -1)), handle_(std::exchange(other.handle_, 0)) {}
  Syncobj& operator=(Syncobj&& other) noexcept {
    Syncobj taken(std::move(other));
    std::swap(drm_fd_, taken.drm_fd_);
    std::swap(handle_, taken.handle_);
    return *this;
  }
  // Destroys the handle. Eventfds that were registered through it never fire after the object's last handle
  // goes.
  ~Syncobj();

  // A new, private object.
  static Result<Syncobj> create(int drm_fd, bool signaled = false);
  // The object behind `fd`, which stays the caller's. CUDA_ERROR_UNKNOWN where it is no syncobj.
  static Result<Syncobj> import_fd(int drm_fd, int fd);
  Result<util::Fd> export_fd() const;

  bool valid() const { return drm_fd_ >= 0; }
  std::uint32_t handle() const { return handle_; }

  Result<void> reset();                           // no fence any more
  Result<void> signal();                          // binary: a signaled fence
  Result<void> signal_point(std::uint64_t value); // timeline: a signaled point
  Result<std::uint64_t> query_point() const;      // the highest signaled point

  // Is there a fence (for `point`, 0 for binary), signaled or not? Waits until `deadline` for one to be put
  // there.
  Result<WaitResult> wait_available(std::uint64_t point, std::int64_t deadline) const;
  // Waits until the fence is there and signaled.
  Result<WaitResult> wait_signaled(std::uint64_t point, std::int64_t deadline) const;

  // Waits until any of these points of the same drm file is signaled. Returns early where one of the handles
  // is none any more. False where it cannot be waited for at all: logged.
  bool wait_any_signaled(const std::vector<SyncobjPoint>& points, std::int64_t deadline) const;

  // Copies the fence of `point` (0 for binary) to `target`'s point (0 for binary). CUDA_ERROR_INVALID_VALUE
  // without one.
  Result<void> transfer_to(Syncobj& target, std::uint64_t target_point, std::uint64_t point) const;

  // Adds 1 to the eventfd once the point is signaled, whether or not its fence exists yet; or once the fence
  // does. CUDA_ERROR_NOT_SUPPORTED on kernels without it.
  enum class Until : std::uint8_t { signaled, available };
  Result<void> register_eventfd(std::uint64_t point, int event_fd, Until until = Until::signaled) const;

  // The current fence as a sync_file, which poll() can wait for. CUDA_ERROR_INVALID_VALUE without a fence.
  Result<util::Fd> export_sync_file() const;

private:
  Syncobj(int drm_fd, std::uint32_t handle) : drm_fd_(drm_fd), handle_(handle) {}
  int drm_fd_ = -1;
  std::uint32_t handle_ = 0;
};

} // namespace shim::kfd
