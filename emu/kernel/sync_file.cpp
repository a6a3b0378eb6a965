#include "sync_file.hpp"

#include "notifier.hpp"
#include "process.hpp"
#include "real.hpp"
#include "user_memory.hpp"

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <linux/sync_file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef SYNC_IOC_SET_DEADLINE // since Linux 6.6
struct sync_set_deadline {
  __u64 deadline_ns;
  __u64 pad;
};
#define SYNC_IOC_SET_DEADLINE _IOW(SYNC_IOC_MAGIC, 5, struct sync_set_deadline)
#endif

namespace emu::kernel {

namespace {

constexpr char address_prefix[] = "kfd-emu-sync/"; // after the NUL of an abstract address
constexpr std::size_t max_spelled_fences = 3;      // what fits into sun_path beside the prefix

// A fence that signals when all of the run have: one fence to spell where there are too many.
FenceRef proxy_for(const Payload& fences) {
  auto timeline = std::make_shared<FenceTimeline>();
  if (!timeline->valid())
    return {};
  const FenceRef proxy = timeline->issue();
  notify_when(
      {[fences] { return payload::signaled(fences); }, [timeline, proxy] { timeline->signal(proxy); }, {}});
  return proxy;
}

std::string spell(const Payload& fence) {
  static std::atomic<unsigned> counter;
  char text[sizeof(sockaddr_un::sun_path)];
  std::snprintf(text, sizeof text, "%s%x.%x", address_prefix, static_cast<unsigned>(getpid()), ++counter);
  std::string spelled = text;
  Payload fences = payload::merge(fence);
  if (fences.size() > max_spelled_fences)
    fences = payload::plain(proxy_for(fences));
  for (const FenceNode& node : fences) {
    if (node.fence.slot == FenceRef::no_slot)
      continue;
    std::snprintf(text, sizeof text, "/%x.%llx", node.fence.slot,
                  static_cast<unsigned long long>(node.fence.sequence));
    spelled += text;
  }
  return spelled;
}

// The reverse. False where the address is not a sync_file's.
bool parse(const std::string& address, Payload& fence) {
  if (address.rfind(address_prefix, 0) != 0)
    return false;
  std::size_t at = address.find('/', sizeof address_prefix - 1);
  while (at != std::string::npos) {
    FenceRef ref;
    char* end = nullptr;
    ref.slot = static_cast<std::uint32_t>(std::strtoul(address.c_str() + at + 1, &end, 16));
    if (*end != '.')
      return false;
    ref.sequence = std::strtoull(end + 1, nullptr, 16);
    fence.push_back({0, 0, 0, ref});
    at = address.find('/', at + 1);
  }
  if (fence.empty())
    fence = payload::stub();
  return true;
}

std::shared_ptr<SyncFile> adopt(int fd) {
  sockaddr_un address = {};
  socklen_t length = sizeof address;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0 || address.sun_family != AF_UNIX ||
      length <= offsetof(sockaddr_un, sun_path) + 1 || address.sun_path[0] != '\0')
    return nullptr;
  const std::string text(address.sun_path + 1, length - offsetof(sockaddr_un, sun_path) - 1);
  Payload fence;
  if (!parse(text, fence))
    return nullptr;
  auto file = std::make_shared<SyncFile>(std::move(fence), std::string());
  fd_table::attach(fd, file);
  return file;
}

int status_of(const Payload& fence) {
  if (!payload::signaled(fence))
    return 0;
  const int error = payload::error(fence);
  return error != 0 ? error : 1;
}

} // namespace

int SyncFile::create(const Payload& fence, const std::string& name) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return -errno;
  const std::string spelled = spell(fence);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, spelled.data(), spelled.size());
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + spelled.size());
  if (bind(ends[1], reinterpret_cast<sockaddr*>(&address), length) != 0) {
    const int error = errno;
    complain("sync_file: bind: %s", std::strerror(error));
    real::close(ends[0]);
    real::close(ends[1]);
    return -error;
  }
  const int far = fd_table::hide(ends[1]);
  if (far < 0) {
    real::close(ends[0]);
    return far;
  }
  notify_when({[fence] { return payload::signaled(fence); },
               [far] {
                 real::write(far, "", 1);
                 fd_table::close_hidden(far);
               },
               {}});
  fd_table::attach(ends[0], std::make_shared<SyncFile>(fence, name));
  return ends[0];
}

std::shared_ptr<SyncFile> SyncFile::from_fd(int fd) {
  if (auto file = fd_table::find(fd))
    return std::dynamic_pointer_cast<SyncFile>(file);
  return adopt(fd);
}

long SyncFile::merge(void* argument) {
  const auto user = reinterpret_cast<std::uint64_t>(argument);
  sync_merge_data data;
  if (!copy_from_user(&data, user, sizeof data))
    return -EFAULT;
  if (data.flags || data.pad)
    return -EINVAL;
  const std::shared_ptr<SyncFile> other = from_fd(data.fd2);
  if (!other)
    return -ENOENT;
  Payload all = payload::merge(fence_);
  const Payload more = payload::merge(other->fence());
  all.insert(all.end(), more.begin(), more.end());
  data.name[sizeof data.name - 1] = '\0';
  const int fd = create(payload::merge(all), data.name);
  if (fd < 0)
    return fd;
  data.fence = fd;
  if (!copy_to_user(user, &data, sizeof data)) {
    fd_table::forget(fd);
    real::close(fd);
    return -EFAULT;
  }
  return 0;
}

long SyncFile::file_info(void* argument) {
  const auto user = reinterpret_cast<std::uint64_t>(argument);
  sync_file_info info;
  if (!copy_from_user(&info, user, sizeof info))
    return -EFAULT;
  if (info.flags || info.pad)
    return -EINVAL;
  const auto count = static_cast<std::uint32_t>(fence_.size());
  if (info.num_fences == 0) {
    info.status = status_of(fence_);
  } else {
    if (info.num_fences < count)
      return -EINVAL;
    info.status = 1;
    std::vector<sync_fence_info> all;
    for (const FenceNode& node : fence_) {
      sync_fence_info one = {};
      const bool is_stub = node.fence.slot == FenceRef::no_slot;
      std::snprintf(one.obj_name, sizeof one.obj_name, is_stub ? "stub" : "ring%u", node.fence.slot);
      std::snprintf(one.driver_name, sizeof one.driver_name, is_stub ? "stub" : "drm_sched");
      one.status = status_of({node});
      one.timestamp_ns = one.status != 0 ? Machine::get().signal_time(node.fence) : 0;
      info.status = info.status <= 0 ? info.status : one.status;
      all.push_back(one);
    }
    if (!copy_to_user(info.sync_fence_info, all.data(), all.size() * sizeof all[0]))
      return -EFAULT;
  }
  if (!name_.empty())
    std::snprintf(info.name, sizeof info.name, "%s", name_.c_str());
  else
    std::snprintf(info.name, sizeof info.name, "drm_sched-%llu",
                  static_cast<unsigned long long>(fence_.back().fence.sequence));
  info.num_fences = count;
  return copy_to_user(user, &info, sizeof info) ? 0 : -EFAULT;
}

long SyncFile::ioctl(unsigned long request, void* argument) {
  switch (static_cast<std::uint32_t>(request)) {
  case SYNC_IOC_MERGE:
    return merge(argument);
  case SYNC_IOC_FILE_INFO:
    return file_info(argument);
  case static_cast<std::uint32_t>(SYNC_IOC_SET_DEADLINE): {
    sync_set_deadline deadline;
    if (!copy_from_user(&deadline, reinterpret_cast<std::uint64_t>(argument), sizeof deadline))
      return -EFAULT;
    return deadline.pad ? -EINVAL : 0;
  }
  default:
    return -ENOTTY;
  }
}

} // namespace emu::kernel
