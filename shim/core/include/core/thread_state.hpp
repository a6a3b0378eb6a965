// What each thread has: its stack of current contexts and its default streams.
#pragma once

#include <cstdint>

namespace shim::core {

class Stream;

// Plain data, so that a look at it costs no initialisation check.
struct ThreadState {
  std::uint64_t current = 0;        // handle of the context on top of the stack
  std::uint64_t stream_context = 0; // the context that `stream` is this thread's default stream in
  Stream* stream = nullptr;
  std::uint64_t id = 0; // never reused, unlike pthread's
  bool in_host_function = false;
  int capture_mode = 0; // a CUstreamCaptureMode: CU_STREAM_CAPTURE_MODE_GLOBAL at first
};

ThreadState& this_thread();
// Remembers that the thread has a default stream in this context, to give it up when the thread ends.
void note_thread_stream(std::uint64_t context);

} // namespace shim::core
