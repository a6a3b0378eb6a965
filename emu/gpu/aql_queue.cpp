// The command processor's view of one AQL queue: packets are taken in order. One with its barrier bit clear
// does not wait for the kernels before it; the read index waits for the oldest of them, since kernels read
// their packets.
#include "aql.hpp"
#include "pm4.hpp"
#include "user_queue.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace emu::gpu {

namespace {

using aql::DispatchPacket;
using aql::KernelDescriptor;

constexpr std::uint32_t lds_granule = 512; // bytes, of COMPUTE_PGM_RSRC2.LDS_SIZE
constexpr std::uint32_t tmpring_unit = 1024;
constexpr std::uint32_t max_group_lds = 64 * 1024;
constexpr std::uint32_t max_group_threads = 1024;
constexpr std::size_t max_running = 8; // kernels of a queue

constexpr bool property(const KernelDescriptor& kernel, aql::CodeProperty bit) {
  return kernel.kernel_code_properties >> bit & 1;
}

class AqlQueue final : public UserQueue {
public:
  AqlQueue(QueueId id, const QueueDescription& description, const isa::TrapHandler& trap_handler,
           ShaderArray& shaders, std::shared_ptr<WakeWord> wake)
      : UserQueue(id, description, trap_handler, shaders, std::move(wake)) {}

  void pause(bool on) override {
    for (const Running& kernel : running_)
      context_.shaders->pause(*kernel.dispatch, on);
    if (pm4_)
      pm4_->pause(on);
  }
  void cancel() override {
    for (const Running& kernel : running_)
      kernel.dispatch->cancel();
    if (pm4_)
      pm4_->cancel();
  }
  bool busy() const override {
    return std::any_of(running_.begin(), running_.end(),
                       [](const Running& kernel) { return !kernel.dispatch->done(); }) ||
           (pm4_ && pm4_->busy());
  }

private:
  // A packet between its start and its completion.
  struct InFlight {
    std::uint64_t position = 0;
    std::uint64_t start_time = 0;
    std::uint64_t completion_signal = 0;
  };
  struct Running : InFlight {
    std::shared_ptr<Dispatch> dispatch;
    bool scratch = false;
    bool reclaim_scratch = false;
  };

  const Dispatch* oldest_dispatch() const override {
    if (!running_.empty())
      return running_.front().dispatch.get();
    return pm4_ ? pm4_->dispatch() : nullptr;
  }
  Step serve() override;
  Step serve_packets();
  void retire(std::vector<Running>::iterator kernel);
  bool on_fault(const Fault& fault) override;

  GpuAddress packet_address(std::uint64_t position) const {
    return description_.ring + position * aql::packet_bytes % description_.ring_size;
  }
  GpuAddress packet_address() const { return packet_address(position_); }
  GpuAddress queue_address() {
    return description_.rptr -
           memory_.load<std::uint32_t>(description_.rptr +
                                       queue_field(aql::queue::read_dispatch_id_field_base_byte_offset));
  }
  static constexpr std::uint64_t queue_field(std::uint64_t offset) {
    return offset - aql::queue::read_dispatch_id;
  }
  template <class T>
  T queue_load(std::uint64_t offset) {
    return memory_.load<T>(queue_address() + offset);
  }

  Step begin_packet();
  Step begin_dispatch();
  Step begin_vendor();
  Step try_barrier(bool all);
  Step try_barrier_value();
  Step run_pm4();
  Step finish_packet();

  struct Scratch {
    std::uint32_t wave_size = 0;
    std::uint32_t waves = 0;
  };
  // nullopt: the runtime has been asked for more.
  std::optional<Scratch> scratch_for(const DispatchPacket& packet, const KernelDescriptor& kernel);
  DispatchDescription describe(const DispatchPacket& packet, const KernelDescriptor& kernel,
                               const Scratch& scratch);
  void set_user_sgprs(isa::DispatchState& state, const DispatchPacket& packet,
                      const KernelDescriptor& kernel);
  void check(const DispatchPacket& packet);

  [[noreturn]] void refuse(FaultKind kind, aql::InactiveReason reason, const std::string& why);
  void raise_inactive(std::uint64_t reason);
  void complete(const InFlight& packet);
  void complete_signal(const InFlight& packet);
  void notify(std::uint64_t handle);

  std::uint64_t position_ = 0;   // of the packet being served
  std::vector<Running> running_; // packets before it, oldest first
  std::optional<Pm4> pm4_;
  bool pm4_running_ = false;
  bool inactive_ = false; // waits for queue_inactive_signal to become 0
  bool begun_ = false;    // current_ describes the packet at position_
  InFlight current_;
  std::uint64_t fault_reason_ = 0;
};

void AqlQueue::refuse(FaultKind kind, aql::InactiveReason reason, const std::string& why) {
  fault_reason_ = reason;
  stop(kind, fmt::format("packet {}: {}", position_, why));
}

Step AqlQueue::serve() {
  const auto finished = std::find_if(running_.begin(), running_.end(),
                                     [](const Running& kernel) { return kernel.dispatch->done(); });
  if (finished != running_.end()) {
    retire(finished);
    return Step::progressed;
  }
  const Step result = serve_packets();
  return running_.empty() || result != Step::idle ? result : Step::waiting;
}

void AqlQueue::retire(std::vector<Running>::iterator kernel) {
  const Running finished = *kernel;
  running_.erase(kernel);
  if (std::optional<Fault> fault = finished.dispatch->fault()) {
    fault->text = fmt::format("packet {}: {}", finished.position, fault->text);
    throw Stop{std::move(*fault)};
  }
  complete(finished);
  if (finished.reclaim_scratch) {
    raise_inactive(aql::reclaim_scratch);
    inactive_ = true;
  }
}

// The packet at position_.
Step AqlQueue::serve_packets() {
  if (inactive_) {
    const auto handle = queue_load<std::uint64_t>(aql::queue::queue_inactive_signal);
    if (memory_.load<std::uint64_t>(handle + aql::signal::value) != 0)
      return Step::blocked;
    inactive_ = false;
  }
  if (pm4_running_)
    return run_pm4();
  if (position_ >= limit_)
    return Step::idle;
  return begin_packet();
}

Step AqlQueue::begin_packet() {
  const std::uint16_t header = memory_.load<std::uint16_t>(packet_address());
  const std::uint32_t type = bits(header, 0, 8);
  if (type == aql::invalid)
    return Step::blocked; // announced, but not written yet
  if (bits(header, aql::header_barrier, 1) && !running_.empty())
    return Step::waiting;
  if (!begun_) {
    begun_ = true;
    current_ = {position_, gpu_clock(),
                memory_.load<std::uint64_t>(packet_address() + offsetof(DispatchPacket, completion_signal))};
  }
  switch (type) {
  case aql::kernel_dispatch:
    return begin_dispatch();
  case aql::barrier_and:
    return try_barrier(true);
  case aql::barrier_or:
    return try_barrier(false);
  case aql::vendor_specific:
    return begin_vendor();
  default:
    refuse(FaultKind::illegal_packet, aql::invalid_packet_format, fmt::format("header {:#06x}", header));
  }
}

Step AqlQueue::try_barrier(bool all) {
  aql::BarrierPacket packet{};
  memory_.read(packet_address(), &packet, sizeof packet);
  bool any_signal = false;
  bool any_zero = false;
  bool all_zero = true;
  for (std::uint64_t handle : packet.dep_signal) {
    if (handle == 0)
      continue;
    any_signal = true;
    const bool zero = memory_.load<std::uint64_t>(handle + aql::signal::value) == 0;
    any_zero = any_zero || zero;
    all_zero = all_zero && zero;
  }
  const bool satisfied = !any_signal || (all ? all_zero : any_zero);
  return satisfied ? finish_packet() : Step::blocked;
}

Step AqlQueue::try_barrier_value() {
  enum : std::uint32_t { condition_eq = 0, condition_ne = 1, condition_lt = 2, condition_gte = 3 };
  aql::BarrierValuePacket packet{};
  memory_.read(packet_address(), &packet, sizeof packet);
  if (packet.signal == 0)
    return finish_packet();
  const auto value =
      static_cast<std::int64_t>(memory_.load<std::uint64_t>(packet.signal + aql::signal::value)) &
      packet.mask;
  bool satisfied = false;
  switch (packet.condition) {
  case condition_eq:
    satisfied = value == packet.value;
    break;
  case condition_ne:
    satisfied = value != packet.value;
    break;
  case condition_lt:
    satisfied = value < packet.value;
    break;
  case condition_gte:
    satisfied = value >= packet.value;
    break;
  default:
    refuse(FaultKind::illegal_packet, aql::invalid_vendor_packet,
           fmt::format("condition {}", packet.condition));
  }
  return satisfied ? finish_packet() : Step::blocked;
}

Step AqlQueue::begin_vendor() {
  const std::uint8_t format = memory_.load<std::uint8_t>(packet_address() + 2);
  if (format == aql::vendor_barrier_value)
    return try_barrier_value();
  if (format != aql::vendor_pm4_ib)
    refuse(FaultKind::illegal_packet, aql::invalid_vendor_packet, fmt::format("vendor format {}", format));
  if (!pm4_)
    pm4_.emplace(context_, Pm4Kind::compute);
  constexpr std::uint64_t jump_dwords = 4;
  pm4_->push_ib(packet_address() + offsetof(aql::Pm4IbPacket, ib_jump), jump_dwords);
  pm4_running_ = true;
  return Step::progressed;
}

Step AqlQueue::run_pm4() {
  fault_reason_ = aql::invalid_vendor_packet;
  const Step result = pm4_->step();
  fault_reason_ = 0;
  if (result != Step::idle)
    return result;
  pm4_running_ = false;
  return finish_packet();
}

void AqlQueue::check(const DispatchPacket& packet) {
  const std::uint32_t dimensions = bits(packet.setup, 0, 2);
  if (dimensions == 0)
    refuse(FaultKind::illegal_dispatch, aql::invalid_dimensions, "no dimensions");
  std::uint64_t threads = 1;
  for (std::uint32_t i = 0; i < 3; ++i) {
    if (packet.workgroup_size[i] == 0 || packet.grid_size[i] == 0 ||
        (i >= dimensions && (packet.workgroup_size[i] != 1 || packet.grid_size[i] != 1)))
      refuse(FaultKind::illegal_dispatch, aql::invalid_dimensions,
             fmt::format("dimension {} of {}: grid {}, workgroup {}", i, dimensions, packet.grid_size[i],
                         packet.workgroup_size[i]));
    threads *= packet.workgroup_size[i];
  }
  if (threads > max_group_threads)
    refuse(FaultKind::illegal_dispatch, aql::group_too_large,
           fmt::format("{} threads in a workgroup", threads));
  if (packet.group_segment_size > max_group_lds)
    refuse(FaultKind::illegal_dispatch, aql::invalid_group_memory,
           fmt::format("{} bytes of LDS", packet.group_segment_size));
  if (packet.kernel_object == 0)
    refuse(FaultKind::illegal_dispatch, aql::invalid_code, "no kernel object");
}

std::optional<AqlQueue::Scratch> AqlQueue::scratch_for(const DispatchPacket& packet,
                                                       const KernelDescriptor& kernel) {
  if (!bits(kernel.compute_pgm_rsrc2, 0, 1))
    return Scratch{};
  const bool wave32 = property(kernel, aql::enable_wavefront_size32);
  const std::uint64_t lanes = wave32 ? 32 : 64;
  const auto tmpring = queue_load<std::uint32_t>(aql::queue::compute_tmpring_size);
  const Scratch scratch{bits(tmpring, 12, 13) * tmpring_unit, bits(tmpring, 0, 12)};
  if (packet.private_segment_size * lanes > scratch.wave_size) {
    raise_inactive(wave32 ? aql::need_scratch_wave32 : aql::need_scratch_wave64);
    inactive_ = true;
    return std::nullopt;
  }
  return scratch.wave_size == 0 ? Scratch{} : scratch;
}

Step AqlQueue::begin_dispatch() {
  DispatchPacket packet{};
  memory_.read(packet_address(), &packet, sizeof packet);
  check(packet);
  KernelDescriptor kernel{};
  memory_.read(packet.kernel_object, &kernel, sizeof kernel);
  // Kernels that run beside each other would share the queue's scratch.
  const bool scratch_in_use =
      std::any_of(running_.begin(), running_.end(), [](const Running& other) { return other.scratch; });
  if (running_.size() >= max_running || (scratch_in_use && bits(kernel.compute_pgm_rsrc2, 0, 1)))
    return Step::waiting;
  const std::optional<Scratch> scratch = scratch_for(packet, kernel);
  if (!scratch)
    return Step::progressed;
  DispatchDescription description = describe(packet, kernel, *scratch);
  if (std::string why = gpu::refuse(description); !why.empty())
    refuse(FaultKind::illegal_dispatch, aql::invalid_code, why);
  if (!registers_fit(description))
    refuse(FaultKind::illegal_dispatch, aql::out_of_vgprs, "more vector registers than a workgroup can have");
  Running kernel_run;
  static_cast<InFlight&>(kernel_run) = current_;
  kernel_run.scratch = scratch->waves != 0;
  kernel_run.reclaim_scratch =
      kernel_run.scratch &&
      bits(queue_load<std::uint32_t>(aql::queue::queue_properties), aql::queue::property_use_scratch_once, 1);
  kernel_run.dispatch = context_.shaders->start(std::move(description), context_.wake);
  running_.push_back(std::move(kernel_run));
  ++position_;
  begun_ = false;
  return Step::progressed;
}

DispatchDescription AqlQueue::describe(const DispatchPacket& packet, const KernelDescriptor& kernel,
                                       const Scratch& scratch) {
  constexpr unsigned lds_size_shift = 15;
  constexpr std::uint32_t lds_size_mask = 0x1ff << lds_size_shift;
  DispatchDescription d = context_.dispatch();
  d.scratch_waves = scratch.waves;
  isa::DispatchState& s = d.state;
  s.code = packet.kernel_object + static_cast<std::uint64_t>(kernel.kernel_code_entry_byte_offset);
  s.pgm_rsrc1 = kernel.compute_pgm_rsrc1;
  s.pgm_rsrc2 = (kernel.compute_pgm_rsrc2 & ~lds_size_mask) |
                (packet.group_segment_size + lds_granule - 1) / lds_granule << lds_size_shift;
  s.pgm_rsrc3 = kernel.compute_pgm_rsrc3;
  s.wave32 = property(kernel, aql::enable_wavefront_size32);
  s.scratch_wave_size = scratch.wave_size;
  for (unsigned i = 0; i < 3; ++i) {
    const std::uint32_t size = packet.workgroup_size[i];
    const std::uint32_t rest = packet.grid_size[i] % size;
    s.group_size[i] = size;
    d.end[i] = packet.grid_size[i] / size + (rest != 0);
    d.last_size[i] = rest != 0 ? rest : size;
  }
  set_user_sgprs(s, packet, kernel);
  return d;
}

void AqlQueue::set_user_sgprs(isa::DispatchState& state, const DispatchPacket& packet,
                              const KernelDescriptor& kernel) {
  constexpr std::uint32_t max_user_sgprs = 16;
  constexpr std::uint32_t index_stride_shift = 21, index_stride_32 = 2, index_stride_64 = 3;
  std::size_t next = 0;
  const auto put = [&](std::uint32_t value) { state.user_data[next++] = value; };
  const auto put64 = [&](std::uint64_t value) {
    put(static_cast<std::uint32_t>(value));
    put(static_cast<std::uint32_t>(value >> 32));
  };
  if (property(kernel, aql::enable_private_segment_buffer)) {
    std::array<std::uint32_t, 4> descriptor{};
    memory_.read(queue_address() + aql::queue::scratch_resource_descriptor, descriptor.data(),
                 sizeof descriptor);
    descriptor[3] &= ~(3u << index_stride_shift);
    descriptor[3] |= (state.wave32 ? index_stride_32 : index_stride_64) << index_stride_shift;
    for (std::uint32_t word : descriptor)
      put(word);
  }
  if (property(kernel, aql::enable_dispatch_ptr))
    put64(packet_address());
  if (property(kernel, aql::enable_queue_ptr))
    put64(queue_address());
  if (property(kernel, aql::enable_kernarg_segment_ptr))
    put64(packet.kernarg_address);
  if (property(kernel, aql::enable_dispatch_id))
    put64(position_);
  if (property(kernel, aql::enable_flat_scratch_init))
    put64(queue_load<std::uint64_t>(aql::queue::scratch_backing_memory_location));
  if (property(kernel, aql::enable_private_segment_size))
    put(packet.private_segment_size);
  const std::uint32_t declared = bits(kernel.compute_pgm_rsrc2, 1, 5);
  if (declared < next || declared > max_user_sgprs)
    refuse(FaultKind::illegal_dispatch, aql::invalid_code,
           fmt::format("{} user SGPRs declared, {} enabled", declared, next));
}

// Of a packet that is over at once.
Step AqlQueue::finish_packet() {
  ++position_;
  begun_ = false;
  complete(current_);
  return Step::progressed;
}

void AqlQueue::complete(const InFlight& packet) {
  memory_.store<std::uint16_t>(packet_address(packet.position), aql::invalid);
  memory_.store<std::uint64_t>(description_.rptr, running_.empty() ? position_ : running_.front().position);
  if (packet.completion_signal != 0)
    complete_signal(packet);
}

void AqlQueue::complete_signal(const InFlight& packet) {
  const std::uint64_t handle = packet.completion_signal;
  if (bits(queue_load<std::uint32_t>(aql::queue::queue_properties), aql::queue::property_enable_profiling,
           1)) {
    memory_.store<std::uint64_t>(handle + aql::signal::start_ts, packet.start_time);
    memory_.store<std::uint64_t>(handle + aql::signal::end_ts, gpu_clock());
  }
  __atomic_fetch_sub(memory_.word<std::uint64_t>(handle + aql::signal::value), 1, __ATOMIC_SEQ_CST);
  notify(handle);
}

void AqlQueue::notify(std::uint64_t handle) {
  const auto mailbox = memory_.load<std::uint64_t>(handle + aql::signal::event_mailbox_ptr);
  if (mailbox == 0)
    return;
  const auto event_id = memory_.load<std::uint32_t>(handle + aql::signal::event_id);
  memory_.store<std::uint64_t>(mailbox, event_id);
  context_.interrupts.push_back({Interrupt::Source::end_of_pipe, id_, event_id});
}

void AqlQueue::raise_inactive(std::uint64_t reason) {
  const auto handle = queue_load<std::uint64_t>(aql::queue::queue_inactive_signal);
  if (handle == 0)
    stop(FaultKind::illegal_dispatch,
         fmt::format("packet {}: the queue has no queue_inactive_signal to raise {:#x}", position_, reason));
  __atomic_store_n(memory_.word<std::uint64_t>(handle + aql::signal::value), reason, __ATOMIC_SEQ_CST);
  notify(handle);
}

bool AqlQueue::on_fault(const Fault& fault) {
  // A page fault reaches the program through the kernel alone.
  if (fault_reason_ == 0 || fault.kind == FaultKind::page_fault || fault.kind == FaultKind::stopped)
    return false;
  raise_inactive(fault_reason_);
  return true;
}

} // namespace

std::shared_ptr<UserQueue> make_aql_queue(QueueId id, const QueueDescription& description,
                                          const isa::TrapHandler& trap_handler, ShaderArray& shaders,
                                          std::shared_ptr<WakeWord> wake) {
  return std::make_shared<AqlQueue>(id, description, trap_handler, shaders, std::move(wake));
}

} // namespace emu::gpu
