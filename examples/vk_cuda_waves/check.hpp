// The example's error handling: any call that fails ends it with a message.
#pragma once

#include <stdexcept>
#include <string>

namespace waves {

template <class Code>
void check(Code code, const char* call) {
  if (static_cast<int>(code) != 0)
    throw std::runtime_error(std::string(call) + " answered " + std::to_string(static_cast<int>(code)));
}

} // namespace waves

#define WAVES_CHECK(call) ::waves::check((call), #call)
