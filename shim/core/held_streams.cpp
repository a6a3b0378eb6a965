#include <core/held_streams.hpp>

#include <utility>

#include <core/stream.hpp>

namespace shim::core {

using Place = HeldLink::Place;

void HeldStreams::List::push(HeldLink& link) {
  link.next = nullptr;
  (last ? last->next : first) = &link;
  last = &link;
}

HeldLink* HeldStreams::List::pop() {
  HeldLink* link = first;
  if (link) {
    first = link->next;
    last = first ? last : nullptr;
  }
  return link;
}

void HeldStreams::List::erase(HeldLink& link) {
  HeldLink* before = nullptr;
  for (HeldLink* each = first; each != &link; each = each->next)
    before = each;
  (before ? before->next : first) = link.next;
  if (last == &link)
    last = before;
}

void HeldStreams::put_locked(HeldLink& link, Place place) {
  if (link.place == Place::nowhere) {
    link.index = all_.size();
    all_.push_back(&link);
  }
  link.place = place;
}

void HeldStreams::ready_locked(HeldLink& link) {
  link.marker.reset();
  put_locked(link, Place::ready);
  ready_.push(link);
  any_ready_.store(true, std::memory_order_release);
}

void HeldStreams::take_out_locked(HeldLink& link) {
  switch (link.place) {
  case Place::nowhere:
    return;
  case Place::certain: {
    HeldLink** at = &link.marker->held_;
    while (*at != &link)
      at = &(*at)->next;
    *at = link.next;
    break;
  }
  case Place::done:
    for_done_.erase(link);
    break;
  case Place::queue:
    for_queue_.erase(link);
    any_for_queue_.store(for_queue_.first != nullptr, std::memory_order_release);
    break;
  case Place::ready:
    ready_.erase(link);
    break;
  }
  link.marker.reset();
}

void HeldStreams::leave_locked(HeldLink& link) {
  all_[link.index] = all_.back();
  all_[link.index]->index = link.index;
  all_.pop_back();
  link.place = Place::nowhere;
}

bool HeldStreams::hold_until_certain(HeldLink& link, const MarkerRef& marker) {
  std::lock_guard lock(mutex_);
  marker->streams_held_.exchange(true, std::memory_order_acq_rel);
  if (marker->certain())
    return false;
  if (abandoning_) {
    ready_locked(link);
    return true;
  }
  put_locked(link, Place::certain);
  link.marker = marker;
  link.next = std::exchange(marker->held_, &link);
  return true;
}

void HeldStreams::hold_until_done(HeldLink& link, const MarkerRef& marker) {
  std::lock_guard lock(mutex_);
  if (abandoning_ || marker->done()) { // the thread that looks may have looked already
    ready_locked(link);
    return;
  }
  put_locked(link, Place::done);
  link.marker = marker;
  for_done_.push(link);
}

void HeldStreams::hold_for_queue(HeldLink& link) {
  std::lock_guard lock(mutex_);
  if (link.place != Place::nowhere)
    return;
  if (abandoning_) {
    ready_locked(link);
    return;
  }
  put_locked(link, Place::queue);
  for_queue_.push(link);
  any_for_queue_.store(true, std::memory_order_release);
}

void HeldStreams::remove(HeldLink& link) {
  std::unique_lock lock(mutex_);
  stopped_.wait(lock, [&] { return running_ != &link; });
  if (link.place == Place::nowhere)
    return;
  take_out_locked(link);
  leave_locked(link);
}

void HeldStreams::certain(Marker& marker) {
  std::lock_guard lock(mutex_);
  for (HeldLink* link = std::exchange(marker.held_, nullptr); link;) {
    HeldLink* next = link->next;
    ready_locked(*link);
    link = next;
  }
}

void HeldStreams::look() {
  std::lock_guard lock(mutex_);
  List still;
  while (HeldLink* link = for_done_.pop())
    if (link->marker->done())
      ready_locked(*link);
    else
      still.push(*link);
  for_done_ = still;
  // One at a time: where that one finds no queue, the others need not try.
  if (HeldLink* link = for_queue_.pop())
    ready_locked(*link);
  any_for_queue_.store(for_queue_.first != nullptr, std::memory_order_release);
}

void HeldStreams::go_on_slow() {
  std::unique_lock lock(mutex_);
  if (going_on_)
    return;
  going_on_ = true;
  while (HeldLink* link = ready_.pop()) {
    leave_locked(*link);
    running_ = link;
    bool abandoned = abandoning_;
    lock.unlock();
    if (abandoned)
      link->stream.abandon();
    else
      link->stream.resume();
    lock.lock();
    running_ = nullptr;
    stopped_.notify_all();
  }
  any_ready_.store(false, std::memory_order_release);
  going_on_ = false;
  stopped_.notify_all();
}

void HeldStreams::abandon_all() {
  {
    std::lock_guard lock(mutex_);
    abandoning_ = true;
    for (HeldLink* link : all_)
      if (link->place != Place::ready) {
        take_out_locked(*link);
        ready_locked(*link);
      }
  }
  go_on();
  std::unique_lock lock(mutex_);
  stopped_.wait(lock, [&] { return !going_on_; });
}

} // namespace shim::core
