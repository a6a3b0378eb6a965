// What a program has told about its managed memory: cuMemAdvise, cuMemPrefetchAsync. Kept to be told again
// (cuMemRangeGetAttribute); the memory itself lies where host and devices reach it, and never moves.
#pragma once

#include <cstdint>
#include <iterator>
#include <map>
#include <vector>

#include <cuda.h>

#include <util/error.hpp>

namespace shim::core {

// Of one piece of memory. Places are device ordinals, CU_DEVICE_CPU, or CU_DEVICE_INVALID for none.
struct Advice {
  bool read_mostly = false;
  int preferred = CU_DEVICE_INVALID;
  int last_prefetch = CU_DEVICE_INVALID;
  std::vector<int> accessed_by;
};

// The advice for an allocation, page by page. Offsets and sizes in bytes; what touches a page holds for all
// of it. Not thread-safe.
class AdvisedMemory {
public:
  AdvisedMemory() { parts_[0] = {}; }

  // Calls `change(Advice&)` for every piece of [begin, end).
  template <class Change>
  void change(std::uint64_t begin, std::uint64_t end, Change&& change) {
    begin = begin / page_bytes * page_bytes;
    end = (end + page_bytes - 1) / page_bytes * page_bytes;
    split(begin);
    split(end);
    for (auto part = parts_.find(begin); part->first != end; ++part)
      change(part->second);
  }
  // One that all of [begin, end) agrees on is what it is, another one CU_DEVICE_INVALID or false.
  Advice common(std::uint64_t begin, std::uint64_t end) const;

private:
  static constexpr std::uint64_t page_bytes = 4096;
  void split(std::uint64_t at) { parts_.emplace(at, std::prev(parts_.upper_bound(at))->second); }

  std::map<std::uint64_t, Advice> parts_; // from this offset to the next one
};

// cuMemAdvise. CUDA_ERROR_INVALID_VALUE unless the range lies in one managed allocation and the advice is
// known, CUDA_ERROR_INVALID_DEVICE for a place that does not exist where the advice names one.
util::Result<void> advise(std::uint64_t address, std::uint64_t size, CUmem_advise advice, int device);

// cuMemPrefetchAsync to a device or CU_DEVICE_CPU. Errors as advise().
util::Result<void> prefetch_managed(std::uint64_t address, std::uint64_t size, int device);

// cuMemRangeGetAttribute: `out` has room for out_bytes, 4 or, for CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY, a
// multiple of it.
util::Result<void> range_attribute(void* out, std::size_t out_bytes, CUmem_range_attribute which,
                                   std::uint64_t address, std::uint64_t size);

} // namespace shim::core
