#include "parser.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <fmt/format.h>
#include <optional>
#include <unordered_map>

#include "function_parser.hpp"

namespace shim::jit::ptx {
namespace {

constexpr std::size_t most_range_variables = 1u << 16;

std::optional<unsigned> small_number(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > 10000)
    return std::nullopt;
  return value;
}

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
    resolve_aliases();
    mark_addresses();
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
      return {no_index, found.index};
    if (found.kind != Operand::Kind::variable)
      throw Error{line, fmt::format("unknown name `{}`", name)};
    if (module_.variables[found.index].space == Space::shared)
      throw Error{line, fmt::format("address of shared variable `{}` in an initial value", name)};
    return {found.index, no_index};
  }

  std::uint32_t add_variable(Variable variable) override {
    module_.variables.push_back(std::move(variable));
    return static_cast<std::uint32_t>(module_.variables.size() - 1);
  }

private:
  unsigned two_part_number() {
    const Token& token = tokens_.take();
    const std::size_t dot = token.text.find('.');
    const auto major = token.kind == Token::Kind::number && dot != std::string_view::npos
                           ? small_number(token.text.substr(0, dot))
                           : std::nullopt;
    const auto minor = major ? small_number(token.text.substr(dot + 1)) : std::nullopt;
    if (!minor)
      throw Error{token.line, fmt::format("malformed version `{}`", token.text)};
    return 10 * *major + *minor;
  }

  // sm_90a: with what only that architecture has.
  static unsigned architecture(const Token& name) {
    std::string_view digits = name.text.substr(3);
    if (digits.ends_with('a') || digits.ends_with('f'))
      digits.remove_suffix(1);
    const auto number = small_number(digits);
    if (!number || *number == 0)
      throw Error{name.line, fmt::format("unknown target `{}`", name.text)};
    return *number;
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
        module_.target = architecture(token);
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
    const Operand earlier = find(name);
    if (earlier.kind == Operand::Kind::variable ||
        (earlier.kind == Operand::Kind::function && module_.functions[earlier.index].has_body))
      throw Error{line, fmt::format("`{}` is defined twice", name)};
    if (earlier.kind == Operand::Kind::function)
      module_.functions[earlier.index].alias = target.index;
    else
      functions_[name] = target.index;
    aliases_.push_back({line, name});
  }

  // The function behind an alias, which may be one of another alias.
  std::uint32_t aliased(std::uint32_t function) const {
    while (module_.functions[function].alias != no_index)
      function = module_.functions[function].alias;
    return function;
  }

  void check_aliases() const {
    for (const Alias& alias : aliases_) {
      std::uint32_t function = functions_.at(alias.name);
      for (std::size_t i = 0; module_.functions[function].alias != no_index; i++) {
        function = module_.functions[function].alias;
        if (i == aliases_.size())
          throw Error{alias.line, fmt::format("`{}` is an alias of itself", alias.name)};
      }
    }
  }

  // What was used before its alias was known refers to the declaration that stands for the alias.
  void resolve_aliases() {
    if (aliases_.empty())
      return;
    check_aliases();
    for (Function& function : module_.functions) {
      for (Instruction& instruction : function.body)
        for (Operand& operand : instruction.operands)
          resolve_aliases(operand);
      for (CallInfo& info : function.call_infos)
        for (std::uint32_t& target : info.targets)
          target = aliased(target);
    }
    for (Variable& variable : module_.variables)
      for (InitialFunction& initial : variable.functions) {
        const std::uint32_t function = aliased(initial.function);
        move_initial_address(variable, initial.offset,
                             Module::function_address(function) - Module::function_address(initial.function));
        initial.function = function;
      }
  }

  void resolve_aliases(Operand& operand) const {
    if (operand.kind == Operand::Kind::function)
      operand.index = aliased(operand.index);
    for (Operand& element : operand.elements)
      resolve_aliases(element);
  }

  static void move_initial_address(Variable& variable, std::uint64_t offset, std::uint64_t by) {
    const auto behind =
        std::upper_bound(variable.initial.begin(), variable.initial.end(), offset,
                         [](std::uint64_t at, const InitialBytes& piece) { return at < piece.offset; });
    InitialBytes& piece = *std::prev(behind);
    std::byte* place = piece.bytes.data() + (offset - piece.offset);
    std::uint64_t address = 0;
    const std::size_t width = std::min<std::size_t>(sizeof address, type_bytes(variable.type));
    std::memcpy(&address, place, width);
    address += by;
    std::memcpy(place, &address, width);
  }

  // A name in a call is the function called; anywhere else, in the call's arguments too, it is an address.
  void mark_addresses() {
    for (const Variable& variable : module_.variables)
      for (const InitialFunction& initial : variable.functions)
        module_.functions[initial.function].address_taken = true;
    for (const Function& function : module_.functions) {
      for (const Instruction& instruction : function.body)
        for (const Operand& operand : instruction.operands)
          mark_addresses(operand, instruction.opcode == "call");
      for (const CallInfo& info : function.call_infos)
        for (std::uint32_t target : info.targets)
          module_.functions[target].address_taken = true;
    }
  }

  void mark_addresses(const Operand& operand, bool called) {
    if (operand.kind == Operand::Kind::function && !called)
      module_.functions[operand.index].address_taken = true;
    for (const Operand& element : operand.elements)
      mark_addresses(element, false);
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
    const auto declare = [&](std::string_view name, Variable variable) {
      variable.visible = linkage.visible;
      variable.external = linkage.external;
      variable.weak = linkage.weak;
      declare_variable(name, std::move(variable));
    };
    do {
      const std::string_view name = tokens_.expect_identifier();
      if (const auto count = parse_range(tokens_, name)) {
        range(name, *count, simple_variable(type, name, tokens_.line()), declare);
        continue;
      }
      Variable variable = parse_declarator(tokens_, type, name, is_opaque(type.type) ? nullptr : &lookup);
      if (is_opaque(type.type) && tokens_.accept("="))
        tokens_.skip_braces();
      if (type.space == Space::shared && !variable.initial.empty())
        throw Error{variable.line, fmt::format("initial value for shared variable `{}`", name)};
      declare(name, std::move(variable));
    } while (tokens_.accept(","));
    tokens_.expect(";");
  }

  // All of them, used or not: cuModuleGetGlobal finds each.
  template <class Declare>
  void range(std::string_view prefix, std::uint32_t count, Variable variable, Declare declare) {
    if (count > most_range_variables - module_.range_names.size())
      throw Error{variable.line, fmt::format("more than {} variables in ranges", most_range_variables)};
    variable.range = prefix;
    for (std::uint32_t i = 0; i < count; i++) {
      variable.name = module_.range_names.emplace_back(fmt::format("{}{}", prefix, i));
      declare(module_.range_names.back(), variable);
    }
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
    const unsigned line = tokens_.line();
    std::array<std::uint32_t, 3> result = {1, 1, 1};
    std::uint64_t threads = 1;
    for (std::size_t i = 0; i < 3; i++) {
      result[i] = static_cast<std::uint32_t>(tokens_.count(1u << 30));
      threads *= result[i];
      if (threads == 0 || threads > 1u << 30)
        throw Error{line, fmt::format("a block of {} threads", threads)};
      if (i == 2 || !tokens_.accept(","))
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

  // PTX ISA, "Kernel Function Parameters".
  void check_parameter_block(const Function& entry) const {
    const std::uint64_t most = module_.version >= 81 && module_.target >= 70 ? 32764 : 4352;
    std::uint64_t end = 0;
    for (const Variable& parameter : entry.parameters) {
      end = (end + parameter.alignment - 1) / parameter.alignment * parameter.alignment + parameter.size;
      if (end > most)
        throw Error{parameter.line,
                    fmt::format("the parameters of `{}` need more than {} bytes", entry.name, most)};
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
    if (function.entry)
      check_parameter_block(function);
    const std::uint32_t index = declare_function(name, function);
    if (tokens_.accept(";"))
      return;
    if (module_.functions[index].has_body || module_.functions[index].alias != no_index)
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

  struct Alias {
    unsigned line;
    std::string_view name;
  };

  Module& module_;
  TokenStream tokens_;
  std::vector<Alias> aliases_;
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
