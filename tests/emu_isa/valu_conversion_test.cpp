// Conversions between number formats.
#include <algorithm>
#include <cmath>

#include "valu_fixture.hpp"

namespace emu::isa {
namespace {

using namespace test;
using Conversion = Valu;

using i32 = std::int32_t;
using i64 = std::int64_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

// The integer that a float is cut to, saturated; a NaN is 0.
u64 cut(const FloatFormat& format, u64 v, double least, double most) {
  if (format.is_nan(v))
    return 0;
  const double limit = format.is_negative(v) ? least : most;
  if (format.is_infinite(v))
    return static_cast<u64>(static_cast<i64>(limit));
  const Quad value = format.value(v);
  if (value < static_cast<Quad>(least) || value > static_cast<Quad>(most))
    return static_cast<u64>(static_cast<i64>(limit));
  return static_cast<u64>(static_cast<i64>(value));
}
constexpr double i32_least = -0x1p31, i32_most = 0x1p31 - 1, u32_most = 0x1p32 - 1;

// A float in another format.
u64 converted(const FloatFormat& from, const FloatFormat& to, u64 v, unsigned rounding) {
  const bool negative = from.is_negative(v);
  if (from.is_nan(v))
    return to.nan();
  if (from.is_infinite(v))
    return (negative ? to.sign() : 0) | to.infinity();
  return to.round(from.value(v), rounding, negative);
}

TEST_F(Conversion, floats_are_cut_and_saturate_as_integers) {
  check("v_cvt_i32_f32 v10, v2", Values::f32,
        [](Lane& l) { l.set(10, cut(single_format, l.f32().in(l.v(2)), i32_least, i32_most)); });
  check("v_cvt_u32_f32 v10, v2", Values::f32,
        [](Lane& l) { l.set(10, cut(single_format, l.f32().in(l.v(2)), 0, u32_most)); });
  check("v_cvt_i32_f32_e64 v10, -|v2|", Values::f32,
        [](Lane& l) { l.set(10, cut(single_format, l.f32().in(l.v(2) | 0x80000000), i32_least, i32_most)); });
  check("v_cvt_i32_f64 v10, v[2:3]", Values::f64,
        [](Lane& l) { l.set(10, cut(double_format, l.v64(2), i32_least, i32_most)); });
  check("v_cvt_u32_f64 v10, v[2:3]", Values::f64,
        [](Lane& l) { l.set(10, cut(double_format, l.v64(2), 0, u32_most)); });
  check("v_cvt_u16_f16 v10, v2", Values::f16,
        [](Lane& l) { l.set_low(10, cut(half_format, l.low(2), 0, 65535)); });
  check("v_cvt_i16_f16 v10, v2", Values::f16,
        [](Lane& l) { l.set_low(10, cut(half_format, l.low(2), -32768, 32767)); });
}

TEST_F(Conversion, floors_and_nearest_integers) {
  const auto saturated = [](double v) {
    return static_cast<u32>(static_cast<i64>(std::clamp(v, i32_least, i32_most)));
  };
  const auto number = [](Lane& l) {
    return static_cast<double>(std::bit_cast<float>(static_cast<u32>(l.f32().in(l.v(2)))));
  };
  check("v_cvt_flr_i32_f32 v10, v2", Values::f32,
        [&](Lane& l) { l.set(10, std::isnan(number(l)) ? 0 : saturated(std::floor(number(l)))); });
  check("v_cvt_rpi_i32_f32 v10, v2", Values::f32,
        [&](Lane& l) { l.set(10, std::isnan(number(l)) ? 0 : saturated(std::floor(number(l) + 0.5))); });
}

TEST_F(Conversion, integers_become_rounded_floats) {
  const auto single = [](Lane& l, Quad v) { return single_format.round(v, l.f32().rounding); };
  check("v_cvt_f32_i32 v10, v2", Values::b32,
        [&](Lane& l) { l.set(10, single(l, static_cast<i32>(l.v(2)))); });
  check("v_cvt_f32_u32 v10, v2", Values::b32, [&](Lane& l) { l.set(10, single(l, l.v(2))); });
  for (unsigned byte = 0; byte < 4; ++byte)
    check("v_cvt_f32_ubyte" + std::to_string(byte) + " v10, v2", Values::b32,
          [&](Lane& l) { l.set(10, single(l, l.v(2) >> 8 * byte & 0xff)); });
  check("v_cvt_off_f32_i4 v10, v2", Values::b32, [&](Lane& l) {
    const int v = static_cast<int>(l.v(2) & 15);
    l.set(10, single(l, static_cast<Quad>((v < 8 ? v : v - 16) / 16.0)));
  });
  check("v_cvt_f64_i32 v[10:11], v2", Values::b32,
        [](Lane& l) { l.set64(10, double_format.round(static_cast<i32>(l.v(2)), 0)); });
  check("v_cvt_f64_u32 v[10:11], v2", Values::b32,
        [](Lane& l) { l.set64(10, double_format.round(l.v(2), 0)); });
  check("v_cvt_f16_u16 v10, v2", Values::b32,
        [](Lane& l) { l.set_low(10, half_format.round(l.low(2), l.f16().rounding)); });
  check("v_cvt_f16_i16 v10, v2", Values::b32, [](Lane& l) {
    l.set_low(10, half_format.round(static_cast<std::int16_t>(l.low(2)), l.f16().rounding));
  });
}

TEST_F(Conversion, floats_change_their_width) {
  check("v_cvt_f64_f32 v[10:11], v2", Values::f32, [](Lane& l) {
    const std::uint64_t a = l.f32().in(l.v(2));
    const std::uint64_t payload = single_format.is_nan(a) ? (a & 0x3fffff) << 29 : 0;
    l.set64(10, l.f64().out(converted(single_format, double_format, a, 0) | payload));
  });
  check("v_cvt_f32_f64 v10, v[2:3]", Values::f64, [](Lane& l) {
    l.set(10, l.f32().out(converted(double_format, single_format, l.f64().in(l.v64(2)), l.f32().rounding)));
  });
  check(
      "v_cvt_f32_f16 v10, v2", Values::f16,
      [](Lane& l) { l.set(10, l.f32().out(converted(half_format, single_format, l.f16().in(l.low(2)), 0))); },
      Options{.nan = NanWidth::single});
  check(
      "v_cvt_f16_f32 v10, v2", Values::f32,
      [](Lane& l) {
        l.set_low(10,
                  l.f16().out(converted(single_format, half_format, l.f32().in(l.v(2)), l.f16().rounding)));
      },
      Options{.rounds = 400, .nan = NanWidth::half});
  check(
      "v_cvt_pkrtz_f16_f32 v10, v2, v4", Values::f32,
      [](Lane& l) {
        const u64 low = l.f16().out(converted(single_format, half_format, l.f32().in(l.v(2)), 3));
        l.set(10, low | l.f16().out(converted(single_format, half_format, l.f32().in(l.v(4)), 3)) << 16);
      },
      Options{.nan = NanWidth::half});
}

// To a whole number, in one of the hardware's rounding modes.
double whole(double value, unsigned rounding) {
  return rounding == 0   ? std::nearbyint(value)
         : rounding == 1 ? std::ceil(value)
         : rounding == 2 ? std::floor(value)
                         : std::trunc(value);
}

u32 norm(const FloatFormat& format, u64 v, int least, int most, unsigned rounding = 0) {
  if (format.is_nan(v))
    return 0;
  const double value =
      format.is_infinite(v) ? (format.is_negative(v) ? -2.0 : 2.0) : static_cast<double>(format.value(v));
  return static_cast<u32>(
             static_cast<i32>(whole(std::clamp(value, static_cast<double>(least), 1.0) * most, rounding))) &
         0xffff;
}

// Alone, they are rounded as MODE says; packed, to nearest.
TEST_F(Conversion, normalised_integers) {
  struct Case {
    const char* sign;
    int least, most;
  };
  for (const Case& c : {Case{"i", -1, 32767}, Case{"u", 0, 65535}}) {
    const std::string type = std::string(c.sign) + "16_";
    check("v_cvt_norm_" + type + "f16 v10, v2", Values::f16, [&](Lane& l) {
      l.set_low(10, norm(half_format, l.f16().in(l.low(2)), c.least, c.most, l.f16().rounding));
    });
    check(
        "v_cvt_pknorm_" + type + "f16 v10, v2, v4 op_sel:[1,0,0]", Values::f16,
        [&](Lane& l) {
          l.set(10, norm(half_format, l.f16().in(l.high(2)), c.least, c.most) |
                        norm(half_format, l.f16().in(l.low(4)), c.least, c.most) << 16);
        },
        Options{.nan = NanWidth::none});
    check(
        "v_cvt_pknorm_" + type + "f32 v10, v2, v4", Values::f32,
        [&](Lane& l) {
          l.set(10, norm(single_format, l.f32().in(l.v(2)), c.least, c.most) |
                        norm(single_format, l.f32().in(l.v(4)), c.least, c.most) << 16);
        },
        Options{.nan = NanWidth::none});
  }
}

TEST_F(Conversion, values_are_packed_into_smaller_ones) {
  check("v_pack_b32_f16 v10, v2, v4 op_sel:[0,1,0]", Values::f16,
        [](Lane& l) { l.set(10, l.f16().in(l.low(2)) | l.f16().in(l.high(4)) << 16); });
  check("v_cvt_pk_u16_u32 v10, v2, v4", Values::b32,
        [](Lane& l) { l.set(10, std::min(l.v(2), 0xffffu) | std::min(l.v(4), 0xffffu) << 16); });
  check("v_cvt_pk_i16_i32 v10, v2, v4", Values::b32, [](Lane& l) {
    const auto half = [](u32 v) {
      return static_cast<u32>(std::clamp(static_cast<i32>(v), -32768, 32767)) & 0xffff;
    };
    l.set(10, half(l.v(2)) | half(l.v(4)) << 16);
  });
  check("v_sat_pk_u8_i16 v10, v2", Values::b32, [](Lane& l) {
    const auto byte = [](u32 v) {
      return static_cast<u32>(std::clamp<int>(static_cast<std::int16_t>(v), 0, 255));
    };
    l.set(10, byte(l.low(2)) | byte(l.high(2)) << 8);
  });
  check(
      "v_cvt_pk_u8_f32 v10, v2, v4, v6", Values::f32,
      [](Lane& l) {
        const u32 shift = 8 * (l.v(4) & 3);
        const u64 v = l.f32().in(l.v(2));
        const double value = single_format.is_nan(v) || single_format.is_negative(v) ? 0
                             : single_format.is_infinite(v)                          ? 255
                                                            : static_cast<double>(single_format.value(v));
        const auto byte = static_cast<u32>(whole(std::min(value, 255.0), l.f32().rounding));
        l.set(10, (l.v(6) & ~(0xffu << shift)) | byte << shift);
      },
      Options{.nan = NanWidth::none});
}

} // namespace
} // namespace emu::isa
