// The dotted words behind an opcode, taken one by one.
#pragma once

#include <initializer_list>
#include <optional>
#include <string_view>

#include "../ptx/ast.hpp"

namespace shim::jit {

enum class Rounding { nearest_even, zero, down, up };

class Modifiers {
public:
  Modifiers() = default;
  explicit Modifiers(const ptx::Instruction& instruction) : words_(&instruction.modifiers) {}

  // True, once, where the word is there and no one took it yet.
  bool take(std::string_view word) {
    for (std::size_t i = 0; i < words_->size(); i++)
      if (!taken(i) && (*words_)[i] == word)
        return mark(i);
    return false;
  }

  // The first of the words that is there; empty where none is.
  std::string_view take_one(std::initializer_list<std::string_view> words) {
    for (std::string_view word : words)
      if (take(word))
        return word;
    return {};
  }

  // The next type, from the left.
  std::optional<ptx::Type> take_type() {
    for (std::size_t i = 0; i < words_->size(); i++)
      if (!taken(i))
        if (const auto type = ptx::type_from_name((*words_)[i])) {
          mark(i);
          return type;
        }
    return std::nullopt;
  }

  std::optional<Rounding> take_rounding() {
    const std::string_view word = take_one({"rn", "rz", "rm", "rp"});
    if (word.empty())
      return std::nullopt;
    return word == "rn"   ? Rounding::nearest_even
           : word == "rz" ? Rounding::zero
           : word == "rm" ? Rounding::down
                          : Rounding::up;
  }

  // The first word that no one took; empty where all are.
  std::string_view rest() const {
    for (std::size_t i = 0; i < words_->size(); i++)
      if (!taken(i))
        return (*words_)[i];
    return {};
  }

private:
  bool taken(std::size_t i) const { return taken_ >> i & 1; }
  bool mark(std::size_t i) {
    taken_ |= 1u << i;
    return true;
  }

  const std::vector<std::string_view>* words_ = nullptr;
  std::uint32_t taken_ = 0; // the parser lets no instruction have more than 32
};

} // namespace shim::jit
