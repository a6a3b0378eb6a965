#pragma once

#include <csignal>
#include <pthread.h>
#include <thread>
#include <utility>

namespace shim::core {

// Starts a thread on which none of the application's signal handlers run.
template <class Function>
std::thread start_relay_thread(const char* name, Function function) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  for (int synchronous : {SIGSEGV, SIGBUS, SIGFPE, SIGILL})
    sigdelset(&all, synchronous);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  std::thread thread(std::move(function));
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_setname_np(thread.native_handle(), name);
  return thread;
}

} // namespace shim::core
