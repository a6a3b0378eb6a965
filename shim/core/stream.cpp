#include <core/stream.hpp>

#include <algorithm>
#include <cstring>

#include <core/context.hpp>
#include <core/device.hpp>

namespace shim::core {

Stream::Stream(Context& context, StreamRole role, unsigned flags, int priority)
    : context_(context), role_(role), flags_(flags), priority_(priority) {}

Stream::~Stream() {
  if (known_to_held_streams_)
    context_.device().held_streams().remove(*this);
  order_marker_.reset();
  if (channel_) {
    bool idle = channel_->idle();
    context_.release_channel(std::move(channel_), idle);
  }
}

Result<void> Stream::begin_locked(std::unique_lock<std::mutex>& lock, std::uint32_t packets,
                                  std::uint32_t kernarg_bytes) {
  while (!channel_) {
    lock.unlock(); // the context may look for a queue in other streams
    Result<std::unique_ptr<Channel>> channel = context_.acquire_channel(priority_);
    lock.lock();
    if (!channel)
      return channel.error();
    if (channel_)
      context_.release_channel(std::move(*channel), true);
    else
      channel_ = std::move(*channel);
  }
  ++channel_users_; // reserve() may wait without the lock
  Result<void> reserved = channel_->reserve(lock, packets, kernarg_bytes);
  --channel_users_;
  return reserved;
}

std::unique_ptr<Channel> Stream::give_up_channel() {
  std::lock_guard lock(mutex_);
  if (!channel_ || channel_users_ > 0 || !channel_->idle())
    return nullptr;
  return std::move(channel_);
}

Result<MarkerRef> Stream::mark_tail(Waker& waker) {
  std::unique_lock lock(mutex_);
  if (!channel_)
    return MarkerRef();
  channel_->reap();
  if (!channel_->has_room())
    return MarkerRef();
  Result<MarkerRef> marker = context_.acquire_marker(kfd::SignalKind::polled);
  if (!marker)
    return marker;
  waker.watch(**marker);
  channel_->record(*marker);
  return marker;
}

Result<MarkerRef> Stream::record(kfd::SignalKind kind) {
  Result<MarkerRef> marker = context_.acquire_marker(kind);
  if (!marker)
    return marker;
  if (Result<void> recorded = record(*marker); !recorded)
    return recorded.error();
  return marker;
}

Result<void> Stream::record(MarkerRef marker) {
  if (Result<void> ordered = order(); !ordered)
    return ordered;
  std::unique_lock lock(mutex_);
  if (Result<void> recorded = record_locked(lock, std::move(marker)); !recorded)
    return recorded;
  work_.fetch_add(1, std::memory_order_release);
  return {};
}

Result<void> Stream::record_locked(std::unique_lock<std::mutex>& lock, MarkerRef marker) {
  prune(gates_);
  marker->gates = gates_;
  if (held_) {
    hold_locked(std::move(marker), false);
    return {};
  }
  if (Result<void> ready = begin_locked(lock, 1, 0); !ready)
    return ready;
  channel_->record(std::move(marker));
  return {};
}

Result<void> Stream::wait(MarkerRef marker) {
  if (Result<void> ordered = order(); !ordered)
    return ordered;
  if (Result<void> waiting = wait_unordered(std::move(marker)); !waiting)
    return waiting;
  work_.fetch_add(1, std::memory_order_release);
  return {};
}

Result<void> Stream::wait_unordered(MarkerRef marker) {
  if (marker->done())
    return {};
  std::unique_lock lock(mutex_);
  bool certain = marker->is_certain();
  prune(gates_);
  if (!certain)
    gates_.push_back(marker);
  if (held_ || (!certain && context_.device().crowded())) {
    hold_locked(std::move(marker), true);
    return {};
  }
  if (Result<void> ready = begin_locked(lock, 1, 0); !ready)
    return ready;
  queue_gates_ = gates_;
  channel_->wait(std::move(marker));
  return {};
}

void* Stream::hold_locked(const Dispatch& dispatch) {
  HeldWork& work = backlog_.emplace_back();
  work.dispatch = dispatch;
  work.kernargs.resize(std::max<std::size_t>(1, dispatch.kernarg_bytes));
  return work.kernargs.data();
}

void Stream::hold_locked(MarkerRef marker, bool waits) {
  HeldWork& work = backlog_.emplace_back();
  work.marker = std::move(marker);
  work.waits = waits;
  if (held_)
    return;
  held_ = true;
  known_to_held_streams_ = true;
  context_.device().held_streams().add(*this);
}

// Nothing is put behind what may wait for ever in the queue: room in it may never come.
bool Stream::can_go_on_locked(const HeldWork& work) {
  return prune(queue_gates_) && !(work.waits && !work.marker->is_certain());
}

Stream::Resumed Stream::resume() {
  std::unique_lock lock(mutex_);
  bool went_on = false;
  while (!backlog_.empty()) {
    HeldWork& next = backlog_.front(); // stays where it is: others only add behind it
    if (!can_go_on_locked(next))
      return {.waits_on = true, .went_on = went_on};
    if (Result<void> ready = begin_locked(lock, 1, next.dispatch.kernarg_bytes); !ready) {
      if (context_.status())
        return {.waits_on = true, .went_on = went_on};
      backlog_.clear(); // the device has failed, which is what its users are told
      break;
    }
    if (!next.kernargs.empty()) {
      void* kernargs = channel_->kernargs(next.dispatch.kernarg_bytes);
      std::memcpy(kernargs, next.kernargs.data(), next.dispatch.kernarg_bytes);
      channel_->dispatch(next.dispatch, kernargs);
    } else if (next.waits) {
      channel_->wait(std::move(next.marker));
    } else {
      channel_->record(std::move(next.marker));
    }
    backlog_.pop_front();
    went_on = true;
  }
  held_ = false;
  return {.waits_on = false, .went_on = went_on};
}

Result<MarkerRef> Stream::order_marker() {
  std::unique_lock lock(mutex_);
  if (idle_locked())
    return MarkerRef();
  std::uint64_t work = work_.load(std::memory_order_relaxed);
  if (order_marker_ && order_marker_work_ == work)
    return order_marker_;
  Result<MarkerRef> marker = context_.acquire_marker(kfd::SignalKind::polled);
  if (!marker)
    return marker;
  if (Result<void> recorded = record_locked(lock, *marker); !recorded)
    return recorded.error();
  order_marker_ = *marker;
  order_marker_work_ = work;
  return marker;
}

Result<void> Stream::order_behind(Stream& other, std::atomic<std::uint64_t>& seen) {
  std::uint64_t work = other.work();
  if (seen.load(std::memory_order_acquire) == work)
    return {};
  Result<MarkerRef> marker = other.order_marker();
  if (!marker)
    return marker.error();
  if (*marker)
    if (Result<void> waiting = wait_unordered(std::move(*marker)); !waiting)
      return waiting;
  seen.store(work, std::memory_order_release);
  return {};
}

Result<void> Stream::order_slow() {
  if (role_ != StreamRole::legacy)
    return order_behind(context_.legacy_stream(), seen_legacy_);
  for (const std::shared_ptr<Stream>& other : context_.blocking_streams(
           [](Stream& each) { return each.seen_by_legacy_.load(std::memory_order_acquire) != each.work(); }))
    if (Result<void> ordered = order_behind(*other, other->seen_by_legacy_); !ordered)
      return ordered;
  return {};
}

Result<bool> Stream::idle() {
  if (Result<void> status = context_.status(); !status)
    return status.error();
  {
    std::lock_guard lock(mutex_);
    if (!idle_locked())
      return false;
  }
  if (role_ != StreamRole::legacy)
    return true;
  return context_
      .blocking_streams([](Stream& other) {
        std::lock_guard lock(other.mutex_);
        return !other.idle_locked();
      })
      .empty();
}

Result<bool> Stream::caught_up() {
  Result<bool> own = idle();
  if (!own || !*own || !blocking())
    return own;
  Stream& legacy = context_.legacy_stream();
  std::lock_guard lock(legacy.mutex_);
  return legacy.idle_locked();
}

Result<void> Stream::synchronize() {
  if (role_ == StreamRole::legacy)
    return context_.synchronize_blocking();
  return synchronize_own();
}

Result<void> Stream::synchronize_own() {
  Result<MarkerRef> marker = sync_marker();
  if (!marker)
    return marker.error();
  return *marker ? (*marker)->wait() : context_.status();
}

Result<MarkerRef> Stream::sync_marker() {
  std::unique_lock lock(mutex_);
  if (idle_locked())
    return MarkerRef();
  if (!held_) {
    Channel::Point point = channel_->point();
    Channel* channel = channel_.get();
    ++channel_users_;
    lock.unlock();
    Result<bool> reached = channel->reached(point);
    lock.lock();
    --channel_users_;
    if (!reached)
      return reached.error();
    if (*reached)
      return MarkerRef();
    if (point.marker && point.marker->signal.kind() == kfd::SignalKind::interrupting)
      return point.marker;
  }
  Result<MarkerRef> marker = context_.acquire_marker(kfd::SignalKind::interrupting);
  if (!marker)
    return marker;
  if (Result<void> recorded = record_locked(lock, *marker); !recorded)
    return recorded.error();
  return marker;
}

} // namespace shim::core
