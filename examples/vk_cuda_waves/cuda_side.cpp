#include "cuda_side.hpp"

#include <cstring>
#include <stdexcept>

#include "check.hpp"
#include "shade_ptx.h"

namespace waves {

namespace {

// CUDA 11.2 gave this type its name; drivers of CUDA 10.1 do not know it, ours does.
constexpr auto timeline_semaphore_fd = static_cast<CUexternalSemaphoreHandleType>(9);

CUdevice find_device(const std::array<std::uint8_t, 16>* wanted) {
  int count = 0;
  WAVES_CHECK(cuDeviceGetCount(&count));
  for (int i = 0; i < count; ++i) {
    CUdevice device;
    CUuuid uuid;
    WAVES_CHECK(cuDeviceGet(&device, i));
    WAVES_CHECK(cuDeviceGetUuid(&uuid, device));
    if (!wanted || std::memcmp(uuid.bytes, wanted->data(), wanted->size()) == 0)
      return device;
  }
  throw std::runtime_error("no CUDA device has the UUID of the Vulkan device");
}

CUexternalMemory import_memory(int fd, std::uint64_t bytes) {
  CUDA_EXTERNAL_MEMORY_HANDLE_DESC description = {};
  description.type = CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD;
  description.handle.fd = fd;
  description.size = bytes;
  CUexternalMemory memory;
  WAVES_CHECK(cuImportExternalMemory(&memory, &description));
  return memory;
}

CUdeviceptr map_buffer(CUexternalMemory memory, std::uint64_t bytes) {
  CUDA_EXTERNAL_MEMORY_BUFFER_DESC description = {};
  description.size = bytes;
  CUdeviceptr pointer;
  WAVES_CHECK(cuExternalMemoryGetMappedBuffer(&pointer, memory, &description));
  return pointer;
}

CUexternalSemaphore import_semaphore(int fd, SemaphoreKind kind) {
  CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC description = {};
  description.type =
      kind == SemaphoreKind::timeline ? timeline_semaphore_fd : CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_FD;
  description.handle.fd = fd;
  CUexternalSemaphore semaphore;
  WAVES_CHECK(cuImportExternalSemaphore(&semaphore, &description));
  return semaphore;
}

} // namespace

CudaSide::CudaSide(const std::array<std::uint8_t, 16>* uuid) {
  WAVES_CHECK(cuInit(0));
  device_ = find_device(uuid);
  WAVES_CHECK(cuCtxCreate(&context_, 0, device_));
  WAVES_CHECK(cuModuleLoadData(&module_, shade_ptx));
  WAVES_CHECK(cuModuleGetFunction(&shade_, module_, "shade"));
  WAVES_CHECK(cuStreamCreate(&stream_, CU_STREAM_NON_BLOCKING));
}

CudaSide::~CudaSide() {
  if (height_)
    cuMemFree(height_);
  if (rgba_)
    cuMemFree(rgba_);
  if (height_memory_)
    cuDestroyExternalMemory(height_memory_);
  if (rgba_memory_)
    cuDestroyExternalMemory(rgba_memory_);
  if (field_ready_)
    cuDestroyExternalSemaphore(field_ready_);
  if (image_ready_)
    cuDestroyExternalSemaphore(image_ready_);
  if (stream_)
    cuStreamDestroy(stream_);
  if (module_)
    cuModuleUnload(module_);
  if (context_)
    cuCtxDestroy(context_);
}

std::array<std::uint8_t, 16> CudaSide::device_uuid() const {
  CUuuid uuid;
  WAVES_CHECK(cuDeviceGetUuid(&uuid, device_));
  std::array<std::uint8_t, 16> bytes;
  std::memcpy(bytes.data(), uuid.bytes, bytes.size());
  return bytes;
}

std::string CudaSide::device_name() const {
  char name[256];
  WAVES_CHECK(cuDeviceGetName(name, sizeof name, device_));
  return name;
}

void CudaSide::import(const SharedObjects& objects) {
  parameters_ = objects.parameters;
  const std::uint64_t bytes = std::uint64_t{parameters_.size} * parameters_.size * 4;
  height_memory_ = import_memory(objects.height_memory, parameters_.height_bytes);
  rgba_memory_ = import_memory(objects.rgba_memory, parameters_.rgba_bytes);
  height_ = map_buffer(height_memory_, bytes);
  rgba_ = map_buffer(rgba_memory_, bytes);
  field_ready_ = import_semaphore(objects.field_ready, parameters_.semaphores);
  image_ready_ = import_semaphore(objects.image_ready, parameters_.semaphores);
}

void CudaSide::enqueue_frame(std::uint32_t frame) {
  CUDA_EXTERNAL_SEMAPHORE_WAIT_PARAMS wait = {};
  wait.params.fence.value = frame_value(frame);
  WAVES_CHECK(cuWaitExternalSemaphoresAsync(&field_ready_, &wait, 1, stream_));

  constexpr unsigned block = 16;
  const unsigned blocks = (parameters_.size + block - 1) / block;
  void* arguments[] = {&height_, &rgba_, &parameters_.size};
  WAVES_CHECK(cuLaunchKernel(shade_, blocks, blocks, 1, block, block, 1, 0, stream_, arguments, nullptr));

  CUDA_EXTERNAL_SEMAPHORE_SIGNAL_PARAMS signal = {};
  signal.params.fence.value = frame_value(frame);
  WAVES_CHECK(cuSignalExternalSemaphoresAsync(&image_ready_, &signal, 1, stream_));
}

void CudaSide::synchronize() {
  WAVES_CHECK(cuStreamSynchronize(stream_));
}

} // namespace waves
