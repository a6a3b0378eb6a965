// What a thread sleeps on that looks after many markers: any of them wakes it, and it looks at all.
#pragma once

#include <thread>

#include <kfd/device.hpp>

#include <core/marker.hpp>

namespace shim::core {

class Waker {
public:
  Result<void> prepare(kfd::Device& gpu) {
    Result<kfd::Signal> signal = gpu.acquire_signal(kfd::SignalKind::waker);
    if (!signal)
      return signal.error();
    signal_ = *std::move(signal);
    return {};
  }
  bool prepared() const { return signal_.valid(); }
  // The GPU wakes the thread when it completes this polled marker: before the marker goes into a stream.
  void watch(Marker& marker) { marker.signal.raise_through(signal_); }
  Result<void> wake() { return signal_.set_and_wake(0); }
  // May return early, as it does where the kernel has no memory to wait with. The device's error after a
  // fault.
  Result<void> sleep() const {
    Result<void> slept = signal_.wait_raised();
    if (slept || slept.code() != CUDA_ERROR_OUT_OF_MEMORY)
      return slept;
    std::this_thread::yield();
    return {};
  }

private:
  kfd::Signal signal_;
};

} // namespace shim::core
