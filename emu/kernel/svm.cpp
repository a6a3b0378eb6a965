#include "svm.hpp"

#include "device.hpp"
#include "kfd.hpp"
#include "kfd_process.hpp"
#include "kfd_smi.hpp"
#include "later.hpp"
#include "process.hpp"
#include "settings.hpp"
#include "user_memory.hpp"

#include <algorithm>
#include <cerrno>
#include <sys/mman.h>
#include <utility>

namespace emu::kernel {

using namespace uapi;

namespace {

constexpr std::uint64_t page = memory::page_size;

// svm_range_check_attr(). The card is the only one, and can do it all.
int check(SvmRanges::Attributes attributes) {
  for (const auto& [type, value] : attributes)
    switch (type) {
    case SVM_ATTR_PREFERRED_LOC:
      if (value != card::gpu_id && value != SVM_LOCATION_SYSMEM && value != SVM_LOCATION_UNDEFINED)
        return -EINVAL;
      break;
    case SVM_ATTR_PREFETCH_LOC:
      if (value != card::gpu_id && value != SVM_LOCATION_SYSMEM)
        return -EINVAL;
      break;
    case SVM_ATTR_ACCESS:
    case SVM_ATTR_ACCESS_IN_PLACE:
    case SVM_ATTR_NO_ACCESS:
      if (value != card::gpu_id)
        return -EINVAL;
      break;
    case SVM_ATTR_SET_FLAGS:
    case SVM_ATTR_CLR_FLAGS:
    case SVM_ATTR_GRANULARITY:
      break;
    default:
      return -EINVAL;
    }
  return 0;
}

bool can_be_asked_for(std::uint32_t type) {
  return type == SVM_ATTR_PREFERRED_LOC || type == SVM_ATTR_PREFETCH_LOC || type == SVM_ATTR_ACCESS ||
         type == SVM_ATTR_SET_FLAGS || type == SVM_ATTR_CLR_FLAGS || type == SVM_ATTR_GRANULARITY;
}

bool changes_page_tables(const kfd_ioctl_svm_attribute& attribute) {
  return attribute.type >= SVM_ATTR_ACCESS && attribute.type <= SVM_ATTR_CLR_FLAGS;
}

// svm_range_trigger_migration(): does the range move to where it was last prefetched? VRAM that has no room
// is no error.
bool migrates(std::uint64_t begin, SvmRange& range) {
  if (range.prefetch_location == SVM_LOCATION_UNDEFINED)
    return false;
  if (range.prefetch_location == SVM_LOCATION_SYSMEM)
    return std::exchange(range.in_vram, false);
  if (!vram_has_room(range.end - begin))
    return false;
  range.in_vram = true;
  return true;
}

} // namespace

void Svm::bind(std::shared_ptr<Vm> vm) {
  std::scoped_lock lock(mutex_);
  vm_ = std::move(vm);
}

// svm_range_is_valid(): memory of the program's everywhere, no device's, and no buffer there in the VM. 7.2
// leaves the overflow out.
int Svm::valid_locked(std::uint64_t begin, std::uint64_t size) {
  const std::uint64_t end = begin + size;
  if (end < begin)
    return -EOVERFLOW;
  std::uint64_t at = begin;
  for (const UserArea& area : user_areas(begin, end)) {
    if (area.begin != at || area.device)
      return -EFAULT;
    at = area.end;
  }
  if (at != end)
    return -EFAULT;
  return vm_ && vm_->overlaps(begin, size) ? -EADDRINUSE : 0;
}

// svm_range_validate_and_map(). What cannot be read is not mapped; where that is the range's end, the range
// does not count as mapped. (The kernel means to unmap such pages and misses them: here they are gone.)
int Svm::map_locked(std::uint64_t begin, SvmRange& range) {
  if (range.access == SvmAccess::none)
    return 0;
  std::uint64_t at = begin;
  for (const UserArea& area : user_areas(begin, range.end)) {
    if (area.begin != at)
      return -EFAULT;
    if (area.readable) {
      const memory::Permissions permissions{.writable = area.writable && !(range.flags & SVM_FLAG_GPU_RO),
                                            .executable = (range.flags & SVM_FLAG_GPU_EXEC) != 0};
      vm_->map_pages(at, area.end - at, permissions);
      range.mapped = range.mapped || area.end == range.end;
    } else {
      vm_->unmap_pages(at, area.end - at);
    }
    at = area.end;
  }
  return at == range.end ? 0 : -EFAULT;
}

// svm_range_set_attr()
int Svm::set_attributes(std::uint64_t begin, std::uint64_t size, SvmRanges::Attributes attributes) {
  if (const int error = check(attributes))
    return error;
  std::scoped_lock lock(mutex_);
  if (!vm_)
    return -EINVAL;
  forget_holes_locked();
  if (const int error = valid_locked(begin, size))
    return error;
  if (!reserve_user_memory(ranges_.uncovered(begin, begin + size)))
    return -ENOMEM;
  hook_faults();
  svm::in_use.store(true);
  const bool remap = std::any_of(attributes.begin(), attributes.end(), changes_page_tables);
  int result = 0;
  for (const std::uint64_t first : ranges_.set(begin, begin + size, attributes)) {
    SvmRange& range = ranges_.all().find(first)->second;
    if (migrates(first, range) || remap)
      if (const int error = map_locked(first, range))
        result = error;
  }
  return result;
}

// svm_range_get_attr(): what it has filled in when it comes to an unknown GPU is given back too.
int Svm::get_attributes(std::uint64_t begin, std::uint64_t size,
                        std::span<kfd_ioctl_svm_attribute> attributes) {
  std::scoped_lock lock(mutex_);
  forget_holes_locked();
  if (const int error = valid_locked(begin, size))
    return error;
  if (!std::all_of(attributes.begin(), attributes.end(),
                   [](const auto& attribute) { return can_be_asked_for(attribute.type); }))
    return -EINVAL;
  const auto unknown = std::find_if(attributes.begin(), attributes.end(), [](const auto& attribute) {
    return attribute.type == SVM_ATTR_ACCESS && attribute.value != card::gpu_id;
  });
  ranges_.get(begin, begin + size, {attributes.begin(), unknown});
  return unknown == attributes.end() ? 0 : -EINVAL;
}

bool Svm::overlaps(std::uint64_t begin, std::uint64_t last) {
  std::scoped_lock lock(mutex_);
  forget_holes_locked();
  const auto it = ranges_.first(begin);
  return it != ranges_.all().end() && it->first <= last;
}

// Looks for as many pages as the area has, range by range.
bool Svm::hold_for_queue(std::uint64_t begin, std::uint64_t size) {
  std::scoped_lock lock(mutex_);
  std::vector<SvmRange*> held;
  for (std::uint64_t at = begin, left = size; left > 0;) {
    const auto it = ranges_.first(at);
    if (it == ranges_.all().end() || it->first > at || !it->second.mapped ||
        it->second.access == SvmAccess::none || !(it->second.flags & SVM_FLAG_GPU_ALWAYS_MAPPED))
      return false;
    held.push_back(&it->second);
    const std::uint64_t bytes = std::min(left, it->second.end - it->first);
    at += bytes;
    left -= bytes;
  }
  for (SvmRange* range : held)
    ++range->queues;
  return true;
}

void Svm::release_from_queue(std::uint64_t begin, std::uint64_t size) {
  std::scoped_lock lock(mutex_);
  for (auto it = ranges_.first(begin); it != ranges_.all().end() && it->first < begin + size; ++it)
    if (it->second.queues > 0)
      --it->second.queues;
}

// --- the MMU notifier
// -------------------------------------------------------------------------------------------------

// Memory that the C library has unmapped by itself.
void Svm::forget_holes_locked() {
  if (ranges_.all().empty())
    return;
  const std::uint64_t end = std::prev(ranges_.all().end())->second.end;
  std::uint64_t at = ranges_.all().begin()->first;
  std::vector<UserArea> areas = user_areas(at, end);
  areas.push_back({.begin = end, .end = end});
  for (const UserArea& area : areas) {
    if (area.begin > at)
      remove_locked(at, area.begin);
    at = area.end;
  }
}

// svm_range_unmap_from_cpu()
void Svm::remove_locked(std::uint64_t begin, std::uint64_t end) {
  bool of_a_queue = false;
  for (auto it = ranges_.first(begin); it != ranges_.all().end() && it->first < end; ++it) {
    const std::uint64_t from = std::max(begin, it->first), to = std::min(end, it->second.end);
    of_a_queue = of_a_queue || it->second.queues > 0;
    if (it->second.mapped && it->second.access != SvmAccess::none)
      smi::unmapped_from_gpu(from, to - from);
    vm_->unmap_pages(from, to - from);
    std::uint64_t& departed = departed_[from];
    departed = std::max(departed, to);
  }
  release_user_memory(ranges_.remove(begin, end));
  if (of_a_queue) { // quiesced, for good; the process's lock comes before this one
    complain("the memory of a queue's context area is gone, at %#llx",
             static_cast<unsigned long long>(begin));
    run_later(0, [] {
      if (KfdProcess* process = kfd_process())
        process->evict_queues();
    });
  }
}

void Svm::unmapping(std::uint64_t begin, std::uint64_t end) {
  std::scoped_lock lock(mutex_);
  for (auto it = ranges_.first(begin); it != ranges_.all().end() && it->first < end; ++it) {
    const std::uint64_t from = std::max(begin, it->first), to = std::min(end, it->second.end);
    vm_->unmap_pages(from, to - from);
  }
}

void Svm::unmapped(std::uint64_t begin, std::uint64_t end) {
  std::scoped_lock lock(mutex_);
  remove_locked(begin, end);
}

void Svm::protecting(std::uint64_t begin, std::uint64_t end, int protection) {
  std::scoped_lock lock(mutex_);
  for (auto it = ranges_.first(begin); it != ranges_.all().end() && it->first < end; ++it) {
    const std::uint64_t from = std::max(begin, it->first), to = std::min(end, it->second.end);
    if (!(protection & PROT_READ))
      vm_->unmap_pages(from, to - from);
    else if (!(protection & PROT_WRITE))
      vm_->space().make_read_only(from, to - from);
  }
}

// svm_range_evict() and the restore worker: queues pause, and what was mapped is mapped again.
void Svm::changed(std::uint64_t begin, std::uint64_t end) {
  std::scoped_lock lock(mutex_);
  bool paused = false;
  for (auto it = ranges_.first(begin); it != ranges_.all().end() && it->first < end; ++it)
    if (it->second.mapped) {
      paused = true;
      map_locked(it->first, it->second);
    }
  if (paused)
    smi::queues_paused(smi::Trigger::svm);
}

bool Svm::knows(std::uint64_t address) {
  std::scoped_lock lock(mutex_);
  if (ranges_.overlaps(address, address + 1))
    return true;
  return std::any_of(departed_.begin(), departed_.end(), [address](const auto& range) {
    return address >= range.first && address < range.second;
  });
}

namespace svm {

constinit std::atomic<bool> in_use{false};

namespace {
// Whole pages; false: nothing that the kernel would change, or nobody who cares.
bool pages_of(const void* address, std::size_t length, std::uint64_t& begin, std::uint64_t& end) {
  if (!in_use.load(std::memory_order_relaxed) || length == 0)
    return false;
  begin = reinterpret_cast<std::uint64_t>(address);
  end = (begin + length + page - 1) & ~(page - 1);
  return begin % page == 0 && end > begin && kfd_process();
}
} // namespace

Unmapping::Unmapping(const void* address, std::size_t length)
    : active_(pages_of(address, length, begin_, end_)) {
  if (active_)
    kfd_process()->svm().unmapping(begin_, end_);
}

void Unmapping::end(bool happened) {
  if (!active_)
    return;
  const int saved = errno;
  if (happened)
    kfd_process()->svm().unmapped(begin_, end_);
  else
    kfd_process()->svm().changed(begin_, end_);
  errno = saved;
}

int Unmapping::ended(int result) {
  end(result == 0);
  return result;
}
void* Unmapping::ended(void* result) {
  end(result != MAP_FAILED);
  return result;
}

Protecting::Protecting(const void* address, std::size_t length, int protection)
    : active_(pages_of(address, length, begin_, end_)) {
  if (active_)
    kfd_process()->svm().protecting(begin_, end_, protection);
}

Protecting::~Protecting() {
  const int saved = errno;
  if (active_)
    kfd_process()->svm().changed(begin_, end_);
  errno = saved;
}

void moved(const void* address, std::size_t length, const void* now, std::size_t new_length) {
  if (now == MAP_FAILED || (now == address && new_length >= length))
    return;
  const std::size_t kept = now == address ? (new_length + page - 1) & ~(page - 1) : 0;
  std::uint64_t begin = 0, end = 0;
  if (kept < length && pages_of(static_cast<const char*>(address) + kept, length - kept, begin, end))
    kfd_process()->svm().unmapped(begin, end);
}

bool knows(std::uint64_t address) {
  KfdProcess* process = in_use.load(std::memory_order_relaxed) ? kfd_process() : nullptr;
  return process && process->svm().knows(address);
}

void report(std::uint64_t address, bool write) {
  const std::uint64_t at = address & ~(page - 1);
  complain("page fault: memory of an SVM range, at %#llx, is gone", static_cast<unsigned long long>(address));
  if (KfdProcess* process = kfd_process())
    process->svm().unmapped(at, at + page);
  gpu::Fault fault;
  fault.kind = gpu::FaultKind::page_fault;
  fault.page = {address, write ? memory::Access::write : memory::Access::read, true};
  kfd_fault(fault);
}

} // namespace svm

// --- the ioctls
// -------------------------------------------------------------------------------------------------------

int KfdProcess::svm_ioctl(kfd_ioctl_svm_args& args) {
  if (!settings::shared_virtual_memory())
    return -EPERM;
  if (args.start_addr % page != 0 || args.size % page != 0 || args.start_addr == 0 || args.size == 0)
    return -EINVAL;
  const std::span attributes(reinterpret_cast<kfd_ioctl_svm_attribute*>(&args + 1), args.nattr);
  switch (args.op) {
  case SVM_OP_SET_ATTR:
    return svm_.set_attributes(args.start_addr, args.size, attributes);
  case SVM_OP_GET_ATTR:
    return svm_.get_attributes(args.start_addr, args.size, attributes);
  default:
    return -EINVAL;
  }
}

// gfx10.3 cannot (kfd_process_xnack_mode()), so it is always off.
int KfdProcess::set_xnack_mode(kfd_ioctl_set_xnack_mode_args& args) {
  if (!settings::shared_virtual_memory())
    return -EPERM;
  std::scoped_lock lock(mutex_);
  if (args.xnack_enabled < 0) {
    args.xnack_enabled = 0;
    return 0;
  }
  if (!queues_.empty())
    return -EBUSY;
  return args.xnack_enabled ? -EPERM : 0;
}

} // namespace emu::kernel
