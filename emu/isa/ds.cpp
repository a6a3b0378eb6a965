// Local data share: loads, stores, atomics, append and consume, and the cross-lane operations of the same
// format.
#include <bit>
#include <utility>

#include "gws.hpp"
#include "memory.hpp"
#include "tables.hpp"

namespace emu::isa {

namespace {

using u8 = std::uint8_t;
using i8 = std::int8_t;
using u16 = std::uint16_t;
using i16 = std::int16_t;
using u32 = std::uint32_t;
using i32 = std::int32_t;
using u64 = std::uint64_t;
using i64 = std::int64_t;
namespace op = atomics;

// GDS is not there: true after raising.
bool refuse_gds(Wave& wave, const Instruction& in) {
  if (!in.gds)
    return false;
  wave.raise_illegal("global data share");
  return true;
}

Location lds_location(const Wave& wave, u64 offset, unsigned size) {
  const u32 limit = wave.group->lds_size;
  const bool inside = offset < limit && size <= limit - offset;
  return {.address = offset, .kind = inside ? Location::Kind::lds : Location::Kind::none};
}

// ADDR plus the 16-bit offset, modulo 2^32: ADDR may be negative.
class LdsSpace {
public:
  LdsSpace(Wave& wave, const Instruction& in)
      : wave_(wave), address_(wave.vgpr[in.src[0].index]), offset_(static_cast<u32>(in.offset)) {}
  Location locate(unsigned lane, unsigned size) const {
    return lds_location(wave_, address_[lane] + offset_, size);
  }
  bool direct(Wave& wave, unsigned size, memory::Access, Direct& to) const {
    return direct_lds(wave, offset_, address_, size, to);
  }

private:
  const Wave& wave_;
  const u32* address_;
  u32 offset_;
};

// M0 plus the offset plus four bytes a lane.
class LdsAddTidSpace {
public:
  LdsAddTidSpace(Wave& wave, const Instruction& in)
      : wave_(wave), base_((wave.m0() & 0xffff) + static_cast<u32>(in.offset)) {}
  Location locate(unsigned lane, unsigned size) const { return lds_location(wave_, base_ + lane * 4, size); }

private:
  const Wave& wave_;
  u32 base_;
};

// Runs a handler of memory.hpp unless the instruction wants GDS.
template <Handler handler>
void lds(Wave& wave, const Instruction& in) {
  if (!refuse_gds(wave, in))
    handler(wave, in);
}

// The two addresses of read2, write2 and wrxchg2: eight-bit offsets in units of the element, times 64 for
// st64.
template <class T, unsigned scale>
std::pair<Location, Location> two_locations(const Wave& wave, const Instruction& in, unsigned lane) {
  const u32 address = wave.vgpr[in.src[0].index][lane];
  const u32 offset = static_cast<u32>(in.offset);
  constexpr u32 unit = sizeof(T) * scale;
  return {lds_location(wave, address + (offset & 0xff) * unit, sizeof(T)),
          lds_location(wave, address + (offset >> 8) * unit, sizeof(T))};
}

template <class T, unsigned scale>
void read2(Wave& wave, const Instruction& in) {
  if (refuse_gds(wave, in))
    return;
  for_each_active(wave, [&](unsigned lane) {
    const auto [first, second] = two_locations<T, scale>(wave, in, lane);
    T values[2];
    read_location<sizeof(T)>(wave, first, &values[0]);
    read_location<sizeof(T)>(wave, second, &values[1]);
    write_vgpr(wave, in.dst.index, lane, values[0]);
    write_vgpr(wave, in.dst.index + sizeof(T) / 4, lane, values[1]);
    return true;
  });
}

template <class T, unsigned scale>
void write2(Wave& wave, const Instruction& in) {
  if (refuse_gds(wave, in))
    return;
  for_each_active(wave, [&](unsigned lane) {
    const auto [first, second] = two_locations<T, scale>(wave, in, lane);
    const T values[2] = {read_vgpr<T>(wave, in.src[1].index, lane),
                         read_vgpr<T>(wave, in.src[2].index, lane)};
    write_location<sizeof(T)>(wave, first, &values[0]);
    write_location<sizeof(T)>(wave, second, &values[1]);
    return true;
  });
}

template <class T, unsigned scale>
void wrxchg2(Wave& wave, const Instruction& in) {
  if (refuse_gds(wave, in))
    return;
  for_each_active(wave, [&](unsigned lane) {
    const auto [first, second] = two_locations<T, scale>(wave, in, lane);
    const T values[2] = {read_vgpr<T>(wave, in.src[1].index, lane),
                         read_vgpr<T>(wave, in.src[2].index, lane)};
    T old[2];
    read_location<sizeof(T)>(wave, first, &old[0]);
    write_location<sizeof(T)>(wave, first, &values[0]);
    read_location<sizeof(T)>(wave, second, &old[1]);
    write_location<sizeof(T)>(wave, second, &values[1]);
    write_vgpr(wave, in.dst.index, lane, old[0]);
    write_vgpr(wave, in.dst.index + sizeof(T) / 4, lane, old[1]);
    return true;
  });
}

// memory = F(memory, DATA0, DATA1)
template <class T, auto F>
void atomic2(Wave& wave, const Instruction& in) {
  if (refuse_gds(wave, in))
    return;
  LdsSpace space(wave, in);
  for_each_active(wave, [&](unsigned lane) {
    T old{};
    if (std::byte* at = atomic_location(wave, space.locate(lane, sizeof(T)), sizeof(T)))
      old = atomic_update<T, F>(at, read_vgpr<T>(wave, in.src[1].index, lane),
                                read_vgpr<T>(wave, in.src[2].index, lane));
    if (wave.event != WaveEvent::none)
      return false;
    if (in.dst.is_vector())
      write_vgpr(wave, in.dst.index, lane, old);
    return true;
  });
}

float flushed(float value, bool flush) {
  const u32 bits = std::bit_cast<u32>(value);
  return flush && (bits & 0x7f800000) == 0 ? std::bit_cast<float>(bits & 0x80000000) : value;
}
constexpr auto add_flushing = [](float old, float data, bool flush_in, bool flush_out) {
  return flushed(flushed(old, flush_in) + flushed(data, flush_in), flush_out);
};

// Denormals are kept or flushed as MODE says; rounding is always to nearest even.
void ds_add_f32(Wave& wave, const Instruction& in) {
  if (refuse_gds(wave, in))
    return;
  const bool flush_in = !(wave.mode >> mode::denorm_f32_shift & 1);
  const bool flush_out = !(wave.mode >> mode::denorm_f32_shift & 2);
  LdsSpace space(wave, in);
  for_each_active(wave, [&](unsigned lane) {
    float old{};
    if (std::byte* at = atomic_location(wave, space.locate(lane, 4), 4))
      old = atomic_update<float, add_flushing>(at, read_vgpr<float>(wave, in.src[1].index, lane), flush_in,
                                               flush_out);
    if (wave.event != WaveEvent::none)
      return false;
    if (in.dst.is_vector())
      write_vgpr(wave, in.dst.index, lane, old);
    return true;
  });
}

constexpr auto masked_or = [](auto old, auto mask, auto bits) { return (old & ~mask) | bits; };
constexpr auto compare_store = [](auto old, auto compare, auto desired) {
  return old == compare ? desired : old;
};
constexpr auto wrap = [](u32 old, u32 limit, u32 step) { return old >= limit ? old - limit : old + step; };
// Each dword is replaced where the data's top bit is set; the top bit itself is not stored.
constexpr auto conditional_exchange = [](u64 old, u64 data) {
  const auto half = [](u32 o, u32 v) { return v >> 31 ? v & 0x7fffffff : o; };
  return half(static_cast<u32>(old), static_cast<u32>(data)) |
         static_cast<u64>(half(static_cast<u32>(old >> 32), static_cast<u32>(data >> 32))) << 32;
};

// One counter for the wave, at M0 plus offset: moved by the number of active lanes, its old value broadcast.
template <bool append>
void count_lanes(Wave& wave, const Instruction& in) {
  if (refuse_gds(wave, in))
    return;
  const std::uint64_t exec = wave.exec();
  if (exec == 0)
    return;
  const u32 lanes = static_cast<u32>(std::popcount(exec));
  const Location at = lds_location(wave, u64{wave.m0() & 0xffff} + static_cast<u32>(in.offset), 4);
  u32 old = 0;
  if (std::byte* cell = atomic_location(wave, at, 4))
    old = append ? atomic_update<u32, op::add>(cell, lanes) : atomic_update<u32, op::sub>(cell, lanes);
  if (wave.event != WaveEvent::none)
    return;
  for_each_active(wave, [&](unsigned lane) {
    wave.vgpr[in.dst.index][lane] = old;
    return true;
  });
}

// --- cross-lane operations: within each half of 32 lanes, LDS is not touched

constexpr unsigned half_lanes = 32;

// dst = from[source(lane)] for active lanes; inactive sources give 0.
template <class F>
void gather(Wave& wave, unsigned dst, const u32* from, F&& source) {
  const u64 exec = wave.exec();
  u32 result[max_lanes] = {};
  for (unsigned lane = 0; lane < wave.lanes; ++lane) {
    const unsigned at = (lane & half_lanes) | (source(lane) & (half_lanes - 1));
    result[lane] = exec >> at & 1 ? from[at] : 0;
  }
  for_each_active(wave, [&](unsigned lane) {
    wave.vgpr[dst][lane] = result[lane];
    return true;
  });
}

void ds_bpermute_b32(Wave& wave, const Instruction& in) {
  const u32* address = wave.vgpr[in.src[0].index];
  const u32 offset = static_cast<u32>(in.offset);
  gather(wave, in.dst.index, wave.vgpr[in.src[1].index],
         [&](unsigned lane) { return (address[lane] + offset) >> 2; });
}

void ds_permute_b32(Wave& wave, const Instruction& in) {
  const u32* address = wave.vgpr[in.src[0].index];
  const u32* data = wave.vgpr[in.src[1].index];
  u32 result[max_lanes] = {};
  for_each_active(wave, [&](unsigned lane) {
    const u32 to = (address[lane] + static_cast<u32>(in.offset)) >> 2;
    result[(lane & half_lanes) | (to & (half_lanes - 1))] = data[lane];
    return true;
  });
  for_each_active(wave, [&](unsigned lane) {
    wave.vgpr[in.dst.index][lane] = result[lane];
    return true;
  });
}

unsigned reverse5(unsigned lane) {
  unsigned result = 0;
  for (unsigned i = 0; i < 5; ++i)
    result |= (lane >> i & 1) << (4 - i);
  return result;
}

// The offset field says the pattern (RDNA2 manual, DS_SWIZZLE_B32).
unsigned swizzle_source(u32 offset, unsigned lane) {
  constexpr u32 fft_mode = 0xe000, rotate_mode = 0xc000, quad_mode = 0x8000;
  const unsigned in_half = lane & (half_lanes - 1);
  const u32 mask = offset & 31;
  if (offset >= fft_mode)
    return reverse5(in_half) >> std::popcount(mask) | (in_half & mask);
  if (offset >= rotate_mode) {
    const u32 distance = offset >> 5 & 31;
    const u32 moved = offset >> 10 & 1 ? in_half - distance : in_half + distance;
    return (in_half & mask) | (moved & ~mask);
  }
  if (offset >= quad_mode)
    return (in_half & ~3u) | (offset >> (in_half & 3) * 2 & 3);
  const u32 or_mask = offset >> 5 & 31, xor_mask = offset >> 10 & 31;
  return ((in_half & mask) | or_mask) ^ xor_mask;
}

void ds_swizzle_b32(Wave& wave, const Instruction& in) {
  const u32 offset = static_cast<u32>(in.offset);
  gather(wave, in.dst.index, wave.vgpr[in.src[0].index],
         [&](unsigned lane) { return swizzle_source(offset, lane); });
}

void ds_nop(Wave&, const Instruction&) {}

constexpr Type w = Type::b32;
constexpr Type d = Type::b64;
constexpr Type t = Type::b96;
constexpr Type q = Type::b128;
constexpr Type no = Type::none;

template <class T, auto F>
constexpr Handler update = lds<atomic<LdsSpace, T, F>>;

// An operation of one data operand, without and with return.
#define UPDATE(code, rtn_code, name, rtn_name, T, F, type)                                                   \
  {code, name, update<T, F>, no, w, type, no, row_atomic}, {                                                 \
    rtn_code, rtn_name, update<T, F>, type, w, type, no, row_atomic                                          \
  }
// The same with two data operands.
#define UPDATE2(code, rtn_code, name, rtn_name, T, F, type)                                                  \
  {code, name, atomic2<T, F>, no, w, type, type, row_atomic}, {                                              \
    rtn_code, rtn_name, atomic2<T, F>, type, w, type, type, row_atomic                                       \
  }

// clang-format off
constexpr OpcodeRow ds_table[] = {
    UPDATE(0x00, 0x20, "ds_add_u32", "ds_add_rtn_u32", u32, op::add, w),
    UPDATE(0x01, 0x21, "ds_sub_u32", "ds_sub_rtn_u32", u32, op::sub, w),
    UPDATE(0x02, 0x22, "ds_rsub_u32", "ds_rsub_rtn_u32", u32, op::rsub, w),
    UPDATE(0x03, 0x23, "ds_inc_u32", "ds_inc_rtn_u32", u32, op::inc, w),
    UPDATE(0x04, 0x24, "ds_dec_u32", "ds_dec_rtn_u32", u32, op::dec, w),
    UPDATE(0x05, 0x25, "ds_min_i32", "ds_min_rtn_i32", i32, op::min, w),
    UPDATE(0x06, 0x26, "ds_max_i32", "ds_max_rtn_i32", i32, op::max, w),
    UPDATE(0x07, 0x27, "ds_min_u32", "ds_min_rtn_u32", u32, op::min, w),
    UPDATE(0x08, 0x28, "ds_max_u32", "ds_max_rtn_u32", u32, op::max, w),
    UPDATE(0x09, 0x29, "ds_and_b32", "ds_and_rtn_b32", u32, op::bit_and, w),
    UPDATE(0x0a, 0x2a, "ds_or_b32", "ds_or_rtn_b32", u32, op::bit_or, w),
    UPDATE(0x0b, 0x2b, "ds_xor_b32", "ds_xor_rtn_b32", u32, op::bit_xor, w),
    UPDATE2(0x0c, 0x2c, "ds_mskor_b32", "ds_mskor_rtn_b32", u32, masked_or, w),
    {0x0d, "ds_write_b32", lds<store<LdsSpace, 1>>, no, w, w, no, row_store},
    {0x0e, "ds_write2_b32", write2<u32, 1>, no, w, w, w, row_store},
    {0x0f, "ds_write2st64_b32", write2<u32, 64>, no, w, w, w, row_store},
    UPDATE2(0x10, 0x30, "ds_cmpst_b32", "ds_cmpst_rtn_b32", u32, compare_store, w),
    UPDATE2(0x11, 0x31, "ds_cmpst_f32", "ds_cmpst_rtn_f32", float, compare_store, w),
    UPDATE(0x12, 0x32, "ds_min_f32", "ds_min_rtn_f32", float, op::fmin, w),
    UPDATE(0x13, 0x33, "ds_max_f32", "ds_max_rtn_f32", float, op::fmax, w),
    {0x14, "ds_nop", ds_nop, no},
    {0x15, "ds_add_f32", ds_add_f32, no, w, w, no, row_atomic},
    {0x55, "ds_add_rtn_f32", ds_add_f32, w, w, w, no, row_atomic},
    {0x18, "ds_gws_sema_release_all", ds_gws_sema_release_all, no},
    {0x19, "ds_gws_init", ds_gws_init, no, w},
    {0x1a, "ds_gws_sema_v", ds_gws_sema_v, no},
    {0x1b, "ds_gws_sema_br", ds_gws_sema_br, no, w},
    {0x1c, "ds_gws_sema_p", ds_gws_sema_p, no},
    {0x1d, "ds_gws_barrier", ds_gws_barrier, no, w},
    {0x1e, "ds_write_b8", lds<store_part<LdsSpace, u8>>, no, w, w, no, row_store},
    {0x1f, "ds_write_b16", lds<store_part<LdsSpace, u16>>, no, w, w, no, row_store},
    {0x2d, "ds_wrxchg_rtn_b32", update<u32, op::swap>, w, w, w, no, row_atomic},
    {0x2e, "ds_wrxchg2_rtn_b32", wrxchg2<u32, 1>, d, w, w, w, row_atomic},
    {0x2f, "ds_wrxchg2st64_rtn_b32", wrxchg2<u32, 64>, d, w, w, w, row_atomic},
    {0x34, "ds_wrap_rtn_b32", atomic2<u32, wrap>, w, w, w, w, row_atomic},
    {0x35, "ds_swizzle_b32", ds_swizzle_b32, w, w},
    {0x36, "ds_read_b32", lds<load<LdsSpace, 1>>, w, w},
    {0x37, "ds_read2_b32", read2<u32, 1>, d, w},
    {0x38, "ds_read2st64_b32", read2<u32, 64>, d, w},
    {0x39, "ds_read_i8", lds<load_extended<LdsSpace, i8>>, w, w},
    {0x3a, "ds_read_u8", lds<load_extended<LdsSpace, u8>>, w, w},
    {0x3b, "ds_read_i16", lds<load_extended<LdsSpace, i16>>, w, w},
    {0x3c, "ds_read_u16", lds<load_extended<LdsSpace, u16>>, w, w},
    {0x3d, "ds_consume", count_lanes<false>, w},
    {0x3e, "ds_append", count_lanes<true>, w},
    {0x3f, "ds_ordered_count", nullptr, w, w},
    UPDATE(0x40, 0x60, "ds_add_u64", "ds_add_rtn_u64", u64, op::add, d),
    UPDATE(0x41, 0x61, "ds_sub_u64", "ds_sub_rtn_u64", u64, op::sub, d),
    UPDATE(0x42, 0x62, "ds_rsub_u64", "ds_rsub_rtn_u64", u64, op::rsub, d),
    UPDATE(0x43, 0x63, "ds_inc_u64", "ds_inc_rtn_u64", u64, op::inc, d),
    UPDATE(0x44, 0x64, "ds_dec_u64", "ds_dec_rtn_u64", u64, op::dec, d),
    UPDATE(0x45, 0x65, "ds_min_i64", "ds_min_rtn_i64", i64, op::min, d),
    UPDATE(0x46, 0x66, "ds_max_i64", "ds_max_rtn_i64", i64, op::max, d),
    UPDATE(0x47, 0x67, "ds_min_u64", "ds_min_rtn_u64", u64, op::min, d),
    UPDATE(0x48, 0x68, "ds_max_u64", "ds_max_rtn_u64", u64, op::max, d),
    UPDATE(0x49, 0x69, "ds_and_b64", "ds_and_rtn_b64", u64, op::bit_and, d),
    UPDATE(0x4a, 0x6a, "ds_or_b64", "ds_or_rtn_b64", u64, op::bit_or, d),
    UPDATE(0x4b, 0x6b, "ds_xor_b64", "ds_xor_rtn_b64", u64, op::bit_xor, d),
    UPDATE2(0x4c, 0x6c, "ds_mskor_b64", "ds_mskor_rtn_b64", u64, masked_or, d),
    {0x4d, "ds_write_b64", lds<store<LdsSpace, 2>>, no, w, d, no, row_store},
    {0x4e, "ds_write2_b64", write2<u64, 1>, no, w, d, d, row_store},
    {0x4f, "ds_write2st64_b64", write2<u64, 64>, no, w, d, d, row_store},
    UPDATE2(0x50, 0x70, "ds_cmpst_b64", "ds_cmpst_rtn_b64", u64, compare_store, d),
    UPDATE2(0x51, 0x71, "ds_cmpst_f64", "ds_cmpst_rtn_f64", double, compare_store, d),
    UPDATE(0x52, 0x72, "ds_min_f64", "ds_min_rtn_f64", double, op::fmin, d),
    UPDATE(0x53, 0x73, "ds_max_f64", "ds_max_rtn_f64", double, op::fmax, d),
    {0x6d, "ds_wrxchg_rtn_b64", update<u64, op::swap>, d, w, d, no, row_atomic},
    {0x6e, "ds_wrxchg2_rtn_b64", wrxchg2<u64, 1>, q, w, d, d, row_atomic},
    {0x6f, "ds_wrxchg2st64_rtn_b64", wrxchg2<u64, 64>, q, w, d, d, row_atomic},
    {0x76, "ds_read_b64", lds<load<LdsSpace, 2>>, d, w},
    {0x77, "ds_read2_b64", read2<u64, 1>, q, w},
    {0x78, "ds_read2st64_b64", read2<u64, 64>, q, w},
    {0x7e, "ds_condxchg32_rtn_b64", update<u64, conditional_exchange>, d, w, d, no, row_atomic},
    {0xa0, "ds_write_b8_d16_hi", lds<store_part<LdsSpace, u8, 16>>, no, w, w, no, row_store},
    {0xa1, "ds_write_b16_d16_hi", lds<store_part<LdsSpace, u16, 16>>, no, w, w, no, row_store},
    {0xa2, "ds_read_u8_d16", lds<load_d16<LdsSpace, u8, false>>, w, w},
    {0xa3, "ds_read_u8_d16_hi", lds<load_d16<LdsSpace, u8, true>>, w, w},
    {0xa4, "ds_read_i8_d16", lds<load_d16<LdsSpace, i8, false>>, w, w},
    {0xa5, "ds_read_i8_d16_hi", lds<load_d16<LdsSpace, i8, true>>, w, w},
    {0xa6, "ds_read_u16_d16", lds<load_d16<LdsSpace, u16, false>>, w, w},
    {0xa7, "ds_read_u16_d16_hi", lds<load_d16<LdsSpace, u16, true>>, w, w},
    {0xb0, "ds_write_addtid_b32", lds<store<LdsAddTidSpace, 1>>, no, no, w, no, row_store},
    {0xb1, "ds_read_addtid_b32", lds<load<LdsAddTidSpace, 1>>, w},
    {0xb2, "ds_permute_b32", ds_permute_b32, w, w, w},
    {0xb3, "ds_bpermute_b32", ds_bpermute_b32, w, w, w},
    {0xde, "ds_write_b96", lds<store<LdsSpace, 3>>, no, w, t, no, row_store},
    {0xdf, "ds_write_b128", lds<store<LdsSpace, 4>>, no, w, q, no, row_store},
    {0xfe, "ds_read_b96", lds<load<LdsSpace, 3>>, t, w},
    {0xff, "ds_read_b128", lds<load<LdsSpace, 4>>, q, w},
};
// clang-format on

} // namespace

std::span<const OpcodeRow> ds_rows() {
  return ds_table;
}

} // namespace emu::isa
