#include <core/memory.hpp>

#include <algorithm>
#include <span>

#include <core/driver.hpp>

namespace shim::core {

namespace {

constexpr std::uint64_t pitch_alignment = 256; // CU_DEVICE_ATTRIBUTE_TEXTURE_PITCH_ALIGNMENT

AllocationView view_of(const Allocation& a) {
  return {a.kind, a.context->handle, a.context->device().ordinal(), a.base, a.size, a.flags,
          a.id,   a.sync_memops};
}

// These are of one context, and out of the table, so that nobody new can hold them. Those who did until now
// have put their work into streams; those who still do wait for it themselves.
Result<void> wait_until_unused(std::span<const std::shared_ptr<Allocation>> removed) {
  if (removed.empty())
    return {};
  std::vector<Allocation*> only_ours;
  for (const std::shared_ptr<Allocation>& allocation : removed)
    if (allocation.use_count() == 1)
      only_ours.push_back(allocation.get());
  Result<void> waited = removed.front()->context->synchronize();
  for (Allocation* allocation : only_ours)
    allocation->in_use = false;
  return waited;
}

Result<std::uint64_t> allocate(Context& context, AllocationKind kind, kfd::MemoryKind memory,
                               std::uint64_t size, unsigned flags) {
  if (size == 0)
    return util::fail(CUDA_ERROR_INVALID_VALUE, "an allocation of 0 bytes");
  constexpr std::uint64_t largest = std::uint64_t{1} << 46;
  if (size > largest)
    return util::fail(CUDA_ERROR_OUT_OF_MEMORY, "an allocation of {} bytes", size);
  Result<kfd::Buffer> buffer =
      context.device().opened().allocate(memory, size, {.host_access = memory == kfd::MemoryKind::gtt});
  if (!buffer)
    return buffer.error();
  auto allocation = std::make_shared<Allocation>();
  allocation->kind = kind;
  allocation->context = context.shared_from_this();
  allocation->base = buffer->address();
  allocation->size = size;
  allocation->flags = flags;
  if (kind == AllocationKind::managed)
    allocation->advice = std::make_unique<AdvisedMemory>();
  allocation->buffer = std::move(*buffer);
  Result<AllocationView> inserted = driver().allocations().insert(std::move(allocation));
  if (!inserted)
    return inserted.error();
  return inserted->base;
}

} // namespace

Allocation::~Allocation() {
  if (in_use)
    context->wait_for_work();
}

Result<AllocationView> AllocationTable::insert(std::shared_ptr<Allocation> allocation) {
  std::unique_lock lock(mutex_);
  if (allocation->context->closed())
    return util::fail(CUDA_ERROR_CONTEXT_IS_DESTROYED, "the context was destroyed meanwhile");
  auto next = by_base_.lower_bound(allocation->base);
  bool overlaps = next != by_base_.end() && next->second->base < allocation->end();
  if (next != by_base_.begin())
    overlaps = overlaps || std::prev(next)->second->end() > allocation->base;
  if (overlaps)
    return util::fail(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED, "[{:#x}, {:#x}) overlaps another allocation",
                      allocation->base, allocation->end());
  allocation->id = next_id_++;
  AllocationView view = view_of(*allocation);
  by_base_.emplace(allocation->base, allocation);
  allocation->in_use = true;
  return view;
}

const std::shared_ptr<Allocation>* AllocationTable::find_locked(std::uint64_t address) const {
  auto next = by_base_.upper_bound(address);
  if (next == by_base_.begin())
    return nullptr;
  const std::shared_ptr<Allocation>& candidate = std::prev(next)->second;
  return address < candidate->end() ? &candidate : nullptr;
}

std::optional<AllocationView> AllocationTable::find(std::uint64_t address) const {
  std::shared_lock lock(mutex_);
  const std::shared_ptr<Allocation>* found = find_locked(address);
  return found ? std::optional(view_of(**found)) : std::nullopt;
}

std::optional<HeldAllocation> AllocationTable::hold(std::uint64_t address) const {
  std::shared_lock lock(mutex_);
  const std::shared_ptr<Allocation>* found = find_locked(address);
  return found ? std::optional(HeldAllocation{view_of(**found), *found}) : std::nullopt;
}

bool AllocationTable::overlaps(std::uint64_t address, std::uint64_t size) const {
  std::shared_lock lock(mutex_);
  auto next = by_base_.lower_bound(address);
  if (next != by_base_.end() && next->second->base < address + size)
    return true;
  return next != by_base_.begin() && std::prev(next)->second->end() > address;
}

Result<void> AllocationTable::remove(std::uint64_t base) {
  std::shared_ptr<Allocation> allocation;
  {
    std::unique_lock lock(mutex_);
    auto found = by_base_.find(base);
    if (found == by_base_.end())
      return util::fail(CUDA_ERROR_INVALID_VALUE, "no allocation begins at {:#x}", base);
    allocation = std::move(found->second);
    by_base_.erase(found);
  }
  return wait_until_unused({&allocation, 1});
}

void AllocationTable::remove(const std::vector<std::uint64_t>& bases) {
  std::vector<std::shared_ptr<Allocation>> removed;
  {
    std::unique_lock lock(mutex_);
    for (std::uint64_t base : bases)
      if (auto found = by_base_.extract(base))
        removed.push_back(std::move(found.mapped()));
  }
  (void)wait_until_unused(removed);
}

void AllocationTable::remove_all(const Context& context) {
  std::vector<std::shared_ptr<Allocation>> removed;
  {
    std::unique_lock lock(mutex_);
    for (auto it = by_base_.begin(); it != by_base_.end();) {
      if (it->second->context.get() == &context) {
        removed.push_back(std::move(it->second));
        it = by_base_.erase(it);
      } else {
        ++it;
      }
    }
  }
  (void)wait_until_unused(removed);
}

bool AllocationTable::set_sync_memops(std::uint64_t address, bool on) {
  std::unique_lock lock(mutex_);
  const std::shared_ptr<Allocation>* found = find_locked(address);
  if (!found)
    return false;
  (*found)->sync_memops = on;
  return true;
}

std::size_t AllocationTable::size() const {
  std::shared_lock lock(mutex_);
  return by_base_.size();
}

Result<std::uint64_t> allocate_device(Context& context, std::uint64_t size) {
  return allocate(context, AllocationKind::device, kfd::MemoryKind::vram, size, 0);
}

Result<PitchedAllocation> allocate_pitched(Context& context, std::uint64_t width, std::uint64_t height,
                                           unsigned element_size) {
  if (element_size != 4 && element_size != 8 && element_size != 16)
    return util::fail(CUDA_ERROR_INVALID_VALUE, "cuMemAllocPitch: elements of {} bytes", element_size);
  std::uint64_t pitch = (width + pitch_alignment - 1) / pitch_alignment * pitch_alignment;
  if (width == 0 || height == 0)
    return util::fail(CUDA_ERROR_INVALID_VALUE, "cuMemAllocPitch: {} rows of {} bytes", height, width);
  std::uint64_t size;
  if (pitch < width || pitch > 0x7fffffff || __builtin_mul_overflow(pitch, height, &size))
    return util::fail(CUDA_ERROR_OUT_OF_MEMORY, "cuMemAllocPitch: {} rows of {} bytes", height, pitch);
  Result<std::uint64_t> address = allocate_device(context, size);
  if (!address)
    return address.error();
  return PitchedAllocation{*address, pitch};
}

Result<std::uint64_t> allocate_managed(Context& context, std::uint64_t size, unsigned flags) {
  if (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST)
    return util::fail(CUDA_ERROR_INVALID_VALUE, "cuMemAllocManaged: flags {:#x}", flags);
  return allocate(context, AllocationKind::managed, kfd::MemoryKind::gtt, size, flags);
}

Result<void> attach_managed(std::uint64_t address, std::uint64_t size, unsigned flags) {
  std::optional<AllocationView> found = driver().allocations().find(address);
  bool whole = found && found->base == address && (size == 0 || size == found->size);
  if (!whole || found->kind != AllocationKind::managed)
    return util::fail(CUDA_ERROR_INVALID_VALUE, "attach: {} bytes at {:#x} are not a managed allocation",
                      size, address);
  if (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST && flags != CU_MEM_ATTACH_SINGLE)
    return util::fail(CUDA_ERROR_INVALID_VALUE, "attach: flags {:#x}", flags);
  return {};
}

Result<void> free_device(std::uint64_t address) {
  if (address == 0)
    return {};
  std::optional<AllocationView> found = driver().allocations().find(address);
  if (!found || found->base != address || found->is_host() || found->kind == AllocationKind::module)
    return util::fail(CUDA_ERROR_INVALID_VALUE, "cuMemFree: {:#x} is not an allocation", address);
  return driver().allocations().remove(address);
}

Result<void*> allocate_host(Context& context, std::uint64_t size, unsigned flags) {
  constexpr unsigned known =
      CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP | CU_MEMHOSTALLOC_WRITECOMBINED;
  if (flags & ~known)
    return util::fail(CUDA_ERROR_INVALID_VALUE, "cuMemHostAlloc: flags {:#x}", flags);
  // All of it is mapped, and portable: addresses are unified.
  Result<std::uint64_t> address = allocate(context, AllocationKind::host, kfd::MemoryKind::gtt, size,
                                           (flags & ~CU_MEMHOSTALLOC_PORTABLE) | CU_MEMHOSTALLOC_DEVICEMAP);
  if (!address)
    return address.error();
  return reinterpret_cast<void*>(*address);
}

Result<void> free_host(void* pointer) {
  if (!pointer)
    return {};
  auto address = reinterpret_cast<std::uint64_t>(pointer);
  std::optional<AllocationView> found = driver().allocations().find(address);
  if (!found || found->base != address || found->kind != AllocationKind::host)
    return util::fail(CUDA_ERROR_INVALID_VALUE, "cuMemFreeHost: {:#x} is not such memory", address);
  return driver().allocations().remove(address);
}

Result<void> register_host(Context& context, void* pointer, std::uint64_t size, unsigned flags) {
  constexpr unsigned known =
      CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP | CU_MEMHOSTREGISTER_IOMEMORY;
  auto address = reinterpret_cast<std::uint64_t>(pointer);
  std::uint64_t end;
  if (!pointer || size == 0 || (flags & ~known) || __builtin_add_overflow(address, size, &end))
    return util::fail(CUDA_ERROR_INVALID_VALUE, "cuMemHostRegister({:#x}, {}, {:#x})", address, size, flags);
  if (flags & CU_MEMHOSTREGISTER_IOMEMORY)
    return util::fail(CUDA_ERROR_NOT_SUPPORTED, "cuMemHostRegister of device registers");
  if (driver().allocations().overlaps(address, size)) {
    std::optional<AllocationView> found = driver().allocations().find(address);
    if (found && found->kind != AllocationKind::registered)
      return util::fail(CUDA_ERROR_INVALID_VALUE, "cuMemHostRegister: {:#x} is the driver's own memory",
                        address);
    return util::fail(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED, "[{:#x}, {:#x}) is registered", address,
                      end);
  }
  Result<PinnedRange> pages = context.device().pinned_pages().pin(address, size);
  if (!pages)
    return pages.error();
  auto allocation = std::make_shared<Allocation>();
  allocation->kind = AllocationKind::registered;
  allocation->context = context.shared_from_this();
  allocation->base = address;
  allocation->size = size;
  allocation->flags = (flags & ~CU_MEMHOSTREGISTER_PORTABLE) | CU_MEMHOSTREGISTER_DEVICEMAP;
  allocation->owner = std::make_shared<PinnedRange>(*std::move(pages));
  Result<AllocationView> inserted = driver().allocations().insert(std::move(allocation));
  if (!inserted)
    return inserted.error();
  return {};
}

Result<void> unregister_host(void* pointer) {
  auto address = reinterpret_cast<std::uint64_t>(pointer);
  std::optional<AllocationView> found = driver().allocations().find(address);
  if (!pointer || (found && (found->base != address || found->kind != AllocationKind::registered)))
    return util::fail(CUDA_ERROR_INVALID_VALUE,
                      "cuMemHostUnregister: {:#x} is no beginning of a registration", address);
  if (!found)
    return util::fail(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, "cuMemHostUnregister: {:#x} is not registered",
                      address);
  return driver().allocations().remove(address);
}

Result<AllocationView> find_host(const void* pointer) {
  auto address = reinterpret_cast<std::uint64_t>(pointer);
  std::optional<AllocationView> found = driver().allocations().find(address);
  if (!found || !found->is_host())
    return util::fail(CUDA_ERROR_INVALID_VALUE, "{:#x} is not in pinned host memory", address);
  return *found;
}

} // namespace shim::core
