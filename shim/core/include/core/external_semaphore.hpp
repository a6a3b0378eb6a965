// cuImportExternalSemaphore: DRM syncobjs that another API exported, signalled and waited for in stream
// order.
//
// The GPU's queues know no kernel fence, so a thread relays between the two (core/relay.hpp).
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>

#include <core/handle.hpp>
#include <kfd/syncobj.hpp>
#include <util/error.hpp>

namespace shim::core {

using util::Result;

class Context;
class Stream;

enum class SemaphoreType : std::uint8_t { binary, timeline };

// What signals and waits in flight share with the handle: outlives it while they need it.
struct SharedSemaphore {
  SemaphoreType type = SemaphoreType::binary;
  kfd::Syncobj syncobj;

  // `value`: for a timeline. Both are tried several times where the kernel refuses.
  Result<void> signal(std::uint64_t value);
  Result<void> reset();
};

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

// Takes desc.handle.fd: closed on success, untouched on failure. The fd does not say whether it is binary or
// timeline; the type does. Errors: CUDA_ERROR_INVALID_VALUE for unknown types, flags and reserved words;
// CUDA_ERROR_NOT_SUPPORTED for Windows' types; CUDA_ERROR_UNKNOWN for an fd that is no semaphore. The object
// belongs to the context.
Result<ExternalSemaphore*> import_external_semaphore(Context& context,
                                                     const CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC& desc);

// One signal or wait: `value` for timelines, ignored for binary ones.
struct SemaphoreOperation {
  ExternalSemaphore* semaphore = nullptr;
  std::uint64_t value = 0;
};

// In stream order: the semaphores become signalled once everything before this in the stream is done. When it
// returns, no binary semaphore holds an older fence any more; where it fails, all are what they were.
Result<void> signal_semaphores(Stream& stream, std::span<const SemaphoreOperation> operations);

// In stream order: what follows in the stream waits until all are signalled. A binary semaphore's fence is
// taken inside the call, which therefore blocks until the other side has submitted the signal; a timeline's
// value may be signalled later. Where it fails no binary semaphore has lost its fence.
Result<void> wait_semaphores(Stream& stream, std::span<const SemaphoreOperation> operations);

// Safe with signals and waits in flight: they still happen.
void destroy_external_semaphore(ExternalSemaphore* semaphore);

} // namespace shim::core
