#include "later.hpp"

#include "machine.hpp"
#include "process.hpp"

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <pthread.h>
#include <utility>

namespace emu::kernel {

namespace {

class Worker {
public:
  void add(std::uint64_t due, std::function<void()> work) {
    std::scoped_lock lock(mutex_);
    if (!std::exchange(started_, true))
      start_thread("kfd-emu-later", [this] { loop(); });
    work_.emplace(due, std::move(work));
    changed_.notify_one();
  }

private:
  void loop() {
    std::unique_lock lock(mutex_);
    for (;;) {
      if (work_.empty()) {
        changed_.wait(lock);
        continue;
      }
      const std::uint64_t due = work_.begin()->first, now = monotonic_ns();
      if (due > now) {
        changed_.wait_for(lock, std::chrono::nanoseconds(due - now));
        continue;
      }
      const std::function<void()> next = std::move(work_.begin()->second);
      work_.erase(work_.begin());
      lock.unlock();
      next();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::multimap<std::uint64_t, std::function<void()>> work_; // by when it is due
  bool started_ = false;
};

// Replaced in a child, whose parent's thread did not come along. Never destroyed: threads outlive static
// objects.
Worker* worker = nullptr;
std::mutex worker_mutex;

[[gnu::constructor(202)]] void watch_forks() {
  pthread_atfork([] { worker_mutex.lock(); }, [] { worker_mutex.unlock(); },
                 [] {
                   worker = nullptr;
                   worker_mutex.unlock();
                 });
}

} // namespace

void run_later(std::uint64_t delay_ns, std::function<void()> work) {
  std::scoped_lock lock(worker_mutex);
  if (!worker)
    worker = new Worker;
  worker->add(monotonic_ns() + delay_ns, std::move(work));
}

} // namespace emu::kernel
