// The approximate functions (PTX ISA, .approx and .full). Their errors stay within what PTX states. The
// hardware's functions do not take subnormal numbers, PTX's do: those are scaled first.
#include <numbers>

#include "families.hpp"

namespace shim::jit {

namespace Intrinsic = llvm::Intrinsic;

namespace {

constexpr double subnormal_scale = 0x1p24; // an even power, so that its root is one too

Value* real(llvm::Type* type, double value) {
  return llvm::ConstantFP::get(type, value);
}

Value* hardware(Emitter& e, Intrinsic::ID id, Value* x) {
  return e.call(id, {x->getType()}, {x});
}

// f(x), where f is known for normal x only, and f(x * scale) = f(x) * effect.
template <class Function>
Value* scaled(Emitter& e, Value* x, double effect, Function function) {
  llvm::Type* type = x->getType();
  Value* small = e.b.CreateFCmpOLT(hardware(e, Intrinsic::fabs, x), real(type, 0x1p-126));
  Value* argument = e.b.CreateSelect(small, e.b.CreateFMul(x, real(type, subnormal_scale)), x);
  Value* result = function(argument);
  return e.b.CreateSelect(small, e.b.CreateFMul(result, real(type, 1 / effect)), result);
}

Value* mantissa(Emitter& e, Value* x) {
  return e.call(Intrinsic::amdgcn_frexp_mant, {x->getType()}, {x});
}
Value* exponent(Emitter& e, Value* x) {
  return e.call(Intrinsic::amdgcn_frexp_exp, {e.b.getInt32Ty(), x->getType()}, {x});
}
Value* scale_by(Emitter& e, Value* x, Value* power) {
  return e.call(Intrinsic::ldexp, {x->getType(), e.b.getInt32Ty()}, {x, power});
}

using Function = Value* (*)(Emitter&, Value*);

// One argument of f32, computed in f32; f16 forms go by way of f32.
void unary(Emitter& e, Function function, bool halves) {
  if (!e.modifiers().take("approx"))
    e.fail_unknown();
  const bool ftz = e.modifiers().take("ftz");
  const Type type = e.expect_type();
  e.expect_operands(2);
  if (type == Type::f32) {
    Value* x = e.read(1, type);
    Value* result = function(e, ftz ? flush(e, x) : x);
    return e.write(0, ftz ? flush(e, result) : result, type);
  }
  if (!halves || (type != Type::f16 && type != Type::f16x2))
    e.fail_unknown();
  Value* x = e.read(1, type);
  const auto one = [&](Value* half) {
    Value* wide = function(e, e.b.CreateFPExt(ftz ? flush(e, half) : half, e.b.getFloatTy()));
    Value* narrow = e.b.CreateFPTrunc(wide, e.b.getHalfTy());
    return ftz ? flush(e, narrow) : narrow;
  };
  if (type == Type::f16)
    return e.write(0, one(x), type);
  Value* result = llvm::PoisonValue::get(x->getType());
  for (std::uint64_t i = 0; i < 2; i++)
    result = e.b.CreateInsertElement(result, one(e.b.CreateExtractElement(x, i)), i);
  e.write(0, result, type);
}

// The hardware takes turns, not radians.
Value* turns(Emitter& e, Value* x) {
  Value* all = e.b.CreateFMul(x, real(x->getType(), 0.5 * std::numbers::inv_pi));
  return hardware(e, Intrinsic::amdgcn_fract, all);
}

Value* sine(Emitter& e, Value* x) {
  return hardware(e, Intrinsic::amdgcn_sin, turns(e, x));
}
Value* cosine(Emitter& e, Value* x) {
  return hardware(e, Intrinsic::amdgcn_cos, turns(e, x));
}
Value* exponential(Emitter& e, Value* x) {
  return hardware(e, Intrinsic::exp2, x);
}
Value* logarithm(Emitter& e, Value* x) {
  return hardware(e, Intrinsic::log2, x);
}

Value* inverse_root(Emitter& e, Value* x) {
  return scaled(e, x, 0x1p-12, [&](Value* y) { return hardware(e, Intrinsic::amdgcn_rsq, y); });
}

// tanh x = 1 - 2 / (1 + e^2x), and near zero x - x^3/3, so that no digits cancel.
Value* hyperbolic_tangent(Emitter& e, Value* x) {
  llvm::Type* type = x->getType();
  Value* size = hardware(e, Intrinsic::fabs, x);
  Value* power =
      hardware(e, Intrinsic::amdgcn_exp2, e.b.CreateFMul(size, real(type, 2 * std::numbers::log2e)));
  Value* part = hardware(e, Intrinsic::amdgcn_rcp, e.b.CreateFAdd(power, real(type, 1)));
  Value* large = e.call(Intrinsic::fma, {type}, {part, real(type, -2), real(type, 1)});
  Value* square = e.b.CreateFMul(size, size);
  Value* cubic = e.call(Intrinsic::fma, {type}, {e.b.CreateFMul(square, size), real(type, -1.0 / 3), size});
  Value* result = e.b.CreateSelect(e.b.CreateFCmpOLT(size, real(type, 0.125)), cubic, large);
  return e.call(Intrinsic::copysign, {type}, {result, x});
}

void sin(Emitter& e) {
  unary(e, sine, false);
}
void cos(Emitter& e) {
  unary(e, cosine, false);
}
void ex2(Emitter& e) {
  unary(e, exponential, true);
}
void lg2(Emitter& e) {
  unary(e, logarithm, false);
}
void tanh(Emitter& e) {
  unary(e, hyperbolic_tangent, true);
}

void rsqrt(Emitter& e) {
  const bool approximate = e.modifiers().take("approx"), ftz = e.modifiers().take("ftz");
  const Type type = e.expect_type();
  if (!approximate || (type != Type::f32 && type != Type::f64))
    e.fail_unknown();
  e.expect_operands(2);
  Value* x = e.read(1, type);
  if (ftz)
    x = flush(e, x);
  Value* result = type == Type::f32 ? inverse_root(e, x)
                                    : e.b.CreateFDiv(real(x->getType(), 1), hardware(e, Intrinsic::sqrt, x));
  e.write(0, ftz ? flush(e, result) : result, type);
}

} // namespace

Value* approximate_reciprocal(Emitter& e, Value* x) {
  if (x->getType()->isDoubleTy()) {
    // PTX gives the upper word only.
    Value* bits = e.b.CreateBitCast(hardware(e, Intrinsic::amdgcn_rcp, x), e.b.getInt64Ty());
    return e.b.CreateBitCast(e.b.CreateAnd(bits, ~std::uint64_t{0xffffffff}), x->getType());
  }
  Value* inverse = hardware(e, Intrinsic::amdgcn_rcp, mantissa(e, x));
  return scale_by(e, inverse, e.b.CreateNeg(exponent(e, x)));
}

Value* approximate_square_root(Emitter& e, Value* x) {
  return scaled(e, x, 0x1p12, [&](Value* y) { return hardware(e, Intrinsic::amdgcn_sqrt, y); });
}

// Divisors beyond 2^126 count as infinite, except that they are not: PTX says so.
Value* approximate_division(Emitter& e, Value* a, Value* b) {
  llvm::Type* type = b->getType();
  Value* size = hardware(e, Intrinsic::fabs, b);
  Value* huge = e.b.CreateAnd(e.b.CreateFCmpOGT(size, real(type, 0x1p126)),
                              e.b.CreateFCmpONE(size, llvm::ConstantFP::getInfinity(type)));
  Value* zero = e.call(Intrinsic::copysign, {type}, {real(type, 0), b});
  return e.b.CreateSelect(huge, e.b.CreateFMul(a, zero), full_range_division(e, a, b));
}

Value* full_range_division(Emitter& e, Value* a, Value* b) {
  Value* quotient = e.b.CreateFMul(mantissa(e, a), hardware(e, Intrinsic::amdgcn_rcp, mantissa(e, b)));
  return scale_by(e, quotient, e.b.CreateSub(exponent(e, a), exponent(e, b)));
}

void add_approximate(LoweringTable& table) {
  table.insert({{"sin", sin}, {"cos", cos}, {"ex2", ex2}, {"lg2", lg2}, {"tanh", tanh}, {"rsqrt", rsqrt}});
}

} // namespace shim::jit
