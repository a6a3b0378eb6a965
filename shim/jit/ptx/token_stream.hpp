// Tokens to take one by one, and constant expressions made of them.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "lexer.hpp"

namespace shim::jit::ptx {

// The value of a constant expression.
struct Constant {
  bool is_real = false;
  bool is_unsigned = false;
  std::uint8_t real_bits = 0; // 32 or 64: written as a bit pattern of that width, which `integer` keeps
  std::int64_t integer = 0;
  double real = 0;

  double as_real() const {
    return is_real       ? real
           : is_unsigned ? static_cast<double>(static_cast<std::uint64_t>(integer))
                         : static_cast<double>(integer);
  }
  // As .f32 and as .f64. A pattern of that width stays what it is: a conversion would quiet a NaN.
  std::uint32_t single_bits() const {
    return real_bits == 32 ? static_cast<std::uint32_t>(integer)
                           : std::bit_cast<std::uint32_t>(static_cast<float>(as_real()));
  }
  std::uint64_t double_bits() const {
    return real_bits == 64 ? static_cast<std::uint64_t>(integer) : std::bit_cast<std::uint64_t>(as_real());
  }
};

class TokenStream {
public:
  explicit TokenStream(std::string_view source) : tokens_(tokenize(source)) {}

  const Token& peek(std::size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  const Token& take() { return at_ + 1 < tokens_.size() ? tokens_[at_++] : tokens_[at_]; }
  unsigned line() const { return peek().line; }
  bool at_end() const { return peek().kind == Token::Kind::end; }

  bool at(std::string_view punctuation) const {
    return peek().kind == Token::Kind::punctuation && peek().text == punctuation;
  }
  bool accept(std::string_view punctuation) {
    const bool found = at(punctuation);
    if (found)
      take();
    return found;
  }
  void expect(std::string_view punctuation);

  bool at_directive() const { return peek().kind == Token::Kind::directive; }
  bool at_directive(std::string_view name) const { return at_directive() && peek().text == name; }
  bool accept_directive(std::string_view name) {
    const bool found = at_directive(name);
    if (found)
      take();
    return found;
  }

  bool at_identifier() const { return peek().kind == Token::Kind::identifier; }
  std::string_view expect_identifier();

  // A whole constant expression, by C's precedence.
  Constant constant();
  std::int64_t integer();
  // Stands at + or -: that, and a constant expression behind it.
  std::int64_t offset();
  // 0 <= value <= limit
  std::uint64_t count(std::uint64_t limit = ~0ull >> 1);
  // The same between < and >, where neither compares.
  std::uint64_t bracketed_count(std::uint64_t limit);
  // One literal; nullopt where the next token is none.
  std::optional<Constant> literal();

  void skip_line(unsigned line);
  void skip_braces();

  [[noreturn]] void unexpected(std::string_view wanted) const;

  // While one lives, what is parsed lies one bracket or operator deeper. A text may not exhaust the stack.
  class Nesting {
  public:
    explicit Nesting(TokenStream& tokens) : tokens_(tokens) {
      if (++tokens.depth_ > deepest)
        throw Error{tokens.line(), fmt::format("nested deeper than {}", deepest)};
    }
    ~Nesting() { tokens_.depth_--; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

  private:
    static constexpr unsigned deepest = 256;
    TokenStream& tokens_;
  };

private:
  Constant unary();
  Constant binary(int least);
  Constant apply(std::string_view op, Constant a, Constant b, unsigned line) const;

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  unsigned depth_ = 0;
};

} // namespace shim::jit::ptx
