// A point in a stream that the GPU, or the host, will reach: an AMD signal that goes from 1 to 0, shared by
// everyone who waits for it.
//
// The packets that name a marker hold a reference until they are done, so that its signal is never reused
// under them.
#pragma once

#include <atomic>
#include <mutex>
#include <utility>
#include <vector>

#include <kfd/device.hpp>
#include <kfd/signal.hpp>
#include <util/error.hpp>

namespace shim::core {

using util::Result;

class MarkerPool;

class Marker {
public:
  bool done() const { return signal.value() < 1; }
  // Blocks until done. Only for interrupting markers.
  Result<void> wait() const;
  // For markers that the host completes. Wakes threads that wait for an interrupting one.
  Result<void> complete();

  kfd::Signal signal;

private:
  friend class MarkerRef;
  friend class MarkerPool;
  std::atomic<unsigned> references_ = 0;
  MarkerPool* pool_ = nullptr;
};

// A counted reference. Thread-safe as shared_ptr is.
class MarkerRef {
public:
  MarkerRef() = default;
  explicit MarkerRef(Marker* marker) : marker_(marker) { acquire(); }
  MarkerRef(const MarkerRef& other) : marker_(other.marker_) { acquire(); }
  MarkerRef(MarkerRef&& other) noexcept : marker_(std::exchange(other.marker_, nullptr)) {}
  MarkerRef& operator=(MarkerRef other) noexcept {
    std::swap(marker_, other.marker_);
    return *this;
  }
  ~MarkerRef() { reset(); }

  explicit operator bool() const { return marker_ != nullptr; }
  Marker* operator->() const { return marker_; }
  Marker& operator*() const { return *marker_; }
  void reset();

private:
  void acquire() {
    if (marker_)
      marker_->references_.fetch_add(1, std::memory_order_relaxed);
  }
  Marker* marker_ = nullptr;
};

// Where markers come from and go back to. Thread-safe. Must outlive every reference.
class MarkerPool {
public:
  explicit MarkerPool(kfd::Device& device) : device_(device) {}
  ~MarkerPool();
  // Not done, ticks cleared. No system call unless the pool grows.
  Result<MarkerRef> acquire(kfd::SignalKind kind);

private:
  friend class MarkerRef;
  void give_back(Marker* marker);

  kfd::Device& device_;
  std::mutex mutex_;
  std::vector<Marker*> free_[2]; // by SignalKind
  std::size_t made_ = 0;
};

} // namespace shim::core
