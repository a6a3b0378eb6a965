// The names that the environment and programs have for devices.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <cuda.h>

#include <kfd/topology.hpp>

namespace shim::core {

// The same as RADV's VkPhysicalDeviceIDProperties::deviceUUID, so that programs find the device again.
CUuuid device_uuid(const kfd::PciAddress& pci);

// "GPU-00000000-0300-0000-0000-000000000000"
std::string uuid_name(const CUuuid& uuid);

// CUDA_VISIBLE_DEVICES: of the devices with these UUIDs those that the list names, in its order, by ordinal.
//
// As CUDA documents: the list ends at the first entry that names no device; an entry is a number, or "GPU-"
// and as many digits of a UUID as tell it from all others. As NVIDIA's driver does besides: the first entry
// decides which of the two all others must be, what follows the digits of a number does not count, and a list
// that names a device twice shows none.
std::vector<std::size_t> visible_devices(std::string_view list, std::span<const CUuuid> uuids);

// "domain:bus:device.function", "domain:bus:device" or "bus:device.function", in hexadecimal; nullopt for
// anything else.
std::optional<kfd::PciAddress> parse_pci_address(std::string_view text);

// "0000:03:00.0"
std::string pci_address_text(const kfd::PciAddress& pci);

} // namespace shim::core
