// One device for all tests of an executable: KFD gives a process its VM and its event page once.
//
// Where no GPU can be opened the executable exits 77, except under the emulated one, which is always there.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <gtest/gtest.h>
#include <memory>

#include <kfd/device.hpp>

namespace test {

struct Gpu {
  std::unique_ptr<shim::kfd::Process> process;
  std::unique_ptr<shim::kfd::Device> device;
};
inline Gpu gpu;

inline shim::kfd::Device& device() {
  return *gpu.device;
}

inline bool open_gpu() {
  auto process = shim::kfd::Process::open();
  if (!process)
    return false;
  gpu.process = *std::move(process);
  auto device = gpu.process->open_device(gpu.process->nodes().front());
  if (!device)
    return false;
  gpu.device = *std::move(device);
  return true;
}

inline int run(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (!open_gpu()) {
    std::puts("no AMD GPU can be opened");
    const char* preloaded = std::getenv("LD_PRELOAD");
    return preloaded && std::strstr(preloaded, "kfd-emu") ? 1 : 77;
  }
  int result = RUN_ALL_TESTS();
  gpu.device.reset();
  gpu.process.reset();
  return result;
}

// Puts one barrier packet into the queue: waits for `before` (may be null handles), completes `done`.
inline void submit_barrier(shim::kfd::Queue& queue, hsa_signal_t before, hsa_signal_t done) {
  std::uint64_t index = queue.try_reserve(1).value();
  hsa_barrier_and_packet_t& packet = queue.barrier_and(index);
  packet.reserved1 = 0;
  packet.reserved2 = 0;
  packet.dep_signal[0] = before;
  for (int i = 1; i < 5; ++i)
    packet.dep_signal[i] = {0};
  packet.completion_signal = done;
  queue.publish_barrier(index, shim::kfd::packet_header(HSA_PACKET_TYPE_BARRIER_AND, true,
                                                        HSA_FENCE_SCOPE_SYSTEM, HSA_FENCE_SCOPE_SYSTEM));
  queue.ring_doorbell(index);
}

inline constexpr std::chrono::seconds patience{20};

inline testing::AssertionResult completes(const shim::kfd::Signal& signal) {
  auto waited = signal.wait_done(patience);
  if (!waited)
    return testing::AssertionFailure() << "error " << waited.code();
  if (*waited == shim::kfd::WaitResult::timed_out)
    return testing::AssertionFailure() << "timed out at value " << signal.value();
  return testing::AssertionSuccess();
}

} // namespace test
