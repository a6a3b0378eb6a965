#include "object_image.hpp"

#include <algorithm>
#include <cstring>
#include <elf.h>
#include <optional>
#include <stdexcept>

#include <fmt/format.h>

namespace shim::jit {
namespace {

constexpr std::size_t descriptor_bytes = 64;
constexpr std::uint32_t code_alignment = 256;

// Fields of the kernel descriptor (LLVM's AMDGPU usage guide, "Code Object V3 Kernel Descriptor").
constexpr std::size_t descriptor_group_bytes = 0;
constexpr std::size_t descriptor_private_bytes = 4;
constexpr std::size_t descriptor_rsrc1 = 48;
constexpr std::size_t descriptor_properties = 56;
constexpr std::uint32_t rsrc1_vgprs_mask = 0x3f;
constexpr unsigned vgpr_granule = 8; // wave32
constexpr std::uint16_t property_wave32 = 1u << 10;
constexpr std::uint16_t property_dynamic_stack = 1u << 11;
constexpr unsigned architected_sgprs = 106; // gfx10 and later give every wave all of them

// Relocation types (LLVM's AMDGPU usage guide, "Relocation Records").
enum : std::uint32_t {
  R_AMDGPU_REL32 = 4,
  R_AMDGPU_REL64 = 5,
  R_AMDGPU_REL32_LO = 10,
  R_AMDGPU_REL32_HI = 11,
};

class Object {
public:
  Object(std::string_view bytes, Kernel& kernel) : bytes_(bytes), kernel_(kernel) {}

  void run(std::string_view kernel_name) {
    header_ = at<Elf64_Ehdr>(0);
    if (std::memcmp(header_.e_ident, ELFMAG, SELFMAG) != 0 || header_.e_machine != EM_AMDGPU)
      throw std::runtime_error("not an AMDGPU object");
    for (unsigned i = 0; i < header_.e_shnum; i++)
      sections_.push_back(at<Elf64_Shdr>(header_.e_shoff + i * sizeof(Elf64_Shdr)));
    place_sections();
    for (const Elf64_Shdr& section : sections_)
      if (section.sh_type == SHT_SYMTAB)
        symbols_ = &section;
    if (!symbols_)
      throw std::runtime_error("object without symbols");
    for (const Elf64_Shdr& section : sections_)
      if (section.sh_type == SHT_RELA && places_[section.sh_info])
        relocate(section);
    find_descriptor(fmt::format("{}.kd", kernel_name));
  }

private:
  template <class T>
  T at(std::uint64_t offset) const {
    if (offset > bytes_.size() || bytes_.size() - offset < sizeof(T))
      throw std::runtime_error("truncated object");
    T value;
    std::memcpy(&value, bytes_.data() + offset, sizeof value);
    return value;
  }

  // Code first, so that it lies at the image's start; notes are not needed.
  void place_sections() {
    places_.resize(sections_.size());
    for (const bool code : {true, false})
      for (std::size_t i = 0; i < sections_.size(); i++) {
        const Elf64_Shdr& section = sections_[i];
        const bool wanted = (section.sh_flags & SHF_ALLOC) && section.sh_type != SHT_NOTE;
        if (wanted && code == bool(section.sh_flags & SHF_EXECINSTR))
          place(i);
      }
    kernel_.image_alignment = std::max(kernel_.image_alignment, code_alignment);
  }

  void place(std::size_t index) {
    const Elf64_Shdr& section = sections_[index];
    const std::uint64_t alignment = std::max<std::uint64_t>(section.sh_addralign, 1);
    const std::uint64_t offset = (kernel_.image.size() + alignment - 1) / alignment * alignment;
    kernel_.image.resize(offset + section.sh_size);
    kernel_.image_alignment = std::max(kernel_.image_alignment, static_cast<std::uint32_t>(alignment));
    places_[index] = offset;
    if (section.sh_type == SHT_NOBITS)
      return;
    if (section.sh_offset > bytes_.size() || bytes_.size() - section.sh_offset < section.sh_size)
      throw std::runtime_error("truncated section");
    std::memcpy(kernel_.image.data() + offset, bytes_.data() + section.sh_offset, section.sh_size);
  }

  std::string_view symbol_name(const Elf64_Sym& symbol) const {
    const Elf64_Shdr& names = sections_.at(symbols_->sh_link);
    const std::uint64_t offset = names.sh_offset + symbol.st_name;
    if (offset >= bytes_.size())
      throw std::runtime_error("truncated names");
    return bytes_.data() + offset;
  }

  std::uint64_t symbol_offset(const Elf64_Sym& symbol) const {
    const bool placed = symbol.st_shndx < places_.size() && places_[symbol.st_shndx];
    if (symbol.st_shndx == SHN_UNDEF || !placed)
      throw std::runtime_error(fmt::format("undefined symbol `{}`", symbol_name(symbol)));
    return *places_[symbol.st_shndx] + symbol.st_value;
  }

  void relocate(const Elf64_Shdr& section) {
    for (std::uint64_t i = 0; i < section.sh_size / sizeof(Elf64_Rela); i++) {
      const auto entry = at<Elf64_Rela>(section.sh_offset + i * sizeof(Elf64_Rela));
      const auto symbol = at<Elf64_Sym>(symbols_->sh_offset + ELF64_R_SYM(entry.r_info) * sizeof(Elf64_Sym));
      const std::uint64_t place = *places_[section.sh_info] + entry.r_offset;
      const std::uint64_t value = symbol_offset(symbol) + static_cast<std::uint64_t>(entry.r_addend) - place;
      switch (ELF64_R_TYPE(entry.r_info)) {
      case R_AMDGPU_REL32:
      case R_AMDGPU_REL32_LO:
        store(place, static_cast<std::uint32_t>(value));
        break;
      case R_AMDGPU_REL32_HI:
        store(place, static_cast<std::uint32_t>(value >> 32));
        break;
      case R_AMDGPU_REL64:
        store(place, value);
        break;
      default:
        throw std::runtime_error(
            fmt::format("relocation {} of `{}`", ELF64_R_TYPE(entry.r_info), symbol_name(symbol)));
      }
    }
  }

  template <class T>
  void store(std::uint64_t place, T value) {
    if (place > kernel_.image.size() || kernel_.image.size() - place < sizeof value)
      throw std::runtime_error("relocation outside its section");
    std::memcpy(kernel_.image.data() + place, &value, sizeof value);
  }

  template <class T>
  T descriptor_field(std::size_t offset) const {
    T value;
    std::memcpy(&value, kernel_.image.data() + kernel_.descriptor_offset + offset, sizeof value);
    return value;
  }

  void find_descriptor(std::string_view name) {
    for (std::uint64_t i = 0; i < symbols_->sh_size / sizeof(Elf64_Sym); i++) {
      const auto symbol = at<Elf64_Sym>(symbols_->sh_offset + i * sizeof(Elf64_Sym));
      if (symbol_name(symbol) != name)
        continue;
      kernel_.descriptor_offset = static_cast<std::uint32_t>(symbol_offset(symbol));
      if (kernel_.descriptor_offset + descriptor_bytes > kernel_.image.size())
        throw std::runtime_error("truncated kernel descriptor");
      read_descriptor();
      return;
    }
    throw std::runtime_error(fmt::format("no symbol `{}`", name));
  }

  void read_descriptor() {
    const auto properties = descriptor_field<std::uint16_t>(descriptor_properties);
    if (descriptor_field<std::uint32_t>(descriptor_group_bytes) != kernel_.static_shared_bytes)
      throw std::runtime_error("the kernel descriptor disagrees about shared memory");
    if (!(properties & property_wave32))
      throw std::runtime_error("not a wave32 kernel");
    kernel_.private_bytes = descriptor_field<std::uint32_t>(descriptor_private_bytes);
    kernel_.dynamic_stack = properties & property_dynamic_stack;
    kernel_.vgprs =
        ((descriptor_field<std::uint32_t>(descriptor_rsrc1) & rsrc1_vgprs_mask) + 1) * vgpr_granule;
    kernel_.sgprs = architected_sgprs;
  }

  std::string_view bytes_;
  Kernel& kernel_;
  Elf64_Ehdr header_ = {};
  std::vector<Elf64_Shdr> sections_;
  std::vector<std::optional<std::uint64_t>> places_; // in the image, by section
  const Elf64_Shdr* symbols_ = nullptr;
};

} // namespace

void make_image(std::string_view object, std::string_view kernel_name, Kernel& kernel) {
  Object(object, kernel).run(kernel_name);
}

} // namespace shim::jit
