#include <core/channel.hpp>

#include <cstring>

namespace shim::core {

namespace {

constexpr std::uint64_t kernarg_alignment = 64;
constexpr std::uint64_t checkpoint_packets = 256;
constexpr std::uint64_t reap_packets = 32;
constexpr std::uint64_t spare_packets = 2; // for a checkpoint where all else is full

constexpr std::uint64_t align_up(std::uint64_t value, std::uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

constexpr std::uint16_t header_of(hsa_packet_type_t type) {
  return kfd::packet_header(type, true, HSA_FENCE_SCOPE_SYSTEM, HSA_FENCE_SCOPE_SYSTEM);
}

// Everything behind the header, which publish() writes last.
template <class Packet>
void clear_body(Packet& packet) {
  std::memset(reinterpret_cast<std::byte*>(&packet) + 4, 0, sizeof(Packet) - 4);
}

} // namespace

Result<std::unique_ptr<Channel>> Channel::create(kfd::Device& device, kfd::QueuePriority priority) {
  std::unique_ptr<Channel> channel(new Channel);
  channel->priority_ = priority;
  Result<std::unique_ptr<kfd::Queue>> queue =
      device.create_queue({.packets = ring_packets, .priority = priority, .profiling = true});
  if (!queue)
    return queue.error();
  channel->queue_ = std::move(*queue);
  Result<kfd::Buffer> ring = device.allocate(kfd::MemoryKind::gtt, kernarg_ring_bytes, {.host_access = true});
  if (!ring)
    return ring.error();
  channel->kernarg_ring_ = std::move(*ring);
  Result<kfd::Signal> progress = device.acquire_signal(kfd::SignalKind::polled, start_value);
  if (!progress)
    return progress.error();
  channel->progress_ = std::move(*progress);
  channel->slots_.resize(ring_packets);
  return channel;
}

void Channel::reap() {
  std::uint64_t completed = done();
  while (reaped_ < next_) {
    Slot& oldest = slot(reaped_);
    if (oldest.recorded ? !oldest.marker->done() : oldest.count > completed)
      return;
    kernarg_tail_ = oldest.kernarg_end;
    oldest.marker.reset();
    ++reaped_;
  }
}

bool Channel::fits(std::uint32_t kernarg_bytes) const {
  if (next_ - reaped_ + 1 + spare_packets > most_packets)
    return false;
  std::uint64_t bytes = align_up(kernarg_bytes, kernarg_alignment);
  std::uint64_t offset = kernarg_head_ % kernarg_ring_bytes;
  std::uint64_t skipped = offset + bytes > kernarg_ring_bytes ? kernarg_ring_bytes - offset : 0;
  return kernarg_head_ + skipped + bytes - kernarg_tail_ <= kernarg_ring_bytes;
}

bool Channel::has_room(std::uint32_t kernarg_bytes) {
  if (next_ - reaped_ >= reap_packets || !fits(kernarg_bytes))
    reap();
  return fits(kernarg_bytes);
}

bool Channel::wants_checkpoint() const {
  bool busy = next_ - reaped_ >= most_packets / 2 || kernarg_head_ - kernarg_tail_ >= kernarg_ring_bytes / 2;
  return busy && (next_ - checkpoint_packet_ >= checkpoint_packets ||
                  kernarg_head_ - checkpoint_kernarg_ >= kernarg_ring_bytes / 4);
}

void Channel::checkpoint(MarkerRef marker) {
  std::uint64_t index = next_;
  record(std::move(marker));
  slot(index).checkpoint = true;
  checkpoint_packet_ = next_;
  checkpoint_kernarg_ = kernarg_head_;
}

MarkerRef Channel::oldest_checkpoint() {
  for (std::uint64_t index = reaped_; index < next_; ++index)
    if (Slot& candidate = slot(index); candidate.checkpoint && !candidate.marker->done())
      return candidate.marker;
  return {};
}

Channel::Slot& Channel::begin_slot(std::uint64_t index, std::uint64_t count) {
  Slot& taken = slot(index);
  taken.count = count;
  taken.kernarg_end = kernarg_head_;
  taken.recorded = false;
  taken.checkpoint = false;
  next_ = index + 1;
  return taken;
}

void* Channel::kernargs(std::uint32_t bytes) {
  std::uint64_t size = align_up(bytes, kernarg_alignment);
  std::uint64_t offset = kernarg_head_ % kernarg_ring_bytes;
  if (offset + size > kernarg_ring_bytes) {
    kernarg_head_ += kernarg_ring_bytes - offset;
    offset = 0;
  }
  kernarg_head_ += size;
  return kernarg_ring_.cpu_as<std::byte>() + offset;
}

void Channel::dispatch(const Dispatch& dispatch, void* kernargs) {
  if (dispatch.inline_data != 0) {
    std::byte* bytes = static_cast<std::byte*>(kernargs);
    std::byte* data = bytes + dispatch.inline_data;
    std::memcpy(bytes + dispatch.inline_pointer, &data, sizeof data);
  }
  std::uint64_t index = *queue_->try_reserve(1);
  begin_slot(index, ++counted_);
  hsa_kernel_dispatch_packet_t& packet = queue_->dispatch(index);
  packet.workgroup_size_x = dispatch.group[0];
  packet.workgroup_size_y = dispatch.group[1];
  packet.workgroup_size_z = dispatch.group[2];
  packet.reserved0 = 0;
  packet.grid_size_x = dispatch.grid[0];
  packet.grid_size_y = dispatch.grid[1];
  packet.grid_size_z = dispatch.grid[2];
  packet.private_segment_size = dispatch.private_segment;
  packet.group_segment_size = dispatch.group_segment;
  packet.kernel_object = dispatch.kernel_object;
  packet.kernarg_address = kernargs;
  packet.reserved2 = 0;
  packet.completion_signal = progress_.handle();
  constexpr std::uint16_t dimensions = 3 << HSA_KERNEL_DISPATCH_PACKET_SETUP_DIMENSIONS;
  queue_->publish_dispatch(index, header_of(HSA_PACKET_TYPE_KERNEL_DISPATCH), dimensions);
  queue_->ring_doorbell(index);
  tail_.reset();
}

void Channel::record(MarkerRef marker) {
  std::uint64_t index = *queue_->try_reserve(1);
  Slot& taken = begin_slot(index, counted_);
  hsa_barrier_and_packet_t& packet = queue_->barrier_and(index);
  clear_body(packet);
  packet.completion_signal = marker->signal.handle();
  marker->enter_queue();
  tail_ = marker;
  taken.marker = std::move(marker);
  taken.recorded = true;
  queue_->publish_barrier(index, header_of(HSA_PACKET_TYPE_BARRIER_AND));
  queue_->ring_doorbell(index);
}

void Channel::wait(MarkerRef marker) {
  std::uint64_t index = *queue_->try_reserve(1);
  Slot& taken = begin_slot(index, ++counted_);
  hsa_barrier_and_packet_t& packet = queue_->barrier_and(index);
  clear_body(packet);
  packet.dep_signal[0] = marker->signal.handle();
  packet.completion_signal = progress_.handle();
  taken.marker = std::move(marker);
  queue_->publish_barrier(index, header_of(HSA_PACKET_TYPE_BARRIER_AND));
  queue_->ring_doorbell(index);
  tail_.reset();
}

Result<bool> Channel::reached(const Point& point) const {
  Result<kfd::WaitResult> waited =
      point.marker ? point.marker->signal.wait_below(1, std::chrono::nanoseconds(0))
                   : progress_.wait_below(start_value - static_cast<std::int64_t>(point.count) + 1);
  if (!waited)
    return waited.error();
  return *waited == kfd::WaitResult::satisfied;
}

} // namespace shim::core
