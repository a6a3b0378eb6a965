// SIGSEGV and SIGBUS in a process that has armed doorbells.
//
// The Gpu owns the kernel's disposition of both from the first watched doorbell (or fault hook) on. A fault
// on an armed doorbell makes it writable again and wakes the command processor; every other fault goes to
// whatever the program installed.
//
// The static library defines sigaction, signal, bsd_signal, sysv_signal, sigset, sigprocmask and
// pthread_sigmask with default visibility, so that a shared object (or a test) that links it whole interposes
// them: a program that installs a handler of these is told that it did, gets it called, and cannot block or
// displace ours.
#pragma once

#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdint>

namespace emu::gpu {

// Guarded pages: at most this many mappings at a time; more are left writable and polled.
inline constexpr std::size_t max_guarded_mappings = 64;

// Adds a mapping to guard. False: the table is full. `wake_word` is bumped and FUTEX_WAKEd on a fault.
bool add_guard(void* base, std::size_t size, std::atomic<std::uint32_t>* wake_word);
// Removes every guard that touches the range and leaves it writable; how many those were.
std::size_t remove_guard(void* base, std::size_t size);

// Asked about every other fault before the program is, on the thread that faulted and in its signal handler.
// True: the instruction can be tried again, or `context` has another one. Set once; takes the disposition at
// once.
using FaultHook = bool (*)(const siginfo_t& info, void* context);
void set_fault_hook(FaultHook hook);

// Makes every guarded mapping of `wake_word` read-only, or writable again. Not reentrant: one caller at a
// time.
void arm_guards(const std::atomic<std::uint32_t>* wake_word);
void disarm_guards(const std::atomic<std::uint32_t>* wake_word);

} // namespace emu::gpu
