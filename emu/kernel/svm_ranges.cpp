#include "svm_ranges.hpp"

#include <algorithm>
#include <iterator>

namespace emu::kernel {

using namespace uapi;

namespace {

SvmAccess access_of(std::uint32_t type) {
  return type == SVM_ATTR_ACCESS            ? SvmAccess::access
         : type == SVM_ATTR_ACCESS_IN_PLACE ? SvmAccess::in_place
                                            : SvmAccess::none;
}

void apply(SvmRange& range, const kfd_ioctl_svm_attribute& attribute) {
  constexpr std::uint32_t max_granularity = 0x3f;
  switch (attribute.type) {
  case SVM_ATTR_PREFERRED_LOC:
    range.preferred_location = attribute.value;
    break;
  case SVM_ATTR_PREFETCH_LOC:
    range.prefetch_location = attribute.value;
    break;
  case SVM_ATTR_ACCESS:
  case SVM_ATTR_ACCESS_IN_PLACE:
  case SVM_ATTR_NO_ACCESS:
    range.access = access_of(attribute.type);
    break;
  case SVM_ATTR_SET_FLAGS:
    range.flags |= attribute.value;
    break;
  case SVM_ATTR_CLR_FLAGS:
    range.flags &= ~attribute.value;
    break;
  case SVM_ATTR_GRANULARITY:
    range.granularity = static_cast<std::uint8_t>(std::min(attribute.value, max_granularity));
    break;
  }
}

// svm_range_is_same_attrs(): a prefetch is always something new.
bool has(const SvmRange& range, const kfd_ioctl_svm_attribute& attribute) {
  switch (attribute.type) {
  case SVM_ATTR_PREFERRED_LOC:
    return range.preferred_location == attribute.value;
  case SVM_ATTR_ACCESS:
  case SVM_ATTR_ACCESS_IN_PLACE:
  case SVM_ATTR_NO_ACCESS:
    return range.access == access_of(attribute.type);
  case SVM_ATTR_SET_FLAGS:
    return (range.flags & attribute.value) == attribute.value;
  case SVM_ATTR_CLR_FLAGS:
    return (range.flags & attribute.value) == 0;
  case SVM_ATTR_GRANULARITY:
    return range.granularity == attribute.value;
  default:
    return false;
  }
}

// What ranges have in common. A location that one of them lacks, or that two disagree about, is undefined.
class Common {
public:
  void add(const SvmRange& range) {
    if (count_++ == 0) {
      first_ = range;
      flags_of_any_ = range.flags;
      return;
    }
    if (range.preferred_location != first_.preferred_location)
      first_.preferred_location = SVM_LOCATION_UNDEFINED;
    if (range.prefetch_location != first_.prefetch_location)
      first_.prefetch_location = SVM_LOCATION_UNDEFINED;
    if (range.access != first_.access)
      first_.access = SvmAccess::none;
    first_.flags &= range.flags;
    flags_of_any_ |= range.flags;
    first_.granularity = std::min(first_.granularity, range.granularity);
  }

  void tell(kfd_ioctl_svm_attribute& attribute) const {
    switch (attribute.type) {
    case SVM_ATTR_PREFERRED_LOC:
      attribute.value = first_.preferred_location;
      break;
    case SVM_ATTR_PREFETCH_LOC:
      attribute.value = first_.prefetch_location;
      break;
    case SVM_ATTR_ACCESS:
      attribute.type = first_.access == SvmAccess::access     ? SVM_ATTR_ACCESS
                       : first_.access == SvmAccess::in_place ? SVM_ATTR_ACCESS_IN_PLACE
                                                              : SVM_ATTR_NO_ACCESS;
      break;
    case SVM_ATTR_SET_FLAGS: // set in all
      attribute.value = first_.flags;
      break;
    case SVM_ATTR_CLR_FLAGS: // set in none
      attribute.value = ~flags_of_any_;
      break;
    case SVM_ATTR_GRANULARITY:
      attribute.value = first_.granularity;
      break;
    }
  }

private:
  unsigned count_ = 0;
  SvmRange first_;
  std::uint32_t flags_of_any_ = SvmRange().flags;
};

} // namespace

SvmRanges::Map::iterator SvmRanges::first(std::uint64_t begin) {
  auto it = ranges_.upper_bound(begin);
  return it != ranges_.begin() && std::prev(it)->second.end > begin ? std::prev(it) : it;
}

std::uint64_t SvmRanges::uncovered(std::uint64_t begin, std::uint64_t end) {
  std::uint64_t bytes = end - begin;
  for (auto it = first(begin); it != ranges_.end() && it->first < end; ++it)
    bytes -= std::min(end, it->second.end) - std::max(begin, it->first);
  return bytes;
}

void SvmRanges::split_at(std::uint64_t address) {
  auto it = first(address);
  if (it == ranges_.end() || it->first >= address)
    return;
  const SvmRange behind = it->second;
  it->second.end = address;
  ranges_.emplace(address, behind);
}

std::vector<std::uint64_t> SvmRanges::set(std::uint64_t begin, std::uint64_t end, Attributes attributes) {
  std::vector<std::uint64_t> changed;
  while (begin < end) {
    auto it = first(begin);
    std::uint64_t next = 0;
    if (it == ranges_.end() || it->first > begin) {
      next = it == ranges_.end() ? end : std::min(end, it->first);
      it = ranges_.emplace(begin, SvmRange{.end = next}).first;
    } else {
      next = std::min(end, it->second.end);
      const bool same = std::all_of(attributes.begin(), attributes.end(),
                                    [&](const auto& attribute) { return has(it->second, attribute); });
      if (same && it->second.mapped) {
        begin = next;
        continue;
      }
      split_at(begin);
      split_at(next);
      it = ranges_.find(begin);
    }
    for (const kfd_ioctl_svm_attribute& attribute : attributes)
      apply(it->second, attribute);
    changed.push_back(begin);
    begin = next;
  }
  return changed;
}

void SvmRanges::get(std::uint64_t begin, std::uint64_t end, std::span<kfd_ioctl_svm_attribute> attributes) {
  Common common;
  for (auto it = first(begin); it != ranges_.end() && it->first < end; ++it)
    common.add(it->second);
  for (kfd_ioctl_svm_attribute& attribute : attributes)
    common.tell(attribute);
}

std::uint64_t SvmRanges::remove(std::uint64_t begin, std::uint64_t end) {
  split_at(begin);
  split_at(end);
  std::uint64_t bytes = 0;
  for (auto it = ranges_.lower_bound(begin); it != ranges_.end() && it->first < end; it = ranges_.erase(it))
    bytes += it->second.end - it->first;
  return bytes;
}

} // namespace emu::kernel
