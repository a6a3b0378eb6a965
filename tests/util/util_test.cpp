#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <memory>
#include <new>
#include <set>
#include <string>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <util/env.hpp>
#include <util/error.hpp>
#include <util/fd.hpp>
#include <util/mapping.hpp>
#include <util/thread.hpp>

namespace {

using shim::util::Error;
using shim::util::Fd;
using shim::util::keep_high;
using shim::util::Mapping;
using shim::util::Result;

bool is_open(int fd) {
  return ::fcntl(fd, F_GETFD) != -1;
}

bool is_mapped(void* address, std::size_t size) {
  unsigned char vector[16];
  return ::mincore(address, size, vector) == 0;
}

TEST(result, a_value_is_ok_and_moves_out) {
  Result<std::unique_ptr<int>> result(std::make_unique<int>(7));
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result.code(), CUDA_SUCCESS);
  std::unique_ptr<int> taken = *std::move(result);
  EXPECT_EQ(*taken, 7);
}

TEST(result, an_error_keeps_its_code) {
  Result<int> result = Error{CUDA_ERROR_NO_DEVICE};
  EXPECT_FALSE(result);
  EXPECT_EQ(result.code(), CUDA_ERROR_NO_DEVICE);
  EXPECT_EQ(result.error().code, CUDA_ERROR_NO_DEVICE);
}

TEST(result, void_is_success_until_an_error_comes) {
  Result<void> result;
  EXPECT_TRUE(result);
  result = Error{CUDA_ERROR_INVALID_VALUE};
  EXPECT_FALSE(result);
  EXPECT_EQ(result.code(), CUDA_ERROR_INVALID_VALUE);
}

TEST(errors, errno_maps_to_what_the_caller_did) {
  EXPECT_EQ(shim::util::result_from_errno(ENOMEM), CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT_EQ(shim::util::result_from_errno(EINVAL), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(shim::util::result_from_errno(ENODEV), CUDA_ERROR_NO_DEVICE);
  EXPECT_EQ(shim::util::result_from_errno(ENOTTY), CUDA_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(shim::util::result_from_errno(EXDEV), CUDA_ERROR_UNKNOWN);
}

// What a call that fails with `code` prints at the default level. In a child, whose log is opened by it.
template <class Call>
std::string printed(CUresult code, Call&& call) {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[1], STDERR_FILENO);
    ::_exit(call().code == code ? 0 : 1);
  }
  ::close(ends[1]);
  std::string text;
  char bytes[256];
  for (ssize_t got; (got = ::read(ends[0], bytes, sizeof bytes)) > 0;)
    text.append(bytes, static_cast<std::size_t>(got));
  ::close(ends[0]);
  int status = -1;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  return text;
}

TEST(errors, what_a_program_may_expect_is_not_printed) {
  for (CUresult code :
       {CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_INVALID_HANDLE, CUDA_ERROR_INVALID_CONTEXT, CUDA_ERROR_NOT_READY,
        CUDA_ERROR_NOT_FOUND, CUDA_ERROR_PEER_ACCESS_UNSUPPORTED, CUDA_ERROR_DEINITIALIZED})
    EXPECT_EQ("", printed(code, [&] { return shim::util::fail(code, "refused"); })) << code;
}

TEST(errors, what_failed_or_is_not_supported_is_printed) {
  for (CUresult code : {CUDA_ERROR_UNKNOWN, CUDA_ERROR_OUT_OF_MEMORY, CUDA_ERROR_NOT_SUPPORTED,
                        CUDA_ERROR_INVALID_PTX, CUDA_ERROR_NO_DEVICE, CUDA_ERROR_ILLEGAL_ADDRESS})
    EXPECT_EQ("cuda-shim: error: it failed\n",
              printed(code, [&] { return shim::util::fail(code, "it failed"); }))
        << code;
}

TEST(errors, a_failing_system_call_is_printed_whatever_its_code) {
  EXPECT_EQ("cuda-shim: error: ioctl: Invalid argument\n",
            printed(CUDA_ERROR_INVALID_VALUE, [] { return shim::util::fail_errno("ioctl", EINVAL); }));
}

TEST(errors, a_caller_that_knows_better_chooses_the_level) {
  using shim::util::fail_at, shim::util::LogLevel;
  EXPECT_EQ("cuda-shim: error: why\n", printed(CUDA_ERROR_NOT_FOUND, [] {
              return fail_at(LogLevel::error, CUDA_ERROR_NOT_FOUND, "why");
            }));
  EXPECT_EQ(
      "", printed(CUDA_ERROR_NO_DEVICE, [] { return fail_at(LogLevel::info, CUDA_ERROR_NO_DEVICE, "why"); }));
}

TEST(fd, closes_when_its_owner_goes) {
  int raw;
  {
    Fd fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    raw = fd.get();
    ASSERT_TRUE(is_open(raw));
  }
  EXPECT_FALSE(is_open(raw));
}

TEST(fd, moving_leaves_nothing_to_close) {
  Fd first(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  int raw = first.get();
  {
    Fd second(std::move(first));
    EXPECT_FALSE(first.valid());
    EXPECT_EQ(second.release(), raw);
  }
  EXPECT_TRUE(is_open(raw));
  ::close(raw);
}

// Restores the soft limit on descriptors.
class Limit {
public:
  explicit Limit(rlim_t descriptors) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit changed = before_;
    changed.rlim_cur = descriptors;
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &changed), 0);
  }
  ~Limit() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  Limit(const Limit&) = delete;
  Limit& operator=(const Limit&) = delete;

private:
  rlimit before_;
};

Fd open_null() {
  return Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

TEST(high_fd, is_out_of_the_way_and_leaves_its_old_number_free) {
  Limit limit(1024);
  Fd low = open_null();
  int old = low.get();
  Fd high = keep_high(std::move(low));
  EXPECT_GE(high.get(), 512);
  EXPECT_TRUE(is_open(high.get()));
  EXPECT_TRUE(::fcntl(high.get(), F_GETFD) & FD_CLOEXEC);
  EXPECT_TRUE(high.intact());
  EXPECT_FALSE(is_open(old));
  int number = high.get();
  high.reset();
  EXPECT_FALSE(is_open(number));
}

TEST(high_fd, is_lower_where_the_top_is_taken) {
  Limit limit(64);
  std::vector<Fd> all;
  for (;;) {
    Fd fd = open_null();
    if (!fd.valid())
      break;
    all.push_back(keep_high(std::move(fd)));
    EXPECT_TRUE(all.back().intact());
  }
  EXPECT_GE(all.size(), 50u);
  EXPECT_GE(all.front().get(), 32);
  for (Fd& fd : all) {
    int number = fd.get();
    fd.reset();
    EXPECT_FALSE(is_open(number));
  }
}

TEST(high_fd, of_a_large_limit_needs_no_large_table) {
  rlimit now{};
  ::getrlimit(RLIMIT_NOFILE, &now);
  Limit limit(now.rlim_max);
  Fd high = keep_high(open_null());
  EXPECT_LT(high.get(), 65536);
}

TEST(high_fd, that_could_not_be_opened_stays_invalid_with_its_errno) {
  Fd none = keep_high(Fd(::open("/nonexistent", O_RDONLY | O_CLOEXEC)));
  EXPECT_EQ(errno, ENOENT);
  EXPECT_FALSE(none.valid());
  EXPECT_FALSE(none.intact());
}

TEST(high_fd, that_the_program_closed_or_replaced_is_not_closed) {
  Fd closed = keep_high(open_null());
  int number = closed.get();
  ::close(number);
  EXPECT_FALSE(closed.intact());
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  ASSERT_EQ(::dup2(ends[0], number), number);
  EXPECT_FALSE(closed.intact());
  Fd moved = std::move(closed); // with what it knows
  moved.reset();
  EXPECT_TRUE(is_open(number));
  for (int fd : {ends[0], ends[1], number})
    ::close(fd);
}

TEST(log, leaves_a_file_alone_that_the_program_put_in_place_of_its_own) {
  // The file is opened with the first line, which is this one in a process of its own.
  pid_t child = ::fork();
  if (child == 0) {
    ::setenv("CUDA_SHIM_LOG_FILE", "/dev/null", 1);
    std::set<int> ours;
    for (int fd = 0; fd < 65536; ++fd)
      if (!is_open(fd))
        ours.insert(fd);
    static_cast<void>(shim::util::fail(CUDA_ERROR_UNKNOWN, "opened"));
    std::erase_if(ours, [](int fd) { return !is_open(fd); });
    int other = ::memfd_create("other", MFD_CLOEXEC);
    bool replaced = ours.size() == 1 && *ours.begin() >= 256 && ::dup2(other, *ours.begin()) >= 0;
    static_cast<void>(shim::util::fail(CUDA_ERROR_UNKNOWN, "to stderr"));
    ::_exit(replaced && ::lseek(other, 0, SEEK_END) == 0 ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST(mapping, unmaps_when_its_owner_goes_and_not_after_release) {
  void* kept = nullptr;
  void* gone = nullptr;
  {
    Mapping a(::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 4096);
    Mapping b(::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 4096);
    gone = a.data();
    kept = b.release();
  }
  EXPECT_FALSE(is_mapped(gone, 4096));
  ASSERT_TRUE(is_mapped(kept, 4096));
  ::munmap(kept, 4096);
}

TEST(environment, numbers_are_parsed_whole_or_not_at_all) {
  ::setenv("CUDA_SHIM_TEST_NUMBER", "0x10", 1);
  EXPECT_EQ(shim::util::env_number("CUDA_SHIM_TEST_NUMBER"), 16u);
  ::setenv("CUDA_SHIM_TEST_NUMBER", "12cats", 1);
  EXPECT_EQ(shim::util::env_number("CUDA_SHIM_TEST_NUMBER"), std::nullopt);
  ::setenv("CUDA_SHIM_TEST_NUMBER", "-1", 1);
  EXPECT_EQ(shim::util::env_number("CUDA_SHIM_TEST_NUMBER"), std::nullopt);
  ::setenv("CUDA_SHIM_TEST_NUMBER", "", 1);
  EXPECT_EQ(shim::util::env_string("CUDA_SHIM_TEST_NUMBER"), std::nullopt);
  ::unsetenv("CUDA_SHIM_TEST_NUMBER");
}

// Cannot be given to a thread, as if the system had none left.
struct Unmovable {
  Unmovable() = default;
  Unmovable(const Unmovable&) { throw std::bad_alloc(); }
  void operator()() const {}
};

TEST(thread, that_cannot_start_leaves_the_signal_mask_alone) {
  sigset_t before;
  sigset_t after;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  EXPECT_THROW(shim::util::start_thread("none", Unmovable()), std::bad_alloc);
  pthread_sigmask(SIG_SETMASK, nullptr, &after);
  EXPECT_EQ(sigismember(&before, SIGTERM), sigismember(&after, SIGTERM));
}

TEST(thread, that_throws_ends_quietly) {
  shim::util::start_thread("throws", [] { throw std::bad_alloc(); }).join();
  shim::util::start_thread("throws", [] { throw 1; }).join();
}

TEST(thread, has_its_name_from_the_start) {
  char name[16] = {};
  shim::util::start_thread("named", [&] { pthread_getname_np(pthread_self(), name, sizeof name); }).join();
  EXPECT_STREQ(name, "named");
}

TEST(thread, of_the_driver_runs_no_signal_handlers) {
  bool blocked = false;
  shim::util::start_thread("blocked", [&] {
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    blocked = sigismember(&mask, SIGTERM) && !sigismember(&mask, SIGSEGV);
  }).join();
  EXPECT_TRUE(blocked);
}

} // namespace
