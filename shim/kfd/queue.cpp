#include <kfd/queue.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>

#include <kfd/device.hpp>
#include <kfd/fork.hpp>

#include "address_range.hpp"
#include "ioctl.hpp"
#include "monitor.hpp"
#include "queue_parts.hpp"
#include "trap/trap_handler.hpp"

namespace shim::kfd {

namespace {

constexpr std::uint32_t packet_bytes = 64;
constexpr std::size_t inactive_signal_offset = 1024; // in the control page, behind amd_queue_t

// Where the kernel, a debugger and this library meet at the start of the save area; 40 bytes. The kernel
// fills the first four fields when it saves waves.
struct SaveAreaHeader {
  std::uint32_t control_stack_offset;
  std::uint32_t control_stack_size;
  std::uint32_t wave_state_offset;
  std::uint32_t wave_state_size;
  std::uint32_t debug_offset;
  std::uint32_t debug_size;
  std::uint64_t error_reason;
  std::uint32_t error_event_id;
  std::uint32_t reserved;
};
static_assert(sizeof(SaveAreaHeader) == 40);

std::uint32_t kfd_priority(QueuePriority priority) {
  switch (priority) {
  case QueuePriority::low:
    return 3;
  case QueuePriority::normal:
    return 7;
  case QueuePriority::high:
    return 11;
  }
  return 7;
}

constexpr std::uint32_t full_percentage = 100;

Result<void> allocate_parts(Device& device, std::uint64_t ring_bytes, Queue::Parts& parts) {
  const QueueSizes& sizes = device.properties().queue_sizes;
  struct Wanted {
    Buffer* into;
    MemoryKind kind;
    std::uint64_t size;
    AllocationFlags flags;
  };
  const Wanted list[] = {
      {&parts.control, MemoryKind::gtt, page_bytes, {.executable = true, .uncached = true}},
      {&parts.ring, MemoryKind::gtt, ring_bytes, {.executable = true, .uncached = true}},
      {&parts.eop, MemoryKind::vram, sizes.eop, {.executable = true}},
      {&parts.save_area, MemoryKind::gtt, sizes.save_area(), {.executable = true}},
  };
  for (const Wanted& wanted : list) {
    Result<Buffer> buffer = device.allocate(wanted.kind, wanted.size, wanted.flags);
    if (!buffer)
      return buffer.error();
    *wanted.into = *std::move(buffer);
  }
  return {};
}

void fill_save_area(const QueueSizes& sizes, Queue::Parts& parts) {
  auto* header = parts.save_area.cpu_as<SaveAreaHeader>();
  header->debug_offset = sizes.context_save;
  header->debug_size = sizes.debug_memory;
}

void fill_inactive_signal(const Event& event, Queue::Parts& parts) {
  auto* signal = reinterpret_cast<amd_signal_t*>(parts.control.cpu_as<std::byte>() + inactive_signal_offset);
  signal->kind = AMD_SIGNAL_KIND_USER;
  signal->value = 0;
  signal->event_mailbox_ptr = event.mailbox;
  signal->event_id = event.trigger;
  parts.inactive_signal = signal;
}

void fill_ring(Queue::Parts& parts) {
  std::byte* ring = parts.ring.cpu_as<std::byte>();
  for (std::uint64_t at = 0; at < parts.ring.size(); at += packet_bytes) {
    std::uint16_t invalid = HSA_PACKET_TYPE_INVALID << HSA_PACKET_HEADER_TYPE;
    std::memcpy(ring + at, &invalid, sizeof invalid);
  }
}

void fill_control(const Device& device, const QueueOptions& options, Queue::Parts& parts) {
  const NodeProperties& node = device.properties();
  auto* control = parts.control.cpu_as<amd_queue_t>();
  control->hsa_queue.type = HSA_QUEUE_TYPE_MULTI;
  control->hsa_queue.features = HSA_QUEUE_FEATURE_KERNEL_DISPATCH;
  control->hsa_queue.base_address = parts.ring.cpu();
  control->hsa_queue.size = options.packets;
  control->group_segment_aperture_base_hi = static_cast<std::uint32_t>(device.lds_aperture_base() >> 32);
  control->private_segment_aperture_base_hi =
      static_cast<std::uint32_t>(device.scratch_aperture_base() >> 32);
  control->max_cu_id = node.compute_units - 1;
  control->max_wave_id = node.max_waves_per_simd * node.simd_per_cu - 1;
  control->read_dispatch_id_field_base_byte_offset = offsetof(amd_queue_t, read_dispatch_id);
  control->queue_properties = AMD_QUEUE_PROPERTIES_IS_PTR64;
  if (options.profiling)
    control->queue_properties |= AMD_QUEUE_PROPERTIES_ENABLE_PROFILING;
  control->queue_inactive_signal.handle = reinterpret_cast<std::uint64_t>(parts.inactive_signal);
}

} // namespace

Result<std::unique_ptr<Queue>> Device::create_queue(const QueueOptions& options) {
  if (!std::has_single_bit(options.packets) || options.packets < 64)
    return fail(CUDA_ERROR_INVALID_VALUE, "a queue of {} packets", options.packets);
  auto parts = std::make_unique<Queue::Parts>();
  if (Result<void> made = allocate_parts(*this, std::uint64_t{options.packets} * packet_bytes, *parts); !made)
    return made.error();
  fill_save_area(node_.queue_sizes, *parts);
  fill_inactive_signal(monitor_->queue_event(), *parts);
  fill_ring(*parts);
  fill_control(*this, options, *parts);

  kfd_ioctl_create_queue_args args{};
  auto* control = parts->control.cpu_as<amd_queue_t>();
  args.ring_base_address = parts->ring.address();
  args.ring_size = static_cast<std::uint32_t>(parts->ring.size());
  args.write_pointer_address = reinterpret_cast<std::uint64_t>(&control->write_dispatch_id);
  args.read_pointer_address = reinterpret_cast<std::uint64_t>(&control->read_dispatch_id);
  args.gpu_id = node_.gpu_id;
  args.queue_type = KFD_IOC_QUEUE_TYPE_COMPUTE_AQL;
  args.queue_percentage = full_percentage;
  args.queue_priority = kfd_priority(options.priority);
  args.eop_buffer_address = parts->eop.address();
  args.eop_buffer_size = parts->eop.size();
  args.ctx_save_restore_address = parts->save_area.address();
  args.ctx_save_restore_size = node_.queue_sizes.context_save;
  args.ctl_stack_size = node_.queue_sizes.control_stack;
  if (Result<void> created = call_ioctl(process_->kfd_fd(), requests::create_queue, args); !created)
    return created.error();

  std::unique_ptr<Queue> queue(new Queue);
  queue->device_ = this; // from here on the destructor destroys KFD's queue
  queue->queue_id_ = args.queue_id;
  queue->ring_ = parts->ring.cpu_as<std::byte>();
  queue->mask_ = options.packets - 1;
  queue->control_ = control;
  queue->parts_ = std::move(parts);
  Result<std::uint64_t*> bell = doorbell(args.doorbell_offset);
  if (!bell)
    return bell.error();
  queue->doorbell_ = *bell;
  queue->parts_->doorbell_offset = args.doorbell_offset;
  if (traps_)
    traps_->set_signal(args.doorbell_offset, queue->parts_->inactive_signal);
  monitor_->watch(*queue);
  return queue;
}

Queue::~Queue() {
  if (!device_ || in_forked_child())
    return;
  device_->monitor_->forget(*this);
  kfd_ioctl_destroy_queue_args args{};
  args.queue_id = queue_id_;
  static_cast<void>(call_ioctl(device_->process_->kfd_fd(), requests::destroy_queue, args));
  if (device_->traps_ && doorbell_)
    device_->traps_->set_signal(parts_->doorbell_offset, nullptr);
}

Result<void> Queue::set_priority(QueuePriority priority) {
  kfd_ioctl_update_queue_args args{};
  args.queue_id = queue_id_;
  args.ring_base_address = parts_->ring.address();
  args.ring_size = static_cast<std::uint32_t>(parts_->ring.size());
  args.queue_percentage = full_percentage;
  args.queue_priority = kfd_priority(priority);
  return call_ioctl(device_->process_->kfd_fd(), requests::update_queue, args);
}

} // namespace shim::kfd
