// Work that happens when fences signal: eventfds of syncobjs, sync_files that become readable. One thread for
// a process, which exists from the first use on and sleeps while nothing is awaited.
#pragma once

#include <functional>

namespace emu::kernel {

struct Notification {
  // Has it happened? Asked after every change in the machine.
  std::function<bool()> ready;
  // Done once when it has, on the notifier's thread or in notify_now().
  std::function<void()> action;
  // Is it pointless by now? Then it is dropped without the action. May be empty.
  std::function<bool()> abandoned;
};

// Runs the action at once, on this thread, where `ready` holds already.
void notify_when(Notification notification);

// Runs, on this thread, what is ready. For what is going to take a fence away: the kernel tells of each fence
// in the call that puts it there, so that one that lasts a moment is not missed.
void notify_now();

} // namespace emu::kernel
