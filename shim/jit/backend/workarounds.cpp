#include "workarounds.hpp"

#include <llvm/Analysis/ValueTracking.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InlineAsm.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/PatternMatch.h>

namespace shim::jit {
namespace {

// A complement whose upper or lower half is constant meets an `or` only after instruction selection:
// si-fold-operands then makes the `or` of x and -1 a copy of x (LLVM 19.1). With the constant half as an `or`
// in the IR, selection folds it.
llvm::Value* complement_by_halves(llvm::Instruction& complement, llvm::Value* x,
                                  const llvm::KnownBits& known) {
  llvm::IRBuilder<> b(&complement);
  llvm::Type* word = b.getInt32Ty();
  llvm::Type* wide = b.getInt64Ty();
  const auto half = [&](unsigned shift) {
    llvm::Value* bits = b.CreateTrunc(b.CreateLShr(x, shift), word);
    return b.CreateShl(b.CreateZExt(b.CreateNot(bits), wide), shift);
  };
  return known.countMinLeadingZeros() >= 32 ? b.CreateOr(half(0), b.getInt64(~0ull << 32))
                                            : b.CreateOr(half(32), b.getInt64(~0ull >> 32));
}

void rewrite_complements(llvm::Function& function) {
  const llvm::DataLayout& layout = function.getParent()->getDataLayout();
  for (llvm::Instruction& instruction : llvm::make_early_inc_range(llvm::instructions(function))) {
    llvm::Value* x = nullptr;
    const bool complement =
        llvm::PatternMatch::match(&instruction, llvm::PatternMatch::m_Not(llvm::PatternMatch::m_Value(x))) ||
        llvm::PatternMatch::match(&instruction, llvm::PatternMatch::m_Sub(llvm::PatternMatch::m_AllOnes(),
                                                                          llvm::PatternMatch::m_Value(x)));
    if (!complement || !x->getType()->isIntegerTy(64))
      continue;
    const llvm::KnownBits known = llvm::computeKnownBits(x, layout);
    if (known.isConstant() || (known.countMinLeadingZeros() < 32 && known.countMinTrailingZeros() < 32))
      continue;
    instruction.replaceAllUsesWith(complement_by_halves(instruction, x, known));
    instruction.eraseFromParent();
  }
}

// The code generator counts sign bits to find small operands, in unsigned divisions too: a sign-extended -1
// passes for one bit (LLVM 19.1). What it cannot look into it does not shorten.
llvm::Value* opaque(llvm::Instruction& before, llvm::Value* x, const char* registers) {
  llvm::IRBuilder<> b(&before);
  auto* type = llvm::FunctionType::get(x->getType(), {x->getType()}, false);
  return b.CreateCall(llvm::InlineAsm::get(type, "", registers, false), {x});
}

void hide_signed_dividends(llvm::Function& function) {
  const llvm::DataLayout& layout = function.getParent()->getDataLayout();
  const auto misleads = [&](llvm::Value* x) {
    return llvm::ComputeNumSignBits(x, layout) >
           std::max(llvm::computeKnownBits(x, layout).countMinLeadingZeros(), 1u);
  };
  for (llvm::Instruction& instruction : llvm::instructions(function)) {
    if (instruction.getOpcode() != llvm::Instruction::UDiv &&
        instruction.getOpcode() != llvm::Instruction::URem)
      continue;
    llvm::Value* dividend = instruction.getOperand(0);
    const unsigned bits = dividend->getType()->getScalarSizeInBits();
    if ((bits == 32 || bits == 64) && (misleads(dividend) || misleads(instruction.getOperand(1))))
      instruction.setOperand(0, opaque(instruction, dividend, "=v,0"));
  }
}

// Instruction selection takes 0 - x for -x, which is another zero where x is 0 (LLVM 19.1).
void hide_zero_minuends(llvm::Function& function) {
  for (llvm::Instruction& instruction : llvm::instructions(function))
    if (instruction.getOpcode() == llvm::Instruction::FSub && !instruction.hasNoSignedZeros() &&
        !instruction.getType()->isVectorTy() &&
        llvm::PatternMatch::match(instruction.getOperand(0), llvm::PatternMatch::m_PosZeroFP()))
      instruction.setOperand(0, opaque(instruction, instruction.getOperand(0), "=s,0"));
}

} // namespace

void work_around_code_generator(llvm::Module& module) {
  for (llvm::Function& function : module) {
    rewrite_complements(function);
    hide_signed_dividends(function);
    hide_zero_minuends(function);
  }
}

} // namespace shim::jit
