// cvt (PTX ISA, "cvt").
#include "families.hpp"

namespace shim::jit {

namespace Intrinsic = llvm::Intrinsic;

namespace {

struct ConvertWords {
  std::optional<Rounding> rounding; // of a float result
  std::optional<Rounding> integral; // to an integral value
  bool ftz = false;
  bool sat = false;
};

ConvertWords take_words(Emitter& e) {
  ConvertWords words;
  const std::string_view integral = e.modifiers().take_one({"rni", "rzi", "rmi", "rpi"});
  if (!integral.empty())
    words.integral = integral == "rni"   ? Rounding::nearest_even
                     : integral == "rzi" ? Rounding::zero
                     : integral == "rmi" ? Rounding::down
                                         : Rounding::up;
  words.rounding = e.modifiers().take_rounding();
  words.ftz = e.modifiers().take("ftz");
  words.sat = e.modifiers().take("sat");
  return words;
}

Value* to_integral(Emitter& e, Value* x, Rounding rounding) {
  const Intrinsic::ID id = rounding == Rounding::nearest_even ? Intrinsic::roundeven
                           : rounding == Rounding::zero       ? Intrinsic::trunc
                           : rounding == Rounding::down       ? Intrinsic::floor
                                                              : Intrinsic::ceil;
  return e.call(id, {x->getType()}, {x});
}

// Clamps an integer of one type to the range of another.
Value* clamp(Emitter& e, Value* x, Type from, Type to) {
  const unsigned bits = ptx::type_bits(from), target = ptx::type_bits(to);
  const bool from_signed = ptx::is_signed(from), to_signed = ptx::is_signed(to);
  const unsigned magnitude = to_signed ? target - 1 : target;
  const unsigned own = from_signed ? bits - 1 : bits;
  if (magnitude < own) {
    llvm::Constant* most = llvm::ConstantInt::get(x->getType(), llvm::APInt::getLowBitsSet(bits, magnitude));
    x = e.call(from_signed ? Intrinsic::smin : Intrinsic::umin, {x->getType()}, {x, most});
  }
  if (from_signed && !to_signed)
    return e.call(Intrinsic::smax, {x->getType()}, {x, llvm::ConstantInt::get(x->getType(), 0)});
  if (from_signed && target < bits) {
    llvm::Constant* least =
        llvm::ConstantInt::get(x->getType(), llvm::APInt::getSignedMinValue(target).sext(bits));
    return e.call(Intrinsic::smax, {x->getType()}, {x, least});
  }
  return x;
}

Value* integer_to_integer(Emitter& e, Value* x, Type from, Type to, bool sat) {
  if (sat)
    x = clamp(e, x, from, to);
  llvm::Type* type = e.integer_type(to);
  return ptx::is_signed(from) ? e.b.CreateSExtOrTrunc(x, type) : e.b.CreateZExtOrTrunc(x, type);
}

Value* plain_to_float(Emitter& e, Value* x, bool is_signed, llvm::Type* type) {
  return is_signed ? e.b.CreateSIToFP(x, type) : e.b.CreateUIToFP(x, type);
}

// Halves end at 65504: beyond 2^17 all integers are alike, and below it a float is exact.
Value* integer_to_half(Emitter& e, Value* x, Type from, Rounding rounding) {
  constexpr std::int64_t limit = 1 << 17;
  const bool is_signed = ptx::is_signed(from);
  if (ptx::type_bits(from) > 16) {
    llvm::Type* type = x->getType();
    x = e.call(is_signed ? Intrinsic::smin : Intrinsic::umin, {type},
               {x, llvm::ConstantInt::get(type, limit)});
    if (is_signed)
      x = e.call(Intrinsic::smax, {type}, {x, llvm::ConstantInt::getSigned(type, -limit)});
    x = e.b.CreateTrunc(x, e.b.getInt32Ty());
  }
  Value* exact = plain_to_float(e, x, is_signed, e.b.getFloatTy());
  if (rounding == Rounding::nearest_even)
    return e.b.CreateFPTrunc(exact, e.b.getHalfTy());
  return rounded(e, RoundedOperation::f32_to_f16, rounding, {exact});
}

// A 64-bit integer as a double whose last bit says that something was cut off: right for rounding to a float.
Value* sticky_double(Emitter& e, Value* x, bool is_signed) {
  constexpr std::uint64_t cut = 0x7ff;
  llvm::Type* type = x->getType();
  Value* magnitude = is_signed ? e.call(Intrinsic::abs, {type}, {x, e.b.getFalse()}) : x;
  Value* low = e.b.CreateAnd(magnitude, cut);
  Value* sticky = e.b.CreateSelect(e.b.CreateIsNull(low), e.b.getInt64(0), e.b.getInt64(cut + 1));
  Value* shortened = e.b.CreateOr(e.b.CreateAnd(magnitude, ~cut), sticky);
  Value* wide = e.b.CreateICmpUGE(magnitude, e.b.getInt64(1ull << 53));
  Value* result = e.b.CreateUIToFP(e.b.CreateSelect(wide, shortened, magnitude), e.b.getDoubleTy());
  if (!is_signed)
    return result;
  return e.b.CreateSelect(e.b.CreateICmpSLT(x, e.b.getInt64(0)), e.b.CreateFNeg(result), result);
}

// The two words of a 64-bit integer are doubles, and so is the high one times 2^32; their sum rounds once.
Value* wide_to_double(Emitter& e, Value* x, bool is_signed, Rounding rounding) {
  llvm::Type* type = e.b.getDoubleTy();
  Value* high = e.b.CreateTrunc(e.b.CreateLShr(x, 32), e.b.getInt32Ty());
  Value* low = e.b.CreateTrunc(x, e.b.getInt32Ty());
  Value* scaled =
      e.b.CreateFMul(plain_to_float(e, high, is_signed, type), llvm::ConstantFP::get(type, 0x1p32));
  return rounded(e, RoundedOperation::add, rounding, {scaled, e.b.CreateUIToFP(low, type)});
}

Value* integer_to_float(Emitter& e, Value* x, Type from, Type to, Rounding rounding) {
  const bool is_signed = ptx::is_signed(from), wide = ptx::type_bits(from) == 64;
  if (to == Type::f16)
    return integer_to_half(e, x, from, rounding);
  const bool exact = to == Type::f64 ? !wide : ptx::type_bits(from) < 32;
  if (rounding == Rounding::nearest_even || exact)
    return plain_to_float(e, x, is_signed, e.type(to));
  if (to == Type::f64)
    return wide_to_double(e, x, is_signed, rounding);
  Value* between = wide ? sticky_double(e, x, is_signed) : plain_to_float(e, x, is_signed, e.b.getDoubleTy());
  return f64_to_f32(e, between, rounding);
}

// Out-of-range values saturate. NaN gives 0, or, from f64 and to 64 bits, the most negative number's bits: so
// does NVIDIA's hardware.
Value* float_to_integer(Emitter& e, Value* x, Type from, Type to) {
  const unsigned bits = ptx::type_bits(to);
  llvm::Type* type = e.integer_type(to);
  Value* result =
      e.call(ptx::is_signed(to) ? Intrinsic::fptosi_sat : Intrinsic::fptoui_sat, {type, x->getType()}, {x});
  if (from != Type::f64 && bits != 64)
    return result;
  return e.b.CreateSelect(e.b.CreateFCmpUNO(x, x), e.b.getInt(llvm::APInt::getSignMask(bits)), result);
}

Value* float_to_float(Emitter& e, Value* x, Type from, Type to, Rounding rounding) {
  if (ptx::type_bits(from) <= ptx::type_bits(to))
    return from == to ? x : e.b.CreateFPExt(x, e.type(to));
  if (from == Type::f64)
    return to == Type::f32 ? f64_to_f32(e, x, rounding) : f64_to_f16(e, x, rounding);
  return rounding == Rounding::nearest_even ? e.b.CreateFPTrunc(x, e.type(to))
                                            : rounded(e, RoundedOperation::f32_to_f16, rounding, {x});
}

// A double below the smallest normal float becomes zero even where it would round up to that.
Value* flush_before_rounding(Emitter& e, Value* exact, Value* result) {
  Value* size = e.call(Intrinsic::fabs, {exact->getType()}, {exact});
  Value* small = e.b.CreateFCmpOLT(size, llvm::ConstantFP::get(exact->getType(), 0x1p-126));
  Value* zero = e.call(Intrinsic::copysign, {result->getType()},
                       {llvm::ConstantFP::get(result->getType(), 0.0), result});
  return e.b.CreateSelect(small, zero, result);
}

void require(Emitter& e, bool condition) {
  if (!condition)
    e.fail_unknown();
}

// cvt.rn.f16x2.f32 d, a, b: a goes to the upper half.
void pack_halves(Emitter& e, const ConvertWords& words) {
  require(e, words.rounding && !words.integral);
  e.expect_operands(3);
  Value* result = llvm::PoisonValue::get(e.type(Type::f16x2));
  for (std::uint64_t i = 0; i < 2; i++) {
    Value* x = e.read(2 - i, Type::f32);
    Value* half = float_to_float(e, words.ftz ? flush(e, x) : x, Type::f32, Type::f16, *words.rounding);
    result = e.b.CreateInsertElement(result, words.sat ? saturate(e, half) : half, i);
  }
  e.write(0, result, Type::f16x2);
}

void cvt(Emitter& e) {
  const ConvertWords words = take_words(e);
  const Type to = e.expect_type(), from = e.expect_type();
  if (to == Type::f16x2 && from == Type::f32)
    return pack_halves(e, words);
  const auto known = [](Type type) {
    return ptx::is_integer(type) || (ptx::is_float(type) && type != Type::f16x2);
  };
  require(e, known(to) && known(from));
  e.expect_operands(2);
  Value* x = e.read(1, from);
  const bool from_float = ptx::is_float(from), to_float = ptx::is_float(to);
  if (words.ftz) {
    require(e, from == Type::f32 || to == Type::f32);
    if (from == Type::f32)
      x = flush(e, x);
  }
  if (!from_float && !to_float) {
    require(e, !words.rounding && !words.integral);
    return e.write(0, integer_to_integer(e, x, from, to, words.sat), to);
  }
  if (from_float && !to_float) {
    require(e, words.integral.has_value() && !words.rounding);
    return e.write(0, float_to_integer(e, to_integral(e, x, *words.integral), from, to), to);
  }
  if (words.integral) {
    require(e, from == to);
    x = to_integral(e, x, *words.integral);
  }
  const bool narrowing = !from_float || ptx::type_bits(from) > ptx::type_bits(to);
  require(e, !narrowing || words.rounding.has_value());
  const Rounding rounding = words.rounding.value_or(Rounding::nearest_even);
  Value* result =
      from_float ? float_to_float(e, x, from, to, rounding) : integer_to_float(e, x, from, to, rounding);
  if (words.ftz && to == Type::f32)
    result = from == Type::f64 ? flush_before_rounding(e, x, result) : flush(e, result);
  if (words.sat)
    result = saturate(e, result);
  e.write(0, result, to);
}

} // namespace

void add_convert(LoweringTable& table) {
  table.insert({{"cvt", cvt}});
}

} // namespace shim::jit
