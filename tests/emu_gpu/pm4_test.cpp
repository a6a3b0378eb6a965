#include "kernels.hpp"
#include "machine.hpp"

using namespace test;
using emu::gpu::FaultKind;
using emu::gpu::Ring;

namespace {

using Words = std::vector<std::uint32_t>;

constexpr std::uint32_t pkt3(std::uint32_t opcode, std::size_t payload) {
  return 3u << 30 | static_cast<std::uint32_t>(payload - 1) << 16 | opcode << 8;
}
std::uint32_t low(const void* p) {
  return static_cast<std::uint32_t>(va(p));
}
std::uint32_t high(const void* p) {
  return static_cast<std::uint32_t>(va(p) >> 32);
}

// Builds an IB packet by packet.
struct Ib {
  Words words;
  Ib& packet(std::uint32_t opcode, const Words& payload) {
    words.push_back(pkt3(opcode, payload.size()));
    words.insert(words.end(), payload.begin(), payload.end());
    return *this;
  }
  Ib& sh(std::uint32_t byte_offset, Words values) {
    values.insert(values.begin(), (byte_offset - 0xb000) / 4);
    return packet(0x76, values);
  }
  Ib& write(const void* to, std::uint32_t value) {
    return packet(0x37, {5 << 8 | 1 << 20, low(to), high(to), value});
  }
};

class pm4 : public testing::TestWithParam<Ring> {
public:
  Machine machine;
  std::optional<Fault> submit(const std::vector<Words>& ibs) {
    std::vector<emu::gpu::IndirectBuffer> list;
    for (const Words& words : ibs)
      list.push_back({machine.code(words), static_cast<std::uint32_t>(words.size()), 0});
    return machine.gpu.submit({GetParam(), machine.space, emu::gpu::drm_apertures, list}, stop);
  }
  std::optional<Fault> submit(const Ib& ib) { return submit(std::vector<Words>{ib.words}); }
  std::atomic<bool> stop{false};
};

Ib dispatch_ib(Machine& machine, const std::uint32_t* out) {
  const std::uint64_t code = machine.code(kernels::store_ids_direct);
  Ib ib;
  ib.sh(0xb830, {static_cast<std::uint32_t>(code >> 8), static_cast<std::uint32_t>(code >> 40)})
      .sh(0xb848, {2 | 1u << 30, 2 << 1 | 1 << 7})
      .sh(0xb81c, {64, 1, 1})
      .sh(0xb900, {low(out), high(out)});
  return ib;
}

constexpr std::uint32_t initiator_enable = 1, initiator_partial = 2, initiator_from_zero = 4,
                        initiator_thread_dimensions = 1 << 5, initiator_wave32 = 1 << 15;

TEST_P(pm4, write_data_copy_data_and_release_mem_reach_memory) {
  auto* m = machine.allocate<std::uint32_t>(64);
  auto* clock = reinterpret_cast<std::uint64_t*>(m + 16);
  Ib ib;
  ib.write(m, 0x1234)
      .packet(0x40, {1 | 5 << 8, low(m), high(m), low(m + 1), high(m + 1)})          // memory to memory
      .packet(0x40, {5 | 5 << 8 | 1 << 16, 0xaaaa, 0xbbbb, low(m + 2), high(m + 2)}) // immediate, 64 bits
      .packet(0x40, {9 | 5 << 8 | 1 << 16, 0, 0, low(clock), high(clock)})
      .packet(0x49, {0x14 | 5 << 8, 2u << 29 | 3 << 24, low(m + 4), high(m + 4), 7, 8, 0})
      .packet(0x49, {0x14 | 5 << 8, 3u << 29, low(clock + 1), high(clock + 1), 0, 0, 0});
  const std::uint64_t before = emu::gpu::gpu_clock();
  ASSERT_FALSE(submit(ib));
  EXPECT_EQ(m[1], 0x1234u);
  EXPECT_EQ(m[2], 0xaaaau);
  EXPECT_EQ(m[3], 0xbbbbu);
  EXPECT_EQ(m[4], 7u);
  EXPECT_EQ(m[5], 8u);
  EXPECT_GE(clock[0], before);
  EXPECT_GE(clock[1], clock[0]);
}

TEST_P(pm4, dispatch_direct_runs_the_grid) {
  auto* out = machine.allocate<std::uint32_t>(64 * 4);
  Ib ib = dispatch_ib(machine, out);
  ib.packet(0x15, {4, 1, 1, initiator_enable | initiator_from_zero | initiator_wave32});
  ASSERT_FALSE(submit(ib));
  for (std::uint32_t i = 0; i < 64 * 4; ++i)
    ASSERT_EQ(out[i], i);
}

TEST_P(pm4, dispatch_starts_at_the_start_registers_and_ends_at_the_packets_dimensions) {
  auto* out = machine.allocate<std::uint32_t>(64 * 4);
  std::memset(out, 0xff, 64 * 4 * 4);
  Ib ib = dispatch_ib(machine, out);
  ib.sh(0xb810, {2, 0, 0}).packet(0x15, {3, 1, 1, initiator_enable | initiator_wave32});
  ASSERT_FALSE(submit(ib));
  EXPECT_EQ(out[127], ~0u);
  EXPECT_EQ(out[128], 128u);
  EXPECT_EQ(out[191], 191u);
  EXPECT_EQ(out[192], ~0u);
}

TEST_P(pm4, partial_and_thread_dimensioned_dispatches_clip_the_last_workgroup) {
  for (bool thread_dimensions : {false, true}) {
    auto* out = machine.allocate<std::uint32_t>(64 * 2);
    std::memset(out, 0xff, 64 * 2 * 4);
    Ib ib = dispatch_ib(machine, out);
    if (thread_dimensions)
      ib.packet(0x15,
                {70, 1, 1,
                 initiator_enable | initiator_from_zero | initiator_wave32 | initiator_thread_dimensions});
    else
      ib.sh(0xb81c, {64 | 6 << 16, 1 | 1 << 16, 1 | 1 << 16})
          .packet(0x15,
                  {2, 1, 1, initiator_enable | initiator_from_zero | initiator_wave32 | initiator_partial});
    ASSERT_FALSE(submit(ib));
    EXPECT_EQ(out[69], 69u);
    EXPECT_EQ(out[70], ~0u);
  }
}

TEST_P(pm4, dispatch_indirect_reads_its_dimensions_from_memory) {
  auto* out = machine.allocate<std::uint32_t>(64 * 2);
  auto* dimensions = machine.allocate<std::uint32_t>(4);
  dimensions[1] = 2;
  dimensions[2] = dimensions[3] = 1;
  const std::uint32_t initiator = initiator_enable | initiator_from_zero | initiator_wave32;
  Ib ib = dispatch_ib(machine, out);
  if (GetParam() == Ring::compute)
    ib.packet(0x16, {low(dimensions + 1), high(dimensions + 1), initiator});
  else
    ib.packet(0x11, {1, low(dimensions + 1), high(dimensions + 1)}).packet(0x16, {0, initiator});
  ASSERT_FALSE(submit(ib));
  EXPECT_EQ(out[127], 127u);
  if (GetParam() == Ring::compute)
    return;
  std::fill_n(out, 128, 0);
  ib = dispatch_ib(machine, out);
  ib.packet(0x11, {1, low(dimensions), high(dimensions)}).packet(0x16, {4, initiator});
  ASSERT_FALSE(submit(ib));
  EXPECT_EQ(out[127], 127u);
}

TEST_P(pm4, an_empty_dispatch_is_no_error) {
  Ib ib = dispatch_ib(machine, machine.allocate<std::uint32_t>());
  ib.packet(0x15, {0, 1, 1, initiator_enable | initiator_from_zero | initiator_wave32});
  EXPECT_FALSE(submit(ib));
}

TEST_P(pm4, indirect_buffers_nest_and_chain) {
  auto* m = machine.allocate<std::uint32_t>(4);
  Ib last;
  last.write(m + 2, 3);
  const std::uint64_t last_va = machine.code(last.words);
  Ib called;
  called.write(m + 1, 2);
  const std::uint64_t called_va = machine.code(called.words);
  Ib ib;
  ib.write(m, 1)
      .packet(0x3f, {static_cast<std::uint32_t>(called_va), static_cast<std::uint32_t>(called_va >> 32),
                     static_cast<std::uint32_t>(called.words.size()) | 1 << 23})
      .packet(0x3f, {static_cast<std::uint32_t>(last_va), static_cast<std::uint32_t>(last_va >> 32),
                     static_cast<std::uint32_t>(last.words.size()) | 1 << 20 | 1 << 23})
      .write(m + 3, 4); // never reached: the chain has left this IB
  ASSERT_FALSE(submit(ib));
  EXPECT_EQ(m[0], 1u);
  EXPECT_EQ(m[1], 2u);
  EXPECT_EQ(m[2], 3u);
  EXPECT_EQ(m[3], 0u);
}

TEST_P(pm4, wait_reg_mem_waits_for_another_thread) {
  auto* m = machine.allocate<std::uint32_t>(2);
  Ib ib;
  ib.packet(0x3c, {3 | 1 << 4, low(m), high(m), 5, 0xff, 4}).write(m + 1, 1);
  std::thread writer([&] {
    std::this_thread::sleep_for(5ms);
    EXPECT_EQ(peek(m + 1), 0u);
    poke(m, 0x1205);
  });
  EXPECT_FALSE(submit(ib));
  writer.join();
  EXPECT_EQ(m[1], 1u);
}

TEST_P(pm4, stop_flag_ends_a_submission_that_waits_or_spins) {
  auto* m = machine.allocate<std::uint32_t>(2);
  auto* kernarg = machine.allocate<std::uint64_t>();
  *kernarg = va(m);
  Ib waits;
  waits.packet(0x3c, {3 | 1 << 4, low(m), high(m), 5, ~0u, 4});
  const std::uint64_t code = machine.code(kernels::spin_until_flag);
  Ib spins;
  spins.sh(0xb830, {static_cast<std::uint32_t>(code >> 8), static_cast<std::uint32_t>(code >> 40)})
      .sh(0xb848, {2 | 1u << 30, 2 << 1})
      .sh(0xb81c, {1, 1, 1})
      .sh(0xb900, {low(kernarg), high(kernarg)})
      .packet(0x15, {4, 1, 1, initiator_enable | initiator_from_zero | initiator_wave32});
  for (const Ib& ib : {waits, spins}) {
    stop = false;
    std::thread stopper([&] {
      std::this_thread::sleep_for(5ms);
      stop = true;
    });
    const auto fault = submit(ib);
    stopper.join();
    ASSERT_TRUE(fault);
    EXPECT_EQ(fault->kind, FaultKind::stopped);
  }
}

TEST_P(pm4, dma_data_fills_and_copies) {
  auto* m = machine.allocate<std::uint32_t>(64);
  Ib ib;
  ib.packet(0x50, {2u << 29 | 1u << 31, 0xabcd, 0, low(m), high(m), 64})
      .packet(0x50, {3u << 29 | 3 << 20 | 1u << 31, low(m), high(m), low(m + 32), high(m + 32), 12});
  ASSERT_FALSE(submit(ib));
  EXPECT_EQ(m[15], 0xabcdu);
  EXPECT_EQ(m[16], 0u);
  EXPECT_EQ(m[34], 0xabcdu);
  EXPECT_EQ(m[35], 0u);
}

TEST_P(pm4, atomic_mem_operates_and_cond_exec_skips) {
  auto* m = machine.allocate<std::uint32_t>(8);
  m[0] = 10;
  Ib ib;
  ib.packet(0x1e, {0x4f, low(m), high(m), 5, 0, 0, 0, 0})     // add
      .packet(0x1e, {0x48, low(m), high(m), 99, 0, 15, 0, 0}) // compare and swap
      .packet(0x22, {low(m + 1), high(m + 1), 0, 5})          // m[1] is 0: skip the next packet
      .write(m + 2, 1)
      .write(m + 3, 1);
  ASSERT_FALSE(submit(ib));
  EXPECT_EQ(m[0], 99u);
  EXPECT_EQ(m[2], 0u);
  EXPECT_EQ(m[3], 1u);
}

TEST_P(pm4, copy_data_takes_the_last_atomics_result_and_the_clocks) {
  auto* m = machine.allocate<std::uint32_t>(16);
  m[0] = 10;
  const std::uint64_t before = emu::gpu::gpu_clock();
  Ib ib;
  ib.packet(0x1e, {0x0f, low(m), high(m), 5, 0, 0, 0, 0})
      .packet(0x40, {6 | 5 << 8, 0, 0, low(m + 1), high(m + 1)});
  auto* clocks = reinterpret_cast<std::uint64_t*>(m + 4);
  for (const std::uint32_t clock : {0u, 1u})
    ib.packet(0x40, {(9 + clock) | 5 << 8 | 1 << 16, 0, 0, low(clocks + clock), high(clocks)});
  ASSERT_FALSE(submit(ib));
  EXPECT_EQ(m[0], 15u);
  EXPECT_EQ(m[1], 10u);
  EXPECT_GE(clocks[0], before);
  EXPECT_GE(clocks[1], clocks[0]);
}

TEST_P(pm4, pipeline_statistics_count_compute_invocations) {
  auto* out = machine.allocate<std::uint32_t>(64 * 4);
  auto* samples = machine.allocate<std::uint64_t>(22);
  Ib ib = dispatch_ib(machine, out);
  ib.packet(0x46, {0x1e | 2 << 8, low(samples), high(samples)})
      .packet(0x15, {3, 1, 1, initiator_enable | initiator_from_zero | initiator_wave32})
      .packet(0x46, {0x1e | 2 << 8, low(samples + 11), high(samples + 11)});
  ASSERT_FALSE(submit(ib));
  // The graphics ring writes eleven counters, the compute rings their own.
  const int last = GetParam() == Ring::compute ? 0 : 10;
  EXPECT_EQ(samples[11 + last] - samples[last], 3u * 64);
  for (int i = 0; i < 11; ++i)
    EXPECT_TRUE(i == last || samples[i] == 0) << i;
}

TEST_P(pm4, rewind_waits_until_it_is_valid) {
  auto* m = machine.allocate<std::uint32_t>(2);
  Ib ib;
  ib.packet(0x59, {0}).write(m, 1);
  const std::uint64_t address = machine.code(ib.words);
  const std::vector<emu::gpu::IndirectBuffer> ibs{{address, static_cast<std::uint32_t>(ib.words.size()), 0}};
  std::thread writer([&] {
    std::this_thread::sleep_for(5ms);
    EXPECT_EQ(peek(m), 0u);
    poke(reinterpret_cast<std::uint32_t*>(address) + 1, 1u << 31);
  });
  EXPECT_FALSE(machine.gpu.submit({GetParam(), machine.space, {}, ibs}, stop));
  writer.join();
  EXPECT_EQ(m[0], 1u);
}

// A page of a sparse resource without memory.
TEST_P(pm4, writes_to_unbound_pages_vanish_and_reads_give_zeros) {
  constexpr std::uint64_t sparse = 0x4000'0000'0000;
  constexpr std::uint64_t size = 64 << 10;
  void* zeros = mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_TRUE(machine.space->map(sparse, size, static_cast<std::byte*>(zeros),
                                 {.writable = false, .drops_writes = true}));
  const auto sparse_high = static_cast<std::uint32_t>(sparse >> 32);
  auto* m = machine.allocate<std::uint32_t>(size / 4);
  m[5] = 7;
  Ib ib;
  ib.packet(0x37, {5 << 8 | 1 << 20, 16, sparse_high, 0xdead})
      .packet(0x50, {2u << 29 | 1u << 31, 0xabcd, 0, 0, sparse_high, size})                 // fill
      .packet(0x50, {3u << 29 | 3 << 20 | 1u << 31, low(m), high(m), 4, sparse_high, 5000}) // copy into it
      .packet(0x1e, {0x0f, 16, sparse_high, 5, 0, 0, 0, 0})                                 // add
      .packet(0x40, {6 | 5 << 8, 0, 0, low(m + 1), high(m + 1)})
      .packet(0x50, {3u << 29 | 3 << 20 | 1u << 31, 0, sparse_high, low(m + 4), high(m + 4), 5000});
  m[1] = 99;
  const auto fault = submit(ib);
  ASSERT_FALSE(fault) << fault->text;
  EXPECT_EQ(m[1], 0u) << "what the atomic found";
  EXPECT_EQ(m[5], 0u);
  machine.space->unmap(sparse, size);
  munmap(zeros, size);
}

TEST_P(pm4, nops_of_every_form_are_skipped) {
  auto* m = machine.allocate<std::uint32_t>();
  Ib ib;
  ib.words = {0xffff1000, 0x80000000}; // header-only NOP, type 2
  ib.packet(0x10, {1, 2, 3}).write(m, 1);
  ASSERT_FALSE(submit(ib));
  EXPECT_EQ(*m, 1u);
}

TEST_P(pm4, several_ibs_of_a_submission_share_registers) {
  auto* out = machine.allocate<std::uint32_t>(64);
  Ib state = dispatch_ib(machine, out);
  Ib go;
  go.packet(0x15, {1, 1, 1, initiator_enable | initiator_from_zero | initiator_wave32});
  ASSERT_FALSE(submit({state.words, go.words}));
  EXPECT_EQ(out[63], 63u);
}

struct BadPacket {
  const char* name;
  Words words;
  FaultKind kind;
};

TEST_P(pm4, what_is_unknown_or_malformed_is_a_fault) {
  const BadPacket bad[] = {
      {"opcode", {pkt3(0xee, 1), 0}, FaultKind::illegal_packet},
      {"type 0", {0x00000000}, FaultKind::illegal_packet},
      {"type 1", {0x40000000}, FaultKind::illegal_packet},
      {"truncated", {pkt3(0x37, 4), 0}, FaultKind::illegal_packet},
      {"too short", {pkt3(0x37, 2), 0, 0}, FaultKind::illegal_packet},
      {"draw", {pkt3(0x2d, 2), 3, 0}, FaultKind::illegal_packet},
      {"register in a hole", {pkt3(0x76, 2), 0x3ff, 1}, FaultKind::illegal_register},
      {"register beyond its space", {pkt3(0x76, 2), 0xffff, 1}, FaultKind::illegal_register},
      {"unmapped write", {pkt3(0x37, 4), 5 << 8, 0x1000, 0, 1}, FaultKind::page_fault},
      {"unmapped indirect buffer", {pkt3(0x3f, 3), 0x1000, 0, 16}, FaultKind::page_fault},
      {"atomic operation", {pkt3(0x1e, 8), 0x7f, 0, 0, 0, 0, 0, 0, 0}, FaultKind::illegal_packet},
      {"query event", {pkt3(0x46, 3), 0x15 | 1 << 8, 0, 0}, FaultKind::illegal_packet},
      {"event without a name", {pkt3(0x46, 1), 0x26}, FaultKind::illegal_packet},
      {"occlusion query", {pkt3(0x46, 3), 0x15 | 1 << 8, 0, 0}, FaultKind::illegal_packet},
      {"end of pipe that is none", {pkt3(0x49, 7), 0x07, 0, 0, 0, 0, 0, 0}, FaultKind::illegal_packet},
      {"data share source", {pkt3(0x40, 5), 3 | 5 << 8, 0, 0, 0, 0}, FaultKind::illegal_packet},
      {"performance counter source", {pkt3(0x40, 5), 4 | 5 << 8, 0, 0, 0, 0}, FaultKind::illegal_packet},
      {"stream output", {pkt3(0x34, 5), 0, 0, 0, 0, 0}, FaultKind::illegal_packet},
      {"too many vector registers",
       {pkt3(0x76, 2), (0xb848 - 0xb000) / 4, 31, pkt3(0x76, 4), (0xb81c - 0xb000) / 4, 1024, 1, 1,
        pkt3(0x76, 3), (0xb830 - 0xb000) / 4, 1, 1, pkt3(0x15, 4), 1, 1, 1, 1 | 1 << 15},
       FaultKind::illegal_dispatch},
      {"dispatch without threads", {pkt3(0x15, 4), 1, 1, 1, 5}, FaultKind::illegal_dispatch},
  };
  for (const BadPacket& packet : bad) {
    SCOPED_TRACE(packet.name);
    const auto fault = submit(Ib{packet.words});
    ASSERT_TRUE(fault);
    EXPECT_EQ(fault->kind, packet.kind) << fault->text;
  }
}

TEST_P(pm4, an_ib_outside_of_memory_is_a_page_fault) {
  const std::vector<emu::gpu::IndirectBuffer> ibs{{0x10000, 4, 0}};
  const auto fault = machine.gpu.submit({GetParam(), machine.space, {}, ibs}, stop);
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->kind, FaultKind::page_fault);
  EXPECT_EQ(fault->page.address, 0x10000u);
}

TEST_P(pm4, random_payloads_never_crash) {
  struct Shape {
    std::uint32_t opcode;
    std::size_t payload;
  };
  const Shape shapes[] = {{0x10, 3}, {0x11, 3}, {0x15, 4}, {0x16, 3}, {0x1e, 8}, {0x20, 3},
                          {0x22, 4}, {0x37, 6}, {0x3c, 6}, {0x3f, 3}, {0x40, 5}, {0x46, 1},
                          {0x49, 7}, {0x50, 6}, {0x58, 7}, {0x63, 4}, {0x68, 3}, {0x69, 3},
                          {0x76, 5}, {0x79, 2}, {0x93, 8}, {0x9b, 2}, {0xcc, 1}};
  std::uint32_t seed = 12345;
  const auto random = [&] { return seed = seed * 1664525 + 1013904223; };
  auto* m = machine.allocate<std::uint32_t>(1024);
  stop = false;
  for (int round = 0; round < 400; ++round) {
    Ib ib;
    for (int i = 0; i < 6; ++i) {
      const Shape& shape = shapes[(random() >> 16) % std::size(shapes)];
      Words payload;
      for (std::size_t k = 0; k < shape.payload; ++k) {
        const std::uint32_t r = random();
        payload.push_back((r >> 8) % 3 == 0   ? low(m + (r >> 20 & 1023))
                          : (r >> 8) % 3 == 1 ? high(m)
                                              : r >> (r >> 27));
      }
      ib.packet(shape.opcode, payload);
    }
    // Waits that nothing satisfies end by the flag.
    std::thread stopper([&] {
      std::this_thread::sleep_for(500us);
      stop = true;
    });
    submit(ib);
    stopper.join();
    stop = false;
  }
}

INSTANTIATE_TEST_SUITE_P(rings, pm4, testing::Values(Ring::compute, Ring::graphics), [](const auto& ring) {
  return ring.param == Ring::compute ? "compute" : "graphics";
});

// Packets that only the graphics ring's engines have.
TEST(pm4_graphics, preamble_packets_are_taken_there_and_refused_on_compute) {
  Machine machine;
  Ib ib;
  ib.packet(0x28, {0x80000000, 0x80000000})
      .packet(0x12, {0})
      .packet(0x42, {0})
      .packet(0x2f, {1})
      .packet(0x69, {0, 0});
  const std::uint64_t address = machine.code(ib.words);
  const std::vector<emu::gpu::IndirectBuffer> ibs{{address, static_cast<std::uint32_t>(ib.words.size()), 0}};
  const std::atomic<bool> stop{false};
  EXPECT_FALSE(machine.gpu.submit({Ring::graphics, machine.space, {}, ibs}, stop));
  const auto fault = machine.gpu.submit({Ring::compute, machine.space, {}, ibs}, stop);
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->kind, FaultKind::illegal_packet);
}

TEST(pm4_graphics, predication_skips_predicated_packets) {
  Machine machine;
  auto* m = machine.allocate<std::uint32_t>(8);
  Ib ib;
  ib.packet(0x20, {3 << 16 | 1 << 8, low(m), high(m)}); // BOOL64, draw where not zero; it is zero
  ib.write(m + 4, 1);
  ib.words[ib.words.size() - 5] |= 1; // predicate
  ib.write(m + 5, 1).packet(0x20, {0, 0, 0});
  ib.write(m + 6, 1);
  ib.words[ib.words.size() - 5] |= 1;
  const std::vector<emu::gpu::IndirectBuffer> ibs{
      {machine.code(ib.words), static_cast<std::uint32_t>(ib.words.size()), 0}};
  EXPECT_FALSE(machine.gpu.submit({Ring::graphics, machine.space, {}, ibs}, std::atomic<bool>{false}));
  EXPECT_EQ(m[4], 0u);
  EXPECT_EQ(m[5], 1u);
  EXPECT_EQ(m[6], 1u);
}

// A PM4 user queue, as kfdtest drives one.
TEST(pm4_queue, consumes_its_ring_reports_rptr_modulo_its_size_and_interrupts) {
  Machine machine;
  constexpr std::uint32_t ring_dwords = 1024;
  auto* ring = machine.allocate<std::uint32_t>(ring_dwords);
  auto* pointers = machine.allocate<std::uint64_t>(2);
  auto* m = machine.allocate<std::uint32_t>(2);
  const std::size_t doorbell = machine.take_doorbell();
  emu::gpu::QueueDescription d;
  d.type = emu::gpu::QueueType::pm4_compute;
  d.space = machine.space;
  d.ring = va(ring);
  d.ring_size = ring_dwords * 4;
  d.rptr = va(pointers);
  d.wptr = va(pointers + 1);
  d.doorbell = machine.doorbell_alias + doorbell;
  const auto id = machine.gpu.create_queue(d);
  std::uint64_t wptr = 0;
  for (std::uint32_t round = 0; round < 300; ++round) { // 13 dwords each: wraps, also inside packets
    Ib ib;
    ib.write(m, round).packet(0x49,
                              {0x14 | 5 << 8, 1u << 29 | 2 << 24, low(m + 1), high(m + 1), round, 0, round});
    for (std::uint32_t word : ib.words)
      ring[wptr++ % ring_dwords] = word;
    poke(pointers + 1, wptr);
    poke(machine.doorbells + doorbell, wptr);
    ASSERT_TRUE(
        eventually([&] { return peek(reinterpret_cast<std::uint32_t*>(pointers)) == wptr % ring_dwords; }));
    ASSERT_EQ(peek(m), round);
    ASSERT_EQ(peek(m + 1), round);
  }
  EXPECT_TRUE(eventually([&] { return machine.interrupts().size() == 300; }));
  EXPECT_EQ(machine.interrupts().back().context_id, 299u);
  EXPECT_TRUE(machine.gpu.destroy_queue(id));
}

// Hardware compares ring pointers modulo the ring's size.
TEST(pm4_queue, takes_a_doorbell_modulo_its_ring) {
  Machine machine;
  constexpr std::uint32_t ring_dwords = 1024;
  auto* ring = machine.allocate<std::uint32_t>(ring_dwords);
  auto* pointers = machine.allocate<std::uint64_t>(2);
  auto* m = machine.allocate<std::uint32_t>(2);
  const std::size_t doorbell = machine.take_doorbell();
  emu::gpu::QueueDescription d;
  d.type = emu::gpu::QueueType::pm4_compute;
  d.space = machine.space;
  d.ring = va(ring);
  d.ring_size = ring_dwords * 4;
  d.rptr = va(pointers);
  d.wptr = va(pointers + 1);
  d.doorbell = machine.doorbell_alias + doorbell;
  machine.gpu.create_queue(d);
  Ib ib;
  ib.write(m, 1).write(m + 1, 2);
  std::copy(ib.words.begin(), ib.words.end(), ring);
  const auto* rptr = reinterpret_cast<std::uint32_t*>(pointers);
  poke(machine.doorbells + doorbell, 5 * ring_dwords + 5); // the first packet
  ASSERT_TRUE(eventually([&] { return peek(rptr) == 5; }));
  EXPECT_EQ(peek(m + 1), 0u);
  poke(machine.doorbells + doorbell, ring_dwords + 10);
  ASSERT_TRUE(eventually([&] { return peek(rptr) == 10; }));
  EXPECT_EQ(peek(m + 1), 2u);
  EXPECT_TRUE(machine.faults().empty());
}

} // namespace
