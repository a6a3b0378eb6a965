// What the questions of answers_test are asked about: a context with one object of each kind, and values
// that are no objects.
#pragma once

#include <cstdint>
#include <cuda.h>
#include <span>

namespace answers {

// Converts to a pointer or handle of any type.
struct AnyPointer {
  void* address;
  template <class T>
  operator T*() const {
    return static_cast<T*>(address);
  }
};

// Made anew in every process that asks; questions leave it as they find it, or die of it.
struct World {
  World();

  CUdevice device = 0;
  CUcontext context = nullptr; // current
  CUcontext other = nullptr;   // not current
  CUcontext dead_context = nullptr;
  CUstream stream = nullptr, other_stream = nullptr, dead_stream = nullptr;
  CUevent event = nullptr;   // recorded and done
  CUevent untimed = nullptr; // the same, made without timing
  CUevent fresh = nullptr;   // never recorded
  CUevent other_event = nullptr, dead_event = nullptr;
  CUmodule module = nullptr, dead_module = nullptr;
  CUfunction ramp = nullptr, sum = nullptr, nothing = nullptr, small_blocks = nullptr;
  CUfunction other_ramp = nullptr, dead_function = nullptr;
  CUdeviceptr memory = 0; // 64 KiB
  CUdeviceptr dead_memory = 0;
  CUdeviceptr variable = 0; // `counter`, of 4 bytes
  CUdeviceptr managed = 0;  // 4096 bytes
  void* pinned = nullptr;   // 4096 bytes
  char* pageable = nullptr; // 4096 bytes on a page of its own
  AnyPointer out;           // room for any answer
  AnyPointer zeros;         // readable, and no object
  AnyPointer wild;          // not readable
  static constexpr CUdeviceptr nowhere = 0x123456000;
};

struct Question {
  const char* text;
  int (*ask)(World&);
};

std::span<const Question> context_questions();
std::span<const Question> memory_questions();
std::span<const Question> stream_questions();
std::span<const Question> module_questions();
std::span<const Question> external_questions();

} // namespace answers

// A question that is one call, in its own words, about the world `w`.
#define ASK(...)                                                                                             \
  {                                                                                                          \
#__VA_ARGS__, []([[maybe_unused]] ::answers::World & w) -> int { return (__VA_ARGS__); }                 \
  }
// One that takes statements.
#define ASK_AS(text, ...)                                                                                    \
  { text, []([[maybe_unused]] ::answers::World & w) -> int __VA_ARGS__ }
