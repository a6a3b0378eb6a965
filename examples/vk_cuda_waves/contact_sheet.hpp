// Small pictures of every frame on one PNG.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace waves {

class ContactSheet {
public:
  // For `frames` pictures of size * size RGBA8 pixels.
  ContactSheet(std::uint32_t frames, std::uint32_t size);

  void add(std::uint32_t frame, std::span<const std::uint32_t> rgba);
  void write_png(const std::string& path) const;

private:
  std::uint32_t size_;
  std::uint32_t thumbnail_; // pixels on a side
  std::uint32_t columns_;
  std::uint32_t rows_;
  std::vector<std::uint32_t> pixels_;

  std::uint32_t width() const { return columns_ * (thumbnail_ + gap) + gap; }
  std::uint32_t height() const { return rows_ * (thumbnail_ + gap) + gap; }
  static constexpr std::uint32_t gap = 4;
};

} // namespace waves
