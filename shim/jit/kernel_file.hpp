// A Kernel as bytes, for the cache.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <jit/compiler.hpp>

namespace shim::jit {

std::string encode(const Kernel& kernel);
// nullopt for bytes that encode() did not make.
std::optional<Kernel> decode(std::string_view bytes);

} // namespace shim::jit
