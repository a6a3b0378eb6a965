#include "compute_units.hpp"

namespace emu::gpu {

namespace {

constexpr std::uint32_t engines = 4;
constexpr std::uint32_t wgps_of_array[] = {5, 4}; // of the two arrays of every engine
constexpr unsigned wgp_shift = 10, array_shift = 16, engine_shift = 18;

} // namespace

std::shared_ptr<const Places> places_of(std::span<const std::uint32_t> cu_mask) {
  auto places = std::make_shared<Places>();
  std::size_t bit = 0;
  for (std::uint32_t wgp = 0; wgp < wgps_of_array[0]; ++wgp)
    for (std::uint32_t array = 0; array < std::size(wgps_of_array); ++array)
      for (std::uint32_t engine = 0; engine < engines && wgp < wgps_of_array[array]; ++engine, bit += 2)
        if (bit / 32 < cu_mask.size() && (cu_mask[bit / 32] >> bit % 32 & 3) != 0)
          places->push_back(engine << engine_shift | array << array_shift | wgp << wgp_shift);
  return places;
}

std::shared_ptr<const Places> all_places() {
  static const std::shared_ptr<const Places> all = places_of(std::vector<std::uint32_t>(3, ~0u));
  return all;
}

} // namespace emu::gpu
