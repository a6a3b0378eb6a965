// A user-mode AQL queue: a ring of 64-byte packets that the GPU's packet processor reads.
//
//   std::optional<std::uint64_t> first = queue.try_reserve(2);
//   queue.dispatch(*first) = {...};               // everything but the header
//   queue.barrier_and(*first + 1) = {...};
//   queue.publish_dispatch(*first, header, setup);
//   queue.publish_barrier(*first + 1, header);
//   queue.ring_doorbell(*first + 1);
//
// Not thread-safe: the owner (a stream) holds its own lock over reserve..ring_doorbell. None of these
// allocates or makes a system call.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include <hsa/amd_hsa_queue.h>
#include <hsa/hsa.h>

#include <kfd/buffer.hpp>
#include <util/error.hpp>

namespace shim::kfd {

using util::Result;

class Device;
class FaultMonitor;

enum class QueuePriority : std::uint8_t { low, normal, high };

struct QueueOptions {
  std::uint32_t packets = 1024; // a power of two, 64 at least
  QueuePriority priority = QueuePriority::normal;
  bool profiling = true; // the packet processor writes start and end ticks into completion signals
};

// The header of a packet: type, barrier bit and fence scopes.
constexpr std::uint16_t packet_header(hsa_packet_type_t type, bool barrier, hsa_fence_scope_t acquire,
                                      hsa_fence_scope_t release) {
  return static_cast<std::uint16_t>(type << HSA_PACKET_HEADER_TYPE |
                                    (barrier ? 1 : 0) << HSA_PACKET_HEADER_BARRIER |
                                    acquire << HSA_PACKET_HEADER_SCACQUIRE_FENCE_SCOPE |
                                    release << HSA_PACKET_HEADER_SCRELEASE_FENCE_SCOPE);
}

class Queue {
public:
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;
  // Destroys the queue: packets that have not run yet never will.
  ~Queue();

  // Indexes for `count` packets, consecutive; nullopt where the ring has no room for them now. The caller
  // then waits for something that it submitted earlier. Reserved packets must be published.
  std::optional<std::uint64_t> try_reserve(std::uint32_t count) {
    if (next_ + count - read_seen_ > mask_ + 1) {
      read_seen_ = __atomic_load_n(&control_->read_dispatch_id, __ATOMIC_ACQUIRE);
      if (next_ + count - read_seen_ > mask_ + 1)
        return std::nullopt;
    }
    std::uint64_t first = next_;
    next_ += count;
    __atomic_store_n(&control_->write_dispatch_id, next_, __ATOMIC_RELEASE);
    return first;
  }

  hsa_kernel_dispatch_packet_t& dispatch(std::uint64_t index) {
    return reinterpret_cast<hsa_kernel_dispatch_packet_t*>(ring_)[index & mask_];
  }
  hsa_barrier_and_packet_t& barrier_and(std::uint64_t index) {
    return reinterpret_cast<hsa_barrier_and_packet_t*>(ring_)[index & mask_];
  }
  hsa_barrier_or_packet_t& barrier_or(std::uint64_t index) {
    return reinterpret_cast<hsa_barrier_or_packet_t*>(ring_)[index & mask_];
  }

  // Makes the packet visible to the packet processor: one release store of its first 32 bits, after
  // everything else in it.
  void publish_dispatch(std::uint64_t index, std::uint16_t header, std::uint16_t setup) {
    publish(index, header | std::uint32_t{setup} << 16);
  }
  void publish_barrier(std::uint64_t index, std::uint16_t header) { publish(index, header); }
  // A published packet, for a thread that did not write it.
  const hsa_kernel_dispatch_packet_t& published_dispatch(std::uint64_t index) {
    static_cast<void>(
        __atomic_load_n(reinterpret_cast<std::uint32_t*>(ring_ + (index & mask_) * 64), __ATOMIC_ACQUIRE));
    return dispatch(index);
  }

  // Tells the packet processor that packets up to and including `last` are published.
  void ring_doorbell(std::uint64_t last) { __atomic_store_n(doorbell_, last, __ATOMIC_RELEASE); }

  std::uint64_t write_index() const { return next_; } // the index that the next reserved packet gets
  // Packets below it have been taken out of the ring (not: completed).
  std::uint64_t read_index() const { return __atomic_load_n(&control_->read_dispatch_id, __ATOMIC_ACQUIRE); }
  std::uint32_t capacity() const { return static_cast<std::uint32_t>(mask_ + 1); }
  std::uint32_t id() const { return queue_id_; } // KFD's
  Device& device() const { return *device_; }
  // What kernels that ask for the queue pointer are given (amd_queue_t).
  std::uint64_t control_address() const { return reinterpret_cast<std::uint64_t>(control_); }

  Result<void> set_priority(QueuePriority priority);

  struct Parts; // buffers, scratch: queue.cpp

private:
  friend class Device;
  friend class FaultMonitor;
  Queue() = default;

  void publish(std::uint64_t index, std::uint32_t first_word) {
    __atomic_store_n(reinterpret_cast<std::uint32_t*>(ring_ + (index & mask_) * 64), first_word,
                     __ATOMIC_RELEASE);
  }

  Device* device_ = nullptr;
  std::byte* ring_ = nullptr;
  std::uint64_t mask_ = 0;
  amd_queue_t* control_ = nullptr;
  std::uint64_t* doorbell_ = nullptr;
  std::uint64_t next_ = 0;
  std::uint64_t read_seen_ = 0;
  std::uint32_t queue_id_ = 0;
  std::unique_ptr<Parts> parts_;
};

} // namespace shim::kfd
