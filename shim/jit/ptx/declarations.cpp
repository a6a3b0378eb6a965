#include "declarations.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <fmt/format.h>

namespace shim::jit::ptx {
namespace {

constexpr std::uint64_t largest_variable = 1ull << 40;
constexpr std::uint64_t widest_gap = 64; // zeros within one piece of initial bytes
constexpr std::size_t most_dimensions = 32;

std::uint32_t parse_alignment(TokenStream& tokens) {
  const unsigned line = tokens.line();
  const std::uint64_t alignment = tokens.count(1u << 16);
  if (!std::has_single_bit(alignment))
    throw Error{line, fmt::format("alignment {} is not a power of two", alignment)};
  return static_cast<std::uint32_t>(alignment);
}

// A parameter's .ptr says what it points at; it changes nothing for us.
void skip_pointer_attribute(TokenStream& tokens) {
  while (tokens.at_directive() && (space_from_directive(tokens.peek().text)))
    tokens.take();
  if (tokens.accept_directive("align"))
    parse_alignment(tokens);
}

class Initializer {
public:
  Initializer(TokenStream& tokens, const SymbolLookup& lookup, Variable& variable,
              std::vector<std::uint64_t> dimensions)
      : tokens_(tokens), lookup_(lookup), variable_(variable), dimensions_(std::move(dimensions)),
        width_(type_bytes(variable.type)) {}

  void run() {
    if (dimensions_.empty())
      element(0);
    else
      list(0, 0);
    if (variable_.unsized)
      variable_.size = end_;
  }

private:
  std::uint64_t stride(std::size_t level) const {
    std::uint64_t bytes = width_;
    for (std::size_t i = level + 1; i < dimensions_.size(); i++)
      bytes *= dimensions_[i];
    return bytes;
  }

  void list(std::size_t level, std::uint64_t offset) {
    const unsigned line = tokens_.line();
    tokens_.expect("{");
    std::uint64_t index = 0;
    while (!tokens_.at("}")) {
      if (index >= dimensions_[level] && !(level == 0 && variable_.unsized))
        throw Error{line, fmt::format("too many initial values for `{}`", variable_.name)};
      const std::uint64_t at = offset + index++ * stride(level);
      if (level + 1 < dimensions_.size() && tokens_.at("{"))
        list(level + 1, at);
      else if (level + 1 < dimensions_.size())
        throw Error{tokens_.line(), fmt::format("expected a nested list for `{}`", variable_.name)};
      else
        element(at);
      end_ = std::max(end_, offset + index * stride(level));
      if (end_ > largest_variable)
        throw Error{line, fmt::format("`{}` is too large", variable_.name)};
      if (!tokens_.accept(","))
        break;
    }
    tokens_.expect("}");
  }

  // In the order of their offsets.
  void store(std::uint64_t offset, const void* bytes) {
    std::vector<InitialBytes>& initial = variable_.initial;
    if (initial.empty() || offset > initial.back().offset + initial.back().bytes.size() + widest_gap)
      initial.push_back({offset, {}});
    const std::uint64_t at = offset - initial.back().offset;
    initial.back().bytes.resize(at + width_);
    std::memcpy(initial.back().bytes.data() + at, bytes, width_);
  }

  void element(std::uint64_t offset) {
    if (tokens_.at_identifier() && tokens_.peek().text != "WARP_SZ")
      return address(offset);
    const unsigned line = tokens_.line();
    const Constant value = tokens_.constant();
    if (tokens_.at("("))
      throw Error{line, "masked addresses in initial values are not supported"};
    if (variable_.type == Type::f32) {
      const std::uint32_t single = value.single_bits();
      store(offset, &single);
    } else if (variable_.type == Type::f64) {
      const std::uint64_t real = value.double_bits();
      store(offset, &real);
    } else if (value.is_real) {
      throw Error{
          line, fmt::format("floating-point value for .{} `{}`", type_name(variable_.type), variable_.name)};
    } else {
      store(offset, &value.integer);
    }
  }

  void address(std::uint64_t offset) {
    const unsigned line = tokens_.line();
    std::string_view name = tokens_.expect_identifier();
    const bool generic = name == "generic" && tokens_.accept("(");
    if (generic)
      name = tokens_.expect_identifier();
    std::int64_t addend = 0;
    if (generic)
      tokens_.expect(")");
    if (tokens_.at("+") || tokens_.at("-"))
      addend = tokens_.offset();
    if (width_ < 4)
      throw Error{line, fmt::format("address of `{}` in a .{} variable", name, type_name(variable_.type))};
    const InitialSymbol symbol = lookup_(name, line);
    const bool function = symbol.function != no_index;
    const std::uint64_t value =
        function ? Module::function_address(symbol.function) + static_cast<std::uint64_t>(addend) : 0;
    store(offset, &value);
    if (function)
      variable_.functions.push_back({offset, symbol.function});
    else
      variable_.addresses.push_back({offset, symbol.variable, addend, width_});
  }

  TokenStream& tokens_;
  const SymbolLookup& lookup_;
  Variable& variable_;
  std::vector<std::uint64_t> dimensions_;
  unsigned width_;
  std::uint64_t end_ = 0;
};

} // namespace

std::optional<Space> space_from_directive(std::string_view name) {
  struct Row {
    std::string_view name;
    Space space;
  };
  static constexpr Row rows[] = {{"reg", Space::reg},       {"param", Space::param},
                                 {"local", Space::local},   {"shared", Space::shared},
                                 {"global", Space::global}, {"const", Space::constant}};
  for (const Row& row : rows)
    if (row.name == name)
      return row.space;
  return std::nullopt;
}

DeclarationType parse_declaration_type(TokenStream& tokens) {
  DeclarationType type;
  type.space = *space_from_directive(tokens.take().text);
  for (;;) {
    if (!tokens.at_directive())
      break;
    const std::string_view name = tokens.peek().text;
    if (name == "align") {
      tokens.take();
      type.alignment = parse_alignment(tokens);
    } else if (name == "v2" || name == "v4") {
      tokens.take();
      type.vector = name == "v2" ? 2 : 4;
    } else if (name == "ptr") {
      tokens.take();
      skip_pointer_attribute(tokens);
    } else if (name == "attribute") {
      tokens.take();
      tokens.expect("(");
      while (!tokens.accept(")")) {
        if (tokens.at_end())
          tokens.unexpected("`)`");
        tokens.take();
      }
    } else if (const auto fundamental = type_from_name(name)) {
      if (type.type != Type::none)
        tokens.unexpected("one type");
      tokens.take();
      type.type = *fundamental;
    } else {
      tokens.unexpected("a type");
    }
  }
  if (type.type == Type::none)
    tokens.unexpected("a type");
  return type;
}

Variable simple_variable(const DeclarationType& type, std::string_view name, unsigned line) {
  Variable variable;
  variable.name = name;
  variable.line = line;
  variable.space = type.space;
  variable.type = type.type;
  variable.vector = type.vector;
  variable.size = type_bytes(type.type) * type.vector;
  variable.alignment = type.alignment ? type.alignment : static_cast<std::uint32_t>(variable.size);
  return variable;
}

std::optional<std::uint32_t> parse_range(TokenStream& tokens, std::string_view name) {
  if (!tokens.at("<"))
    return std::nullopt;
  const auto count = static_cast<std::uint32_t>(tokens.bracketed_count(~std::uint32_t{0}));
  if (tokens.at("[") || tokens.at("="))
    throw Error{tokens.line(),
                fmt::format("array bounds or an initial value of the range `{}<{}>`", name, count)};
  return count;
}

Variable parse_declarator(TokenStream& tokens, const DeclarationType& type, std::string_view name,
                          const SymbolLookup* lookup) {
  Variable variable = simple_variable(type, name, tokens.line());
  std::uint64_t largest_row = variable.size; // as if no dimension were 0
  std::vector<std::uint64_t> dimensions;
  while (tokens.accept("[")) {
    if (tokens.at("]") && dimensions.empty()) {
      variable.unsized = true;
      dimensions.push_back(0);
    } else {
      dimensions.push_back(tokens.count(largest_variable));
      variable.size *= dimensions.back();
      if (__builtin_mul_overflow(largest_row, std::max<std::uint64_t>(dimensions.back(), 1), &largest_row) ||
          largest_row > largest_variable)
        throw Error{variable.line, fmt::format("`{}` is too large", name)};
    }
    tokens.expect("]");
    if (dimensions.size() > most_dimensions)
      throw Error{variable.line, fmt::format("`{}` has more than {} dimensions", name, most_dimensions)};
  }
  if (variable.unsized)
    variable.size = 0;
  if (type.vector > 1)
    dimensions.push_back(type.vector);
  if (lookup && tokens.accept("="))
    Initializer(tokens, *lookup, variable, std::move(dimensions)).run();
  return variable;
}

std::vector<Variable> parse_parameters(TokenStream& tokens) {
  std::vector<Variable> parameters;
  tokens.expect("(");
  while (!tokens.at(")")) {
    const auto space = tokens.at_directive() ? space_from_directive(tokens.peek().text) : std::nullopt;
    if (space != Space::reg && space != Space::param)
      tokens.unexpected("a parameter");
    const DeclarationType type = parse_declaration_type(tokens);
    const std::string_view name = tokens.expect_identifier();
    parameters.push_back(parse_declarator(tokens, type, name, nullptr));
    if (!tokens.accept(","))
      break;
  }
  tokens.expect(")");
  return parameters;
}

} // namespace shim::jit::ptx
