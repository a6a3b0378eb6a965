#include <core/pinned_pages.hpp>

#include <algorithm>

namespace shim::core {

namespace {
constexpr std::uint64_t page_bytes = 4096;
} // namespace

Result<PinnedRange> PinnedPages::pin(std::uint64_t address, std::uint64_t size) {
  std::uint64_t next = address / page_bytes * page_bytes;
  std::uint64_t end = (address + size + page_bytes - 1) / page_bytes * page_bytes;
  PinnedRange range;
  std::lock_guard lock(mutex_);
  std::erase_if(by_address_, [](const auto& entry) { return entry.second.expired(); });
  while (next < end) {
    auto after = by_address_.upper_bound(next);
    if (after != by_address_.begin()) {
      std::shared_ptr<kfd::Buffer> before = std::prev(after)->second.lock();
      if (before && before->address() + before->size() > next) {
        next = before->address() + before->size();
        range.push_back(std::move(before));
        continue;
      }
    }
    std::uint64_t gap_end = after == by_address_.end() ? end : std::min(end, after->first);
    Result<kfd::Buffer> buffer = device_.register_host(reinterpret_cast<void*>(next), gap_end - next);
    if (!buffer)
      return buffer.error();
    range.push_back(std::make_shared<kfd::Buffer>(std::move(*buffer)));
    by_address_[next] = range.back();
    next = gap_end;
  }
  return range;
}

} // namespace shim::core
