#include <core/host_functions.hpp>

#include <algorithm>

#include <core/context.hpp>
#include <core/device.hpp>
#include <core/stream.hpp>
#include <core/thread_state.hpp>

namespace shim::core {

HostFunctions::~HostFunctions() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    if (wake_)
      (void)wake_->complete();
  }
  if (thread_.joinable())
    thread_.join();
}

Result<void> HostFunctions::start_locked() {
  if (thread_.joinable())
    return {};
  Result<MarkerRef> wake = context_.acquire_marker(kfd::SignalKind::interrupting);
  if (!wake)
    return wake.error();
  wake_ = std::move(*wake);
  thread_ = std::thread([this] { run(); });
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
  Result<MarkerRef> reached = stream.record(kfd::SignalKind::interrupting);
  if (!reached)
    return reached.error();
  if (Result<void> waiting = stream.wait(*returned); !waiting)
    return waiting;
  std::lock_guard lock(mutex_);
  incoming_.push_back({std::move(*reached), std::move(*returned), std::move(function), even_on_error});
  return wake_->complete();
}

bool HostFunctions::run_ready(std::vector<Pending>& pending) {
  auto ready =
      std::find_if(pending.begin(), pending.end(), [](const Pending& p) { return p.reached->done(); });
  if (ready == pending.end())
    return false;
  Pending next = std::move(*ready);
  pending.erase(ready);
  next.function(CUDA_SUCCESS);
  (void)next.returned->complete();
  return true;
}

void HostFunctions::run() {
  constexpr std::size_t most_waited_for = 255;
  this_thread().in_host_function = true;
  kfd::Device& gpu = context_.device().opened();
  std::vector<Pending> pending;
  std::vector<kfd::SignalCondition> conditions;
  for (;;) {
    {
      std::lock_guard lock(mutex_);
      wake_->signal.set(1);
      std::move(incoming_.begin(), incoming_.end(), std::back_inserter(pending));
      incoming_.clear();
      if (stopping_)
        return;
    }
    if (run_ready(pending))
      continue;
    conditions.assign(1, {&wake_->signal, 1});
    for (std::size_t i = 0; i < std::min(pending.size(), most_waited_for); ++i)
      conditions.push_back({&pending[i].reached->signal, 1});
    Result<kfd::WaitResult> waited = kfd::wait_any(gpu, conditions);
    if (waited)
      continue;
    for (Pending& lost : pending)
      if (lost.even_on_error)
        lost.function(waited.code());
    return;
  }
}

} // namespace shim::core
