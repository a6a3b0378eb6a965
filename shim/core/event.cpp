#include <core/event.hpp>

#include <core/context.hpp>
#include <core/device.hpp>
#include <core/stream.hpp>

namespace shim::core {

Result<void> Event::record(Stream& stream) {
  if (flags_ & CU_EVENT_DISABLE_TIMING) {
    Result<bool> nothing_before = stream.caught_up();
    if (!nothing_before)
      return nothing_before.error();
    if (*nothing_before) {
      std::lock_guard lock(mutex_);
      marker_.reset();
      return {};
    }
  }
  Result<MarkerRef> marker = stream.record(kfd::SignalKind::interrupting);
  if (!marker)
    return marker.error();
  std::lock_guard lock(mutex_);
  marker_ = std::move(*marker);
  return {};
}

MarkerRef Event::marker() const {
  std::lock_guard lock(mutex_);
  return marker_;
}

bool Event::done() const {
  MarkerRef last = marker();
  return !last || last->passed();
}

Result<void> Event::synchronize() const {
  MarkerRef last = marker();
  return last ? last->wait() : Result<void>();
}

Result<void> Event::make_wait(Stream& stream) const {
  MarkerRef last = marker();
  if (!last || last->done())
    return {};
  return stream.wait(std::move(last));
}

Result<float> Event::elapsed(const Event& start, const Event& end) {
  std::uint64_t ticks_at[2]; // each from one look: another thread may record the event again meanwhile
  for (int i = 0; i < 2; ++i) {
    const Event& event = i == 0 ? start : end;
    if (event.flags_ & CU_EVENT_DISABLE_TIMING)
      return util::fail(CUDA_ERROR_INVALID_HANDLE, "cuEventElapsedTime: an event was made without timing");
    MarkerRef last = event.marker();
    if (!last)
      return util::fail(CUDA_ERROR_INVALID_HANDLE, "cuEventElapsedTime: an event was never recorded");
    if (!last->done())
      return util::Error{CUDA_ERROR_NOT_READY};
    ticks_at[i] = last->signal.end_ticks();
  }
  double ticks = static_cast<double>(static_cast<std::int64_t>(ticks_at[1] - ticks_at[0]));
  double hertz = static_cast<double>(start.context_.device().opened().gpu_clock_hz());
  return static_cast<float>(ticks * 1000.0 / hertz);
}

} // namespace shim::core
