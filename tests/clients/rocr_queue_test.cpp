// Debian's ROCr on the emulated kernel and engines: its own start, queues, packets, signals and waits.
#include <gtest/gtest.h>
#include <hsa/hsa.h>
#include <hsa/hsa_ext_amd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <ctime>
#include <thread>
#include <vector>

namespace {

constexpr std::uint64_t patience_ns = 20'000'000'000; // of ROCr's clock, 1 GHz

class RocrQueue : public ::testing::Test {
protected:
  void SetUp() override {
    ASSERT_EQ(hsa_init(), HSA_STATUS_SUCCESS);
    hsa_iterate_agents(
        [](hsa_agent_t agent, void* self) {
          hsa_device_type_t type{};
          hsa_agent_get_info(agent, HSA_AGENT_INFO_DEVICE, &type);
          auto* test = static_cast<RocrQueue*>(self);
          (type == HSA_DEVICE_TYPE_GPU ? test->gpu_ : test->cpu_) = agent;
          return HSA_STATUS_SUCCESS;
        },
        this);
    ASSERT_NE(gpu_.handle, 0u);
  }
  void TearDown() override { EXPECT_EQ(hsa_shut_down(), HSA_STATUS_SUCCESS); }

  hsa_queue_t* make_queue(std::uint32_t size = 1024) {
    hsa_queue_t* queue = nullptr;
    EXPECT_EQ(
        hsa_queue_create(gpu_, size, HSA_QUEUE_TYPE_MULTI, nullptr, nullptr, UINT32_MAX, UINT32_MAX, &queue),
        HSA_STATUS_SUCCESS);
    return queue;
  }

  static hsa_signal_t make_signal(hsa_signal_value_t value) {
    hsa_signal_t signal{};
    EXPECT_EQ(hsa_signal_create(value, 0, nullptr, &signal), HSA_STATUS_SUCCESS);
    return signal;
  }

  static void submit_barrier(hsa_queue_t* queue, hsa_signal_t dependency, hsa_signal_t completion) {
    const std::uint64_t index = hsa_queue_add_write_index_relaxed(queue, 1);
    auto* packet = static_cast<hsa_barrier_and_packet_t*>(queue->base_address) + index % queue->size;
    std::memset(reinterpret_cast<char*>(packet) + 4, 0, sizeof *packet - 4);
    packet->dep_signal[0] = dependency;
    packet->completion_signal = completion;
    const std::uint16_t header = HSA_PACKET_TYPE_BARRIER_AND << HSA_PACKET_HEADER_TYPE |
                                 1 << HSA_PACKET_HEADER_BARRIER |
                                 HSA_FENCE_SCOPE_SYSTEM << HSA_PACKET_HEADER_SCACQUIRE_FENCE_SCOPE |
                                 HSA_FENCE_SCOPE_SYSTEM << HSA_PACKET_HEADER_SCRELEASE_FENCE_SCOPE;
    __atomic_store_n(&packet->header, header, __ATOMIC_RELEASE);
    hsa_signal_store_screlease(queue->doorbell_signal, static_cast<hsa_signal_value_t>(index));
  }

  static hsa_signal_value_t wait_for_zero(hsa_signal_t signal, hsa_wait_state_t how) {
    return hsa_signal_wait_scacquire(signal, HSA_SIGNAL_CONDITION_LT, 1, patience_ns, how);
  }

  hsa_agent_t gpu_{};
  hsa_agent_t cpu_{};
};

TEST_F(RocrQueue, agent_is_gfx1030) {
  char name[64] = {};
  ASSERT_EQ(hsa_agent_get_info(gpu_, HSA_AGENT_INFO_NAME, name), HSA_STATUS_SUCCESS);
  EXPECT_STREQ(name, "gfx1030");
}

TEST_F(RocrQueue, barrier_completes_its_signal) {
  hsa_queue_t* queue = make_queue();
  ASSERT_NE(queue, nullptr);
  const hsa_signal_t done = make_signal(1);
  submit_barrier(queue, {0}, done);
  EXPECT_EQ(wait_for_zero(done, HSA_WAIT_STATE_ACTIVE), 0);
  hsa_signal_destroy(done);
  EXPECT_EQ(hsa_queue_destroy(queue), HSA_STATUS_SUCCESS);
}

// The waiter sleeps in WAIT_EVENTS; only the completion's interrupt ends that.
TEST_F(RocrQueue, interrupt_wakes_a_blocked_waiter) {
  hsa_queue_t* queue = make_queue();
  ASSERT_NE(queue, nullptr);
  const hsa_signal_t gate = make_signal(1);
  const hsa_signal_t done = make_signal(1);
  submit_barrier(queue, gate, done);
  std::thread opener([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_EQ(hsa_signal_load_scacquire(done), 1);
    hsa_signal_store_screlease(gate, 0);
  });
  EXPECT_EQ(wait_for_zero(done, HSA_WAIT_STATE_BLOCKED), 0);
  opener.join();
  hsa_signal_destroy(gate);
  hsa_signal_destroy(done);
  EXPECT_EQ(hsa_queue_destroy(queue), HSA_STATUS_SUCCESS);
}

// More packets than the ring holds, in order, after idle times in which the doorbell page is armed.
TEST_F(RocrQueue, ring_wraps_and_wakes_from_idle) {
  hsa_queue_t* queue = make_queue(64);
  ASSERT_NE(queue, nullptr);
  for (int round = 0; round < 200; ++round) {
    const hsa_signal_t done = make_signal(1);
    submit_barrier(queue, {0}, done);
    ASSERT_EQ(wait_for_zero(done, HSA_WAIT_STATE_BLOCKED), 0) << round;
    hsa_signal_destroy(done);
    if (round % 50 == 0)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(hsa_queue_destroy(queue), HSA_STATUS_SUCCESS);
}

TEST_F(RocrQueue, blocked_queue_delays_no_other) {
  hsa_queue_t* blocked = make_queue();
  hsa_queue_t* free = make_queue();
  ASSERT_TRUE(blocked && free);
  const hsa_signal_t gate = make_signal(1);
  const hsa_signal_t late = make_signal(1);
  const hsa_signal_t early = make_signal(1);
  submit_barrier(blocked, gate, late);
  submit_barrier(free, {0}, early);
  EXPECT_EQ(wait_for_zero(early, HSA_WAIT_STATE_BLOCKED), 0);
  EXPECT_EQ(hsa_signal_load_scacquire(late), 1);
  hsa_signal_store_screlease(gate, 0);
  EXPECT_EQ(wait_for_zero(late, HSA_WAIT_STATE_BLOCKED), 0);
  for (const hsa_signal_t signal : {gate, late, early})
    hsa_signal_destroy(signal);
  hsa_queue_destroy(blocked);
  hsa_queue_destroy(free);
}

TEST_F(RocrQueue, idle_queue_costs_no_cpu) {
  hsa_queue_t* queue = make_queue();
  ASSERT_NE(queue, nullptr);
  const hsa_signal_t done = make_signal(1);
  submit_barrier(queue, {0}, done);
  EXPECT_EQ(wait_for_zero(done, HSA_WAIT_STATE_BLOCKED), 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const std::clock_t before = std::clock();
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  EXPECT_LT(static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC, 0.05);
  hsa_signal_destroy(done);
  EXPECT_EQ(hsa_queue_destroy(queue), HSA_STATUS_SUCCESS);
}

TEST_F(RocrQueue, many_queues_come_and_go) {
  for (int round = 0; round < 3; ++round) {
    std::vector<hsa_queue_t*> queues;
    for (int i = 0; i < 24; ++i) {
      hsa_queue_t* queue = make_queue(64);
      ASSERT_NE(queue, nullptr) << i;
      queues.push_back(queue);
    }
    std::vector<hsa_signal_t> done;
    for (hsa_queue_t* queue : queues) {
      done.push_back(make_signal(1));
      submit_barrier(queue, {0}, done.back());
    }
    for (const hsa_signal_t signal : done) {
      EXPECT_EQ(wait_for_zero(signal, HSA_WAIT_STATE_BLOCKED), 0);
      hsa_signal_destroy(signal);
    }
    for (hsa_queue_t* queue : queues)
      EXPECT_EQ(hsa_queue_destroy(queue), HSA_STATUS_SUCCESS);
  }
}

// SDMA queues: ROCr copies between host and device memory with them.
TEST_F(RocrQueue, copies_through_device_memory) {
  hsa_amd_memory_pool_t device_pool{};
  auto find_pool = [](hsa_amd_memory_pool_t pool, void* out) {
    hsa_amd_segment_t segment{};
    bool allocatable = false;
    hsa_amd_memory_pool_get_info(pool, HSA_AMD_MEMORY_POOL_INFO_SEGMENT, &segment);
    hsa_amd_memory_pool_get_info(pool, HSA_AMD_MEMORY_POOL_INFO_RUNTIME_ALLOC_ALLOWED, &allocatable);
    if (segment == HSA_AMD_SEGMENT_GLOBAL && allocatable) {
      *static_cast<hsa_amd_memory_pool_t*>(out) = pool;
      return HSA_STATUS_INFO_BREAK;
    }
    return HSA_STATUS_SUCCESS;
  };
  hsa_amd_agent_iterate_memory_pools(gpu_, find_pool, &device_pool);
  ASSERT_NE(device_pool.handle, 0u);

  constexpr std::size_t size = 1 << 20;
  void* device = nullptr;
  ASSERT_EQ(hsa_amd_memory_pool_allocate(device_pool, size, 0, &device), HSA_STATUS_SUCCESS);
  std::vector<std::uint32_t> source(size / 4), back(size / 4);
  for (std::size_t i = 0; i < source.size(); ++i)
    source[i] = static_cast<std::uint32_t>(i * 2654435761u);
  void* locked_source = nullptr;
  void* locked_back = nullptr;
  ASSERT_EQ(hsa_amd_memory_lock(source.data(), size, &gpu_, 1, &locked_source), HSA_STATUS_SUCCESS);
  ASSERT_EQ(hsa_amd_memory_lock(back.data(), size, &gpu_, 1, &locked_back), HSA_STATUS_SUCCESS);
  const hsa_signal_t up = make_signal(1);
  const hsa_signal_t down = make_signal(1);
  ASSERT_EQ(hsa_amd_memory_async_copy(device, gpu_, locked_source, cpu_, size, 0, nullptr, up),
            HSA_STATUS_SUCCESS);
  ASSERT_EQ(hsa_amd_memory_async_copy(locked_back, cpu_, device, gpu_, size, 1, &up, down),
            HSA_STATUS_SUCCESS);
  EXPECT_EQ(wait_for_zero(down, HSA_WAIT_STATE_BLOCKED), 0);
  EXPECT_EQ(std::memcmp(source.data(), back.data(), size), 0);
  hsa_amd_memory_unlock(source.data());
  hsa_amd_memory_unlock(back.data());
  hsa_signal_destroy(up);
  hsa_signal_destroy(down);
  EXPECT_EQ(hsa_amd_memory_pool_free(device), HSA_STATUS_SUCCESS);
}

} // namespace
