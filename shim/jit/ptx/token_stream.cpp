#include "token_stream.hpp"

#include <bit>
#include <charconv>
#include <cstdlib>
#include <fmt/format.h>

namespace shim::jit::ptx {
namespace {

int precedence(std::string_view op) {
  struct Row {
    std::string_view op;
    int level;
  };
  static constexpr Row rows[] = {{"||", 1}, {"&&", 2}, {"|", 3},  {"^", 4},  {"&", 5},  {"==", 6},
                                 {"!=", 6}, {"<", 7},  {"<=", 7}, {">", 7},  {">=", 7}, {"<<", 8},
                                 {">>", 8}, {"+", 9},  {"-", 9},  {"*", 10}, {"/", 10}, {"%", 10}};
  for (const Row& row : rows)
    if (row.op == op)
      return row.level;
  return 0;
}

Constant integer_constant(std::int64_t value, bool is_unsigned = false) {
  Constant c;
  c.integer = value;
  c.is_unsigned = is_unsigned;
  return c;
}

Constant real_constant(double value) {
  Constant c;
  c.is_real = true;
  c.real = value;
  return c;
}

template <class T>
std::optional<T> parse_whole(std::string_view text, int base) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size())
    return std::nullopt;
  return value;
}

std::optional<Constant> bit_pattern(std::string_view text) {
  const bool wide = text[1] == 'd' || text[1] == 'D';
  const auto bits = parse_whole<std::uint64_t>(text.substr(2), 16);
  if (!bits || text.size() != (wide ? 18u : 10u))
    return std::nullopt;
  Constant c = real_constant(wide ? std::bit_cast<double>(*bits)
                                  : std::bit_cast<float>(static_cast<std::uint32_t>(*bits)));
  c.real_bits = wide ? 64 : 32;
  c.integer = static_cast<std::int64_t>(*bits);
  return c;
}

std::optional<Constant> parse_number(std::string_view text) {
  const char second = text.size() > 1 && text[0] == '0' ? text[1] : '\0';
  if (second == 'f' || second == 'F' || second == 'd' || second == 'D')
    return bit_pattern(text);
  bool is_unsigned = false;
  const bool hexadecimal = second == 'x' || second == 'X';
  if (text.ends_with('U') || text.ends_with('u')) {
    is_unsigned = true;
    text.remove_suffix(1);
  }
  std::optional<std::uint64_t> value;
  if (hexadecimal)
    value = parse_whole<std::uint64_t>(text.substr(2), 16);
  else if (second == 'b' || second == 'B')
    value = parse_whole<std::uint64_t>(text.substr(2), 2);
  else if (text.find_first_not_of("0123456789") == std::string_view::npos)
    value = parse_whole<std::uint64_t>(text, text.size() > 1 && text[0] == '0' ? 8 : 10);
  if (value)
    return integer_constant(static_cast<std::int64_t>(*value), is_unsigned || (*value >> 63));
  if (hexadecimal || is_unsigned || text.find_first_not_of("0123456789") == std::string_view::npos)
    return std::nullopt;
  const std::string copy(text);
  char* end = nullptr;
  const double real = std::strtod(copy.c_str(), &end);
  if (*end != '\0')
    return std::nullopt;
  return real_constant(real);
}

} // namespace

void TokenStream::unexpected(std::string_view wanted) const {
  const Token& token = peek();
  if (token.kind == Token::Kind::end)
    throw Error{token.line, fmt::format("expected {}, found the end of the text", wanted)};
  throw Error{token.line, fmt::format("expected {}, found `{}{}`", wanted,
                                      token.kind == Token::Kind::directive ? "." : "", token.text)};
}

void TokenStream::expect(std::string_view punctuation) {
  if (!accept(punctuation))
    unexpected(fmt::format("`{}`", punctuation));
}

std::string_view TokenStream::expect_identifier() {
  if (!at_identifier())
    unexpected("a name");
  return take().text;
}

std::optional<Constant> TokenStream::literal() {
  if (at_identifier() && peek().text == "WARP_SZ") {
    take();
    return integer_constant(32);
  }
  if (peek().kind != Token::Kind::number)
    return std::nullopt;
  const auto value = parse_number(peek().text);
  if (!value)
    throw Error{line(), fmt::format("malformed number `{}`", peek().text)};
  take();
  return value;
}

Constant TokenStream::unary() {
  const Nesting nesting(*this);
  if (accept("-")) {
    Constant c = unary();
    const auto bits = static_cast<std::uint64_t>(c.integer);
    c.integer = static_cast<std::int64_t>(c.real_bits ? bits ^ 1ull << (c.real_bits - 1) : 0 - bits);
    c.real = -c.real;
    return c;
  }
  if (accept("+"))
    return unary();
  if (accept("~")) {
    const unsigned where = line();
    Constant c = unary();
    if (c.is_real)
      throw Error{where, "`~` of a floating-point constant"};
    c.integer = ~c.integer;
    return c;
  }
  if (accept("!")) {
    const Constant c = unary();
    return integer_constant(c.is_real ? c.real == 0 : c.integer == 0);
  }
  if (accept("(")) {
    if (at_directive("s64") || at_directive("u64")) {
      const bool is_unsigned = take().text == "u64";
      expect(")");
      const unsigned where = line();
      const Constant c = unary();
      if (c.is_real && !(c.real > -0x1p63 && c.real < 0x1p63))
        throw Error{where, "floating-point constant out of range"};
      return integer_constant(c.is_real ? static_cast<std::int64_t>(c.real) : c.integer, is_unsigned);
    }
    const Constant c = constant();
    expect(")");
    return c;
  }
  if (auto c = literal())
    return *c;
  unexpected("a constant");
}

Constant TokenStream::apply(std::string_view op, Constant a, Constant b, unsigned line) const {
  if (a.is_real || b.is_real) {
    const double x = a.as_real(), y = b.as_real();
    switch (op[0]) {
    case '+':
      return real_constant(x + y);
    case '-':
      return real_constant(x - y);
    case '*':
      return real_constant(x * y);
    case '/':
      return real_constant(x / y);
    default:
      throw Error{line, fmt::format("`{}` between floating-point constants", op)};
    }
  }
  const bool is_unsigned = a.is_unsigned || b.is_unsigned;
  const auto x = static_cast<std::uint64_t>(a.integer), y = static_cast<std::uint64_t>(b.integer);
  const auto result = [&](std::uint64_t value) {
    return integer_constant(static_cast<std::int64_t>(value), is_unsigned);
  };
  const auto truth = [](bool value) { return integer_constant(value); };
  const bool less = is_unsigned ? x < y : a.integer < b.integer;
  if (op == "<<")
    return result(y < 64 ? x << y : 0);
  if (op == ">>")
    return result(a.is_unsigned ? (y < 64 ? x >> y : 0)
                                : static_cast<std::uint64_t>(a.integer >> std::min<std::uint64_t>(y, 63)));
  if (op == "<")
    return truth(less);
  if (op == ">=")
    return truth(!less);
  if (op == ">")
    return truth(!less && x != y);
  if (op == "<=")
    return truth(less || x == y);
  if (op == "==")
    return truth(x == y);
  if (op == "!=")
    return truth(x != y);
  if (op == "&&")
    return truth(x && y);
  if (op == "||")
    return truth(x || y);
  switch (op[0]) {
  case '+':
    return result(x + y);
  case '-':
    return result(x - y);
  case '*':
    return result(x * y);
  case '&':
    return result(x & y);
  case '|':
    return result(x | y);
  case '^':
    return result(x ^ y);
  default:
    break;
  }
  if (y == 0 || (!is_unsigned && b.integer == -1 && a.integer == INT64_MIN))
    throw Error{line, "division by zero in a constant"};
  if (op == "/")
    return result(is_unsigned ? x / y : static_cast<std::uint64_t>(a.integer / b.integer));
  return result(is_unsigned ? x % y : static_cast<std::uint64_t>(a.integer % b.integer));
}

Constant TokenStream::binary(int least) {
  Constant left = unary();
  for (;;) {
    const Token& op = peek();
    const int level = op.kind == Token::Kind::punctuation ? precedence(op.text) : 0;
    if (level == 0 || level < least)
      return left;
    take();
    const Constant right = binary(level + 1);
    left = apply(op.text, left, right, op.line);
  }
}

Constant TokenStream::constant() {
  const Nesting nesting(*this);
  const Constant condition = binary(1);
  if (!accept("?"))
    return condition;
  const Constant yes = constant();
  expect(":");
  const Constant no = constant();
  return (condition.is_real ? condition.real != 0 : condition.integer != 0) ? yes : no;
}

std::int64_t TokenStream::offset() {
  const bool minus = take().text == "-";
  const auto value = static_cast<std::uint64_t>(integer());
  return static_cast<std::int64_t>(minus ? 0 - value : value);
}

std::int64_t TokenStream::integer() {
  const unsigned where = line();
  const Constant c = constant();
  if (c.is_real)
    throw Error{where, "expected an integer constant"};
  return c.integer;
}

std::uint64_t TokenStream::count(std::uint64_t limit) {
  const unsigned where = line();
  const std::int64_t value = integer();
  if (value < 0 || static_cast<std::uint64_t>(value) > limit)
    throw Error{where, fmt::format("number {} out of range", value)};
  return static_cast<std::uint64_t>(value);
}

std::uint64_t TokenStream::bracketed_count(std::uint64_t limit) {
  expect("<");
  const unsigned where = line();
  const Constant c = unary();
  if (c.is_real || c.integer < 0 || static_cast<std::uint64_t>(c.integer) > limit)
    throw Error{where, "number out of range"};
  expect(">");
  return static_cast<std::uint64_t>(c.integer);
}

void TokenStream::skip_line(unsigned line) {
  while (!at_end() && peek().line == line)
    take();
}

void TokenStream::skip_braces() {
  expect("{");
  for (unsigned depth = 1; depth;) {
    if (at_end())
      unexpected("`}`");
    const Token& token = take();
    if (token.kind == Token::Kind::punctuation)
      depth = token.text == "{" ? depth + 1 : token.text == "}" ? depth - 1 : depth;
  }
}

} // namespace shim::jit::ptx
