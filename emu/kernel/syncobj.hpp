// A DRM syncobj: a container for a payload, which outlives what is put into it and may be shared between
// processes.
//
// A syncobj is ordinary memory of its process until it is exported, or the process forks; then it moves into
// a memfd
// ("syncobj_file"), and whoever holds that descriptor has the same syncobj. Thread-safe.
#pragma once

#include "fd_table.hpp"
#include "fence.hpp"

#include <atomic>
#include <memory>
#include <mutex>

namespace emu::kernel {

struct SharedSyncobj; // what the memfd holds: syncobj_shared.hpp

class Syncobj : public std::enable_shared_from_this<Syncobj> {
public:
  static std::shared_ptr<Syncobj> create();
  // The syncobj behind a descriptor's memfd. Null where it is none.
  static std::shared_ptr<Syncobj> open(int fd);

  ~Syncobj();
  Syncobj(const Syncobj&) = delete;
  Syncobj& operator=(const Syncobj&) = delete;

  // drm_syncobj_replace_fence; an empty payload is NULL. Wakes whoever waits.
  void replace(PayloadView nodes);
  // drm_syncobj_add_point.
  void add_point(PayloadView fences, std::uint64_t point);

  Payload get();
  std::uint64_t query(bool last_submitted);

  // One entry of a wait: finds the fence for `point` at the first moment that there is one, and keeps it,
  // whatever happens to the syncobj afterwards. A payload that came and went since begin() is found too.
  class Watch {
  public:
    Watch() = default;
    Watch(std::shared_ptr<Syncobj> syncobj, std::uint64_t point);

    // Is there a fence yet?
    bool available();
    // Is there one, and has it signaled?
    bool signaled() { return available() && payload::signaled(fence_); }
    // The fence; not empty once available() said true.
    const Payload& fence() const { return fence_; }

    // For an owner that must not keep the syncobj alive: lets go of it, and takes it up again. attach: false
    // where it is needed and null.
    void detach() { syncobj_.reset(); }
    bool attach(std::shared_ptr<Syncobj> syncobj);

  private:
    std::shared_ptr<Syncobj> syncobj_;
    std::uint64_t point_ = 0;
    std::uint64_t installs_ = 0;
    Payload fence_;
  };

  // A new descriptor of the syncobj (O_CLOEXEC), or a negative errno.
  int export_fd();

  // Has it ever been exported, or was it imported? What is private dies with its last handle in this process.
  bool shared();

  // Eventfds that hold this object (EVENTFD of a shared one), and: does nobody else any more, in any process?
  std::atomic<long> eventfds{0};
  bool orphaned();

private:
  struct State {
    PayloadView nodes; // the last payload that there was
    bool present;      // is it there still?
    std::uint64_t installs;
  };
  class Guard;
  friend struct SyncobjForks;
  struct RegistryLocked {};
  Syncobj();
  explicit Syncobj(RegistryLocked) {}
  static std::shared_ptr<Syncobj> create_locked();
  int share_locked();
  int prepare_for_fork(void (*on_shared)(Syncobj&));
  void hold_alone();
  bool only_here();

  std::mutex mutex_; // guards what follows; of a shared syncobj the contents have a lock of their own
  Payload nodes_;
  bool present_ = false;
  std::uint64_t installs_ = 0;
  SharedSyncobj* shared_ = nullptr;
  int fd_ = -1; // hidden
  std::uint64_t device_ = 0, inode_ = 0;
};

// The descriptor of an exported syncobj: no operation but to be imported.
class SyncobjFile : public File {
public:
  explicit SyncobjFile(std::shared_ptr<Syncobj> syncobj) : syncobj_(std::move(syncobj)) {}
  const std::shared_ptr<Syncobj>& syncobj() const { return syncobj_; }
  long ioctl(unsigned long request, void* argument) override;
  void fix_stat(struct stat64& out) const override {
    out.st_mode = anonymous_mode;
    out.st_size = 0;
  }

private:
  std::shared_ptr<Syncobj> syncobj_;
};

} // namespace emu::kernel
