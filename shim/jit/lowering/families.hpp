// What instruction families share.
#pragma once

#include "emitter.hpp"

namespace shim::jit {

// Opcodes that integer and floating-point types have in common: the integer family owns the table's row and
// passes the floating-point forms on. The type is taken already.
void float_add(Emitter& e, Type type);
void float_sub(Emitter& e, Type type);
void float_mul(Emitter& e, Type type);
void float_mad(Emitter& e, Type type);
void float_div(Emitter& e, Type type);
void float_abs(Emitter& e, Type type);
void float_neg(Emitter& e, Type type);
void float_min(Emitter& e, Type type);
void float_max(Emitter& e, Type type);

// .approx and .full forms of div, rcp, sqrt.
Value* approximate_reciprocal(Emitter& e, Value* x);
Value* approximate_square_root(Emitter& e, Value* x);
Value* approximate_division(Emitter& e, Value* a, Value* b);
Value* full_range_division(Emitter& e, Value* a, Value* b);

// Floating-point building blocks, in float_rounding.cpp.
// Subnormal to zero of the same sign.
Value* flush(Emitter& e, Value* x);
// To [0, 1]; NaN to +0.
Value* saturate(Emitter& e, Value* x);
enum class RoundedOperation { add, mul, fma, f64_to_f32, f32_to_f16 };
// One hardware instruction with another rounding mode around it.
Value* rounded(Emitter& e, RoundedOperation operation, Rounding rounding, llvm::ArrayRef<Value*> arguments);
// A double to a float or a half, correctly in every mode.
Value* f64_to_f32(Emitter& e, Value* x, Rounding rounding);
Value* f64_to_f16(Emitter& e, Value* x, Rounding rounding);
Value* rounded_division(Emitter& e, Value* a, Value* b, Rounding rounding);
Value* rounded_square_root(Emitter& e, Value* x, Rounding rounding);

// Shifts that PTX clamps: an amount (32 bits) beyond the width gives 0, or the sign.
Value* shift_left(Emitter& e, Value* x, Value* amount);
Value* shift_right(Emitter& e, Value* x, Value* amount);
Value* shift_right_signed(Emitter& e, Value* x, Value* amount);

// Signed or unsigned extension to `bits`, by the type.
inline Value* extend(Emitter& e, Value* x, unsigned bits, bool is_signed) {
  return is_signed ? e.b.CreateSExt(x, e.b.getIntNTy(bits)) : e.b.CreateZExt(x, e.b.getIntNTy(bits));
}

// Barriers' memory in LDS: the bytes that an instruction needs of it, and code that clears all of it at an
// entry's start.
constexpr std::uint32_t numbered_barriers = 16;
std::uint32_t barrier_bytes(const ptx::Instruction& instruction);
void initialise_barriers(Emitter& e);

// What NVIDIA's driver itself defines for device code, and nothing here does.
bool is_system_function(const ptx::Function& function);

// Memory instructions' words.
Space take_space(Emitter& e);
llvm::SyncScope::ID take_scope(Emitter& e, llvm::SyncScope::ID otherwise);
llvm::SyncScope::ID scope(Emitter& e, const char* name);

} // namespace shim::jit
