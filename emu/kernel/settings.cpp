#include "settings.hpp"

#include "device.hpp"
#include "process.hpp"

#include <cctype>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <unistd.h>

namespace emu::kernel::settings {

namespace {

constexpr std::uint64_t mebibyte = 1 << 20;
constexpr std::uint64_t min_vram =
    64 * mebibyte; // the driver's own firmware and page tables want more than half
constexpr std::uint64_t max_delay_ms = 60'000;
constexpr unsigned long debug_enable_ce_cs = 0x400; // AMDGPU_DEBUG_ENABLE_CE_CS

std::optional<std::uint64_t> number(const char*& text) {
  if (!std::isdigit(static_cast<unsigned char>(*text)))
    return std::nullopt;
  char* end = nullptr;
  const std::uint64_t value = std::strtoull(text, &end, 10);
  text = end;
  return value;
}

std::optional<std::uint64_t> bytes(const char* text) {
  const std::optional<std::uint64_t> value = number(text);
  unsigned shift = 0;
  switch (*text) {
  case 'K':
    shift = 10;
    break;
  case 'M':
    shift = 20;
    break;
  case 'G':
    shift = 30;
    break;
  }
  if (shift)
    ++text;
  if (!value || *text || *value > card::vram_size >> shift)
    return std::nullopt;
  return *value << shift;
}

std::uint64_t read_vram_size() {
  constexpr const char* name = "CUDA_SHIM_EMU_VRAM";
  const char* value = std::getenv(name);
  if (!value || !*value)
    return card::vram_size;
  const std::optional<std::uint64_t> size = bytes(value);
  if (!size || *size < min_vram || *size % mebibyte != 0)
    refuse(name, value, "a size like 256M: whole MiB, from 64M to the card's 16368M");
  return *size;
}

std::uint64_t read_event_delay() {
  constexpr const char* name = "CUDA_SHIM_EMU_EVENT_DELAY";
  const char* value = std::getenv(name);
  if (!value || !*value)
    return 0;
  const char* at = value;
  const std::optional<std::uint64_t> ms = number(at);
  if (!ms || *at || *ms > max_delay_ms)
    refuse(name, value, "milliseconds, at most 60000");
  return *ms * 1'000'000;
}

bool read_constant_engine() {
  constexpr const char* name = "CUDA_SHIM_EMU_DEBUG_MASK";
  const char* value = std::getenv(name);
  if (!value || !*value)
    return false;
  char* end = nullptr;
  const unsigned long mask = std::strtoul(value, &end, 0);
  if (!std::isdigit(static_cast<unsigned char>(*value)) || *end || (mask & ~debug_enable_ce_cs))
    refuse(name, value, "0, or 0x400 for the constant engine");
  return mask != 0;
}

bool read_shared_virtual_memory() {
  constexpr const char* name = "CUDA_SHIM_EMU_SVM";
  const char* value = std::getenv(name);
  if (!value || !*value)
    return false;
  if (value != std::string_view("1"))
    refuse(name, value, "1, for a kernel with SVM");
  return true;
}

[[gnu::constructor]] void check() {
  vram_size();
  event_delay_ns();
  constant_engine();
  shared_virtual_memory();
}

} // namespace

std::uint64_t vram_size() {
  static const std::uint64_t size = read_vram_size();
  return size;
}

std::uint64_t event_delay_ns() {
  static const std::uint64_t delay = read_event_delay();
  return delay;
}

bool constant_engine() {
  static const bool lets_pass = read_constant_engine();
  return lets_pass;
}

bool shared_virtual_memory() {
  static const bool built_in = read_shared_virtual_memory();
  return built_in;
}

void refuse(const char* variable, const char* value, const char* expected) {
  complain("%s=%s cannot be understood; expected: %s", variable, value, expected);
  constexpr int usage_error = 2;
  _exit(usage_error);
}

} // namespace emu::kernel::settings
