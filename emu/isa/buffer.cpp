// MUBUF and MTBUF: memory through a buffer resource (SRD), with bounds checks, swizzling and formats.
#include <algorithm>

#include "buffer_format.hpp"
#include "decoder.hpp"
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

// SRD word 3, OOB_SELECT.
enum class OutOfBounds : u8 {
  structured_with_offset, // index >= NUM_RECORDS, or offset >= STRIDE
  structured,             // index >= NUM_RECORDS
  disabled,               // NUM_RECORDS == 0
  raw,                    // byte offset (swizzled, where swizzling is on) >= NUM_RECORDS
};

// The buffer resource descriptor of gfx10.3.
struct Srd {
  u64 base;
  u32 stride;
  bool swizzle;
  u32 num_records;
  u8 dst_sel[4];
  u32 format;
  u32 index_stride;
  bool add_tid;
  OutOfBounds out_of_bounds;

  explicit Srd(const u32* words)
      : base(words[0] | static_cast<u64>(words[1] & 0xffff) << 32), stride(words[1] >> 16 & 0x3fff),
        swizzle(words[1] >> 31),
        num_records(words[2]), dst_sel{static_cast<u8>(words[3] & 7), static_cast<u8>(words[3] >> 3 & 7),
                                       static_cast<u8>(words[3] >> 6 & 7),
                                       static_cast<u8>(words[3] >> 9 & 7)},
        format(words[3] >> 12 & 0x7f), index_stride(8u << (words[3] >> 21 & 3)), add_tid(words[3] >> 23 & 1),
        out_of_bounds(static_cast<OutOfBounds>(words[3] >> 28 & 3)) {}
};

class BufferSpace {
public:
  BufferSpace(Wave& wave, const Instruction& in)
      : srd_(&wave.sgpr[in.scalar.index]), soffset_(wave.read_scalar(in.soffset)),
        immediate_(static_cast<u32>(in.offset)) {
    if (in.idxen)
      index_ = wave.vgpr[in.src[0].index];
    if (in.offen)
      offset_ = wave.vgpr[in.src[0].index + (in.idxen ? 1 : 0)];
  }

  Location locate(unsigned lane, unsigned size) const {
    const u64 index = u64{index_ ? index_[lane] : 0} + (srd_.add_tid ? lane : 0);
    const u32 offset =
        (offset_ ? offset_[lane] : 0) + immediate_; // modulo 2^32: the register may be negative
    Location at;
    u64 place = index * srd_.stride + offset;
    if (srd_.swizzle) {
      const u64 row = index / srd_.index_stride, column = index % srd_.index_stride;
      at.low = offset & 3;
      at.stride = 4 * srd_.index_stride;
      place = (row * srd_.stride + (offset & ~u32{3})) * srd_.index_stride + column * 4;
    }
    at.address = srd_.base + soffset_ + place;
    at.limit = in_range(index, offset, place, size);
    if (at.limit == 0)
      at.kind = Location::Kind::none;
    return at;
  }

  // Unswizzled rows addressed by a byte offset alone, or the interleaved dwords of scratch.
  bool direct(Wave& wave, unsigned size, memory::Access access, Direct& to) const {
    if (index_)
      return false;
    u32 offset = 0;
    if (srd_.swizzle) {
      if (!srd_.add_tid || srd_.index_stride != wave.lanes || (offset_ && !uniform(wave, offset_, offset)))
        return false;
      offset += immediate_;
      const u64 place = u64{offset} * srd_.index_stride;
      return offset % 4 == 0 && size % 4 == 0 &&
             all_in_range(wave.lanes - 1, offset, place + (wave.lanes - 1) * 4, size) &&
             direct_interleaved(wave, srd_.base + soffset_ + place, size, access, to);
    }
    if (srd_.add_tid || !offset_)
      return false;
    const Extent extent = valu_tables().extent(offset_, wave.exec(), wave.lanes);
    const u64 last = u64{extent.greatest} + immediate_;
    const bool wraps = last >> 32 != 0;
    return !wraps && all_in_range(0, last, last, size) &&
           direct_memory(wave, srd_.base + soffset_ + immediate_, offset_, size, access, to);
  }

  const Srd& srd() const { return srd_; }

private:
  bool all_in_range(u64 index, u64 offset, u64 place, unsigned size) const {
    return in_range(index, offset, place, size) >= size;
  }

  // Bytes from the start of the access that are within bounds.
  u32 in_range(u64 index, u64 offset, u64 place, unsigned size) const {
    switch (srd_.out_of_bounds) {
    case OutOfBounds::structured_with_offset:
      return index >= srd_.num_records ? 0 : dwords_below(srd_.stride, offset);
    case OutOfBounds::structured:
      return index >= srd_.num_records ? 0 : size;
    case OutOfBounds::disabled:
      return srd_.num_records == 0 ? 0 : size;
    case OutOfBounds::raw:
      if (srd_.swizzle) // each dword lies elsewhere: the first decides
        return dwords_below(srd_.num_records, place + soffset_) ? size : 0;
      return dwords_below(srd_.num_records, place + soffset_);
    }
    return 0;
  }

  Srd srd_;
  const u32* index_ = nullptr;
  const u32* offset_ = nullptr;
  u32 soffset_;
  u32 immediate_;
};

void nothing(Wave&, const Instruction&) {}

// --- formats

const BufferFormat* format_of(Wave& wave, const Instruction& in, const Srd& srd) {
  const unsigned id = in.format == Format::mtbuf ? in.format_id : srd.format;
  const BufferFormat& format = buffer_format(id);
  if (format.name)
    return &format;
  wave.raise_illegal("buffer format unknown to this device");
  return nullptr;
}

// DST_SEL: 0 and 1 are constants, 4..7 name a component of the texel.
u32 select(const std::array<u32, 4>& texel, u8 selector, bool integer) {
  switch (selector) {
  case 0:
    return 0;
  case 1:
    return integer ? 1 : 0x3f800000;
  default:
    return texel[selector & 3];
  }
}

// The other way round, for stores: each component of the texel is the first value that would be loaded from
// it.
std::array<u32, 4> unselect(const std::array<u32, 4>& values, const u8 (&selectors)[4]) {
  std::array<u32, 4> texel{};
  for (unsigned i = 4; i-- > 0;)
    if (selectors[i] >= 4)
      texel[selectors[i] & 3] = values[i];
  return texel;
}

bool read_texel(Wave& wave, const Location& at, unsigned bytes, void* texel) {
  return at.limit < bytes ? (std::memset(texel, 0, bytes), true) : read_pieces(wave, at, texel, bytes);
}

enum class Width { full, d16, d16_hi };

// Out of range, all of the texel is: zero, then W and the selectors are as for any texel.
template <unsigned components, Width width>
void load_format(Wave& wave, const Instruction& in) {
  const BufferSpace space(wave, in);
  const BufferFormat* format = format_of(wave, in, space.srd());
  if (!format)
    return;
  for_each_active(wave, [&](unsigned lane) {
    u32 raw[4];
    const Location at = space.locate(lane, format->bytes());
    if (!read_texel(wave, at, format->bytes(), raw))
      return false;
    const bool inside = at.kind != Location::Kind::none && at.limit >= format->bytes();
    const std::array<u32, 4> texel = inside ? unpack_texel(*format, raw) : std::array<u32, 4>{};
    for (unsigned i = 0; i < components; ++i) {
      u32 value = inside ? select(texel, space.srd().dst_sel[i], format->is_integer()) : 0;
      if constexpr (width == Width::full) {
        wave.vgpr[in.dst.index + i][lane] = value;
      } else {
        const u32 half = format->is_integer() ? value & 0xffff : half_from_single(value);
        u32& to = wave.vgpr[in.dst.index + i / 2][lane];
        if (width == Width::d16_hi || i % 2 == 1)
          to = (to & 0xffff) | half << 16;
        else
          to = (to & 0xffff0000) | half;
      }
    }
    return true;
  });
}

// load_format_x into LDS.
void format_to_lds(Wave& wave, const Instruction& in) {
  const BufferSpace space(wave, in);
  const BufferFormat* format = format_of(wave, in, space.srd());
  if (!format)
    return;
  Group& group = *wave.group;
  const u32 first = (wave.m0() & 0xffff) + static_cast<u32>(in.offset);
  for_each_active(wave, [&](unsigned lane) {
    const u32 to = first + lane * 4;
    if (to + 4 > group.lds_size)
      return true;
    u32 raw[4];
    const Location at = space.locate(lane, format->bytes());
    if (!read_texel(wave, at, format->bytes(), raw))
      return false;
    const bool inside = at.kind != Location::Kind::none && at.limit >= format->bytes();
    const u32 value =
        inside ? select(unpack_texel(*format, raw), space.srd().dst_sel[0], format->is_integer()) : 0;
    std::memcpy(&group.lds[to], &value, sizeof value);
    return true;
  });
}

template <unsigned components, Width width>
void store_format(Wave& wave, const Instruction& in) {
  const BufferSpace space(wave, in);
  const BufferFormat* format = format_of(wave, in, space.srd());
  if (!format)
    return;
  for_each_active(wave, [&](unsigned lane) {
    std::array<u32, 4> values{};
    for (unsigned i = 0; i < components; ++i) {
      if constexpr (width == Width::full) {
        values[i] = wave.vgpr[in.src[1].index + i][lane];
      } else {
        const u32 word = wave.vgpr[in.src[1].index + i / 2][lane];
        const auto half = static_cast<u16>(width == Width::d16_hi || i % 2 == 1 ? word >> 16 : word);
        if (format->type == NumberType::sint)
          values[i] = static_cast<u32>(i32{static_cast<i16>(half)});
        else
          values[i] = format->is_integer() ? half : single_from_half(half);
      }
    }
    u32 raw[4];
    pack_texel(*format, unselect(values, space.srd().dst_sel), raw);
    const Location at = space.locate(lane, format->bytes());
    return at.limit < format->bytes() || write_pieces(wave, at, raw, format->bytes());
  });
}

constexpr Type w = Type::b32;
constexpr Type d = Type::b64;
constexpr Type t = Type::b96;
constexpr Type q = Type::b128;
constexpr Type no = Type::none;

template <class T, auto F>
constexpr Handler update = atomic<BufferSpace, T, F>;
template <class T>
constexpr Handler cmpswap = atomic_cmpswap<BufferSpace, T>;

// clang-format off
constexpr OpcodeRow mubuf_table[] = {
    {0x00, "buffer_load_format_x", load_format<1, Width::full>, w},
    {0x01, "buffer_load_format_xy", load_format<2, Width::full>, d},
    {0x02, "buffer_load_format_xyz", load_format<3, Width::full>, t},
    {0x03, "buffer_load_format_xyzw", load_format<4, Width::full>, q},
    {0x04, "buffer_store_format_x", store_format<1, Width::full>, no, no, w, no, row_store},
    {0x05, "buffer_store_format_xy", store_format<2, Width::full>, no, no, d, no, row_store},
    {0x06, "buffer_store_format_xyz", store_format<3, Width::full>, no, no, t, no, row_store},
    {0x07, "buffer_store_format_xyzw", store_format<4, Width::full>, no, no, q, no, row_store},
    {0x08, "buffer_load_ubyte", load_extended<BufferSpace, u8>, w},
    {0x09, "buffer_load_sbyte", load_extended<BufferSpace, i8>, w},
    {0x0a, "buffer_load_ushort", load_extended<BufferSpace, u16>, w},
    {0x0b, "buffer_load_sshort", load_extended<BufferSpace, i16>, w},
    {0x0c, "buffer_load_dword", load<BufferSpace, 1>, w},
    {0x0d, "buffer_load_dwordx2", load<BufferSpace, 2>, d},
    {0x0e, "buffer_load_dwordx4", load<BufferSpace, 4>, q},
    {0x0f, "buffer_load_dwordx3", load<BufferSpace, 3>, t},
    {0x18, "buffer_store_byte", store_part<BufferSpace, u8>, no, no, w, no, row_store},
    {0x19, "buffer_store_byte_d16_hi", store_part<BufferSpace, u8, 16>, no, no, w, no, row_store},
    {0x1a, "buffer_store_short", store_part<BufferSpace, u16>, no, no, w, no, row_store},
    {0x1b, "buffer_store_short_d16_hi", store_part<BufferSpace, u16, 16>, no, no, w, no, row_store},
    {0x1c, "buffer_store_dword", store<BufferSpace, 1>, no, no, w, no, row_store},
    {0x1d, "buffer_store_dwordx2", store<BufferSpace, 2>, no, no, d, no, row_store},
    {0x1e, "buffer_store_dwordx4", store<BufferSpace, 4>, no, no, q, no, row_store},
    {0x1f, "buffer_store_dwordx3", store<BufferSpace, 3>, no, no, t, no, row_store},
    {0x20, "buffer_load_ubyte_d16", load_d16<BufferSpace, u8, false>, w},
    {0x21, "buffer_load_ubyte_d16_hi", load_d16<BufferSpace, u8, true>, w},
    {0x22, "buffer_load_sbyte_d16", load_d16<BufferSpace, i8, false>, w},
    {0x23, "buffer_load_sbyte_d16_hi", load_d16<BufferSpace, i8, true>, w},
    {0x24, "buffer_load_short_d16", load_d16<BufferSpace, u16, false>, w},
    {0x25, "buffer_load_short_d16_hi", load_d16<BufferSpace, u16, true>, w},
    {0x26, "buffer_load_format_d16_hi_x", load_format<1, Width::d16_hi>, w},
    {0x27, "buffer_store_format_d16_hi_x", store_format<1, Width::d16_hi>, no, no, w, no, row_store},
    {0x30, "buffer_atomic_swap", update<u32, op::swap>, w, no, w, no, row_atomic},
    {0x31, "buffer_atomic_cmpswap", cmpswap<u32>, w, no, d, no, row_atomic},
    {0x32, "buffer_atomic_add", update<u32, op::add>, w, no, w, no, row_atomic},
    {0x33, "buffer_atomic_sub", update<u32, op::sub>, w, no, w, no, row_atomic},
    {0x34, "buffer_atomic_csub", update<u32, op::csub>, w, no, w, no, row_atomic},
    {0x35, "buffer_atomic_smin", update<i32, op::min>, w, no, w, no, row_atomic},
    {0x36, "buffer_atomic_umin", update<u32, op::min>, w, no, w, no, row_atomic},
    {0x37, "buffer_atomic_smax", update<i32, op::max>, w, no, w, no, row_atomic},
    {0x38, "buffer_atomic_umax", update<u32, op::max>, w, no, w, no, row_atomic},
    {0x39, "buffer_atomic_and", update<u32, op::bit_and>, w, no, w, no, row_atomic},
    {0x3a, "buffer_atomic_or", update<u32, op::bit_or>, w, no, w, no, row_atomic},
    {0x3b, "buffer_atomic_xor", update<u32, op::bit_xor>, w, no, w, no, row_atomic},
    {0x3c, "buffer_atomic_inc", update<u32, op::inc>, w, no, w, no, row_atomic},
    {0x3d, "buffer_atomic_dec", update<u32, op::dec>, w, no, w, no, row_atomic},
    {0x3e, "buffer_atomic_fcmpswap", cmpswap<float>, w, no, d, no, row_atomic},
    {0x3f, "buffer_atomic_fmin", update<float, op::fmin>, w, no, w, no, row_atomic},
    {0x40, "buffer_atomic_fmax", update<float, op::fmax>, w, no, w, no, row_atomic},
    {0x50, "buffer_atomic_swap_x2", update<u64, op::swap>, d, no, d, no, row_atomic},
    {0x51, "buffer_atomic_cmpswap_x2", cmpswap<u64>, d, no, q, no, row_atomic},
    {0x52, "buffer_atomic_add_x2", update<u64, op::add>, d, no, d, no, row_atomic},
    {0x53, "buffer_atomic_sub_x2", update<u64, op::sub>, d, no, d, no, row_atomic},
    {0x55, "buffer_atomic_smin_x2", update<i64, op::min>, d, no, d, no, row_atomic},
    {0x56, "buffer_atomic_umin_x2", update<u64, op::min>, d, no, d, no, row_atomic},
    {0x57, "buffer_atomic_smax_x2", update<i64, op::max>, d, no, d, no, row_atomic},
    {0x58, "buffer_atomic_umax_x2", update<u64, op::max>, d, no, d, no, row_atomic},
    {0x59, "buffer_atomic_and_x2", update<u64, op::bit_and>, d, no, d, no, row_atomic},
    {0x5a, "buffer_atomic_or_x2", update<u64, op::bit_or>, d, no, d, no, row_atomic},
    {0x5b, "buffer_atomic_xor_x2", update<u64, op::bit_xor>, d, no, d, no, row_atomic},
    {0x5c, "buffer_atomic_inc_x2", update<u64, op::inc>, d, no, d, no, row_atomic},
    {0x5d, "buffer_atomic_dec_x2", update<u64, op::dec>, d, no, d, no, row_atomic},
    {0x5e, "buffer_atomic_fcmpswap_x2", cmpswap<double>, d, no, q, no, row_atomic},
    {0x5f, "buffer_atomic_fmin_x2", update<double, op::fmin>, d, no, d, no, row_atomic},
    {0x60, "buffer_atomic_fmax_x2", update<double, op::fmax>, d, no, d, no, row_atomic},
    {0x71, "buffer_gl0_inv", nothing, no},
    {0x72, "buffer_gl1_inv", nothing, no},
    {0x80, "buffer_load_format_d16_x", load_format<1, Width::d16>, w},
    {0x81, "buffer_load_format_d16_xy", load_format<2, Width::d16>, w},
    {0x82, "buffer_load_format_d16_xyz", load_format<3, Width::d16>, d},
    {0x83, "buffer_load_format_d16_xyzw", load_format<4, Width::d16>, d},
    {0x84, "buffer_store_format_d16_x", store_format<1, Width::d16>, no, no, w, no, row_store},
    {0x85, "buffer_store_format_d16_xy", store_format<2, Width::d16>, no, no, w, no, row_store},
    {0x86, "buffer_store_format_d16_xyz", store_format<3, Width::d16>, no, no, d, no, row_store},
    {0x87, "buffer_store_format_d16_xyzw", store_format<4, Width::d16>, no, no, d, no, row_store},
};

constexpr OpcodeRow mtbuf_table[] = {
    {0x00, "tbuffer_load_format_x", load_format<1, Width::full>, w},
    {0x01, "tbuffer_load_format_xy", load_format<2, Width::full>, d},
    {0x02, "tbuffer_load_format_xyz", load_format<3, Width::full>, t},
    {0x03, "tbuffer_load_format_xyzw", load_format<4, Width::full>, q},
    {0x04, "tbuffer_store_format_x", store_format<1, Width::full>, no, no, w, no, row_store},
    {0x05, "tbuffer_store_format_xy", store_format<2, Width::full>, no, no, d, no, row_store},
    {0x06, "tbuffer_store_format_xyz", store_format<3, Width::full>, no, no, t, no, row_store},
    {0x07, "tbuffer_store_format_xyzw", store_format<4, Width::full>, no, no, q, no, row_store},
    {0x08, "tbuffer_load_format_d16_x", load_format<1, Width::d16>, w},
    {0x09, "tbuffer_load_format_d16_xy", load_format<2, Width::d16>, w},
    {0x0a, "tbuffer_load_format_d16_xyz", load_format<3, Width::d16>, d},
    {0x0b, "tbuffer_load_format_d16_xyzw", load_format<4, Width::d16>, d},
    {0x0c, "tbuffer_store_format_d16_x", store_format<1, Width::d16>, no, no, w, no, row_store},
    {0x0d, "tbuffer_store_format_d16_xy", store_format<2, Width::d16>, no, no, w, no, row_store},
    {0x0e, "tbuffer_store_format_d16_xyz", store_format<3, Width::d16>, no, no, d, no, row_store},
    {0x0f, "tbuffer_store_format_d16_xyzw", store_format<4, Width::d16>, no, no, d, no, row_store},
};
// clang-format on

} // namespace

Handler mubuf_lds_handler(unsigned opcode) {
  switch (opcode) {
  case 0x00:
    return format_to_lds;
  case 0x08:
    return load_to_lds<BufferSpace, u8>;
  case 0x09:
    return load_to_lds<BufferSpace, i8>;
  case 0x0a:
    return load_to_lds<BufferSpace, u16>;
  case 0x0b:
    return load_to_lds<BufferSpace, i16>;
  case 0x0c:
    return load_to_lds<BufferSpace, u32>;
  default:
    return nullptr;
  }
}

// Memory that is there is resident: the status is zero.
void buffer_status_handler(Wave& wave, const Instruction& in) {
  in.row->handler(wave, in);
  if (wave.event != WaveEvent::none)
    return;
  u32* status = wave.vgpr[in.dst.index + registers_of(in.row->dst)];
  for_each_active(wave, [&](unsigned lane) {
    status[lane] = 0;
    return true;
  });
}

std::span<const OpcodeRow> mubuf_rows() {
  return mubuf_table;
}
std::span<const OpcodeRow> mtbuf_rows() {
  return mtbuf_table;
}

} // namespace emu::isa
