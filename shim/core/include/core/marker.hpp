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
struct HeldLink;

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

// Who is told of what happens to the markers of a pool.
class MarkerObserver {
public:
  virtual ~MarkerObserver() = default;
  // `marker`, for which streams are held back, has become certain. No stream's lock may be needed.
  virtual void certain(Marker& marker) = 0;
  // Streams that certain() has freed go on. The caller holds no lock.
  virtual void go_on() = 0;
  // Every signal of an external semaphore whose turn has come has been performed when it returns.
  virtual void settle() = 0;
};

class Marker {
public:
  // Has it been reached?
  bool done() const { return signal.value() < 1; }
  // The same for those who tell the application: semaphores that are signalled in front of it are so then.
  bool passed() const;
  // Blocks until passed. Only for interrupting markers.
  Result<void> wait() const;
  // For markers that the host completes. Wakes threads that wait for an interrupting one, and lets streams go
  // on that are held back for it. The caller holds no lock.
  Result<void> complete();

  // Does it come without anyone's doing? It is done, or in a hardware queue: nothing there waits for what
  // might never come.
  bool certain() const { return in_queue_.load(std::memory_order_acquire) || done(); }
  // It has gone into a hardware queue. Streams that were held back for it go on at the next go_on().
  void enter_queue();

  kfd::Signal signal;

private:
  friend class HeldStreams;
  friend class MarkerRef;
  friend class MarkerPool;
  void tell_streams();

  std::atomic<unsigned> references_ = 0;
  std::atomic<bool> in_queue_ = false;
  std::atomic<bool> streams_held_ = false; // some are, until it is certain
  HeldLink* held_ = nullptr;               // these; HeldStreams' lock guards them
  MarkerPool* pool_ = nullptr;
};

inline void MarkerRef::acquire() {
  if (marker_)
    marker_->references_.fetch_add(1, std::memory_order_relaxed);
}

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

  kfd::Device& device_;
  std::mutex mutex_;
  std::vector<Marker*> free_[2]; // by SignalKind
  std::size_t made_ = 0;
  MarkerObserver* observer_ = nullptr;
};

} // namespace shim::core
