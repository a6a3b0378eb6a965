// PTX text as tokens.
#pragma once

#include <string_view>
#include <vector>

#include "ast.hpp"

namespace shim::jit::ptx {

struct Token {
  enum class Kind : std::uint8_t {
    identifier,  // %r1, main, _
    directive,   // .reg: text is without the dot
    number,      // 12, 0x1F, 1.5, 0f3F800000, 6.4
    string,      // text is without the quotes
    punctuation, // one character, or << >> <= >= == != && ||
    end,
  };

  Kind kind = Kind::end;
  bool adjacent = false; // nothing between this token and the one before it
  unsigned line = 0;
  std::string_view text;
};

// Ends with a token of kind end. Throws Error.
std::vector<Token> tokenize(std::string_view source);

} // namespace shim::jit::ptx
