// Rounding modes, .ftz and .sat.
//
// The hardware has one rounding mode for a wave. LLVM knows nothing of it and may move instructions about, so
// an instruction that needs another mode goes, together with the mode's change and its restoration, into one
// piece of inline assembly. Division and square root, which are many instructions, are done in a wider or
// scaled form instead and corrected by their exact remainder.
#include <llvm/ADT/FloatingPointMode.h>
#include <llvm/IR/InlineAsm.h>

#include "families.hpp"

namespace shim::jit {

namespace Intrinsic = llvm::Intrinsic;

namespace {

constexpr int f64_mantissa_bits = 52;
constexpr int f64_largest_exponent = 1023;
constexpr int f64_least_exponent = -1022;
constexpr std::uint64_t f64_fraction = (1ull << f64_mantissa_bits) - 1;
constexpr std::uint64_t f64_infinity = 0x7ffull << f64_mantissa_bits;
constexpr std::uint64_t f64_sign = 1ull << 63;

// The MODE register's code: once for single, once for double and half precision.
unsigned mode_bits(Rounding rounding) {
  const unsigned code = rounding == Rounding::up     ? 1
                        : rounding == Rounding::down ? 2
                        : rounding == Rounding::zero ? 3
                                                     : 0;
  return code | code << 2;
}

std::string_view mnemonic(RoundedOperation operation, llvm::Type* type) {
  const std::size_t width = type->isHalfTy() ? 0 : type->isFloatTy() ? 1 : 2;
  static constexpr std::string_view names[3][3] = {{"v_add_f16", "v_add_f32", "v_add_f64"},
                                                   {"v_mul_f16", "v_mul_f32", "v_mul_f64"},
                                                   {"v_fma_f16", "v_fma_f32", "v_fma_f64"}};
  switch (operation) {
  case RoundedOperation::f64_to_f32:
    return "v_cvt_f32_f64";
  case RoundedOperation::f32_to_f16:
    return "v_cvt_f16_f32";
  default:
    return names[static_cast<std::size_t>(operation)][width];
  }
}

Value* is_class(Emitter& e, Value* x, llvm::FPClassTest classes) {
  return e.call(Intrinsic::is_fpclass, {x->getType()}, {x, e.b.getInt32(classes)});
}

Value* as_bits(Emitter& e, Value* x) {
  return e.b.CreateBitCast(x, e.b.getInt64Ty());
}
Value* as_double(Emitter& e, Value* x) {
  return e.b.CreateBitCast(x, e.b.getDoubleTy());
}

// Whether the rounding makes a magnitude larger, for a result with this sign (i1, true: negative).
Value* rounds_away(Emitter& e, Rounding rounding, Value* negative) {
  if (rounding == Rounding::down)
    return negative;
  if (rounding == Rounding::up)
    return e.b.CreateNot(negative);
  return e.b.getFalse();
}

// A magnitude: a double in [0.5, 2) that was cut off below, times 2^scale. `rest`: something was cut off. As
// a double's bits, rounded once.
Value* assemble(Emitter& e, Value* cut, Value* rest, Value* scale, Value* away) {
  llvm::IRBuilder<>& b = e.b;
  Value* bits = as_bits(e, cut);
  Value* fraction = b.CreateAnd(bits, f64_fraction);
  Value* biased = b.CreateTrunc(b.CreateLShr(bits, f64_mantissa_bits), b.getInt32Ty());
  Value* exponent = b.CreateAdd(b.CreateSub(biased, b.getInt32(f64_largest_exponent)), scale);

  Value* normal_exponent =
      b.CreateZExt(b.CreateAdd(exponent, b.getInt32(f64_largest_exponent)), b.getInt64Ty());
  Value* normal = b.CreateOr(b.CreateShl(normal_exponent, f64_mantissa_bits), fraction);
  normal = b.CreateAdd(normal, b.CreateZExt(b.CreateAnd(away, rest), b.getInt64Ty()));

  Value* distance = b.CreateZExt(b.CreateSub(b.getInt32(f64_least_exponent), exponent), b.getInt64Ty());
  distance = e.call(Intrinsic::umin, {b.getInt64Ty()}, {distance, b.getInt64(63)});
  Value* significand = b.CreateOr(fraction, b.getInt64(1ull << f64_mantissa_bits));
  Value* small = b.CreateLShr(significand, distance);
  Value* lost = b.CreateICmpNE(b.CreateShl(small, distance), significand);
  small = b.CreateAdd(small, b.CreateZExt(b.CreateAnd(away, b.CreateOr(rest, lost)), b.getInt64Ty()));

  Value* large = b.CreateSelect(away, b.getInt64(f64_infinity), b.getInt64(f64_infinity - 1));
  Value* result = b.CreateSelect(b.CreateICmpSLT(exponent, b.getInt32(f64_least_exponent)), small, normal);
  return b.CreateSelect(b.CreateICmpSGT(exponent, b.getInt32(f64_largest_exponent)), large, result);
}

Value* double_division(Emitter& e, Value* a, Value* d, Rounding rounding) {
  llvm::IRBuilder<>& b = e.b;
  llvm::Type* type = b.getDoubleTy();
  const auto magnitude = [&](Value* x) {
    return e.call(Intrinsic::fabs, {type}, {e.call(Intrinsic::amdgcn_frexp_mant, {type}, {x})});
  };
  const auto exponent = [&](Value* x) {
    return e.call(Intrinsic::amdgcn_frexp_exp, {b.getInt32Ty(), type}, {x});
  };
  Value* ma = magnitude(a);
  Value* mb = magnitude(d);
  Value* quotient = b.CreateFDiv(ma, mb);
  Value* remainder = e.call(Intrinsic::fma, {type}, {b.CreateFNeg(quotient), mb, ma});
  Value* zero = llvm::ConstantFP::get(type, 0.0);
  Value* too_large = b.CreateFCmpOLT(remainder, zero);
  Value* cut = as_double(e, b.CreateSub(as_bits(e, quotient), b.CreateZExt(too_large, b.getInt64Ty())));
  Value* sign = b.CreateAnd(b.CreateXor(as_bits(e, a), as_bits(e, d)), f64_sign);
  Value* away = rounds_away(e, rounding, b.CreateIsNotNull(sign));
  Value* scale = b.CreateSub(exponent(a), exponent(d));
  Value* result =
      as_double(e, b.CreateOr(assemble(e, cut, b.CreateFCmpONE(remainder, zero), scale, away), sign));
  Value* ordinary = b.CreateAnd(is_class(e, a, llvm::fcNormal | llvm::fcSubnormal),
                                is_class(e, d, llvm::fcNormal | llvm::fcSubnormal));
  return b.CreateSelect(ordinary, result, b.CreateFDiv(a, d));
}

Value* double_square_root(Emitter& e, Value* x, Rounding rounding) {
  llvm::IRBuilder<>& b = e.b;
  llvm::Type* type = b.getDoubleTy();
  Value* mantissa = e.call(Intrinsic::amdgcn_frexp_mant, {type}, {x});
  Value* exponent = e.call(Intrinsic::amdgcn_frexp_exp, {b.getInt32Ty(), type}, {x});
  Value* odd = b.CreateIsNotNull(b.CreateAnd(exponent, 1));
  mantissa = b.CreateSelect(odd, b.CreateFMul(mantissa, llvm::ConstantFP::get(type, 0.5)), mantissa);
  exponent = b.CreateAdd(exponent, b.CreateZExt(odd, b.getInt32Ty()));
  Value* root = e.call(Intrinsic::sqrt, {type}, {mantissa});
  Value* remainder = e.call(Intrinsic::fma, {type}, {b.CreateFNeg(root), root, mantissa});
  Value* zero = llvm::ConstantFP::get(type, 0.0);
  Value* bits = as_bits(e, root);
  if (rounding == Rounding::up)
    bits = b.CreateAdd(bits, b.CreateZExt(b.CreateFCmpOGT(remainder, zero), b.getInt64Ty()));
  else
    bits = b.CreateSub(bits, b.CreateZExt(b.CreateFCmpOLT(remainder, zero), b.getInt64Ty()));
  Value* half = b.CreateAShr(exponent, 1);
  Value* result = e.call(Intrinsic::ldexp, {type, b.getInt32Ty()}, {as_double(e, bits), half});
  Value* ordinary = is_class(e, x, llvm::fcPosNormal | llvm::fcPosSubnormal);
  return b.CreateSelect(ordinary, result, e.call(Intrinsic::sqrt, {type}, {x}));
}

} // namespace

Value* flush(Emitter& e, Value* x) {
  Value* zero = e.call(Intrinsic::copysign, {x->getType()}, {llvm::ConstantFP::get(x->getType(), 0.0), x});
  return e.b.CreateSelect(is_class(e, x, llvm::fcSubnormal), zero, x);
}

Value* saturate(Emitter& e, Value* x) {
  llvm::Type* type = x->getType();
  Value* least = e.call(Intrinsic::maxnum, {type}, {x, llvm::ConstantFP::get(type, 0.0)});
  return e.call(Intrinsic::minnum, {type}, {least, llvm::ConstantFP::get(type, 1.0)});
}

Value* rounded(Emitter& e, RoundedOperation operation, Rounding rounding, llvm::ArrayRef<Value*> arguments) {
  llvm::Type* argument = arguments[0]->getType();
  llvm::Type* result = operation == RoundedOperation::f64_to_f32   ? e.b.getFloatTy()
                       : operation == RoundedOperation::f32_to_f16 ? e.b.getHalfTy()
                                                                   : argument;
  std::string text =
      fmt::format("s_round_mode {:#x}\n{} $0", mode_bits(rounding), mnemonic(operation, argument));
  std::string constraints = "=v";
  for (std::size_t i = 0; i < arguments.size(); i++) {
    text += fmt::format(", ${}", i + 1);
    constraints += ",v";
  }
  text += fmt::format("\ns_round_mode {:#x}", mode_bits(Rounding::nearest_even));
  const std::vector<llvm::Type*> types(arguments.size(), argument);
  auto* type = llvm::FunctionType::get(result, types, false);
  auto* code = e.b.CreateCall(llvm::InlineAsm::get(type, text, constraints, false), arguments);
  code->addFnAttr(llvm::Attribute::NoUnwind);
  code->setDoesNotAccessMemory();
  return code;
}

Value* f64_to_f32(Emitter& e, Value* x, Rounding rounding) {
  if (rounding == Rounding::nearest_even)
    return e.b.CreateFPTrunc(x, e.b.getFloatTy());
  return rounded(e, RoundedOperation::f64_to_f32, rounding, {x});
}

// By way of a float that remembers, in its last bit, that it is not exact.
Value* f64_to_f16(Emitter& e, Value* x, Rounding rounding) {
  if (rounding == Rounding::nearest_even)
    return e.b.CreateFPTrunc(x, e.b.getHalfTy());
  Value* cut = rounded(e, RoundedOperation::f64_to_f32, Rounding::zero, {x});
  Value* inexact = e.b.CreateFCmpONE(e.b.CreateFPExt(cut, e.b.getDoubleTy()), x);
  Value* bits =
      e.b.CreateOr(e.b.CreateBitCast(cut, e.b.getInt32Ty()), e.b.CreateZExt(inexact, e.b.getInt32Ty()));
  return rounded(e, RoundedOperation::f32_to_f16, rounding, {e.b.CreateBitCast(bits, e.b.getFloatTy())});
}

// A quotient or root of floats that is no float lies further from every float than a double's error.
Value* rounded_division(Emitter& e, Value* a, Value* b, Rounding rounding) {
  if (rounding == Rounding::nearest_even)
    return e.b.CreateFDiv(a, b);
  if (a->getType()->isDoubleTy())
    return double_division(e, a, b, rounding);
  llvm::Type* wide = e.b.getDoubleTy();
  return f64_to_f32(e, e.b.CreateFDiv(e.b.CreateFPExt(a, wide), e.b.CreateFPExt(b, wide)), rounding);
}

Value* rounded_square_root(Emitter& e, Value* x, Rounding rounding) {
  if (rounding == Rounding::nearest_even)
    return e.call(Intrinsic::sqrt, {x->getType()}, {x});
  if (x->getType()->isDoubleTy())
    return double_square_root(e, x, rounding);
  llvm::Type* wide = e.b.getDoubleTy();
  return f64_to_f32(e, e.call(Intrinsic::sqrt, {wide}, {e.b.CreateFPExt(x, wide)}), rounding);
}

} // namespace shim::jit
