#include "parser.hpp"

#include <fmt/format.h>
#include <unordered_map>

#include "function_parser.hpp"

namespace shim::jit::ptx {
namespace {

struct Linkage {
  bool visible = false;
  bool external = false;
  bool weak = false;
};

class ModuleParser final : public ModuleNames {
public:
  explicit ModuleParser(Module& module) : module_(module), tokens_(module.source) {}

  void run() {
    header();
    while (!tokens_.at_end())
      directive();
  }

  Operand find(std::string_view name) const override {
    Operand result;
    result.kind = Operand::Kind::unresolved;
    if (const auto variable = variables_.find(name); variable != variables_.end()) {
      result.kind = Operand::Kind::variable;
      result.index = variable->second;
    } else if (const auto function = functions_.find(name); function != functions_.end()) {
      result.kind = Operand::Kind::function;
      result.index = function->second;
    }
    return result;
  }

  InitialSymbol initial_symbol(std::string_view name, unsigned line) const override {
    const Operand found = find(name);
    if (found.kind == Operand::Kind::function)
      return {no_index, Module::function_address(found.index)};
    if (found.kind != Operand::Kind::variable)
      throw Error{line, fmt::format("unknown name `{}`", name)};
    if (module_.variables[found.index].space == Space::shared)
      throw Error{line, fmt::format("address of shared variable `{}` in an initial value", name)};
    return {found.index, 0};
  }

  std::uint32_t add_variable(Variable variable) override {
    module_.variables.push_back(std::move(variable));
    return static_cast<std::uint32_t>(module_.variables.size() - 1);
  }

private:
  unsigned two_part_number() {
    const Token& token = tokens_.take();
    const std::size_t dot = token.text.find('.');
    unsigned major = 0, minor = 0;
    if (token.kind != Token::Kind::number || dot == std::string_view::npos ||
        std::sscanf(std::string(token.text).c_str(), "%u.%u", &major, &minor) != 2)
      throw Error{token.line, fmt::format("malformed version `{}`", token.text)};
    return 10 * major + minor;
  }

  void header() {
    if (!tokens_.accept_directive("version"))
      tokens_.unexpected("`.version`");
    module_.version = two_part_number();
    if (!tokens_.accept_directive("target"))
      tokens_.unexpected("`.target`");
    do {
      const Token& token = tokens_.peek();
      const std::string_view name = tokens_.expect_identifier();
      if (name.starts_with("sm_"))
        module_.target = static_cast<unsigned>(std::atoi(std::string(name.substr(3)).c_str()));
      else if (name != "texmode_unified" && name != "texmode_independent" && name != "debug" &&
               name != "map_f64_to_f32")
        throw Error{token.line, fmt::format("unknown target `{}`", name)};
    } while (tokens_.accept(","));
    if (module_.target == 0)
      throw Error{tokens_.line(), "`.target` names no sm_ architecture"};
  }

  void directive() {
    if (tokens_.accept(";"))
      return;
    if (!tokens_.at_directive())
      tokens_.unexpected("a directive");
    const Token& token = tokens_.peek();
    if (token.text == "address_size") {
      tokens_.take();
      module_.address_bits = static_cast<unsigned>(tokens_.count());
      if (module_.address_bits != 64)
        throw Error{token.line, "only 64-bit addresses are supported"};
    } else if (token.text == "file" || token.text == "loc") {
      tokens_.skip_line(token.line);
    } else if (token.text == "section") {
      tokens_.take();
      tokens_.take();
      tokens_.skip_braces();
    } else if (token.text == "pragma") {
      while (!tokens_.at_end() && !tokens_.accept(";"))
        tokens_.take();
    } else if (token.text == "alias") {
      alias();
    } else {
      linked_declaration();
    }
  }

  void alias() {
    const unsigned line = tokens_.line();
    tokens_.take();
    const std::string_view name = tokens_.expect_identifier();
    tokens_.expect(",");
    const std::string_view of = tokens_.expect_identifier();
    tokens_.expect(";");
    const Operand target = find(of);
    if (target.kind != Operand::Kind::function)
      throw Error{line, fmt::format("`{}` is not a function", of)};
    functions_[name] = target.index;
  }

  void linked_declaration() {
    Linkage linkage;
    for (;; tokens_.take()) {
      if (tokens_.at_directive("visible"))
        linkage.visible = true;
      else if (tokens_.at_directive("extern"))
        linkage.external = true;
      else if (tokens_.at_directive("weak") || tokens_.at_directive("common"))
        linkage.weak = linkage.visible = true;
      else
        break;
    }
    if (!tokens_.at_directive())
      tokens_.unexpected("a declaration");
    const Token& token = tokens_.peek();
    const auto space = space_from_directive(token.text);
    if (token.text == "entry" || token.text == "func")
      function(linkage);
    else if (space == Space::global || space == Space::constant || space == Space::shared)
      module_variable(linkage);
    else
      throw Error{token.line, fmt::format("unknown directive `.{}`", token.text)};
  }

  void module_variable(const Linkage& linkage) {
    const SymbolLookup lookup = [this](std::string_view name, unsigned line) {
      return initial_symbol(name, line);
    };
    const DeclarationType type = parse_declaration_type(tokens_);
    do {
      const std::string_view name = tokens_.expect_identifier();
      Variable variable = parse_declarator(tokens_, type, name, is_opaque(type.type) ? nullptr : &lookup);
      if (is_opaque(type.type) && tokens_.accept("="))
        tokens_.skip_braces();
      variable.visible = linkage.visible;
      variable.external = linkage.external;
      variable.weak = linkage.weak;
      if (type.space == Space::shared && !variable.initial_bytes.empty())
        throw Error{variable.line, fmt::format("initial value for shared variable `{}`", name)};
      declare_variable(name, std::move(variable));
    } while (tokens_.accept(","));
    tokens_.expect(";");
  }

  void declare_variable(std::string_view name, Variable variable) {
    if (functions_.contains(name))
      throw Error{variable.line, fmt::format("`{}` is declared twice", name)};
    const auto known = variables_.find(name);
    if (known == variables_.end()) {
      variables_[name] = add_variable(std::move(variable));
      return;
    }
    Variable& earlier = module_.variables[known->second];
    if (!earlier.external && !variable.external)
      throw Error{variable.line, fmt::format("`{}` is declared twice", name)};
    if (earlier.external)
      earlier = std::move(variable);
  }

  std::array<std::uint32_t, 3> dimensions() {
    std::array<std::uint32_t, 3> result = {1, 1, 1};
    for (std::size_t i = 0; i < 3; i++) {
      result[i] = static_cast<std::uint32_t>(tokens_.count(1u << 30));
      if (!tokens_.accept(","))
        break;
    }
    return result;
  }

  void function_attributes(Function& function) {
    while (tokens_.at_directive()) {
      const Token& token = tokens_.take();
      if (token.text == "maxntid")
        function.max_threads = dimensions();
      else if (token.text == "reqntid")
        function.required_threads = dimensions();
      else if (token.text == "minnctapersm")
        function.min_blocks = static_cast<std::uint32_t>(tokens_.count(1u << 30));
      else if (token.text == "maxnreg" || token.text == "maxnctapersm")
        tokens_.count(1u << 30);
      else if (token.text == "pragma")
        while (!tokens_.at_end() && !tokens_.accept(";"))
          tokens_.take();
      else if (token.text != "noreturn" && token.text != "unique")
        throw Error{token.line, fmt::format("unknown directive `.{}`", token.text)};
    }
  }

  void function(const Linkage& linkage) {
    Function function;
    function.line = tokens_.line();
    function.entry = tokens_.take().text == "entry";
    function.visible = linkage.visible;
    function.external = linkage.external;
    function.weak = linkage.weak;
    while (tokens_.accept_directive("noreturn")) {
    }
    if (!function.entry && tokens_.at("("))
      function.returns = parse_parameters(tokens_);
    const std::string_view name = tokens_.expect_identifier();
    function.name = name;
    if (tokens_.at("("))
      function.parameters = parse_parameters(tokens_);
    function_attributes(function);
    const std::uint32_t index = declare_function(name, function);
    if (tokens_.accept(";"))
      return;
    if (module_.functions[index].has_body)
      throw Error{function.line, fmt::format("`{}` is defined twice", name)};
    function.has_body = true;
    FunctionParser body(tokens_, *this, function);
    body.declare_signature();
    body.parse_body();
    module_.functions[index] = std::move(function);
  }

  std::uint32_t declare_function(std::string_view name, const Function& function) {
    if (variables_.contains(name))
      throw Error{function.line, fmt::format("`{}` is declared twice", name)};
    if (const auto known = functions_.find(name); known != functions_.end())
      return known->second;
    module_.functions.push_back(function);
    const auto index = static_cast<std::uint32_t>(module_.functions.size() - 1);
    functions_[name] = index;
    return index;
  }

  Module& module_;
  TokenStream tokens_;
  std::unordered_map<std::string_view, std::uint32_t> variables_;
  std::unordered_map<std::string_view, std::uint32_t> functions_;
};

} // namespace

std::unique_ptr<Module> parse(std::string source) {
  auto module = std::make_unique<Module>();
  module->source = std::move(source);
  ModuleParser(*module).run();
  if (module->address_bits != 64)
    throw Error{1, "only 64-bit addresses are supported (`.address_size 64` is missing)"};
  return module;
}

} // namespace shim::jit::ptx
