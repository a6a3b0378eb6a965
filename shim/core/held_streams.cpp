#include <core/held_streams.hpp>

#include <algorithm>

#include <core/stream.hpp>
#include <kfd/fork.hpp>
#include <util/thread.hpp>

namespace shim::core {

HeldStreams::~HeldStreams() {
  if (!thread_.joinable())
    return;
  if (kfd::in_forked_child()) {
    thread_.detach();
    return;
  }
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void HeldStreams::add(Stream& stream) {
  std::lock_guard lock(mutex_);
  if (!thread_.joinable())
    thread_ = util::start_thread("cuda-held", [this] { run(); });
  held_.push_back(&stream);
  ++count_;
  look_ = true;
  changed_.notify_all();
}

void HeldStreams::remove(Stream& stream) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return current_ != &stream; });
  count_ -= std::erase(held_, &stream);
}

void HeldStreams::host_completed() {
  // The marker's value first, then the look whether anyone waits; add() and run() do it the other way round.
  // A read-modify-write stands in one order with add()'s: who comes second sees what the first has done.
  if (count_.fetch_add(0) == 0)
    return;
  std::lock_guard lock(mutex_);
  look_ = true;
  changed_.notify_all();
}

void HeldStreams::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (!look_) {
      changed_.wait(lock);
      continue;
    }
    look_ = false;
    // Those that are added meanwhile set look_ again; those that wait on come back behind the others.
    for (std::size_t left = held_.size(); left > 0 && !held_.empty(); --left) {
      current_ = held_.front();
      held_.pop_front();
      lock.unlock();
      Stream::Resumed resumed = current_->resume();
      lock.lock();
      look_ = look_ || resumed.went_on;
      if (resumed.waits_on)
        held_.push_back(current_);
      else
        --count_;
      current_ = nullptr;
      changed_.notify_all();
    }
  }
}

} // namespace shim::core
