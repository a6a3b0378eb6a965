// Barriers and fences (PTX ISA, "bar", "barrier", "membar", "fence").
//
// The hardware has one barrier for a workgroup. It serves every barrier number as long as all threads of the
// block take part; barriers for some of the warps (those with a thread count) are refused.
#include "families.hpp"

namespace shim::jit {

namespace Intrinsic = llvm::Intrinsic;

namespace {

void workgroup_fence(Emitter& e, llvm::AtomicOrdering ordering) {
  e.b.CreateFence(ordering, scope(e, "workgroup"));
}

void block_barrier(Emitter& e) {
  workgroup_fence(e, llvm::AtomicOrdering::Release);
  e.call(Intrinsic::amdgcn_s_barrier, {}, {});
  workgroup_fence(e, llvm::AtomicOrdering::Acquire);
}

void require_whole_block(Emitter& e, std::size_t expected) {
  if (e.operands() > expected)
    e.fail("a barrier for a part of the block");
}

// Runs `body` in one lane of each wave.
template <class Body>
void in_one_lane(Emitter& e, Body body) {
  Value* active = e.call(Intrinsic::amdgcn_ballot, {e.b.getInt32Ty()}, {e.b.getTrue()});
  Value* below = e.b.CreateSub(e.b.CreateShl(e.b.getInt32(1), e.lane()), e.b.getInt32(1));
  llvm::BasicBlock* one = e.new_block("leader");
  llvm::BasicBlock* rest = e.new_block("rest");
  e.b.CreateCondBr(e.b.CreateIsNull(e.b.CreateAnd(active, below)), one, rest);
  e.b.SetInsertPoint(one);
  body();
  e.b.CreateBr(rest);
  e.b.SetInsertPoint(rest);
}

// How many threads of the block have the predicate: each wave adds its count to a word of shared memory.
Value* block_count(Emitter& e, Value* predicate) {
  Value* word = e.pointer_from_integer(e.b.getInt32(e.module().barrier_word()), Space::shared);
  Value* lanes = e.call(Intrinsic::amdgcn_ballot, {e.b.getInt32Ty()}, {predicate});
  Value* count = e.call(Intrinsic::ctpop, {e.b.getInt32Ty()}, {lanes});
  block_barrier(e);
  in_one_lane(e, [&] { e.b.CreateAlignedStore(e.b.getInt32(0), word, llvm::Align(4), true); });
  block_barrier(e);
  in_one_lane(e, [&] {
    e.b.CreateAtomicRMW(llvm::AtomicRMWInst::Add, word, count, llvm::Align(4),
                        llvm::AtomicOrdering::Monotonic, scope(e, "workgroup"));
  });
  block_barrier(e);
  return e.b.CreateAlignedLoad(e.b.getInt32Ty(), word, llvm::Align(4), true);
}

void reduce(Emitter& e) {
  const std::string_view operation = e.modifiers().take_one({"popc", "and", "or"});
  const Type type = e.expect_type();
  if (operation.empty() || type != (operation == "popc" ? Type::u32 : Type::pred))
    e.fail_unknown();
  e.expect_operands(3, 4);
  require_whole_block(e, 3);
  e.read(1, Type::u32);
  Value* predicate = e.read_predicate(e.operand(2));
  if (operation == "popc")
    return e.write(0, block_count(e, predicate), Type::u32);
  if (operation == "or")
    return e.write(0, e.b.CreateIsNotNull(block_count(e, predicate)), Type::pred);
  e.write(0, e.b.CreateIsNull(block_count(e, e.b.CreateNot(predicate))), Type::pred);
}

void bar(Emitter& e) {
  e.modifiers().take("cta");
  const std::string_view kind = e.modifiers().take_one({"sync", "red", "arrive", "warp"});
  e.modifiers().take("aligned");
  if (kind == "red")
    return reduce(e);
  if (kind == "warp") {
    if (!e.modifiers().take("sync"))
      e.fail_unknown();
    e.expect_operands(1);
    e.read(0, Type::b32);
    e.b.CreateFence(llvm::AtomicOrdering::AcquireRelease, scope(e, "wavefront"));
    e.call(Intrinsic::amdgcn_wave_barrier, {}, {});
    return;
  }
  if (kind == "arrive")
    e.fail("a barrier for a part of the block");
  if (kind.empty())
    e.fail_unknown();
  e.expect_operands(1, 2);
  require_whole_block(e, 1);
  e.read(0, Type::u32);
  block_barrier(e);
}

void membar(Emitter& e) {
  const std::string_view level = e.modifiers().take_one({"cta", "gl", "sys"});
  if (level.empty())
    e.fail_unknown();
  e.expect_operands(0);
  e.b.CreateFence(llvm::AtomicOrdering::SequentiallyConsistent,
                  level == "cta"  ? scope(e, "workgroup")
                  : level == "gl" ? scope(e, "agent")
                                  : llvm::SyncScope::ID(llvm::SyncScope::System));
}

void fence(Emitter& e) {
  const std::string_view order = e.modifiers().take_one({"sc", "acq_rel", "acquire", "release"});
  e.expect_operands(0);
  const llvm::AtomicOrdering ordering = order == "acq_rel"   ? llvm::AtomicOrdering::AcquireRelease
                                        : order == "acquire" ? llvm::AtomicOrdering::Acquire
                                        : order == "release" ? llvm::AtomicOrdering::Release
                                                             : llvm::AtomicOrdering::SequentiallyConsistent;
  e.b.CreateFence(ordering, take_scope(e, scope(e, "agent")));
}

} // namespace

void add_barrier(LoweringTable& table) {
  table.insert({{"bar", bar}, {"barrier", bar}, {"membar", membar}, {"fence", fence}});
}

} // namespace shim::jit
