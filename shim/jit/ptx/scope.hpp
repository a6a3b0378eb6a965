// Names inside a function, block by block.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ast.hpp"
#include "declarations.hpp"

namespace shim::jit::ptx {

struct Symbol {
  enum class Kind : std::uint8_t { reg, local, variable, label, targets, call_info } kind;
  std::uint32_t index;
  unsigned vector = 1; // of a register: components lie at index, index + 1, ...
};

// All blocks of one function. They stay until its end, because a label may be used before it appears.
class Scopes {
public:
  // What makes a name of a range, `%r<10>` with this type, when it is first used. So a range of a million
  // names costs nothing.
  using Maker = std::function<Symbol(std::string_view name, const DeclarationType& type)>;
  explicit Scopes(Maker make) : make_(std::move(make)) { scopes_.push_back({}); }

  std::uint32_t current() const { return current_; }
  void open() {
    scopes_.push_back({current_, {}, {}});
    current_ = static_cast<std::uint32_t>(scopes_.size() - 1);
  }
  void close() { current_ = scopes_[current_].parent; }

  // False where the block has that name already.
  bool declare(std::string_view name, Symbol symbol) {
    return scopes_[current_].names.emplace(name, symbol).second;
  }
  // prefix0 ... prefix(count-1). False where the block has that range already.
  bool declare_range(std::string_view prefix, const DeclarationType& type, std::uint32_t count) {
    return scopes_[current_].ranges.try_emplace(prefix, Range{type, count}).second;
  }

  std::optional<Symbol> find(std::string_view name, std::uint32_t scope);
  std::optional<Symbol> find(std::string_view name) { return find(name, current_); }

private:
  struct Range {
    DeclarationType type;
    std::uint32_t count;
  };
  struct Scope {
    std::uint32_t parent = no_index;
    std::unordered_map<std::string_view, Symbol> names;
    std::unordered_map<std::string_view, Range> ranges;
  };

  std::optional<Symbol> find_in(Scope& scope, std::string_view name) const;

  Maker make_;
  std::deque<Scope> scopes_;
  std::uint32_t current_ = 0;
};

} // namespace shim::jit::ptx
