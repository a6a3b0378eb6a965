// The files and descriptors of the emulated card as programs look at them, and the program's own left alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <linux/close_range.h>
#include <set>
#include <spawn.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::set<std::string> entries(const char* path) {
  std::set<std::string> names;
  DIR* directory = opendir(path);
  if (!directory)
    return names;
  while (const dirent* entry = readdir(directory))
    names.insert(entry->d_name);
  closedir(directory);
  return names;
}

TEST(Paths, device_nodes_are_there) {
  EXPECT_EQ(access("/dev/kfd", R_OK | W_OK), 0);
  EXPECT_TRUE(entries("/dev/dri").contains("renderD128"));
  struct stat info {};
  ASSERT_EQ(stat("/dev/dri/renderD128", &info), 0);
  EXPECT_TRUE(S_ISCHR(info.st_mode));
  EXPECT_EQ(major(info.st_rdev), 226u);
  EXPECT_EQ(minor(info.st_rdev), 128u);
  struct statx extended {};
  ASSERT_EQ(statx(AT_FDCWD, "/dev/dri/card0", 0, STATX_BASIC_STATS, &extended), 0);
  EXPECT_EQ(extended.stx_rdev_major, 226u);
  EXPECT_EQ(extended.stx_rdev_minor, 0u);
  EXPECT_EQ(open("/dev/dri/renderD129", O_RDWR), -1);
  EXPECT_EQ(errno, ENOENT);
}

TEST(Paths, topology_reads_like_sysfs) {
  const std::string root = "/sys/class/kfd/kfd/topology/";
  EXPECT_EQ(first_line((root + "nodes/0/gpu_id").c_str()), "0");
  EXPECT_NE(first_line((root + "nodes/1/gpu_id").c_str()), "0");
  EXPECT_EQ(first_line((root + "nodes/1/name").c_str()), "sienna_cichlid");
  EXPECT_EQ(first_line((root + "nodes/1/properties").c_str()), "cpu_cores_count 0");
  EXPECT_EQ(entries((root + "nodes").c_str()), (std::set<std::string>{".", "..", "0", "1"}));
  FILE* file = fopen((root + "nodes/1/mem_banks/0/properties").c_str(), "r");
  ASSERT_NE(file, nullptr);
  unsigned heap = 0;
  unsigned long long size = 0;
  EXPECT_EQ(fscanf(file, "heap_type %u\nsize_in_bytes %llu", &heap, &size), 2);
  fclose(file);
  EXPECT_EQ(heap, 1u);
  EXPECT_EQ(size, 16368ull << 20);
}

// What the number of caches says is what is there; ROCr fails on less.
TEST(Paths, counts_of_the_topology_are_true) {
  std::ifstream file("/sys/class/kfd/kfd/topology/nodes/1/properties");
  std::string name;
  unsigned long long value = 0;
  while (file >> name >> value) {
    const char* directory = name == "caches_count"      ? "caches"
                            : name == "mem_banks_count" ? "mem_banks"
                            : name == "io_links_count"  ? "io_links"
                                                        : nullptr;
    if (directory) {
      const auto listed = entries((std::string("/sys/class/kfd/kfd/topology/nodes/1/") + directory).c_str());
      EXPECT_EQ(listed.size() - 2, value) << directory;
    }
  }
}

TEST(Paths, links_lead_within_sysfs) {
  char* device = realpath("/sys/dev/char/226:128/device", nullptr);
  ASSERT_NE(device, nullptr);
  EXPECT_EQ(std::string(device).substr(0, 13), "/sys/devices/");
  EXPECT_EQ(std::string(device).substr(std::strlen(device) - 12), "0000:03:00.0");
  EXPECT_EQ(first_line((std::string(device) + "/vendor").c_str()), "0x1002");
  std::free(device);
  char target[256] = {};
  ASSERT_GT(readlink("/sys/dev/char/226:128/device/subsystem", target, sizeof target - 1), 0);
  EXPECT_EQ(std::string(target).substr(std::strlen(target) - 4), "/pci");
  EXPECT_TRUE(std::filesystem::exists("/sys/bus/pci/devices/0000:03:00.0/config"));
}

TEST(Paths, other_files_are_untouched) {
  char name[] = "/tmp/kfd-paths-XXXXXX";
  const int fd = mkstemp(name);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(write(fd, "hello", 5), 5);
  EXPECT_EQ(lseek(fd, 0, SEEK_END), 5);
  struct stat info {};
  ASSERT_EQ(fstat(fd, &info), 0);
  EXPECT_TRUE(S_ISREG(info.st_mode));
  void* mapped = mmap(nullptr, 5, PROT_READ, MAP_SHARED, fd, 0);
  ASSERT_NE(mapped, MAP_FAILED);
  EXPECT_EQ(std::memcmp(mapped, "hello", 5), 0);
  munmap(mapped, 5);
  close(fd);
  unlink(name);
  EXPECT_EQ(ioctl(-1, _IOWR('K', 1, long), nullptr), -1);
  EXPECT_EQ(errno, EBADF);
}

TEST(Descriptors, duplicates_are_the_same_file_and_close_alone) {
  const int first = open("/dev/kfd", O_RDWR | O_CLOEXEC);
  ASSERT_GE(first, 0);
  struct {
    unsigned major_version, minor_version;
  } version{};
  const unsigned long get_version = _IOC(_IOC_READ, 'K', 1, sizeof version);
  const int second = dup(first);
  const int third = fcntl(first, F_DUPFD_CLOEXEC, 100);
  EXPECT_GE(third, 100);
  const int fourth = dup2(first, 200);
  EXPECT_EQ(fourth, 200);
  EXPECT_EQ(close(first), 0);
  EXPECT_EQ(ioctl(first, get_version, &version), -1);
  EXPECT_EQ(errno, EBADF);
  for (const int fd : {second, third, fourth})
    EXPECT_EQ(ioctl(fd, get_version, &version), 0) << fd;

  // A number that is used anew is what it is now.
  const int null = open("/dev/null", O_RDWR);
  ASSERT_EQ(dup2(null, second), second);
  EXPECT_EQ(ioctl(second, get_version, &version), -1);
  EXPECT_EQ(errno, ENOTTY);
  close(null);
  close(second);
  EXPECT_EQ(close_range(100, 200, 0), 0);
  EXPECT_EQ(ioctl(third, get_version, &version), -1);
  EXPECT_EQ(errno, EBADF);
}

TEST(Descriptors, children_close_their_own) {
  const int fd = open("/dev/kfd", O_RDWR | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  const pid_t vforked = vfork();
  if (vforked == 0) {
    close(fd); // in the child's table; the memory is the parent's
    execl("/bin/true", "true", static_cast<char*>(nullptr));
    _exit(1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(vforked, &status, 0), vforked);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  struct {
    unsigned major_version, minor_version;
  } version{};
  EXPECT_EQ(ioctl(fd, _IOC(_IOC_READ, 'K', 1, sizeof version), &version), 0);

  char program[] = "/bin/cat", path[] = "/sys/class/kfd/kfd/topology/nodes/1/name";
  char* arguments[] = {program, path, nullptr};
  pid_t spawned = 0;
  ASSERT_EQ(posix_spawn(&spawned, program, nullptr, nullptr, arguments, environ), 0);
  ASSERT_EQ(waitpid(spawned, &status, 0), spawned);
  EXPECT_EQ(WEXITSTATUS(status), 0) << "the preloaded library works in what is spawned";
  close(fd);
}

} // namespace
