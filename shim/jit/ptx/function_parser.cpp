#include "function_parser.hpp"

#include <fmt/format.h>

namespace shim::jit::ptx {
namespace {

constexpr std::size_t most_modifiers = 31;
constexpr unsigned deepest_block = 1000; // a name is looked for in each

// Addresses wrap.
std::int64_t sum(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}

bool is_function_modifier(std::string_view name) {
  return name == "noreturn" || name == "unique";
}

} // namespace

void FunctionParser::declare(std::string_view name, Symbol symbol) {
  if (!scopes_.declare(name, symbol))
    throw Error{tokens_.line(), fmt::format("`{}` is declared twice", name)};
}

std::uint32_t FunctionParser::add_register(std::string_view name, Type type) {
  function_.registers.push_back({name, type});
  return static_cast<std::uint32_t>(function_.registers.size() - 1);
}

Symbol FunctionParser::add_variable(std::string_view name, Variable variable) {
  if (variable.space == Space::local || variable.space == Space::param) {
    function_.locals.push_back(std::move(variable));
    return {Symbol::Kind::local, static_cast<std::uint32_t>(function_.locals.size() - 1)};
  }
  variable.name = fmt::format("{}.{}", function_.name, name);
  return {Symbol::Kind::variable, module_.add_variable(std::move(variable))};
}

Symbol FunctionParser::add_simple(std::string_view name, const DeclarationType& type) {
  if (type.space != Space::reg)
    return add_variable(name, simple_variable(type, name, tokens_.line()));
  const std::uint32_t first = add_register(name, type.type);
  for (unsigned i = 1; i < type.vector; i++)
    add_register(name, type.type);
  return {Symbol::Kind::reg, first, type.vector};
}

void FunctionParser::declare_signature() {
  for (auto* list : {&function_.returns, &function_.parameters})
    for (Variable& variable : *list) {
      const auto local = static_cast<std::uint32_t>(function_.locals.size());
      if (variable.space == Space::reg) {
        variable.reg = add_register(variable.name, variable.type);
        declare(variable.name, {Symbol::Kind::reg, variable.reg});
      } else if (variable.name != "_") {
        declare(variable.name, {Symbol::Kind::local, local});
      }
      function_.locals.push_back(variable);
    }
}

void FunctionParser::parse_body() {
  block();
  finish();
}

void FunctionParser::block() {
  tokens_.expect("{");
  for (unsigned depth = 1; depth;) {
    if (tokens_.at("{")) {
      if (++depth > deepest_block)
        throw Error{tokens_.line(), fmt::format("more than {} blocks in each other", deepest_block)};
      tokens_.take();
      scopes_.open();
    } else if (tokens_.accept("}")) {
      if (--depth)
        scopes_.close();
    } else if (tokens_.at_end()) {
      tokens_.unexpected("`}`");
    } else {
      statement();
    }
  }
}

void FunctionParser::statement() {
  if (tokens_.accept(";")) {
    // an empty statement
  } else if (tokens_.at_directive()) {
    tokens_.accept_directive("extern"); // .extern .shared in a function: its missing size says the same
    const Token& token = tokens_.peek();
    if (const auto space = space_from_directive(token.text)) {
      declaration(*space);
    } else if (token.text == "loc" || token.text == "file") {
      tokens_.skip_line(token.line);
    } else if (token.text == "pragma") {
      while (!tokens_.accept(";")) {
        if (tokens_.at_end())
          tokens_.unexpected("`;`");
        tokens_.take();
      }
    } else {
      throw Error{token.line, fmt::format("unknown directive `.{}`", token.text)};
    }
  } else if (tokens_.at_identifier() && tokens_.peek(1).kind == Token::Kind::punctuation &&
             tokens_.peek(1).text == ":") {
    const std::string_view name = tokens_.take().text;
    tokens_.expect(":");
    if (!labelled_directive(name))
      place_label(name);
  } else {
    instruction();
  }
}

void FunctionParser::place_label(std::string_view name) {
  Instruction place;
  place.line = tokens_.line();
  place.label = function_.labels++;
  declare(name, {Symbol::Kind::label, place.label});
  function_.body.push_back(std::move(place));
}

// `name: .branchtargets ...` and its like.
bool FunctionParser::labelled_directive(std::string_view label) {
  const unsigned line = tokens_.line();
  const auto names = [&] {
    std::vector<std::string_view> list;
    do
      list.push_back(tokens_.expect_identifier());
    while (tokens_.accept(","));
    tokens_.expect(";");
    return list;
  };
  if (tokens_.accept_directive("branchtargets")) {
    const auto index = static_cast<std::uint32_t>(function_.branch_targets.size());
    function_.branch_targets.emplace_back();
    pending_branches_.push_back({index, scopes_.current(), line, names()});
    declare(label, {Symbol::Kind::targets, index});
    return true;
  }
  const auto index = static_cast<std::uint32_t>(function_.call_infos.size());
  if (tokens_.accept_directive("calltargets")) {
    function_.call_infos.emplace_back();
    pending_calls_.push_back({index, scopes_.current(), line, names()});
  } else if (tokens_.accept_directive("callprototype")) {
    CallInfo info;
    info.has_signature = true;
    if (tokens_.at("("))
      info.returns = parse_parameters(tokens_);
    tokens_.expect_identifier();
    if (tokens_.at("("))
      info.parameters = parse_parameters(tokens_);
    while (tokens_.at_directive() && is_function_modifier(tokens_.peek().text))
      tokens_.take();
    tokens_.expect(";");
    function_.call_infos.push_back(std::move(info));
  } else {
    return false;
  }
  declare(label, {Symbol::Kind::call_info, index});
  return true;
}

void FunctionParser::declaration(Space space) {
  const unsigned line = tokens_.line();
  const DeclarationType type = parse_declaration_type(tokens_);
  if (space != Space::reg && (is_opaque(type.type) || type.type == Type::pred))
    throw Error{line, fmt::format(".{} variable in a function", type_name(type.type))};
  do {
    const std::string_view name = tokens_.expect_identifier();
    if (const auto count = parse_range(tokens_, name)) {
      if (!scopes_.declare_range(name, type, *count))
        throw Error{tokens_.line(), fmt::format("`{}<{}>` is declared twice", name, *count)};
    } else if (space == Space::reg) {
      declare(name, add_simple(name, type));
    } else {
      declare_variable(name, type);
    }
  } while (tokens_.accept(","));
  tokens_.expect(";");
}

void FunctionParser::declare_variable(std::string_view name, const DeclarationType& type) {
  const SymbolLookup lookup = [this](std::string_view symbol, unsigned line) {
    return module_.initial_symbol(symbol, line);
  };
  const bool local = type.space == Space::local || type.space == Space::param;
  Variable variable = parse_declarator(tokens_, type, name, local ? nullptr : &lookup);
  if (variable.unsized && variable.initial.empty() && type.space != Space::shared)
    throw Error{variable.line, fmt::format("`{}` has no size", name)};
  declare(name, add_variable(name, std::move(variable)));
}

void FunctionParser::guard(Instruction& instruction) {
  if (!tokens_.accept("@"))
    return;
  instruction.guard_negated = tokens_.accept("!");
  const unsigned line = tokens_.line();
  const std::string_view name = tokens_.expect_identifier();
  const auto symbol = scopes_.find(name);
  if (!symbol || symbol->kind != Symbol::Kind::reg || function_.registers[symbol->index].type != Type::pred)
    throw Error{line, fmt::format("`{}` is not a predicate register", name)};
  instruction.guard = symbol->index;
}

void FunctionParser::instruction() {
  Instruction instruction;
  guard(instruction);
  instruction.line = tokens_.line();
  instruction.opcode = tokens_.expect_identifier();
  while (tokens_.at_directive())
    instruction.modifiers.push_back(tokens_.take().text);
  if (instruction.modifiers.size() > most_modifiers)
    throw Error{instruction.line, fmt::format("too many modifiers on `{}`", instruction.opcode)};
  const bool call = instruction.opcode == "call";
  if (!tokens_.at(";"))
    do
      instruction.operands.push_back(operand(call));
    while (tokens_.accept(","));
  tokens_.expect(";");
  function_.body.push_back(std::move(instruction));
}

Operand FunctionParser::constant(const Constant& value) {
  Operand operand;
  operand.kind = value.is_real ? Operand::Kind::real : Operand::Kind::integer;
  operand.single = value.single_bits();
  operand.real = value.double_bits();
  operand.integer = value.integer;
  return operand;
}

Operand FunctionParser::sequence(Operand::Kind kind, std::string_view end) {
  Operand result;
  result.kind = kind;
  tokens_.take();
  while (!tokens_.at(end)) {
    result.elements.push_back(operand(false));
    if (!tokens_.accept(","))
      break;
  }
  tokens_.expect(end);
  return result;
}

Operand FunctionParser::operand(bool parentheses_are_lists) {
  const TokenStream::Nesting nesting(tokens_);
  if (tokens_.at("{"))
    return sequence(Operand::Kind::vector, "}");
  if (tokens_.at("["))
    return bracketed();
  if (tokens_.at("(") && parentheses_are_lists)
    return sequence(Operand::Kind::list, ")");
  if (tokens_.at("!") && tokens_.peek(1).kind == Token::Kind::identifier) {
    tokens_.take();
    Operand result = identifier();
    result.negated = true;
    return result;
  }
  if (tokens_.at("-") && tokens_.peek(1).kind == Token::Kind::identifier && tokens_.peek(1).text != "WARP_SZ")
    return minus();
  if (!tokens_.at_identifier() || tokens_.peek().text == "WARP_SZ")
    return constant(tokens_.constant());
  Operand result = identifier();
  if (!tokens_.accept("|"))
    return result;
  Operand both;
  both.kind = Operand::Kind::pair;
  both.elements.push_back(std::move(result));
  both.elements.push_back(identifier());
  return both;
}

Operand FunctionParser::minus() {
  tokens_.take();
  Operand result = identifier();
  if (result.kind != Operand::Kind::reg)
    throw Error{tokens_.line(), fmt::format("`-{}`: not a register", result.text)};
  result.minus = true;
  return result;
}

Operand FunctionParser::identifier() {
  const std::string_view name = tokens_.expect_identifier();
  if (tokens_.at_directive() && tokens_.peek().adjacent)
    return component(name, tokens_.take().text);
  Operand result = resolve(name, scopes_.current());
  const bool addressable = result.kind == Operand::Kind::variable || result.kind == Operand::Kind::local;
  if (addressable && tokens_.accept("[")) {
    result.integer = tokens_.integer();
    tokens_.expect("]");
  }
  if (addressable && (tokens_.at("+") || tokens_.at("-")))
    result.integer = sum(result.integer, tokens_.offset());
  return result;
}

// %tid.x, v.y of a vector register, a.b0 of a video instruction.
Operand FunctionParser::component(std::string_view name, std::string_view selector) {
  Operand result = resolve(name, scopes_.current());
  if (result.kind == Operand::Kind::special) {
    result.text = std::string_view(name.data(), name.size() + 1 + selector.size());
  } else if (result.kind == Operand::Kind::vector) {
    static constexpr std::string_view names = "xyzw";
    static constexpr std::string_view colours = "rgba";
    std::size_t index = selector.size() == 1 ? names.find(selector) : std::string_view::npos;
    if (index == std::string_view::npos && selector.size() == 1)
      index = colours.find(selector);
    if (index >= result.elements.size())
      throw Error{tokens_.line(), fmt::format("`{}` has no component `.{}`", name, selector)};
    return Operand(result.elements[index]);
  } else if (result.kind == Operand::Kind::reg) {
    result.selector = selector;
  } else {
    throw Error{tokens_.line(), fmt::format("unknown name `{}.{}`", name, selector)};
  }
  return result;
}

Operand FunctionParser::resolve(std::string_view name, std::uint32_t scope) {
  Operand result;
  result.text = name;
  if (name == "_")
    return result;
  const auto symbol = scopes_.find(name, scope);
  if (!symbol) {
    result = module_.find(name);
    result.text = name;
    if (result.kind == Operand::Kind::unresolved) {
      result.kind = name[0] == '%' ? Operand::Kind::special : Operand::Kind::unresolved;
      result.index = scope;
    }
    return result;
  }
  result.index = symbol->index;
  switch (symbol->kind) {
  case Symbol::Kind::reg:
    result.kind = Operand::Kind::reg;
    break;
  case Symbol::Kind::local:
    result.kind = Operand::Kind::local;
    break;
  case Symbol::Kind::variable:
    result.kind = Operand::Kind::variable;
    break;
  case Symbol::Kind::label:
    result.kind = Operand::Kind::label;
    break;
  case Symbol::Kind::targets:
    result.kind = Operand::Kind::targets;
    break;
  case Symbol::Kind::call_info:
    result.kind = Operand::Kind::prototype;
    break;
  }
  if (symbol->vector == 1)
    return result;
  Operand whole;
  whole.kind = Operand::Kind::vector;
  whole.text = name;
  for (unsigned i = 0; i < symbol->vector; i++) {
    whole.elements.push_back(result);
    whole.elements.back().index += i;
  }
  return whole;
}

Operand FunctionParser::bracketed() {
  Operand result;
  result.kind = Operand::Kind::address;
  tokens_.expect("[");
  if (tokens_.at_identifier() && tokens_.peek().text != "WARP_SZ") {
    Operand base = identifier();
    const bool known = base.kind == Operand::Kind::reg || base.kind == Operand::Kind::variable ||
                       base.kind == Operand::Kind::local;
    if (!known)
      throw Error{tokens_.line(), fmt::format("unknown name `{}` in an address", base.text)};
    result.base = base.kind;
    result.index = base.index;
    result.integer = base.integer;
    result.text = base.text;
    if (base.kind == Operand::Kind::reg && (tokens_.at("+") || tokens_.at("-")))
      result.integer = sum(result.integer, tokens_.offset());
  } else {
    result.base = Operand::Kind::integer;
    result.integer = tokens_.integer();
  }
  while (tokens_.accept(","))
    result.elements.push_back(operand(false));
  tokens_.expect("]");
  return result;
}

// Labels and functions that were used before they appeared.
void FunctionParser::finish(Operand& operand, unsigned line) {
  if (operand.kind == Operand::Kind::unresolved) {
    const std::string_view name = operand.text;
    operand = resolve(name, operand.index);
    if (operand.kind == Operand::Kind::unresolved)
      throw Error{line, fmt::format("unknown name `{}`", name)};
  }
  for (Operand& element : operand.elements)
    finish(element, line);
}

void FunctionParser::finish() {
  for (Instruction& instruction : function_.body)
    for (Operand& operand : instruction.operands)
      finish(operand, instruction.line);
  for (const PendingTargets& pending : pending_branches_)
    for (std::string_view name : pending.names) {
      const Operand target = resolve(name, pending.scope);
      if (target.kind != Operand::Kind::label)
        throw Error{pending.line, fmt::format("`{}` is not a label", name)};
      function_.branch_targets[pending.index].push_back(target.index);
    }
  for (const PendingTargets& pending : pending_calls_)
    for (std::string_view name : pending.names) {
      const Operand target = resolve(name, pending.scope);
      if (target.kind != Operand::Kind::function)
        throw Error{pending.line, fmt::format("`{}` is not a function", name)};
      function_.call_infos[pending.index].targets.push_back(target.index);
    }
}

} // namespace shim::jit::ptx
