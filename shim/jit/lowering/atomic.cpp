// atom and red (PTX ISA, "Parallel Synchronization and Communication Instructions").
#include "families.hpp"

namespace shim::jit {
namespace {

using Operation = llvm::AtomicRMWInst::BinOp;

struct AtomicWords {
  Space space = Space::generic;
  llvm::AtomicOrdering ordering = llvm::AtomicOrdering::Monotonic;
  llvm::SyncScope::ID scope = llvm::SyncScope::System;
  std::string_view operation;
  Type type = Type::none;
};

AtomicWords take_words(Emitter& e) {
  AtomicWords words;
  const std::string_view order = e.modifiers().take_one({"relaxed", "acquire", "release", "acq_rel"});
  if (order == "acquire")
    words.ordering = llvm::AtomicOrdering::Acquire;
  else if (order == "release")
    words.ordering = llvm::AtomicOrdering::Release;
  else if (order == "acq_rel")
    words.ordering = llvm::AtomicOrdering::AcquireRelease;
  words.scope = take_scope(e, scope(e, "agent"));
  words.space = take_space(e);
  if (words.space != Space::generic && words.space != Space::global && words.space != Space::shared)
    e.fail_unknown();
  words.operation =
      e.modifiers().take_one({"add", "min", "max", "inc", "dec", "and", "or", "xor", "exch", "cas"});
  if (words.operation.empty())
    e.fail_unknown();
  e.modifiers().take("noftz");
  words.type = e.expect_type();
  return words;
}

// The atomicrmw for an operation on a type; BAD_BINOP where there is none.
Operation rmw_operation(std::string_view name, Type type) {
  const bool is_signed = ptx::is_signed(type), number = ptx::is_integer(type), bits = ptx::is_untyped(type);
  const bool word = ptx::type_bits(type) == 32, fits = word || ptx::type_bits(type) == 64;
  if (name == "exch" && bits && fits)
    return Operation::Xchg;
  if (bits && fits)
    return name == "and"   ? Operation::And
           : name == "or"  ? Operation::Or
           : name == "xor" ? Operation::Xor
                           : Operation::BAD_BINOP;
  if (number && fits) {
    if (name == "add")
      return Operation::Add;
    if (name == "min")
      return is_signed ? Operation::Min : Operation::UMin;
    if (name == "max")
      return is_signed ? Operation::Max : Operation::UMax;
    if (name == "inc" && type == Type::u32)
      return Operation::UIncWrap;
    if (name == "dec" && type == Type::u32)
      return Operation::UDecWrap;
  }
  if (name == "add" && (type == Type::f32 || type == Type::f64))
    return Operation::FAdd;
  return Operation::BAD_BINOP;
}

// f16 and f16x2 addition: a loop around a compare-and-swap of the aligned word that holds the value.
Value* add_halves(Emitter& e, const AtomicWords& words, Value* address, Value* operand) {
  llvm::Type* word = e.b.getInt32Ty();
  Value* shift = nullptr;
  if (words.type == Type::f16) {
    const unsigned space = address->getType()->getPointerAddressSpace();
    llvm::Type* number = space == as_shared ? e.b.getInt32Ty() : e.b.getInt64Ty();
    Value* bits = e.b.CreatePtrToInt(address, number);
    Value* aligned = e.b.CreateAnd(bits, llvm::ConstantInt::get(number, ~std::uint64_t{3}));
    address = e.b.CreateIntToPtr(aligned, address->getType());
    shift = e.b.CreateShl(e.b.CreateZExtOrTrunc(e.b.CreateAnd(bits, 2), word), 3);
  }
  llvm::BasicBlock* before = e.b.GetInsertBlock();
  llvm::BasicBlock* loop = e.new_block("swap");
  llvm::BasicBlock* done = e.new_block("swapped");
  Value* start = e.b.CreateAlignedLoad(word, address, llvm::Align(4), true);
  e.b.CreateBr(loop);
  e.b.SetInsertPoint(loop);
  auto* old = e.b.CreatePHI(word, 2);
  old->addIncoming(start, before);
  Value* next = nullptr;
  Value* result = old;
  if (shift) {
    Value* half = e.b.CreateTrunc(e.b.CreateLShr(old, shift), e.b.getInt16Ty());
    Value* sum = e.b.CreateFAdd(e.b.CreateBitCast(half, e.b.getHalfTy()), operand);
    Value* placed = e.b.CreateShl(e.b.CreateZExt(e.b.CreateBitCast(sum, e.b.getInt16Ty()), word), shift);
    next =
        e.b.CreateOr(e.b.CreateAnd(old, e.b.CreateNot(e.b.CreateShl(e.b.getInt32(0xffff), shift))), placed);
    result = half;
  } else {
    next = e.b.CreateBitCast(e.b.CreateFAdd(e.b.CreateBitCast(old, operand->getType()), operand), word);
  }
  const llvm::AtomicOrdering failure = llvm::AtomicCmpXchgInst::getStrongestFailureOrdering(words.ordering);
  Value* swap =
      e.b.CreateAtomicCmpXchg(address, old, next, llvm::Align(4), words.ordering, failure, words.scope);
  old->addIncoming(e.b.CreateExtractValue(swap, 0), loop);
  e.b.CreateCondBr(e.b.CreateExtractValue(swap, 1), done, loop);
  e.b.SetInsertPoint(done);
  return result;
}

Value* perform(Emitter& e, const AtomicWords& words, const Operand& place, std::size_t first) {
  Value* address = e.address(place, words.space);
  const llvm::Align alignment(ptx::type_bytes(words.type));
  if (words.operation == "cas") {
    if (!ptx::is_untyped(words.type) || ptx::type_bits(words.type) < 32)
      e.fail_unknown();
    const llvm::AtomicOrdering failure = llvm::AtomicCmpXchgInst::getStrongestFailureOrdering(words.ordering);
    Value* swap = e.b.CreateAtomicCmpXchg(address, e.read(first, words.type), e.read(first + 1, words.type),
                                          alignment, words.ordering, failure, words.scope);
    return e.b.CreateExtractValue(swap, 0);
  }
  if (words.operation == "add" && (words.type == Type::f16 || words.type == Type::f16x2))
    return add_halves(e, words, address, e.read(first, words.type));
  const Operation operation = rmw_operation(words.operation, words.type);
  if (operation == Operation::BAD_BINOP)
    e.fail_unknown();
  return e.b.CreateAtomicRMW(operation, address, e.read(first, words.type), alignment, words.ordering,
                             words.scope);
}

void atom(Emitter& e) {
  const AtomicWords words = take_words(e);
  e.expect_operands(words.operation == "cas" ? 4 : 3);
  e.write(0, perform(e, words, e.operand(1), 2), words.type);
}

void red(Emitter& e) {
  const AtomicWords words = take_words(e);
  if (words.operation == "cas" || words.operation == "exch")
    e.fail_unknown();
  e.expect_operands(2);
  perform(e, words, e.operand(0), 1);
}

} // namespace

void add_atomic(LoweringTable& table) {
  table.insert({{"atom", atom}, {"red", red}});
}

} // namespace shim::jit
