#include "scope.hpp"

#include <charconv>

namespace shim::jit::ptx {

std::optional<Symbol> Scopes::find_in(Scope& scope, std::string_view name) const {
  if (const auto found = scope.names.find(name); found != scope.names.end())
    return found->second;
  if (scope.ranges.empty())
    return std::nullopt;
  // The prefix itself may end in digits: %p1<5> declares %p10 to %p14.
  for (std::size_t split = name.size(); split > 1 && name[split - 1] >= '0' && name[split - 1] <= '9';
       split--) {
    const auto range = scope.ranges.find(name.substr(0, split - 1));
    const std::string_view digits = name.substr(split - 1);
    if (range == scope.ranges.end() || (digits.size() > 1 && digits[0] == '0'))
      continue;
    std::uint32_t number = 0;
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (result.ec == std::errc{} && number < range->second.count)
      return scope.names.emplace(name, make_(name, range->second.type)).first->second;
  }
  return std::nullopt;
}

std::optional<Symbol> Scopes::find(std::string_view name, std::uint32_t scope) {
  for (; scope != no_index; scope = scopes_[scope].parent)
    if (auto symbol = find_in(scopes_[scope], name))
      return symbol;
  return std::nullopt;
}

} // namespace shim::jit::ptx
