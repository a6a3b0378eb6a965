// Opens libcuda-shim-jit.so.
#pragma once

#include <util/error.hpp>

#include "backend/interface.hpp"

namespace shim::jit {

// The backend, opened on the first call and kept.
util::Result<const BackendInterface*> backend();

} // namespace shim::jit
