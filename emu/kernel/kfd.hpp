// What the rest of the emulated kernel needs of KFD.
#pragma once

#include <gpu/types.hpp>

#include <cstddef>
#include <cstdint>

namespace emu::kernel {

class BufferObject;

// From the engines (gpu::Callbacks).
void kfd_interrupt(const gpu::Interrupt& interrupt);
void kfd_fault(const gpu::Fault& fault);

// [address, address + length) of the process is about to be unmapped or mapped over: doorbell pages in it are
// no longer watched. One load where there are none.
void kfd_forget_mappings(void* address, std::size_t length);

// From userptr.hpp: a buffer's pages go, and queues pause for it; an engine found byte `offset` of it gone.
// The latter is false where the process's KFD has not mapped that buffer.
void kfd_userptr_evicted();
bool kfd_userptr_fault(const BufferObject& bo, std::uint64_t offset, bool write);

// Memory of the program's own that KFD counts as its: userptrs and SVM ranges. False: more than it may have.
bool reserve_user_memory(std::uint64_t size);
void release_user_memory(std::uint64_t size);
// Would KFD get so much VRAM?
bool vram_has_room(std::uint64_t size);

} // namespace emu::kernel
