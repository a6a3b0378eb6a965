// Work that happens when fences signal: eventfds of syncobjs, sync_files that become readable. One thread for
// a process, which exists from the first use on and sleeps while nothing is awaited.
#pragma once

#include <functional>

namespace emu::kernel {

struct Notification {
  // Has it happened? Asked after every change in the machine.
  std::function<bool()> ready;
  // Done once, on the notifier's thread, when it has.
  std::function<void()> action;
  // Is it pointless by now? Then it is dropped without the action. May be empty.
  std::function<bool()> abandoned;
};

// Runs the action at once, on this thread, where `ready` holds already.
void notify_when(Notification notification);

} // namespace emu::kernel
