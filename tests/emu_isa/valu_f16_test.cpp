// f16 arithmetic, alone and packed, and f32 operations with f16 operands, in every MODE.
#include <algorithm>
#include <cmath>

#include "valu_fixture.hpp"

namespace emu::isa {
namespace {

using namespace test;
using F16 = Valu;

constexpr std::uint32_t sign = 0x8000;

std::uint64_t add(Lane& l, std::uint32_t a, std::uint32_t b, bool clamp = false) {
  return l.f16().out(l.f16().add(l.f16().in(a), l.f16().in(b)), 0, clamp);
}
std::uint64_t mul(Lane& l, std::uint32_t a, std::uint32_t b) {
  return l.f16().out(l.f16().mul(l.f16().in(a), l.f16().in(b)));
}
std::uint64_t fma(Lane& l, std::uint32_t a, std::uint32_t b, std::uint32_t c, bool clamp = false) {
  return l.f16().out(l.f16().fma(l.f16().in(a), l.f16().in(b), l.f16().in(c)), 0, clamp);
}

TEST_F(F16, results_keep_the_other_half_of_the_destination) {
  check("v_add_f16 v10, v2, v4", Values::f16, [](Lane& l) { l.set_low(10, add(l, l.low(2), l.low(4))); });
  check("v_sub_f16 v10, v2, v4", Values::f16,
        [](Lane& l) { l.set_low(10, add(l, l.low(2), l.low(4) ^ sign)); });
  check("v_subrev_f16 v10, v2, v4", Values::f16,
        [](Lane& l) { l.set_low(10, add(l, l.low(2) ^ sign, l.low(4))); });
  check("v_mul_f16 v10, v2, v4", Values::f16, [](Lane& l) { l.set_low(10, mul(l, l.low(2), l.low(4))); });
  check("v_mul_f16 v10, 0.5, v4", Values::f16, [](Lane& l) { l.set_low(10, mul(l, 0x3800, l.low(4))); });
}

TEST_F(F16, fused_multiply_adds_round_once) {
  check("v_fma_f16 v10, v2, v4, v6", Values::f16,
        [](Lane& l) { l.set_low(10, fma(l, l.low(2), l.low(4), l.low(6))); });
  check("v_fma_f16 v10, -v2, |v4|, v6 clamp", Values::f16,
        [](Lane& l) { l.set_low(10, fma(l, l.low(2) ^ sign, l.low(4) & ~sign, l.low(6), true)); });
  check("v_fmac_f16 v10, v2, v4", Values::f16,
        [](Lane& l) { l.set_low(10, fma(l, l.low(2), l.low(4), l.low(10))); });
  check("v_fmamk_f16 v10, v2, 0x3555, v4", Values::f16,
        [](Lane& l) { l.set_low(10, fma(l, l.low(2), 0x3555, l.low(4))); });
  check("v_fmaak_f16 v10, v2, v4, 0x3555", Values::f16,
        [](Lane& l) { l.set_low(10, fma(l, l.low(2), l.low(4), 0x3555)); });
}

TEST_F(F16, op_sel_chooses_halves) {
  check("v_fma_f16 v10, v2, v4, v6 op_sel:[1,0,1,0]", Values::f16,
        [](Lane& l) { l.set_low(10, fma(l, l.high(2), l.low(4), l.high(6))); });
  check("v_fma_f16 v10, v2, v4, v6 op_sel:[0,1,0,1]", Values::f16,
        [](Lane& l) { l.set_high(10, fma(l, l.low(2), l.high(4), l.low(6))); });
}

std::uint64_t extremum(Lane& l, std::uint64_t a, std::uint64_t b, bool least) {
  const FloatFormat& f = half_format;
  if (l.f16().ieee && (f.is_signaling(a) || f.is_signaling(b)))
    return f.nan();
  if (f.is_nan(a) || f.is_nan(b))
    return f.is_nan(a) ? b : a;
  const auto order = [&](std::uint64_t v) {
    return f.is_negative(v) ? -static_cast<std::int64_t>(f.magnitude(v)) - 1 : static_cast<std::int64_t>(v);
  };
  return (order(a) < order(b)) == least ? a : b;
}

TEST_F(F16, extrema_order_zeros_and_prefer_numbers) {
  for (const bool least : {true, false}) {
    const std::string name = least ? "min" : "max";
    const auto two = [least](Lane& l, std::uint64_t a, std::uint64_t b) {
      return extremum(l, l.f16().in(a), l.f16().in(b), least);
    };
    check("v_" + name + "_f16 v10, v2, v4", Values::f16,
          [&](Lane& l) { l.set_low(10, l.f16().out(two(l, l.low(2), l.low(4)))); });
    check("v_" + name + "3_f16 v10, v2, v4, v6 op_sel:[0,0,1,1]", Values::f16,
          [&](Lane& l) { l.set_high(10, l.f16().out(two(l, two(l, l.low(2), l.low(4)), l.high(6)))); });
    check("v_pk_" + name + "_f16 v10, v2, v4", Values::f16, [&](Lane& l) {
      l.set(10, l.f16().out(two(l, l.low(2), l.low(4))) | l.f16().out(two(l, l.high(2), l.high(4))) << 16);
    });
  }
}

TEST_F(F16, the_median_of_numbers_is_the_middle_one) {
  check("v_med3_f16 v10, v2, v4, v6", Values::f16, [](Lane& l) {
    const std::uint64_t v[] = {l.f16().in(l.low(2)), l.f16().in(l.low(4)), l.f16().in(l.low(6))};
    if (std::any_of(v, v + 3, [](std::uint64_t x) { return half_format.is_nan(x); })) {
      const std::uint64_t first = extremum(l, v[0], v[1], true);
      l.set_low(10, l.f16().out(extremum(l, first, v[2], true)));
      return;
    }
    std::uint64_t sorted[] = {v[0], v[1], v[2]};
    std::sort(sorted, sorted + 3,
              [&](std::uint64_t a, std::uint64_t b) { return a != b && extremum(l, a, b, true) == a; });
    l.set_low(10, l.f16().out(sorted[1]));
  });
}

TEST_F(F16, packed_operations_work_on_both_halves) {
  check("v_pk_add_f16 v10, v2, v4", Values::f16,
        [](Lane& l) { l.set(10, add(l, l.low(2), l.low(4)) | add(l, l.high(2), l.high(4)) << 16); });
  check("v_pk_mul_f16 v10, v2, v4 op_sel:[1,0] op_sel_hi:[0,1]", Values::f16,
        [](Lane& l) { l.set(10, mul(l, l.high(2), l.low(4)) | mul(l, l.low(2), l.high(4)) << 16); });
  check("v_pk_add_f16 v10, v2, v4 neg_lo:[0,1] neg_hi:[1,0] clamp", Values::f16, [](Lane& l) {
    l.set(10, add(l, l.low(2), l.low(4) ^ sign, true) | add(l, l.high(2) ^ sign, l.high(4), true) << 16);
  });
  check("v_pk_fma_f16 v10, v2, v4, v6", Values::f16, [](Lane& l) {
    l.set(10, fma(l, l.low(2), l.low(4), l.low(6)) | fma(l, l.high(2), l.high(4), l.high(6)) << 16);
  });
  check("v_pk_fma_f16 v10, v2, v4, v6 op_sel:[0,0,1] op_sel_hi:[1,1,0]", Values::f16, [](Lane& l) {
    l.set(10, fma(l, l.low(2), l.low(4), l.high(6)) | fma(l, l.high(2), l.high(4), l.low(6)) << 16);
  });
  check("v_pk_fmac_f16 v10, v2, v4", Values::f16, [](Lane& l) {
    l.set(10, fma(l, l.low(2), l.low(4), l.low(10)) | fma(l, l.high(2), l.high(4), l.high(10)) << 16);
  });
  check("v_pk_add_f16 v10, v2, 1.0 op_sel_hi:[1,0]", Values::f16,
        [](Lane& l) { l.set(10, add(l, l.low(2), 0x3c00) | add(l, l.high(2), 0x3c00) << 16); });
}

// A binary16 number as binary32.
std::uint64_t widened(Lane& l, std::uint32_t half) {
  const std::uint64_t v = l.f16().in(half);
  const std::uint64_t s = half_format.is_negative(v) ? single_format.sign() : 0;
  if (half_format.is_nan(v))
    return single_format.nan();
  if (half_format.is_infinite(v))
    return s | single_format.infinity();
  return single_format.round(half_format.value(v), 0, s != 0);
}
std::uint64_t narrowed(Lane& l, std::uint64_t v) {
  const std::uint64_t s = single_format.is_negative(v) ? sign : 0;
  if (single_format.is_nan(v))
    return half_format.nan();
  if (single_format.is_infinite(v))
    return s | half_format.infinity();
  return l.f16().out(half_format.round(single_format.value(v), l.f16().rounding, s != 0));
}

TEST_F(F16, mixed_multiply_adds_take_either_format) {
  Options options;
  options.nan = NanWidth::single;
  check(
      "v_fma_mix_f32 v10, v2, v4, v6 op_sel:[1,0,0] op_sel_hi:[1,0,1]", Values::f16,
      [](Lane& l) {
        l.set(10, l.f32().out(l.f32().fma(widened(l, l.high(2)), l.f32().in(l.v(4)), widened(l, l.low(6)))));
      },
      options);
  check(
      "v_fma_mix_f32 v10, -v2, |v4|, v6 clamp", Values::f32,
      [](Lane& l) {
        const std::uint32_t s = 0x80000000;
        l.set(10,
              l.f32().out(l.f32().fma(l.f32().in(l.v(2) ^ s), l.f32().in(l.v(4) & ~s), l.f32().in(l.v(6))), 0,
                          true));
      },
      options);
  options.nan = NanWidth::half;
  for (const bool high : {false, true})
    check(
        std::string(high ? "v_fma_mixhi_f16" : "v_fma_mixlo_f16") + " v10, v2, v4, v6 op_sel_hi:[1,1,1]",
        Values::f16,
        [high](Lane& l) {
          const std::uint64_t single =
              l.f32().out(l.f32().fma(widened(l, l.low(2)), widened(l, l.low(4)), widened(l, l.low(6))));
          if (high)
            l.set_high(10, narrowed(l, single));
          else
            l.set_low(10, narrowed(l, single));
        },
        options);
}

TEST_F(F16, dot_products_add_exact_products) {
  Options options;
  options.nan = NanWidth::single;
  const auto dot = [](Lane& l, std::uint32_t addend) {
    const FloatMode m = l.f32();
    const std::uint64_t low = m.mul(widened(l, l.low(2)), widened(l, l.low(4)));
    const std::uint64_t high = m.mul(widened(l, l.high(2)), widened(l, l.high(4)));
    return m.out(m.add(m.add(low, high), m.in(addend)));
  };
  check(
      "v_dot2_f32_f16 v10, v2, v4, v6", Values::f16, [&](Lane& l) { l.set(10, dot(l, l.v(6))); }, options);
  check(
      "v_dot2c_f32_f16 v10, v2, v4", Values::f16, [&](Lane& l) { l.set(10, dot(l, l.v(10))); }, options);
}

TEST_F(F16, functions_are_within_one_ulp) {
  const auto test = [&](const std::string& name, double (*exact)(double), double absolute = 0) {
    const Instruction in = decoded("v_" + name + "_f16 v10, v2");
    for (const Target& target : targets_) {
      const Instruction mine = retargeted(in, *target.tables);
      Options options;
      options.mode_mask = ~0xcu; // to nearest
      options.mode_set = 0xc0;   // with denormals
      for (unsigned round = 0; round < 200 && !HasFailure(); ++round) {
        randomise(*before_, Values::f16, options);
        *after_ = *before_;
        mine.handler(*after_, mine);
        for (unsigned i = 0; i < before_->lanes; ++i) {
          const std::uint32_t source = before_->vgpr[2][i] & 0xffff, result = after_->vgpr[10][i] & 0xffff;
          if (!(before_->exec() >> i & 1) || half_format.is_nan(source) || half_format.is_infinite(source))
            continue;
          const auto argument = static_cast<double>(half_format.value(source));
          const double should = exact(argument);
          if (std::isnan(should)) {
            EXPECT_TRUE(half_format.is_nan(result)) << name << "(" << argument << ")";
          } else if (std::fabs(should) >= 65504) {
            EXPECT_GE(result & 0x7fff, 0x7bffu) << name << "(" << argument << ")";
          } else {
            ASSERT_FALSE(half_format.is_nan(result) || half_format.is_infinite(result))
                << name << "(" << argument << ")";
            const double ulp = std::ldexp(1.0, std::max(std::ilogb(should == 0 ? 1e-9 : should), -14) - 10);
            EXPECT_LE(std::fabs(static_cast<double>(half_format.value(result)) - should), ulp + absolute)
                << name << "(" << argument << ")";
          }
        }
      }
    }
  };
  test("rcp", [](double a) { return 1 / a; });
  test("sqrt", [](double a) { return std::sqrt(a); });
  test("rsq", [](double a) { return 1 / std::sqrt(a); });
  test("exp", [](double a) { return std::exp2(a); });
  test("log", [](double a) { return std::log2(a); });
  test("trunc", [](double a) { return std::trunc(a); });
  test("floor", [](double a) { return std::floor(a); });
  test("ceil", [](double a) { return std::ceil(a); });
  test("rndne", [](double a) { return std::nearbyint(a); });
  test("fract", [](double a) { return a - std::floor(a); });
  // Of revolutions; beyond 256 of them the argument counts as zero.
  static const auto radians = [](double a) {
    return std::fabs(a) > 256 ? 0 : std::remainder(a, 1.0) * 2 * M_PI;
  };
  test(
      "sin", [](double a) { return std::sin(radians(a)); }, 1e-5);
  test(
      "cos", [](double a) { return std::cos(radians(a)); }, 1e-5);
}

TEST_F(F16, exponents_and_mantissas) {
  const auto finite = [](std::uint64_t v) {
    return !half_format.is_nan(v) && !half_format.is_infinite(v) && !half_format.is_zero(v);
  };
  check("v_frexp_exp_i16_f16 v10, v2", Values::f16, [&](Lane& l) {
    const std::uint64_t a = l.f16().in(l.low(2));
    l.set_low(10, finite(a)
                      ? static_cast<std::uint32_t>(std::ilogb(static_cast<double>(half_format.value(a))) + 1)
                      : 0);
  });
  check("v_frexp_mant_f16 v10, v2", Values::f16, [&](Lane& l) {
    const std::uint64_t a = l.f16().in(l.low(2));
    std::uint64_t result = a;
    if (finite(a)) {
      const Quad value = half_format.value(a);
      result = half_format.round(FloatFormat::scaled(value, -std::ilogb(static_cast<double>(value)) - 1), 0);
    }
    l.set_low(10, l.f16().out(result));
  });
  Options options;
  options.prepare = [this](Wave& wave) {
    for (std::uint32_t& lane : wave.vgpr[4])
      lane = random32() % 4 ? random32() % 80 - 40 : random32();
  };
  check(
      "v_ldexp_f16 v10, v2, v4", Values::f16,
      [&](Lane& l) {
        const std::uint64_t a = l.f16().in(l.low(2));
        const int exponent = std::clamp<int>(static_cast<std::int16_t>(l.v(4)), -200, 200);
        l.set_low(10, l.f16().out(finite(a)
                                      ? half_format.round(FloatFormat::scaled(half_format.value(a), exponent),
                                                          l.f16().rounding)
                                      : a));
      },
      options);
}

TEST_F(F16, division_of_special_operands_is_fixed_up) {
  check("v_div_fixup_f16 v10, v2, v4, v6", Values::f16, [](Lane& l) {
    const FloatFormat& f = half_format;
    const std::uint64_t q = l.f16().in(l.low(2)), d = l.f16().in(l.low(4)), n = l.f16().in(l.low(6));
    const std::uint64_t s = f.is_negative(d) != f.is_negative(n) ? sign : 0;
    std::uint64_t result = s | f.magnitude(q);
    if (f.is_nan(n) || f.is_nan(d) || (f.is_zero(n) && f.is_zero(d)) ||
        (f.is_infinite(n) && f.is_infinite(d)))
      result = f.nan();
    else if (f.is_zero(d) || f.is_infinite(n))
      result = s | f.infinity();
    else if (f.is_zero(n) || f.is_infinite(d))
      result = s;
    l.set_low(10, l.f16().out(result));
  });
}

} // namespace
} // namespace emu::isa
