// f32 arithmetic in every MODE: rounding, denormals, omod, clamp, ieee.
#include <cmath>

#include "valu_fixture.hpp"

namespace emu::isa {
namespace {

using namespace test;
using F32 = Valu;

constexpr std::uint32_t sign = 0x80000000;

std::uint64_t add(Lane& l, std::uint32_t a, std::uint32_t b) {
  return l.f32().out(l.f32().add(l.f32().in(a), l.f32().in(b)));
}
std::uint64_t mul(Lane& l, std::uint32_t a, std::uint32_t b) {
  return l.f32().out(l.f32().mul(l.f32().in(a), l.f32().in(b)));
}
std::uint64_t fma(Lane& l, std::uint32_t a, std::uint32_t b, std::uint32_t c, unsigned omod = 0,
                  bool clamp = false) {
  return l.f32().out(l.f32().fma(l.f32().in(a), l.f32().in(b), l.f32().in(c)), omod, clamp);
}

float as_float(std::uint32_t v) {
  return std::bit_cast<float>(v);
}
std::uint32_t as_bits(float v) {
  return std::bit_cast<std::uint32_t>(v);
}

TEST_F(F32, sums_and_products_are_rounded_by_mode) {
  check("v_add_f32 v10, v2, v4", Values::f32, [](Lane& l) { l.set(10, add(l, l.v(2), l.v(4))); });
  check("v_sub_f32 v10, v2, v4", Values::f32, [](Lane& l) { l.set(10, add(l, l.v(2), l.v(4) ^ sign)); });
  check("v_subrev_f32 v10, v2, v4", Values::f32, [](Lane& l) { l.set(10, add(l, l.v(2) ^ sign, l.v(4))); });
  check("v_mul_f32 v10, v2, v4", Values::f32, [](Lane& l) { l.set(10, mul(l, l.v(2), l.v(4))); });
  check("v_mul_f32 v10, s2, v10", Values::f32, [](Lane& l) { l.set(10, mul(l, l.s(2), l.v(10))); });
  check("v_add_f32 v2, 1.0, v2", Values::f32, [](Lane& l) { l.set(2, add(l, 0x3f800000, l.v(2))); });
  check("v_mul_f32 v10, 0x3fc90fdb, v4", Values::f32, [](Lane& l) { l.set(10, mul(l, 0x3fc90fdb, l.v(4))); });
}

TEST_F(F32, fused_multiply_adds_round_once) {
  check("v_fma_f32 v10, v2, v4, v6", Values::f32, [](Lane& l) { l.set(10, fma(l, l.v(2), l.v(4), l.v(6))); });
  check("v_fma_f32 v10, -v2, |v4|, -|v6|", Values::f32,
        [](Lane& l) { l.set(10, fma(l, l.v(2) ^ sign, l.v(4) & ~sign, l.v(6) | sign)); });
  check("v_fmac_f32 v10, v2, v4", Values::f32, [](Lane& l) { l.set(10, fma(l, l.v(2), l.v(4), l.v(10))); });
  check("v_fmac_f32_e64 v10, -v2, |v4|", Values::f32,
        [](Lane& l) { l.set(10, fma(l, l.v(2) ^ sign, l.v(4) & ~sign, l.v(10))); });
  check("v_fmamk_f32 v10, v2, 0x40490fdb, v4", Values::f32,
        [](Lane& l) { l.set(10, fma(l, l.v(2), 0x40490fdb, l.v(4))); });
  check("v_fmaak_f32 v10, v2, v4, 0xc0490fdb", Values::f32,
        [](Lane& l) { l.set(10, fma(l, l.v(2), l.v(4), 0xc0490fdb)); });
}

TEST_F(F32, output_modifiers_scale_then_clamp) {
  check("v_fma_f32 v10, v2, v4, v6 mul:2", Values::f32,
        [](Lane& l) { l.set(10, fma(l, l.v(2), l.v(4), l.v(6), 1)); });
  check("v_fma_f32 v10, v2, v4, v6 mul:4", Values::f32,
        [](Lane& l) { l.set(10, fma(l, l.v(2), l.v(4), l.v(6), 2)); });
  check("v_fma_f32 v10, v2, v4, v6 clamp div:2", Values::f32,
        [](Lane& l) { l.set(10, fma(l, l.v(2), l.v(4), l.v(6), 3, true)); });
  check("v_add_f32_e64 v10, v2, v4 clamp", Values::f32, [](Lane& l) {
    l.set(10, l.f32().out(l.f32().add(l.f32().in(l.v(2)), l.f32().in(l.v(4))), 0, true));
  });
}

TEST_F(F32, legacy_products_with_zero_are_zero) {
  const auto legacy = [](Lane& l, std::uint32_t c) -> std::uint64_t {
    const std::uint64_t a = l.f32().in(l.v(2)), b = l.f32().in(l.v(4)), addend = l.f32().in(c);
    if (single_format.is_zero(a) || single_format.is_zero(b))
      return l.f32().out(l.f32().add(0, addend));
    return l.f32().out(l.f32().fma(a, b, addend));
  };
  check("v_fma_legacy_f32 v10, v2, v4, v6", Values::f32, [&](Lane& l) { l.set(10, legacy(l, l.v(6))); });
  check("v_fmac_legacy_f32 v10, v2, v4", Values::f32, [&](Lane& l) { l.set(10, legacy(l, l.v(10))); });
  check("v_mul_legacy_f32 v10, v2, v4", Values::f32, [](Lane& l) {
    const std::uint64_t a = l.f32().in(l.v(2)), b = l.f32().in(l.v(4));
    const bool zero = single_format.is_zero(a) || single_format.is_zero(b);
    l.set(10, zero ? 0 : l.f32().out(l.f32().mul(a, b)));
  });
  // Lighting: the least number where the exponent is of no use or the third source is not positive.
  check("v_mullit_f32 v10, v2, v4, v6", Values::f32, [](Lane& l) {
    constexpr std::uint32_t lowest = 0xff7fffff;
    const std::uint64_t a = l.f32().in(l.v(2)), b = l.f32().in(l.v(4)), c = l.f32().in(l.v(6));
    const bool useless = b == lowest || b == 0xff800000 || single_format.is_nan(b);
    const bool positive =
        !single_format.is_nan(c) && !single_format.is_negative(c) && !single_format.is_zero(c);
    const bool zero = single_format.is_zero(a) || single_format.is_zero(b);
    l.set(10, useless || !positive ? lowest : zero ? 0 : l.f32().out(l.f32().mul(a, b)));
  });
}

// A number wins against a NaN; with ieee a signalling NaN wins.
std::uint64_t extremum(Lane& l, std::uint64_t a, std::uint64_t b, bool least) {
  const FloatFormat& f = single_format;
  if (l.f32().ieee && (f.is_signaling(a) || f.is_signaling(b)))
    return f.nan();
  if (f.is_nan(a) || f.is_nan(b))
    return f.is_nan(a) ? b : a;
  const auto order = [&](std::uint64_t v) {
    return f.is_negative(v) ? -static_cast<std::int64_t>(f.magnitude(v)) - 1 : static_cast<std::int64_t>(v);
  };
  return (order(a) < order(b)) == least ? a : b;
}

TEST_F(F32, extrema_order_zeros_and_prefer_numbers) {
  for (const bool least : {true, false}) {
    const std::string name = least ? "min" : "max";
    check("v_" + name + "_f32 v10, v2, v4", Values::f32, [&](Lane& l) {
      l.set(10, l.f32().out(extremum(l, l.f32().in(l.v(2)), l.f32().in(l.v(4)), least)));
    });
    check("v_" + name + "3_f32 v10, v2, -v4, v6", Values::f32, [&](Lane& l) {
      const std::uint64_t first = extremum(l, l.f32().in(l.v(2)), l.f32().in(l.v(4) ^ sign), least);
      l.set(10, l.f32().out(extremum(l, first, l.f32().in(l.v(6)), least)));
    });
  }
}

TEST_F(F32, the_median_of_numbers_is_the_middle_one) {
  Options options;
  options.prepare = [this](Wave& wave) {
    for (unsigned reg : {2u, 4u, 6u})
      for (std::uint32_t& lane : wave.vgpr[reg])
        lane = as_bits(static_cast<float>(static_cast<int>(random32() % 20) - 10));
  };
  check(
      "v_med3_f32 v10, v2, v4, v6", Values::f32,
      [](Lane& l) {
        float v[] = {as_float(l.v(2)), as_float(l.v(4)), as_float(l.v(6))};
        std::sort(v, v + 3);
        l.set(10, as_bits(v[1]));
      },
      options);
}

TEST_F(F32, rounding_to_whole_numbers) {
  const auto test = [&](const char* text, float (*f)(float)) {
    check(text, Values::f32, [&](Lane& l) {
      const std::uint64_t a = l.f32().in(l.v(2));
      l.set(10,
            l.f32().out(single_format.is_nan(a) ? a : as_bits(f(as_float(static_cast<std::uint32_t>(a))))));
    });
  };
  test("v_trunc_f32 v10, v2", [](float v) {
    return std::fabs(v) < 0x1p24f ? std::copysign(static_cast<float>(static_cast<int>(v)), v) : v;
  });
  test("v_floor_f32 v10, v2", [](float v) { return std::floor(v); });
  test("v_ceil_f32 v10, v2", [](float v) { return std::ceil(v); });
  test("v_rndne_f32 v10, v2", [](float v) { return std::nearbyint(v); });
}

TEST_F(F32, fractions_stay_below_one) {
  Options nearest;
  nearest.mode_mask = ~3u;
  check(
      "v_fract_f32 v10, v2", Values::f32,
      [](Lane& l) {
        const float a = as_float(static_cast<std::uint32_t>(l.f32().in(l.v(2))));
        if (!std::isfinite(a)) {
          l.set(10, single_format.nan());
          return;
        }
        const double exact = static_cast<double>(a) - std::floor(static_cast<double>(a));
        l.set(10, l.f32().out(as_bits(std::fmin(static_cast<float>(exact), 0x1.fffffep-1f))));
      },
      nearest);
}

TEST_F(F32, scaling_by_powers_of_two_rounds_once) {
  Options options;
  options.prepare = [this](Wave& wave) {
    for (std::uint32_t& lane : wave.vgpr[4])
      lane = random32() % 8 ? random32() % 320 - 160 : random32();
  };
  check(
      "v_ldexp_f32 v10, v2, v4", Values::f32,
      [](Lane& l) {
        const std::uint64_t a = l.f32().in(l.v(2));
        const auto exponent = static_cast<std::int32_t>(l.v(4));
        std::uint64_t result = a;
        if (!single_format.is_nan(a) && !single_format.is_infinite(a) && !single_format.is_zero(a))
          result = single_format.round(
              FloatFormat::scaled(single_format.value(a), std::clamp(exponent, -2000, 2000)),
              l.f32().rounding);
        l.set(10, l.f32().out(result));
      },
      options);
}

TEST_F(F32, exponent_and_mantissa_multiply_to_the_number) {
  check("v_frexp_exp_i32_f32 v10, v2", Values::f32, [](Lane& l) {
    const float a = as_float(static_cast<std::uint32_t>(l.f32().in(l.v(2))));
    l.set(10, std::isfinite(a) && a != 0 ? static_cast<std::uint32_t>(std::ilogb(a) + 1) : 0);
  });
  check("v_frexp_mant_f32 v10, v2", Values::f32, [](Lane& l) {
    const float a = as_float(static_cast<std::uint32_t>(l.f32().in(l.v(2))));
    l.set(10, std::isfinite(a) && a != 0 ? as_bits(std::ldexp(a, -std::ilogb(a) - 1)) : as_bits(a));
  });
}

// The transcendental operations are good to one ulp and know no denormals.
class Transcendental : public Valu {
protected:
  void check_function(const std::string& name, double (*exact)(double), double absolute = 0) {
    const Instruction in = decoded("v_" + name + "_f32 v10, v2");
    for (const Target& target : targets_) {
      const Instruction mine = retargeted(in, *target.tables);
      for (unsigned round = 0; round < 400 && !HasFailure(); ++round) {
        randomise(*before_, Values::f32, {});
        *after_ = *before_;
        mine.handler(*after_, mine);
        for (unsigned i = 0; i < before_->lanes; ++i)
          if (before_->exec() >> i & 1)
            check_lane(name, before_->vgpr[2][i], after_->vgpr[10][i], exact, absolute);
      }
    }
  }

  static void check_lane(const std::string& name, std::uint32_t source, std::uint32_t is,
                         double (*exact)(double), double absolute) {
    const float argument = as_float(static_cast<std::uint32_t>(single_format.flushed(source)));
    if (absolute != 0 && std::fabs(argument) > 256)
      return;
    const double should = exact(argument);
    const float result = as_float(is);
    if (std::isnan(should)) {
      EXPECT_TRUE(std::isnan(result)) << name << "(" << argument << ") is " << result;
    } else if (std::fabs(should) < 0x1p-126) {
      EXPECT_LE(std::fabs(result), 0x1p-126) << name << "(" << argument << ")";
      EXPECT_FALSE(single_format.is_denormal(is));
    } else if (std::fabs(should) > 0x1.fffffep127 || std::isinf(result)) {
      EXPECT_GE(std::fabs(should), 0x1.fffffep127) << name << "(" << argument << ") is " << result;
      EXPECT_EQ(std::signbit(should), std::signbit(result));
    } else {
      const double ulp = std::ldexp(1.0, std::ilogb(should) - 23);
      EXPECT_LE(std::fabs(result - should), ulp + absolute) << name << "(" << argument << ") is " << result;
    }
  }
};

TEST_F(Transcendental, results_are_within_one_ulp) {
  check_function("rcp", [](double a) { return 1 / a; });
  check_function("rcp_iflag", [](double a) { return 1 / a; });
  check_function("rsq", [](double a) { return 1 / std::sqrt(a); });
  check_function("sqrt", [](double a) { return std::sqrt(a); });
  check_function("exp", [](double a) { return std::exp2(a); });
  check_function("log", [](double a) { return std::log2(a); });
  constexpr double near = 1e-6;
  check_function(
      "sin", [](double a) { return std::sin(std::remainder(a, 1.0) * 2 * M_PI); }, near);
  check_function(
      "cos", [](double a) { return std::cos(std::remainder(a, 1.0) * 2 * M_PI); }, near);
}

TEST_F(F32, cube_coordinates_choose_the_major_axis) {
  struct Case {
    float x, y, z, face, s, t, axis;
  };
  // The table of cube map faces: OpenGL 4.6, 8.13.
  const Case cases[] = {{2, 0.5f, 1, 0, -1, -0.5f, 4}, {-2, 0.5f, 1, 1, 1, -0.5f, -4},
                        {0.5f, 2, 1, 2, 0.5f, 1, 4},   {0.5f, -2, 1, 3, 0.5f, -1, -4},
                        {0.5f, 1, 2, 4, 0.5f, -1, 4},  {0.5f, 1, -2, 5, -0.5f, -1, -4}};
  for (const Case& c : cases) {
    const std::pair<const char*, float> results[] = {
        {"v_cubeid_f32", c.face}, {"v_cubesc_f32", c.s}, {"v_cubetc_f32", c.t}, {"v_cubema_f32", c.axis}};
    for (const auto& [name, value] : results) {
      Options options;
      options.rounds = 3;
      options.prepare = [&](Wave& wave) {
        for (unsigned i = 0; i < max_lanes; ++i) {
          wave.vgpr[2][i] = as_bits(c.x);
          wave.vgpr[4][i] = as_bits(c.y);
          wave.vgpr[6][i] = as_bits(c.z);
        }
      };
      check(
          std::string(name) + " v10, v2, v4, v6", Values::f32, [&](Lane& l) { l.set(10, as_bits(value)); },
          options);
    }
  }
}

} // namespace
} // namespace emu::isa
