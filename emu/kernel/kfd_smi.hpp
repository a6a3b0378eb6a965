// KFD's SMI_EVENTS: descriptors that tell, as lines of text, what happens to the GPU. Source:
// kfd_smi_events.c.
//
// poll() and read() are those of a pipe, write() sets the mask of events (nothing until then). Events of
// other processes are not heard of, not even by those who may.
#pragma once

namespace emu::kernel::smi {

// A new descriptor or a negative errno.
int open();

// What is told, to whom asked for it: KFD_SMI_EVENT_VMFAULT, GPU_PRE_RESET and GPU_POST_RESET, QUEUE_EVICTION
// and QUEUE_RESTORE.
void vm_fault();
void gpu_reset();
void queues_paused_for_userptr();

} // namespace emu::kernel::smi
