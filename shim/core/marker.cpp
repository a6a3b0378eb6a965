#include <core/marker.hpp>

#include <algorithm>
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
  Result<void> woken;
  if (signal.kind() == kfd::SignalKind::interrupting)
    woken = signal.set_and_wake(0);
  else
    signal.set(0);
  if (pool_->observer_)
    pool_->observer_->host_completed();
  return woken;
}

bool Marker::is_certain() const {
  if (certain_.load(std::memory_order_acquire))
    return true;
  bool certain = done();
  if (!certain && !by_host && in_queue.load(std::memory_order_acquire))
    certain =
        std::all_of(gates.begin(), gates.end(), [](const MarkerRef& gate) { return gate->is_certain(); });
  if (certain)
    certain_.store(true, std::memory_order_release);
  return certain;
}

bool prune(Gates& gates) {
  std::erase_if(gates, [](const MarkerRef& gate) { return gate->is_certain(); });
  return gates.empty();
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
  // A marker's gates have gates, and so on: one after the other, not one inside the other.
  thread_local std::vector<Marker*>* returning = nullptr;
  if (returning) {
    returning->push_back(marker);
    return;
  }
  if (marker->gates.empty()) {
    put_into_list(marker);
    return;
  }
  std::vector<Marker*> all = {marker};
  returning = &all;
  for (std::size_t i = 0; i < all.size(); ++i) {
    Marker* next = all[i]; // `all` may grow
    next->gates.clear();
    next->pool_->put_into_list(next);
  }
  returning = nullptr;
}

void MarkerPool::put_into_list(Marker* marker) {
  if (marker->signal.kind() == kfd::SignalKind::polled)
    marker->signal.raise_nothing();
  marker->by_host = false;
  marker->in_queue = false;
  marker->certain_ = false;
  std::lock_guard lock(mutex_);
  free_[static_cast<std::size_t>(marker->signal.kind())].push_back(marker);
}

} // namespace shim::core
