// What the rest of the emulated kernel needs of KFD.
#pragma once

#include <gpu/types.hpp>

#include <cstddef>

namespace emu::kernel {

// From the engines (gpu::Callbacks).
void kfd_interrupt(const gpu::Interrupt& interrupt);
void kfd_fault(const gpu::Fault& fault);

// [address, address + length) of the process is about to be unmapped or mapped over: doorbell pages in it are
// no longer watched. One load where there are none.
void kfd_forget_mappings(void* address, std::size_t length);

} // namespace emu::kernel
