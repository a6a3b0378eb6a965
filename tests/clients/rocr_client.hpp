// A small client of Debian's ROCr: the runtime, its GPU and CPU agents, memory pools, signals, queues and
// packets.
#pragma once

#include <gtest/gtest.h>
#include <hsa/hsa.h>
#include <hsa/hsa_ext_amd.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace rocr_client {

inline constexpr std::uint64_t patience_ns = 20'000'000'000; // of ROCr's clock, 1 GHz

// What a dispatch asks for, beside its kernel and arguments.
struct Grid {
  std::uint32_t size[3] = {1, 1, 1};
  std::uint16_t group[3] = {1, 1, 1};
};

// A kernel of a loaded executable.
struct Kernel {
  std::uint64_t object = 0;
  std::uint32_t kernarg_size = 0;
  std::uint32_t group_size = 0;
  std::uint32_t private_size = 0;
};

// The program of rocr_kernels.cl, loaded for one agent.
class Program {
public:
  explicit Program(hsa_agent_t agent);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  Kernel kernel(const char* name) const;
  // The address of a variable of the program's global segment.
  void* variable(const char* name) const;

private:
  hsa_agent_t agent_;
  hsa_code_object_reader_t reader_{};
  hsa_executable_t executable_{};
};

class RocrTest : public ::testing::Test {
protected:
  void SetUp() override;
  void TearDown() override;

  hsa_queue_t* make_queue(std::uint32_t size = 1024);
  static hsa_signal_t make_signal(hsa_signal_value_t value);

  // Memory of a pool; freed with the test. The CPU and the GPU may both use it.
  void* allocate(hsa_amd_memory_pool_t pool, std::size_t bytes);
  template <class T>
  T* allocate(hsa_amd_memory_pool_t pool, std::size_t count) {
    return static_cast<T*>(allocate(pool, count * sizeof(T)));
  }

  // One 64-byte packet, its header last, and the doorbell.
  static void submit(hsa_queue_t* queue, const void* packet, std::uint16_t header);
  static void submit_barrier(hsa_queue_t* queue, hsa_signal_t dependency, hsa_signal_t completion);
  static void submit_barrier(hsa_queue_t* queue, hsa_packet_type_t type,
                             const std::vector<hsa_signal_t>& dependencies, hsa_signal_t completion);
  // `arguments` is copied to memory that the GPU reads.
  void dispatch(hsa_queue_t* queue, const Kernel& kernel, const Grid& grid, const void* arguments,
                std::size_t argument_bytes, hsa_signal_t completion);
  template <class T>
  void dispatch(hsa_queue_t* queue, const Kernel& kernel, const Grid& grid, const T& arguments,
                hsa_signal_t completion) {
    dispatch(queue, kernel, grid, &arguments, sizeof arguments, completion);
  }

  static hsa_signal_value_t wait_for_zero(hsa_signal_t signal,
                                          hsa_wait_state_t how = HSA_WAIT_STATE_BLOCKED) {
    return hsa_signal_wait_scacquire(signal, HSA_SIGNAL_CONDITION_LT, 1, patience_ns, how);
  }

  static constexpr std::uint16_t header_of(std::uint32_t type) {
    return static_cast<std::uint16_t>(type << HSA_PACKET_HEADER_TYPE | 1u << HSA_PACKET_HEADER_BARRIER |
                                      HSA_FENCE_SCOPE_SYSTEM << HSA_PACKET_HEADER_SCACQUIRE_FENCE_SCOPE |
                                      HSA_FENCE_SCOPE_SYSTEM << HSA_PACKET_HEADER_SCRELEASE_FENCE_SCOPE);
  }

  hsa_agent_t gpu_{};
  hsa_agent_t cpu_{};
  hsa_amd_memory_pool_t device_pool_{};  // VRAM, coarse-grained
  hsa_amd_memory_pool_t fine_pool_{};    // system memory, fine-grained
  hsa_amd_memory_pool_t coarse_pool_{};  // system memory, coarse-grained
  hsa_amd_memory_pool_t kernarg_pool_{}; // system memory for kernel arguments
  hsa_amd_memory_pool_t group_pool_{};   // LDS
  std::vector<void*> allocations_;
};

} // namespace rocr_client
