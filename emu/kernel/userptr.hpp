// Buffers upon the program's own memory (KFD USERPTR, GEM_USERPTR) and what becomes of them when that memory
// goes: what the kernel's MMU notifier does.
//
// When a page below such a buffer is unmapped, mapped over or protected, the whole buffer leaves the GPU's
// page tables before the change, which waits for what engines are in the middle of, and comes back after it,
// where its pages can be pinned again. Else an access is a page fault. Source: amdgpu_amdkfd_gpuvm.c,
// amdgpu_amdkfd_evict_userptr() and the restore worker.
//
// The C library unmaps some memory without being seen to (free() of a large block), and a file below a
// mapping can be made shorter by anyone. An engine that meets such a hole is caught by its SIGSEGV or SIGBUS:
// it is given a page of zeros to go on with, and the page fault is reported.
#pragma once

#include "bo.hpp"

#include <atomic>
#include <csignal>
#include <cstddef>
#include <memory>

namespace emu::kernel::userptr {

extern std::atomic<unsigned> watched_count;

// From now until it is destroyed. `write`: its pages must be writable.
void watch(const std::shared_ptr<BufferObject>& bo, bool write);
// When it is freed, and by ~BufferObject().
void forget(const BufferObject& bo);

void before_change(const void* address, std::size_t length);
void after_change();

// Lives around a system call that changes the mappings of [address, address + length). Keeps errno. Costs one
// load where nothing is watched.
class Change {
public:
  Change(const void* address, std::size_t length)
      : active_(length != 0 && watched_count.load(std::memory_order_relaxed) != 0) {
    if (active_)
      before_change(address, length);
  }
  ~Change() {
    if (active_)
      after_change();
  }
  Change(const Change&) = delete;
  Change& operator=(const Change&) = delete;

private:
  bool active_;
};

// In the handler of SIGSEGV and SIGBUS. True: an engine's thread met a hole below a watched buffer, and may
// try again.
bool on_engine_fault(const siginfo_t& info, bool write);

} // namespace emu::kernel::userptr
