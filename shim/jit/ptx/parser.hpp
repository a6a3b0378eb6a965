// PTX text to syntax tree.
#pragma once

#include <memory>
#include <string>

#include "ast.hpp"

namespace shim::jit::ptx {

// Throws Error for text that is not PTX. Instructions are not looked at: the lowering knows them.
std::unique_ptr<Module> parse(std::string source);

} // namespace shim::jit::ptx
