// RADV: integers and floats of every width, against the host.
#include "vulkan_fixture.hpp"

#include "floats_double_spv.h"
#include "floats_float16_t_spv.h"
#include "floats_float_spv.h"
#include "integers_16_spv.h"
#include "integers_32_spv.h"
#include "integers_64_spv.h"
#include "integers_8_spv.h"

#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <type_traits>

namespace {

using namespace vulkan_client;

constexpr std::uint32_t count = 1024;

// The results of integers.comp for one pair of operands.
template <class U>
std::array<U, 16> expected_integers(U a, U b) {
  using S = std::make_signed_t<U>;
  constexpr unsigned width = sizeof(U) * 8;
  using Wide = std::uint64_t;
  const S sa = static_cast<S>(a), sb = static_cast<S>(b);
  const unsigned shift = b & (width - 1);
  const Wide wa = a, wb = b;
  const U magnitude = static_cast<U>(sa < 0 ? 0 - wa : wa);
  return {
      static_cast<U>(wa + wb),
      static_cast<U>(wa - wb),
      static_cast<U>(wa * wb),
      b == 0 ? U(0) : static_cast<U>(a / b),
      b == 0 ? U(0) : static_cast<U>(a % b),
      sb == 0 || sb == -1 ? U(0) : static_cast<U>(sa / sb),
      static_cast<U>(wa << shift),
      static_cast<U>(a >> shift),
      static_cast<U>(sa >> shift),
      static_cast<U>((a & b) ^ ~(a | b)),
      std::min(a, b),
      static_cast<U>(std::max(sa, sb)),
      static_cast<U>((a < b ? 1 : 0) + (sa < sb ? 2 : 0) + (a == b ? 4 : 0)),
      static_cast<U>(magnitude + static_cast<U>((sb > 0) - (sb < 0))),
      static_cast<U>(static_cast<U>(static_cast<std::uint8_t>(a)) +
                     static_cast<U>(static_cast<std::int8_t>(b)) +
                     static_cast<Wide>(static_cast<U>(static_cast<std::int16_t>(a))) * 3),
      static_cast<U>(std::bit_cast<std::uint32_t>(static_cast<float>(sa))),
  };
}

class VulkanArithmetic : public QueueTest {
protected:
  struct Push {
    std::uint32_t count;
  };

  template <class U>
  void check_integers(std::span<const std::uint32_t> code) {
    std::mt19937_64 random(sizeof(U));
    std::vector<U> a(count), b(count);
    const U special[] = {0,
                         1,
                         static_cast<U>(-1),
                         std::numeric_limits<U>::max() / 2,
                         static_cast<U>(std::numeric_limits<U>::max() / 2 + 1),
                         3,
                         10,
                         static_cast<U>(-7)};
    for (std::uint32_t i = 0; i < count; ++i) {
      a[i] = i < 64 ? special[i % 8] : static_cast<U>(random() >> random() % (sizeof(U) * 8));
      b[i] = i < 64 ? special[i / 8] : static_cast<U>(random() >> random() % (sizeof(U) * 8));
    }
    const Filled left(device(), a), right(device(), b);
    Cleared output(device(), count * 16 * sizeof(U));
    const Kernel kernel(device(), code, {storage(left), storage(right), storage(output)},
                        {.push_bytes = sizeof(Push)});
    const Push push = {count};
    run(kernel, count / 64, &push);
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::array<U, 16> expected = expected_integers(a[i], b[i]);
      for (std::uint32_t operation = 0; operation < 16; ++operation)
        ASSERT_EQ(+output.as<U>()[operation * count + i], +expected[operation])
            << "operation " << operation << " of " << +a[i] << ", " << +b[i];
    }
  }

  // `epsilon`: of the type, relative.
  template <class T>
  void check_floats(std::span<const std::uint32_t> code, double range, double epsilon) {
    std::mt19937_64 random(sizeof(T));
    std::uniform_real_distribution<double> pick(-range, range);
    std::vector<T> a(count), b(count);
    for (std::uint32_t i = 0; i < count; ++i) {
      a[i] = i % 8 == 0 ? static_cast<T>(static_cast<double>(i / 8) / 2 - 30) : static_cast<T>(pick(random));
      b[i] = i % 16 == 1 ? a[i] : static_cast<T>(pick(random));
      if (std::abs(static_cast<double>(b[i])) < 1e-3)
        b[i] = 1;
    }
    const Filled left(device(), a), right(device(), b);
    Cleared output(device(), count * 17 * sizeof(T));
    const Kernel kernel(device(), code, {storage(left), storage(right), storage(output)},
                        {.push_bytes = sizeof(Push)});
    const Push push = {count};
    run(kernel, count / 64, &push);
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto seen = [&](std::uint32_t operation) {
        return static_cast<double>(output.as<T>()[operation * count + i]);
      };
      const double x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
      const T rounded = static_cast<T>(static_cast<float>(a[i]));
      const T exact[14] = {
          static_cast<T>(a[i] + b[i]),
          static_cast<T>(a[i] - b[i]),
          static_cast<T>(a[i] * b[i]),
          static_cast<T>(std::floor(x)),
          static_cast<T>(std::ceil(x)),
          static_cast<T>(std::trunc(x)),
          static_cast<T>(std::nearbyint(x)),
          std::min(a[i], b[i]),
          std::max(a[i], b[i]),
          static_cast<T>(static_cast<T>(std::abs(x)) - T(1)),
          static_cast<T>(static_cast<int>(x)),
          static_cast<T>(static_cast<unsigned>(std::abs(y))),
          seen(12) == x ? a[i] : rounded, // a driver may leave out that it went through a float
          static_cast<T>(x < y    ? 1
                         : x == y ? 2
                                  : 3),
      };
      for (std::uint32_t operation = 0; operation < 14; ++operation)
        ASSERT_EQ(seen(operation), static_cast<double>(exact[operation]))
            << "operation " << operation << " of " << x << ", " << y;
      // Fused or not is the driver's choice.
      const double separate = static_cast<double>(static_cast<T>(static_cast<T>(a[i] * b[i]) + T(1)));
      const double fused = static_cast<double>(static_cast<T>(std::fma(x, y, 1.0)));
      ASSERT_TRUE(seen(14) == separate || seen(14) == fused) << x << ", " << y << ": " << seen(14);
      ASSERT_NEAR(seen(15), x / y, std::abs(x / y) * epsilon * 3) << x << ", " << y;
      ASSERT_NEAR(seen(16), std::sqrt(std::abs(x)), std::sqrt(std::abs(x)) * epsilon * 3) << x;
    }
  }
};

TEST_P(VulkanArithmetic, of_8_bit_integers) {
  check_integers<std::uint8_t>(integers_8_spv);
}
TEST_P(VulkanArithmetic, of_16_bit_integers) {
  check_integers<std::uint16_t>(integers_16_spv);
}
TEST_P(VulkanArithmetic, of_32_bit_integers) {
  check_integers<std::uint32_t>(integers_32_spv);
}
TEST_P(VulkanArithmetic, of_64_bit_integers) {
  check_integers<std::uint64_t>(integers_64_spv);
}
TEST_P(VulkanArithmetic, of_half_floats) {
  check_floats<_Float16>(floats_float16_t_spv, 100, 0x1p-10);
}
TEST_P(VulkanArithmetic, of_floats) {
  check_floats<float>(floats_float_spv, 1e6, 0x1p-23);
}
TEST_P(VulkanArithmetic, of_doubles) {
  check_floats<double>(floats_double_spv, 1e6, 0x1p-52);
}

INSTANTIATE_TEST_SUITE_P(queues, VulkanArithmetic, shader_queues, queue_name);

} // namespace
