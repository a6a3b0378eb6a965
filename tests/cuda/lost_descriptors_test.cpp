// Programs that close descriptors which are not theirs, or put other files in their place: the driver's are
// out of the way, and without them it answers with an error.
#include <algorithm>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <set>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "fixture.hpp"

namespace {

constexpr int low = 256; // a program's own descriptors are below

std::set<int> descriptors() {
  std::set<int> all;
  DIR* directory = ::opendir("/proc/self/fd");
  while (const dirent* entry = ::readdir(directory))
    if (entry->d_name[0] != '.')
      all.insert(std::atoi(entry->d_name));
  all.erase(::dirfd(directory));
  ::closedir(directory);
  return all;
}

// /dev/kfd and the render node.
bool is_device(int fd) {
  struct stat status;
  return ::fstat(fd, &status) == 0 && S_ISCHR(status.st_mode);
}

class LostDescriptorsDeathTest : public testing::TestWithParam<const char*> {
protected:
  void SetUp() override { testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

struct Program {
  CUcontext context = nullptr;
  CUdeviceptr device = 0;
  std::vector<int> drivers; // descriptors
  bool has_new_low_ones = false;
};

Program start() {
  ::alarm(60); // a hang is a failure
  Program program;
  std::set<int> before = descriptors();
  EXPECT_OK(cuInit(0));
  EXPECT_OK(cuCtxCreate(&program.context, 0, 0));
  EXPECT_OK(cuMemAlloc(&program.device, 4096));
  EXPECT_OK(cuMemsetD8(program.device, 1, 4096));
  EXPECT_OK(cuCtxSynchronize());
  for (int fd : descriptors())
    if (fd >= low)
      program.drivers.push_back(fd);
    else if (!before.contains(fd))
      program.has_new_low_ones = true;
  return program;
}

// Every call comes back, and those that need the kernel say why they fail.
[[noreturn]] void go_on(const Program& program) {
  CUdeviceptr address = 0;
  void* host = nullptr;
  CUstream stream = nullptr;
  std::size_t free = 0, total = 0;
  CUresult device_memory = cuMemAlloc(&address, 1 << 20);
  CUresult host_memory = cuMemAllocHost(&host, 1 << 20);
  EXPECT_TRUE(device_memory == CUDA_ERROR_OPERATING_SYSTEM || host_memory == CUDA_ERROR_OPERATING_SYSTEM)
      << device_memory << ' ' << host_memory;
  cuMemGetInfo(&free, &total);
  if (cuStreamCreate(&stream, 0) == CUDA_SUCCESS) {
    cuMemsetD8Async(program.device, 2, 4096, stream);
    cuStreamSynchronize(stream);
    cuStreamDestroy(stream);
  }
  unsigned char byte = 0;
  cuMemcpyDtoH(&byte, program.device, 1);
  cuCtxSynchronize();
  cuMemFree(program.device);
  cuCtxDestroy(program.context);
  std::exit(testing::Test::HasFailure() ? 1 : 0);
}

constexpr const char* why = "the program closed the driver's descriptor";

TEST_F(LostDescriptorsDeathTest, none_is_where_a_program_would_close_it) {
  EXPECT_EXIT(
      {
        Program program = start();
        EXPECT_FALSE(program.has_new_low_ones);
        EXPECT_EQ(std::count_if(program.drivers.begin(), program.drivers.end(), is_device), 2);
        for (int fd = 3; fd < low; ++fd)
          ::close(fd);
        CUdeviceptr address = 0;
        EXPECT_OK(cuMemAlloc(&address, 1 << 20));
        EXPECT_OK(cuMemsetD8(address, 1, 1 << 20));
        EXPECT_OK(cuCtxSynchronize());
        std::exit(testing::Test::HasFailure() ? 1 : 0);
      },
      testing::ExitedWithCode(0), "");
}

TEST_F(LostDescriptorsDeathTest, all_closed) {
  EXPECT_EXIT(
      {
        Program program = start();
        for (int fd : program.drivers)
          ::close(fd);
        go_on(program);
      },
      testing::ExitedWithCode(0), why);
}

int another_file(const std::string& kind) {
  if (kind == "null")
    return ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (kind == "pipe") {
    int ends[2];
    return ::pipe2(ends, O_CLOEXEC) == 0 ? ends[0] : -1;
  }
  int fd = ::memfd_create("other", MFD_CLOEXEC); // one that can be mapped
  return ::ftruncate(fd, 1 << 20) == 0 ? fd : -1;
}

TEST_P(LostDescriptorsDeathTest, all_replaced) {
  EXPECT_EXIT(
      {
        Program program = start();
        int other = another_file(GetParam());
        for (int fd : program.drivers)
          ::dup2(other, fd);
        go_on(program);
      },
      testing::ExitedWithCode(0), why);
}

TEST_P(LostDescriptorsDeathTest, each_replaced_alone) {
  for (std::size_t i = 0; i < 2; ++i)
    EXPECT_EXIT(
        {
          Program program = start();
          int other = another_file(GetParam());
          std::size_t taken = 0;
          for (int fd : program.drivers)
            if (is_device(fd) && taken++ == i)
              ::dup2(other, fd);
          EXPECT_GT(taken, i);
          go_on(program);
        },
        testing::ExitedWithCode(0), why);
}

INSTANTIATE_TEST_SUITE_P(by, LostDescriptorsDeathTest, testing::Values("null", "pipe", "memory"),
                         [](const auto& kind) { return std::string(kind.param); });

} // namespace
