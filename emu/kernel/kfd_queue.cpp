// Queue ioctls. Sources: kfd_chardev.c, kfd_queue.c, kfd_process_queue_manager.c, kfd_device_queue_manager.c.
#include "device.hpp"
#include "kfd_limits.hpp"
#include "kfd_process.hpp"
#include "process.hpp"
#include "user_memory.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>

namespace emu::kernel {

using namespace uapi;

namespace {

constexpr int ENOTSUPP_KERNEL = 524; // the kernel's own, which reaches user space unchanged

// access_ok(): below the last page of the lower half.
bool accessible(std::uint64_t address) {
  return address <= card::va_end - kfd_limits::page_size;
}
bool is_sdma(std::uint32_t type) {
  return type == QUEUE_TYPE_SDMA || type == QUEUE_TYPE_SDMA_XGMI || type == QUEUE_TYPE_SDMA_BY_ENG_ID;
}

// set_queue_properties_from_user(); clamps the ring size.
int check_user_properties(kfd_ioctl_create_queue_args& args) {
  if ((args.queue_percentage & 0xff) > MAX_QUEUE_PERCENTAGE || args.queue_priority > MAX_QUEUE_PRIORITY)
    return -EINVAL;
  if (args.ring_base_address && !accessible(args.ring_base_address))
    return -EFAULT;
  if (args.ring_size != 0 && !std::has_single_bit(args.ring_size))
    return -EINVAL;
  args.ring_size = std::max(args.ring_size, MIN_QUEUE_RING_SIZE);
  if (args.metadata_ring_size != 0 && !std::has_single_bit(args.metadata_ring_size)) // since 7.2
    return -EINVAL;
  if (!accessible(args.read_pointer_address) || !accessible(args.write_pointer_address) ||
      !accessible(args.eop_buffer_address) || !accessible(args.ctx_save_restore_address))
    return -EFAULT;
  if (args.queue_type > QUEUE_TYPE_SDMA_BY_ENG_ID)
    return -ENOTSUPP_KERNEL;
  return 0;
}

} // namespace

// kfd_queue_buffer_get(): `va`'s page must start a mapping of exactly that size.
int KfdProcess::acquire_buffer_locked(std::uint64_t va, std::uint64_t expected_size,
                                      std::shared_ptr<BufferObject>& out) {
  const std::optional<Vm::Found> found = vm_->find(va);
  const std::uint64_t page = va & ~(kfd_limits::page_size - 1);
  const std::uint64_t size = expected_size & ~(kfd_limits::page_size - 1);
  if (!found || found->begin != page || (size != 0 && found->end - found->begin != size)) {
    if (found)
      trace("queue buffer at %#llx: expected %#llx bytes, mapping is %#llx + %#llx",
            static_cast<unsigned long long>(va), static_cast<unsigned long long>(size),
            static_cast<unsigned long long>(found->begin),
            static_cast<unsigned long long>(found->end - found->begin));
    else
      trace("queue buffer at %#llx: not mapped", static_cast<unsigned long long>(va));
    return -EINVAL;
  }
  out = found->bo;
  return 0;
}

int KfdProcess::acquire_buffers_locked(const kfd_ioctl_create_queue_args& args, Queue& queue) {
  if (const int error = acquire_buffer_locked(args.write_pointer_address, kfd_limits::page_size, queue.wptr))
    return error;
  if (const int error = acquire_buffer_locked(args.read_pointer_address, kfd_limits::page_size, queue.rptr))
    return error;
  if (const int error = acquire_buffer_locked(args.ring_base_address, args.ring_size, queue.ring))
    return error;
  // 7.2 counts whole pages, and an AQL queue's metadata ring, which 6.12 has not: no mapping is both.
  const std::uint64_t metadata =
      args.queue_type == QUEUE_TYPE_COMPUTE_AQL ? args.metadata_ring_size : std::uint64_t{0};
  if (const int error = acquire_buffer_locked(args.ring_base_address,
                                              kfd_limits::page_align(args.ring_size + metadata), queue.ring))
    return error;
  if (is_sdma(args.queue_type))
    return 0;
  if (args.eop_buffer_address) {
    // 6.12 came out with equality; later ones take more. The size is 32 bits wide from here on.
    if (static_cast<std::uint32_t>(args.eop_buffer_size) != kfd_limits::eop_buffer_size)
      return -EINVAL;
    if (const int error =
            acquire_buffer_locked(args.eop_buffer_address, kfd_limits::eop_buffer_size, queue.eop))
      return error;
  }
  if (args.ctl_stack_size != kfd_limits::ctl_stack_size ||
      args.ctx_save_restore_size < kfd_limits::cwsr_size) {
    trace("queue: control stack %#x (expected %#llx), context %#x (at least %#llx)", args.ctl_stack_size,
          static_cast<unsigned long long>(kfd_limits::ctl_stack_size), args.ctx_save_restore_size,
          static_cast<unsigned long long>(kfd_limits::cwsr_size));
    return -EINVAL;
  }
  const std::uint64_t context =
      kfd_limits::page_align(args.ctx_save_restore_size + kfd_limits::debug_memory_size);
  const int error = acquire_buffer_locked(args.ctx_save_restore_address, context, queue.cwsr);
  if (!error || !svm_.hold_for_queue(args.ctx_save_restore_address, context))
    return error;
  queue.context_in_svm = context;
  return 0;
}

// allocate_sdma_queue(): the engine with a free queue whose turn it is; PCIe and XGMI queues have engines of
// their own.
int KfdProcess::allocate_sdma_locked(Queue& queue, std::uint32_t engine_id) {
  unsigned first = 0, last = kfd_limits::sdma_engines;
  if (queue.type == QUEUE_TYPE_SDMA_XGMI) {
    first = kfd_limits::sdma_engines;
    last = first + kfd_limits::xgmi_sdma_engines;
  } else if (queue.type == QUEUE_TYPE_SDMA_BY_ENG_ID) {
    first = engine_id;
    last = first + 1;
  }
  for (unsigned number = 0; number < card::sdma_queues_per_engine; ++number)
    for (unsigned engine = first; engine < last; ++engine)
      if (!(used_sdma_[engine] >> number & 1)) {
        used_sdma_[engine] |= 1u << number;
        queue.sdma_engine = engine;
        queue.sdma_queue = number;
        queue.doorbell = kfd_limits::first_non_cp_doorbell + engine * kfd_limits::sdma_doorbells_per_engine +
                         (number & 1) * kfd_limits::doorbell_mirror + (number >> 1);
        return 0;
      }
  return -ENOMEM;
}

int KfdProcess::allocate_doorbell_locked(Queue& queue) {
  for (unsigned i = 0; i < kfd_limits::max_queues_per_process; ++i)
    if (!used_doorbells_[i]) {
      used_doorbells_.set(i);
      queue.doorbell = i;
      return 0;
    }
  return -EBUSY;
}

void KfdProcess::release_slots_locked(const Queue& queue) {
  if (is_sdma(queue.type))
    used_sdma_[queue.sdma_engine] &= ~(1u << queue.sdma_queue);
  else
    used_doorbells_.reset(queue.doorbell);
}

void KfdProcess::release_context_locked(const Queue& queue) {
  if (queue.context_in_svm)
    svm_.release_from_queue(queue.context_save_address, queue.context_in_svm);
}

gpu::QueueUpdate KfdProcess::scheduled_locked(const gpu::QueueUpdate& properties) const {
  gpu::QueueUpdate update = properties;
  if (evicted_)
    update.percentage = 0;
  return update;
}

int KfdProcess::start_locked(const kfd_ioctl_create_queue_args& args, Queue& queue) {
  queue.properties = {.ring = args.ring_base_address,
                      .ring_size = args.ring_size,
                      .priority = args.queue_priority,
                      .percentage = args.queue_percentage & 0xff};
  gpu::QueueDescription description;
  description.type = is_sdma(args.queue_type)                    ? gpu::QueueType::sdma
                     : args.queue_type == QUEUE_TYPE_COMPUTE_AQL ? gpu::QueueType::aql
                                                                 : gpu::QueueType::pm4_compute;
  description.space = std::shared_ptr<const memory::AddressSpace>(vm_, &vm_->space());
  description.apertures = {.shared_base = kfd_limits::lds_base, .private_base = kfd_limits::scratch_base};
  description.ring = args.ring_base_address;
  description.ring_size = args.ring_size;
  description.rptr = args.read_pointer_address;
  description.wptr = args.write_pointer_address;
  auto* doorbell = reinterpret_cast<std::uint64_t*>(doorbells_->host()) + queue.doorbell;
  std::atomic_ref(*doorbell).store(0); // as amdgpu leaves the page: no write of an earlier queue counts
  description.doorbell = doorbell;
  description.doorbell_id = queue.doorbell;
  description.priority = args.queue_priority;
  description.percentage = scheduled_locked(queue.properties).percentage;
  description.eop = args.eop_buffer_address;
  description.eop_size = args.eop_buffer_size;
  description.ctx_save = args.ctx_save_restore_address;
  description.ctx_save_size = args.ctx_save_restore_size;
  gpu().set_trap_handler(trap_handler_, trap_memory_);
  queue.engine_id = gpu().create_queue(description);
  return queue.engine_id == gpu::no_queue ? -ENOMEM : 0;
}

int KfdProcess::place_locked(const kfd_ioctl_create_queue_args& args, Queue& queue) {
  if (queues_.size() >= kfd_limits::max_queues_per_device)
    return -ENOSPC;
  if (const int error = is_sdma(args.queue_type) ? allocate_sdma_locked(queue, args.sdma_engine_id)
                                                 : allocate_doorbell_locked(queue))
    return error;
  const int error = start_locked(args, queue);
  if (error)
    release_slots_locked(queue);
  return error;
}

int KfdProcess::create_queue(kfd_ioctl_create_queue_args& args) {
  if (const int error = check_user_properties(args))
    return error;
  std::scoped_lock lock(mutex_);
  if (!is_gpu(args.gpu_id))
    return -EINVAL;
  if (bound_locked())
    return -ESRCH;
  if (args.queue_type == QUEUE_TYPE_SDMA_BY_ENG_ID &&
      args.sdma_engine_id >= kfd_limits::sdma_engines + kfd_limits::xgmi_sdma_engines)
    return -EINVAL;
  if (const int error = ensure_doorbells_locked())
    return error;
  Queue queue;
  queue.type = args.queue_type;
  queue.context_save_address = args.ctx_save_restore_address;
  if (const int error = acquire_buffers_locked(args, queue))
    return error;
  if (const int error = place_locked(args, queue)) {
    release_context_locked(queue);
    return error;
  }
  std::uint32_t id = 0;
  for (auto it = queues_.begin(); it != queues_.end() && it->first == id; ++it)
    ++id;
  args.queue_id = id;
  args.doorbell_offset =
      KFD_MMAP_TYPE_DOORBELL | mmap_gpu_id(args.gpu_id) | queue.doorbell * sizeof(std::uint64_t);
  queues_.emplace(id, std::move(queue));
  return 0;
}

// The engine is stopped without the lock: it may be reporting a fault, which takes it.
int KfdProcess::destroy_queue(kfd_ioctl_destroy_queue_args& args) {
  gpu::QueueId engine_id = gpu::no_queue;
  {
    std::scoped_lock lock(mutex_);
    auto it = queues_.find(args.queue_id);
    if (it == queues_.end())
      return -EINVAL;
    engine_id = it->second.engine_id;
  }
  if (!gpu().destroy_queue(engine_id))
    return -EINVAL; // another thread was first
  std::scoped_lock lock(mutex_);
  auto it = queues_.find(args.queue_id);
  release_slots_locked(it->second);
  release_context_locked(it->second);
  queues_.erase(it);
  return 0;
}

int KfdProcess::update_queue(kfd_ioctl_update_queue_args& args) {
  if ((args.queue_percentage & 0xff) > MAX_QUEUE_PERCENTAGE || args.queue_priority > MAX_QUEUE_PRIORITY)
    return -EINVAL;
  if (args.ring_base_address && !accessible(args.ring_base_address))
    return -EFAULT;
  if (args.ring_size != 0 && !std::has_single_bit(args.ring_size))
    return -EINVAL;
  args.ring_size = std::max(args.ring_size, MIN_QUEUE_RING_SIZE);

  std::scoped_lock lock(mutex_);
  auto it = queues_.find(args.queue_id);
  if (it == queues_.end())
    return -EFAULT;
  Queue& queue = it->second;
  if (args.ring_base_address) {
    std::shared_ptr<BufferObject> ring;
    if (acquire_buffer_locked(args.ring_base_address, args.ring_size, ring))
      return -EFAULT;
    queue.ring = std::move(ring);
  }
  queue.properties = {.ring = args.ring_base_address,
                      .ring_size = args.ring_size,
                      .priority = args.queue_priority,
                      .percentage = args.queue_percentage & 0xff};
  gpu().update_queue(queue.engine_id, scheduled_locked(queue.properties));
  return 0;
}

int KfdProcess::set_cu_mask(kfd_ioctl_set_cu_mask_args& args) {
  constexpr std::uint32_t max_bits = 1024;
  if (args.num_cu_mask % 32 != 0 || args.num_cu_mask == 0)
    return -EINVAL;
  std::vector<std::uint32_t> mask(std::min(args.num_cu_mask, max_bits) / 32);
  if (!copy_from_user(mask.data(), args.cu_mask_ptr, mask.size() * sizeof mask[0]))
    return -EFAULT;
  std::scoped_lock lock(mutex_);
  auto it = queues_.find(args.queue_id);
  if (it == queues_.end())
    return -EFAULT;
  // gfx10 schedules WGPs: both units of a pair or none (pqm_update_mqd).
  for (std::size_t bit = 0; bit < mask.size() * 32; bit += 2) {
    const std::uint32_t pair = mask[bit / 32] >> (bit % 32) & 3;
    if (pair == 1 || pair == 2)
      return -EINVAL;
  }
  gpu().set_cu_mask(it->second.engine_id, std::move(mask));
  return 0;
}

int KfdProcess::get_queue_wave_state(kfd_ioctl_get_queue_wave_state_args& args) {
  std::scoped_lock lock(mutex_);
  auto it = queues_.find(args.queue_id);
  if (it == queues_.end())
    return -EFAULT;
  const gpu::QueueUpdate& properties = it->second.properties;
  const bool active = properties.ring && properties.ring_size && properties.percentage && !evicted_;
  if (is_sdma(it->second.type) || active)
    return -EINVAL;
  // Waves are never saved: both areas are empty.
  args.ctl_stack_used_size = 0;
  args.save_area_used_size = 0;
  const std::uint32_t header[] = {kfd_limits::ctl_stack_size, 0, kfd_limits::ctl_stack_size, 0};
  return copy_to_user(args.ctl_stack_address, header, sizeof header) ? 0 : -EFAULT;
}

int KfdProcess::alloc_queue_gws(kfd_ioctl_alloc_queue_gws_args& args) {
  std::scoped_lock lock(mutex_);
  auto it = queues_.find(args.queue_id);
  if (it == queues_.end())
    return -EINVAL;
  // pqm_set_gws(): one queue of a process has them.
  if (args.num_gws)
    for (const auto& [id, queue] : queues_)
      if (queue.gws)
        return -EBUSY;
  if (!args.num_gws && !it->second.gws)
    return -EINVAL;
  it->second.gws = args.num_gws != 0;
  gpu().set_global_wave_sync(it->second.engine_id, it->second.gws);
  args.first_gws = 0;
  return 0;
}

// kfd_send_exception_to_runtime(): the context area's header says where the runtime wants to read of it, and
// which event it waits for.
void KfdProcess::send_exception_to_runtime(unsigned doorbell, std::uint64_t reasons) {
  std::uint64_t header_address = 0;
  {
    std::scoped_lock lock(mutex_);
    for (const auto& [id, queue] : queues_)
      if (!is_sdma(queue.type) && queue.doorbell == doorbell)
        header_address = queue.context_save_address;
  }
  kfd_context_save_area_header header{};
  if (header_address == 0 || !copy_from_user(&header, header_address, sizeof header))
    return;
  std::uint64_t payload = 0;
  if (copy_from_user(&payload, header.err_payload_addr, sizeof payload)) {
    payload |= reasons;
    copy_to_user(header.err_payload_addr, &payload, sizeof payload);
  }
  events_.set(header.err_event_id);
}

void KfdProcess::evict_queues() {
  std::scoped_lock lock(mutex_);
  evicted_ = true;
  for (auto& [id, queue] : queues_)
    gpu().update_queue(queue.engine_id, scheduled_locked(queue.properties));
}

} // namespace emu::kernel
