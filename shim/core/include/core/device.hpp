// A GPU as CUDA sees it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include <core/blit.hpp>
#include <core/channel.hpp>
#include <core/context.hpp>
#include <core/held_streams.hpp>
#include <core/pinned_pages.hpp>
#include <kfd/device.hpp>
#include <util/error.hpp>

namespace shim::core {

// What of the machine decides how blocks fit on it. A CUDA multiprocessor is a work-group processor on gfx10
// and later (two compute units that share their LDS), a compute unit before.
struct MachineShape {
  unsigned multiprocessors;
  unsigned simds_per_multiprocessor;
  unsigned waves_per_simd;
  unsigned vgprs_per_simd;            // for each lane of a wave32 (wave64 before gfx10)
  unsigned vgpr_granule;              // registers are given out in multiples of it
  unsigned wave_size;                 // 32, or 64 before gfx10
  unsigned shared_per_multiprocessor; // bytes
  unsigned shared_per_block;          // bytes
  unsigned threads_per_multiprocessor() const {
    return simds_per_multiprocessor * waves_per_simd * wave_size;
  }
};
MachineShape machine_shape(const kfd::NodeProperties& node);

// Thread-safe.
class Device {
public:
  Device(int ordinal, kfd::Process& process, const kfd::NodeProperties& node);
  ~Device();

  int ordinal() const { return ordinal_; }
  const kfd::NodeProperties& node() const { return node_; }
  const MachineShape& shape() const { return shape_; }
  // Marketing name.
  const std::string& name() const { return node_.marketing_name; }
  // RADV's: PCI domain, bus, device, function as four 32-bit numbers in host order.
  CUuuid uuid() const;
  std::string pci_bus_id() const; // "0000:03:00.0"
  // nullopt for an attribute that CUDA 10.1 does not have.
  std::optional<int> attribute(CUdevice_attribute which) const;

  // Opens the GPU on first use.
  Result<kfd::Device*> gpu();
  // The opened GPU: only where a context exists.
  kfd::Device& opened() const { return *gpu_; }
  MarkerPool& markers() const { return *markers_; }
  HeldStreams& held_streams() const { return *held_streams_; }
  PinnedPages& pinned_pages() const { return *pinned_pages_; }
  Result<const BlitKernels*> blit();

  // Queues: one that no stream has at the moment, or a new one; null where the device has no more.
  Result<std::unique_ptr<Channel>> acquire_channel(kfd::QueuePriority priority);
  // Are so many queues in use that none should be blocked by what the host completes?
  bool crowded();
  // `reusable`: nothing runs in it.
  void release_channel(std::unique_ptr<Channel> channel, bool reusable);

  // --- primary context ---
  Result<Context*> retain_primary();
  // Does nothing where nobody holds it.
  Result<void> release_primary();
  Result<void> reset_primary();
  // CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE while it is held.
  Result<void> set_primary_flags(unsigned flags);
  struct PrimaryState {
    unsigned flags;
    bool active;
  };
  PrimaryState primary_state();
  // Context::release_outsiders() of the primary context, where there is one.
  void release_outsiders();

private:
  const int ordinal_;
  kfd::Process& process_;
  const kfd::NodeProperties node_;
  const MachineShape shape_;
  std::mutex mutex_;
  std::unique_ptr<kfd::Device> gpu_;
  std::unique_ptr<HeldStreams> held_streams_;
  std::unique_ptr<MarkerPool> markers_;
  std::unique_ptr<PinnedPages> pinned_pages_;
  std::unique_ptr<BlitKernels> blit_;
  std::vector<std::unique_ptr<Channel>> channels_; // idle
  std::size_t channel_count_ = 0;                  // idle or not
  std::mutex primary_mutex_;
  std::unique_ptr<Context> primary_;
  int primary_references_ = 0;
  unsigned primary_flags_ = 0;
};

} // namespace shim::core
