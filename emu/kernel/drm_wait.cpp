// Waiting for submissions: AMDGPU_WAIT_CS, WAIT_FENCES and FENCE_TO_HANDLE, as amdgpu_cs.c of Linux 6.12
// answers them, and with what 7.2 refuses.
#include "drm_file.hpp"

#include "process.hpp"
#include "sync_file.hpp"
#include "user_array.hpp"

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

// One after the other, as the kernel looks them up too: a wrong one counts only once it is its turn.
long DrmFile::wait_all_fences(drm_amdgpu_wait_fences& args, const std::vector<drm_amdgpu_fence>& fences) {
  Machine& machine = Machine::get();
  const Deadline deadline = deadline_of(args.in.timeout_ns);
  bool done = true;
  for (const drm_amdgpu_fence& user : fences) {
    FenceRef fence;
    if (const int error = user_fence(user, fence); error < 0)
      return error;
    done = machine.wait(deadline, [&] { return machine.signaled(fence); });
    if (!done)
      break;
    if (const int error = machine.error_of(fence))
      return error;
  }
  args = {};
  args.out.status = done;
  return 0;
}

long DrmFile::wait_any_fence(drm_amdgpu_wait_fences& args, const std::vector<drm_amdgpu_fence>& fences) {
  Machine& machine = Machine::get();
  const Deadline deadline = deadline_of(args.in.timeout_ns);
  std::vector<FenceRef> refs(fences.size());
  for (std::size_t i = 0; i < fences.size(); ++i) {
    if (const int error = user_fence(fences[i], refs[i]); error < 0)
      return error;
    if (refs[i] == FenceRef{}) { // long over: the kernel has it no more, and looks no further
      args = {};
      args.out.status = 1;
      args.out.first_signaled = static_cast<std::uint32_t>(i);
      return 0;
    }
  }
  std::size_t first = 0;
  const bool done = machine.wait(deadline, [&] {
    for (first = 0; first < refs.size(); ++first)
      if (machine.signaled(refs[first]))
        return true;
    return false;
  });
  args = {};
  args.out.status = done;
  args.out.first_signaled = done ? static_cast<std::uint32_t>(first) : ~0u;
  return done ? machine.error_of(refs[first]) : 0;
}

long DrmFile::wait_fences(drm_amdgpu_wait_fences& args) {
  if (args.in.fence_count == 0) // in 6.12 only where it waits for any
    return -EINVAL;
  std::vector<drm_amdgpu_fence> fences;
  if (const int error = copy_array_from_user(fences, args.in.fences, args.in.fence_count); error < 0)
    return error;
  return args.in.wait_all ? wait_all_fences(args, fences) : wait_any_fence(args, fences);
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
