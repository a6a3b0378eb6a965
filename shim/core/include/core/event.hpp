// CUDA events: a marker in a stream, replaced at every record.
#pragma once

#include <mutex>

#include <core/handle.hpp>
#include <core/marker.hpp>

namespace shim::core {

class Context;
class Stream;

// Thread-safe, except for destruction.
class Event {
public:
  static constexpr HandleKind handle_kind = HandleKind::event;

  Event(Context& context, unsigned flags) : context_(context), flags_(flags) {}

  Context& context() const { return context_; }
  unsigned flags() const { return flags_; }

  Result<void> record(Stream& stream);
  // True too for an event that was never recorded.
  bool done() const;
  Result<void> synchronize() const;
  // Puts a wait for the last record into the stream.
  Result<void> make_wait(Stream& stream) const;
  // Milliseconds between two recorded events. CUDA_ERROR_INVALID_HANDLE where either was not recorded or has
  // no timing, CUDA_ERROR_NOT_READY where either is not done.
  static Result<float> elapsed(const Event& start, const Event& end);

  std::uint64_t handle = 0;

private:
  MarkerRef marker() const;

  Context& context_;
  const unsigned flags_;
  mutable std::mutex mutex_;
  MarkerRef marker_; // empty: never recorded, or done when it was
};

} // namespace shim::core
