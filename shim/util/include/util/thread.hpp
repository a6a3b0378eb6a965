// Threads of the driver's own.
#pragma once

#include <csignal>
#include <pthread.h>
#include <thread>
#include <utility>

namespace shim::util {

// Starts a thread on which none of the application's signal handlers run. std::system_error where the system
// has no thread left.
template <class Function>
std::thread start_thread(const char* name, Function function) {
  struct Masked {
    Masked() {
      sigset_t all;
      sigfillset(&all);
      for (int synchronous : {SIGSEGV, SIGBUS, SIGFPE, SIGILL})
        sigdelset(&all, synchronous);
      pthread_sigmask(SIG_BLOCK, &all, &before);
    }
    ~Masked() { pthread_sigmask(SIG_SETMASK, &before, nullptr); }
    sigset_t before;
  } masked; // the new thread inherits it
  std::thread thread(std::move(function));
  pthread_setname_np(thread.native_handle(), name);
  return thread;
}

} // namespace shim::util
