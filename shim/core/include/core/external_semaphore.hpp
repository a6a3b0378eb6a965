// cuImportExternalSemaphore: DRM syncobjs that another API exported, signalled and waited for in stream
// order.
//
// The GPU's queues know no kernel fence, so threads relay between the two (core/signal_relay.hpp,
// core/wait_relay.hpp).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>

#include <core/handle.hpp>
#include <core/marker.hpp>
#include <kfd/syncobj.hpp>
#include <util/error.hpp>
#include <util/ring.hpp>

namespace shim::core {

using util::Result;

class Context;
class Stream;
class WaitRelay;

enum class SemaphoreType : std::uint8_t { binary, timeline };

// What signals and waits in flight share with the handle: outlives it while they need it. The lock of a
// binary one is taken after a stream's.
struct SharedSemaphore : std::enable_shared_from_this<SharedSemaphore> {
  SemaphoreType type = SemaphoreType::binary;
  kfd::Syncobj syncobj;

  // A signal is due: the one that hangs on `marker`, or, where that is empty, one with nothing before it. It
  // is for the first of those that wait, if any do. Markers that are then reached go to `reached`.
  Result<void> perform(const MarkerRef& marker, std::uint64_t value, WaitRelay& relay,
                       util::Ring<MarkerRef>& reached);
  // For the thread of the wait relay: there is a fence, perhaps, as it was asked to tell.
  void fence_came(WaitRelay& relay, std::uint64_t asked);
  // The streams of `context` wait no longer.
  void release_waiters(const Context* context);

  // --- under the lock, for binary ones ---
  // A wait that came before its signal. The fence goes into the snapshot the moment it appears.
  struct Waiter {
    const Context* context = nullptr;
    MarkerRef marker;
    kfd::Syncobj snapshot;
  };
  // Gives fences that are there to those that wait for one. Markers that are then reached go to `reached`.
  void serve_locked(WaitRelay& relay, util::Ring<MarkerRef>& reached);

  std::mutex mutex;
  MarkerRef latest;            // of the latest signal of ours that is neither performed nor taken
  util::Ring<MarkerRef> taken; // signals that a wait of ours has taken, not yet due
  util::Ring<Waiter> waiters;  // oldest first
  // The relay has been asked to tell when there is a fence, which it does once: the number of that question,
  // 0 where none is open. Also looked at without the lock.
  std::atomic<std::uint64_t> question = 0;
  std::uint64_t questions = 0;
};

// Completes all of them. The caller holds no lock.
void complete(util::Ring<MarkerRef>& reached);

class ExternalSemaphore {
public:
  static constexpr HandleKind handle_kind = HandleKind::external_semaphore;

  ExternalSemaphore(Context* context, std::shared_ptr<SharedSemaphore> shared)
      : context_(context), shared_(std::move(shared)) {}

  Context& context() const { return *context_; }
  SemaphoreType type() const { return shared_->type; }
  const std::shared_ptr<SharedSemaphore>& shared() const { return shared_; }

  std::uint64_t handle = 0;

private:
  Context* context_;
  std::shared_ptr<SharedSemaphore> shared_;
};

// A handle. Takes desc.handle.fd: closed on success, untouched on failure. The fd does not say whether it is
// binary or timeline; the type does. Errors: CUDA_ERROR_INVALID_VALUE for unknown types, flags and reserved
// words; CUDA_ERROR_NOT_SUPPORTED for Windows' types; CUDA_ERROR_UNKNOWN for an fd that is no semaphore. The
// object belongs to the context.
Result<std::uint64_t> import_external_semaphore(Context& context,
                                                const CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC& desc);

// One signal or wait: `value` for timelines, ignored for binary ones.
struct SemaphoreOperation {
  ExternalSemaphore* semaphore = nullptr;
  std::uint64_t value = 0;
};

// In stream order: the semaphores become signalled once everything before this in the stream is done, and
// whoever learns that something behind it is done finds them signalled. When it returns, no binary semaphore
// holds an older fence any more; where it fails, all are what they were. CUDA_ERROR_INVALID_VALUE for a
// semaphore that another context than the stream's imported (NVIDIA's driver).
Result<void> signal_semaphores(Stream& stream, std::span<const SemaphoreOperation> operations);

// In stream order: what follows in the stream waits until all are signalled. Returns at once. A binary
// semaphore's fence is taken within the call where there is one, else as soon as there is; of several waits
// the first gets the first. Where the call fails no binary semaphore has lost its fence. Other contexts'
// semaphores as above.
Result<void> wait_semaphores(Stream& stream, std::span<const SemaphoreOperation> operations);

} // namespace shim::core
