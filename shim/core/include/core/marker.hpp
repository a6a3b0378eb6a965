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

class Marker;
class MarkerPool;

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
  inline void acquire();
  Marker* marker_ = nullptr;
};

// What a point in a stream waits for that may never come.
using Gates = std::vector<MarkerRef>;
// Takes out those that are certain to come. Are all?
bool prune(Gates& gates);

class Marker {
public:
  bool done() const { return signal.value() < 1; }
  // Blocks until done. Only for interrupting markers.
  Result<void> wait() const;
  // For markers that the host completes. Wakes threads that wait for an interrupting one.
  Result<void> complete();

  // Is it done, or certain to be without anyone's doing? A point that the host completes only when it is
  // done; one that the GPU completes when it is in a hardware queue, and all its gates are certain.
  bool is_certain() const;

  kfd::Signal signal;
  // The host completes it, not the GPU. Set before anyone else sees it, like the next.
  bool by_host = false;
  Gates gates;                        // those that were not certain when it was put into its stream
  std::atomic<bool> in_queue = false; // a hardware one

private:
  friend class MarkerRef;
  friend class MarkerPool;
  std::atomic<unsigned> references_ = 0;
  mutable std::atomic<bool> certain_ = false; // and stays so
  MarkerPool* pool_ = nullptr;
};

inline void MarkerRef::acquire() {
  if (marker_)
    marker_->references_.fetch_add(1, std::memory_order_relaxed);
}

// Is told of every marker that the host completes.
class MarkerObserver {
public:
  virtual ~MarkerObserver() = default;
  virtual void host_completed() = 0;
};

// Where markers come from and go back to. Thread-safe. Must outlive every reference.
class MarkerPool {
public:
  explicit MarkerPool(kfd::Device& device) : device_(device) {}
  ~MarkerPool();
  // Not done, ticks cleared. No system call unless the pool grows.
  Result<MarkerRef> acquire(kfd::SignalKind kind);
  // Before the first marker is acquired.
  void observe(MarkerObserver& observer) { observer_ = &observer; }

private:
  friend class Marker;
  friend class MarkerRef;
  void give_back(Marker* marker);
  void put_into_list(Marker* marker);

  kfd::Device& device_;
  std::mutex mutex_;
  std::vector<Marker*> free_[2]; // by SignalKind
  std::size_t made_ = 0;
  MarkerObserver* observer_ = nullptr;
};

} // namespace shim::core
