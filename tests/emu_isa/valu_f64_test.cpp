// f64 arithmetic in every MODE.
#include <algorithm>
#include <array>
#include <cmath>

#include "valu_fixture.hpp"

namespace emu::isa {
namespace {

using namespace test;
using F64 = Valu;

constexpr std::uint64_t sign = 0x8000000000000000;

std::uint64_t fma(Lane& l, std::uint64_t a, std::uint64_t b, std::uint64_t c, unsigned omod = 0,
                  bool clamp = false) {
  return l.f64().out(l.f64().fma(l.f64().in(a), l.f64().in(b), l.f64().in(c)), omod, clamp);
}

double as_double(std::uint64_t v) {
  return std::bit_cast<double>(v);
}
std::uint64_t as_bits(double v) {
  return std::bit_cast<std::uint64_t>(v);
}

TEST_F(F64, sums_products_and_multiply_adds_are_rounded_by_mode) {
  check("v_add_f64 v[10:11], v[2:3], -v[4:5]", Values::f64, [](Lane& l) {
    l.set64(10, l.f64().out(l.f64().add(l.f64().in(l.v64(2)), l.f64().in(l.v64(4) ^ sign))));
  });
  check("v_mul_f64 v[10:11], |v[2:3]|, v[4:5]", Values::f64, [](Lane& l) {
    l.set64(10, l.f64().out(l.f64().mul(l.f64().in(l.v64(2) & ~sign), l.f64().in(l.v64(4)))));
  });
  check("v_fma_f64 v[10:11], v[2:3], v[4:5], v[6:7]", Values::f64,
        [](Lane& l) { l.set64(10, fma(l, l.v64(2), l.v64(4), l.v64(6))); });
  check("v_fma_f64 v[10:11], v[2:3], s[4:5], 1.0", Values::f64,
        [](Lane& l) { l.set64(10, fma(l, l.v64(2), l.s64(4), as_bits(1.0))); });
  check("v_fma_f64 v[10:11], v[2:3], v[4:5], v[6:7] clamp mul:2", Values::f64,
        [](Lane& l) { l.set64(10, fma(l, l.v64(2), l.v64(4), l.v64(6), 1, true)); });
  check("v_fma_f64 v[10:11], v[2:3], v[4:5], v[6:7] div:2", Values::f64,
        [](Lane& l) { l.set64(10, fma(l, l.v64(2), l.v64(4), l.v64(6), 3)); });
}

TEST_F(F64, a_destination_may_overlap_its_sources) {
  check("v_add_f64 v[3:4], v[2:3], v[4:5]", Values::f64,
        [](Lane& l) { l.set64(3, l.f64().out(l.f64().add(l.f64().in(l.v64(2)), l.f64().in(l.v64(4))))); });
}

TEST_F(F64, rounding_to_whole_numbers) {
  const auto test = [&](const char* text, double (*f)(double)) {
    check(text, Values::f64, [&](Lane& l) {
      const std::uint64_t a = l.f64().in(l.v64(2));
      l.set64(10, l.f64().out(double_format.is_nan(a) ? a : as_bits(f(as_double(a)))));
    });
  };
  test("v_trunc_f64 v[10:11], v[2:3]", [](double v) { return std::copysign(std::floor(std::fabs(v)), v); });
  test("v_floor_f64 v[10:11], v[2:3]", [](double v) { return std::floor(v); });
  test("v_ceil_f64 v[10:11], v[2:3]", [](double v) { return -std::floor(-v); });
  test("v_rndne_f64 v[10:11], v[2:3]", [](double v) { return std::nearbyint(v); });
}

TEST_F(F64, approximations_are_good_to_29_bits) {
  const auto test = [&](const std::string& name, double (*exact)(double)) {
    const Instruction in = decoded("v_" + name + "_f64 v[10:11], v[2:3]");
    Options options;
    options.mode_set = 0xc0;
    for (const Target& target : targets_) {
      const Instruction mine = retargeted(in, *target.tables);
      for (unsigned round = 0; round < 100; ++round) {
        randomise(*before_, Values::f64, options);
        *after_ = *before_;
        mine.handler(*after_, mine);
        for (unsigned i = 0; i < before_->lanes; ++i) {
          if (!(before_->exec() >> i & 1))
            continue;
          Lane source{*before_, *before_, i}, result{*after_, *after_, i};
          const double should = exact(as_double(source.v64(2))), is = as_double(result.v64(10));
          if (std::isnan(should)) {
            ASSERT_TRUE(std::isnan(is)) << name;
          } else if (std::isinf(should) || std::isinf(is)) {
            ASSERT_GE(std::min(std::fabs(should), std::fabs(is)), 0x1.fffffffffffffp1023) << name;
          } else {
            ASSERT_LE(std::fabs(is - should), std::fabs(should) * 0x1p-29 + 0x1p-1074) << name;
          }
        }
      }
    }
  };
  test("rcp", [](double a) { return 1 / a; });
  test("sqrt", [](double a) { return std::sqrt(a); });
  test("rsq", [](double a) { return 1 / std::sqrt(a); });
}

TEST_F(F64, extrema_prefer_numbers) {
  for (const bool least : {true, false})
    check(std::string(least ? "v_min_f64" : "v_max_f64") + " v[10:11], v[2:3], v[4:5]", Values::f64,
          [&](Lane& l) {
            const FloatFormat& f = double_format;
            const std::uint64_t a = l.f64().in(l.v64(2)), b = l.f64().in(l.v64(4));
            std::uint64_t result;
            const auto order = [&](std::uint64_t v) {
              return f.is_negative(v) ? -static_cast<std::int64_t>(f.magnitude(v)) - 1
                                      : static_cast<std::int64_t>(v);
            };
            if (l.f64().ieee && (f.is_signaling(a) || f.is_signaling(b)))
              result = f.nan();
            else if (f.is_nan(a) || f.is_nan(b))
              result = f.is_nan(a) ? b : a;
            else
              result = (order(a) < order(b)) == least ? a : b;
            l.set64(10, l.f64().out(result));
          });
}

TEST_F(F64, parts_of_numbers) {
  const auto number = [](std::uint64_t a) { return std::isfinite(as_double(a)) && as_double(a) != 0; };
  check("v_frexp_exp_i32_f64 v10, v[2:3]", Values::f64, [&](Lane& l) {
    const std::uint64_t a = l.f64().in(l.v64(2));
    l.set(10, number(a) ? static_cast<std::uint32_t>(std::ilogb(as_double(a)) + 1) : 0);
  });
  check("v_frexp_mant_f64 v[10:11], v[2:3]", Values::f64, [&](Lane& l) {
    const std::uint64_t a = l.f64().in(l.v64(2));
    l.set64(10, number(a) ? as_bits(std::scalbn(as_double(a), -std::ilogb(as_double(a)) - 1)) : a);
  });
  Options options;
  options.mode_mask = ~0xcu;
  check(
      "v_fract_f64 v[10:11], v[2:3]", Values::f64,
      [](Lane& l) {
        const double a = as_double(l.f64().in(l.v64(2)));
        const double below_one = std::nextafter(1.0, 0.0);
        l.set64(10, std::isfinite(a) ? l.f64().out(as_bits(std::min(a - std::floor(a), below_one)))
                                     : double_format.nan());
      },
      options);
  options.mode_mask = ~0u;
  options.prepare = [this](Wave& wave) {
    for (std::uint32_t& lane : wave.vgpr[4])
      lane = random32() % 8 ? random32() % 3000 - 1500 : random32();
  };
  check(
      "v_ldexp_f64 v[10:11], v[2:3], v4", Values::f64,
      [&](Lane& l) {
        const std::uint64_t a = l.f64().in(l.v64(2));
        const int exponent = std::clamp(static_cast<std::int32_t>(l.v(4)), -3000, 3000);
        l.set64(10, l.f64().out(
                        number(a) ? double_format.round(FloatFormat::scaled(double_format.value(a), exponent),
                                                        l.f64().rounding)
                                  : a));
      },
      options);
}

// A non-negative number of 8 + 1536 binary digits behind the point, as limbs, the whole part first.
class Fixed {
public:
  static constexpr unsigned limbs = 49;
  explicit Fixed(std::uint32_t whole = 0) : limb_{} { limb_[0] = whole; }

  void add(const Fixed& other) {
    std::uint64_t carry = 0;
    for (unsigned i = limbs; i-- > 0; carry >>= 32) {
      carry += std::uint64_t{limb_[i]} + other.limb_[i];
      limb_[i] = static_cast<std::uint32_t>(carry);
    }
  }
  void subtract(const Fixed& other) {
    std::int64_t borrow = 0;
    for (unsigned i = limbs; i-- > 0; borrow >>= 32) {
      borrow += std::int64_t{limb_[i]} - other.limb_[i];
      limb_[i] = static_cast<std::uint32_t>(borrow);
    }
  }
  void multiply(std::uint32_t factor) {
    std::uint64_t carry = 0;
    for (unsigned i = limbs; i-- > 0; carry >>= 32) {
      carry += std::uint64_t{limb_[i]} * factor;
      limb_[i] = static_cast<std::uint32_t>(carry);
    }
  }
  void divide(std::uint32_t divisor) {
    std::uint64_t rest = 0;
    for (std::uint32_t& limb : limb_) {
      rest = rest << 32 | limb;
      limb = static_cast<std::uint32_t>(rest / divisor);
      rest %= divisor;
    }
  }
  bool digit(unsigned position) const { return limb_[1 + position / 32] >> (31 - position % 32) & 1; }
  void set_digit(unsigned position) { limb_[1 + position / 32] |= 1u << (31 - position % 32); }
  std::uint32_t whole() const { return limb_[0]; }

  static Fixed inverse_tangent(std::uint32_t x) {
    Fixed term(1), result;
    term.divide(x);
    result = term;
    for (std::uint32_t k = 3; k < 800; k += 2) {
      term.divide(x * x);
      Fixed part = term;
      part.divide(k);
      if (k % 4 == 3)
        result.subtract(part);
      else
        result.add(part);
    }
    return result;
  }
  static Fixed pi() { // Machin's formula
    Fixed result = inverse_tangent(5);
    result.multiply(4);
    result.subtract(inverse_tangent(239));
    result.multiply(4);
    return result;
  }

private:
  std::array<std::uint32_t, limbs> limb_;
};

TEST_F(F64, segments_of_two_over_pi_have_1201_of_its_digits) {
  constexpr unsigned digits = 1201, segment_digits = 53;
  const Instruction in = decoded("v_trig_preop_f64 v[10:11], v[2:3], v4");
  // A large exponent (1968) starts at digit 891, where results would underflow otherwise, and scales by
  // 2^128.
  struct Case {
    std::uint32_t exponent;
    unsigned first_digit, segments;
    int scale;
  };
  const Case cases[] = {{1000, 0, 18, 0}, {1968, 891, 7, 128}};
  for (const Target& target : targets_) {
    const Instruction mine = retargeted(in, *target.tables);
    Fixed ratio;
    for (const Case& c : cases)
      for (unsigned segment = 0; segment < c.segments; ++segment) {
        randomise(*after_, Values::f64, {});
        after_->mode = 0xf0;
        after_->set_pair(exec_lo, after_->lane_mask);
        after_->vgpr[3][0] = c.exponent << 20;
        after_->vgpr[4][0] = segment;
        mine.handler(*after_, mine);
        const unsigned first = c.first_digit + segment * segment_digits;
        const double value = as_double(Lane{*after_, *after_, 0}.v64(10));
        const double whole = std::ldexp(value, static_cast<int>(first + segment_digits) - c.scale);
        ASSERT_LT(whole, 0x1p53);
        ASSERT_EQ(whole, std::floor(whole));
        for (unsigned i = 0; i < segment_digits; ++i)
          if (static_cast<std::uint64_t>(whole) >> (segment_digits - 1 - i) & 1) {
            ASSERT_LT(first + i, digits);
            ratio.set_digit(first + i);
          }
      }
    // 2/pi times pi, summed digit by digit: just below 2, and 2 or more with one in the last place added.
    Fixed product, part = Fixed::pi();
    for (unsigned i = 0; i < digits; ++i) {
      part.divide(2);
      if (ratio.digit(i))
        product.add(part);
    }
    EXPECT_EQ(product.whole(), 1u) << target.name;
    product.add(part);
    EXPECT_EQ(product.whole(), 2u) << target.name;
  }
}

} // namespace
} // namespace emu::isa
