// Instructions between the lanes of a warp: shfl, vote, match, activemask, redux (PTX ISA, "Data
// Movement and Conversion Instructions", "Parallel Synchronization and Communication Instructions").
//
// A warp is a wave32. Lanes that a member mask names but that are elsewhere in the program do not arrive: the
// code runs with the lanes that are here.
#include "families.hpp"

namespace shim::jit {

namespace Intrinsic = llvm::Intrinsic;

namespace {

Value* ballot(Emitter& e, Value* predicate) {
  return e.call(Intrinsic::amdgcn_ballot, {e.b.getInt32Ty()}, {predicate});
}

// The lane to read from, and whether it is inside the segment (PTX ISA, pseudo-code of shfl).
std::pair<Value*, Value*> shuffle_source(Emitter& e, std::string_view mode, Value* amount, Value* clamp) {
  Value* lane = e.lane();
  Value* offset = e.b.CreateAnd(amount, 0x1f);
  Value* segment = e.b.CreateAnd(e.b.CreateLShr(clamp, 8), 0x1f);
  Value* limit = e.b.CreateAnd(clamp, 0x1f);
  Value* first = e.b.CreateAnd(lane, segment);
  Value* outside = e.b.CreateNot(segment);
  Value* last = e.b.CreateOr(first, e.b.CreateAnd(limit, outside));
  Value* source = nullptr;
  Value* inside = nullptr;
  if (mode == "up") {
    source = e.b.CreateSub(lane, offset);
    inside = e.b.CreateICmpSGE(source, last);
  } else if (mode == "down") {
    source = e.b.CreateAdd(lane, offset);
    inside = e.b.CreateICmpSLE(source, last);
  } else if (mode == "bfly") {
    source = e.b.CreateXor(lane, offset);
    inside = e.b.CreateICmpSLE(source, last);
  } else {
    source = e.b.CreateOr(first, e.b.CreateAnd(offset, outside));
    inside = e.b.CreateICmpSLE(source, last);
  }
  return {e.b.CreateSelect(inside, source, lane), inside};
}

void shfl(Emitter& e) {
  const bool sync = e.modifiers().take("sync");
  const std::string_view mode = e.modifiers().take_one({"up", "down", "bfly", "idx"});
  const Type type = e.expect_type();
  if (mode.empty() || ptx::type_bits(type) != 32 || type == Type::f16x2)
    e.fail_unknown();
  e.expect_operands(sync ? 5 : 4);
  if (sync)
    e.read(4, Type::b32);
  Value* value = e.read_bits(e.operand(1), Type::b32);
  const auto [source, inside] = shuffle_source(e, mode, e.read(2, Type::b32), e.read(3, Type::b32));
  Value* result = e.call(Intrinsic::amdgcn_ds_bpermute, {}, {e.b.CreateShl(source, 2), value});
  const Operand& destination = e.operand(0);
  if (destination.kind != Operand::Kind::pair)
    return e.write(destination, result, Type::b32);
  e.write(destination.elements[0], result, Type::b32);
  e.write(destination.elements[1], inside, Type::pred);
}

void vote(Emitter& e) {
  const bool sync = e.modifiers().take("sync");
  const std::string_view mode = e.modifiers().take_one({"all", "any", "uni", "ballot"});
  const Type type = e.expect_type();
  if (mode.empty() || type != (mode == "ballot" ? Type::b32 : Type::pred))
    e.fail_unknown();
  e.expect_operands(sync ? 3 : 2);
  Value* members = ballot(e, e.b.getTrue());
  if (sync)
    members = e.b.CreateAnd(members, e.read(2, Type::b32));
  Value* yes = e.b.CreateAnd(ballot(e, e.read_predicate(e.operand(1))), members);
  if (mode == "ballot")
    return e.write(0, yes, Type::b32);
  Value* none = e.b.CreateIsNull(yes);
  Value* all = e.b.CreateICmpEQ(yes, members);
  e.write(0, mode == "all" ? all : mode == "any" ? e.b.CreateNot(none) : e.b.CreateOr(none, all), Type::pred);
}

void activemask(Emitter& e) {
  if (e.expect_type() != Type::b32)
    e.fail_unknown();
  e.expect_operands(1);
  e.write(0, ballot(e, e.b.getTrue()), Type::b32);
}

// The value that a lane holds.
Value* read_lane(Emitter& e, Value* value, Value* lane) {
  const auto read_word = [&](Value* word) {
    return e.call(Intrinsic::amdgcn_readlane, {e.b.getInt32Ty()}, {word, lane});
  };
  if (value->getType()->getIntegerBitWidth() == 32)
    return read_word(value);
  llvm::Type* wide = e.b.getInt64Ty();
  Value* low = read_word(e.b.CreateTrunc(value, e.b.getInt32Ty()));
  Value* high = read_word(e.b.CreateTrunc(e.b.CreateLShr(value, 32), e.b.getInt32Ty()));
  return e.b.CreateOr(e.b.CreateShl(e.b.CreateZExt(high, wide), 32), e.b.CreateZExt(low, wide));
}

Value* first_lane(Emitter& e, Value* mask) {
  return e.call(Intrinsic::cttz, {e.b.getInt32Ty()}, {mask, e.b.getFalse()});
}

// For each lane, the lanes that hold the same value: one turn of a loop for each distinct value.
Value* match_any(Emitter& e, Value* value, Value* members) {
  llvm::BasicBlock* before = e.b.GetInsertBlock();
  llvm::BasicBlock* loop = e.new_block("match");
  llvm::BasicBlock* done = e.new_block("matched");
  llvm::Type* word = e.b.getInt32Ty();
  e.b.CreateBr(loop);
  e.b.SetInsertPoint(loop);
  auto* left = e.b.CreatePHI(word, 2);
  auto* result = e.b.CreatePHI(word, 2);
  Value* same = e.b.CreateICmpEQ(value, read_lane(e, value, first_lane(e, left)));
  Value* group = e.b.CreateAnd(ballot(e, same), members);
  Value* next_result = e.b.CreateSelect(same, group, result);
  Value* next_left = e.b.CreateAnd(left, e.b.CreateNot(group));
  left->addIncoming(members, before);
  left->addIncoming(next_left, loop);
  result->addIncoming(e.b.getInt32(0), before);
  result->addIncoming(next_result, loop);
  e.b.CreateCondBr(e.b.CreateIsNull(next_left), done, loop);
  e.b.SetInsertPoint(done);
  return next_result;
}

void match(Emitter& e) {
  const std::string_view mode = e.modifiers().take_one({"any", "all"});
  const bool sync = e.modifiers().take("sync");
  const Type type = e.expect_type();
  if (!sync || mode.empty() || (type != Type::b32 && type != Type::b64))
    e.fail_unknown();
  e.expect_operands(3);
  Value* value = e.read(1, type);
  Value* members = e.b.CreateAnd(ballot(e, e.b.getTrue()), e.read(2, Type::b32));
  if (mode == "any")
    return e.write(0, match_any(e, value, members), Type::b32);
  Value* same = e.b.CreateICmpEQ(value, read_lane(e, value, first_lane(e, members)));
  Value* all = e.b.CreateICmpEQ(e.b.CreateAnd(ballot(e, same), members), members);
  Value* mask = e.b.CreateSelect(all, members, e.b.getInt32(0));
  const Operand& destination = e.operand(0);
  if (destination.kind != Operand::Kind::pair)
    return e.write(destination, mask, Type::b32);
  e.write(destination.elements[0], mask, Type::b32);
  e.write(destination.elements[1], all, Type::pred);
}

Value* apply(Emitter& e, std::string_view operation, Type type, Value* a, Value* b) {
  const bool is_signed = ptx::is_signed(type);
  if (operation == "add")
    return e.b.CreateAdd(a, b);
  if (operation == "and")
    return e.b.CreateAnd(a, b);
  if (operation == "or")
    return e.b.CreateOr(a, b);
  if (operation == "xor")
    return e.b.CreateXor(a, b);
  if (operation == "min")
    return e.call(is_signed ? Intrinsic::smin : Intrinsic::umin, {a->getType()}, {a, b});
  return e.call(is_signed ? Intrinsic::smax : Intrinsic::umax, {a->getType()}, {a, b});
}

// redux.sync: a loop over the members.
void redux(Emitter& e) {
  const bool sync = e.modifiers().take("sync");
  const std::string_view operation = e.modifiers().take_one({"add", "min", "max", "and", "or", "xor"});
  const Type type = e.expect_type();
  const bool bitwise = operation == "and" || operation == "or" || operation == "xor";
  if (!sync || operation.empty() || (bitwise ? type != Type::b32 : type != Type::u32 && type != Type::s32))
    e.fail_unknown();
  e.expect_operands(3);
  Value* value = e.read(1, type);
  Value* members = e.b.CreateAnd(ballot(e, e.b.getTrue()), e.read(2, Type::b32));
  llvm::Type* word = e.b.getInt32Ty();
  Value* start = read_lane(e, value, first_lane(e, members));
  const auto without_first = [&](Value* mask) {
    return e.b.CreateAnd(mask, e.b.CreateSub(mask, e.b.getInt32(1)));
  };
  Value* others = without_first(members);
  llvm::BasicBlock* before = e.b.GetInsertBlock();
  llvm::BasicBlock* loop = e.new_block("reduce");
  llvm::BasicBlock* done = e.new_block("reduced");
  e.b.CreateCondBr(e.b.CreateIsNull(others), done, loop);
  e.b.SetInsertPoint(loop);
  auto* left = e.b.CreatePHI(word, 2);
  auto* sum = e.b.CreatePHI(word, 2);
  Value* next_sum = apply(e, operation, type, sum, read_lane(e, value, first_lane(e, left)));
  Value* next_left = without_first(left);
  left->addIncoming(others, before);
  left->addIncoming(next_left, loop);
  sum->addIncoming(start, before);
  sum->addIncoming(next_sum, loop);
  e.b.CreateCondBr(e.b.CreateIsNull(next_left), done, loop);
  e.b.SetInsertPoint(done);
  auto* result = e.b.CreatePHI(word, 2);
  result->addIncoming(start, before);
  result->addIncoming(next_sum, loop);
  e.write(0, result, type);
}

} // namespace

void add_warp(LoweringTable& table) {
  table.insert(
      {{"shfl", shfl}, {"vote", vote}, {"activemask", activemask}, {"match", match}, {"redux", redux}});
}

} // namespace shim::jit
