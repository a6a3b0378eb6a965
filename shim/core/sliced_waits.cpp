#include "sliced_waits.hpp"

#include <ctime>

#include <util/thread.hpp>

namespace shim::core {

namespace {

constexpr std::int64_t slice_nanoseconds = 5'000'000;
constexpr std::int64_t only_look = 0;

std::int64_t end_of_slice() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000ll + now.tv_nsec + slice_nanoseconds;
}

// An error counts as reached: a stream that waits for ever helps nobody, and the error has been logged.
bool reached(const kfd::Syncobj& syncobj, std::uint64_t point, std::int64_t deadline) {
  Result<kfd::WaitResult> waited = syncobj.wait_signaled(point, deadline);
  return !waited || *waited == kfd::WaitResult::satisfied;
}

} // namespace

SlicedWaits::SlicedWaits() : thread_(util::start_thread("cuda-waits", [this] { run(); })) {}

SlicedWaits::~SlicedWaits() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
  release_all();
}

void SlicedWaits::add(MarkerRef marker, const kfd::Syncobj& syncobj, std::uint64_t point,
                      std::shared_ptr<void> keep) {
  {
    std::lock_guard lock(mutex_);
    waits_.push_back({std::move(marker), &syncobj, point, std::move(keep)});
  }
  changed_.notify_all();
}

void SlicedWaits::release_all() {
  std::lock_guard lock(mutex_);
  for (const Wait& wait : waits_)
    static_cast<void>(wait.marker->complete());
  waits_.clear();
}

void SlicedWaits::complete_reached_locked() {
  for (auto wait = waits_.begin(); wait != waits_.end();) {
    if (!reached(*wait->syncobj, wait->point, only_look)) {
      ++wait;
      continue;
    }
    static_cast<void>(wait->marker->complete());
    wait = waits_.erase(wait);
  }
}

void SlicedWaits::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (waits_.empty()) {
      changed_.wait(lock);
      continue;
    }
    std::shared_ptr<void> keep = waits_.front().keep;
    const kfd::Syncobj* syncobj = waits_.front().syncobj;
    std::uint64_t point = waits_.front().point;
    lock.unlock();
    reached(*syncobj, point, end_of_slice());
    keep.reset();
    lock.lock();
    complete_reached_locked();
  }
}

} // namespace shim::core
