#include "any_of_waits.hpp"

#include <iterator>
#include <limits>
#include <utility>

#include <kfd/fork.hpp>
#include <util/thread.hpp>

namespace shim::core {

namespace {
constexpr std::int64_t no_deadline = std::numeric_limits<std::int64_t>::max();
} // namespace

Result<std::unique_ptr<AnyOfWaits>> AnyOfWaits::start(kfd::Device& gpu,
                                                      std::function<void(std::vector<ArmedWait>&)> came) {
  Result<kfd::Syncobj> changed = kfd::Syncobj::create(gpu.render_fd());
  if (!changed)
    return changed.error();
  std::unique_ptr<AnyOfWaits> waits(new AnyOfWaits);
  waits->came_ = std::move(came);
  waits->changed_ = *std::move(changed);
  waits->thread_ = util::start_thread("cuda-waits", [raw = waits.get()] { raw->run(); });
  return waits;
}

AnyOfWaits::~AnyOfWaits() {
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
  static_cast<void>(changed_.signal());
  thread_.join();
}

bool AnyOfWaits::add(ArmedWait& wait) {
  std::lock_guard lock(mutex_);
  if (ended_)
    return false;
  waits_.push_back(std::move(wait));
  static_cast<void>(changed_.signal());
  return true;
}

void AnyOfWaits::run() {
  std::vector<kfd::SyncobjPoint> points;
  for (;;) {
    std::vector<ArmedWait> come;
    {
      std::lock_guard lock(mutex_);
      if (stopping_)
        return;
      static_cast<void>(changed_.reset());
      std::erase_if(waits_, [&](ArmedWait& wait) {
        if (!wait.came())
          return false;
        come.push_back(std::move(wait));
        return true;
      });
      // Handles of those that are taken out meanwhile may be gone: the kernel then refuses, and we look
      // again.
      points.assign(1, {changed_.handle(), 0});
      for (const ArmedWait& wait : waits_)
        points.push_back({wait.syncobj().handle(), wait.point});
    }
    if (!come.empty()) {
      came_(come);
      continue;
    }
    if (!changed_.wait_any_signaled(points, no_deadline)) {
      {
        std::lock_guard lock(mutex_);
        ended_ = true;
        come = std::exchange(waits_, {});
      }
      came_(come); // a stream that waits for ever helps nobody
      return;
    }
  }
}

} // namespace shim::core
