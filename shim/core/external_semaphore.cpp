#include <core/external_semaphore.hpp>

#include <algorithm>
#include <iterator>
#include <limits>
#include <thread>
#include <unistd.h>

#include <core/context.hpp>
#include <core/device.hpp>
#include <core/externals.hpp>
#include <core/stream.hpp>

namespace shim::core {

namespace {

using util::fail;

constexpr std::int64_t no_deadline = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t only_look = 0; // a deadline in the past

Result<SemaphoreType> check(const CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC& desc) {
  // Numbers that CUDA gave to later types, all of them foreign to this system.
  constexpr unsigned d3d11_fence = 5, nvscisync = 6, d3d11_keyed_mutex = 7, d3d11_keyed_mutex_kmt = 8;
  switch (static_cast<unsigned>(desc.type)) {
  case CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_FD:
  case CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_TIMELINE_SEMAPHORE_FD:
    break;
  case CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_WIN32:
  case CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_WIN32_KMT:
  case CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_D3D12_FENCE:
  case CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_TIMELINE_SEMAPHORE_WIN32:
  case d3d11_fence:
  case nvscisync:
  case d3d11_keyed_mutex:
  case d3d11_keyed_mutex_kmt:
    return fail(CUDA_ERROR_NOT_SUPPORTED, "external semaphore handle type {} belongs to another system",
                static_cast<unsigned>(desc.type));
  default:
    return fail(CUDA_ERROR_INVALID_VALUE, "external semaphore handle type {}",
                static_cast<unsigned>(desc.type));
  }
  bool reserved =
      std::any_of(std::begin(desc.reserved), std::end(desc.reserved), [](unsigned word) { return word; });
  if (desc.flags != 0 || reserved)
    return fail(CUDA_ERROR_INVALID_VALUE, "external semaphore flags {:#x}", desc.flags);
  return desc.type == CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_FD ? SemaphoreType::binary
                                                                  : SemaphoreType::timeline;
}

// Makes the stream wait for the point of a syncobj that `keep` holds alive.
Result<void> wait_for_point(Stream& stream, const kfd::Syncobj& syncobj, std::uint64_t point,
                            std::shared_ptr<void> keep) {
  Result<MarkerRef> marker = stream.context().acquire_host_marker();
  if (!marker)
    return marker.error();
  stream.context().externals().relay().complete_when(*marker, syncobj, point, std::move(keep));
  return stream.wait(*std::move(marker));
}

Result<void> wait_timeline(Stream& stream, const std::shared_ptr<SharedSemaphore>& semaphore,
                           std::uint64_t value) {
  if (value == 0) // reached from the start; to the kernel point 0 is whatever comes first
    return {};
  Result<kfd::WaitResult> reached = semaphore->syncobj.wait_signaled(value, only_look);
  if (!reached)
    return reached.error();
  if (*reached == kfd::WaitResult::satisfied)
    return {};
  return wait_for_point(stream, semaphore->syncobj, value, semaphore);
}

// For the fence that the semaphore has, or is going to have; it stays there.
Result<void> wait_binary(Stream& stream, const std::shared_ptr<SharedSemaphore>& semaphore) {
  // Signalled by a stream of ours, not yet carried out: the streams can do that between themselves.
  if (MarkerRef ours = stream.context().externals().relay().pending(*semaphore))
    return stream.wait(std::move(ours));

  kfd::Syncobj& syncobj = semaphore->syncobj;
  Result<kfd::WaitResult> submitted = syncobj.wait_available(0, no_deadline);
  if (!submitted)
    return submitted.error();
  Result<kfd::WaitResult> signalled = syncobj.wait_signaled(0, only_look);
  if (!signalled)
    return signalled.error();
  if (*signalled == kfd::WaitResult::satisfied)
    return {};

  // The next submission of the other side replaces the fence: keep this one.
  Result<std::shared_ptr<kfd::Syncobj>> snapshot = stream.context().externals().relay().spare_syncobj();
  if (!snapshot)
    return snapshot.error();
  if (Result<void> copied = syncobj.transfer_to(**snapshot, 0, 0); !copied)
    return copied;
  const kfd::Syncobj& fence = **snapshot;
  return wait_for_point(stream, fence, 0, *std::move(snapshot));
}

// Somebody may wait already, and several semaphores go together: what fails is tried again, in case that the
// kernel was out of memory.
template <class Call>
Result<void> persistently(Call&& call) {
  constexpr int attempts = 8;
  for (int i = 1; i < attempts; ++i) {
    if (call())
      return {};
    std::this_thread::yield();
  }
  return call();
}

} // namespace

Result<void> SharedSemaphore::signal(std::uint64_t value) {
  return persistently(
      [&] { return type == SemaphoreType::timeline ? syncobj.signal_point(value) : syncobj.signal(); });
}

Result<void> SharedSemaphore::reset() {
  return persistently([&] { return syncobj.reset(); });
}

Result<ExternalSemaphore*> import_external_semaphore(Context& context,
                                                     const CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC& desc) {
  Result<SemaphoreType> type = check(desc);
  if (!type)
    return type.error();
  Result<kfd::Syncobj> syncobj =
      kfd::Syncobj::import_fd(context.device().opened().render_fd(), desc.handle.fd);
  if (!syncobj)
    return syncobj.error();
  auto shared = std::make_shared<SharedSemaphore>();
  shared->type = *type;
  shared->syncobj = *std::move(syncobj);
  ExternalSemaphore* added =
      context.externals().add(std::make_unique<ExternalSemaphore>(&context, std::move(shared)));
  ::close(desc.handle.fd); // the import has succeeded: it was given to us
  return added;
}

Result<void> signal_semaphores(Stream& stream, std::span<const SemaphoreOperation> operations) {
  Relay& relay = stream.context().externals().relay();
  Result<bool> nothing_before = stream.caught_up();
  if (!nothing_before)
    return nothing_before.error();
  if (*nothing_before && relay.flush()) {
    Result<void> first_error;
    for (const SemaphoreOperation& operation : operations)
      if (Result<void> signalled = operation.semaphore->shared()->signal(operation.value); !signalled)
        first_error = first_error ? signalled : first_error;
    return first_error;
  }

  Result<MarkerRef> marker = stream.context().acquire_marker(kfd::SignalKind::polled);
  if (!marker)
    return marker.error();
  if (Result<void> watched = relay.watch(**marker); !watched)
    return watched;
  if (Result<void> recorded = stream.record(*marker); !recorded)
    return recorded;
  // Once all else has succeeded. From here on nobody can take a fence of an earlier frame for this one's.
  for (const SemaphoreOperation& operation : operations)
    if (operation.semaphore->type() == SemaphoreType::binary)
      if (Result<void> emptied = operation.semaphore->shared()->reset(); !emptied)
        return emptied;
  relay.signal_after(*marker, operations);
  return {};
}

Result<void> wait_semaphores(Stream& stream, std::span<const SemaphoreOperation> operations) {
  Relay& relay = stream.context().externals().relay();
  relay.flush();
  for (const SemaphoreOperation& operation : operations) {
    const std::shared_ptr<SharedSemaphore>& semaphore = operation.semaphore->shared();
    Result<void> waiting = semaphore->type == SemaphoreType::timeline
                               ? wait_timeline(stream, semaphore, operation.value)
                               : wait_binary(stream, semaphore);
    if (!waiting)
      return waiting;
  }
  // Once nothing else can fail: the next wait of a binary semaphore is for another fence.
  for (const SemaphoreOperation& operation : operations) {
    SharedSemaphore& semaphore = *operation.semaphore->shared();
    if (semaphore.type == SemaphoreType::binary && !relay.take_back(semaphore))
      if (Result<void> emptied = semaphore.reset(); !emptied)
        return emptied;
  }
  return {};
}

void destroy_external_semaphore(ExternalSemaphore* semaphore) {
  semaphore->context().externals().remove(semaphore);
}

} // namespace shim::core
