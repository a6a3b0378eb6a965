#include "module_lowering.hpp"

#include <algorithm>
#include <unordered_set>

#include <fmt/format.h>
#include <jit/compiler.hpp>
#include <llvm/IR/Attributes.h>
#include <llvm/IR/DerivedTypes.h>
#include <llvm/IR/Function.h>
#include <llvm/IR/IRBuilder.h>

#include "families.hpp"

namespace shim::jit {
namespace {

constexpr std::uint32_t shared_granularity = 16;
constexpr std::uint32_t largest_shared = 64 * 1024;
constexpr std::uint32_t most_threads = 1024;

std::uint64_t align_up(std::uint64_t value, std::uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

template <class Visit>
void visit_operand(const Operand& operand, Visit&& visit) {
  visit(operand);
  for (const Operand& element : operand.elements)
    visit_operand(element, visit);
}

bool calls_indirectly(const ptx::Instruction& instruction) {
  if (instruction.opcode != "call")
    return false;
  for (const Operand& operand : instruction.operands)
    if (operand.kind == Operand::Kind::reg)
      return true;
  return false;
}

} // namespace

std::vector<std::uint32_t> parameter_offsets(const ptx::Function& entry) {
  std::vector<std::uint32_t> offsets;
  std::uint64_t end = 0;
  for (const ptx::Variable& parameter : entry.parameters) {
    end = align_up(end, parameter.alignment);
    offsets.push_back(static_cast<std::uint32_t>(end));
    end += parameter.size;
  }
  return offsets;
}

std::uint32_t parameter_bytes(const ptx::Function& entry) {
  if (entry.parameters.empty())
    return 0;
  return parameter_offsets(entry).back() + static_cast<std::uint32_t>(entry.parameters.back().size);
}

std::uint32_t implicit_offset(const ptx::Function& entry) {
  return static_cast<std::uint32_t>(align_up(parameter_bytes(entry), alignof(ImplicitArguments)));
}

std::uint32_t kernarg_bytes(const ptx::Function& entry) {
  return implicit_offset(entry) + sizeof(ImplicitArguments);
}

ModuleLowering::ModuleLowering(llvm::LLVMContext& context, const ptx::Module& tree, GfxVersion gfx)
    : tree_(tree), gfx_(gfx), module_(std::make_unique<llvm::Module>("ptx", context)) {
  std::uint32_t next = 0;
  for (const ptx::Variable& variable : tree.variables)
    device_indices_.push_back(variable.space == Space::shared ? ptx::no_index : next++);
}

void ModuleLowering::lower(std::uint32_t root) {
  collect(root);
  collect_direct(root);
  lay_out_shared();
  for (std::uint32_t index : reached_)
    lower_one(index);
}

void ModuleLowering::lower_alone(std::uint32_t index) {
  checking_ = true;
  collect(index);
  lay_out_shared();
  lower_one(index);
}

void ModuleLowering::lower_one(std::uint32_t index) {
  const ptx::Function& source = tree_.functions[index];
  if (source.entry)
    lower_entry(index);
  else if (source.has_body)
    Emitter(*this, source, function(index)).lower_body();
}

// Finds the functions that the root reaches, their shared variables, and whether any of them calls itself.
void ModuleLowering::collect(std::uint32_t root) {
  std::unordered_map<std::uint32_t, bool> finished; // false while on the path from the root
  const auto walk = [&](auto&& self, std::uint32_t index) -> void {
    if (const auto known = finished.find(index); known != finished.end()) {
      recursive_ = recursive_ || !known->second;
      return;
    }
    finished[index] = false;
    reached_.push_back(index);
    for (const ptx::Instruction& instruction : tree_.functions[index].body) {
      for (const Operand& operand : instruction.operands)
        visit_operand(operand, [&](const Operand& part) {
          const bool variable = part.kind == Operand::Kind::variable ||
                                (part.kind == Operand::Kind::address && part.base == Operand::Kind::variable);
          if (variable && tree_.variables[part.index].space == Space::shared)
            shared_offsets_.emplace(part.index, 0);
          if (part.kind == Operand::Kind::function && instruction.opcode == "call")
            self(self, part.index);
        });
      if (calls_indirectly(instruction))
        for (std::uint32_t candidate : call_candidates())
          self(self, candidate);
    }
    finished[index] = true;
  };
  walk(walk, root);
}

void ModuleLowering::collect_direct(std::uint32_t root) {
  std::vector<std::uint32_t> pending = {root};
  while (!pending.empty()) {
    const ptx::Function& function = tree_.functions[pending.back()];
    pending.pop_back();
    if (!direct_.insert(&function).second)
      continue;
    for (const ptx::Instruction& instruction : function.body)
      if (instruction.opcode == "call")
        for (const Operand& operand : instruction.operands)
          if (operand.kind == Operand::Kind::function)
            pending.push_back(operand.index);
  }
}

// Static variables in the order of their declaration, then the barriers' memory, then dynamic memory.
void ModuleLowering::lay_out_shared() {
  std::vector<std::uint32_t> variables;
  for (const auto& [variable, offset] : shared_offsets_)
    variables.push_back(variable);
  std::sort(variables.begin(), variables.end());
  for (std::uint32_t index : reached_)
    for (const ptx::Instruction& instruction : tree_.functions[index].body)
      barrier_memory_bytes_ = std::max(barrier_memory_bytes_, barrier_bytes(instruction));
  std::uint64_t end = 0;
  for (std::uint32_t index : variables) {
    const ptx::Variable& variable = tree_.variables[index];
    if (variable.unsized)
      continue;
    end = align_up(end, variable.alignment);
    shared_offsets_[index] = static_cast<std::uint32_t>(end);
    end += variable.size;
    if (end > largest_shared)
      throw ptx::Error{variable.line,
                       fmt::format("shared variables need more than {} bytes", largest_shared)};
  }
  if (barrier_memory_bytes_) {
    barrier_memory_ = static_cast<std::uint32_t>(align_up(end, 4));
    end = barrier_memory_ + barrier_memory_bytes_;
  }
  static_shared_bytes_ = static_cast<std::uint32_t>(align_up(end, shared_granularity));
  for (std::uint32_t index : variables)
    if (tree_.variables[index].unsized)
      shared_offsets_[index] = static_shared_bytes_;
}

std::uint32_t ModuleLowering::shared_offset(std::uint32_t variable) const {
  return shared_offsets_.at(variable);
}

const std::vector<std::uint32_t>& ModuleLowering::call_candidates() {
  if (!candidates_known_)
    for (std::uint32_t i = 0; i < tree_.functions.size(); i++)
      if (!tree_.functions[i].entry && tree_.functions[i].address_taken &&
          (tree_.functions[i].has_body || is_system_function(tree_.functions[i])))
        candidates_.push_back(i);
  candidates_known_ = true;
  return candidates_;
}

llvm::Function* ModuleLowering::function(std::uint32_t index) {
  if (const auto known = functions_.find(index); known != functions_.end())
    return known->second;
  const ptx::Function& source = tree_.functions[index];
  llvm::LLVMContext& context = module_->getContext();
  std::vector<llvm::Type*> types = {llvm::PointerType::get(context, as_constant)};
  types.insert(types.end(), source.returns.size() + source.parameters.size(),
               llvm::PointerType::get(context, as_private));
  auto* type = llvm::FunctionType::get(llvm::Type::getInt1Ty(context), types, false);
  auto* function =
      llvm::Function::Create(type, llvm::GlobalValue::InternalLinkage, "f." + source.name, *module_);
  function->addFnAttr(llvm::Attribute::NoUnwind);
  function->addFnAttr(llvm::Attribute::Convergent);
  if (!recursive_)
    function->addFnAttr(llvm::Attribute::AlwaysInline);
  function->addFnAttr(llvm::Attribute::NullPointerIsValid); // what is stored to address 0 faults, as anywhere
  function->addFnAttr("denormal-fp-math", "ieee,ieee");
  function->addFnAttr("amdgpu-ieee", "false");
  functions_[index] = function;
  return function;
}

void ModuleLowering::lower_entry(std::uint32_t index) {
  const ptx::Function& source = tree_.functions[index];
  llvm::LLVMContext& context = module_->getContext();
  auto* pointer = llvm::PointerType::get(context, as_constant);
  auto* type = llvm::FunctionType::get(llvm::Type::getVoidTy(context), {pointer}, false);
  auto* kernel = llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, source.name, *module_);
  kernel->setCallingConv(llvm::CallingConv::AMDGPU_KERNEL);
  kernel->setVisibility(llvm::GlobalValue::ProtectedVisibility);
  auto* block = llvm::ArrayType::get(llvm::Type::getInt8Ty(context), kernarg_bytes(source));
  kernel->addParamAttr(0, llvm::Attribute::get(context, llvm::Attribute::ByRef, block));
  kernel->addParamAttr(0, llvm::Attribute::getWithAlignment(context, llvm::Align(16)));
  kernel->addParamAttr(0, llvm::Attribute::NoUndef);
  kernel->addFnAttr(llvm::Attribute::NoUnwind);
  kernel->addFnAttr(llvm::Attribute::Convergent);
  kernel->addFnAttr(llvm::Attribute::NullPointerIsValid);

  std::uint64_t threads = most_threads;
  for (const auto& limit : {source.max_threads, source.required_threads})
    if (limit[0])
      threads = std::min<std::uint64_t>(threads, std::uint64_t{limit[0]} * limit[1] * limit[2]);
  const bool exact = source.required_threads[0] != 0;
  kernel->addFnAttr("amdgpu-flat-work-group-size", fmt::format("{},{}", exact ? threads : 1, threads));
  kernel->addFnAttr("uniform-work-group-size", "true");
  kernel->addFnAttr("amdgpu-implicitarg-num-bytes", "0");
  kernel->addFnAttr("amdgpu-lds-size", fmt::format("{}", static_shared_bytes_));
  kernel->addFnAttr("denormal-fp-math", "ieee,ieee");
  kernel->addFnAttr("amdgpu-ieee", "false");
  for (const char* absent :
       {"dispatch-ptr", "dispatch-id", "queue-ptr", "implicitarg-ptr", "hostcall-ptr", "heap-ptr",
        "multigrid-sync-arg", "default-queue", "completion-action", "lds-kernel-id"})
    kernel->addFnAttr(std::string("amdgpu-no-") + absent);
  Emitter(*this, source, kernel).lower_body();
}

} // namespace shim::jit
