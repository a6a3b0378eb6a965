// What the packet interpreters have in common: where they read from, and what surrounds them.
#pragma once

#include "dispatch.hpp"
#include "engine_memory.hpp"
#include "wake.hpp"

#include <gpu/types.hpp>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace emu::gpu {

enum class Step : std::uint8_t {
  progressed, // something was done; step again
  blocked,    // waits for memory to change: poll
  waiting,    // waits for waves; the wake word tells
  idle,       // nothing to do until the ring grows
};

// The surroundings of one queue or one submission.
struct EngineContext {
  std::shared_ptr<const memory::AddressSpace> space;
  Apertures apertures;
  QueueId queue = no_queue;
  std::uint32_t vmid = 0;
  std::uint32_t priority = 7;
  const isa::TrapHandler* trap_handler =
      nullptr;                // of the queue's process; null: a submission, of amdgpu's own VMs
  std::uint32_t doorbell = 0; // the queue's, as waves are told
  isa::GlobalWaveSync* global_wave_sync = nullptr; // null: the queue has none
  ShaderArray* shaders = nullptr;
  std::shared_ptr<WakeWord> wake;
  std::shared_ptr<const Places> places;   // where its waves may go
  std::vector<Interrupt> interrupts = {}; // raised and not delivered yet

  // What every dispatch of the queue or submission has in common.
  DispatchDescription dispatch() const;
};

// A run of dwords that packets are read from: a ring, whose end moves, or an indirect buffer.
struct PacketFrame {
  GpuAddress base = 0;
  std::uint64_t position = 0; // dwords from base, monotonic
  std::uint64_t end = 0;      // dwords
  std::uint64_t mask = ~0ull; // ring size in dwords - 1; all ones for an indirect buffer
  bool ring = false;
};

// A stack of frames: the ring or the first IB at the bottom, the IBs that it calls above.
class PacketReader {
public:
  explicit PacketReader(EngineMemory& memory) : memory_(memory) {}

  bool empty() const { return frames_.empty(); }
  std::size_t depth() const { return frames_.size(); }
  PacketFrame& top() { return frames_.back(); }
  PacketFrame& bottom() { return frames_.front(); }
  void push(const PacketFrame& frame) { frames_.push_back(frame); }
  void drop_finished() {
    while (!frames_.empty() && !frames_.back().ring && frames_.back().position >= frames_.back().end)
      frames_.pop_back();
  }
  std::uint64_t available() const { return frames_.back().end - frames_.back().position; }
  std::uint32_t peek() {
    const PacketFrame& frame = frames_.back();
    return memory_.load<std::uint32_t>(frame.base + (frame.position & frame.mask) * 4);
  }
  // The next `count` dwords, without consuming them; valid until the next call.
  std::span<const std::uint32_t> gather(std::uint64_t count);
  // Where the packet at the top comes from, for messages.
  std::string where() const;

private:
  EngineMemory& memory_;
  std::vector<PacketFrame> frames_;
  std::vector<std::uint32_t> buffer_;
};

inline std::uint64_t address_of(std::uint32_t low, std::uint32_t high) {
  return low | static_cast<std::uint64_t>(high) << 32;
}

// A TC (L2) atomic by its opcode, as ATOMIC_MEM and SDMA's ATOMIC encode it. Returns the value before; false
// for an unknown opcode.
bool tc_atomic(EngineMemory& memory, std::uint32_t opcode, GpuAddress va, std::uint64_t source,
               std::uint64_t compare, std::uint64_t& before);

// A bit field of a dword.
constexpr std::uint32_t bits(std::uint32_t value, unsigned low, unsigned width) {
  return value >> low & (width == 32 ? ~0u : (1u << width) - 1);
}

// One line on stderr, "kfd-emu: ...".
void complain(const std::string& line);

} // namespace emu::gpu
