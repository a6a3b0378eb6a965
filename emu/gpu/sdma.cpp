#include "sdma.hpp"

#include <array>

#include <fmt/format.h>

namespace emu::gpu {

namespace {

enum SdmaOpcode : std::uint32_t {
  op_nop = 0,
  op_copy = 1,
  op_write = 2,
  op_indirect = 4,
  op_fence = 5,
  op_trap = 6,
  op_poll_regmem = 8,
  op_cond_exe = 9,
  op_atomic = 10,
  op_const_fill = 11,
  op_timestamp = 13,
  op_gcr = 17,
};

enum SdmaSubOpcode : std::uint32_t {
  copy_linear_sub = 0,
  copy_linear_sub_window_sub = 4,
  timestamp_set_sub = 0,
  timestamp_get_sub = 1,
  timestamp_get_global_sub = 2,
  gcr_user_sub = 1,
};

constexpr std::size_t max_ib_depth = 2;

// Thrown when a packet's tail is not in the ring yet; never leaves this file.
struct Incomplete {};

} // namespace

Sdma::Sdma(EngineContext& context) : context_(context), memory_(*context.space), reader_(memory_) {}

void Sdma::push_ib(GpuAddress va, std::uint64_t dwords) {
  if (dwords != 0)
    reader_.push({va, 0, dwords, ~0ull, false});
}

void Sdma::refuse(const std::string& why) {
  stop(FaultKind::illegal_packet, fmt::format("SDMA packet at {}: {}", reader_.where(), why));
}

Step Sdma::step() {
  if (window_)
    return copy_window_rows();
  reader_.drop_finished();
  if (reader_.empty() || reader_.available() == 0)
    return Step::idle;
  try {
    return execute(reader_.peek());
  } catch (const Incomplete&) {
    return Step::idle;
  }
}

std::span<const std::uint32_t> Sdma::take(std::uint64_t dwords) {
  if (reader_.available() < dwords) {
    if (reader_.top().ring)
      throw Incomplete{};
    refuse(fmt::format("{:#010x}, {} dwords long, ends beyond its IB", reader_.peek(), dwords));
  }
  std::span<const std::uint32_t> words = reader_.gather(dwords);
  reader_.top().position += dwords;
  return words;
}

Step Sdma::execute(std::uint32_t header) {
  const std::uint32_t opcode = bits(header, 0, 8);
  const std::uint32_t sub_opcode = bits(header, 8, 8);
  switch (opcode) {
  case op_nop:
    take(1 + bits(header, 16, 14));
    return Step::progressed;
  case op_copy:
    return copy(header);
  case op_write:
    if (sub_opcode != 0)
      refuse(fmt::format("WRITE sub-opcode {}", sub_opcode));
    return write_linear();
  case op_indirect:
    return indirect();
  case op_fence:
    return fence();
  case op_trap:
    return trap();
  case op_poll_regmem:
    if (sub_opcode != 0)
      refuse(fmt::format("POLL_REGMEM sub-opcode {}", sub_opcode));
    return poll(header);
  case op_cond_exe:
    return conditional();
  case op_atomic:
    return atomic(header);
  case op_const_fill:
    if (sub_opcode != 0)
      refuse(fmt::format("CONST_FILL sub-opcode {}", sub_opcode));
    return constant_fill(header);
  case op_timestamp:
    return timestamp(sub_opcode);
  case op_gcr:
    if (sub_opcode != gcr_user_sub)
      refuse(fmt::format("GCR sub-opcode {}", sub_opcode));
    take(5);
    return Step::progressed;
  default:
    refuse(fmt::format("opcode {} (header {:#010x})", opcode, header));
  }
}

Step Sdma::copy(std::uint32_t header) {
  switch (bits(header, 8, 8)) {
  case copy_linear_sub:
    return copy_linear(header);
  case copy_linear_sub_window_sub:
    return copy_sub_window(header);
  default:
    refuse(fmt::format("COPY sub-opcode {}", bits(header, 8, 8)));
  }
}

Step Sdma::copy_linear(std::uint32_t header) {
  const bool encrypted = bits(header, 16, 1) || bits(header, 18, 1);
  const bool backwards = bits(header, 25, 1);
  const bool broadcast = bits(header, 27, 1);
  if (encrypted || backwards)
    refuse(fmt::format("COPY header {:#010x}", header));
  const auto p = take(broadcast ? 9 : 7);
  const std::uint64_t size = bits(p[1], 0, 30) + 1ull; // 22 bits before gfx10.3
  if (bits(p[1], 30, 2) != 0)
    refuse(fmt::format("COPY count {:#x} is beyond 30 bits", p[1]));
  const GpuAddress from = address_of(p[3], p[4]);
  const GpuAddress to = address_of(p[5], p[6]);
  memory_.copy(to, from, size);
  if (broadcast)
    memory_.copy(address_of(p[7], p[8]), from, size);
  return Step::progressed;
}

Step Sdma::copy_sub_window(std::uint32_t header) {
  const auto p = take(13);
  const std::uint32_t element_log2 = bits(header, 29, 3);
  if (element_log2 > 4)
    refuse(fmt::format("COPY element size {}", element_log2));
  const auto side = [&](std::size_t i) {
    return Window::Side{address_of(p[i], p[i + 1]),    bits(p[i + 2], 0, 14),
                        bits(p[i + 2], 16, 14),        bits(p[i + 3], 0, 13),
                        bits(p[i + 3], 13, 19) + 1ull, bits(p[i + 4], 0, 28) + 1ull};
  };
  Window window;
  window.source = side(1);
  window.target = side(6);
  window.element = 1ull << element_log2;
  window.width = bits(p[11], 0, 14) + 1ull;
  window.height = bits(p[11], 16, 14) + 1ull;
  window.depth = bits(p[12], 0, 13) + 1ull;
  window_ = window;
  return copy_window_rows();
}

Step Sdma::copy_window_rows() {
  constexpr std::uint64_t enough = 1 << 20; // bytes of a step
  constexpr std::uint64_t row_cost = 1024;  // a row counts for this much beside its bytes
  Window& w = *window_;
  const std::uint64_t size = w.width * w.element;
  for (std::uint64_t done = 0; done < enough; done += size + row_cost) {
    memory_.copy(w.row(w.target), w.row(w.source), size);
    if (++w.next_y < w.height)
      continue;
    w.next_y = 0;
    if (++w.next_z == w.depth) {
      window_.reset();
      break;
    }
  }
  return Step::progressed;
}

Step Sdma::write_linear() {
  constexpr std::uint64_t before_data = 4;
  if (reader_.available() < before_data)
    take(before_data); // throws or faults
  const std::uint32_t count = bits(reader_.gather(before_data)[3], 0, 20) + 1;
  const auto p = take(before_data + count);
  memory_.write(address_of(p[1], p[2]), p.data() + before_data, count * 4ull);
  return Step::progressed;
}

Step Sdma::constant_fill(std::uint32_t header) {
  const auto p = take(5);
  const std::uint32_t unit_log2 = bits(header, 30, 2); // 0: bytes, 1: words, 2: dwords
  if (unit_log2 > 2)
    refuse(fmt::format("CONST_FILL size {}", unit_log2));
  if (bits(p[4], 22, 10) != 0)
    refuse(fmt::format("CONST_FILL count {:#x} is beyond 22 bits", p[4]));
  const std::uint64_t size = bits(p[4], 0, 22) + 1ull;
  const unsigned unit = 1u << unit_log2;
  // The count is in bytes, less one; drivers give it rounded down to the unit, less one.
  memory_.fill(address_of(p[1], p[2]), p[3], unit, (size + unit - 1) / unit * unit);
  return Step::progressed;
}

Step Sdma::indirect() {
  const auto p = take(6);
  if (bits(p[0], 31, 1))
    refuse("INDIRECT with privileges");
  if (reader_.depth() >= max_ib_depth + 1)
    refuse("indirect buffers nest too deep");
  push_ib(address_of(p[1] & ~31u, p[2]), bits(p[3], 0, 20));
  return Step::progressed;
}

Step Sdma::fence() {
  const auto p = take(4);
  memory_.store<std::uint32_t>(address_of(p[1] & ~3u, p[2]), p[3]);
  return Step::progressed;
}

Step Sdma::trap() {
  const auto p = take(2);
  context_.interrupts.push_back({Interrupt::Source::sdma_trap, context_.queue, bits(p[1], 0, 28)});
  return Step::progressed;
}

Step Sdma::poll(std::uint32_t header) {
  const auto p = take(6);
  enum : std::uint32_t { always, less, less_equal, equal, not_equal, greater_equal, greater };
  const bool memory = bits(header, 31, 1);
  const std::uint32_t function = bits(header, 28, 3);
  if (!memory) {
    // How HDP is flushed: by hdp_flush, or by ROCr's poll of the address 1 << 63 for `always`. Nothing to
    // flush here.
    if (bits(header, 26, 1) || (function == always && p[1] == 0 && p[2] == 0x80000000))
      return Step::progressed;
    refuse("POLL_REGMEM of a register");
  }
  const std::uint32_t value = memory_.load<std::uint32_t>(address_of(p[1] & ~3u, p[2])) & p[4];
  const std::uint32_t reference = p[3];
  const std::array<bool, 7> holds{
      true,
      value<reference, value <= reference, value == reference, value != reference, value >= reference, value>
          reference};
  if (function >= holds.size())
    refuse(fmt::format("POLL_REGMEM function {}", function));
  if (holds[function])
    return Step::progressed;
  give_back(6);
  return Step::blocked;
}

Step Sdma::conditional() {
  const auto p = take(5);
  const std::uint32_t skip = bits(p[4], 0, 14);
  if (memory_.load<std::uint32_t>(address_of(p[1] & ~3u, p[2])) == p[3])
    return Step::progressed;
  if (reader_.available() < skip) {
    if (!reader_.top().ring)
      refuse(fmt::format("COND_EXE skips {} dwords, beyond its IB", skip));
    give_back(5);
    return Step::idle;
  }
  reader_.top().position += skip;
  return Step::progressed;
}

Step Sdma::atomic(std::uint32_t header) {
  const auto p = take(8);
  const std::uint32_t opcode = bits(header, 25, 7);
  const bool loop = bits(header, 16, 1);
  const std::uint64_t reference = address_of(p[5], p[6]);
  std::uint64_t before = 0;
  if (!tc_atomic(memory_, opcode, address_of(p[1], p[2]), address_of(p[3], p[4]), reference, before))
    refuse(fmt::format("atomic operation {:#x}", opcode));
  const std::uint64_t expected = bits(opcode, 5, 1) ? reference : static_cast<std::uint32_t>(reference);
  if (loop && before != expected) {
    give_back(8);
    return Step::blocked;
  }
  return Step::progressed;
}

Step Sdma::timestamp(std::uint32_t sub_opcode) {
  const auto p = take(3);
  if (sub_opcode != timestamp_get_sub && sub_opcode != timestamp_get_global_sub)
    refuse(fmt::format("TIMESTAMP sub-opcode {}", sub_opcode));
  memory_.store<std::uint64_t>(address_of(p[1] & ~7u, p[2]), gpu_clock());
  return Step::progressed;
}

} // namespace emu::gpu
