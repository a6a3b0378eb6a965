// The Vulkan half: simulates the wave field, exports what CUDA needs, reads the shaded image back.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "shared_objects.hpp"

namespace waves {

class VulkanSide {
public:
  // Picks the device whose UUID this is, or the first one. `initial` has size * size cells.
  VulkanSide(std::optional<std::array<std::uint8_t, 16>> uuid, std::uint32_t size, SemaphoreKind semaphores,
             std::span<const float> initial);
  ~VulkanSide();

  const char* device_name() const;

  // New descriptors at every call.
  SharedObjects export_objects(std::uint32_t frames) const;

  // Submits the simulation of one frame; it signals field_ready.
  void submit_simulation(std::uint32_t frame);

  // Submits the read-back, which waits for image_ready, and blocks until it is done.
  void read_back(std::uint32_t frame);

  // What the last read_back brought: size * size cells.
  std::span<const float> height() const;
  std::span<const std::uint32_t> rgba() const;

private:
  struct State;
  std::unique_ptr<State> state_;
};

} // namespace waves
