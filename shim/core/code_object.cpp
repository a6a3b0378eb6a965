#include <core/code_object.hpp>

#include <algorithm>
#include <cstring>
#include <elf.h>

namespace shim::core {

namespace {

constexpr Elf64_Half em_amdgpu = 224;

// A structure at an offset of the file, or nothing where it does not fit.
template <class T>
bool read_at(std::span<const std::byte> file, std::uint64_t offset, T& value) {
  if (offset > file.size() || file.size() - offset < sizeof(T))
    return false;
  std::memcpy(&value, file.data() + offset, sizeof(T));
  return true;
}

util::Error damaged(const char* what) {
  return util::fail(CUDA_ERROR_INVALID_IMAGE, "code object: {}", what);
}

Result<void> read_symbols(std::span<const std::byte> file, const Elf64_Ehdr& header,
                          const Elf64_Shdr& section, CodeObject& object) {
  Elf64_Shdr strings;
  if (!read_at(file, header.e_shoff + section.sh_link * sizeof(Elf64_Shdr), strings) ||
      strings.sh_offset > file.size() || strings.sh_size > file.size() - strings.sh_offset ||
      strings.sh_size == 0)
    return damaged("no string table");
  const char* text = reinterpret_cast<const char*>(file.data() + strings.sh_offset);
  for (std::uint64_t offset = 0; offset + sizeof(Elf64_Sym) <= section.sh_size; offset += sizeof(Elf64_Sym)) {
    Elf64_Sym symbol;
    if (!read_at(file, section.sh_offset + offset, symbol) || symbol.st_name >= strings.sh_size)
      return damaged("bad symbol");
    std::string name(text + symbol.st_name, strnlen(text + symbol.st_name, strings.sh_size - symbol.st_name));
    if (!name.empty() && symbol.st_shndx != SHN_UNDEF && symbol.st_value < object.image.size())
      object.symbols[name] = symbol.st_value;
  }
  return {};
}

} // namespace

Result<CodeObject> read_code_object(std::span<const std::byte> file) {
  Elf64_Ehdr header;
  if (!read_at(file, 0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != em_amdgpu)
    return damaged("not a 64-bit AMDGPU ELF file");
  CodeObject object;
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    if (!read_at(file, header.e_phoff + i * sizeof(segment), segment))
      return damaged("bad program header");
    if (segment.p_type != PT_LOAD)
      continue;
    if (segment.p_offset > file.size() || segment.p_filesz > file.size() - segment.p_offset ||
        segment.p_filesz > segment.p_memsz || segment.p_vaddr + segment.p_memsz > (1u << 28))
      return damaged("bad segment");
    object.image.resize(std::max<std::size_t>(object.image.size(), segment.p_vaddr + segment.p_memsz));
    std::copy_n(file.begin() + static_cast<std::ptrdiff_t>(segment.p_offset), segment.p_filesz,
                object.image.begin() + static_cast<std::ptrdiff_t>(segment.p_vaddr));
  }
  for (unsigned i = 0; i < header.e_shnum; ++i) {
    Elf64_Shdr section;
    if (!read_at(file, header.e_shoff + i * sizeof(section), section))
      return damaged("bad section header");
    if (section.sh_type == SHT_DYNSYM)
      if (Result<void> symbols = read_symbols(file, header, section, object); !symbols)
        return symbols.error();
  }
  return object;
}

Result<kfd::Buffer> allocate_for_loading(kfd::Device& gpu, std::uint64_t size, bool executable) {
  // Without a large BAR the CPU cannot write to all of VRAM.
  kfd::MemoryKind kind = gpu.properties().large_bar() ? kfd::MemoryKind::vram : kfd::MemoryKind::gtt;
  return gpu.allocate(kind, size, {.host_access = true, .executable = executable});
}

Result<kfd::Buffer> load_code(kfd::Device& gpu, std::span<const std::byte> image) {
  Result<kfd::Buffer> buffer = allocate_for_loading(gpu, image.size(), true);
  if (!buffer)
    return buffer;
  std::memcpy(buffer->cpu(), image.data(), image.size());
  gpu.flush_hdp();
  return buffer;
}

} // namespace shim::core
