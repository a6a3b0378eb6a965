// A workgroup's start and its interpreter loop.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "code_cache.hpp"
#include "group.hpp"
#include "tables.hpp"

namespace emu::isa {

namespace {

// COMPUTE_PGM_RSRC1 and COMPUTE_PGM_RSRC2, fields as LLVM's AMDGPU usage manual names them.
constexpr std::uint32_t field(std::uint32_t reg, unsigned high, unsigned low) {
  return reg >> low & ((1u << (high - low + 1)) - 1);
}
constexpr std::uint32_t rsrc1_vgprs(std::uint32_t r) {
  return field(r, 5, 0);
}
constexpr std::uint32_t rsrc1_float_mode(std::uint32_t r) {
  return field(r, 19, 12);
}
constexpr bool rsrc1_dx10_clamp(std::uint32_t r) {
  return field(r, 21, 21);
}
constexpr bool rsrc1_ieee_mode(std::uint32_t r) {
  return field(r, 23, 23);
}
constexpr bool rsrc1_fp16_ovfl(std::uint32_t r) {
  return field(r, 26, 26);
}
constexpr bool rsrc1_wgp_mode(std::uint32_t r) {
  return field(r, 29, 29);
}
constexpr bool rsrc2_scratch_en(std::uint32_t r) {
  return field(r, 0, 0);
}
constexpr std::uint32_t rsrc2_user_sgpr(std::uint32_t r) {
  return field(r, 5, 1);
}
constexpr bool rsrc2_tgid_en(std::uint32_t r, unsigned axis) {
  return r >> (7 + axis) & 1;
}
constexpr bool rsrc2_tg_size_en(std::uint32_t r) {
  return field(r, 10, 10);
}
constexpr std::uint32_t rsrc2_tidig_comp_cnt(std::uint32_t r) {
  return field(r, 12, 11);
}
constexpr std::uint32_t rsrc2_lds_size(std::uint32_t r) {
  return field(r, 23, 15);
}

constexpr std::uint32_t rsrc3_shared_vgprs(std::uint32_t r) {
  return field(r, 3, 0) * 8;
}

constexpr std::uint32_t lds_granularity = 512;

// Instructions that a wave executes before its neighbours get their turn.
constexpr std::uint64_t time_slice = 4096;

bool trace_wanted() {
  static const bool wanted = [] {
    const char* value = std::getenv("CUDA_SHIM_EMU_TRACE");
    return value && std::string_view(value).find("isa") != std::string_view::npos;
  }();
  return wanted;
}

void trace_instruction(const Wave& wave, const Instruction& in) {
  std::fputs(fmt::format("kfd-emu: isa: wave {} {:x}: {} exec {:x} scc {:d} vcc {:x}\n", wave.index,
                         wave.current_pc, in.row ? in.row->mnemonic : "(illegal)", wave.exec(), wave.scc,
                         wave.vcc())
                 .c_str(),
             stderr);
}

} // namespace

std::uint32_t lds_bytes(std::uint32_t pgm_rsrc2) {
  return std::min(rsrc2_lds_size(pgm_rsrc2) * lds_granularity, lds_limit);
}

std::uint32_t vgpr_count(std::uint32_t pgm_rsrc1, bool wave32) {
  return std::min((rsrc1_vgprs(pgm_rsrc1) + 1) * (wave32 ? 8 : 4), vgpr_limit);
}

// VGPRs behind a wave64's own whose 32 values both of its halves see.
struct SharedVgprs {
  std::uint32_t first = 0, count = 0;

  // After an instruction: what one half wrote appears in the other. The upper half comes last.
  void join(Wave& wave) const {
    const std::uint64_t exec = wave.exec();
    for (std::uint32_t row = first; row < first + count; ++row)
      for (unsigned lane = 0; lane < 32; ++lane) {
        std::uint32_t& low = wave.vgpr[row][lane];
        std::uint32_t& high = wave.vgpr[row][lane + 32];
        if (low != high)
          (exec >> (lane + 32) & 1 ? low : high) = exec >> (lane + 32) & 1 ? high : low;
      }
  }
};

struct WorkgroupExecution::Impl {
  explicit Impl(CodeCache& cache) : code(cache.impl()), group(code.memory.space()) {
    group.lds = std::make_unique<std::byte[]>(lds_limit);
  }

  void start(const DispatchState& dispatch, const WorkgroupPosition& position);
  void start_wave(Wave& wave, std::uint32_t index);
  void start_scalars(Wave& wave);
  void start_local_ids(Wave& wave);
  Progress run(std::uint64_t budget);
  bool run_round(std::uint64_t& budget);
  template <bool special>
  std::uint64_t run_wave(Wave& wave, std::uint64_t budget);
  void release_barrier();
  bool parked() const;
  Progress abort();

  CodeCache::Impl& code;
  Group group;
  SharedVgprs shared_vgprs;
  DispatchState dispatch;
  WorkgroupPosition position;
  std::vector<std::unique_ptr<Wave>> waves; // the first group.wave_count are in use
  unsigned next_wave = 0;
  std::uint64_t executed = 0;
  const std::atomic<bool>* stop = nullptr;
};

void WorkgroupExecution::Impl::start(const DispatchState& new_dispatch,
                                     const WorkgroupPosition& new_position) {
  dispatch = new_dispatch;
  position = new_position;
  const std::uint32_t lanes = dispatch.wave32 ? 32 : 64;
  const std::uint32_t threads = position.size[0] * position.size[1] * position.size[2];
  group.wave_count = (threads + lanes - 1) / lanes;
  group.lds_size = lds_bytes(dispatch.pgm_rsrc2);
  group.shared_aperture = dispatch.shared_aperture;
  group.private_aperture = dispatch.private_aperture;
  group.hw_id1 = position.hw_id1;
  group.hw_id2 = dispatch.hw_id2;
  shared_vgprs.first = vgpr_count(dispatch.pgm_rsrc1, dispatch.wave32);
  shared_vgprs.count =
      dispatch.wave32 ? 0 : std::min(rsrc3_shared_vgprs(dispatch.pgm_rsrc3), vgpr_limit - shared_vgprs.first);
  group.trap_handler = dispatch.trap_handler;
  group.doorbell = dispatch.doorbell;
  group.global_wave_sync = dispatch.global_wave_sync;
  group.simds = rsrc1_wgp_mode(dispatch.pgm_rsrc1) ? 4 : 2;
  group.fault = Fault{};
  group.code_stale = false;
  group.trace = trace_wanted();
  std::memset(group.lds.get(), 0, group.lds_size);
  while (waves.size() < group.wave_count)
    waves.push_back(std::make_unique<Wave>());
  for (std::uint32_t i = 0; i < group.wave_count; ++i)
    start_wave(*waves[i], i);
  next_wave = 0;
  executed = 0;
  code.revalidate();
}

void WorkgroupExecution::Impl::start_wave(Wave& wave, std::uint32_t index) {
  wave.lanes = dispatch.wave32 ? 32 : 64;
  wave.wave64 = !dispatch.wave32;
  wave.lane_mask = dispatch.wave32 ? 0xffffffffull : ~0ull;
  wave.index = index;
  wave.group = &group;
  wave.pc = wave.current_pc = dispatch.code;
  wave.flat_scratch = 0;
  wave.trapsts = 0;
  wave.scc = false;
  wave.privileged = wave.halt = false;
  wave.gws_wait = {};
  wave.event = WaveEvent::none;
  wave.vgprs = vgpr_count(dispatch.pgm_rsrc1, dispatch.wave32);
  wave.mode = rsrc1_float_mode(dispatch.pgm_rsrc1) |
              (rsrc1_dx10_clamp(dispatch.pgm_rsrc1) ? mode::dx10_clamp : 0) |
              (rsrc1_ieee_mode(dispatch.pgm_rsrc1) ? mode::ieee : 0) |
              (rsrc1_fp16_ovfl(dispatch.pgm_rsrc1) ? mode::fp16_ovfl : 0);
  std::memset(wave.vgpr, 0, (wave.vgprs + shared_vgprs.count) * sizeof wave.vgpr[0]);
  start_scalars(wave);
  start_local_ids(wave);
}

void WorkgroupExecution::Impl::start_scalars(Wave& wave) {
  std::memset(wave.sgpr, 0, sizeof wave.sgpr);
  unsigned next = std::min<unsigned>(rsrc2_user_sgpr(dispatch.pgm_rsrc2), dispatch.user_data.size());
  std::copy_n(dispatch.user_data.begin(), next, wave.sgpr);
  for (unsigned axis = 0; axis < 3; ++axis)
    if (rsrc2_tgid_en(dispatch.pgm_rsrc2, axis))
      wave.sgpr[next++] = position.id[axis];
  if (rsrc2_tg_size_en(dispatch.pgm_rsrc2)) {
    // Bits 11:6 belong to ordered append; where that is off they count waves too, and older drivers look
    // there.
    constexpr unsigned ordered_append_shift = 6, wave_id_shift = 20;
    constexpr std::uint32_t first_wave = 1u << 31;
    wave.sgpr[next++] = group.wave_count | wave.index << ordered_append_shift | wave.index << wave_id_shift |
                        (wave.index == 0 ? first_wave : 0);
  }
  if (rsrc2_scratch_en(dispatch.pgm_rsrc2))
    wave.sgpr[next++] = static_cast<std::uint32_t>(position.scratch_offset +
                                                   std::uint64_t{wave.index} * dispatch.scratch_wave_size);
}

void WorkgroupExecution::Impl::start_local_ids(Wave& wave) {
  const std::uint32_t x = position.size[0], y = position.size[1], z = position.size[2];
  const unsigned components = rsrc2_tidig_comp_cnt(dispatch.pgm_rsrc2);
  std::uint64_t exec = 0;
  for (std::uint32_t lane = 0; lane < wave.lanes; ++lane) {
    const std::uint32_t id = wave.index * wave.lanes + lane;
    if (id >= x * y * z)
      break;
    exec |= std::uint64_t{1} << lane;
    wave.vgpr[0][lane] = id % x;
    if (components >= 1)
      wave.vgpr[1][lane] = id / x % y;
    if (components >= 2)
      wave.vgpr[2][lane] = id / x / y;
  }
  wave.set_pair(exec_lo, exec);
}

// `special`: instructions are traced, or there are shared VGPRs.
template <bool special>
std::uint64_t WorkgroupExecution::Impl::run_wave(Wave& wave, std::uint64_t budget) {
  CodeBlock* block = nullptr;
  std::uint64_t left = budget;
  while (left > 0) {
    // A copy of wave.pc: straight code does not wait for what the last instruction wrote.
    std::uint64_t pc = wave.pc;
    if (!block || pc - block->base >= CodeBlock::bytes) [[unlikely]] {
      wave.current_pc = pc;
      block = code.enter(pc);
      if (!block) {
        group.raise_page_fault(wave, code.memory.fault());
        break;
      }
    }
    do {
      const Instruction& in = block->at(static_cast<unsigned>(pc - block->base) / 4);
      wave.current_pc = pc;
      pc += in.size * 4u;
      wave.pc = pc;
      if constexpr (special)
        if (group.trace)
          trace_instruction(wave, in);
      in.handler(wave, in);
      if constexpr (special)
        shared_vgprs.join(wave);
      --left;
      if (wave.event != WaveEvent::none)
        return budget - left;
    } while (left > 0 && wave.pc == pc && pc - block->base < CodeBlock::bytes);
  }
  return budget - left;
}

// A turn for every wave that can go on. False where none of them used its time: all sleep, wait or have
// ended.
bool WorkgroupExecution::Impl::run_round(std::uint64_t& budget) {
  bool busy = false;
  for (std::uint32_t i = 0; i < group.wave_count && budget > 0; ++i) {
    Wave& wave = *waves[next_wave];
    next_wave = (next_wave + 1) % group.wave_count;
    if (wave.event != WaveEvent::none)
      continue;
    const std::uint64_t slice = std::min(budget, time_slice);
    const std::uint64_t used =
        group.trace || shared_vgprs.count != 0 ? run_wave<true>(wave, slice) : run_wave<false>(wave, slice);
    budget -= used;
    executed += used;
    if (group.code_stale) {
      group.code_stale = false;
      code.revalidate();
    }
    if (wave.event == WaveEvent::faulted)
      return true;
    if (wave.event == WaveEvent::trapped)
      enter_trap_handler(wave);
    if (wave.event == WaveEvent::yield)
      wave.event = WaveEvent::none;
    else
      busy = true;
  }
  return busy;
}

// Once every wave that has not ended waits at the barrier, all go on.
void WorkgroupExecution::Impl::release_barrier() {
  for (std::uint32_t i = 0; i < group.wave_count; ++i)
    if (waves[i]->event == WaveEvent::none || waves[i]->event == WaveEvent::halted)
      return;
  for (std::uint32_t i = 0; i < group.wave_count; ++i)
    if (waves[i]->event == WaveEvent::barrier)
      waves[i]->event = WaveEvent::none;
}

// Behind release_barrier(): whoever waits at a barrier waits for a halted wave.
bool WorkgroupExecution::Impl::parked() const {
  return std::none_of(waves.begin(), waves.begin() + group.wave_count,
                      [](const auto& wave) { return wave->event == WaveEvent::none; });
}

Progress WorkgroupExecution::Impl::abort() {
  for (std::uint32_t i = 0; i < group.wave_count; ++i)
    if (waves[i]->event != WaveEvent::ended) {
      group.raise(*waves[i], FaultKind::aborted, "stopped from outside");
      return Progress::faulted;
    }
  return Progress::finished;
}

Progress WorkgroupExecution::Impl::run(std::uint64_t budget) {
  for (;;) {
    if (group.fault.kind != FaultKind::none)
      return Progress::faulted;
    if (stop && stop->load(std::memory_order_relaxed))
      return abort();
    const bool alive = std::any_of(waves.begin(), waves.begin() + group.wave_count,
                                   [](const auto& wave) { return wave->event != WaveEvent::ended; });
    if (!alive)
      return Progress::finished;
    if (budget == 0)
      return Progress::yielded;
    const bool busy = run_round(budget);
    release_barrier();
    if (!busy && group.fault.kind == FaultKind::none)
      return parked() ? Progress::parked : Progress::yielded;
  }
}

WorkgroupExecution::WorkgroupExecution(CodeCache& code) : impl_(std::make_unique<Impl>(code)) {}
WorkgroupExecution::~WorkgroupExecution() = default;

void WorkgroupExecution::start(const DispatchState& dispatch, const WorkgroupPosition& position) {
  impl_->start(dispatch, position);
}
Progress WorkgroupExecution::run(std::uint64_t instruction_budget) {
  return impl_->run(instruction_budget);
}
const Fault& WorkgroupExecution::fault() const {
  return impl_->group.fault;
}
std::uint64_t WorkgroupExecution::instructions() const {
  return impl_->executed;
}
void WorkgroupExecution::set_stop_flag(const std::atomic<bool>* stop) {
  impl_->stop = stop;
}
void WorkgroupExecution::set_interrupt_handler(std::function<void(std::uint32_t, bool)> handler) {
  impl_->group.interrupt_handler = std::move(handler);
}
void WorkgroupExecution::set_exception_handler(std::function<void(const Fault&)> handler) {
  impl_->group.exception_handler = std::move(handler);
}

Fault execute_workgroup(WorkgroupExecution& execution, const DispatchState& dispatch,
                        const WorkgroupPosition& position) {
  execution.start(dispatch, position);
  for (;;) {
    switch (execution.run(time_slice * 16)) {
    case Progress::finished:
      return {};
    case Progress::faulted:
      return execution.fault();
    case Progress::parked:
      return {.kind = FaultKind::aborted, .reason = "its waves are halted"};
    case Progress::yielded:
      break;
    }
  }
}

} // namespace emu::isa
