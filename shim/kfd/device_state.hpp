#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>

#include <kfd/device.hpp>
#include <util/fd.hpp>
#include <util/mapping.hpp>

namespace shim::kfd {

// GEM handles of memory that others exported. A drm file knows an object under one handle, however often it
// is imported, and one close closes it: so they are counted. Thread-safe.
class GemHandles {
public:
  // The handle of a dma-buf's object, to be released once. Opens the drm file the first time.
  Result<std::uint32_t> acquire(std::uint32_t render_minor, int dmabuf);
  void release(std::uint32_t handle);
  Result<std::uint64_t> tiling_info(std::uint32_t handle);
  Result<util::Fd> export_dmabuf(std::uint32_t handle);

private:
  Result<void> open_locked(std::uint32_t render_minor);
  std::mutex mutex_;
  util::Fd file_; // once open it stays
  std::map<std::uint32_t, unsigned> references_;
};

struct Device::State {
  GemHandles gem;

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
