// A GPU virtual address space with the buffers that are mapped into it: what amdgpu calls a VM.
//
// A drm file has one; KFD's ACQUIRE_VM takes it over, after which both sides map into it.
#pragma once

#include "bo.hpp"

#include <memory/address_space.hpp>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

namespace emu::kernel {

class Vm {
public:
  Vm();
  ~Vm();
  Vm(const Vm&) = delete;
  Vm& operator=(const Vm&) = delete;

  // Maps [bo_offset, bo_offset + size) of `bo` at `va`. The mapping holds the buffer. EINVAL: outside the
  // buffer or unaligned or beyond the address space; EINVAL too where part of the range is mapped already, as
  // amdgpu_vm_bo_map.
  int map(std::shared_ptr<BufferObject> bo, std::uint64_t bo_offset, std::uint64_t va, std::uint64_t size,
          memory::Permissions permissions);

  // What is unmapped for a batch other than 0 is gone for map(), unmap() and find(), but the GPU still
  // reaches it until finish(batch), or until something else is mapped there: amdgpu clears page tables behind
  // the jobs that it has.
  using Batch = std::uint64_t;
  void finish(Batch batch);

  // Unmaps the mapping of `bo` that starts at `va` exactly. ENOENT where there is none.
  int unmap(const BufferObject& bo, std::uint64_t va, Batch batch = 0);

  // Unmaps whatever is in the range, splitting mappings that reach beyond it (AMDGPU_VA_OP_CLEAR, the first
  // half of REPLACE).
  int clear(std::uint64_t va, std::uint64_t size, Batch batch = 0);

  // Takes the pages of `bo` out of the page tables, and puts them back; its mappings stay what they are. For
  // buffers whose memory goes away below them (userptr.hpp).
  void suspend(const BufferObject& bo);
  void resume(const std::shared_ptr<BufferObject>& bo);

  // Pages of the program's own memory without a mapping, as SVM has them: at the same address on both sides.
  // Here and in map(), what comes later is what the page tables say.
  void map_pages(std::uint64_t va, std::uint64_t size, memory::Permissions permissions);
  void unmap_pages(std::uint64_t va, std::uint64_t size) { space_.unmap(va, size); }
  // Is there a mapping, in the page tables or not, of any page?
  bool overlaps(std::uint64_t va, std::uint64_t size);

  // Calls `f` for every Vm of the process.
  static void for_each(const std::function<void(Vm&)>& f);

  // Who has a buffer in this VM: each GEM handle counts, and each of KFD's attachments (one bo_va for all of
  // them, with ref_count). When the last one detaches, every mapping of `bo` goes, whoever made it.
  void attach(const BufferObject& bo);
  void detach(const BufferObject& bo, Batch batch = 0);
  // Unmaps every mapping of `bo`, which nobody attached.
  void drop(const BufferObject& bo, Batch batch = 0);

  // The mapping that holds `va`.
  struct Found {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::shared_ptr<BufferObject> bo;
  };
  std::optional<Found> find(std::uint64_t va);

  // Where byte `offset` of `bo` is mapped.
  std::optional<std::uint64_t> address_of(const BufferObject& bo, std::uint64_t offset);

  memory::AddressSpace& space() { return space_; }

  // Set by KFD's ACQUIRE_VM; a VM is acquired once in its life.
  std::atomic<bool> acquired_by_kfd{false};

private:
  struct Mapping {
    std::uint64_t end = 0;
    std::shared_ptr<BufferObject> bo;
    std::uint64_t bo_offset = 0;
    memory::Permissions permissions;
    bool present = true; // in the page tables
  };
  struct Retired {
    Mapping mapping;
    Batch batch = 0;
  };
  void clear_locked(std::uint64_t va, std::uint64_t end, Batch batch);
  void retire_locked(std::uint64_t va, Mapping mapping, Batch batch);
  void evict_retired_locked(std::uint64_t va, std::uint64_t end);

  std::mutex mutex_;
  std::map<const BufferObject*, unsigned> attached_;
  std::map<std::uint64_t, Mapping> mappings_; // by first address
  std::map<std::uint64_t, Retired> retired_;  // likewise; never overlaps mappings_
  memory::AddressSpace space_;
};

// What a drm file is to KFD.
class VmOwner {
public:
  virtual ~VmOwner() = default;
  virtual const std::shared_ptr<Vm>& vm() = 0;
  // The File to allow mmap() to (BufferObject::allow_mmap).
  virtual const File* file() const = 0;
};

} // namespace emu::kernel
