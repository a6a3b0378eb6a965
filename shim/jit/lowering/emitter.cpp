#include "families.hpp"

#include <bit>

#include <jit/compiler.hpp>
#include <llvm/ADT/APFloat.h>
#include <llvm/IR/MDBuilder.h>

namespace shim::jit {

namespace {

constexpr std::uint64_t largest_local = 512 * 1024; // of a thread, as in CUDA

} // namespace

Emitter::Emitter(ModuleLowering& module, const ptx::Function& function, llvm::Function* result)
    : b(result->getContext()), module_(module), function_(function), result_(result),
      modifiers_(ptx::Instruction{}),
      entry_block_(llvm::BasicBlock::Create(result->getContext(), "entry", result)),
      registers_(function.registers.size()), locals_(function.locals.size()) {
  b.setIsFPConstrained(false);
}

void Emitter::lower_body() {
  // Allocas go to the entry block, code to the blocks behind it.
  llvm::BasicBlock* start = new_block("start");
  for (std::uint32_t i = 0; i < function_.labels; i++)
    labels_.push_back(new_block("label"));
  b.SetInsertPoint(start);
  bind_signature();
  for (const ptx::Instruction& instruction : function_.body)
    lower(instruction);
  if (!b.GetInsertBlock()->getTerminator())
    leave(false);
  b.SetInsertPoint(entry_block_);
  b.CreateBr(start);
}

void Emitter::bind_signature() {
  if (function_.entry) {
    kernarg_ = result_->getArg(0);
    implicit_ = b.CreateConstInBoundsGEP1_32(b.getInt8Ty(), kernarg_, implicit_offset(function_));
    const auto offsets = parameter_offsets(function_);
    for (std::size_t i = 0; i < offsets.size(); i++)
      locals_[i] = b.CreateConstInBoundsGEP1_32(b.getInt8Ty(), kernarg_, offsets[i]);
    if (module_.barrier_memory_bytes() > 4)
      initialise_barriers(*this);
    return;
  }
  implicit_ = result_->getArg(0);
  const std::size_t formal = function_.returns.size() + function_.parameters.size();
  for (std::size_t i = 0; i < formal; i++) {
    locals_[i] = result_->getArg(static_cast<unsigned>(i + 1));
    const ptx::Variable& variable = function_.locals[i];
    if (variable.reg != ptx::no_index && i >= function_.returns.size())
      write_register(variable.reg, b.CreateLoad(integer_type(variable.type), locals_[i]));
  }
}

void Emitter::leave(bool exited) {
  if (function_.entry) {
    b.CreateRetVoid();
    return;
  }
  for (std::size_t i = 0; i < function_.returns.size(); i++)
    if (function_.locals[i].reg != ptx::no_index)
      b.CreateStore(read_register(function_.locals[i].reg), locals_[i]);
  b.CreateRet(b.getInt1(exited));
}

void Emitter::leave_if(Value* exited) {
  llvm::BasicBlock* out = new_block("exited");
  llvm::BasicBlock* on = new_block("on");
  b.CreateCondBr(exited, out, on);
  b.SetInsertPoint(out);
  leave(true);
  b.SetInsertPoint(on);
}

void Emitter::lower(const ptx::Instruction& instruction) {
  if (instruction.label != ptx::no_index) {
    if (!b.GetInsertBlock()->getTerminator())
      b.CreateBr(labels_[instruction.label]);
    b.SetInsertPoint(labels_[instruction.label]);
    return;
  }
  if (b.GetInsertBlock()->getTerminator())
    b.SetInsertPoint(new_block("unreached"));
  instruction_ = &instruction;
  modifiers_ = Modifiers(instruction);
  const auto row = lowering_table().find(instruction.opcode);
  if (row == lowering_table().end())
    fail_unknown();

  llvm::BasicBlock* skip = nullptr;
  if (instruction.guard != ptx::no_index) {
    llvm::BasicBlock* guarded = new_block("guarded");
    skip = new_block("skip");
    Value* condition = read_register(instruction.guard);
    if (instruction.guard_negated)
      b.CreateCondBr(condition, skip, guarded);
    else
      b.CreateCondBr(condition, guarded, skip);
    b.SetInsertPoint(guarded);
  }
  row->second(*this);
  if (!modifiers_.rest().empty())
    fail_unknown();
  if (skip) {
    if (!b.GetInsertBlock()->getTerminator())
      b.CreateBr(skip);
    b.SetInsertPoint(skip);
  }
}

std::string Emitter::instruction_text() const {
  std::string text(instruction_->opcode);
  for (std::string_view word : instruction_->modifiers)
    text += fmt::format(".{}", word);
  return text;
}

void Emitter::fail(std::string_view message) const {
  throw ptx::Error{instruction_->line, fmt::format("{} in `{}`", message, instruction_text())};
}

void Emitter::fail_unknown() const {
  throw ptx::Error{instruction_->line, fmt::format("unknown instruction `{}`", instruction_text())};
}

void Emitter::expect_operands(std::size_t least, std::size_t most) {
  if (operands() < least || operands() > most)
    fail(fmt::format("{} operands", operands()));
}

Type Emitter::expect_type() {
  const auto type = modifiers_.take_type();
  if (!type)
    fail_unknown();
  return *type;
}

llvm::Type* Emitter::type(Type type) {
  switch (type) {
  case Type::f16:
    return b.getHalfTy();
  case Type::f16x2:
    return llvm::FixedVectorType::get(b.getHalfTy(), 2);
  case Type::f32:
    return b.getFloatTy();
  case Type::f64:
    return b.getDoubleTy();
  default:
    return integer_type(type);
  }
}

llvm::AllocaInst* Emitter::stack(llvm::Type* type, std::uint32_t alignment, const char* name) {
  llvm::IRBuilder<> at_start(entry_block_, entry_block_->begin());
  auto* memory = at_start.CreateAlloca(type, as_private, nullptr, name);
  memory->setAlignment(llvm::Align(alignment));
  return memory;
}

llvm::AllocaInst* Emitter::carry() {
  if (!carry_) {
    carry_ = stack(b.getInt1Ty(), 1, "cc");
    llvm::IRBuilder<>(entry_block_).CreateStore(b.getFalse(), carry_);
  }
  return carry_;
}

Value* Emitter::read_register(std::uint32_t index) {
  llvm::AllocaInst*& memory = registers_[index];
  llvm::Type* type = integer_type(function_.registers[index].type);
  if (!memory) {
    memory = stack(type, 8, "r");
    llvm::IRBuilder<>(entry_block_).CreateStore(llvm::Constant::getNullValue(type), memory);
  }
  return b.CreateLoad(type, memory);
}

void Emitter::write_register(std::uint32_t index, Value* value) {
  if (!registers_[index])
    read_register(index);
  b.CreateStore(value, registers_[index]);
}

Value* Emitter::as_type(Value* bits, Type wanted) {
  llvm::Type* type = this->type(wanted);
  return bits->getType() == type ? bits : b.CreateBitCast(bits, type);
}

Value* Emitter::constant(const Operand& operand, Type wanted) {
  const unsigned bits = ptx::type_bits(wanted);
  if (operand.kind == Operand::Kind::integer) {
    if (wanted == Type::f32 || wanted == Type::f64 || wanted == Type::f16)
      return llvm::ConstantFP::get(type(wanted), static_cast<double>(operand.integer));
    if (wanted == Type::pred)
      return b.getInt1(operand.integer != 0);
    return as_type(b.getIntN(bits, static_cast<std::uint64_t>(operand.integer)), wanted);
  }
  if (wanted == Type::f16)
    return llvm::ConstantFP::get(type(wanted), std::bit_cast<double>(operand.real));
  if (wanted == Type::f32 || wanted == Type::f64)
    return as_type(bits == 32 ? b.getInt32(operand.single) : b.getInt64(operand.real), wanted);
  // A floating-point literal as bits.
  if (ptx::is_untyped(wanted) && bits == 32)
    return b.getInt32(operand.single);
  if (ptx::is_untyped(wanted) && bits == 64)
    return b.getInt64(operand.real);
  fail(fmt::format("floating-point constant as .{}", ptx::type_name(wanted)));
}

Value* Emitter::read_bits(const Operand& operand, Type wanted) {
  llvm::Type* type = integer_type(wanted);
  Value* value = nullptr;
  switch (operand.kind) {
  case Operand::Kind::integer:
  case Operand::Kind::real:
    value = constant(operand, wanted);
    return value->getType() == type ? value : b.CreateBitCast(value, type);
  case Operand::Kind::reg:
    if (!operand.selector.empty())
      fail(fmt::format("unknown selector `.{}`", operand.selector));
    if (operand.minus && instruction_->opcode != "vmad")
      fail(fmt::format("`-{}`", operand.text));
    value = read_register(operand.index);
    break;
  case Operand::Kind::special:
    value = special_register(operand.text);
    break;
  case Operand::Kind::variable:
    value =
        b.CreateAdd(variable_address(operand.index), b.getInt64(static_cast<std::uint64_t>(operand.integer)));
    break;
  case Operand::Kind::local:
    value =
        b.CreateAdd(local_address(operand.index), b.getInt64(static_cast<std::uint64_t>(operand.integer)));
    break;
  case Operand::Kind::function:
    value = b.getInt64(ptx::Module::function_address(operand.index));
    break;
  default:
    fail("unexpected operand");
  }
  const unsigned have = value->getType()->getIntegerBitWidth(), want = ptx::type_bits(wanted);
  const bool number = operand.kind != Operand::Kind::reg;
  if ((have == 1) != (want == 1) || (have < want && !number))
    fail(fmt::format("`{}` does not fit .{}", operand.text, ptx::type_name(wanted)));
  return b.CreateZExtOrTrunc(value, type);
}

Value* Emitter::read(const Operand& operand, Type wanted) {
  if (operand.kind == Operand::Kind::integer || operand.kind == Operand::Kind::real)
    return constant(operand, wanted);
  if (wanted == Type::pred)
    return read_predicate(operand);
  return as_type(read_bits(operand, wanted), wanted);
}

Value* Emitter::read_predicate(const Operand& operand) {
  Value* value = read_bits(operand, Type::pred);
  return operand.negated ? b.CreateNot(value) : value;
}

void Emitter::write(const Operand& operand, Value* value, Type type) {
  if (is_sink(operand))
    return;
  if (operand.kind == Operand::Kind::special)
    fail(fmt::format("unknown register `{}`", operand.text));
  if (operand.kind != Operand::Kind::reg || !operand.selector.empty())
    fail("the destination is not a register");
  llvm::Type* bits = integer_type(type);
  if (value->getType() != bits)
    value = b.CreateBitCast(value, bits);
  const Type target = function_.registers[operand.index].type;
  const unsigned have = ptx::type_bits(type), want = ptx::type_bits(target);
  if ((have == 1) != (want == 1) || have > want)
    fail(fmt::format("`{}` is too narrow for .{}", operand.text, ptx::type_name(type)));
  if (have < want)
    value = ptx::is_signed(type) ? b.CreateSExt(value, integer_type(target))
                                 : b.CreateZExt(value, integer_type(target));
  write_register(operand.index, value);
}

AddressSpace Emitter::address_space(Space space) {
  switch (space) {
  case Space::shared:
    return as_shared;
  case Space::local:
    return as_private;
  case Space::global:
    return as_global;
  case Space::constant:
  case Space::param:
    return as_constant;
  default:
    return as_generic;
  }
}

Value* Emitter::pointer_from_integer(Value* integer, Space space) {
  const AddressSpace target = address_space(space);
  const bool narrow = target == as_shared || target == as_private;
  Value* number = b.CreateZExtOrTrunc(integer, narrow ? b.getInt32Ty() : b.getInt64Ty());
  return b.CreateIntToPtr(number, pointer(target));
}

Value* Emitter::generic_from_shared(Value* offset) {
  Value* cast = b.CreateAddrSpaceCast(pointer_from_integer(offset, Space::shared), pointer(as_generic));
  return b.CreatePtrToInt(cast, b.getInt64Ty());
}

Value* Emitter::generic_from_local(Value* offset) {
  Value* cast = b.CreateAddrSpaceCast(pointer_from_integer(offset, Space::local), pointer(as_generic));
  return b.CreatePtrToInt(cast, b.getInt64Ty());
}

Value* Emitter::variable_address(std::uint32_t index) {
  const ptx::Variable& variable = module_.tree().variables[index];
  if (variable.space == Space::shared)
    return b.getInt64(module_.shared_offset(index));
  Value* table = implicit_field(offsetof(ImplicitArguments, variable_addresses), pointer(as_constant));
  Value* slot = b.CreateConstInBoundsGEP1_64(b.getInt64Ty(), table, module_.device_index(index));
  auto* address = b.CreateLoad(b.getInt64Ty(), slot);
  address->setMetadata(llvm::LLVMContext::MD_invariant_load, llvm::MDNode::get(b.getContext(), {}));
  return address;
}

Value* Emitter::local_pointer(std::uint32_t index) {
  if (!locals_[index]) {
    const ptx::Variable& variable = function_.locals[index];
    const std::uint64_t size = std::max<std::uint64_t>(variable.size, 1);
    local_bytes_ += size;
    if (local_bytes_ > largest_local)
      fail(fmt::format("more than {} bytes of local memory", largest_local));
    locals_[index] =
        stack(llvm::ArrayType::get(b.getInt8Ty(), size), std::max(variable.alignment, 4u), "local");
  }
  return locals_[index];
}

Value* Emitter::local_address(std::uint32_t index) {
  Value* pointer = local_pointer(index);
  const bool narrow = pointer->getType()->getPointerAddressSpace() == as_private;
  return b.CreateZExt(b.CreatePtrToInt(pointer, narrow ? b.getInt32Ty() : b.getInt64Ty()), b.getInt64Ty());
}

Value* Emitter::address_number(const Operand& operand, Space space) {
  switch (operand.base) {
  case Operand::Kind::reg: {
    Value* number = read_register(operand.index);
    if (number->getType()->getIntegerBitWidth() < 32)
      fail(fmt::format("`{}` is too narrow for an address", operand.text));
    return number;
  }
  case Operand::Kind::variable: {
    Value* number = variable_address(operand.index);
    const bool shared = module_.tree().variables[operand.index].space == Space::shared;
    if (shared && space == Space::generic)
      return generic_from_shared(number);
    if (shared != (space == Space::shared) || space == Space::local || space == Space::param)
      fail(fmt::format("`{}` lies in another space", operand.text));
    return number;
  }
  case Operand::Kind::integer:
    return b.getInt64(static_cast<std::uint64_t>(operand.integer));
  default:
    fail("unexpected address");
  }
}

Value* Emitter::address(const Operand& operand, Space space) {
  if (operand.kind != Operand::Kind::address || !operand.elements.empty())
    fail("expected an address");
  Value* base = nullptr;
  if (operand.base == Operand::Kind::local) {
    base = local_pointer(operand.index);
    const bool is_param = function_.locals[operand.index].space == Space::param;
    if (space == Space::generic)
      base = b.CreateAddrSpaceCast(base, pointer(as_generic));
    else if (space != (is_param ? Space::param : Space::local))
      fail(fmt::format("`{}` lies in another space", operand.text));
  } else {
    // A parameter's address in a register: kernarg memory in an entry, private memory in a function.
    const Space meant = space == Space::param && !function_.entry ? Space::local : space;
    base = pointer_from_integer(address_number(operand, space), meant);
    if (operand.base == Operand::Kind::integer)
      return base;
  }
  if (operand.integer == 0)
    return base;
  return b.CreateConstGEP1_64(b.getInt8Ty(), base, static_cast<std::uint64_t>(operand.integer));
}

Value* Emitter::implicit_field(unsigned offset, llvm::Type* type) {
  Value* place = b.CreateConstInBoundsGEP1_32(b.getInt8Ty(), implicit_, offset);
  auto* load = b.CreateLoad(type, place);
  load->setMetadata(llvm::LLVMContext::MD_invariant_load, llvm::MDNode::get(b.getContext(), {}));
  return load;
}

} // namespace shim::jit
