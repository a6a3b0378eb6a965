#include "syncobj.hpp"

#include "process.hpp"
#include "real.hpp"
#include "syncobj_shared.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <new>
#include <set>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace emu::kernel {

// Holds the syncobj's locks and gives access to the payload, wherever it lives.
class Syncobj::Guard {
public:
  explicit Guard(Syncobj& object) : object_(object), local_(object.mutex_) {
    if (object_.shared_ && pthread_mutex_lock(&object_.shared_->lock) == EOWNERDEAD)
      pthread_mutex_consistent(&object_.shared_->lock);
  }
  ~Guard() {
    if (object_.shared_ && !unshared_)
      pthread_mutex_unlock(&object_.shared_->lock);
  }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

  State state() const {
    if (!object_.shared_)
      return {object_.nodes_, object_.present_, object_.installs_};
    const SharedSyncobj& shared = *object_.shared_;
    const std::uint64_t now = shared.state.load();
    const std::uint64_t buffer = now & SharedSyncobj::buffer_bit;
    return {PayloadView(shared.nodes[buffer], shared.count[buffer]), (now & SharedSyncobj::present_bit) != 0,
            now / SharedSyncobj::install};
  }

  PayloadView present() const {
    const State now = state();
    return now.present ? now.nodes : PayloadView{};
  }

  void put(PayloadView nodes) {
    if (!object_.shared_) {
      if (!nodes.empty()) {
        object_.nodes_ = Payload(nodes.begin(), nodes.end());
        ++object_.installs_;
      }
      object_.present_ = !nodes.empty();
      return;
    }
    put_shared(*object_.shared_, nodes);
  }

  static void put_shared(SharedSyncobj& shared, PayloadView nodes) {
    const std::uint64_t before = shared.state.load();
    if (nodes.empty()) {
      shared.state.store(before & ~SharedSyncobj::present_bit);
      return;
    }
    const std::uint64_t other = (before & SharedSyncobj::buffer_bit) ^ SharedSyncobj::buffer_bit;
    if (nodes.size() > SharedSyncobj::node_capacity) {
      complain("a syncobj with %zu pending fences; %u fit", nodes.size(), SharedSyncobj::node_capacity);
      std::abort();
    }
    std::copy(nodes.begin(), nodes.end(), shared.nodes[other]);
    shared.count[other] = static_cast<std::uint32_t>(nodes.size());
    shared.state.store((before / SharedSyncobj::install + 1) * SharedSyncobj::install |
                       SharedSyncobj::present_bit | other);
  }

  // For share_locked(): the shared form came into being under this guard and is not locked.
  void became_shared() { unshared_ = true; }

private:
  Syncobj& object_;
  std::lock_guard<std::mutex> local_;
  bool unshared_ = false;
};

namespace {

// The syncobjs of this process; of the shared ones there is one object for one memfd.
struct Registry {
  std::mutex mutex;
  std::set<Syncobj*> all;
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::weak_ptr<Syncobj>> objects;
};
Registry& registry() {
  static auto* the_registry = new Registry;
  return *the_registry;
}

// A second open file for the same memfd. Every holder has one of its own, and so has every exported
// descriptor: that is what only_here() counts.
int reopen(int fd) {
  char path[32];
  std::snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return real::open(path, O_RDWR | O_CLOEXEC);
}

SharedSyncobj* map_shared(int fd) {
  void* memory = real::mmap(nullptr, sizeof(SharedSyncobj), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  return real::failed(memory) ? nullptr : static_cast<SharedSyncobj*>(memory);
}

} // namespace

// A drm file is the parent's and the child's after a fork, and so are its syncobjs: what was private until
// then moves into shared memory. The registry is at rest meanwhile, and no object is in the hands of a thread
// that the child will not have.
struct SyncobjForks {
  static void before() {
    registry().mutex.lock();
    for (Syncobj* object : registry().all)
      if (const int error = object->prepare_for_fork(registry_key); error < 0)
        complain("fork: a syncobj cannot be shared with the child: %s", std::strerror(-error));
  }
  static void after() {
    for (Syncobj* object : registry().all)
      object->mutex_.unlock();
    registry().mutex.unlock();
  }
  static void after_in_child() {
    for (Syncobj* object : registry().all)
      if (object->shared_)
        object->hold_alone();
    after();
  }
  static void registry_key(Syncobj& object) {
    registry().objects[{object.device_, object.inode_}] = object.weak_from_this();
  }
};

namespace {
// After fd_table's handlers: what is registered later is locked earlier.
[[gnu::constructor(202)]] void watch_forks() {
  pthread_atfork(SyncobjForks::before, SyncobjForks::after, SyncobjForks::after_in_child);
}
} // namespace

// Leaves the object locked.
int Syncobj::prepare_for_fork(void (*on_shared)(Syncobj&)) {
  mutex_.lock();
  if (shared_)
    return 0;
  const int error = share_locked();
  if (error == 0)
    on_shared(*this);
  return error;
}

// Gives this process an open file of its own, under the same number.
void Syncobj::hold_alone() {
  const int own = reopen(fd_);
  if (own < 0)
    return;
  syscall(SYS_dup3, own, fd_, O_CLOEXEC);
  real::close(own);
}

bool Syncobj::only_here() {
  // The kernel grants a write lease where nobody else has the file open.
  return real::fcntl(fd_, F_SETLEASE, F_WRLCK) == 0 && real::fcntl(fd_, F_SETLEASE, F_UNLCK) == 0;
}

bool Syncobj::orphaned() {
  std::lock_guard lock(mutex_);
  return weak_from_this().use_count() <= eventfds.load() && (!shared_ || only_here());
}

Syncobj::Syncobj() {
  std::lock_guard lock(registry().mutex);
  registry().all.insert(this);
}

std::shared_ptr<Syncobj> Syncobj::create() {
  return std::shared_ptr<Syncobj>(new Syncobj);
}

// For open(), which holds the registry's lock.
std::shared_ptr<Syncobj> Syncobj::create_locked() {
  std::shared_ptr<Syncobj> object(new Syncobj(RegistryLocked{}));
  registry().all.insert(object.get());
  return object;
}

Syncobj::~Syncobj() {
  {
    Registry& all = registry();
    std::lock_guard lock(all.mutex);
    all.all.erase(this);
    if (!shared_)
      return;
    auto it = all.objects.find({device_, inode_});
    if (it != all.objects.end() && it->second.expired())
      all.objects.erase(it);
  }
  real::munmap(shared_, sizeof(SharedSyncobj));
  fd_table::close_hidden(fd_);
}

std::shared_ptr<Syncobj> Syncobj::open(int fd) {
  struct stat64 status;
  if (real::fstat(fd, status) < 0 || status.st_size != sizeof(SharedSyncobj))
    return nullptr;
  Registry& all = registry();
  std::lock_guard lock(all.mutex);
  std::weak_ptr<Syncobj>& known = all.objects[{status.st_dev, status.st_ino}];
  if (std::shared_ptr<Syncobj> object = known.lock())
    return object;
  const int copy = reopen(fd);
  if (copy < 0)
    return nullptr;
  const int hidden = fd_table::hide(copy);
  if (hidden < 0)
    return nullptr;
  SharedSyncobj* shared = map_shared(hidden);
  if (!shared || shared->magic != SharedSyncobj::magic_value) {
    if (shared)
      real::munmap(shared, sizeof(SharedSyncobj));
    fd_table::close_hidden(hidden);
    return nullptr;
  }
  auto object = create_locked();
  object->shared_ = shared;
  object->fd_ = hidden;
  object->device_ = status.st_dev;
  object->inode_ = status.st_ino;
  known = object;
  return object;
}

// Moves the contents into a memfd. 0 or a negative errno.
int Syncobj::share_locked() {
  const int fd = real::memfd_create(SharedSyncobj::memfd_name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0)
    return fd;
  const int own = reopen(fd);
  real::close(fd);
  if (own < 0)
    return own;
  fd_ = fd_table::hide(own);
  if (fd_ < 0)
    return fd_;
  struct stat64 status;
  int error = real::set_final_size(fd_, sizeof(SharedSyncobj));
  if (error == 0)
    error = real::fstat(fd_, status);
  SharedSyncobj* shared = error < 0 ? nullptr : map_shared(fd_);
  if (!shared) {
    fd_table::close_hidden(fd_);
    return error < 0 ? error : -ENOMEM;
  }
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(&shared->lock, &attributes);
  pthread_mutexattr_destroy(&attributes);
  Guard::put_shared(*shared, nodes_);
  if (!present_)
    Guard::put_shared(*shared, {});
  const std::uint64_t flags = SharedSyncobj::install - 1;
  shared->state.store((shared->state.load() & flags) | installs_ * SharedSyncobj::install);
  shared->magic = SharedSyncobj::magic_value;
  nodes_.clear();
  device_ = status.st_dev;
  inode_ = status.st_ino;
  shared_ = shared;
  return 0;
}

int Syncobj::export_fd() {
  Registry& all = registry();
  std::lock_guard registry_lock(all.mutex);
  {
    Guard guard(*this);
    if (!shared_) {
      guard.became_shared();
      if (const int error = share_locked(); error < 0)
        return error;
      all.objects[{device_, inode_}] = weak_from_this();
    }
  }
  const int fd = reopen(fd_);
  if (fd >= 0)
    fd_table::attach(fd, std::make_shared<SyncobjFile>(shared_from_this()));
  return fd;
}

bool Syncobj::shared() {
  std::lock_guard lock(mutex_);
  return shared_ != nullptr;
}

void Syncobj::replace(PayloadView nodes) {
  Guard(*this).put(nodes);
  Machine::get().announce();
}

void Syncobj::add_point(PayloadView fences, std::uint64_t point) {
  {
    Guard guard(*this);
    guard.put(payload::add_point(guard.present(), fences, point));
  }
  Machine::get().announce();
}

Payload Syncobj::get() {
  Guard guard(*this);
  const PayloadView nodes = guard.present();
  return Payload(nodes.begin(), nodes.end());
}

std::uint64_t Syncobj::query(bool last_submitted) {
  Guard guard(*this);
  return payload::query(guard.present(), last_submitted);
}

Syncobj::Watch::Watch(std::shared_ptr<Syncobj> syncobj, std::uint64_t point)
    : syncobj_(std::move(syncobj)), point_(point) {
  Guard guard(*syncobj_);
  installs_ = guard.state().installs;
}

bool Syncobj::Watch::attach(std::shared_ptr<Syncobj> syncobj) {
  if (fence_.empty())
    syncobj_ = std::move(syncobj);
  return !fence_.empty() || syncobj_;
}

bool Syncobj::Watch::available() {
  if (!fence_.empty())
    return true;
  Guard guard(*syncobj_);
  const State state = guard.state();
  if (state.nodes.empty() || (!state.present && state.installs == installs_))
    return false;
  const std::optional<PayloadView> found = payload::find_seqno(state.nodes, point_);
  if (!found)
    return false;
  fence_ = found->empty() ? payload::stub() : Payload(found->begin(), found->end());
  return true;
}

long SyncobjFile::ioctl(unsigned long, void*) {
  return -ENOTTY;
}

} // namespace emu::kernel
