#include "engine.hpp"

#include <fmt/format.h>
#include <unistd.h>

namespace emu::gpu {

DispatchDescription EngineContext::dispatch() const {
  constexpr unsigned vmid_shift = 24, engine_shift = 8;
  constexpr std::uint32_t first_mec = 1;
  DispatchDescription d;
  d.space = space;
  d.queue = queue;
  d.vmid = vmid;
  d.priority = priority;
  d.places = places;
  d.state.shared_aperture = apertures.shared_base;
  d.state.private_aperture = apertures.private_base;
  d.state.trap_handler = trap_handler;
  d.state.doorbell = doorbell;
  d.state.global_wave_sync = global_wave_sync;
  d.state.hw_id2 = vmid << vmid_shift | first_mec << engine_shift;
  return d;
}

std::span<const std::uint32_t> PacketReader::gather(std::uint64_t count) {
  const PacketFrame& frame = frames_.back();
  buffer_.resize(count);
  std::uint64_t done = 0;
  while (done < count) {
    const std::uint64_t offset = (frame.position + done) & frame.mask;
    const std::uint64_t until_wrap = frame.ring ? frame.mask + 1 - offset : count - done;
    const std::uint64_t chunk = std::min(count - done, until_wrap);
    memory_.read(frame.base + offset * 4, buffer_.data() + done, chunk * 4);
    done += chunk;
  }
  return buffer_;
}

std::string PacketReader::where() const {
  if (frames_.empty())
    return "nowhere";
  const PacketFrame& frame = frames_.back();
  return fmt::format("{} {:#x} dword {}", frame.ring ? "ring" : "IB", frame.base,
                     frame.position & frame.mask);
}

namespace {

// The low six bits of a TC opcode name the operation; bit 5 makes it 64 bits wide, bit 6 drops the result.
enum TcOperation : std::uint32_t {
  tc_swap = 0x07,
  tc_cmpswap = 0x08,
  tc_add = 0x0f,
  tc_sub = 0x10,
  tc_smin = 0x11,
  tc_umin = 0x12,
  tc_smax = 0x13,
  tc_umax = 0x14,
  tc_and = 0x15,
  tc_or = 0x16,
  tc_xor = 0x17,
  tc_inc = 0x18,
  tc_dec = 0x19,
};
constexpr std::uint32_t tc_wide = 0x20;
constexpr std::uint32_t tc_no_return = 0x40;

template <class T>
bool combine(std::uint32_t operation, T old, T source, T compare, T& result) {
  using Signed = std::make_signed_t<T>;
  switch (operation) {
  case tc_swap:
    result = source;
    return true;
  case tc_cmpswap:
    result = old == compare ? source : old;
    return true;
  case tc_add:
    result = old + source;
    return true;
  case tc_sub:
    result = old - source;
    return true;
  case tc_smin:
    result = static_cast<Signed>(source) < static_cast<Signed>(old) ? source : old;
    return true;
  case tc_umin:
    result = std::min(source, old);
    return true;
  case tc_smax:
    result = static_cast<Signed>(source) > static_cast<Signed>(old) ? source : old;
    return true;
  case tc_umax:
    result = std::max(source, old);
    return true;
  case tc_and:
    result = old & source;
    return true;
  case tc_or:
    result = old | source;
    return true;
  case tc_xor:
    result = old ^ source;
    return true;
  case tc_inc:
    result = old >= source ? 0 : old + 1;
    return true;
  case tc_dec:
    result = old == 0 || old > source ? source : old - 1;
    return true;
  default:
    return false;
  }
}

template <class T>
bool atomic_on(T* word, std::uint32_t operation, T source, T compare, std::uint64_t& before) {
  T old = __atomic_load_n(word, __ATOMIC_ACQUIRE);
  T result{};
  do {
    if (!combine(operation, old, source, compare, result))
      return false;
  } while (!__atomic_compare_exchange_n(word, &old, result, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
  before = old;
  return true;
}

} // namespace

bool tc_atomic(EngineMemory& memory, std::uint32_t opcode, GpuAddress va, std::uint64_t source,
               std::uint64_t compare, std::uint64_t& before) {
  const std::uint32_t operation = opcode & ~(tc_wide | tc_no_return);
  if (operation < tc_swap || operation > tc_dec || (operation > tc_cmpswap && operation < tc_add))
    return false;
  if (opcode & tc_wide)
    return atomic_on(memory.word<std::uint64_t>(va), operation, source, compare, before);
  return atomic_on(memory.word<std::uint32_t>(va), operation, static_cast<std::uint32_t>(source),
                   static_cast<std::uint32_t>(compare), before);
}

void complain(const std::string& line) {
  const std::string text = "kfd-emu: " + line + "\n";
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
}

} // namespace emu::gpu
