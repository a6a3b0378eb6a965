// The workgroup as its waves see it: LDS, global memory and the place where a fault is kept. Handlers reach
// it through Wave::group.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include <isa/execute.hpp>

#include "wave.hpp"

namespace emu::isa {

// LDS of a workgroup at most; SRDs and apertures see addresses below the allocated size only.
inline constexpr std::uint32_t lds_limit = 65536;

struct Group {
  explicit Group(const memory::AddressSpace& space) : memory(space) {}

  memory::Translator memory;
  std::unique_ptr<std::byte[]> lds; // lds_limit bytes
  std::uint32_t lds_size = 0;       // allocated by the dispatch
  std::uint64_t shared_aperture = 0;
  std::uint64_t private_aperture = 0;
  std::uint32_t hw_id1 = 0, hw_id2 = 0; // of the dispatch and the place, without SIMD and wave slot
  std::uint32_t simds = 4;              // that its waves spread over: a WGP's, or a compute unit's
  Fault fault;
  std::uint32_t wave_count = 0;
  bool code_stale = false; // s_icache_inv: compare cached code with memory again
  bool trace = false;      // print every instruction
  const TrapHandler* trap_handler = nullptr;
  std::uint32_t doorbell = 0;
  GlobalWaveSync* global_wave_sync = nullptr;
  std::function<void(std::uint32_t m0, bool privileged)> interrupt_handler;
  std::function<void(const Fault&)> exception_handler;

  // Stops the wave: it enters its trap handler, where it has one, or the first fault of the workgroup is
  // kept.
  void raise(Wave& wave, FaultKind kind, const char* reason);
  void raise_trap(Wave& wave, std::uint32_t id);
  void raise_page_fault(Wave& wave, const memory::PageFault& page);
  void raise_violation(Wave& wave, std::uint64_t address, const char* reason);

private:
  Fault describe(const Wave& wave, FaultKind kind, const char* reason);
  void raise(Wave& wave, const Fault& fault);
  void raise_exception(Wave& wave, const Fault& fault);
};

// Takes a wave whose event is `trapped` through KFD's first-level handler (trap.cpp).
void enter_trap_handler(Wave& wave);
// Back to `pc`, which is where a halted wave stays.
void leave_trap_handler(Wave& wave, std::uint64_t pc);

// STATUS, as s_getreg_b32 shows it (hwreg.cpp).
std::uint32_t status(const Wave& wave);

} // namespace emu::isa
