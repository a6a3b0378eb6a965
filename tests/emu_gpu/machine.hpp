// A GPU with memory and queues, without a kernel driver above it.
#pragma once

#include <gpu/gpu.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <functional>
#include <mutex>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace test {

using emu::gpu::Fault;
using emu::gpu::Gpu;
using emu::gpu::Interrupt;
using namespace std::chrono_literals;

inline bool eventually(const std::function<bool()>& holds, std::chrono::milliseconds limit = 5000ms) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end)
      return holds();
    std::this_thread::sleep_for(100us);
  }
  return true;
}

template <class T>
T peek(const T* at) {
  return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}
template <class T, class V>
void poke(T* at, V value) {
  __atomic_store_n(at, static_cast<T>(value), __ATOMIC_RELEASE);
}
inline std::uint64_t va(const void* pointer) {
  return reinterpret_cast<std::uint64_t>(pointer);
}

// GPU memory at its host address, handed out and never taken back.
class Machine {
public:
  static constexpr std::size_t arena_size = 32 << 20;

  explicit Machine(std::chrono::milliseconds watchdog = 0ms)
      : space(std::make_shared<emu::memory::AddressSpace>()), gpu({[this](const Interrupt& interrupt) {
                                                                     std::lock_guard lock(mutex_);
                                                                     interrupts_.push_back(interrupt);
                                                                   },
                                                                   [this](const Fault& fault) {
                                                                     std::lock_guard lock(mutex_);
                                                                     faults_.push_back(fault);
                                                                   }},
                                                                  watchdog) {
    void* memory = mmap(nullptr, arena_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    arena_ = static_cast<std::byte*>(memory);
    space->map(va(arena_), arena_size, arena_, {});
    for (std::size_t i = 0; i < max_doorbells; ++i)
      free_doorbells_.push_back(max_doorbells - 1 - i);
    const int fd = memfd_create("doorbells", MFD_CLOEXEC);
    [[maybe_unused]] const int truncated = ftruncate(fd, doorbell_page);
    doorbells = map_shared(fd);
    doorbell_alias = map_shared(fd);
    close(fd);
  }
  ~Machine() {
    gpu.forget_doorbells(doorbells, doorbell_page);
    munmap(doorbells, doorbell_page);
  }

  template <class T>
  T* allocate(std::size_t count = 1, std::size_t alignment = 4096) {
    used_ = (used_ + alignment - 1) / alignment * alignment;
    auto* result = reinterpret_cast<T*>(arena_ + used_);
    used_ += count * sizeof(T);
    if (alignment >= 4096)
      used_ = (used_ + 4095) / 4096 * 4096;
    EXPECT_LE(used_, arena_size);
    return result;
  }

  struct KernelOptions {
    std::uint16_t properties = 1 << 3 | 1 << 10; // kernarg pointer; wave32
    std::uint32_t user_sgprs = 2;
    std::uint32_t rsrc2 = 1 << 7; // workgroup id x
  };
  // A kernel object: descriptor, then code.
  std::uint64_t kernel(const std::vector<std::uint32_t>& code, const KernelOptions& options) {
    auto* words = allocate<std::uint32_t>(64 + code.size()); // a page of its own: code is read by pages
    const std::int64_t entry = 256;
    std::memcpy(words + 4, &entry, sizeof entry);
    words[12] = 2 | 1u << 29 | 1u << 30; // 24 VGPRs; WGP mode; memory ordered
    words[13] = options.user_sgprs << 1 | options.rsrc2;
    std::memcpy(words + 14, &options.properties, sizeof options.properties);
    std::memcpy(words + 64, code.data(), code.size() * 4);
    return va(words);
  }
  std::uint64_t kernel(const std::vector<std::uint32_t>& code) { return kernel(code, KernelOptions{}); }
  std::uint64_t code(const std::vector<std::uint32_t>& words) {
    auto* memory = allocate<std::uint32_t>(words.size());
    std::memcpy(memory, words.data(), words.size() * 4);
    return va(memory);
  }

  std::vector<Interrupt> interrupts() {
    std::lock_guard lock(mutex_);
    return interrupts_;
  }
  std::vector<Fault> faults() {
    std::lock_guard lock(mutex_);
    return faults_;
  }

  void forget_reports() {
    std::lock_guard lock(mutex_);
    interrupts_.clear();
    faults_.clear();
  }

  static constexpr std::size_t doorbell_page = 8192;
  static constexpr std::size_t max_doorbells = doorbell_page / 8;
  std::uint64_t* doorbells = nullptr;      // as a program sees them
  std::uint64_t* doorbell_alias = nullptr; // as the GPU sees them
  std::size_t take_doorbell() {
    const std::size_t index = free_doorbells_.back();
    free_doorbells_.pop_back();
    return index;
  }

private:
  static std::uint64_t* map_shared(int fd) {
    return static_cast<std::uint64_t*>(
        mmap(nullptr, doorbell_page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  }

  std::mutex mutex_;
  std::vector<Interrupt> interrupts_;
  std::vector<Fault> faults_;
  std::byte* arena_ = nullptr;
  std::size_t used_ = 0;
  std::vector<std::size_t> free_doorbells_;

public:
  std::shared_ptr<emu::memory::AddressSpace> space;
  Gpu gpu;
};

// amd_signal_t, as the packet processor sees it.
struct Signal {
  std::int64_t kind;
  std::int64_t value;
  std::uint64_t event_mailbox_ptr;
  std::uint32_t event_id;
  std::uint32_t reserved1;
  std::uint64_t start_ts;
  std::uint64_t end_ts;
  std::uint64_t queue_ptr;
  std::uint32_t reserved3[2];
};
static_assert(sizeof(Signal) == 64);

inline Signal* make_signal(Machine& machine, std::int64_t value) {
  auto* signal = machine.allocate<Signal>(1, 64);
  *signal = {};
  signal->kind = 1;
  signal->value = value;
  return signal;
}

struct Packet {
  std::uint32_t words[16] = {};
};

inline constexpr std::uint32_t barrier_bit = 1 << 8;

// Does not wait for the packets before it.
inline Packet beside(Packet packet) {
  packet.words[0] &= ~barrier_bit;
  return packet;
}

inline Packet dispatch(std::uint64_t kernel, std::uint32_t grid, std::uint16_t group, const void* kernarg,
                       Signal* completion) {
  Packet packet;
  packet.words[0] = 2 | barrier_bit | 1 << 16; // one dimension
  packet.words[1] = group | 1u << 16;
  packet.words[2] = 1;
  packet.words[3] = grid;
  packet.words[4] = 1;
  packet.words[5] = 1;
  const std::uint64_t addresses[2] = {kernel, va(kernarg)};
  std::memcpy(packet.words + 8, addresses, sizeof addresses);
  std::memcpy(packet.words + 14, &completion, sizeof completion);
  return packet;
}

inline Packet barrier(std::uint32_t type, std::vector<Signal*> dependencies, Signal* completion) {
  Packet packet;
  packet.words[0] = type | barrier_bit;
  if (!dependencies.empty())
    std::memcpy(packet.words + 2, dependencies.data(), dependencies.size() * sizeof(Signal*));
  std::memcpy(packet.words + 14, &completion, sizeof completion);
  return packet;
}
inline constexpr std::uint32_t barrier_and = 3;
inline constexpr std::uint32_t barrier_or = 5;

// A queue as a runtime makes it: an amd_queue_t, a ring of invalid packets, a doorbell.
class AqlQueue {
public:
  explicit AqlQueue(Machine& machine, std::uint32_t packets = 64)
      : machine_(machine), size_(packets), queue_(machine.allocate<std::byte>(4096)),
        ring_(machine.allocate<Packet>(packets)), inactive(make_signal(machine, 0)),
        doorbell_(machine.take_doorbell()) {
    for (std::uint32_t i = 0; i < packets; ++i)
      ring_[i].words[0] = 1;
    *field<std::uint32_t>(0x88) = 0x80;
    *field<std::uint64_t>(0xc0) = va(inactive);
    emu::gpu::QueueDescription d;
    d.type = emu::gpu::QueueType::aql;
    d.space = machine.space;
    d.ring = va(ring_);
    d.ring_size = packets * sizeof(Packet);
    d.rptr = va(queue_) + 0x80;
    d.wptr = va(queue_) + 0x38;
    d.doorbell = machine.doorbell_alias + doorbell_;
    d.doorbell_id = static_cast<std::uint32_t>(doorbell_);
    id = machine.gpu.create_queue(d);
  }

  template <class T>
  T* field(std::size_t offset) {
    return reinterpret_cast<T*>(queue_ + offset);
  }
  std::uint64_t read_index() { return peek(field<std::uint64_t>(0x80)); }
  std::uint64_t address() const { return va(queue_); }
  std::size_t doorbell() const { return doorbell_; }
  emu::gpu::QueueUpdate update(std::uint32_t priority) const {
    return {va(ring_), size_ * sizeof(Packet), priority, 100};
  }

  // Writes the packet, header last, without ringing; its index.
  std::uint64_t write(const Packet& packet) {
    Packet& slot = ring_[next_ % size_];
    std::memcpy(slot.words + 1, packet.words + 1, sizeof packet - 4);
    poke(&slot.words[0], packet.words[0]);
    poke(field<std::uint64_t>(0x38), next_ + 1);
    return next_++;
  }
  void ring(std::uint64_t index) { poke(machine_.doorbells + doorbell_, index); }
  void submit(const Packet& packet) { ring(write(packet)); }

private:
  Machine& machine_;
  const std::uint32_t size_;
  std::byte* queue_;
  Packet* ring_;
  std::uint64_t next_ = 0;

public:
  Signal* inactive;
  emu::gpu::QueueId id = emu::gpu::no_queue;

private:
  std::size_t doorbell_;
};

} // namespace test
