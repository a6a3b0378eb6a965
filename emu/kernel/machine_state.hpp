// What the machine's shared file holds. machine.cpp works on it; tests look at it.
#pragma once

#include "bo.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include <pthread.h>

namespace emu::kernel {

struct ProcessEntry {
  std::atomic<std::uint64_t> incarnation; // 0: free; else unique to one process's stay
  std::uint32_t pid;
  std::uint32_t reserved;
  std::uint64_t start_time; // field 22 of /proc/PID/stat: with the pid, names a process for good
  std::atomic<std::int32_t> waiters;
  MemoryUsage usage;
};

struct FenceSlot {
  std::atomic<std::uint32_t> owner; // process index + 1; 0: free
  std::atomic<std::int32_t> error;  // of the fences from `failed` on
  std::atomic<std::uint64_t> issued;
  std::atomic<std::uint64_t> completed;
  std::atomic<std::uint64_t> failed;
  std::atomic<std::uint64_t> time;
};

// A global buffer name (GEM_FLINK). The buffer is descriptor `fd` of the process that named it.
struct NameEntry {
  std::uint32_t owner; // process index + 1; 0: free
  std::int32_t fd;
  std::uint64_t device, inode;
};

// Something that one holder in the machine may have at a time.
struct Claim {
  std::uint32_t owner; // process index + 1; 0: nobody has it
  std::uint32_t reserved;
  std::uint64_t holder; // unique in the machine
};

struct MachineState {
  static constexpr std::uint64_t magic_value = 0x656e'6968'6361'6d31ull; // "1machine"
  static constexpr std::uint32_t layout_version = 4;                     // part of the file's name too
  static constexpr unsigned process_count = 256;
  static constexpr unsigned slot_count = 16384;
  static constexpr unsigned name_count = 256;
  static constexpr std::size_t boot_id_size = 40;

  std::atomic<std::uint64_t> magic;
  std::uint32_t version;
  std::uint32_t size;
  char boot_id[boot_id_size];

  alignas(64) std::atomic<std::uint32_t> events;
  std::atomic<std::int32_t> waiters; // never less than there are, else one sleeps for ever
  std::atomic<std::uint64_t> next_fence_context;
  std::atomic<std::uint64_t> next_incarnation;
  std::atomic<std::uint32_t> resets;

  pthread_mutex_t table_lock; // robust: the tables stay consistent at every step
  std::uint32_t next_slot;
  std::uint32_t clock_level;
  Claim clocks;                // a context's
  Claim vmid;                  // a VM's
  NameEntry names[name_count]; // a name is its index + 1
  ProcessEntry processes[process_count];
  FenceSlot slots[slot_count];

  static std::string file_name() { return "machine-" + std::to_string(layout_version); }
};

} // namespace emu::kernel
