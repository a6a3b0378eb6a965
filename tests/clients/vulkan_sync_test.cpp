// RADV: fences, semaphores and queues, within one device.
#include "vulkan_fixture.hpp"

#include "accumulate_spv.h"

#include <chrono>
#include <poll.h>
#include <thread>
#include <unistd.h>

namespace {

using namespace vulkan_client;

constexpr std::uint32_t count = 1024;

VkResult wait_values(const Device& device, std::vector<VkSemaphore> semaphores,
                     std::vector<std::uint64_t> values, std::uint64_t timeout,
                     VkSemaphoreWaitFlags flags = 0) {
  VkSemaphoreWaitInfo info = {VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO};
  info.flags = flags;
  info.semaphoreCount = static_cast<std::uint32_t>(semaphores.size());
  info.pSemaphores = semaphores.data();
  info.pValues = values.data();
  return vkWaitSemaphores(device.get(), &info, timeout);
}

void signal(const Device& device, VkSemaphore semaphore, std::uint64_t value) {
  VkSemaphoreSignalInfo info = {VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO};
  info.semaphore = semaphore;
  info.value = value;
  VK_CHECK(vkSignalSemaphore(device.get(), &info));
}

std::uint64_t value_of(const Device& device, VkSemaphore semaphore) {
  std::uint64_t value = 0;
  VK_CHECK(vkGetSemaphoreCounterValue(device.get(), semaphore, &value));
  return value;
}

// A buffer of numbers and one recorded step: values = values * factor + addend.
class VulkanSync : public QueueTest {
protected:
  void SetUp() override {
    values_ = std::make_unique<Cleared>(device(), count * 4);
    kernel_ = std::make_unique<Kernel>(device(), accumulate_spv, std::vector<Binding>{storage(*values_)},
                                       KernelOptions{.push_bytes = 12});
  }
  VkCommandBuffer step(std::uint32_t factor, std::uint32_t addend) const {
    VkCommandBuffer commands =
        device().begin(VK_COMMAND_BUFFER_LEVEL_PRIMARY, VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT);
    const std::uint32_t push[3] = {factor, addend, count};
    kernel_->bind(commands, push);
    vkCmdDispatch(commands, count / 64, 1, 1);
    barrier(commands);
    device().end(commands);
    return commands;
  }
  void expect_value(std::uint32_t expected) {
    for (std::uint32_t i = 0; i < count; ++i)
      ASSERT_EQ(values_->words()[i], expected) << i;
  }
  std::unique_ptr<Cleared> values_;
  std::unique_ptr<Kernel> kernel_;
};

TEST_P(VulkanSync, fences_are_reset_and_waited_for_in_sets) {
  const VkSemaphore gate = device().semaphore(VK_SEMAPHORE_TYPE_TIMELINE);
  VkFence fences[2] = {device().fence(), device().fence()};
  EXPECT_EQ(vkGetFenceStatus(device().get(), fences[0]), VK_NOT_READY);
  Submission first, second;
  first.commands = step(1, 1);
  first.fence = fences[0];
  submit(device(), first);
  second.commands = step(1, 1);
  second.wait = gate;
  second.wait_value = 1;
  second.fence = fences[1];
  submit(device(), second);
  EXPECT_EQ(vkWaitForFences(device().get(), 2, fences, VK_FALSE, wait_limit), VK_SUCCESS);
  EXPECT_EQ(vkWaitForFences(device().get(), 2, fences, VK_TRUE, 20'000'000), VK_TIMEOUT);
  EXPECT_EQ(vkGetFenceStatus(device().get(), fences[0]), VK_SUCCESS);
  EXPECT_EQ(vkGetFenceStatus(device().get(), fences[1]), VK_NOT_READY);
  signal(device(), gate, 1);
  EXPECT_EQ(vkWaitForFences(device().get(), 2, fences, VK_TRUE, wait_limit), VK_SUCCESS);
  VK_CHECK(vkResetFences(device().get(), 2, fences));
  EXPECT_EQ(vkGetFenceStatus(device().get(), fences[0]), VK_NOT_READY);
  expect_value(2);
  for (const VkFence fence : fences)
    vkDestroyFence(device().get(), fence, nullptr);
  vkDestroySemaphore(device().get(), gate, nullptr);
}

TEST_P(VulkanSync, an_exported_fence_is_a_pollable_file) {
  const VkSemaphore gate = device().semaphore(VK_SEMAPHORE_TYPE_TIMELINE);
  VkExportFenceCreateInfo exported = {VK_STRUCTURE_TYPE_EXPORT_FENCE_CREATE_INFO};
  exported.handleTypes = VK_EXTERNAL_FENCE_HANDLE_TYPE_SYNC_FD_BIT;
  VkFenceCreateInfo info = {VK_STRUCTURE_TYPE_FENCE_CREATE_INFO, &exported};
  VkFence fence = nullptr;
  VK_CHECK(vkCreateFence(device().get(), &info, nullptr, &fence));
  // The wait is for the host: it must be in the kernel before the fence can be exported.
  signal(device(), gate, 1);
  Submission submission;
  submission.commands = step(1, 3);
  submission.wait = gate;
  submission.wait_value = 1;
  submission.fence = fence;
  submit(device(), submission);
  VkFenceGetFdInfoKHR get = {VK_STRUCTURE_TYPE_FENCE_GET_FD_INFO_KHR};
  get.fence = fence;
  get.handleType = VK_EXTERNAL_FENCE_HANDLE_TYPE_SYNC_FD_BIT;
  int fd = -1;
  VK_CHECK(device().function<PFN_vkGetFenceFdKHR>("vkGetFenceFdKHR")(device().get(), &get, &fd));
  if (fd >= 0) { // -1: signalled already
    pollfd poll_fd = {fd, POLLIN, 0};
    EXPECT_EQ(poll(&poll_fd, 1, 60'000), 1);
    EXPECT_TRUE(poll_fd.revents & POLLIN);
    VkImportFenceFdInfoKHR import = {VK_STRUCTURE_TYPE_IMPORT_FENCE_FD_INFO_KHR};
    const VkFence other = device().fence();
    import.fence = other;
    import.flags = VK_FENCE_IMPORT_TEMPORARY_BIT;
    import.handleType = VK_EXTERNAL_FENCE_HANDLE_TYPE_SYNC_FD_BIT;
    import.fd = fd;
    VK_CHECK(device().function<PFN_vkImportFenceFdKHR>("vkImportFenceFdKHR")(device().get(), &import));
    EXPECT_EQ(vkWaitForFences(device().get(), 1, &other, VK_TRUE, wait_limit), VK_SUCCESS);
    vkDestroyFence(device().get(), other, nullptr);
  }
  VK_CHECK(vkQueueWaitIdle(device().queue()));
  expect_value(3);
  vkDestroyFence(device().get(), fence, nullptr);
  vkDestroySemaphore(device().get(), gate, nullptr);
}

TEST_P(VulkanSync, timelines_are_waited_for_in_sets) {
  const VkSemaphore a = device().semaphore(VK_SEMAPHORE_TYPE_TIMELINE, 10);
  const VkSemaphore b = device().semaphore(VK_SEMAPHORE_TYPE_TIMELINE, 20);
  EXPECT_EQ(value_of(device(), a), 10u);
  EXPECT_EQ(wait_values(device(), {a, b}, {10, 20}, 0), VK_SUCCESS);
  EXPECT_EQ(wait_values(device(), {a, b}, {11, 21}, 10'000'000, VK_SEMAPHORE_WAIT_ANY_BIT), VK_TIMEOUT);
  std::thread signaller([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    signal(device(), b, 25);
  });
  EXPECT_EQ(wait_values(device(), {a, b}, {11, 21}, wait_limit, VK_SEMAPHORE_WAIT_ANY_BIT), VK_SUCCESS);
  signaller.join();
  EXPECT_EQ(wait_values(device(), {a, b}, {11, 21}, 0), VK_TIMEOUT);
  EXPECT_EQ(value_of(device(), a), 10u);
  EXPECT_EQ(value_of(device(), b), 25u);
  signal(device(), a, 11);
  EXPECT_EQ(wait_values(device(), {a, b}, {11, 21}, 0), VK_SUCCESS);
  vkDestroySemaphore(device().get(), a, nullptr);
  vkDestroySemaphore(device().get(), b, nullptr);
}

// Submitted backwards: each waits for a value that only the next submission, on another queue, will signal.
TEST_P(VulkanSync, waits_may_be_submitted_before_their_signals) {
  const VkSemaphore timeline = device().semaphore(VK_SEMAPHORE_TYPE_TIMELINE);
  const std::uint32_t queues = device().queue_count();
  std::uint32_t expected = 0;
  for (std::uint32_t i = 0; i < queues; ++i)
    expected = expected * 3 + i + 1;
  for (std::uint32_t i = queues; i-- > 0;) {
    Submission submission;
    submission.commands = step(3, i + 1);
    submission.wait = submission.signal = timeline;
    submission.wait_value = i + 1;
    submission.signal_value = i + 2;
    submit(device(), submission, device().queue(i));
  }
  EXPECT_EQ(wait_values(device(), {timeline}, {2}, 20'000'000), VK_TIMEOUT);
  expect_value(0);
  signal(device(), timeline, 1);
  EXPECT_EQ(wait_values(device(), {timeline}, {queues + 1}, wait_limit), VK_SUCCESS);
  expect_value(expected);
  VK_CHECK(vkDeviceWaitIdle(device().get()));
  vkDestroySemaphore(device().get(), timeline, nullptr);
}

TEST_P(VulkanSync, binary_semaphores_chain_through_all_queues) {
  const std::uint32_t queues = device().queue_count(), rounds = 12;
  std::vector<VkSemaphore> links;
  std::uint32_t expected = 0;
  Submission submission;
  for (std::uint32_t i = 0; i < rounds; ++i) {
    links.push_back(device().semaphore(VK_SEMAPHORE_TYPE_BINARY));
    submission.commands = step(5, i);
    submission.wait = i ? links[i - 1] : nullptr;
    submission.signal = links[i];
    submit(device(), submission, device().queue(i % queues));
    expected = expected * 5 + i;
  }
  submission = {};
  submission.wait = links.back();
  submission.fence = device().fence();
  submit(device(), submission);
  ASSERT_EQ(vkWaitForFences(device().get(), 1, &submission.fence, VK_TRUE, wait_limit), VK_SUCCESS);
  expect_value(expected);
  vkDestroyFence(device().get(), submission.fence, nullptr);
  for (const VkSemaphore link : links)
    vkDestroySemaphore(device().get(), link, nullptr);
}

// vkQueueSubmit2, with a wait of each kind and a signal of each kind in one submission.
TEST_P(VulkanSync, one_submission_waits_for_and_signals_several_semaphores) {
  const VkSemaphore binary_in = device().semaphore(VK_SEMAPHORE_TYPE_BINARY);
  const VkSemaphore binary_out = device().semaphore(VK_SEMAPHORE_TYPE_BINARY);
  const VkSemaphore timeline = device().semaphore(VK_SEMAPHORE_TYPE_TIMELINE);
  Submission first, last;
  first.commands = step(1, 4);
  first.signal = binary_in;
  submit(device(), first);
  const auto semaphore = [](VkSemaphore handle, std::uint64_t value) {
    VkSemaphoreSubmitInfo info = {VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO};
    info.semaphore = handle;
    info.value = value;
    info.stageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT;
    return info;
  };
  const VkSemaphoreSubmitInfo waits[] = {semaphore(binary_in, 0), semaphore(timeline, 1)};
  const VkSemaphoreSubmitInfo signals[] = {semaphore(timeline, 2), semaphore(binary_out, 0)};
  VkCommandBufferSubmitInfo commands[2] = {{VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO},
                                           {VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO}};
  commands[0].commandBuffer = step(10, 1);
  commands[1].commandBuffer = step(10, 2);
  VkSubmitInfo2 info = {VK_STRUCTURE_TYPE_SUBMIT_INFO_2};
  info.waitSemaphoreInfoCount = info.signalSemaphoreInfoCount = info.commandBufferInfoCount = 2;
  info.pWaitSemaphoreInfos = waits;
  info.pSignalSemaphoreInfos = signals;
  info.pCommandBufferInfos = commands;
  VK_CHECK(vkQueueSubmit2(device().queue(), 1, &info, nullptr));
  EXPECT_EQ(wait_values(device(), {timeline}, {2}, 10'000'000), VK_TIMEOUT);
  signal(device(), timeline, 1);
  last.commands = step(10, 3);
  last.wait = binary_out;
  last.fence = device().fence();
  submit(device(), last);
  ASSERT_EQ(vkWaitForFences(device().get(), 1, &last.fence, VK_TRUE, wait_limit), VK_SUCCESS);
  EXPECT_EQ(value_of(device(), timeline), 2u);
  expect_value(4123);
  vkDestroyFence(device().get(), last.fence, nullptr);
  for (const VkSemaphore handle : {binary_in, binary_out, timeline})
    vkDestroySemaphore(device().get(), handle, nullptr);
}

INSTANTIATE_TEST_SUITE_P(queues, VulkanSync, shader_queues, queue_name);

} // namespace
