#include "vulkan_client.hpp"

#include "vulkan_scale_spv.h"

namespace vulkan_client {

Device::Device(VkQueueFlags queue_flags) {
  VkApplicationInfo application = {VK_STRUCTURE_TYPE_APPLICATION_INFO};
  application.apiVersion = VK_API_VERSION_1_2;
  VkInstanceCreateInfo instance_info = {VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO};
  instance_info.pApplicationInfo = &application;
  VK_CHECK(vkCreateInstance(&instance_info, nullptr, &instance_));
  std::uint32_t count = 1;
  const VkResult found = vkEnumeratePhysicalDevices(instance_, &count, &physical_);
  if ((found != VK_SUCCESS && found != VK_INCOMPLETE) || count != 1) {
    std::fprintf(stderr, "no Vulkan device\n");
    std::abort();
  }

  std::uint32_t families = 0;
  vkGetPhysicalDeviceQueueFamilyProperties(physical_, &families, nullptr);
  std::vector<VkQueueFamilyProperties> properties(families);
  vkGetPhysicalDeviceQueueFamilyProperties(physical_, &families, properties.data());
  constexpr VkQueueFlags kinds = VK_QUEUE_GRAPHICS_BIT | VK_QUEUE_COMPUTE_BIT;
  std::uint32_t family = 0;
  while (family < families && (properties[family].queueFlags & kinds) != queue_flags)
    ++family;

  const float priority = 1;
  VkDeviceQueueCreateInfo queue_info = {VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO};
  queue_info.queueFamilyIndex = family;
  queue_info.queueCount = 1;
  queue_info.pQueuePriorities = &priority;
  const char* extensions[] = {VK_KHR_EXTERNAL_MEMORY_FD_EXTENSION_NAME,
                              VK_KHR_EXTERNAL_SEMAPHORE_FD_EXTENSION_NAME};
  VkPhysicalDeviceVulkan12Features features = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
  features.timelineSemaphore = VK_TRUE;
  VkDeviceCreateInfo device_info = {VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, &features};
  device_info.queueCreateInfoCount = 1;
  device_info.pQueueCreateInfos = &queue_info;
  device_info.enabledExtensionCount = 2;
  device_info.ppEnabledExtensionNames = extensions;
  VK_CHECK(vkCreateDevice(physical_, &device_info, nullptr, &device_));
  vkGetDeviceQueue(device_, family, 0, &queue_);
  VkCommandPoolCreateInfo pool_info = {VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
  pool_info.queueFamilyIndex = family;
  VK_CHECK(vkCreateCommandPool(device_, &pool_info, nullptr, &pool_));
}

Device::~Device() {
  vkDeviceWaitIdle(device_);
  vkDestroyCommandPool(device_, pool_, nullptr);
  vkDestroyDevice(device_, nullptr);
  vkDestroyInstance(instance_, nullptr);
}

std::uint32_t Device::memory_type(std::uint32_t allowed, VkMemoryPropertyFlags flags) const {
  VkPhysicalDeviceMemoryProperties properties;
  vkGetPhysicalDeviceMemoryProperties(physical_, &properties);
  for (std::uint32_t i = 0; i < properties.memoryTypeCount; ++i)
    if ((allowed & 1u << i) && (properties.memoryTypes[i].propertyFlags & flags) == flags)
      return i;
  std::fprintf(stderr, "no such memory type\n");
  std::abort();
}

int Device::export_memory(VkDeviceMemory memory) const {
  auto get = reinterpret_cast<PFN_vkGetMemoryFdKHR>(vkGetDeviceProcAddr(device_, "vkGetMemoryFdKHR"));
  VkMemoryGetFdInfoKHR info = {VK_STRUCTURE_TYPE_MEMORY_GET_FD_INFO_KHR};
  info.memory = memory;
  info.handleType = memory_fd;
  int fd = -1;
  VK_CHECK(get(device_, &info, &fd));
  return fd;
}

int Device::export_semaphore(VkSemaphore semaphore) const {
  auto get = reinterpret_cast<PFN_vkGetSemaphoreFdKHR>(vkGetDeviceProcAddr(device_, "vkGetSemaphoreFdKHR"));
  VkSemaphoreGetFdInfoKHR info = {VK_STRUCTURE_TYPE_SEMAPHORE_GET_FD_INFO_KHR};
  info.semaphore = semaphore;
  info.handleType = semaphore_fd;
  int fd = -1;
  VK_CHECK(get(device_, &info, &fd));
  return fd;
}

void Device::import_semaphore(VkSemaphore semaphore, int fd) const {
  auto import =
      reinterpret_cast<PFN_vkImportSemaphoreFdKHR>(vkGetDeviceProcAddr(device_, "vkImportSemaphoreFdKHR"));
  VkImportSemaphoreFdInfoKHR info = {VK_STRUCTURE_TYPE_IMPORT_SEMAPHORE_FD_INFO_KHR};
  info.semaphore = semaphore;
  info.handleType = semaphore_fd;
  info.fd = fd;
  VK_CHECK(import(device_, &info));
}

VkSemaphore Device::semaphore(VkSemaphoreType type, std::uint64_t value, bool exportable) const {
  VkExportSemaphoreCreateInfo exported = {VK_STRUCTURE_TYPE_EXPORT_SEMAPHORE_CREATE_INFO};
  exported.handleTypes = semaphore_fd;
  VkSemaphoreTypeCreateInfo kind = {VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO};
  kind.pNext = exportable ? &exported : nullptr;
  kind.semaphoreType = type;
  kind.initialValue = value;
  VkSemaphoreCreateInfo info = {VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, &kind};
  VkSemaphore semaphore = nullptr;
  VK_CHECK(vkCreateSemaphore(device_, &info, nullptr, &semaphore));
  return semaphore;
}

VkCommandBuffer Device::begin() const {
  VkCommandBufferAllocateInfo allocate = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
  allocate.commandPool = pool_;
  allocate.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
  allocate.commandBufferCount = 1;
  VkCommandBuffer commands = nullptr;
  VK_CHECK(vkAllocateCommandBuffers(device_, &allocate, &commands));
  VkCommandBufferBeginInfo info = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  VK_CHECK(vkBeginCommandBuffer(commands, &info));
  return commands;
}

void Device::end(VkCommandBuffer commands) const {
  VK_CHECK(vkEndCommandBuffer(commands));
}

VkFence Device::fence() const {
  VkFenceCreateInfo info = {VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
  VkFence fence = nullptr;
  VK_CHECK(vkCreateFence(device_, &info, nullptr, &fence));
  return fence;
}

Buffer::Buffer(const Device& device, VkDeviceSize size, Memory kind, int fd) : device_(device), size_(size) {
  const bool shared = kind == Memory::exported || kind == Memory::imported;
  VkExternalMemoryBufferCreateInfo external = {VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO};
  external.handleTypes = memory_fd;
  VkBufferCreateInfo info = {VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO};
  info.pNext = shared ? &external : nullptr;
  info.size = size;
  info.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
               VK_BUFFER_USAGE_TRANSFER_DST_BIT;
  VK_CHECK(vkCreateBuffer(device.get(), &info, nullptr, &buffer_));
  VkMemoryRequirements needs;
  vkGetBufferMemoryRequirements(device.get(), buffer_, &needs);

  VkExportMemoryAllocateInfo exported = {VK_STRUCTURE_TYPE_EXPORT_MEMORY_ALLOCATE_INFO};
  exported.handleTypes = memory_fd;
  VkImportMemoryFdInfoKHR imported = {VK_STRUCTURE_TYPE_IMPORT_MEMORY_FD_INFO_KHR};
  imported.handleType = memory_fd;
  imported.fd = fd;
  VkMemoryAllocateInfo allocate = {VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO};
  if (kind == Memory::exported)
    allocate.pNext = &exported;
  if (kind == Memory::imported)
    allocate.pNext = &imported;
  allocate.allocationSize = needs.size;
  const VkMemoryPropertyFlags local = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
  const VkMemoryPropertyFlags host =
      VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
  allocate.memoryTypeIndex = device.memory_type(needs.memoryTypeBits, kind == Memory::host ? host : local);
  VK_CHECK(vkAllocateMemory(device.get(), &allocate, nullptr, &memory_));
  VK_CHECK(vkBindBufferMemory(device.get(), buffer_, memory_, 0));
}

Buffer::~Buffer() {
  vkDestroyBuffer(device_.get(), buffer_, nullptr);
  vkFreeMemory(device_.get(), memory_, nullptr);
}

std::uint32_t* Buffer::words() {
  if (!mapped_)
    VK_CHECK(vkMapMemory(device_.get(), memory_, 0, VK_WHOLE_SIZE, 0, &mapped_));
  return static_cast<std::uint32_t*>(mapped_);
}

ScaleKernel::ScaleKernel(const Device& device, const Buffer& input, const Buffer& output) : device_(device) {
  VkShaderModuleCreateInfo module_info = {VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO};
  module_info.codeSize = sizeof vulkan_scale_spv;
  module_info.pCode = vulkan_scale_spv;
  VkShaderModule module = nullptr;
  VK_CHECK(vkCreateShaderModule(device.get(), &module_info, nullptr, &module));

  VkDescriptorSetLayoutBinding bindings[2] = {};
  for (std::uint32_t i = 0; i < 2; ++i)
    bindings[i] = {i, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, nullptr};
  VkDescriptorSetLayoutCreateInfo set_info = {VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO};
  set_info.bindingCount = 2;
  set_info.pBindings = bindings;
  VK_CHECK(vkCreateDescriptorSetLayout(device.get(), &set_info, nullptr, &set_layout_));
  const VkPushConstantRange range = {VK_SHADER_STAGE_COMPUTE_BIT, 0, 8};
  VkPipelineLayoutCreateInfo layout_info = {VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO};
  layout_info.setLayoutCount = 1;
  layout_info.pSetLayouts = &set_layout_;
  layout_info.pushConstantRangeCount = 1;
  layout_info.pPushConstantRanges = &range;
  VK_CHECK(vkCreatePipelineLayout(device.get(), &layout_info, nullptr, &layout_));

  VkComputePipelineCreateInfo pipeline_info = {VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO};
  pipeline_info.stage = {VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO};
  pipeline_info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
  pipeline_info.stage.module = module;
  pipeline_info.stage.pName = "main";
  pipeline_info.layout = layout_;
  VK_CHECK(vkCreateComputePipelines(device.get(), nullptr, 1, &pipeline_info, nullptr, &pipeline_));
  vkDestroyShaderModule(device.get(), module, nullptr);

  const VkDescriptorPoolSize size = {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 2};
  VkDescriptorPoolCreateInfo pool_info = {VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO};
  pool_info.maxSets = 1;
  pool_info.poolSizeCount = 1;
  pool_info.pPoolSizes = &size;
  VK_CHECK(vkCreateDescriptorPool(device.get(), &pool_info, nullptr, &pool_));
  VkDescriptorSetAllocateInfo allocate = {VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO};
  allocate.descriptorPool = pool_;
  allocate.descriptorSetCount = 1;
  allocate.pSetLayouts = &set_layout_;
  VK_CHECK(vkAllocateDescriptorSets(device.get(), &allocate, &set_));
  const VkDescriptorBufferInfo buffers[2] = {{input.get(), 0, VK_WHOLE_SIZE},
                                             {output.get(), 0, VK_WHOLE_SIZE}};
  for (std::uint32_t i = 0; i < 2; ++i) {
    VkWriteDescriptorSet write = {VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET};
    write.dstSet = set_;
    write.dstBinding = i;
    write.descriptorCount = 1;
    write.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
    write.pBufferInfo = &buffers[i];
    vkUpdateDescriptorSets(device.get(), 1, &write, 0, nullptr);
  }
}

ScaleKernel::~ScaleKernel() {
  vkDestroyDescriptorPool(device_.get(), pool_, nullptr);
  vkDestroyPipeline(device_.get(), pipeline_, nullptr);
  vkDestroyPipelineLayout(device_.get(), layout_, nullptr);
  vkDestroyDescriptorSetLayout(device_.get(), set_layout_, nullptr);
}

void ScaleKernel::record(VkCommandBuffer commands, std::uint32_t factor, std::uint32_t count) const {
  const std::uint32_t push[2] = {factor, count};
  vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline_);
  vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, layout_, 0, 1, &set_, 0, nullptr);
  vkCmdPushConstants(commands, layout_, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof push, push);
  vkCmdDispatch(commands, (count + 63) / 64, 1, 1);
}

void barrier(VkCommandBuffer commands) {
  VkMemoryBarrier memory = {VK_STRUCTURE_TYPE_MEMORY_BARRIER};
  memory.srcAccessMask = VK_ACCESS_MEMORY_WRITE_BIT;
  memory.dstAccessMask = VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT | VK_ACCESS_HOST_READ_BIT;
  vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT,
                       VK_PIPELINE_STAGE_ALL_COMMANDS_BIT | VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &memory, 0,
                       nullptr, 0, nullptr);
}

void submit(const Device& device, const Submission& submission) {
  const VkPipelineStageFlags stage = VK_PIPELINE_STAGE_ALL_COMMANDS_BIT;
  VkTimelineSemaphoreSubmitInfo values = {VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO};
  VkSubmitInfo info = {VK_STRUCTURE_TYPE_SUBMIT_INFO, &values};
  if (submission.wait) {
    values.waitSemaphoreValueCount = info.waitSemaphoreCount = 1;
    values.pWaitSemaphoreValues = &submission.wait_value;
    info.pWaitSemaphores = &submission.wait;
    info.pWaitDstStageMask = &stage;
  }
  if (submission.signal) {
    values.signalSemaphoreValueCount = info.signalSemaphoreCount = 1;
    values.pSignalSemaphoreValues = &submission.signal_value;
    info.pSignalSemaphores = &submission.signal;
  }
  if (submission.commands) {
    info.commandBufferCount = 1;
    info.pCommandBuffers = &submission.commands;
  }
  VK_CHECK(vkQueueSubmit(device.queue(), 1, &info, submission.fence));
}

} // namespace vulkan_client
