// The numbers of the simulation, and the CPU's version of it, which the GPU's is held against.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace waves {

inline constexpr std::uint32_t steps_per_frame = 4;
inline constexpr float courant_squared = 0.45f;
inline constexpr float damping = 0.998f;

// A calm surface with a few drops: size * size cells.
std::vector<float> initial_field(std::uint32_t size);

// The same simulation and the same colours as on the GPU, computed here.
class Reference {
public:
  explicit Reference(std::uint32_t size);

  void advance_frame();
  std::span<const float> height() const { return fields_[0]; }
  std::vector<std::uint32_t> shaded() const;

private:
  void step();

  std::uint32_t size_;
  std::vector<float> fields_[2]; // current, previous
};

} // namespace waves
