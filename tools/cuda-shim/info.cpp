#include "info.hpp"

#include <string>
#include <vector>

#include <cuda.h>
#include <fmt/format.h>

namespace tool {

namespace {

struct Row {
  const char* label;
  std::string (*text)(CUdevice);
};

int attribute(CUdevice device, CUdevice_attribute which) {
  int value = 0;
  cuDeviceGetAttribute(&value, which, device);
  return value;
}

template <CUdevice_attribute which>
std::string plain(CUdevice device) {
  return std::to_string(attribute(device, which));
}

template <CUdevice_attribute which>
std::string kibibytes(CUdevice device) {
  return fmt::format("{} KiB", attribute(device, which) / 1024);
}

template <CUdevice_attribute which>
std::string megahertz(CUdevice device) {
  return fmt::format("{} MHz", attribute(device, which) / 1000);
}

std::string name(CUdevice device) {
  char text[256] = {};
  cuDeviceGetName(text, sizeof text, device);
  return text;
}

std::string uuid(CUdevice device) {
  CUuuid id = {};
  cuDeviceGetUuid(&id, device);
  std::string text = "GPU-"; // as CUDA_VISIBLE_DEVICES takes it
  for (int i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10)
      text += '-';
    text += fmt::format("{:02x}", static_cast<unsigned char>(id.bytes[i]));
  }
  return text;
}

std::string pci_bus_id(CUdevice device) {
  char text[32] = {};
  cuDeviceGetPCIBusId(text, sizeof text, device);
  return text;
}

std::string compute_capability(CUdevice device) {
  return fmt::format("{}.{}", attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR),
                     attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR));
}

std::string memory(CUdevice device) {
  std::size_t bytes = 0;
  cuDeviceTotalMem(&bytes, device);
  return fmt::format("{} MiB", bytes >> 20);
}

constexpr Row rows[] = {
    {"Name", name},
    {"UUID", uuid},
    {"PCI bus id", pci_bus_id},
    {"Compute capability", compute_capability},
    {"Memory", memory},
    {"Memory bus",
     [](CUdevice d) {
       return fmt::format("{} bits", attribute(d, CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH));
     }},
    {"Memory clock", megahertz<CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE>},
    {"GPU clock", megahertz<CU_DEVICE_ATTRIBUTE_CLOCK_RATE>},
    {"L2 cache", kibibytes<CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE>},
    {"Multiprocessors", plain<CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT>},
    {"Threads per multiprocessor", plain<CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR>},
    {"Threads per block", plain<CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK>},
    {"Shared memory per block", kibibytes<CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK>},
    {"Warp size", plain<CU_DEVICE_ATTRIBUTE_WARP_SIZE>},
};

} // namespace

int print_devices() {
  if (const CUresult result = cuInit(0); result != CUDA_SUCCESS) {
    const char* text = nullptr;
    cuGetErrorString(result, &text);
    fmt::print(stderr, "cuda-shim: no device: {}\n", text ? text : "unknown error");
    return 1;
  }
  int version = 0, count = 0;
  cuDriverGetVersion(&version);
  cuDeviceGetCount(&count);
  fmt::print("CUDA driver API {}.{}, {} device{}\n", version / 1000, version % 1000 / 10, count,
             count == 1 ? "" : "s");
  for (int i = 0; i < count; ++i) {
    CUdevice device = 0;
    cuDeviceGet(&device, i);
    fmt::print("\nDevice {}\n", i);
    for (const Row& row : rows)
      fmt::print("  {:<28}{}\n", row.label, row.text(device));
  }
  return 0;
}

} // namespace tool
