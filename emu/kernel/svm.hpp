// Shared virtual memory: the program's own memory in the GPU's page tables, at its own address, for as long
// as the program has it. Where the kernel has it (settings::shared_virtual_memory()). Sources: kfd_svm.c,
// kfd_chardev.c.
//
// The card's waves do not wait for pages (XNACK is off), so what has access is mapped at once. Where a range
// is put (system memory, VRAM) is remembered and answered, but all pages stay the program's.
//
// Losing access takes nothing out of the page tables, as in the kernel; the end of the memory below does.
#pragma once

#include "svm_ranges.hpp"
#include "vm.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>

namespace emu::kernel {

class Svm {
public:
  // The process's VM, once it has one.
  void bind(std::shared_ptr<Vm> vm);

  // SVM's two operations: 0 or a negative errno. `begin` and `size` are whole pages.
  int set_attributes(std::uint64_t begin, std::uint64_t size, SvmRanges::Attributes attributes);
  int get_attributes(std::uint64_t begin, std::uint64_t size,
                     std::span<uapi::kfd_ioctl_svm_attribute> attributes);

  // Is there a range in [begin, last]?
  bool overlaps(std::uint64_t begin, std::uint64_t last);

  // A queue's context area (kfd_queue_buffer_svm_get and _put). False: not memory that is always mapped.
  bool hold_for_queue(std::uint64_t begin, std::uint64_t size);
  void release_from_queue(std::uint64_t begin, std::uint64_t size);

  // The MMU notifier. Before memory may go, and after it has or has not; before it is protected, and after
  // that.
  void unmapping(std::uint64_t begin, std::uint64_t end);
  void unmapped(std::uint64_t begin, std::uint64_t end);
  void protecting(std::uint64_t begin, std::uint64_t end, int protection);
  void changed(std::uint64_t begin, std::uint64_t end);

  // Is the address in a range, or was it once? For engines that come late.
  bool knows(std::uint64_t address);

private:
  int valid_locked(std::uint64_t begin, std::uint64_t size);
  void forget_holes_locked();
  void remove_locked(std::uint64_t begin, std::uint64_t end);
  int map_locked(std::uint64_t begin, SvmRange& range);

  std::mutex mutex_;
  std::shared_ptr<Vm> vm_;
  SvmRanges ranges_;
  std::map<std::uint64_t, std::uint64_t> departed_; // what ranges once were, by first address
};

// What interposed calls do around changes of the program's mappings. One load where there are no ranges.
namespace svm {

extern std::atomic<bool> in_use;

class Unmapping {
public:
  Unmapping(const void* address, std::size_t length);
  // Once: the call's result, which is passed on.
  int ended(int result);
  void* ended(void* result);

private:
  void end(bool happened);
  std::uint64_t begin_ = 0, end_ = 0;
  bool active_ = false;
};

class Protecting {
public:
  Protecting(const void* address, std::size_t length, int protection);
  ~Protecting();
  Protecting(const Protecting&) = delete;
  Protecting& operator=(const Protecting&) = delete;

private:
  std::uint64_t begin_ = 0, end_ = 0;
  bool active_ = false;
};

// mremap() has answered.
void moved(const void* address, std::size_t length, const void* now, std::size_t new_length);

// For the handler of SIGSEGV (userptr.hpp): is it or was it a range's? Then what its page fault brings about.
bool knows(std::uint64_t address);
void report(std::uint64_t address, bool write);

} // namespace svm

} // namespace emu::kernel
