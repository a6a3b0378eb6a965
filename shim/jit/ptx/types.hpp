// PTX's fundamental types and state spaces (PTX ISA, "State Spaces, Types, and Variables").
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace shim::jit::ptx {

enum class Type : std::uint8_t {
  none,
  b8,
  b16,
  b32,
  b64,
  u8,
  u16,
  u32,
  u64,
  s8,
  s16,
  s32,
  s64,
  f16,
  f16x2,
  f32,
  f64,
  pred,
  texref,
  samplerref,
  surfref,
};

// generic: an address in no named space.
enum class Space : std::uint8_t { generic, reg, param, local, shared, global, constant };

// Without the dot; nullopt for anything that is not a type.
std::optional<Type> type_from_name(std::string_view name);
std::string_view type_name(Type type);

// Size of a value in registers and in memory; a predicate has one bit, an opaque reference 64.
unsigned type_bits(Type type);
inline unsigned type_bytes(Type type) {
  return (type_bits(type) + 7) / 8;
}

inline bool is_signed(Type type) {
  return type >= Type::s8 && type <= Type::s64;
}
inline bool is_unsigned(Type type) {
  return type >= Type::u8 && type <= Type::u64;
}
inline bool is_untyped(Type type) {
  return type >= Type::b8 && type <= Type::b64;
}
inline bool is_float(Type type) {
  return type >= Type::f16 && type <= Type::f64;
}
inline bool is_integer(Type type) {
  return is_signed(type) || is_unsigned(type);
}
inline bool is_opaque(Type type) {
  return type >= Type::texref;
}

} // namespace shim::jit::ptx
