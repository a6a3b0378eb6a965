// Debian's ROCr: signals and every kind of AQL packet, with a code object that clang built.
#include "rocr_client.hpp"

#include <atomic>
#include <chrono>
#include <thread>

namespace {

using namespace rocr_client;
using std::chrono::milliseconds;

class RocrSignals : public RocrTest {};
class RocrPackets : public RocrTest {
protected:
  // What a blocked packet has not done after a while.
  static void expect_blocked(hsa_signal_t completion) {
    std::this_thread::sleep_for(milliseconds(20));
    EXPECT_EQ(hsa_signal_load_scacquire(completion), 1);
  }
};

TEST_F(RocrSignals, arithmetic_and_exchange) {
  const hsa_signal_t signal = make_signal(10);
  hsa_signal_add_screlease(signal, 5);
  EXPECT_EQ(hsa_signal_load_scacquire(signal), 15);
  hsa_signal_subtract_screlease(signal, 3);
  EXPECT_EQ(hsa_signal_load_scacquire(signal), 12);
  hsa_signal_and_screlease(signal, 6);
  EXPECT_EQ(hsa_signal_load_scacquire(signal), 4);
  hsa_signal_or_screlease(signal, 3);
  EXPECT_EQ(hsa_signal_load_scacquire(signal), 7);
  hsa_signal_xor_screlease(signal, 2);
  EXPECT_EQ(hsa_signal_exchange_scacq_screl(signal, 100), 5);
  EXPECT_EQ(hsa_signal_cas_scacq_screl(signal, 99, 1), 100);
  EXPECT_EQ(hsa_signal_cas_scacq_screl(signal, 100, 1), 100);
  EXPECT_EQ(hsa_signal_load_scacquire(signal), 1);
  hsa_signal_destroy(signal);
}

// Every condition, spinning and blocked, and one that is not met in time.
TEST_F(RocrSignals, waits_end_by_condition_or_time) {
  struct Case {
    hsa_signal_condition_t condition;
    hsa_signal_value_t compared, before, after;
  };
  const Case cases[] = {{HSA_SIGNAL_CONDITION_EQ, 4, 3, 4},
                        {HSA_SIGNAL_CONDITION_NE, 4, 4, 5},
                        {HSA_SIGNAL_CONDITION_LT, 4, 4, -3},
                        {HSA_SIGNAL_CONDITION_GTE, 4, -1, 4}};
  for (const hsa_wait_state_t how : {HSA_WAIT_STATE_ACTIVE, HSA_WAIT_STATE_BLOCKED})
    for (const Case& c : cases) {
      const hsa_signal_t signal = make_signal(c.before);
      constexpr std::uint64_t short_time = 2'000'000;
      EXPECT_EQ(hsa_signal_wait_scacquire(signal, c.condition, c.compared, short_time, how), c.before);
      std::thread storer([&] {
        std::this_thread::sleep_for(milliseconds(5));
        hsa_signal_store_screlease(signal, c.after);
      });
      EXPECT_EQ(hsa_signal_wait_scacquire(signal, c.condition, c.compared, patience_ns, how), c.after);
      storer.join();
      hsa_signal_destroy(signal);
    }
}

TEST_F(RocrSignals, wait_any_names_the_satisfied_one) {
  hsa_signal_t signals[3] = {make_signal(1), make_signal(1), make_signal(1)};
  hsa_signal_condition_t conditions[3] = {HSA_SIGNAL_CONDITION_EQ, HSA_SIGNAL_CONDITION_EQ,
                                          HSA_SIGNAL_CONDITION_EQ};
  hsa_signal_value_t values[3] = {0, 0, 0};
  hsa_queue_t* queue = make_queue();
  submit_barrier(queue, {0}, signals[1]);
  hsa_signal_value_t seen = -1;
  EXPECT_EQ(
      hsa_amd_signal_wait_any(3, signals, conditions, values, patience_ns, HSA_WAIT_STATE_BLOCKED, &seen),
      1u);
  EXPECT_EQ(seen, 0);
  for (const hsa_signal_t signal : signals)
    hsa_signal_destroy(signal);
  hsa_queue_destroy(queue);
}

TEST_F(RocrSignals, handler_is_called_for_every_completion_it_asks_for) {
  struct Record {
    std::atomic<int> calls{0};
    hsa_signal_t signal{};
  } record;
  record.signal = make_signal(1);
  const auto handler = [](hsa_signal_value_t value, void* data) {
    auto* r = static_cast<Record*>(data);
    EXPECT_EQ(value, 0);
    if (++r->calls == 3)
      return false;
    hsa_signal_store_screlease(r->signal, 1);
    return true;
  };
  ASSERT_EQ(hsa_amd_signal_async_handler(record.signal, HSA_SIGNAL_CONDITION_EQ, 0, handler, &record),
            HSA_STATUS_SUCCESS);
  hsa_queue_t* queue = make_queue();
  for (int call = 1; call <= 3; ++call) {
    submit_barrier(queue, {0}, record.signal);
    for (int i = 0;
         i < 2000 && (record.calls < call || hsa_signal_load_scacquire(record.signal) != (call < 3)); ++i)
      std::this_thread::sleep_for(milliseconds(1));
    ASSERT_EQ(record.calls, call);
  }
  hsa_queue_destroy(queue);
  hsa_signal_destroy(record.signal);
}

// A signal without an interrupt, that only the GPU and a spinning host read.
TEST_F(RocrSignals, gpu_only_signals_complete) {
  hsa_signal_t signal{};
  ASSERT_EQ(hsa_amd_signal_create(1, 0, nullptr, HSA_AMD_SIGNAL_AMD_GPU_ONLY, &signal), HSA_STATUS_SUCCESS);
  volatile hsa_signal_value_t* value = nullptr;
  ASSERT_EQ(hsa_amd_signal_value_pointer(signal, &value), HSA_STATUS_SUCCESS);
  hsa_queue_t* queue = make_queue();
  submit_barrier(queue, {0}, signal);
  for (int i = 0; i < 10'000 && *value != 0; ++i)
    std::this_thread::sleep_for(milliseconds(1));
  EXPECT_EQ(*value, 0);
  hsa_queue_destroy(queue);
  hsa_signal_destroy(signal);
}

TEST_F(RocrPackets, barrier_and_waits_for_all_its_signals) {
  hsa_queue_t* queue = make_queue();
  std::vector<hsa_signal_t> gates;
  for (int i = 0; i < 5; ++i)
    gates.push_back(make_signal(1));
  const hsa_signal_t done = make_signal(1);
  submit_barrier(queue, HSA_PACKET_TYPE_BARRIER_AND, gates, done);
  for (const hsa_signal_t gate : gates) {
    expect_blocked(done);
    hsa_signal_store_screlease(gate, 0);
  }
  EXPECT_EQ(wait_for_zero(done), 0);
  for (const hsa_signal_t gate : gates)
    hsa_signal_destroy(gate);
  hsa_signal_destroy(done);
  hsa_queue_destroy(queue);
}

TEST_F(RocrPackets, barrier_or_waits_for_one_of_its_signals) {
  hsa_queue_t* queue = make_queue();
  const hsa_signal_t first = make_signal(1), second = make_signal(1);
  const hsa_signal_t done = make_signal(1), behind = make_signal(1);
  submit_barrier(queue, HSA_PACKET_TYPE_BARRIER_OR, {first, {0}, second}, done);
  submit_barrier(queue, {0}, behind);
  expect_blocked(done);
  EXPECT_EQ(hsa_signal_load_scacquire(behind), 1);
  hsa_signal_store_screlease(second, 0);
  EXPECT_EQ(wait_for_zero(done), 0);
  EXPECT_EQ(wait_for_zero(behind), 0);
  EXPECT_EQ(hsa_signal_load_scacquire(first), 1);
  for (const hsa_signal_t signal : {first, second, done, behind})
    hsa_signal_destroy(signal);
  hsa_queue_destroy(queue);
}

TEST_F(RocrPackets, barrier_value_compares_what_the_mask_leaves) {
  struct Case {
    hsa_signal_condition_t condition;
    hsa_signal_value_t value, mask, before, after;
  };
  const Case cases[] = {{HSA_SIGNAL_CONDITION_EQ, 0x20, 0xf0, 0x12, 0x2f},
                        {HSA_SIGNAL_CONDITION_NE, 0x20, 0xf0, 0x2f, 0x12},
                        {HSA_SIGNAL_CONDITION_LT, 5, -1, 5, -6},
                        {HSA_SIGNAL_CONDITION_GTE, 5, -1, -6, 5}};
  hsa_queue_t* queue = make_queue();
  for (const Case& c : cases) {
    const hsa_signal_t watched = make_signal(c.before), done = make_signal(1);
    hsa_amd_barrier_value_packet_t packet{};
    packet.header.AmdFormat = HSA_AMD_PACKET_TYPE_BARRIER_VALUE;
    packet.signal = watched;
    packet.value = c.value;
    packet.mask = c.mask;
    packet.cond = c.condition;
    packet.completion_signal = done;
    submit(queue, &packet, header_of(HSA_PACKET_TYPE_VENDOR_SPECIFIC));
    expect_blocked(done);
    hsa_signal_store_screlease(watched, c.after);
    EXPECT_EQ(wait_for_zero(done), 0) << "condition " << c.condition;
    hsa_signal_destroy(watched);
    hsa_signal_destroy(done);
  }
  hsa_queue_destroy(queue);
}

TEST_F(RocrPackets, dispatches_run_in_order_in_device_memory) {
  constexpr std::uint32_t n = 1000, rounds = 10;
  const Program program(gpu_);
  const Kernel add = program.kernel("add_index");
  hsa_queue_t* queue = make_queue();
  auto* data = allocate<std::uint32_t>(device_pool_, n);
  for (std::uint32_t i = 0; i < n; ++i)
    data[i] = 7 * i; // the whole VRAM is visible to the host
  struct {
    std::uint32_t* data;
    std::uint32_t n;
  } arguments = {data, n - 3};
  const hsa_signal_t done = make_signal(rounds);
  for (std::uint32_t round = 0; round < rounds; ++round)
    dispatch(queue, add, {{1024, 1, 1}, {64, 1, 1}}, arguments, done);
  EXPECT_EQ(wait_for_zero(done), 0);
  for (std::uint32_t i = 0; i < n; ++i)
    ASSERT_EQ(data[i], i < n - 3 ? (7 + rounds) * i : 7 * i) << i;
  hsa_signal_destroy(done);
  hsa_queue_destroy(queue);
}

TEST_F(RocrPackets, grids_need_not_be_multiples_of_workgroups) {
  constexpr std::uint32_t width = 19, height = 10, depth = 5;
  const Program program(gpu_);
  hsa_queue_t* queue = make_queue();
  auto* data = allocate<std::uint32_t>(fine_pool_, width * height * depth + 64);
  std::memset(data, 0, (width * height * depth + 64) * 4);
  struct {
    std::uint32_t* data;
    std::uint32_t width, height;
  } arguments = {data, width, height};
  const hsa_signal_t done = make_signal(1);
  dispatch(queue, program.kernel("mark_ids"), {{width, height, depth}, {8, 4, 2}}, arguments, done);
  EXPECT_EQ(wait_for_zero(done), 0);
  for (std::uint32_t z = 0; z < depth; ++z)
    for (std::uint32_t y = 0; y < height; ++y)
      for (std::uint32_t x = 0; x < width; ++x)
        ASSERT_EQ(data[(z * height + y) * width + x], 1 + x + 256 * y + 65536 * z);
  for (std::uint32_t i = 0; i < 64; ++i)
    EXPECT_EQ(data[width * height * depth + i], 0u);
  hsa_signal_destroy(done);
  hsa_queue_destroy(queue);
}

TEST_F(RocrPackets, variables_lds_and_scratch_work) {
  const Program program(gpu_);
  hsa_queue_t* queue = make_queue();
  const hsa_signal_t done = make_signal(3);
  auto* out = allocate<std::uint32_t>(fine_pool_, 3);
  out[2] = 2;
  dispatch(queue, program.kernel("use_variables"), {}, out, done);

  auto* lds = allocate<std::uint32_t>(fine_pool_, 256);
  for (std::uint32_t i = 0; i < 256; ++i)
    lds[i] = i * i;
  const Kernel reverse = program.kernel("reverse_in_lds");
  EXPECT_EQ(reverse.group_size, 1024u);
  dispatch(queue, reverse, {{256, 1, 1}, {256, 1, 1}}, lds, done);

  constexpr std::uint32_t items = 640;
  auto* sorted = allocate<std::uint32_t>(fine_pool_, items * 64);
  for (std::uint32_t i = 0; i < items * 64; ++i)
    sorted[i] = (i % 64 * 37 + i / 64) % 64; // a permutation for each work-item
  const Kernel sort = program.kernel("sort_privately");
  EXPECT_GE(sort.private_size, 256u);
  dispatch(queue, sort, {{items, 1, 1}, {64, 1, 1}}, sorted, done);

  EXPECT_EQ(wait_for_zero(done), 0);
  EXPECT_EQ(out[0], 5u);
  EXPECT_EQ(out[1], 33u);
  std::uint32_t counter = 0;
  ASSERT_EQ(hsa_memory_copy(&counter, program.variable("counter"), sizeof counter), HSA_STATUS_SUCCESS);
  EXPECT_EQ(counter, 105u);
  for (std::uint32_t i = 0; i < 256; ++i)
    ASSERT_EQ(lds[i], (255 - i) * (255 - i)) << i;
  for (std::uint32_t i = 0; i < items * 64; ++i)
    ASSERT_EQ((sorted[i] * 37 + i / 64) % 64, i % 64) << i;
  hsa_signal_destroy(done);
  hsa_queue_destroy(queue);
}

// A hundred queues, each with a blocked one's work behind a barrier: whatever the card holds at a time, all
// go on.
TEST_F(RocrPackets, more_queues_than_the_card_has_all_go_on) {
  constexpr std::uint32_t count = 100;
  const Program program(gpu_);
  const Kernel add = program.kernel("add_index");
  const hsa_signal_t gate = make_signal(1), done = make_signal(count);
  auto* data = allocate<std::uint32_t>(fine_pool_, count * 64);
  std::memset(data, 0, count * 64 * 4);
  std::vector<hsa_queue_t*> queues;
  for (std::uint32_t i = 0; i < count; ++i) {
    queues.push_back(make_queue(64));
    ASSERT_NE(queues.back(), nullptr) << i;
    struct {
      std::uint32_t* data;
      std::uint32_t n;
    } arguments = {data + i * 64, 64};
    if (i != count - 1)
      submit_barrier(queues.back(), gate, {0});
    dispatch(queues.back(), add, {{64, 1, 1}, {64, 1, 1}}, arguments, done);
  }
  EXPECT_EQ(
      hsa_signal_wait_scacquire(done, HSA_SIGNAL_CONDITION_LT, count, patience_ns, HSA_WAIT_STATE_BLOCKED),
      count - 1);
  hsa_signal_store_screlease(gate, 0);
  EXPECT_EQ(wait_for_zero(done), 0);
  for (std::uint32_t i = 0; i < count * 64; ++i)
    ASSERT_EQ(data[i], i % 64) << i;
  for (hsa_queue_t* queue : queues)
    EXPECT_EQ(hsa_queue_destroy(queue), HSA_STATUS_SUCCESS);
  hsa_signal_destroy(gate);
  hsa_signal_destroy(done);
}

// Fine-grained memory: the kernel sees the host's store while it runs, and holds up no other queue.
TEST_F(RocrPackets, kernel_and_host_talk_through_memory) {
  const Program program(gpu_);
  hsa_queue_t* waiting = make_queue();
  hsa_queue_t* other = make_queue();
  auto* flag = allocate<std::uint32_t>(fine_pool_, 2);
  flag[0] = flag[1] = 0;
  struct {
    std::uint32_t *flag, *out;
  } arguments = {flag, flag + 1};
  const hsa_signal_t done = make_signal(1), free = make_signal(1);
  dispatch(waiting, program.kernel("wait_for_host"), {}, arguments, done);
  submit_barrier(other, {0}, free);
  EXPECT_EQ(wait_for_zero(free), 0);
  expect_blocked(done);
  __atomic_store_n(flag, 1, __ATOMIC_RELEASE);
  EXPECT_EQ(wait_for_zero(done), 0);
  EXPECT_EQ(flag[1], 77u);
  for (const hsa_signal_t signal : {done, free})
    hsa_signal_destroy(signal);
  hsa_queue_destroy(waiting);
  hsa_queue_destroy(other);
}

// A dispatch's time lies between the host's readings of the same clock around it.
TEST_F(RocrPackets, profiling_times_are_in_the_systems_domain) {
  const Program program(gpu_);
  hsa_queue_t* queue = make_queue();
  ASSERT_EQ(hsa_amd_profiling_set_profiler_enabled(queue, 1), HSA_STATUS_SUCCESS);
  auto* data = allocate<std::uint32_t>(fine_pool_, 64);
  struct {
    std::uint32_t* data;
    std::uint32_t n;
  } arguments = {data, 64};
  std::uint64_t frequency = 0, before = 0, after = 0, last_end = 0;
  hsa_system_get_info(HSA_SYSTEM_INFO_TIMESTAMP_FREQUENCY, &frequency);
  const std::uint64_t slack = frequency / 1000; // ROCr interpolates between two readings of both clocks
  for (int round = 0; round < 3; ++round) {
    const hsa_signal_t done = make_signal(1);
    hsa_system_get_info(HSA_SYSTEM_INFO_TIMESTAMP, &before);
    dispatch(queue, program.kernel("add_index"), {{64, 1, 1}, {64, 1, 1}}, arguments, done);
    EXPECT_EQ(wait_for_zero(done), 0);
    hsa_system_get_info(HSA_SYSTEM_INFO_TIMESTAMP, &after);
    hsa_amd_profiling_dispatch_time_t time{};
    ASSERT_EQ(hsa_amd_profiling_get_dispatch_time(gpu_, done, &time), HSA_STATUS_SUCCESS);
    EXPECT_GE(time.start + slack, before);
    EXPECT_LE(time.start, time.end);
    EXPECT_LE(time.end, after + slack);
    EXPECT_LT(last_end, time.end);
    last_end = time.end;
    hsa_signal_destroy(done);
  }
  hsa_queue_destroy(queue);
}

TEST_F(RocrPackets, queue_properties_can_be_changed) {
  hsa_queue_t* queue = make_queue();
  for (const hsa_amd_queue_priority_t priority :
       {HSA_AMD_QUEUE_PRIORITY_LOW, HSA_AMD_QUEUE_PRIORITY_HIGH, HSA_AMD_QUEUE_PRIORITY_NORMAL})
    EXPECT_EQ(hsa_amd_queue_set_priority(queue, priority), HSA_STATUS_SUCCESS);
  const std::uint32_t mask[3] = {0xffff, 0, 0};
  std::uint32_t read[3] = {};
  EXPECT_EQ(hsa_amd_queue_cu_set_mask(queue, 96, mask), HSA_STATUS_SUCCESS);
  EXPECT_EQ(hsa_amd_queue_cu_get_mask(queue, 96, read), HSA_STATUS_SUCCESS);
  EXPECT_EQ(read[0], 0xffffu);
  EXPECT_EQ(read[1], 0u);
  const hsa_signal_t done = make_signal(1);
  submit_barrier(queue, {0}, done);
  EXPECT_EQ(wait_for_zero(done), 0);
  hsa_signal_destroy(done);
  EXPECT_EQ(hsa_queue_inactivate(queue), HSA_STATUS_SUCCESS);
  EXPECT_EQ(hsa_queue_destroy(queue), HSA_STATUS_SUCCESS);
}

} // namespace
