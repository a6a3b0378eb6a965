#include <core/marker.hpp>

#include <memory>

namespace shim::core {

Result<void> Marker::wait() const {
  Result<kfd::WaitResult> waited = signal.wait_done();
  if (!waited)
    return waited.error();
  if (*waited != kfd::WaitResult::satisfied)
    return util::fail(CUDA_ERROR_UNKNOWN, "wait for a marker that wakes nobody");
  return {};
}

Result<void> Marker::complete() {
  if (signal.kind() == kfd::SignalKind::interrupting)
    return signal.set_and_wake(0);
  signal.set(0);
  return {};
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
  std::lock_guard lock(mutex_);
  free_[static_cast<std::size_t>(marker->signal.kind())].push_back(marker);
}

} // namespace shim::core
