#include "gpu_fixture.hpp"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <kfd/fork.hpp>

namespace {

using namespace shim::kfd;

TEST(topology, the_node_is_complete) {
  const NodeProperties& node = test::device().properties();
  EXPECT_NE(node.gpu_id, 0u);
  EXPECT_GE(node.gfx_target_version, 90000u);
  EXPECT_GT(node.compute_units, 0u);
  EXPECT_EQ(node.compute_units * node.simd_per_cu, node.simd_count);
  EXPECT_GE(node.drm_render_minor, 128u);
  EXPECT_GT(node.vram_bytes, 0u);
  EXPECT_LE(node.vram_visible_bytes, node.vram_bytes);
  EXPECT_GT(node.lds_size_kib, 0u);
  EXPECT_FALSE(node.marketing_name.empty());
}

TEST(process, a_gpu_cannot_be_opened_for_a_second_vm) {
  auto second = test::gpu.process->open_device(test::device().properties());
  EXPECT_FALSE(second);
}

TEST(clock, both_clocks_advance_and_the_rate_is_known) {
  auto first = test::device().clock_counters();
  ASSERT_TRUE(first);
  ::usleep(2000);
  auto second = test::device().clock_counters();
  ASSERT_TRUE(second);
  EXPECT_GT(second->gpu_ticks, first->gpu_ticks);
  double seconds = static_cast<double>(second->system_nanoseconds - first->system_nanoseconds) * 1e-9;
  double ticks = static_cast<double>(second->gpu_ticks - first->gpu_ticks);
  EXPECT_NEAR(ticks / seconds / static_cast<double>(test::device().gpu_clock_hz()), 1.0, 0.2);
}

TEST(fork, the_child_is_refused_and_the_parent_goes_on) {
  auto buffer = test::device().allocate(MemoryKind::gtt, 4096);
  ASSERT_TRUE(buffer);
  buffer->cpu_as<int>()[0] = 5;
  pid_t child = ::fork();
  if (child == 0) {
    bool refused = in_forked_child();
    refused = refused && test::device().allocate(MemoryKind::gtt, 4096).code() == CUDA_ERROR_NOT_INITIALIZED;
    refused = refused &&
              test::device().acquire_signal(SignalKind::interrupting).code() == CUDA_ERROR_NOT_INITIALIZED;
    refused = refused && test::device().create_queue().code() == CUDA_ERROR_NOT_INITIALIZED;
    refused = refused && Process::open().code() == CUDA_ERROR_NOT_INITIALIZED;
    *buffer = Buffer(); // releases nothing, and does not crash
    ::_exit(refused ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_FALSE(in_forked_child());
  EXPECT_EQ(buffer->cpu_as<int>()[0], 5);
  EXPECT_TRUE(test::device().allocate(MemoryKind::gtt, 4096));
}

} // namespace
