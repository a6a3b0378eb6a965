// One AQL queue with what a stream of packets needs beside it: a ring of kernel arguments, a count of
// completed packets, and references to the markers that packets in flight name.
//
// Every packet has the barrier bit, so that packets complete in order. Dispatches and waits decrement one
// signal, whose distance from its start says how many of them are done; recorded markers complete their own
// signal instead. Not thread-safe: a Stream holds its lock. Made once and handed from stream to stream, since
// queues are slow to make.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include <core/command.hpp>
#include <core/marker.hpp>
#include <kfd/device.hpp>

namespace shim::core {

class Channel {
public:
  // The hardware scheduler takes 127 queues of one process on one device (pqm_create_queue in amdkfd).
  static constexpr std::size_t most_on_a_device = 126;

  static Result<std::unique_ptr<Channel>> create(kfd::Device& device, kfd::QueuePriority priority);
  ~Channel() = default;

  static constexpr std::uint32_t max_kernarg_bytes = 32768;

  // Is there room for a packet with so many bytes of arguments? The following need it, under the same hold of
  // the lock.
  bool has_room(std::uint32_t kernarg_bytes);
  // Memory for a dispatch's arguments: 64-byte aligned, alive until that dispatch is done.
  void* kernargs(std::uint32_t bytes);
  // The arguments are in memory from kernargs().
  void dispatch(const Dispatch& dispatch, void* kernargs);
  // `marker` completes, with timestamps, when everything before it has.
  void record(MarkerRef marker);
  // Nothing after it starts before `marker` is done.
  void wait(MarkerRef marker);

  // More than half of the ring is in use, and no checkpoint says when it will be less.
  bool wants_checkpoint() const;
  // Like record(); needs no has_room(). The marker is one that somebody watches.
  void checkpoint(MarkerRef marker);
  bool ends_in_checkpoint() { return next_ > 0 && slot(next_ - 1).checkpoint; }
  // The oldest that has not been reached; empty where there is none.
  MarkerRef oldest_checkpoint();

  // Has everything been done?
  bool idle() const { return tail_ ? tail_->done() : done() == counted_; }
  // Spins a few microseconds for the point that the channel has reached now.
  struct Point {
    std::uint64_t count = 0;
    MarkerRef marker;
  };
  Point point() const { return {counted_, tail_}; }
  Result<bool> reached(const Point& point) const;

  std::uint32_t queue_id() const { return queue_->id(); }
  kfd::QueuePriority priority() const { return priority_; }
  // Drops references to markers of packets that are done.
  void reap();

private:
  Channel() = default;
  struct Slot {
    std::uint64_t count = 0;       // done when this many counted packets are ...
    std::uint64_t kernarg_end = 0; // ... and then arguments up to here are free
    MarkerRef marker;
    bool recorded = false; // done when `marker` is
    bool checkpoint = false;
  };

  static constexpr std::int64_t start_value = std::int64_t{1} << 62;
  static constexpr std::uint32_t most_packets = 1024; // in flight
  // The packet processor may tell later that it has read a packet than that it is done with it.
  static constexpr std::uint32_t ring_packets = 2 * most_packets;
  static constexpr std::uint64_t kernarg_ring_bytes = 256 * 1024;

  std::uint64_t done() const { return static_cast<std::uint64_t>(start_value - progress_.value()); }
  Slot& slot(std::uint64_t index) { return slots_[index % ring_packets]; }
  bool fits(std::uint32_t kernarg_bytes) const;
  Slot& begin_slot(std::uint64_t index, std::uint64_t count);

  std::unique_ptr<kfd::Queue> queue_;
  kfd::QueuePriority priority_ = kfd::QueuePriority::normal;
  kfd::Buffer kernarg_ring_;
  kfd::Signal progress_;
  std::vector<Slot> slots_;
  std::uint64_t next_ = 0;         // packets written
  std::uint64_t reaped_ = 0;       // packets known to be done
  std::uint64_t counted_ = 0;      // packets that decrement progress_
  std::uint64_t kernarg_head_ = 0; // bytes, monotonic
  std::uint64_t kernarg_tail_ = 0;
  std::uint64_t checkpoint_packet_ = 0; // where the last checkpoint is
  std::uint64_t checkpoint_kernarg_ = 0;
  MarkerRef tail_; // the last packet's marker, where that packet was recorded
};

} // namespace shim::core
