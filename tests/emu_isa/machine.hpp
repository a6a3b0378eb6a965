// A small GPU for tests: an address space with a data buffer and a code buffer, and kernels written as
// assembly text.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <isa/execute.hpp>
#include <memory/address_space.hpp>

#include "llvm_tools.hpp"

namespace emu::isa::test {

struct Launch {
  bool wave64 = false;
  std::array<std::uint32_t, 3> size{32, 1, 1};
  std::array<std::uint32_t, 3> id{};
  std::vector<std::uint32_t> user{}; // user SGPRs from s2 on; s[0:1] is the data buffer's address
  std::uint32_t lds = 0;             // bytes
  unsigned local_ids = 0;            // TIDIG_COMP_CNT
  bool group_ids = false;            // TGID_X/Y/Z_EN, after the user SGPRs
  bool group_info = false;           // TG_SIZE_EN
  bool scratch = false;              // SCRATCH_EN
  std::uint32_t scratch_wave_size = 0;
};

class Machine {
public:
  static constexpr std::uint64_t data_address = 0x100'0000'0000;
  static constexpr std::uint64_t code_address = 0x200'0000'0000;
  static constexpr std::size_t data_size = 1 << 20;
  static constexpr std::size_t code_size = 1 << 16;
  static constexpr unsigned user_sgprs = 16;

  Machine() : data_(data_size / 8 + 512), code_(code_size / 8 + 512), cache_(space_), execution_(cache_) {
    space_.map(data_address, data_size, align(data_), {});
    space_.map(code_address, code_size, align(code_), {});
  }

  // Memory as the kernel sees it.
  template <class T>
  T* at(std::uint64_t offset = 0) {
    return reinterpret_cast<T*>(align(data_) + offset);
  }

  void load_code(const std::vector<std::uint32_t>& words, std::uint64_t offset = 0) {
    std::memcpy(align(code_) + offset, words.data(), words.size() * 4);
  }
  // s_endpgm is appended.
  void load(std::string_view text, bool wave64 = false) {
    load_code(assemble(std::string(text) + "\ns_endpgm\n", wave64));
  }

  static DispatchState dispatch(const Launch& launch) {
    DispatchState state;
    state.code = code_address;
    state.wave32 = !launch.wave64;
    state.group_size = launch.size;
    state.pgm_rsrc1 = 31 | 0xc0u << 12 | 1u << 21 | 1u << 23; // VGPRs; f16/f64 denormals; DX10_CLAMP; IEEE
    state.pgm_rsrc2 = (launch.scratch ? 1u : 0u) | user_sgprs << 1 | (launch.group_ids ? 7u << 7 : 0) |
                      (launch.group_info ? 1u << 10 : 0) | launch.local_ids << 11 |
                      (launch.lds + 511) / 512 << 15;
    state.scratch_wave_size = launch.scratch_wave_size;
    state.user_data[0] = static_cast<std::uint32_t>(data_address);
    state.user_data[1] = static_cast<std::uint32_t>(data_address >> 32);
    for (std::size_t i = 0; i < launch.user.size(); ++i)
      state.user_data[2 + i] = launch.user[i];
    return state;
  }
  static WorkgroupPosition position(const Launch& launch) { return {launch.id, launch.size, 0}; }

  // Runs what load() put there.
  Fault run(const Launch& launch = {}) {
    return execute_workgroup(execution_, dispatch(launch), position(launch));
  }
  Fault run(std::string_view text, const Launch& launch = {}) {
    load(text, launch.wave64);
    return run(launch);
  }

  memory::AddressSpace& space() { return space_; }
  CodeCache& cache() { return cache_; }
  WorkgroupExecution& execution() { return execution_; }

private:
  static std::byte* align(std::vector<std::uint64_t>& storage) {
    const auto address = reinterpret_cast<std::uintptr_t>(storage.data());
    return reinterpret_cast<std::byte*>((address + 4095) & ~std::uintptr_t{4095});
  }

  std::vector<std::uint64_t> data_;
  std::vector<std::uint64_t> code_;
  memory::AddressSpace space_;
  CodeCache cache_;
  WorkgroupExecution execution_;
};

// Byte offset of a lane's dword in v30. Kernels that store one dword per lane at the start of the data buffer
// use then `global_store_dword v30, vN, s[0:1]`.
inline constexpr const char* lane_offset = "v_lshlrev_b32 v30, 2, v0\n";

} // namespace emu::isa::test
