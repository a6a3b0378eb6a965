// The registers of gfx10.3 that packets may name, and their values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace emu::gpu {

// Byte offsets, as register headers give them; packets name dwords from a space's start.
namespace reg {
inline constexpr std::uint32_t config_space = 0x8000;
inline constexpr std::uint32_t sh_space = 0xb000;
inline constexpr std::uint32_t context_space = 0x28000;
inline constexpr std::uint32_t uconfig_space = 0x30000;
inline constexpr std::uint32_t config_end = 0xb000;
inline constexpr std::uint32_t sh_end = 0xc000;
inline constexpr std::uint32_t context_end = 0x29000;
inline constexpr std::uint32_t uconfig_end = 0x40000;

inline constexpr std::uint32_t COMPUTE_DISPATCH_INITIATOR = 0xb800;
inline constexpr std::uint32_t COMPUTE_START_X = 0xb810;
inline constexpr std::uint32_t COMPUTE_NUM_THREAD_X = 0xb81c;
inline constexpr std::uint32_t COMPUTE_PGM_LO = 0xb830;
inline constexpr std::uint32_t COMPUTE_PGM_HI = 0xb834;
inline constexpr std::uint32_t COMPUTE_PGM_RSRC1 = 0xb848;
inline constexpr std::uint32_t COMPUTE_PGM_RSRC2 = 0xb84c;
inline constexpr std::uint32_t COMPUTE_TMPRING_SIZE = 0xb860;
inline constexpr std::uint32_t COMPUTE_PGM_RSRC3 = 0xb8a0;
inline constexpr std::uint32_t COMPUTE_USER_DATA_0 = 0xb900;
} // namespace reg

// Does gfx10.3 document a register at this byte offset?
bool is_register(std::uint32_t offset);

// One context's register file. Reads of registers never written give 0.
class RegisterFile {
public:
  RegisterFile();
  // False: no such register.
  bool write(std::uint32_t offset, std::uint32_t value);
  std::optional<std::uint32_t> read(std::uint32_t offset) const;
  // For registers that are known to exist.
  std::uint32_t get(std::uint32_t offset) const { return read(offset).value_or(0); }
  // Back to the state that CLEAR_STATE leaves: context registers only.
  void clear_context();

private:
  std::vector<std::uint32_t> config_, sh_, context_, uconfig_;
  std::uint32_t* slot(std::uint32_t offset);
};

} // namespace emu::gpu
