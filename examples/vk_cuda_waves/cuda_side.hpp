// The CUDA half: a plain driver-API program that imports what Vulkan exported and shades the height field.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include <cuda.h>

#include "shared_objects.hpp"

namespace waves {

class CudaSide {
public:
  // Creates a context on the device with this UUID, or on the first one.
  explicit CudaSide(const std::array<std::uint8_t, 16>* uuid);
  ~CudaSide();
  CudaSide(const CudaSide&) = delete;
  CudaSide& operator=(const CudaSide&) = delete;

  std::array<std::uint8_t, 16> device_uuid() const;
  std::string device_name() const;

  // Takes the descriptors of `objects`.
  void import(const SharedObjects& objects);

  // Enqueues: wait for field_ready, shade, signal image_ready.
  void enqueue_frame(std::uint32_t frame);

  void synchronize();

private:
  CUdevice device_ = 0;
  CUcontext context_ = nullptr;
  CUmodule module_ = nullptr;
  CUfunction shade_ = nullptr;
  CUstream stream_ = nullptr;
  FrameParameters parameters_ = {};
  CUexternalMemory height_memory_ = nullptr;
  CUexternalMemory rgba_memory_ = nullptr;
  CUdeviceptr height_ = 0;
  CUdeviceptr rgba_ = 0;
  CUexternalSemaphore field_ready_ = nullptr;
  CUexternalSemaphore image_ready_ = nullptr;
};

} // namespace waves
