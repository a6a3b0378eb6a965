// Barriers and fences (PTX ISA, "bar", "barrier", "membar", "fence").
//
// The hardware has one barrier for a workgroup. It serves every barrier number as long as all threads of the
// block take part. Barriers for some of the warps (those with a thread count) are made of words in shared
// memory: arrivals, generation, sum of the predicates, result.
#include "families.hpp"

#include <algorithm>

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
  Value* word = e.pointer_from_integer(e.b.getInt32(e.module().barrier_memory()), Space::shared);
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

// Words of a numbered barrier, from its start.
enum BarrierWord : std::uint32_t { arrivals, generation, sum, result, words };
constexpr std::uint32_t warp_threads = 32;

struct NumberedBarrier {
  Emitter& e;
  Value* start; // bytes from the start of LDS

  NumberedBarrier(Emitter& emitter, Value* number) : e(emitter) {
    Value* index = e.b.CreateAnd(number, numbered_barriers - 1);
    start = e.b.CreateAdd(e.b.CreateMul(index, e.b.getInt32(words * 4)),
                          e.b.getInt32(e.module().barrier_memory()));
  }
  Value* word(BarrierWord which) {
    return e.pointer_from_integer(e.b.CreateAdd(start, e.b.getInt32(which * 4)), Space::shared);
  }
  llvm::LoadInst* load(BarrierWord which, llvm::AtomicOrdering ordering = llvm::AtomicOrdering::Monotonic) {
    auto* value = e.b.CreateAlignedLoad(e.b.getInt32Ty(), word(which), llvm::Align(4), true);
    value->setAtomic(ordering, scope(e, "workgroup"));
    return value;
  }
  void store(BarrierWord which, Value* value) {
    auto* done = e.b.CreateAlignedStore(value, word(which), llvm::Align(4), true);
    done->setAtomic(llvm::AtomicOrdering::Monotonic, scope(e, "workgroup"));
  }
  Value* add(BarrierWord which, Value* value, llvm::AtomicOrdering ordering) {
    return e.b.CreateAtomicRMW(llvm::AtomicRMWInst::Add, word(which), value, llvm::Align(4), ordering,
                               scope(e, "workgroup"));
  }

  // The last warp resets the words for the next use and lets the others go.
  void release() {
    store(result, load(sum));
    store(sum, e.b.getInt32(0));
    store(arrivals, e.b.getInt32(0));
    add(generation, e.b.getInt32(1), llvm::AtomicOrdering::Release);
  }

  // A warp arrives, and waits where it is to: of `threads`, a multiple of the warp's.
  void arrive(Value* threads, Value* predicates, bool waits) {
    workgroup_fence(e, llvm::AtomicOrdering::Release);
    in_one_lane(e, [&] {
      if (predicates)
        add(sum, predicates, llvm::AtomicOrdering::Monotonic);
      Value* before = load(generation);
      Value* others = add(arrivals, e.b.getInt32(warp_threads), llvm::AtomicOrdering::AcquireRelease);
      Value* last = e.b.CreateICmpUGE(e.b.CreateAdd(others, e.b.getInt32(warp_threads)), threads);
      llvm::BasicBlock* complete = e.new_block("complete");
      llvm::BasicBlock* wait = e.new_block("wait");
      llvm::BasicBlock* done = e.new_block("released");
      e.b.CreateCondBr(last, complete, waits ? wait : done);
      e.b.SetInsertPoint(complete);
      release();
      e.b.CreateBr(done);
      e.b.SetInsertPoint(wait);
      e.call(Intrinsic::amdgcn_s_sleep, {}, {e.b.getInt32(1)});
      Value* same = e.b.CreateICmpEQ(load(generation, llvm::AtomicOrdering::Acquire), before);
      e.b.CreateCondBr(same, wait, done);
      e.b.SetInsertPoint(done);
    });
    workgroup_fence(e, llvm::AtomicOrdering::Acquire);
  }
};

Value* barrier_number(Emitter& e, std::size_t operand) {
  const Operand& number = e.operand(operand);
  if (number.kind == Operand::Kind::integer && (number.integer < 0 || number.integer >= numbered_barriers))
    e.fail(fmt::format("barrier {} of {}", number.integer, numbered_barriers));
  return e.read(operand, Type::u32);
}

Value* barrier_threads(Emitter& e, std::size_t operand) {
  const Operand& threads = e.operand(operand);
  if (threads.kind == Operand::Kind::integer && threads.integer % warp_threads)
    e.fail(fmt::format("{} threads, no multiple of {},", threads.integer, warp_threads));
  return e.read(operand, Type::u32);
}

// How many of the threads that take part have the predicate: those of the block, or as many as operand 2
// says.
Value* count_predicates(Emitter& e, Value* number, Value* predicate) {
  if (e.operands() < 4)
    return block_count(e, predicate);
  Value* lanes = e.call(Intrinsic::amdgcn_ballot, {e.b.getInt32Ty()}, {predicate});
  NumberedBarrier barrier(e, number);
  barrier.arrive(barrier_threads(e, 2), e.call(Intrinsic::ctpop, {e.b.getInt32Ty()}, {lanes}), true);
  return barrier.load(result);
}

void reduce(Emitter& e) {
  const std::string_view operation = e.modifiers().take_one({"popc", "and", "or"});
  const Type type = e.expect_type();
  if (operation.empty() || type != (operation == "popc" ? Type::u32 : Type::pred))
    e.fail_unknown();
  e.expect_operands(3, 4);
  Value* number = barrier_number(e, 1);
  Value* predicate = e.read_predicate(e.operand(e.operands() - 1));
  if (operation == "popc")
    return e.write(0, count_predicates(e, number, predicate), Type::u32);
  if (operation == "or")
    return e.write(0, e.b.CreateIsNotNull(count_predicates(e, number, predicate)), Type::pred);
  e.write(0, e.b.CreateIsNull(count_predicates(e, number, e.b.CreateNot(predicate))), Type::pred);
}

void warp_barrier(Emitter& e) {
  if (!e.modifiers().take("sync"))
    e.fail_unknown();
  e.expect_operands(1);
  e.read(0, Type::b32);
  e.b.CreateFence(llvm::AtomicOrdering::AcquireRelease, scope(e, "wavefront"));
  e.call(Intrinsic::amdgcn_wave_barrier, {}, {});
}

void bar(Emitter& e) {
  e.modifiers().take("cta");
  const std::string_view kind = e.modifiers().take_one({"warp", "red", "arrive", "sync"});
  e.modifiers().take("aligned");
  if (kind == "red")
    return reduce(e);
  if (kind == "warp")
    return warp_barrier(e);
  if (kind.empty())
    e.fail_unknown();
  const bool arrive = kind == "arrive";
  e.expect_operands(arrive ? 2 : 1, 2);
  Value* number = barrier_number(e, 0);
  if (e.operands() == 1)
    return block_barrier(e);
  NumberedBarrier(e, number).arrive(barrier_threads(e, 1), nullptr, !arrive);
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

std::uint32_t barrier_bytes(const ptx::Instruction& instruction) {
  if (instruction.opcode != "bar" && instruction.opcode != "barrier")
    return 0;
  const auto has = [&](std::string_view word) {
    return std::find(instruction.modifiers.begin(), instruction.modifiers.end(), word) !=
           instruction.modifiers.end();
  };
  if (has("warp"))
    return 0;
  const bool reduces = has("red");
  if (instruction.operands.size() > (reduces ? 3u : 1u))
    return numbered_barriers * words * 4;
  return reduces ? 4 : 0;
}

void initialise_barriers(Emitter& e) {
  const std::uint32_t count = e.module().barrier_memory_bytes() / 4;
  llvm::BasicBlock* clear = e.new_block("clear");
  llvm::BasicBlock* cleared = e.new_block("cleared");
  Value* thread = e.flat_thread();
  e.b.CreateCondBr(e.b.CreateICmpEQ(thread, e.b.getInt32(0)), clear, cleared);
  e.b.SetInsertPoint(clear);
  for (std::uint32_t i = 0; i < count; i++)
    e.b.CreateAlignedStore(
        e.b.getInt32(0),
        e.pointer_from_integer(e.b.getInt32(e.module().barrier_memory() + i * 4), Space::shared),
        llvm::Align(4));
  e.b.CreateBr(cleared);
  e.b.SetInsertPoint(cleared);
  block_barrier(e);
}

void add_barrier(LoweringTable& table) {
  table.insert({{"bar", bar}, {"barrier", bar}, {"membar", membar}, {"fence", fence}});
}

} // namespace shim::jit
