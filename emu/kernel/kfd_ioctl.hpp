// The KFD ABI of Linux 6.12 (version 1.17): requests, structures and flags under the kernel's names.
// Source: include/uapi/linux/kfd_ioctl.h. Debian 12's header stops at 1.11.
#pragma once

#include <cstdint>
#include <sys/ioctl.h>

namespace emu::kernel::uapi {

using u32 = std::uint32_t;
using u64 = std::uint64_t;

inline constexpr u32 KFD_IOCTL_MAJOR_VERSION_VALUE = 1;
inline constexpr u32 KFD_IOCTL_MINOR_VERSION_VALUE = 17;

struct kfd_ioctl_get_version_args {
  u32 major_version, minor_version;
};

enum : u32 {
  QUEUE_TYPE_COMPUTE,
  QUEUE_TYPE_SDMA,
  QUEUE_TYPE_COMPUTE_AQL,
  QUEUE_TYPE_SDMA_XGMI,
  QUEUE_TYPE_SDMA_BY_ENG_ID
};
inline constexpr u32 MAX_QUEUE_PERCENTAGE = 100;
inline constexpr u32 MAX_QUEUE_PRIORITY = 15;
inline constexpr u32 MIN_QUEUE_RING_SIZE = 1024;

struct kfd_ioctl_create_queue_args {
  u64 ring_base_address, write_pointer_address, read_pointer_address, doorbell_offset;
  u32 ring_size, gpu_id, queue_type, queue_percentage, queue_priority, queue_id;
  u64 eop_buffer_address, eop_buffer_size, ctx_save_restore_address;
  u32 ctx_save_restore_size, ctl_stack_size;
  u32 sdma_engine_id;     // since 1.17
  u32 metadata_ring_size; // since 1.22; padding before
};
struct kfd_ioctl_destroy_queue_args {
  u32 queue_id, pad;
};
struct kfd_ioctl_update_queue_args {
  u64 ring_base_address;
  u32 queue_id, ring_size, queue_percentage, queue_priority;
};
struct kfd_ioctl_set_cu_mask_args {
  u32 queue_id, num_cu_mask;
  u64 cu_mask_ptr;
};
struct kfd_ioctl_get_queue_wave_state_args {
  u64 ctl_stack_address;
  u32 ctl_stack_used_size, save_area_used_size, queue_id, pad;
};
struct kfd_ioctl_get_available_memory_args {
  u64 available;
  u32 gpu_id, pad;
};

enum : u32 { CACHE_POLICY_COHERENT, CACHE_POLICY_NONCOHERENT };
struct kfd_ioctl_set_memory_policy_args {
  u64 alternate_aperture_base, alternate_aperture_size;
  u32 gpu_id, default_policy, alternate_policy, pad;
};
struct kfd_ioctl_get_clock_counters_args {
  u64 gpu_clock_counter, cpu_clock_counter, system_clock_counter, system_clock_freq;
  u32 gpu_id, pad;
};
struct kfd_process_device_apertures {
  u64 lds_base, lds_limit, scratch_base, scratch_limit, gpuvm_base, gpuvm_limit;
  u32 gpu_id, pad;
};
inline constexpr u32 APERTURES_OLD_LIMIT = 7;
struct kfd_ioctl_get_process_apertures_args {
  kfd_process_device_apertures process_apertures[APERTURES_OLD_LIMIT];
  u32 num_of_nodes, pad;
};
struct kfd_ioctl_get_process_apertures_new_args {
  u64 kfd_process_device_apertures_ptr;
  u32 num_of_nodes, pad;
};

enum : u32 { EVENT_SIGNAL = 0, EVENT_HW_EXCEPTION = 3, EVENT_DEBUG_EVENT = 5, EVENT_MEMORY = 8 };
enum : u32 { WAIT_RESULT_COMPLETE, WAIT_RESULT_TIMEOUT, WAIT_RESULT_FAIL };
inline constexpr u32 SIGNAL_EVENT_LIMIT = 4096;
inline constexpr u32 HW_EXCEPTION_GPU_HANG = 0;
inline constexpr u32 TIMEOUT_IMMEDIATE = 0;
inline constexpr u32 TIMEOUT_INFINITE = 0xffffffff;

struct kfd_ioctl_create_event_args {
  u64 event_page_offset;
  u32 event_trigger_data, event_type, auto_reset, node_id, event_id, event_slot_index;
};
struct kfd_ioctl_destroy_event_args {
  u32 event_id, pad;
};
struct kfd_ioctl_set_event_args {
  u32 event_id, pad;
};
struct kfd_ioctl_reset_event_args {
  u32 event_id, pad;
};
struct kfd_memory_exception_failure {
  u32 NotPresent, ReadOnly, NoExecute, imprecise;
};
struct kfd_hsa_memory_exception_data {
  kfd_memory_exception_failure failure;
  u64 va;
  u32 gpu_id, ErrorType;
};
struct kfd_hsa_hw_exception_data {
  u32 reset_type, reset_cause, memory_lost, gpu_id;
};
struct kfd_hsa_signal_event_data {
  u64 last_event_age;
};
struct kfd_event_data {
  union {
    kfd_hsa_memory_exception_data memory_exception_data;
    kfd_hsa_hw_exception_data hw_exception_data;
    kfd_hsa_signal_event_data signal_event_data;
  };
  u64 kfd_event_data_ext;
  u32 event_id, pad;
};
struct kfd_ioctl_wait_events_args {
  u64 events_ptr;
  u32 num_events, wait_for_all, timeout, wait_result;
};

struct kfd_ioctl_set_scratch_backing_va_args {
  u64 va_addr;
  u32 gpu_id, pad;
};
struct kfd_ioctl_get_tile_config_args {
  u64 tile_config_ptr, macro_tile_config_ptr;
  u32 num_tile_configs, num_macro_tile_configs, gpu_id, gb_addr_config, num_banks, num_ranks;
};
// A trap handler's message: what KFD_DEBUG_DOORBELL_ID() and KFD_DEBUG_TRAP_CODE() take from its 23 bits; the
// exceptions are EC_QUEUE_WAVE_ABORT to _APERTURE_VIOLATION, less one, as bits.
inline constexpr u32 WAVE_MESSAGE_DOORBELL_MASK = 0x3ff;
inline constexpr unsigned WAVE_MESSAGE_EXCEPTIONS_SHIFT = 10;
inline constexpr u32 EXCEPTIONS_OF_WAVES = 0x3f;

struct kfd_context_save_area_header {
  u32 control_stack_offset, control_stack_size, wave_state_offset, wave_state_size;
  u32 debug_offset, debug_size;
  u64 err_payload_addr;
  u32 err_event_id;
  u32 reserved1;
};

struct kfd_ioctl_set_trap_handler_args {
  u64 tba_addr, tma_addr;
  u32 gpu_id, pad;
};
struct kfd_ioctl_acquire_vm_args {
  u32 drm_fd, gpu_id;
};

enum : u32 {
  ALLOC_MEM_FLAGS_VRAM = 1u << 0,
  ALLOC_MEM_FLAGS_GTT = 1u << 1,
  ALLOC_MEM_FLAGS_USERPTR = 1u << 2,
  ALLOC_MEM_FLAGS_DOORBELL = 1u << 3,
  ALLOC_MEM_FLAGS_MMIO_REMAP = 1u << 4,
  ALLOC_MEM_FLAGS_CONTIGUOUS = 1u << 23,
  ALLOC_MEM_FLAGS_EXT_COHERENT = 1u << 24,
  ALLOC_MEM_FLAGS_UNCACHED = 1u << 25,
  ALLOC_MEM_FLAGS_COHERENT = 1u << 26,
  ALLOC_MEM_FLAGS_AQL_QUEUE_MEM = 1u << 27,
  ALLOC_MEM_FLAGS_NO_SUBSTITUTE = 1u << 28,
  ALLOC_MEM_FLAGS_PUBLIC = 1u << 29,
  ALLOC_MEM_FLAGS_EXECUTABLE = 1u << 30,
  ALLOC_MEM_FLAGS_WRITABLE = 1u << 31,
};
struct kfd_ioctl_alloc_memory_of_gpu_args {
  u64 va_addr, size, handle, mmap_offset;
  u32 gpu_id, flags;
};
struct kfd_ioctl_free_memory_of_gpu_args {
  u64 handle;
};
struct kfd_ioctl_map_memory_to_gpu_args {
  u64 handle, device_ids_array_ptr;
  u32 n_devices, n_success;
};
struct kfd_ioctl_unmap_memory_from_gpu_args {
  u64 handle, device_ids_array_ptr;
  u32 n_devices, n_success;
};
struct kfd_ioctl_alloc_queue_gws_args {
  u32 queue_id, num_gws, first_gws, pad;
};
struct kfd_ioctl_get_dmabuf_info_args {
  u64 size, metadata_ptr;
  u32 metadata_size, gpu_id, flags, dmabuf_fd;
};
struct kfd_ioctl_import_dmabuf_args {
  u64 va_addr, handle;
  u32 gpu_id, dmabuf_fd;
};
struct kfd_ioctl_export_dmabuf_args {
  u64 handle;
  u32 flags, dmabuf_fd;
};
enum : u32 {
  SMI_EVENT_VMFAULT = 1,
  SMI_EVENT_GPU_PRE_RESET = 3,
  SMI_EVENT_GPU_POST_RESET = 4,
  SMI_EVENT_QUEUE_EVICTION = 9,
  SMI_EVENT_QUEUE_RESTORE = 10,
  SMI_EVENT_UNMAP_FROM_GPU = 11,
};
struct kfd_ioctl_smi_events_args {
  u32 gpuid, anon_fd;
};
enum : u32 { SVM_OP_SET_ATTR, SVM_OP_GET_ATTR };
enum : u32 { SVM_LOCATION_SYSMEM = 0, SVM_LOCATION_UNDEFINED = 0xffffffff };
enum : u32 {
  SVM_ATTR_PREFERRED_LOC,
  SVM_ATTR_PREFETCH_LOC,
  SVM_ATTR_ACCESS,
  SVM_ATTR_ACCESS_IN_PLACE,
  SVM_ATTR_NO_ACCESS,
  SVM_ATTR_SET_FLAGS,
  SVM_ATTR_CLR_FLAGS,
  SVM_ATTR_GRANULARITY,
};
enum : u32 {
  SVM_FLAG_HOST_ACCESS = 1 << 0,
  SVM_FLAG_COHERENT = 1 << 1,
  SVM_FLAG_HIVE_LOCAL = 1 << 2,
  SVM_FLAG_GPU_RO = 1 << 3,
  SVM_FLAG_GPU_EXEC = 1 << 4,
  SVM_FLAG_GPU_READ_MOSTLY = 1 << 5,
  SVM_FLAG_GPU_ALWAYS_MAPPED = 1 << 6,
};
struct kfd_ioctl_svm_args {
  u64 start_addr, size;
  u32 op, nattr;
};
struct kfd_ioctl_svm_attribute {
  u32 type, value;
};
struct kfd_ioctl_set_xnack_mode_args {
  std::int32_t xnack_enabled;
};
enum : u32 { CRIU_OP_PROCESS_INFO, CRIU_OP_CHECKPOINT, CRIU_OP_UNPAUSE, CRIU_OP_RESTORE, CRIU_OP_RESUME };
struct kfd_ioctl_criu_args {
  u64 devices, bos, priv_data, priv_data_size;
  u32 num_devices, num_bos, num_objects, pid, op;
};
enum : u32 { RUNTIME_ENABLE_MODE_ENABLE = 1, RUNTIME_ENABLE_MODE_TTMP_SAVE = 2 };
struct kfd_ioctl_runtime_enable_args {
  u64 r_debug;
  u32 mode_mask, capabilities_mask;
};
inline constexpr u32 DBG_TRAP_ENABLE = 0;
struct kfd_ioctl_dbg_trap_args {
  u32 pid, op;
  u64 payload[3]; // a union; the largest members have 24 bytes
};
// What the retired debugger ioctls (0x0d to 0x10) took.
struct kfd_ioctl_dbg_register_args {
  u32 gpu_id, pad;
};
struct kfd_ioctl_dbg_address_watch_args {
  u64 content_ptr;
  u32 gpu_id, buf_size_in_bytes;
};

template <class T>
constexpr unsigned long ior(unsigned nr) {
  return _IOC(_IOC_READ, 'K', nr, sizeof(T));
}
template <class T>
constexpr unsigned long iow(unsigned nr) {
  return _IOC(_IOC_WRITE, 'K', nr, sizeof(T));
}
template <class T>
constexpr unsigned long iowr(unsigned nr) {
  return _IOC(_IOC_READ | _IOC_WRITE, 'K', nr, sizeof(T));
}

namespace ioc {
inline constexpr unsigned long GET_VERSION = ior<kfd_ioctl_get_version_args>(0x01);
inline constexpr unsigned long CREATE_QUEUE = iowr<kfd_ioctl_create_queue_args>(0x02);
inline constexpr unsigned long DESTROY_QUEUE = iowr<kfd_ioctl_destroy_queue_args>(0x03);
inline constexpr unsigned long SET_MEMORY_POLICY = iow<kfd_ioctl_set_memory_policy_args>(0x04);
inline constexpr unsigned long GET_CLOCK_COUNTERS = iowr<kfd_ioctl_get_clock_counters_args>(0x05);
inline constexpr unsigned long GET_PROCESS_APERTURES = ior<kfd_ioctl_get_process_apertures_args>(0x06);
inline constexpr unsigned long UPDATE_QUEUE = iow<kfd_ioctl_update_queue_args>(0x07);
inline constexpr unsigned long CREATE_EVENT = iowr<kfd_ioctl_create_event_args>(0x08);
inline constexpr unsigned long DESTROY_EVENT = iow<kfd_ioctl_destroy_event_args>(0x09);
inline constexpr unsigned long SET_EVENT = iow<kfd_ioctl_set_event_args>(0x0a);
inline constexpr unsigned long RESET_EVENT = iow<kfd_ioctl_reset_event_args>(0x0b);
inline constexpr unsigned long WAIT_EVENTS = iowr<kfd_ioctl_wait_events_args>(0x0c);
inline constexpr unsigned long DBG_REGISTER_DEPRECATED = iow<kfd_ioctl_dbg_register_args>(0x0d);
inline constexpr unsigned long DBG_UNREGISTER_DEPRECATED = iow<kfd_ioctl_dbg_register_args>(0x0e);
inline constexpr unsigned long DBG_ADDRESS_WATCH_DEPRECATED = iow<kfd_ioctl_dbg_address_watch_args>(0x0f);
inline constexpr unsigned long DBG_WAVE_CONTROL_DEPRECATED = iow<kfd_ioctl_dbg_address_watch_args>(0x10);
inline constexpr unsigned long SET_SCRATCH_BACKING_VA = iowr<kfd_ioctl_set_scratch_backing_va_args>(0x11);
inline constexpr unsigned long GET_TILE_CONFIG = iowr<kfd_ioctl_get_tile_config_args>(0x12);
inline constexpr unsigned long SET_TRAP_HANDLER = iow<kfd_ioctl_set_trap_handler_args>(0x13);
inline constexpr unsigned long GET_PROCESS_APERTURES_NEW =
    iowr<kfd_ioctl_get_process_apertures_new_args>(0x14);
inline constexpr unsigned long ACQUIRE_VM = iow<kfd_ioctl_acquire_vm_args>(0x15);
inline constexpr unsigned long ALLOC_MEMORY_OF_GPU = iowr<kfd_ioctl_alloc_memory_of_gpu_args>(0x16);
inline constexpr unsigned long FREE_MEMORY_OF_GPU = iow<kfd_ioctl_free_memory_of_gpu_args>(0x17);
inline constexpr unsigned long MAP_MEMORY_TO_GPU = iowr<kfd_ioctl_map_memory_to_gpu_args>(0x18);
inline constexpr unsigned long UNMAP_MEMORY_FROM_GPU = iowr<kfd_ioctl_unmap_memory_from_gpu_args>(0x19);
inline constexpr unsigned long SET_CU_MASK = iow<kfd_ioctl_set_cu_mask_args>(0x1a);
inline constexpr unsigned long GET_QUEUE_WAVE_STATE = iowr<kfd_ioctl_get_queue_wave_state_args>(0x1b);
inline constexpr unsigned long GET_DMABUF_INFO = iowr<kfd_ioctl_get_dmabuf_info_args>(0x1c);
inline constexpr unsigned long IMPORT_DMABUF = iowr<kfd_ioctl_import_dmabuf_args>(0x1d);
inline constexpr unsigned long ALLOC_QUEUE_GWS = iowr<kfd_ioctl_alloc_queue_gws_args>(0x1e);
inline constexpr unsigned long SMI_EVENTS = iowr<kfd_ioctl_smi_events_args>(0x1f);
inline constexpr unsigned long SVM = iowr<kfd_ioctl_svm_args>(0x20);
inline constexpr unsigned long SET_XNACK_MODE = iowr<kfd_ioctl_set_xnack_mode_args>(0x21);
inline constexpr unsigned long CRIU_OP = iowr<kfd_ioctl_criu_args>(0x22);
inline constexpr unsigned long AVAILABLE_MEMORY = iowr<kfd_ioctl_get_available_memory_args>(0x23);
inline constexpr unsigned long EXPORT_DMABUF = iowr<kfd_ioctl_export_dmabuf_args>(0x24);
inline constexpr unsigned long RUNTIME_ENABLE = iowr<kfd_ioctl_runtime_enable_args>(0x25);
inline constexpr unsigned long DBG_TRAP = iowr<kfd_ioctl_dbg_trap_args>(0x26);
} // namespace ioc

// Memory handles and mmap() offsets of /dev/kfd (kfd_priv.h).
constexpr u64 make_handle(u32 gpu_id, u32 index) {
  return u64{gpu_id} << 32 | index;
}
constexpr u32 handle_gpu_id(u64 handle) {
  return static_cast<u32>(handle >> 32);
}
constexpr u32 handle_index(u64 handle) {
  return static_cast<u32>(handle);
}
inline constexpr u64 KFD_MMAP_TYPE_MASK = 3ull << 62;
inline constexpr u64 KFD_MMAP_TYPE_DOORBELL = 3ull << 62;
inline constexpr u64 KFD_MMAP_TYPE_EVENTS = 2ull << 62;
inline constexpr u64 KFD_MMAP_TYPE_RESERVED_MEM = 1ull << 62;
inline constexpr u64 KFD_MMAP_TYPE_MMIO = 0;
constexpr u64 mmap_gpu_id(u32 gpu_id) {
  return u64{gpu_id & 0xffff} << 46;
}
constexpr u32 gpu_id_of_mmap(u64 offset) {
  return static_cast<u32>(offset >> 46) & 0xffff;
}

} // namespace emu::kernel::uapi
