#include <memory/address_space.hpp>

#include <algorithm>
#include <cassert>
#include <cstring>

namespace emu::memory {

bool AddressSpace::is_free(GpuAddress va, std::uint64_t size) const {
  va = table_address(va);
  std::shared_lock lock(mutex_);
  auto after = ranges_.lower_bound(va + size);
  return after == ranges_.begin() || std::prev(after)->second.end <= va;
}

bool AddressSpace::map(GpuAddress va, std::uint64_t size, std::byte* host, Permissions permissions) {
  assert(va % page_size == 0 && size % page_size == 0 && size > 0);
  va = table_address(va);
  std::unique_lock lock(mutex_);
  auto after = ranges_.lower_bound(va + size);
  if (after != ranges_.begin() && std::prev(after)->second.end > va)
    return false;
  ranges_.emplace(va, Range{va, va + size, host, permissions});
  generation_.fetch_add(1, std::memory_order_release);
  return true;
}

// No range reaches over `va` afterwards.
void AddressSpace::split_locked(GpuAddress va) {
  auto after = ranges_.lower_bound(va);
  if (after == ranges_.begin() || std::prev(after)->second.end <= va)
    return;
  Range& old = std::prev(after)->second;
  ranges_.emplace(va, Range{va, old.end, old.host + (va - old.begin), old.permissions});
  old.end = va;
}

void AddressSpace::unmap_locked(GpuAddress va, GpuAddress end) {
  split_locked(va);
  split_locked(end);
  ranges_.erase(ranges_.lower_bound(va), ranges_.lower_bound(end));
}

void AddressSpace::unmap(GpuAddress va, std::uint64_t size) {
  va = table_address(va);
  std::unique_lock lock(mutex_);
  unmap_locked(va, va + size);
  generation_.fetch_add(1, std::memory_order_release);
}

void AddressSpace::remap(GpuAddress va, std::uint64_t size, std::byte* host, Permissions permissions) {
  va = table_address(va);
  std::unique_lock lock(mutex_);
  unmap_locked(va, va + size);
  ranges_.emplace(va, Range{va, va + size, host, permissions});
  generation_.fetch_add(1, std::memory_order_release);
}

void AddressSpace::make_read_only(GpuAddress va, std::uint64_t size) {
  va = table_address(va);
  std::unique_lock lock(mutex_);
  split_locked(va);
  split_locked(va + size);
  for (auto it = ranges_.lower_bound(va); it != ranges_.end() && it->first < va + size; ++it)
    it->second.permissions.writable = false;
  generation_.fetch_add(1, std::memory_order_release);
}

std::optional<Range> AddressSpace::find(GpuAddress va) const {
  va = table_address(va);
  std::shared_lock lock(mutex_);
  auto after = ranges_.upper_bound(va);
  if (after == ranges_.begin())
    return std::nullopt;
  const Range& range = std::prev(after)->second;
  if (va >= range.end)
    return std::nullopt;
  return range;
}

std::byte* Translator::translate_slow(GpuAddress va, std::uint64_t size, Access access) {
  straddles_ = false;
  const std::uint64_t generation = space_->generation();
  if (generation != generation_) {
    std::fill(std::begin(recent_), std::end(recent_), Range{});
    generation_ = generation;
  }
  std::optional<Range> range = space_->find(va);
  if (!range) {
    fault_ = {va, access, true};
    return nullptr;
  }
  if (access == Access::write && range->permissions.drops_writes &&
      size <= std::min(dropped_size, range->end - va)) {
    alignas(64) static thread_local std::byte dropped[dropped_size];
    std::memset(dropped, 0, size);
    return dropped;
  }
  if (!allows(*range, access)) {
    fault_ = {va, access, false};
    return nullptr;
  }
  recent_[next_victim_++ % cache_size] = *range;
  if (size > range->end - va) {
    fault_ = {range->end, access, true};
    straddles_ = space_->find(range->end).has_value();
    return nullptr;
  }
  return range->host + (va - range->begin);
}

std::optional<Range> Translator::range_of(GpuAddress va, Access access) {
  std::optional<Range> range = space_->find(va);
  if (!range) {
    fault_ = {va, access, true};
  } else if (!allows(*range, access) && !(access == Access::write && range->permissions.drops_writes)) {
    fault_ = {va, access, false};
    range.reset();
  }
  return range;
}

bool Translator::read(GpuAddress va, void* to, std::uint64_t size) {
  auto* out = static_cast<std::byte*>(to);
  va = table_address(va);
  while (size > 0) {
    const std::optional<Range> range = range_of(va, Access::read);
    if (!range)
      return false;
    const std::uint64_t chunk = std::min(size, range->end - va);
    std::memcpy(out, range->host + (va - range->begin), chunk);
    out += chunk;
    va += chunk;
    size -= chunk;
  }
  return true;
}

bool Translator::write(GpuAddress va, const void* from, std::uint64_t size) {
  auto* in = static_cast<const std::byte*>(from);
  va = table_address(va);
  while (size > 0) {
    const std::optional<Range> range = range_of(va, Access::write);
    if (!range)
      return false;
    const std::uint64_t chunk = std::min(size, range->end - va);
    if (!range->permissions.drops_writes)
      std::memcpy(range->host + (va - range->begin), in, chunk);
    in += chunk;
    va += chunk;
    size -= chunk;
  }
  return true;
}

} // namespace emu::memory
