// The driver's own threads: they have names, and the application's signal handlers do not run on them.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <unistd.h>

#include <fcntl.h>
#include <xf86drm.h>

#include "fixture.hpp"

namespace {

struct Thread {
  std::string name;
  std::uint64_t blocked = 0; // signals, from bit 0 on
};

std::map<int, Thread> threads() {
  std::map<int, Thread> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
    Thread thread;
    std::getline(std::ifstream(entry.path() / "comm"), thread.name);
    std::ifstream status(entry.path() / "status");
    for (std::string line; std::getline(status, line);)
      if (line.starts_with("SigBlk:"))
        thread.blocked = std::stoull(line.substr(7), nullptr, 16);
    found[std::stoi(entry.path().filename())] = thread;
  }
  return found;
}

using Threads = cuda_test::CudaTest;

TEST_F(Threads, have_names_and_block_signals) {
  // The emulated GPU starts its threads with the first work; the driver those that it needs.
  CUdeviceptr memory = allocate(4096);
  CUstream stream = nullptr;
  ASSERT_OK(cuStreamCreate(&stream, 0));
  ASSERT_OK(cuMemsetD32Async(memory, 1, 1024, stream));
  ASSERT_OK(cuLaunchHostFunc(
      stream, [](void*) {}, nullptr));
  int node = ::open("/dev/dri/renderD128", O_RDWR | O_CLOEXEC);
  if (std::uint32_t syncobj = 0; node >= 0 && drmSyncobjCreate(node, 0, &syncobj) == 0) {
    CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC description = {};
    description.type = CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_TIMELINE_SEMAPHORE_FD;
    ASSERT_EQ(0, drmSyncobjHandleToFD(node, syncobj, &description.handle.fd));
    CUexternalSemaphore semaphore = nullptr;
    ASSERT_OK(cuImportExternalSemaphore(&semaphore, &description));
    CUDA_EXTERNAL_SEMAPHORE_WAIT_PARAMS wait = {};
    CUDA_EXTERNAL_SEMAPHORE_SIGNAL_PARAMS signal = {};
    wait.params.fence.value = 1;
    signal.params.fence.value = 2;
    ASSERT_OK(cuWaitExternalSemaphoresAsync(&semaphore, &wait, 1, stream));
    ASSERT_OK(cuSignalExternalSemaphoresAsync(&semaphore, &signal, 1, stream));
    std::uint64_t reached = 1;
    ASSERT_EQ(0, drmSyncobjTimelineSignal(node, &syncobj, &reached, 1));
  }
  ASSERT_OK(cuStreamSynchronize(stream));

  std::map<int, Thread> all = threads();
  all.erase(::getpid());
  EXPECT_FALSE(all.empty());
  std::uint64_t expected =
      0; // those that come from outside; a thread cannot block KILL and STOP, nor glibc's two
  for (int signal : {SIGHUP,    SIGINT,  SIGQUIT,  SIGUSR1, SIGUSR2, SIGPIPE, SIGALRM,  SIGTERM,
                     SIGCHLD,   SIGCONT, SIGTSTP,  SIGTTIN, SIGTTOU, SIGURG,  SIGXCPU,  SIGXFSZ,
                     SIGVTALRM, SIGPROF, SIGWINCH, SIGIO,   SIGPWR,  SIGSYS,  SIGRTMIN, SIGRTMAX})
    expected |= std::uint64_t{1} << (signal - 1);
  bool callbacks = false;
  for (const auto& [id, thread] : all) {
    bool ours = thread.name.starts_with("cuda-"), emulated = thread.name.starts_with("kfd-emu");
    EXPECT_TRUE(ours || emulated) << thread.name;
    EXPECT_EQ(expected, thread.blocked & expected) << thread.name;
    EXPECT_FALSE(thread.blocked & (std::uint64_t{1} << (SIGSEGV - 1))) << thread.name;
    callbacks = callbacks || thread.name == "cuda-callbacks";
  }
  EXPECT_TRUE(callbacks);
  if (node >= 0)
    ::close(node);
}

// On the thread that runs it there are no handlers of the application's.
TEST_F(Threads, host_functions_are_not_interrupted) {
  sigset_t blocked;
  ASSERT_OK(cuLaunchHostFunc(
      nullptr, [](void* set) { pthread_sigmask(SIG_SETMASK, nullptr, static_cast<sigset_t*>(set)); },
      &blocked));
  ASSERT_OK(cuCtxSynchronize());
  EXPECT_TRUE(sigismember(&blocked, SIGUSR1));
  EXPECT_TRUE(sigismember(&blocked, SIGALRM));
  EXPECT_FALSE(sigismember(&blocked, SIGSEGV));
}

} // namespace
