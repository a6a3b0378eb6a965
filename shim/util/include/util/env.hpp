// The environment variables that the shim reads. docs and README list them; nothing else calls getenv.
#pragma once

#include <optional>
#include <string>

namespace shim::util {

// The value of a variable; nullopt where it is unset or empty.
std::optional<std::string> env_string(const char* name);

// A non-negative number, decimal or 0x-hexadecimal; nullopt (and a warning) where it is not one.
std::optional<unsigned long> env_number(const char* name);

} // namespace shim::util
