// What cuModuleLoadData is given: PTX text, a fatbin or its wrapper, or an ELF file.
#include <core/module.hpp>

#include <algorithm>
#include <cstring>

namespace shim::core {

namespace {

constexpr std::uint32_t wrapper_magic = 0x466243b1;
constexpr std::uint32_t fatbin_magic = 0xba55ed50;
constexpr std::uint16_t kind_ptx = 1;
constexpr std::uint64_t flag_compressed_old = 0x1000, flag_lz4 = 0x2000, flag_zstd = 0x8000;
constexpr std::uint32_t our_capability = 61;

struct Wrapper {
  std::uint32_t magic, version;
  const void* data;
  const void* filename_or_fatbins;
};

struct FatbinHeader {
  std::uint32_t magic;
  std::uint16_t version, header_size;
  std::uint64_t files_size;
};

struct FatbinEntry {
  std::uint16_t kind, unknown_0x101;
  std::uint32_t header_size;
  std::uint32_t payload_size; // padded
  std::uint32_t unknown0;
  std::uint32_t compressed_size;
  std::uint32_t unknown1, ptx_version, capability, unknown2, name;
  std::uint64_t flags, zero, uncompressed_size;
};
static_assert(sizeof(FatbinEntry) == 64);

// LZ4's block format: runs of literals, each followed by a copy of what was written before. False where it is
// damaged.
bool unpack_lz4(std::string_view packed, std::size_t size, std::string& out) {
  std::size_t in = 0;
  auto length = [&](std::size_t nibble) -> std::optional<std::size_t> {
    if (nibble != 15)
      return nibble;
    for (;;) {
      if (in >= packed.size())
        return std::nullopt;
      auto more = static_cast<unsigned char>(packed[in++]);
      nibble += more;
      if (more != 255)
        return nibble;
    }
  };
  constexpr std::size_t shortest_match = 4;
  out.clear();
  while (in < packed.size()) {
    auto token = static_cast<unsigned char>(packed[in++]);
    std::optional<std::size_t> literals = length(token >> 4);
    if (!literals || *literals > packed.size() - in || out.size() + *literals > size)
      return false;
    out.append(packed.substr(in, *literals));
    in += *literals;
    if (in == packed.size())
      break;
    if (packed.size() - in < 2)
      return false;
    std::size_t distance =
        static_cast<unsigned char>(packed[in]) | std::size_t{static_cast<unsigned char>(packed[in + 1])} << 8;
    in += 2;
    std::optional<std::size_t> match = length(token & 15);
    if (!match || distance == 0 || distance > out.size() || out.size() + *match + shortest_match > size)
      return false;
    for (std::size_t i = 0; i < *match + shortest_match; ++i)
      out.push_back(out[out.size() - distance]);
  }
  return out.size() == size;
}

Result<std::string_view> ptx_of(const std::byte* entry_bytes, const FatbinEntry& entry,
                                std::string& unpacked) {
  const char* payload = reinterpret_cast<const char*>(entry_bytes) + entry.header_size;
  if (!(entry.flags & (flag_compressed_old | flag_lz4 | flag_zstd)))
    return std::string_view(payload, strnlen(payload, entry.payload_size));
  if (!(entry.flags & flag_lz4) || entry.compressed_size > entry.payload_size)
    return util::fail(CUDA_ERROR_NOT_SUPPORTED, "fatbin: PTX packed with method {:#x}", entry.flags);
  if (!unpack_lz4({payload, entry.compressed_size}, entry.uncompressed_size, unpacked))
    return util::fail(CUDA_ERROR_INVALID_IMAGE, "fatbin: damaged LZ4 data");
  return std::string_view(unpacked.data(), strnlen(unpacked.data(), unpacked.size()));
}

// The highest PTX that is not above our capability, else the lowest above it.
bool better(std::uint32_t candidate, std::uint32_t chosen) {
  bool suits = candidate <= our_capability, chosen_suits = chosen <= our_capability;
  return suits != chosen_suits ? suits : suits ? candidate > chosen : candidate < chosen;
}

Result<std::string_view> ptx_of_fatbin(const std::byte* bytes, std::string& unpacked) {
  FatbinHeader header;
  std::memcpy(&header, bytes, sizeof(header));
  if (header.magic != fatbin_magic || header.version != 1)
    return util::fail(CUDA_ERROR_INVALID_IMAGE, "fatbin: magic {:#x}, version {}", header.magic,
                      header.version);
  const std::byte* chosen = nullptr;
  FatbinEntry chosen_entry = {};
  bool others = false;
  for (std::uint64_t at = 0; at + sizeof(FatbinEntry) <= header.files_size;) {
    const std::byte* here = bytes + header.header_size + at;
    FatbinEntry entry;
    std::memcpy(&entry, here, sizeof(entry));
    std::uint64_t step = std::uint64_t{entry.header_size} + entry.payload_size;
    if (entry.header_size < sizeof(entry) || step > header.files_size - at)
      return util::fail(CUDA_ERROR_INVALID_IMAGE, "fatbin: damaged entry at {}", at);
    if (entry.kind != kind_ptx) {
      others = true;
    } else if (!chosen || better(entry.capability, chosen_entry.capability)) {
      chosen = here;
      chosen_entry = entry;
    }
    at += step;
  }
  if (!chosen)
    return util::fail(CUDA_ERROR_NO_BINARY_FOR_GPU, "fatbin: {}",
                      others ? "only machine code for NVIDIA GPUs, no PTX" : "nothing in it");
  return ptx_of(chosen, chosen_entry, unpacked);
}

// PTX begins with `.version`, behind spaces and comments.
bool begins_as_ptx(std::string_view text) {
  for (;;) {
    text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n\v\f"), text.size()));
    std::string_view end = text.starts_with("//") ? "\n" : text.starts_with("/*") ? "*/" : "";
    if (end.empty())
      return text.starts_with(".version");
    std::size_t at = text.find(end, 2);
    if (at == std::string_view::npos)
      return false;
    text.remove_prefix(at + end.size());
  }
}

} // namespace

Result<std::string_view> find_ptx(const void* image, std::string& unpacked) {
  const auto* bytes = static_cast<const std::byte*>(image);
  // PTX may be shorter than a magic number; its bytes end at the first zero.
  const char* text = static_cast<const char*>(image);
  if (std::strncmp(text, "\177ELF", 4) == 0) {
    constexpr char class_64 = 2; // of an ELF file's fifth byte
    if (text[4] != class_64)
      return util::fail(CUDA_ERROR_INVALID_IMAGE, "the module is no 64-bit ELF file");
    return util::fail(CUDA_ERROR_NO_BINARY_FOR_GPU,
                      "the module is machine code for NVIDIA GPUs, without PTX");
  }
  std::uint32_t magic = 0;
  std::memcpy(&magic, bytes, strnlen(text, sizeof(magic)));
  if (magic == wrapper_magic) {
    Wrapper wrapper;
    std::memcpy(&wrapper, bytes, sizeof(wrapper));
    if (!wrapper.data)
      return util::fail(CUDA_ERROR_INVALID_IMAGE, "fatbin wrapper without data");
    return ptx_of_fatbin(static_cast<const std::byte*>(wrapper.data), unpacked);
  }
  if (magic == fatbin_magic)
    return ptx_of_fatbin(bytes, unpacked);
  if (!begins_as_ptx(text))
    return util::fail(CUDA_ERROR_INVALID_IMAGE, "the module begins neither as PTX nor as a fatbin");
  return std::string_view(text);
}

} // namespace shim::core
