#include <core/relay.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <iterator>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <thread>

#include <kfd/fork.hpp>
#include <util/thread.hpp>

#include "sliced_waits.hpp"

namespace shim::core {

// There is nobody left to return an error to.
void Relay::perform(const Outgoing& signal) {
  if (signal.semaphore)
    static_cast<void>(signal.semaphore->signal(signal.value));
}

Relay::Relay(kfd::Device& gpu, kfd::SyncobjFeatures features) : gpu_(gpu), features_(features) {}

Relay::~Relay() {
  if (kfd::in_forked_child()) {
    for (std::thread* thread : {&out_thread_, &in_thread_})
      if (thread->joinable())
        thread->detach();
    static_cast<void>(sliced_.release()); // its thread is not ours to join
    return;
  }
  stopping_ = true;
  if (out_thread_.joinable()) {
    waker_.wake_to_end();
    out_thread_.join();
  }
  {
    std::lock_guard lock(out_mutex_);
    signal_everything_locked();
  }
  if (in_thread_.joinable()) {
    eventfd_write(stop_in_.get(), 1);
    in_thread_.join();
  }
  release_armed();
}

// --- out ---

Result<void> Relay::watch(Marker& marker) {
  std::lock_guard lock(out_mutex_);
  if (!waker_.prepared())
    if (Result<void> prepared = waker_.prepare(gpu_); !prepared)
      return prepared;
  if (!out_thread_.joinable())
    out_thread_ = util::start_thread("cuda-signals", [this] { run_out(); });
  if (out_ended_)
    return util::fail(CUDA_ERROR_UNKNOWN, "the thread that signals semaphores has ended");
  waker_.watch(marker);
  return {};
}

void Relay::signal_after(const MarkerRef& marker, std::span<const SemaphoreOperation> signals) {
  std::lock_guard lock(out_mutex_);
  for (const SemaphoreOperation& signal : signals)
    outgoing_.push_back({marker, signal.semaphore->shared(), signal.value});
  // The event may have come before the thread could know what for.
  if (out_ended_)
    signal_everything_locked();
  else if (marker->done())
    flush_locked();
}

bool Relay::flush() {
  std::lock_guard lock(out_mutex_);
  return flush_locked();
}

bool Relay::flush_locked() {
  // Newest first: where a stream's later marker is done, so are its earlier ones, but only if they are looked
  // at after it.
  for (auto entry = outgoing_.rbegin(); entry != outgoing_.rend(); ++entry)
    entry->due = entry->marker->done();
  auto kept = outgoing_.begin();
  for (Outgoing& entry : outgoing_) {
    if (entry.due)
      perform(entry);
    else if (&entry != &*kept++)
      *std::prev(kept) = std::move(entry);
  }
  outgoing_.erase(kept, outgoing_.end());
  if (outgoing_.empty())
    performed_.notify_all();
  return outgoing_.empty();
}

void Relay::signal_everything_locked() {
  for (const Outgoing& entry : outgoing_)
    perform(entry);
  outgoing_.clear();
  performed_.notify_all();
}

Relay::Outgoing* Relay::pending_locked(const SharedSemaphore& semaphore) {
  auto latest = std::find_if(outgoing_.rbegin(), outgoing_.rend(),
                             [&](const Outgoing& entry) { return entry.semaphore.get() == &semaphore; });
  return latest == outgoing_.rend() ? nullptr : &*latest;
}

MarkerRef Relay::pending(const SharedSemaphore& semaphore) {
  std::lock_guard lock(out_mutex_);
  const Outgoing* entry = pending_locked(semaphore);
  return entry ? entry->marker : MarkerRef();
}

bool Relay::take_back(const SharedSemaphore& semaphore) {
  std::lock_guard lock(out_mutex_);
  Outgoing* entry = pending_locked(semaphore);
  if (entry)
    entry->semaphore.reset(); // what is left is dropped once its marker is done
  return entry != nullptr;
}

void Relay::run_out() {
  while (!stopping_) {
    if (!waker_.sleep()) {
      // The GPU has faulted: nothing more will be done, and nobody outside shall wait for it.
      std::lock_guard lock(out_mutex_);
      out_ended_ = true;
      signal_everything_locked();
      return;
    }
    flush();
  }
}

void Relay::drain(std::chrono::nanoseconds limit) {
  std::unique_lock lock(out_mutex_);
  auto nothing_left = [this] { return flush_locked() || out_ended_; };
  if (limit == kfd::wait_forever)
    performed_.wait(lock, nothing_left);
  else
    performed_.wait_for(lock, limit, nothing_left);
  signal_everything_locked();
}

// --- in ---

Result<void> Relay::start_in_locked() {
  if (in_thread_.joinable())
    return {};
  epoll_ = util::Fd(epoll_create1(EPOLL_CLOEXEC));
  stop_in_ = util::Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;
  if (!epoll_.valid() || !stop_in_.valid() ||
      epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, stop_in_.get(), &event) != 0)
    return util::fail_errno("epoll for semaphores", errno);
  in_thread_ = util::start_thread("cuda-waits", [this] { run_in(); });
  return {};
}

Result<Relay::Incoming*> Relay::free_slot_locked() {
  if (Result<void> started = start_in_locked(); !started)
    return started.error();
  if (!free_slots_.empty()) {
    Incoming* slot = free_slots_.back();
    free_slots_.pop_back();
    return slot;
  }
  util::Fd fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd.valid())
    return util::fail_errno("eventfd", errno);
  slots_.push_back({.event = std::move(fd)});
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = &slots_.back();
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, slots_.back().event.get(), &event) != 0) {
    int err = errno;
    slots_.pop_back();
    return util::fail_errno("epoll_ctl", err);
  }
  return &slots_.back();
}

Result<std::shared_ptr<kfd::Syncobj>> Relay::spare_syncobj() {
  std::lock_guard lock(in_mutex_);
  for (const std::shared_ptr<kfd::Syncobj>& spare : spares_)
    if (spare.use_count() == 1)
      return spare;
  Result<kfd::Syncobj> created = kfd::Syncobj::create(gpu_.render_fd());
  if (!created)
    return created.error();
  spares_.push_back(std::make_shared<kfd::Syncobj>(*std::move(created)));
  return spares_.back();
}

void Relay::complete_when(MarkerRef marker, const kfd::Syncobj& syncobj, std::uint64_t point,
                          std::shared_ptr<void> keep) {
  std::lock_guard lock(in_mutex_);
  if (features_.eventfd)
    if (Result<Incoming*> slot = free_slot_locked()) {
      if (syncobj.register_eventfd(point, (*slot)->event.get())) {
        (*slot)->marker = std::move(marker);
        (*slot)->keep = std::move(keep);
        return;
      }
      free_slots_.push_back(*slot);
    }
  if (!sliced_) // an old kernel, or a process that has no descriptor left
    sliced_ = std::make_unique<SlicedWaits>();
  sliced_->add(std::move(marker), syncobj, point, std::move(keep));
}

void Relay::fired(Incoming& slot) {
  MarkerRef marker;
  std::shared_ptr<void> keep; // the syncobj goes after the lock
  {
    std::lock_guard lock(in_mutex_);
    eventfd_t count = 0;
    if (eventfd_read(slot.event.get(), &count) != 0)
      return;
    marker = std::move(slot.marker);
    keep = std::move(slot.keep);
    free_slots_.push_back(&slot);
  }
  if (marker)
    static_cast<void>(marker->complete());
}

void Relay::run_in() {
  std::array<epoll_event, 64> events;
  while (!stopping_) {
    int count = epoll_wait(epoll_.get(), events.data(), events.size(), -1);
    if (count < 0 && errno != EINTR) {
      static_cast<void>(util::fail_errno("epoll_wait", errno));
      return;
    }
    for (int i = 0; i < count; ++i)
      if (void* slot = events[static_cast<std::size_t>(i)].data.ptr)
        fired(*static_cast<Incoming*>(slot));
  }
}

void Relay::release_armed() {
  std::lock_guard lock(in_mutex_);
  // Their eventfds may still fire, which is what makes a slot free again.
  for (Incoming& slot : slots_)
    if (MarkerRef marker = std::move(slot.marker))
      static_cast<void>(marker->complete());
  if (sliced_)
    sliced_->release_all();
}

} // namespace shim::core
