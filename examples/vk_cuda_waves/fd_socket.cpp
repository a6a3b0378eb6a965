#include "fd_socket.hpp"

#include <cstring>
#include <stdexcept>
#include <sys/socket.h>

namespace waves {

namespace {

constexpr std::size_t descriptor_count = 4;

union Control {
  char bytes[CMSG_SPACE(descriptor_count * sizeof(int))];
  cmsghdr alignment;
};

} // namespace

void send_objects(int socket, const SharedObjects& objects) {
  const int descriptors[descriptor_count] = {objects.height_memory, objects.rgba_memory, objects.field_ready,
                                             objects.image_ready};
  FrameParameters parameters = objects.parameters;
  iovec data = {&parameters, sizeof parameters};
  Control control = {};
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof descriptors);
  std::memcpy(CMSG_DATA(header), descriptors, sizeof descriptors);
  if (sendmsg(socket, &message, MSG_NOSIGNAL) != static_cast<ssize_t>(sizeof parameters))
    throw std::runtime_error("the other process did not take the descriptors");
}

SharedObjects receive_objects(int socket) {
  SharedObjects objects = {};
  iovec data = {&objects.parameters, sizeof objects.parameters};
  Control control = {};
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != static_cast<ssize_t>(sizeof objects.parameters))
    throw std::runtime_error("the other process sent no descriptors");
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  int descriptors[descriptor_count];
  if (!header || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof descriptors))
    throw std::runtime_error("the other process sent no descriptors");
  std::memcpy(descriptors, CMSG_DATA(header), sizeof descriptors);
  objects.height_memory = descriptors[0];
  objects.rgba_memory = descriptors[1];
  objects.field_ready = descriptors[2];
  objects.image_ready = descriptors[3];
  return objects;
}

} // namespace waves
