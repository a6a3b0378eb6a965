// Where waves can go: navi21's workgroup processors (pairs of compute units), and the choice that a KFD mask
// makes.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace emu::gpu {

inline constexpr std::uint32_t waves_per_wgp = 2 * 2 * 16; // units, SIMDs, slots

// The places in the order in which workgroups are dealt to them. A place is HW_ID1's SE_ID, SA_ID and WGP_ID.
using Places = std::vector<std::uint32_t>;

// All of them.
std::shared_ptr<const Places> all_places();

// Those that a mask of compute units leaves, as the kernel spreads its bits over shader engines and arrays
// (mqd_symmetrically_map_cu_mask): bit pairs go round the engines first. Units beyond the mask are off.
std::shared_ptr<const Places> places_of(std::span<const std::uint32_t> cu_mask);

} // namespace emu::gpu
