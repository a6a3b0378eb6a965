#pragma once

#include <kfd/queue.hpp>

namespace shim::kfd {

// What a queue is made of besides its hot path.
struct Queue::Parts {
  Buffer control; // one page: amd_queue_t, then the inactive signal
  Buffer ring;
  Buffer eop;
  Buffer save_area;
  Buffer scratch;
  amd_signal_t* inactive_signal = nullptr;
  std::uint64_t doorbell_offset = 0; // KFD's

  // Answers a queue that stopped at a dispatch for want of scratch: allocates for as many waves as can run at
  // once, `lanes` wide, describes it in the amd_queue_t and lets the queue go on.
  Result<void> give_scratch(Queue& queue, std::uint32_t lanes);
};

} // namespace shim::kfd
