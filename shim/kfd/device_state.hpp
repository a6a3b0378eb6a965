#pragma once

#include <atomic>
#include <functional>
#include <mutex>

#include <kfd/device.hpp>
#include <util/mapping.hpp>

namespace shim::kfd {

struct Device::State {
  std::mutex prime_mutex; // from PRIME import to GEM close

  std::mutex doorbell_mutex;
  util::Mapping doorbells; // the process's slice of this GPU's doorbells, mapped with the first queue

  std::once_flag mmio_once;
  Buffer mmio;
  volatile std::uint32_t* hdp_flush = nullptr; // null: none needed or none to be had

  std::mutex fault_mutex;
  std::atomic<bool> faulted{false};
  Fault fault;
  std::function<void(const Fault&)> handler;
};

} // namespace shim::kfd
