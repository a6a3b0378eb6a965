// Declarations: what follows a state space, up to the comma or semicolon.
#pragma once

#include <functional>
#include <optional>

#include "ast.hpp"
#include "token_stream.hpp"

namespace shim::jit::ptx {

// The state space that a directive names; nullopt for other directives.
std::optional<Space> space_from_directive(std::string_view name);

// What is common to all names of one declaration.
struct DeclarationType {
  Space space = Space::generic;
  Type type = Type::none;
  unsigned vector = 1;
  std::uint32_t alignment = 0; // 0: natural
};

// What a name in an initialiser stands for.
struct InitialSymbol {
  std::uint32_t variable = no_index; // or
  std::uint32_t function = no_index;
};
using SymbolLookup = std::function<InitialSymbol(std::string_view name, unsigned line)>;

// Stands at the space directive. Reads it, and .align, .vN, the type, and a parameter's .ptr.
DeclarationType parse_declaration_type(TokenStream& tokens);

// A variable without array bounds and initial value.
Variable simple_variable(const DeclarationType& type, std::string_view name, unsigned line);

// Stands behind the name. The count of `name<count>`, which stands for name0 ... name(count-1) and has
// neither array bounds nor an initial value; nullopt where it is a name like any other.
std::optional<std::uint32_t> parse_range(TokenStream& tokens, std::string_view name);

// Stands behind the name: array bounds, and an initialiser where `lookup` is given.
Variable parse_declarator(TokenStream& tokens, const DeclarationType& type, std::string_view name,
                          const SymbolLookup* lookup);

// (a, b, ...): the formal parameters of a function; empty parentheses are allowed.
std::vector<Variable> parse_parameters(TokenStream& tokens);

} // namespace shim::jit::ptx
