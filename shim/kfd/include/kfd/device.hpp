// The process's connection to KFD, and one GPU in it.
//
// Process owns /dev/kfd; each Device owns a render node fd of its own, which no other library in the process
// knows, and the GPU VM that KFD took over from it. GPU addresses are CPU addresses: ranges are reserved in
// the process's own address space before the GPU maps them. All members of both classes are thread-safe
// unless they say otherwise.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include <kfd/buffer.hpp>
#include <kfd/external_object.hpp>
#include <kfd/queue.hpp>
#include <kfd/signal.hpp>
#include <kfd/syncobj.hpp>
#include <kfd/topology.hpp>
#include <util/error.hpp>
#include <util/fd.hpp>

namespace shim::kfd {

using util::Result;

// Something that the GPU cannot go on from. The device is unusable afterwards, as a CUDA context is.
struct Fault {
  enum class Kind : std::uint8_t {
    memory,   // access outside the page tables, or against their permissions
    queue,    // the packet processor refused a packet or a wave trapped: queue_error says why
    hardware, // reset or hang
  };
  Kind kind = Kind::memory;
  CUresult code = CUDA_ERROR_UNKNOWN; // what the API reports from now on
  std::uint64_t address = 0;          // memory: the first byte of the page
  bool not_present = false;
  bool read_only = false;
  bool no_execute = false;
  std::uint32_t queue_id = 0;
  std::int64_t queue_error = 0; // queue_inactive_signal's value
  const char* reason = "";      // queue: in words
};

struct MemoryInfo {
  std::uint64_t free = 0; // bytes
  std::uint64_t total = 0;
};

struct ClockCounters {
  std::uint64_t gpu_ticks = 0;
  std::uint64_t cpu_nanoseconds = 0;    // CLOCK_MONOTONIC_RAW
  std::uint64_t system_nanoseconds = 0; // CLOCK_BOOTTIME
};

class SignalPool;
class EventPage;
class FaultMonitor;
class TrapHandler;

class Process {
public:
  // Opens /dev/kfd and reads the topology. CUDA_ERROR_NO_DEVICE without KFD or without a GPU that this
  // process may open.
  static Result<std::unique_ptr<Process>> open();
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  const std::vector<NodeProperties>& nodes() const { return nodes_; }
  // Opens the node's render node and takes its VM. Once per node, or again after a failure; the Process must
  // outlive the Device.
  Result<std::unique_ptr<Device>> open_device(const NodeProperties& node);

  int kfd_fd() const { return kfd_.get(); }
  std::uint32_t interface_minor() const { return minor_; }

private:
  friend class Device;
  friend class Signal;
  friend class SignalPool;
  friend class FaultMonitor;
  Process();
  util::Fd kfd_;
  std::uint32_t minor_ = 0;
  std::vector<NodeProperties> nodes_;
  std::unique_ptr<EventPage> events_; // made with the first device: KFD has one per process
  // Render nodes by gpu_id whose VM KFD took for a Device that then failed: it takes no other from this
  // process.
  std::map<std::uint32_t, util::Fd> taken_;
};

class Device {
public:
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const NodeProperties& properties() const { return node_; }
  Process& process() const { return *process_; }
  int render_fd() const { return render_.get(); } // for syncobjs

  // --- memory ---
  // `size` is rounded up to pages. VRAM is zeroed by the kernel. CUDA_ERROR_OUT_OF_MEMORY where there is not
  // enough.
  Result<Buffer> allocate(MemoryKind kind, std::uint64_t size, AllocationFlags flags = {});
  // Lets the GPU reach [pointer, pointer + size) of ordinary host memory at the same address. The range is
  // extended to whole pages; Buffer::address() is the first page's. Overlapping registrations are the
  // caller's to refuse.
  Result<Buffer> register_host(void* pointer, std::uint64_t size, bool read_only = false);
  // The whole object behind a dma-buf, at an address of its own; the fd stays the caller's. Importing twice
  // gives two addresses of the same memory. CUDA_ERROR_UNKNOWN where the fd is no dma-buf of this GPU's
  // driver.
  Result<Buffer> import_dmabuf(int fd);
  // A reference to the object behind a dma-buf, without mapping it. Errors as import_dmabuf.
  Result<ExternalObject> hold_dmabuf(int fd);
  // What import_dmabuf does, of an object that is held.
  Result<Buffer> map_object(const ExternalObject& object);
  Result<MemoryInfo> memory_info();
  // Makes CPU writes to VRAM visible to the GPU. No system call.
  void flush_hdp();

  // --- queues and signals ---
  Result<std::unique_ptr<Queue>> create_queue(const QueueOptions& options = {});
  // Value `initial`, ticks cleared.
  Result<Signal> acquire_signal(SignalKind kind, std::int64_t initial = 1);

  // --- time ---
  Result<ClockCounters> clock_counters();
  std::uint64_t gpu_clock_hz() const { return gpu_clock_hz_; } // of signal ticks

  SyncobjFeatures syncobj_features() const { return syncobj_features_; }

  // --- faults ---
  // The first fault, if there was one. One atomic load while there is none.
  std::optional<Fault> fault() const;
  // Called once, on a thread of this library, when the device faults, after fault() reports it and before
  // waiters wake. Set before the first queue is made.
  void on_fault(std::function<void(const Fault&)> handler);

  // Where kernels find LDS and scratch in the flat address space: high halves of the apertures' bases.
  std::uint64_t lds_aperture_base() const { return lds_base_; }
  std::uint64_t scratch_aperture_base() const { return scratch_base_; }

private:
  friend class Process;
  friend class Buffer;
  friend class ExternalObject;
  friend class Queue;
  friend class Signal;
  friend class EventPage;
  friend class SignalPool;
  friend class FaultMonitor;
  Device(Process& process, NodeProperties node);

  Result<void> initialise();
  Result<void> acquire_vm();
  Result<void> read_apertures();
  Result<Buffer> allocate_mmio();
  Result<Buffer> import_dmabuf(int fd, std::uint64_t object_size);
  Result<void> map_to_gpu(Buffer& buffer);
  Result<void> map_for_cpu(Buffer& buffer, std::uint64_t mmap_offset);
  Result<std::uint64_t*> doorbell(std::uint64_t offset);
  void release(Buffer& buffer);
  void report(const Fault& fault);

  Process* process_;
  NodeProperties node_;
  util::Fd render_;
  bool vm_taken_ = false;
  std::uint64_t lds_base_ = 0;
  std::uint64_t scratch_base_ = 0;
  std::uint64_t gpuvm_base_ = 0;
  std::uint64_t gpuvm_limit_ = 0;
  std::uint64_t gpu_clock_hz_ = 0;
  SyncobjFeatures syncobj_features_;

  struct State; // locks, doorbell page, MMIO page, fault: device.cpp
  std::unique_ptr<State> state_;
  std::unique_ptr<SignalPool> signals_;
  std::unique_ptr<FaultMonitor> monitor_;
  std::unique_ptr<TrapHandler> traps_; // null: none for this processor
};

} // namespace shim::kfd
