// Device management, primary contexts, peer access.
#include <algorithm>
#include <cstring>

#include "entry.hpp"

using namespace shim;
using namespace shim::cuda;

namespace {

// `body(core::Device&)`.
template <class Body, class... Args>
CUresult call_on_device(const char* name, CUdevice ordinal, Body&& body, const Args&... args) {
  return call(
      name,
      [&]() -> Result<void> {
        Result<core::Device*> device = core::driver().device(ordinal);
        if (!device)
          return device.error();
        return body(**device);
      },
      args..., ordinal);
}

// Copies what fits, with its terminating zero.
Result<void> store_string(const char* name, char* out, int size, const std::string& text) {
  if (!out || size <= 0)
    return util::fail(CUDA_ERROR_INVALID_VALUE, "{}: no room for the text", name);
  std::size_t length = std::min(text.size(), static_cast<std::size_t>(size) - 1);
  std::memcpy(out, text.data(), length);
  out[length] = '\0';
  return {};
}

int attribute_or_zero(const core::Device& device, CUdevice_attribute which) {
  return device.attribute(which).value_or(0);
}

} // namespace

CUresult cuDeviceGetCount(int* count) {
  return call(
      "cuDeviceGetCount",
      [&]() -> Result<void> {
        if (Result<void> given = require("cuDeviceGetCount", count); !given)
          return given;
        *count = core::driver().device_count();
        return {};
      },
      count);
}

CUresult cuDeviceGet(CUdevice* device, int ordinal) {
  return call_on_device(
      "cuDeviceGet", ordinal,
      [&](core::Device& found) -> Result<void> {
        if (Result<void> given = require("cuDeviceGet", device); !given)
          return given;
        *device = found.ordinal();
        return {};
      },
      device);
}

CUresult cuDeviceGetName(char* name, int size, CUdevice device) {
  return call_on_device(
      "cuDeviceGetName", device,
      [&](core::Device& found) { return store_string("cuDeviceGetName", name, size, found.name()); }, name,
      size);
}

CUresult cuDeviceGetUuid(CUuuid* uuid, CUdevice device) {
  return call_on_device(
      "cuDeviceGetUuid", device,
      [&](core::Device& found) -> Result<void> {
        if (Result<void> given = require("cuDeviceGetUuid", uuid); !given)
          return given;
        *uuid = found.uuid();
        return {};
      },
      uuid);
}

CUresult cuDeviceTotalMem_v2(size_t* bytes, CUdevice device) {
  return call_on_device(
      "cuDeviceTotalMem_v2", device,
      [&](core::Device& found) -> Result<void> {
        if (Result<void> given = require("cuDeviceTotalMem", bytes); !given)
          return given;
        *bytes = found.node().vram_bytes;
        return {};
      },
      bytes);
}

CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice device) {
  return call_on_device(
      "cuDeviceGetAttribute", device,
      [&](core::Device& found) -> Result<void> {
        if (Result<void> given = require("cuDeviceGetAttribute", value); !given)
          return given;
        std::optional<int> known = found.attribute(attribute);
        if (!known)
          return util::fail(CUDA_ERROR_INVALID_VALUE, "cuDeviceGetAttribute: there is no attribute {}",
                            static_cast<int>(attribute));
        *value = *known;
        return {};
      },
      value, attribute);
}

CUresult cuDeviceComputeCapability(int* major, int* minor, CUdevice device) {
  return call_on_device(
      "cuDeviceComputeCapability", device,
      [&](core::Device& found) -> Result<void> {
        if (Result<void> given = require("cuDeviceComputeCapability", major, minor); !given)
          return given;
        *major = attribute_or_zero(found, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
        *minor = attribute_or_zero(found, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
        return {};
      },
      major, minor);
}

CUresult cuDeviceGetProperties(CUdevprop* properties, CUdevice device) {
  return call_on_device(
      "cuDeviceGetProperties", device,
      [&](core::Device& found) -> Result<void> {
        if (Result<void> given = require("cuDeviceGetProperties", properties); !given)
          return given;
        properties->maxThreadsPerBlock = attribute_or_zero(found, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
        for (int i = 0; i < 3; ++i) {
          properties->maxThreadsDim[i] = attribute_or_zero(
              found, static_cast<CUdevice_attribute>(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X + i));
          properties->maxGridSize[i] = attribute_or_zero(
              found, static_cast<CUdevice_attribute>(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X + i));
        }
        properties->sharedMemPerBlock =
            attribute_or_zero(found, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK);
        properties->totalConstantMemory = attribute_or_zero(found, CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY);
        properties->SIMDWidth = attribute_or_zero(found, CU_DEVICE_ATTRIBUTE_WARP_SIZE);
        properties->memPitch = attribute_or_zero(found, CU_DEVICE_ATTRIBUTE_MAX_PITCH);
        properties->regsPerBlock = attribute_or_zero(found, CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK);
        properties->clockRate = attribute_or_zero(found, CU_DEVICE_ATTRIBUTE_CLOCK_RATE);
        properties->textureAlign = attribute_or_zero(found, CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT);
        return {};
      },
      properties);
}

CUresult cuDeviceGetByPCIBusId(CUdevice* device, const char* pci_bus_id) {
  return call(
      "cuDeviceGetByPCIBusId",
      [&]() -> Result<void> {
        if (Result<void> given = require("cuDeviceGetByPCIBusId", device, pci_bus_id); !given)
          return given;
        return store(device, core::driver().device_at(pci_bus_id));
      },
      device, pci_bus_id);
}

CUresult cuDeviceGetPCIBusId(char* pci_bus_id, int size, CUdevice device) {
  return call_on_device(
      "cuDeviceGetPCIBusId", device,
      [&](core::Device& found) -> Result<void> {
        std::string text = found.pci_bus_id();
        if (size <= static_cast<int>(text.size()))
          return util::fail(CUDA_ERROR_INVALID_VALUE, "cuDeviceGetPCIBusId: {} bytes are too few", size);
        return store_string("cuDeviceGetPCIBusId", pci_bus_id, size, text);
      },
      pci_bus_id, size);
}

CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
  return call_on_device(
      "cuDevicePrimaryCtxRetain", device,
      [&](core::Device& found) -> Result<void> {
        if (Result<void> given = require("cuDevicePrimaryCtxRetain", context); !given)
          return given;
        Result<std::shared_ptr<core::Context>> primary = found.retain_primary();
        if (!primary)
          return primary.error();
        *context = to_handle<CUcontext>((*primary)->handle);
        return {};
      },
      context);
}

CUresult cuDevicePrimaryCtxRelease(CUdevice device) {
  return call_on_device("cuDevicePrimaryCtxRelease", device,
                        [](core::Device& found) { return found.release_primary(); });
}

CUresult cuDevicePrimaryCtxReset(CUdevice device) {
  return call_on_device("cuDevicePrimaryCtxReset", device,
                        [](core::Device& found) { return found.reset_primary(); });
}

CUresult cuDevicePrimaryCtxSetFlags(CUdevice device, unsigned int flags) {
  return call_on_device(
      "cuDevicePrimaryCtxSetFlags", device,
      [&](core::Device& found) -> Result<void> {
        if (!known_context_flags(flags))
          return util::fail(CUDA_ERROR_INVALID_VALUE, "cuDevicePrimaryCtxSetFlags: flags {:#x}", flags);
        return found.set_primary_flags(flags);
      },
      flags);
}

CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned int* flags, int* active) {
  return call_on_device(
      "cuDevicePrimaryCtxGetState", device,
      [&](core::Device& found) -> Result<void> {
        if (Result<void> given = require("cuDevicePrimaryCtxGetState", flags, active); !given)
          return given;
        core::Device::PrimaryState state = found.primary_state();
        *flags = state.flags;
        *active = state.active;
        return {};
      },
      flags, active);
}

// Devices do not reach each other's memory: every answer is no.
CUresult cuDeviceCanAccessPeer(int* can_access, CUdevice device, CUdevice peer) {
  return call_on_device(
      "cuDeviceCanAccessPeer", device,
      [&](core::Device&) -> Result<void> {
        if (Result<void> given = require("cuDeviceCanAccessPeer", can_access); !given)
          return given;
        if (Result<core::Device*> other = core::driver().device(peer); !other)
          return other.error();
        *can_access = 0;
        return {};
      },
      can_access, peer);
}

CUresult cuDeviceGetP2PAttribute(int* value, CUdevice_P2PAttribute attribute, CUdevice source,
                                 CUdevice destination) {
  return call_on_device(
      "cuDeviceGetP2PAttribute", source,
      [&](core::Device&) -> Result<void> {
        if (Result<void> given = require("cuDeviceGetP2PAttribute", value); !given)
          return given;
        if (Result<core::Device*> other = core::driver().device(destination); !other)
          return other.error();
        if (source == destination)
          return util::fail(CUDA_ERROR_INVALID_DEVICE, "cuDeviceGetP2PAttribute: one device, not two");
        if (attribute < CU_DEVICE_P2P_ATTRIBUTE_PERFORMANCE_RANK ||
            attribute > CU_DEVICE_P2P_ATTRIBUTE_CUDA_ARRAY_ACCESS_SUPPORTED)
          return util::fail(CUDA_ERROR_INVALID_VALUE, "cuDeviceGetP2PAttribute: there is no attribute {}",
                            static_cast<int>(attribute));
        *value = 0;
        return {};
      },
      value, attribute, destination);
}

namespace {

Result<void> check_peer(CUcontext peer, const char* name) {
  if (core::find<core::Context>(peer))
    return {};
  return util::fail(core::was_handle<core::Context>(peer) ? CUDA_ERROR_CONTEXT_IS_DESTROYED
                                                          : CUDA_ERROR_INVALID_CONTEXT,
                    "{}: not a context", name);
}

} // namespace

CUresult cuCtxEnablePeerAccess(CUcontext peer, unsigned int flags) {
  return call_in_context(
      "cuCtxEnablePeerAccess",
      [&](core::Context&) -> Result<void> {
        if (flags != 0)
          return util::fail(CUDA_ERROR_INVALID_VALUE, "cuCtxEnablePeerAccess: flags {:#x}", flags);
        if (Result<void> known = check_peer(peer, "cuCtxEnablePeerAccess"); !known)
          return known;
        return util::fail(CUDA_ERROR_PEER_ACCESS_UNSUPPORTED, "cuCtxEnablePeerAccess: no peer access");
      },
      peer, flags);
}

CUresult cuCtxDisablePeerAccess(CUcontext peer) {
  return call_in_context(
      "cuCtxDisablePeerAccess",
      [&](core::Context&) -> Result<void> {
        if (Result<void> known = check_peer(peer, "cuCtxDisablePeerAccess"); !known)
          return known;
        return util::fail(CUDA_ERROR_PEER_ACCESS_NOT_ENABLED, "cuCtxDisablePeerAccess: it is not enabled");
      },
      peer);
}
