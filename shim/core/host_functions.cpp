#include <core/host_functions.hpp>

#include <algorithm>
#include <iterator>

#include <core/context.hpp>
#include <core/device.hpp>
#include <core/stream.hpp>
#include <core/thread_state.hpp>
#include <util/thread.hpp>

namespace shim::core {

HostFunctions::~HostFunctions() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  if (thread_.joinable()) {
    waker_.wake_to_end();
    thread_.join();
  }
}

Result<void> HostFunctions::start_locked() {
  if (thread_.joinable())
    return {};
  if (Result<void> prepared = waker_.prepare(context_.device().opened()); !prepared)
    return prepared;
  thread_ = util::start_thread("cuda-callbacks", [this] { run(); });
  return {};
}

Result<void> HostFunctions::enqueue(Stream& stream, std::function<void(CUresult)> function,
                                    bool even_on_error) {
  Result<MarkerRef> returned = context_.acquire_marker(kfd::SignalKind::polled);
  if (!returned)
    return returned.error();
  {
    std::lock_guard lock(mutex_);
    if (Result<void> started = start_locked(); !started)
      return started;
  }
  // Not under the lock: both may wait for room that functions before this one make.
  Result<MarkerRef> reached = context_.acquire_marker(kfd::SignalKind::polled);
  if (!reached)
    return reached.error();
  waker_.watch(**reached);
  if (Result<void> recorded = stream.record(*reached); !recorded)
    return recorded;
  if (Result<void> waiting = stream.wait(*returned); !waiting)
    return waiting;
  std::lock_guard lock(mutex_);
  Result<void> accepted = ended_ ? Result<void>(util::Error{ended_}) : Result<void>();
  incoming_.push_back({*reached, *returned, std::move(function), even_on_error});
  // The event may have come before the thread could know what for; else it is still to come.
  if (accepted && (*reached)->done())
    accepted = waker_.wake();
  if (!accepted) {
    incoming_.pop_back();
    (void)(*returned)->complete();
  }
  return accepted;
}

bool HostFunctions::run_ready(std::vector<Pending>& pending) {
  auto ready =
      std::find_if(pending.begin(), pending.end(), [](const Pending& p) { return p.reached->passed(); });
  if (ready == pending.end())
    return false;
  Pending next = std::move(*ready);
  pending.erase(ready);
  next.function(CUDA_SUCCESS);
  (void)next.returned->complete();
  return true;
}

void HostFunctions::run() {
  this_thread().in_host_function = true;
  std::vector<Pending> pending;
  for (;;) {
    {
      std::lock_guard lock(mutex_);
      std::move(incoming_.begin(), incoming_.end(), std::back_inserter(pending));
      incoming_.clear();
      if (stopping_)
        return;
    }
    if (run_ready(pending))
      continue;
    Result<void> waited = waker_.sleep();
    if (waited)
      continue;
    {
      std::lock_guard lock(mutex_);
      ended_ = waited.code();
      std::move(incoming_.begin(), incoming_.end(), std::back_inserter(pending));
      incoming_.clear();
    }
    for (Pending& lost : pending)
      if (lost.even_on_error)
        lost.function(waited.code());
    return;
  }
}

} // namespace shim::core
