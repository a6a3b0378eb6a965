#include <cstring>
#include <ctime>

#include "control.hpp"
#include "group.hpp"

namespace emu::isa {

namespace {

constexpr unsigned hwreg_mode = 1;
constexpr unsigned hwreg_status = 2;
constexpr unsigned hwreg_trapsts = 3;
constexpr unsigned hwreg_gpr_alloc = 5;
constexpr unsigned hwreg_lds_alloc = 6;
constexpr unsigned hwreg_ib_sts = 7;
constexpr unsigned hwreg_sh_mem_bases = 15;
constexpr unsigned hwreg_tba_lo = 16;
constexpr unsigned hwreg_tba_hi = 17;
constexpr unsigned hwreg_tma_lo = 18;
constexpr unsigned hwreg_tma_hi = 19;
constexpr unsigned hwreg_flat_scr_lo = 20;
constexpr unsigned hwreg_flat_scr_hi = 21;
constexpr unsigned hwreg_hw_id1 = 23;
constexpr unsigned hwreg_hw_id2 = 24;
constexpr unsigned hwreg_shader_cycles = 29;

constexpr unsigned hw_id1_simd_shift = 8;

constexpr std::uint32_t status_scc = 1u << 0;
constexpr std::uint32_t status_priv = 1u << 5;
constexpr std::uint32_t status_trap_en = 1u << 6;
constexpr std::uint32_t status_execz = 1u << 9;
constexpr std::uint32_t status_vccz = 1u << 10;
constexpr std::uint32_t status_in_tg = 1u << 11;
constexpr std::uint32_t status_halt = 1u << 13;
constexpr std::uint32_t status_valid = 1u << 16;

std::uint64_t nanoseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_RAW, &now); // the clock of the engines' time stamps
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

} // namespace

std::uint32_t status(const Wave& wave) {
  return (wave.scc ? status_scc : 0) | (wave.privileged ? status_priv : 0) |
         (wave.group->trap_handler ? status_trap_en : 0) | (wave.exec() ? 0 : status_execz) |
         (wave.vcc() ? 0 : status_vccz) | (wave.group->wave_count > 1 ? status_in_tg : 0) |
         (wave.halt ? status_halt : 0) | status_valid;
}

std::uint64_t reference_clock() {
  return nanoseconds() / 10;
}

bool read_hwreg(Wave& wave, unsigned reg, std::uint32_t& value) {
  const Group& group = *wave.group;
  switch (reg) {
  case hwreg_mode:
    value = wave.mode;
    return true;
  case hwreg_status:
    value = status(wave);
    return true;
  case hwreg_trapsts:
    value = wave.trapsts;
    return true;
  case hwreg_gpr_alloc:
    value = wave.vgprs / 8 - 1;
    return true;
  case hwreg_lds_alloc:
    value = group.lds_size / 512 << 12;
    return true;
  case hwreg_ib_sts:
    value = 0;
    return true;
  case hwreg_sh_mem_bases:
    value = static_cast<std::uint32_t>(group.private_aperture >> 48 | (group.shared_aperture >> 48) << 16);
    return true;
  case hwreg_tba_lo:
  case hwreg_tba_hi:
  case hwreg_tma_lo:
  case hwreg_tma_hi:
    value = 0; // the first-level trap handler's, which is not a shader
    return true;
  case hwreg_flat_scr_lo:
    value = static_cast<std::uint32_t>(wave.flat_scratch);
    return true;
  case hwreg_flat_scr_hi:
    value = static_cast<std::uint32_t>(wave.flat_scratch >> 32);
    return true;
  case hwreg_hw_id1:
    value = group.hw_id1 | wave.index % group.simds << hw_id1_simd_shift | wave.index / group.simds;
    return true;
  case hwreg_hw_id2:
    value = group.hw_id2;
    return true;
  case hwreg_shader_cycles:
    value = static_cast<std::uint32_t>(nanoseconds()) & 0xfffff;
    return true;
  default:
    wave.raise_illegal("hardware register unknown to this device");
    return false;
  }
}

void write_hwreg(Wave& wave, unsigned reg, std::uint32_t value) {
  switch (reg) {
  case hwreg_mode:
    wave.mode = value;
    break;
  case hwreg_status:
    if (!wave.privileged)
      return wave.raise_illegal("s_setreg of STATUS outside of a trap handler");
    wave.scc = value & status_scc;
    wave.halt = value & status_halt;
    break;
  case hwreg_ib_sts:
    if (!wave.privileged)
      return wave.raise_illegal("s_setreg of IB_STS outside of a trap handler");
    break; // counters of memory accesses to repeat: there are none
  case hwreg_trapsts:
    wave.trapsts = value;
    break;
  case hwreg_flat_scr_lo:
    wave.flat_scratch = (wave.flat_scratch & ~0xffffffffull) | value;
    break;
  case hwreg_flat_scr_hi:
    wave.flat_scratch = (wave.flat_scratch & 0xffffffffull) | static_cast<std::uint64_t>(value) << 32;
    break;
  default:
    wave.raise_illegal("hardware register that a wave may not write");
  }
}

namespace {

// M0 names a byte of LDS and what is there; beyond the allocation is zero.
std::uint32_t read_lds_direct(const Wave& wave) {
  enum : unsigned { ubyte, ushort, dword, sbyte = 4, sshort };
  const std::uint32_t m0 = wave.m0(), at = m0 & 0xffff, type = m0 >> 16 & 7;
  const unsigned size = type == dword ? 4 : type == ushort || type == sshort ? 2 : 1;
  const Group& group = *wave.group;
  std::uint32_t value = 0;
  if (at + size <= group.lds_size)
    std::memcpy(&value, &group.lds[at], size);
  if (type == sbyte)
    return static_cast<std::uint32_t>(std::int32_t{static_cast<std::int8_t>(value)});
  if (type == sshort)
    return static_cast<std::uint32_t>(std::int32_t{static_cast<std::int16_t>(value)});
  return value;
}

} // namespace

std::uint64_t Wave::read_special(unsigned encoding) const {
  constexpr std::uint64_t aperture_last = 0xffffffff;
  switch (encoding) {
  case special_shared_base:
    return group->shared_aperture;
  case special_shared_limit:
    return group->shared_aperture + aperture_last;
  case special_private_base:
    return group->private_aperture;
  case special_private_limit:
    return group->private_aperture + aperture_last;
  case special_vccz:
    return vcc() == 0;
  case special_execz:
    return exec() == 0;
  case special_scc:
    return scc;
  case special_lds_direct:
    return read_lds_direct(*this);
  default:
    return 0; // the decoder refuses the others
  }
}

void Wave::raise_illegal(const char* reason) {
  group->raise(*this, FaultKind::illegal_instruction, reason);
}

} // namespace emu::isa
