#include <util/env.hpp>

#include <cerrno>
#include <cstdlib>

#include <util/log.hpp>

namespace shim::util {

std::optional<std::string> env_string(const char* name) {
  const char* value = std::getenv(name);
  if (!value || !*value)
    return std::nullopt;
  return value;
}

std::optional<unsigned long> env_number(const char* name) {
  std::optional<std::string> text = env_string(name);
  if (!text)
    return std::nullopt;
  char* end = nullptr;
  errno = 0;
  unsigned long number = std::strtoul(text->c_str(), &end, 0);
  if (errno != 0 || *end != '\0' || text->front() == '-') {
    log_warn("{}={} is not a number; ignored", name, *text);
    return std::nullopt;
  }
  return number;
}

} // namespace shim::util
