// Random packets for every engine. Each case must end: with success, a fault or the watchdog. Unknown packets
// must be refused, and nothing outside of the mapped memory may be touched.
//
// CUDA_SHIM_FUZZ_CASES and CUDA_SHIM_FUZZ_SEED choose how many and which.
#include "kernels.hpp"
#include "machine.hpp"

#include <memory/access_section.hpp>

#include <array>
#include <cstdlib>
#include <fcntl.h>
#include <random>
#include <set>

using namespace test;
using emu::gpu::FaultKind;
using emu::gpu::QueueType;
using emu::gpu::Ring;

namespace {

using Words = std::vector<std::uint32_t>;

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text && *text ? std::strtoull(text, nullptr, 0) : otherwise;
}

// What the engines complain of, thousands of times, is not worth reading.
class QuietStderr {
public:
  QuietStderr() : saved_(dup(STDERR_FILENO)) {
    const int nowhere = open("/dev/null", O_WRONLY);
    dup2(nowhere, STDERR_FILENO);
    close(nowhere);
  }
  ~QuietStderr() {
    dup2(saved_, STDERR_FILENO);
    close(saved_);
  }
  QuietStderr(const QuietStderr&) = delete;
  QuietStderr& operator=(const QuietStderr&) = delete;

private:
  int saved_;
};

// Opcodes that docs/engines.md lists as handled.
const std::set<std::uint32_t> pm4_on_both{0x10, 0x11, 0x15, 0x16, 0x1e, 0x22, 0x37, 0x3c, 0x3f, 0x40, 0x46,
                                          0x49, 0x50, 0x58, 0x59, 0x63, 0x76, 0x79, 0x7a, 0x93, 0x9b};
const std::set<std::uint32_t> pm4_on_graphics{0x12, 0x13, 0x20, 0x26, 0x28, 0x2a, 0x2f, 0x42,
                                              0x43, 0x47, 0x68, 0x69, 0x90, 0x9f, 0x85, 0x86};
const std::set<std::uint32_t> sdma_opcodes{0, 1, 2, 4, 5, 6, 8, 9, 10, 11, 13, 17};

// Memory that comes and goes at one address, all the time.
class PassingMemory {
public:
  static constexpr std::size_t size = 256 << 10;

  explicit PassingMemory(std::shared_ptr<emu::memory::AddressSpace> space)
      : space_(std::move(space)),
        address_(va(mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))),
        thread_([this](std::stop_token stop) {
          while (!stop.stop_requested()) {
            void* host = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            space_->map(address_, size, static_cast<std::byte*>(host), {});
            std::this_thread::sleep_for(50us);
            space_->unmap(address_, size);
            emu::memory::unmap_behind_accesses(host, size);
          }
        }) {}
  std::uint64_t address() const { return address_; }

private:
  const std::shared_ptr<emu::memory::AddressSpace> space_;
  const std::uint64_t address_;
  std::jthread thread_;
};

class Fuzz : public testing::Test {
protected:
  static constexpr std::size_t data_bytes = 1 << 20;
  static constexpr std::byte canary{0x5a};

  Fuzz()
      : cases_(from_environment("CUDA_SHIM_FUZZ_CASES", 50'000)),
        seed_(from_environment("CUDA_SHIM_FUZZ_SEED", 20)), random_(seed_), machine(1ms),
        passing_(machine.space) {
    std::printf("seed %llu, %llu cases\n", static_cast<unsigned long long>(seed_),
                static_cast<unsigned long long>(cases_));
    std::fflush(stdout);
    // Host memory on both sides that the GPU does not have.
    const std::size_t size = data_bytes + 2 * 4096;
    host_ = static_cast<std::byte*>(
        mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    std::memset(host_, static_cast<int>(canary), size);
    data_ = reinterpret_cast<std::uint32_t*>(host_ + 4096);
    machine.space->map(va(data_), data_bytes, host_ + 4096, {});
    for (const auto* code : {&kernels::store_ids, &kernels::store_user_sgprs, &kernels::endless,
                             &kernels::store_to_null, &kernels::send_interrupt, &kernels::meet_all_groups})
      kernels_.push_back(machine.kernel(*code));
    garbage_kernel_ = machine.kernel(Words(256, 0));
    kernels_.push_back(garbage_kernel_);
  }
  ~Fuzz() override {
    for (std::size_t i = 0; i < 4096; ++i) {
      EXPECT_EQ(host_[i], canary);
      EXPECT_EQ(host_[4096 + data_bytes + i], canary);
    }
  }

  std::uint32_t word() { return static_cast<std::uint32_t>(random_()); }
  std::uint32_t below(std::uint32_t limit) { return word() % limit; }
  bool one_in(std::uint32_t n) { return below(n) == 0; }
  std::uint64_t address() {
    switch (below(24)) {
    case 0:
      return random_();
    case 1:
      return va(data_) + data_bytes - below(64); // across the end
    case 2:
      return va(data_) - below(64);
    case 3:
      return 0;
    case 4:
      return kernels_[below(static_cast<std::uint32_t>(kernels_.size()))] + below(64) * 4;
    case 5:
      return passing_.address() + below(PassingMemory::size / 8) * 8;
    default:
      return va(data_) + below(data_bytes / 8) * 8;
    }
  }
  void push_address(Words& to) {
    const std::uint64_t at = address();
    to.push_back(static_cast<std::uint32_t>(at));
    to.push_back(static_cast<std::uint32_t>(at >> 32));
  }

  void mutate(Words& words) {
    for (std::uint32_t count = below(4); count > 0 && !words.empty(); --count) {
      std::uint32_t& at = words[below(static_cast<std::uint32_t>(words.size()))];
      switch (below(4)) {
      case 0:
        at = word();
        break;
      case 1:
        at = one_in(2) ? 0 : ~0u;
        break;
      default:
        at ^= 1u << below(32);
        break;
      }
    }
    if (one_in(16) && !words.empty())
      words.resize(below(static_cast<std::uint32_t>(words.size())) + 1);
  }
  void scramble_code() {
    auto* code = reinterpret_cast<std::uint32_t*>(garbage_kernel_) + 64;
    for (int i = 0; i < 255; ++i)
      code[i] = word();
  }

  void add_pm4(Words& words);
  void add_sdma(Words& words);
  static void add_pm4_packet(Fuzz& fuzz, Words& words) { fuzz.add_pm4(words); }
  static void add_sdma_packet(Fuzz& fuzz, Words& words) { fuzz.add_sdma(words); }
  void submissions(const std::vector<Ring>& rings, void (*add)(Fuzz&, Words&),
                   const std::function<bool(Ring, std::uint32_t)>& known);
  void user_queues(QueueType type, void (*add)(Fuzz&, Words&));
  Packet aql_packet();

  // The tests share the cases: those whose cases take longer have fewer.
  std::uint64_t share(unsigned percent) const { return cases_ * percent / 100; }

  const std::uint64_t cases_, seed_;
  std::mt19937_64 random_;
  Machine machine;
  PassingMemory passing_;
  std::byte* host_ = nullptr;
  std::uint32_t* data_ = nullptr;
  std::vector<std::uint64_t> kernels_;
  std::uint64_t garbage_kernel_ = 0;
};

constexpr std::uint32_t pkt3(std::uint32_t opcode, std::size_t payload) {
  return 3u << 30 | static_cast<std::uint32_t>(payload - 1) << 16 | opcode << 8;
}

// A packet that is right, apart from what the address may be.
void Fuzz::add_pm4(Words& words) {
  const auto packet = [&](std::uint32_t opcode, const Words& payload) {
    words.push_back(pkt3(opcode, payload.size()));
    words.insert(words.end(), payload.begin(), payload.end());
  };
  Words p;
  const std::uint64_t kernel = (kernels_[below(static_cast<std::uint32_t>(kernels_.size()))] + 256) >> 8;
  switch (below(20)) {
  case 0: // WRITE_DATA
    p = {5 << 8 | 1 << 20};
    push_address(p);
    p.resize(3 + 1 + below(8), word());
    return packet(0x37, p);
  case 1: // COPY_DATA
    p = {below(11) | below(6) << 8 | below(2) << 16};
    push_address(p);
    push_address(p);
    return packet(0x40, p);
  case 2: // DMA_DATA
    p = {below(4) << 29 | below(4) << 20};
    push_address(p);
    push_address(p);
    p.push_back(below(one_in(8) ? 1 << 26 : 4096));
    return packet(0x50, p);
  case 3: // ATOMIC_MEM
    p = {below(128)};
    push_address(p);
    p.insert(p.end(), {word(), word(), word(), word(), 0});
    return packet(0x1e, p);
  case 4: // WAIT_REG_MEM, mostly satisfied
    p = {one_in(16) ? word() & 0x1f : 0x10};
    push_address(p);
    p.insert(p.end(), {word(), word(), 4});
    return packet(0x3c, p);
  case 5: // COND_EXEC
    push_address(p);
    p.insert(p.end(), {0, below(16)});
    return packet(0x22, p);
  case 6: // RELEASE_MEM
    p = {0x14 | 5 << 8, below(5) << 29 | below(4) << 24};
    push_address(p);
    p.insert(p.end(), {word(), word(), word()});
    return packet(0x49, p);
  case 7:
    return packet(0x58, Words(7, 0)); // ACQUIRE_MEM
  case 8:                             // EVENT_WRITE
    p = {one_in(2) ? 7u : below(64)};
    if (one_in(4))
      push_address(p);
    return packet(0x46, p);
  case 9: // INDIRECT_BUFFER, of what lies there
    push_address(p);
    p.push_back(below(64) | below(2) << 20 | 1 << 23);
    return packet(0x3f, p);
  case 10: // SET_SH_REG
    p = {below(0x400)};
    p.resize(2 + below(4), word());
    return packet(0x76, p);
  case 11:
  case 12: // a dispatch
    packet(0x76, {(0xb830 - 0xb000) / 4, static_cast<std::uint32_t>(kernel),
                  static_cast<std::uint32_t>(kernel >> 32)});
    packet(0x76, {(0xb848 - 0xb000) / 4, 2 | 1u << 30 | (one_in(8) ? word() : 0), 2 << 1 | 1 << 7});
    packet(0x76, {(0xb81c - 0xb000) / 4, 1 + below(64), 1, 1});
    p = {(0xb900 - 0xb000) / 4};
    push_address(p);
    packet(0x76, p);
    return packet(0x15, {one_in(16) ? word() : below(4), 1, 1, 1 | 1 << 2 | below(2) << 15});
  case 13: // DISPATCH_INDIRECT
    push_address(p);
    p.push_back(1 | 1 << 2 | 1 << 15);
    return packet(0x16, p);
  case 14: // SET_PREDICATION
    p = {below(5) << 16 | below(2) << 8};
    push_address(p);
    return packet(0x20, p);
  case 15:
    return packet(0x59, {one_in(8) ? 0u : 1u << 31}); // REWIND
  case 16:                                            // WAIT_REG_MEM64
    p = {0x10};
    push_address(p);
    p.insert(p.end(), {0, 0, 0, 0, 4});
    return packet(0x93, p);
  case 17: // LOAD_SH_REG_INDEX
    push_address(p);
    p.insert(p.end(), {below(0x400), below(8)});
    return packet(0x63, p);
  case 18: // any opcode
    p.resize(1 + below(9), word());
    return packet(below(256), p);
  default:
    words.push_back(word());
  }
}

void Fuzz::add_sdma(Words& words) {
  const auto put = [&](std::initializer_list<std::uint32_t> list) { words.insert(words.end(), list); };
  switch (below(14)) {
  case 0: // COPY linear, broadcast
    if (one_in(4)) {
      put({1 | 1u << 27, below(4096), 0});
      push_address(words);
    } else {
      put({1, one_in(8) ? below(1 << 22) : below(4096), 0});
    }
    push_address(words);
    return push_address(words);
  case 1: // sub-window
    put({1 | 4 << 8 | below(5) << 29});
    for (int side = 0; side < 2; ++side) {
      push_address(words);
      put({below(8) | below(8) << 16, below(2) | below(64) << 13, below(4096)});
    }
    return put({below(64) | below(64) << 16, one_in(16) ? word() : below(2)});
  case 2: { // WRITE
    const std::uint32_t count = below(8);
    put({2});
    push_address(words);
    put({count});
    for (std::uint32_t i = 0; i <= count; ++i)
      put({word()});
    return;
  }
  case 3: // INDIRECT
    put({4});
    push_address(words);
    return put({below(64), 0, 0});
  case 4: // FENCE
    put({5});
    push_address(words);
    return put({word()});
  case 5:
    return put({6, word()}); // TRAP
  case 6:                    // POLL_REGMEM, mostly satisfied
    put({8 | 1u << 31 | (one_in(16) ? below(8) << 28 : 0)});
    push_address(words);
    return put({word(), word(), 0});
  case 7: // COND_EXE
    put({9});
    push_address(words);
    return put({below(2), below(16)});
  case 8: // ATOMIC
    put({10 | below(128) << 25});
    push_address(words);
    return put({word(), word(), word(), word(), 0});
  case 9: // CONST_FILL
    put({11 | below(4) << 30});
    push_address(words);
    return put({word(), below(4096)});
  case 10: // TIMESTAMP
    put({13 | below(3) << 8});
    return push_address(words);
  case 11:
    return put({17 | 1 << 8, 0, 0, 0, 0}); // GCR
  case 12:
    return put({below(4) << 16, 0, 0, 0}); // NOP
  default:
    return put({word()});
  }
}

void Fuzz::submissions(const std::vector<Ring>& rings, void (*add)(Fuzz&, Words&),
                       const std::function<bool(Ring, std::uint32_t)>& known) {
  const std::uint64_t cases = share(30);
  QuietStderr quiet;
  auto* ib = machine.allocate<std::uint32_t>(4096);
  std::uint64_t ended_well = 0;
  for (std::uint64_t i = 0; i < cases; ++i) {
    Words words;
    if (one_in(8)) {
      for (std::uint32_t count = 1 + below(64); count > 0; --count)
        words.push_back(word());
    } else {
      for (std::uint32_t count = 1 + below(6); count > 0; --count)
        add(*this, words);
      mutate(words);
    }
    if (one_in(64))
      scramble_code();
    // Memory that the packets read is now and then a program of packets, too.
    if (one_in(4))
      std::memcpy(data_ + below(1024) * 2, words.data(), words.size() * 4);
    std::memcpy(ib, words.data(), words.size() * 4);
    const Ring ring = rings[below(static_cast<std::uint32_t>(rings.size()))];
    const emu::gpu::IndirectBuffer buffer{va(ib), static_cast<std::uint32_t>(words.size()), 0};
    const auto fault =
        machine.gpu.submit({ring, machine.space, emu::gpu::drm_apertures, {&buffer, 1}}, {false});
    ended_well += !fault;
    if (!known(ring, words[0])) {
      ASSERT_TRUE(fault) << "case " << i << ", header " << std::hex << words[0];
      // On a machine that is busy, a millisecond may be over before the first packet.
      ASSERT_TRUE(fault->kind == FaultKind::illegal_packet || fault->kind == FaultKind::hang)
          << "case " << i << ", header " << std::hex << words[0] << ": " << fault->text;
    }
  }
  EXPECT_GT(ended_well, cases / 20) << "cases that only ever fault test little";
  EXPECT_LT(ended_well, cases);
}

TEST_F(Fuzz, pm4_submissions) {
  submissions({Ring::compute, Ring::graphics}, add_pm4_packet, [](Ring ring, std::uint32_t header) {
    const std::uint32_t type = header >> 30, opcode = header >> 8 & 0xff;
    return type == 2 || (type == 3 && (pm4_on_both.contains(opcode) ||
                                       (ring == Ring::graphics && pm4_on_graphics.contains(opcode))));
  });
}

TEST_F(Fuzz, sdma_submissions) {
  submissions({Ring::dma}, add_sdma_packet,
              [](Ring, std::uint32_t header) { return sdma_opcodes.contains(header & 0xff); });
}

// Rings, with pointers that are right or not.
void Fuzz::user_queues(QueueType type, void (*add)(Fuzz&, Words&)) {
  const std::uint64_t cases = share(5);
  QuietStderr quiet;
  constexpr std::size_t ring_dwords = 1024;
  auto* ring = machine.allocate<std::uint32_t>(ring_dwords);
  auto* pointers = machine.allocate<std::uint64_t>(2);
  const std::size_t doorbell = machine.take_doorbell();
  std::uint64_t consumed = 0;
  for (std::uint64_t i = 0; i < cases; ++i) {
    Words words;
    for (std::uint32_t count = 1 + below(6); count > 0; --count)
      add(*this, words);
    mutate(words);
    std::memcpy(ring, words.data(), words.size() * 4);
    pointers[0] = pointers[1] = 0;
    emu::gpu::QueueDescription d;
    d.type = type;
    d.space = machine.space;
    d.ring = one_in(32) ? address() : va(ring);
    d.ring_size = ring_dwords * 4;
    d.rptr = one_in(64) ? address() : va(pointers);
    d.wptr = one_in(64) ? address() : va(pointers + 1);
    d.doorbell = machine.doorbell_alias + doorbell;
    const emu::gpu::QueueId id = machine.gpu.create_queue(d);
    const std::uint64_t unit = type == QueueType::sdma ? 4 : 1;
    poke(machine.doorbells + doorbell, one_in(16) ? random_() : words.size() * unit);
    const auto done = [&] { return peek(pointers) >= words.size() * unit || !machine.faults().empty(); };
    if (eventually(done, 1ms))
      ++consumed;
    ASSERT_TRUE(machine.gpu.destroy_queue(id)) << "case " << i;
    machine.forget_reports();
  }
  EXPECT_GT(consumed, cases / 20);
}

TEST_F(Fuzz, pm4_queues) {
  user_queues(QueueType::pm4_compute, add_pm4_packet);
}

TEST_F(Fuzz, sdma_queues) {
  user_queues(QueueType::sdma, add_sdma_packet);
}

Packet Fuzz::aql_packet() {
  Packet packet;
  const std::uint64_t kernel = kernels_[below(static_cast<std::uint32_t>(kernels_.size()))];
  const std::uint64_t at = address();
  Signal* completion = one_in(2) ? reinterpret_cast<Signal*>(address() & ~7ull) : nullptr;
  switch (below(8)) {
  case 0:
  case 1:
  case 2:
    packet = dispatch(kernel, 1 + below(256), static_cast<std::uint16_t>(1 + below(256)),
                      reinterpret_cast<void*>(at), completion);
    break;
  case 3:
  case 4:
    packet = barrier(one_in(2) ? barrier_and : barrier_or,
                     {one_in(8) ? reinterpret_cast<Signal*>(address()) : nullptr}, completion);
    break;
  case 5: // barrier-value
    packet.words[0] = 2u << 16;
    std::memcpy(packet.words + 2, &at, 8);
    packet.words[8] = below(5);
    break;
  case 6: // PM4 IB
    packet.words[0] = 1u << 16;
    packet.words[1] = pkt3(0x3f, 3);
    packet.words[2] = static_cast<std::uint32_t>(at);
    packet.words[3] = static_cast<std::uint32_t>(at >> 32);
    packet.words[4] = below(32) | 1 << 23;
    break;
  default:
    for (std::uint32_t& w : packet.words)
      w = word();
    break;
  }
  Words words(packet.words, packet.words + 16);
  if (one_in(2))
    for (std::uint32_t count = below(4); count > 0; --count)
      words[below(16)] ^= 1u << below(32);
  std::memcpy(packet.words, words.data(), sizeof packet.words);
  if ((packet.words[0] & 0xff) == 1)
    packet.words[0] ^= 2; // an invalid packet is one that has not come yet
  return packet;
}

TEST_F(Fuzz, aql_packets) {
  const std::uint64_t cases = share(30);
  QuietStderr quiet;
  constexpr std::size_t packets = 16;
  auto* queue = machine.allocate<std::byte>(4096);
  auto* ring = machine.allocate<Packet>(packets);
  auto* inactive = machine.allocate<Signal>(1, 64);
  const std::size_t doorbell = machine.take_doorbell();
  std::uint64_t completed = 0;
  for (std::uint64_t i = 0; i < cases;) {
    std::memset(queue, 0, 4096);
    std::fill_n(ring, packets, Packet{});
    *inactive = {};
    const std::uint32_t offset = 0x80;
    const std::uint64_t inactive_address = va(inactive);
    std::memcpy(queue + 0x88, &offset, 4);
    std::memcpy(queue + 0xc0, &inactive_address, 8);
    emu::gpu::QueueDescription d;
    d.space = machine.space;
    d.ring = va(ring);
    d.ring_size = packets * sizeof(Packet);
    d.rptr = va(queue) + 0x80;
    d.wptr = va(queue) + 0x38;
    d.doorbell = machine.doorbell_alias + doorbell;
    const emu::gpu::QueueId id = machine.gpu.create_queue(d);
    bool must_fail = false;
    std::uint32_t count = 1 + below(one_in(4) ? packets : 3);
    for (std::uint32_t n = 0; n < count; ++n, ++i) {
      ring[n] = aql_packet();
      const std::uint32_t type = ring[n].words[0] & 0xff, format = ring[n].words[0] >> 16 & 0xff;
      must_fail = type == 4 || type > 5 || (type == 0 && format != 1 && format != 2);
      if (must_fail)
        count = n + 1; // what comes before it may end well, or block
    }
    if (one_in(64))
      scramble_code();
    poke(machine.doorbells + doorbell, one_in(64) ? random_() | count : count - 1);
    const auto* read_index = reinterpret_cast<std::uint64_t*>(queue + 0x80);
    const auto done = [&] { return peek(read_index) >= count || !machine.faults().empty(); };
    completed += eventually(done, 1ms) && machine.faults().empty();
    ASSERT_TRUE(machine.gpu.destroy_queue(id)) << "case " << i;
    if (must_fail) {
      ASSERT_LT(peek(read_index), count) << "case " << i;
    }
    machine.forget_reports();
  }
  EXPECT_GT(completed, cases / 1000);
}

} // namespace
