#include <core/device_names.hpp>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstring>

#include <fmt/format.h>

namespace shim::core {

namespace {

constexpr std::string_view uuid_prefix = "GPU-";

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\n";
  const std::size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos)
    return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

bool equal_but_for_case(char a, char b) {
  return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
}

// The one device whose name begins so.
std::optional<std::size_t> device_of_uuid(std::string_view entry, std::span<const CUuuid> uuids) {
  if (!entry.starts_with(uuid_prefix) || entry.size() == uuid_prefix.size())
    return std::nullopt;
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i < uuids.size(); ++i) {
    const std::string name = uuid_name(uuids[i]);
    if (entry.size() > name.size() ||
        !std::equal(entry.begin(), entry.end(), name.begin(), equal_but_for_case))
      continue;
    if (found)
      return std::nullopt;
    found = i;
  }
  return found;
}

std::optional<std::size_t> device_of_number(std::string_view entry, std::size_t count) {
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(entry.data(), entry.data() + entry.size(), number);
  if (error != std::errc() || number >= count)
    return std::nullopt;
  return number;
}

// Hexadecimal digits up to the end of the text or a separator; takes them from the text.
std::optional<std::uint32_t> take_hexadecimal(std::string_view& text) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, 16);
  if (error != std::errc())
    return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

} // namespace

CUuuid device_uuid(const kfd::PciAddress& pci) {
  const std::uint32_t words[4] = {pci.domain, pci.bus, pci.device, pci.function};
  CUuuid uuid;
  static_assert(sizeof(words) == sizeof(uuid.bytes));
  std::memcpy(uuid.bytes, words, sizeof(words));
  return uuid;
}

std::string uuid_name(const CUuuid& uuid) {
  std::string text(uuid_prefix);
  for (std::size_t i = 0; i < sizeof(uuid.bytes); ++i)
    text += fmt::format("{}{:02x}", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
                        static_cast<unsigned char>(uuid.bytes[i]));
  return text;
}

std::vector<std::size_t> visible_devices(std::string_view list, std::span<const CUuuid> uuids) {
  std::vector<std::size_t> visible;
  const bool by_uuid = trimmed(list).starts_with(uuid_prefix);
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    const std::string_view entry = trimmed(list.substr(0, comma));
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
    const std::optional<std::size_t> device =
        by_uuid ? device_of_uuid(entry, uuids) : device_of_number(entry, uuids.size());
    if (!device)
      break;
    if (std::find(visible.begin(), visible.end(), *device) != visible.end())
      return {};
    visible.push_back(*device);
  }
  return visible;
}

std::optional<kfd::PciAddress> parse_pci_address(std::string_view text) {
  std::uint32_t parts[4] = {};
  char separators[3] = {};
  std::size_t count = 0;
  for (;; text.remove_prefix(1)) {
    const std::optional<std::uint32_t> part = take_hexadecimal(text);
    if (!part)
      return std::nullopt;
    parts[count++] = *part;
    if (text.empty())
      break;
    if (count == std::size(parts))
      return std::nullopt;
    separators[count - 1] = text.front();
  }
  const std::string_view shape(separators, count - 1);
  if (shape == "::.")
    return kfd::PciAddress{parts[0], parts[1], parts[2], parts[3]};
  if (shape == "::")
    return kfd::PciAddress{parts[0], parts[1], parts[2], 0};
  if (shape == ":.")
    return kfd::PciAddress{0, parts[0], parts[1], parts[2]};
  return std::nullopt;
}

std::string pci_address_text(const kfd::PciAddress& pci) {
  return fmt::format("{:04x}:{:02x}:{:02x}.{:x}", pci.domain, pci.bus, pci.device, pci.function);
}

} // namespace shim::core
