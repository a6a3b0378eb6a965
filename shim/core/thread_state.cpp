#include <core/thread_state.hpp>

#include <algorithm>
#include <atomic>
#include <memory>
#include <pthread.h>
#include <utility>
#include <vector>

#include <core/context.hpp>
#include <core/driver.hpp>

namespace shim::core {

namespace {

thread_local constinit ThreadState state;

// The part that needs a destructor.
struct ThreadLists {
  std::vector<std::uint64_t> below; // the stack of contexts, without its top
  std::vector<std::uint64_t> stream_contexts;
};
thread_local constinit ThreadLists* thread_lists = nullptr;

void end_thread(void*) {
  std::unique_ptr<ThreadLists> going(std::exchange(thread_lists, nullptr));
  state.stream_context = 0;
  state.stream = nullptr;
  if (!going || driver().state() != CUDA_SUCCESS)
    return;
  for (std::uint64_t handle : going->stream_contexts)
    if (Pinned<Context> context = find<Context>(handle))
      context->drop_thread_stream(this_thread().id);
}

// Its destructor runs behind those of the application's thread_local objects, which may still make calls, and
// again where a call comes later still.
pthread_key_t thread_end_key() {
  static const pthread_key_t key = [] {
    pthread_key_t made = 0;
    if (int err = pthread_key_create(&made, end_thread))
      static_cast<void>(util::fail_errno("pthread_key_create", err));
    return made;
  }();
  return key;
}

ThreadLists& lists() {
  if (!thread_lists) {
    thread_lists = new ThreadLists;
    pthread_setspecific(thread_end_key(), thread_lists);
  }
  return *thread_lists;
}

} // namespace

ThreadState& this_thread() {
  static std::atomic<std::uint64_t> next_id = 1;
  if (state.id == 0) [[unlikely]]
    state.id = next_id.fetch_add(1, std::memory_order_relaxed);
  return state;
}

void note_thread_stream(std::uint64_t context) {
  lists().stream_contexts.push_back(context);
}

Result<Pinned<Context>> current_context_even_if_faulted() {
  if (state.current == 0)
    return util::fail(CUDA_ERROR_INVALID_CONTEXT, "no context is current to this thread");
  Pinned<Context> context = find<Context>(state.current);
  if (!context)
    return util::fail(CUDA_ERROR_CONTEXT_IS_DESTROYED, "the current context was destroyed");
  return context;
}

Result<Pinned<Context>> current_context() {
  Result<Pinned<Context>> context = current_context_even_if_faulted();
  if (!context)
    return context;
  if (Result<void> status = (*context)->status(); !status)
    return status.error();
  return context;
}

std::uint64_t current_handle() {
  return state.current;
}

void push_current(std::uint64_t handle) {
  if (state.current != 0)
    lists().below.push_back(state.current);
  state.current = handle;
}

Result<std::uint64_t> pop_current() {
  if (state.current == 0)
    return util::fail(CUDA_ERROR_INVALID_CONTEXT, "no context is current to this thread");
  std::uint64_t popped = state.current;
  set_current(0);
  return popped;
}

void set_current(std::uint64_t handle) {
  state.current = handle;
  if (handle == 0 && thread_lists && !thread_lists->below.empty()) {
    state.current = thread_lists->below.back();
    thread_lists->below.pop_back();
  }
}

} // namespace shim::core
