// Tests of several processes: children that are this executable again, in a role, with a socket to pass words
// and descriptors.
#pragma once

#include "drm_test_device.hpp"

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>
#include <sys/socket.h>
#include <sys/wait.h>

namespace drm_test {

inline void send_message(int socket, char word, int fd = -1) {
  iovec data = {&word, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (fd >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  if (sendmsg(socket, &message, MSG_NOSIGNAL) != 1)
    std::abort();
}

// The word, and the descriptor that came with it (-1: none). '\0' where the peer is gone.
inline char receive_message(int socket, int* fd = nullptr) {
  char word = 0;
  iovec data = {&word, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  if (fd)
    *fd = -1;
  if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1)
    return '\0';
  if (fd)
    if (cmsghdr* header = CMSG_FIRSTHDR(&message))
      std::memcpy(fd, CMSG_DATA(header), sizeof *fd);
  return word;
}

// This executable again: `--role ROLE SOCKET [ARGUMENT]`.
class Child {
public:
  explicit Child(const char* role, const std::string& argument = "") {
    int sockets[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0)
      std::abort();
    socket_ = UniqueFd(sockets[0]);
    pid_ = fork();
    if (pid_ == 0) {
      fcntl(sockets[1], F_SETFD, 0);
      execl("/proc/self/exe", "child", "--role", role, std::to_string(sockets[1]).c_str(), argument.c_str(),
            static_cast<char*>(nullptr));
      _exit(127);
    }
    close(sockets[1]);
  }
  ~Child() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  int socket() const { return socket_.get(); }
  pid_t pid() const { return pid_; }
  void kill() const { ::kill(pid_, SIGKILL); }
  // As waitpid() gives it.
  int exit_status() {
    int status = -1;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return status;
  }

private:
  UniqueFd socket_;
  pid_t pid_ = -1;
};

} // namespace drm_test
