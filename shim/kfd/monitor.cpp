#include "monitor.hpp"

#include <algorithm>
#include <array>
#include <chrono>

#include <kfd/fork.hpp>
#include <util/thread.hpp>

#include "ioctl.hpp"
#include "queue_error.hpp"
#include "queue_parts.hpp"

namespace shim::kfd {

namespace {

enum : std::size_t { queue_slot, memory_slot, hardware_slot, slot_count };

constexpr std::uint32_t wait_forever_ms = 0xffffffff;

} // namespace

Result<std::unique_ptr<FaultMonitor>> FaultMonitor::start(Device& device) {
  std::unique_ptr<FaultMonitor> monitor(new FaultMonitor(device));
  EventPage& events = *device.process_->events_;
  Result<Event> queue = events.create(KFD_IOC_EVENT_SIGNAL, true);
  if (!queue)
    return queue.error();
  monitor->queue_event_ = *queue;
  // Never reset: one fault ends the device.
  Result<Event> memory = events.create(KFD_IOC_EVENT_MEMORY, false);
  if (!memory)
    return memory.error();
  monitor->memory_event_ = *memory;
  Result<Event> hardware = events.create(KFD_IOC_EVENT_HW_EXCEPTION, false);
  if (!hardware)
    return hardware.error();
  monitor->hardware_event_ = *hardware;

  monitor->thread_ = util::start_thread("cuda-faults", [raw = monitor.get()] { raw->run(); });
  return monitor;
}

FaultMonitor::~FaultMonitor() {
  if (in_forked_child()) {
    if (thread_.joinable())
      thread_.detach();
    return;
  }
  EventPage& events = *device_->process_->events_;
  if (thread_.joinable()) {
    stopping_.store(true);
    if (!events.set(queue_event_.id))
      events.destroy(queue_event_); // which wakes its waiters, too
    thread_.join();
  }
  for (const Event* event : {&queue_event_, &memory_event_, &hardware_event_})
    if (event->id)
      events.destroy(*event);
}

void FaultMonitor::watch(Queue& queue) {
  std::lock_guard lock(mutex_);
  queues_.push_back(&queue);
}

void FaultMonitor::forget(Queue& queue) {
  std::lock_guard lock(mutex_);
  std::erase(queues_, &queue);
}

void FaultMonitor::run() {
  std::array<kfd_event_data, slot_count> events{};
  events[queue_slot].event_id = queue_event_.id;
  events[memory_slot].event_id = memory_event_.id;
  events[hardware_slot].event_id = hardware_event_.id;
  unsigned failures = 0; // in a row
  while (!stopping_.load()) {
    kfd_ioctl_wait_events_args args{};
    args.events_ptr = reinterpret_cast<std::uint64_t>(events.data());
    args.num_events = slot_count;
    args.timeout = wait_forever_ms;
    if (int err = try_ioctl(device_->process_->kfd_fd(), requests::wait_events, args)) {
      constexpr unsigned most_failures = 1000;
      if (++failures > most_failures || err == EBADFD) {
        static_cast<void>(ioctl_error(requests::wait_events.name, err));
        return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1)); // the kernel will not let it wait
      continue;
    }
    failures = 0;
    look_at_queues();
    const kfd_hsa_memory_exception_data& memory = events[memory_slot].memory_exception_data;
    const kfd_hsa_hw_exception_data& hardware = events[hardware_slot].hw_exception_data;
    if (memory.gpu_id == device_->node_.gpu_id)
      return report_memory_fault(memory);
    if (hardware.gpu_id == device_->node_.gpu_id)
      return device_->report({.kind = Fault::Kind::hardware, .code = CUDA_ERROR_LAUNCH_FAILED});
  }
}

void FaultMonitor::report_memory_fault(const kfd_hsa_memory_exception_data& data) {
  Fault fault;
  fault.kind = Fault::Kind::memory;
  fault.code = CUDA_ERROR_ILLEGAL_ADDRESS;
  fault.address = data.va;
  fault.not_present = data.failure.NotPresent;
  fault.read_only = data.failure.ReadOnly;
  fault.no_execute = data.failure.NoExecute;
  device_->report(fault);
}

void FaultMonitor::look_at_queues() {
  std::lock_guard lock(mutex_);
  for (Queue* queue : queues_) {
    amd_signal_t* inactive = queue->parts_->inactive_signal;
    auto bits = static_cast<std::uint64_t>(__atomic_load_n(&inactive->value, __ATOMIC_ACQUIRE));
    if (bits == 0)
      continue;
    Fault fault;
    fault.kind = Fault::Kind::queue;
    fault.queue_id = queue->id();
    fault.queue_error = static_cast<std::int64_t>(bits);
    if (bits & (scratch_wanted_wave32 | scratch_wanted_wave64)) {
      Result<void> given = queue->parts_->give_scratch(*queue, bits & scratch_wanted_wave32 ? 32 : 64);
      if (given)
        continue;
      fault.code = given.code();
      fault.reason = "no scratch memory";
    } else {
      const QueueErrorMeaning meaning = meaning_of_queue_error(bits);
      fault.code = meaning.code;
      fault.reason = meaning.words;
    }
    device_->report(fault);
  }
}

} // namespace shim::kfd
