#include <core/marker.hpp>

#include <memory>
#include <thread>

namespace shim::core {

Result<void> Marker::wait() const {
  for (;;) {
    Result<kfd::WaitResult> waited = signal.wait_done();
    if (!waited)
      return waited.error();
    if (*waited == kfd::WaitResult::satisfied)
      return {};
    std::this_thread::yield(); // only where the process has run out of events to sleep on
  }
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
  Result<kfd::Signal> signal = gpu_signal(kind);
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

Result<kfd::Signal> MarkerPool::gpu_signal(kfd::SignalKind kind) {
  // The process has 4096 events, and others need some.
  constexpr std::size_t most_interrupting = 3072;
  if (kind == kfd::SignalKind::interrupting && interrupting_.fetch_add(1) >= most_interrupting)
    kind = kfd::SignalKind::polled;
  return device_.acquire_signal(kind);
}

void MarkerPool::give_back(Marker* marker) {
  std::lock_guard lock(mutex_);
  free_[static_cast<std::size_t>(marker->signal.kind())].push_back(marker);
}

} // namespace shim::core
