// Loads a code object for tests: segments into executable memory, kernel descriptors by name. No relocations.
#pragma once

#include <cstring>
#include <elf.h>
#include <optional>
#include <span>
#include <string>

#include "gpu_fixture.hpp"

namespace test {

class CodeObject {
public:
  explicit CodeObject(std::span<const unsigned char> image) : image_(image) {
    const auto& header = at<Elf64_Ehdr>(0);
    std::uint64_t end = 0;
    for (unsigned i = 0; i < header.e_phnum; ++i) {
      const auto& segment = at<Elf64_Phdr>(header.e_phoff + i * sizeof(Elf64_Phdr));
      if (segment.p_type == PT_LOAD)
        end = std::max(end, segment.p_vaddr + segment.p_memsz);
    }
    auto memory = device().allocate(shim::kfd::MemoryKind::gtt, end, {.executable = true});
    EXPECT_TRUE(memory);
    memory_ = *std::move(memory);
    for (unsigned i = 0; i < header.e_phnum; ++i) {
      const auto& segment = at<Elf64_Phdr>(header.e_phoff + i * sizeof(Elf64_Phdr));
      if (segment.p_type == PT_LOAD)
        std::memcpy(memory_.cpu_as<char>() + segment.p_vaddr, image.data() + segment.p_offset,
                    segment.p_filesz);
    }
  }

  // GPU address of the kernel descriptor, 0 where there is none.
  std::uint64_t kernel(const std::string& name) const {
    const auto& header = at<Elf64_Ehdr>(0);
    for (unsigned i = 0; i < header.e_shnum; ++i) {
      const auto& section = at<Elf64_Shdr>(header.e_shoff + i * sizeof(Elf64_Shdr));
      if (section.sh_type != SHT_DYNSYM)
        continue;
      const auto& strings = at<Elf64_Shdr>(header.e_shoff + section.sh_link * sizeof(Elf64_Shdr));
      for (std::uint64_t s = 0; s < section.sh_size; s += sizeof(Elf64_Sym)) {
        const auto& symbol = at<Elf64_Sym>(section.sh_offset + s);
        if (name + ".kd" == reinterpret_cast<const char*>(&image_[strings.sh_offset + symbol.st_name]))
          return memory_.address() + symbol.st_value;
      }
    }
    return 0;
  }

  // Bytes of scratch for a work item: private_segment_fixed_size, at offset 4 of the descriptor.
  std::uint32_t scratch(const std::string& name) const {
    std::uint32_t bytes;
    std::memcpy(&bytes, reinterpret_cast<const char*>(kernel(name)) + 4, sizeof bytes);
    return bytes;
  }

private:
  template <class T>
  const T& at(std::uint64_t offset) const {
    return *reinterpret_cast<const T*>(&image_[offset]);
  }
  std::span<const unsigned char> image_;
  shim::kfd::Buffer memory_;
};

struct Launch {
  std::uint64_t kernel;
  std::uint32_t items;
  std::uint16_t group = 64;
  std::uint32_t scratch = 0;
};

// Dispatches one-dimensional work; the arguments must stay until `done` is 0.
inline void submit_dispatch(shim::kfd::Queue& queue, const Launch& launch, const shim::kfd::Buffer& arguments,
                            hsa_signal_t done) {
  std::uint64_t index = queue.try_reserve(1).value();
  hsa_kernel_dispatch_packet_t& packet = queue.dispatch(index);
  packet.workgroup_size_x = launch.group;
  packet.workgroup_size_y = 1;
  packet.workgroup_size_z = 1;
  packet.reserved0 = 0;
  packet.grid_size_x = launch.items;
  packet.grid_size_y = 1;
  packet.grid_size_z = 1;
  packet.private_segment_size = launch.scratch;
  packet.group_segment_size = 0;
  packet.kernel_object = launch.kernel;
  packet.kernarg_address = arguments.cpu();
  packet.reserved2 = 0;
  packet.completion_signal = done;
  constexpr std::uint16_t one_dimension = 1 << HSA_KERNEL_DISPATCH_PACKET_SETUP_DIMENSIONS;
  queue.publish_dispatch(index,
                         shim::kfd::packet_header(HSA_PACKET_TYPE_KERNEL_DISPATCH, true,
                                                  HSA_FENCE_SCOPE_SYSTEM, HSA_FENCE_SCOPE_SYSTEM),
                         one_dimension);
  queue.ring_doorbell(index);
}

template <class... Values>
shim::kfd::Buffer pack_arguments(Values... values) {
  auto buffer = device().allocate(shim::kfd::MemoryKind::gtt, 4096);
  EXPECT_TRUE(buffer);
  std::size_t at = 0;
  auto put = [&](auto value) {
    at = (at + sizeof value - 1) / sizeof value * sizeof value;
    std::memcpy(buffer->template cpu_as<char>() + at, &value, sizeof value);
    at += sizeof value;
  };
  (put(values), ...);
  return *std::move(buffer);
}

} // namespace test
