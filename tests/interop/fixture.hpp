// What the interop tests share: one Vulkan device and one CUDA context on the same GPU, objects that Vulkan
// exports, and their import into CUDA. A failed call ends the test with the call's text and its result.
#pragma once

#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <mutex>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <cuda.h>
#include <vulkan/vulkan.h>

#define VK(call) ::interop::require_zero((call), #call)
#define CU(call) ::interop::require_zero((call), #call)

namespace interop {

template <class Code>
void require_zero(Code code, const char* call) {
  if (static_cast<int>(code) != 0)
    throw std::runtime_error(std::string(call) + " answered " + std::to_string(static_cast<int>(code)));
}

inline bool is_open(int fd) {
  return ::fcntl(fd, F_GETFD) != -1;
}

// How many descriptors, threads and mappings the process has.
std::size_t count_entries(const char* directory);
std::size_t count_fds();
std::size_t count_threads();
std::size_t count_mappings();

// The Vulkan device and its compute queue. One in the process.
class Vulkan {
public:
  // Throws where no device has this UUID.
  explicit Vulkan(std::span<const std::uint8_t, VK_UUID_SIZE> uuid);
  ~Vulkan();

  VkDevice device = VK_NULL_HANDLE;
  VkQueue queue = VK_NULL_HANDLE;
  VkCommandPool pool = VK_NULL_HANDLE;
  VkPhysicalDeviceMemoryProperties memory = {};
  PFN_vkGetMemoryFdKHR get_memory_fd = nullptr;
  PFN_vkGetSemaphoreFdKHR get_semaphore_fd = nullptr;

private:
  VkInstance instance_ = VK_NULL_HANDLE;
};

Vulkan& vulkan();
CUcontext context();

// A buffer with memory of its own, exported where asked.
class Buffer {
public:
  enum class Kind { device_local, host_visible };
  explicit Buffer(VkDeviceSize size, Kind kind = Kind::device_local, bool exported = true,
                  bool dedicated = false);
  ~Buffer() { free(); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  void free();
  int export_fd() const; // a new one each time

  VkBuffer handle = VK_NULL_HANDLE;
  VkDeviceMemory memory = VK_NULL_HANDLE;
  VkDeviceSize size = 0;
  VkDeviceSize allocated = 0;     // of the memory object
  std::uint32_t* words = nullptr; // host_visible
};

class Semaphore {
public:
  enum class Kind { binary, timeline };
  explicit Semaphore(Kind kind);
  ~Semaphore();
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;
  int export_fd() const;
  std::uint64_t value() const;                                            // timeline
  void signal(std::uint64_t value);                                       // timeline, by the host
  bool wait(std::uint64_t value, std::chrono::nanoseconds timeout) const; // timeline, by the host

  VkSemaphore handle = VK_NULL_HANDLE;
  Kind kind;
};

struct At {
  const Semaphore* semaphore;
  std::uint64_t value = 0;
};

// One submission. wait() ends when the GPU has done it; the destructor waits too.
class Submission {
public:
  Submission(const std::function<void(VkCommandBuffer)>& record, std::span<const At> waits = {},
             std::span<const At> signals = {});
  ~Submission();
  Submission(const Submission&) = delete;
  Submission& operator=(const Submission&) = delete;
  bool done() const { return vkGetFenceStatus(vulkan().device, fence_) == VK_SUCCESS; }
  void wait() const;

private:
  VkCommandBuffer commands_ = VK_NULL_HANDLE;
  VkFence fence_ = VK_NULL_HANDLE;
};

// Vulkan work for submissions.
std::function<void(VkCommandBuffer)> fill(const Buffer& buffer, std::uint32_t value, VkDeviceSize offset = 0,
                                          VkDeviceSize size = VK_WHOLE_SIZE);
std::function<void(VkCommandBuffer)> copy(const Buffer& from, const Buffer& to);
std::function<void(VkCommandBuffer)> nothing();

// What Vulkan finds in a buffer, read through the GPU.
std::vector<std::uint32_t> read_through_vulkan(const Buffer& buffer);

// --- CUDA's side ---
CUDA_EXTERNAL_MEMORY_HANDLE_DESC memory_desc(int fd, unsigned long long size);
CUDA_EXTERNAL_MEMORY_BUFFER_DESC buffer_desc(unsigned long long offset, unsigned long long size);
CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC semaphore_desc(int fd, Semaphore::Kind kind);
CUexternalMemory import(const Buffer& buffer);
CUdeviceptr map(CUexternalMemory memory, unsigned long long offset, unsigned long long size);
CUexternalSemaphore import(const Semaphore& semaphore);
std::vector<std::uint32_t> read_through_cuda(CUdeviceptr address, std::size_t words);

// Page-locked host memory: asynchronous copies to it return at once.
class Pinned {
public:
  explicit Pinned(std::size_t count) : count_(count) {
    void* memory = nullptr;
    CU(cuMemAllocHost(&memory, count * sizeof(std::uint32_t)));
    words = static_cast<std::uint32_t*>(memory);
  }
  ~Pinned() { cuMemFreeHost(words); }
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;
  operator std::span<const std::uint32_t>() const { return {words, count_}; }
  std::uint32_t* words = nullptr;

private:
  std::size_t count_;
};

struct Op {
  CUexternalSemaphore semaphore;
  unsigned long long value = 0;
};
void signal(CUstream stream, std::initializer_list<Op> operations);
void wait(CUstream stream, std::initializer_list<Op> operations);

class Stream {
public:
  Stream() { CU(cuStreamCreate(&handle, CU_STREAM_NON_BLOCKING)); }
  ~Stream() {
    if (handle)
      cuStreamDestroy(handle);
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  operator CUstream() const { return handle; }
  CUstream handle = nullptr;
};

// Work in a stream that is done when the test says so.
class Gate {
public:
  explicit Gate(CUstream stream);
  ~Gate() { open(); }
  void open();

private:
  struct State;
  std::shared_ptr<State> state_;
};

testing::AssertionResult all_are(std::span<const std::uint32_t> words, std::uint32_t value);

// Opens both sides. 77 from main() where there is no GPU, except under the emulated one.
int run(int argc, char** argv);

} // namespace interop
