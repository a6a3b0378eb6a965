// RADV: memory and semaphores that travel as descriptors between two processes, and memory of the host's.
#include "vulkan_fixture.hpp"
#include "vulkan_process.hpp"

#include <algorithm>
#include <fcntl.h>
#include <sys/mman.h>

namespace {

using namespace vulkan_client;

constexpr std::uint32_t count = 4096, rounds = 15;
constexpr VkDeviceSize bytes = count * 4;
constexpr auto sync_fd = VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_SYNC_FD_BIT;

struct Case {
  const char* name;
  VkExternalMemoryHandleTypeFlagBits memory;
  bool sync_files; // a new sync_file for every frame, else two binary semaphores for all
};
const Case cases[] = {
    {"opaque_memory_and_binary_semaphores", VK_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD_BIT, false},
    {"dma_buf_and_binary_semaphores", VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT, false},
    {"opaque_memory_and_sync_files", VK_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD_BIT, true},
    {"dma_buf_and_sync_files", VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT, true},
};

void wait_and_free(const Device& device, VkFence fence) {
  VK_CHECK(vkWaitForFences(device.get(), 1, &fence, VK_TRUE, wait_limit));
  vkDestroyFence(device.get(), fence, nullptr);
}

// Doubles the shared buffer in every round, between the parent's fill and its check.
int child_main(int socket, const char* role) {
  const auto* what = std::find_if(std::begin(cases), std::end(cases),
                                  [role](const Case& c) { return std::strcmp(c.name, role) == 0; });
  Peer parent(socket);
  const Device device(Device::compute);
  const std::vector<int> fds = parent.receive();
  const Buffer shared(device, bytes, Buffer::Memory::imported, fds.at(0), what->memory);
  const ScaleKernel kernel(device, shared, shared);
  const auto type = what->sync_files ? sync_fd : semaphore_fd;
  const VkSemaphore filled = device.semaphore(VK_SEMAPHORE_TYPE_BINARY);
  const VkSemaphore doubled = device.semaphore(VK_SEMAPHORE_TYPE_BINARY, 0, what->sync_files, sync_fd);
  if (!what->sync_files) {
    device.import_semaphore(filled, fds.at(1));
    device.import_semaphore(doubled, fds.at(2));
  }
  for (std::uint32_t round = 0; round < rounds; ++round) {
    const std::vector<int> frame = parent.receive();
    if (what->sync_files)
      device.import_semaphore(filled, frame.at(0), type);
    Submission submission;
    submission.commands = device.begin();
    kernel.record(submission.commands, 2, count);
    barrier(submission.commands);
    device.end(submission.commands);
    submission.wait = filled;
    submission.signal = doubled;
    submission.fence = device.fence();
    submit(device, submission);
    if (what->sync_files)
      parent.send({device.export_semaphore(doubled, type)});
    else
      parent.send();
    wait_and_free(device, submission.fence);
  }
  vkDestroySemaphore(device.get(), filled, nullptr);
  vkDestroySemaphore(device.get(), doubled, nullptr);
  return 0;
}

class VulkanProcesses : public ::testing::TestWithParam<Case> {};

TEST_P(VulkanProcesses, share) {
  const Case& what = GetParam();
  Peer child(what.name);
  const Device device;
  const auto type = what.sync_files ? sync_fd : semaphore_fd;
  const Buffer shared(device, bytes, Buffer::Memory::exported, -1, what.memory);
  Cleared check(device, bytes);
  const VkSemaphore filled = device.semaphore(VK_SEMAPHORE_TYPE_BINARY, 0, true, type);
  const VkSemaphore doubled = device.semaphore(VK_SEMAPHORE_TYPE_BINARY, 0, !what.sync_files, type);
  std::vector<int> fds = {device.export_memory(shared.memory(), what.memory)};
  if (!what.sync_files) {
    fds.push_back(device.export_semaphore(filled));
    fds.push_back(device.export_semaphore(doubled));
  }
  child.send(fds);
  for (std::uint32_t round = 0; round < rounds; ++round) {
    Submission first, second;
    first.commands = device.begin();
    vkCmdFillBuffer(first.commands, shared.get(), 0, VK_WHOLE_SIZE, round + 10);
    barrier(first.commands);
    device.end(first.commands);
    first.signal = filled;
    submit(device, first);
    if (what.sync_files)
      child.send({device.export_semaphore(filled, type)});
    else
      child.send();
    const std::vector<int> frame = child.receive(); // the child has submitted: its signal is there
    if (what.sync_files)
      device.import_semaphore(doubled, frame.at(0), type);
    second.commands = device.begin();
    const VkBufferCopy region = {0, 0, bytes};
    vkCmdCopyBuffer(second.commands, shared.get(), check.get(), 1, &region);
    barrier(second.commands);
    device.end(second.commands);
    second.wait = doubled;
    second.fence = device.fence();
    submit(device, second);
    wait_and_free(device, second.fence);
    for (std::uint32_t i = 0; i < count; ++i)
      ASSERT_EQ(check.words()[i], (round + 10) * 2 + i) << "round " << round;
  }
  EXPECT_EQ(child.end(), 0);
  vkDestroySemaphore(device.get(), filled, nullptr);
  vkDestroySemaphore(device.get(), doubled, nullptr);
}

INSTANTIATE_TEST_SUITE_P(handles, VulkanProcesses, ::testing::ValuesIn(cases),
                         [](const auto& which) { return which.param.name; });

VkResult try_import(const Device& device, int fd, VkExternalMemoryHandleTypeFlagBits type) {
  VkImportMemoryFdInfoKHR imported = {VK_STRUCTURE_TYPE_IMPORT_MEMORY_FD_INFO_KHR};
  imported.handleType = type;
  imported.fd = fd;
  VkMemoryAllocateInfo allocate = {VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, &imported};
  allocate.allocationSize = bytes;
  allocate.memoryTypeIndex = device.memory_type(~0u, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT);
  VkDeviceMemory memory = nullptr;
  const VkResult result = vkAllocateMemory(device.get(), &allocate, nullptr, &memory);
  vkFreeMemory(device.get(), memory, nullptr);
  return result;
}

TEST(VulkanSharingErrors, wrong_descriptors_are_refused_and_stay_open) {
  const Device device;
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  const VkSemaphore semaphore = device.semaphore(VK_SEMAPHORE_TYPE_BINARY, 0, true);
  const int semaphore_file = device.export_semaphore(semaphore);
  for (const int fd : {pipe_ends[0], null, semaphore_file})
    for (const auto type :
         {VK_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD_BIT, VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT}) {
      EXPECT_EQ(try_import(device, fd, type), VK_ERROR_INVALID_EXTERNAL_HANDLE);
      EXPECT_NE(fcntl(fd, F_GETFD), -1);
    }
  const Buffer exported(device, bytes, Buffer::Memory::exported);
  const int memory_file = device.export_memory(exported.memory());
  const auto import = device.function<PFN_vkImportSemaphoreFdKHR>("vkImportSemaphoreFdKHR");
  VkImportSemaphoreFdInfoKHR info = {VK_STRUCTURE_TYPE_IMPORT_SEMAPHORE_FD_INFO_KHR};
  info.semaphore = semaphore;
  info.handleType = semaphore_fd;
  for (const int fd : {pipe_ends[0], null, memory_file}) {
    info.fd = fd;
    EXPECT_NE(import(device.get(), &info), VK_SUCCESS);
    EXPECT_NE(fcntl(fd, F_GETFD), -1);
  }
  for (const int fd : {pipe_ends[0], pipe_ends[1], null, semaphore_file, memory_file})
    close(fd);
  vkDestroySemaphore(device.get(), semaphore, nullptr);
}

// The program's own pages as Vulkan memory.
TEST(VulkanHostMemory, pages_of_the_program_are_imported) {
  const Device device;
  if (!device.has_extension(VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME))
    GTEST_SKIP() << "no external host memory";
  void* pages = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(pages, MAP_FAILED);
  auto* words = static_cast<std::uint32_t*>(pages);
  for (std::uint32_t i = 0; i < count; ++i)
    words[i] = i * 3;
  constexpr auto type = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT;
  VkMemoryHostPointerPropertiesEXT properties = {VK_STRUCTURE_TYPE_MEMORY_HOST_POINTER_PROPERTIES_EXT};
  VK_CHECK(device.function<PFN_vkGetMemoryHostPointerPropertiesEXT>("vkGetMemoryHostPointerPropertiesEXT")(
      device.get(), type, pages, &properties));
  VkExternalMemoryBufferCreateInfo external = {VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO};
  external.handleTypes = type;
  VkBufferCreateInfo info = {VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, &external};
  info.size = bytes;
  info.usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
  VkBuffer buffer = nullptr;
  VK_CHECK(vkCreateBuffer(device.get(), &info, nullptr, &buffer));
  VkImportMemoryHostPointerInfoEXT imported = {VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT};
  imported.handleType = type;
  imported.pHostPointer = pages;
  VkMemoryAllocateInfo allocate = {VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, &imported};
  allocate.allocationSize = bytes;
  allocate.memoryTypeIndex = device.memory_type(properties.memoryTypeBits, 0);
  VkDeviceMemory memory = nullptr;
  VK_CHECK(vkAllocateMemory(device.get(), &allocate, nullptr, &memory));
  VK_CHECK(vkBindBufferMemory(device.get(), buffer, memory, 0));

  Cleared copy(device, bytes);
  Submission submission;
  submission.commands = device.begin();
  const VkBufferCopy region = {0, 0, bytes};
  vkCmdCopyBuffer(submission.commands, buffer, copy.get(), 1, &region);
  barrier(submission.commands);
  vkCmdFillBuffer(submission.commands, buffer, bytes / 2, VK_WHOLE_SIZE, 77);
  barrier(submission.commands);
  device.end(submission.commands);
  submission.fence = device.fence();
  submit(device, submission);
  wait_and_free(device, submission.fence);
  for (std::uint32_t i = 0; i < count; ++i) {
    ASSERT_EQ(copy.words()[i], i * 3);
    ASSERT_EQ(words[i], i < count / 2 ? i * 3 : 77);
  }
  vkDestroyBuffer(device.get(), buffer, nullptr);
  vkFreeMemory(device.get(), memory, nullptr);
  munmap(pages, bytes);
}

} // namespace

int main(int argc, char** argv) {
  if (argc == 4 && std::strcmp(argv[1], "--child") == 0)
    return child_main(std::atoi(argv[2]), argv[3]);
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
