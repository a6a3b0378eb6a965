#include "contact_sheet.hpp"

#include <algorithm>
#include <cstring>
#include <png.h>
#include <stdexcept>

namespace waves {

namespace {

constexpr std::uint32_t background = 0xff201a18;
constexpr std::uint32_t widest_sheet = 10;

// The mean of a square of source pixels, channel by channel.
std::uint32_t box_average(std::span<const std::uint32_t> rgba, std::uint32_t stride, std::uint32_t x0,
                          std::uint32_t y0, std::uint32_t side) {
  std::uint32_t sums[4] = {};
  for (std::uint32_t y = y0; y < y0 + side; ++y)
    for (std::uint32_t x = x0; x < x0 + side; ++x)
      for (int channel = 0; channel < 4; ++channel)
        sums[channel] += rgba[y * stride + x] >> (8 * channel) & 0xff;
  std::uint32_t pixel = 0;
  for (int channel = 0; channel < 4; ++channel)
    pixel |= sums[channel] / (side * side) << (8 * channel);
  return pixel;
}

} // namespace

ContactSheet::ContactSheet(std::uint32_t frames, std::uint32_t size)
    : size_(size), thumbnail_(std::min<std::uint32_t>(128, size)), columns_(std::min(frames, widest_sheet)),
      rows_((frames + columns_ - 1) / columns_), pixels_(std::size_t{width()} * height(), background) {}

void ContactSheet::add(std::uint32_t frame, std::span<const std::uint32_t> rgba) {
  const std::uint32_t left = gap + frame % columns_ * (thumbnail_ + gap);
  const std::uint32_t top = gap + frame / columns_ * (thumbnail_ + gap);
  const std::uint32_t scale = size_ / thumbnail_;
  for (std::uint32_t y = 0; y < thumbnail_; ++y)
    for (std::uint32_t x = 0; x < thumbnail_; ++x)
      pixels_[std::size_t{top + y} * width() + left + x] =
          box_average(rgba, size_, x * scale, y * scale, scale);
}

void ContactSheet::write_png(const std::string& path) const {
  png_image image;
  std::memset(&image, 0, sizeof image);
  image.version = PNG_IMAGE_VERSION;
  image.width = width();
  image.height = height();
  image.format = PNG_FORMAT_RGBA;
  if (!png_image_write_to_file(&image, path.c_str(), 0, pixels_.data(), 0, nullptr))
    throw std::runtime_error(path + ": " + image.message);
}

} // namespace waves
