// Logic, shifts, bit fields, bytes (PTX ISA, "Logic and Shift Instructions" and parts of the integer
// chapter).
#include "families.hpp"

#include <algorithm>
#include <array>

namespace shim::jit {

namespace Intrinsic = llvm::Intrinsic;

namespace {

Value* clamped_amount(Emitter& e, Value* amount, unsigned limit, llvm::Type* type) {
  Value* least = e.call(Intrinsic::umin, {amount->getType()},
                        {amount, llvm::ConstantInt::get(amount->getType(), limit)});
  return e.b.CreateZExtOrTrunc(least, type);
}

// Whether the amount is below the width, and the amount made harmless.
std::pair<Value*, Value*> checked_amount(Emitter& e, Value* x, Value* amount) {
  const unsigned bits = x->getType()->getIntegerBitWidth();
  Value* fits = e.b.CreateICmpULT(amount, llvm::ConstantInt::get(amount->getType(), bits));
  return {fits, clamped_amount(e, amount, bits - 1, x->getType())};
}

Type expect_bits(Emitter& e, unsigned least = 16) {
  const Type type = e.expect_type();
  if (!ptx::is_untyped(type) || ptx::type_bits(type) < least)
    e.fail_unknown();
  return type;
}

template <class Operation>
void logic(Emitter& e, Operation operation) {
  const Type type = e.expect_type();
  if ((!ptx::is_untyped(type) || type == Type::b8) && type != Type::pred)
    e.fail_unknown();
  e.expect_operands(3);
  e.write(0, operation(e.read(1, type), e.read(2, type)), type);
}

void and_(Emitter& e) {
  logic(e, [&](Value* a, Value* b) { return e.b.CreateAnd(a, b); });
}
void or_(Emitter& e) {
  logic(e, [&](Value* a, Value* b) { return e.b.CreateOr(a, b); });
}
void xor_(Emitter& e) {
  logic(e, [&](Value* a, Value* b) { return e.b.CreateXor(a, b); });
}

void not_(Emitter& e) {
  const Type type = e.expect_type();
  if ((!ptx::is_untyped(type) || type == Type::b8) && type != Type::pred)
    e.fail_unknown();
  e.expect_operands(2);
  e.write(0, e.b.CreateNot(e.read(1, type)), type);
}

void cnot(Emitter& e) {
  const Type type = expect_bits(e);
  e.expect_operands(2);
  e.write(0, e.b.CreateZExt(e.b.CreateIsNull(e.read(1, type)), e.integer_type(type)), type);
}

std::uint64_t constant_operand(Emitter& e, std::size_t index, std::uint64_t limit) {
  const Operand& operand = e.operand(index);
  if (operand.kind != Operand::Kind::integer || static_cast<std::uint64_t>(operand.integer) > limit)
    e.fail("expected a constant");
  return static_cast<std::uint64_t>(operand.integer);
}

// A function of two bits by its truth table (bit 2a + b), on whole words.
Value* two_input(Emitter& e, unsigned table, Value* a, Value* b) {
  llvm::Type* type = a->getType();
  Value* when_a = table >> 2 == 3   ? llvm::Constant::getAllOnesValue(type)
                  : table >> 2 == 2 ? b
                  : table >> 2 == 1 ? e.b.CreateNot(b)
                                    : llvm::Constant::getNullValue(type);
  const unsigned low = table & 3;
  Value* when_not = low == 3   ? llvm::Constant::getAllOnesValue(type)
                    : low == 2 ? b
                    : low == 1 ? e.b.CreateNot(b)
                               : llvm::Constant::getNullValue(type);
  if (table >> 2 == low)
    return when_a;
  return e.b.CreateOr(e.b.CreateAnd(a, when_a), e.b.CreateAnd(e.b.CreateNot(a), when_not));
}

void lop3(Emitter& e) {
  if (expect_bits(e) != Type::b32)
    e.fail_unknown();
  e.expect_operands(5);
  const auto table = static_cast<unsigned>(constant_operand(e, 4, 255));
  Value* a = e.read(1, Type::b32);
  Value* b = e.read(2, Type::b32);
  Value* c = e.read(3, Type::b32);
  Value* when_a = two_input(e, table >> 4, b, c);
  Value* when_not = two_input(e, table & 15, b, c);
  if (table >> 4 == (table & 15))
    return e.write(0, when_a, Type::b32);
  e.write(0, e.b.CreateOr(e.b.CreateAnd(a, when_a), e.b.CreateAnd(e.b.CreateNot(a), when_not)), Type::b32);
}

void shl(Emitter& e) {
  const Type type = expect_bits(e);
  e.expect_operands(3);
  e.write(0, shift_left(e, e.read(1, type), e.read(2, Type::b32)), type);
}

void shr(Emitter& e) {
  const Type type = e.expect_type();
  if (ptx::is_float(type) || ptx::type_bits(type) < 16)
    e.fail_unknown();
  e.expect_operands(3);
  Value* a = e.read(1, type);
  Value* amount = e.read(2, Type::b32);
  e.write(0, ptx::is_signed(type) ? shift_right_signed(e, a, amount) : shift_right(e, a, amount), type);
}

void shf(Emitter& e) {
  const std::string_view direction = e.modifiers().take_one({"l", "r"});
  const std::string_view mode = e.modifiers().take_one({"wrap", "clamp"});
  if (direction.empty() || mode.empty() || expect_bits(e) != Type::b32)
    e.fail_unknown();
  e.expect_operands(4);
  Value* low = e.read(1, Type::b32);
  Value* high = e.read(2, Type::b32);
  Value* amount = e.read(3, Type::b32);
  const bool left = direction == "l";
  if (mode == "wrap") {
    e.write(0, e.call(left ? Intrinsic::fshl : Intrinsic::fshr, {e.b.getInt32Ty()}, {high, low, amount}),
            Type::b32);
    return;
  }
  llvm::Type* wide = e.b.getInt64Ty();
  Value* both = e.b.CreateOr(e.b.CreateShl(e.b.CreateZExt(high, wide), 32), e.b.CreateZExt(low, wide));
  Value* distance = clamped_amount(e, amount, 32, wide);
  Value* shifted = left ? e.b.CreateLShr(e.b.CreateShl(both, distance), 32) : e.b.CreateLShr(both, distance);
  e.write(0, e.b.CreateTrunc(shifted, e.b.getInt32Ty()), Type::b32);
}

// Byte `index` (an i32, 0 to 7) of the 64-bit value, as i32.
Value* pick_byte(Emitter& e, Value* both, Value* index) {
  Value* distance = e.b.CreateZExt(e.b.CreateShl(index, 3), e.b.getInt64Ty());
  return e.b.CreateAnd(e.b.CreateTrunc(e.b.CreateLShr(both, distance), e.b.getInt32Ty()), 0xff);
}

// Which byte goes to place i in a named mode of prmt, n being the low two bits of the selector.
Value* prmt_index(Emitter& e, std::string_view mode, Value* n, unsigned i) {
  llvm::Type* word = e.b.getInt32Ty();
  Value* place = e.b.getInt32(i);
  if (mode == "f4e")
    return e.b.CreateAdd(n, place);
  if (mode == "b4e")
    return e.b.CreateAnd(e.b.CreateSub(n, place), 7);
  if (mode == "rc8")
    return n;
  if (mode == "ecl")
    return e.call(Intrinsic::umax, {word}, {n, place});
  if (mode == "ecr")
    return e.call(Intrinsic::umin, {word}, {n, place});
  return e.b.CreateAdd(e.b.CreateShl(e.b.CreateAnd(n, 1), 1), e.b.getInt32(i & 1)); // rc16
}

void prmt(Emitter& e) {
  if (expect_bits(e) != Type::b32)
    e.fail_unknown();
  const std::string_view mode = e.modifiers().take_one({"f4e", "b4e", "rc8", "ecl", "ecr", "rc16"});
  e.expect_operands(4);
  llvm::Type* wide = e.b.getInt64Ty();
  Value* low = e.b.CreateZExt(e.read(1, Type::b32), wide);
  Value* both = e.b.CreateOr(e.b.CreateShl(e.b.CreateZExt(e.read(2, Type::b32), wide), 32), low);
  Value* selector = e.read(3, Type::b32);
  Value* result = e.b.getInt32(0);
  for (unsigned i = 0; i < 4; i++) {
    Value* byte = nullptr;
    if (mode.empty()) {
      Value* nibble = e.b.CreateLShr(selector, 4 * i);
      byte = pick_byte(e, both, e.b.CreateAnd(nibble, 7));
      Value* sign = e.b.CreateSelect(e.b.CreateIsNotNull(e.b.CreateAnd(byte, 0x80)), e.b.getInt32(0xff),
                                     e.b.getInt32(0));
      byte = e.b.CreateSelect(e.b.CreateIsNotNull(e.b.CreateAnd(nibble, 8)), sign, byte);
    } else {
      byte = pick_byte(e, both, prmt_index(e, mode, e.b.CreateAnd(selector, 3), i));
    }
    result = e.b.CreateOr(result, e.b.CreateShl(byte, 8 * i));
  }
  e.write(0, result, Type::b32);
}

void popc(Emitter& e) {
  const Type type = expect_bits(e, 32);
  e.expect_operands(2);
  Value* a = e.read(1, type);
  e.write(0, e.b.CreateZExtOrTrunc(e.call(Intrinsic::ctpop, {a->getType()}, {a}), e.b.getInt32Ty()),
          Type::u32);
}

Value* leading_zeros(Emitter& e, Value* a) {
  return e.b.CreateZExtOrTrunc(e.call(Intrinsic::ctlz, {a->getType()}, {a, e.b.getFalse()}),
                               e.b.getInt32Ty());
}

void clz(Emitter& e) {
  const Type type = expect_bits(e, 32);
  e.expect_operands(2);
  e.write(0, leading_zeros(e, e.read(1, type)), Type::u32);
}

void bfind(Emitter& e) {
  const bool shift_amount = e.modifiers().take("shiftamt");
  const Type type = e.expect_type();
  const unsigned bits = ptx::type_bits(type);
  if (!ptx::is_integer(type) || bits < 32)
    e.fail_unknown();
  e.expect_operands(2);
  Value* a = e.read(1, type);
  if (ptx::is_signed(type))
    a = e.b.CreateXor(a, e.b.CreateAShr(a, bits - 1));
  Value* zeros = leading_zeros(e, a);
  Value* position = shift_amount ? zeros : e.b.CreateSub(e.b.getInt32(bits - 1), zeros);
  e.write(0, e.b.CreateSelect(e.b.CreateIsNull(a), e.b.getInt32(~0u), position), Type::u32);
}

void brev(Emitter& e) {
  const Type type = expect_bits(e, 32);
  e.expect_operands(2);
  Value* a = e.read(1, type);
  e.write(0, e.call(Intrinsic::bitreverse, {a->getType()}, {a}), type);
}

// Ones in the low `length` bits.
Value* low_mask(Emitter& e, Value* length, llvm::Type* type) {
  return e.b.CreateNot(shift_left(e, llvm::Constant::getAllOnesValue(type), length));
}

// NVIDIA looks at eight bits of a field's position and length in 32-bit words, at all of them in 64-bit
// words.
Value* field_bound(Emitter& e, Value* bound, unsigned bits) {
  return bits == 32 ? e.b.CreateAnd(bound, 0xff) : bound;
}

void bfe(Emitter& e) {
  const Type type = e.expect_type();
  const unsigned bits = ptx::type_bits(type);
  if (!ptx::is_integer(type) || bits < 32)
    e.fail_unknown();
  e.expect_operands(4);
  Value* a = e.read(1, type);
  Value* position = field_bound(e, e.read(2, Type::b32), bits);
  Value* length = field_bound(e, e.read(3, Type::b32), bits);
  if (!ptx::is_signed(type))
    return e.write(0, e.b.CreateAnd(shift_right(e, a, position), low_mask(e, length, a->getType())), type);
  Value* shifted = shift_right_signed(e, a, position);
  Value* unused = e.b.CreateSub(e.b.getInt32(bits),
                                e.call(Intrinsic::umin, {e.b.getInt32Ty()}, {length, e.b.getInt32(bits)}));
  // An empty field shifts everything out on the left, so that 0 comes back.
  e.write(0, shift_right_signed(e, shift_left(e, shifted, unused), unused), type);
}

void bfi(Emitter& e) {
  const Type type = expect_bits(e, 32);
  e.expect_operands(5);
  Value* a = e.read(1, type);
  Value* b = e.read(2, type);
  Value* position = field_bound(e, e.read(3, Type::b32), ptx::type_bits(type));
  Value* length = field_bound(e, e.read(4, Type::b32), ptx::type_bits(type));
  Value* mask = shift_left(e, low_mask(e, length, a->getType()), position);
  Value* field = e.b.CreateAnd(shift_left(e, a, position), mask);
  e.write(0, e.b.CreateOr(e.b.CreateAnd(b, e.b.CreateNot(mask)), field), type);
}

} // namespace

Value* shift_left(Emitter& e, Value* x, Value* amount) {
  const auto [fits, safe] = checked_amount(e, x, amount);
  return e.b.CreateSelect(fits, e.b.CreateShl(x, safe), llvm::Constant::getNullValue(x->getType()));
}

Value* shift_right(Emitter& e, Value* x, Value* amount) {
  const auto [fits, safe] = checked_amount(e, x, amount);
  return e.b.CreateSelect(fits, e.b.CreateLShr(x, safe), llvm::Constant::getNullValue(x->getType()));
}

Value* shift_right_signed(Emitter& e, Value* x, Value* amount) {
  const unsigned bits = x->getType()->getIntegerBitWidth();
  return e.b.CreateAShr(x, clamped_amount(e, amount, bits - 1, x->getType()));
}

void add_bits(LoweringTable& table) {
  table.insert({{"and", and_},
                {"or", or_},
                {"xor", xor_},
                {"not", not_},
                {"cnot", cnot},
                {"lop3", lop3},
                {"shl", shl},
                {"shr", shr},
                {"shf", shf},
                {"prmt", prmt},
                {"popc", popc},
                {"clz", clz},
                {"bfind", bfind},
                {"brev", brev},
                {"bfe", bfe},
                {"bfi", bfi}});
}

} // namespace shim::jit
