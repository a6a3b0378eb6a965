#include "buffer_format.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace emu::isa {

namespace {

struct Entry {
  unsigned id;
  BufferFormat format;
};

constexpr Entry entries[] = {
#include "buffer_formats.inc"
};

constexpr auto table = [] {
  std::array<BufferFormat, buffer_format_count> result{};
  for (const Entry& entry : entries)
    result[entry.id] = entry.format;
  return result;
}();

// Unsigned floats of 10 and 11 bits: five exponent bits, the rest mantissa.
float small_float(std::uint32_t bits, unsigned width) {
  const unsigned mantissa_bits = width - 5;
  const std::uint32_t half = bits << (10 - mantissa_bits);
  return std::bit_cast<float>(single_from_half(static_cast<std::uint16_t>(half)));
}

std::uint32_t to_small_float(float value, unsigned width) {
  if (std::isnan(value))
    return (1u << width) - 1;
  if (!(value > 0))
    return 0;
  // Truncation of a half is truncation of the value only where the half itself was not rounded up.
  std::uint16_t half = half_from_single(std::bit_cast<std::uint32_t>(value));
  if (std::isfinite(value) && std::bit_cast<float>(single_from_half(half)) > value)
    --half;
  return half >> (10 - (width - 5));
}

std::uint32_t float_bits(float value) {
  return std::bit_cast<std::uint32_t>(value);
}

std::int32_t sign_extend(std::uint32_t value, unsigned width) {
  return static_cast<std::int32_t>(value << (32 - width)) >> (32 - width);
}

std::uint32_t decode_component(NumberType type, unsigned width, std::uint32_t raw) {
  switch (type) {
  case NumberType::unorm:
    return float_bits(static_cast<float>(raw / (std::exp2(width) - 1)));
  case NumberType::snorm:
    return float_bits(
        static_cast<float>(std::max(sign_extend(raw, width) / (std::exp2(width - 1) - 1), -1.0)));
  case NumberType::uscaled:
    return float_bits(static_cast<float>(raw));
  case NumberType::sscaled:
    return float_bits(static_cast<float>(sign_extend(raw, width)));
  case NumberType::uint:
    return raw;
  case NumberType::sint:
    return static_cast<std::uint32_t>(sign_extend(raw, width));
  case NumberType::float_:
    if (width == 16)
      return single_from_half(static_cast<std::uint16_t>(raw));
    return width == 32 ? raw : float_bits(small_float(raw, width));
  }
  return 0;
}

double clamped(float value, double low, double high) {
  return std::isnan(value) ? 0 : std::clamp(static_cast<double>(value), low, high);
}

std::uint32_t encode_component(NumberType type, unsigned width, std::uint32_t bits) {
  const float value = std::bit_cast<float>(bits);
  const double unsigned_max = std::exp2(width) - 1, signed_max = std::exp2(width - 1) - 1;
  switch (type) {
  case NumberType::unorm:
    return static_cast<std::uint32_t>(std::nearbyint(clamped(value, 0, 1) * unsigned_max));
  case NumberType::snorm:
    return static_cast<std::uint32_t>(
        static_cast<std::int32_t>(std::nearbyint(clamped(value, -1, 1) * signed_max)));
  case NumberType::uscaled:
    return static_cast<std::uint32_t>(clamped(value, 0, unsigned_max));
  case NumberType::sscaled:
    return static_cast<std::uint32_t>(static_cast<std::int32_t>(clamped(value, -signed_max - 1, signed_max)));
  case NumberType::uint:
    return std::min(bits, static_cast<std::uint32_t>(unsigned_max));
  case NumberType::sint:
    return static_cast<std::uint32_t>(std::clamp(static_cast<std::int32_t>(bits),
                                                 static_cast<std::int32_t>(-signed_max - 1),
                                                 static_cast<std::int32_t>(signed_max)));
  case NumberType::float_:
    if (width == 16)
      return half_from_single(bits);
    return width == 32 ? bits : to_small_float(value, width);
  }
  return 0;
}

std::uint32_t mask_of(unsigned width) {
  return width >= 32 ? ~0u : (1u << width) - 1;
}

// Components begin at multiples of their width, or share one dword.
std::uint32_t extract(const std::uint32_t* words, unsigned at, unsigned width) {
  return words[at / 32] >> at % 32 & mask_of(width);
}

} // namespace

const BufferFormat& buffer_format(unsigned id) {
  return table[id];
}

std::array<std::uint32_t, 4> unpack_texel(const BufferFormat& format, const void* texel) {
  std::uint32_t words[4] = {};
  std::memcpy(words, texel, format.bytes());
  std::array<std::uint32_t, 4> result = {0, 0, 0, format.is_integer() ? 1 : float_bits(1.0f)};
  unsigned at = 0;
  for (unsigned i = 0; i < 4 && format.bits[i]; ++i) {
    result[i] = decode_component(format.type, format.bits[i], extract(words, at, format.bits[i]));
    at += format.bits[i];
  }
  return result;
}

void pack_texel(const BufferFormat& format, const std::array<std::uint32_t, 4>& values, void* texel) {
  std::uint32_t words[4] = {};
  unsigned at = 0;
  for (unsigned i = 0; i < 4 && format.bits[i]; ++i) {
    const std::uint32_t raw =
        encode_component(format.type, format.bits[i], values[i]) & mask_of(format.bits[i]);
    words[at / 32] |= raw << at % 32;
    at += format.bits[i];
  }
  std::memcpy(texel, words, format.bytes());
}

std::uint16_t half_from_single(std::uint32_t bits) {
  return std::bit_cast<std::uint16_t>(static_cast<_Float16>(std::bit_cast<float>(bits)));
}

std::uint32_t single_from_half(std::uint16_t bits) {
  return float_bits(static_cast<float>(std::bit_cast<_Float16>(bits)));
}

} // namespace emu::isa
