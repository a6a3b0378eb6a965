// Comparison and selection (PTX ISA, "Comparison and Selection Instructions").
#include "families.hpp"

namespace shim::jit {
namespace {

using Predicate = llvm::CmpInst::Predicate;

struct Comparison {
  std::string_view name;
  Predicate unsigned_integer;
  Predicate signed_integer;
  Predicate real;
};

// BAD_ICMP_PREDICATE, BAD_FCMP_PREDICATE: no such comparison.
constexpr Comparison comparisons[] = {
    {"eq", Predicate::ICMP_EQ, Predicate::ICMP_EQ, Predicate::FCMP_OEQ},
    {"ne", Predicate::ICMP_NE, Predicate::ICMP_NE, Predicate::FCMP_ONE},
    {"lt", Predicate::ICMP_ULT, Predicate::ICMP_SLT, Predicate::FCMP_OLT},
    {"le", Predicate::ICMP_ULE, Predicate::ICMP_SLE, Predicate::FCMP_OLE},
    {"gt", Predicate::ICMP_UGT, Predicate::ICMP_SGT, Predicate::FCMP_OGT},
    {"ge", Predicate::ICMP_UGE, Predicate::ICMP_SGE, Predicate::FCMP_OGE},
    {"lo", Predicate::ICMP_ULT, Predicate::BAD_ICMP_PREDICATE, Predicate::BAD_FCMP_PREDICATE},
    {"ls", Predicate::ICMP_ULE, Predicate::BAD_ICMP_PREDICATE, Predicate::BAD_FCMP_PREDICATE},
    {"hi", Predicate::ICMP_UGT, Predicate::BAD_ICMP_PREDICATE, Predicate::BAD_FCMP_PREDICATE},
    {"hs", Predicate::ICMP_UGE, Predicate::BAD_ICMP_PREDICATE, Predicate::BAD_FCMP_PREDICATE},
    {"equ", Predicate::BAD_ICMP_PREDICATE, Predicate::BAD_ICMP_PREDICATE, Predicate::FCMP_UEQ},
    {"neu", Predicate::BAD_ICMP_PREDICATE, Predicate::BAD_ICMP_PREDICATE, Predicate::FCMP_UNE},
    {"ltu", Predicate::BAD_ICMP_PREDICATE, Predicate::BAD_ICMP_PREDICATE, Predicate::FCMP_ULT},
    {"leu", Predicate::BAD_ICMP_PREDICATE, Predicate::BAD_ICMP_PREDICATE, Predicate::FCMP_ULE},
    {"gtu", Predicate::BAD_ICMP_PREDICATE, Predicate::BAD_ICMP_PREDICATE, Predicate::FCMP_UGT},
    {"geu", Predicate::BAD_ICMP_PREDICATE, Predicate::BAD_ICMP_PREDICATE, Predicate::FCMP_UGE},
    {"num", Predicate::BAD_ICMP_PREDICATE, Predicate::BAD_ICMP_PREDICATE, Predicate::FCMP_ORD},
    {"nan", Predicate::BAD_ICMP_PREDICATE, Predicate::BAD_ICMP_PREDICATE, Predicate::FCMP_UNO},
};

const Comparison& take_comparison(Emitter& e) {
  for (const Comparison& comparison : comparisons)
    if (e.modifiers().take(comparison.name))
      return comparison;
  e.fail("the comparison is missing");
}

// a COMPARED TO b: i1, or <2 x i1> for f16x2.
Value* compare(Emitter& e, const Comparison& comparison, Type type) {
  Value* a = e.read(1, type);
  Value* b = e.read(2, type);
  if (ptx::is_float(type)) {
    if (comparison.real == Predicate::BAD_FCMP_PREDICATE)
      e.fail_unknown();
    if (e.modifiers().take("ftz")) {
      a = flush(e, a);
      b = flush(e, b);
    }
    return e.b.CreateFCmp(comparison.real, a, b);
  }
  const Predicate predicate = ptx::is_signed(type) ? comparison.signed_integer : comparison.unsigned_integer;
  const bool equality = predicate == Predicate::ICMP_EQ || predicate == Predicate::ICMP_NE;
  if (predicate == Predicate::BAD_ICMP_PREDICATE || (ptx::is_untyped(type) && !equality) ||
      ptx::type_bits(type) < 16)
    e.fail_unknown();
  return e.b.CreateICmp(predicate, a, b);
}

Value* combine(Emitter& e, std::string_view operation, Value* a, Value* b) {
  if (operation == "and")
    return e.b.CreateAnd(a, b);
  if (operation == "or")
    return e.b.CreateOr(a, b);
  return e.b.CreateXor(a, b);
}

void setp(Emitter& e) {
  const Type type = e.expect_type();
  const Comparison& comparison = take_comparison(e);
  const std::string_view operation = e.modifiers().take_one({"and", "or", "xor"});
  e.expect_operands(operation.empty() ? 3 : 4);
  Value* result = compare(e, comparison, type);
  Value* other = nullptr;
  if (type == Type::f16x2) {
    other = e.b.CreateExtractElement(result, std::uint64_t{1});
    result = e.b.CreateExtractElement(result, std::uint64_t{0});
  } else {
    other = e.b.CreateNot(result);
  }
  if (!operation.empty()) {
    Value* c = e.read_predicate(e.operand(3));
    result = combine(e, operation, result, c);
    other = combine(e, operation, other, c);
  }
  const Operand& destination = e.operand(0);
  if (destination.kind == Operand::Kind::pair) {
    e.write(destination.elements[0], result, Type::pred);
    e.write(destination.elements[1], other, Type::pred);
  } else if (type == Type::f16x2) {
    e.fail("expected two predicates");
  } else {
    e.write(destination, result, Type::pred);
  }
}

Value* truth_value(Emitter& e, Value* truth, Type type) {
  if (type == Type::f16x2) {
    Value* one = llvm::ConstantFP::get(e.type(type), 1.0);
    return e.b.CreateSelect(truth, one, llvm::Constant::getNullValue(e.type(type)));
  }
  if (ptx::is_float(type))
    return e.b.CreateSelect(truth, llvm::ConstantFP::get(e.type(type), 1.0),
                            llvm::ConstantFP::get(e.type(type), 0.0));
  return e.b.CreateSExt(truth, e.type(type));
}

void set(Emitter& e) {
  const Type result_type = e.expect_type(), type = e.expect_type();
  const Comparison& comparison = take_comparison(e);
  const std::string_view operation = e.modifiers().take_one({"and", "or", "xor"});
  e.expect_operands(operation.empty() ? 3 : 4);
  const bool known = result_type == Type::u32 || result_type == Type::s32 || result_type == Type::f32 ||
                     ((result_type == Type::f16 || result_type == Type::u16 || result_type == Type::s16) &&
                      type == Type::f16) ||
                     (result_type == Type::f16x2 && type == Type::f16x2);
  if (!known || (type == Type::f16x2 && result_type != Type::f16x2))
    e.fail_unknown();
  Value* truth = compare(e, comparison, type);
  if (!operation.empty()) {
    Value* c = e.read_predicate(e.operand(3));
    if (type == Type::f16x2)
      c = e.b.CreateVectorSplat(2, c);
    truth = combine(e, operation, truth, c);
  }
  e.write(0, truth_value(e, truth, result_type), result_type);
}

void selp(Emitter& e) {
  const Type type = e.expect_type();
  if (type == Type::pred || ptx::type_bits(type) < 16)
    e.fail_unknown();
  e.expect_operands(4);
  e.write(0, e.b.CreateSelect(e.read_predicate(e.operand(3)), e.read(1, type), e.read(2, type)), type);
}

void slct(Emitter& e) {
  const Type type = e.expect_type(), condition_type = e.expect_type();
  if (condition_type != Type::s32 && condition_type != Type::f32)
    e.fail_unknown();
  e.expect_operands(4);
  Value* c = e.read(3, condition_type);
  Value* take_a = nullptr;
  if (condition_type == Type::f32) {
    if (e.modifiers().take("ftz"))
      c = flush(e, c);
    take_a = e.b.CreateFCmpOGE(c, llvm::ConstantFP::get(c->getType(), 0.0));
  } else {
    take_a = e.b.CreateICmpSGE(c, e.b.getInt32(0));
  }
  e.write(0, e.b.CreateSelect(take_a, e.read(1, type), e.read(2, type)), type);
}

} // namespace

void add_compare(LoweringTable& table) {
  table.insert({{"setp", setp}, {"set", set}, {"selp", selp}, {"slct", slct}});
}

} // namespace shim::jit
