// How many lane-instructions a second the interpreter executes: whole workgroups of a loop around one kind of
// instruction, through decoding, dispatch and execution. items_per_second counts the instructions that the
// name says, times the lanes of a wave; the loop's own three are not counted.
#include <memory>
#include <string>

#include <benchmark/benchmark.h>

#include "machine.hpp"

namespace {

using emu::isa::CodeCache;
using emu::isa::FaultKind;
using emu::isa::WorkgroupExecution;
using emu::isa::test::Launch;
using emu::isa::test::Machine;

constexpr unsigned unrolled = 64, rounds = 400, waves = 4;

enum class Kind { fma, integer, lds, global_load, global_store };

// The n-th instruction of the loop's body.
std::string instruction(Kind kind, unsigned n) {
  const std::string to = "v" + std::to_string(8 + n % 8);
  switch (kind) {
  case Kind::fma:
    return "v_fma_f32 " + to + ", v2, v3, " + to;
  case Kind::integer:
    return (n % 2 ? "v_xor_b32 " : "v_add_nc_u32 ") + to + ", v2, " + to;
  case Kind::lds:
    return "ds_read_b32 " + to + ", v1 offset:" + std::to_string(n % 16 * 4);
  case Kind::global_load:
    return "global_load_dword " + to + ", v1, s[0:1] offset:" + std::to_string(n % 16 * 4);
  case Kind::global_store:
    return "global_store_dword v1, v2, s[0:1] offset:" + std::to_string(n % 16 * 4);
  }
  return {};
}

std::string program(Kind kind) {
  std::string text = "v_lshlrev_b32 v1, 2, v0\nv_cvt_f32_u32 v2, v0\nv_rcp_f32 v3, v2\n"
                     "s_movk_i32 s20, " +
                     std::to_string(rounds) + "\nloop:\n";
  for (unsigned i = 0; i < unrolled; ++i)
    text += instruction(kind, i) + "\n";
  return text + "s_sub_u32 s20, s20, 1\ns_cmp_lg_u32 s20, 0\ns_cbranch_scc1 loop\n";
}

// One per benchmark, shared by its threads: what they execute. Each thread has an interpreter of its own.
std::unique_ptr<Machine> machine;

void loop(benchmark::State& state, Kind kind, bool wave64, bool denormals) {
  Launch launch{.wave64 = wave64, .size = {waves * (wave64 ? 64u : 32u), 1, 1}, .lds = 4096};
  if (state.thread_index() == 0) {
    machine = std::make_unique<Machine>();
    machine->load(program(kind), wave64);
  }
  std::unique_ptr<CodeCache> cache;
  std::unique_ptr<WorkgroupExecution> execution;
  auto dispatch = Machine::dispatch(launch);
  constexpr std::uint32_t own_memory = 1 << 16; // threads that store share no cache line
  dispatch.user_data[0] += own_memory * static_cast<std::uint32_t>(state.thread_index());
  constexpr std::uint32_t keep_denormals_f32 = 3u << (12 + 4);
  if (denormals)
    dispatch.pgm_rsrc1 |= keep_denormals_f32;
  for (auto _ : state) {
    if (!execution) {
      cache = std::make_unique<CodeCache>(machine->space());
      execution = std::make_unique<WorkgroupExecution>(*cache);
    }
    if (execute_workgroup(*execution, dispatch, Machine::position(launch)).kind != FaultKind::none)
      state.SkipWithError("the program faulted");
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(unrolled) * rounds * waves *
                          (wave64 ? 64 : 32));
}

void add(const std::string& name, Kind kind, bool denormals) {
  for (const bool wave64 : {false, true})
    benchmark::RegisterBenchmark((name + (wave64 ? "/wave64" : "/wave32")).c_str(),
                                 [=](benchmark::State& state) { loop(state, kind, wave64, denormals); })
        ->ThreadRange(1, 2)
        ->UseRealTime();
}

} // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  add("fma_f32", Kind::fma, true);
  add("fma_f32_flushing_denormals", Kind::fma, false);
  add("integer", Kind::integer, true);
  add("lds_read", Kind::lds, true);
  add("global_load", Kind::global_load, true);
  add("global_store", Kind::global_store, true);
  benchmark::RunSpecifiedBenchmarks();
}
