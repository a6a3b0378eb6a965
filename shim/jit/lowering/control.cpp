// Control flow (PTX ISA, "Control Flow Instructions", "Miscellaneous Instructions").
#include "families.hpp"

#include <algorithm>

#include <llvm/IR/InlineAsm.h>
#include <util/trap.hpp>

namespace shim::jit {

namespace Intrinsic = llvm::Intrinsic;

namespace {

// The wave enters the trap handler and does not come back.
void raise(Emitter& e, util::Trap trap) {
  auto* type = llvm::FunctionType::get(e.b.getVoidTy(), false);
  e.b.CreateCall(llvm::InlineAsm::get(type, fmt::format("s_trap {}", static_cast<unsigned>(trap)), "", true));
}

void bra(Emitter& e) {
  e.modifiers().take("uni");
  e.expect_operands(1);
  if (e.operand(0).kind != Operand::Kind::label)
    e.fail("expected a label");
  e.b.CreateBr(e.label(e.operand(0).index));
}

// An index beyond the list is undefined in PTX.
void brx(Emitter& e) {
  if (!e.modifiers().take("idx"))
    e.fail_unknown();
  e.modifiers().take("uni");
  e.expect_operands(2);
  if (e.operand(1).kind != Operand::Kind::targets)
    e.fail("expected a list of labels");
  const auto& targets = e.function().branch_targets[e.operand(1).index];
  llvm::BasicBlock* beyond = e.new_block("beyond");
  auto* branch = e.b.CreateSwitch(e.read(0, Type::u32), beyond, static_cast<unsigned>(targets.size()));
  for (std::size_t i = 0; i < targets.size(); i++)
    branch->addCase(e.b.getInt32(static_cast<std::uint32_t>(i)), e.label(targets[i]));
  e.b.SetInsertPoint(beyond);
  e.b.CreateUnreachable();
}

void raise_in_system_function(Emitter& e, const ptx::Function& callee) {
  if (!is_system_function(callee))
    e.fail(fmt::format("call of `{}`, which no one defines,", callee.name));
  raise(e, callee.name == "__assertfail" ? util::Trap::assertion : util::Trap::abort);
}

// A kernel that calls what is not there yet is refused. One that only may come to it, through a function's
// address, ends with an error if it does.
void call_system_function(Emitter& e, const ptx::Function& callee) {
  const bool there = callee.name == "__assertfail";
  if (is_system_function(callee) && !there && !e.module().checking() &&
      e.module().called_directly(e.function()))
    e.fail(fmt::format("call of `{}`, which is not supported,", callee.name));
  raise_in_system_function(e, callee);
}

// One actual argument or result of a call.
struct Argument {
  Value* memory = nullptr;         // private memory that the callee reads or writes
  const Operand* result = nullptr; // a register that receives the value afterwards
  Type type = Type::none;
};

Argument pass(Emitter& e, const Operand& operand, const ptx::Variable& formal, bool is_result) {
  Argument argument;
  argument.type = formal.type;
  if (operand.kind == Operand::Kind::local) {
    const ptx::Variable& actual = e.function().locals[operand.index];
    if (actual.size < formal.size && !formal.unsized)
      e.fail(fmt::format("`{}` is smaller than the parameter `{}`", actual.name, formal.name));
    Value* pointer = e.local_pointer(operand.index);
    if (pointer->getType()->getPointerAddressSpace() == as_private) {
      argument.memory = pointer;
      return argument;
    }
    auto* copy = e.stack(llvm::ArrayType::get(e.b.getInt8Ty(), actual.size), actual.alignment, "argument");
    e.b.CreateMemCpy(copy, llvm::MaybeAlign(actual.alignment), pointer, llvm::MaybeAlign(actual.alignment),
                     actual.size);
    argument.memory = copy;
    return argument;
  }
  if (formal.size != ptx::type_bytes(formal.type))
    e.fail(fmt::format("the parameter `{}` needs a .param variable", formal.name));
  argument.memory = e.stack(e.integer_type(formal.type), 8, "argument");
  if (is_result)
    argument.result = &operand;
  else
    e.b.CreateStore(e.read_bits(operand, formal.type), argument.memory);
  return argument;
}

struct Call {
  const Operand* target = nullptr;
  const Operand* prototype = nullptr;
  std::vector<const Operand*> results;
  std::vector<const Operand*> arguments;
};

// call (results), target, (arguments), prototype: all but the target optional.
Call take_call(Emitter& e) {
  Call call;
  std::size_t next = 0;
  const auto list = [&](std::vector<const Operand*>& into) {
    if (next >= e.operands() || e.operand(next).kind != Operand::Kind::list)
      return;
    for (const Operand& element : e.operand(next).elements)
      into.push_back(&element);
    next++;
  };
  e.modifiers().take("uni");
  list(call.results);
  if (next >= e.operands())
    e.fail("the function is missing");
  call.target = &e.operand(next++);
  list(call.arguments);
  if (next < e.operands())
    call.prototype = &e.operand(next++);
  if (next != e.operands())
    e.fail("too many operands");
  return call;
}

struct Signature {
  const std::vector<ptx::Variable>& returns;
  const std::vector<ptx::Variable>& parameters;
};

void emit_call(Emitter& e, std::uint32_t index, const std::vector<Argument>& arguments, bool inlined = true) {
  llvm::Function* function = e.module().function(index);
  std::vector<Value*> values = {e.implicit_pointer()};
  for (const Argument& argument : arguments)
    values.push_back(argument.memory);
  llvm::CallInst* exited = e.b.CreateCall(function, values);
  if (!inlined)
    exited->setIsNoInline();
  e.leave_if(exited);
}

bool fits(const std::vector<ptx::Variable>& formal, const std::vector<ptx::Variable>& wanted) {
  if (formal.size() != wanted.size())
    return false;
  for (std::size_t i = 0; i < formal.size(); i++)
    if (formal[i].size != wanted[i].size)
      return false;
  return true;
}

// What a call passes, or gets back, as NVIDIA's calling convention sees it: words in a row.
struct WordLayout {
  explicit WordLayout(const std::vector<ptx::Variable>& variables) {
    constexpr std::uint64_t word = 4;
    for (const ptx::Variable& variable : variables) {
      bytes = llvm::alignTo(bytes, std::max<std::uint64_t>(variable.alignment, word));
      offsets.push_back(bytes);
      bytes = llvm::alignTo(bytes + variable.size, word);
    }
  }
  std::vector<std::uint64_t> offsets;
  std::uint64_t bytes = 0;
};

Value* words(Emitter& e, const WordLayout& a, const WordLayout& b) {
  const std::uint64_t bytes = std::max({a.bytes, b.bytes, std::uint64_t{1}});
  Value* memory = e.stack(llvm::ArrayType::get(e.b.getInt8Ty(), bytes), 16, "words");
  e.b.CreateMemSet(memory, e.b.getInt8(0), bytes, llvm::MaybeAlign(16));
  return memory;
}

Value* word_at(Emitter& e, Value* memory, std::uint64_t offset) {
  return e.b.CreateConstInBoundsGEP1_64(e.b.getInt8Ty(), memory, offset);
}

// A call of a function by a signature that is not its own. It finds its parameters in the words that the
// caller passed, and zeros where the caller passed fewer (the hardware has there what the registers had);
// results likewise.
void call_by_words(Emitter& e, std::uint32_t index, const Signature& signature,
                   const std::vector<Argument>& arguments) {
  const ptx::Function& callee = e.module().tree().functions[index];
  const std::size_t results = signature.returns.size();
  const WordLayout given(signature.parameters), wanted(callee.parameters);
  const WordLayout expected(signature.returns), returned(callee.returns);
  const llvm::Align unknown(1);
  Value* parameters = words(e, given, wanted);
  for (std::size_t i = 0; i < given.offsets.size(); i++)
    e.b.CreateMemCpy(word_at(e, parameters, given.offsets[i]), unknown, arguments[results + i].memory,
                     unknown, signature.parameters[i].size);
  Value* values = words(e, expected, returned);
  std::vector<Argument> memory;
  for (std::uint64_t offset : returned.offsets)
    memory.push_back({.memory = word_at(e, values, offset)});
  for (std::uint64_t offset : wanted.offsets)
    memory.push_back({.memory = word_at(e, parameters, offset)});
  emit_call(e, index, memory, false); // rare, and there may be many that it could be
  for (std::size_t i = 0; i < results; i++)
    e.b.CreateMemCpy(arguments[i].memory, unknown, word_at(e, values, expected.offsets[i]), unknown,
                     signature.returns[i].size);
}

// One of the functions that an indirect call may mean.
void call_candidate(Emitter& e, std::uint32_t index, const Signature& signature,
                    const std::vector<Argument>& arguments) {
  const ptx::Function& callee = e.module().tree().functions[index];
  if (callee.entry)
    e.fail(fmt::format("call of the entry `{}`", callee.name));
  if (!callee.has_body)
    raise_in_system_function(e, callee);
  else if (fits(callee.returns, signature.returns) && fits(callee.parameters, signature.parameters))
    emit_call(e, index, arguments);
  else
    call_by_words(e, index, signature, arguments);
}

std::vector<Argument> pass_all(Emitter& e, const Call& call, const std::vector<ptx::Variable>& returns,
                               const std::vector<ptx::Variable>& parameters) {
  if (call.results.size() != returns.size() || call.arguments.size() != parameters.size())
    e.fail("the number of arguments does not match");
  std::vector<Argument> arguments;
  for (std::size_t i = 0; i < returns.size(); i++)
    arguments.push_back(pass(e, *call.results[i], returns[i], true));
  for (std::size_t i = 0; i < parameters.size(); i++)
    arguments.push_back(pass(e, *call.arguments[i], parameters[i], false));
  return arguments;
}

void receive(Emitter& e, const std::vector<Argument>& arguments) {
  for (const Argument& argument : arguments)
    if (argument.result)
      e.write(*argument.result, e.b.CreateLoad(e.integer_type(argument.type), argument.memory),
              argument.type);
}

void indirect_call(Emitter& e, const Call& call) {
  if (!call.prototype || call.prototype->kind != Operand::Kind::prototype)
    e.fail("the prototype is missing");
  const ptx::CallInfo& info = e.function().call_infos[call.prototype->index];
  const auto& functions = info.has_signature ? e.module().call_candidates() : info.targets;
  llvm::BasicBlock* nowhere = e.new_block("nowhere");
  llvm::BasicBlock* done = e.new_block("called");
  const ptx::Function* first = info.has_signature ? nullptr : &e.module().tree().functions[functions[0]];
  const Signature signature = {first ? first->returns : info.returns,
                               first ? first->parameters : info.parameters};
  const auto arguments = pass_all(e, call, signature.returns, signature.parameters);
  auto* which =
      e.b.CreateSwitch(e.read(*call.target, Type::b64), nowhere, static_cast<unsigned>(functions.size()));
  for (std::uint32_t index : functions) {
    llvm::BasicBlock* block = e.new_block("candidate");
    which->addCase(e.b.getInt64(ptx::Module::function_address(index)), block);
    e.b.SetInsertPoint(block);
    call_candidate(e, index, signature, arguments);
    e.b.CreateBr(done);
  }
  e.b.SetInsertPoint(nowhere);
  raise(e, util::Trap::no_code);
  e.b.CreateUnreachable();
  e.b.SetInsertPoint(done);
  receive(e, arguments);
}

void call(Emitter& e) {
  const Call call = take_call(e);
  if (call.target->kind == Operand::Kind::reg)
    return indirect_call(e, call);
  if (call.target->kind != Operand::Kind::function)
    e.fail("expected a function");
  const ptx::Function& callee = e.module().tree().functions[call.target->index];
  if (callee.entry)
    e.fail(fmt::format("call of the entry `{}`", callee.name));
  if (!callee.has_body)
    return call_system_function(e, callee);
  const auto arguments = pass_all(e, call, callee.returns, callee.parameters);
  emit_call(e, call.target->index, arguments);
  receive(e, arguments);
}

void ret(Emitter& e) {
  e.modifiers().take("uni");
  e.expect_operands(0);
  e.leave(false);
}

void exit(Emitter& e) {
  e.expect_operands(0);
  e.leave(true);
}

void trap(Emitter& e) {
  e.expect_operands(0);
  raise(e, util::Trap::abort);
  e.leave(true);
}

// Without a debugger NVIDIA's driver ends the kernel as for `trap`.
void brkpt(Emitter& e) {
  trap(e);
}

// Waits about 64 cycles a unit; PTX asks for nothing exact.
void nanosleep(Emitter& e) {
  if (e.expect_type() != Type::u32)
    e.fail_unknown();
  e.expect_operands(1);
  e.read(0, Type::u32);
  e.call(Intrinsic::amdgcn_s_sleep, {}, {e.b.getInt32(2)});
}

// Events are for tools that sample them; there are none.
void pmevent(Emitter& e) {
  e.modifiers().take("mask");
  e.expect_operands(1);
}

} // namespace

bool is_system_function(const ptx::Function& function) {
  static constexpr std::string_view names[] = {"__assertfail", "vprintf", "malloc", "free"};
  return !function.has_body &&
         std::find(std::begin(names), std::end(names), function.name) != std::end(names);
}

void add_control(LoweringTable& table) {
  table.insert({{"bra", bra},
                {"brx", brx},
                {"call", call},
                {"ret", ret},
                {"exit", exit},
                {"trap", trap},
                {"brkpt", brkpt},
                {"nanosleep", nanosleep},
                {"pmevent", pmevent}});
}

} // namespace shim::jit
