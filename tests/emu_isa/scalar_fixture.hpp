// Runs single scalar instructions, written as assembly text, on random states of a wave and compares the
// whole scalar state with what a test says.
#pragma once

#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "decoder.hpp"
#include "group.hpp"
#include "llvm_tools.hpp"
#include "recorder.hpp"
#include "wave.hpp"

namespace emu::isa::test {

// The wave before an instruction, and what is expected after it: to begin with, the same with the program
// counter behind the instruction.
struct ScalarState {
  const Wave& before;
  Wave& expected;

  std::uint32_t s(unsigned reg) const { return before.sgpr[reg]; }
  std::uint64_t d(unsigned reg) const { return before.pair(reg); }
  bool scc() const { return before.scc; }
  void set(unsigned reg, std::uint64_t value) { expected.sgpr[reg] = static_cast<std::uint32_t>(value); }
  void set64(unsigned reg, std::uint64_t value) { expected.set_pair(reg, value); }
  void set_scc(bool value) { expected.scc = value; }
};

class ScalarInstruction : public ::testing::Test {
protected:
  ScalarInstruction() { group_.lds = std::make_unique<std::byte[]>(lds_limit); }

  using Expected = std::function<void(ScalarState&)>;

  std::uint32_t random_word() {
    static constexpr std::uint32_t edges[] = {
        0,          1,      2,      31,         32,         63,         0x7fffffff, 0x80000000, 0xffffffff,
        0xffff8000, 0x8000, 0x7fff, 0x00050003, 0x00200000, 0x0040001f, 0xfffffffe, 0x12345678};
    const auto random = static_cast<std::uint32_t>(random_());
    switch (random_() % 3) {
    case 0:
      return edges[random % std::size(edges)];
    case 1:
      return random & 0x007f003f; // a field's offset and width
    default:
      return random;
    }
  }

  void randomise(Wave& wave) {
    std::memset(static_cast<void*>(&wave), 0, sizeof wave);
    for (unsigned reg = 0; reg < 128; ++reg)
      wave.sgpr[reg] = random_word();
    if (random_() % 4 == 0) // comparisons for equality
      std::memcpy(&wave.sgpr[6], &wave.sgpr[4], 8);
    wave.sgpr[null_register] = 0;
    wave.wave64 = random_() & 1;
    wave.lanes = wave.wave64 ? 64 : 32;
    wave.lane_mask = wave.wave64 ? ~std::uint64_t{0} : 0xffffffff;
    if (random_() % 4 == 0)
      wave.set_pair(exec_lo, 0);
    if (random_() % 4 == 0)
      wave.set_pair(vcc_lo, 0);
    wave.scc = random_() & 1;
    wave.privileged = wave.halt = false;
    wave.mode = static_cast<std::uint32_t>(random_()) & 0x3ff;
    wave.pc = 0x1'0000'1000 + random_() % 1024 * 4;
    wave.flat_scratch = random_();
    wave.vgprs = 64;
    wave.group = &group_;
  }

  void check(const std::string& text, const Expected& expected,
             const std::function<void(Wave&)>& prepare = {}) {
    SCOPED_TRACE(text);
    std::vector<std::uint32_t> words = assemble(text + "\n");
    words.resize(words.size() + 2);
    Instruction in;
    ASSERT_TRUE(decode(words, in));
    ASSERT_NE(in.handler, nullptr);
    record(*in.row, in.format);
    for (unsigned round = 0; round < (recording() ? 2 : 300) && !HasFailure(); ++round) {
      randomise(*before_);
      if (prepare)
        prepare(*before_);
      before_->current_pc = before_->pc;
      before_->pc += in.size * 4u;
      *after_ = *before_;
      *expected_ = *before_;
      ScalarState state{*before_, *expected_};
      expected(state);
      in.handler(*after_, in);
      compare();
    }
  }

  void compare() {
    for (unsigned reg = 0; reg < 128; ++reg)
      EXPECT_EQ(after_->sgpr[reg], expected_->sgpr[reg])
          << "s" << reg << std::hex << ", s[4:5] " << before_->pair(4) << ", s[6:7] " << before_->pair(6)
          << ", SCC " << before_->scc;
    EXPECT_EQ(after_->scc, expected_->scc)
        << std::hex << "s[4:5] " << before_->pair(4) << ", s[6:7] " << before_->pair(6);
    EXPECT_EQ(after_->pc, expected_->pc);
    EXPECT_EQ(after_->mode, expected_->mode);
    EXPECT_EQ(after_->trapsts, expected_->trapsts);
    EXPECT_EQ(after_->privileged, expected_->privileged);
    EXPECT_EQ(after_->halt, expected_->halt);
    EXPECT_EQ(after_->flat_scratch, expected_->flat_scratch);
    EXPECT_EQ(static_cast<int>(after_->event), static_cast<int>(expected_->event));
  }

  std::mt19937_64 random_{20250302};
  memory::AddressSpace space_;
  Group group_{space_};
  std::unique_ptr<Wave> before_ = std::make_unique<Wave>(), after_ = std::make_unique<Wave>(),
                        expected_ = std::make_unique<Wave>();
};

} // namespace emu::isa::test
