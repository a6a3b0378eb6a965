#include <cstdio>
#include <cstring>
#include <string>

#include "fixture.hpp"

namespace {

class Device : public testing::Test {
protected:
  void SetUp() override { ASSERT_OK(cuInit(0)); }
  int attribute(CUdevice_attribute which) {
    int value = -1;
    EXPECT_OK(cuDeviceGetAttribute(&value, which, 0));
    return value;
  }
};

TEST_F(Device, ordinals_beyond_the_count_are_refused) {
  int count = 0;
  CUdevice device = 0;
  ASSERT_OK(cuDeviceGetCount(&count));
  EXPECT_OK(cuDeviceGet(&device, count - 1));
  EXPECT_CUDA(CUDA_ERROR_INVALID_DEVICE, cuDeviceGet(&device, count));
  EXPECT_CUDA(CUDA_ERROR_INVALID_DEVICE, cuDeviceGet(&device, -1));
  int value = 0;
  EXPECT_CUDA(CUDA_ERROR_INVALID_DEVICE, cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_WARP_SIZE, count));
}

TEST_F(Device, null_results_are_refused) {
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuDeviceGetCount(nullptr));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuDeviceGet(nullptr, 0));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuDeviceGetName(nullptr, 16, 0));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuDeviceTotalMem(nullptr, 0));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuDeviceGetUuid(nullptr, 0));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuDeviceGetAttribute(nullptr, CU_DEVICE_ATTRIBUTE_WARP_SIZE, 0));
}

TEST_F(Device, name_is_cut_to_the_buffer) {
  char whole[256] = {}, cut[6] = "?????";
  ASSERT_OK(cuDeviceGetName(whole, sizeof(whole), 0));
  EXPECT_GT(std::strlen(whole), 5u);
  EXPECT_OK(cuDeviceGetName(cut, sizeof(cut), 0));
  EXPECT_EQ(std::string(whole, 5), cut);
}

TEST_F(Device, every_attribute_of_10_1_has_an_answer) {
  for (int which = 1; which < CU_DEVICE_ATTRIBUTE_MAX; ++which) {
    int value = -1;
    EXPECT_OK(cuDeviceGetAttribute(&value, static_cast<CUdevice_attribute>(which), 0)) << which;
    EXPECT_GE(value, 0) << which;
  }
  int value = 0;
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuDeviceGetAttribute(&value, static_cast<CUdevice_attribute>(0), 0));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE,
              cuDeviceGetAttribute(&value, static_cast<CUdevice_attribute>(9999), 0));
}

TEST_F(Device, attributes_agree_with_the_older_functions) {
  int major = 0, minor = 0;
  ASSERT_OK(cuDeviceComputeCapability(&major, &minor, 0));
  EXPECT_EQ(attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR), major);
  EXPECT_EQ(attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR), minor);
  CUdevprop properties = {};
  ASSERT_OK(cuDeviceGetProperties(&properties, 0));
  EXPECT_EQ(attribute(CU_DEVICE_ATTRIBUTE_WARP_SIZE), properties.SIMDWidth);
  EXPECT_EQ(attribute(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y), properties.maxThreadsDim[1]);
  EXPECT_EQ(attribute(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z), properties.maxGridSize[2]);
}

TEST_F(Device, limits_are_what_cuda_promises_at_least) {
  EXPECT_GE(attribute(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK), 1024);
  EXPECT_EQ(32, attribute(CU_DEVICE_ATTRIBUTE_WARP_SIZE));
  EXPECT_GE(attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK), 48 * 1024);
  EXPECT_GE(attribute(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y), 65535);
  EXPECT_EQ(1, attribute(CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING));
  EXPECT_GT(attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT), 0);
  EXPECT_GT(attribute(CU_DEVICE_ATTRIBUTE_CLOCK_RATE), 0);
}

TEST_F(Device, pci_address_finds_the_device_again) {
  char text[32] = {};
  ASSERT_OK(cuDeviceGetPCIBusId(text, sizeof(text), 0));
  unsigned domain = 0, bus = 0, slot = 0, function = 9;
  ASSERT_EQ(4, std::sscanf(text, "%x:%x:%x.%x", &domain, &bus, &slot, &function)) << text;
  EXPECT_EQ(attribute(CU_DEVICE_ATTRIBUTE_PCI_BUS_ID), static_cast<int>(bus));
  EXPECT_EQ(attribute(CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID), static_cast<int>(slot));
  EXPECT_EQ(attribute(CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID), static_cast<int>(domain));
  CUdevice found = -1;
  EXPECT_OK(cuDeviceGetByPCIBusId(&found, text));
  EXPECT_EQ(0, found);
  const auto form = [&](const char* format, auto... parts) {
    char other[32];
    std::snprintf(other, sizeof(other), format, parts...);
    found = -1;
    EXPECT_OK(cuDeviceGetByPCIBusId(&found, other)) << other;
    EXPECT_EQ(0, found) << other;
  };
  form("%x:%x:%x.%x", domain, bus, slot, function);
  form("%04X:%02X:%02X", domain, bus, slot);
  if (domain == 0)
    form("%02x:%02x.%x", bus, slot, function);
  EXPECT_NE(CUDA_SUCCESS, cuDeviceGetByPCIBusId(&found, "00ff:ff:1f.7"));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuDeviceGetByPCIBusId(&found, "nonsense"));
}

TEST_F(Device, is_no_peer_of_itself) {
  int can = 1;
  EXPECT_OK(cuDeviceCanAccessPeer(&can, 0, 0));
  EXPECT_EQ(0, can);
}

} // namespace
