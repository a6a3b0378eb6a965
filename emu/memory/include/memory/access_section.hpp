// When host memory may go that engines may be in the middle of reaching.
//
// What a Translator answers is good until the page tables change, and they may change between the answer and
// the access. So engines access memory inside of sections, and whoever has taken memory out of the page
// tables lets the sections pass that began before: a later one asks the page tables anew. Memory of the
// emulator's own is unmapped when they have passed, which nobody has to wait for.
#pragma once

#include <chrono>
#include <cstddef>

namespace emu::memory {

// The calling thread may access what a Translator gives while one of these lives. They nest. Short: a packet,
// a slice of instructions.
class AccessSection {
public:
  AccessSection();
  ~AccessSection();
  AccessSection(const AccessSection&) = delete;
  AccessSection& operator=(const AccessSection&) = delete;
};

// munmap(), as soon as every section that has begun is over: now, or at the end of the last one.
void unmap_behind_accesses(void* base, std::size_t size);

// Waits until every section of other threads that has begun is over. False: it was not by then. (A section
// may need a lock of the caller's: that of an allocator which unmaps memory, say.)
bool wait_for_accesses(std::chrono::milliseconds limit = std::chrono::seconds(1));

} // namespace emu::memory
