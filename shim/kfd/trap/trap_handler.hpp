// Makes waves that trap or meet an exception (an illegal instruction, a misaligned atomic) tell of it.
// Without a handler of its own a process hears nothing: KFD's skips a trap, and halts the wave for an
// exception.
#pragma once

#include <cstdint>
#include <memory>

#include <hsa/amd_hsa_signal.h>

#include <kfd/buffer.hpp>
#include <util/error.hpp>

namespace shim::kfd {

class Device;

class TrapHandler {
public:
  // Loads the handler for the device's processor and makes it the process's (SET_TRAP_HANDLER). Null, with a
  // line of log, for a processor that there is none for. The device outlives it.
  static util::Result<std::unique_ptr<TrapHandler>> install(Device& device);

  // What waves of the queue with that doorbell raise: the signal's value becomes QueueErrorBits of
  // queue_error.hpp and its event is raised. Null: nothing, before the signal goes. Thread-safe for different
  // doorbells.
  void set_signal(std::uint64_t doorbell_offset, amd_signal_t* signal);

private:
  explicit TrapHandler(Buffer memory) : memory_(std::move(memory)) {}
  Buffer memory_; // the table, then the code
};

} // namespace shim::kfd
