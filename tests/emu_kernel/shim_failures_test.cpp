// The shim when the kernel says no: each system call of a CUDA program fails once, in its turn. The program
// must be told by a CUDA error, or not notice; never a crash, a hang, a wrong result or a descriptor that is
// left over.
//
// Arguments: the program (shim_program.cpp).
#include "kfd_roles.hpp"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <set>

using namespace kfd_test;

namespace {

std::string program;
std::string cache; // of compiled kernels: only the first run compiles

struct Report {
  Outcome outcome;
  std::string injected; // "CALL (call N) fails with ERRNO", empty where none was
  std::string pass[3];
  int low = -1, high = -1; // descriptors after the last pass
  unsigned failed_in = 0;  // pass; 0: none, or before the first one
  bool own_calls = false;  // it was one of the program's, before it used the shim
};

std::string after(const std::string& text, const char* prefix, std::size_t from = 0) {
  const std::size_t at = text.find(prefix, from);
  if (at == text.npos)
    return {};
  const std::size_t begin = at + std::strlen(prefix);
  return text.substr(begin, text.find('\n', begin) - begin);
}

Report run(const std::string& rules, const std::string& machine = "CUDA_SHIM_EMU_EVENT_DELAY=") {
  Report report;
  report.outcome = run_program(
      {program}, {machine, "CUDA_SHIM_EMU_FAIL=" + rules, "CUDA_CACHE_PATH=" + cache, "CUDA_SHIM_LOG=none"},
      std::chrono::seconds(10));
  const std::string& text = report.outcome.output;
  report.injected = after(text, "kfd-emu: injected: ");
  report.own_calls = text.find("the program's own calls failed") != text.npos;
  const std::size_t failed_at = text.find("kfd-emu: injected: ");
  std::size_t at = 0;
  for (unsigned i = 0; i < std::size(report.pass); ++i) {
    const std::string name = "pass " + std::to_string(i + 1) + ": ";
    const std::size_t before = at;
    at = text.find(name, at);
    if (at == text.npos)
      return report;
    report.pass[i] = after(text, name.c_str(), at);
    if (failed_at >= before && failed_at < at)
      report.failed_in = i + 1;
  }
  std::sscanf(after(text, "descriptors: ", at).c_str(), "%d + %d", &report.low, &report.high);
  return report;
}

// A call that gives something back: what the kernel keeps then is not the shim's to answer for.
bool gives_back(const std::string& injected) {
  for (const char* call : {"FREE_MEMORY", "UNMAP_MEMORY", "DESTROY", "GEM_CLOSE"})
    if (injected.find(call) != injected.npos)
      return true;
  return false;
}

class ShimFailures : public testing::Test {
protected:
  static void SetUpTestSuite() { undisturbed_ = run("*:1000000:ENOMEM"); }

  void expect_sound(const Report& report) {
    EXPECT_FALSE(report.outcome.timed_out) << "a hang";
    EXPECT_EQ(report.outcome.status, 0) << "a crash";
    if (report.own_calls)
      return;
    for (unsigned i = 0; i < std::size(report.pass); ++i) {
      const std::string& pass = report.pass[i];
      EXPECT_FALSE(pass.empty());
      EXPECT_EQ(pass.find("wrong result"), pass.npos) << "nothing was told";
      EXPECT_EQ(pass.find("unknown error"), pass.npos);
      // What the kernel would not take back may stand in the way of what comes later.
      if (i + 1 != report.failed_in && !gives_back(report.injected)) {
        EXPECT_EQ(pass, "CUDA_SUCCESS") << "pass " << i + 1 << " has nothing to do with it";
      }
    }
    EXPECT_EQ(report.low, undisturbed_.low) << "descriptors are left over";
    if (!gives_back(report.injected)) {
      EXPECT_LE(report.high, undisturbed_.high) << "buffers are left over";
    }
  }

  // Fails each call of the first two passes in turn. `must_succeed`: nobody is to notice that an ioctl
  // failed.
  void fail_each(const char* error, bool must_succeed) {
    constexpr unsigned too_many = 2000;
    unsigned number = 1;
    std::set<std::string> calls;
    for (; number < too_many; ++number) {
      const Report report = run("*:" + std::to_string(number) + ":" + error);
      ASSERT_FALSE(report.injected.empty());
      if (report.failed_in == std::size(report.pass))
        break;
      calls.insert(report.injected.substr(0, report.injected.find(' ')));
      SCOPED_TRACE(report.injected);
      expect_sound(report);
      if (must_succeed && report.failed_in && report.injected.find("_IOC") != std::string::npos) {
        EXPECT_EQ(report.pass[report.failed_in - 1], "CUDA_SUCCESS");
      }
    }
    EXPECT_LT(number, too_many);
    EXPECT_GT(calls.size(), 20u) << "the program does not do much";
    std::printf("%u calls, %zu kinds\n", number - 1, calls.size());
  }

  static Report undisturbed_;
};
Report ShimFailures::undisturbed_;

TEST_F(ShimFailures, undisturbed_the_program_succeeds) {
  EXPECT_EQ(undisturbed_.outcome.status, 0);
  for (const std::string& pass : undisturbed_.pass)
    EXPECT_EQ(pass, "CUDA_SUCCESS") << undisturbed_.outcome.output;
  EXPECT_GT(undisturbed_.high, 0);
  EXPECT_TRUE(undisturbed_.injected.empty());
}

TEST_F(ShimFailures, every_call_without_memory) {
  fail_each("ENOMEM", false);
}

// A signal handler ran: the call is made again, and nobody is told.
TEST_F(ShimFailures, every_call_interrupted) {
  fail_each("EINTR", true);
}

TEST_F(ShimFailures, every_call_refused) {
  fail_each("EINVAL", false);
}

// Whatever it is that never works.
TEST_F(ShimFailures, every_kind_of_call_fails_for_good) {
  for (const char* call : {"open",
                           "mmap",
                           "AMDKFD_IOC_GET_VERSION",
                           "AMDKFD_IOC_ACQUIRE_VM",
                           "AMDKFD_IOC_SET_MEMORY_POLICY",
                           "AMDKFD_IOC_GET_PROCESS_APERTURES_NEW",
                           "AMDKFD_IOC_CREATE_EVENT",
                           "AMDKFD_IOC_SET_EVENT",
                           "AMDKFD_IOC_WAIT_EVENTS",
                           "AMDKFD_IOC_CREATE_QUEUE",
                           "AMDKFD_IOC_ALLOC_MEMORY_OF_GPU",
                           "AMDKFD_IOC_MAP_MEMORY_TO_GPU",
                           "AMDKFD_IOC_UNMAP_MEMORY_FROM_GPU",
                           "AMDKFD_IOC_FREE_MEMORY_OF_GPU",
                           "AMDKFD_IOC_GET_DMABUF_INFO",
                           "AMDKFD_IOC_IMPORT_DMABUF",
                           "DRM_IOCTL_AMDGPU_INFO",
                           "DRM_IOCTL_AMDGPU_GEM_METADATA",
                           "DRM_IOCTL_PRIME_FD_TO_HANDLE",
                           "DRM_IOCTL_PRIME_HANDLE_TO_FD",
                           "DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE",
                           "DRM_IOCTL_SYNCOBJ_RESET",
                           "DRM_IOCTL_SYNCOBJ_DESTROY",
                           "DRM_IOCTL_GEM_CLOSE"}) {
    const Report report = run(std::string(call) + ":1+:ENOMEM");
    SCOPED_TRACE(call);
    EXPECT_FALSE(report.injected.empty()) << "the program does not make that call";
    EXPECT_FALSE(report.outcome.timed_out) << "a hang";
    EXPECT_EQ(report.outcome.status, 0) << "a crash";
    EXPECT_EQ(report.outcome.output.find("wrong result"), std::string::npos) << "nothing was told";
  }
}

TEST_F(ShimFailures, late_events_and_little_memory_are_no_failures) {
  for (const char* machine : {"CUDA_SHIM_EMU_EVENT_DELAY=20", "CUDA_SHIM_EMU_VRAM=64M"}) {
    const Report report = run("*:1000000:ENOMEM", machine);
    for (const std::string& pass : report.pass)
      EXPECT_EQ(pass, "CUDA_SUCCESS") << machine << '\n' << report.outcome.output;
  }
}

} // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc != 2)
    return 1;
  program = argv[1];
  char name[] = "/tmp/shim-failures-XXXXXX";
  cache = mkdtemp(name);
  const int result = RUN_ALL_TESTS();
  std::filesystem::remove_all(cache);
  return result;
}
