#include "drm_context.hpp"

#include "drm_file.hpp"
#include "process.hpp"
#include "user_memory.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace emu::kernel {

namespace {

constexpr std::uint32_t bo_list_max_entries = 128 * 1024;     // AMDGPU_BO_LIST_MAX_ENTRIES
constexpr std::uint32_t max_contexts = 4096;                  // AMDGPU_VM_MAX_NUM_CTX
constexpr auto queue_empty_timeout = std::chrono::seconds(1); // MAX_WAIT_SCHED_ENTITY_Q_EMPTY

// VM_L2_PROTECTION_FAULT_STATUS on gfx10
constexpr std::uint32_t fault_permission_shift = 4, fault_client_shift = 9, fault_rw = 1u << 18,
                        fault_vmid_shift = 20;
constexpr std::uint32_t permission_valid = 1, permission_read = 2, permission_write = 4,
                        permission_execute = 8;
constexpr std::uint32_t client_cpc = 5, client_tcp = 8, client_sqc_inst = 9; // gfxhub_v2_1.c

gpu::Ring ring_of(std::uint32_t ip_type) {
  switch (ip_type) {
  case AMDGPU_HW_IP_GFX:
    return gpu::Ring::graphics;
  case AMDGPU_HW_IP_COMPUTE:
    return gpu::Ring::compute;
  default:
    return gpu::Ring::dma;
  }
}

const char* ring_name(std::uint32_t ip_type) {
  return ip_type == AMDGPU_HW_IP_GFX ? "gfx" : ip_type == AMDGPU_HW_IP_COMPUTE ? "compute" : "sdma";
}

// What threads of the parent were using when this process was forked off cannot be taken apart here.
void leak(std::shared_ptr<ContextRing> ring) {
  new std::shared_ptr<ContextRing>(std::move(ring));
}

void record_fault(VmState& vm, const gpu::Fault& fault) {
  if (fault.kind != gpu::FaultKind::page_fault)
    return;
  std::lock_guard lock(vm.mutex);
  vm.fault_address = fault.page.address & ~(memory::page_size - 1);
  const bool write = fault.page.access == memory::Access::write;
  const bool execute = fault.page.access == memory::Access::execute;
  const std::uint32_t permission =
      (fault.page.not_present ? permission_valid : 0) | (write     ? permission_write
                                                         : execute ? permission_execute
                                                                   : permission_read);
  const std::uint32_t client = fault.pc == 0 ? client_cpc : execute ? client_sqc_inst : client_tcp;
  vm.fault_status = permission << fault_permission_shift | client << fault_client_shift |
                    (write ? fault_rw : 0) | fault.vmid << fault_vmid_shift;
}

} // namespace

bool has_capability(unsigned capability) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  return syscall(SYS_capget, &header, data) == 0 && (data[capability / 32].effective & 1u << capability % 32);
}

int rings_of(std::uint32_t ip_type) {
  switch (ip_type) {
  case AMDGPU_HW_IP_GFX:
    return 1;
  case AMDGPU_HW_IP_COMPUTE:
    return 4;
  case AMDGPU_HW_IP_DMA:
    return 2;
  default:
    return ip_type < hardware_ip_kinds ? 0 : -EINVAL;
  }
}

Vm::Batch VmState::retire() {
  std::lock_guard lock(mutex);
  if (payload::signaled(users))
    return 0;
  retired_.push_back({payload::merge(users), next_batch_});
  return next_batch_++;
}

bool VmState::is_retired(Vm::Batch batch) {
  std::lock_guard lock(mutex);
  return std::any_of(retired_.begin(), retired_.end(),
                     [&](const Pending& pending) { return pending.batch == batch; });
}

void VmState::finish_retired(Vm& vm) {
  std::vector<Vm::Batch> done;
  {
    std::lock_guard lock(mutex);
    std::erase_if(retired_, [&](const Pending& pending) {
      if (!payload::signaled(pending.users))
        return false;
      done.push_back(pending.batch);
      return true;
    });
  }
  for (Vm::Batch batch : done)
    vm.finish(batch);
}

void ContextRing::issue_fences(Job& job) {
  job.scheduled = scheduled_.issue();
  job.finished = finished_.issue();
  scheduled_slot_ = job.scheduled.slot;
  scheduled_behind_ = job.finished.sequence - job.scheduled.sequence;
}

FenceRef ContextRing::scheduled_fence_of(const FenceRef& finished) const {
  if (finished.slot == FenceRef::no_slot)
    return finished;
  return {scheduled_slot_, 0, finished.sequence - scheduled_behind_};
}

std::uint64_t ContextRing::record(const FenceRef& fence) {
  std::lock_guard lock(mutex_);
  fences_[next_sequence_ % sched_jobs] = fence;
  return next_sequence_++;
}

int ContextRing::fence(std::uint64_t sequence, FenceRef& out) {
  std::lock_guard lock(mutex_);
  if (sequence == ~0ull)
    sequence = next_sequence_ - 1;
  if (sequence >= next_sequence_)
    return -EINVAL;
  out = sequence + sched_jobs < next_sequence_ ? FenceRef{} : fences_[sequence % sched_jobs];
  return 0;
}

void ContextRing::wait_for_room() {
  FenceRef oldest;
  {
    std::lock_guard lock(mutex_);
    oldest = fences_[next_sequence_ % sched_jobs];
  }
  Machine::get().wait(Deadline::never(), [&] { return Machine::get().signaled(oldest); });
}

void ContextRing::push(Job job) {
  std::lock_guard lock(mutex_);
  jobs_.push_back(std::move(job));
  if (running_)
    return filled_.notify_one();
  running_ = true;
  start_thread("kfd-emu-ring", [self = shared_from_this()] { self->loop(); });
}

void ContextRing::loop() {
  while (true) {
    Job job;
    {
      std::unique_lock lock(mutex_);
      // A busy ring keeps its thread for a moment: the next submission is often near.
      if (jobs_.empty() && !cancelled_)
        filled_.wait_for(lock, std::chrono::seconds(1), [&] { return !jobs_.empty() || cancelled_; });
      if (jobs_.empty()) {
        running_ = false;
        idle_.notify_all();
        return;
      }
      job = std::move(jobs_.front());
      jobs_.pop_front();
      if (jobs_.empty())
        idle_.notify_all();
    }
    run(job);
  }
}

void ContextRing::run(Job& job) {
  Machine& machine = Machine::get();
  machine.wait(Deadline::never(), [&] { return cancelled_.load() || payload::signaled(job.dependencies); });
  int error = 0;
  if (cancelled_)
    error = -ESRCH;
  else if (job.context->guilty)
    error = -ECANCELED;
  scheduled_.signal(job.scheduled, error);
  if (error == 0)
    error = execute(job);
  error_ = error;
  if (error == 0 && job.user_fence)
    __atomic_store_n(reinterpret_cast<std::uint64_t*>(job.user_fence->host() + job.user_fence_offset),
                     job.sequence, __ATOMIC_RELEASE);
  // What the job held goes before anybody hears that it is done: a program may look for leaks right then.
  const FenceRef finished = job.finished;
  const std::shared_ptr<Vm> vm = job.vm;
  const std::shared_ptr<VmState> vm_state = job.vm_state;
  job = {};
  finished_.signal(finished, error);
  vm_state->finish_retired(*vm);
}

int ContextRing::execute(const Job& job) {
  gpu::Submission submission;
  submission.ring = ring_of(job.ip_type);
  submission.space = std::shared_ptr<const memory::AddressSpace>(job.vm, &job.vm->space());
  submission.ibs = job.ibs;
  const std::optional<gpu::Fault> fault = gpu().submit(submission, stop_);
  if (!fault)
    return 0;
  record_fault(*job.vm_state, *fault);
  if (fault->kind == gpu::FaultKind::stopped)
    return -ECANCELED;
  // As after a full reset of the GPU that kept its memory: the context is lost, and every context of the
  // machine can see that there was a reset.
  job.context->guilty = true;
  Machine::get().count_reset();
  complain("%s ring: job %llu failed (%s); its context is lost", ring_name(job.ip_type),
           static_cast<unsigned long long>(job.sequence), gpu::to_string(fault->kind));
  return fault->kind == gpu::FaultKind::hang ? -ETIME : -ECANCELED;
}

void ContextRing::close() {
  std::unique_lock lock(mutex_);
  idle_.wait_for(lock, queue_empty_timeout, [&] { return jobs_.empty(); });
  cancelled_ = true;
  filled_.notify_all();
  lock.unlock();
  Machine::get().announce(); // a job that waits for its dependencies
}

Context::~Context() {
  Machine::get().release_clocks(state->id);
  for (auto& [key, ring] : rings_) {
    if (!ring->is_parents())
      ring->close();
    else
      leak(std::move(ring));
  }
}

int Context::ring(std::uint32_t ip_type, std::uint32_t instance, std::uint32_t ring,
                  std::shared_ptr<ContextRing>& out) {
  const int rings = rings_of(ip_type);
  if (rings <= 0 || instance != 0 || ring >= static_cast<std::uint32_t>(rings))
    return -EINVAL;
  std::lock_guard lock(mutex_);
  std::shared_ptr<ContextRing>& entry = rings_[{ip_type, ring}];
  if (entry && entry->is_parents())
    leak(std::move(entry)); // a child's submissions run in the child
  if (!entry) {
    auto made = std::make_shared<ContextRing>();
    if (!made->valid())
      return -ENOMEM;
    entry = std::move(made);
  }
  if (const int error = entry->error())
    return error;
  out = entry;
  return 0;
}

std::uint32_t ContextTable::add(std::shared_ptr<Context> context) {
  std::lock_guard lock(mutex_);
  std::uint32_t id = 1;
  for (auto it = contexts_.begin(); it != contexts_.end() && it->first == id; ++it)
    ++id;
  if (id >= max_contexts)
    return 0;
  contexts_.emplace(id, std::move(context));
  return id;
}

std::shared_ptr<Context> ContextTable::find(std::uint32_t id) {
  std::lock_guard lock(mutex_);
  auto it = contexts_.find(id);
  return it == contexts_.end() ? nullptr : it->second;
}

std::shared_ptr<Context> ContextTable::remove(std::uint32_t id) {
  std::lock_guard lock(mutex_);
  auto it = contexts_.find(id);
  if (it == contexts_.end())
    return nullptr;
  std::shared_ptr<Context> context = std::move(it->second);
  contexts_.erase(it);
  return context;
}

void ContextTable::clear() {
  std::map<std::uint32_t, std::shared_ptr<Context>> all;
  {
    std::lock_guard lock(mutex_);
    all.swap(contexts_);
  }
}

long DrmFile::allocate_context(std::int32_t priority, std::uint32_t& id) {
  // More than normal takes CAP_SYS_NICE or the display's master; a value that is none means normal.
  const bool high = priority == AMDGPU_CTX_PRIORITY_HIGH || priority == AMDGPU_CTX_PRIORITY_VERY_HIGH;
  const std::uint32_t added = contexts_.add(std::make_shared<Context>());
  if (added == 0)
    return -ENOSPC; // and the id is as it came in
  id = added;
  if (!high || !is_render() || has_capability(CAP_SYS_NICE))
    return 0;
  contexts_.remove(added);
  id = 0;
  return -EACCES;
}

long DrmFile::query_context(const ContextState& state, drm_amdgpu_ctx& args, bool newer) {
  args.out.state.flags = 0;
  args.out.state.hangs = 0;
  const std::uint32_t resets = Machine::get().reset_count();
  if (newer) {
    if (resets != state.resets_at_birth)
      args.out.state.flags |= AMDGPU_CTX_QUERY2_FLAGS_RESET;
    if (state.guilty)
      args.out.state.flags |= AMDGPU_CTX_QUERY2_FLAGS_GUILTY;
    return 0;
  }
  const bool news = const_cast<ContextState&>(state).resets_told.exchange(resets) != resets;
  args.out.state.reset_status = news ? AMDGPU_CTX_UNKNOWN_RESET : AMDGPU_CTX_NO_RESET;
  return 0;
}

long DrmFile::ctx(drm_amdgpu_ctx& args) {
  const drm_amdgpu_ctx_in in = args.in;
  if (in.op == AMDGPU_CTX_OP_SET_STABLE_PSTATE) {
    if (in.flags > AMDGPU_CTX_STABLE_PSTATE_PEAK)
      return -EINVAL;
  } else if (in.op < AMDGPU_CTX_OP_ALLOC_CTX || in.op > AMDGPU_CTX_OP_SET_STABLE_PSTATE || in.flags) {
    return -EINVAL;
  }
  if (in.op == AMDGPU_CTX_OP_ALLOC_CTX) {
    std::uint32_t id = in.ctx_id;
    const long error = allocate_context(in.priority, id);
    args.out.alloc.ctx_id = id;
    return error;
  }
  if (in.op == AMDGPU_CTX_OP_FREE_CTX)
    return contexts_.remove(in.ctx_id) ? 0 : -EINVAL;

  const std::shared_ptr<Context> context = contexts_.find(in.ctx_id);
  if (!context)
    return -EINVAL;
  switch (in.op) {
  case AMDGPU_CTX_OP_SET_STABLE_PSTATE:
    return Machine::get().set_clocks(context->state->id, in.flags);
  case AMDGPU_CTX_OP_GET_STABLE_PSTATE:
    args.out.pstate.flags = Machine::get().clocks();
    return 0;
  default:
    return query_context(*context->state, args, in.op == AMDGPU_CTX_OP_QUERY_STATE2);
  }
}

// Master's alone. Priorities are not modelled.
long DrmFile::sched(drm_amdgpu_sched& args) {
  if (args.in.op != AMDGPU_SCHED_OP_PROCESS_PRIORITY_OVERRIDE &&
      args.in.op != AMDGPU_SCHED_OP_CONTEXT_PRIORITY_OVERRIDE)
    return -EINVAL;
  switch (args.in.priority) {
  case AMDGPU_CTX_PRIORITY_VERY_LOW:
  case AMDGPU_CTX_PRIORITY_LOW:
  case AMDGPU_CTX_PRIORITY_NORMAL:
  case AMDGPU_CTX_PRIORITY_HIGH:
  case AMDGPU_CTX_PRIORITY_VERY_HIGH:
    break;
  default:
    return -EINVAL;
  }
  const auto target = fd_table::find_as<DrmFile>(static_cast<int>(args.in.fd));
  if (!target)
    return -EINVAL;
  if (args.in.op == AMDGPU_SCHED_OP_CONTEXT_PRIORITY_OVERRIDE && !target->contexts_.find(args.in.ctx_id))
    return -EINVAL;
  return 0;
}

long DrmFile::vm_ioctl(drm_amdgpu_vm& args) {
  if (args.in.flags)
    return -EINVAL;
  switch (args.in.op) {
  case AMDGPU_VM_OP_RESERVE_VMID: // one in the machine, as in 7.2
    return Machine::get().reserve_vmid(vm_state_->id) == 0 ? 0 : -ENOENT;
  case AMDGPU_VM_OP_UNRESERVE_VMID:
    Machine::get().release_vmid(vm_state_->id);
    return 0;
  default:
    return -EINVAL;
  }
}

// amdgpu_bo_create_list_entry_array: also for operations that have no use for it.
int DrmFile::read_buffer_list(const drm_amdgpu_bo_list_in& in, std::vector<drm_amdgpu_bo_list_entry>& out) {
  if (in.bo_number > bo_list_max_entries)
    return -EINVAL;
  out.resize(in.bo_number);
  const std::size_t size = std::min<std::size_t>(in.bo_info_size, sizeof out[0]);
  for (std::uint32_t i = 0; i < in.bo_number; ++i)
    if (!copy_from_user(&out[i], in.bo_info_ptr + std::uint64_t{in.bo_info_size} * i, size))
      return -EFAULT;
  return 0;
}

int DrmFile::make_buffer_list(const std::vector<drm_amdgpu_bo_list_entry>& entries, BufferList& out) {
  out.reserve(entries.size());
  std::lock_guard lock(gem_mutex_);
  for (const drm_amdgpu_bo_list_entry& entry : entries) {
    auto it = buffers_.find(entry.bo_handle);
    if (it == buffers_.end())
      return -ENOENT;
    if (it->second->is_parents_memory())
      return -EPERM;
    out.push_back(it->second);
  }
  return 0;
}

long DrmFile::bo_list(drm_amdgpu_bo_list& args) {
  const drm_amdgpu_bo_list_in in = args.in;
  std::uint32_t handle = in.list_handle;
  std::vector<drm_amdgpu_bo_list_entry> entries;
  if (const int error = read_buffer_list(in, entries); error < 0)
    return error;
  auto list = std::make_shared<BufferList>();
  if (in.operation == AMDGPU_BO_LIST_OP_CREATE || in.operation == AMDGPU_BO_LIST_OP_UPDATE)
    if (const int error = make_buffer_list(entries, *list); error < 0)
      return error;
  std::lock_guard lock(gem_mutex_);
  switch (in.operation) {
  case AMDGPU_BO_LIST_OP_CREATE:
    for (handle = 1; lists_.contains(handle);)
      ++handle;
    lists_[handle] = std::move(list);
    break;
  case AMDGPU_BO_LIST_OP_DESTROY:
    lists_.erase(handle);
    handle = 0;
    break;
  case AMDGPU_BO_LIST_OP_UPDATE: {
    auto it = lists_.find(handle);
    if (it == lists_.end())
      return -ENOENT;
    it->second = std::move(list);
    break;
  }
  default:
    return -EINVAL;
  }
  args = {};
  args.out.list_handle = handle;
  return 0;
}

} // namespace emu::kernel
