#include "vulkan_client.hpp"

#include "vulkan_scale_spv.h"

#include <algorithm>
#include <cstring>

namespace vulkan_client {

namespace {

constexpr const char* wanted_extensions[] = {
    VK_KHR_EXTERNAL_MEMORY_FD_EXTENSION_NAME,    VK_KHR_EXTERNAL_SEMAPHORE_FD_EXTENSION_NAME,
    VK_KHR_EXTERNAL_FENCE_FD_EXTENSION_NAME,     VK_EXT_EXTERNAL_MEMORY_DMA_BUF_EXTENSION_NAME,
    VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME,  VK_EXT_CONDITIONAL_RENDERING_EXTENSION_NAME,
    VK_EXT_SHADER_ATOMIC_FLOAT_EXTENSION_NAME,   VK_EXT_SHADER_ATOMIC_FLOAT_2_EXTENSION_NAME,
    VK_EXT_ROBUSTNESS_2_EXTENSION_NAME,          VK_KHR_SHADER_CLOCK_EXTENSION_NAME,
    VK_EXT_CALIBRATED_TIMESTAMPS_EXTENSION_NAME, VK_AMD_BUFFER_MARKER_EXTENSION_NAME,
    VK_KHR_PUSH_DESCRIPTOR_EXTENSION_NAME,
};

// The features of one device, chained, as it has them.
struct Features {
  explicit Features(const Device& device, VkPhysicalDevice physical) {
    void** end = &all.pNext;
    const auto chain = [&end](auto& part) {
      *end = &part;
      end = &part.pNext;
    };
    chain(vulkan_11);
    chain(vulkan_12);
    chain(vulkan_13);
    if (device.has_extension(VK_EXT_CONDITIONAL_RENDERING_EXTENSION_NAME))
      chain(conditional);
    if (device.has_extension(VK_EXT_SHADER_ATOMIC_FLOAT_EXTENSION_NAME))
      chain(atomic_float);
    if (device.has_extension(VK_EXT_SHADER_ATOMIC_FLOAT_2_EXTENSION_NAME))
      chain(atomic_float_2);
    if (device.has_extension(VK_EXT_ROBUSTNESS_2_EXTENSION_NAME))
      chain(robustness);
    if (device.has_extension(VK_KHR_SHADER_CLOCK_EXTENSION_NAME))
      chain(clock);
    vkGetPhysicalDeviceFeatures2(physical, &all);
  }

  VkPhysicalDeviceFeatures2 all = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
  VkPhysicalDeviceVulkan11Features vulkan_11 = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES};
  VkPhysicalDeviceVulkan12Features vulkan_12 = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
  VkPhysicalDeviceVulkan13Features vulkan_13 = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES};
  VkPhysicalDeviceConditionalRenderingFeaturesEXT conditional = {
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_CONDITIONAL_RENDERING_FEATURES_EXT};
  VkPhysicalDeviceShaderAtomicFloatFeaturesEXT atomic_float = {
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_ATOMIC_FLOAT_FEATURES_EXT};
  VkPhysicalDeviceShaderAtomicFloat2FeaturesEXT atomic_float_2 = {
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_ATOMIC_FLOAT_2_FEATURES_EXT};
  VkPhysicalDeviceRobustness2FeaturesEXT robustness = {
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ROBUSTNESS_2_FEATURES_EXT};
  VkPhysicalDeviceShaderClockFeaturesKHR clock = {
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CLOCK_FEATURES_KHR};
};

} // namespace

Device::Device(VkQueueFlags queue_flags) {
  VkApplicationInfo application = {VK_STRUCTURE_TYPE_APPLICATION_INFO};
  application.apiVersion = VK_API_VERSION_1_3;
  VkInstanceCreateInfo instance_info = {VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO};
  instance_info.pApplicationInfo = &application;
  VK_CHECK(vkCreateInstance(&instance_info, nullptr, &instance_));
  std::uint32_t count = 1;
  const VkResult found = vkEnumeratePhysicalDevices(instance_, &count, &physical_);
  if ((found != VK_SUCCESS && found != VK_INCOMPLETE) || count != 1) {
    std::fprintf(stderr, "no Vulkan device\n");
    std::abort();
  }
  vkGetPhysicalDeviceProperties(physical_, &properties_);

  vkGetPhysicalDeviceQueueFamilyProperties(physical_, &count, nullptr);
  families_.resize(count);
  vkGetPhysicalDeviceQueueFamilyProperties(physical_, &count, families_.data());
  const auto fits = [queue_flags](const VkQueueFamilyProperties& family) {
    return (family.queueFlags & graphics) == queue_flags && (family.queueFlags & VK_QUEUE_TRANSFER_BIT);
  };
  family_ = static_cast<std::uint32_t>(std::ranges::find_if(families_, fits) - families_.begin());

  VK_CHECK(vkEnumerateDeviceExtensionProperties(physical_, nullptr, &count, nullptr));
  std::vector<VkExtensionProperties> extensions(count);
  VK_CHECK(vkEnumerateDeviceExtensionProperties(physical_, nullptr, &count, extensions.data()));
  for (const char* wanted : wanted_extensions)
    for (const VkExtensionProperties& extension : extensions)
      if (std::strcmp(extension.extensionName, wanted) == 0)
        extensions_.push_back(wanted);
  if (has_family())
    create_device();
}

void Device::create_device() {
  const std::vector<float> priorities(16, 1);
  std::vector<VkDeviceQueueCreateInfo> queues;
  for (std::uint32_t i = 0; i < families_.size(); ++i) {
    VkDeviceQueueCreateInfo queue = {VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO};
    queue.queueFamilyIndex = i;
    queue.queueCount = families_[i].queueCount;
    queue.pQueuePriorities = priorities.data();
    queues.push_back(queue);
  }
  std::vector<const char*> names;
  for (const std::string& name : extensions_)
    names.push_back(name.c_str());
  Features features(*this, physical_);
  VkDeviceCreateInfo info = {VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, &features.all};
  info.queueCreateInfoCount = static_cast<std::uint32_t>(queues.size());
  info.pQueueCreateInfos = queues.data();
  info.enabledExtensionCount = static_cast<std::uint32_t>(names.size());
  info.ppEnabledExtensionNames = names.data();
  VK_CHECK(vkCreateDevice(physical_, &info, nullptr, &device_));
  VkCommandPoolCreateInfo pool_info = {VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
  pool_info.queueFamilyIndex = family_;
  VK_CHECK(vkCreateCommandPool(device_, &pool_info, nullptr, &pool_));
}

Device::~Device() {
  if (device_) {
    vkDeviceWaitIdle(device_);
    vkDestroyCommandPool(device_, pool_, nullptr);
    vkDestroyDevice(device_, nullptr);
  }
  vkDestroyInstance(instance_, nullptr);
}

VkQueue Device::queue(std::uint32_t index) const {
  VkQueue queue = nullptr;
  vkGetDeviceQueue(device_, family_, index, &queue);
  return queue;
}

VkQueue Device::sparse_queue() const {
  const auto binds = [](const VkQueueFamilyProperties& family) {
    return (family.queueFlags & VK_QUEUE_SPARSE_BINDING_BIT) != 0;
  };
  const auto family = std::ranges::find_if(families_, binds) - families_.begin();
  VkQueue queue = nullptr;
  vkGetDeviceQueue(device_, static_cast<std::uint32_t>(family), 0, &queue);
  return queue;
}

bool Device::has_extension(const char* name) const {
  return std::ranges::find(extensions_, name) != extensions_.end();
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

int Device::export_memory(VkDeviceMemory memory, VkExternalMemoryHandleTypeFlagBits type) const {
  VkMemoryGetFdInfoKHR info = {VK_STRUCTURE_TYPE_MEMORY_GET_FD_INFO_KHR};
  info.memory = memory;
  info.handleType = type;
  int fd = -1;
  VK_CHECK(function<PFN_vkGetMemoryFdKHR>("vkGetMemoryFdKHR")(device_, &info, &fd));
  return fd;
}

int Device::export_semaphore(VkSemaphore semaphore, VkExternalSemaphoreHandleTypeFlagBits type) const {
  VkSemaphoreGetFdInfoKHR info = {VK_STRUCTURE_TYPE_SEMAPHORE_GET_FD_INFO_KHR};
  info.semaphore = semaphore;
  info.handleType = type;
  int fd = -1;
  VK_CHECK(function<PFN_vkGetSemaphoreFdKHR>("vkGetSemaphoreFdKHR")(device_, &info, &fd));
  return fd;
}

void Device::import_semaphore(VkSemaphore semaphore, int fd,
                              VkExternalSemaphoreHandleTypeFlagBits type) const {
  VkImportSemaphoreFdInfoKHR info = {VK_STRUCTURE_TYPE_IMPORT_SEMAPHORE_FD_INFO_KHR};
  info.semaphore = semaphore;
  info.handleType = type;
  info.fd = fd;
  if (type == VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_SYNC_FD_BIT)
    info.flags = VK_SEMAPHORE_IMPORT_TEMPORARY_BIT;
  VK_CHECK(function<PFN_vkImportSemaphoreFdKHR>("vkImportSemaphoreFdKHR")(device_, &info));
}

VkSemaphore Device::semaphore(VkSemaphoreType type, std::uint64_t value, bool exportable,
                              VkExternalSemaphoreHandleTypeFlagBits handle) const {
  VkExportSemaphoreCreateInfo exported = {VK_STRUCTURE_TYPE_EXPORT_SEMAPHORE_CREATE_INFO};
  exported.handleTypes = handle;
  VkSemaphoreTypeCreateInfo kind = {VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO};
  kind.pNext = exportable ? &exported : nullptr;
  kind.semaphoreType = type;
  kind.initialValue = value;
  VkSemaphoreCreateInfo info = {VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, &kind};
  VkSemaphore semaphore = nullptr;
  VK_CHECK(vkCreateSemaphore(device_, &info, nullptr, &semaphore));
  return semaphore;
}

VkCommandBuffer Device::begin(VkCommandBufferLevel level, VkCommandBufferUsageFlags usage) const {
  VkCommandBufferAllocateInfo allocate = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
  allocate.commandPool = pool_;
  allocate.level = level;
  allocate.commandBufferCount = 1;
  VkCommandBuffer commands = nullptr;
  VK_CHECK(vkAllocateCommandBuffers(device_, &allocate, &commands));
  VkCommandBufferInheritanceInfo inherited = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_INHERITANCE_INFO};
  VkCommandBufferBeginInfo info = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  info.flags = usage;
  info.pInheritanceInfo = &inherited;
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

Buffer::Buffer(const Device& device, VkDeviceSize size, Memory kind, int fd,
               VkExternalMemoryHandleTypeFlagBits type)
    : device_(device), size_(size) {
  const bool shared = kind == Memory::exported || kind == Memory::imported;
  VkExternalMemoryBufferCreateInfo external = {VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO};
  external.handleTypes = type;
  VkBufferCreateInfo info = {VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO};
  info.pNext = shared ? &external : nullptr;
  info.size = size;
  info.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_BUFFER_BIT |
               VK_BUFFER_USAGE_STORAGE_TEXEL_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT |
               VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT | VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT |
               VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
  if (device.has_extension(VK_EXT_CONDITIONAL_RENDERING_EXTENSION_NAME))
    info.usage |= VK_BUFFER_USAGE_CONDITIONAL_RENDERING_BIT_EXT;
  VK_CHECK(vkCreateBuffer(device.get(), &info, nullptr, &buffer_));
  VkMemoryRequirements needs;
  vkGetBufferMemoryRequirements(device.get(), buffer_, &needs);

  VkExportMemoryAllocateInfo exported = {VK_STRUCTURE_TYPE_EXPORT_MEMORY_ALLOCATE_INFO};
  exported.handleTypes = type;
  VkImportMemoryFdInfoKHR imported = {VK_STRUCTURE_TYPE_IMPORT_MEMORY_FD_INFO_KHR};
  imported.handleType = type;
  imported.fd = fd;
  VkMemoryAllocateFlagsInfo flags = {VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO};
  flags.flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT;
  VkMemoryAllocateInfo allocate = {VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, &flags};
  if (kind == Memory::exported)
    flags.pNext = &exported;
  if (kind == Memory::imported)
    flags.pNext = &imported;
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

VkDeviceAddress Buffer::address() const {
  VkBufferDeviceAddressInfo info = {VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO};
  info.buffer = buffer_;
  return vkGetBufferDeviceAddress(device_.get(), &info);
}

void* Buffer::map() {
  if (!mapped_)
    VK_CHECK(vkMapMemory(device_.get(), memory_, 0, VK_WHOLE_SIZE, 0, &mapped_));
  return mapped_;
}

Binding storage(const Buffer& buffer, VkDeviceSize offset, VkDeviceSize range) {
  return {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, {{buffer.get(), offset, range}}, nullptr, {}};
}

Binding uniform(const Buffer& buffer, VkDeviceSize offset, VkDeviceSize range) {
  return {VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER, {{buffer.get(), offset, range}}, nullptr, {}};
}

Kernel::Kernel(const Device& device, std::span<const std::uint32_t> code,
               const std::vector<Binding>& bindings, const KernelOptions& options)
    : device_(device), push_bytes_(options.push_bytes) {
  VkShaderModuleCreateInfo module_info = {VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO};
  module_info.codeSize = code.size_bytes();
  module_info.pCode = code.data();
  VkShaderModule module = nullptr;
  VK_CHECK(vkCreateShaderModule(device.get(), &module_info, nullptr, &module));
  create_set(bindings);
  const VkPushConstantRange range = {VK_SHADER_STAGE_COMPUTE_BIT, 0, push_bytes_};
  VkPipelineLayoutCreateInfo layout_info = {VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO};
  layout_info.setLayoutCount = 1;
  layout_info.pSetLayouts = &set_layout_;
  layout_info.pushConstantRangeCount = push_bytes_ != 0;
  layout_info.pPushConstantRanges = &range;
  VK_CHECK(vkCreatePipelineLayout(device.get(), &layout_info, nullptr, &layout_));

  std::vector<VkSpecializationMapEntry> entries;
  for (std::uint32_t i = 0; i < options.constants.size(); ++i)
    entries.push_back({i, i * 4, 4});
  const VkSpecializationInfo specialization = {static_cast<std::uint32_t>(entries.size()), entries.data(),
                                               options.constants.size() * 4, options.constants.data()};
  VkPipelineShaderStageRequiredSubgroupSizeCreateInfo subgroup = {
      VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO};
  subgroup.requiredSubgroupSize = options.subgroup_size;
  VkComputePipelineCreateInfo info = {VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO};
  info.flags = options.dispatch_base ? VK_PIPELINE_CREATE_DISPATCH_BASE_BIT : 0;
  info.stage = {VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO};
  if (options.subgroup_size)
    info.stage.pNext = &subgroup;
  info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
  info.stage.module = module;
  info.stage.pName = "main";
  info.stage.pSpecializationInfo = &specialization;
  info.layout = layout_;
  VK_CHECK(vkCreateComputePipelines(device.get(), nullptr, 1, &info, nullptr, &pipeline_));
  vkDestroyShaderModule(device.get(), module, nullptr);
}

void Kernel::create_set(const std::vector<Binding>& bindings) {
  std::vector<VkDescriptorSetLayoutBinding> layouts;
  std::vector<VkDescriptorPoolSize> sizes;
  std::vector<VkWriteDescriptorSet> writes;
  std::vector<VkWriteDescriptorSetInlineUniformBlock> blocks(bindings.size());
  for (std::uint32_t i = 0; i < bindings.size(); ++i) {
    const Binding& binding = bindings[i];
    blocks[i] = {VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET_INLINE_UNIFORM_BLOCK};
    blocks[i].dataSize = static_cast<std::uint32_t>(binding.inline_words.size() * 4);
    blocks[i].pData = binding.inline_words.data();
    VkWriteDescriptorSet write = {VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET};
    write.dstBinding = i;
    write.descriptorType = binding.type;
    write.descriptorCount = std::max<std::uint32_t>(1, static_cast<std::uint32_t>(binding.buffers.size()));
    write.pBufferInfo = binding.buffers.data();
    write.pTexelBufferView = &binding.view;
    if (binding.type == VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK) {
      write.descriptorCount = blocks[i].dataSize;
      write.pNext = &blocks[i];
    }
    writes.push_back(write);
    layouts.push_back({i, binding.type, write.descriptorCount, VK_SHADER_STAGE_COMPUTE_BIT, nullptr});
    sizes.push_back({binding.type, write.descriptorCount});
  }
  VkDescriptorSetLayoutCreateInfo set_info = {VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO};
  set_info.bindingCount = static_cast<std::uint32_t>(layouts.size());
  set_info.pBindings = layouts.data();
  VK_CHECK(vkCreateDescriptorSetLayout(device_.get(), &set_info, nullptr, &set_layout_));
  VkDescriptorPoolInlineUniformBlockCreateInfo inline_info = {
      VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_INLINE_UNIFORM_BLOCK_CREATE_INFO};
  inline_info.maxInlineUniformBlockBindings = static_cast<std::uint32_t>(bindings.size());
  VkDescriptorPoolCreateInfo pool_info = {VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO, &inline_info};
  pool_info.maxSets = 1;
  pool_info.poolSizeCount = static_cast<std::uint32_t>(sizes.size());
  pool_info.pPoolSizes = sizes.data();
  VK_CHECK(vkCreateDescriptorPool(device_.get(), &pool_info, nullptr, &pool_));
  VkDescriptorSetAllocateInfo allocate = {VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO};
  allocate.descriptorPool = pool_;
  allocate.descriptorSetCount = 1;
  allocate.pSetLayouts = &set_layout_;
  VK_CHECK(vkAllocateDescriptorSets(device_.get(), &allocate, &set_));
  for (VkWriteDescriptorSet& write : writes)
    write.dstSet = set_;
  vkUpdateDescriptorSets(device_.get(), static_cast<std::uint32_t>(writes.size()), writes.data(), 0, nullptr);
}

Kernel::~Kernel() {
  vkDestroyDescriptorPool(device_.get(), pool_, nullptr);
  vkDestroyPipeline(device_.get(), pipeline_, nullptr);
  vkDestroyPipelineLayout(device_.get(), layout_, nullptr);
  vkDestroyDescriptorSetLayout(device_.get(), set_layout_, nullptr);
}

void Kernel::bind(VkCommandBuffer commands, const void* push,
                  const std::vector<std::uint32_t>& dynamic_offsets) const {
  vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline_);
  vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, layout_, 0, 1, &set_,
                          static_cast<std::uint32_t>(dynamic_offsets.size()), dynamic_offsets.data());
  if (push_bytes_)
    vkCmdPushConstants(commands, layout_, VK_SHADER_STAGE_COMPUTE_BIT, 0, push_bytes_, push);
}

ScaleKernel::ScaleKernel(const Device& device, const Buffer& input, const Buffer& output)
    : kernel_(device, vulkan_scale_spv, {storage(input), storage(output)}, {.push_bytes = 8}) {}

void ScaleKernel::record(VkCommandBuffer commands, std::uint32_t factor, std::uint32_t count) const {
  const std::uint32_t push[2] = {factor, count};
  kernel_.bind(commands, push);
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

void submit(const Device& device, const Submission& submission, VkQueue queue) {
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
  VK_CHECK(vkQueueSubmit(queue ? queue : device.queue(), 1, &info, submission.fence));
}

} // namespace vulkan_client
