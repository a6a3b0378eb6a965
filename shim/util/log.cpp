#include <util/log.hpp>

#include <array>
#include <atomic>
#include <cstdlib>
#include <fcntl.h>
#include <memory>
#include <string>
#include <unistd.h>

#include <util/env.hpp>
#include <util/fd.hpp>

namespace shim::util {

namespace {

constexpr std::array<std::string_view, 5> level_names = {"none", "error", "warn", "info", "trace"};

LogLevel threshold_from_environment() {
  const char* wanted = std::getenv("CUDA_SHIM_LOG");
  if (wanted)
    for (std::size_t i = 0; i < level_names.size(); ++i)
      if (level_names[i] == wanted)
        return static_cast<LogLevel>(i);
  return LogLevel::error;
}

Fd open_log() {
  const char* path = std::getenv("CUDA_SHIM_LOG_FILE");
  return path ? keep_high(Fd(::open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644))) : Fd();
}

// Without a lock, not even a hidden one: another thread may hold it in the process that this one was forked
// from.
int log_fd() {
  // Never closed: threads write until the process is gone.
  static constinit std::atomic<const Fd*> shared = nullptr;
  const Fd* file = shared.load(std::memory_order_acquire);
  if (!file) {
    auto opened = std::make_unique<Fd>(open_log());
    if (shared.compare_exchange_strong(file, opened.get(), std::memory_order_acq_rel))
      file = opened.release();
  }
  return file->intact() ? file->get() : STDERR_FILENO; // the program may have put its own file there
}

} // namespace

namespace detail {
LogLevel log_threshold = threshold_from_environment();
}

void log_write(LogLevel level, std::string_view message) {
  std::string line =
      fmt::format("cuda-shim: {}: {}\n", level_names[static_cast<std::size_t>(level)], message);
  [[maybe_unused]] ssize_t written = ::write(log_fd(), line.data(), line.size());
}

} // namespace shim::util
