// Payloads of syncobjs and sync_files: a fence, or a timeline's chain of fences, as plain data.
//
// A payload is a run of nodes, oldest first; the last one is "the fence". A node stands for one dma_fence: a
// link of a dma_fence_chain (context != 0) or a plain fence. Where one dma_fence stands for several others (a
// dma_fence_array), it is as many nodes alike but for `fence`. Nodes that have signaled and that a later node
// covers may be dropped: the kernel's chain walk skips them too. An empty run is no fence at all (NULL).
#pragma once

#include "machine.hpp"

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace emu::kernel {

struct FenceNode {
  std::uint64_t context = 0; // of the chain; 0: a plain fence
  std::uint64_t seqno = 0;
  std::uint64_t prev_seqno = 0;
  FenceRef fence;
};

using Payload = std::vector<FenceNode>;
using PayloadView = std::span<const FenceNode>;

namespace payload {

// dma_fence_is_signaled of the run's last node.
bool signaled(PayloadView nodes);

// dma_fence_chain_find_seqno: the front part of the run whose signaling means that `seqno` is reached; empty
// where that is so already. nullopt for EINVAL: no chain, or not that far. Not for an empty run.
std::optional<PayloadView> find_seqno(PayloadView nodes, std::uint64_t seqno);

// What DRM_IOCTL_SYNCOBJ_QUERY answers.
std::uint64_t query(PayloadView nodes, bool last_submitted);

// dma_fence_unwrap_merge: the run's pending fences as one plain fence.
Payload merge(PayloadView nodes);

// drm_syncobj_add_point: `nodes` with `fences` (a plain fence) as the timeline's new head.
Payload add_point(PayloadView nodes, PayloadView fences, std::uint64_t point);

// A signaled plain fence, and a plain fence of the machine.
Payload stub();
Payload plain(const FenceRef& fence);

// The first error among the run's fences: 0 or a negative errno.
int error(PayloadView nodes);

} // namespace payload
} // namespace emu::kernel
