// Floating-point arithmetic (PTX ISA, "Floating Point Instructions", "Half Precision Floating Point
// Instructions").
#include <llvm/ADT/FloatingPointMode.h>

#include "families.hpp"

namespace shim::jit {

namespace Intrinsic = llvm::Intrinsic;

namespace {

// The words that arithmetic shares.
struct FloatWords {
  Rounding rounding = Rounding::nearest_even;
  bool ftz = false;
  bool sat = false;
};

FloatWords take_words(Emitter& e, Type type) {
  FloatWords words;
  const bool half = type == Type::f16 || type == Type::f16x2;
  words.rounding = e.modifiers().take_rounding().value_or(Rounding::nearest_even);
  if (half && words.rounding != Rounding::nearest_even)
    e.fail_unknown();
  if (type != Type::f64) {
    words.ftz = e.modifiers().take("ftz");
    words.sat = e.modifiers().take("sat");
  }
  return words;
}

Value* input(Emitter& e, std::size_t index, Type type, const FloatWords& words) {
  Value* value = e.read(index, type);
  return words.ftz ? flush(e, value) : value;
}

void output(Emitter& e, Value* value, Type type, const FloatWords& words) {
  if (words.ftz)
    value = flush(e, value);
  if (words.sat)
    value = saturate(e, value);
  e.write(0, value, type);
}

void fused(Emitter& e, Type type) {
  const FloatWords words = take_words(e, type);
  e.expect_operands(4);
  Value* a = input(e, 1, type, words);
  Value* b = input(e, 2, type, words);
  Value* c = input(e, 3, type, words);
  Value* result = words.rounding == Rounding::nearest_even
                      ? e.call(Intrinsic::fma, {a->getType()}, {a, b, c})
                      : rounded(e, RoundedOperation::fma, words.rounding, {a, b, c});
  output(e, result, type, words);
}

void fma(Emitter& e) {
  const Type type = e.expect_type();
  if (!ptx::is_float(type))
    e.fail_unknown();
  fused(e, type);
}

void extremum(Emitter& e, Type type, Intrinsic::ID id) {
  FloatWords words;
  if (type != Type::f64)
    words.ftz = e.modifiers().take("ftz");
  const bool propagate = type != Type::f64 && e.modifiers().take("NaN");
  e.expect_operands(3);
  Value* a = input(e, 1, type, words);
  Value* b = input(e, 2, type, words);
  Value* result = e.call(id, {a->getType()}, {a, b});
  if (propagate)
    result = e.b.CreateSelect(e.b.CreateFCmpUNO(a, b), llvm::ConstantFP::getNaN(a->getType()), result);
  e.write(0, result, type);
}

void require_f32_or_f64(Emitter& e, Type type) {
  if (type != Type::f32 && type != Type::f64)
    e.fail_unknown();
}

// An .approx form is for f32, or for f64 with .ftz.
bool take_approximate(Emitter& e) {
  return e.modifiers().take("approx");
}

void require_rounding(Emitter& e, const std::optional<Rounding>& rounding) {
  if (!rounding)
    e.fail("the rounding is missing");
}

void rcp(Emitter& e) {
  const Type type = e.expect_type();
  require_f32_or_f64(e, type);
  const bool approximate = take_approximate(e);
  FloatWords words;
  words.ftz = (type == Type::f32 || approximate) && e.modifiers().take("ftz");
  e.expect_operands(2);
  if (approximate) {
    output(e, approximate_reciprocal(e, input(e, 1, type, words)), type, words);
    return;
  }
  const auto rounding = e.modifiers().take_rounding();
  require_rounding(e, rounding);
  Value* x = input(e, 1, type, words);
  output(e, rounded_division(e, llvm::ConstantFP::get(x->getType(), 1.0), x, *rounding), type, words);
}

void sqrt(Emitter& e) {
  const Type type = e.expect_type();
  require_f32_or_f64(e, type);
  const bool approximate = type == Type::f32 && take_approximate(e);
  FloatWords words;
  words.ftz = type == Type::f32 && e.modifiers().take("ftz");
  e.expect_operands(2);
  if (approximate) {
    output(e, approximate_square_root(e, input(e, 1, type, words)), type, words);
    return;
  }
  const auto rounding = e.modifiers().take_rounding();
  require_rounding(e, rounding);
  output(e, rounded_square_root(e, input(e, 1, type, words), *rounding), type, words);
}

void testp(Emitter& e) {
  struct Row {
    std::string_view name;
    llvm::FPClassTest classes;
  };
  static constexpr Row rows[] = {{"finite", llvm::fcFinite},
                                 {"infinite", llvm::fcInf},
                                 {"number", ~llvm::fcNan & llvm::fcAllFlags},
                                 {"notanumber", llvm::fcNan},
                                 {"normal", llvm::fcNormal | llvm::fcZero},
                                 {"subnormal", llvm::fcSubnormal}};
  const Type type = e.expect_type();
  require_f32_or_f64(e, type);
  e.expect_operands(2);
  for (const Row& row : rows)
    if (e.modifiers().take(row.name)) {
      Value* x = e.read(1, type);
      return e.write(0, e.call(Intrinsic::is_fpclass, {x->getType()}, {x, e.b.getInt32(row.classes)}),
                     Type::pred);
    }
  e.fail_unknown();
}

void copysign(Emitter& e) {
  const Type type = e.expect_type();
  require_f32_or_f64(e, type);
  e.expect_operands(3);
  Value* sign = e.read(1, type);
  e.write(0, e.call(Intrinsic::copysign, {sign->getType()}, {e.read(2, type), sign}), type);
}

} // namespace

void float_add(Emitter& e, Type type) {
  const FloatWords words = take_words(e, type);
  e.expect_operands(3);
  Value* a = input(e, 1, type, words);
  Value* b = input(e, 2, type, words);
  const bool nearest = words.rounding == Rounding::nearest_even;
  output(e, nearest ? e.b.CreateFAdd(a, b) : rounded(e, RoundedOperation::add, words.rounding, {a, b}), type,
         words);
}

void float_sub(Emitter& e, Type type) {
  const FloatWords words = take_words(e, type);
  e.expect_operands(3);
  Value* a = input(e, 1, type, words);
  Value* b = input(e, 2, type, words);
  const bool nearest = words.rounding == Rounding::nearest_even;
  Value* result = nearest ? e.b.CreateFSub(a, b)
                          : rounded(e, RoundedOperation::add, words.rounding, {a, e.b.CreateFNeg(b)});
  output(e, result, type, words);
}

void float_mul(Emitter& e, Type type) {
  const FloatWords words = take_words(e, type);
  e.expect_operands(3);
  Value* a = input(e, 1, type, words);
  Value* b = input(e, 2, type, words);
  const bool nearest = words.rounding == Rounding::nearest_even;
  output(e, nearest ? e.b.CreateFMul(a, b) : rounded(e, RoundedOperation::mul, words.rounding, {a, b}), type,
         words);
}

void float_mad(Emitter& e, Type type) {
  require_f32_or_f64(e, type);
  fused(e, type);
}

void float_div(Emitter& e, Type type) {
  require_f32_or_f64(e, type);
  const std::string_view kind =
      type == Type::f32 ? e.modifiers().take_one({"approx", "full"}) : std::string_view{};
  FloatWords words;
  words.ftz = type == Type::f32 && e.modifiers().take("ftz");
  e.expect_operands(3);
  const auto rounding = e.modifiers().take_rounding();
  if (kind.empty())
    require_rounding(e, rounding);
  Value* a = input(e, 1, type, words);
  Value* b = input(e, 2, type, words);
  Value* result = kind == "approx" ? approximate_division(e, a, b)
                  : kind == "full" ? full_range_division(e, a, b)
                                   : rounded_division(e, a, b, *rounding);
  output(e, result, type, words);
}

void float_abs(Emitter& e, Type type) {
  FloatWords words;
  words.ftz = type != Type::f64 && e.modifiers().take("ftz");
  e.expect_operands(2);
  Value* x = input(e, 1, type, words);
  e.write(0, e.call(Intrinsic::fabs, {x->getType()}, {x}), type);
}

void float_neg(Emitter& e, Type type) {
  FloatWords words;
  words.ftz = type != Type::f64 && e.modifiers().take("ftz");
  e.expect_operands(2);
  e.write(0, e.b.CreateFNeg(input(e, 1, type, words)), type);
}

void float_min(Emitter& e, Type type) {
  extremum(e, type, Intrinsic::minnum);
}
void float_max(Emitter& e, Type type) {
  extremum(e, type, Intrinsic::maxnum);
}

void add_float(LoweringTable& table) {
  table.insert({{"fma", fma}, {"rcp", rcp}, {"sqrt", sqrt}, {"testp", testp}, {"copysign", copysign}});
}

} // namespace shim::jit
