// AMDGPU_CS: command submission, in the passes of Linux 6.12's amdgpu_cs.c, with its checks and 7.2's.
#include "drm_file.hpp"

#include "drm_reservation.hpp"
#include "process.hpp"
#include "settings.hpp"
#include "user_array.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace emu::kernel {

namespace {

constexpr std::uint32_t gang_size_max = 4;             // AMDGPU_CS_GANG_SIZE
constexpr std::uint32_t ib_size_max_dw = 0xfffff;      // what an INDIRECT_BUFFER packet can name
constexpr std::size_t post_dependency_bytes = 24;      // struct amdgpu_cs_post_dep
constexpr std::uint32_t chunk_id_cp_gfx_shadow = 0x0a; // AMDGPU_CHUNK_ID_CP_GFX_SHADOW

struct ChunkCpGfxShadow { // drm_amdgpu_cs_chunk_cp_gfx_shadow
  std::uint64_t shadow_va, csa_va, gds_va, flags;
};
constexpr std::uint64_t cp_gfx_shadow_flags_init = 1;

unsigned max_ibs(std::uint32_t ip_type) {
  return ip_type == AMDGPU_HW_IP_GFX ? 192 : ip_type == AMDGPU_HW_IP_COMPUTE ? 125 : 49;
}

} // namespace

class Submitter {
public:
  explicit Submitter(DrmFile& file) : file_(file) {}

  long run(drm_amdgpu_cs& args) {
    if (args.in.num_chunks == 0)
      return -EINVAL;
    context_ = file_.contexts_.find(args.in.ctx_id);
    if (!context_)
      return -EINVAL;
    if (context_->state->guilty)
      return -ECANCELED;
    if (const int error = pass1(args.in); error < 0)
      return error;
    if (const int error = pass2(); error < 0)
      return error;
    if (const int error = take_buffers(args.in); error < 0)
      return error;
    rings_[leader_]->wait_for_room();
    sync_to_buffers();
    args.out.handle = submit();
    return 0;
  }

private:
  struct Chunk {
    std::uint32_t id = 0;
    std::size_t size = 0;
    std::vector<std::uint32_t> data;

    template <class T>
    std::span<const T> as() const {
      return {reinterpret_cast<const T*>(data.data()), size / sizeof(T)};
    }
  };
  struct PostDependency {
    std::shared_ptr<Syncobj> syncobj;
    std::uint64_t point;
  };

  int pass1(const drm_amdgpu_cs_in& in);
  int check_chunk(const Chunk& chunk);
  int user_fence(const drm_amdgpu_cs_chunk_fence& fence);
  int buffer_list(const drm_amdgpu_bo_list_in& in);
  int job_index(const drm_amdgpu_cs_chunk_ib& ib);
  int pass2();
  int ib(const drm_amdgpu_cs_chunk_ib& ib);
  int depend(const drm_amdgpu_cs_chunk_dep& dependency, bool scheduled);
  int depend_on_syncobj(std::uint32_t handle, std::uint64_t point, std::uint64_t flags);
  int signal_syncobjs(const Chunk& chunk);
  int take_buffers(const drm_amdgpu_cs_in& in);
  void sync_to_buffers();
  std::uint64_t submit();

  void depend(PayloadView fences) { dependencies_.insert(dependencies_.end(), fences.begin(), fences.end()); }

  DrmFile& file_;
  std::shared_ptr<Context> context_;
  std::vector<Chunk> chunks_;
  std::vector<std::shared_ptr<ContextRing>> rings_; // the gang's, and its jobs
  std::vector<Job> jobs_;
  std::vector<unsigned> ib_counts_;
  std::size_t leader_ = 0;
  std::shared_ptr<BufferObject> user_fence_;
  std::uint64_t user_fence_offset_ = 0;
  std::shared_ptr<BufferList> buffers_;
  BufferList reserved_; // the list's buffers and the one of the user fence
  Payload dependencies_;
  bool has_post_dependencies_ = false;
  std::vector<PostDependency> post_dependencies_;
  unsigned ce_preempt_ = 0, de_preempt_ = 0;
};

int Submitter::job_index(const drm_amdgpu_cs_chunk_ib& ib) {
  std::shared_ptr<ContextRing> ring;
  if (const int error = context_->ring(ib.ip_type, ib.ip_instance, ib.ring, ring); error < 0)
    return error;
  auto it = std::find(rings_.begin(), rings_.end(), ring);
  if (it != rings_.end())
    return static_cast<int>(it - rings_.begin());
  if (rings_.size() == gang_size_max)
    return -EINVAL;
  rings_.push_back(std::move(ring));
  ib_counts_.push_back(0);
  Job job;
  job.ip_type = ib.ip_type;
  job.vm = file_.vm_;
  job.vm_state = file_.vm_state_;
  job.context = context_->state;
  jobs_.push_back(std::move(job));
  return static_cast<int>(rings_.size() - 1);
}

int Submitter::user_fence(const drm_amdgpu_cs_chunk_fence& fence) {
  user_fence_ = file_.find_buffer(fence.handle);
  if (!user_fence_ || user_fence_->size() != memory::page_size || fence.offset > memory::page_size - 8 ||
      user_fence_->is_userptr())
    return -EINVAL;
  user_fence_offset_ = fence.offset;
  return 0;
}

int Submitter::buffer_list(const drm_amdgpu_bo_list_in& in) {
  std::vector<drm_amdgpu_bo_list_entry> entries;
  if (const int error = DrmFile::read_buffer_list(in, entries); error < 0)
    return error;
  buffers_ = std::make_shared<BufferList>();
  return file_.make_buffer_list(entries, *buffers_);
}

int Submitter::check_chunk(const Chunk& chunk) {
  switch (chunk.id) {
  case AMDGPU_CHUNK_ID_IB: {
    if (chunk.size < sizeof(drm_amdgpu_cs_chunk_ib))
      return -EINVAL;
    const auto& ib = chunk.as<drm_amdgpu_cs_chunk_ib>()[0];
    const int index = job_index(ib);
    if (index < 0)
      return index;
    if (ib_counts_[static_cast<std::size_t>(index)]++ >= max_ibs(ib.ip_type))
      return -EINVAL;
    leader_ = static_cast<std::size_t>(index);
    return 0;
  }
  case AMDGPU_CHUNK_ID_FENCE:
    if (chunk.size < sizeof(drm_amdgpu_cs_chunk_fence) || user_fence_)
      return -EINVAL;
    return user_fence(chunk.as<drm_amdgpu_cs_chunk_fence>()[0]);
  case AMDGPU_CHUNK_ID_BO_HANDLES:
    if (chunk.size < sizeof(drm_amdgpu_bo_list_in) || buffers_)
      return -EINVAL;
    return buffer_list(chunk.as<drm_amdgpu_bo_list_in>()[0]);
  case AMDGPU_CHUNK_ID_DEPENDENCIES:
  case AMDGPU_CHUNK_ID_SYNCOBJ_IN:
  case AMDGPU_CHUNK_ID_SYNCOBJ_OUT:
  case AMDGPU_CHUNK_ID_SCHEDULED_DEPENDENCIES:
  case AMDGPU_CHUNK_ID_SYNCOBJ_TIMELINE_WAIT:
  case AMDGPU_CHUNK_ID_SYNCOBJ_TIMELINE_SIGNAL:
    return 0;
  case chunk_id_cp_gfx_shadow:
    return chunk.size < sizeof(ChunkCpGfxShadow) ? -EINVAL : 0;
  default:
    complain("unknown chunk %#x in a command submission", chunk.id);
    return -EINVAL;
  }
}

int Submitter::pass1(const drm_amdgpu_cs_in& in) {
  std::vector<std::uint64_t> pointers;
  if (const int error = copy_array_from_user(pointers, in.chunks, in.num_chunks); error < 0)
    return error; // ENOMEM beyond kmalloc's largest, as in 7.2; in 6.12 it is kvmalloc's
  for (std::uint64_t pointer : pointers) {
    drm_amdgpu_cs_chunk user;
    if (!copy_from_user(&user, pointer, sizeof user))
      return -EFAULT;
    Chunk chunk;
    chunk.id = user.chunk_id;
    if (const int error =
            copy_array_from_user(chunk.data, user.chunk_data, user.length_dw, kvmalloc_max_size);
        error < 0)
      return error;
    chunk.size = chunk.data.size() * sizeof chunk.data[0];
    chunks_.push_back(std::move(chunk));
    if (const int error = check_chunk(chunks_.back()); error < 0)
      return error;
  }
  return rings_.empty() ? -EINVAL : 0;
}

int Submitter::ib(const drm_amdgpu_cs_chunk_ib& chunk) {
  const int index = job_index(chunk);
  if (index < 0)
    return index;
  if (chunk.flags & AMDGPU_IB_FLAG_CE && !settings::constant_engine()) {
    complain(
        "an IB of the constant engine, which Linux 7.2 refuses; CUDA_SHIM_EMU_DEBUG_MASK=0x400 lets it pass");
    return -EINVAL;
  }
  if (chunk.ip_type == AMDGPU_HW_IP_GFX && (chunk.flags & AMDGPU_IB_FLAG_PREEMPT)) {
    ++(chunk.flags & AMDGPU_IB_FLAG_CE ? ce_preempt_ : de_preempt_);
    if (ce_preempt_ > 1 || de_preempt_ > 1)
      return -EINVAL;
  }
  if (chunk.ib_bytes / 4 > ib_size_max_dw)
    return -EINVAL;
  jobs_[static_cast<std::size_t>(index)].ibs.push_back({chunk.va_start, chunk.ib_bytes / 4, chunk.flags});
  return 0;
}

int Submitter::depend(const drm_amdgpu_cs_chunk_dep& dependency, bool scheduled) {
  const std::shared_ptr<Context> context = file_.contexts_.find(dependency.ctx_id);
  if (!context)
    return -EINVAL;
  std::shared_ptr<ContextRing> ring;
  if (const int error = context->ring(dependency.ip_type, dependency.ip_instance, dependency.ring, ring);
      error < 0)
    return error;
  FenceRef fence;
  if (const int error = ring->fence(dependency.handle, fence); error < 0)
    return error;
  depend(payload::plain(scheduled ? ring->scheduled_fence_of(fence) : fence));
  return 0;
}

int Submitter::depend_on_syncobj(std::uint32_t handle, std::uint64_t point, std::uint64_t flags) {
  Payload fence;
  if (const int error = file_.syncobjs_.find_fence(handle, point, flags, fence); error < 0) {
    trace("command submission: syncobj %u has no fence for point %llu", handle,
          static_cast<unsigned long long>(point));
    return error;
  }
  depend(fence);
  return 0;
}

int Submitter::signal_syncobjs(const Chunk& chunk) {
  if (has_post_dependencies_)
    return -EINVAL;
  has_post_dependencies_ = true;
  const std::size_t count = chunk.id == AMDGPU_CHUNK_ID_SYNCOBJ_OUT
                                ? chunk.as<drm_amdgpu_cs_chunk_sem>().size()
                                : chunk.as<drm_amdgpu_cs_chunk_syncobj>().size();
  if (count > kmalloc_max_size / post_dependency_bytes)
    return -ENOMEM;
  auto add = [&](std::uint32_t handle, std::uint64_t point) {
    post_dependencies_.push_back({file_.syncobjs_.find(handle), point});
    return post_dependencies_.back().syncobj != nullptr;
  };
  if (chunk.id == AMDGPU_CHUNK_ID_SYNCOBJ_OUT) {
    for (const auto& out : chunk.as<drm_amdgpu_cs_chunk_sem>())
      if (!add(out.handle, 0))
        return -EINVAL;
  } else {
    for (const auto& out : chunk.as<drm_amdgpu_cs_chunk_syncobj>())
      if (!add(out.handle, out.point))
        return -EINVAL;
  }
  return 0;
}

int Submitter::pass2() {
  for (const Chunk& chunk : chunks_) {
    int error = 0;
    switch (chunk.id) {
    case AMDGPU_CHUNK_ID_IB:
      error = ib(chunk.as<drm_amdgpu_cs_chunk_ib>()[0]);
      break;
    case AMDGPU_CHUNK_ID_DEPENDENCIES:
    case AMDGPU_CHUNK_ID_SCHEDULED_DEPENDENCIES:
      for (const auto& dependency : chunk.as<drm_amdgpu_cs_chunk_dep>())
        if (error == 0)
          error = depend(dependency, chunk.id == AMDGPU_CHUNK_ID_SCHEDULED_DEPENDENCIES);
      break;
    case AMDGPU_CHUNK_ID_SYNCOBJ_IN:
      for (const auto& in : chunk.as<drm_amdgpu_cs_chunk_sem>())
        if (error == 0)
          error = depend_on_syncobj(in.handle, 0, 0);
      break;
    case AMDGPU_CHUNK_ID_SYNCOBJ_TIMELINE_WAIT:
      for (const auto& in : chunk.as<drm_amdgpu_cs_chunk_syncobj>())
        if (error == 0)
          error = depend_on_syncobj(in.handle, in.point, in.flags);
      break;
    case AMDGPU_CHUNK_ID_SYNCOBJ_OUT:
    case AMDGPU_CHUNK_ID_SYNCOBJ_TIMELINE_SIGNAL:
      error = signal_syncobjs(chunk);
      break;
    case chunk_id_cp_gfx_shadow: // for gfx11 and later; without effect before
      if (chunk.as<ChunkCpGfxShadow>()[0].flags & ~cp_gfx_shadow_flags_init)
        error = -EINVAL;
      break;
    default:
      break;
    }
    if (error < 0)
      return error;
  }
  return 0;
}

int Submitter::take_buffers(const drm_amdgpu_cs_in& in) {
  if (in.bo_list_handle) {
    if (buffers_)
      return -EINVAL;
    std::lock_guard lock(file_.gem_mutex_);
    auto it = file_.lists_.find(in.bo_list_handle);
    if (it == file_.lists_.end())
      return -ENOENT;
    buffers_ = it->second;
  } else if (!buffers_) {
    buffers_ = std::make_shared<BufferList>();
  }
  reserved_ = *buffers_;
  if (user_fence_ && std::find(reserved_.begin(), reserved_.end(), user_fence_) == reserved_.end())
    reserved_.push_back(user_fence_);
  return file_.check_user_pages(*buffers_);
}

// Implicit sync: with the users of a buffer that are not of this VM, unless it was created without it.
void Submitter::sync_to_buffers() {
  for (const std::shared_ptr<BufferObject>& bo : reserved_)
    if (!(bo->flags() & AMDGPU_GEM_CREATE_EXPLICIT_SYNC))
      depend(Reservation(*bo).pending(file_.vm_state_->id));
}

std::uint64_t Submitter::submit() {
  VmState& vm = *file_.vm_state_;
  const Payload dependencies = payload::merge(dependencies_);
  std::lock_guard order(vm.submit_mutex); // fences and jobs of a ring come in the same order
  for (std::size_t i = 0; i < jobs_.size(); ++i) {
    rings_[i]->issue_fences(jobs_[i]);
    jobs_[i].dependencies = dependencies;
    jobs_[i].buffers = *buffers_;
  }
  Job& leader = jobs_[leader_];
  for (std::size_t i = 0; i < jobs_.size(); ++i)
    if (i != leader_)
      leader.dependencies.push_back({0, 0, 0, jobs_[i].scheduled});
  leader.user_fence = user_fence_;
  leader.user_fence_offset = user_fence_offset_;

  const Payload fence = payload::plain(leader.finished);
  for (const std::shared_ptr<BufferObject>& bo : reserved_)
    for (std::size_t i = 0; i < jobs_.size(); ++i)
      Reservation(*bo).add(jobs_[i].finished, vm.id, i == leader_);
  {
    std::lock_guard lock(vm.mutex);
    Payload users = std::move(vm.users);
    for (const Job& job : jobs_) // the leader does not wait for the end of the others
      users.push_back({0, 0, 0, job.finished});
    vm.users = payload::merge(users);
  }
  const std::uint64_t sequence = rings_[leader_]->record(leader.finished);
  leader.sequence = sequence;
  for (const PostDependency& post : post_dependencies_) {
    if (post.point)
      post.syncobj->add_point(fence, post.point);
    else
      post.syncobj->replace(fence);
  }
  for (std::size_t i = 0; i < jobs_.size(); ++i)
    rings_[i]->push(std::move(jobs_[i]));
  return sequence;
}

long DrmFile::cs(drm_amdgpu_cs& args) {
  return Submitter(*this).run(args);
}

} // namespace emu::kernel
