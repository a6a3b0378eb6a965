// One function's way from PTX to LLVM IR: registers, operands, addresses, blocks. The instruction families
// build on it.
//
// A PTX register is an integer variable in memory (an alloca, at first zero); LLVM makes values of them. A
// family's function lowers one instruction: it takes the modifiers, reads operands as the types that the
// instruction says, and writes its results. Guards are dealt with before it is called.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/IntrinsicsAMDGPU.h>

#include "../ptx/ast.hpp"
#include "modifiers.hpp"
#include "module_lowering.hpp"

namespace shim::jit {

using llvm::Value;
using ptx::Operand;
using ptx::Space;
using ptx::Type;

class Emitter {
public:
  Emitter(ModuleLowering& module, const ptx::Function& function, llvm::Function* result);

  void lower_body();

  llvm::IRBuilder<> b;
  ModuleLowering& module() { return module_; }
  const ptx::Function& function() const { return function_; }

  // The instruction being lowered.
  const ptx::Instruction& instruction() const { return *instruction_; }
  Modifiers& modifiers() { return modifiers_; }
  const Operand& operand(std::size_t index) const { return instruction_->operands[index]; }
  std::size_t operands() const { return instruction_->operands.size(); }
  // Throws where the number of operands is another.
  void expect_operands(std::size_t least, std::size_t most);
  void expect_operands(std::size_t count) { expect_operands(count, count); }
  // The next type among the modifiers, which must be there.
  Type expect_type();
  [[noreturn]] void fail(std::string_view message) const;
  // "ld.global.u32", as written.
  std::string instruction_text() const;
  // Throws "unknown modifier" or "unknown instruction" for what is left over.
  [[noreturn]] void fail_unknown() const;

  // Types and constants.
  llvm::Type* type(Type type);
  llvm::Type* integer_type(Type type) { return b.getIntNTy(ptx::type_bits(type)); }
  llvm::PointerType* pointer(AddressSpace space) { return b.getPtrTy(space); }

  // A value as the type's LLVM type: integers iN, f16 half, f32 float, f16x2 <2 x half>, pred i1.
  Value* read(const Operand& operand, Type type);
  Value* read(std::size_t index, Type type) { return read(operand(index), type); }
  // As an integer of the type's width, whatever the type.
  Value* read_bits(const Operand& operand, Type type);
  Value* read_predicate(const Operand& operand);
  // The register as it is.
  Value* read_register(std::uint32_t index);
  void write_register(std::uint32_t index, Value* value);
  // Writes a value of that type. A wider register receives it sign-extended where the type is signed, else
  // zero-extended.
  void write(const Operand& operand, Value* value, Type type);
  void write(std::size_t index, Value* value, Type type) { write(operand(index), value, type); }
  bool is_sink(const Operand& operand) const { return operand.kind == Operand::Kind::sink; }

  // Addresses.
  Value* address(const Operand& operand, Space space);
  // A pointer into the space from an integer of any width, and back to what PTX sees of it.
  Value* pointer_from_integer(Value* integer, Space space);
  // What `mov` gives for a variable: a 64-bit number.
  Value* variable_address(std::uint32_t index);
  Value* local_address(std::uint32_t index);
  Value* local_pointer(std::uint32_t index);
  Value* generic_from_shared(Value* offset);
  Value* generic_from_local(Value* offset);
  static AddressSpace address_space(Space space);

  // Implicit arguments: a field of jit::ImplicitArguments.
  Value* implicit_field(unsigned offset, llvm::Type* type);
  Value* implicit_pointer() { return implicit_; }
  // %tid.x and its like, in special_registers.cpp.
  Value* special_register(std::string_view name);
  Value* lane();
  Value* flat_thread();

  // Intrinsics and blocks.
  Value* call(llvm::Intrinsic::ID id, llvm::ArrayRef<llvm::Type*> types, llvm::ArrayRef<Value*> arguments) {
    return b.CreateIntrinsic(id, types, arguments);
  }
  llvm::BasicBlock* new_block(const char* name) {
    return llvm::BasicBlock::Create(b.getContext(), name, result_);
  }
  llvm::BasicBlock* label(std::uint32_t index) { return labels_[index]; }
  // Memory of this thread, made at the function's start.
  llvm::AllocaInst* stack(llvm::Type* type, std::uint32_t alignment, const char* name);
  // Condition code register CC.CF.
  llvm::AllocaInst* carry();
  // Leaves the function; `exited` says that the thread is to end.
  void leave(bool exited);
  void leave_if(Value* exited);

private:
  void lower(const ptx::Instruction& instruction);
  void bind_signature();
  Value* constant(const Operand& operand, Type type);
  Value* as_type(Value* bits, Type type);
  Value* address_number(const Operand& operand, Space space);

  ModuleLowering& module_;
  const ptx::Function& function_;
  llvm::Function* result_;
  const ptx::Instruction* instruction_ = nullptr;
  Modifiers modifiers_;
  llvm::BasicBlock* entry_block_;
  Value* implicit_ = nullptr;
  Value* kernarg_ = nullptr;
  llvm::AllocaInst* carry_ = nullptr;
  std::vector<llvm::AllocaInst*> registers_;
  std::vector<Value*> locals_;
  std::uint64_t local_bytes_ = 0;
  std::vector<llvm::BasicBlock*> labels_;
};

// Families. Each adds its opcodes to the table.
using Lowering = void (*)(Emitter&);
using LoweringTable = std::unordered_map<std::string_view, Lowering>;
void add_integer(LoweringTable& table);
void add_bits(LoweringTable& table);
void add_float(LoweringTable& table);
void add_approximate(LoweringTable& table);
void add_compare(LoweringTable& table);
void add_convert(LoweringTable& table);
void add_move(LoweringTable& table);
void add_memory(LoweringTable& table);
void add_atomic(LoweringTable& table);
void add_warp(LoweringTable& table);
void add_barrier(LoweringTable& table);
void add_control(LoweringTable& table);
void add_video(LoweringTable& table);
// The whole table.
const LoweringTable& lowering_table();

} // namespace shim::jit
