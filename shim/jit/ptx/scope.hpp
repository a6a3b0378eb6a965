// Names inside a function, block by block.
#pragma once

#include <deque>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ast.hpp"

namespace shim::jit::ptx {

struct Symbol {
  enum class Kind : std::uint8_t { reg, local, variable, label, targets, call_info } kind;
  std::uint32_t index;
  unsigned vector = 1; // of a register: components lie at index, index + 1, ...
};

// All blocks of one function. They stay until its end, because a label may be used before it appears.
class Scopes {
public:
  Scopes() { scopes_.push_back({}); }

  std::uint32_t current() const { return current_; }
  bool nested() const { return current_ != 0; }
  void open() {
    scopes_.push_back({current_, {}, {}});
    current_ = static_cast<std::uint32_t>(scopes_.size() - 1);
  }
  void close() { current_ = scopes_[current_].parent; }

  // False where the block has that name already.
  bool declare(std::string_view name, Symbol symbol) {
    return scopes_[current_].names.emplace(name, symbol).second;
  }
  // prefix0 ... prefix(count-1) are the registers first, first + 1, ...
  void declare_range(std::string_view prefix, std::uint32_t first, std::uint32_t count) {
    scopes_[current_].ranges[prefix] = {first, count};
  }

  std::optional<Symbol> find(std::string_view name, std::uint32_t scope) const;
  std::optional<Symbol> find(std::string_view name) const { return find(name, current_); }

private:
  struct Range {
    std::uint32_t first;
    std::uint32_t count;
  };
  struct Scope {
    std::uint32_t parent = no_index;
    std::unordered_map<std::string_view, Symbol> names;
    std::unordered_map<std::string_view, Range> ranges;
  };

  static std::optional<Symbol> find_in(const Scope& scope, std::string_view name);

  std::deque<Scope> scopes_;
  std::uint32_t current_ = 0;
};

} // namespace shim::jit::ptx
