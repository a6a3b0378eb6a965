#include "simulation.hpp"

#include <cmath>
#include <utility>

#include "shade.hpp"

namespace waves {

namespace {

// Far above the denormals, so that no difference of two heights is one; wave.comp has the same.
constexpr float smallest_height = 1e-25f;

} // namespace

std::vector<float> initial_field(std::uint32_t size) {
  // Centre and radius in fractions of the side; amplitude.
  constexpr struct {
    float x, y, radius, amplitude;
  } drops[] = {{0.28f, 0.31f, 0.020f, 3.0f}, {0.71f, 0.22f, 0.012f, -3.5f}, {0.55f, 0.62f, 0.028f, 2.4f},
               {0.18f, 0.78f, 0.014f, 3.2f}, {0.84f, 0.74f, 0.018f, -2.6f}, {0.44f, 0.12f, 0.010f, 3.0f}};
  std::vector<float> field(std::size_t{size} * size);
  for (std::uint32_t y = 0; y < size; ++y)
    for (std::uint32_t x = 0; x < size; ++x)
      for (const auto& drop : drops) {
        const float dx = (static_cast<float>(x) + 0.5f) / static_cast<float>(size) - drop.x;
        const float dy = (static_cast<float>(y) + 0.5f) / static_cast<float>(size) - drop.y;
        const float distance = (dx * dx + dy * dy) / (drop.radius * drop.radius);
        field[y * size + x] += drop.amplitude * std::exp(-distance);
      }
  for (float& height : field)
    if (std::fabs(height) < smallest_height)
      height = 0.0f;
  return field;
}

Reference::Reference(std::uint32_t size) : size_(size) {
  fields_[0] = initial_field(size);
  fields_[1] = fields_[0];
}

void Reference::step() {
  const std::vector<float>& current = fields_[0];
  std::vector<float>& previous = fields_[1];
  for (std::uint32_t y = 0; y < size_; ++y) {
    const float* row = current.data() + std::size_t{y} * size_;
    const float* above = y == 0 ? row : row - size_;
    const float* below = y == size_ - 1 ? row : row + size_;
    float* out = previous.data() + std::size_t{y} * size_;
    for (std::uint32_t x = 0; x < size_; ++x) {
      const float left = row[x == 0 ? x : x - 1], right = row[x == size_ - 1 ? x : x + 1];
      const float sides = left + right;
      const float ends = above[x] + below[x];
      const float laplacian = (sides + ends) - 4.0f * row[x];
      const float velocity = row[x] - out[x];
      const float next = row[x] + damping * velocity + courant_squared * laplacian;
      out[x] = std::fabs(next) < smallest_height ? 0.0f : next;
    }
  }
  std::swap(fields_[0], fields_[1]);
}

void Reference::advance_frame() {
  for (std::uint32_t i = 0; i < steps_per_frame; ++i)
    step();
}

std::vector<std::uint32_t> Reference::shaded() const {
  std::vector<std::uint32_t> image(fields_[0].size());
  for (std::uint32_t y = 0; y < size_; ++y)
    for (std::uint32_t x = 0; x < size_; ++x)
      image[y * size_ + x] = shade(fields_[0].data(), size_, x, y);
  return image;
}

} // namespace waves
