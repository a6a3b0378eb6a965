// Threads of the driver's own.
#pragma once

#include <csignal>
#include <exception>
#include <pthread.h>
#include <string>
#include <thread>
#include <utility>

#include <cxxabi.h>

#include <util/log.hpp>

namespace shim::util {

// Starts a thread on which none of the application's signal handlers run, but for what an instruction of its
// own raises. Nothing is thrown out of it: an exception is logged, and ends the thread. `name`: 15 characters
// at most. std::system_error where the system has no thread left.
template <class Function>
std::thread start_thread(const char* name, Function function) {
  struct Masked {
    Masked() {
      sigset_t all;
      sigfillset(&all);
      for (int synchronous : {SIGSEGV, SIGBUS, SIGFPE, SIGILL})
        sigdelset(&all, synchronous);
      pthread_sigmask(SIG_SETMASK, &all, &before);
    }
    ~Masked() { pthread_sigmask(SIG_SETMASK, &before, nullptr); }
    sigset_t before;
  } masked; // the new thread inherits it
  return std::thread([name = std::string(name), function = std::move(function)]() mutable {
    pthread_setname_np(pthread_self(), name.c_str());
    try {
      function();
    } catch (const abi::__forced_unwind&) { // a callback of the application's has called pthread_exit()
      throw;
    } catch (const std::exception& problem) {
      log(LogLevel::error, "the thread {} has ended: {}", name, problem.what());
    } catch (...) {
      log(LogLevel::error, "the thread {} has ended: an exception", name);
    }
  });
}

} // namespace shim::util
