// Every operation of SOPK, SOPP and SMEM: immediates, hardware registers, branches, messages, scalar loads.
#include <functional>

#include "scalar_fixture.hpp"

namespace emu::isa::test {
namespace {

using u32 = std::uint32_t;
using u64 = std::uint64_t;
using State = ScalarState;

class Control : public ScalarInstruction {
protected:
  // An instruction that leaves the whole state alone.
  void check_nothing_happens(const char* text) {
    check(text, [](State&) {});
  }
  void check_event(const char* text, WaveEvent event) {
    check(
        text, [event](State& w) { w.expected.event = event; }, [this](Wave&) { group_.fault = Fault{}; });
  }
  // A branch of four words, backwards and forwards.
  void check_branch(const std::string& name, const std::function<bool(const State&)>& taken) {
    for (const int words : {4, -3})
      check(name + " " + std::to_string(words), [=](State& w) {
        if (taken(w))
          w.expected.pc += static_cast<u64>(std::int64_t{words} * 4);
      });
  }
};

TEST_F(Control, immediates_are_sign_extended) {
  check("s_movk_i32 s8, 0x8001", [](State& w) { w.set(8, 0xffff8001); });
  check("s_movk_i32 s8, 0x7fff", [](State& w) { w.set(8, 0x7fff); });
  check("s_cmovk_i32 s8, -2", [](State& w) { w.set(8, w.scc() ? 0xfffffffe : w.s(8)); });
  check("s_addk_i32 s8, 0x8000", [](State& w) {
    const std::int64_t exact = std::int64_t{static_cast<std::int32_t>(w.s(8))} - 32768;
    w.set(8, static_cast<u64>(exact));
    w.set_scc(exact < INT32_MIN);
  });
  check("s_mulk_i32 s8, -3", [](State& w) { w.set(8, 0 - (u64{w.s(8)} * 3)); });
}

TEST_F(Control, hardware_registers) {
  check("s_getreg_b32 s8, hwreg(HW_REG_MODE)", [](State& w) { w.set(8, w.before.mode); });
  check("s_getreg_b32 s8, hwreg(HW_REG_MODE, 4, 5)", [](State& w) { w.set(8, w.before.mode >> 4 & 31); });
  check("s_setreg_b32 hwreg(HW_REG_MODE, 2, 4), s4",
        [](State& w) { w.expected.mode = (w.before.mode & ~0x3cu) | (w.s(4) & 15) << 2; });
  check("s_setreg_imm32_b32 hwreg(HW_REG_MODE, 0, 8), 0x1a5",
        [](State& w) { w.expected.mode = (w.before.mode & ~0xffu) | 0xa5; });
  check("s_getreg_b32 s8, hwreg(HW_REG_FLAT_SCR_HI)",
        [](State& w) { w.set(8, w.before.flat_scratch >> 32); });
  check("s_getreg_b32 s8, hwreg(HW_REG_FLAT_SCR_LO)", [](State& w) { w.set(8, w.before.flat_scratch); });
  check("s_setreg_b32 hwreg(HW_REG_FLAT_SCR_LO), s4",
        [](State& w) { w.expected.flat_scratch = (w.before.flat_scratch & ~u64{0xffffffff}) | w.s(4); });
  check("s_getreg_b32 s8, hwreg(HW_REG_STATUS, 0, 1)", [](State& w) { w.set(8, w.scc()); });
  check("s_getreg_b32 s8, hwreg(HW_REG_STATUS, 9, 2)",
        [](State& w) { w.set(8, (w.before.exec() == 0 ? 1u : 0u) | (w.before.vcc() == 0 ? 2u : 0u)); });
  check("s_getreg_b32 s8, hwreg(HW_REG_GPR_ALLOC)", [](State& w) { w.set(8, 64 / 8 - 1); });
  check("s_getreg_b32 s8, hwreg(HW_REG_TBA_LO)", [](State& w) { w.set(8, 0); });
  check("s_getreg_b32 s8, hwreg(HW_REG_IB_STS)", [](State& w) { w.set(8, 0); });
  check("s_setreg_b32 hwreg(HW_REG_TRAPSTS), s4", [](State& w) { w.expected.trapsts = w.s(4); });
  group_.lds_size = 2048;
  check("s_getreg_b32 s8, hwreg(HW_REG_LDS_ALLOC, 12, 9)", [](State& w) { w.set(8, 4); });
  group_.shared_aperture = 0x1234ull << 48;
  group_.private_aperture = 0x5678ull << 48;
  check("s_getreg_b32 s8, hwreg(HW_REG_SH_MEM_BASES)", [](State& w) { w.set(8, 0x12345678); });
  check("s_round_mode 0xa", [](State& w) { w.expected.mode = (w.before.mode & ~0xfu) | 0xa; });
  check("s_denorm_mode 0x6", [](State& w) { w.expected.mode = (w.before.mode & ~0xf0u) | 0x60; });
}

TEST_F(Control, branches) {
  check_branch("s_branch", [](const State&) { return true; });
  check_branch("s_cbranch_scc0", [](const State& w) { return !w.scc(); });
  check_branch("s_cbranch_scc1", [](const State& w) { return w.scc(); });
  const auto some = [](const State& w, unsigned reg) {
    return w.before.wave64 ? w.d(reg) != 0 : w.s(reg) != 0;
  };
  check_branch("s_cbranch_vccz", [=](const State& w) { return !some(w, vcc_lo); });
  check_branch("s_cbranch_vccnz", [=](const State& w) { return some(w, vcc_lo); });
  check_branch("s_cbranch_execz", [=](const State& w) { return !some(w, exec_lo); });
  check_branch("s_cbranch_execnz", [=](const State& w) { return some(w, exec_lo); });
  for (const char* debugger :
       {"s_cbranch_cdbgsys", "s_cbranch_cdbguser", "s_cbranch_cdbgsys_or_user", "s_cbranch_cdbgsys_and_user"})
    check_branch(debugger, [](const State&) { return false; });
  check("s_call_b64 s[8:9], 5", [](State& w) {
    w.set64(8, w.before.current_pc + 4);
    w.expected.pc = w.before.current_pc + 4 + 20;
  });
}

// A loop over the halves of EXEC: which half runs, and what the register remembers.
TEST_F(Control, subvector_loops_take_one_half_after_the_other) {
  check(
      "s_subvector_loop_begin s8, 6",
      [](State& w) {
        const u32 low = w.s(exec_lo), high = w.s(exec_lo + 1);
        if (low == 0 && high == 0) {
          w.expected.pc += 24;
        } else if (low == 0) {
          w.set(8, 0);
        } else {
          w.set(8, high);
          w.set(exec_lo + 1, 0);
        }
      },
      [this](Wave& wave) { wave.sgpr[exec_lo + random_() % 2] = 0; });
  check(
      "s_subvector_loop_end s8, -6",
      [](State& w) {
        const u32 low = w.s(exec_lo), high = w.s(exec_lo + 1), other = w.s(8);
        if (high != 0) {
          w.set(exec_lo, other);
        } else {
          w.set(exec_lo + 1, other);
          if (other != 0) {
            w.set(8, low);
            w.set(exec_lo, 0);
            w.expected.pc -= 24;
          }
        }
      },
      [this](Wave& wave) {
        wave.sgpr[exec_lo + random_() % 2] = 0;
        if (random_() % 2)
          wave.sgpr[8] = 0;
      });
}

TEST_F(Control, waits_and_hints_change_nothing) {
  for (const char* text : {"s_nop 3",
                           "s_waitcnt 0",
                           "s_waitcnt_vscnt null, 0",
                           "s_waitcnt_vmcnt null, 1",
                           "s_waitcnt_expcnt null, 2",
                           "s_waitcnt_lgkmcnt null, 3",
                           "s_waitcnt_depctr 0",
                           "s_wait_idle",
                           "s_setprio 2",
                           "s_inst_prefetch 1",
                           "s_clause 3",
                           "s_version 1",
                           "s_incperflevel 1",
                           "s_decperflevel 1",
                           "s_ttracedata",
                           "s_ttracedata_imm 3",
                           "s_wakeup",
                           "s_gl1_inv",
                           "s_dcache_inv",
                           "s_atc_probe 1, s[4:5], 0",
                           "s_atc_probe_buffer 1, s[4:7], 0",
                           "s_sethalt 0",
                           "s_setkill 0"})
    check_nothing_happens(text);
}

TEST_F(Control, ends_pauses_and_faults) {
  check_event("s_endpgm", WaveEvent::ended);
  check_event("s_setkill 1", WaveEvent::ended);
  check_event("s_sleep 1", WaveEvent::yield);
  check_event("s_icache_inv", WaveEvent::yield);
  EXPECT_TRUE(group_.code_stale);
  check_event("s_sethalt 1", WaveEvent::faulted);
  check_event("s_code_end", WaveEvent::faulted);
  check_event("s_trap 2", WaveEvent::faulted);
  group_.wave_count = 1;
  check_event("s_barrier", WaveEvent::none); // nobody to wait for
  group_.wave_count = 2;
  check_event("s_barrier", WaveEvent::barrier);
}

TEST_F(Control, messages) {
  check_event("s_sendmsg sendmsg(MSG_INTERRUPT)", WaveEvent::faulted); // nobody listens
  u32 seen = 0, m0 = 0;
  group_.interrupt_handler = [&](u32 value, bool) { seen = value; };
  check("s_sendmsg sendmsg(MSG_INTERRUPT)", [&](State& w) { m0 = w.s(m0_register); });
  EXPECT_EQ(seen, m0);
  check_event("s_sendmsghalt sendmsg(MSG_INTERRUPT)", WaveEvent::faulted);
  check_event("s_sendmsg sendmsg(MSG_GS_DONE, GS_OP_NOP)", WaveEvent::faulted);
}

class ScalarMemory : public Control {
protected:
  static constexpr u64 address = 0x7'0000'0000;
  ScalarMemory() {
    for (u32& word : data_)
      word = static_cast<u32>(random_());
    space_.map(address, sizeof data_, reinterpret_cast<std::byte*>(data_), {});
  }

  // The base at s[4:5], an SRD at s[4:7], an offset in s12 and one in M0.
  void prepare(Wave& wave, u32 word1, u32 records) {
    wave.set_pair(4, address);
    wave.sgpr[5] |= word1;
    wave.sgpr[6] = records;
    wave.sgpr[12] = static_cast<u32>(random_() % 512);
  }

  alignas(4096) u32 data_[1024];
};

std::string registers(unsigned count) {
  return count == 1 ? "s20" : "s[20:" + std::to_string(19 + count) + "]";
}
std::string suffix(unsigned count) {
  return count == 1 ? "" : "x" + std::to_string(count);
}

TEST_F(ScalarMemory, loads_of_every_width_add_base_register_and_immediate) {
  for (const unsigned count : {1u, 2u, 4u, 8u, 16u}) {
    check(
        "s_load_dword" + suffix(count) + " " + registers(count) + ", s[4:5], s12 offset:1033",
        [=, this](State& w) {
          for (unsigned i = 0; i < count; ++i)
            w.set(20 + i, data_[w.s(12) / 4 + 1033 / 4 + i]);
        },
        [this](Wave& wave) {
          prepare(wave, 0, 0);
          wave.sgpr[4] += static_cast<u32>(random_() % 4);
        });
    check(
        "s_load_dword" + suffix(count) + " " + registers(count) + ", s[4:5], -0x20",
        [=, this](State& w) {
          for (unsigned i = 0; i < count; ++i)
            w.set(20 + i, data_[(0x400 - 0x20) / 4 + i]);
        },
        [this](Wave& wave) {
          prepare(wave, 0, 0);
          wave.set_pair(4, address + 0x400);
        });
  }
}

TEST_F(ScalarMemory, buffer_loads_stop_at_the_last_record) {
  for (const u32 stride : {0u, 12u})
    for (const unsigned count : {1u, 2u, 4u, 8u, 16u}) {
      const u32 records = stride ? 100 : 98; // the last dword begins within, and counts as a whole
      const u32 bytes = stride ? records * stride : records;
      check(
          "s_buffer_load_dword" + suffix(count) + " " + registers(count) + ", s[4:7], s12 offset:40",
          [=, this](State& w) {
            for (unsigned i = 0; i < count; ++i) {
              const u32 at = w.s(12) / 4 * 4 + 40 + i * 4;
              w.set(20 + i, at < bytes ? data_[at / 4] : 0);
            }
          },
          [=, this](Wave& wave) { prepare(wave, stride << 16, records); });
    }
}

// The register is unsigned, and the sum has 64 bits.
TEST_F(ScalarMemory, offsets_do_not_wrap) {
  const auto far = [this](Wave& wave) {
    prepare(wave, 0, 1000);
    wave.sgpr[12] = 0xfffffff8;
  };
  check(
      "s_buffer_load_dword s20, s[4:7], s12 offset:16", [](State& w) { w.set(20, 0); }, far);
  Instruction in;
  std::vector<u32> words = assemble("s_load_dword s20, s[4:5], s12 offset:16\n");
  ASSERT_TRUE(decode(words, in));
  randomise(*before_);
  far(*before_);
  in.handler(*before_, in);
  EXPECT_EQ(group_.fault.kind, FaultKind::page_fault) << group_.fault.describe();
  EXPECT_EQ(group_.fault.page.address, address + (1ull << 32) + 8);
}

TEST_F(ScalarMemory, clocks_run) {
  for (const char* text : {"s_memtime s[8:9]\n", "s_memrealtime s[8:9]\n"}) {
    record_text(text);
    Instruction in;
    std::vector<u32> words = assemble(text);
    ASSERT_TRUE(decode(words, in));
    randomise(*before_);
    *after_ = *before_;
    in.handler(*before_, in);
    for (int i = 0; i < 1000 && after_->pair(8) <= before_->pair(8); ++i)
      in.handler(*after_, in);
    EXPECT_GT(after_->pair(8), before_->pair(8)) << text;
  }
}

} // namespace
} // namespace emu::isa::test
