// The one way into the kernel: every ioctl of KFD and amdgpu is an Ioctl below, which binds its number to its
// struct.
#pragma once

#include <cstdint>
#include <linux/kfd_ioctl.h>
#include <sys/ioctl.h>

#include <amdgpu_drm.h>
#include <drm.h>

#include <util/error.hpp>

namespace shim::kfd {

using util::Error;
using util::fail;
using util::fail_errno;
using util::Result;

template <class Args>
struct Ioctl {
  unsigned long request;
  const char* name;
};

template <unsigned long request, class Args>
constexpr Ioctl<Args> bind_ioctl(const char* name) {
  static_assert(_IOC_SIZE(request) == sizeof(Args), "the request was made for another struct");
  return {request, name};
}

namespace requests {

inline constexpr auto get_version =
    bind_ioctl<AMDKFD_IOC_GET_VERSION, kfd_ioctl_get_version_args>("AMDKFD_IOC_GET_VERSION");
inline constexpr auto get_process_apertures_new =
    bind_ioctl<AMDKFD_IOC_GET_PROCESS_APERTURES_NEW, kfd_ioctl_get_process_apertures_new_args>(
        "AMDKFD_IOC_GET_PROCESS_APERTURES_NEW");
inline constexpr auto acquire_vm =
    bind_ioctl<AMDKFD_IOC_ACQUIRE_VM, kfd_ioctl_acquire_vm_args>("AMDKFD_IOC_ACQUIRE_VM");
inline constexpr auto set_memory_policy =
    bind_ioctl<AMDKFD_IOC_SET_MEMORY_POLICY, kfd_ioctl_set_memory_policy_args>(
        "AMDKFD_IOC_SET_MEMORY_POLICY");
inline constexpr auto set_trap_handler =
    bind_ioctl<AMDKFD_IOC_SET_TRAP_HANDLER, kfd_ioctl_set_trap_handler_args>("AMDKFD_IOC_SET_TRAP_HANDLER");
inline constexpr auto get_clock_counters =
    bind_ioctl<AMDKFD_IOC_GET_CLOCK_COUNTERS, kfd_ioctl_get_clock_counters_args>(
        "AMDKFD_IOC_GET_CLOCK_COUNTERS");
inline constexpr auto available_memory =
    bind_ioctl<AMDKFD_IOC_AVAILABLE_MEMORY, kfd_ioctl_get_available_memory_args>(
        "AMDKFD_IOC_AVAILABLE_MEMORY");

inline constexpr auto alloc_memory =
    bind_ioctl<AMDKFD_IOC_ALLOC_MEMORY_OF_GPU, kfd_ioctl_alloc_memory_of_gpu_args>(
        "AMDKFD_IOC_ALLOC_MEMORY_OF_GPU");
inline constexpr auto free_memory =
    bind_ioctl<AMDKFD_IOC_FREE_MEMORY_OF_GPU, kfd_ioctl_free_memory_of_gpu_args>(
        "AMDKFD_IOC_FREE_MEMORY_OF_GPU");
inline constexpr auto map_memory = bind_ioctl<AMDKFD_IOC_MAP_MEMORY_TO_GPU, kfd_ioctl_map_memory_to_gpu_args>(
    "AMDKFD_IOC_MAP_MEMORY_TO_GPU");
inline constexpr auto unmap_memory =
    bind_ioctl<AMDKFD_IOC_UNMAP_MEMORY_FROM_GPU, kfd_ioctl_unmap_memory_from_gpu_args>(
        "AMDKFD_IOC_UNMAP_MEMORY_FROM_GPU");
inline constexpr auto get_dmabuf_info =
    bind_ioctl<AMDKFD_IOC_GET_DMABUF_INFO, kfd_ioctl_get_dmabuf_info_args>("AMDKFD_IOC_GET_DMABUF_INFO");
inline constexpr auto import_dmabuf =
    bind_ioctl<AMDKFD_IOC_IMPORT_DMABUF, kfd_ioctl_import_dmabuf_args>("AMDKFD_IOC_IMPORT_DMABUF");

inline constexpr auto create_queue =
    bind_ioctl<AMDKFD_IOC_CREATE_QUEUE, kfd_ioctl_create_queue_args>("AMDKFD_IOC_CREATE_QUEUE");
inline constexpr auto update_queue =
    bind_ioctl<AMDKFD_IOC_UPDATE_QUEUE, kfd_ioctl_update_queue_args>("AMDKFD_IOC_UPDATE_QUEUE");
inline constexpr auto destroy_queue =
    bind_ioctl<AMDKFD_IOC_DESTROY_QUEUE, kfd_ioctl_destroy_queue_args>("AMDKFD_IOC_DESTROY_QUEUE");

inline constexpr auto create_event =
    bind_ioctl<AMDKFD_IOC_CREATE_EVENT, kfd_ioctl_create_event_args>("AMDKFD_IOC_CREATE_EVENT");
inline constexpr auto destroy_event =
    bind_ioctl<AMDKFD_IOC_DESTROY_EVENT, kfd_ioctl_destroy_event_args>("AMDKFD_IOC_DESTROY_EVENT");
inline constexpr auto set_event =
    bind_ioctl<AMDKFD_IOC_SET_EVENT, kfd_ioctl_set_event_args>("AMDKFD_IOC_SET_EVENT");
inline constexpr auto wait_events =
    bind_ioctl<AMDKFD_IOC_WAIT_EVENTS, kfd_ioctl_wait_events_args>("AMDKFD_IOC_WAIT_EVENTS");

inline constexpr auto amdgpu_info =
    bind_ioctl<DRM_IOCTL_AMDGPU_INFO, drm_amdgpu_info>("DRM_IOCTL_AMDGPU_INFO");
inline constexpr auto gem_metadata =
    bind_ioctl<DRM_IOCTL_AMDGPU_GEM_METADATA, drm_amdgpu_gem_metadata>("DRM_IOCTL_AMDGPU_GEM_METADATA");
inline constexpr auto gem_close = bind_ioctl<DRM_IOCTL_GEM_CLOSE, drm_gem_close>("DRM_IOCTL_GEM_CLOSE");
inline constexpr auto prime_fd_to_handle =
    bind_ioctl<DRM_IOCTL_PRIME_FD_TO_HANDLE, drm_prime_handle>("DRM_IOCTL_PRIME_FD_TO_HANDLE");
inline constexpr auto prime_handle_to_fd =
    bind_ioctl<DRM_IOCTL_PRIME_HANDLE_TO_FD, drm_prime_handle>("DRM_IOCTL_PRIME_HANDLE_TO_FD");

} // namespace requests

namespace detail {
// 0, or the errno. Repeats on EINTR and EAGAIN; EBADF in a forked child, without a system call; EBADFD where
// the program has closed our descriptor or put another file there. Traces.
int perform(int fd, unsigned long request, const char* name, void* args);
} // namespace detail

// The errno of the call, 0 for success: for callers to whom some failures are answers. Logs nothing but the
// trace.
template <class Args>
int try_ioctl(int fd, const Ioctl<Args>& ioctl, Args& args) {
  return detail::perform(fd, ioctl.request, ioctl.name, &args);
}

// An errno of `ioctl` as an error, logged.
Error ioctl_error(const char* name, int err);

// What /dev/kfd is, for telling it from what a program puts in its place.
void note_kfd(int fd);
// `err` of a request upon a descriptor of ours; EBADFD where it is ours no more.
int lost_or(int err, int fd, unsigned long request);
// The error for it, logged. `name`: the call that found it.
Error lost_descriptor(const char* name);

template <class Args>
Result<void> call_ioctl(int fd, const Ioctl<Args>& ioctl, Args& args) {
  if (int err = try_ioctl(fd, ioctl, args))
    return ioctl_error(ioctl.name, err);
  return {};
}

} // namespace shim::kfd
