// Streams whose work is held back in software: they wait for something that the host completes, and the
// device has few hardware queues left to wait in.
//
// A queue that waits for another process may wait for ever, and the kernel gives a process 127. So the last
// ones are never blocked by such a wait: the stream keeps its packets to itself (Stream::resume) and gives
// its queue up, and a thread goes on with it when what it waits for has come.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include <core/marker.hpp>

namespace shim::core {

class Stream;

// One for each device. Thread-safe.
class HeldStreams : public MarkerObserver {
public:
  HeldStreams() = default;
  ~HeldStreams() override;
  HeldStreams(const HeldStreams&) = delete;
  HeldStreams& operator=(const HeldStreams&) = delete;

  // From now on the thread looks whether `stream` can go on. Called under the stream's lock.
  void add(Stream& stream);
  // When it returns nobody looks at the stream any more. Not under its lock.
  void remove(Stream& stream);
  // The host has completed a marker.
  void host_completed() override;

private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Stream*> held_;
  std::atomic<std::size_t> count_ = 0; // of held_, the one that is being looked at included
  Stream* current_ = nullptr;          // being looked at: not in held_
  bool look_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

} // namespace shim::core
