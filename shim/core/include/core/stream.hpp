// CUDA streams: commands in order, in an AQL queue that is taken on first use and passed on when idle.
//
// Implicit ordering (CUDA driver API, "Stream synchronization behavior"): an operation in the legacy default
// stream starts after everything that was put into the context's blocking streams before it, and an operation
// in a blocking stream after everything put into the legacy stream before it. Streams made NON_BLOCKING take
// no part. Nothing is ordered by waiting on the host.
//
// A command goes into the hardware queue at once where it can. Where it waits for what is not certain to
// come, where the ring is full or the device has no queue left, the stream is held: this command and those
// behind it stay in its backlog until whoever changes that calls resume() (core/held_streams.hpp).
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include <core/channel.hpp>
#include <core/command.hpp>
#include <core/handle.hpp>
#include <core/held_streams.hpp>
#include <util/error.hpp>
#include <util/ring.hpp>
#include <util/small_vector.hpp>

namespace shim::core {

class Context;
class SignalRelay;

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
  // call where it goes into the queue at once.
  template <class Writer>
  Result<void> dispatch(const Dispatch& dispatch, Writer&& write) {
    if (Result<void> ordered = order(); !ordered)
      return ordered;
    std::unique_lock lock(mutex_);
    if (!held_ && !closed_ && channel_ && channel_->has_room(dispatch.kernarg_bytes)) [[likely]] {
      void* kernargs = channel_->kernargs(dispatch.kernarg_bytes);
      write(kernargs);
      channel_->dispatch(dispatch, kernargs);
      if (channel_->wants_checkpoint()) [[unlikely]]
        place_checkpoint_locked();
      work_.fetch_add(1, std::memory_order_release);
      return {};
    }
    KernelCommand kernel = {dispatch, spare_kernargs_locked(dispatch.kernarg_bytes)};
    write(kernel.kernargs.data());
    return enqueue(std::move(lock), std::move(kernel));
  }
  // A marker that completes when everything before it in the stream has. Interrupting ones can be slept for.
  Result<MarkerRef> record(kfd::SignalKind kind);
  // The same with a marker of the caller's.
  Result<void> record(MarkerRef marker);
  // Everything after it waits for `marker`, whoever completes it.
  Result<void> wait(MarkerRef marker);
  // The same where order() has come before. It fails in a closed stream alone.
  Result<void> wait_ordered(MarkerRef marker);
  // `signals(Signals&)` -> Result<void> is called under the stream's lock once nothing else can fail, and
  // fills in what hangs on `marker`.
  using Signals = util::SmallVector<SignalCommand, 4>;
  template <class Fill>
  Result<void> signal(const MarkerRef& marker, Fill&& fill) {
    if (Result<void> ordered = order(); !ordered)
      return ordered;
    std::unique_lock lock(mutex_);
    if (Result<void> ready = ready_locked(lock); !ready)
      return ready;
    if (Result<void> open = refuse_if_closed_locked(); !open)
      return open;
    Signals signals;
    if (Result<void> filled = fill(signals); !filled)
      return filled;
    put_signals(std::move(lock), marker, signals);
    return {};
  }
  // Waits in this stream for what implicit ordering puts before the next operation.
  Result<void> order() {
    if (role_ == StreamRole::user && (flags_ & CU_STREAM_NON_BLOCKING))
      return {};
    return order_slow();
  }

  // Is everything that was put into the stream done? For the legacy stream: in the blocking streams as well.
  // What is signalled in front is then so, here and wherever a stream is said to have come to a point.
  Result<bool> idle();
  // Is everything done that an operation put into the stream now would come after? Unlike idle(), a blocking
  // stream looks at the legacy stream, too.
  Result<bool> caught_up();
  Result<void> synchronize();
  // This stream alone, whatever its role: empty where it is idle, else an interrupting marker behind its
  // work.
  Result<MarkerRef> sync_marker();
  // Has it nothing to do any more? Only a look: nobody outside is served.
  bool empty();
  // Are commands held back?
  bool held();

  // Calls that are under way put nothing more into it: they answer `why`. What is in it is still done.
  void close(CUresult why);

  // For the implicit ordering: a marker behind the work that the stream has now; empty where it is idle.
  Result<MarkerRef> order_marker();
  std::uint64_t work() const { return work_.load(std::memory_order_acquire); }

  // --- for those who share the queues out ---
  // The stream's queue where it has one and does not need it now, else null.
  std::unique_ptr<Channel> give_up_channel();
  // Sees to it that `relay` hears of the end of what is in the stream's queue. True where that is so already.
  bool watch_end(SignalRelay& relay);

  // --- for HeldStreams ---
  HeldLink& link() { return link_; }
  // Goes on as far as possible.
  void resume();
  // Nothing will run any more: the signals that are held back are performed, the rest is dropped.
  void abandon();

  std::uint64_t handle = 0;

private:
  Result<void> order_slow();
  Result<void> synchronize_own();
  Result<void> order_behind(Stream& other, std::atomic<std::uint64_t>& seen);
  Result<void> refuse_if_closed_locked() const {
    return closed_ == CUDA_SUCCESS ? Result<void>() : util::Error{closed_};
  }
  bool idle_locked() const { return !held_ && (!channel_ || channel_->idle()); }

  // Markers of our own that others only look at are no work that somebody would have to wait for.
  enum class Counts : bool { no, yes };
  Result<void> enqueue(std::unique_lock<std::mutex> lock, Command command, Counts counts = Counts::yes);
  void enqueue_surely(std::unique_lock<std::mutex> lock, Command command, Counts counts = Counts::yes);
  void put_signals(std::unique_lock<std::mutex> lock, const MarkerRef& marker, Signals& signals);
  Result<void> ready_locked(std::unique_lock<std::mutex>& lock);
  void finish(std::unique_lock<std::mutex> lock, Counts counts);
  void go_on_locked(std::unique_lock<std::mutex>& lock) noexcept;
  void issue_backlog_locked(std::unique_lock<std::mutex>& lock);
  void try_later_locked();
  bool take_channel_locked(std::unique_lock<std::mutex>& lock);
  bool hold_for_room_locked();
  void issue_locked(Command& command);
  void place_checkpoint_locked();
  std::vector<std::byte> spare_kernargs_locked(std::size_t bytes);

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

  CUresult closed_ = CUDA_SUCCESS; // why
  bool held_ = false;              // new commands go into the backlog
  bool for_room_ = false;          // ... since the ring is full, which passes
  util::Ring<Command> backlog_;
  std::vector<std::vector<std::byte>> spare_kernargs_;
  std::condition_variable moved_; // commands have left the backlog
  unsigned pushed_back_ = 0;      // callers that wait for that
  HeldLink link_;

  MarkerRef order_marker_;              // the last one that order_marker() made ...
  std::uint64_t order_marker_work_ = 0; // ... behind this much work
};

} // namespace shim::core
