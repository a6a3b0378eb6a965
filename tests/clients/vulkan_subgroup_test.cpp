// RADV: subgroup operations on every type, in waves of 32 and 64, against a loop over the invocations.
#include "vulkan_fixture.hpp"

#include "ballot_spv.h"
#include "subgroup_double_spv.h"
#include "subgroup_float16_t_spv.h"
#include "subgroup_float_spv.h"
#include "subgroup_int64_t_spv.h"
#include "subgroup_int8_t_spv.h"
#include "subgroup_int_spv.h"
#include "subgroup_uint16_t_spv.h"
#include "subgroup_uint_spv.h"

#include <bit>
#include <optional>
#include <random>
#include <type_traits>

namespace {

using namespace vulkan_client;

constexpr std::uint32_t count = 128;

template <class T>
constexpr bool is_float = std::is_floating_point_v<T> || std::is_same_v<T, _Float16>;

template <class T>
T add(T a, T b) {
  if constexpr (is_float<T>)
    return static_cast<T>(a + b);
  else
    return static_cast<T>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}

// One subgroup: its lanes' values and which of them are active.
template <class T>
struct Lanes {
  const T* values;
  const std::uint32_t* active;
  std::uint32_t size;

  using Result = std::optional<T>; // nothing: not defined
  Result of(std::uint32_t lane) const {
    return lane < size && active[lane] ? Result(values[lane]) : Result();
  }
  // Over the active lanes of [first, end).
  template <class Operation>
  T fold(std::uint32_t first, std::uint32_t end, T start, Operation operation) const {
    T result = start;
    for (std::uint32_t i = first; i < end; ++i)
      if (active[i])
        result = operation(result, values[i]);
    return result;
  }
  std::uint32_t first_active() const {
    std::uint32_t lane = 0;
    while (!active[lane])
      ++lane;
    return lane;
  }
};

template <class T>
T minimum(T a, T b) {
  return a < b ? a : b;
}
template <class T>
T maximum(T a, T b) {
  return a < b ? b : a;
}

// The operations of subgroup.comp, in its order, as lane `lane` sees them.
template <class T>
std::vector<std::optional<T>> expected_results(const Lanes<T>& lanes, std::uint32_t lane) {
  const T own = lanes.values[lane];
  const std::uint32_t size = lanes.size, quad = lane & ~3u;
  const auto doublings = [&](std::uint32_t end) {
    T product = 1;
    for (std::uint32_t i = 0; i < end; ++i)
      if (lanes.active[i] && i % 16 == 1)
        product = static_cast<T>(product * T(2));
    return product;
  };
  const std::uint32_t cluster = lane & ~15u;
  std::vector<std::optional<T>> results = {
      lanes.fold(0, size, T(0), add<T>),
      lanes.fold(0, size, own, minimum<T>),
      lanes.fold(0, size, own, maximum<T>),
      lanes.fold(0, lane + 1, T(0), add<T>),
      lanes.fold(0, lane, T(0), add<T>),
      lanes.fold(0, lane + 1, own, minimum<T>),
      lanes.fold(0, lane + 1, own, maximum<T>),
      doublings(size),
      doublings(lane + 1),
      lanes.fold(quad, quad + 4, T(0), add<T>),
      lanes.fold(cluster, cluster + 16, own, maximum<T>),
      lanes.values[lanes.first_active()],
      lanes.of(5),
      lanes.of((lane * 7 + 3) & (size - 1)),
      lanes.of(lane ^ 21),
      lane >= 2 ? lanes.of(lane - 2) : std::nullopt,
      lanes.of(lane + 3),
      lanes.of(quad + 2),
      lanes.of(lane ^ 1),
      lanes.of(lane ^ 2),
      lanes.of(lane ^ 3),
  };
  if constexpr (!is_float<T>) {
    const auto all_bits = [](T a, T b) { return static_cast<T>(a & b); };
    const auto any_bits = [](T a, T b) { return static_cast<T>(a | b); };
    const auto odd_bits = [](T a, T b) { return static_cast<T>(a ^ b); };
    const std::uint32_t eight = lane & ~7u;
    results.push_back(lanes.fold(0, size, static_cast<T>(~T(0)), all_bits));
    results.push_back(lanes.fold(0, size, T(0), any_bits));
    results.push_back(lanes.fold(0, size, T(0), odd_bits));
    results.push_back(lanes.fold(0, lane + 1, T(0), odd_bits));
    results.push_back(lanes.fold(eight, eight + 8, T(0), any_bits));
  }
  return results;
}

std::vector<std::uint32_t> activity(int pattern) {
  std::vector<std::uint32_t> active(count, 1);
  std::mt19937 random(static_cast<unsigned>(pattern));
  for (std::uint32_t i = 0; i < count; ++i)
    if (pattern == 1)
      active[i] = random() % 3 != 0;
    else if (pattern == 2)
      active[i] = i % 32 == 21 || i % 32 == 22;
    else if (pattern == 3)
      active[i] = i >= 40 && i < 104;
  return active;
}

class VulkanSubgroups : public QueueTest {
protected:
  template <class T>
  void check(std::span<const std::uint32_t> code) {
    constexpr std::uint32_t operations = is_float<T> ? 21 : 26;
    std::mt19937_64 random(sizeof(T));
    std::vector<T> values(count);
    for (T& value : values)
      value = is_float<T> ? static_cast<T>(static_cast<int>(random() % 16) - 8) : static_cast<T>(random());
    const Filled input(device(), values);
    for (const std::uint32_t size : {32u, 64u})
      for (int pattern = 0; pattern < 4; ++pattern) {
        const std::vector<std::uint32_t> active = activity(pattern);
        const Filled flags(device(), active);
        Cleared output(device(), count * operations * sizeof(T)), places(device(), count * 16);
        const Kernel kernel(device(), code,
                            {storage(flags), storage(input), storage(output), storage(places)},
                            {.subgroup_size = size});
        run(kernel, 1);
        for (std::uint32_t i = 0; i < count; ++i) {
          const std::uint32_t* place = places.words() + i * 4;
          ASSERT_EQ(place[0], size);
          ASSERT_EQ(place[1], count / size);
          ASSERT_EQ(place[2], i / size);
          ASSERT_EQ(place[3], i % size);
          const Lanes<T> lanes = {values.data() + i / size * size, active.data() + i / size * size, size};
          if (!active[i])
            continue;
          const std::vector<std::optional<T>> expected = expected_results(lanes, i % size);
          for (std::uint32_t operation = 0; operation < operations; ++operation) {
            const T seen = output.as<T>()[operation * count + i];
            if (expected[operation]) {
              ASSERT_EQ(static_cast<double>(seen), static_cast<double>(*expected[operation]))
                  << "operation " << operation << ", invocation " << i << ", pattern " << pattern << ", size "
                  << size;
            }
          }
        }
      }
  }
};

TEST_P(VulkanSubgroups, of_unsigned_integers) {
  check<std::uint32_t>(subgroup_uint_spv);
}
TEST_P(VulkanSubgroups, of_integers) {
  check<std::int32_t>(subgroup_int_spv);
}
TEST_P(VulkanSubgroups, of_8_bit_integers) {
  check<std::int8_t>(subgroup_int8_t_spv);
}
TEST_P(VulkanSubgroups, of_16_bit_integers) {
  check<std::uint16_t>(subgroup_uint16_t_spv);
}
TEST_P(VulkanSubgroups, of_64_bit_integers) {
  check<std::int64_t>(subgroup_int64_t_spv);
}
TEST_P(VulkanSubgroups, of_floats) {
  check<float>(subgroup_float_spv);
}
TEST_P(VulkanSubgroups, of_half_floats) {
  check<_Float16>(subgroup_float16_t_spv);
}
TEST_P(VulkanSubgroups, of_doubles) {
  check<double>(subgroup_double_spv);
}

TEST_P(VulkanSubgroups, votes_and_ballots) {
  std::vector<std::uint32_t> values(count);
  std::mt19937 random(7);
  for (std::uint32_t& value : values)
    value = random() % 210;
  std::fill_n(values.begin(), 64, 42);
  const Filled input(device(), values);
  for (const std::uint32_t size : {32u, 64u})
    for (int pattern = 0; pattern < 4; ++pattern) {
      const std::vector<std::uint32_t> active = activity(pattern);
      const Filled flags(device(), active);
      Cleared output(device(), count * 11 * 8);
      const Kernel kernel(device(), ballot_spv, {storage(flags), storage(input), storage(output)},
                          {.subgroup_size = size});
      run(kernel, 1);
      for (std::uint32_t i = 0; i < count; ++i) {
        if (!active[i])
          continue;
        const std::uint32_t base = i / size * size, lane = i % size;
        std::uint64_t odd = 0, running = 0;
        bool all = true, any = false, equal = true;
        const Lanes<std::uint32_t> lanes = {values.data() + base, active.data() + base, size};
        for (std::uint32_t k = 0; k < size; ++k) {
          if (!active[base + k])
            continue;
          const std::uint32_t v = values[base + k];
          running |= 1ull << k;
          odd |= static_cast<std::uint64_t>(v & 1) << k;
          all = all && v < 200;
          any = any || v > 200;
          equal = equal && v == lanes.values[lanes.first_active()];
        }
        const std::uint64_t own = 1ull << lane, below = own - 1;
        const std::uint64_t everyone = size == 64 ? ~0ull : (1ull << size) - 1;
        const auto bits = [](std::uint64_t mask) { return static_cast<std::uint64_t>(std::popcount(mask)); };
        const auto pair = [](std::uint64_t low, std::uint64_t high) { return low | high << 32; };
        const std::uint64_t expected[11] = {odd,
                                            0,
                                            lane == lanes.first_active(),
                                            all | any << 1 | equal << 2 | 8u,
                                            pair(bits(odd), bits(odd & (below | own))),
                                            bits(odd & below),
                                            (odd >> lane & 1) | (odd >> 7 & 1) << 1,
                                            pair(static_cast<std::uint64_t>(std::countr_zero(running)),
                                                 static_cast<std::uint64_t>(63 - std::countl_zero(running))),
                                            own,
                                            below | own,
                                            everyone & ~(below | own)};
        for (std::uint32_t operation = 0; operation < 11; ++operation)
          ASSERT_EQ(output.as<std::uint64_t>()[operation * count + i], expected[operation])
              << "operation " << operation << ", invocation " << i << ", pattern " << pattern << ", size "
              << size;
      }
    }
}

INSTANTIATE_TEST_SUITE_P(queues, VulkanSubgroups, shader_queues, queue_name);

} // namespace
