#include "vm.hpp"

#include "device.hpp"

#include <algorithm>
#include <cerrno>

namespace emu::kernel {

namespace {
constexpr std::uint64_t page = memory::page_size;
bool bad_range(std::uint64_t va, std::uint64_t size) {
  return va % page != 0 || size % page != 0 || size == 0 || va >= card::va_size || size > card::va_size - va;
}
} // namespace

int Vm::map(std::shared_ptr<BufferObject> bo, std::uint64_t bo_offset, std::uint64_t va, std::uint64_t size,
            memory::Permissions permissions) {
  if (bad_range(va, size) || bo_offset % page != 0 || bo_offset > bo->size() || size > bo->size() - bo_offset)
    return -EINVAL;
  std::scoped_lock lock(mutex_);
  std::byte* host = bo->host() + bo_offset;
  if (!space_.map(va, size, host, permissions))
    return -EINVAL;
  mappings_.emplace(va, Mapping{va + size, std::move(bo), bo_offset, permissions});
  return 0;
}

int Vm::unmap(const BufferObject& bo, std::uint64_t va) {
  std::shared_ptr<BufferObject> held; // released without the lock
  std::scoped_lock lock(mutex_);
  auto it = mappings_.find(va);
  if (it == mappings_.end() || it->second.bo.get() != &bo)
    return -ENOENT;
  space_.unmap(va, it->second.end - va);
  held = std::move(it->second.bo);
  mappings_.erase(it);
  return 0;
}

void Vm::clear_locked(std::uint64_t va, std::uint64_t end) {
  auto it = mappings_.lower_bound(va);
  if (it != mappings_.begin() && std::prev(it)->second.end > va)
    --it;
  while (it != mappings_.end() && it->first < end) {
    const std::uint64_t begin = it->first;
    Mapping old = std::move(it->second);
    it = mappings_.erase(it);
    if (old.end > end)
      mappings_.emplace(end, Mapping{old.end, old.bo, old.bo_offset + (end - begin), old.permissions});
    if (begin < va)
      mappings_.emplace(begin, Mapping{va, old.bo, old.bo_offset, old.permissions});
  }
  space_.unmap(va, end - va);
}

int Vm::clear(std::uint64_t va, std::uint64_t size) {
  if (bad_range(va, size))
    return -EINVAL;
  std::scoped_lock lock(mutex_);
  clear_locked(va, va + size);
  return 0;
}

void Vm::drop(const BufferObject& bo) {
  std::shared_ptr<BufferObject> held;
  std::scoped_lock lock(mutex_);
  for (auto it = mappings_.begin(); it != mappings_.end();) {
    if (it->second.bo.get() != &bo) {
      ++it;
      continue;
    }
    space_.unmap(it->first, it->second.end - it->first);
    held = std::move(it->second.bo);
    it = mappings_.erase(it);
  }
}

std::optional<Vm::Found> Vm::find(std::uint64_t va) {
  std::scoped_lock lock(mutex_);
  auto after = mappings_.upper_bound(va);
  if (after == mappings_.begin())
    return std::nullopt;
  const auto& [begin, mapping] = *std::prev(after);
  if (va >= mapping.end)
    return std::nullopt;
  return Found{begin, mapping.end, mapping.bo};
}

} // namespace emu::kernel
