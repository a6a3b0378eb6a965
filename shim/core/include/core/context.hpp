// CUDA contexts, and which one is current to which thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <core/event.hpp>
#include <core/handle.hpp>
#include <core/stream.hpp>
#include <core/thread_state.hpp>
#include <util/error.hpp>

namespace shim::core {

class Device;
class HostFunctions;
class Link;
class Module;
struct JitOptions;
class Staging;

// What everything that was made in it hangs from. Thread-safe.
//
// Its handle keeps it in memory, and so do its children's handles and whoever has one of them pinned: what a
// call uses stays until the call is over, whatever other threads destroy meanwhile.
class Context : public std::enable_shared_from_this<Context> {
public:
  static constexpr HandleKind handle_kind = HandleKind::context;

  // Somebody has to close() it, once.
  static Result<std::shared_ptr<Context>> create(Device& device, unsigned flags, bool primary);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  // The handles of the context and of everything in it are refused from here on, and so is what calls that
  // are under way want to put into its streams. Waits for the work that still runs, except where the GPU has
  // faulted, and frees everything that no such call uses.
  void close();
  bool closed() const { return closed_.load(std::memory_order_acquire); }

  Device& device() const { return device_; }
  unsigned flags() const { return flags_; }
  bool primary() const { return primary_; }
  // The error that the context cannot recover from, once it has one.
  Result<void> status() const;

  // --- streams ---
  // These return handles.
  Result<std::uint64_t> create_stream(unsigned flags, int priority);
  // Returns at once; what the stream has left to do is still done.
  Result<void> destroy_stream(Stream& stream);
  Stream& legacy_stream() { return *legacy_; }
  // The calling thread's.
  Result<Stream*> per_thread_stream();
  // Gives up the per-thread stream of a thread that ends.
  void drop_thread_stream(std::uint64_t thread);
  bool has_blocking_streams() const { return blocking_count_.load(std::memory_order_acquire) != 0; }
  // Of the streams that the legacy one is ordered with, those for which `wanted(Stream&)` is true. It must
  // not block; what is done with them may, since no lock is held any more.
  template <class Wanted>
  std::vector<std::shared_ptr<Stream>> blocking_streams(Wanted&& wanted) {
    std::vector<std::shared_ptr<Stream>> found;
    if (!has_blocking_streams())
      return found;
    std::lock_guard lock(mutex_);
    for (const std::shared_ptr<Stream>& stream : streams_)
      if (stream->blocking() && wanted(*stream))
        found.push_back(stream);
    return found;
  }
  // Waits for all work in all streams.
  Result<void> synchronize();
  // The same for those who free what that work uses; nothing escapes.
  void wait_for_work() noexcept;
  // Waits for what the legacy stream is ordered with: its own work and the blocking streams'.
  Result<void> synchronize_blocking();
  Result<MarkerRef> acquire_marker(kfd::SignalKind kind);

  // --- what else lives in it ---
  Result<std::uint64_t> create_event(unsigned flags);
  // Waits for the context's work first.
  Result<void> destroy_module(Module& module);
  Result<std::uint64_t> create_link(const JitOptions& options);
  // Gives an object a handle, which is what owns it. CUDA_ERROR_CONTEXT_IS_DESTROYED in a closed context.
  template <class T>
  Result<std::uint64_t> add_child(std::shared_ptr<T> child) {
    Result<std::uint64_t> handle = insert_child(T::handle_kind, child);
    if (handle)
      child->handle = *handle; // still here, though another thread may have closed the context
    return handle;
  }
  // CUDA_ERROR_INVALID_HANDLE where another thread has just done it.
  Result<void> remove_child(std::uint64_t handle);
  Staging& staging() { return *staging_; }
  HostFunctions& host_functions() { return *host_functions_; }

  // --- settings ---
  Result<std::size_t> limit(CUlimit which) const;
  Result<void> set_limit(CUlimit which, std::size_t value);
  std::atomic<CUfunc_cache> cache_config = CU_FUNC_CACHE_PREFER_NONE;
  std::atomic<CUsharedconfig> shared_config = CU_SHARED_MEM_CONFIG_FOUR_BYTE_BANK_SIZE;
  // Bytes that kernels with a stack of unknown depth are given for each thread.
  std::size_t stack_limit() const { return stack_limit_.load(std::memory_order_relaxed); }

  // What its streams wait for outside the process is taken as come: others wait for what stands behind it.
  void release_outsiders();

  std::uint64_t handle = 0;
  std::atomic<int> attach_count = 1; // cuCtxAttach, cuCtxDetach

private:
  Context(Device& device, unsigned flags, bool primary);
  Result<void> refuse_if_closed_locked() const;
  Result<std::uint64_t> insert_child(HandleKind kind, std::shared_ptr<void> child);
  void reap_retired_locked();
  Result<void> synchronize_streams(bool all);

  Device& device_;
  const unsigned flags_;
  const bool primary_;
  std::unique_ptr<Stream> legacy_;
  std::mutex mutex_;                             // over the lists; nobody waits for the GPU under it
  std::vector<std::shared_ptr<Stream>> streams_; // alive and retired ones, legacy excepted
  std::unordered_set<Stream*> retired_;          // destroyed by the application, with work left
  std::unordered_map<std::uint64_t, Stream*> thread_streams_;
  std::atomic<int> blocking_count_ = 0;
  std::atomic<bool> closed_ = false;           // set under the lock
  std::unordered_set<std::uint64_t> children_; // handles
  std::unique_ptr<Staging> staging_;
  std::unique_ptr<HostFunctions> host_functions_;
  std::atomic<std::size_t> stack_limit_ = 1024;
  std::atomic<std::size_t> printf_limit_ = 1 << 20;
  std::atomic<std::size_t> heap_limit_ = 8 << 20;
};

// --- the calling thread's stack of current contexts ---

// CUDA_ERROR_INVALID_CONTEXT where there is none, CUDA_ERROR_CONTEXT_IS_DESTROYED where it went, or its
// sticky error.
Result<Pinned<Context>> current_context();
// The same without looking at its sticky error.
Result<Pinned<Context>> current_context_even_if_faulted();
// The handle on top, 0 where there is none; not checked.
std::uint64_t current_handle();
void push_current(std::uint64_t handle);
// CUDA_ERROR_INVALID_CONTEXT where the stack is empty.
Result<std::uint64_t> pop_current();
// Replaces the top; 0 removes it, and the one below it becomes current.
void set_current(std::uint64_t handle);

} // namespace shim::core
