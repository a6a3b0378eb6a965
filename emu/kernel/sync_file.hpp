// A sync_file: a descriptor that stands for a fence and becomes readable when it signals.
//
// It is one end of a socket pair, so that poll(), select() and epoll work without us, in any process. The
// other end stays with the exporter, which writes to it; if the exporter dies, the socket hangs up, which
// wakes pollers too. The fences are spelled in the other end's (abstract) address, where an importer in
// another process finds them.
#pragma once

#include "fd_table.hpp"
#include "fence.hpp"

#include <memory>
#include <string>

namespace emu::kernel {

class SyncFile : public File {
public:
  SyncFile(Payload fence, std::string name) : fence_(std::move(fence)), name_(std::move(name)) {}

  // A new sync_file descriptor (O_CLOEXEC), or a negative errno. `name`: what SYNC_IOC_FILE_INFO shows;
  // empty: made up.
  static int create(const Payload& fence, const std::string& name);

  // The sync_file behind a descriptor, also one that came from another process. Null where it is none.
  static std::shared_ptr<SyncFile> from_fd(int fd);

  const Payload& fence() const { return fence_; }
  long ioctl(unsigned long request, void* argument) override; // SYNC_IOC_*
  void fix_stat(struct stat64& out) const override { out.st_mode = anonymous_mode; }

private:
  long merge(void* argument);
  long file_info(void* argument);

  Payload fence_;
  std::string name_;
};

} // namespace emu::kernel
