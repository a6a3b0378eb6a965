#include <core/wait_relay.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <system_error>

#include <core/external_semaphore.hpp>
#include <kfd/fork.hpp>
#include <util/thread.hpp>

#include "any_of_waits.hpp"

namespace shim::core {

namespace {

constexpr std::int64_t only_look = 0; // a deadline in the past
constexpr std::size_t most_slots = 64;

util::Fd make_eventfd() {
  return util::keep_high(util::Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
}

bool watch(const util::Fd& epoll, const util::Fd& event, void* what) {
  epoll_event interest{};
  interest.events = EPOLLIN;
  interest.data.ptr = what;
  return epoll_ctl(epoll.get(), EPOLL_CTL_ADD, event.get(), &interest) == 0;
}

} // namespace

const kfd::Syncobj& ArmedWait::syncobj() const {
  return snapshot.valid() ? snapshot : semaphore->syncobj;
}

bool ArmedWait::came() const {
  if (what == For::fence && semaphore->question != question)
    return true; // somebody was faster
  Result<kfd::WaitResult> seen = what == For::fence ? syncobj().wait_available(point, only_look)
                                                    : syncobj().wait_signaled(point, only_look);
  return !seen || *seen == kfd::WaitResult::satisfied;
}

WaitRelay::WaitRelay(kfd::Device& gpu, kfd::SyncobjFeatures features) : gpu_(gpu), features_(features) {}

WaitRelay::~WaitRelay() {
  if (kfd::in_forked_child()) {
    if (thread_.joinable())
      thread_.detach();
    return;
  }
  stopping_ = true;
  if (thread_.joinable()) {
    eventfd_write(stop_.get(), 1);
    thread_.join();
  }
  std::vector<ArmedWait> left;
  if (any_of_)
    any_of_->take_if([&](ArmedWait& wait) {
      left.push_back(std::move(wait));
      return true;
    });
  any_of_.reset();
  for (const std::unique_ptr<Slot>& slot : slots_)
    std::move(slot->armed.begin(), slot->armed.end(), std::back_inserter(left));
  std::move(unarmed_.begin(), unarmed_.end(), std::back_inserter(left));
  came(left);
}

bool WaitRelay::start_locked() {
  if (thread_.joinable())
    return true;
  epoll_ = util::keep_high(util::Fd(epoll_create1(EPOLL_CLOEXEC)));
  stop_ = make_eventfd();
  if (!epoll_.valid() || !stop_.valid() || !watch(epoll_, stop_, nullptr))
    return false;
  thread_ = util::start_thread("cuda-waits", [this] { run(); });
  return true;
}

// One that nothing is armed with, else a new one, else the next in turn; null where there can be none.
WaitRelay::Slot* WaitRelay::slot_locked() {
  if (!start_locked())
    return nullptr;
  auto free = std::find_if(slots_.begin(), slots_.end(),
                           [](const std::unique_ptr<Slot>& slot) { return slot->armed.empty(); });
  if (free != slots_.end())
    return free->get();
  if (slots_.size() < most_slots) {
    auto slot = std::make_unique<Slot>();
    slot->event = make_eventfd();
    if (slot->event.valid() && watch(epoll_, slot->event, slot.get()))
      return slots_.emplace_back(std::move(slot)).get();
  }
  return slots_.empty() ? nullptr : slots_[next_slot_++ % slots_.size()].get();
}

bool WaitRelay::register_locked(ArmedWait& wait) {
  if (!features_.eventfd || broken_)
    return false;
  Slot* slot = slot_locked();
  if (!slot)
    return false;
  kfd::Syncobj::Until until =
      wait.what == ArmedWait::For::fence ? kfd::Syncobj::Until::available : kfd::Syncobj::Until::signaled;
  if (!wait.syncobj().register_eventfd(wait.point, slot->event.get(), until))
    return false;
  slot->armed.push_back(std::move(wait));
  return true;
}

void WaitRelay::arm(ArmedWait wait) {
  std::lock_guard lock(mutex_);
  arm_locked(std::move(wait));
}

void WaitRelay::arm_locked(ArmedWait wait) {
  if (register_locked(wait))
    return;
  if (!start_any_of_locked() || !any_of_->add(wait))
    unarmed_.push_back(std::move(wait)); // logged; the stream waits until its context goes
}

Result<void> WaitRelay::prepare() {
  std::lock_guard lock(mutex_);
  if (features_.eventfd && !broken_ && slot_locked())
    return {};
  return start_any_of_locked();
}

Result<void> WaitRelay::start_any_of_locked() {
  if (any_of_)
    return {};
  try {
    Result<std::unique_ptr<AnyOfWaits>> started =
        AnyOfWaits::start(gpu_, [this](std::vector<ArmedWait>& waits) { came(waits); });
    if (!started)
      return started.error();
    any_of_ = *std::move(started);
  } catch (const std::system_error& problem) {
    return util::fail(CUDA_ERROR_OUT_OF_MEMORY, "a thread that waits for semaphores: {}", problem.what());
  }
  return {};
}

Result<kfd::Syncobj> WaitRelay::acquire_snapshot() {
  {
    std::lock_guard lock(mutex_);
    if (!snapshots_.empty()) {
      kfd::Syncobj spare = std::move(snapshots_.back());
      snapshots_.pop_back();
      return spare;
    }
  }
  return kfd::Syncobj::create(gpu_.render_fd());
}

void WaitRelay::came(std::vector<ArmedWait>& waits) {
  for (ArmedWait& wait : waits)
    if (wait.what == ArmedWait::For::fence)
      wait.semaphore->fence_came(*this, wait.question);
    else
      static_cast<void>(wait.marker->complete());
  constexpr std::size_t most_kept = 256;
  std::lock_guard lock(mutex_);
  for (const ArmedWait& wait : waits)
    if (auto served = std::find(serving_.begin(), serving_.end(), wait.semaphore); served != serving_.end())
      serving_.erase(served);
  for (ArmedWait& wait : waits)
    if (wait.snapshot.valid() && snapshots_.size() < most_kept)
      snapshots_.push_back(std::move(wait.snapshot));
}

void WaitRelay::fired(Slot& slot) {
  std::vector<ArmedWait> come;
  {
    std::lock_guard lock(mutex_);
    eventfd_t count = 0;
    if (eventfd_read(slot.event.get(), &count) != 0)
      return;
    std::erase_if(slot.armed, [&](ArmedWait& wait) {
      // The kernel's entry for a fence has gone once there was one, even if somebody else has taken it.
      if (wait.what != ArmedWait::For::fence && !wait.came())
        return false;
      come.push_back(std::move(wait));
      return true;
    });
    for (const ArmedWait& wait : come)
      if (wait.what == ArmedWait::For::fence)
        serving_.push_back(wait.semaphore);
  }
  came(come);
}

// The program has closed our epoll descriptor, or put a file of its own in its place. What was registered
// with the old eventfds is registered again.
bool WaitRelay::rebuild() {
  std::lock_guard lock(mutex_);
  std::vector<std::unique_ptr<Slot>> lost = std::exchange(slots_, {});
  epoll_.release(); // the number is not ours any more
  epoll_ = util::keep_high(util::Fd(epoll_create1(EPOLL_CLOEXEC)));
  if (epoll_.valid() && !watch(epoll_, stop_, nullptr)) { // that one is lost, too
    stop_.release();
    stop_ = make_eventfd();
    broken_ = !stop_.valid() || !watch(epoll_, stop_, nullptr);
  }
  broken_ = broken_ || !epoll_.valid();
  for (const std::unique_ptr<Slot>& slot : lost)
    for (ArmedWait& wait : slot->armed)
      arm_locked(std::move(wait));
  return !broken_;
}

void WaitRelay::run() {
  std::array<epoll_event, 64> events;
  while (!stopping_) {
    int count = epoll_wait(epoll_.get(), events.data(), events.size(), -1);
    if (count < 0 && errno != EINTR) {
      static_cast<void>(util::fail_errno("epoll_wait on the driver's own descriptor", errno));
      if (!rebuild())
        return;
    }
    for (int i = 0; i < count; ++i)
      if (void* slot = events[static_cast<std::size_t>(i)].data.ptr)
        fired(*static_cast<Slot*>(slot));
  }
}

void WaitRelay::release(const Context* context) {
  std::vector<ArmedWait> released;
  std::vector<std::shared_ptr<SharedSemaphore>> semaphores;
  auto take = [&](ArmedWait& wait) {
    if (wait.what == ArmedWait::For::fence)
      semaphores.push_back(wait.semaphore);
    if (wait.what == ArmedWait::For::fence || wait.context != context)
      return false;
    released.push_back(std::move(wait));
    return true;
  };
  {
    std::lock_guard lock(mutex_);
    if (any_of_)
      any_of_->take_if(take);
    for (const std::unique_ptr<Slot>& slot : slots_)
      std::erase_if(slot->armed, take);
    std::erase_if(unarmed_, take);
    semaphores.insert(semaphores.end(), serving_.begin(), serving_.end());
  }
  came(released);
  for (const std::shared_ptr<SharedSemaphore>& semaphore : semaphores)
    semaphore->release_waiters(context);
}

} // namespace shim::core
