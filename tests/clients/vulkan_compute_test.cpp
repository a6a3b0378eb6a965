// Debian's RADV, unmodified, computing on the emulated card: buffers, shaders, semaphores, and both shared
// between devices and processes.
#include "vulkan_client.hpp"
#include "vulkan_process.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <thread>

namespace {

using namespace vulkan_client;

constexpr std::uint64_t wait_limit = 60'000'000'000; // of anything that must happen
constexpr std::uint32_t count = 4096;
constexpr VkDeviceSize bytes = count * sizeof(std::uint32_t);

void wait_for(const Device& device, VkFence fence) {
  ASSERT_EQ(vkWaitForFences(device.get(), 1, &fence, VK_TRUE, wait_limit), VK_SUCCESS);
  vkDestroyFence(device.get(), fence, nullptr);
}

void run(const Device& device, VkCommandBuffer commands) {
  Submission submission;
  submission.commands = commands;
  submission.fence = device.fence();
  submit(device, submission);
  wait_for(device, submission.fence);
}

VkResult wait_value(const Device& device, VkSemaphore semaphore, std::uint64_t value, std::uint64_t timeout) {
  VkSemaphoreWaitInfo info = {VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO};
  info.semaphoreCount = 1;
  info.pSemaphores = &semaphore;
  info.pValues = &value;
  return vkWaitSemaphores(device.get(), &info, timeout);
}

void signal_value(const Device& device, VkSemaphore semaphore, std::uint64_t value) {
  VkSemaphoreSignalInfo info = {VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO};
  info.semaphore = semaphore;
  info.value = value;
  VK_CHECK(vkSignalSemaphore(device.get(), &info));
}

class VulkanTest : public ::testing::TestWithParam<VkQueueFlags> {};

TEST_P(VulkanTest, fill_and_copy) {
  Device device(GetParam());
  Buffer a(device, bytes, Buffer::Memory::device), b(device, bytes, Buffer::Memory::host);
  std::memset(b.words(), 0, bytes);
  VkCommandBuffer commands = device.begin();
  vkCmdFillBuffer(commands, a.get(), 0, VK_WHOLE_SIZE, 0x12345678);
  barrier(commands);
  const VkBufferCopy region = {0, 0, bytes};
  vkCmdCopyBuffer(commands, a.get(), b.get(), 1, &region);
  barrier(commands);
  device.end(commands);
  run(device, commands);
  for (std::uint32_t i = 0; i < count; ++i)
    ASSERT_EQ(b.words()[i], 0x12345678u) << i;
}

TEST_P(VulkanTest, update_copies_inline_data) {
  Device device(GetParam());
  Buffer b(device, bytes, Buffer::Memory::host);
  std::memset(b.words(), 0, bytes);
  const std::uint32_t data[4] = {1, 22, 333, 4444};
  VkCommandBuffer commands = device.begin();
  vkCmdUpdateBuffer(commands, b.get(), 64, sizeof data, data);
  barrier(commands);
  device.end(commands);
  run(device, commands);
  EXPECT_EQ(std::memcmp(b.words() + 16, data, sizeof data), 0);
  EXPECT_EQ(b.words()[15], 0u);
  EXPECT_EQ(b.words()[20], 0u);
}

TEST_P(VulkanTest, shader_computes_from_one_buffer_into_another) {
  Device device(GetParam());
  Buffer in(device, bytes, Buffer::Memory::host), out(device, bytes, Buffer::Memory::host);
  for (std::uint32_t i = 0; i < count; ++i)
    in.words()[i] = i ^ 0x5a5a;
  std::memset(out.words(), 0xff, bytes);
  const ScaleKernel kernel(device, in, out);
  VkCommandBuffer commands = device.begin();
  kernel.record(commands, 3, count - 5);
  barrier(commands);
  device.end(commands);
  run(device, commands);
  for (std::uint32_t i = 0; i < count - 5; ++i)
    ASSERT_EQ(out.words()[i], (i ^ 0x5a5a) * 3 + i) << i;
  for (std::uint32_t i = count - 5; i < count; ++i)
    ASSERT_EQ(out.words()[i], 0xffffffffu) << "beyond the count: " << i;
}

INSTANTIATE_TEST_SUITE_P(
    queues, VulkanTest, ::testing::Values(VK_QUEUE_COMPUTE_BIT | VK_QUEUE_GRAPHICS_BIT, VK_QUEUE_COMPUTE_BIT),
    [](const auto& which) { return which.param & VK_QUEUE_GRAPHICS_BIT ? "graphics" : "compute"; });

TEST(VulkanSemaphores, binary_orders_two_submissions) {
  Device device;
  Buffer a(device, bytes, Buffer::Memory::host), b(device, bytes, Buffer::Memory::host);
  const VkSemaphore semaphore = device.semaphore(VK_SEMAPHORE_TYPE_BINARY);
  for (std::uint32_t round = 1; round <= 10; ++round) {
    VkCommandBuffer fill = device.begin();
    vkCmdFillBuffer(fill, a.get(), 0, VK_WHOLE_SIZE, round);
    barrier(fill);
    device.end(fill);
    VkCommandBuffer copy = device.begin();
    const VkBufferCopy region = {0, 0, bytes};
    vkCmdCopyBuffer(copy, a.get(), b.get(), 1, &region);
    barrier(copy);
    device.end(copy);
    Submission first, second;
    first.commands = fill;
    first.signal = semaphore;
    second.commands = copy;
    second.wait = semaphore;
    second.fence = device.fence();
    submit(device, first);
    submit(device, second);
    wait_for(device, second.fence);
    ASSERT_EQ(b.words()[count - 1], round);
  }
  vkDestroySemaphore(device.get(), semaphore, nullptr);
}

TEST(VulkanSemaphores, timeline_waits_for_the_host_and_tells_the_host) {
  Device device;
  Buffer a(device, bytes, Buffer::Memory::host);
  std::memset(a.words(), 0, bytes);
  const VkSemaphore semaphore = device.semaphore(VK_SEMAPHORE_TYPE_TIMELINE, 3);
  VkCommandBuffer commands = device.begin();
  vkCmdFillBuffer(commands, a.get(), 0, VK_WHOLE_SIZE, 9);
  barrier(commands);
  device.end(commands);
  Submission submission;
  submission.commands = commands;
  submission.wait = submission.signal = semaphore;
  submission.wait_value = 5;
  submission.signal_value = 7;
  submit(device, submission); // before 5 was submitted by anybody
  EXPECT_EQ(wait_value(device, semaphore, 7, 50'000'000), VK_TIMEOUT);
  EXPECT_EQ(a.words()[0], 0u);
  signal_value(device, semaphore, 5);
  EXPECT_EQ(wait_value(device, semaphore, 7, wait_limit), VK_SUCCESS);
  EXPECT_EQ(a.words()[0], 9u);
  std::uint64_t value = 0;
  VK_CHECK(vkGetSemaphoreCounterValue(device.get(), semaphore, &value));
  EXPECT_EQ(value, 7u);
  vkDestroySemaphore(device.get(), semaphore, nullptr);
}

TEST(VulkanSharing, memory_and_binary_semaphore_between_two_devices) {
  Device producer, consumer(VK_QUEUE_COMPUTE_BIT);
  Buffer exported(producer, bytes, Buffer::Memory::exported);
  Buffer imported(consumer, bytes, Buffer::Memory::imported, producer.export_memory(exported.memory()));
  Buffer result(consumer, bytes, Buffer::Memory::host);
  const VkSemaphore signal = producer.semaphore(VK_SEMAPHORE_TYPE_BINARY, 0, true);
  const VkSemaphore wait = consumer.semaphore(VK_SEMAPHORE_TYPE_BINARY);
  consumer.import_semaphore(wait, producer.export_semaphore(signal));

  VkCommandBuffer fill = producer.begin();
  vkCmdFillBuffer(fill, exported.get(), 0, VK_WHOLE_SIZE, 1000);
  barrier(fill);
  producer.end(fill);
  const ScaleKernel kernel(consumer, imported, result);
  VkCommandBuffer compute = consumer.begin();
  kernel.record(compute, 2, count);
  barrier(compute);
  consumer.end(compute);

  Submission first, second;
  first.commands = fill;
  first.signal = signal;
  submit(producer, first);
  second.commands = compute;
  second.wait = wait;
  second.fence = consumer.fence();
  submit(consumer, second);
  wait_for(consumer, second.fence);
  for (std::uint32_t i = 0; i < count; ++i)
    ASSERT_EQ(result.words()[i], 2000 + i);
  vkDestroySemaphore(producer.get(), signal, nullptr);
  vkDestroySemaphore(consumer.get(), wait, nullptr);
}

std::size_t entries_of(const char* directory) {
  std::size_t entries = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(directory))
    ++entries;
  return entries;
}

TEST(VulkanSharing, sharing_over_and_over_leaks_no_descriptor_and_no_thread) {
  Device producer, consumer;
  std::size_t descriptors = 0, threads = 0;
  for (int round = 0; round < 150; ++round) {
    Buffer exported(producer, bytes, Buffer::Memory::exported);
    Buffer imported(consumer, bytes, Buffer::Memory::imported, producer.export_memory(exported.memory()));
    const VkSemaphoreType type = round % 2 ? VK_SEMAPHORE_TYPE_TIMELINE : VK_SEMAPHORE_TYPE_BINARY;
    const VkSemaphore signal = producer.semaphore(type, 0, true), wait = consumer.semaphore(type);
    consumer.import_semaphore(wait, producer.export_semaphore(signal));
    VkCommandBuffer fill = producer.begin();
    vkCmdFillBuffer(fill, exported.get(), 0, VK_WHOLE_SIZE, 1);
    producer.end(fill);
    Submission first, second;
    first.commands = fill;
    first.signal = signal;
    first.signal_value = 1;
    submit(producer, first);
    second.wait = wait;
    second.wait_value = 1;
    second.fence = consumer.fence();
    submit(consumer, second);
    wait_for(consumer, second.fence);
    VK_CHECK(vkDeviceWaitIdle(producer.get()));
    vkDestroySemaphore(producer.get(), signal, nullptr);
    vkDestroySemaphore(consumer.get(), wait, nullptr);
    vkFreeCommandBuffers(producer.get(), producer.pool(), 1, &fill);
    if (round == 20) {
      descriptors = entries_of("/proc/self/fd");
      threads = entries_of("/proc/self/task");
    }
  }
  // Buffers of jobs that have ended go a little later, when the engines come to it.
  for (int i = 0; i < 5000 && entries_of("/proc/self/fd") > descriptors + 2; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_LE(entries_of("/proc/self/fd"), descriptors + 2);
  EXPECT_LE(entries_of("/proc/self/task"), threads + 1);
}

constexpr std::uint32_t rounds = 20;

// Waits for 2r + 1, doubles the buffer, signals 2r + 2.
int child_main(int socket) {
  Peer parent(socket);
  const std::vector<int> fds = parent.receive();
  {
    Device device;
    Buffer shared(device, bytes, Buffer::Memory::imported, fds[0]);
    const VkSemaphore semaphore = device.semaphore(VK_SEMAPHORE_TYPE_TIMELINE);
    device.import_semaphore(semaphore, fds[1]);
    const ScaleKernel kernel(device, shared, shared);
    VkCommandBuffer commands[rounds];
    for (std::uint32_t round = 0; round < rounds; ++round) {
      commands[round] = device.begin();
      kernel.record(commands[round], 2, count);
      barrier(commands[round]);
      device.end(commands[round]);
      Submission submission;
      submission.commands = commands[round];
      submission.wait = submission.signal = semaphore;
      submission.wait_value = 2 * round + 1;
      submission.signal_value = 2 * round + 2;
      submit(device, submission);
    }
    if (wait_value(device, semaphore, 2 * rounds, wait_limit) != VK_SUCCESS)
      return 1;
    vkDestroySemaphore(device.get(), semaphore, nullptr);
  }
  return 0;
}

TEST(VulkanSharing, memory_and_timeline_semaphore_between_two_processes) {
  Peer child("timeline");
  {
    Device device;
    Buffer shared(device, bytes, Buffer::Memory::exported), check(device, bytes, Buffer::Memory::host);
    const VkSemaphore semaphore = device.semaphore(VK_SEMAPHORE_TYPE_TIMELINE, 0, true);
    child.send({device.export_memory(shared.memory()), device.export_semaphore(semaphore)});
    for (std::uint32_t round = 0; round < rounds; ++round) {
      VkCommandBuffer fill = device.begin();
      vkCmdFillBuffer(fill, shared.get(), 0, VK_WHOLE_SIZE, round + 10);
      barrier(fill);
      device.end(fill);
      Submission submission;
      submission.commands = fill;
      submission.signal = semaphore;
      submission.signal_value = 2 * round + 1;
      submit(device, submission);
      VkCommandBuffer copy = device.begin();
      const VkBufferCopy region = {0, 0, bytes};
      vkCmdCopyBuffer(copy, shared.get(), check.get(), 1, &region);
      barrier(copy);
      device.end(copy);
      submission = {};
      submission.commands = copy;
      submission.wait = semaphore;
      submission.wait_value = 2 * round + 2;
      submission.fence = device.fence();
      submit(device, submission);
      wait_for(device, submission.fence);
      for (std::uint32_t i = 0; i < count; ++i)
        ASSERT_EQ(check.words()[i], (round + 10) * 2 + i) << "round " << round;
    }
    vkDestroySemaphore(device.get(), semaphore, nullptr);
  }
  EXPECT_EQ(child.end(), 0);
}

} // namespace

int main(int argc, char** argv) {
  if (argc == 4 && std::strcmp(argv[1], "--child") == 0)
    return child_main(std::atoi(argv[2]));
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
