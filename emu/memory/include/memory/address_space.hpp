// GPU virtual memory: what a VMID's page tables say, as a map from GPU address ranges to host memory.
//
// One AddressSpace stands for one amdgpu VM (a drm file's, or the one that a KFD process acquired). The
// kernel side maps and unmaps; engines and waves translate. Thread-safe: map() and unmap() may run beside
// translations.
//
// Mappings are kept at their table_address(); look-ups take either form. Granularity is the GPU page, 4 KiB.
// Anything outside a mapping is a page fault; the caller reports it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <shared_mutex>

namespace emu::memory {

using GpuAddress = std::uint64_t;

inline constexpr std::uint64_t page_size = 4096;

// What the page tables are indexed with: 48 bits. A pointer has them sign-extended (0xffff8... for the upper
// half), packet and descriptor fields hold them bare; both mean the same page. Any other pointer is returned
// as it is, and maps nothing.
inline constexpr GpuAddress table_address(GpuAddress va) {
  return va >> 47 == 0x1ffff ? va & 0x0000'ffff'ffff'ffff : va;
}

enum class Access : std::uint8_t { read = 1, write = 2, execute = 4 };

// Permissions of a mapping, as AMDGPU_VM_PAGE_* and KFD_IOC_ALLOC_MEM_FLAGS_* give them. Reading is always
// allowed.
struct Permissions {
  bool writable = true;
  bool executable = true;
  // A page of a partially resident resource (PRT) without memory: writes vanish, though it is not writable.
  // Its host memory reads as zeros.
  bool drops_writes = false;
};

// [begin, end) of GPU addresses at host memory `host`. Contiguous on both sides.
struct Range {
  GpuAddress begin = 0;
  GpuAddress end = 0;
  std::byte* host = nullptr;
  Permissions permissions;
};

// An access that no mapping allows.
struct PageFault {
  GpuAddress address = 0;
  Access access = Access::read;
  bool not_present = true; // false: present, but without the permission
};

class AddressSpace {
public:
  AddressSpace() = default;
  AddressSpace(const AddressSpace&) = delete;
  AddressSpace& operator=(const AddressSpace&) = delete;

  // Maps [va, va + size) to host memory. va and size are multiples of page_size. False where any page of the
  // range is mapped already (the caller decides which errno that is).
  bool map(GpuAddress va, std::uint64_t size, std::byte* host, Permissions permissions);

  // Unmaps whatever of [va, va + size) is mapped, splitting ranges that reach beyond it.
  void unmap(GpuAddress va, std::uint64_t size);

  // Both at once: no translation finds the pages missing in between.
  void remap(GpuAddress va, std::uint64_t size, std::byte* host, Permissions permissions);

  // Takes the permission to write from whatever of [va, va + size) is mapped.
  void make_read_only(GpuAddress va, std::uint64_t size);

  // Is every page of [va, va + size) free?
  bool is_free(GpuAddress va, std::uint64_t size) const;

  // The whole range that holds `va`, clipped to nothing; nullopt where none does.
  std::optional<Range> find(GpuAddress va) const;

  // Changes with every map() and unmap(); a cached Range is good while this stays the same.
  std::uint64_t generation() const { return generation_.load(std::memory_order_acquire); }

private:
  void split_locked(GpuAddress va);
  void unmap_locked(GpuAddress va, GpuAddress end);

  mutable std::shared_mutex mutex_;
  std::map<GpuAddress, Range> ranges_; // by begin
  std::atomic<std::uint64_t> generation_{1};
};

// A translation cache for one thread of execution (an engine, a wave's workgroup): not thread-safe, no
// allocation.
class Translator {
public:
  explicit Translator(const AddressSpace& space) : space_(&space) {}

  // Host memory of [va, va + size), or nullptr: fault() says why. An access that crosses from one mapping
  // into an adjacent one whose host memory is not contiguous must be split by the caller with
  // translate_page-sized pieces: such an access yields nullptr with fault() at the first byte of the second
  // mapping and straddles() true. A write to a range that drops writes yields zeroed memory that nobody
  // reads, if it fits into `dropped_size`; it is another's after the next call on any Translator of the
  // thread.
  std::byte* translate(GpuAddress va, std::uint64_t size, Access access) {
    va = table_address(va);
    for (const Range& range : recent_)
      if (va >= range.begin && va < range.end && size <= range.end - va &&
          generation_ == space_->generation() && allows(range, access))
        return range.host + (va - range.begin);
    return translate_slow(va, size, access);
  }

  // Copies bytes across mappings, whatever their host layout. False: fault() says where it stopped.
  bool read(GpuAddress va, void* to, std::uint64_t size);
  bool write(GpuAddress va, const void* from, std::uint64_t size);

  // The whole range that holds `va` and allows the access; nullopt: fault() says why not.
  std::optional<Range> range_of(GpuAddress va, Access access);

  static constexpr std::uint64_t dropped_size = 4096;

  const PageFault& fault() const { return fault_; }
  bool straddles() const { return straddles_; }
  const AddressSpace& space() const { return *space_; }

private:
  static bool allows(const Range& range, Access access) {
    switch (access) {
    case Access::read:
      return true;
    case Access::write:
      return range.permissions.writable;
    case Access::execute:
      return range.permissions.executable;
    }
    return false;
  }
  std::byte* translate_slow(GpuAddress va, std::uint64_t size, Access access);

  static constexpr std::size_t cache_size = 8;
  const AddressSpace* space_;
  std::uint64_t generation_ = 0;
  Range recent_[cache_size] = {};
  unsigned next_victim_ = 0;
  PageFault fault_;
  bool straddles_ = false;
};

} // namespace emu::memory
