#include "vulkan_fixture.hpp"

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  ::testing::AddGlobalTestEnvironment(new vulkan_client::Devices);
  return RUN_ALL_TESTS();
}
