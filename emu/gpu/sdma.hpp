// Interprets SDMA 5.2 packets, for KFD's SDMA queues and for DMA rings.
//
// Source: the kernel's navi10_sdma_pkt_open.h for the fields, sdma_v5_2.c and ROCr for their use.
#pragma once

#include "engine.hpp"

#include <optional>

namespace emu::gpu {

class Sdma {
public:
  explicit Sdma(EngineContext& context);

  PacketReader& reader() { return reader_; }
  void push_ib(GpuAddress va, std::uint64_t dwords);
  // Executes at most one packet. Throws Stop.
  Step step();

private:
  Step execute(std::uint32_t header);
  Step copy(std::uint32_t header);
  Step copy_linear(std::uint32_t header);
  Step copy_sub_window(std::uint32_t header);
  Step copy_window_rows();
  Step write_linear();
  Step constant_fill(std::uint32_t header);
  Step indirect();
  Step fence();
  Step trap();
  Step poll(std::uint32_t header);
  Step conditional();
  Step atomic(std::uint32_t header);
  Step timestamp(std::uint32_t sub_opcode);

  // The packet at the read position, `dwords` long with its header; empty: the rest of it is not in the ring
  // yet.
  std::span<const std::uint32_t> take(std::uint64_t dwords);
  void give_back(std::uint64_t dwords) { reader_.top().position -= dwords; }
  [[noreturn]] void refuse(const std::string& why);

  // A sub-window copy, done some rows at a time.
  struct Window {
    struct Side {
      GpuAddress base = 0;
      std::uint64_t x = 0, y = 0, z = 0, pitch = 0, slice = 0; // in elements
    };
    Side source, target;
    std::uint64_t element = 0; // bytes
    std::uint64_t width = 0, height = 0, depth = 0;
    std::uint64_t next_y = 0, next_z = 0;

    GpuAddress row(const Side& side) const {
      return side.base + ((side.z + next_z) * side.slice + (side.y + next_y) * side.pitch + side.x) * element;
    }
  };

  EngineContext& context_;
  EngineMemory memory_;
  PacketReader reader_;
  std::optional<Window> window_;
};

} // namespace emu::gpu
