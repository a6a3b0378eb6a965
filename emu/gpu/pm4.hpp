// Interprets PM4, type-3 packets as the MEC (compute rings) and the ME/PFP (graphics rings) of gfx10.3 take
// them. Draws are refused. Caches are not modelled, so flushes and invalidations are no more than
// well-formed.
//
// Sources: the kernel's nvd.h and gfx_v10_0.c, Mesa's sid.h and radv for what the fields hold.
#pragma once

#include "engine.hpp"
#include "registers.hpp"

#include <array>
#include <memory>

namespace emu::gpu {

enum class Pm4Kind : std::uint8_t { compute, graphics };

class Pm4 {
public:
  Pm4(EngineContext& context, Pm4Kind kind);
  ~Pm4();

  PacketReader& reader() { return reader_; }
  void push_ib(GpuAddress va, std::uint64_t dwords);
  // Are the packets that follow the constant engine's, or the ring's own? The two share counters. The former
  // runs its IBs where they stand among the others, not beside them. Constant RAM, which only draws read, is
  // not there.
  void on_constant_engine(bool on) { constant_engine_ = on; }
  // Executes at most one packet. Throws Stop. idle: nothing left to read; dispatches have finished too.
  Step step();
  // Ends a dispatch that is running; step() then throws or goes on.
  void cancel();
  void pause(bool on);
  const Dispatch* dispatch() const { return dispatch_.get(); }
  bool busy() const { return dispatch_ && !dispatch_->done(); }
  RegisterFile& registers() { return registers_; }

private:
  using Payload = std::span<const std::uint32_t>;
  using Handler = Step (Pm4::*)(Payload);
  struct Packet;
  static const Packet packets[];
  static const Packet* find(std::uint32_t opcode);

  Step execute(std::uint32_t header);
  void check_dispatch();

  Step nothing(Payload);
  Step set_ce_de_counters(Payload);
  Step increment_ce_counter(Payload);
  Step increment_de_counter(Payload);
  Step wait_on_ce_counter(Payload);
  Step wait_on_de_counter_diff(Payload);
  Step draw(Payload);
  Step set_config_reg(Payload);
  Step set_sh_reg(Payload);
  Step set_context_reg(Payload);
  Step set_uconfig_reg(Payload);
  Step set_registers(std::uint32_t space, std::uint32_t space_end, std::uint32_t index, Payload values);
  Step load_sh_reg_index(Payload);
  Step load_context_reg_index(Payload);
  Step clear_state(Payload);
  Step set_base(Payload);
  Step set_predication(Payload);
  Step cond_exec(Payload);
  Step indirect_buffer(Payload);
  Step dispatch_direct(Payload);
  Step dispatch_indirect(Payload);
  Step start_dispatch(std::array<std::uint32_t, 3> dimensions, std::uint32_t initiator);
  Step event_write(Payload);
  Step event_write_eop(Payload);
  Step release_mem(Payload);
  Step write_data(Payload);
  Step copy_data(Payload);
  Step dma_data(Payload);
  Step atomic_mem(Payload);
  Step wait_reg_mem(Payload);
  Step wait_reg_mem64(Payload);
  Step rewind(Payload);

  void write_register(std::uint32_t offset, std::uint32_t value);
  std::uint32_t read_register(std::uint32_t offset);
  void sample_pipeline_statistics(GpuAddress va);
  void end_of_pipe(GpuAddress va, unsigned data_select, unsigned interrupt_select, std::uint64_t data,
                   std::uint32_t context_id);
  [[noreturn]] void refuse(FaultKind kind, const std::string& why);

  EngineContext& context_;
  const Pm4Kind kind_;
  EngineMemory memory_;
  PacketReader reader_;
  RegisterFile registers_;
  std::shared_ptr<Dispatch> dispatch_;
  const Packet* current_ = nullptr;
  GpuAddress indirect_base_ = 0;
  bool predicate_ = true;
  bool constant_engine_ = false;
  std::uint64_t ce_counter_ = 0, de_counter_ = 0;
  std::uint64_t atomic_result_ = 0; // what the last ATOMIC_MEM found
};

} // namespace emu::gpu
