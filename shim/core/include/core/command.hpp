// What a stream takes: one thing to do, with everything that it needs, so that it can be kept and done later.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <variant>
#include <vector>

#include <core/marker.hpp>

namespace shim::core {

struct SharedSemaphore;

// What an AQL dispatch packet says. Sizes in work-items and bytes.
struct Dispatch {
  std::uint64_t kernel_object = 0; // GPU address of the kernel descriptor
  std::uint32_t grid[3] = {1, 1, 1};
  std::uint16_t group[3] = {1, 1, 1};
  std::uint32_t group_segment = 0;
  std::uint32_t private_segment = 0;
  std::uint32_t kernarg_bytes = 0;
  // An argument that points into the arguments: the 64-bit word at `inline_pointer` is given the address of
  // the byte at `inline_data`, wherever the arguments come to lie. Nothing where inline_data is 0.
  std::uint32_t inline_pointer = 0;
  std::uint32_t inline_data = 0;
};

struct KernelCommand {
  Dispatch dispatch;
  std::vector<std::byte> kernargs;
};

// The marker completes when everything before it is done.
struct RecordCommand {
  MarkerRef marker;
};

// Nothing after it starts before the marker is done.
struct WaitCommand {
  MarkerRef marker;
};

// An external semaphore is signalled when `marker`, which is recorded right behind, is done.
struct SignalCommand {
  MarkerRef marker;
  std::shared_ptr<SharedSemaphore> semaphore;
  std::uint64_t value = 0;
};

using Command = std::variant<std::monostate, KernelCommand, RecordCommand, WaitCommand, SignalCommand>;

} // namespace shim::core
