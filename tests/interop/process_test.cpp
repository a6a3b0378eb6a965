// Vulkan here, CUDA in another process (other_process.cpp, beside this executable).

#include <chrono>
#include <spawn.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.hpp"

namespace {

using namespace interop;
using namespace std::chrono_literals;

// Lets the other process inherit the descriptor; returns its number as text.
std::string inherited(int fd) {
  EXPECT_NE(::fcntl(fd, F_SETFD, 0), -1);
  return std::to_string(fd);
}

int run_other_process(std::vector<std::string> arguments) {
  char path[4096];
  ssize_t length = ::readlink("/proc/self/exe", path, sizeof path);
  std::string self(path, static_cast<std::size_t>(length));
  arguments.insert(arguments.begin(), self.substr(0, self.rfind('/')) + "/interop_other_process");
  std::vector<char*> pointers;
  for (std::string& argument : arguments)
    pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  pid_t child = 0;
  if (::posix_spawn(&child, pointers[0], nullptr, nullptr, pointers.data(), environ) != 0)
    return -1;
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST(another_process, writes_into_our_memory_and_signals_us) {
  Buffer buffer(1 << 20);
  Semaphore semaphore(Semaphore::Kind::timeline);
  int memory_fd = buffer.export_fd();
  int semaphore_fd = semaphore.export_fd();
  EXPECT_EQ(run_other_process({"write", inherited(memory_fd), std::to_string(buffer.allocated), "4711",
                               inherited(semaphore_fd)}),
            0);
  EXPECT_TRUE(semaphore.wait(1, 20s));
  EXPECT_TRUE(all_are(read_through_vulkan(buffer), 4711));
  ::close(memory_fd);
  ::close(semaphore_fd);
}

TEST(another_process, that_ends_releases_whoever_waits_for_it) {
  Semaphore awaited(Semaphore::Kind::timeline);
  Semaphore never(Semaphore::Kind::timeline);
  int awaited_fd = awaited.export_fd();
  int never_fd = never.export_fd();
  EXPECT_EQ(run_other_process({"leave", inherited(awaited_fd), inherited(never_fd)}), 0);
  EXPECT_TRUE(awaited.wait(1, 1s));
  ::close(awaited_fd);
  ::close(never_fd);
}

TEST(another_process, that_ends_before_its_work_releases_whoever_waits_for_it) {
  Semaphore awaited(Semaphore::Kind::timeline);
  int awaited_fd = awaited.export_fd();
  EXPECT_EQ(run_other_process({"abandon", inherited(awaited_fd)}), 0);
  EXPECT_TRUE(awaited.wait(1, 1s));
  ::close(awaited_fd);
}

TEST(another_process, that_quits_once_it_is_synchronized_has_signalled) {
  for (int round = 0; round < 5; ++round) {
    Semaphore awaited(Semaphore::Kind::timeline);
    int awaited_fd = awaited.export_fd();
    EXPECT_EQ(run_other_process({"quit", inherited(awaited_fd)}), 0);
    EXPECT_EQ(awaited.value(), 1u);
    ::close(awaited_fd);
  }
}

TEST(another_process, whose_kernel_goes_wrong_while_a_stream_waits_is_told_and_releases_its_peer) {
  Semaphore timeline(Semaphore::Kind::timeline);
  Semaphore binary(Semaphore::Kind::binary);
  int timeline_fd = timeline.export_fd();
  int binary_fd = binary.export_fd();
  EXPECT_EQ(run_other_process({"fault", inherited(timeline_fd), inherited(binary_fd)}), 0);
  EXPECT_TRUE(timeline.wait(1, 1s));
  ::close(timeline_fd);
  ::close(binary_fd);
}

TEST(another_process, is_told_that_it_calls_too_early) {
  Buffer buffer(4096);
  int fd = buffer.export_fd();
  EXPECT_EQ(run_other_process({"early", inherited(fd)}), 0);
  ::close(fd);
}

} // namespace
