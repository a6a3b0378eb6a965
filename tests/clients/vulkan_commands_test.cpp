// RADV: what a command buffer can do around dispatches.
#include "vulkan_fixture.hpp"

#include "accumulate_spv.h"
#include "descriptors_spv.h"
#include "identity_spv.h"
#include "indirect_arguments_spv.h"
#include "parameters_spv.h"

#include <bit>
#include <chrono>
#include <thread>

namespace {

using namespace vulkan_client;

class VulkanCommands : public QueueTest {};

struct ParametersPush {
  std::uint32_t count, addend;
  std::uint32_t pairs[15][2];
};

TEST_P(VulkanCommands, uniforms_pushes_and_specialization_with_dynamic_offsets) {
  constexpr std::uint32_t count = 500;
  const VkDeviceSize step = 256, part = 4096;
  Cleared uniforms(device(), step * 4), input(device(), part * 2), output(device(), part * 2);
  for (std::uint32_t i = 0; i < 16; ++i)
    for (std::uint32_t block = 0; block < 4; ++block)
      uniforms.words()[block * step / 4 + i] = 1000 * block + i;
  for (std::uint32_t block = 0; block < 4; ++block)
    uniforms.as<float>()[block * step / 4 + 16] = 0.5f + static_cast<float>(block);
  for (std::uint32_t i = 0; i < part * 2 / 4; ++i)
    input.words()[i] = i * 3;
  ParametersPush push = {count, 77, {}};
  for (std::uint32_t i = 0; i < 15; ++i)
    push.pairs[i][1] = i * 100;
  std::vector<Binding> bindings = {uniform(uniforms, 0, 80), storage(input, 0, part),
                                   storage(output, 0, part)};
  bindings[0].type = VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER_DYNAMIC;
  bindings[1].type = bindings[2].type = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC;
  for (const std::uint32_t invert : {0u, 1u}) {
    const std::uint32_t group = invert ? 96 : 64;
    const Kernel kernel(
        device(), parameters_spv, bindings,
        {.push_bytes = sizeof push, .constants = {group, 5, std::bit_cast<std::uint32_t>(1.5f), invert}});
    for (std::uint32_t block = 0; block < 4; ++block) {
      const std::uint32_t in = block % 2 * part, out = block / 2 * part;
      run([&](VkCommandBuffer commands) {
        kernel.bind(commands, &push, {static_cast<std::uint32_t>(block * step), in, out});
        vkCmdDispatch(commands, (count + group - 1) / group, 1, 1);
      });
      for (std::uint32_t i = 0; i < part / 4; ++i) {
        std::uint32_t expected = 0;
        if (i < count) {
          expected =
              (in / 4 + i) * 3 * 5 + 1000 * block + (i & 3) * 4 + (i >> 2 & 3) + 77 + i / group % 15 * 100;
          expected +=
              static_cast<std::uint32_t>(static_cast<float>(i) * 1.5f * (0.5f + static_cast<float>(block)));
          expected = invert ? ~expected : expected;
        }
        ASSERT_EQ(output.words()[out / 4 + i], expected) << block << ' ' << i;
      }
      std::memset(output.as<char>(), 0, part * 2);
    }
  }
}

// Every record written once, by the right invocation.
class VulkanGrids : public QueueTest {
protected:
  static constexpr std::uint32_t group[3] = {4, 3, 2};

  static void expect_records(Buffer& records, const std::uint32_t (&base)[3],
                             const std::uint32_t (&groups)[3], const std::uint32_t (&extent)[3]) {
    const std::uint32_t packed_groups = groups[0] | groups[1] << 8 | groups[2] << 16;
    for (std::uint32_t z = 0; z < extent[2]; ++z)
      for (std::uint32_t y = 0; y < extent[1]; ++y)
        for (std::uint32_t x = 0; x < extent[0]; ++x) {
          const std::uint32_t* record = records.words() + ((z * extent[1] + y) * extent[0] + x) * 4;
          const std::uint32_t at[3] = {x / group[0], y / group[1], z / group[2]};
          bool inside = true;
          for (int i = 0; i < 3; ++i)
            inside = inside && at[i] >= base[i] && at[i] < base[i] + groups[i];
          ASSERT_EQ(record[3], inside ? 1u : 0u) << x << ' ' << y << ' ' << z;
          if (!inside)
            continue;
          ASSERT_EQ(record[0], at[0] | at[1] << 8 | at[2] << 16);
          ASSERT_EQ(record[1], (z % 2 * 3 + y % 3) * 4 + x % 4);
          ASSERT_EQ(record[2], packed_groups);
        }
  }
};

TEST_P(VulkanGrids, direct_and_indirect_dispatches) {
  const std::uint32_t none[3] = {}, groups[3] = {7, 5, 3}, extent[3] = {28, 15, 6};
  const VkDeviceSize bytes = 28 * 15 * 6 * 16;
  Cleared direct(device(), bytes), indirect(device(), bytes);
  const Filled<std::uint32_t> arguments(device(), {9, 9, 9, 7, 5, 3});
  const KernelOptions options = {.push_bytes = 12};
  const Kernel first(device(), identity_spv, {storage(direct)}, options);
  const Kernel second(device(), identity_spv, {storage(indirect)}, options);
  run([&](VkCommandBuffer commands) {
    first.bind(commands, extent);
    vkCmdDispatch(commands, groups[0], groups[1], groups[2]);
    second.bind(commands, extent);
    vkCmdDispatchIndirect(commands, arguments.get(), 12);
    vkCmdDispatch(commands, 0, 5, 5); // nothing
  });
  expect_records(direct, none, groups, extent);
  expect_records(indirect, none, groups, extent);
}

TEST_P(VulkanGrids, dispatches_from_a_base) {
  const std::uint32_t base[3] = {2, 1, 1}, groups[3] = {4, 3, 2}, extent[3] = {32, 15, 8};
  Cleared records(device(), 32 * 15 * 8 * 16);
  const Kernel kernel(device(), identity_spv, {storage(records)}, {.push_bytes = 12, .dispatch_base = true});
  run([&](VkCommandBuffer commands) {
    kernel.bind(commands, extent);
    vkCmdDispatchBase(commands, base[0], base[1], base[2], groups[0], groups[1], groups[2]);
  });
  expect_records(records, base, groups, extent);
}

TEST_P(VulkanGrids, a_shader_writes_the_arguments_of_the_next_dispatch) {
  const std::uint32_t none[3] = {}, extent[3] = {20, 12, 4};
  const std::uint32_t wanted[4] = {5, 4, 2, 0};
  Cleared records(device(), 20 * 12 * 4 * 16);
  const Buffer arguments(device(), 64, Buffer::Memory::device);
  const Kernel writer(device(), indirect_arguments_spv, {storage(arguments, 0, 64)}, {.push_bytes = 12});
  const Kernel kernel(device(), identity_spv, {storage(records)}, {.push_bytes = 12});
  run([&](VkCommandBuffer commands) {
    writer.bind(commands, wanted);
    vkCmdDispatch(commands, 1, 1, 1);
    barrier(commands);
    kernel.bind(commands, extent);
    vkCmdDispatchIndirect(commands, arguments.get(), 0);
  });
  expect_records(records, none, {5, 4, 2}, extent);
}

INSTANTIATE_TEST_SUITE_P(queues, VulkanGrids, shader_queues, queue_name);

struct Step {
  std::uint32_t factor, addend, count;
};

// A value that goes through a kernel many times.
class VulkanSequences : public QueueTest {
protected:
  static constexpr std::uint32_t count = 256;
  void SetUp() override {
    values_ = std::make_unique<Cleared>(device(), count * 4);
    kernel_ = std::make_unique<Kernel>(device(), accumulate_spv, std::vector<Binding>{storage(*values_)},
                                       KernelOptions{.push_bytes = sizeof(Step)});
  }
  void record(VkCommandBuffer commands, std::uint32_t factor, std::uint32_t addend) const {
    const Step step = {factor, addend, count};
    kernel_->bind(commands, &step);
    vkCmdDispatch(commands, count / 64, 1, 1);
    barrier(commands);
  }
  void expect_value(std::uint32_t expected) {
    for (std::uint32_t i = 0; i < count; ++i)
      ASSERT_EQ(values_->words()[i], expected) << i;
  }
  std::unique_ptr<Cleared> values_;
  std::unique_ptr<Kernel> kernel_;
};

TEST_P(VulkanSequences, secondary_command_buffers_run_in_place) {
  VkCommandBuffer secondary =
      device().begin(VK_COMMAND_BUFFER_LEVEL_SECONDARY, VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT);
  record(secondary, 3, 1);
  device().end(secondary);
  run([&](VkCommandBuffer commands) {
    record(commands, 1, 5);                        // 5
    vkCmdExecuteCommands(commands, 1, &secondary); // 16
    record(commands, 2, 0);                        // 32
    const VkCommandBuffer twice[] = {secondary, secondary};
    vkCmdExecuteCommands(commands, 2, twice); // 97, 292
    record(commands, 1, 1000);
  });
  expect_value(1292);
}

// One command buffer of many dispatches, submitted several times: its chained parts stay usable.
TEST_P(VulkanSequences, long_command_buffers_are_submitted_repeatedly) {
  VkCommandBuffer commands =
      device().begin(VK_COMMAND_BUFFER_LEVEL_PRIMARY, VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT);
  std::uint32_t expected = 0;
  for (std::uint32_t i = 0; i < 1500; ++i)
    record(commands, 3, i);
  device().end(commands);
  for (int round = 0; round < 3; ++round) {
    run(commands);
    for (std::uint32_t i = 0; i < 1500; ++i)
      expected = expected * 3 + i;
  }
  expect_value(expected);
}

TEST_P(VulkanSequences, many_command_buffers_of_one_submission_run_in_order) {
  std::vector<VkCommandBuffer> all;
  std::uint32_t expected = 0;
  for (std::uint32_t i = 0; i < 40; ++i) {
    all.push_back(device().begin());
    record(all.back(), 5, i);
    device().end(all.back());
    expected = expected * 5 + i;
  }
  VkSubmitInfo info = {VK_STRUCTURE_TYPE_SUBMIT_INFO};
  info.commandBufferCount = static_cast<std::uint32_t>(all.size());
  info.pCommandBuffers = all.data();
  VK_CHECK(vkQueueSubmit(device().queue(), 1, &info, nullptr));
  VK_CHECK(vkQueueWaitIdle(device().queue()));
  expect_value(expected);
}

TEST_P(VulkanSequences, conditions_in_memory_skip_dispatches) {
  if (!device().has_extension(VK_EXT_CONDITIONAL_RENDERING_EXTENSION_NAME))
    GTEST_SKIP() << "no conditional rendering";
  const auto begin =
      device().function<PFN_vkCmdBeginConditionalRenderingEXT>("vkCmdBeginConditionalRenderingEXT");
  const auto end = device().function<PFN_vkCmdEndConditionalRenderingEXT>("vkCmdEndConditionalRenderingEXT");
  const Filled<std::uint32_t> conditions(device(), {0, 1, 0x80000000, 7});
  std::uint32_t expected = 0;
  run([&](VkCommandBuffer commands) {
    for (std::uint32_t i = 0; i < 4; ++i)
      for (const bool inverted : {false, true}) {
        VkConditionalRenderingBeginInfoEXT info = {VK_STRUCTURE_TYPE_CONDITIONAL_RENDERING_BEGIN_INFO_EXT};
        info.buffer = conditions.get();
        info.offset = i * 4;
        info.flags = static_cast<VkConditionalRenderingFlagsEXT>(inverted);
        begin(commands, &info);
        record(commands, 10, i * 2 + inverted + 1);
        end(commands);
        if ((i != 0) != inverted)
          expected = expected * 10 + i * 2 + inverted + 1;
      }
    record(commands, 10, 9);
  });
  expect_value(expected * 10 + 9);
}

// A condition that an earlier kernel of the same submission computes, on an indirect dispatch.
TEST_P(VulkanSequences, conditions_may_come_from_the_card) {
  if (!device().has_extension(VK_EXT_CONDITIONAL_RENDERING_EXTENSION_NAME))
    GTEST_SKIP() << "no conditional rendering";
  const auto begin =
      device().function<PFN_vkCmdBeginConditionalRenderingEXT>("vkCmdBeginConditionalRenderingEXT");
  const auto end = device().function<PFN_vkCmdEndConditionalRenderingEXT>("vkCmdEndConditionalRenderingEXT");
  const Buffer condition(device(), 64, Buffer::Memory::device);
  const Filled<std::uint32_t> arguments(device(), {count / 64, 1, 1});
  const Step step = {1, 7, count};
  run([&](VkCommandBuffer commands) {
    for (std::uint32_t value = 0; value < 2; ++value) {
      vkCmdFillBuffer(commands, condition.get(), 0, 4, value);
      barrier(commands);
      VkConditionalRenderingBeginInfoEXT info = {VK_STRUCTURE_TYPE_CONDITIONAL_RENDERING_BEGIN_INFO_EXT};
      info.buffer = condition.get();
      begin(commands, &info);
      kernel_->bind(commands, &step);
      vkCmdDispatchIndirect(commands, arguments.get(), 0);
      end(commands);
      barrier(commands);
    }
  });
  expect_value(7);
}

TEST_P(VulkanSequences, events_order_host_and_device) {
  VkEventCreateInfo info = {VK_STRUCTURE_TYPE_EVENT_CREATE_INFO};
  VkEvent go = nullptr, done = nullptr;
  VK_CHECK(vkCreateEvent(device().get(), &info, nullptr, &go));
  VK_CHECK(vkCreateEvent(device().get(), &info, nullptr, &done));
  EXPECT_EQ(vkGetEventStatus(device().get(), go), VK_EVENT_RESET);
  VK_CHECK(vkSetEvent(device().get(), go));
  EXPECT_EQ(vkGetEventStatus(device().get(), go), VK_EVENT_SET);
  VK_CHECK(vkResetEvent(device().get(), go));
  EXPECT_EQ(vkGetEventStatus(device().get(), go), VK_EVENT_RESET);

  VkMemoryBarrier memory = {VK_STRUCTURE_TYPE_MEMORY_BARRIER};
  memory.srcAccessMask = VK_ACCESS_HOST_WRITE_BIT;
  memory.dstAccessMask = VK_ACCESS_SHADER_READ_BIT;
  VkCommandBuffer commands = device().begin();
  vkCmdWaitEvents(commands, 1, &go, VK_PIPELINE_STAGE_HOST_BIT, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 1,
                  &memory, 0, nullptr, 0, nullptr);
  record(commands, 2, 1);
  vkCmdSetEvent(commands, done, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT);
  vkCmdResetEvent(commands, go, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT);
  device().end(commands);
  Submission submission;
  submission.commands = commands;
  submission.fence = device().fence();
  submit(device(), submission);
  EXPECT_EQ(vkWaitForFences(device().get(), 1, &submission.fence, VK_TRUE, 30'000'000), VK_TIMEOUT);
  EXPECT_EQ(vkGetEventStatus(device().get(), done), VK_EVENT_RESET);
  std::fill_n(values_->words(), count, 20);
  VK_CHECK(vkSetEvent(device().get(), go));
  ASSERT_EQ(vkWaitForFences(device().get(), 1, &submission.fence, VK_TRUE, wait_limit), VK_SUCCESS);
  EXPECT_EQ(vkGetEventStatus(device().get(), done), VK_EVENT_SET);
  EXPECT_EQ(vkGetEventStatus(device().get(), go), VK_EVENT_RESET);
  expect_value(41);
  run([&](VkCommandBuffer again) { // set and waited for within the device
    vkCmdResetEvent(again, done, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT);
    record(again, 1, 1);
    vkCmdSetEvent(again, done, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT);
    memory.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT;
    vkCmdWaitEvents(again, 1, &done, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                    VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 1, &memory, 0, nullptr, 0, nullptr);
    record(again, 2, 0);
  });
  expect_value(84);
  vkDestroyFence(device().get(), submission.fence, nullptr);
  vkDestroyEvent(device().get(), go, nullptr);
  vkDestroyEvent(device().get(), done, nullptr);
}

TEST_P(VulkanSequences, markers_follow_the_work_before_them) {
  if (!device().has_extension(VK_AMD_BUFFER_MARKER_EXTENSION_NAME))
    GTEST_SKIP() << "no buffer markers";
  const auto mark = device().function<PFN_vkCmdWriteBufferMarkerAMD>("vkCmdWriteBufferMarkerAMD");
  Cleared markers(device(), 16);
  run([&](VkCommandBuffer commands) {
    mark(commands, VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT, markers.get(), 4, 0xabc);
    record(commands, 1, 1);
    mark(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, markers.get(), 8, 0xdef);
  });
  EXPECT_EQ(markers.words()[0], 0u);
  EXPECT_EQ(markers.words()[1], 0xabcu);
  EXPECT_EQ(markers.words()[2], 0xdefu);
}

INSTANTIATE_TEST_SUITE_P(queues, VulkanSequences, shader_queues, queue_name);

TEST_P(VulkanCommands, arrays_of_buffers_and_inline_uniforms) {
  constexpr std::uint32_t count = 256;
  std::vector<std::unique_ptr<Buffer>> inputs;
  Binding array = {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, {}, nullptr, {}};
  for (std::uint32_t n = 0; n < 8; ++n) {
    std::vector<std::uint32_t> values(count);
    for (std::uint32_t i = 0; i < count; ++i)
      values[i] = n * 10000 + i;
    inputs.push_back(std::make_unique<Filled<std::uint32_t>>(device(), values));
    array.buffers.push_back({inputs.back()->get(), 0, VK_WHOLE_SIZE});
  }
  Cleared output(device(), count * 4);
  const Binding block = {VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK,
                         {},
                         nullptr,
                         {100000, 200000, 300000, 400000, 500000, 600000, 700000, 800000}};
  const Kernel kernel(device(), descriptors_spv, {array, storage(output), block});
  run(kernel, count / 64);
  for (std::uint32_t i = 0; i < count; ++i)
    ASSERT_EQ(output.words()[i], i * 5 % 8 * 10000 + i + ((i & 1) * 4 + (i >> 1 & 3) + 1) * 100000) << i;
}

INSTANTIATE_TEST_SUITE_P(queues, VulkanCommands, shader_queues, queue_name);

class VulkanQueries : public QueueTest {
protected:
  static VkQueryPool make_pool(VkQueryType type, std::uint32_t count,
                               VkQueryPipelineStatisticFlags statistics = 0) {
    VkQueryPoolCreateInfo info = {VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO};
    info.queryType = type;
    info.queryCount = count;
    info.pipelineStatistics = statistics;
    VkQueryPool pool = nullptr;
    VK_CHECK(vkCreateQueryPool(device().get(), &info, nullptr, &pool));
    return pool;
  }
};

TEST_P(VulkanQueries, timestamps_advance_and_are_copied) {
  const VkQueryPool pool = make_pool(VK_QUERY_TYPE_TIMESTAMP, 6);
  Cleared values(device(), 4096), copied(device(), 1024, 0xee);
  const Kernel kernel(device(), accumulate_spv, {storage(values)}, {.push_bytes = sizeof(Step)});
  const Step step = {3, 1, 1024};
  const auto before = std::chrono::steady_clock::now();
  run([&](VkCommandBuffer commands) {
    vkCmdResetQueryPool(commands, pool, 0, 6);
    vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT, pool, 0);
    kernel.bind(commands, &step);
    vkCmdDispatch(commands, 16, 1, 1);
    vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, pool, 1);
    vkCmdWriteTimestamp2(commands, VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT, pool, 2);
    vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, pool, 3);
    barrier(commands);
    vkCmdCopyQueryPoolResults(commands, pool, 0, 4, copied.get(), 0, 8,
                              VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT);
    // RADV 22.3 takes any query's availability for that of all in one copy.
    constexpr VkQueryResultFlags with_availability =
        VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WITH_AVAILABILITY_BIT;
    vkCmdCopyQueryPoolResults(commands, pool, 0, 4, copied.get(), 256, 16, with_availability);
    vkCmdCopyQueryPoolResults(commands, pool, 4, 2, copied.get(), 320, 16, with_availability);
    vkCmdCopyQueryPoolResults(commands, pool, 1, 3, copied.get(), 512, 4, 0);
  });
  const std::chrono::duration<double, std::nano> elapsed = std::chrono::steady_clock::now() - before;
  std::uint64_t times[4] = {};
  ASSERT_EQ(vkGetQueryPoolResults(device().get(), pool, 0, 4, sizeof times, times, 8,
                                  VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT),
            VK_SUCCESS);
  EXPECT_LT(times[0], times[1]);
  EXPECT_LE(times[1], times[2]);
  EXPECT_LE(times[2], times[3]);
  EXPECT_LE(static_cast<double>(times[3] - times[0]) * device().limits().timestampPeriod, elapsed.count());
  std::uint64_t unwritten[2] = {5, 5};
  EXPECT_EQ(vkGetQueryPoolResults(device().get(), pool, 4, 1, sizeof unwritten, unwritten, 16,
                                  VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WITH_AVAILABILITY_BIT),
            VK_NOT_READY);
  EXPECT_EQ(unwritten[0], 5u);
  EXPECT_EQ(unwritten[1], 0u);

  const auto* wide = copied.as<std::uint64_t>();
  for (std::uint32_t i = 0; i < 4; ++i) {
    EXPECT_EQ(wide[i], times[i]);
    EXPECT_EQ(wide[32 + i * 2], times[i]);
    EXPECT_EQ(wide[32 + i * 2 + 1], 1u) << "availability of " << i;
  }
  for (std::uint32_t i = 4; i < 6; ++i) {
    EXPECT_EQ(wide[32 + i * 2], 0xeeeeeeeeeeeeeeeeu);
    EXPECT_EQ(wide[32 + i * 2 + 1], 0u);
  }
  for (std::uint32_t i = 1; i < 4; ++i)
    EXPECT_EQ(copied.words()[128 + i - 1], static_cast<std::uint32_t>(times[i]));
  vkResetQueryPool(device().get(), pool, 0, 6);
  EXPECT_EQ(vkGetQueryPoolResults(device().get(), pool, 0, 1, 8, times, 8, VK_QUERY_RESULT_64_BIT),
            VK_NOT_READY);
  vkDestroyQueryPool(device().get(), pool, nullptr);
}

TEST_P(VulkanQueries, compute_invocations_are_counted) {
  if (GetParam() == Device::compute && device().properties().driverVersion < VK_MAKE_VERSION(24, 0, 0))
    GTEST_SKIP() << "older RADV takes the compute rings' one counter for the graphics ring's eleven";
  const VkQueryPool pool = make_pool(VK_QUERY_TYPE_PIPELINE_STATISTICS, 2,
                                     VK_QUERY_PIPELINE_STATISTIC_COMPUTE_SHADER_INVOCATIONS_BIT);
  Cleared values(device(), 4096), copied(device(), 64);
  const Kernel kernel(device(), accumulate_spv, {storage(values)}, {.push_bytes = sizeof(Step)});
  const Step step = {3, 1, 1024};
  run([&](VkCommandBuffer commands) {
    vkCmdResetQueryPool(commands, pool, 0, 2);
    kernel.bind(commands, &step);
    vkCmdDispatch(commands, 5, 1, 1); // not counted
    vkCmdBeginQuery(commands, pool, 0, 0);
    vkCmdDispatch(commands, 16, 1, 1);
    vkCmdDispatch(commands, 2, 3, 1);
    vkCmdEndQuery(commands, pool, 0);
    vkCmdBeginQuery(commands, pool, 1, 0);
    vkCmdEndQuery(commands, pool, 1);
    barrier(commands);
    vkCmdCopyQueryPoolResults(commands, pool, 0, 2, copied.get(), 0, 8,
                              VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT);
  });
  std::uint64_t results[2] = {9, 9};
  ASSERT_EQ(vkGetQueryPoolResults(device().get(), pool, 0, 2, sizeof results, results, 8,
                                  VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT),
            VK_SUCCESS);
  EXPECT_EQ(results[0], (16 + 6) * 64u);
  EXPECT_EQ(results[1], 0u);
  EXPECT_EQ(copied.as<std::uint64_t>()[0], results[0]);
  EXPECT_EQ(copied.as<std::uint64_t>()[1], 0u);
  vkDestroyQueryPool(device().get(), pool, nullptr);
}

TEST_P(VulkanQueries, device_and_host_clocks_are_calibrated) {
  if (!device().has_extension(VK_EXT_CALIBRATED_TIMESTAMPS_EXTENSION_NAME))
    GTEST_SKIP() << "no calibrated timestamps";
  const auto get = device().function<PFN_vkGetCalibratedTimestampsEXT>("vkGetCalibratedTimestampsEXT");
  VkCalibratedTimestampInfoEXT domains[2] = {{VK_STRUCTURE_TYPE_CALIBRATED_TIMESTAMP_INFO_EXT},
                                             {VK_STRUCTURE_TYPE_CALIBRATED_TIMESTAMP_INFO_EXT}};
  domains[0].timeDomain = VK_TIME_DOMAIN_DEVICE_EXT;
  domains[1].timeDomain = VK_TIME_DOMAIN_CLOCK_MONOTONIC_RAW_EXT;
  std::uint64_t first[2], second[2], deviation = 0;
  VK_CHECK(get(device().get(), 2, domains, first, &deviation));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  VK_CHECK(get(device().get(), 2, domains, second, &deviation));
  const double on_card = static_cast<double>(second[0] - first[0]) * device().limits().timestampPeriod;
  const double on_host = static_cast<double>(second[1] - first[1]);
  EXPECT_NEAR(on_card / on_host, 1, 0.05);
}

INSTANTIATE_TEST_SUITE_P(queues, VulkanQueries, shader_queues, queue_name);

} // namespace
