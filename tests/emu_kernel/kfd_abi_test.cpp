// The structures that the emulated kernel reads against the system's own header, for what that knows.
#include "kfd_ioctl.hpp"

#include <linux/kfd_ioctl.h>

#include <gtest/gtest.h>

namespace {

namespace ours = emu::kernel::uapi;

// CREATE_QUEUE has grown by 8 bytes since; a request's size is part of its number.
constexpr unsigned long without_size(unsigned long request) {
  return request & ~(static_cast<unsigned long>(_IOC_SIZEMASK) << _IOC_SIZESHIFT);
}

TEST(KfdAbi, requests_are_those_of_the_system_header) {
  EXPECT_EQ(ours::ioc::GET_VERSION, AMDKFD_IOC_GET_VERSION);
  EXPECT_EQ(without_size(ours::ioc::CREATE_QUEUE), without_size(AMDKFD_IOC_CREATE_QUEUE));
  EXPECT_EQ(sizeof(ours::kfd_ioctl_create_queue_args), sizeof(kfd_ioctl_create_queue_args) + 8);
  EXPECT_EQ(ours::ioc::DESTROY_QUEUE, AMDKFD_IOC_DESTROY_QUEUE);
  EXPECT_EQ(ours::ioc::SET_MEMORY_POLICY, AMDKFD_IOC_SET_MEMORY_POLICY);
  EXPECT_EQ(ours::ioc::GET_CLOCK_COUNTERS, AMDKFD_IOC_GET_CLOCK_COUNTERS);
  EXPECT_EQ(ours::ioc::GET_PROCESS_APERTURES, AMDKFD_IOC_GET_PROCESS_APERTURES);
  EXPECT_EQ(ours::ioc::UPDATE_QUEUE, AMDKFD_IOC_UPDATE_QUEUE);
  EXPECT_EQ(ours::ioc::CREATE_EVENT, AMDKFD_IOC_CREATE_EVENT);
  EXPECT_EQ(ours::ioc::DESTROY_EVENT, AMDKFD_IOC_DESTROY_EVENT);
  EXPECT_EQ(ours::ioc::SET_EVENT, AMDKFD_IOC_SET_EVENT);
  EXPECT_EQ(ours::ioc::RESET_EVENT, AMDKFD_IOC_RESET_EVENT);
  EXPECT_EQ(ours::ioc::WAIT_EVENTS, AMDKFD_IOC_WAIT_EVENTS);
  EXPECT_EQ(ours::ioc::SET_SCRATCH_BACKING_VA, AMDKFD_IOC_SET_SCRATCH_BACKING_VA);
  EXPECT_EQ(ours::ioc::GET_TILE_CONFIG, AMDKFD_IOC_GET_TILE_CONFIG);
  EXPECT_EQ(ours::ioc::SET_TRAP_HANDLER, AMDKFD_IOC_SET_TRAP_HANDLER);
  EXPECT_EQ(ours::ioc::GET_PROCESS_APERTURES_NEW, AMDKFD_IOC_GET_PROCESS_APERTURES_NEW);
  EXPECT_EQ(ours::ioc::ACQUIRE_VM, AMDKFD_IOC_ACQUIRE_VM);
  EXPECT_EQ(ours::ioc::ALLOC_MEMORY_OF_GPU, AMDKFD_IOC_ALLOC_MEMORY_OF_GPU);
  EXPECT_EQ(ours::ioc::FREE_MEMORY_OF_GPU, AMDKFD_IOC_FREE_MEMORY_OF_GPU);
  EXPECT_EQ(ours::ioc::MAP_MEMORY_TO_GPU, AMDKFD_IOC_MAP_MEMORY_TO_GPU);
  EXPECT_EQ(ours::ioc::UNMAP_MEMORY_FROM_GPU, AMDKFD_IOC_UNMAP_MEMORY_FROM_GPU);
  EXPECT_EQ(ours::ioc::SET_CU_MASK, AMDKFD_IOC_SET_CU_MASK);
  EXPECT_EQ(ours::ioc::GET_QUEUE_WAVE_STATE, AMDKFD_IOC_GET_QUEUE_WAVE_STATE);
  EXPECT_EQ(ours::ioc::GET_DMABUF_INFO, AMDKFD_IOC_GET_DMABUF_INFO);
  EXPECT_EQ(ours::ioc::IMPORT_DMABUF, AMDKFD_IOC_IMPORT_DMABUF);
  EXPECT_EQ(ours::ioc::ALLOC_QUEUE_GWS, AMDKFD_IOC_ALLOC_QUEUE_GWS);
  EXPECT_EQ(ours::ioc::SMI_EVENTS, AMDKFD_IOC_SMI_EVENTS);
  EXPECT_EQ(ours::ioc::SVM, AMDKFD_IOC_SVM);
  EXPECT_EQ(ours::ioc::SET_XNACK_MODE, AMDKFD_IOC_SET_XNACK_MODE);
  EXPECT_EQ(ours::ioc::CRIU_OP, AMDKFD_IOC_CRIU_OP);
  EXPECT_EQ(ours::ioc::AVAILABLE_MEMORY, AMDKFD_IOC_AVAILABLE_MEMORY);
}

#define SAME_OFFSET(TYPE, MEMBER)                                                                            \
  EXPECT_EQ(offsetof(ours::TYPE, MEMBER), offsetof(::TYPE, MEMBER)) << #TYPE "." #MEMBER

TEST(KfdAbi, members_lie_where_the_system_header_has_them) {
  SAME_OFFSET(kfd_ioctl_create_queue_args, doorbell_offset);
  SAME_OFFSET(kfd_ioctl_create_queue_args, queue_id);
  SAME_OFFSET(kfd_ioctl_create_queue_args, eop_buffer_address);
  SAME_OFFSET(kfd_ioctl_create_queue_args, ctl_stack_size);
  SAME_OFFSET(kfd_ioctl_update_queue_args, queue_priority);
  SAME_OFFSET(kfd_ioctl_get_clock_counters_args, gpu_id);
  SAME_OFFSET(kfd_process_device_apertures, scratch_base);
  SAME_OFFSET(kfd_process_device_apertures, gpuvm_limit);
  SAME_OFFSET(kfd_process_device_apertures, gpu_id);
  SAME_OFFSET(kfd_ioctl_create_event_args, event_type);
  SAME_OFFSET(kfd_ioctl_create_event_args, event_slot_index);
  SAME_OFFSET(kfd_event_data, event_id);
  SAME_OFFSET(kfd_event_data, kfd_event_data_ext);
  SAME_OFFSET(kfd_hsa_memory_exception_data, va);
  SAME_OFFSET(kfd_hsa_memory_exception_data, gpu_id);
  SAME_OFFSET(kfd_ioctl_wait_events_args, timeout);
  SAME_OFFSET(kfd_ioctl_wait_events_args, wait_result);
  SAME_OFFSET(kfd_ioctl_alloc_memory_of_gpu_args, mmap_offset);
  SAME_OFFSET(kfd_ioctl_alloc_memory_of_gpu_args, flags);
  SAME_OFFSET(kfd_ioctl_map_memory_to_gpu_args, n_success);
  SAME_OFFSET(kfd_ioctl_get_dmabuf_info_args, metadata_size);
  SAME_OFFSET(kfd_ioctl_get_dmabuf_info_args, dmabuf_fd);
  SAME_OFFSET(kfd_ioctl_import_dmabuf_args, dmabuf_fd);
}

TEST(KfdAbi, allocation_flags_have_the_header_s_values) {
  EXPECT_EQ(ours::ALLOC_MEM_FLAGS_VRAM, static_cast<unsigned>(KFD_IOC_ALLOC_MEM_FLAGS_VRAM));
  EXPECT_EQ(ours::ALLOC_MEM_FLAGS_USERPTR, static_cast<unsigned>(KFD_IOC_ALLOC_MEM_FLAGS_USERPTR));
  EXPECT_EQ(ours::ALLOC_MEM_FLAGS_MMIO_REMAP, static_cast<unsigned>(KFD_IOC_ALLOC_MEM_FLAGS_MMIO_REMAP));
  EXPECT_EQ(ours::ALLOC_MEM_FLAGS_AQL_QUEUE_MEM,
            static_cast<unsigned>(KFD_IOC_ALLOC_MEM_FLAGS_AQL_QUEUE_MEM));
  EXPECT_EQ(ours::ALLOC_MEM_FLAGS_PUBLIC, static_cast<unsigned>(KFD_IOC_ALLOC_MEM_FLAGS_PUBLIC));
  EXPECT_EQ(ours::ALLOC_MEM_FLAGS_EXECUTABLE, static_cast<unsigned>(KFD_IOC_ALLOC_MEM_FLAGS_EXECUTABLE));
}

TEST(KfdAbi, svm_has_the_header_s_values) {
  EXPECT_EQ(ours::SVM_OP_GET_ATTR, static_cast<unsigned>(KFD_IOCTL_SVM_OP_GET_ATTR));
  EXPECT_EQ(ours::SVM_ATTR_PREFERRED_LOC, static_cast<unsigned>(KFD_IOCTL_SVM_ATTR_PREFERRED_LOC));
  EXPECT_EQ(ours::SVM_ATTR_NO_ACCESS, static_cast<unsigned>(KFD_IOCTL_SVM_ATTR_NO_ACCESS));
  EXPECT_EQ(ours::SVM_ATTR_CLR_FLAGS, static_cast<unsigned>(KFD_IOCTL_SVM_ATTR_CLR_FLAGS));
  EXPECT_EQ(ours::SVM_ATTR_GRANULARITY, static_cast<unsigned>(KFD_IOCTL_SVM_ATTR_GRANULARITY));
  EXPECT_EQ(ours::SVM_LOCATION_UNDEFINED, static_cast<unsigned>(KFD_IOCTL_SVM_LOCATION_UNDEFINED));
  EXPECT_EQ(ours::SVM_FLAG_COHERENT, static_cast<unsigned>(KFD_IOCTL_SVM_FLAG_COHERENT));
  EXPECT_EQ(ours::SVM_FLAG_GPU_RO, static_cast<unsigned>(KFD_IOCTL_SVM_FLAG_GPU_RO));
  EXPECT_EQ(ours::SVM_FLAG_GPU_EXEC, static_cast<unsigned>(KFD_IOCTL_SVM_FLAG_GPU_EXEC));
  EXPECT_EQ(ours::SVM_FLAG_GPU_READ_MOSTLY, static_cast<unsigned>(KFD_IOCTL_SVM_FLAG_GPU_READ_MOSTLY));
  EXPECT_EQ(ours::SVM_FLAG_GPU_ALWAYS_MAPPED, static_cast<unsigned>(KFD_IOCTL_SVM_FLAG_GPU_ALWAYS_MAPPED));
}

} // namespace
