// Video instructions (PTX ISA, "Scalar Video Instructions", "SIMD Video Instructions").
//
// Operands are extended to 64 bits, where nothing overflows, and the result is cut or clamped at the end.
#include <algorithm>
#include <array>

#include "families.hpp"

namespace shim::jit {

namespace Intrinsic = llvm::Intrinsic;

namespace {

using Operation = Value* (*)(Emitter&, Value*, Value*);

Value* number(Emitter& e, std::int64_t value) {
  return e.b.getInt64(static_cast<std::uint64_t>(value));
}

Value* smaller(Emitter& e, Value* a, Value* b) {
  return e.call(Intrinsic::smin, {a->getType()}, {a, b});
}
Value* larger(Emitter& e, Value* a, Value* b) {
  return e.call(Intrinsic::smax, {a->getType()}, {a, b});
}
Value* sum(Emitter& e, Value* a, Value* b) {
  return e.b.CreateAdd(a, b);
}
Value* difference(Emitter& e, Value* a, Value* b) {
  return e.b.CreateSub(a, b);
}
Value* distance(Emitter& e, Value* a, Value* b) {
  return e.call(Intrinsic::abs, {a->getType()}, {e.b.CreateSub(a, b), e.b.getFalse()});
}
// Rounds half up, away from zero for negative sums too.
Value* average(Emitter& e, Value* a, Value* b) {
  Value* both = e.b.CreateAdd(a, b);
  Value* round = e.b.CreateZExt(e.b.CreateICmpSGE(both, number(e, 0)), e.b.getInt64Ty());
  return e.b.CreateAShr(e.b.CreateAdd(both, round), 1);
}

Type take_word_type(Emitter& e) {
  const Type type = e.expect_type();
  if (type != Type::u32 && type != Type::s32)
    e.fail_unknown();
  return type;
}

// The word of an operand, whatever its selector says.
Value* word(Emitter& e, const Operand& operand, Type type) {
  Operand whole = operand;
  whole.selector = {};
  return e.read(whole, type);
}

struct Part {
  unsigned bits = 32;
  unsigned shift = 0;
};

Part part(Emitter& e, std::string_view selector) {
  if (selector.empty())
    return {};
  const unsigned index = selector.size() == 2 ? static_cast<unsigned>(selector[1] - '0') : 9;
  if (selector[0] == 'b' && index < 4)
    return {8, 8 * index};
  if (selector[0] == 'h' && index < 2)
    return {16, 16 * index};
  e.fail(fmt::format("unknown selector `.{}`", selector));
}

Value* extract(Emitter& e, Value* whole, Part place, bool is_signed) {
  Value* bits = e.b.CreateTrunc(e.b.CreateLShr(whole, place.shift), e.b.getIntNTy(place.bits));
  return extend(e, bits, 64, is_signed);
}

Value* selected(Emitter& e, std::size_t index, Type type) {
  const Operand& operand = e.operand(index);
  return extract(e, word(e, operand, type), part(e, operand.selector), ptx::is_signed(type));
}

Value* clamp(Emitter& e, Value* x, unsigned bits, bool is_signed) {
  const std::int64_t most = (std::int64_t{1} << (is_signed ? bits - 1 : bits)) - 1;
  const std::int64_t least = is_signed ? -most - 1 : 0;
  return smaller(e, larger(e, x, number(e, least)), number(e, most));
}

Value* narrow(Emitter& e, Value* x) {
  return e.b.CreateTrunc(x, e.b.getInt32Ty());
}

// The part of `into` at `place` becomes the value's low bits.
Value* insert(Emitter& e, Value* into, Value* value, Part place) {
  const std::uint32_t mask = place.bits == 32 ? ~0u : ((1u << place.bits) - 1) << place.shift;
  Value* moved = e.b.CreateAnd(e.b.CreateShl(value, place.shift), mask);
  return e.b.CreateOr(e.b.CreateAnd(into, ~mask), moved);
}

// What a scalar instruction does with its result: a second operation with c, or a merge into c, or neither.
void finish_scalar(Emitter& e, Value* result, Type type, bool sat) {
  const std::string_view second = e.modifiers().take_one({"add", "min", "max"});
  Operand destination = e.operand(0);
  const Part place = part(e, destination.selector);
  destination.selector = {};
  const bool merges = place.bits != 32;
  e.expect_operands(second.empty() && !merges ? 3 : 4);
  if (merges && !second.empty())
    e.fail_unknown();
  const bool is_signed = ptx::is_signed(type);
  if (sat)
    result = clamp(e, result, place.bits, is_signed);
  if (second == "add")
    result = e.b.CreateAdd(result, extend(e, e.read(3, type), 64, is_signed));
  else if (!second.empty())
    result = (second == "min" ? smaller : larger)(e, result, extend(e, e.read(3, type), 64, is_signed));
  Value* low = narrow(e, result);
  if (merges)
    low = insert(e, e.read(3, type), low, place);
  e.write(destination, low, type);
}

// NVIDIA's driver, seen: sums and differences that saturate to .u32 stop at zero, and wrap above.
void scalar(Emitter& e, Operation operation) {
  const Type type = take_word_type(e), a_type = take_word_type(e), b_type = take_word_type(e);
  bool sat = e.modifiers().take("sat");
  e.expect_operands(3, 4);
  Value* result = operation(e, selected(e, 1, a_type), selected(e, 2, b_type));
  if (sat && type == Type::u32 && e.operand(0).selector.empty()) {
    result = larger(e, result, number(e, 0));
    sat = false;
  }
  // A second operation sees 32 bits, but a distance, which has no sign, whole.
  if (!sat && operation != distance)
    result = extend(e, narrow(e, result), 64, ptx::is_signed(type));
  finish_scalar(e, result, type, sat);
}

void shift(Emitter& e, bool left) {
  const Type type = take_word_type(e), a_type = take_word_type(e);
  if (take_word_type(e) != Type::u32)
    e.fail_unknown();
  const bool sat = e.modifiers().take("sat");
  const std::string_view mode = e.modifiers().take_one({"clamp", "wrap"});
  if (mode.empty())
    e.fail_unknown();
  e.expect_operands(3, 4);
  Value* amount = selected(e, 2, Type::u32);
  amount = mode == "clamp" ? smaller(e, amount, number(e, 32)) : e.b.CreateAnd(amount, 31);
  Value* a = selected(e, 1, a_type);
  finish_scalar(e, left ? e.b.CreateShl(a, amount) : e.b.CreateAShr(a, amount), type, sat);
}

constexpr llvm::CmpInst::Predicate no_comparison = llvm::CmpInst::BAD_ICMP_PREDICATE;

llvm::CmpInst::Predicate take_comparison(Emitter& e) {
  struct Row {
    std::string_view name;
    llvm::CmpInst::Predicate predicate;
  };
  static constexpr Row rows[] = {{"eq", llvm::CmpInst::ICMP_EQ},  {"ne", llvm::CmpInst::ICMP_NE},
                                 {"lt", llvm::CmpInst::ICMP_SLT}, {"le", llvm::CmpInst::ICMP_SLE},
                                 {"gt", llvm::CmpInst::ICMP_SGT}, {"ge", llvm::CmpInst::ICMP_SGE}};
  for (const Row& row : rows)
    if (e.modifiers().take(row.name))
      return row.predicate;
  return no_comparison;
}

void vset(Emitter& e) {
  const Type a_type = take_word_type(e), b_type = take_word_type(e);
  const auto predicate = take_comparison(e);
  if (predicate == no_comparison)
    e.fail_unknown();
  e.expect_operands(3, 4);
  Value* truth = e.b.CreateICmp(predicate, selected(e, 1, a_type), selected(e, 2, b_type));
  finish_scalar(e, e.b.CreateZExt(truth, e.b.getInt64Ty()), Type::u32, false);
}

// d = a * b + c, each with a sign of its own, + 1 with .po, shifted and clamped. As NVIDIA's driver does it
// (seen): whole words and c count as signed, whatever their types say; the types decide how the sum is
// shifted and clamped.
void vmad(Emitter& e) {
  const Type type = take_word_type(e), a_type = take_word_type(e), b_type = take_word_type(e);
  const bool plus_one = e.modifiers().take("po"), sat = e.modifiers().take("sat");
  const std::string_view scale = e.modifiers().take_one({"shr7", "shr15"});
  e.expect_operands(4);
  const bool product_negated = e.operand(1).minus != e.operand(2).minus, c_negated = e.operand(3).minus;
  if (plus_one && (product_negated || c_negated))
    e.fail("a sign beside `.po`");
  const bool is_signed = ptx::is_signed(a_type) || ptx::is_signed(b_type) || product_negated || c_negated;
  const auto factor = [&](std::size_t index, Type own) {
    return selected(e, index, e.operand(index).selector.empty() ? Type::s32 : own);
  };
  Value* product = e.b.CreateMul(factor(1, a_type), factor(2, b_type));
  Value* c = extend(e, word(e, e.operand(3), type), 64, true);
  Value* result =
      e.b.CreateAdd(product_negated ? e.b.CreateNeg(product) : product, c_negated ? e.b.CreateNeg(c) : c);
  if (plus_one)
    result = e.b.CreateAdd(result, number(e, 1));
  if (!scale.empty()) {
    const std::uint64_t distance = scale == "shr7" ? 7 : 15;
    result = is_signed ? e.b.CreateAShr(result, distance) : e.b.CreateLShr(result, distance);
  }
  e.write(0, narrow(e, sat ? clamp(e, result, 32, is_signed) : result), type);
}

// Which parts of a and b, counted through both, the selector picks; part 0 first.
std::array<unsigned, 4> lanes(Emitter& e, std::string_view selector, unsigned count, unsigned first) {
  std::array<unsigned, 4> result = {first, first + 1, first + 2, first + 3};
  if (selector.empty())
    return result;
  if (selector.size() != count + 1 || selector[0] != (count == 2 ? 'h' : 'b'))
    e.fail(fmt::format("unknown selector `.{}`", selector));
  for (unsigned i = 0; i < count; i++) {
    result[i] = static_cast<unsigned>(selector[count - i] - '0');
    if (result[i] >= 2 * count)
      e.fail(fmt::format("unknown selector `.{}`", selector));
  }
  return result;
}

// The parts that the destination's mask names; all where there is none.
unsigned mask(Emitter& e, std::string_view selector, unsigned count) {
  if (selector.empty())
    return (1u << count) - 1;
  unsigned result = 0;
  for (char digit : selector.substr(1))
    result |= 1u << (digit - '0');
  if (selector[0] != (count == 2 ? 'h' : 'b') || result >= 1u << count)
    e.fail(fmt::format("unknown selector `.{}`", selector));
  return result;
}

struct SimdInput {
  std::array<Value*, 4> a, b;
};

SimdInput read_lanes(Emitter& e, unsigned count, Type a_type, Type b_type) {
  const unsigned bits = 32 / count;
  const std::array<Value*, 2> words = {word(e, e.operand(1), Type::b32), word(e, e.operand(2), Type::b32)};
  const auto a_lanes = lanes(e, e.operand(1).selector, count, 0),
             b_lanes = lanes(e, e.operand(2).selector, count, count);
  SimdInput input = {};
  for (unsigned i = 0; i < count; i++) {
    input.a[i] =
        extract(e, words[a_lanes[i] / count], {bits, a_lanes[i] % count * bits}, ptx::is_signed(a_type));
    input.b[i] =
        extract(e, words[b_lanes[i] / count], {bits, b_lanes[i] % count * bits}, ptx::is_signed(b_type));
  }
  return input;
}

void finish_simd(Emitter& e, const std::array<Value*, 4>& results, unsigned count, Type type, bool sat) {
  const unsigned bits = 32 / count;
  const bool accumulates = e.modifiers().take("add");
  Operand destination = e.operand(0);
  const unsigned wanted = mask(e, destination.selector, count);
  destination.selector = {};
  Value* d = e.read(3, type);
  for (unsigned i = 0; i < count; i++) {
    if (!(wanted >> i & 1))
      continue;
    Value* result = sat ? clamp(e, results[i], bits, ptx::is_signed(type)) : results[i];
    d = accumulates ? e.b.CreateAdd(d, narrow(e, result)) : insert(e, d, narrow(e, result), {bits, i * bits});
  }
  e.write(destination, d, type);
}

void simd(Emitter& e, unsigned count, Operation operation) {
  const Type type = take_word_type(e), a_type = take_word_type(e), b_type = take_word_type(e);
  const bool sat = e.modifiers().take("sat");
  e.expect_operands(4);
  const SimdInput input = read_lanes(e, count, a_type, b_type);
  std::array<Value*, 4> results = {};
  for (unsigned i = 0; i < count; i++)
    results[i] = operation(e, input.a[i], input.b[i]);
  finish_simd(e, results, count, type, sat);
}

void simd_set(Emitter& e, unsigned count) {
  const Type a_type = take_word_type(e), b_type = take_word_type(e);
  const auto predicate = take_comparison(e);
  if (predicate == no_comparison)
    e.fail_unknown();
  e.expect_operands(4);
  const SimdInput input = read_lanes(e, count, a_type, b_type);
  std::array<Value*, 4> results = {};
  for (unsigned i = 0; i < count; i++)
    results[i] = e.b.CreateZExt(e.b.CreateICmp(predicate, input.a[i], input.b[i]), e.b.getInt64Ty());
  finish_simd(e, results, count, Type::u32, false);
}

template <Operation operation>
void scalar_row(Emitter& e) {
  scalar(e, operation);
}

template <unsigned count, Operation operation>
void simd_row(Emitter& e) {
  simd(e, count, operation);
}

} // namespace

void add_video(LoweringTable& table) {
  table.insert({{"vadd", scalar_row<sum>},
                {"vsub", scalar_row<difference>},
                {"vabsdiff", scalar_row<distance>},
                {"vmin", scalar_row<smaller>},
                {"vmax", scalar_row<larger>},
                {"vshl", [](Emitter& e) { shift(e, true); }},
                {"vshr", [](Emitter& e) { shift(e, false); }},
                {"vmad", vmad},
                {"vset", vset},
                {"vadd2", simd_row<2, sum>},
                {"vadd4", simd_row<4, sum>},
                {"vsub2", simd_row<2, difference>},
                {"vsub4", simd_row<4, difference>},
                {"vavrg2", simd_row<2, average>},
                {"vavrg4", simd_row<4, average>},
                {"vabsdiff2", simd_row<2, distance>},
                {"vabsdiff4", simd_row<4, distance>},
                {"vmin2", simd_row<2, smaller>},
                {"vmin4", simd_row<4, smaller>},
                {"vmax2", simd_row<2, larger>},
                {"vmax4", simd_row<4, larger>},
                {"vset2", [](Emitter& e) { simd_set(e, 2); }},
                {"vset4", [](Emitter& e) { simd_set(e, 4); }}});
}

} // namespace shim::jit
