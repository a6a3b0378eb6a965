// A small Vulkan 1.3 compute client: devices, buffers, compute pipelines, exportable memory and semaphores.
// Every call that fails ends the test.
#pragma once

#include <vulkan/vulkan.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
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

// A device with every feature that it has, every queue, and those of the extensions below that it has.
class Device {
public:
  static constexpr VkQueueFlags graphics = VK_QUEUE_GRAPHICS_BIT | VK_QUEUE_COMPUTE_BIT;
  static constexpr VkQueueFlags compute = VK_QUEUE_COMPUTE_BIT;
  static constexpr VkQueueFlags transfer = 0;

  // `queue_flags`: which of graphics and compute the family of queue() and pool() can do.
  explicit Device(VkQueueFlags queue_flags = graphics);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  VkDevice get() const { return device_; }
  VkQueue queue(std::uint32_t index = 0) const;
  // Of the first family that binds sparse memory.
  VkQueue sparse_queue() const;
  std::uint32_t queue_count() const { return families_[family_].queueCount; }
  std::uint32_t family() const { return family_; }
  bool has_family() const { return family_ < families_.size(); }
  VkCommandPool pool() const { return pool_; }
  VkPhysicalDevice physical() const { return physical_; }
  std::uint32_t memory_type(std::uint32_t allowed, VkMemoryPropertyFlags flags) const;
  bool has_extension(const char* name) const;
  const VkPhysicalDeviceLimits& limits() const { return properties_.limits; }
  const VkPhysicalDeviceProperties& properties() const { return properties_; }

  // A function of an extension.
  template <class Function>
  Function function(const char* name) const {
    return reinterpret_cast<Function>(vkGetDeviceProcAddr(device_, name));
  }

  int export_memory(VkDeviceMemory memory, VkExternalMemoryHandleTypeFlagBits type = memory_fd) const;
  int export_semaphore(VkSemaphore semaphore,
                       VkExternalSemaphoreHandleTypeFlagBits type = semaphore_fd) const;
  void import_semaphore(VkSemaphore semaphore, int fd,
                        VkExternalSemaphoreHandleTypeFlagBits type = semaphore_fd) const;

  VkSemaphore semaphore(VkSemaphoreType type, std::uint64_t value = 0, bool exportable = false,
                        VkExternalSemaphoreHandleTypeFlagBits handle = semaphore_fd) const;
  VkCommandBuffer begin(VkCommandBufferLevel level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                        VkCommandBufferUsageFlags usage = 0) const;
  void end(VkCommandBuffer commands) const;
  VkFence fence() const;

private:
  void create_device();

  VkInstance instance_ = nullptr;
  VkPhysicalDevice physical_ = nullptr;
  VkPhysicalDeviceProperties properties_{};
  std::vector<VkQueueFamilyProperties> families_;
  std::vector<std::string> extensions_;
  std::uint32_t family_ = 0;
  VkDevice device_ = nullptr;
  VkCommandPool pool_ = nullptr;
};

// A buffer for every use, with memory of its own.
class Buffer {
public:
  enum class Memory { host, device, exported, imported };
  // `fd`: of imported memory; consumed.
  Buffer(const Device& device, VkDeviceSize size, Memory kind, int fd = -1,
         VkExternalMemoryHandleTypeFlagBits type = memory_fd);
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  VkBuffer get() const { return buffer_; }
  VkDeviceMemory memory() const { return memory_; }
  VkDeviceSize size() const { return size_; }
  VkDeviceAddress address() const;
  // Mapped; only of host-visible memory.
  std::uint32_t* words() { return as<std::uint32_t>(); }
  template <class T>
  T* as() {
    return static_cast<T*>(map());
  }

private:
  void* map();

  const Device& device_;
  VkDeviceSize size_;
  VkBuffer buffer_ = nullptr;
  VkDeviceMemory memory_ = nullptr;
  void* mapped_ = nullptr;
};

// What a shader finds at one binding: binding n is the nth.
struct Binding {
  VkDescriptorType type = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
  std::vector<VkDescriptorBufferInfo> buffers; // one, or those of an array
  VkBufferView view = nullptr;                 // of a texel buffer
  std::vector<std::uint32_t> inline_words;     // of an inline uniform block
};
Binding storage(const Buffer& buffer, VkDeviceSize offset = 0, VkDeviceSize range = VK_WHOLE_SIZE);
Binding uniform(const Buffer& buffer, VkDeviceSize offset = 0, VkDeviceSize range = VK_WHOLE_SIZE);

struct KernelOptions {
  std::uint32_t push_bytes = 0;
  std::vector<std::uint32_t> constants; // specialization constants 0, 1, ...
  std::uint32_t subgroup_size = 0;      // 0: the driver's choice
  bool dispatch_base = false;
};

// A compute pipeline and its one set of descriptors.
class Kernel {
public:
  Kernel(const Device& device, std::span<const std::uint32_t> code, const std::vector<Binding>& bindings,
         const KernelOptions& options = {});
  ~Kernel();
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;

  VkPipelineLayout layout() const { return layout_; }
  // `push`: the options' push_bytes.
  void bind(VkCommandBuffer commands, const void* push = nullptr,
            const std::vector<std::uint32_t>& dynamic_offsets = {}) const;

private:
  void create_set(const std::vector<Binding>& bindings);

  const Device& device_;
  std::uint32_t push_bytes_ = 0;
  VkDescriptorSetLayout set_layout_ = nullptr;
  VkPipelineLayout layout_ = nullptr;
  VkPipeline pipeline_ = nullptr;
  VkDescriptorPool pool_ = nullptr;
  VkDescriptorSet set_ = nullptr;
};

// The shader of vulkan_scale.comp, bound to two buffers.
class ScaleKernel {
public:
  ScaleKernel(const Device& device, const Buffer& input, const Buffer& output);
  void record(VkCommandBuffer commands, std::uint32_t factor, std::uint32_t count) const;

private:
  Kernel kernel_;
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
// `queue`: null for the device's first.
void submit(const Device& device, const Submission& submission, VkQueue queue = nullptr);

} // namespace vulkan_client
