#include <core/stream.hpp>

#include <algorithm>
#include <cstring>
#include <utility>

#include <core/context.hpp>
#include <core/device.hpp>

namespace shim::core {

Stream::Stream(Context& context, StreamRole role, unsigned flags, int priority)
    : context_(context), role_(role), flags_(flags), priority_(priority), link_(*this) {}

Stream::~Stream() {
  context_.device().forget(*this);
  abandon(); // after a fault something may be left, which somebody outside waits for
  order_marker_.reset();
  if (channel_) {
    bool idle = channel_->idle();
    context_.device().release_channel(std::move(channel_), idle);
  }
}

// --- commands ---

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
  return enqueue(std::unique_lock(mutex_), RecordCommand{std::move(marker)});
}

Result<void> Stream::wait(MarkerRef marker) {
  if (Result<void> ordered = order(); !ordered)
    return ordered;
  return wait_ordered(std::move(marker));
}

Result<void> Stream::wait_ordered(MarkerRef marker) {
  if (marker->done())
    return {};
  std::unique_lock lock(mutex_);
  if (Result<void> open = refuse_if_closed_locked(); !open)
    return open;
  enqueue_surely(std::move(lock), WaitCommand{std::move(marker)});
  return {};
}

Result<void> Stream::enqueue(std::unique_lock<std::mutex> lock, Command command, Counts counts) {
  if (Result<void> ready = ready_locked(lock); !ready)
    return ready;
  if (counts == Counts::yes) // ready_locked() may have released the lock
    if (Result<void> open = refuse_if_closed_locked(); !open)
      return open;
  enqueue_surely(std::move(lock), std::move(command), counts);
  return {};
}

void Stream::enqueue_surely(std::unique_lock<std::mutex> lock, Command command, Counts counts) {
  backlog_.push_back(std::move(command));
  finish(std::move(lock), counts);
}

void Stream::put_signals(std::unique_lock<std::mutex> lock, const MarkerRef& marker, Signals& signals) {
  context_.device().signals().promise(signals.size());
  for (SignalCommand& signal : signals)
    backlog_.push_back(std::move(signal));
  backlog_.push_back(RecordCommand{marker});
  finish(std::move(lock), Counts::yes);
  if (context_.device().opened().fault())
    context_.device().signals().give_up();
}

// So that what is put into the stream next cannot fail.
Result<void> Stream::ready_locked(std::unique_lock<std::mutex>& lock) {
  if (held_ || channel_)
    return {};
  lock.unlock(); // the device may look for a queue in other streams
  Result<std::unique_ptr<Channel>> channel = context_.device().acquire_channel(*this);
  lock.lock();
  if (!channel)
    return channel.error();
  if (channel_ && *channel)
    context_.device().release_channel(*std::move(channel), true);
  else if (*channel)
    channel_ = *std::move(channel);
  return {};
}

void Stream::finish(std::unique_lock<std::mutex> lock, Counts counts) {
  // Who runs far ahead of the GPU waits for it, as with any ring.
  constexpr std::size_t most_ahead = 1024;
  if (counts == Counts::yes)
    work_.fetch_add(1, std::memory_order_release);
  if (!held_)
    go_on_locked(lock);
  if (for_room_ && backlog_.size() > most_ahead) { // it may be ready again already
    lock.unlock();
    context_.device().held_streams().go_on();
    lock.lock();
  }
  while (for_room_ && backlog_.size() > most_ahead) {
    ++pushed_back_;
    moved_.wait(lock);
    --pushed_back_;
  }
  lock.unlock();
  context_.device().held_streams().go_on();
}

// --- from the backlog into the queue ---

void Stream::go_on_locked(std::unique_lock<std::mutex>& lock) noexcept {
  try {
    issue_backlog_locked(lock);
  } catch (const std::exception& problem) {
    (void)util::fail(CUDA_ERROR_OUT_OF_MEMORY, "a command is tried again later: {}", problem.what());
    if (!lock.owns_lock())
      lock.lock();
    try_later_locked();
  }
}

void Stream::try_later_locked() {
  context_.device().held_streams().hold_for_queue(link_);
  context_.device().signals().wake();
}

void Stream::issue_backlog_locked(std::unique_lock<std::mutex>& lock) {
  held_ = true; // for others, while the lock is released
  for_room_ = false;
  while (!backlog_.empty()) {
    if (auto* wait = std::get_if<WaitCommand>(&backlog_.front())) {
      if (wait->marker->done()) {
        backlog_.pop_front();
        continue;
      }
      if (!wait->marker->certain() &&
          context_.device().held_streams().hold_until_certain(link_, wait->marker))
        return;
    }
    if (!channel_) {
      if (!take_channel_locked(lock))
        return;
      continue; // the backlog may have been given up meanwhile
    }
    auto* kernel = std::get_if<KernelCommand>(&backlog_.front());
    if (!channel_->has_room(kernel ? kernel->dispatch.kernarg_bytes : 0)) {
      if (hold_for_room_locked())
        return;
      continue;
    }
    issue_locked(backlog_.front());
    backlog_.pop_front();
    if (channel_->wants_checkpoint())
      place_checkpoint_locked();
  }
  held_ = false;
}

// Does not fail: where the kernel makes no queue, it is asked again when something has changed.
bool Stream::take_channel_locked(std::unique_lock<std::mutex>& lock) {
  Device& device = context_.device();
  lock.unlock();
  Result<std::unique_ptr<Channel>> channel = device.acquire_channel(*this);
  lock.lock();
  if (channel_) { // another thread was faster
    if (channel && *channel)
      device.release_channel(*std::move(channel), true);
    return true;
  }
  if (channel && *channel) {
    channel_ = *std::move(channel);
    if (device.held_streams().any_for_queue()) // there may be more: the next one tries
      device.held_streams().look();
    return true;
  }
  device.held_streams().hold_for_queue(link_);
  lock.unlock();
  if (channel)
    device.watch_queues();
  else
    device.signals().wake();
  lock.lock();
  return false;
}

bool Stream::hold_for_room_locked() {
  MarkerRef checkpoint = channel_->oldest_checkpoint();
  if (!checkpoint) {
    place_checkpoint_locked();
    checkpoint = channel_->oldest_checkpoint();
  }
  if (!checkpoint) {
    if (channel_->has_room(Channel::max_kernarg_bytes))
      return false;     // done meanwhile
    try_later_locked(); // the kernel gives no event
    return true;
  }
  for_room_ = true;
  context_.device().held_streams().hold_until_done(link_, checkpoint);
  return true;
}

void Stream::issue_locked(Command& command) {
  constexpr std::size_t most_spares = 64;
  if (auto* kernel = std::get_if<KernelCommand>(&command)) {
    void* kernargs = channel_->kernargs(kernel->dispatch.kernarg_bytes);
    std::memcpy(kernargs, kernel->kernargs.data(), kernel->dispatch.kernarg_bytes);
    channel_->dispatch(kernel->dispatch, kernargs);
    if (spare_kernargs_.size() < most_spares)
      spare_kernargs_.push_back(std::move(kernel->kernargs));
  } else if (auto* record = std::get_if<RecordCommand>(&command)) {
    channel_->record(std::move(record->marker));
  } else if (auto* wait = std::get_if<WaitCommand>(&command)) {
    channel_->wait(std::move(wait->marker));
  } else if (auto* signal = std::get_if<SignalCommand>(&command)) {
    context_.device().signals().add(std::move(*signal)); // its marker goes into the queue next
  }
}

void Stream::place_checkpoint_locked() {
  Result<MarkerRef> marker = context_.acquire_marker(kfd::SignalKind::polled);
  if (marker && context_.device().signals().watch(**marker))
    channel_->checkpoint(*std::move(marker));
}

std::vector<std::byte> Stream::spare_kernargs_locked(std::size_t bytes) {
  std::vector<std::byte> kernargs;
  if (!spare_kernargs_.empty()) {
    kernargs = std::move(spare_kernargs_.back());
    spare_kernargs_.pop_back();
  }
  kernargs.resize(bytes);
  return kernargs;
}

void Stream::resume() {
  std::unique_lock lock(mutex_);
  go_on_locked(lock);
  if (pushed_back_ > 0)
    moved_.notify_all();
}

void Stream::abandon() {
  util::Ring<Command> dropped;
  {
    std::lock_guard lock(mutex_);
    dropped = std::exchange(backlog_, {});
    held_ = for_room_ = false;
    moved_.notify_all();
  }
  while (!dropped.empty()) {
    Command command = dropped.pop_front();
    if (auto* signal = std::get_if<SignalCommand>(&command))
      context_.device().signals().perform(*signal);
  }
}

void Stream::close(CUresult why) {
  std::lock_guard lock(mutex_);
  if (closed_ == CUDA_SUCCESS)
    closed_ = why;
}

// --- queues ---

std::unique_ptr<Channel> Stream::give_up_channel() {
  std::lock_guard lock(mutex_);
  if (!channel_ || channel_users_ > 0 || !channel_->idle())
    return nullptr;
  return std::move(channel_);
}

bool Stream::watch_end(SignalRelay& relay) {
  std::lock_guard lock(mutex_);
  if (!channel_ || channel_users_ > 0)
    return false;
  if (channel_->idle())
    return true;
  if (!channel_->ends_in_checkpoint()) {
    Result<MarkerRef> marker = context_.acquire_marker(kfd::SignalKind::polled);
    if (marker && relay.watch(**marker))
      channel_->checkpoint(*std::move(marker));
  }
  return false;
}

// --- implicit ordering ---

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
  order_marker_ = *marker;
  order_marker_work_ = work;
  if (Result<void> recorded = enqueue(std::move(lock), RecordCommand{*marker}, Counts::no); !recorded)
    return recorded.error();
  return marker;
}

Result<void> Stream::order_behind(Stream& other, std::atomic<std::uint64_t>& seen) {
  std::uint64_t work = other.work();
  if (seen.load(std::memory_order_acquire) == work)
    return {};
  Result<MarkerRef> marker = other.order_marker();
  if (!marker)
    return marker.error();
  if (*marker && !(*marker)->done())
    enqueue_surely(std::unique_lock(mutex_), WaitCommand{*std::move(marker)}, Counts::no);
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

// --- how far it has come ---

bool Stream::empty() {
  std::lock_guard lock(mutex_);
  return idle_locked();
}

bool Stream::held() {
  std::lock_guard lock(mutex_);
  return held_;
}

Result<bool> Stream::idle() {
  if (Result<void> status = context_.status(); !status)
    return status.error();
  {
    std::lock_guard lock(mutex_);
    if (!idle_locked())
      return false;
  }
  if (role_ == StreamRole::legacy && !context_
                                          .blocking_streams([](Stream& other) {
                                            std::lock_guard lock(other.mutex_);
                                            return !other.idle_locked();
                                          })
                                          .empty())
    return false;
  context_.device().signals().settle();
  return true;
}

Result<bool> Stream::caught_up() {
  Result<bool> own = idle();
  if (!own || !*own || !blocking())
    return own;
  Stream& legacy = context_.legacy_stream();
  {
    std::lock_guard lock(legacy.mutex_);
    if (!legacy.idle_locked())
      return false;
  }
  context_.device().signals().settle();
  return true;
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
  if (*marker)
    return (*marker)->wait();
  if (Result<void> status = context_.status(); !status)
    return status;
  context_.device().signals().settle();
  return {};
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
  if (Result<void> recorded = enqueue(std::move(lock), RecordCommand{*marker}, Counts::no); !recorded)
    return recorded.error();
  return marker;
}

} // namespace shim::core
