// What is true of our devices and not of NVIDIA's.
#include <cstring>

#include "fixture.hpp"

namespace {

TEST(AmdDevice, uuid_is_the_pci_address_as_radv_writes_it) {
  ASSERT_OK(cuInit(0));
  CUuuid uuid = {};
  ASSERT_OK(cuDeviceGetUuid(&uuid, 0));
  std::uint32_t words[4];
  std::memcpy(words, uuid.bytes, sizeof(words));
  int bus = 0, slot = 0, domain = 0;
  ASSERT_OK(cuDeviceGetAttribute(&domain, CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID, 0));
  ASSERT_OK(cuDeviceGetAttribute(&bus, CU_DEVICE_ATTRIBUTE_PCI_BUS_ID, 0));
  ASSERT_OK(cuDeviceGetAttribute(&slot, CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID, 0));
  EXPECT_EQ(static_cast<std::uint32_t>(domain), words[0]);
  EXPECT_EQ(static_cast<std::uint32_t>(bus), words[1]);
  EXPECT_EQ(static_cast<std::uint32_t>(slot), words[2]);
  EXPECT_EQ(0u, words[3]);
}

TEST(AmdDevice, is_a_radeon_of_compute_capability_6_1) {
  ASSERT_OK(cuInit(0));
  char name[256] = {};
  ASSERT_OK(cuDeviceGetName(name, sizeof(name), 0));
  EXPECT_NE(nullptr, std::strstr(name, "AMD")) << name;
  int major = 0, minor = 0;
  ASSERT_OK(cuDeviceComputeCapability(&major, &minor, 0));
  EXPECT_EQ(6, major);
  EXPECT_EQ(1, minor);
}

TEST(AmdDevice, functions_that_are_missing_say_so) {
  ASSERT_OK(cuInit(0));
  CUgraph graph = nullptr;
  EXPECT_CUDA(CUDA_ERROR_NOT_SUPPORTED, cuGraphCreate(&graph, 0));
  const void* table = nullptr;
  CUuuid id = {};
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuGetExportTable(&table, &id));
}

} // namespace
