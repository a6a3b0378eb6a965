#include "user_queue.hpp"

#include "pm4.hpp"
#include "sdma.hpp"

#include <memory/access_section.hpp>

#include <fmt/format.h>

namespace emu::gpu {

namespace {

constexpr std::uint64_t doorbell_not_rung = ~0ull;

const char* name_of(QueueType type) {
  switch (type) {
  case QueueType::aql:
    return "AQL";
  case QueueType::pm4_compute:
    return "PM4";
  case QueueType::sdma:
    return "SDMA";
  }
  return "?";
}

// Pointers are compared in the ring only: whatever is written to a doorbell, at most one ring of packets is
// new.
std::uint64_t end_of(const PacketFrame& ring, std::uint64_t limit) {
  return ring.position + ((limit - ring.position) & ring.mask);
}

// A queue of PM4 packets. rptr and wptr count dwords; rptr is reported modulo the ring.
class Pm4Queue final : public UserQueue {
public:
  Pm4Queue(QueueId id, const QueueDescription& description, const isa::TrapHandler& trap_handler,
           ShaderArray& shaders, std::shared_ptr<WakeWord> wake)
      : UserQueue(id, description, trap_handler, shaders, std::move(wake)), pm4_(context_, Pm4Kind::compute) {
    pm4_.reader().push({description.ring, 0, 0, description.ring_size / 4 - 1, true});
  }
  void pause(bool on) override { pm4_.pause(on); }
  void cancel() override { pm4_.cancel(); }
  bool busy() const override { return pm4_.busy(); }

private:
  const Dispatch* oldest_dispatch() const override { return pm4_.dispatch(); }
  Step serve() override {
    PacketFrame& ring = pm4_.reader().bottom();
    ring.end = end_of(ring, limit_);
    const std::uint64_t before = ring.position;
    const Step result = pm4_.step();
    const PacketFrame& after = pm4_.reader().bottom();
    if (after.position != before)
      memory_.store<std::uint32_t>(description_.rptr,
                                   static_cast<std::uint32_t>(after.position & after.mask));
    return result;
  }
  void on_update() override {
    PacketFrame& ring = pm4_.reader().bottom();
    ring.base = description_.ring;
    ring.mask = description_.ring_size / 4 - 1;
  }

  Pm4 pm4_;
};

// A queue of SDMA packets. rptr and wptr count bytes, and never wrap.
class SdmaQueue final : public UserQueue {
public:
  SdmaQueue(QueueId id, const QueueDescription& description, const isa::TrapHandler& trap_handler,
            ShaderArray& shaders, std::shared_ptr<WakeWord> wake)
      : UserQueue(id, description, trap_handler, shaders, std::move(wake)), sdma_(context_) {
    sdma_.reader().push({description.ring, 0, 0, description.ring_size / 4 - 1, true});
  }
  void pause(bool) override {} // a packet is over before anyone can ask
  void cancel() override {}
  bool busy() const override { return false; }

private:
  const Dispatch* oldest_dispatch() const override { return nullptr; }
  Step serve() override {
    PacketFrame& ring = sdma_.reader().bottom();
    ring.end = end_of(ring, limit_ / 4);
    const std::uint64_t before = ring.position;
    const Step result = sdma_.step();
    const PacketFrame& after = sdma_.reader().bottom();
    if (after.position != before)
      memory_.store<std::uint64_t>(description_.rptr, after.position * 4);
    return result;
  }
  void on_update() override {
    PacketFrame& ring = sdma_.reader().bottom();
    ring.base = description_.ring;
    ring.mask = description_.ring_size / 4 - 1;
  }

  Sdma sdma_;
};

} // namespace

UserQueue::UserQueue(QueueId id, const QueueDescription& description, const isa::TrapHandler& trap_handler,
                     ShaderArray& shaders, std::shared_ptr<WakeWord> wake)
    : id_(id), description_(description), context_{.space = description.space,
                                                   .apertures = description.apertures,
                                                   .queue = id,
                                                   .vmid = description.vmid,
                                                   .priority = description.priority,
                                                   .trap_handler = &trap_handler,
                                                   .doorbell = description.doorbell_id,
                                                   .shaders = &shaders,
                                                   .wake = std::move(wake)},
      memory_(*description.space) {
  if (description_.doorbell)
    __atomic_store_n(description_.doorbell, doorbell_not_rung, __ATOMIC_RELEASE);
  set_cu_mask(description.cu_mask);
}

void UserQueue::set_cu_mask(const std::vector<std::uint32_t>& mask) {
  context_.places = mask.empty() ? all_places() : places_of(mask);
  if (context_.places->empty())
    complain(fmt::format("queue {}: its mask leaves it no compute unit: its kernels will not start", id_));
}

void UserQueue::look_at_doorbell() {
  if (kicked_.exchange(false, std::memory_order_acq_rel))
    limit_ = std::max(limit_, memory_.load<std::uint64_t>(description_.wptr));
  if (!description_.doorbell)
    return;
  const std::uint64_t value = __atomic_load_n(description_.doorbell, __ATOMIC_ACQUIRE);
  if (value == doorbell_seen_)
    return;
  doorbell_seen_ = value;
  if (value == doorbell_not_rung)
    return;
  // Producers of one AQL queue may ring out of order: the doorbell never takes packets back.
  if (description_.type == QueueType::aql)
    limit_ = std::max(limit_, value + 1);
  else
    limit_ = value;
  // The program wrote wptr before it rang; reading it orders the ring's contents for those who watch memory
  // order through one mapping, where the doorbell is seen through another.
  memory_.load<std::uint64_t>(description_.wptr);
}

Step UserQueue::step() {
  if (dead_ || !active())
    return Step::idle;
  const memory::AccessSection section;
  try {
    look_at_doorbell();
    const Step result = serve();
    end_if_overdue();
    return result;
  } catch (Stop& stopped) {
    fail(std::move(stopped.fault));
    return Step::progressed;
  }
}

void UserQueue::end_if_overdue() {
  const auto limit = context_.shaders->watchdog();
  const Dispatch* oldest = limit.count() != 0 && !overdue_ ? oldest_dispatch() : nullptr;
  if (!oldest || std::chrono::steady_clock::now() - oldest->start_time() <= limit)
    return;
  overdue_ = true;
  cancel(); // serve() throws when it has come to an end
  context_.shaders->look_again();
}

void UserQueue::fail(Fault fault) {
  fault.queue = id_;
  fault.vmid = description_.vmid;
  if (overdue_ && fault.kind == FaultKind::stopped) {
    fault.kind = FaultKind::hang;
    fault.text = fmt::format("a kernel ran for longer than {} ms", context_.shaders->watchdog().count());
  }
  dead_ = true;
  cancel(); // its other kernels
  context_.shaders->look_again();
  complain(fmt::format("{} queue {} (VMID {}): {}: {}", name_of(description_.type), id_, fault.vmid,
                       to_string(fault.kind), fault.text));
  try {
    fault.told_by_signal = on_fault(fault);
  } catch (const Stop& again) {
    complain(fmt::format("{} queue {}: while reporting that: {}", name_of(description_.type), id_,
                         again.fault.text));
  }
  fault_ = std::move(fault);
}

void UserQueue::update(const QueueUpdate& update) {
  const bool was_active = active();
  description_.ring = update.ring;
  description_.ring_size = update.ring_size;
  description_.priority = context_.priority = update.priority;
  description_.percentage = update.percentage;
  if (active())
    on_update();
  if (active() != was_active)
    pause(!active());
  kick();
}

std::shared_ptr<UserQueue> make_user_queue(QueueId id, const QueueDescription& description,
                                           const isa::TrapHandler& trap_handler, ShaderArray& shaders,
                                           std::shared_ptr<WakeWord> wake) {
  switch (description.type) {
  case QueueType::pm4_compute:
    return std::make_shared<Pm4Queue>(id, description, trap_handler, shaders, std::move(wake));
  case QueueType::sdma:
    return std::make_shared<SdmaQueue>(id, description, trap_handler, shaders, std::move(wake));
  case QueueType::aql:
    break;
  }
  return make_aql_queue(id, description, trap_handler, shaders, std::move(wake));
}

} // namespace emu::gpu
