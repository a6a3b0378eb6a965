// How engines touch GPU memory: typed accesses that throw Stop where the page tables say no. The exception
// stays inside the engines; whoever steps one catches it.
#pragma once

#include <gpu/types.hpp>

#include <cstring>
#include <type_traits>
#include <utility>

namespace emu::gpu {

// What ends an engine's work.
struct Stop {
  Fault fault;
};

[[noreturn]] inline void stop(FaultKind kind, std::string text) {
  throw Stop{Fault{kind, no_queue, {}, 0, std::move(text)}};
}

class EngineMemory {
public:
  explicit EngineMemory(const memory::AddressSpace& space) : translator_(space) {}

  // Aligned accesses of 1, 2, 4 and 8 bytes are single host accesses.
  template <class T>
  T load(GpuAddress va) {
    static_assert(std::is_trivially_copyable_v<T>);
    if constexpr (std::is_integral_v<T>) {
      if (va % sizeof(T) == 0) {
        auto* host = reinterpret_cast<T*>(at(va, sizeof(T), memory::Access::read));
        return __atomic_load_n(host, __ATOMIC_ACQUIRE);
      }
    }
    T value{};
    read(va, &value, sizeof value);
    return value;
  }
  template <class T>
  void store(GpuAddress va, T value) {
    static_assert(std::is_trivially_copyable_v<T>);
    if constexpr (std::is_integral_v<T>) {
      if (va % sizeof(T) == 0) {
        auto* host = reinterpret_cast<T*>(at(va, sizeof(T), memory::Access::write));
        __atomic_store_n(host, value, __ATOMIC_RELEASE);
        return;
      }
    }
    write(va, &value, sizeof value);
  }

  // Host memory of a naturally aligned word, for a host atomic.
  template <class T>
  T* word(GpuAddress va) {
    if (va % sizeof(T) != 0)
      stop_at(va, memory::Access::write, FaultKind::memory_violation);
    return reinterpret_cast<T*>(at(va, sizeof(T), memory::Access::write));
  }

  void read(GpuAddress va, void* to, std::uint64_t size) {
    if (!translator_.read(va, to, size))
      stop_at_fault();
  }
  void write(GpuAddress va, const void* from, std::uint64_t size) {
    if (!translator_.write(va, from, size))
      stop_at_fault();
  }
  // In ascending order; memmove semantics where both lie in one mapping.
  void copy(GpuAddress to, GpuAddress from, std::uint64_t size);
  // Repeats the low `unit` bytes of `value` (1, 2 or 4); size is a multiple of unit.
  void fill(GpuAddress to, std::uint32_t value, unsigned unit, std::uint64_t size);

private:
  std::byte* at(GpuAddress va, std::uint64_t size, memory::Access access) {
    if (std::byte* host = translator_.translate(va, size, access))
      return host;
    stop_at_fault();
  }
  // The longest piece of [va, va + size) that is contiguous in host memory.
  std::pair<std::byte*, std::uint64_t> piece(GpuAddress va, std::uint64_t size, memory::Access access);
  [[noreturn]] void stop_at_fault();
  [[noreturn]] void stop_at(GpuAddress va, memory::Access access, FaultKind kind);

  memory::Translator translator_;
};

} // namespace emu::gpu
