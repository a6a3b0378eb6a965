#include "fence.hpp"

#include <algorithm>

namespace emu::kernel::payload {

namespace {

bool node_signaled(const FenceNode& node) {
  return Machine::get().signaled(node.fence);
}

// The next older node that dma_fence_chain_walk stops at: a pending one. Returns its index + 1; 0 at the end.
std::size_t walk(PayloadView nodes, std::size_t count) {
  while (--count > 0)
    if (!node_signaled(nodes[count - 1]))
      return count;
  return 0;
}

} // namespace

bool signaled(PayloadView nodes) {
  return std::all_of(nodes.begin(), nodes.end(), node_signaled);
}

std::optional<PayloadView> find_seqno(PayloadView nodes, std::uint64_t seqno) {
  if (seqno == 0)
    return nodes;
  const FenceNode& head = nodes.back();
  if (head.context == 0 || head.seqno < seqno)
    return std::nullopt;
  std::size_t count = nodes.size();
  while (count > 0 && nodes[count - 1].context == head.context && nodes[count - 1].prev_seqno >= seqno)
    count = walk(nodes, count);
  return nodes.first(count);
}

std::uint64_t query(PayloadView nodes, bool last_submitted) {
  if (nodes.empty() || nodes.back().context == 0)
    return 0;
  const FenceNode& head = nodes.back();
  if (last_submitted)
    return head.seqno;
  std::size_t last_signaled = nodes.size();
  for (std::size_t at = nodes.size(); at > 0 && nodes[at - 1].context == head.context; at = walk(nodes, at))
    last_signaled = at;
  const FenceNode& node = nodes[last_signaled - 1];
  return signaled(nodes.first(last_signaled)) ? node.seqno : node.prev_seqno;
}

Payload merge(PayloadView nodes) {
  Payload merged;
  for (const FenceNode& node : nodes) {
    if (node_signaled(node))
      continue;
    auto same = std::find_if(merged.begin(), merged.end(),
                             [&](const FenceNode& other) { return other.fence.slot == node.fence.slot; });
    if (same == merged.end())
      merged.push_back({0, 0, 0, node.fence});
    else
      same->fence.sequence = std::max(same->fence.sequence, node.fence.sequence);
  }
  return merged.empty() ? stub() : merged;
}

Payload add_point(PayloadView nodes, PayloadView fences, std::uint64_t point) {
  FenceNode link;
  link.seqno = point;
  if (!nodes.empty() && nodes.back().context != 0) {
    const FenceNode& head = nodes.back();
    if (point > head.seqno) {
      link.context = head.context;
      link.prev_seqno = head.seqno;
    } else {
      link.seqno = head.seqno;
    }
  }
  if (link.context == 0)
    link.context = Machine::get().new_fence_context();

  Payload chain;
  std::copy_if(nodes.begin(), nodes.end(), std::back_inserter(chain),
               [](const FenceNode& node) { return !node_signaled(node); });
  for (const FenceNode& node : fences) {
    link.fence = node.fence;
    chain.push_back(link);
  }
  return chain;
}

Payload stub() {
  return {FenceNode{}};
}
Payload plain(const FenceRef& fence) {
  return {FenceNode{0, 0, 0, fence}};
}

int error(PayloadView nodes) {
  for (const FenceNode& node : nodes)
    if (const int error = Machine::get().error_of(node.fence))
      return error;
  return 0;
}

} // namespace emu::kernel::payload
