// Opens libcuda-shim-jit.so.
#pragma once

#include <string>

#include <util/error.hpp>

#include "backend/interface.hpp"

namespace shim::jit {

// The backend, opened on the first call and kept.
util::Result<const BackendInterface*> backend();

// Changes with every build of the library, so that code of another build is not taken from the cache. Does
// not open it.
std::string backend_identity();

} // namespace shim::jit
