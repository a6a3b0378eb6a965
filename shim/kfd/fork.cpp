#include <kfd/fork.hpp>

#include <atomic>
#include <pthread.h>

#include "fork_guard.hpp"

namespace shim::kfd {

namespace {
std::atomic<bool> kfd_open{false};
std::atomic<bool> forked{false};

void mark_child() {
  if (kfd_open.load(std::memory_order_relaxed))
    forked.store(true, std::memory_order_relaxed);
}
} // namespace

bool in_forked_child() {
  return forked.load(std::memory_order_relaxed);
}

void guard_against_fork() {
  static const int registered = pthread_atfork(nullptr, nullptr, mark_child);
  static_cast<void>(registered);
  kfd_open.store(true, std::memory_order_relaxed);
}

} // namespace shim::kfd
