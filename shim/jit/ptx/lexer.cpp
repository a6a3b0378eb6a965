#include "lexer.hpp"

#include <array>
#include <fmt/format.h>

namespace shim::jit::ptx {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool starts_name(char c) {
  return is_letter(c) || c == '_' || c == '$' || c == '%';
}
bool continues_name(char c) {
  return is_letter(c) || is_digit(c) || c == '_' || c == '$';
}

class Lexer {
public:
  explicit Lexer(std::string_view source) : source_(source) {}

  std::vector<Token> run() {
    for (;;) {
      const bool skipped = skip_blanks();
      if (at_ == source_.size())
        break;
      Token token = next();
      token.adjacent = !skipped && !tokens_.empty();
      tokens_.push_back(token);
    }
    tokens_.push_back({Token::Kind::end, false, line_, {}});
    return std::move(tokens_);
  }

private:
  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0';
  }

  // Blanks, comments, and lines that belong to a preprocessor or to an old debugger.
  bool skip_blanks() {
    const std::size_t start = at_;
    while (at_ < source_.size()) {
      const char c = source_[at_];
      if (c == '\n') {
        line_++;
        at_++;
      } else if (c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v') {
        at_++;
      } else if ((c == '/' && peek(1) == '/') || c == '#' || (c == '@' && peek(1) == '@')) {
        while (at_ < source_.size() && source_[at_] != '\n')
          at_++;
      } else if (c == '/' && peek(1) == '*') {
        skip_block_comment();
      } else {
        break;
      }
    }
    return at_ != start;
  }

  void skip_block_comment() {
    const unsigned first = line_;
    for (at_ += 2; at_ < source_.size(); at_++) {
      if (source_[at_] == '\n')
        line_++;
      if (source_[at_] == '*' && peek(1) == '/') {
        at_ += 2;
        return;
      }
    }
    throw Error{first, "comment without end"};
  }

  Token make(Token::Kind kind, std::size_t start) const {
    return {kind, false, line_, source_.substr(start, at_ - start)};
  }

  Token next() {
    const std::size_t start = at_;
    const char c = source_[at_];
    if (starts_name(c)) {
      at_++;
      while (continues_name(peek()))
        at_++;
      return make(Token::Kind::identifier, start);
    }
    if (is_digit(c))
      return number();
    if (c == '.' && (continues_name(peek(1)))) {
      at_++;
      while (continues_name(peek()) || (peek() == ':' && peek(1) == ':') ||
             (peek() == ':' && source_[at_ - 1] == ':'))
        at_++;
      return make(Token::Kind::directive, start + 1);
    }
    if (c == '"')
      return string();
    return punctuation();
  }

  Token number() {
    const std::size_t start = at_;
    const char second = peek(1);
    at_++;
    if (source_[start] == '0' && (second == 'x' || second == 'X' || second == 'f' || second == 'F' ||
                                  second == 'd' || second == 'D' || second == 'b' || second == 'B')) {
      at_++;
      while (is_digit(peek()) || is_letter(peek()))
        at_++;
      return make(Token::Kind::number, start);
    }
    while (is_digit(peek()))
      at_++;
    if (peek() == '.' && !is_letter(peek(1))) {
      at_++;
      while (is_digit(peek()))
        at_++;
    }
    if ((peek() == 'e' || peek() == 'E') &&
        (is_digit(peek(1)) || ((peek(1) == '-' || peek(1) == '+') && is_digit(peek(2))))) {
      at_ += 2;
      while (is_digit(peek()))
        at_++;
    }
    while (is_letter(peek()))
      at_++;
    return make(Token::Kind::number, start);
  }

  Token string() {
    const std::size_t start = ++at_;
    while (at_ < source_.size() && source_[at_] != '"' && source_[at_] != '\n')
      at_ += source_[at_] == '\\' ? 2 : 1;
    if (peek() != '"')
      throw Error{line_, "string without end"};
    Token token = make(Token::Kind::string, start);
    at_++;
    return token;
  }

  Token punctuation() {
    static constexpr std::array<std::string_view, 8> doubles = {
        "<<", ">>", "<=", ">=", "==", "!=", "&&", "||"};
    const std::size_t start = at_;
    const std::string_view two = source_.substr(at_, 2);
    for (std::string_view candidate : doubles)
      if (two == candidate) {
        at_ += 2;
        return make(Token::Kind::punctuation, start);
      }
    static constexpr std::string_view singles = "{}()[]<>,;:@!|+-*/%&^~?=";
    if (singles.find(source_[at_]) == std::string_view::npos)
      throw Error{line_, fmt::format("unexpected character `{}`", source_[at_])};
    at_++;
    return make(Token::Kind::punctuation, start);
  }

  std::string_view source_;
  std::size_t at_ = 0;
  unsigned line_ = 1;
  std::vector<Token> tokens_;
};

} // namespace

std::vector<Token> tokenize(std::string_view source) {
  return Lexer(source).run();
}

} // namespace shim::jit::ptx
