// RADV: memory as shaders see it: shared memory, atomics, device addresses, bounds, clocks.
#include "vulkan_fixture.hpp"

#include "accumulate_spv.h"
#include "addresses_spv.h"
#include "atomics_float_spv.h"
#include "atomics_int64_t_lds_spv.h"
#include "atomics_int64_t_spv.h"
#include "atomics_int_lds_spv.h"
#include "atomics_int_spv.h"
#include "atomics_uint64_t_lds_spv.h"
#include "atomics_uint64_t_spv.h"
#include "atomics_uint_lds_spv.h"
#include "atomics_uint_spv.h"
#include "clocks_spv.h"
#include "robust_spv.h"
#include "shared_memory_spv.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <random>
#include <type_traits>

namespace {

using namespace vulkan_client;

class VulkanMemory : public QueueTest {
protected:
  template <class T>
  void check_atomics(std::span<const std::uint32_t> code, std::uint32_t groups) {
    using U = std::make_unsigned_t<T>;
    const std::uint32_t count = groups * 256;
    std::mt19937_64 random(sizeof(T));
    std::vector<T> values(count);
    for (T& value : values)
      value = static_cast<T>(random() | 0x100); // so that something is left of the AND
    std::vector<T> expected = {
        0, 0, std::numeric_limits<T>::max(), std::numeric_limits<T>::min(), static_cast<T>(-1), 0, 0, 0x55,
        0, 7};
    const Filled input(device(), values);
    Filled<T> counters(device(), expected);
    Cleared returned(device(), count * sizeof(T));
    U sum = 0, exchanged = 0x55, chain = 7;
    for (const T value : values) {
      sum += static_cast<U>(value);
      expected[2] = std::min(expected[2], value);
      expected[3] = std::max(expected[3], value);
      expected[4] &= value;
      expected[5] |= value;
      expected[6] ^= value;
      exchanged += static_cast<U>(value);
      chain = chain * 3 + 1;
    }
    expected[0] = static_cast<T>(count);
    expected[1] = static_cast<T>(sum);
    const Kernel kernel(device(), code, {storage(input), storage(counters), storage(returned)});
    run(kernel, groups);
    const T* seen = counters.template as<T>();
    for (int i = 0; i < 7; ++i)
      EXPECT_EQ(seen[i], expected[static_cast<std::size_t>(i)]) << "counter " << i;
    EXPECT_EQ(static_cast<U>(seen[7]) + static_cast<U>(seen[8]), exchanged);
    EXPECT_EQ(static_cast<U>(seen[9]), chain);
    std::vector<T> order(returned.as<T>(), returned.as<T>() + count);
    std::ranges::sort(order);
    for (std::uint32_t i = 0; i < count; ++i)
      ASSERT_EQ(order[i], static_cast<T>(i));
  }
};

TEST_P(VulkanMemory, atomics_of_32_bits) {
  check_atomics<std::uint32_t>(atomics_uint_spv, 4);
  check_atomics<std::int32_t>(atomics_int_spv, 4);
  check_atomics<std::uint32_t>(atomics_uint_lds_spv, 1);
  check_atomics<std::int32_t>(atomics_int_lds_spv, 1);
}

TEST_P(VulkanMemory, atomics_of_64_bits) {
  check_atomics<std::uint64_t>(atomics_uint64_t_spv, 4);
  check_atomics<std::int64_t>(atomics_int64_t_spv, 4);
  check_atomics<std::uint64_t>(atomics_uint64_t_lds_spv, 1);
  check_atomics<std::int64_t>(atomics_int64_t_lds_spv, 1);
}

TEST_P(VulkanMemory, float_atomics) {
  if (!device().has_extension(VK_EXT_SHADER_ATOMIC_FLOAT_2_EXTENSION_NAME))
    GTEST_SKIP() << "no float atomics";
  constexpr std::uint32_t groups = 3, count = groups * 128;
  std::vector<float> values(count);
  for (std::uint32_t i = 0; i < count; ++i)
    values[i] = static_cast<float>(static_cast<int>(i * 37 % 1001) - 500) * 0.25f;
  const Filled input(device(), values);
  std::vector<float> floats(4 + groups * 2);
  floats[0] = 1e30f;
  floats[1] = -1e30f;
  floats[2] = 12345;
  Filled float_buffer(device(), floats);
  Filled<double> double_buffer(device(), {1e300, -1e300, 0, 0, 0});
  const Kernel kernel(device(), atomics_float_spv,
                      {storage(input), storage(float_buffer), storage(double_buffer)});
  run(kernel, groups);
  const float* f = float_buffer.as<float>();
  const double* d = double_buffer.as<double>();
  EXPECT_EQ(f[0], *std::ranges::min_element(values));
  EXPECT_EQ(f[1], *std::ranges::max_element(values));
  EXPECT_TRUE(std::ranges::find(values, f[2]) != values.end());
  EXPECT_EQ(f[3], 1.0f);
  EXPECT_EQ(d[0], static_cast<double>(*std::ranges::min_element(values)) * 1e-200);
  EXPECT_EQ(d[1], static_cast<double>(*std::ranges::max_element(values)) * 1e200);
  for (std::uint32_t group = 0; group < groups; ++group) {
    const auto first = values.begin() + group * 128, last = first + 128;
    float sum = 0; // of quarters: exact in any order
    for (auto value = first; value != last; ++value)
      sum += *value;
    EXPECT_EQ(f[4 + group * 2], sum);
    EXPECT_EQ(f[5 + group * 2], *std::min_element(first, last));
    EXPECT_EQ(d[2 + group], static_cast<double>(*std::max_element(first, last)) * 1e100);
  }
}

TEST_P(VulkanMemory, shared_memory_of_several_types) {
  constexpr std::uint32_t groups = 5, count = groups * 256;
  std::vector<std::uint32_t> values(count);
  for (std::uint32_t i = 0; i < count; ++i)
    values[i] = i * 2654435761u;
  Filled buffer(device(), values);
  Cleared wide(device(), count * 8);
  const Kernel kernel(device(), shared_memory_spv, {storage(buffer), storage(wide)});
  run(kernel, groups);
  for (std::uint32_t group = 0; group < groups; ++group) {
    std::vector<std::uint32_t> scan(values.begin() + group * 256, values.begin() + (group + 1) * 256);
    for (std::uint32_t i = 1; i < 256; ++i)
      scan[i] += scan[i - 1];
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t sum = 0;
      for (std::uint32_t k = 0; k < 32; ++k) {
        const std::uint32_t at = (i * 32 + k) * 33 & 8191;
        sum += scan[at % 256] * (at / 256 + 1);
      }
      sum +=
          static_cast<std::uint16_t>(scan[i ^ 3]) * 3u + static_cast<std::uint8_t>(scan[(i - 77) & 255]) * 5u;
      ASSERT_EQ(buffer.words()[group * 256 + i], sum) << group << ' ' << i;
      ASSERT_EQ(wide.as<std::uint64_t>()[group * 256 + i],
                static_cast<std::uint64_t>(scan[255 - i]) << 32 | (255 - i));
    }
  }
}

TEST_P(VulkanMemory, device_addresses_are_followed) {
  struct Node {
    std::uint32_t value, count;
    VkDeviceAddress next;
  };
  struct Mixed {
    std::uint8_t bytes[4];
    std::uint16_t halves[2];
    std::uint32_t word, padding0;
    std::uint32_t triple[3], padding1;
    std::uint64_t wide, padding2;
    std::uint32_t quad[4];
  };
  constexpr std::uint32_t nodes = 50;
  Cleared list(device(), nodes * sizeof(Node));
  const VkDeviceAddress base = list.address();
  std::uint32_t at = 0, sum = 0;
  std::vector<std::uint32_t> sums(nodes);
  for (std::uint32_t i = 0; i < nodes; ++i) {
    const std::uint32_t next = (at + 17) % nodes;
    list.as<Node>()[at] = {i * i + 1, 0, i + 1 == nodes ? 0 : base + next * sizeof(Node)};
    sums[at] = sum += i * i + 1;
    at = next;
  }
  const Mixed before = {{200, 0, 3, 100}, {30000, 1}, 5, 0, {1, 2, 3}, 0, 0x123456789, 0, {10, 20, 30, 40}};
  Filled<Mixed> mixed(device(), {before});
  const VkDeviceAddress push[2] = {base, mixed.address()};
  const Kernel kernel(device(), addresses_spv, {}, {.push_bytes = sizeof push});
  run(kernel, 2, push);
  for (std::uint32_t i = 0; i < nodes; ++i)
    EXPECT_EQ(list.as<Node>()[i].count, sums[i]) << i;
  const Mixed& seen = *mixed.as<Mixed>();
  EXPECT_EQ(seen.bytes[0], 200);
  EXPECT_EQ(seen.bytes[1], static_cast<std::uint8_t>(300));
  EXPECT_EQ(seen.bytes[2], 3);
  EXPECT_EQ(seen.halves[1], static_cast<std::uint16_t>(90000));
  EXPECT_EQ(seen.word, 5u + 128);
  EXPECT_EQ(seen.triple[0], 8u);
  EXPECT_EQ(seen.triple[1], 6u);
  EXPECT_EQ(seen.triple[2], 7u);
  EXPECT_EQ(seen.wide, 0x123456789ull * 0x123456789ull);
  for (std::uint32_t i = 0; i < 4; ++i)
    EXPECT_EQ(seen.quad[i], 40 - 10 * i);
}

// Beyond a binding's range loads give zero and stores vanish, though the buffer goes on there.
TEST_P(VulkanMemory, accesses_out_of_bounds_are_harmless) {
  if (!device().has_extension(VK_EXT_ROBUSTNESS_2_EXTENSION_NAME))
    GTEST_SKIP() << "no robustness2";
  constexpr std::uint32_t range_words = 64, words = 16384;
  std::vector<std::uint32_t> indices(64), values(words);
  for (std::uint32_t i = 0; i < 64; ++i)
    indices[i] = i < 32 ? i * 3 : i < 62 ? 4000 + i * 64 : 0x0fffff00 + i;
  for (std::uint32_t i = 0; i < words; ++i)
    values[i] = i + 1;
  const Filled index_buffer(device(), indices), source(device(), values);
  Filled target(device(), values);
  Cleared output(device(), 64 * 3 * 16, 0xcc);
  const VkDeviceSize range = range_words * 4, offset = 1024;
  const Kernel kernel(device(), robust_spv,
                      {storage(index_buffer), storage(source, offset, range), storage(target, offset, range),
                       storage(output), uniform(source, offset, range)});
  run(kernel, 1);
  const std::uint32_t first = offset / 4;
  std::vector<std::uint32_t> expected_target = values;
  for (std::uint32_t i = 0; i < 64; ++i) {
    const std::uint32_t at = indices[i];
    for (std::uint32_t k = 0; k < 4; ++k) {
      ASSERT_EQ(output.words()[i * 12 + k], at + k < range_words ? values[first + at + k] : 0) << at + k;
      const std::uint32_t word = (at & 4095) * 4 + k;
      ASSERT_EQ(output.words()[i * 12 + 4 + k], word < range_words ? values[first + word] : 0) << word;
    }
    ASSERT_EQ(output.words()[i * 12 + 8], range_words);
    ASSERT_EQ(output.words()[i * 12 + 9], range_words);
    if (at < range_words)
      expected_target[first + at] = i + 1000;
  }
  EXPECT_EQ(std::memcmp(target.words(), expected_target.data(), words * 4), 0);
}

TEST_P(VulkanMemory, null_descriptors_read_as_zero) {
  if (!device().has_extension(VK_EXT_ROBUSTNESS_2_EXTENSION_NAME))
    GTEST_SKIP() << "no robustness2";
  const Filled<std::uint32_t> indices(device(), std::vector<std::uint32_t>(64, 1));
  Cleared output(device(), 64 * 3 * 16, 0xcc);
  const Binding nothing = {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, {{nullptr, 0, VK_WHOLE_SIZE}}, nullptr, {}};
  const Binding no_uniforms = {VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER, {{nullptr, 0, VK_WHOLE_SIZE}}, nullptr, {}};
  const Kernel kernel(device(), robust_spv,
                      {storage(indices), nothing, nothing, storage(output), no_uniforms});
  run(kernel, 1);
  for (std::uint32_t i = 0; i < 64 * 12; ++i)
    ASSERT_EQ(output.words()[i], 0u) << i;
}

TEST_P(VulkanMemory, shader_clocks_run) {
  if (!device().has_extension(VK_KHR_SHADER_CLOCK_EXTENSION_NAME))
    GTEST_SKIP() << "no shader clock";
  Cleared clocks(device(), 128 * 32);
  const Kernel kernel(device(), clocks_spv, {storage(clocks)});
  const auto before = std::chrono::steady_clock::now();
  run(kernel, 2);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - before;
  for (std::uint32_t i = 0; i < 128; ++i) {
    const std::uint64_t* c = clocks.as<std::uint64_t>() + i * 4;
    ASSERT_NE(c[0], 0u);
    ASSERT_LE(c[0], c[3]);
    ASSERT_NE((c[2] - c[1]) & 0xfffff, 0u);                               // SHADER_CYCLES has 20 bits
    ASSERT_LE(static_cast<double>(c[3] - c[0]), elapsed.count() * 100e6); // the reference clock: 100 MHz
  }
}

// A buffer of four pages of addresses, some of them with memory.
class SparseBuffer {
public:
  static constexpr VkDeviceSize page = 64 << 10, size = 4 * page;

  explicit SparseBuffer(const Device& device)
      : device_(device), memory_(device, 2 * page, Buffer::Memory::device) {
    VkBufferCreateInfo info = {VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO};
    info.flags = VK_BUFFER_CREATE_SPARSE_BINDING_BIT | VK_BUFFER_CREATE_SPARSE_RESIDENCY_BIT |
                 VK_BUFFER_CREATE_SPARSE_ALIASED_BIT;
    info.size = size;
    info.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT;
    VK_CHECK(vkCreateBuffer(device.get(), &info, nullptr, &buffer_));
  }
  ~SparseBuffer() { vkDestroyBuffer(device_.get(), buffer_, nullptr); }
  SparseBuffer(const SparseBuffer&) = delete;
  SparseBuffer& operator=(const SparseBuffer&) = delete;

  VkBuffer get() const { return buffer_; }
  // `memory_page`: of the two that there are, or -1 for none.
  void bind(VkDeviceSize buffer_page, int memory_page) const {
    VkSparseMemoryBind bind = {buffer_page * page, page, nullptr, 0, 0};
    if (memory_page >= 0) {
      bind.memory = memory_.memory();
      bind.memoryOffset = static_cast<VkDeviceSize>(memory_page) * page;
    }
    const VkSparseBufferMemoryBindInfo buffer = {buffer_, 1, &bind};
    VkBindSparseInfo info = {VK_STRUCTURE_TYPE_BIND_SPARSE_INFO};
    info.bufferBindCount = 1;
    info.pBufferBinds = &buffer;
    VK_CHECK(vkQueueBindSparse(device_.sparse_queue(), 1, &info, nullptr));
    VK_CHECK(vkQueueWaitIdle(device_.sparse_queue()));
  }

private:
  const Device& device_;
  Buffer memory_;
  VkBuffer buffer_ = nullptr;
};

// Pages without memory read as zero and keep nothing; pages with the same memory are the same.
TEST_P(VulkanMemory, sparse_buffers_have_memory_where_it_was_bound) {
  constexpr VkDeviceSize page_words = SparseBuffer::page / 4;
  const SparseBuffer sparse(device());
  Cleared seen(device(), SparseBuffer::size, 0x55);
  const Binding binding = {
      VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, {{sparse.get(), 0, VK_WHOLE_SIZE}}, nullptr, {}};
  const Kernel kernel(device(), accumulate_spv, {binding}, {.push_bytes = 12});
  const VkBufferCopy whole = {0, 0, SparseBuffer::size};
  const auto expect_pages = [&](std::uint32_t factor, std::uint32_t addend, const std::uint32_t(&values)[4]) {
    const std::uint32_t push[3] = {factor, addend, SparseBuffer::size / 4};
    run([&](VkCommandBuffer commands) {
      kernel.bind(commands, push);
      vkCmdDispatch(commands, SparseBuffer::size / 4 / 64, 1, 1);
      barrier(commands);
      vkCmdCopyBuffer(commands, sparse.get(), seen.get(), 1, &whole);
    });
    for (VkDeviceSize i = 0; i < SparseBuffer::size / 4; ++i)
      ASSERT_EQ(seen.words()[i], values[i / page_words]) << "word " << i;
  };
  sparse.bind(0, 0);
  sparse.bind(2, 1);
  expect_pages(0, 7, {7, 0, 7, 0});
  sparse.bind(2, -1);
  sparse.bind(3, 1);
  expect_pages(2, 1, {15, 0, 0, 15});
  sparse.bind(1, 1);
  sparse.bind(3, -1);
  expect_pages(1, 5, {20, 20, 0, 0});
}

INSTANTIATE_TEST_SUITE_P(queues, VulkanMemory, shader_queues, queue_name);

} // namespace
