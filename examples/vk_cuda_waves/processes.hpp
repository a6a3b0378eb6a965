// Two processes, of which each ends with a message when the other dies: a wait for a semaphore that nobody
// will signal has no end of its own.
#pragma once

#include <atomic>
#include <string>
#include <sys/types.h>
#include <thread>

namespace waves {

// The second process, as the first sees it.
class ChildProcess {
public:
  // Runs this program again with `option` and the number of its end of a Unix socket behind it. From here on,
  // this process ends when the child ends in any way but success.
  explicit ChildProcess(const std::string& option);
  // Leaves the child, which will notice.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  int socket() const { return socket_; }
  // Until it has ended, with success.
  void wait();

private:
  void watch();

  pid_t pid_ = -1;
  int socket_ = -1;
  std::atomic<bool> leaving_ = false;
  std::thread watcher_;
};

// In the second process: from here on, it ends when the first one, at the other end of the socket, does.
void end_with_parent(int socket);

} // namespace waves
