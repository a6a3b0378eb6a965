// Code objects as clang writes them, on the interpreter.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <elf.h>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <sys/mman.h>
#include <vector>

#include <gtest/gtest.h>

#include <isa/execute.hpp>
#include <memory/address_space.hpp>

namespace emu::isa {

// A page-aligned piece of GPU memory.
class Region {
public:
  Region(memory::AddressSpace& space, std::uint64_t address, std::size_t size)
      : address_(address), size_((size + 4095) & ~std::size_t{4095}),
        host_(static_cast<std::byte*>(
            mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {
    space.map(address, size_, host_, {});
  }
  ~Region() { munmap(host_, size_); }
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  std::uint64_t address() const { return address_; }
  template <class T>
  T* at(std::uint64_t offset = 0) {
    return reinterpret_cast<T*>(host_ + offset);
  }

private:
  std::uint64_t address_;
  std::size_t size_;
  std::byte* host_;
};

// What the loader needs of amd_kernel_code's descriptor (LLVM AMDGPU usage manual, "Kernel descriptor").
struct KernelDescriptor {
  std::uint32_t group_segment_fixed_size;
  std::uint32_t private_segment_fixed_size;
  std::uint32_t kernarg_size;
  std::uint32_t reserved0;
  std::int64_t kernel_code_entry_byte_offset;
  std::uint8_t reserved1[20];
  std::uint32_t compute_pgm_rsrc3;
  std::uint32_t compute_pgm_rsrc1;
  std::uint32_t compute_pgm_rsrc2;
  std::uint16_t kernel_code_properties;
  std::uint8_t reserved2[6];
};
static_assert(sizeof(KernelDescriptor) == 64);

inline constexpr std::uint16_t private_segment_buffer = 1 << 0, dispatch_ptr = 1 << 1, queue_ptr = 1 << 2,
                               kernarg_segment_ptr = 1 << 3, dispatch_id = 1 << 4, flat_scratch_init = 1 << 5,
                               private_segment_size = 1 << 6, wavefront_size32 = 1 << 10;

class CodeObject {
public:
  CodeObject(memory::AddressSpace& space, std::uint64_t address, const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    bytes_.assign(std::istreambuf_iterator<char>(file), {});
    const auto& header = at<Elf64_Ehdr>(0);
    std::uint64_t end = 0;
    for (unsigned i = 0; i < header.e_phnum; ++i) {
      const auto& segment = at<Elf64_Phdr>(header.e_phoff + i * sizeof(Elf64_Phdr));
      if (segment.p_type == PT_LOAD)
        end = std::max(end, segment.p_vaddr + segment.p_memsz);
    }
    region_ = std::make_unique<Region>(space, address, end);
    for (unsigned i = 0; i < header.e_phnum; ++i) {
      const auto& segment = at<Elf64_Phdr>(header.e_phoff + i * sizeof(Elf64_Phdr));
      if (segment.p_type == PT_LOAD)
        std::memcpy(region_->at<char>(segment.p_vaddr), &bytes_[segment.p_offset], segment.p_filesz);
    }
  }

  // Address of a symbol in the loaded image; 0 where there is none.
  std::uint64_t symbol(const std::string& wanted) const {
    const auto& header = at<Elf64_Ehdr>(0);
    for (unsigned i = 0; i < header.e_shnum; ++i) {
      const auto& table = at<Elf64_Shdr>(header.e_shoff + i * sizeof(Elf64_Shdr));
      if (table.sh_type != SHT_DYNSYM)
        continue;
      const auto& strings = at<Elf64_Shdr>(header.e_shoff + table.sh_link * sizeof(Elf64_Shdr));
      for (std::uint64_t s = 0; s < table.sh_size; s += sizeof(Elf64_Sym)) {
        const auto& entry = at<Elf64_Sym>(table.sh_offset + s);
        if (wanted == &bytes_[strings.sh_offset + entry.st_name])
          return entry.st_value;
      }
    }
    return 0;
  }

  Region& image() { return *region_; }

private:
  template <class T>
  const T& at(std::uint64_t offset) const {
    return *reinterpret_cast<const T*>(&bytes_[offset]);
  }
  std::vector<char> bytes_;
  std::unique_ptr<Region> region_;
};

inline constexpr unsigned group_threads = 64;
inline constexpr std::uint64_t packet_offset = 2048; // in the argument page
inline constexpr std::uint32_t scratch_bytes = 1 << 22;

// Runs kernels of a code object on `groups` workgroups: two input words, one output word and `memory_words`
// words of memory for each thread, as the arguments (out, in, memory).
class Device {
public:
  static constexpr unsigned memory_words = 16;

  Device(const std::string& path, unsigned groups)
      : groups_(groups), object_(space_, 0x1000'0000'0000, path),
        data_(space_, 0x2000'0000'0000, std::size_t{threads()} * (3 + memory_words) * 4),
        arguments_(space_, 0x3000'0000'0000, 4096), scratch_(space_, 0x4000'0000'0000, scratch_bytes),
        cache_(space_), execution_(cache_) {}

  unsigned threads() const { return groups_ * group_threads; }
  std::uint32_t* inputs() { return data_.at<std::uint32_t>(); }
  std::uint32_t output(unsigned i) { return data_.at<std::uint32_t>(threads() * 8)[i]; }
  std::uint32_t* memory() { return data_.at<std::uint32_t>(threads() * 12); }

  Fault run(const std::string& kernel) {
    const std::uint64_t address = object_.symbol(kernel + ".kd");
    EXPECT_NE(address, 0u) << kernel;
    KernelDescriptor kd;
    std::memcpy(&kd, object_.image().at<std::byte>(address), sizeof kd);
    arguments_.at<std::uint64_t>()[0] = data_.address() + threads() * 8;
    arguments_.at<std::uint64_t>()[1] = data_.address();
    arguments_.at<std::uint64_t>()[2] = data_.address() + threads() * 12;
    // Of the AQL dispatch packet, code reads the workgroup's and the grid's size.
    const std::uint16_t workgroup_size[] = {group_threads, 1, 1};
    std::memcpy(arguments_.at<std::byte>(packet_offset + 4), workgroup_size, sizeof workgroup_size);
    const std::uint32_t grid_size[] = {threads(), 1, 1};
    std::memcpy(arguments_.at<std::byte>(packet_offset + 12), grid_size, sizeof grid_size);
    DispatchState state;
    state.code =
        object_.image().address() + address + static_cast<std::uint64_t>(kd.kernel_code_entry_byte_offset);
    state.pgm_rsrc1 = kd.compute_pgm_rsrc1;
    state.pgm_rsrc2 = kd.compute_pgm_rsrc2 | (kd.group_segment_fixed_size + 511) / 512 << 15;
    state.pgm_rsrc3 = kd.compute_pgm_rsrc3;
    state.wave32 = kd.kernel_code_properties & wavefront_size32;
    state.group_size = {group_threads, 1, 1};
    // -O0 code may call functions of unknown depth: a comfortable stack.
    const std::uint32_t lanes = state.wave32 ? 32 : 64;
    state.scratch_wave_size = (std::max(kd.private_segment_fixed_size, 16384u) * lanes + 1023) / 1024 * 1024;
    set_user_data(state, kd);
    for (std::uint32_t group = 0; group < groups_; ++group) {
      const Fault fault = execute_workgroup(execution_, state, {{group, 0, 0}, {group_threads, 1, 1}, 0});
      if (fault.kind != FaultKind::none)
        return fault;
    }
    return {};
  }

private:
  void set_user_data(DispatchState& state, const KernelDescriptor& kd) {
    unsigned next = 0;
    const auto push = [&](std::uint64_t value) {
      state.user_data[next++] = static_cast<std::uint32_t>(value);
      state.user_data[next++] = static_cast<std::uint32_t>(value >> 32);
    };
    const std::uint16_t properties = kd.kernel_code_properties;
    if (properties & private_segment_buffer) {
      constexpr std::uint64_t swizzle_enable = 1ull << 63;
      constexpr std::uint32_t add_tid_enable = 1u << 23, oob_disabled = 2u << 28;
      push(scratch_.address() | swizzle_enable);
      push(scratch_bytes |
           static_cast<std::uint64_t>((state.wave32 ? 2u : 3u) << 21 | add_tid_enable | oob_disabled) << 32);
    }
    if (properties & dispatch_ptr)
      push(arguments_.address() + packet_offset);
    if (properties & queue_ptr)
      push(0);
    if (properties & kernarg_segment_ptr)
      push(arguments_.address());
    if (properties & dispatch_id)
      push(0);
    if (properties & flat_scratch_init)
      push(scratch_.address());
    if (properties & private_segment_size)
      state.user_data[next++] = kd.private_segment_fixed_size;
  }

  unsigned groups_;
  memory::AddressSpace space_;
  CodeObject object_;
  Region data_, arguments_, scratch_;
  CodeCache cache_;
  WorkgroupExecution execution_;
};

} // namespace emu::isa
