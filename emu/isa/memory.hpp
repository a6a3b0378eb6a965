// Memory operations over any space. A space class (global, scratch, flat, buffer, LDS) tells where each
// lane's bytes are; the templates below load, store and do atomics there.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "direct.hpp"
#include "group.hpp"
#include "instruction.hpp"
#include "wave.hpp"

namespace emu::isa {

// The bytes that one lane accesses.
struct Location {
  enum class Kind : std::uint8_t { memory, lds, none };

  std::uint64_t address = 0; // GPU address or LDS offset of the first dword, or of the first byte
  std::uint32_t stride = 4;  // from a dword to the next: 4 is contiguous, more is swizzled
  std::uint32_t limit =
      0xffffffff;           // bytes from the start that are in range; others read 0 and are not written
  Kind kind = Kind::memory; // none: everything is out of range
  std::uint8_t low = 0;     // swizzled: the first byte's place in its dword
};

inline constexpr std::uint32_t contiguous = 4;

// Bytes of the dwords that begin below `end`, for an access at `begin`: what Location::limit is where gfx10
// compares the beginning of each dword, and not its end.
inline std::uint32_t dwords_below(std::uint64_t end, std::uint64_t begin) {
  if (begin >= end)
    return 0;
  return (static_cast<std::uint32_t>(std::min<std::uint64_t>(end - begin, 0xfffffff0)) + 3) & ~3u;
}

// Both return false after raising a fault.
bool read_pieces(Wave& wave, const Location& from, void* to, unsigned size);
bool write_pieces(Wave& wave, const Location& to, const void* from, unsigned size);
void raise_memory_fault(Wave& wave);

template <unsigned size>
[[gnu::always_inline]] inline bool read_location(Wave& wave, const Location& from, void* to) {
  if (from.kind == Location::Kind::memory && from.stride == contiguous && from.limit >= size) [[likely]] {
    const std::byte* host = wave.group->memory.translate(from.address, size, memory::Access::read);
    if (host) [[likely]] {
      std::memcpy(to, host, size);
      return true;
    }
  } else if (from.kind == Location::Kind::lds && from.limit >= size) {
    std::memcpy(to, &wave.group->lds[from.address], size);
    return true;
  }
  return read_pieces(wave, from, to, size);
}

template <unsigned size>
[[gnu::always_inline]] inline bool write_location(Wave& wave, const Location& to, const void* from) {
  if (to.kind == Location::Kind::memory && to.stride == contiguous && to.limit >= size) [[likely]] {
    std::byte* host = wave.group->memory.translate(to.address, size, memory::Access::write);
    if (host) [[likely]] {
      std::memcpy(host, from, size);
      return true;
    }
  } else if (to.kind == Location::Kind::lds && to.limit >= size) {
    std::memcpy(&wave.group->lds[to.address], from, size);
    return true;
  }
  return write_pieces(wave, to, from, size);
}

// Host memory for an atomic of `size` bytes; nullptr where it is out of range (`wave.event` stays none) or
// after a fault. Atomics want natural alignment.
std::byte* atomic_location(Wave& wave, const Location& at, unsigned size);

template <class F>
inline void for_each_active(const Wave& wave, F&& f) {
  for (std::uint64_t mask = wave.exec(); mask; mask &= mask - 1)
    if (!f(static_cast<unsigned>(std::countr_zero(mask))))
      return;
}

// --- handlers, to be instantiated for a Space with
//   Space(Wave&, const Instruction&)
//   Location locate(unsigned lane, unsigned size)
// and, where one translation may serve all lanes,
//   bool direct(Wave&, unsigned size, memory::Access, Direct&) const

// Loads of 1 to 4 dwords.
template <class Space, unsigned dwords>
void load(Wave& wave, const Instruction& in) {
  Space space(wave, in);
  Direct direct;
  if (find_direct(space, wave, dwords * 4, memory::Access::read, direct)) [[likely]]
    return load_direct<dwords>(wave, in.dst.index, direct);
  for_each_active(wave, [&](unsigned lane) {
    std::uint32_t value[dwords];
    if (!read_location<dwords * 4>(wave, space.locate(lane, dwords * 4), value))
      return false;
    for (unsigned i = 0; i < dwords; ++i)
      wave.vgpr[in.dst.index + i][lane] = value[i];
    return true;
  });
}

// Loads of one T, extended to 32 bits.
template <class Space, class T>
void load_extended(Wave& wave, const Instruction& in) {
  Space space(wave, in);
  Direct direct;
  if (find_direct(space, wave, sizeof(T), memory::Access::read, direct))
    return for_each_direct(wave, direct, [&](unsigned lane, const std::byte* from) {
      T value;
      std::memcpy(&value, from, sizeof value);
      wave.vgpr[in.dst.index][lane] = static_cast<std::uint32_t>(static_cast<std::int32_t>(value));
    });
  for_each_active(wave, [&](unsigned lane) {
    T value;
    if (!read_location<sizeof(T)>(wave, space.locate(lane, sizeof(T)), &value))
      return false;
    wave.vgpr[in.dst.index][lane] = static_cast<std::uint32_t>(static_cast<std::int32_t>(value));
    return true;
  });
}

// Loads of one T, extended to 32 bits, into LDS: at M0, plus the immediate offset, plus a dword per lane.
// Lanes whose dword is beyond the allocation do not read memory either.
template <class Space, class T>
void load_to_lds(Wave& wave, const Instruction& in) {
  Space space(wave, in);
  Group& group = *wave.group;
  const std::int64_t first = std::int64_t{wave.m0() & 0xffff} + in.offset;
  for_each_active(wave, [&](unsigned lane) {
    const std::int64_t at = first + lane * 4;
    if (at < 0 || at + 4 > group.lds_size)
      return true;
    T value;
    if (!read_location<sizeof(T)>(wave, space.locate(lane, sizeof(T)), &value))
      return false;
    const std::uint32_t word = static_cast<std::uint32_t>(static_cast<std::int32_t>(value));
    std::memcpy(&group.lds[static_cast<std::size_t>(at)], &word, sizeof word);
    return true;
  });
}

// Loads of one T, extended to 16 bits, into one half of the register.
template <class Space, class T, bool high>
void load_d16(Wave& wave, const Instruction& in) {
  Space space(wave, in);
  for_each_active(wave, [&](unsigned lane) {
    T value;
    if (!read_location<sizeof(T)>(wave, space.locate(lane, sizeof(T)), &value))
      return false;
    const std::uint32_t half = static_cast<std::uint16_t>(static_cast<std::int16_t>(value));
    std::uint32_t& to = wave.vgpr[in.dst.index][lane];
    to = high ? (to & 0xffff) | half << 16 : (to & 0xffff0000) | half;
    return true;
  });
}

template <class Space, unsigned dwords>
void store(Wave& wave, const Instruction& in) {
  Space space(wave, in);
  Direct direct;
  if (find_direct(space, wave, dwords * 4, memory::Access::write, direct)) [[likely]]
    return store_direct<dwords>(wave, in.src[1].index, direct);
  for_each_active(wave, [&](unsigned lane) {
    std::uint32_t value[dwords];
    for (unsigned i = 0; i < dwords; ++i)
      value[i] = wave.vgpr[in.src[1].index + i][lane];
    return write_location<dwords * 4>(wave, space.locate(lane, dwords * 4), value);
  });
}

// Stores of the T that begins at bit `shift` of the register.
template <class Space, class T, unsigned shift = 0>
void store_part(Wave& wave, const Instruction& in) {
  Space space(wave, in);
  Direct direct;
  if (find_direct(space, wave, sizeof(T), memory::Access::write, direct))
    return for_each_direct(wave, direct, [&](unsigned lane, std::byte* to) {
      const T value = static_cast<T>(wave.vgpr[in.src[1].index][lane] >> shift);
      std::memcpy(to, &value, sizeof value);
    });
  for_each_active(wave, [&](unsigned lane) {
    const T value = static_cast<T>(wave.vgpr[in.src[1].index][lane] >> shift);
    return write_location<sizeof(T)>(wave, space.locate(lane, sizeof(T)), &value);
  });
}

template <class T>
[[gnu::always_inline]] inline T read_vgpr(const Wave& wave, unsigned row, unsigned lane) {
  if constexpr (sizeof(T) == 4)
    return std::bit_cast<T>(wave.vgpr[row][lane]);
  else
    return std::bit_cast<T>(wave.vgpr[row][lane] | static_cast<std::uint64_t>(wave.vgpr[row + 1][lane])
                                                       << 32);
}

template <class T>
[[gnu::always_inline]] inline void write_vgpr(Wave& wave, unsigned row, unsigned lane, T value) {
  if constexpr (sizeof(T) == 4) {
    wave.vgpr[row][lane] = std::bit_cast<std::uint32_t>(value);
  } else {
    const auto bits = std::bit_cast<std::uint64_t>(value);
    wave.vgpr[row][lane] = static_cast<std::uint32_t>(bits);
    wave.vgpr[row + 1][lane] = static_cast<std::uint32_t>(bits >> 32);
  }
}

// memory = F(memory, data), atomically; the old value goes to the destination where there is one. T is what F
// works on; memory holds its bits.
template <class T, auto F, class... Data>
T atomic_update(std::byte* at, Data... data) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  auto* cell = reinterpret_cast<Bits*>(at);
  Bits old = __atomic_load_n(cell, __ATOMIC_RELAXED);
  for (;;) {
    const Bits next = std::bit_cast<Bits>(F(std::bit_cast<T>(old), data...));
    if (__atomic_compare_exchange_n(cell, &old, next, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
      return std::bit_cast<T>(old);
  }
}

// An atomic with one data operand, src[1].
template <class Space, class T, auto F>
void atomic(Wave& wave, const Instruction& in) {
  Space space(wave, in);
  for_each_active(wave, [&](unsigned lane) {
    T old{};
    if (std::byte* at = atomic_location(wave, space.locate(lane, sizeof(T)), sizeof(T)))
      old = atomic_update<T, F>(at, read_vgpr<T>(wave, in.src[1].index, lane));
    if (wave.event != WaveEvent::none)
      return false;
    if (in.dst.is_vector())
      write_vgpr(wave, in.dst.index, lane, old);
    return true;
  });
}

// A compare and swap whose data registers hold the new value, then the one to compare with.
template <class Space, class T>
void atomic_cmpswap(Wave& wave, const Instruction& in) {
  constexpr auto swap = [](T old, T desired, T compare) { return old == compare ? desired : old; };
  Space space(wave, in);
  for_each_active(wave, [&](unsigned lane) {
    T old{};
    if (std::byte* at = atomic_location(wave, space.locate(lane, sizeof(T)), sizeof(T)))
      old = atomic_update<T, swap>(at, read_vgpr<T>(wave, in.src[1].index, lane),
                                   read_vgpr<T>(wave, in.src[1].index + sizeof(T) / 4, lane));
    if (wave.event != WaveEvent::none)
      return false;
    if (in.dst.is_vector())
      write_vgpr(wave, in.dst.index, lane, old);
    return true;
  });
}

// What atomics do to a memory word, by name. Unsigned T unless the operation says otherwise.
namespace atomics {
inline constexpr auto swap = [](auto, auto data) { return data; };
inline constexpr auto add = [](auto old, auto data) { return old + data; };
inline constexpr auto sub = [](auto old, auto data) { return old - data; };
inline constexpr auto rsub = [](auto old, auto data) { return data - old; };
inline constexpr auto csub = [](auto old, auto data) { return old < data ? 0 : old - data; };
inline constexpr auto min = [](auto old, auto data) { return data < old ? data : old; };
inline constexpr auto max = [](auto old, auto data) { return data > old ? data : old; };
inline constexpr auto bit_and = [](auto old, auto data) { return old & data; };
inline constexpr auto bit_or = [](auto old, auto data) { return old | data; };
inline constexpr auto bit_xor = [](auto old, auto data) { return old ^ data; };
inline constexpr auto inc = [](auto old, auto data) { return old >= data ? decltype(old){0} : old + 1; };
inline constexpr auto dec = [](auto old, auto data) { return old == 0 || old > data ? data : old - 1; };
// A number wins over a NaN.
inline constexpr auto fmin = [](auto old, auto data) {
  return data != data ? old : data < old || old != old ? data : old;
};
inline constexpr auto fmax = [](auto old, auto data) {
  return data != data ? old : data > old || old != old ? data : old;
};
} // namespace atomics

// --- spaces that FLAT, GLOBAL and SCRATCH instructions and MUBUF share

// The address of the first lane's dword at an offset into the wave's scratch.
inline std::uint64_t scratch_row(const Wave& wave, std::int64_t offset) {
  return wave.flat_scratch + static_cast<std::uint64_t>(offset >> 2) * 4 * wave.lanes;
}

// A lane's place in the wave's scratch: dwords of all lanes are interleaved.
inline Location scratch_location(const Wave& wave, unsigned lane, std::int64_t offset) {
  Location at;
  at.address = scratch_row(wave, offset) + lane * 4;
  at.stride = wave.lanes * 4;
  at.low = offset & 3;
  return at;
}

// The same for all lanes at one offset.
inline bool direct_scratch(Wave& wave, std::int64_t offset, unsigned size, memory::Access access,
                           Direct& to) {
  return (offset | size) % 4 == 0 && direct_interleaved(wave, scratch_row(wave, offset), size, access, to);
}

} // namespace emu::isa
