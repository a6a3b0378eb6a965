// Tests on one queue family each: graphics, compute, transfer where the driver has one.
#pragma once

#include "vulkan_client.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>

namespace vulkan_client {

inline constexpr std::uint64_t wait_limit = 60'000'000'000; // of anything that must happen

// Devices live for the whole program: to make one takes longer than most tests.
class Devices : public ::testing::Environment {
public:
  static const Device& of(VkQueueFlags kind) {
    std::unique_ptr<Device>& device = all()[kind];
    if (!device)
      device = std::make_unique<Device>(kind);
    return *device;
  }
  void TearDown() override { all().clear(); }

private:
  static std::map<VkQueueFlags, std::unique_ptr<Device>>& all() {
    static std::map<VkQueueFlags, std::unique_ptr<Device>> devices;
    return devices;
  }
};

class QueueTest : public ::testing::TestWithParam<VkQueueFlags> {
protected:
  void SetUp() override {
    if (!device().has_family())
      GTEST_SKIP() << "the driver has no such queue family";
  }
  static const Device& device() { return Devices::of(GetParam()); }

  // Records, submits, waits.
  static void run(const std::function<void(VkCommandBuffer)>& record) {
    VkCommandBuffer commands = device().begin();
    record(commands);
    barrier(commands);
    device().end(commands);
    run(commands);
    vkFreeCommandBuffers(device().get(), device().pool(), 1, &commands);
  }
  static void run(VkCommandBuffer commands) {
    Submission submission;
    submission.commands = commands;
    submission.fence = device().fence();
    submit(device(), submission);
    ASSERT_EQ(vkWaitForFences(device().get(), 1, &submission.fence, VK_TRUE, wait_limit), VK_SUCCESS);
    vkDestroyFence(device().get(), submission.fence, nullptr);
  }
  static void run(const Kernel& kernel, std::uint32_t groups, const void* push = nullptr) {
    run([&](VkCommandBuffer commands) {
      kernel.bind(commands, push);
      vkCmdDispatch(commands, groups, 1, 1);
    });
  }
};

inline std::string queue_name(const ::testing::TestParamInfo<VkQueueFlags>& info) {
  return info.param == Device::graphics ? "graphics" : info.param == Device::compute ? "compute" : "transfer";
}

// Host-visible memory whose bytes are all `value`.
class Cleared : public Buffer {
public:
  Cleared(const Device& device, VkDeviceSize bytes, int value = 0) : Buffer(device, bytes, Memory::host) {
    std::memset(as<char>(), value, bytes);
  }
};

// Host-visible memory with a copy of `values`.
template <class T>
class Filled : public Buffer {
public:
  Filled(const Device& device, const std::vector<T>& values)
      : Buffer(device, values.size() * sizeof(T), Memory::host) {
    std::memcpy(as<T>(), values.data(), values.size() * sizeof(T));
  }
};

inline const auto shader_queues = ::testing::Values(Device::graphics, Device::compute);
inline const auto all_queues = ::testing::Values(Device::graphics, Device::compute, Device::transfer);

} // namespace vulkan_client
