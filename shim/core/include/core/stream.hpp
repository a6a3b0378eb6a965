// CUDA streams: work in order, one AQL queue each, made on first use.
//
// Implicit ordering (CUDA driver API, "Stream synchronization behavior"): an operation in the legacy default
// stream starts after everything that was put into the context's blocking streams before it, and an operation
// in a blocking stream after everything put into the legacy stream before it. Streams made NON_BLOCKING take
// no part. Nothing is ordered by waiting on the host.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include <core/channel.hpp>
#include <core/handle.hpp>
#include <core/waker.hpp>
#include <util/error.hpp>

namespace shim::core {

class Context;

// Lower numbers are more urgent.
inline constexpr int least_stream_priority = 0;
inline constexpr int greatest_stream_priority = -1;

enum class StreamRole : std::uint8_t { user, legacy, per_thread };

// Thread-safe, except for destruction.
class Stream {
public:
  static constexpr HandleKind handle_kind = HandleKind::stream;

  Stream(Context& context, StreamRole role, unsigned flags, int priority);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  Context& context() const { return context_; }
  StreamRole role() const { return role_; }
  unsigned flags() const { return flags_; } // CU_STREAM_DEFAULT or CU_STREAM_NON_BLOCKING
  int priority() const { return priority_; }
  bool blocking() const { return role_ != StreamRole::legacy && !(flags_ & CU_STREAM_NON_BLOCKING); }

  // Puts a kernel into the stream; `write(void* kernargs)` fills its arguments. No allocation and no system
  // call once the stream has been used, unless the ring is full.
  template <class Writer>
  Result<void> dispatch(const Dispatch& dispatch, Writer&& write) {
    if (Result<void> ordered = order(); !ordered)
      return ordered;
    std::unique_lock lock(mutex_);
    if (held_) [[unlikely]] {
      write(hold_locked(dispatch));
    } else {
      if (Result<void> ready = begin_locked(lock, 1, dispatch.kernarg_bytes); !ready)
        return ready;
      void* kernargs = channel_->kernargs(dispatch.kernarg_bytes);
      write(kernargs);
      channel_->dispatch(dispatch, kernargs);
    }
    work_.fetch_add(1, std::memory_order_release);
    return {};
  }
  // A marker that completes when everything before it in the stream has. Interrupting ones can be slept for.
  Result<MarkerRef> record(kfd::SignalKind kind);
  // The same with a marker of the caller's.
  Result<void> record(MarkerRef marker);
  // Everything after it waits for `marker`, whoever completes it.
  Result<void> wait(MarkerRef marker);
  // Is everything that was put into the stream done? For the legacy stream: in the blocking streams as well.
  Result<bool> idle();
  // Is everything done that an operation put into the stream now would come after? Unlike idle(), a blocking
  // stream looks at the legacy stream, too.
  Result<bool> caught_up();
  Result<void> synchronize();
  // This stream alone, whatever its role: empty where it is idle, else an interrupting marker behind its
  // work.
  Result<MarkerRef> sync_marker();

  // For the implicit ordering: a marker behind the work that the stream has now; empty where it is idle.
  Result<MarkerRef> order_marker();
  // The stream's queue where it has one and does not need it now, else null.
  std::unique_ptr<Channel> give_up_channel();
  // A marker behind the work that is in the stream's queue, which wakes `waker`; empty where the stream has
  // no queue, or no room in it. Never blocks.
  Result<MarkerRef> mark_tail(Waker& waker);
  // For HeldStreams: puts into a queue what was held back and need not be any more.
  struct Resumed {
    bool waits_on; // something is left
    bool went_on;  // something was put into the queue: others may wait for that
  };
  Resumed resume();
  std::uint64_t work() const { return work_.load(std::memory_order_acquire); }

  std::uint64_t handle = 0;

private:
  // Waits in this stream for what implicit ordering puts before the next operation.
  Result<void> order() {
    if (role_ == StreamRole::user && (flags_ & CU_STREAM_NON_BLOCKING))
      return {};
    return order_slow();
  }
  Result<void> order_slow();
  Result<void> synchronize_own();
  Result<void> order_behind(Stream& other, std::atomic<std::uint64_t>& seen);
  Result<void> begin_locked(std::unique_lock<std::mutex>& lock, std::uint32_t packets,
                            std::uint32_t kernarg_bytes);
  Result<void> wait_unordered(MarkerRef marker);
  Result<void> record_locked(std::unique_lock<std::mutex>& lock, MarkerRef marker);
  bool idle_locked() const { return !held_ && (!channel_ || channel_->idle()); }

  // Work that is held back: a dispatch, where there are arguments for one, else a marker.
  struct HeldWork {
    Dispatch dispatch;
    std::vector<std::byte> kernargs;
    MarkerRef marker;
    bool waits = false; // for the marker
  };
  void* hold_locked(const Dispatch& dispatch);
  void hold_locked(MarkerRef marker, bool waits);
  bool can_go_on_locked(const HeldWork& work);

  Context& context_;
  const StreamRole role_;
  const unsigned flags_;
  const int priority_;
  std::mutex mutex_;
  std::unique_ptr<Channel> channel_;
  unsigned channel_users_ = 0;          // calls that use channel_ without the lock
  std::atomic<std::uint64_t> work_ = 0; // operations that someone may have to wait for
  // How much of the other side's work this pair is ordered behind already.
  std::atomic<std::uint64_t> seen_legacy_ = 0;
  std::atomic<std::uint64_t> seen_by_legacy_ = 0;
  Gates gates_;                        // of what is in the stream
  Gates queue_gates_;                  // of what is in the stream's queue
  bool held_ = false;                  // new work goes into backlog_
  bool known_to_held_streams_ = false; // was held once
  std::deque<HeldWork> backlog_;
  MarkerRef order_marker_;              // the last one that order_marker() made ...
  std::uint64_t order_marker_work_ = 0; // ... behind this much work
};

} // namespace shim::core
