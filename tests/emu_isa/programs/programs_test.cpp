// Compiled C on the interpreter and on the host: the same results, whatever the optimisation level and the
// wave size. Arguments: the code objects.
#include <cstdint>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "device.hpp"

extern "C" std::uint32_t host_program(std::uint32_t which, std::uint32_t x, std::uint32_t y);

namespace emu::isa {
namespace {

std::vector<std::string> objects;

constexpr unsigned groups = 16, threads = groups * group_threads;

const char* const programs[] = {"sort_and_pick", "divide",  "branches",    "calls",         "floats",
                                "small_floats",  "doubles", "conversions", "wide_integers", "bytes"};

TEST(Programs, give_what_the_host_gives) {
  ASSERT_FALSE(objects.empty());
  std::mt19937 random(99);
  for (const std::string& path : objects) {
    Device device(path, groups);
    for (unsigned which = 0; which < std::size(programs); ++which) {
      for (unsigned i = 0; i < threads * 2; ++i)
        device.inputs()[i] = i % 16 == 0   ? i / 16
                             : i % 32 == 1 ? 0x7f800000
                                           : static_cast<std::uint32_t>(random());
      const Fault fault = device.run(std::string("run_") + programs[which]);
      ASSERT_EQ(fault.kind, FaultKind::none) << path << " " << programs[which] << ": " << fault.describe();
      for (unsigned i = 0; i < threads; ++i) {
        const std::uint32_t x = device.inputs()[2 * i], y = device.inputs()[2 * i + 1];
        EXPECT_EQ(device.output(i), host_program(which, x, y))
            << path << " " << programs[which] << " x " << x << " y " << y << " thread " << i;
        if (::testing::Test::HasFailure() && i > 8)
          break;
      }
    }
  }
}

} // namespace
} // namespace emu::isa

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i)
    emu::isa::objects.push_back(argv[i]);
  return RUN_ALL_TESTS();
}
