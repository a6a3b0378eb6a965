#include "process.hpp"

#include "kfd.hpp"
#include "real.hpp"

#include <gpu/gpu.hpp>

#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <mutex>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

namespace emu::kernel {

namespace {

// Nothing here is destroyed: the program's own static destructors may still use the GPU.
struct State {
  std::mutex mutex;
  std::atomic<gpu::Gpu*> gpu{nullptr};
  std::vector<std::function<void()>> at_exit;
};

State& state() {
  static State* instance = new State;
  return *instance;
}

// The engines' threads did not come along. The child's GPU is a new one; the parent's is left as it was.
void after_fork_in_child() {
  state().gpu.store(nullptr, std::memory_order_relaxed);
  state().at_exit.clear();
  state().mutex.unlock();
}

[[gnu::constructor]] void watch_forks() {
  pthread_atfork([] { state().mutex.lock(); }, [] { state().mutex.unlock(); }, after_fork_in_child);
}

[[gnu::destructor]] void run_at_exit() {
  std::vector<std::function<void()>> work;
  {
    std::scoped_lock lock(state().mutex);
    work.swap(state().at_exit);
  }
  for (auto it = work.rbegin(); it != work.rend(); ++it)
    (*it)();
}

void print(const char* format, va_list arguments) {
  char line[1024] = "kfd-emu: ";
  constexpr int prefix = sizeof "kfd-emu: " - 1;
  int length = std::vsnprintf(line + prefix, sizeof line - prefix - 1, format, arguments);
  if (length < 0)
    return;
  length = prefix + (length < static_cast<int>(sizeof line) - prefix - 2
                         ? length
                         : static_cast<int>(sizeof line) - prefix - 2);
  line[length++] = '\n';
  real::write(STDERR_FILENO, line, static_cast<std::size_t>(length));
}

std::uint64_t clock_ns(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

} // namespace

const std::string& machine_directory() {
  static const std::string* directory = [] {
    const char* chosen = std::getenv("CUDA_SHIM_EMU_DIR");
    auto* path =
        new std::string(chosen && *chosen ? chosen : "/dev/shm/cuda-shim-emu-" + std::to_string(getuid()));
    syscall(SYS_mkdirat, -100 /* AT_FDCWD */, path->c_str(), 0700);
    return path;
  }();
  return *directory;
}

gpu::Gpu& gpu() {
  State& s = state();
  if (gpu::Gpu* ready = s.gpu.load(std::memory_order_acquire))
    return *ready;
  std::scoped_lock lock(s.mutex);
  if (!s.gpu.load(std::memory_order_relaxed))
    s.gpu.store(new gpu::Gpu({.interrupt = kfd_interrupt, .fault = kfd_fault}), std::memory_order_release);
  return *s.gpu.load(std::memory_order_relaxed);
}

bool gpu_exists() {
  return state().gpu.load(std::memory_order_acquire) != nullptr;
}

void complain(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  print(format, arguments);
  va_end(arguments);
}

bool tracing() {
  static const bool on = std::getenv("CUDA_SHIM_EMU_TRACE") != nullptr;
  return on;
}

void trace(const char* format, ...) {
  if (!tracing())
    return;
  va_list arguments;
  va_start(arguments, format);
  print(format, arguments);
  va_end(arguments);
}

void at_exit(std::function<void()> work) {
  std::scoped_lock lock(state().mutex);
  state().at_exit.push_back(std::move(work));
}

std::uint64_t monotonic_ns() {
  return clock_ns(CLOCK_MONOTONIC);
}
std::uint64_t boottime_ns() {
  return clock_ns(CLOCK_BOOTTIME);
}
std::uint64_t gpu_clock_counter() {
  return gpu::gpu_clock();
}

} // namespace emu::kernel
