#include "types.hpp"

#include <array>

namespace shim::jit::ptx {
namespace {

struct Row {
  Type type;
  std::string_view name;
  unsigned bits;
};

constexpr std::array rows = {
    Row{Type::none, "", 0},
    Row{Type::b8, "b8", 8},
    Row{Type::b16, "b16", 16},
    Row{Type::b32, "b32", 32},
    Row{Type::b64, "b64", 64},
    Row{Type::u8, "u8", 8},
    Row{Type::u16, "u16", 16},
    Row{Type::u32, "u32", 32},
    Row{Type::u64, "u64", 64},
    Row{Type::s8, "s8", 8},
    Row{Type::s16, "s16", 16},
    Row{Type::s32, "s32", 32},
    Row{Type::s64, "s64", 64},
    Row{Type::f16, "f16", 16},
    Row{Type::f16x2, "f16x2", 32},
    Row{Type::f32, "f32", 32},
    Row{Type::f64, "f64", 64},
    Row{Type::pred, "pred", 1},
    Row{Type::texref, "texref", 64},
    Row{Type::samplerref, "samplerref", 64},
    Row{Type::surfref, "surfref", 64},
};

} // namespace

std::optional<Type> type_from_name(std::string_view name) {
  for (const Row& row : rows)
    if (row.type != Type::none && row.name == name)
      return row.type;
  return std::nullopt;
}

std::string_view type_name(Type type) {
  return rows[static_cast<std::size_t>(type)].name;
}

unsigned type_bits(Type type) {
  return rows[static_cast<std::size_t>(type)].bits;
}

} // namespace shim::jit::ptx
