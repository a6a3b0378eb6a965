// Times calls that only enqueue: a batch of them, then, off the clock, the work that they queued.
#pragma once

#include <chrono>

#include <benchmark/benchmark.h>

namespace bench {

inline constexpr int batch_size = 200; // below every queue's length
inline constexpr int batches =
    200; // a fixed number: what is reported is the time of one call, not of a batch

// Reports the mean time of one call of `enqueue`. `prepare` runs before each batch, `drain` after it, off the
// clock.
template <class Prepare, class Enqueue, class Drain>
void time_batches(benchmark::State& state, Prepare&& prepare, Enqueue&& enqueue, Drain&& drain) {
  using Clock = std::chrono::steady_clock;
  for (auto _ : state) {
    prepare();
    const Clock::time_point start = Clock::now();
    for (int i = 0; i < batch_size; ++i)
      enqueue();
    const std::chrono::duration<double> elapsed = Clock::now() - start;
    drain();
    state.SetIterationTime(elapsed.count() / batch_size);
  }
}

template <class Enqueue, class Drain>
void time_batches(benchmark::State& state, Enqueue&& enqueue, Drain&& drain) {
  time_batches(
      state, [] {}, enqueue, drain);
}

// A call that must succeed.
template <class Code>
void require(Code code, const char* what) {
  if (static_cast<int>(code) != 0) {
    std::fprintf(stderr, "%s answered %d\n", what, static_cast<int>(code));
    std::exit(EXIT_FAILURE);
  }
}

} // namespace bench

#define BENCH_REQUIRE(call) ::bench::require((call), #call)
