// ROCr maps the memory that RADV exports, as HIP's import of external memory does: neither knows of the other
// but by what the kernel says of a descriptor.
#include "rocr_client.hpp"
#include "vulkan_client.hpp"

#include <memory>
#include <unistd.h>

namespace {

using rocr_client::Program;
using vulkan_client::Buffer;
using vulkan_client::Device;

class RocrVulkan : public rocr_client::RocrTest,
                   public ::testing::WithParamInterface<VkExternalMemoryHandleTypeFlagBits> {
protected:
  static void run(const Device& device, VkCommandBuffer commands) {
    vulkan_client::barrier(commands);
    device.end(commands);
    vulkan_client::Submission submission;
    submission.commands = commands;
    vulkan_client::submit(device, submission);
    VK_CHECK(vkQueueWaitIdle(device.queue()));
  }
};

TEST_P(RocrVulkan, exported_memory_is_mapped_and_outlives_its_exporter) {
  constexpr std::uint32_t count = 5000;
  constexpr VkDeviceSize bytes = count * 4;
  const Device device;
  auto shared = std::make_unique<Buffer>(device, bytes, Buffer::Memory::exported, -1, GetParam());
  Buffer check(device, bytes, Buffer::Memory::host);
  VkCommandBuffer fill = device.begin();
  vkCmdFillBuffer(fill, shared->get(), 0, VK_WHOLE_SIZE, 1000);
  run(device, fill);

  const int fd = device.export_memory(shared->memory(), GetParam());
  std::size_t size = 0;
  void* mapped = nullptr;
  ASSERT_EQ(hsa_amd_interop_map_buffer(1, &gpu_, fd, 0, &size, &mapped, nullptr, nullptr),
            HSA_STATUS_SUCCESS);
  close(fd);
  EXPECT_GE(size, bytes);
  hsa_amd_pointer_info_t info{};
  info.size = sizeof info;
  ASSERT_EQ(hsa_amd_pointer_info(mapped, &info, nullptr, nullptr, nullptr), HSA_STATUS_SUCCESS);
  EXPECT_EQ(info.type, HSA_EXT_POINTER_TYPE_GRAPHICS);
  EXPECT_EQ(info.sizeInBytes, size);

  const Program program(gpu_);
  hsa_queue_t* queue = make_queue();
  struct {
    void* data;
    std::uint32_t n;
  } arguments = {mapped, count};
  const hsa_signal_t done = make_signal(1);
  dispatch(queue, program.kernel("add_index"), {{5056, 1, 1}, {64, 1, 1}}, arguments, done);
  EXPECT_EQ(wait_for_zero(done), 0);
  VkCommandBuffer copy = device.begin();
  const VkBufferCopy region = {0, 0, bytes};
  vkCmdCopyBuffer(copy, shared->get(), check.get(), 1, &region);
  run(device, copy);
  for (std::uint32_t i = 0; i < count; ++i)
    ASSERT_EQ(check.words()[i], 1000 + i) << i;

  shared.reset();
  auto* host = allocate<std::uint32_t>(fine_pool_, count);
  hsa_signal_store_relaxed(done, 1);
  ASSERT_EQ(hsa_amd_memory_async_copy(host, cpu_, mapped, gpu_, bytes, 0, nullptr, done), HSA_STATUS_SUCCESS);
  EXPECT_EQ(wait_for_zero(done), 0);
  for (std::uint32_t i = 0; i < count; ++i)
    ASSERT_EQ(host[i], 1000 + i) << i;
  EXPECT_EQ(hsa_amd_interop_unmap_buffer(mapped), HSA_STATUS_SUCCESS);
  hsa_signal_destroy(done);
  EXPECT_EQ(hsa_queue_destroy(queue), HSA_STATUS_SUCCESS);
}

INSTANTIATE_TEST_SUITE_P(handles, RocrVulkan,
                         ::testing::Values(VK_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD_BIT,
                                           VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT),
                         [](const auto& which) {
                           return which.param == VK_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD_BIT ? "opaque"
                                                                                              : "dma_buf";
                         });

} // namespace
