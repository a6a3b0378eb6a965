#include "fixture.hpp"

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <dirent.h>
#include <fstream>

namespace interop {

namespace {

std::unique_ptr<Vulkan> the_vulkan;
CUcontext the_context = nullptr;

std::uint32_t memory_type(std::uint32_t allowed, VkMemoryPropertyFlags wanted,
                          VkMemoryPropertyFlags unwanted) {
  const VkPhysicalDeviceMemoryProperties& memory = vulkan().memory;
  for (std::uint32_t i = 0; i < memory.memoryTypeCount; ++i) {
    VkMemoryPropertyFlags flags = memory.memoryTypes[i].propertyFlags;
    if ((allowed >> i & 1) && (flags & wanted) == wanted && !(flags & unwanted))
      return i;
  }
  if (unwanted)
    return memory_type(allowed, wanted, 0);
  throw std::runtime_error("no such memory type");
}

VkPhysicalDevice find_device(VkInstance instance, std::span<const std::uint8_t, VK_UUID_SIZE> uuid) {
  std::uint32_t count = 0;
  VK(vkEnumeratePhysicalDevices(instance, &count, nullptr));
  std::vector<VkPhysicalDevice> devices(count);
  VK(vkEnumeratePhysicalDevices(instance, &count, devices.data()));
  for (VkPhysicalDevice device : devices) {
    VkPhysicalDeviceIDProperties id{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES};
    VkPhysicalDeviceProperties2 properties{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                           .pNext = &id};
    vkGetPhysicalDeviceProperties2(device, &properties);
    if (std::memcmp(id.deviceUUID, uuid.data(), VK_UUID_SIZE) == 0)
      return device;
  }
  throw std::runtime_error("no Vulkan device has CUDA's UUID");
}

std::uint32_t compute_family(VkPhysicalDevice device) {
  std::uint32_t count = 0;
  vkGetPhysicalDeviceQueueFamilyProperties(device, &count, nullptr);
  std::vector<VkQueueFamilyProperties> families(count);
  vkGetPhysicalDeviceQueueFamilyProperties(device, &count, families.data());
  for (std::uint32_t i = 0; i < count; ++i)
    if ((families[i].queueFlags & VK_QUEUE_COMPUTE_BIT) && !(families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT))
      return i;
  throw std::runtime_error("no compute queue");
}

} // namespace

std::size_t count_entries(const char* directory) {
  std::size_t count = 0;
  std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(directory), ::closedir);
  while (entries && ::readdir(entries.get()))
    ++count;
  return count;
}
std::size_t count_fds() {
  return count_entries("/proc/self/fd");
}
std::size_t count_threads() {
  return count_entries("/proc/self/task");
}
std::size_t count_mappings() {
  std::ifstream maps("/proc/self/maps");
  std::size_t count = 0;
  for (std::string line; std::getline(maps, line);)
    ++count;
  return count;
}

Vulkan::Vulkan(std::span<const std::uint8_t, VK_UUID_SIZE> uuid) {
  VkApplicationInfo application{.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                .apiVersion = VK_API_VERSION_1_2};
  VkInstanceCreateInfo instance{.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                .pApplicationInfo = &application};
  VK(vkCreateInstance(&instance, nullptr, &instance_));
  VkPhysicalDevice physical = find_device(instance_, uuid);
  vkGetPhysicalDeviceMemoryProperties(physical, &memory);

  std::uint32_t family = compute_family(physical);
  float priority = 1.0f;
  VkDeviceQueueCreateInfo queues{.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                 .queueFamilyIndex = family,
                                 .queueCount = 1,
                                 .pQueuePriorities = &priority};
  VkPhysicalDeviceTimelineSemaphoreFeatures timeline{
      .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES, .timelineSemaphore = VK_TRUE};
  const char* extensions[] = {VK_KHR_EXTERNAL_MEMORY_FD_EXTENSION_NAME,
                              VK_KHR_EXTERNAL_SEMAPHORE_FD_EXTENSION_NAME};
  VkDeviceCreateInfo info{.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                          .pNext = &timeline,
                          .queueCreateInfoCount = 1,
                          .pQueueCreateInfos = &queues,
                          .enabledExtensionCount = 2,
                          .ppEnabledExtensionNames = extensions};
  VK(vkCreateDevice(physical, &info, nullptr, &device));
  vkGetDeviceQueue(device, family, 0, &queue);
  VkCommandPoolCreateInfo commands{.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                   .queueFamilyIndex = family};
  VK(vkCreateCommandPool(device, &commands, nullptr, &pool));
  get_memory_fd = reinterpret_cast<PFN_vkGetMemoryFdKHR>(vkGetDeviceProcAddr(device, "vkGetMemoryFdKHR"));
  get_semaphore_fd =
      reinterpret_cast<PFN_vkGetSemaphoreFdKHR>(vkGetDeviceProcAddr(device, "vkGetSemaphoreFdKHR"));
}

Vulkan::~Vulkan() {
  vkDestroyCommandPool(device, pool, nullptr);
  vkDestroyDevice(device, nullptr);
  vkDestroyInstance(instance_, nullptr);
}

Vulkan& vulkan() {
  return *the_vulkan;
}
CUcontext context() {
  return the_context;
}

Buffer::Buffer(VkDeviceSize bytes, Kind kind, bool exported, bool dedicated) : size(bytes) {
  VkExternalMemoryBufferCreateInfo external{.sType = VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO,
                                            .handleTypes = VK_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD_BIT};
  VkBufferCreateInfo info{.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                          .pNext = exported ? &external : nullptr,
                          .size = bytes,
                          .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                                   VK_BUFFER_USAGE_TRANSFER_DST_BIT};
  VK(vkCreateBuffer(vulkan().device, &info, nullptr, &handle));
  VkMemoryRequirements requirements;
  vkGetBufferMemoryRequirements(vulkan().device, handle, &requirements);
  allocated = requirements.size;

  VkMemoryDedicatedAllocateInfo alone{.sType = VK_STRUCTURE_TYPE_MEMORY_DEDICATED_ALLOCATE_INFO,
                                      .buffer = handle};
  VkExportMemoryAllocateInfo exporting{.sType = VK_STRUCTURE_TYPE_EXPORT_MEMORY_ALLOCATE_INFO,
                                       .pNext = dedicated ? &alone : nullptr,
                                       .handleTypes = VK_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD_BIT};
  constexpr VkMemoryPropertyFlags visible =
      VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
  bool local = kind == Kind::device_local;
  VkMemoryAllocateInfo allocation{
      .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
      .pNext = exported ? &exporting : nullptr,
      .allocationSize = requirements.size,
      .memoryTypeIndex =
          local ? memory_type(requirements.memoryTypeBits, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, visible)
                : memory_type(requirements.memoryTypeBits, visible, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT)};
  VK(vkAllocateMemory(vulkan().device, &allocation, nullptr, &memory));
  VK(vkBindBufferMemory(vulkan().device, handle, memory, 0));
  if (!local) {
    void* mapped = nullptr;
    VK(vkMapMemory(vulkan().device, memory, 0, VK_WHOLE_SIZE, 0, &mapped));
    words = static_cast<std::uint32_t*>(mapped);
  }
}

void Buffer::free() {
  vkDestroyBuffer(vulkan().device, std::exchange(handle, VK_NULL_HANDLE), nullptr);
  vkFreeMemory(vulkan().device, std::exchange(memory, VK_NULL_HANDLE), nullptr);
}

int Buffer::export_fd() const {
  VkMemoryGetFdInfoKHR info{.sType = VK_STRUCTURE_TYPE_MEMORY_GET_FD_INFO_KHR,
                            .memory = memory,
                            .handleType = VK_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD_BIT};
  int fd = -1;
  VK(vulkan().get_memory_fd(vulkan().device, &info, &fd));
  return fd;
}

Semaphore::Semaphore(Kind wanted) : kind(wanted) {
  VkSemaphoreTypeCreateInfo type{.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
                                 .semaphoreType = kind == Kind::timeline ? VK_SEMAPHORE_TYPE_TIMELINE
                                                                         : VK_SEMAPHORE_TYPE_BINARY};
  VkExportSemaphoreCreateInfo exporting{.sType = VK_STRUCTURE_TYPE_EXPORT_SEMAPHORE_CREATE_INFO,
                                        .pNext = &type,
                                        .handleTypes = VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_FD_BIT};
  VkSemaphoreCreateInfo info{.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, .pNext = &exporting};
  VK(vkCreateSemaphore(vulkan().device, &info, nullptr, &handle));
}

Semaphore::~Semaphore() {
  vkDestroySemaphore(vulkan().device, handle, nullptr);
}

int Semaphore::export_fd() const {
  VkSemaphoreGetFdInfoKHR info{.sType = VK_STRUCTURE_TYPE_SEMAPHORE_GET_FD_INFO_KHR,
                               .semaphore = handle,
                               .handleType = VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_FD_BIT};
  int fd = -1;
  VK(vulkan().get_semaphore_fd(vulkan().device, &info, &fd));
  return fd;
}

std::uint64_t Semaphore::value() const {
  std::uint64_t now = 0;
  VK(vkGetSemaphoreCounterValue(vulkan().device, handle, &now));
  return now;
}

void Semaphore::signal(std::uint64_t value) {
  VkSemaphoreSignalInfo info{
      .sType = VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO, .semaphore = handle, .value = value};
  VK(vkSignalSemaphore(vulkan().device, &info));
}

bool Semaphore::wait(std::uint64_t value, std::chrono::nanoseconds timeout) const {
  VkSemaphoreWaitInfo info{.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
                           .semaphoreCount = 1,
                           .pSemaphores = &handle,
                           .pValues = &value};
  return vkWaitSemaphores(vulkan().device, &info, static_cast<std::uint64_t>(timeout.count())) == VK_SUCCESS;
}

namespace {
// A VkQueue and a VkCommandPool want one caller at a time.
std::mutex queue_mutex;
std::mutex pool_mutex;
} // namespace

Submission::Submission(const std::function<void(VkCommandBuffer)>& record, std::span<const At> waits,
                       std::span<const At> signals) {
  VkFenceCreateInfo fence{.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
  VK(vkCreateFence(vulkan().device, &fence, nullptr, &fence_));
  {
    std::lock_guard lock(pool_mutex);
    VkCommandBufferAllocateInfo allocation{.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                           .commandPool = vulkan().pool,
                                           .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                           .commandBufferCount = 1};
    VK(vkAllocateCommandBuffers(vulkan().device, &allocation, &commands_));
    VkCommandBufferBeginInfo begin{.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                   .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    VK(vkBeginCommandBuffer(commands_, &begin));
    record(commands_);
    VkMemoryBarrier everything{.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                               .srcAccessMask = VK_ACCESS_MEMORY_WRITE_BIT,
                               .dstAccessMask = VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_HOST_READ_BIT};
    vkCmdPipelineBarrier(commands_, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT,
                         VK_PIPELINE_STAGE_ALL_COMMANDS_BIT | VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &everything,
                         0, nullptr, 0, nullptr);
    VK(vkEndCommandBuffer(commands_));
  }
  std::vector<VkSemaphore> wait_handles, signal_handles;
  std::vector<std::uint64_t> wait_values, signal_values;
  std::vector<VkPipelineStageFlags> stages(waits.size(), VK_PIPELINE_STAGE_ALL_COMMANDS_BIT);
  for (const At& at : waits) {
    wait_handles.push_back(at.semaphore->handle);
    wait_values.push_back(at.value);
  }
  for (const At& at : signals) {
    signal_handles.push_back(at.semaphore->handle);
    signal_values.push_back(at.value);
  }
  VkTimelineSemaphoreSubmitInfo values{.sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
                                       .waitSemaphoreValueCount = static_cast<std::uint32_t>(waits.size()),
                                       .pWaitSemaphoreValues = wait_values.data(),
                                       .signalSemaphoreValueCount =
                                           static_cast<std::uint32_t>(signals.size()),
                                       .pSignalSemaphoreValues = signal_values.data()};
  VkSubmitInfo submit{.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                      .pNext = &values,
                      .waitSemaphoreCount = static_cast<std::uint32_t>(waits.size()),
                      .pWaitSemaphores = wait_handles.data(),
                      .pWaitDstStageMask = stages.data(),
                      .commandBufferCount = 1,
                      .pCommandBuffers = &commands_,
                      .signalSemaphoreCount = static_cast<std::uint32_t>(signals.size()),
                      .pSignalSemaphores = signal_handles.data()};
  std::lock_guard lock(queue_mutex);
  VK(vkQueueSubmit(vulkan().queue, 1, &submit, fence_));
}

Submission::~Submission() {
  vkWaitForFences(vulkan().device, 1, &fence_, VK_TRUE, UINT64_MAX);
  vkDestroyFence(vulkan().device, fence_, nullptr);
  std::lock_guard lock(pool_mutex);
  vkFreeCommandBuffers(vulkan().device, vulkan().pool, 1, &commands_);
}

void Submission::wait() const {
  VK(vkWaitForFences(vulkan().device, 1, &fence_, VK_TRUE, 60'000'000'000));
}

std::function<void(VkCommandBuffer)> fill(const Buffer& buffer, std::uint32_t value, VkDeviceSize offset,
                                          VkDeviceSize size) {
  return [&buffer, value, offset, size](VkCommandBuffer commands) {
    vkCmdFillBuffer(commands, buffer.handle, offset, size, value);
  };
}

std::function<void(VkCommandBuffer)> copy(const Buffer& from, const Buffer& to) {
  return [&](VkCommandBuffer commands) {
    VkBufferCopy region{.size = std::min(from.size, to.size)};
    vkCmdCopyBuffer(commands, from.handle, to.handle, 1, &region);
  };
}

std::function<void(VkCommandBuffer)> nothing() {
  return [](VkCommandBuffer) {};
}

std::vector<std::uint32_t> read_through_vulkan(const Buffer& buffer) {
  Buffer host(buffer.size, Buffer::Kind::host_visible, false);
  Submission(copy(buffer, host)).wait();
  return {host.words, host.words + buffer.size / sizeof(std::uint32_t)};
}

CUDA_EXTERNAL_MEMORY_HANDLE_DESC memory_desc(int fd, unsigned long long size) {
  CUDA_EXTERNAL_MEMORY_HANDLE_DESC desc{};
  desc.type = CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD;
  desc.handle.fd = fd;
  desc.size = size;
  return desc;
}

CUDA_EXTERNAL_MEMORY_BUFFER_DESC buffer_desc(unsigned long long offset, unsigned long long size) {
  CUDA_EXTERNAL_MEMORY_BUFFER_DESC desc{};
  desc.offset = offset;
  desc.size = size;
  return desc;
}

CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC semaphore_desc(int fd, Semaphore::Kind kind) {
  CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC desc{};
  desc.type = kind == Semaphore::Kind::timeline ? CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_TIMELINE_SEMAPHORE_FD
                                                : CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_FD;
  desc.handle.fd = fd;
  return desc;
}

CUexternalMemory import(const Buffer& buffer) {
  CUDA_EXTERNAL_MEMORY_HANDLE_DESC desc = memory_desc(buffer.export_fd(), buffer.allocated);
  CUexternalMemory memory = nullptr;
  CU(cuImportExternalMemory(&memory, &desc));
  return memory;
}

CUdeviceptr map(CUexternalMemory memory, unsigned long long offset, unsigned long long size) {
  CUDA_EXTERNAL_MEMORY_BUFFER_DESC desc = buffer_desc(offset, size);
  CUdeviceptr address = 0;
  CU(cuExternalMemoryGetMappedBuffer(&address, memory, &desc));
  return address;
}

CUexternalSemaphore import(const Semaphore& semaphore) {
  CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC desc = semaphore_desc(semaphore.export_fd(), semaphore.kind);
  CUexternalSemaphore imported = nullptr;
  CU(cuImportExternalSemaphore(&imported, &desc));
  return imported;
}

std::vector<std::uint32_t> read_through_cuda(CUdeviceptr address, std::size_t words) {
  std::vector<std::uint32_t> host(words);
  CU(cuMemcpyDtoH(host.data(), address, words * sizeof(std::uint32_t)));
  return host;
}

void signal(CUstream stream, std::initializer_list<Op> operations) {
  std::vector<CUexternalSemaphore> semaphores;
  std::vector<CUDA_EXTERNAL_SEMAPHORE_SIGNAL_PARAMS> params;
  for (const Op& operation : operations) {
    semaphores.push_back(operation.semaphore);
    params.emplace_back().params.fence.value = operation.value;
  }
  CU(cuSignalExternalSemaphoresAsync(semaphores.data(), params.data(), static_cast<unsigned>(params.size()),
                                     stream));
}

void wait(CUstream stream, std::initializer_list<Op> operations) {
  std::vector<CUexternalSemaphore> semaphores;
  std::vector<CUDA_EXTERNAL_SEMAPHORE_WAIT_PARAMS> params;
  for (const Op& operation : operations) {
    semaphores.push_back(operation.semaphore);
    params.emplace_back().params.fence.value = operation.value;
  }
  CU(cuWaitExternalSemaphoresAsync(semaphores.data(), params.data(), static_cast<unsigned>(params.size()),
                                   stream));
}

struct Gate::State {
  std::mutex mutex;
  std::condition_variable changed;
  bool is_open = false;
};

Gate::Gate(CUstream stream) : state_(std::make_shared<State>()) {
  auto* held = new std::shared_ptr<State>(state_);
  CU(cuLaunchHostFunc(
      stream,
      [](void* pointer) {
        std::unique_ptr<std::shared_ptr<State>> state(static_cast<std::shared_ptr<State>*>(pointer));
        std::unique_lock lock((*state)->mutex);
        (*state)->changed.wait(lock, [&] { return (*state)->is_open; });
      },
      held));
}

void Gate::open() {
  std::lock_guard lock(state_->mutex);
  state_->is_open = true;
  state_->changed.notify_all();
}

testing::AssertionResult all_are(std::span<const std::uint32_t> words, std::uint32_t value) {
  for (std::size_t i = 0; i < words.size(); ++i)
    if (words[i] != value)
      return testing::AssertionFailure()
             << "word " << i << " of " << words.size() << " is " << words[i] << ", not " << value;
  return testing::AssertionSuccess();
}

int run(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  int count = 0;
  if (cuInit(0) != CUDA_SUCCESS || cuDeviceGetCount(&count) != CUDA_SUCCESS || count == 0) {
    std::puts("no GPU");
    const char* preloaded = std::getenv("LD_PRELOAD");
    return preloaded && std::strstr(preloaded, "kfd-emu") ? 1 : 77;
  }
  CUdevice device = 0;
  CU(cuDeviceGet(&device, 0));
  CU(cuCtxCreate(&the_context, 0, device));
  CUuuid uuid{};
  CU(cuDeviceGetUuid(&uuid, device));
  std::uint8_t bytes[VK_UUID_SIZE];
  std::memcpy(bytes, uuid.bytes, sizeof bytes);
  the_vulkan = std::make_unique<Vulkan>(bytes);
  int result = RUN_ALL_TESTS();
  CU(cuCtxDestroy(the_context));
  the_vulkan.reset();
  return result;
}

} // namespace interop

int main(int argc, char** argv) {
  return interop::run(argc, argv);
}
