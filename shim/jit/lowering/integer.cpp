// Integer arithmetic (PTX ISA, "Integer Arithmetic Instructions", "Extended-Precision Integer Arithmetic").
#include "families.hpp"

namespace shim::jit {
namespace {

using llvm::Intrinsic::ID;
namespace Intrinsic = llvm::Intrinsic;

enum class Half { lo, hi, wide };

Half take_half(Emitter& e) {
  const std::string_view word = e.modifiers().take_one({"lo", "hi", "wide"});
  if (word.empty())
    e.fail("`.lo`, `.hi` or `.wide` is missing");
  return word == "lo" ? Half::lo : word == "hi" ? Half::hi : Half::wide;
}

Type widened(Emitter& e, Type type) {
  switch (type) {
  case Type::u16:
    return Type::u32;
  case Type::s16:
    return Type::s32;
  case Type::u32:
    return Type::u64;
  case Type::s32:
    return Type::s64;
  default:
    e.fail_unknown();
  }
}

void require_integer(Emitter& e, Type type) {
  if (!ptx::is_integer(type) || ptx::type_bits(type) < 16)
    e.fail_unknown();
}

Value* product(Emitter& e, Value* a, Value* b, Type type, Half half) {
  if (half == Half::lo)
    return e.b.CreateMul(a, b);
  const unsigned bits = ptx::type_bits(type);
  const bool is_signed = ptx::is_signed(type);
  Value* whole = e.b.CreateMul(extend(e, a, 2 * bits, is_signed), extend(e, b, 2 * bits, is_signed));
  if (half == Half::wide)
    return whole;
  return e.b.CreateTrunc(e.b.CreateLShr(whole, bits), e.b.getIntNTy(bits));
}

// a + b + carry in, with the carry out.
std::pair<Value*, Value*> add_with_carry(Emitter& e, Value* a, Value* b, Value* carry) {
  Value* first = e.call(Intrinsic::uadd_with_overflow, {a->getType()}, {a, b});
  Value* sum = e.b.CreateExtractValue(first, 0);
  Value* out = e.b.CreateExtractValue(first, 1);
  if (carry) {
    Value* second =
        e.call(Intrinsic::uadd_with_overflow, {a->getType()}, {sum, e.b.CreateZExt(carry, a->getType())});
    sum = e.b.CreateExtractValue(second, 0);
    out = e.b.CreateOr(out, e.b.CreateExtractValue(second, 1));
  }
  return {sum, out};
}

// a - b - borrow in. The carry out is that of a + ~b + not borrow: clear where the subtraction borrows.
std::pair<Value*, Value*> subtract_with_borrow(Emitter& e, Value* a, Value* b, Value* carry) {
  Value* first = e.call(Intrinsic::usub_with_overflow, {a->getType()}, {a, b});
  Value* difference = e.b.CreateExtractValue(first, 0);
  Value* out = e.b.CreateExtractValue(first, 1);
  if (carry) {
    Value* borrow = e.b.CreateZExt(e.b.CreateNot(carry), a->getType());
    Value* second = e.call(Intrinsic::usub_with_overflow, {a->getType()}, {difference, borrow});
    difference = e.b.CreateExtractValue(second, 0);
    out = e.b.CreateOr(out, e.b.CreateExtractValue(second, 1));
  }
  return {difference, e.b.CreateNot(out)};
}

Value* carry_in(Emitter& e) {
  return e.b.CreateLoad(e.b.getInt1Ty(), e.carry());
}

void require_extended(Emitter& e, Type type) {
  require_integer(e, type);
  if (ptx::type_bits(type) < 32)
    e.fail_unknown();
}

void add_or_subtract(Emitter& e, Type type, bool subtract) {
  e.expect_operands(3);
  const bool cc = e.modifiers().take("cc"), sat = e.modifiers().take("sat");
  require_integer(e, type);
  Value* a = e.read(1, type);
  Value* b = e.read(2, type);
  Value* result = nullptr;
  if (sat) {
    if (type != Type::s32 || cc)
      e.fail_unknown();
    result = e.call(subtract ? Intrinsic::ssub_sat : Intrinsic::sadd_sat, {a->getType()}, {a, b});
  } else if (cc) {
    require_extended(e, type);
    const auto [value, out] =
        subtract ? subtract_with_borrow(e, a, b, nullptr) : add_with_carry(e, a, b, nullptr);
    e.b.CreateStore(out, e.carry());
    result = value;
  } else {
    result = subtract ? e.b.CreateSub(a, b) : e.b.CreateAdd(a, b);
  }
  e.write(0, result, type);
}

void add(Emitter& e) {
  const Type type = e.expect_type();
  ptx::is_float(type) ? float_add(e, type) : add_or_subtract(e, type, false);
}

void sub(Emitter& e) {
  const Type type = e.expect_type();
  ptx::is_float(type) ? float_sub(e, type) : add_or_subtract(e, type, true);
}

void extended(Emitter& e, bool subtract) {
  const Type type = e.expect_type();
  require_extended(e, type);
  e.expect_operands(3);
  Value* a = e.read(1, type);
  Value* b = e.read(2, type);
  Value* in = carry_in(e);
  const auto [value, out] = subtract ? subtract_with_borrow(e, a, b, in) : add_with_carry(e, a, b, in);
  if (e.modifiers().take("cc"))
    e.b.CreateStore(out, e.carry());
  e.write(0, value, type);
}

void addc(Emitter& e) {
  extended(e, false);
}
void subc(Emitter& e) {
  extended(e, true);
}

void mul(Emitter& e) {
  const Type type = e.expect_type();
  if (ptx::is_float(type))
    return float_mul(e, type);
  require_integer(e, type);
  e.expect_operands(3);
  const Half half = take_half(e);
  const Type result = half == Half::wide ? widened(e, type) : type;
  e.write(0, product(e, e.read(1, type), e.read(2, type), type, half), result);
}

void mad(Emitter& e) {
  const Type type = e.expect_type();
  if (ptx::is_float(type))
    return float_mad(e, type);
  require_integer(e, type);
  e.expect_operands(4);
  const Half half = take_half(e);
  const bool sat = e.modifiers().take("sat"), cc = e.modifiers().take("cc");
  const Type result = half == Half::wide ? widened(e, type) : type;
  Value* high = product(e, e.read(1, type), e.read(2, type), type, half);
  Value* c = e.read(3, result);
  if (sat) {
    if (half != Half::hi || type != Type::s32 || cc)
      e.fail_unknown();
    e.write(0, e.call(Intrinsic::sadd_sat, {c->getType()}, {high, c}), result);
  } else if (cc) {
    require_extended(e, type);
    const auto [value, out] = add_with_carry(e, high, c, nullptr);
    e.b.CreateStore(out, e.carry());
    e.write(0, value, result);
  } else {
    e.write(0, e.b.CreateAdd(high, c), result);
  }
}

void madc(Emitter& e) {
  const Type type = e.expect_type();
  require_extended(e, type);
  e.expect_operands(4);
  const Half half = take_half(e);
  if (half == Half::wide)
    e.fail_unknown();
  Value* part = product(e, e.read(1, type), e.read(2, type), type, half);
  const auto [value, out] = add_with_carry(e, part, e.read(3, type), carry_in(e));
  if (e.modifiers().take("cc"))
    e.b.CreateStore(out, e.carry());
  e.write(0, value, type);
}

// The product of the low 24 bits: its low word, or its bits 47 to 16.
Value* product24(Emitter& e, Type type, bool high) {
  const bool is_signed = ptx::is_signed(type);
  const auto narrow = [&](Value* x) {
    return extend(e, e.b.CreateTrunc(x, e.b.getIntNTy(24)), 64, is_signed);
  };
  Value* whole = e.b.CreateMul(narrow(e.read(1, type)), narrow(e.read(2, type)));
  return e.b.CreateTrunc(high ? e.b.CreateLShr(whole, 16) : whole, e.b.getInt32Ty());
}

void mul24(Emitter& e) {
  const Type type = e.expect_type();
  const Half half = take_half(e);
  if ((type != Type::u32 && type != Type::s32) || half == Half::wide)
    e.fail_unknown();
  e.expect_operands(3);
  e.write(0, product24(e, type, half == Half::hi), type);
}

void mad24(Emitter& e) {
  const Type type = e.expect_type();
  const Half half = take_half(e);
  const bool sat = e.modifiers().take("sat");
  if ((type != Type::u32 && type != Type::s32) || half == Half::wide ||
      (sat && (half != Half::hi || type != Type::s32)))
    e.fail_unknown();
  e.expect_operands(4);
  Value* part = product24(e, type, half == Half::hi);
  Value* c = e.read(3, type);
  e.write(0, sat ? e.call(Intrinsic::sadd_sat, {c->getType()}, {part, c}) : e.b.CreateAdd(part, c), type);
}

void sad(Emitter& e) {
  const Type type = e.expect_type();
  require_integer(e, type);
  e.expect_operands(4);
  Value* a = e.read(1, type);
  Value* b = e.read(2, type);
  Value* less = ptx::is_signed(type) ? e.b.CreateICmpSLT(a, b) : e.b.CreateICmpULT(a, b);
  Value* difference = e.b.CreateSelect(less, e.b.CreateSub(b, a), e.b.CreateSub(a, b));
  e.write(0, e.b.CreateAdd(e.read(3, type), difference), type);
}

// A zero divisor gives all ones for quotient and remainder, as NVIDIA's driver does; LLVM's division must not
// see it.
void divide(Emitter& e, Type type, bool remainder) {
  require_integer(e, type);
  e.expect_operands(3);
  Value* a = e.read(1, type);
  Value* b = e.read(2, type);
  llvm::Type* llvm_type = a->getType();
  Value* zero = e.b.CreateIsNull(b);
  Value* result = nullptr;
  if (ptx::is_signed(type)) {
    Value* minus_one = e.b.CreateICmpEQ(b, llvm::Constant::getAllOnesValue(llvm_type));
    Value* safe = e.b.CreateSelect(e.b.CreateOr(zero, minus_one), llvm::ConstantInt::get(llvm_type, 1), b);
    result = remainder ? e.b.CreateSRem(a, safe)
                       : e.b.CreateSelect(minus_one, e.b.CreateNeg(a), e.b.CreateSDiv(a, safe));
  } else {
    Value* safe = e.b.CreateSelect(zero, llvm::ConstantInt::get(llvm_type, 1), b);
    result = remainder ? e.b.CreateURem(a, safe) : e.b.CreateUDiv(a, safe);
  }
  e.write(0, e.b.CreateSelect(zero, llvm::Constant::getAllOnesValue(llvm_type), result), type);
}

void div(Emitter& e) {
  const Type type = e.expect_type();
  ptx::is_float(type) ? float_div(e, type) : divide(e, type, false);
}

void rem(Emitter& e) {
  divide(e, e.expect_type(), true);
}

void abs(Emitter& e) {
  const Type type = e.expect_type();
  if (ptx::is_float(type))
    return float_abs(e, type);
  require_integer(e, type);
  if (!ptx::is_signed(type))
    e.fail_unknown();
  e.expect_operands(2);
  Value* a = e.read(1, type);
  e.write(0, e.call(Intrinsic::abs, {a->getType()}, {a, e.b.getFalse()}), type);
}

void neg(Emitter& e) {
  const Type type = e.expect_type();
  if (ptx::is_float(type))
    return float_neg(e, type);
  require_integer(e, type);
  if (!ptx::is_signed(type))
    e.fail_unknown();
  e.expect_operands(2);
  e.write(0, e.b.CreateNeg(e.read(1, type)), type);
}

void extremum(Emitter& e, Type type, ID signed_id, ID unsigned_id) {
  require_integer(e, type);
  e.expect_operands(3);
  Value* a = e.read(1, type);
  e.write(0, e.call(ptx::is_signed(type) ? signed_id : unsigned_id, {a->getType()}, {a, e.read(2, type)}),
          type);
}

void min(Emitter& e) {
  const Type type = e.expect_type();
  ptx::is_float(type) ? float_min(e, type) : extremum(e, type, Intrinsic::smin, Intrinsic::umin);
}

void max(Emitter& e) {
  const Type type = e.expect_type();
  ptx::is_float(type) ? float_max(e, type) : extremum(e, type, Intrinsic::smax, Intrinsic::umax);
}

Value* piece(Emitter& e, Value* word, unsigned index, unsigned bits, bool is_signed) {
  Value* part = e.b.CreateTrunc(e.b.CreateLShr(word, index * bits), e.b.getIntNTy(bits));
  return extend(e, part, 32, is_signed);
}

// dp4a, dp2a: c plus the products of a's and b's parts.
void dot(Emitter& e, bool four) {
  const Type a_type = e.expect_type(), b_type = e.expect_type();
  for (Type type : {a_type, b_type})
    if (type != Type::u32 && type != Type::s32)
      e.fail_unknown();
  unsigned first = 0;
  if (!four) {
    const Half half = take_half(e);
    if (half == Half::wide)
      e.fail_unknown();
    first = half == Half::hi ? 2 : 0;
  }
  e.expect_operands(4);
  Value* a = e.read(1, a_type);
  Value* b = e.read(2, b_type);
  const bool any_signed = a_type == Type::s32 || b_type == Type::s32;
  Value* sum = e.read(3, Type::b32);
  for (unsigned i = 0; i < (four ? 4u : 2u); i++) {
    Value* x = piece(e, a, i, four ? 8 : 16, a_type == Type::s32);
    Value* y = piece(e, b, first + i, 8, b_type == Type::s32);
    sum = e.b.CreateAdd(sum, e.b.CreateMul(x, y));
  }
  e.write(0, sum, any_signed ? Type::s32 : Type::u32);
}

void dp4a(Emitter& e) {
  dot(e, true);
}
void dp2a(Emitter& e) {
  dot(e, false);
}

} // namespace

void add_integer(LoweringTable& table) {
  table.insert({{"add", add},
                {"sub", sub},
                {"mul", mul},
                {"mad", mad},
                {"addc", addc},
                {"subc", subc},
                {"madc", madc},
                {"mul24", mul24},
                {"mad24", mad24},
                {"sad", sad},
                {"div", div},
                {"rem", rem},
                {"abs", abs},
                {"neg", neg},
                {"min", min},
                {"max", max},
                {"dp4a", dp4a},
                {"dp2a", dp2a}});
}

} // namespace shim::jit
