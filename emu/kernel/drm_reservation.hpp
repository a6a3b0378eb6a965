// Reservation objects: the fences of a buffer's users, for whoever syncs implicitly (dma_resv).
#pragma once

#include "bo.hpp"
#include "fence.hpp"

#include <cstdint>

namespace emu::kernel {

struct ReservationData; // within BufferMetadata::reservation; shared between processes

class Reservation {
public:
  explicit Reservation(BufferObject& bo) : bo_(&bo) {}

  // Remembers `fence` as that of a user with the given VM (VmState::id); it replaces an older one of its
  // timeline.
  void add(const FenceRef& fence, std::uint64_t vm, bool write);
  void add(PayloadView fences, bool write);

  // Pending fences of other VMs than `vm` (0: of all), those that only read left out where `writes_only`.
  Payload pending(std::uint64_t vm, bool writes_only = false);

private:
  BufferObject* bo_;
};

} // namespace emu::kernel
