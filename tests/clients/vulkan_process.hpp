// A second process for tests of sharing: this executable again, with a socket over which descriptors travel.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace vulkan_client {

// Any failure ends the process: the peer sees the end of the socket.
class Peer {
public:
  // In the parent: starts `--child SOCKET ROLE`.
  explicit Peer(const std::string& role) {
    int sockets[2];
    require(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0, "socketpair");
    child_ = fork();
    require(child_ >= 0, "fork");
    if (child_ == 0) {
      close(sockets[0]);
      const std::string number = std::to_string(sockets[1]);
      execl("/proc/self/exe", "child", "--child", number.c_str(), role.c_str(), static_cast<char*>(nullptr));
      _exit(127);
    }
    close(sockets[1]);
    socket_ = sockets[0];
  }
  // In the child.
  explicit Peer(int socket) : socket_(socket) {}
  ~Peer() {
    close(socket_);
    if (child_ > 0)
      waitpid(child_, nullptr, 0);
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  // The child's status as waitpid() gives it.
  int end() {
    int status = -1;
    waitpid(child_, &status, 0);
    child_ = 0;
    return status;
  }

  // The descriptors are closed here and open there.
  void send(const std::vector<int>& fds = {}) {
    char byte = 0;
    iovec data = {&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * most)] = {};
    msghdr message = {};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    if (!fds.empty()) {
      message.msg_control = control;
      message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
      cmsghdr* header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
      std::memcpy(CMSG_DATA(header), fds.data(), sizeof(int) * fds.size());
    }
    require(sendmsg(socket_, &message, MSG_NOSIGNAL) == 1, "sendmsg");
    for (const int fd : fds)
      close(fd);
  }

  std::vector<int> receive() {
    char byte = 0;
    iovec data = {&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * most)] = {};
    msghdr message = {};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    require(recvmsg(socket_, &message, MSG_CMSG_CLOEXEC) == 1, "recvmsg");
    const cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (!header)
      return {};
    std::vector<int> fds((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    std::memcpy(fds.data(), CMSG_DATA(header), sizeof(int) * fds.size());
    return fds;
  }

private:
  static constexpr std::size_t most = 4;

  static void require(bool condition, const char* what) {
    if (condition)
      return;
    std::perror(what);
    std::_Exit(1);
  }

  int socket_ = -1;
  pid_t child_ = 0;
};

} // namespace vulkan_client
