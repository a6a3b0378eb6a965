// Debian's ROCr on the emulated kernel and engines: its own start, queues, packets, signals and waits.
#include "rocr_client.hpp"

#include <atomic>
#include <chrono>
#include <cstring>
#include <ctime>
#include <thread>
#include <vector>

namespace {

class RocrQueue : public rocr_client::RocrTest {};

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
  constexpr std::size_t size = 1 << 20;
  void* device = nullptr;
  ASSERT_EQ(hsa_amd_memory_pool_allocate(device_pool_, size, 0, &device), HSA_STATUS_SUCCESS);
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
