// SHA-1 (RFC 3174), to name what is in the cache. Not a defence against anyone.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace shim::jit {

using Digest = std::array<std::uint8_t, 20>;

Digest sha1(std::string_view data);
std::string to_hex(const Digest& digest);

} // namespace shim::jit
