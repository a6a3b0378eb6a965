#include "processes.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace waves {

namespace {

// Not exit(): destructors would wait for the GPU, and the GPU waits for the other process.
[[noreturn]] void end(const char* message) {
  std::fflush(stdout);
  std::fprintf(stderr, "vk_cuda_waves: %s\n", message);
  std::_Exit(EXIT_FAILURE);
}

} // namespace

ChildProcess::ChildProcess(const std::string& option) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
    throw std::runtime_error("socketpair failed");
  pid_ = fork();
  if (pid_ == 0) {
    fcntl(pair[1], F_SETFD, 0);
    const std::string argument = option + std::to_string(pair[1]);
    execl("/proc/self/exe", "vk_cuda_waves", argument.c_str(), static_cast<char*>(nullptr));
    std::_Exit(127);
  }
  close(pair[1]);
  socket_ = pair[0];
  if (pid_ < 0) {
    close(socket_);
    throw std::runtime_error("fork failed");
  }
  watcher_ = std::thread([this] { watch(); });
}

ChildProcess::~ChildProcess() {
  leaving_ = true;
  close(socket_);
  if (watcher_.joinable())
    watcher_.join();
}

void ChildProcess::wait() {
  watcher_.join();
}

void ChildProcess::watch() {
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0)
    if (errno != EINTR)
      end("the CUDA process cannot be watched");
  if (status == 0 || leaving_)
    return;
  char message[96];
  if (WIFSIGNALED(status))
    std::snprintf(message, sizeof message, "the CUDA process died of signal %d", WTERMSIG(status));
  else
    std::snprintf(message, sizeof message, "the CUDA process ended with status %d", WEXITSTATUS(status));
  end(message);
}

void end_with_parent(int socket) {
  std::thread([socket] {
    pollfd other = {socket, POLLRDHUP, 0};
    while (poll(&other, 1, -1) < 0 && errno == EINTR)
      ;
    end("the Vulkan process has ended");
  }).detach();
}

} // namespace waves
