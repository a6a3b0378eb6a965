// mov, cvta, isspacep (PTX ISA, "Data Movement and Conversion Instructions").
#include "families.hpp"

namespace shim::jit {

namespace Intrinsic = llvm::Intrinsic;

namespace {

Type untyped(unsigned bits) {
  switch (bits) {
  case 8:
    return Type::b8;
  case 16:
    return Type::b16;
  case 32:
    return Type::b32;
  case 64:
    return Type::b64;
  default:
    return Type::none;
  }
}

Type element_type(Emitter& e, Type whole, std::size_t count) {
  const Type type = count ? untyped(ptx::type_bits(whole) / static_cast<unsigned>(count)) : Type::none;
  if (type == Type::none || ptx::type_bits(type) * count != ptx::type_bits(whole))
    e.fail(fmt::format("a vector of {}", count));
  return type;
}

void pack(Emitter& e, Type type) {
  const auto& elements = e.operand(1).elements;
  const Type part = element_type(e, type, elements.size());
  Value* result = llvm::Constant::getNullValue(e.integer_type(type));
  for (std::size_t i = 0; i < elements.size(); i++) {
    Value* bits = e.b.CreateZExt(e.read_bits(elements[i], part), result->getType());
    result = e.b.CreateOr(result, e.b.CreateShl(bits, i * ptx::type_bits(part)));
  }
  e.write(0, result, type);
}

void unpack(Emitter& e, Type type) {
  const auto& elements = e.operand(0).elements;
  const Type part = element_type(e, type, elements.size());
  Value* bits = e.read_bits(e.operand(1), type);
  for (std::size_t i = 0; i < elements.size(); i++)
    e.write(elements[i],
            e.b.CreateTrunc(e.b.CreateLShr(bits, i * ptx::type_bits(part)), e.integer_type(part)), part);
}

void move_vector(Emitter& e, Type type, std::size_t count) {
  const auto& to = e.operand(0).elements;
  const auto& from = e.operand(1).elements;
  if (to.size() != count || from.size() != count)
    e.fail("expected two vectors");
  std::vector<Value*> values;
  for (const Operand& element : from)
    values.push_back(e.read(element, type));
  for (std::size_t i = 0; i < count; i++)
    e.write(to[i], values[i], type);
}

void mov(Emitter& e) {
  const std::string_view vector = e.modifiers().take_one({"v2", "v4"});
  const Type type = e.expect_type();
  e.expect_operands(2);
  if (type != Type::pred && ptx::type_bits(type) < 16)
    e.fail_unknown();
  if (!vector.empty())
    return move_vector(e, type, vector == "v2" ? 2 : 4);
  if (e.operand(1).kind == Operand::Kind::vector)
    return pack(e, type);
  if (e.operand(0).kind == Operand::Kind::vector)
    return unpack(e, type);
  e.write(0, e.read(1, type), type);
}

void cvta(Emitter& e) {
  const bool to = e.modifiers().take("to");
  const Space space = take_space(e);
  const Type type = e.expect_type();
  if (type != Type::u64 && type != Type::u32)
    e.fail_unknown();
  if (type == Type::u32)
    e.fail("32-bit generic address");
  e.expect_operands(2);
  Value* address = e.read(1, type);
  const bool narrow = space == Space::shared || space == Space::local;
  if (narrow && to)
    address =
        e.b.CreateZExt(e.b.CreateTrunc(address, e.b.getInt32Ty()), e.b.getInt64Ty()); // drops the aperture
  else if (space == Space::shared)
    address = e.generic_from_shared(address);
  else if (space == Space::local || (space == Space::param && !e.function().entry))
    address = e.generic_from_local(address);
  else if (space == Space::generic)
    e.fail("the state space is missing");
  e.write(0, address, type);
}

void isspacep(Emitter& e) {
  const Space space = take_space(e);
  e.expect_operands(2);
  Value* address = e.pointer_from_integer(e.read(1, Type::b64), Space::generic);
  const auto test = [&](Intrinsic::ID id) { return e.call(id, {}, {address}); };
  if (space == Space::shared)
    return e.write(0, test(Intrinsic::amdgcn_is_shared), Type::pred);
  if (space == Space::local)
    return e.write(0, test(Intrinsic::amdgcn_is_private), Type::pred);
  if (space != Space::global)
    e.fail_unknown();
  Value* other = e.b.CreateOr(test(Intrinsic::amdgcn_is_shared), test(Intrinsic::amdgcn_is_private));
  e.write(0, e.b.CreateNot(other), Type::pred);
}

} // namespace

void add_move(LoweringTable& table) {
  table.insert({{"mov", mov}, {"cvta", cvta}, {"isspacep", isspacep}});
}

} // namespace shim::jit
