// The engines in the life of a process: idle, and at its end.
#include "drm_gpu.hpp"
#include "kernels.hpp"
#include "kfd_aql.hpp"

#include <sys/resource.h>
#include <sys/wait.h>

using namespace kfd_test;
using namespace std::chrono_literals;

namespace {

std::chrono::microseconds cpu_time() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto total = [](const timeval& t) {
    return std::chrono::seconds(t.tv_sec) + std::chrono::microseconds(t.tv_usec);
  };
  return total(usage.ru_utime) + total(usage.ru_stime);
}

class Life : public KfdAql {};

TEST_F(Life, an_idle_machine_with_queues_and_contexts_takes_no_processor_time) {
  std::vector<Queue> queues;
  for (int i = 0; i < 8; ++i) {
    queues.push_back(make_queue());
    dispatch(queues.back(), make_kernel(kernels::send_interrupt), 64);
  }
  for (const Queue& queue : queues)
    ASSERT_TRUE(eventually([&] { return queue.read_index() == 1; }));
  drm_test::Gpu gpu;
  for (const std::uint32_t ip : {AMDGPU_HW_IP_COMPUTE, AMDGPU_HW_IP_GFX}) {
    std::uint64_t sequence = 0;
    ASSERT_EQ(gpu.submit(false, 1, 1, {}, &sequence, ip), 0);
    ASSERT_TRUE(gpu.finished(sequence, 20'000, ip));
  }
  std::this_thread::sleep_for(50ms);
  const auto before = cpu_time();
  std::this_thread::sleep_for(500ms);
  EXPECT_LT(cpu_time() - before, 20ms);
  for (Queue& queue : queues)
    destroy(queue);
}

// Runs this program again with only the test that is named, and waits for its end.
std::chrono::steady_clock::duration run_to_the_end(const char* test) {
  const auto start = std::chrono::steady_clock::now();
  const pid_t child = fork();
  if (child == 0) {
    const std::string filter = std::string("--gtest_filter=") + test;
    execl("/proc/self/exe", "life_test", filter.c_str(), "--gtest_also_run_disabled_tests", nullptr);
    _exit(99);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  return std::chrono::steady_clock::now() - start;
}

// The programs that end with a kernel that does not.
TEST_F(Life, DISABLED_leaves_an_endless_kernel_on_a_queue) {
  Queue queue = make_queue();
  dispatch(queue, make_kernel(kernels::endless), 1000);
  std::this_thread::sleep_for(50ms);
  ASSERT_EQ(queue.read_index(), 0u);
  exit(HasFailure() ? 1 : 0);
}

TEST(Lives, DISABLED_leaves_an_endless_job_on_a_ring) {
  static drm_test::Gpu& gpu = *new drm_test::Gpu; // exit() shall not close it
  std::uint64_t sequence = 0;
  ASSERT_EQ(gpu.submit(true, 1, 1, {}, &sequence), 0); // waits for ever for its gate
  ASSERT_FALSE(gpu.finished(sequence, 50));
  exit(testing::Test::HasFailure() ? 1 : 0);
}

TEST(Lives, end_at_once_whatever_runs_on_the_gpu) {
  EXPECT_LT(run_to_the_end("Life.DISABLED_leaves_an_endless_kernel_on_a_queue"), 3s);
  EXPECT_LT(run_to_the_end("Lives.DISABLED_leaves_an_endless_job_on_a_ring"), 3s);
}

} // namespace
