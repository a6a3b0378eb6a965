#include "machine.hpp"

using namespace test;
using emu::gpu::FaultKind;

namespace {

using Words = std::vector<std::uint32_t>;

std::uint32_t low(const void* p) {
  return static_cast<std::uint32_t>(va(p));
}
std::uint32_t high(const void* p) {
  return static_cast<std::uint32_t>(va(p) >> 32);
}

class sdma : public testing::Test {
public:
  Machine machine;
  std::optional<Fault> submit(const Words& words) {
    const std::vector<emu::gpu::IndirectBuffer> ibs{
        {machine.code(words), static_cast<std::uint32_t>(words.size()), 0}};
    return machine.gpu.submit({emu::gpu::Ring::dma, machine.space, {}, ibs}, stop);
  }
  std::atomic<bool> stop{false};
};

TEST_F(sdma, linear_copy_moves_bytes) {
  auto* m = machine.allocate<std::uint8_t>(4096);
  for (int i = 0; i < 100; ++i)
    m[i] = static_cast<std::uint8_t>(i);
  ASSERT_FALSE(submit({1, 99 - 1, 0, low(m + 1), high(m + 1), low(m + 1001), high(m + 1001)}));
  EXPECT_EQ(std::memcmp(m + 1, m + 1001, 99), 0);
  EXPECT_EQ(m[1100], 0);
}

// The count has 30 bits from gfx10.3 on.
TEST_F(sdma, one_packet_copies_more_than_4_mib) {
  constexpr std::uint32_t size = (4 << 20) + 12;
  auto* from = machine.allocate<std::uint8_t>(size);
  auto* to = machine.allocate<std::uint8_t>(size);
  for (std::uint32_t i = 0; i < size; ++i)
    from[i] = static_cast<std::uint8_t>(i * 5 + i / 256);
  ASSERT_FALSE(submit({1, size - 1, 0, low(from), high(from), low(to), high(to)}));
  EXPECT_EQ(std::memcmp(from, to, size), 0);
}

TEST_F(sdma, copies_across_mappings_that_are_not_contiguous_in_host_memory) {
  auto* a = machine.allocate<std::uint8_t>(4096);
  machine.allocate<std::uint8_t>(4096);
  auto* b = machine.allocate<std::uint8_t>(4096);
  constexpr std::uint64_t alias = 0x7000'0000'0000 >> 4;
  machine.space->map(alias, 4096, reinterpret_cast<std::byte*>(b), {});
  machine.space->map(alias + 4096, 4096, reinterpret_cast<std::byte*>(a), {});
  a[0] = 1;
  b[4095] = 2;
  auto* to = machine.allocate<std::uint8_t>(2);
  ASSERT_FALSE(submit({1, 1, 0, static_cast<std::uint32_t>(alias + 4095),
                       static_cast<std::uint32_t>(alias >> 32), low(to), high(to)}));
  EXPECT_EQ(to[0], 2);
  EXPECT_EQ(to[1], 1);
}

TEST_F(sdma, a_huge_sub_window_copy_can_be_stopped) {
  auto* m = machine.allocate<std::uint8_t>(1 << 20);
  std::thread stopper([&] {
    std::this_thread::sleep_for(10ms);
    stop = true;
  });
  // Pitch and slice of one byte: 2^27 rows of 256 bytes, all within the megabyte.
  const auto fault = submit(
      {1 | 4 << 8, low(m), high(m), 0, 0, 0, low(m + 4096), high(m), 0, 0, 0, 255 | 0x3fffu << 16, 0x1fff});
  stopper.join();
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->kind, FaultKind::stopped);
}

TEST_F(sdma, sub_window_copy_moves_a_box) {
  auto* from = machine.allocate<std::uint32_t>(16 * 16);
  auto* to = machine.allocate<std::uint32_t>(32 * 32);
  for (std::uint32_t i = 0; i < 256; ++i)
    from[i] = i;
  // 4-byte elements; source pitch 16, (3, 2); destination pitch 32, (5, 7); 4 by 3.
  ASSERT_FALSE(submit({1 | 4 << 8 | 2u << 29, low(from), high(from), 3 | 2 << 16, 15 << 13, 255, low(to),
                       high(to), 5 | 7 << 16, 31 << 13, 1023, 3 | 2 << 16, 0}));
  EXPECT_EQ(to[7 * 32 + 5], 2u * 16 + 3);
  EXPECT_EQ(to[9 * 32 + 8], 4u * 16 + 6);
  EXPECT_EQ(to[9 * 32 + 9], 0u);
  EXPECT_EQ(to[10 * 32 + 5], 0u);
}

TEST_F(sdma, write_fill_fence_timestamp_atomic) {
  auto* m = machine.allocate<std::uint32_t>(64);
  Words words{2, low(m), high(m), 1, 11, 22}; // write two dwords
  for (std::uint32_t word : Words{11 | 2u << 30,
                                  low(m + 4),
                                  high(m + 4),
                                  0x55,
                                  (4 - 1) * 4, // fill four dwords
                                  5,
                                  low(m + 16),
                                  high(m + 16),
                                  77, // fence
                                  13 | 2 << 8,
                                  low(m + 18),
                                  high(m + 18), // time stamp
                                  10 | 0x4fu << 25,
                                  low(m),
                                  high(m),
                                  4,
                                  0,
                                  0,
                                  0,
                                  0, // atomic add
                                  17 | 1 << 8,
                                  0,
                                  0,
                                  0,
                                  0,
                                  0}) // cache control, then a NOP
    words.push_back(word);
  const std::uint64_t before = emu::gpu::gpu_clock();
  ASSERT_FALSE(submit(words));
  EXPECT_EQ(m[0], 15u);
  EXPECT_EQ(m[1], 22u);
  EXPECT_EQ(m[4], 0x55u);
  EXPECT_EQ(m[7], 0x55u);
  EXPECT_EQ(m[8], 0u);
  EXPECT_EQ(m[16], 77u);
  EXPECT_GE(*reinterpret_cast<std::uint64_t*>(m + 18), before);
}

TEST_F(sdma, poll_waits_for_memory) {
  auto* m = machine.allocate<std::uint32_t>(2);
  std::thread writer([&] {
    std::this_thread::sleep_for(5ms);
    EXPECT_EQ(peek(m + 1), 0u);
    poke(m, 3);
  });
  EXPECT_FALSE(submit(
      {8 | 3u << 28 | 1u << 31, low(m), high(m), 3, ~0u, 4 | 0xfff << 16, 5, low(m + 1), high(m + 1), 1}));
  writer.join();
  EXPECT_EQ(m[1], 1u);
}

TEST_F(sdma, unknown_or_refused_packets_are_faults) {
  const Words bad[] = {{3},
                       {7, 0, 0},                    // semaphore
                       {12, 0, 0, 0, 0, 0, 0, 0, 0}, // page tables
                       {14, 0, 0},                   // SRBM write
                       {1 | 1 << 8, 0, 0, 0, 0, 0, 0},
                       {0xff},
                       {1, 0, 0}, // truncated
                       {1, 1u << 30, 0, 0, 0, 0, 0},
                       {11 | 2u << 30, 0, 0, 0, 1u << 22},
                       {10 | 0x7fu << 25, 0, 0, 0, 0, 0, 0, 0}};
  for (const Words& words : bad) {
    const auto fault = submit(words);
    ASSERT_TRUE(fault) << words[0];
    EXPECT_EQ(fault->kind, FaultKind::illegal_packet) << words[0];
  }
  const auto fault = submit({5, 0x2000, 0, 1});
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->kind, FaultKind::page_fault);
  EXPECT_EQ(fault->page.address, 0x2000u);
}

TEST_F(sdma, user_queue_counts_bytes_and_traps) {
  constexpr std::uint32_t ring_bytes = 4096;
  auto* ring = machine.allocate<std::uint32_t>(ring_bytes / 4);
  auto* pointers = machine.allocate<std::uint64_t>(2);
  auto* m = machine.allocate<std::uint32_t>();
  const std::size_t doorbell = machine.take_doorbell();
  emu::gpu::QueueDescription d;
  d.type = emu::gpu::QueueType::sdma;
  d.space = machine.space;
  d.ring = va(ring);
  d.ring_size = ring_bytes;
  d.rptr = va(pointers);
  d.wptr = va(pointers + 1);
  d.doorbell = machine.doorbell_alias + doorbell;
  const auto id = machine.gpu.create_queue(d);
  std::uint64_t wptr = 0;
  for (std::uint32_t round = 0; round < 400; ++round) {
    for (std::uint32_t word : Words{5, low(m), high(m), round, 6, round})
      ring[wptr++ % (ring_bytes / 4)] = word;
    poke(pointers + 1, wptr * 4);
    poke(machine.doorbells + doorbell, wptr * 4);
    ASSERT_TRUE(eventually([&] { return peek(pointers) == wptr * 4; }));
    ASSERT_EQ(peek(m), round);
  }
  EXPECT_TRUE(eventually([&] { return machine.interrupts().size() == 400; }));
  EXPECT_EQ(machine.interrupts()[399].source, Interrupt::Source::sdma_trap);
  EXPECT_EQ(machine.interrupts()[399].context_id, 399u);
  EXPECT_TRUE(machine.gpu.destroy_queue(id));
}

} // namespace
