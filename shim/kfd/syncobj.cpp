#include <kfd/syncobj.hpp>

#include <cerrno>
#include <cstring>
#include <xf86drm.h>

#include <kfd/fork.hpp>

#include "ioctl.hpp"

namespace shim::kfd {

namespace {

// Since Linux 6.6; the layout of drm.h there. Debian 12's libdrm does not have it.
struct SyncobjEventfd {
  std::uint32_t handle;
  std::uint32_t flags;
  std::uint64_t point;
  std::int32_t fd;
  std::uint32_t pad;
};
static_assert(sizeof(SyncobjEventfd) == 24);
constexpr auto syncobj_eventfd =
    bind_ioctl<DRM_IOWR(0xCF, SyncobjEventfd), SyncobjEventfd>("DRM_IOCTL_SYNCOBJ_EVENTFD");

// libdrm's wrappers return 0, or -errno, or -1 with errno set.
int error_of(int returned) {
  if (returned == 0)
    return 0;
  return returned == -1 ? errno : -returned;
}

template <class Function, class... Args>
int drm_call(const char* name, Function function, int drm_fd, Args... args) {
  if (in_forked_child())
    return EBADF;
  int err = lost_or(error_of(function(drm_fd, args...)), drm_fd, DRM_IOCTL_SYNCOBJ_CREATE);
  util::log_trace("{}: {}", name, err ? std::strerror(err) : "ok");
  return err;
}

Result<WaitResult> wait_outcome(int err) {
  if (err == 0)
    return WaitResult::satisfied;
  if (err == ETIME)
    return WaitResult::timed_out;
  return ioctl_error("DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT", err);
}

Result<void> outcome(const char* name, int err) {
  if (err)
    return ioctl_error(name, err);
  return {};
}

} // namespace

SyncobjFeatures probe_syncobj_features(int drm_fd) {
  SyncobjFeatures features;
  std::uint64_t value = 0;
  features.timeline = drmGetCap(drm_fd, DRM_CAP_SYNCOBJ_TIMELINE, &value) == 0 && value != 0;
  // Handle 0 never exists: kernels that know the request say ENOENT, others ENOTTY or EINVAL.
  SyncobjEventfd probe{};
  probe.fd = -1;
  features.eventfd = try_ioctl(drm_fd, syncobj_eventfd, probe) == ENOENT;
  return features;
}

Syncobj::~Syncobj() {
  if (drm_fd_ >= 0 && !in_forked_child())
    drmSyncobjDestroy(drm_fd_, handle_);
}

Result<Syncobj> Syncobj::create(int drm_fd, bool signaled) {
  std::uint32_t handle = 0;
  if (int err = drm_call("drmSyncobjCreate", drmSyncobjCreate, drm_fd,
                         signaled ? DRM_SYNCOBJ_CREATE_SIGNALED : 0u, &handle))
    return ioctl_error("DRM_IOCTL_SYNCOBJ_CREATE", err);
  return Syncobj(drm_fd, handle);
}

Result<Syncobj> Syncobj::import_fd(int drm_fd, int fd) {
  std::uint32_t handle = 0;
  if (int err = drm_call("drmSyncobjFDToHandle", drmSyncobjFDToHandle, drm_fd, fd, &handle)) {
    if (in_forked_child() || err == EBADFD)
      return ioctl_error("DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE", err);
    return fail(CUDA_ERROR_UNKNOWN, "fd {} is not a semaphore: DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE: {}", fd,
                std::strerror(err));
  }
  return Syncobj(drm_fd, handle);
}

Result<util::Fd> Syncobj::export_fd() const {
  int fd = -1;
  if (int err = drm_call("drmSyncobjHandleToFD", drmSyncobjHandleToFD, drm_fd_, handle_, &fd))
    return ioctl_error("DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD", err);
  return util::Fd(fd);
}

Result<void> Syncobj::reset() {
  return outcome("DRM_IOCTL_SYNCOBJ_RESET",
                 drm_call("drmSyncobjReset", drmSyncobjReset, drm_fd_, &handle_, 1u));
}

Result<void> Syncobj::signal() {
  return outcome("DRM_IOCTL_SYNCOBJ_SIGNAL",
                 drm_call("drmSyncobjSignal", drmSyncobjSignal, drm_fd_, &handle_, 1u));
}

Result<void> Syncobj::signal_point(std::uint64_t value) {
  return outcome(
      "DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL",
      drm_call("drmSyncobjTimelineSignal", drmSyncobjTimelineSignal, drm_fd_, &handle_, &value, 1u));
}

Result<std::uint64_t> Syncobj::query_point() const {
  std::uint64_t point = 0;
  std::uint32_t handle = handle_;
  if (int err = drm_call("drmSyncobjQuery", drmSyncobjQuery, drm_fd_, &handle, &point, 1u))
    return ioctl_error("DRM_IOCTL_SYNCOBJ_QUERY", err);
  return point;
}

Result<WaitResult> Syncobj::wait_available(std::uint64_t point, std::int64_t deadline) const {
  std::uint32_t handle = handle_;
  return wait_outcome(drm_call(
      "drmSyncobjTimelineWait", drmSyncobjTimelineWait, drm_fd_, &handle, &point, 1u, deadline,
      static_cast<unsigned>(DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT | DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE),
      static_cast<std::uint32_t*>(nullptr)));
}

Result<WaitResult> Syncobj::wait_signaled(std::uint64_t point, std::int64_t deadline) const {
  std::uint32_t handle = handle_;
  return wait_outcome(drm_call("drmSyncobjTimelineWait", drmSyncobjTimelineWait, drm_fd_, &handle, &point, 1u,
                               deadline, static_cast<unsigned>(DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT),
                               static_cast<std::uint32_t*>(nullptr)));
}

Result<void> Syncobj::transfer_to(Syncobj& target, std::uint64_t target_point, std::uint64_t point) const {
  return outcome("DRM_IOCTL_SYNCOBJ_TRANSFER", drm_call("drmSyncobjTransfer", drmSyncobjTransfer, drm_fd_,
                                                        target.handle_, target_point, handle_, point, 0u));
}

bool Syncobj::wait_any_signaled(const std::vector<SyncobjPoint>& points, std::int64_t deadline) const {
  std::vector<std::uint32_t> handles;
  std::vector<std::uint64_t> values;
  for (const SyncobjPoint& each : points) {
    handles.push_back(each.handle);
    values.push_back(each.point);
  }
  std::uint32_t first = 0;
  const int err = drm_call("drmSyncobjTimelineWait", drmSyncobjTimelineWait, drm_fd_, handles.data(),
                           values.data(), static_cast<unsigned>(handles.size()), deadline,
                           static_cast<unsigned>(DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT), &first);
  if (err == 0 || err == ENOENT || err == EINVAL || err == ENOMEM)
    return true;
  static_cast<void>(ioctl_error("DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT", err));
  return false;
}

Result<void> Syncobj::register_eventfd(std::uint64_t point, int event_fd, Until until) const {
  SyncobjEventfd args{};
  args.handle = handle_;
  args.flags = until == Until::available ? DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE : 0;
  args.point = point;
  args.fd = event_fd;
  return call_ioctl(drm_fd_, syncobj_eventfd, args);
}

Result<util::Fd> Syncobj::export_sync_file() const {
  int fd = -1;
  if (int err = drm_call("drmSyncobjExportSyncFile", drmSyncobjExportSyncFile, drm_fd_, handle_, &fd))
    return ioctl_error("DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD", err);
  return util::Fd(fd);
}

} // namespace shim::kfd
