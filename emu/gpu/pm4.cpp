#include "pm4.hpp"

#include <fmt/format.h>

namespace emu::gpu {

namespace {

constexpr std::uint32_t packet_type3 = 3;
constexpr std::uint32_t packet_type2 = 2;
constexpr std::uint32_t nop_header_only = 0x3fff; // a NOP of this count is one dword long
constexpr std::uint32_t opcode_nop = 0x10;
constexpr std::size_t max_ib_depth = 4;

constexpr unsigned on_compute = 1;
constexpr unsigned on_graphics = 2;
constexpr unsigned on_both = on_compute | on_graphics;
constexpr unsigned on_constant = 4; // the constant engine, beside a graphics ring
constexpr std::uint32_t any_length = 0x4000;

} // namespace

struct Pm4::Packet {
  std::uint32_t opcode;
  const char* name;
  unsigned rings;
  std::uint32_t min_payload, max_payload; // dwords after the header
  Handler handler;
};

// By opcode.
const Pm4::Packet Pm4::packets[] = {
    {0x10, "NOP", on_both | on_constant, 1, any_length, &Pm4::nothing},
    {0x11, "SET_BASE", on_both, 3, 3, &Pm4::set_base},
    {0x12, "CLEAR_STATE", on_graphics, 1, 1, &Pm4::clear_state},
    {0x13, "INDEX_BUFFER_SIZE", on_graphics, 1, 1, &Pm4::nothing},
    {0x15, "DISPATCH_DIRECT", on_both, 4, 4, &Pm4::dispatch_direct},
    {0x16, "DISPATCH_INDIRECT", on_both, 2, 3, &Pm4::dispatch_indirect},
    {0x1e, "ATOMIC_MEM", on_both, 8, 8, &Pm4::atomic_mem},
    {0x20, "SET_PREDICATION", on_graphics, 3, 3, &Pm4::set_predication},
    {0x22, "COND_EXEC", on_both, 4, 4, &Pm4::cond_exec},
    {0x24, "DRAW_INDIRECT", on_graphics, 0, any_length, &Pm4::draw},
    {0x25, "DRAW_INDEX_INDIRECT", on_graphics, 0, any_length, &Pm4::draw},
    {0x26, "INDEX_BASE", on_graphics, 2, 2, &Pm4::nothing},
    {0x27, "DRAW_INDEX_2", on_graphics, 0, any_length, &Pm4::draw},
    {0x28, "CONTEXT_CONTROL", on_graphics, 2, 2, &Pm4::nothing},
    {0x2a, "INDEX_TYPE", on_graphics, 1, 1, &Pm4::nothing},
    {0x2c, "DRAW_INDIRECT_MULTI", on_graphics, 0, any_length, &Pm4::draw},
    {0x2d, "DRAW_INDEX_AUTO", on_graphics, 0, any_length, &Pm4::draw},
    {0x2f, "NUM_INSTANCES", on_graphics, 1, 1, &Pm4::nothing},
    {0x35, "DRAW_INDEX_OFFSET_2", on_graphics, 0, any_length, &Pm4::draw},
    {0x37, "WRITE_DATA", on_both, 4, any_length, &Pm4::write_data},
    {0x38, "DRAW_INDEX_INDIRECT_MULTI", on_graphics, 0, any_length, &Pm4::draw},
    {0x3c, "WAIT_REG_MEM", on_both, 6, 6, &Pm4::wait_reg_mem},
    {0x3f, "INDIRECT_BUFFER", on_both, 3, 3, &Pm4::indirect_buffer},
    {0x40, "COPY_DATA", on_both, 5, 5, &Pm4::copy_data},
    {0x42, "PFP_SYNC_ME", on_graphics, 1, 1, &Pm4::nothing},
    {0x43, "SURFACE_SYNC", on_graphics, 4, 4, &Pm4::nothing},
    {0x46, "EVENT_WRITE", on_both, 1, 3, &Pm4::event_write},
    {0x47, "EVENT_WRITE_EOP", on_graphics, 5, 5, &Pm4::event_write_eop},
    {0x49, "RELEASE_MEM", on_both, 6, 7, &Pm4::release_mem},
    {0x4c, "DISPATCH_MESH_INDIRECT_MULTI", on_graphics, 0, any_length, &Pm4::draw},
    {0x50, "DMA_DATA", on_both, 6, 6, &Pm4::dma_data},
    {0x58, "ACQUIRE_MEM", on_both, 6, 7, &Pm4::nothing},
    {0x59, "REWIND", on_both, 1, 1, &Pm4::rewind},
    {0x63, "LOAD_SH_REG_INDEX", on_both, 4, 4, &Pm4::load_sh_reg_index},
    {0x68, "SET_CONFIG_REG", on_graphics, 2, any_length, &Pm4::set_config_reg},
    {0x69, "SET_CONTEXT_REG", on_graphics, 2, any_length, &Pm4::set_context_reg},
    {0x76, "SET_SH_REG", on_both, 2, any_length, &Pm4::set_sh_reg},
    {0x79, "SET_UCONFIG_REG", on_both, 2, any_length, &Pm4::set_uconfig_reg},
    {0x7a, "SET_UCONFIG_REG_INDEX", on_both, 2, any_length, &Pm4::set_uconfig_reg},
    {0x84, "INCREMENT_CE_COUNTER", on_constant, 1, 1, &Pm4::increment_ce_counter},
    {0x85, "INCREMENT_DE_COUNTER", on_graphics, 1, 1, &Pm4::increment_de_counter},
    {0x86, "WAIT_ON_CE_COUNTER", on_graphics, 1, 1, &Pm4::wait_on_ce_counter},
    {0x88, "WAIT_ON_DE_COUNTER_DIFF", on_constant, 1, 1, &Pm4::wait_on_de_counter_diff},
    {0x89, "SET_CE_DE_COUNTERS", on_constant, 1, 1, &Pm4::set_ce_de_counters},
    {0x90, "FRAME_CONTROL", on_graphics, 1, 1, &Pm4::nothing},
    {0x93, "WAIT_REG_MEM64", on_both, 8, 8, &Pm4::wait_reg_mem64},
    {0x9b, "SET_SH_REG_INDEX", on_both, 2, any_length, &Pm4::set_sh_reg},
    {0x9f, "LOAD_CONTEXT_REG_INDEX", on_graphics, 4, 4, &Pm4::load_context_reg_index},
};

const Pm4::Packet* Pm4::find(std::uint32_t opcode) {
  for (const Packet& packet : packets)
    if (packet.opcode == opcode)
      return &packet;
  return nullptr;
}

Pm4::Pm4(EngineContext& context, Pm4Kind kind)
    : context_(context), kind_(kind), memory_(*context.space), reader_(memory_) {}

Pm4::~Pm4() = default;

void Pm4::push_ib(GpuAddress va, std::uint64_t dwords) {
  if (dwords != 0)
    reader_.push({va, 0, dwords, ~0ull, false});
}

void Pm4::cancel() {
  if (dispatch_)
    dispatch_->cancel();
}

void Pm4::pause(bool on) {
  if (dispatch_)
    context_.shaders->pause(*dispatch_, on);
}

void Pm4::refuse(FaultKind kind, const std::string& why) {
  stop(kind, fmt::format("PM4 {} at {}: {}", current_ ? current_->name : "packet", reader_.where(), why));
}

void Pm4::check_dispatch() {
  const std::shared_ptr<Dispatch> finished = std::move(dispatch_);
  dispatch_ = nullptr;
  if (std::optional<Fault> fault = finished->fault())
    throw Stop{std::move(*fault)};
}

Step Pm4::step() {
  if (dispatch_) {
    if (!dispatch_->done())
      return Step::waiting;
    check_dispatch();
    return Step::progressed;
  }
  reader_.drop_finished();
  if (reader_.empty() || reader_.available() == 0)
    return Step::idle;
  current_ = nullptr;
  return execute(reader_.peek());
}

Step Pm4::execute(std::uint32_t header) {
  const std::uint32_t type = bits(header, 30, 2);
  if (type == packet_type2) {
    ++reader_.top().position;
    return Step::progressed;
  }
  if (type != packet_type3)
    refuse(FaultKind::illegal_packet, fmt::format("type {} header {:#010x}", type, header));
  const std::uint32_t opcode = bits(header, 8, 8);
  const std::uint32_t count = bits(header, 16, 14);
  const bool predicated = bits(header, 0, 1);
  if (opcode == opcode_nop && count == nop_header_only) {
    ++reader_.top().position;
    return Step::progressed;
  }
  const std::uint32_t length = count + 2; // with header
  if (reader_.available() < length) {
    if (reader_.top().ring)
      return Step::idle; // wptr points into a packet: the rest is to come
    refuse(FaultKind::illegal_packet,
           fmt::format("opcode {:#04x} of {} dwords ends beyond its IB", opcode, length));
  }
  current_ = find(opcode);
  const unsigned ring = constant_engine_             ? on_constant
                        : kind_ == Pm4Kind::graphics ? on_graphics
                                                     : on_compute;
  if (!current_ || !(current_->rings & ring))
    refuse(FaultKind::illegal_packet, fmt::format("opcode {:#04x} unknown on a {} ring", opcode,
                                                  ring == on_constant   ? "constant engine's"
                                                  : ring == on_graphics ? "graphics"
                                                                        : "compute"));
  const std::uint32_t payload = count + 1;
  if (payload < current_->min_payload || payload > current_->max_payload)
    refuse(FaultKind::illegal_packet, fmt::format("{} payload dwords", payload));
  if (predicated && !predicate_) {
    reader_.top().position += length;
    return Step::progressed;
  }

  // The handler may push, skip or replace frames: the packet is consumed before it runs, and given back if it
  // blocks.
  const Payload words = reader_.gather(length).subspan(1);
  PacketFrame& frame = reader_.top();
  const std::size_t depth = reader_.depth();
  frame.position += length;
  const Step result = (this->*current_->handler)(words);
  if (result == Step::blocked && reader_.depth() == depth)
    reader_.top().position -= length;
  return result;
}

Step Pm4::nothing(Payload) {
  return Step::progressed;
}

Step Pm4::set_ce_de_counters(Payload) {
  ce_counter_ = de_counter_ = 0;
  return Step::progressed;
}
Step Pm4::increment_ce_counter(Payload) {
  ++ce_counter_;
  return Step::progressed;
}
Step Pm4::increment_de_counter(Payload) {
  ++de_counter_;
  return Step::progressed;
}
Step Pm4::wait_on_ce_counter(Payload) {
  return ce_counter_ > de_counter_ ? Step::progressed : Step::blocked;
}
Step Pm4::wait_on_de_counter_diff(Payload p) {
  if (ce_counter_ - de_counter_ >= p[0])
    refuse(FaultKind::illegal_packet,
           "the constant engine runs ahead of the drawing engine here, and cannot wait for it");
  return Step::progressed;
}

Step Pm4::draw(Payload) {
  refuse(FaultKind::illegal_packet, "this GPU does not draw");
}

void Pm4::write_register(std::uint32_t offset, std::uint32_t value) {
  if (!registers_.write(offset, value))
    refuse(FaultKind::illegal_register, fmt::format("no register at {:#x} (value {:#x})", offset, value));
}

std::uint32_t Pm4::read_register(std::uint32_t offset) {
  std::optional<std::uint32_t> value = registers_.read(offset);
  if (!value)
    refuse(FaultKind::illegal_register, fmt::format("no register at {:#x}", offset));
  return *value;
}

Step Pm4::set_registers(std::uint32_t space, std::uint32_t space_end, std::uint32_t index, Payload values) {
  std::uint32_t offset = space + index * 4;
  for (std::uint32_t value : values) {
    if (offset >= space_end)
      refuse(FaultKind::illegal_register, fmt::format("register {:#x} is beyond the packet's space", offset));
    write_register(offset, value);
    offset += 4;
  }
  return Step::progressed;
}

// Bits 31:28 of the first dword are the _INDEX forms' index, which steers what the CP does beside the write.
Step Pm4::set_config_reg(Payload p) {
  return set_registers(reg::config_space, reg::config_end, bits(p[0], 0, 16), p.subspan(1));
}
Step Pm4::set_sh_reg(Payload p) {
  return set_registers(reg::sh_space, reg::sh_end, bits(p[0], 0, 16), p.subspan(1));
}
Step Pm4::set_context_reg(Payload p) {
  return set_registers(reg::context_space, reg::context_end, bits(p[0], 0, 16), p.subspan(1));
}
Step Pm4::set_uconfig_reg(Payload p) {
  return set_registers(reg::uconfig_space, reg::uconfig_end, bits(p[0], 0, 16), p.subspan(1));
}

Step Pm4::load_sh_reg_index(Payload p) {
  const GpuAddress from = address_of(p[0] & ~3u, p[1]);
  const std::uint32_t index = bits(p[2], 0, 16);
  for (std::uint32_t i = 0; i < bits(p[3], 0, 14); ++i)
    write_register(reg::sh_space + (index + i) * 4, memory_.load<std::uint32_t>(from + i * 4));
  return Step::progressed;
}

Step Pm4::load_context_reg_index(Payload p) {
  const GpuAddress from = address_of(p[0] & ~3u, p[1]);
  const std::uint32_t index = bits(p[2], 0, 16);
  for (std::uint32_t i = 0; i < bits(p[3], 0, 14); ++i)
    write_register(reg::context_space + (index + i) * 4, memory_.load<std::uint32_t>(from + i * 4));
  return Step::progressed;
}

Step Pm4::clear_state(Payload) {
  registers_.clear_context();
  return Step::progressed;
}

Step Pm4::set_base(Payload p) {
  constexpr std::uint32_t base_indirect = 1; // what DRAW_* and DISPATCH_INDIRECT add their offset to
  if (bits(p[0], 0, 4) != base_indirect)
    refuse(FaultKind::illegal_packet, fmt::format("base index {}", bits(p[0], 0, 4)));
  indirect_base_ = address_of(p[1] & ~3u, p[2]);
  return Step::progressed;
}

Step Pm4::set_predication(Payload p) {
  enum : std::uint32_t { op_clear = 0, op_bool64 = 3, op_bool32 = 4 };
  const std::uint32_t operation = bits(p[0], 16, 3);
  const bool draw_visible = bits(p[0], 8, 1); // draw where the value is not zero
  const GpuAddress va = address_of(p[1], p[2]);
  switch (operation) {
  case op_clear:
    predicate_ = true;
    return Step::progressed;
  case op_bool64:
    predicate_ = (memory_.load<std::uint64_t>(va) != 0) == draw_visible;
    return Step::progressed;
  case op_bool32:
    predicate_ = (memory_.load<std::uint32_t>(va) != 0) == draw_visible;
    return Step::progressed;
  default:
    refuse(FaultKind::illegal_packet, fmt::format("predication operation {}", operation));
  }
}

Step Pm4::cond_exec(Payload p) {
  const std::uint32_t skip = bits(p[3], 0, 14);
  if (memory_.load<std::uint32_t>(address_of(p[0] & ~3u, p[1])) != 0)
    return Step::progressed;
  if (reader_.available() < skip) {
    if (!reader_.top().ring)
      refuse(FaultKind::illegal_packet, fmt::format("skips {} dwords, beyond its IB", skip));
    return Step::blocked;
  }
  reader_.top().position += skip;
  return Step::progressed;
}

Step Pm4::rewind(Payload p) {
  if (!bits(p[0], 31, 1))
    return Step::blocked;
  return Step::progressed;
}

Step Pm4::indirect_buffer(Payload p) {
  const GpuAddress va = address_of(p[0] & ~3u, bits(p[1], 0, 16));
  const std::uint32_t dwords = bits(p[2], 0, 20);
  const bool chain = bits(p[2], 20, 1);
  if (dwords == 0)
    return Step::progressed;
  if (chain) {
    if (reader_.top().ring)
      refuse(FaultKind::illegal_packet, "a ring does not chain");
    reader_.top() = {va, 0, dwords, ~0ull, false};
    return Step::progressed;
  }
  if (reader_.depth() >= max_ib_depth)
    refuse(FaultKind::illegal_packet, "indirect buffers nest too deep");
  push_ib(va, dwords);
  return Step::progressed;
}

Step Pm4::dispatch_direct(Payload p) {
  return start_dispatch({p[0], p[1], p[2]}, p[3]);
}

Step Pm4::dispatch_indirect(Payload p) {
  // The MEC takes an address, the ME an offset from SET_BASE.
  const bool mec = kind_ == Pm4Kind::compute;
  if (p.size() != (mec ? 3u : 2u))
    refuse(FaultKind::illegal_packet, fmt::format("{} payload dwords", p.size()));
  const GpuAddress va = mec ? address_of(p[0] & ~3u, p[1]) : indirect_base_ + p[0];
  std::array<std::uint32_t, 3> dimensions{};
  memory_.read(va, dimensions.data(), sizeof dimensions);
  return start_dispatch(dimensions, p[mec ? 2 : 1]);
}

Step Pm4::start_dispatch(std::array<std::uint32_t, 3> dimensions, std::uint32_t initiator) {
  const bool enabled = bits(initiator, 0, 1);
  const bool partial = bits(initiator, 1, 1);
  const bool from_zero = bits(initiator, 2, 1);
  const bool ordered_append = bits(initiator, 3, 1);
  const bool thread_dimensions = bits(initiator, 5, 1);
  constexpr std::uint32_t tmpring_unit = 1024;
  if (!enabled || ordered_append)
    refuse(FaultKind::illegal_dispatch, fmt::format("dispatch initiator {:#x}", initiator));

  DispatchDescription d = context_.dispatch();
  isa::DispatchState& s = d.state;
  s.code = address_of(registers_.get(reg::COMPUTE_PGM_LO), bits(registers_.get(reg::COMPUTE_PGM_HI), 0, 8))
           << 8;
  s.pgm_rsrc1 = registers_.get(reg::COMPUTE_PGM_RSRC1);
  s.pgm_rsrc2 = registers_.get(reg::COMPUTE_PGM_RSRC2);
  s.pgm_rsrc3 = registers_.get(reg::COMPUTE_PGM_RSRC3);
  for (std::uint32_t i = 0; i < 16; ++i)
    s.user_data[i] = registers_.get(reg::COMPUTE_USER_DATA_0 + i * 4);
  s.wave32 = bits(initiator, 15, 1);
  const std::uint32_t tmpring = registers_.get(reg::COMPUTE_TMPRING_SIZE);
  s.scratch_wave_size = bits(tmpring, 12, 13) * tmpring_unit;
  const bool scratch = bits(s.pgm_rsrc2, 0, 1) && s.scratch_wave_size != 0;
  d.scratch_waves = scratch ? bits(tmpring, 0, 12) : 0;

  for (std::uint32_t i = 0; i < 3; ++i) {
    const std::uint32_t threads = registers_.get(reg::COMPUTE_NUM_THREAD_X + i * 4);
    const std::uint32_t full = bits(threads, 0, 16);
    const std::uint32_t last = bits(threads, 16, 16);
    s.group_size[i] = full;
    d.first[i] = from_zero ? 0 : registers_.get(reg::COMPUTE_START_X + i * 4);
    d.end[i] = dimensions[i];
    d.last_size[i] = partial && last != 0 ? last : full;
    if (thread_dimensions && full != 0) {
      d.end[i] = dimensions[i] / full + (dimensions[i] % full != 0);
      d.last_size[i] = dimensions[i] % full != 0 ? dimensions[i] % full : full;
    }
  }
  if (std::string why = gpu::refuse(d); !why.empty())
    refuse(FaultKind::illegal_dispatch, why);
  if (!registers_fit(d))
    refuse(FaultKind::illegal_dispatch, "more vector registers than a workgroup can have");
  dispatch_ = context_.shaders->start(std::move(d), context_.wake);
  return Step::progressed;
}

} // namespace emu::gpu
