// What core sees of a syntax tree.
#pragma once

#include <jit/compiler.hpp>

#include "ptx/ast.hpp"

namespace shim::jit {

ModuleInfo describe(const ptx::Module& tree);

// The function that is the entry with this index in ModuleInfo::entries.
std::uint32_t entry_function(const ptx::Module& tree, std::size_t entry);

} // namespace shim::jit
