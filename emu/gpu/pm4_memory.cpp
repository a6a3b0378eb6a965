// The PM4 packets that move data and synchronise.
#include "pm4.hpp"

#include <array>
#include <initializer_list>

#include <fmt/format.h>

namespace emu::gpu {

namespace {

// Selectors of WRITE_DATA and COPY_DATA.
enum DataSelect : std::uint32_t {
  select_register = 0,
  select_memory = 1, // as a destination: through GRBM, deprecated
  select_l2 = 2,
  select_memory_async = 5, // destinations
  // COPY_DATA sources:
  select_immediate = 5,
  select_atomic_result = 6,
  select_gpu_clock = 9,
  select_system_clock = 10,
};

bool is_memory_destination(std::uint32_t select) {
  return select == select_memory || select == select_l2 || select == select_memory_async;
}

// VGT_EVENT_TYPE, as far as EVENT_WRITE and RELEASE_MEM name them.
enum Event : std::uint32_t {
  event_cache_flush_ts = 0x04,
  event_context_done = 0x05,
  event_cache_flush = 0x06,
  event_cs_partial_flush = 0x07,
  event_break_batch = 0x0e,
  event_vs_partial_flush = 0x0f,
  event_ps_partial_flush = 0x10,
  event_flush_dfsm = 0x12,
  event_cache_flush_and_inv_ts = 0x14,
  event_cache_flush_and_inv = 0x16,
  event_perfcounter_start = 0x17,
  event_perfcounter_stop = 0x18,
  event_pipelinestat_start = 0x19,
  event_pipelinestat_stop = 0x1a,
  event_perfcounter_sample = 0x1b,
  event_sample_pipelinestat = 0x1e,
  event_vgt_flush = 0x24,
  event_bottom_of_pipe_ts = 0x28,
  event_db_cache_flush_and_inv = 0x2a,
  event_flush_and_inv_db_data_ts = 0x2b,
  event_flush_and_inv_db_meta = 0x2c,
  event_flush_and_inv_cb_data_ts = 0x2d,
  event_flush_and_inv_cb_meta = 0x2e,
  event_cs_done = 0x2f,
  event_ps_done = 0x30,
  event_flush_and_inv_cb_pixel_data = 0x31,
  event_thread_trace_start = 0x33,
  event_thread_trace_stop = 0x34,
  event_thread_trace_marker = 0x35,
  event_thread_trace_finish = 0x37,
};

constexpr std::uint64_t events(std::initializer_list<std::uint32_t> list) {
  std::uint64_t set = 0;
  for (std::uint32_t event : list)
    set |= 1ull << event;
  return set;
}

// Those that order or flush something, all of which has happened already, or start and stop what nobody can
// read.
constexpr std::uint64_t plain_events = events({event_context_done,
                                               event_cache_flush,
                                               event_cs_partial_flush,
                                               event_break_batch,
                                               event_vs_partial_flush,
                                               event_ps_partial_flush,
                                               event_flush_dfsm,
                                               event_cache_flush_and_inv,
                                               event_perfcounter_start,
                                               event_perfcounter_stop,
                                               event_pipelinestat_start,
                                               event_pipelinestat_stop,
                                               event_perfcounter_sample,
                                               event_vgt_flush,
                                               event_db_cache_flush_and_inv,
                                               event_flush_and_inv_db_meta,
                                               event_flush_and_inv_cb_meta,
                                               event_flush_and_inv_cb_pixel_data,
                                               event_thread_trace_start,
                                               event_thread_trace_stop,
                                               event_thread_trace_marker,
                                               event_thread_trace_finish});
// Those that write when all before them is done.
constexpr std::uint64_t end_events =
    events({event_cache_flush_ts, event_cache_flush_and_inv_ts, event_bottom_of_pipe_ts,
            event_flush_and_inv_db_data_ts, event_flush_and_inv_cb_data_ts, event_cs_done, event_ps_done});

enum CompareFunction : std::uint32_t { always, less, less_equal, equal, not_equal, greater_equal, greater };

bool compare(std::uint32_t function, std::uint64_t value, std::uint64_t reference) {
  switch (function) {
  case always:
    return true;
  case less:
    return value < reference;
  case less_equal:
    return value <= reference;
  case equal:
    return value == reference;
  case not_equal:
    return value != reference;
  case greater_equal:
    return value >= reference;
  case greater:
    return value > reference;
  default:
    return false;
  }
}

} // namespace

Step Pm4::write_data(Payload p) {
  const std::uint32_t destination = bits(p[0], 8, 4);
  const bool one_address = bits(p[0], 16, 1);
  const Payload data = p.subspan(3);
  if (destination == select_register) {
    for (std::size_t i = 0; i < data.size(); ++i)
      write_register((p[1] + (one_address ? 0 : static_cast<std::uint32_t>(i))) * 4, data[i]);
    return Step::progressed;
  }
  if (!is_memory_destination(destination))
    refuse(FaultKind::illegal_packet, fmt::format("destination {}", destination));
  const GpuAddress va = address_of(p[1] & ~3u, p[2]);
  for (std::size_t i = 0; i < data.size(); ++i)
    memory_.store<std::uint32_t>(one_address ? va : va + i * 4, data[i]);
  return Step::progressed;
}

Step Pm4::copy_data(Payload p) {
  const std::uint32_t source = bits(p[0], 0, 4);
  const std::uint32_t destination = bits(p[0], 8, 4);
  const bool wide = bits(p[0], 16, 1);
  const GpuAddress from = address_of(p[1], p[2]);
  const GpuAddress to = address_of(p[3], p[4]);
  std::uint64_t value = 0;
  switch (source) {
  case select_register:
    value = read_register(p[1] * 4);
    if (wide)
      value |= static_cast<std::uint64_t>(read_register(p[1] * 4 + 4)) << 32;
    break;
  case select_memory:
  case select_l2:
    value = wide ? memory_.load<std::uint64_t>(from) : memory_.load<std::uint32_t>(from);
    break;
  case select_immediate:
    value = from;
    break;
  case select_atomic_result:
    value = atomic_result_;
    break;
  case select_gpu_clock:
  case select_system_clock:
    value = gpu_clock();
    break;
  default:
    refuse(FaultKind::illegal_packet, fmt::format("source {}", source));
  }
  if (destination == select_register) {
    write_register(p[3] * 4, static_cast<std::uint32_t>(value));
    if (wide)
      write_register(p[3] * 4 + 4, static_cast<std::uint32_t>(value >> 32));
  } else if (is_memory_destination(destination)) {
    if (wide)
      memory_.store<std::uint64_t>(to, value);
    else
      memory_.store<std::uint32_t>(to, static_cast<std::uint32_t>(value));
  } else {
    refuse(FaultKind::illegal_packet, fmt::format("destination {}", destination));
  }
  return Step::progressed;
}

Step Pm4::dma_data(Payload p) {
  enum : std::uint32_t { address = 0, nowhere = 2, data = 2, l2 = 3 };
  const std::uint32_t source = bits(p[0], 29, 2);
  const std::uint32_t destination = bits(p[0], 20, 2);
  const std::uint32_t size = bits(p[5], 0, 26);
  const bool registers = bits(p[5], 26, 2) != 0;
  const bool fixed_address = bits(p[5], 28, 2) != 0;
  const GpuAddress from = address_of(p[1], p[2]);
  const GpuAddress to = address_of(p[3], p[4]);
  if (size == 0)
    return Step::progressed; // only waits for earlier DMA, which is over
  const bool memory_source = source == address || source == l2;
  if (registers || fixed_address || !(memory_source || source == data) ||
      !(destination == address || destination == l2 || destination == nowhere))
    refuse(FaultKind::illegal_packet, fmt::format("control {:#x}, command {:#x}", p[0], p[5]));
  if (destination == nowhere) {
    // A prefetch. Its ends must be mapped.
    if (memory_source) {
      memory_.load<std::uint8_t>(from);
      memory_.load<std::uint8_t>(from + size - 1);
    }
    return Step::progressed;
  }
  if (source == data) {
    if (to % 4 != 0 || size % 4 != 0)
      refuse(FaultKind::illegal_packet, "a fill that is not of whole dwords");
    memory_.fill(to, p[1], 4, size);
  } else {
    memory_.copy(to, from, size);
  }
  return Step::progressed;
}

Step Pm4::atomic_mem(Payload p) {
  const std::uint32_t opcode = bits(p[0], 0, 7);
  constexpr std::uint32_t single_pass = 0, loop_until_compare = 1;
  const std::uint32_t command = bits(p[0], 8, 4);
  const std::uint64_t source = address_of(p[3], p[4]);
  const std::uint64_t reference = address_of(p[5], p[6]);
  if (command != single_pass && command != loop_until_compare)
    refuse(FaultKind::illegal_packet, fmt::format("command {}", command));
  std::uint64_t before = 0;
  if (!tc_atomic(memory_, opcode, address_of(p[1], p[2]), source, reference, before))
    refuse(FaultKind::illegal_packet, fmt::format("atomic operation {:#x}", opcode));
  atomic_result_ = before;
  const bool wide = bits(opcode, 5, 1);
  const std::uint64_t expected = wide ? reference : static_cast<std::uint32_t>(reference);
  return command == loop_until_compare && before != expected ? Step::blocked : Step::progressed;
}

Step Pm4::wait_reg_mem(Payload p) {
  const std::uint32_t function = bits(p[0], 0, 3);
  const bool memory = bits(p[0], 4, 2) != 0;
  const std::uint32_t operation = bits(p[0], 6, 2);
  if (operation != 0 || function > greater)
    refuse(FaultKind::illegal_packet, fmt::format("operation {}, function {}", operation, function));
  const std::uint32_t value =
      memory ? memory_.load<std::uint32_t>(address_of(p[1] & ~3u, p[2])) : read_register(p[1] * 4);
  return compare(function, value & p[4], p[3]) ? Step::progressed : Step::blocked;
}

Step Pm4::wait_reg_mem64(Payload p) {
  const std::uint32_t function = bits(p[0], 0, 3);
  const bool memory = bits(p[0], 4, 2) != 0;
  const std::uint32_t operation = bits(p[0], 6, 2);
  if (operation != 0 || function > greater || !memory)
    refuse(FaultKind::illegal_packet, fmt::format("control {:#x}", p[0]));
  const std::uint64_t value = memory_.load<std::uint64_t>(address_of(p[1] & ~7u, p[2]));
  return compare(function, value & address_of(p[5], p[6]), address_of(p[3], p[4])) ? Step::progressed
                                                                                   : Step::blocked;
}

Step Pm4::event_write(Payload p) {
  const std::uint32_t event = bits(p[0], 0, 6);
  if (event == event_sample_pipelinestat && p.size() == 3)
    sample_pipeline_statistics(address_of(p[1] & ~7u, p[2]));
  else if (p.size() != 1 || !(plain_events >> event & 1))
    refuse(FaultKind::illegal_packet, fmt::format("event {:#x} with {} dwords", event, p.size()));
  return Step::progressed;
}

// On the graphics ring eleven counters; all but the last belong to draws. The compute rings' processor has
// that one only.
void Pm4::sample_pipeline_statistics(GpuAddress va) {
  std::array<std::uint64_t, 11> counters{};
  const std::size_t count = kind_ == Pm4Kind::graphics ? counters.size() : 1;
  counters[count - 1] = context_.shaders->invocations();
  memory_.write(va, counters.data(), count * sizeof counters[0]);
}

void Pm4::end_of_pipe(GpuAddress va, unsigned data_select, unsigned interrupt_select, std::uint64_t data,
                      std::uint32_t context_id) {
  enum : unsigned { data_none = 0, data_32 = 1, data_64 = 2, data_gpu_clock = 3, data_system_clock = 4 };
  enum : unsigned {
    interrupt_none = 0,
    interrupt_only = 1,
    interrupt_after_write = 2,
    no_interrupt_after_write = 3
  };
  switch (data_select) {
  case data_none:
    break;
  case data_32:
    memory_.store<std::uint32_t>(va & ~3ull, static_cast<std::uint32_t>(data));
    break;
  case data_64:
    memory_.store<std::uint64_t>(va & ~7ull, data);
    break;
  case data_gpu_clock:
  case data_system_clock:
    memory_.store<std::uint64_t>(va & ~7ull, gpu_clock());
    break;
  default:
    refuse(FaultKind::illegal_packet, fmt::format("data selection {}", data_select));
  }
  switch (interrupt_select) {
  case interrupt_none:
  case no_interrupt_after_write:
    return;
  case interrupt_only:
  case interrupt_after_write:
    context_.interrupts.push_back({Interrupt::Source::end_of_pipe, context_.queue, context_id});
    return;
  default:
    refuse(FaultKind::illegal_packet, fmt::format("interrupt selection {}", interrupt_select));
  }
}

Step Pm4::release_mem(Payload p) {
  const std::uint32_t destination = bits(p[1], 16, 2);
  const std::uint32_t event = bits(p[0], 0, 6);
  if (destination > 1 || !(end_events >> event & 1))
    refuse(FaultKind::illegal_packet, fmt::format("event {:#x}, destination {}", event, destination));
  end_of_pipe(address_of(p[2], p[3]), bits(p[1], 29, 3), bits(p[1], 24, 3), address_of(p[4], p[5]),
              p.size() > 6 ? p[6] : 0);
  return Step::progressed;
}

Step Pm4::event_write_eop(Payload p) {
  if (!(end_events >> bits(p[0], 0, 6) & 1))
    refuse(FaultKind::illegal_packet, fmt::format("event {:#x}", bits(p[0], 0, 6)));
  end_of_pipe(address_of(p[1], bits(p[2], 0, 16)), bits(p[2], 29, 3), bits(p[2], 24, 2),
              address_of(p[3], p[4]), 0);
  return Step::progressed;
}

} // namespace emu::gpu
