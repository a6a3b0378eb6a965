// The body of a function.
#pragma once

#include "ast.hpp"
#include "declarations.hpp"
#include "scope.hpp"
#include "token_stream.hpp"

namespace shim::jit::ptx {

// What a body needs of the module around it.
class ModuleNames {
public:
  virtual ~ModuleNames() = default;
  // A variable or a function; unresolved where there is none of that name.
  virtual Operand find(std::string_view name) const = 0;
  virtual InitialSymbol initial_symbol(std::string_view name, unsigned line) const = 0;
  // Keeps a .shared, .global or .const variable of a function. Returns its index.
  virtual std::uint32_t add_variable(Variable variable) = 0;
};

class FunctionParser {
public:
  FunctionParser(TokenStream& tokens, ModuleNames& module, Function& function)
      : tokens_(tokens), module_(module), function_(function),
        scopes_(
            [this](std::string_view name, const DeclarationType& type) { return add_simple(name, type); }) {}

  // Makes registers and locals of returns and parameters. For a function with a body only.
  void declare_signature();
  // { ... }
  void parse_body();

private:
  void block();
  void statement();
  void declaration(Space space);
  void declare_variable(std::string_view name, const DeclarationType& type);
  bool labelled_directive(std::string_view label);
  void place_label(std::string_view name);
  void instruction();
  void guard(Instruction& instruction);
  void declare(std::string_view name, Symbol symbol);
  std::uint32_t add_register(std::string_view name, Type type);
  // A register or variable without array bounds and initial value.
  Symbol add_simple(std::string_view name, const DeclarationType& type);
  Symbol add_variable(std::string_view name, Variable variable);

  Operand operand(bool parentheses_are_lists);
  Operand identifier();
  Operand minus();
  Operand resolve(std::string_view name, std::uint32_t scope);
  Operand component(std::string_view name, std::string_view selector);
  Operand bracketed();
  Operand sequence(Operand::Kind kind, std::string_view end);
  static Operand constant(const Constant& value);

  void finish();
  void finish(Operand& operand, unsigned line);

  TokenStream& tokens_;
  ModuleNames& module_;
  Function& function_;
  Scopes scopes_;

  struct PendingTargets {
    std::uint32_t index;
    std::uint32_t scope;
    unsigned line;
    std::vector<std::string_view> names;
  };
  std::vector<PendingTargets> pending_branches_;
  std::vector<PendingTargets> pending_calls_;
};

} // namespace shim::jit::ptx
