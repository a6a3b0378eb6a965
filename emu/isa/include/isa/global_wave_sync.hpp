// Global wave sync: 64 counters of a queue that waves of different workgroups meet at, as barriers or
// semaphores. Thread-safe. Source: "RDNA 2" Instruction Set Architecture manual, DS_GWS_*.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>

namespace emu::isa {

class GlobalWaveSync {
public:
  static constexpr unsigned resources = 64; // numbers are taken modulo this

  void initialise(unsigned resource, std::uint32_t count);

  // What a wave that waits keeps between its attempts.
  struct Wait {
    bool waits = false;
    std::uint32_t round = 0; // of a barrier
  };

  // A barrier: the last of count + 1 arrivals lets all go, and leaves `count` for the next round. False: the
  // wave waits, and is to try again.
  bool pass(unsigned resource, std::uint32_t count, Wait& wait);

  // A semaphore. acquire() as pass().
  bool acquire(unsigned resource, Wait& wait);
  void release(unsigned resource, std::uint32_t count);
  // Lets all go that wait for it.
  void release_all(unsigned resource);

private:
  struct Resource {
    std::int64_t counter = 0;
    std::uint32_t waiting = 0;
    std::uint32_t round = 0; // of the barrier: how often it was passed
  };
  Resource& at(unsigned resource) { return resources_[resource % resources]; }

  std::mutex mutex_;
  std::array<Resource, resources> resources_{};
};

} // namespace emu::isa
