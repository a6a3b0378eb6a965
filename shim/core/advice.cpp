#include <core/advice.hpp>

#include <algorithm>
#include <cstring>

#include <core/driver.hpp>

namespace shim::core {

Advice AdvisedMemory::common(std::uint64_t begin, std::uint64_t end) const {
  auto part = std::prev(parts_.upper_bound(begin));
  Advice common = part->second;
  for (++part; part != parts_.end() && part->first < end; ++part) {
    const Advice& other = part->second;
    common.read_mostly = common.read_mostly && other.read_mostly;
    if (common.preferred != other.preferred)
      common.preferred = CU_DEVICE_INVALID;
    if (common.last_prefetch != other.last_prefetch)
      common.last_prefetch = CU_DEVICE_INVALID;
    std::erase_if(common.accessed_by, [&](int place) {
      return std::find(other.accessed_by.begin(), other.accessed_by.end(), place) == other.accessed_by.end();
    });
  }
  return common;
}

namespace {

Result<void> check_place(int device) {
  if (device == CU_DEVICE_CPU)
    return {};
  Result<Device*> known = driver().device(device);
  return known ? Result<void>() : known.error();
}

void change_accessed_by(Advice& advice, int device, bool on) {
  std::erase(advice.accessed_by, device);
  if (on)
    advice.accessed_by.push_back(device);
}

util::Error not_managed(std::uint64_t address, std::uint64_t size) {
  return util::fail(CUDA_ERROR_INVALID_VALUE, "{} bytes at {:#x} are not managed memory", size, address);
}

} // namespace

Result<void> advise(std::uint64_t address, std::uint64_t size, CUmem_advise advice, int device) {
  if (advice < CU_MEM_ADVISE_SET_READ_MOSTLY || advice > CU_MEM_ADVISE_UNSET_ACCESSED_BY)
    return util::fail(CUDA_ERROR_INVALID_VALUE, "there is no advice {}", static_cast<int>(advice));
  bool names_a_place = advice == CU_MEM_ADVISE_SET_PREFERRED_LOCATION ||
                       advice == CU_MEM_ADVISE_SET_ACCESSED_BY || advice == CU_MEM_ADVISE_UNSET_ACCESSED_BY;
  if (names_a_place)
    if (Result<void> place = check_place(device); !place)
      return place;
  auto change = [&](Advice& known) {
    switch (advice) {
    case CU_MEM_ADVISE_SET_READ_MOSTLY:
    case CU_MEM_ADVISE_UNSET_READ_MOSTLY:
      known.read_mostly = advice == CU_MEM_ADVISE_SET_READ_MOSTLY;
      return;
    case CU_MEM_ADVISE_SET_PREFERRED_LOCATION:
      known.preferred = device;
      return;
    case CU_MEM_ADVISE_UNSET_PREFERRED_LOCATION:
      known.preferred = CU_DEVICE_INVALID;
      return;
    default:
      change_accessed_by(known, device, advice == CU_MEM_ADVISE_SET_ACCESSED_BY);
    }
  };
  bool done =
      driver().allocations().with_advice(address, size, [&](AdvisedMemory& memory, std::uint64_t begin) {
        memory.change(begin, begin + size, change);
      });
  return done ? Result<void>() : not_managed(address, size);
}

Result<void> prefetch_managed(std::uint64_t address, std::uint64_t size, int device) {
  if (Result<void> place = check_place(device); !place)
    return place;
  bool done =
      driver().allocations().with_advice(address, size, [&](AdvisedMemory& memory, std::uint64_t begin) {
        memory.change(begin, begin + size, [&](Advice& known) { known.last_prefetch = device; });
      });
  return done ? Result<void>() : not_managed(address, size);
}

Result<void> range_attribute(void* out, std::size_t out_bytes, CUmem_range_attribute which,
                             std::uint64_t address, std::uint64_t size) {
  bool list = which == CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY;
  if (which < CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY || which > CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION ||
      !out || out_bytes == 0 || out_bytes % sizeof(int) || (!list && out_bytes != sizeof(int)))
    return util::fail(CUDA_ERROR_INVALID_VALUE, "{} bytes for range attribute {}", out_bytes,
                      static_cast<int>(which));
  Advice known;
  bool found =
      driver().allocations().with_advice(address, size, [&](AdvisedMemory& memory, std::uint64_t begin) {
        known = memory.common(begin, begin + size);
      });
  if (!found)
    return not_managed(address, size);
  std::vector<int> values(out_bytes / sizeof(int), CU_DEVICE_INVALID);
  if (list)
    std::copy_n(known.accessed_by.begin(), std::min(values.size(), known.accessed_by.size()), values.begin());
  else
    values[0] = which == CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY          ? known.read_mostly
                : which == CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION ? known.preferred
                                                                     : known.last_prefetch;
  std::memcpy(out, values.data(), out_bytes);
  return {};
}

} // namespace shim::core
