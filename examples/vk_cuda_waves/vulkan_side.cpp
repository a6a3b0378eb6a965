#include "vulkan_side.hpp"

#include <cstring>
#include <stdexcept>

#include <vulkan/vulkan.h>

#include "check.hpp"
#include "simulation.hpp"
#include "wave_spv.h"

namespace waves {

namespace {

constexpr std::uint32_t group_side = 16; // local_size of wave.comp

struct PushConstants {
  std::uint32_t size;
  float courant_squared;
  float damping;
};

struct Buffer {
  VkBuffer handle = VK_NULL_HANDLE;
  VkDeviceMemory memory = VK_NULL_HANDLE;
  VkDeviceSize memory_bytes = 0;
  void* mapped = nullptr;
};

} // namespace

struct VulkanSide::State {
  std::uint32_t size = 0;
  SemaphoreKind semaphores = SemaphoreKind::binary;
  VkInstance instance = VK_NULL_HANDLE;
  VkPhysicalDevice physical = VK_NULL_HANDLE;
  VkPhysicalDeviceProperties properties = {};
  std::array<std::uint8_t, 16> uuid = {};
  VkDevice device = VK_NULL_HANDLE;
  std::uint32_t queue_family = 0;
  VkQueue queue = VK_NULL_HANDLE;
  Buffer fields[2]; // the two states of the wave equation, swapped after every step
  Buffer height;    // exported
  Buffer rgba;      // exported
  Buffer readback;  // height, then rgba
  VkSemaphore field_ready = VK_NULL_HANDLE;
  VkSemaphore image_ready = VK_NULL_HANDLE;
  VkFence fence = VK_NULL_HANDLE;
  VkDescriptorSetLayout set_layout = VK_NULL_HANDLE;
  VkDescriptorPool descriptor_pool = VK_NULL_HANDLE;
  VkDescriptorSet sets[2] = {};
  VkPipelineLayout pipeline_layout = VK_NULL_HANDLE;
  VkPipeline pipeline = VK_NULL_HANDLE;
  VkCommandPool command_pool = VK_NULL_HANDLE;
  VkCommandBuffer simulation_commands = VK_NULL_HANDLE;
  VkCommandBuffer readback_commands = VK_NULL_HANDLE;
  PFN_vkGetMemoryFdKHR get_memory_fd = nullptr;
  PFN_vkGetSemaphoreFdKHR get_semaphore_fd = nullptr;

  ~State();
  VkDeviceSize field_bytes() const { return VkDeviceSize{size} * size * 4; }
  void create_instance(const std::optional<std::array<std::uint8_t, 16>>& wanted);
  void create_device();
  Buffer create_buffer(VkBufferUsageFlags usage, VkDeviceSize bytes, VkMemoryPropertyFlags flags,
                       bool exported);
  void create_buffers(std::span<const float> initial);
  VkSemaphore create_semaphore();
  void create_pipeline();
  void create_descriptors();
  void record_simulation();
  void record_readback();
  void submit(VkCommandBuffer commands, VkSemaphore wait, VkSemaphore signal, std::uint64_t value,
              VkFence done);
  int export_memory(const Buffer& buffer) const;
  int export_semaphore(VkSemaphore semaphore) const;
};

VulkanSide::State::~State() {
  if (device) {
    vkDeviceWaitIdle(device);
    for (Buffer* buffer : {&fields[0], &fields[1], &height, &rgba, &readback}) {
      vkDestroyBuffer(device, buffer->handle, nullptr);
      vkFreeMemory(device, buffer->memory, nullptr);
    }
    vkDestroySemaphore(device, field_ready, nullptr);
    vkDestroySemaphore(device, image_ready, nullptr);
    vkDestroyFence(device, fence, nullptr);
    vkDestroyPipeline(device, pipeline, nullptr);
    vkDestroyPipelineLayout(device, pipeline_layout, nullptr);
    vkDestroyDescriptorPool(device, descriptor_pool, nullptr);
    vkDestroyDescriptorSetLayout(device, set_layout, nullptr);
    vkDestroyCommandPool(device, command_pool, nullptr);
    vkDestroyDevice(device, nullptr);
  }
  if (instance)
    vkDestroyInstance(instance, nullptr);
}

void VulkanSide::State::create_instance(const std::optional<std::array<std::uint8_t, 16>>& wanted) {
  VkApplicationInfo application = {VK_STRUCTURE_TYPE_APPLICATION_INFO};
  application.pApplicationName = "vk_cuda_waves";
  application.apiVersion = VK_API_VERSION_1_2;
  VkInstanceCreateInfo info = {VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO};
  info.pApplicationInfo = &application;
  WAVES_CHECK(vkCreateInstance(&info, nullptr, &instance));

  std::uint32_t count = 0;
  WAVES_CHECK(vkEnumeratePhysicalDevices(instance, &count, nullptr));
  std::vector<VkPhysicalDevice> devices(count);
  WAVES_CHECK(vkEnumeratePhysicalDevices(instance, &count, devices.data()));
  for (VkPhysicalDevice candidate : devices) {
    VkPhysicalDeviceIDProperties id = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES};
    VkPhysicalDeviceProperties2 all = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, &id, {}};
    vkGetPhysicalDeviceProperties2(candidate, &all);
    if (wanted && std::memcmp(wanted->data(), id.deviceUUID, VK_UUID_SIZE) != 0)
      continue;
    physical = candidate;
    properties = all.properties;
    std::memcpy(uuid.data(), id.deviceUUID, VK_UUID_SIZE);
    return;
  }
  throw std::runtime_error("no Vulkan device has the UUID of the CUDA device");
}

void VulkanSide::State::create_device() {
  std::uint32_t count = 0;
  vkGetPhysicalDeviceQueueFamilyProperties(physical, &count, nullptr);
  std::vector<VkQueueFamilyProperties> families(count);
  vkGetPhysicalDeviceQueueFamilyProperties(physical, &count, families.data());
  while (queue_family < count && !(families[queue_family].queueFlags & VK_QUEUE_COMPUTE_BIT))
    ++queue_family;
  if (queue_family == count)
    throw std::runtime_error("the Vulkan device has no compute queue");

  const float priority = 1.0f;
  VkDeviceQueueCreateInfo queue_info = {VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO};
  queue_info.queueFamilyIndex = queue_family;
  queue_info.queueCount = 1;
  queue_info.pQueuePriorities = &priority;
  VkPhysicalDeviceTimelineSemaphoreFeatures timeline = {
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES, nullptr, VK_TRUE};
  const char* extensions[] = {VK_KHR_EXTERNAL_MEMORY_FD_EXTENSION_NAME,
                              VK_KHR_EXTERNAL_SEMAPHORE_FD_EXTENSION_NAME};
  VkDeviceCreateInfo info = {VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, &timeline};
  info.queueCreateInfoCount = 1;
  info.pQueueCreateInfos = &queue_info;
  info.enabledExtensionCount = 2;
  info.ppEnabledExtensionNames = extensions;
  WAVES_CHECK(vkCreateDevice(physical, &info, nullptr, &device));
  vkGetDeviceQueue(device, queue_family, 0, &queue);
  get_memory_fd = reinterpret_cast<PFN_vkGetMemoryFdKHR>(vkGetDeviceProcAddr(device, "vkGetMemoryFdKHR"));
  get_semaphore_fd =
      reinterpret_cast<PFN_vkGetSemaphoreFdKHR>(vkGetDeviceProcAddr(device, "vkGetSemaphoreFdKHR"));
}

Buffer VulkanSide::State::create_buffer(VkBufferUsageFlags usage, VkDeviceSize bytes,
                                        VkMemoryPropertyFlags flags, bool exported) {
  Buffer buffer;
  VkExternalMemoryBufferCreateInfo external = {VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO, nullptr,
                                               VK_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD_BIT};
  VkBufferCreateInfo info = {VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, exported ? &external : nullptr};
  info.size = bytes;
  info.usage = usage;
  WAVES_CHECK(vkCreateBuffer(device, &info, nullptr, &buffer.handle));

  VkMemoryRequirements requirements;
  vkGetBufferMemoryRequirements(device, buffer.handle, &requirements);
  VkPhysicalDeviceMemoryProperties memory;
  vkGetPhysicalDeviceMemoryProperties(physical, &memory);
  std::uint32_t type = 0;
  while (type < memory.memoryTypeCount && !((requirements.memoryTypeBits >> type & 1) &&
                                            (memory.memoryTypes[type].propertyFlags & flags) == flags))
    ++type;
  if (type == memory.memoryTypeCount)
    throw std::runtime_error("no memory type fits");

  VkExportMemoryAllocateInfo export_info = {VK_STRUCTURE_TYPE_EXPORT_MEMORY_ALLOCATE_INFO, nullptr,
                                            VK_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD_BIT};
  VkMemoryAllocateInfo allocation = {VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                     exported ? &export_info : nullptr};
  allocation.allocationSize = requirements.size;
  allocation.memoryTypeIndex = type;
  WAVES_CHECK(vkAllocateMemory(device, &allocation, nullptr, &buffer.memory));
  WAVES_CHECK(vkBindBufferMemory(device, buffer.handle, buffer.memory, 0));
  buffer.memory_bytes = requirements.size;
  if (flags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT)
    WAVES_CHECK(vkMapMemory(device, buffer.memory, 0, VK_WHOLE_SIZE, 0, &buffer.mapped));
  return buffer;
}

void VulkanSide::State::create_buffers(std::span<const float> initial) {
  constexpr VkMemoryPropertyFlags host =
      VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
  constexpr VkBufferUsageFlags storage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT;
  constexpr VkBufferUsageFlags source = VK_BUFFER_USAGE_TRANSFER_SRC_BIT;
  const VkDeviceSize bytes = field_bytes();
  for (Buffer& field : fields) {
    field = create_buffer(storage, bytes, host, false);
    std::memcpy(field.mapped, initial.data(), bytes);
  }
  height = create_buffer(storage | source, bytes, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, true);
  rgba = create_buffer(source, bytes, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, true);
  readback = create_buffer(VK_BUFFER_USAGE_TRANSFER_DST_BIT, 2 * bytes, host, false);
}

VkSemaphore VulkanSide::State::create_semaphore() {
  VkSemaphoreTypeCreateInfo type = {VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO};
  type.semaphoreType =
      semaphores == SemaphoreKind::timeline ? VK_SEMAPHORE_TYPE_TIMELINE : VK_SEMAPHORE_TYPE_BINARY;
  VkExportSemaphoreCreateInfo exported = {VK_STRUCTURE_TYPE_EXPORT_SEMAPHORE_CREATE_INFO, &type,
                                          VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_FD_BIT};
  VkSemaphoreCreateInfo info = {VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, &exported};
  VkSemaphore semaphore;
  WAVES_CHECK(vkCreateSemaphore(device, &info, nullptr, &semaphore));
  return semaphore;
}

void VulkanSide::State::create_pipeline() {
  VkDescriptorSetLayoutBinding bindings[3] = {};
  for (std::uint32_t i = 0; i < 3; ++i)
    bindings[i] = {i, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, nullptr};
  VkDescriptorSetLayoutCreateInfo layout = {VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO};
  layout.bindingCount = 3;
  layout.pBindings = bindings;
  WAVES_CHECK(vkCreateDescriptorSetLayout(device, &layout, nullptr, &set_layout));

  VkPushConstantRange range = {VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(PushConstants)};
  VkPipelineLayoutCreateInfo pipeline_layout_info = {VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO};
  pipeline_layout_info.setLayoutCount = 1;
  pipeline_layout_info.pSetLayouts = &set_layout;
  pipeline_layout_info.pushConstantRangeCount = 1;
  pipeline_layout_info.pPushConstantRanges = &range;
  WAVES_CHECK(vkCreatePipelineLayout(device, &pipeline_layout_info, nullptr, &pipeline_layout));

  VkShaderModuleCreateInfo module_info = {VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO};
  module_info.codeSize = sizeof wave_spv;
  module_info.pCode = wave_spv;
  VkShaderModule module;
  WAVES_CHECK(vkCreateShaderModule(device, &module_info, nullptr, &module));
  VkComputePipelineCreateInfo info = {VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO};
  info.stage = {VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO};
  info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
  info.stage.module = module;
  info.stage.pName = "main";
  info.layout = pipeline_layout;
  const VkResult created = vkCreateComputePipelines(device, VK_NULL_HANDLE, 1, &info, nullptr, &pipeline);
  vkDestroyShaderModule(device, module, nullptr);
  check(created, "vkCreateComputePipelines");
}

void VulkanSide::State::create_descriptors() {
  VkDescriptorPoolSize pool_size = {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 6};
  VkDescriptorPoolCreateInfo pool = {VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO};
  pool.maxSets = 2;
  pool.poolSizeCount = 1;
  pool.pPoolSizes = &pool_size;
  WAVES_CHECK(vkCreateDescriptorPool(device, &pool, nullptr, &descriptor_pool));
  VkDescriptorSetLayout layouts[2] = {set_layout, set_layout};
  VkDescriptorSetAllocateInfo allocation = {VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO};
  allocation.descriptorPool = descriptor_pool;
  allocation.descriptorSetCount = 2;
  allocation.pSetLayouts = layouts;
  WAVES_CHECK(vkAllocateDescriptorSets(device, &allocation, sets));
  for (int i = 0; i < 2; ++i) {
    const VkDescriptorBufferInfo infos[3] = {{fields[i].handle, 0, VK_WHOLE_SIZE},
                                             {fields[1 - i].handle, 0, VK_WHOLE_SIZE},
                                             {height.handle, 0, VK_WHOLE_SIZE}};
    VkWriteDescriptorSet write = {VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET};
    write.dstSet = sets[i];
    write.descriptorCount = 3;
    write.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
    write.pBufferInfo = infos;
    vkUpdateDescriptorSets(device, 1, &write, 0, nullptr);
  }
}

void VulkanSide::State::record_simulation() {
  static_assert(steps_per_frame % 2 == 0, "the two fields must be back in place after a frame");
  VkCommandBufferBeginInfo begin = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  WAVES_CHECK(vkBeginCommandBuffer(simulation_commands, &begin));
  vkCmdBindPipeline(simulation_commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
  const PushConstants constants = {size, courant_squared, damping};
  vkCmdPushConstants(simulation_commands, pipeline_layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof constants,
                     &constants);
  const std::uint32_t groups = (size + group_side - 1) / group_side;
  for (std::uint32_t step = 0; step < steps_per_frame; ++step) {
    vkCmdBindDescriptorSets(simulation_commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline_layout, 0, 1,
                            &sets[step % 2], 0, nullptr);
    vkCmdDispatch(simulation_commands, groups, groups, 1);
    VkMemoryBarrier barrier = {VK_STRUCTURE_TYPE_MEMORY_BARRIER, nullptr, VK_ACCESS_SHADER_WRITE_BIT,
                               VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT};
    vkCmdPipelineBarrier(simulation_commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                         VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 1, &barrier, 0, nullptr, 0, nullptr);
  }
  // Release both exported buffers to CUDA.
  VkBufferMemoryBarrier release = {VK_STRUCTURE_TYPE_BUFFER_MEMORY_BARRIER};
  release.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT;
  release.srcQueueFamilyIndex = queue_family;
  release.dstQueueFamilyIndex = VK_QUEUE_FAMILY_EXTERNAL;
  release.buffer = height.handle;
  release.size = VK_WHOLE_SIZE;
  vkCmdPipelineBarrier(simulation_commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                       VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, 0, 0, nullptr, 1, &release, 0, nullptr);
  WAVES_CHECK(vkEndCommandBuffer(simulation_commands));
}

void VulkanSide::State::record_readback() {
  VkCommandBufferBeginInfo begin = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  WAVES_CHECK(vkBeginCommandBuffer(readback_commands, &begin));
  VkBufferMemoryBarrier acquire[2] = {};
  const Buffer* buffers[2] = {&height, &rgba};
  for (int i = 0; i < 2; ++i) {
    acquire[i] = {VK_STRUCTURE_TYPE_BUFFER_MEMORY_BARRIER};
    acquire[i].dstAccessMask = VK_ACCESS_TRANSFER_READ_BIT;
    acquire[i].srcQueueFamilyIndex = VK_QUEUE_FAMILY_EXTERNAL;
    acquire[i].dstQueueFamilyIndex = queue_family;
    acquire[i].buffer = buffers[i]->handle;
    acquire[i].size = VK_WHOLE_SIZE;
  }
  vkCmdPipelineBarrier(readback_commands, VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT,
                       0, 0, nullptr, 2, acquire, 0, nullptr);
  const VkBufferCopy height_copy = {0, 0, field_bytes()};
  const VkBufferCopy rgba_copy = {0, field_bytes(), field_bytes()};
  vkCmdCopyBuffer(readback_commands, height.handle, readback.handle, 1, &height_copy);
  vkCmdCopyBuffer(readback_commands, rgba.handle, readback.handle, 1, &rgba_copy);
  VkMemoryBarrier to_host = {VK_STRUCTURE_TYPE_MEMORY_BARRIER, nullptr, VK_ACCESS_TRANSFER_WRITE_BIT,
                             VK_ACCESS_HOST_READ_BIT};
  vkCmdPipelineBarrier(readback_commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_HOST_BIT, 0, 1,
                       &to_host, 0, nullptr, 0, nullptr);
  WAVES_CHECK(vkEndCommandBuffer(readback_commands));
}

void VulkanSide::State::submit(VkCommandBuffer commands, VkSemaphore wait, VkSemaphore signal,
                               std::uint64_t value, VkFence done) {
  const VkPipelineStageFlags stage = VK_PIPELINE_STAGE_ALL_COMMANDS_BIT;
  VkTimelineSemaphoreSubmitInfo values = {VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO};
  VkSubmitInfo info = {VK_STRUCTURE_TYPE_SUBMIT_INFO};
  if (semaphores == SemaphoreKind::timeline)
    info.pNext = &values;
  if (wait) {
    info.waitSemaphoreCount = values.waitSemaphoreValueCount = 1;
    info.pWaitSemaphores = &wait;
    info.pWaitDstStageMask = &stage;
    values.pWaitSemaphoreValues = &value;
  }
  if (signal) {
    info.signalSemaphoreCount = values.signalSemaphoreValueCount = 1;
    info.pSignalSemaphores = &signal;
    values.pSignalSemaphoreValues = &value;
  }
  info.commandBufferCount = 1;
  info.pCommandBuffers = &commands;
  WAVES_CHECK(vkQueueSubmit(queue, 1, &info, done));
}

int VulkanSide::State::export_memory(const Buffer& buffer) const {
  VkMemoryGetFdInfoKHR info = {VK_STRUCTURE_TYPE_MEMORY_GET_FD_INFO_KHR, nullptr, buffer.memory,
                               VK_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD_BIT};
  int fd = -1;
  WAVES_CHECK(get_memory_fd(device, &info, &fd));
  return fd;
}

int VulkanSide::State::export_semaphore(VkSemaphore semaphore) const {
  VkSemaphoreGetFdInfoKHR info = {VK_STRUCTURE_TYPE_SEMAPHORE_GET_FD_INFO_KHR, nullptr, semaphore,
                                  VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_FD_BIT};
  int fd = -1;
  WAVES_CHECK(get_semaphore_fd(device, &info, &fd));
  return fd;
}

VulkanSide::VulkanSide(std::optional<std::array<std::uint8_t, 16>> uuid, std::uint32_t size,
                       SemaphoreKind semaphores, std::span<const float> initial)
    : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.size = size;
  s.semaphores = semaphores;
  s.create_instance(uuid);
  s.create_device();
  s.create_buffers(initial);
  s.field_ready = s.create_semaphore();
  s.image_ready = s.create_semaphore();
  VkFenceCreateInfo fence_info = {VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
  WAVES_CHECK(vkCreateFence(s.device, &fence_info, nullptr, &s.fence));
  s.create_pipeline();
  s.create_descriptors();
  VkCommandPoolCreateInfo pool = {VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
  pool.queueFamilyIndex = s.queue_family;
  WAVES_CHECK(vkCreateCommandPool(s.device, &pool, nullptr, &s.command_pool));
  VkCommandBufferAllocateInfo allocation = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
  allocation.commandPool = s.command_pool;
  allocation.commandBufferCount = 1;
  WAVES_CHECK(vkAllocateCommandBuffers(s.device, &allocation, &s.simulation_commands));
  WAVES_CHECK(vkAllocateCommandBuffers(s.device, &allocation, &s.readback_commands));
  s.record_simulation();
  s.record_readback();
}

VulkanSide::~VulkanSide() = default;

const char* VulkanSide::device_name() const {
  return state_->properties.deviceName;
}

SharedObjects VulkanSide::export_objects(std::uint32_t frames) const {
  const State& s = *state_;
  return {{s.uuid, s.size, frames, s.semaphores, 0, s.height.memory_bytes, s.rgba.memory_bytes},
          s.export_memory(s.height),
          s.export_memory(s.rgba),
          s.export_semaphore(s.field_ready),
          s.export_semaphore(s.image_ready)};
}

void VulkanSide::submit_simulation(std::uint32_t frame) {
  state_->submit(state_->simulation_commands, VK_NULL_HANDLE, state_->field_ready, frame_value(frame),
                 VK_NULL_HANDLE);
}

void VulkanSide::read_back(std::uint32_t frame) {
  State& s = *state_;
  s.submit(s.readback_commands, s.image_ready, VK_NULL_HANDLE, frame_value(frame), s.fence);
  constexpr std::uint64_t one_minute = 60'000'000'000;
  WAVES_CHECK(vkWaitForFences(s.device, 1, &s.fence, VK_TRUE, one_minute));
  WAVES_CHECK(vkResetFences(s.device, 1, &s.fence));
}

std::span<const float> VulkanSide::height() const {
  return {static_cast<const float*>(state_->readback.mapped), std::size_t{state_->size} * state_->size};
}

std::span<const std::uint32_t> VulkanSide::rgba() const {
  const std::size_t cells = std::size_t{state_->size} * state_->size;
  return {static_cast<const std::uint32_t*>(state_->readback.mapped) + cells, cells};
}

} // namespace waves
