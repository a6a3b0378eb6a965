// What the Vulkan side hands to the CUDA side: two buffers and two semaphores as file descriptors, and how to
// use them.
#pragma once

#include <array>
#include <cstdint>

namespace waves {

enum class SemaphoreKind : std::uint32_t { binary, timeline };

// Sent over the socket as it is, the four descriptors beside it.
struct FrameParameters {
  std::array<std::uint8_t, 16> device_uuid;
  std::uint32_t size;   // cells on a side of the height field
  std::uint32_t frames; // to be rendered
  SemaphoreKind semaphores;
  std::uint32_t reserved;
  std::uint64_t height_bytes; // of the memory object, not of the field
  std::uint64_t rgba_bytes;
};

// Whoever imports a descriptor owns it from then on.
struct SharedObjects {
  FrameParameters parameters;
  int height_memory;
  int rgba_memory;
  int field_ready; // Vulkan signals, CUDA waits
  int image_ready; // CUDA signals, Vulkan waits
};

// Values of the timelines for frame 0, 1, 2...
inline std::uint64_t frame_value(std::uint32_t frame) {
  return frame + 1;
}

} // namespace waves
