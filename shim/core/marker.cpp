#include <core/marker.hpp>

#include <memory>

namespace shim::core {

bool Marker::passed() const {
  if (!done())
    return false;
  if (pool_->observer_)
    pool_->observer_->settle();
  return true;
}

Result<void> Marker::wait() const {
  Result<kfd::WaitResult> waited = signal.wait_done();
  if (!waited)
    return waited.error();
  if (*waited != kfd::WaitResult::satisfied)
    return util::fail(CUDA_ERROR_UNKNOWN, "wait for a marker that wakes nobody");
  if (pool_->observer_)
    pool_->observer_->settle();
  return {};
}

Result<void> Marker::complete() {
  Result<void> woken;
  if (signal.kind() == kfd::SignalKind::interrupting)
    woken = signal.set_and_wake(0);
  else
    signal.set(0);
  tell_streams();
  if (pool_->observer_)
    pool_->observer_->go_on();
  return woken;
}

void Marker::enter_queue() {
  in_queue_.store(true, std::memory_order_release);
  tell_streams();
}

// Whoever holds a stream back says so first and looks at the marker then: of the two exchanges the later one
// sees what was before the other.
void Marker::tell_streams() {
  if (streams_held_.exchange(false, std::memory_order_acq_rel))
    pool_->observer_->certain(*this);
}

void MarkerRef::reset() {
  Marker* marker = std::exchange(marker_, nullptr);
  if (marker && marker->references_.fetch_sub(1, std::memory_order_acq_rel) == 1)
    marker->pool_->give_back(marker);
}

MarkerPool::~MarkerPool() {
  for (std::vector<Marker*>& list : free_)
    for (Marker* marker : list)
      delete marker;
}

Result<MarkerRef> MarkerPool::acquire(kfd::SignalKind kind) {
  {
    std::lock_guard lock(mutex_);
    std::vector<Marker*>& list = free_[static_cast<std::size_t>(kind)];
    if (!list.empty()) {
      Marker* marker = list.back();
      list.pop_back();
      marker->signal.clear_ticks();
      marker->signal.set(1);
      return MarkerRef(marker);
    }
  }
  Result<kfd::Signal> signal = device_.acquire_signal(kind);
  if (!signal)
    return signal.error();
  auto marker = std::make_unique<Marker>();
  marker->signal = std::move(*signal);
  marker->pool_ = this;
  std::lock_guard lock(mutex_);
  ++made_;
  for (std::vector<Marker*>& list : free_)
    list.reserve(made_); // give_back() must not fail
  return MarkerRef(marker.release());
}

void MarkerPool::give_back(Marker* marker) {
  if (marker->signal.kind() == kfd::SignalKind::polled)
    marker->signal.raise_nothing();
  marker->in_queue_.store(false, std::memory_order_relaxed);
  marker->streams_held_.store(false, std::memory_order_relaxed);
  std::lock_guard lock(mutex_);
  free_[static_cast<std::size_t>(marker->signal.kind())].push_back(marker);
}

} // namespace shim::core
