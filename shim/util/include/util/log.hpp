// One line per event on stderr, or in the file that CUDA_SHIM_LOG_FILE names.
//
// CUDA_SHIM_LOG = none | error (default) | warn | info | trace. `error` is what failed and what is not
// supported, `info` tells also why an argument was refused, `trace` prints every API call and every ioctl.
// Thread-safe: a line is written by one write(2).
#pragma once

#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace shim::util {

enum class LogLevel { none, error, warn, info, trace };

namespace detail {
extern LogLevel log_threshold; // set before main, constant afterwards
}

inline bool log_enabled(LogLevel level) {
  return level <= detail::log_threshold;
}

void log_write(LogLevel level, std::string_view message);

template <class... Args>
void log(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
  if (log_enabled(level))
    log_write(level, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
void log_warn(fmt::format_string<Args...> format, Args&&... args) {
  log(LogLevel::warn, format, std::forward<Args>(args)...);
}

template <class... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log(LogLevel::info, format, std::forward<Args>(args)...);
}

template <class... Args>
void log_trace(fmt::format_string<Args...> format, Args&&... args) {
  log(LogLevel::trace, format, std::forward<Args>(args)...);
}

} // namespace shim::util
