// FLAT, GLOBAL and SCRATCH instructions.
#include "memory.hpp"
#include "tables.hpp"

namespace emu::isa {

namespace {

// ADDR (64 bits), or SADDR plus a 32-bit ADDR, plus the immediate.
class GlobalSpace {
public:
  GlobalSpace(Wave& wave, const Instruction& in) : low_(wave.vgpr[in.src[0].index]) {
    offset_ = static_cast<std::uint64_t>(std::int64_t{in.offset});
    if (in.scalar.is_scalar())
      offset_ += wave.read_scalar64(in.scalar);
    else
      high_ = wave.vgpr[in.src[0].index + 1];
  }
  Location locate(unsigned lane, unsigned) const {
    const std::uint64_t high = high_ ? static_cast<std::uint64_t>(high_[lane]) << 32 : 0;
    return {.address = (low_[lane] | high) + offset_};
  }
  bool direct(Wave& wave, unsigned size, memory::Access access, Direct& to) const {
    std::uint32_t high = 0;
    if (high_ && !uniform(wave, high_, high))
      return false;
    return direct_memory(wave, (static_cast<std::uint64_t>(high) << 32) + offset_, low_, size, access, to);
  }

private:
  const std::uint32_t* low_;
  const std::uint32_t* high_ = nullptr;
  std::uint64_t offset_;
};

// global_*_addtid: SADDR + immediate + 4 * lane.
class AddTidSpace {
public:
  AddTidSpace(Wave& wave, const Instruction& in)
      : base_((in.scalar.is_scalar() ? wave.read_scalar64(in.scalar) : 0) +
              static_cast<std::uint64_t>(std::int64_t{in.offset})) {}
  Location locate(unsigned lane, unsigned) const { return {.address = base_ + lane * 4}; }

private:
  std::uint64_t base_;
};

// ADDR or SADDR, both unsigned, plus the immediate: the sum does not wrap at 32 bits as MUBUF's does.
class ScratchSpace {
public:
  ScratchSpace(Wave& wave, const Instruction& in) : wave_(wave), offset_(in.offset) {
    if (in.src[0].is_vector())
      address_ = wave.vgpr[in.src[0].index];
    if (in.scalar.is_scalar())
      offset_ += wave.read_scalar(in.scalar);
  }
  Location locate(unsigned lane, unsigned) const {
    return scratch_location(wave_, lane, offset_ + (address_ ? address_[lane] : 0));
  }
  bool direct(Wave& wave, unsigned size, memory::Access access, Direct& to) const {
    std::uint32_t address = 0;
    if (address_ && !uniform(wave, address_, address))
      return false;
    return direct_scratch(wave, offset_ + address, size, access, to);
  }

private:
  const Wave& wave_;
  const std::uint32_t* address_ = nullptr;
  std::int64_t offset_;
};

// A 64-bit address that may lie in the apertures of LDS and of scratch. Which of them it is, ADDR alone says,
// without the immediate.
class FlatSpace {
public:
  FlatSpace(Wave& wave, const Instruction& in)
      : wave_(wave), low_(wave.vgpr[in.src[0].index]), high_(wave.vgpr[in.src[0].index + 1]),
        offset_(static_cast<std::uint32_t>(in.offset)) {}

  Location locate(unsigned lane, unsigned size) const {
    const std::uint64_t offset = std::uint64_t{low_[lane]} + offset_;
    const Group& group = *wave_.group;
    if (high_[lane] == group.shared_aperture >> 32) {
      const bool inside = offset < group.lds_size && size <= group.lds_size - offset;
      return {.address = offset, .kind = inside ? Location::Kind::lds : Location::Kind::none};
    }
    if (high_[lane] == group.private_aperture >> 32)
      return scratch_location(wave_, lane, static_cast<std::int64_t>(offset));
    return {.address = (static_cast<std::uint64_t>(high_[lane]) << 32) + offset};
  }
  bool direct(Wave& wave, unsigned size, memory::Access access, Direct& to) const {
    std::uint32_t high = 0, low = 0;
    if (!uniform(wave, high_, high))
      return false;
    const Group& group = *wave.group;
    if (high == group.shared_aperture >> 32)
      return direct_lds(wave, offset_, low_, size, to);
    if (high == group.private_aperture >> 32)
      return uniform(wave, low_, low) && direct_scratch(wave, std::int64_t{low} + offset_, size, access, to);
    const std::uint64_t address = (static_cast<std::uint64_t>(high) << 32) + offset_;
    return direct_memory(wave, address, low_, size, access, to);
  }

private:
  const Wave& wave_;
  const std::uint32_t* low_;
  const std::uint32_t* high_;
  std::uint32_t offset_;
};

constexpr Type w = Type::b32;
constexpr Type d = Type::b64;
constexpr Type t = Type::b96;
constexpr Type q = Type::b128;
constexpr Type no = Type::none;

using u8 = std::uint8_t;
using i8 = std::int8_t;
using u16 = std::uint16_t;
using i16 = std::int16_t;
using u32 = std::uint32_t;
using i32 = std::int32_t;
using u64 = std::uint64_t;
using i64 = std::int64_t;
namespace op = atomics;

// The three segments have the same opcodes; only names, address type and space differ.
#define LOADS_AND_STORES(prefix, Space, address)                                                             \
  {0x08, prefix "_load_ubyte", load_extended<Space, u8>, w, address},                                        \
      {0x09, prefix "_load_sbyte", load_extended<Space, i8>, w, address},                                    \
      {0x0a, prefix "_load_ushort", load_extended<Space, u16>, w, address},                                  \
      {0x0b, prefix "_load_sshort", load_extended<Space, i16>, w, address},                                  \
      {0x0c, prefix "_load_dword", load<Space, 1>, w, address},                                              \
      {0x0d, prefix "_load_dwordx2", load<Space, 2>, d, address},                                            \
      {0x0e, prefix "_load_dwordx4", load<Space, 4>, q, address},                                            \
      {0x0f, prefix "_load_dwordx3", load<Space, 3>, t, address},                                            \
      {0x18, prefix "_store_byte", store_part<Space, u8>, no, address, w, no, row_store},                    \
      {0x19, prefix "_store_byte_d16_hi", store_part<Space, u8, 16>, no, address, w, no, row_store},         \
      {0x1a, prefix "_store_short", store_part<Space, u16>, no, address, w, no, row_store},                  \
      {0x1b, prefix "_store_short_d16_hi", store_part<Space, u16, 16>, no, address, w, no, row_store},       \
      {0x1c, prefix "_store_dword", store<Space, 1>, no, address, w, no, row_store},                         \
      {0x1d, prefix "_store_dwordx2", store<Space, 2>, no, address, d, no, row_store},                       \
      {0x1e, prefix "_store_dwordx4", store<Space, 4>, no, address, q, no, row_store},                       \
      {0x1f, prefix "_store_dwordx3", store<Space, 3>, no, address, t, no, row_store},                       \
      {0x20, prefix "_load_ubyte_d16", load_d16<Space, u8, false>, w, address},                              \
      {0x21, prefix "_load_ubyte_d16_hi", load_d16<Space, u8, true>, w, address},                            \
      {0x22, prefix "_load_sbyte_d16", load_d16<Space, i8, false>, w, address},                              \
      {0x23, prefix "_load_sbyte_d16_hi", load_d16<Space, i8, true>, w, address},                            \
      {0x24, prefix "_load_short_d16", load_d16<Space, u16, false>, w, address}, {                           \
    0x25, prefix "_load_short_d16_hi", load_d16<Space, u16, true>, w, address                                \
  }

#define ATOMICS(prefix, Space)                                                                               \
  {0x30, prefix "_atomic_swap", atomic<Space, u32, op::swap>, w, d, w, no, row_atomic},                      \
      {0x31, prefix "_atomic_cmpswap", atomic_cmpswap<Space, u32>, w, d, d, no, row_atomic},                 \
      {0x32, prefix "_atomic_add", atomic<Space, u32, op::add>, w, d, w, no, row_atomic},                    \
      {0x33, prefix "_atomic_sub", atomic<Space, u32, op::sub>, w, d, w, no, row_atomic},                    \
      {0x35, prefix "_atomic_smin", atomic<Space, i32, op::min>, w, d, w, no, row_atomic},                   \
      {0x36, prefix "_atomic_umin", atomic<Space, u32, op::min>, w, d, w, no, row_atomic},                   \
      {0x37, prefix "_atomic_smax", atomic<Space, i32, op::max>, w, d, w, no, row_atomic},                   \
      {0x38, prefix "_atomic_umax", atomic<Space, u32, op::max>, w, d, w, no, row_atomic},                   \
      {0x39, prefix "_atomic_and", atomic<Space, u32, op::bit_and>, w, d, w, no, row_atomic},                \
      {0x3a, prefix "_atomic_or", atomic<Space, u32, op::bit_or>, w, d, w, no, row_atomic},                  \
      {0x3b, prefix "_atomic_xor", atomic<Space, u32, op::bit_xor>, w, d, w, no, row_atomic},                \
      {0x3c, prefix "_atomic_inc", atomic<Space, u32, op::inc>, w, d, w, no, row_atomic},                    \
      {0x3d, prefix "_atomic_dec", atomic<Space, u32, op::dec>, w, d, w, no, row_atomic},                    \
      {0x3e, prefix "_atomic_fcmpswap", atomic_cmpswap<Space, float>, w, d, d, no, row_atomic},              \
      {0x3f, prefix "_atomic_fmin", atomic<Space, float, op::fmin>, w, d, w, no, row_atomic},                \
      {0x40, prefix "_atomic_fmax", atomic<Space, float, op::fmax>, w, d, w, no, row_atomic},                \
      {0x50, prefix "_atomic_swap_x2", atomic<Space, u64, op::swap>, d, d, d, no, row_atomic},               \
      {0x51, prefix "_atomic_cmpswap_x2", atomic_cmpswap<Space, u64>, d, d, q, no, row_atomic},              \
      {0x52, prefix "_atomic_add_x2", atomic<Space, u64, op::add>, d, d, d, no, row_atomic},                 \
      {0x53, prefix "_atomic_sub_x2", atomic<Space, u64, op::sub>, d, d, d, no, row_atomic},                 \
      {0x55, prefix "_atomic_smin_x2", atomic<Space, i64, op::min>, d, d, d, no, row_atomic},                \
      {0x56, prefix "_atomic_umin_x2", atomic<Space, u64, op::min>, d, d, d, no, row_atomic},                \
      {0x57, prefix "_atomic_smax_x2", atomic<Space, i64, op::max>, d, d, d, no, row_atomic},                \
      {0x58, prefix "_atomic_umax_x2", atomic<Space, u64, op::max>, d, d, d, no, row_atomic},                \
      {0x59, prefix "_atomic_and_x2", atomic<Space, u64, op::bit_and>, d, d, d, no, row_atomic},             \
      {0x5a, prefix "_atomic_or_x2", atomic<Space, u64, op::bit_or>, d, d, d, no, row_atomic},               \
      {0x5b, prefix "_atomic_xor_x2", atomic<Space, u64, op::bit_xor>, d, d, d, no, row_atomic},             \
      {0x5c, prefix "_atomic_inc_x2", atomic<Space, u64, op::inc>, d, d, d, no, row_atomic},                 \
      {0x5d, prefix "_atomic_dec_x2", atomic<Space, u64, op::dec>, d, d, d, no, row_atomic},                 \
      {0x5e, prefix "_atomic_fcmpswap_x2", atomic_cmpswap<Space, double>, d, d, q, no, row_atomic},          \
      {0x5f, prefix "_atomic_fmin_x2", atomic<Space, double, op::fmin>, d, d, d, no, row_atomic}, {          \
    0x60, prefix "_atomic_fmax_x2", atomic<Space, double, op::fmax>, d, d, d, no, row_atomic                 \
  }

// clang-format off
constexpr OpcodeRow flat_table[] = {
    LOADS_AND_STORES("flat", FlatSpace, d),
    ATOMICS("flat", FlatSpace),
};

constexpr OpcodeRow global_table[] = {
    LOADS_AND_STORES("global", GlobalSpace, d),
    ATOMICS("global", GlobalSpace),
    {0x16, "global_load_dword_addtid", load<AddTidSpace, 1>, w},
    {0x17, "global_store_dword_addtid", store<AddTidSpace, 1>, no, no, w, no, row_store},
    {0x34, "global_atomic_csub", atomic<GlobalSpace, u32, op::csub>, w, d, w, no, row_atomic},
};

constexpr OpcodeRow scratch_table[] = {
    LOADS_AND_STORES("scratch", ScratchSpace, w),
};
// clang-format on

} // namespace

namespace {

template <class Space>
Handler lds_handler(unsigned opcode) {
  switch (opcode) {
  case 0x08:
    return load_to_lds<Space, u8>;
  case 0x09:
    return load_to_lds<Space, i8>;
  case 0x0a:
    return load_to_lds<Space, u16>;
  case 0x0b:
    return load_to_lds<Space, i16>;
  case 0x0c:
    return load_to_lds<Space, u32>;
  default:
    return nullptr;
  }
}

} // namespace

Handler flat_lds_handler(Format format, unsigned opcode) {
  if (format == Format::global)
    return lds_handler<GlobalSpace>(opcode);
  return format == Format::scratch ? lds_handler<ScratchSpace>(opcode) : nullptr;
}

std::span<const OpcodeRow> flat_rows() {
  return flat_table;
}
std::span<const OpcodeRow> global_rows() {
  return global_table;
}
std::span<const OpcodeRow> scratch_rows() {
  return scratch_table;
}

} // namespace emu::isa
