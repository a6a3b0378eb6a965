// What a thread sleeps on that looks after many markers: any of them wakes it, and it looks at all.
#pragma once

#include <chrono>
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
    gpu_ = &gpu;
    return {};
  }
  bool prepared() const { return signal_.valid(); }
  // The GPU wakes the thread when it completes this polled marker: before the marker goes into a stream.
  void watch(Marker& marker) { marker.signal.raise_through(signal_); }
  Result<void> wake() { return signal_.set_and_wake(0); }
  // For the last time, even where the kernel refuses to raise events.
  void wake_to_end() { signal_.end_waits(); }
  // May return early. An error ends it: the device's after a fault, the kernel's where it never works.
  Result<void> sleep(std::chrono::nanoseconds limit = kfd::wait_forever) {
    Result<void> slept = signal_.wait_raised(limit);
    if (slept)
      failures_ = 0;
    else if (gpu_->fault() || ++failures_ > most_failures)
      return slept;
    else
      std::this_thread::sleep_for(std::chrono::milliseconds(1)); // the kernel will not let it wait
    return {};
  }

private:
  kfd::Signal signal_;
  kfd::Device* gpu_ = nullptr;
  static constexpr unsigned most_failures = 1000;
  unsigned failures_ = 0; // in a row
};

} // namespace shim::core
