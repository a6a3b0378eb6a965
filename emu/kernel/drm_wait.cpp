// Waiting for submissions: AMDGPU_WAIT_CS, WAIT_FENCES and FENCE_TO_HANDLE, as Linux 6.12's amdgpu_cs.c
// answers them.
#include "drm_file.hpp"

#include "process.hpp"
#include "sync_file.hpp"

#include <cerrno>

namespace emu::kernel {

namespace {

// amdgpu_gem_timeout: absolute CLOCK_MONOTONIC; as a signed number a negative one never comes.
Deadline deadline_of(std::uint64_t timeout) {
  const auto at = static_cast<std::int64_t>(timeout);
  return at < 0 ? Deadline::never() : Deadline{at};
}

} // namespace

int DrmFile::user_fence(const drm_amdgpu_fence& user, FenceRef& fence) {
  const std::shared_ptr<Context> context = contexts_.find(user.ctx_id);
  if (!context)
    return -EINVAL;
  std::shared_ptr<ContextRing> ring;
  if (const int error = context->ring(user.ip_type, user.ip_instance, user.ring, ring); error < 0)
    return error;
  return ring->fence(user.seq_no, fence);
}

long DrmFile::wait_cs(drm_amdgpu_wait_cs& args) {
  const drm_amdgpu_wait_cs_in in = args.in;
  FenceRef fence;
  if (const int error = user_fence({in.ctx_id, in.ip_type, in.ip_instance, in.ring, in.handle}, fence);
      error < 0)
    return error;
  Machine& machine = Machine::get();
  const bool done = machine.wait(deadline_of(in.timeout), [&] { return machine.signaled(fence); });
  if (const int error = done ? machine.error_of(fence) : 0)
    return error;
  args = {};
  args.out.status = !done;
  return 0;
}

long DrmFile::wait_fences(drm_amdgpu_wait_fences& args) {
  const drm_amdgpu_wait_fences_in in = args.in;
  const auto* user = reinterpret_cast<const drm_amdgpu_fence*>(in.fences);
  if (in.fence_count && !user)
    return -EFAULT;
  std::vector<FenceRef> fences(in.fence_count);
  for (std::uint32_t i = 0; i < in.fence_count; ++i)
    if (const int error = user_fence(user[i], fences[i]); error < 0)
      return error;

  Machine& machine = Machine::get();
  std::uint32_t first = ~0u;
  const bool done = machine.wait(deadline_of(in.timeout_ns), [&] {
    std::uint32_t count = 0;
    for (std::uint32_t i = 0; i < fences.size(); ++i)
      if (machine.signaled(fences[i]) && count++ == 0)
        first = i;
    return in.wait_all ? count == fences.size() : count > 0;
  });
  for (std::size_t i = 0; done && i < fences.size(); ++i)
    if (const int error = in.wait_all || i == first ? machine.error_of(fences[i]) : 0)
      return error;
  args = {};
  args.out.status = done;
  if (!in.wait_all)
    args.out.first_signaled = done ? first : ~0u;
  return 0;
}

long DrmFile::fence_to_handle(drm_amdgpu_fence_to_handle& args) {
  FenceRef fence;
  if (const int error = user_fence(args.in.fence, fence); error < 0)
    return error;
  if (args.in.what > AMDGPU_FENCE_TO_HANDLE_GET_SYNC_FILE_FD)
    return -EINVAL;
  const Payload plain = payload::plain(fence);
  if (args.in.what == AMDGPU_FENCE_TO_HANDLE_GET_SYNC_FILE_FD) {
    const int fd = SyncFile::create(plain, {});
    if (fd < 0)
      return fd;
    args.out.handle = static_cast<std::uint32_t>(fd);
    return 0;
  }
  std::shared_ptr<Syncobj> syncobj = Syncobj::create();
  syncobj->replace(plain);
  if (args.in.what == AMDGPU_FENCE_TO_HANDLE_GET_SYNCOBJ) {
    args.out.handle = syncobjs_.add(std::move(syncobj));
    return 0;
  }
  const int fd = syncobj->export_fd();
  if (fd < 0)
    return fd;
  args.out.handle = static_cast<std::uint32_t>(fd);
  return 0;
}

} // namespace emu::kernel
