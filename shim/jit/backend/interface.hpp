// What libcuda-shim-jit.so gives to the part of the compiler that lives without LLVM. Both are built
// together.
#pragma once

#include <cstdint>
#include <string>

#include <jit/compiler.hpp>

#include "../ptx/ast.hpp"

namespace shim::jit {

// Changes whenever compiled code or its layout may change: part of the cache's key, and checked at loading.
inline constexpr unsigned compiler_revision = 2;

struct BackendInterface {
  unsigned revision;
  // Lowers every function and drops the result. The first fault found in each goes to `errors`. True where
  // there is none.
  bool (*check)(const ptx::Module& module, std::string& errors);
  // Compiles a function of the module, which is an entry.
  CUresult (*compile)(const ptx::Module& module, std::uint32_t function, const Target& target, Kernel& kernel,
                      std::string& errors);
};

inline constexpr const char* backend_symbol = "cuda_shim_jit_backend";
using BackendFunction = const BackendInterface*();

} // namespace shim::jit
