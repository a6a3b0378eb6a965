// KFD's SMI_EVENTS: descriptors that tell, as lines of text, what happens to the GPU. Source:
// kfd_smi_events.c.
//
// poll() and read() are those of a pipe, write() sets the mask of events (nothing until then). Events of
// other processes are not heard of, not even by those who may.
#pragma once

#include <cstdint>

namespace emu::kernel::smi {

// A new descriptor or a negative errno.
int open();

// What is told, to whom asked for it: KFD_SMI_EVENT_VMFAULT, GPU_PRE_RESET and GPU_POST_RESET, QUEUE_EVICTION
// and QUEUE_RESTORE, UNMAP_FROM_GPU.
void vm_fault();
void gpu_reset();
enum class Trigger { svm, userptr }; // KFD_QUEUE_EVICTION_TRIGGER_*
void queues_paused(Trigger trigger);
// UNMAP_FROM_GPU: the program has unmapped memory of an SVM range.
void unmapped_from_gpu(std::uint64_t address, std::uint64_t size);

} // namespace emu::kernel::smi
