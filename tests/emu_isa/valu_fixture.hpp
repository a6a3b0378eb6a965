// Runs vector instructions, written as assembly text, on random states through every compilation of the
// vector ALU that this host can execute, and compares the whole register file with what a test says about one
// lane.
#pragma once

#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "decoder.hpp"
#include "llvm_tools.hpp"
#include "recorder.hpp"
#include "tables.hpp"
#include "valu_reference.hpp"
#include "wave.hpp"

namespace emu::isa::test {

struct Target {
  const char* name;
  const ValuTables* tables;
};

inline std::vector<Target> targets() {
  std::vector<Target> result{{"baseline", &baseline::valu_tables()}};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
    result.push_back({"avx2", &avx2::valu_tables()});
  if (result.size() == 2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512cd"))
    result.push_back({"avx512", &avx512::valu_tables()});
  return result;
}

inline std::span<const OpcodeRow> rows_in(const ValuTables& tables, Format format) {
  switch (format) {
  case Format::vop1:
    return tables.vop1;
  case Format::vop2:
    return tables.vop2;
  case Format::vopc:
    return tables.vopc;
  case Format::vop3:
    return tables.vop3;
  case Format::vop3p:
    return tables.vop3p;
  default:
    return {};
  }
}

// The same instruction for another compilation.
inline Instruction retargeted(Instruction in, const ValuTables& tables) {
  const OpcodeRow* row = nullptr;
  for (const OpcodeRow& candidate : rows_in(tables, in.format))
    if (candidate.opcode == in.row->opcode)
      row = &candidate;
  if (!row)
    throw std::runtime_error("no such row");
  in.row = row;
  in.handler = in.variant == Variant::sdwa    ? tables.sdwa
               : in.variant == Variant::dpp16 ? tables.dpp16
               : in.variant == Variant::dpp8  ? tables.dpp8
                                              : row->handler;
  return in;
}

// What random registers hold.
enum class Values { b32, f32, f64, f16 };

// Which words or halves of words may be NaNs whose payload does not count.
enum class NanWidth { none, half, single, by_values };

// One lane before the instruction, and what is expected after it.
struct Lane {
  const Wave& before;
  Wave& expected;
  unsigned index;

  std::uint32_t v(unsigned reg) const { return before.vgpr[reg][index]; }
  std::uint64_t v64(unsigned reg) const { return v(reg) | std::uint64_t{v(reg + 1)} << 32; }
  std::uint32_t low(unsigned reg) const { return v(reg) & 0xffff; }
  std::uint32_t high(unsigned reg) const { return v(reg) >> 16; }
  std::uint32_t s(unsigned reg) const { return before.sgpr[reg]; }
  std::uint64_t s64(unsigned reg) const { return before.pair(reg); }
  bool mask(unsigned reg) const { return before.pair(reg) >> index & 1; }

  void set(unsigned reg, std::uint64_t value) {
    expected.vgpr[reg][index] = static_cast<std::uint32_t>(value);
  }
  void set64(unsigned reg, std::uint64_t value) {
    set(reg, value);
    set(reg + 1, value >> 32);
  }
  void set_low(unsigned reg, std::uint64_t value) { set(reg, (v(reg) & 0xffff0000) | (value & 0xffff)); }
  void set_high(unsigned reg, std::uint64_t value) { set(reg, (v(reg) & 0xffff) | value << 16); }
  void set_mask(unsigned reg, bool value) {
    const std::uint64_t bit = std::uint64_t{1} << index;
    expected.set_pair(reg, (expected.pair(reg) & ~bit) | (value ? bit : 0));
  }

  FloatMode f32() const { return {single_format, before.mode}; }
  FloatMode f64() const { return {double_format, before.mode}; }
  FloatMode f16() const { return {half_format, before.mode}; }
};

class Valu : public ::testing::Test {
protected:
  static constexpr unsigned used_vgprs = 40;
  static constexpr int no_mask = -1;

  struct Options {
    unsigned rounds = 150;
    int mask_register = no_mask;   // the instruction writes a lane mask here
    std::uint32_t mode_mask = ~0u; // of MODE's random bits
    std::uint32_t mode_set = 0;
    NanWidth nan = NanWidth::by_values;   // where a NaN in both results is equality
    std::function<void(Wave&)> prepare{}; // last touch on the random state
  };

  static Instruction decoded(const std::string& text) {
    std::vector<std::uint32_t> words = assemble(text + "\n");
    words.resize(words.size() + 2);
    Instruction in;
    if (!decode(words, in) || !in.handler)
      throw std::runtime_error(text + " does not decode");
    record(*in.row, in.format);
    return in;
  }

  std::uint32_t random32() { return static_cast<std::uint32_t>(random_()); }

  template <std::size_t n>
  std::uint64_t any_of(const std::uint64_t (&values)[n]) {
    return values[random_() % n];
  }

  std::uint32_t random_half() {
    static constexpr std::uint64_t edges[] = {0,      0x8000, 1,      0x8001, 0x3ff,  0x400,
                                              0x83ff, 0x3c00, 0xbc00, 0x3800, 0x7bff, 0xfbff,
                                              0x7c00, 0xfc00, 0x7e00, 0x7d00, 0x3c01, 0x4200};
    return static_cast<std::uint32_t>(random_() % 3 ? random_() & 0xffff : any_of(edges));
  }
  std::uint32_t random_single() {
    static constexpr std::uint64_t edges[] = {
        0,          0x80000000, 1,          0x80000001, 0x007fffff, 0x00800000, 0x807fffff,
        0x3f800000, 0xbf800000, 0x3f000000, 0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000,
        0x7fc00000, 0x7fa00000, 0x4f000000, 0xcf000000, 0x4f800000, 0x3f7fffff, 0x477fe000,
        0x477ff000, 0x33800000, 0x42ff0000, 0x34000000, 0x3fc00000, 0x40200000};
    switch (random_() % 4) {
    case 0:
      return static_cast<std::uint32_t>(any_of(edges));
    case 1: // around one
      return (random32() & 0x83ffffff) | 0x3c000000;
    case 2:
      return std::bit_cast<std::uint32_t>(
          static_cast<float>(static_cast<std::int32_t>(random32() % 4000) - 2000) / 8);
    default:
      return random32();
    }
  }
  std::uint64_t random_double() {
    static constexpr std::uint64_t edges[] = {0,
                                              0x8000000000000000,
                                              1,
                                              0x8000000000000001,
                                              0x000fffffffffffff,
                                              0x0010000000000000,
                                              0x3ff0000000000000,
                                              0xbff0000000000000,
                                              0x7fefffffffffffff,
                                              0x7ff0000000000000,
                                              0xfff0000000000000,
                                              0x7ff8000000000000,
                                              0x7ff4000000000000,
                                              0x41e0000000000000,
                                              0xc1e0000000000000,
                                              0x41f0000000000000,
                                              0x41dfffffffc00000,
                                              0x36a0000000000000,
                                              0x3810000000000000,
                                              0x3fefffffffffffff};
    const std::uint64_t bits = random32() | std::uint64_t{random32()} << 32;
    switch (random_() % 4) {
    case 0:
      return any_of(edges);
    case 1:
      return (bits & 0x807fffffffffffff) | 0x3f80000000000000;
    case 2:
      return std::bit_cast<std::uint64_t>(static_cast<double>(static_cast<std::int32_t>(random32())) / 16);
    default:
      return bits;
    }
  }
  std::uint32_t random_word() {
    static constexpr std::uint64_t edges[] = {0,          1,          2,          31,     32,     63,
                                              0x7fff,     0x8000,     0xffff,     0xff00, 0x8080, 0x7fffffff,
                                              0x80000000, 0xffffffff, 0xffff0000, 24};
    switch (random_() % 4) {
    case 0:
      return static_cast<std::uint32_t>(any_of(edges));
    case 1:
      return random32() % 100;
    default:
      return random32();
    }
  }

  // A random wave: registers, MODE, EXEC and size.
  void randomise(Wave& wave, Values values, const Options& options) {
    std::memset(static_cast<void*>(&wave), 0, sizeof wave);
    for (unsigned reg = 0; reg < used_vgprs; reg += 2)
      for (unsigned lane = 0; lane < max_lanes; ++lane)
        random_pair(wave.vgpr[reg][lane], wave.vgpr[reg + 1][lane], values);
    for (unsigned reg = 0; reg < sgpr_count; reg += 2)
      random_pair(wave.sgpr[reg], wave.sgpr[reg + 1], values);
    wave.wave64 = random_() & 1;
    wave.lanes = wave.wave64 ? 64 : 32;
    wave.lane_mask = wave.wave64 ? ~std::uint64_t{0} : 0xffffffff;
    wave.set_pair(vcc_lo, random32() | std::uint64_t{random32()} << 32);
    const std::uint64_t some = random32() | std::uint64_t{random32()} << 32;
    const unsigned kind = static_cast<unsigned>(random_() % 8);
    wave.set_pair(exec_lo, (kind < 3 ? ~std::uint64_t{0} : kind == 3 ? 0 : some) & wave.lane_mask);
    wave.mode = (random32() & 0x3ff & options.mode_mask) | options.mode_set;
    if (options.prepare)
      options.prepare(wave);
  }

  void random_pair(std::uint32_t& first, std::uint32_t& second, Values values) {
    if (values == Values::f64) {
      std::uint64_t bits = random_double();
      if (double_format.is_nan(bits))
        bits = (bits & 0xfff80000'00000000) |
               0x00040000'00000000; // payloads do not count, and fit the high word
      first = static_cast<std::uint32_t>(bits);
      second = static_cast<std::uint32_t>(bits >> 32);
      return;
    }
    for (std::uint32_t* word : {&first, &second})
      *word = values == Values::f32   ? random_single()
              : values == Values::f16 ? random_half() | random_half() << 16
                                      : random_word();
  }

  // Runs the instruction on many random waves. `lane` says what it does in one active lane; what it leaves
  // alone must keep its value.
  void check(const std::string& text, Values values, const std::function<void(Lane&)>& lane,
             Options options) {
    SCOPED_TRACE(text);
    const Instruction in = decoded(text);
    const NanWidth nan = options.nan != NanWidth::by_values ? options.nan
                         : values == Values::b32            ? NanWidth::none
                         : values == Values::f16            ? NanWidth::half
                                                            : NanWidth::single;
    const unsigned rounds = recording() ? 1 : options.rounds;
    for (unsigned round = 0; round < rounds && !HasFailure(); ++round) {
      randomise(*before_, values, options);
      *expected_ = *before_;
      if (options.mask_register != no_mask)
        expected_->set_pair(
            static_cast<unsigned>(options.mask_register),
            before_->wave64 ? 0 : before_->pair(static_cast<unsigned>(options.mask_register)) >> 32 << 32);
      for (unsigned i = 0; i < before_->lanes; ++i) {
        Lane state{*before_, *expected_, i};
        if (before_->exec() >> i & 1)
          lane(state);
      }
      for (const Target& target : targets_) {
        *after_ = *before_;
        const Instruction mine = retargeted(in, *target.tables);
        mine.handler(*after_, mine);
        compare(target.name, nan);
      }
    }
  }
  void check(const std::string& text, Values values, const std::function<void(Lane&)>& lane) {
    check(text, values, lane, Options{});
  }

  static bool same(std::uint32_t a, std::uint32_t b, NanWidth nan) {
    const auto same_half = [](std::uint32_t x, std::uint32_t y) {
      return x == y || (half_format.is_nan(x) && half_format.is_nan(y));
    };
    switch (nan) {
    case NanWidth::half:
      return same_half(a & 0xffff, b & 0xffff) && same_half(a >> 16, b >> 16);
    case NanWidth::single:
      return a == b || (single_format.is_nan(a) && single_format.is_nan(b));
    default:
      return a == b;
    }
  }

  void compare(const char* target, NanWidth nan) {
    for (unsigned reg = 0; reg < vgpr_limit; ++reg)
      for (unsigned i = 0; i < max_lanes; ++i) {
        const std::uint32_t is = after_->vgpr[reg][i], should = expected_->vgpr[reg][i];
        if (!same(is, should, nan)) {
          ADD_FAILURE() << target << ": v" << reg << " lane " << i << std::hex << " is " << is << ", not "
                        << should << "; mode " << before_->mode << ", exec " << before_->exec() << sources(i);
          return;
        }
      }
    for (unsigned reg = 0; reg < 128; ++reg)
      if (after_->sgpr[reg] != expected_->sgpr[reg]) {
        ADD_FAILURE() << target << ": s" << reg << std::hex << " is " << after_->sgpr[reg] << ", not "
                      << expected_->sgpr[reg] << "; exec " << before_->exec();
        return;
      }
  }

  std::string sources(unsigned lane) const {
    std::string text;
    char number[64];
    for (unsigned reg = 2; reg < 10; reg += 2) {
      std::snprintf(number, sizeof number, "; v[%u:%u] %08x %08x", reg, reg + 1, before_->vgpr[reg][lane],
                    before_->vgpr[reg + 1][lane]);
      text += number;
    }
    return text;
  }

  std::mt19937 random_{20250301};
  std::vector<Target> targets_ = targets();
  std::unique_ptr<Wave> before_ = std::make_unique<Wave>(), after_ = std::make_unique<Wave>(),
                        expected_ = std::make_unique<Wave>();
};

} // namespace emu::isa::test
