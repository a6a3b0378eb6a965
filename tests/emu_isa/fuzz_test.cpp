// Random instructions: whatever they are, a workgroup ends or yields, and nothing outside its memory is
// touched.
#include <random>

#include <gtest/gtest.h>

#include "formats.hpp"
#include "machine.hpp"
#include "tables.hpp"

namespace emu::isa::test {
namespace {

std::vector<std::uint32_t> random_program(std::mt19937& random) {
  std::vector<std::uint32_t> words;
  const auto patterns = format_patterns();
  for (unsigned i = 0; i < 24; ++i) {
    const FormatPattern& pattern = patterns[random() % patterns.size()];
    const auto rows = rows_of(pattern.format);
    const OpcodeRow& row = rows[random() % rows.size()];
    const std::uint32_t opcode_mask = ((1u << pattern.opcode_bits) - 1) << pattern.opcode_shift;
    std::uint32_t word = static_cast<std::uint32_t>(random());
    word = (word & ~pattern.mask & ~opcode_mask) | pattern.value |
           (row.opcode << pattern.opcode_shift & opcode_mask);
    words.push_back(word);
    words.push_back(static_cast<std::uint32_t>(random()));
    if (random() % 2)
      words.push_back(static_cast<std::uint32_t>(random()));
  }
  words.push_back(0xbf810000); // s_endpgm
  return words;
}

TEST(Fuzz, random_instructions_never_harm_the_host) {
  Machine machine;
  std::mt19937 random(4711);
  unsigned faults = 0;
  std::uint64_t executed = 0;
  for (unsigned round = 0; round < 20'000; ++round) {
    // One instruction after the other, so that a fault of the first does not hide the rest.
    const std::vector<std::uint32_t> words = random_program(random);
    machine.load_code(words);
    Launch launch{.wave64 = random() % 2 != 0, .size = {48, 1, 1}, .lds = 1024, .local_ids = 2};
    for (unsigned i = 0; i < 14; ++i)
      launch.user.push_back(static_cast<std::uint32_t>(random()));
    for (std::size_t start = 0; start < words.size(); start += 1 + random() % 12) {
      DispatchState state = Machine::dispatch(launch);
      state.code += start * 4;
      machine.execution().start(state, Machine::position(launch));
      if (machine.execution().run(2000) == Progress::faulted) {
        ++faults;
        EXPECT_FALSE(machine.execution().fault().describe().empty());
      }
      executed += machine.execution().instructions();
    }
  }
  EXPECT_GT(faults, 1000u);
  EXPECT_GT(executed, 100'000u);
}

} // namespace
} // namespace emu::isa::test
