#include "notifier.hpp"

#include "machine.hpp"

#include <condition_variable>
#include <list>
#include <mutex>
#include <new>

#include <pthread.h>

namespace emu::kernel {

namespace {

class Notifier {
public:
  void add(Notification notification) {
    std::lock_guard lock(mutex_);
    pending_.push_back(std::move(notification));
    if (!running_) {
      running_ = true;
      start_thread("kfd-emu-notify", [this] { loop(); });
    } else {
      filled_.notify_one();
    }
  }

private:
  void loop() {
    while (true) {
      {
        std::unique_lock lock(mutex_);
        filled_.wait(lock, [&] { return !pending_.empty(); });
      }
      Machine::get().wait(Deadline::never(), [&] { return collect(); });
      for (Notification& notification : due_)
        notification.action();
      due_.clear();
    }
  }

  // Moves what is due out of pending_. True: there is something to do, or nothing left to wait for.
  bool collect() {
    std::lock_guard lock(mutex_);
    for (auto it = pending_.begin(); it != pending_.end();) {
      if (it->ready())
        due_.splice(due_.end(), pending_, it++);
      else if (it->abandoned && it->abandoned())
        it = pending_.erase(it);
      else
        ++it;
    }
    return !due_.empty() || pending_.empty();
  }

  std::mutex mutex_;
  std::condition_variable filled_;
  std::list<Notification> pending_;
  std::list<Notification> due_; // the thread's own
  bool running_ = false;
};

alignas(Notifier) unsigned char storage[sizeof(Notifier)];

Notifier& notifier() {
  static Notifier* the_notifier = [] {
    // After fork() the parent goes on notifying; the child starts with an empty list.
    pthread_atfork(nullptr, nullptr, [] { new (storage) Notifier; });
    return new (storage) Notifier;
  }();
  return *the_notifier;
}

} // namespace

void notify_when(Notification notification) {
  if (notification.ready())
    return notification.action();
  notifier().add(std::move(notification));
  Machine::get().announce(); // the thread sleeps in wait(): let it look at the new one
}

} // namespace emu::kernel
