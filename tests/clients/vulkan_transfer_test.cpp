// RADV: copies, fills and updates of buffers, on every kind of queue, against memcpy.
#include "vulkan_fixture.hpp"

#include <random>

namespace {

using namespace vulkan_client;

class VulkanTransfer : public QueueTest {
protected:
  static std::vector<unsigned char> noise(std::size_t bytes, unsigned seed) {
    std::vector<unsigned char> result(bytes);
    std::mt19937 random(seed);
    for (unsigned char& byte : result)
      byte = static_cast<unsigned char>(random());
    return result;
  }
};

// Every small size and the borders of larger ones, between all kinds of unaligned addresses, in one command.
TEST_P(VulkanTransfer, copies_of_all_sizes_and_alignments) {
  std::vector<VkBufferCopy> regions;
  VkDeviceSize source_end = 0, target_end = 0;
  const auto add = [&](VkDeviceSize size, VkDeviceSize source_shift, VkDeviceSize target_shift) {
    source_end = (source_end + 15) / 16 * 16 + source_shift;
    target_end = (target_end + 15) / 16 * 16 + target_shift + 16; // a gap, to see what it overwrites
    regions.push_back({source_end, target_end, size});
    source_end += size;
    target_end += size;
  };
  for (VkDeviceSize size = 1; size <= 70; ++size)
    add(size, size * 5 % 7, size * 3 % 11);
  for (const VkDeviceSize size : {127, 128, 255, 256, 257, 1023, 1024, 4095, 4096, 4097, 65535, 65536, 70001})
    for (const VkDeviceSize shift : {0, 1, 2, 3, 4, 7})
      add(size, shift, (shift * 3 + size) % 5);
  const std::vector<unsigned char> data = noise(source_end, 1);
  std::vector<unsigned char> expected = noise(target_end + 64, 2);
  const Filled source(device(), data);
  Filled target(device(), expected);
  run([&](VkCommandBuffer commands) {
    vkCmdCopyBuffer(commands, source.get(), target.get(), static_cast<std::uint32_t>(regions.size()),
                    regions.data());
  });
  for (const VkBufferCopy& region : regions)
    std::memcpy(expected.data() + region.dstOffset, data.data() + region.srcOffset, region.size);
  const auto* seen = target.as<unsigned char>();
  for (std::size_t i = 0; i < expected.size(); ++i)
    ASSERT_EQ(seen[i], expected[i]) << i;
}

TEST_P(VulkanTransfer, large_copies_pass_through_device_memory) {
  constexpr VkDeviceSize size = (24 << 20) + 12;
  std::vector<std::uint32_t> data(size / 4);
  for (std::uint32_t i = 0; i < data.size(); ++i)
    data[i] = i * 2654435761u;
  const Filled source(device(), data);
  const Buffer first(device(), size, Buffer::Memory::device), second(device(), size, Buffer::Memory::device);
  Cleared back(device(), size);
  const VkBufferCopy whole = {0, 0, size};
  run([&](VkCommandBuffer commands) {
    vkCmdCopyBuffer(commands, source.get(), first.get(), 1, &whole);
    barrier(commands);
    vkCmdCopyBuffer(commands, first.get(), second.get(), 1, &whole);
    barrier(commands);
    vkCmdCopyBuffer(commands, second.get(), back.get(), 1, &whole);
  });
  EXPECT_EQ(std::memcmp(back.words(), data.data(), size), 0);
}

TEST_P(VulkanTransfer, copies_within_one_buffer) {
  constexpr VkDeviceSize half = 5000;
  std::vector<unsigned char> expected = noise(2 * half, 3);
  Filled buffer(device(), expected);
  const VkBufferCopy region = {3, half + 1, half - 4};
  run([&](VkCommandBuffer commands) { vkCmdCopyBuffer(commands, buffer.get(), buffer.get(), 1, &region); });
  std::memcpy(expected.data() + half + 1, expected.data() + 3, half - 4);
  EXPECT_EQ(std::memcmp(buffer.as<char>(), expected.data(), 2 * half), 0);
}

TEST_P(VulkanTransfer, fills_of_many_sizes) {
  constexpr VkDeviceSize size = 3 << 20;
  std::vector<std::uint32_t> expected(size / 4, 0x11111111);
  Filled buffer(device(), expected);
  struct Fill {
    VkDeviceSize offset, size;
    std::uint32_t value;
  };
  std::vector<Fill> fills;
  VkDeviceSize at = 4;
  for (const VkDeviceSize bytes : {4, 8, 12, 16, 60, 64, 68, 1020, 4096, 4100, 65532, 1048580}) {
    fills.push_back({at, bytes, static_cast<std::uint32_t>(bytes * 77777)});
    at += bytes + 4;
  }
  run([&](VkCommandBuffer commands) {
    for (const Fill& fill : fills)
      vkCmdFillBuffer(commands, buffer.get(), fill.offset, fill.size, fill.value);
  });
  for (const Fill& fill : fills)
    std::fill_n(expected.begin() + static_cast<std::ptrdiff_t>(fill.offset / 4), fill.size / 4, fill.value);
  EXPECT_EQ(std::memcmp(buffer.words(), expected.data(), size), 0);
}

TEST_P(VulkanTransfer, whole_fills_end_at_the_last_whole_word) {
  Cleared buffer(device(), 4099, 0x77);
  run([&](VkCommandBuffer commands) {
    vkCmdFillBuffer(commands, buffer.get(), 8, VK_WHOLE_SIZE, 0x01020304);
  });
  const auto* bytes = buffer.as<unsigned char>();
  for (std::size_t i = 0; i < 4099; ++i)
    ASSERT_EQ(bytes[i], i < 8 || i >= 4096 ? 0x77 : 4 - i % 4) << i;
}

TEST_P(VulkanTransfer, updates_of_many_sizes) {
  constexpr VkDeviceSize size = 1 << 20;
  std::vector<unsigned char> expected = noise(size, 4);
  Filled buffer(device(), expected);
  std::vector<std::vector<unsigned char>> data;
  std::vector<VkDeviceSize> offsets;
  VkDeviceSize at = 4;
  for (const VkDeviceSize bytes : {4, 8, 16, 60, 64, 1024, 1028, 2048, 4096, 4100, 65536}) {
    data.push_back(noise(bytes, static_cast<unsigned>(bytes)));
    offsets.push_back(at);
    at += bytes + 4;
  }
  run([&](VkCommandBuffer commands) {
    for (std::size_t i = 0; i < data.size(); ++i)
      vkCmdUpdateBuffer(commands, buffer.get(), offsets[i], data[i].size(), data[i].data());
  });
  for (std::size_t i = 0; i < data.size(); ++i)
    std::memcpy(expected.data() + offsets[i], data[i].data(), data[i].size());
  EXPECT_EQ(std::memcmp(buffer.as<char>(), expected.data(), size), 0);
}

// The newer form of the commands, with its finer barriers.
TEST_P(VulkanTransfer, synchronization2_and_copy2) {
  std::vector<unsigned char> data = noise(1000, 5);
  const Filled source(device(), data);
  const Buffer middle(device(), 1000, Buffer::Memory::device);
  Cleared target(device(), 1000);
  const auto copy = [](VkCommandBuffer commands, VkBuffer from, VkBuffer to) {
    VkBufferCopy2 region = {VK_STRUCTURE_TYPE_BUFFER_COPY_2};
    region.size = 1000;
    VkCopyBufferInfo2 info = {VK_STRUCTURE_TYPE_COPY_BUFFER_INFO_2};
    info.srcBuffer = from;
    info.dstBuffer = to;
    info.regionCount = 1;
    info.pRegions = &region;
    vkCmdCopyBuffer2(commands, &info);
  };
  run([&](VkCommandBuffer commands) {
    copy(commands, source.get(), middle.get());
    VkBufferMemoryBarrier2 memory = {VK_STRUCTURE_TYPE_BUFFER_MEMORY_BARRIER_2};
    memory.srcStageMask = memory.dstStageMask = VK_PIPELINE_STAGE_2_COPY_BIT;
    memory.srcAccessMask = VK_ACCESS_2_TRANSFER_WRITE_BIT;
    memory.dstAccessMask = VK_ACCESS_2_TRANSFER_READ_BIT;
    memory.srcQueueFamilyIndex = memory.dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED;
    memory.buffer = middle.get();
    memory.size = VK_WHOLE_SIZE;
    VkDependencyInfo dependency = {VK_STRUCTURE_TYPE_DEPENDENCY_INFO};
    dependency.bufferMemoryBarrierCount = 1;
    dependency.pBufferMemoryBarriers = &memory;
    vkCmdPipelineBarrier2(commands, &dependency);
    copy(commands, middle.get(), target.get());
  });
  EXPECT_EQ(std::memcmp(target.as<char>(), data.data(), data.size()), 0);
}

INSTANTIATE_TEST_SUITE_P(queues, VulkanTransfer, all_queues, queue_name);

} // namespace
