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
#include <core/signal_relay.hpp>
#include <core/wait_relay.hpp>
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
class Device : public MarkerObserver {
public:
  Device(int ordinal, kfd::Process& process, const kfd::NodeProperties& node);
  ~Device() override;

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
  SignalRelay& signals() const { return *signals_; }
  WaitRelay& waits() const { return *waits_; }
  PinnedPages& pinned_pages() const { return *pinned_pages_; }
  Result<const BlitKernels*> blit();

  // --- queues: only kernels that run need one ---
  // One that no stream has at the moment, or a new one, or that of a stream, of whatever context, that is
  // idle; null where all are busy. `stream` then owns it. The caller holds no stream's lock.
  Result<std::unique_ptr<Channel>> acquire_channel(Stream& stream);
  // `reusable`: nothing runs in it.
  void release_channel(std::unique_ptr<Channel> channel, bool reusable);
  // HeldStreams::look() is called as soon as one of the busy queues is idle. The caller holds no lock.
  void watch_queues();
  // The stream goes.
  void forget(Stream& stream);

  // --- for markers ---
  void certain(Marker& marker) override { held_streams_->certain(marker); }
  void go_on() override { held_streams_->go_on(); }
  void settle() override { signals_->settle(); }

  // --- primary context ---
  Result<std::shared_ptr<Context>> retain_primary();
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
  // At exit, after the other contexts' release_outsiders(): the primary context's, and then every signal that
  // was called for is performed.
  void release_outsiders();

private:
  Result<std::unique_ptr<Channel>> spare_channel(kfd::QueuePriority priority);
  std::unique_ptr<Channel> take_idle_channel();

  const int ordinal_;
  kfd::Process& process_;
  const kfd::NodeProperties node_;
  const MachineShape shape_;
  std::mutex mutex_;
  std::unique_ptr<kfd::Device> gpu_;
  std::unique_ptr<MarkerPool> markers_;
  std::unique_ptr<HeldStreams> held_streams_;
  std::unique_ptr<WaitRelay> waits_;
  std::unique_ptr<SignalRelay> signals_;
  std::unique_ptr<PinnedPages> pinned_pages_;
  std::unique_ptr<BlitKernels> blit_;
  std::vector<std::unique_ptr<Channel>> channels_; // idle
  std::size_t channel_count_ = 0;                  // idle or not
  std::mutex owners_mutex_;                        // taken before a stream's lock
  std::vector<Stream*> owners_;                    // those that have been given a queue
  std::mutex primary_mutex_;
  std::shared_ptr<Context> primary_;
  int primary_references_ = 0;
  unsigned primary_flags_ = 0;
};

} // namespace shim::core
