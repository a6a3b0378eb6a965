#include "vm.hpp"

#include "device.hpp"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <pthread.h>
#include <set>
#include <vector>

namespace emu::kernel {

namespace {
constexpr std::uint64_t page = memory::page_size;
bool bad_range(std::uint64_t va, std::uint64_t size) {
  return va % page != 0 || size % page != 0 || size == 0 || va >= card::va_size || size > card::va_size - va;
}

// Every Vm of the process; never destroyed.
struct Registry {
  std::mutex mutex;
  std::set<Vm*> all;
};
Registry& registry() {
  static Registry* instance = new Registry;
  return *instance;
}
// Locked at a fork after userptr's, which calls for_each().
[[gnu::constructor(202)]] void watch_forks() {
  pthread_atfork([] { registry().mutex.lock(); }, [] { registry().mutex.unlock(); },
                 [] { registry().mutex.unlock(); });
}
} // namespace

Vm::Vm() {
  std::scoped_lock lock(registry().mutex);
  registry().all.insert(this);
}

Vm::~Vm() {
  std::scoped_lock lock(registry().mutex);
  registry().all.erase(this);
}

void Vm::for_each(const std::function<void(Vm&)>& f) {
  std::scoped_lock lock(registry().mutex);
  for (Vm* vm : registry().all)
    f(*vm);
}

int Vm::map(std::shared_ptr<BufferObject> bo, std::uint64_t bo_offset, std::uint64_t va, std::uint64_t size,
            memory::Permissions permissions) {
  if (bad_range(va, size) || bo_offset % page != 0 || bo_offset > bo->size() || size > bo->size() - bo_offset)
    return -EINVAL;
  std::scoped_lock lock(mutex_);
  evict_retired_locked(va, va + size);
  if (auto after = mappings_.lower_bound(va + size);
      after != mappings_.begin() && std::prev(after)->second.end > va)
    return -EINVAL;
  const bool present = !bo->pages_gone();
  if (present)
    space_.remap(va, size, bo->host() + bo_offset, permissions);
  mappings_.emplace(va, Mapping{va + size, std::move(bo), bo_offset, permissions, present});
  return 0;
}

void Vm::map_pages(std::uint64_t va, std::uint64_t size, memory::Permissions permissions) {
  std::scoped_lock lock(mutex_);
  evict_retired_locked(va, va + size);
  space_.remap(va, size, reinterpret_cast<std::byte*>(va), permissions);
}

bool Vm::overlaps(std::uint64_t va, std::uint64_t size) {
  std::scoped_lock lock(mutex_);
  auto after = mappings_.lower_bound(va + size);
  return after != mappings_.begin() && std::prev(after)->second.end > va;
}

void Vm::suspend(const BufferObject& bo) {
  std::scoped_lock lock(mutex_);
  for (auto& [va, mapping] : mappings_)
    if (mapping.bo.get() == &bo && mapping.present) {
      space_.unmap(va, mapping.end - va);
      mapping.present = false;
    }
}

void Vm::resume(const std::shared_ptr<BufferObject>& bo) {
  std::scoped_lock lock(mutex_);
  for (auto& [va, mapping] : mappings_)
    if (mapping.bo == bo && !mapping.present) {
      space_.remap(va, mapping.end - va, bo->host() + mapping.bo_offset, mapping.permissions);
      mapping.present = true;
    }
}

// Ends the mapping, which is in mappings_ no more: now, or with the batch.
void Vm::retire_locked(std::uint64_t va, Mapping mapping, Batch batch) {
  if (batch == 0)
    space_.unmap(va, mapping.end - va);
  else
    retired_.emplace(va, Retired{std::move(mapping), batch});
}

void Vm::evict_retired_locked(std::uint64_t va, std::uint64_t end) {
  auto it = retired_.lower_bound(va);
  if (it != retired_.begin() && std::prev(it)->second.mapping.end > va)
    --it;
  while (it != retired_.end() && it->first < end) {
    const std::uint64_t begin = it->first;
    const Retired old = std::move(it->second);
    it = retired_.erase(it);
    const std::uint64_t from = std::max(begin, va), to = std::min(old.mapping.end, end);
    space_.unmap(from, to - from);
    if (begin < va)
      retired_.emplace(begin, Retired{{va, old.mapping.bo, 0, {}}, old.batch});
    if (old.mapping.end > end)
      retired_.emplace(end, Retired{{old.mapping.end, old.mapping.bo, 0, {}}, old.batch});
  }
}

void Vm::finish(Batch batch) {
  std::vector<std::shared_ptr<BufferObject>> held; // released without the lock
  std::scoped_lock lock(mutex_);
  for (auto it = retired_.begin(); it != retired_.end();) {
    if (it->second.batch != batch) {
      ++it;
      continue;
    }
    space_.unmap(it->first, it->second.mapping.end - it->first);
    held.push_back(std::move(it->second.mapping.bo));
    it = retired_.erase(it);
  }
}

int Vm::unmap(const BufferObject& bo, std::uint64_t va, Batch batch) {
  std::shared_ptr<BufferObject> held; // released without the lock
  std::scoped_lock lock(mutex_);
  auto it = mappings_.find(va);
  if (it == mappings_.end() || it->second.bo.get() != &bo)
    return -ENOENT;
  held = it->second.bo;
  retire_locked(va, std::move(it->second), batch);
  mappings_.erase(it);
  return 0;
}

void Vm::clear_locked(std::uint64_t va, std::uint64_t end, Batch batch) {
  auto it = mappings_.lower_bound(va);
  if (it != mappings_.begin() && std::prev(it)->second.end > va)
    --it;
  while (it != mappings_.end() && it->first < end) {
    const std::uint64_t begin = it->first;
    const Mapping old = std::move(it->second);
    it = mappings_.erase(it);
    if (old.end > end)
      mappings_.emplace(
          end, Mapping{old.end, old.bo, old.bo_offset + (end - begin), old.permissions, old.present});
    if (begin < va)
      mappings_.emplace(begin, Mapping{va, old.bo, old.bo_offset, old.permissions, old.present});
    retire_locked(std::max(begin, va), Mapping{std::min(old.end, end), old.bo, 0, {}}, batch);
  }
}

int Vm::clear(std::uint64_t va, std::uint64_t size, Batch batch) {
  if (bad_range(va, size))
    return -EINVAL;
  std::scoped_lock lock(mutex_);
  clear_locked(va, va + size, batch);
  return 0;
}

void Vm::attach(const BufferObject& bo) {
  std::scoped_lock lock(mutex_);
  ++attached_[&bo];
}

void Vm::detach(const BufferObject& bo, Batch batch) {
  {
    std::scoped_lock lock(mutex_);
    auto it = attached_.find(&bo);
    if (it == attached_.end() || --it->second > 0)
      return;
    attached_.erase(it);
  }
  drop(bo, batch);
}

void Vm::drop(const BufferObject& bo, Batch batch) {
  std::shared_ptr<BufferObject> held;
  std::scoped_lock lock(mutex_);
  for (auto it = mappings_.begin(); it != mappings_.end();) {
    if (it->second.bo.get() != &bo) {
      ++it;
      continue;
    }
    held = it->second.bo;
    retire_locked(it->first, std::move(it->second), batch);
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

std::optional<std::uint64_t> Vm::address_of(const BufferObject& bo, std::uint64_t offset) {
  std::scoped_lock lock(mutex_);
  for (const auto& [va, mapping] : mappings_)
    if (mapping.bo.get() == &bo && offset >= mapping.bo_offset &&
        offset - mapping.bo_offset < mapping.end - va)
      return va + (offset - mapping.bo_offset);
  return std::nullopt;
}

} // namespace emu::kernel
