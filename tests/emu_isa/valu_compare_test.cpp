// Comparisons into VCC, other lane masks and EXEC.
#include <cmath>

#include "valu_fixture.hpp"

namespace emu::isa {
namespace {

using namespace test;
using Compare = Valu;

struct Relation {
  const char* name;
  bool less, equal, greater, unordered;
};

constexpr Relation float_relations[] = {
    {"f", false, false, false, false}, {"lt", true, false, false, false}, {"eq", false, true, false, false},
    {"le", true, true, false, false},  {"gt", false, false, true, false}, {"lg", true, false, true, false},
    {"ge", false, true, true, false},  {"o", true, true, true, false},    {"u", false, false, false, true},
    {"nge", true, false, false, true}, {"nlg", false, true, false, true}, {"ngt", true, true, false, true},
    {"nle", false, false, true, true}, {"neq", true, false, true, true},  {"nlt", false, true, true, true},
    {"tru", true, true, true, true}};

constexpr Relation integer_relations[] = {
    {"f", false, false, false, false}, {"lt", true, false, false, false}, {"eq", false, true, false, false},
    {"le", true, true, false, false},  {"gt", false, false, true, false}, {"ne", true, false, true, false},
    {"ge", false, true, true, false},  {"t", true, true, true, false}};

template <class T>
bool holds(const Relation& r, T a, T b) {
  return a < b ? r.less : a > b ? r.greater : a == b ? r.equal : r.unordered;
}

class Comparison : public Valu {
protected:
  // v[2..] against v[4..], into VCC, into s20, and as v_cmpx into EXEC.
  void check_all(const std::string& operation, const std::string& operands, Values values,
                 const std::function<bool(Lane&)>& holds) {
    Options options;
    options.rounds = 25;
    options.mask_register = vcc_lo;
    check(
        "v_cmp_" + operation + " vcc_lo, " + operands, values, [&](Lane& l) { l.set_mask(vcc_lo, holds(l)); },
        options);
    options.mask_register = 20;
    check(
        "v_cmp_" + operation + "_e64 s20, " + operands, values, [&](Lane& l) { l.set_mask(20, holds(l)); },
        options);
    options.mask_register = exec_lo;
    check(
        "v_cmpx_" + operation + " " + operands, values, [&](Lane& l) { l.set_mask(exec_lo, holds(l)); },
        options);
  }
};

TEST_F(Comparison, of_floats) {
  for (const Relation& r : float_relations) {
    check_all(std::string(r.name) + "_f32", "v2, v4", Values::f32, [&](Lane& l) {
      const auto in = [&](std::uint32_t v) {
        return std::bit_cast<float>(static_cast<std::uint32_t>(l.f32().in(v)));
      };
      return holds(r, in(l.v(2)), in(l.v(4)));
    });
    check_all(std::string(r.name) + "_f64", "v[2:3], v[4:5]", Values::f64, [&](Lane& l) {
      return holds(r, std::bit_cast<double>(l.f64().in(l.v64(2))),
                   std::bit_cast<double>(l.f64().in(l.v64(4))));
    });
    check_all(std::string(r.name) + "_f16", "v2, v4", Values::f16, [&](Lane& l) {
      const auto in = [&](std::uint32_t half) {
        const std::uint64_t v = l.f16().in(half);
        if (half_format.is_nan(v))
          return std::nan("");
        if (half_format.is_infinite(v))
          return half_format.is_negative(v) ? -HUGE_VAL : HUGE_VAL;
        return static_cast<double>(half_format.value(v));
      };
      return holds(r, in(l.low(2)), in(l.low(4)));
    });
  }
  check(
      "v_cmp_lt_f32_e64 s20, -v2, |v4|", Values::f32,
      [](Lane& l) {
        const auto in = [&](std::uint32_t v) {
          return std::bit_cast<float>(static_cast<std::uint32_t>(l.f32().in(v)));
        };
        l.set_mask(20, in(l.v(2) ^ 0x80000000) < in(l.v(4) & 0x7fffffff));
      },
      Options{.mask_register = 20});
}

TEST_F(Comparison, of_integers) {
  for (const Relation& r : integer_relations) {
    check_all(std::string(r.name) + "_i32", "v2, v4", Values::b32, [&](Lane& l) {
      return holds(r, static_cast<std::int32_t>(l.v(2)), static_cast<std::int32_t>(l.v(4)));
    });
    check_all(std::string(r.name) + "_u32", "v2, v4", Values::b32,
              [&](Lane& l) { return holds(r, l.v(2), l.v(4)); });
    check_all(std::string(r.name) + "_u32", "s4, v4", Values::b32,
              [&](Lane& l) { return holds(r, l.s(4), l.v(4)); });
    check_all(std::string(r.name) + "_i64", "v[2:3], v[4:5]", Values::b32, [&](Lane& l) {
      return holds(r, static_cast<std::int64_t>(l.v64(2)), static_cast<std::int64_t>(l.v64(4)));
    });
    check_all(std::string(r.name) + "_u64", "v[2:3], v[4:5]", Values::b32,
              [&](Lane& l) { return holds(r, l.v64(2), l.v64(4)); });
    const std::string name = r.name;
    if (name == "f" || name == "t")
      continue;
    check_all(name + "_i16", "v2, v4", Values::b32, [&](Lane& l) {
      return holds(r, static_cast<std::int16_t>(l.v(2)), static_cast<std::int16_t>(l.v(4)));
    });
    check_all(name + "_u16", "v2, v4", Values::b32, [&](Lane& l) { return holds(r, l.low(2), l.low(4)); });
  }
}

TEST_F(Comparison, with_classes) {
  // Signalling NaN, quiet NaN, -inf, -normal, -denormal, -0, +0, +denormal, +normal, +inf: bits 0 to 9.
  const auto of_class = [](const FloatFormat& f, std::uint64_t v, std::uint32_t classes) {
    const bool negative = f.is_negative(v);
    const unsigned bit = f.is_nan(v)        ? (f.is_signaling(v) ? 0 : 1)
                         : f.is_infinite(v) ? (negative ? 2 : 9)
                         : f.is_zero(v)     ? (negative ? 5 : 6)
                         : f.is_denormal(v) ? (negative ? 4 : 7)
                                            : (negative ? 3 : 8);
    return (classes >> bit & 1) != 0;
  };
  check_all("class_f32", "v2, v4", Values::f32,
            [&](Lane& l) { return of_class(single_format, l.v(2), l.v(4)); });
  check_all("class_f16", "v2, v4", Values::f16,
            [&](Lane& l) { return of_class(half_format, l.low(2), l.v(4)); });
  check_all("class_f64", "v[2:3], v4", Values::f64,
            [&](Lane& l) { return of_class(double_format, l.v64(2), l.v(4)); });
}

} // namespace
} // namespace emu::isa
