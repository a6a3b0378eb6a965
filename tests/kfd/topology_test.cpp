#include <gtest/gtest.h>

#include <kfd/topology.hpp>

namespace {

using namespace shim::kfd;

NodeProperties node_with(unsigned gfx, unsigned simds, unsigned simds_per_unit) {
  NodeProperties node;
  node.gfx_target_version = gfx;
  node.simd_count = simds;
  node.simd_per_cu = simds_per_unit;
  node.array_count = 8;
  node.simd_arrays_per_engine = 2;
  return node;
}

// Sizes that unmodified ROCr asks the kernel for on an 80-unit gfx1030.
TEST(queue_sizes, gfx10_caps_the_control_stack) {
  QueueSizes sizes = compute_queue_sizes(node_with(100300, 160, 2));
  EXPECT_EQ(sizes.control_stack, 0x7000u);
  EXPECT_EQ(sizes.context_save, 0x1a97000u);
  EXPECT_EQ(sizes.save_area(), 0x1aab000u);
  EXPECT_EQ(sizes.eop, 4096u);
}

TEST(queue_sizes, gfx9_counts_waves_by_shader_array_and_eight_bytes_each) {
  NodeProperties node = node_with(90006, 240, 4); // 60 units, 4 arrays' worth of 512 waves
  QueueSizes sizes = compute_queue_sizes(node);
  std::uint32_t waves = std::min(60u * 40, 4u * 512);
  EXPECT_EQ(sizes.control_stack, (40 + waves * 8 + 8 + 4095) / 4096 * 4096);
  EXPECT_EQ(sizes.debug_memory, waves * 32);
}

TEST(queue_sizes, gfx11_has_larger_register_files_and_no_cap) {
  QueueSizes navi31 = compute_queue_sizes(node_with(110000, 192, 2));
  QueueSizes navi33 = compute_queue_sizes(node_with(110002, 192, 2));
  EXPECT_EQ(navi31.context_save - navi33.context_save, 96u * 0x20000);
  EXPECT_EQ(navi31.control_stack, (40 + 96u * 32 * 12 + 8 + 4095) / 4096 * 4096);
}

TEST(node_properties, names_follow_llvm) {
  EXPECT_EQ(node_with(100300, 1, 1).gfx_name(), "gfx1030");
  EXPECT_EQ(node_with(90010, 1, 1).gfx_name(), "gfx90a");
  EXPECT_EQ(node_with(110501, 1, 1).gfx_name(), "gfx1151");
}

} // namespace
