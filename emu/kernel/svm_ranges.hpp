// The ranges of a process's memory that have SVM attributes: how attributes cut them, and what is asked of
// them. Source: kfd_svm.c, svm_range_add() to svm_range_get_attr().
//
// Addresses and sizes are whole pages, in bytes. Nothing here knows of a GPU's page tables. KFD also cuts
// large ranges at multiples of a 32nd of VRAM; no answer tells that, so it is left out. Not thread-safe.
#pragma once

#include "kfd_ioctl.hpp"

#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace emu::kernel {

enum class SvmAccess : std::uint8_t { none, access, in_place }; // the card's

struct SvmRange {
  std::uint64_t end = 0;
  std::uint32_t preferred_location = uapi::SVM_LOCATION_UNDEFINED;
  std::uint32_t prefetch_location = uapi::SVM_LOCATION_UNDEFINED;
  std::uint32_t flags = uapi::SVM_FLAG_HOST_ACCESS | uapi::SVM_FLAG_COHERENT;
  std::uint8_t granularity = 9; // amdgpu's parameter svm_default_granularity
  SvmAccess access = SvmAccess::none;
  bool mapped = false;  // mapped_to_gpu: has been, and comes back when its memory has changed
  bool in_vram = false; // actual_loc
  unsigned queues = 0;  // whose context area it is
};

class SvmRanges {
public:
  using Map = std::map<std::uint64_t, SvmRange>; // by first address
  using Attributes = std::span<const uapi::kfd_ioctl_svm_attribute>;

  Map& all() { return ranges_; }
  bool overlaps(std::uint64_t begin, std::uint64_t end) {
    return first(begin) != ranges_.end() && first(begin)->first < end;
  }
  // The first range that ends behind `begin`.
  Map::iterator first(std::uint64_t begin);

  // Bytes of [begin, end) that are in no range.
  std::uint64_t uncovered(std::uint64_t begin, std::uint64_t end);

  // Gives [begin, end) the attributes, cutting ranges that reach beyond it and making new ones where there
  // are none. A range that has them all and is mapped is left as it is. The beginnings of the others.
  std::vector<std::uint64_t> set(std::uint64_t begin, std::uint64_t end, Attributes attributes);

  // What the ranges within [begin, end) have in common; those of a default range where there are none.
  // `attributes` are of types that can be asked for; an access names the card.
  void get(std::uint64_t begin, std::uint64_t end, std::span<uapi::kfd_ioctl_svm_attribute> attributes);

  // The ranges' bytes within [begin, end), which are in none afterwards.
  std::uint64_t remove(std::uint64_t begin, std::uint64_t end);

private:
  void split_at(std::uint64_t address);

  Map ranges_;
};

} // namespace emu::kernel
