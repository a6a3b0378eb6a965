// A small Vulkan 1.2 compute client: one device with one queue, buffers, exportable memory and semaphores.
// Every call that fails ends the test.
#pragma once

#include <vulkan/vulkan.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

namespace vulkan_client {

inline void check(VkResult result, const char* what) {
  if (result == VK_SUCCESS)
    return;
  std::fprintf(stderr, "%s: VkResult %d\n", what, static_cast<int>(result));
  std::abort();
}
#define VK_CHECK(call) ::vulkan_client::check((call), #call)

inline constexpr VkExternalMemoryHandleTypeFlagBits memory_fd = VK_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD_BIT;
inline constexpr VkExternalSemaphoreHandleTypeFlagBits semaphore_fd =
    VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_FD_BIT;

class Device {
public:
  // `queue_flags`: what the queue's family must be able to do; without VK_QUEUE_GRAPHICS_BIT an async compute
  // queue.
  explicit Device(VkQueueFlags queue_flags = VK_QUEUE_COMPUTE_BIT | VK_QUEUE_GRAPHICS_BIT);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  VkDevice get() const { return device_; }
  VkQueue queue() const { return queue_; }
  VkCommandPool pool() const { return pool_; }
  VkPhysicalDevice physical() const { return physical_; }
  std::uint32_t memory_type(std::uint32_t allowed, VkMemoryPropertyFlags flags) const;

  int export_memory(VkDeviceMemory memory) const;
  int export_semaphore(VkSemaphore semaphore) const;
  void import_semaphore(VkSemaphore semaphore, int fd) const;

  VkSemaphore semaphore(VkSemaphoreType type, std::uint64_t value = 0, bool exportable = false) const;
  VkCommandBuffer begin() const;
  void end(VkCommandBuffer commands) const;
  VkFence fence() const;

private:
  VkInstance instance_ = nullptr;
  VkPhysicalDevice physical_ = nullptr;
  VkDevice device_ = nullptr;
  VkQueue queue_ = nullptr;
  VkCommandPool pool_ = nullptr;
};

// A storage and transfer buffer with memory of its own.
class Buffer {
public:
  enum class Memory { host, device, exported, imported };
  // `fd`: of imported memory; consumed.
  Buffer(const Device& device, VkDeviceSize size, Memory kind, int fd = -1);
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  VkBuffer get() const { return buffer_; }
  VkDeviceMemory memory() const { return memory_; }
  VkDeviceSize size() const { return size_; }
  std::uint32_t* words(); // mapped; only of host-visible memory

private:
  const Device& device_;
  VkDeviceSize size_;
  VkBuffer buffer_ = nullptr;
  VkDeviceMemory memory_ = nullptr;
  void* mapped_ = nullptr;
};

// The shader of vulkan_scale.comp, bound to two buffers.
class ScaleKernel {
public:
  ScaleKernel(const Device& device, const Buffer& input, const Buffer& output);
  ~ScaleKernel();
  ScaleKernel(const ScaleKernel&) = delete;
  ScaleKernel& operator=(const ScaleKernel&) = delete;

  void record(VkCommandBuffer commands, std::uint32_t factor, std::uint32_t count) const;

private:
  const Device& device_;
  VkDescriptorSetLayout set_layout_ = nullptr;
  VkPipelineLayout layout_ = nullptr;
  VkPipeline pipeline_ = nullptr;
  VkDescriptorPool pool_ = nullptr;
  VkDescriptorSet set_ = nullptr;
};

void barrier(VkCommandBuffer commands);

// One submission; a null semaphore is none. Values count for timeline semaphores.
struct Submission {
  VkCommandBuffer commands = nullptr;
  VkSemaphore wait = nullptr;
  std::uint64_t wait_value = 0;
  VkSemaphore signal = nullptr;
  std::uint64_t signal_value = 0;
  VkFence fence = nullptr;
};
void submit(const Device& device, const Submission& submission);

} // namespace vulkan_client
