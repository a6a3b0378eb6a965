// The unified buffer formats of gfx10 (BUF_FMT_*): how texels in memory become register values and back.
#pragma once

#include <array>
#include <cstdint>

namespace emu::isa {

enum class NumberType : std::uint8_t { unorm, snorm, uscaled, sscaled, uint, sint, float_ };

struct BufferFormat {
  const char* name; // nullptr: the number means no format
  std::uint8_t
      bits[4]; // of x, y, z, w from the least significant bit on; 0 where the format lacks a component
  NumberType type;

  unsigned components() const { return bits[3] ? 4 : bits[2] ? 3 : bits[1] ? 2 : 1; }
  unsigned bytes() const { return (bits[0] + bits[1] + bits[2] + bits[3]) / 8u; }
  bool is_integer() const { return type == NumberType::uint || type == NumberType::sint; }
};

inline constexpr unsigned buffer_format_count = 128;

// Any number below buffer_format_count; `name` is null for those that are no format.
const BufferFormat& buffer_format(unsigned id);

// A texel as four register values: binary32, or integers for UINT and SINT. Missing y and z are 0, missing w
// is 1.
std::array<std::uint32_t, 4> unpack_texel(const BufferFormat& format, const void* texel);

// The other way round: writes format.bytes() bytes.
void pack_texel(const BufferFormat& format, const std::array<std::uint32_t, 4>& values, void* texel);

std::uint16_t half_from_single(std::uint32_t bits);
std::uint32_t single_from_half(std::uint16_t bits);

} // namespace emu::isa
