#include <gpu/segv.hpp>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <iterator>
#include <linux/futex.h>
#include <mutex>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EMU_EXPORT extern "C" __attribute__((visibility("default")))

namespace emu::gpu {

namespace {

// A slot is claimed by `begin`; the handler reads the slots without a lock.
struct Guard {
  std::atomic<std::uintptr_t> begin{0};
  std::atomic<std::uintptr_t> end{0};
  std::atomic<std::atomic<std::uint32_t>*> wake{nullptr};
  std::atomic<bool> armed{false};
};

// Zero-initialised before any constructor runs: a program's constructor may call sigaction().
constinit Guard guards[max_guarded_mappings];
constinit std::mutex guards_mutex;

// What the program believes is installed for SIGSEGV and SIGBUS (memory that a file no longer has), once ours
// is. Written under a lock, read by the handler: the program that changes its handler while another thread
// faults gets one of the two.
constinit std::mutex program_mutex;
constinit std::atomic<bool> ours_installed{false};
constinit std::atomic<FaultHook> fault_hook{nullptr};
constexpr int taken_signals[] = {SIGSEGV, SIGBUS};
struct sigaction program_actions[std::size(taken_signals)]{};

// Null: a signal that is the program's alone.
struct sigaction* program_action(int signal) {
  for (std::size_t i = 0; i < std::size(taken_signals); ++i)
    if (taken_signals[i] == signal)
      return &program_actions[i];
  return nullptr;
}

using SigactionFunction = int (*)(int, const struct sigaction*, struct sigaction*);

SigactionFunction real_sigaction() {
  static std::atomic<SigactionFunction> real{nullptr};
  SigactionFunction function = real.load(std::memory_order_acquire);
  if (!function) {
    function = reinterpret_cast<SigactionFunction>(dlsym(RTLD_NEXT, "sigaction"));
    real.store(function, std::memory_order_release);
  }
  return function;
}

// Straight to the kernel: this runs in a signal handler, and others interpose libc's memory calls.
void protect(std::uintptr_t begin, std::uintptr_t end, int protection) {
  syscall(SYS_mprotect, begin, end - begin, protection);
}

bool disarm_fault_at(std::uintptr_t address) {
  bool ours = false;
  for (Guard& guard : guards) {
    const std::uintptr_t begin = guard.begin.load(std::memory_order_acquire);
    const std::uintptr_t end = guard.end.load(std::memory_order_acquire);
    if (begin == 0 || address < begin || address >= end)
      continue;
    ours = true;
    guard.armed.store(false, std::memory_order_release);
    protect(begin, end, PROT_READ | PROT_WRITE);
    if (std::atomic<std::uint32_t>* wake = guard.wake.load(std::memory_order_acquire)) {
      wake->fetch_add(1, std::memory_order_acq_rel);
      syscall(SYS_futex, wake, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
    }
  }
  return ours;
}

void chain(int signal, siginfo_t* info, void* context) {
  struct sigaction& program = *program_action(signal);
  const struct sigaction action = program;
  if (action.sa_flags & SA_RESETHAND)
    program.sa_handler = SIG_DFL;
  if (action.sa_flags & SA_SIGINFO) {
    action.sa_sigaction(signal, info, context);
    return;
  }
  if (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN) {
    action.sa_handler(signal);
    return;
  }
  // Nobody catches it: the default action, when the instruction faults again (or at once, if it was sent).
  struct sigaction defaulted {};
  defaulted.sa_handler = SIG_DFL;
  real_sigaction()(signal, &defaulted, nullptr);
  if (info->si_code <= 0)
    raise(signal);
}

void on_fault(int signal, siginfo_t* info, void* context) {
  const int saved_errno = errno;
  bool ours = info->si_code > 0 && disarm_fault_at(reinterpret_cast<std::uintptr_t>(info->si_addr));
  if (const FaultHook hook = fault_hook.load(std::memory_order_acquire); !ours && hook && info->si_code > 0)
    ours = hook(*info, context);
  errno = saved_errno;
  if (!ours)
    chain(signal, info, context);
}

void install_locked(int signal, const struct sigaction& program) {
  struct sigaction action {};
  action.sa_sigaction = on_fault;
  // The program's wishes for its own handler hold for ours: an alternate stack, its mask.
  action.sa_mask = program.sa_mask;
  action.sa_flags = SA_SIGINFO | SA_NODEFER | (program.sa_flags & (SA_ONSTACK | SA_RESTART));
  for (int taken : taken_signals)
    sigdelset(&action.sa_mask, taken);
  real_sigaction()(signal, &action, nullptr);
}

void install() {
  std::lock_guard lock(program_mutex);
  if (ours_installed.load(std::memory_order_acquire))
    return;
  for (int signal : taken_signals) {
    real_sigaction()(signal, nullptr, program_action(signal));
    install_locked(signal, *program_action(signal));
  }
  ours_installed.store(true, std::memory_order_release);
}

int interposed_sigaction(int signal, const struct sigaction* action, struct sigaction* old) {
  struct sigaction* program = program_action(signal);
  if (!program || !ours_installed.load(std::memory_order_acquire))
    return real_sigaction()(signal, action, old);
  std::lock_guard lock(program_mutex);
  const struct sigaction before = *program;
  if (action) {
    *program = *action;
    install_locked(signal, *action);
  }
  if (old)
    *old = before;
  return 0;
}

sighandler_t interposed_signal(int signal, sighandler_t handler, int flags) {
  struct sigaction action {};
  struct sigaction old {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigemptyset(&action.sa_mask);
  if (!(flags & SA_NODEFER))
    sigaddset(&action.sa_mask, signal);
  if (interposed_sigaction(signal, &action, &old) != 0)
    return SIG_ERR;
  return old.sa_handler;
}

} // namespace

bool add_guard(void* base, std::size_t size, std::atomic<std::uint32_t>* wake_word) {
  install();
  std::lock_guard lock(guards_mutex);
  for (Guard& guard : guards) {
    if (guard.begin.load(std::memory_order_relaxed) != 0)
      continue;
    guard.wake.store(wake_word, std::memory_order_release);
    guard.end.store(reinterpret_cast<std::uintptr_t>(base) + size, std::memory_order_release);
    guard.begin.store(reinterpret_cast<std::uintptr_t>(base), std::memory_order_release);
    return true;
  }
  return false;
}

void set_fault_hook(FaultHook hook) {
  fault_hook.store(hook, std::memory_order_release);
  install();
}

std::size_t remove_guard(void* base, std::size_t size) {
  std::size_t removed = 0;
  const auto begin = reinterpret_cast<std::uintptr_t>(base);
  std::lock_guard lock(guards_mutex);
  for (Guard& guard : guards) {
    const std::uintptr_t guard_begin = guard.begin.load(std::memory_order_relaxed);
    const std::uintptr_t guard_end = guard.end.load(std::memory_order_relaxed);
    if (guard_begin == 0 || guard_end <= begin || guard_begin >= begin + size)
      continue;
    protect(guard_begin, guard_end, PROT_READ | PROT_WRITE);
    guard.armed.store(false, std::memory_order_release);
    guard.begin.store(0, std::memory_order_release);
    guard.wake.store(nullptr, std::memory_order_release);
    ++removed;
  }
  return removed;
}

void arm_guards(const std::atomic<std::uint32_t>* wake_word) {
  std::lock_guard lock(guards_mutex);
  for (Guard& guard : guards) {
    const std::uintptr_t begin = guard.begin.load(std::memory_order_relaxed);
    if (begin == 0 || guard.wake.load(std::memory_order_relaxed) != wake_word)
      continue;
    // Not skipped when `armed` is still set: a handler that has just cleared the protection may not have
    // cleared it.
    guard.armed.store(true, std::memory_order_release);
    protect(begin, guard.end.load(std::memory_order_relaxed), PROT_READ);
  }
}

void disarm_guards(const std::atomic<std::uint32_t>* wake_word) {
  std::lock_guard lock(guards_mutex);
  for (Guard& guard : guards) {
    const std::uintptr_t begin = guard.begin.load(std::memory_order_relaxed);
    if (begin == 0 || guard.wake.load(std::memory_order_relaxed) != wake_word ||
        !guard.armed.exchange(false, std::memory_order_acq_rel))
      continue;
    protect(begin, guard.end.load(std::memory_order_relaxed), PROT_READ | PROT_WRITE);
  }
}

} // namespace emu::gpu

EMU_EXPORT int sigaction(int signal, const struct sigaction* action, struct sigaction* old) noexcept {
  return emu::gpu::interposed_sigaction(signal, action, old);
}

EMU_EXPORT sighandler_t signal(int signal, sighandler_t handler) noexcept {
  return emu::gpu::interposed_signal(signal, handler, SA_RESTART);
}

EMU_EXPORT sighandler_t bsd_signal(int signal, sighandler_t handler) noexcept {
  return emu::gpu::interposed_signal(signal, handler, SA_RESTART);
}

EMU_EXPORT sighandler_t sysv_signal(int signal, sighandler_t handler) noexcept {
  return emu::gpu::interposed_signal(signal, handler, SA_RESETHAND | SA_NODEFER);
}

// A blocked signal would turn a store to an armed doorbell into the process's death.
EMU_EXPORT int pthread_sigmask(int how, const sigset_t* set, sigset_t* old) noexcept {
  using Function = int (*)(int, const sigset_t*, sigset_t*);
  static const Function real = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "pthread_sigmask"));
  if (!set || how == SIG_UNBLOCK)
    return real(how, set, old);
  sigset_t reduced = *set;
  for (int taken : emu::gpu::taken_signals)
    sigdelset(&reduced, taken);
  return real(how, &reduced, old);
}

EMU_EXPORT int sigprocmask(int how, const sigset_t* set, sigset_t* old) noexcept {
  using Function = int (*)(int, const sigset_t*, sigset_t*);
  static const Function real = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "sigprocmask"));
  if (!set || how == SIG_UNBLOCK)
    return real(how, set, old);
  sigset_t reduced = *set;
  for (int taken : emu::gpu::taken_signals)
    sigdelset(&reduced, taken);
  return real(how, &reduced, old);
}
