// Streams whose next command cannot go into a hardware queue now.
//
// A queue that waits for another process may wait for ever, the kernel gives a process 127, and a ring that
// is full blocks its caller, who may be the one to signal. So nothing goes into a queue before everything
// that it waits for is certain to come (Marker::certain): until then the stream keeps its commands to itself.
// It is held for one of three things: a marker that is to become certain; a marker of its own that tells that
// there is room in its ring; a queue. Whoever brings that about goes on with the stream, on his own thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <vector>

#include <core/marker.hpp>

namespace shim::core {

class Stream;

// A stream's place among them; each stream has one.
struct HeldLink {
  explicit HeldLink(Stream& held) : stream(held) {}
  Stream& stream;
  enum class Place : std::uint8_t { nowhere, certain, done, queue, ready };

private:
  friend class HeldStreams;
  Place place = Place::nowhere;
  MarkerRef marker; // that it is held for
  HeldLink* next = nullptr;
  std::size_t index = 0; // among all that are held
};

// One for each device. Thread-safe. Locks are taken in this order: a stream's, then this one's.
class HeldStreams {
public:
  HeldStreams() = default;
  HeldStreams(const HeldStreams&) = delete;
  HeldStreams& operator=(const HeldStreams&) = delete;

  // False where the marker is certain already: the stream is not held then.
  bool hold_until_certain(HeldLink& link, const MarkerRef& marker);
  // The marker is the GPU's, and wakes the thread that calls look().
  void hold_until_done(HeldLink& link, const MarkerRef& marker);
  // Until one may be free; also where something else has failed that is tried again. Nothing where it is held
  // already.
  void hold_for_queue(HeldLink& link);
  // When it returns nobody looks at the stream any more. The caller holds no lock, and is not in go_on().
  void remove(HeldLink& link);

  // Streams that are held for `marker` are ready.
  void certain(Marker& marker);
  // The GPU has come to markers that somebody watches, or a queue may be free.
  void look();
  // Stream::resume() for all that are ready, unless another thread is at it, which then does it.
  void go_on() {
    if (any_ready_.load(std::memory_order_acquire))
      go_on_slow();
  }
  bool any_for_queue() const { return any_for_queue_.load(std::memory_order_acquire); }
  // The device has failed, or the process ends: Stream::abandon() for all, now and from now on. The caller is
  // not in go_on().
  void abandon_all();

private:
  struct List {
    HeldLink* first = nullptr;
    HeldLink* last = nullptr;
    void push(HeldLink& link);
    HeldLink* pop();
    void erase(HeldLink& link);
  };
  void put_locked(HeldLink& link, HeldLink::Place place);
  void take_out_locked(HeldLink& link);
  void ready_locked(HeldLink& link);
  void leave_locked(HeldLink& link);
  void go_on_slow();

  std::mutex mutex_;
  std::condition_variable stopped_;
  std::vector<HeldLink*> all_; // those that are somewhere
  List for_done_, for_queue_, ready_;
  HeldLink* running_ = nullptr; // Stream::resume() is at work on it
  bool going_on_ = false;
  bool abandoning_ = false;
  std::atomic<bool> any_ready_ = false;
  std::atomic<bool> any_for_queue_ = false;
};

} // namespace shim::core
