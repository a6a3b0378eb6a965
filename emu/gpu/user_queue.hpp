// One user queue, stepped by the command processor.
#pragma once

#include "engine.hpp"

#include <gpu/gpu.hpp>
#include <isa/global_wave_sync.hpp>

#include <memory>
#include <mutex>
#include <optional>

namespace emu::gpu {

class UserQueue {
public:
  // `trap_handler` is the process's; it outlives the queue.
  UserQueue(QueueId id, const QueueDescription& description, const isa::TrapHandler& trap_handler,
            ShaderArray& shaders, std::shared_ptr<WakeWord> wake);
  virtual ~UserQueue() = default;
  UserQueue(const UserQueue&) = delete;
  UserQueue& operator=(const UserQueue&) = delete;

  // One bounded piece of work. A fault stops the queue, is printed and handed to take_fault().
  Step step();
  std::vector<Interrupt> take_interrupts() { return std::exchange(context_.interrupts, {}); }
  std::optional<Fault> take_fault() { return std::exchange(fault_, std::nullopt); }

  void update(const QueueUpdate& update);
  void set_cu_mask(const std::vector<std::uint32_t>& mask);
  // For the kernels that start from now on.
  void set_global_wave_sync(bool on) { context_.global_wave_sync = on ? &global_wave_sync_ : nullptr; }
  // Reads wptr afresh at the next step().
  void kick() { kicked_.store(true, std::memory_order_release); }
  // Takes what runs off the hardware, or puts it back.
  virtual void pause(bool on) = 0;
  // Ends what runs, at its next slice.
  virtual void cancel() = 0;
  virtual bool busy() const = 0;

  // Held by whoever steps or changes the queue.
  std::mutex mutex;
  bool destroyed = false; // guarded by mutex

protected:
  // Serves what lies between rptr and `limit_` (in the queue's units). Throws Stop.
  virtual Step serve() = 0;
  // Reacts to what serve() threw, before the fault is reported. True: the program has been told.
  virtual bool on_fault(const Fault&) { return false; }
  virtual void on_update() {}
  // The dispatch that has run for longest; null: none runs.
  virtual const Dispatch* oldest_dispatch() const = 0;

  const QueueId id_;
  QueueDescription description_;
  EngineContext context_;
  EngineMemory memory_;
  std::uint64_t limit_ = 0; // AQL: packets that may be served; PM4: wptr, dwords; SDMA: wptr, bytes

private:
  bool active() const {
    return description_.ring != 0 && description_.ring_size != 0 && description_.percentage != 0;
  }
  void look_at_doorbell();
  void end_if_overdue();
  void fail(Fault fault);

  isa::GlobalWaveSync global_wave_sync_;
  std::atomic<bool> kicked_{true};
  std::uint64_t doorbell_seen_ = ~0ull;
  bool dead_ = false;
  bool overdue_ = false; // the watchdog has cancelled what runs
  std::optional<Fault> fault_;
};

std::shared_ptr<UserQueue> make_user_queue(QueueId id, const QueueDescription& description,
                                           const isa::TrapHandler& trap_handler, ShaderArray& shaders,
                                           std::shared_ptr<WakeWord> wake);
std::shared_ptr<UserQueue> make_aql_queue(QueueId id, const QueueDescription& description,
                                          const isa::TrapHandler& trap_handler, ShaderArray& shaders,
                                          std::shared_ptr<WakeWord> wake);

} // namespace emu::gpu
