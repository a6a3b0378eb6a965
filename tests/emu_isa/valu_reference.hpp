// What vector instructions have to give, computed another way than the interpreter does: numbers are exact,
// or rounded to odd, in binary128 and are rounded by integer arithmetic.
#pragma once

#include <bit>
#include <cstdint>

#include "wave.hpp"

namespace emu::isa::test {

using Quad = __float128;

struct FloatFormat {
  unsigned bits, mantissa, bias;

  std::uint64_t sign() const { return std::uint64_t{1} << (bits - 1); }
  std::uint64_t infinity() const { return ((std::uint64_t{1} << (bits - 1 - mantissa)) - 1) << mantissa; }
  std::uint64_t quiet() const { return std::uint64_t{1} << (mantissa - 1); }
  std::uint64_t nan() const { return infinity() | quiet(); }
  std::uint64_t magnitude(std::uint64_t v) const { return v & (sign() - 1); }
  bool is_nan(std::uint64_t v) const { return magnitude(v) > infinity(); }
  bool is_infinite(std::uint64_t v) const { return magnitude(v) == infinity(); }
  bool is_zero(std::uint64_t v) const { return magnitude(v) == 0; }
  bool is_signaling(std::uint64_t v) const { return is_nan(v) && !(v & quiet()); }
  bool is_negative(std::uint64_t v) const { return v & sign(); }
  bool is_denormal(std::uint64_t v) const { return magnitude(v) != 0 && !(v & infinity()); }
  std::uint64_t flushed(std::uint64_t v) const { return is_denormal(v) ? v & sign() : v; }

  // A finite number's value.
  Quad value(std::uint64_t v) const {
    const auto exponent = static_cast<int>(magnitude(v) >> mantissa);
    const std::uint64_t fraction = v & ((std::uint64_t{1} << mantissa) - 1);
    Quad result = static_cast<Quad>(exponent ? fraction | std::uint64_t{1} << mantissa : fraction);
    result = scaled(result, (exponent ? exponent : 1) - static_cast<int>(bias) - static_cast<int>(mantissa));
    return is_negative(v) ? -result : result;
  }

  static Quad scaled(Quad value, int exponent) {
    const Quad factor = exponent < 0 ? static_cast<Quad>(0.5) : static_cast<Quad>(2.0);
    for (int i = exponent < 0 ? -exponent : exponent; i > 0; --i)
      value *= factor;
    return value;
  }

  // Rounded as MODE says: 0 nearest even, 1 up, 2 down, 3 to zero. `negative_zero` is the sign of a result of
  // zero.
  std::uint64_t round(Quad number, unsigned rounding, bool negative_zero = false) const {
    const auto all = std::bit_cast<unsigned __int128>(number);
    const bool negative = all >> 127 != 0;
    if (number == 0)
      return negative_zero ? sign() : 0;
    const int exponent = static_cast<int>(all >> 112 & 0x7fff) - 16383;
    const unsigned __int128 one = 1;
    const unsigned __int128 significand = (all & ((one << 112) - 1)) | one << 112;
    const int least = 1 - static_cast<int>(bias);
    const int shift = 112 - static_cast<int>(mantissa) + (exponent < least ? least - exponent : 0);
    const std::uint64_t sign_bit = negative ? sign() : 0;
    const bool away = (rounding == 1 && !negative) || (rounding == 2 && negative);
    if (shift > 120)
      return sign_bit | (away ? 1 : 0);
    auto whole = static_cast<std::uint64_t>(significand >> shift);
    const unsigned __int128 rest = significand & ((one << shift) - 1), tie = one << (shift - 1);
    if (rounding == 0 ? rest > tie || (rest == tie && (whole & 1)) : away && rest != 0)
      ++whole;
    std::uint64_t result = whole;
    if (exponent > least)
      result += static_cast<std::uint64_t>(exponent - least) << mantissa;
    if (exponent > static_cast<int>(bias) || result >= infinity())
      return sign_bit | (rounding == 0 || away ? infinity() : infinity() - 1);
    return sign_bit | result;
  }
};

inline constexpr FloatFormat half_format{16, 10, 15};
inline constexpr FloatFormat single_format{32, 23, 127};
inline constexpr FloatFormat double_format{64, 52, 1023};

// A sum that is inexact ends in a one.
inline Quad odd_quad_sum(Quad a, Quad b) {
  const Quad sum = a + b;
  const Quad b_part = sum - a;
  const Quad error = (a - (sum - b_part)) + (b - b_part);
  auto bits = std::bit_cast<unsigned __int128>(sum);
  if (error == 0 || (bits & 1))
    return sum;
  return std::bit_cast<Quad>((error > 0) == (sum > 0) ? bits | 1 : bits - 1);
}

// The float environment of one format, out of MODE.
struct FloatMode {
  FloatFormat format;
  unsigned rounding;
  bool flush_in, flush_out, ieee, dx10_clamp;

  FloatMode(const FloatFormat& f, std::uint32_t mode)
      : format(f), rounding(f.bits == 32 ? mode & 3 : mode >> 2 & 3),
        flush_in(!(mode >> (f.bits == 32 ? 4 : 6) & 1)), flush_out(!(mode >> (f.bits == 32 ? 5 : 7) & 1)),
        ieee(mode >> 9 & 1), dx10_clamp(mode >> 8 & 1) {}

  std::uint64_t in(std::uint64_t v) const { return flush_in ? format.flushed(v) : v; }

  // a * b + c; a NaN is whatever NaN.
  std::uint64_t fma(std::uint64_t a, std::uint64_t b, std::uint64_t c) const {
    const bool product_negative = format.is_negative(a) != format.is_negative(b);
    if (format.is_nan(a) || format.is_nan(b) || format.is_nan(c))
      return format.nan();
    if (format.is_infinite(a) || format.is_infinite(b)) {
      if (format.is_zero(a) || format.is_zero(b) ||
          (format.is_infinite(c) && format.is_negative(c) != product_negative))
        return format.nan();
      return format.infinity() | (product_negative ? format.sign() : 0);
    }
    if (format.is_infinite(c))
      return c;
    const Quad product = format.value(a) * format.value(b);
    const bool product_zero = format.is_zero(a) || format.is_zero(b);
    const bool both_zero = product_zero && format.is_zero(c);
    const bool negative_zero =
        both_zero && product_negative == format.is_negative(c) ? product_negative : rounding == 2;
    return format.round(odd_quad_sum(product, format.value(c)), rounding, negative_zero);
  }
  std::uint64_t add(std::uint64_t a, std::uint64_t b) const { return fma(a, format.round(1, 0), b); }
  std::uint64_t mul(std::uint64_t a, std::uint64_t b) const {
    const bool negative = format.is_negative(a) != format.is_negative(b);
    return fma(a, b, negative ? format.sign() : 0);
  }

  // omod, clamp, output denormals.
  std::uint64_t out(std::uint64_t v, unsigned omod = 0, bool clamp = false) const {
    static constexpr int exponents[] = {0, 1, 2, -1};
    if (omod && !ieee && flush_out && !format.is_nan(v)) {
      if (!format.is_infinite(v))
        v = format.round(FloatFormat::scaled(format.value(v), exponents[omod]), rounding,
                         format.is_negative(v));
      v = format.is_zero(format.flushed(v)) ? 0 : v;
    }
    if (clamp) {
      const std::uint64_t one = format.round(1, 0);
      if (format.is_nan(v))
        v = dx10_clamp ? 0 : v;
      else if (format.is_negative(v))
        v = 0;
      else if (v > one)
        v = one;
    }
    return flush_out ? format.flushed(v) : v;
  }
};

} // namespace emu::isa::test
