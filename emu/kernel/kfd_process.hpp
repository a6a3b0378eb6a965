// KFD's side of this process: what kfd_process, its one kfd_process_device and the process queue manager are
// in the kernel. There is one per process, from the first open of /dev/kfd until the process is gone.
//
// Every ioctl handler takes the arguments as the dispatcher copied them and returns 0 or a negative errno;
// they are copied back whatever it returns. Thread-safe: one mutex, as the kernel's p->mutex.
#pragma once

#include "bo.hpp"
#include "kfd_events.hpp"
#include "kfd_ioctl.hpp"
#include "svm.hpp"
#include "vm.hpp"

#include <gpu/gpu.hpp>

#include <atomic>
#include <bitset>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <sys/types.h>
#include <vector>

namespace emu::kernel {

class KfdProcess {
public:
  explicit KfdProcess(pid_t pid) : pid_(pid) {}
  pid_t pid() const { return pid_; }
  KfdEvents& events() { return events_; }

  int acquire_vm(uapi::kfd_ioctl_acquire_vm_args& args);
  int get_process_apertures(uapi::kfd_ioctl_get_process_apertures_args& args);
  int get_process_apertures_new(uapi::kfd_ioctl_get_process_apertures_new_args& args);
  int get_clock_counters(uapi::kfd_ioctl_get_clock_counters_args& args);
  int set_memory_policy(uapi::kfd_ioctl_set_memory_policy_args& args);
  int set_trap_handler(uapi::kfd_ioctl_set_trap_handler_args& args);
  int set_scratch_backing_va(uapi::kfd_ioctl_set_scratch_backing_va_args& args);
  int get_tile_config(uapi::kfd_ioctl_get_tile_config_args& args);
  int runtime_enable(uapi::kfd_ioctl_runtime_enable_args& args);
  int dbg_trap(uapi::kfd_ioctl_dbg_trap_args& args);
  int criu_op(uapi::kfd_ioctl_criu_args& args);
  int create_event(uapi::kfd_ioctl_create_event_args& args);
  int smi_events(uapi::kfd_ioctl_smi_events_args& args);

  // kfd_memory.cpp
  int alloc_memory(uapi::kfd_ioctl_alloc_memory_of_gpu_args& args);
  int free_memory(uapi::kfd_ioctl_free_memory_of_gpu_args& args);
  int map_memory(uapi::kfd_ioctl_map_memory_to_gpu_args& args);
  int unmap_memory(uapi::kfd_ioctl_unmap_memory_from_gpu_args& args);
  int get_dmabuf_info(uapi::kfd_ioctl_get_dmabuf_info_args& args);
  int import_dmabuf(uapi::kfd_ioctl_import_dmabuf_args& args);
  int export_dmabuf(uapi::kfd_ioctl_export_dmabuf_args& args);
  int available_memory(uapi::kfd_ioctl_get_available_memory_args& args);

  // svm.cpp
  int svm_ioctl(uapi::kfd_ioctl_svm_args& args);
  int set_xnack_mode(uapi::kfd_ioctl_set_xnack_mode_args& args);
  Svm& svm() { return svm_; }

  // kfd_queue.cpp
  int create_queue(uapi::kfd_ioctl_create_queue_args& args);
  int destroy_queue(uapi::kfd_ioctl_destroy_queue_args& args);
  int update_queue(uapi::kfd_ioctl_update_queue_args& args);
  int set_cu_mask(uapi::kfd_ioctl_set_cu_mask_args& args);
  int get_queue_wave_state(uapi::kfd_ioctl_get_queue_wave_state_args& args);
  int alloc_queue_gws(uapi::kfd_ioctl_alloc_queue_gws_args& args);
  // A page fault takes all of the process's queues off the hardware (kfd_dqm_evict_pasid).
  void evict_queues();
  // Told the debugger's side of the driver that it is there (RUNTIME_ENABLE).
  bool runtime_enabled() const { return runtime_enabled_.load(std::memory_order_acquire); }
  // Exceptions of waves, as the trap handler named them: a mask of the queue's exception codes.
  void send_exception_to_runtime(unsigned doorbell, std::uint64_t reasons);

  // Where the process's VM has byte `offset` of `bo`.
  std::optional<std::uint64_t> address_of(const BufferObject& bo, std::uint64_t offset);

  // mmap() of /dev/kfd: doorbells, event page, MMIO page. The address or a negative errno.
  long mmap(void* address, std::size_t length, int protection, int flags, std::uint64_t offset);
  void forget_mappings(void* address, std::size_t length);

private:
  struct Memory {
    std::shared_ptr<BufferObject> bo;
    std::uint64_t va = 0;
    std::uint32_t flags = 0; // ALLOC_MEM_FLAGS_*
    bool aql_queue = false;  // mapped twice, back to back
    bool attached = false;   // to the VM, from the first MAP to FREE
    unsigned mapped = 0;     // of its mappings()

    unsigned mappings() const { return aql_queue ? 2 : 1; }
  };
  struct Queue {
    gpu::QueueId engine_id = gpu::no_queue;
    std::uint32_t type = 0;
    unsigned doorbell = 0;    // index of 8 bytes
    unsigned sdma_engine = 0; // and its queue
    unsigned sdma_queue = 0;
    bool gws = false;
    std::uint64_t context_save_address = 0;
    std::uint64_t context_in_svm = 0; // so many bytes of it, where it is no buffer
    gpu::QueueUpdate properties;
    std::shared_ptr<BufferObject> wptr, rptr, ring, eop, cwsr;
  };

  static bool is_gpu(std::uint32_t gpu_id);
  bool is_own_thread(std::uint32_t id) const;
  // kfd_bind_process_to_device: ENODEV before ACQUIRE_VM.
  int bound_locked() const { return vm_ ? 0 : -ENODEV; }
  int ensure_doorbells_locked();
  int ensure_mmio_locked();

  Memory* memory_locked(std::uint64_t handle);
  std::uint64_t insert_locked(std::unique_ptr<Memory> memory);
  int make_memory_locked(const uapi::kfd_ioctl_alloc_memory_of_gpu_args& args, Memory& memory);
  int map_locked(Memory& memory);
  int unmap_locked(Memory& memory);
  bool in_use_by_queue_locked(const BufferObject& bo) const;

  int acquire_buffer_locked(std::uint64_t va, std::uint64_t expected_size,
                            std::shared_ptr<BufferObject>& out);
  int acquire_buffers_locked(const uapi::kfd_ioctl_create_queue_args& args, Queue& queue);
  int allocate_doorbell_locked(Queue& queue);
  int allocate_sdma_locked(Queue& queue, std::uint32_t engine_id);
  void release_slots_locked(const Queue& queue);
  void release_context_locked(const Queue& queue);
  int place_locked(const uapi::kfd_ioctl_create_queue_args& args, Queue& queue);
  gpu::QueueUpdate scheduled_locked(const gpu::QueueUpdate& properties) const;
  int start_locked(const uapi::kfd_ioctl_create_queue_args& args, Queue& queue);

  const pid_t pid_;
  KfdEvents events_;
  Svm svm_; // its lock is taken last

  std::mutex mutex_;
  std::shared_ptr<File> drm_file_;
  const File* mmap_key_ = nullptr; // VmOwner::file() of it
  std::shared_ptr<Vm> vm_;
  std::uint64_t trap_handler_ = 0, trap_memory_ = 0;
  std::atomic<bool> runtime_enabled_{false};

  std::map<std::uint32_t, std::unique_ptr<Memory>> memory_; // by handle_index
  std::uint64_t signal_handle_ = 0;                         // of the event page, which must not be freed
  bool has_signal_handle_ = false;

  std::shared_ptr<BufferObject> doorbells_;
  std::shared_ptr<BufferObject> mmio_;
  std::bitset<1024> used_doorbells_;
  std::uint32_t used_sdma_[4] = {}; // queues per engine
  std::map<std::uint32_t, Queue> queues_;
  bool evicted_ = false; // a page fault took the queues off the hardware, for good and those to come too

  std::mutex mappings_mutex_;
  std::map<std::uintptr_t, std::size_t> doorbell_mappings_;
};

// The process's KFD state, if it ever opened /dev/kfd.
KfdProcess* kfd_process();

} // namespace emu::kernel
