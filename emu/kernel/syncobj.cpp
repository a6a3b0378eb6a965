#include "syncobj.hpp"

#include "process.hpp"
#include "real.hpp"

#include <cerrno>
#include <cstring>
#include <map>
#include <new>

#include <fcntl.h>
#include <sys/mman.h>

namespace emu::kernel {

namespace {
constexpr const char* memfd_name = "syncobj_file";
constexpr std::uint64_t magic_value = 0x3162'6f63'6e79'7331ull;
constexpr std::uint32_t node_capacity = 2048;
} // namespace

// A payload is written into the buffer that is not in use, then `current` changes in one store: a process
// that dies half-way leaves the old payload.
struct SharedSyncobj {
  std::uint64_t magic;
  pthread_mutex_t lock; // robust
  std::atomic<std::uint64_t> installs;
  static constexpr std::uint32_t buffer_bit = 1, present_bit = 2;
  std::atomic<std::uint32_t> current;
  std::uint32_t count[2];
  alignas(4096) FenceNode nodes[2][node_capacity]; // sparse: only what was used takes memory
};

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
    const std::uint32_t current = shared.current.load();
    const std::uint32_t buffer = current & SharedSyncobj::buffer_bit;
    return {PayloadView(shared.nodes[buffer], shared.count[buffer]),
            (current & SharedSyncobj::present_bit) != 0, shared.installs.load()};
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
    const std::uint32_t buffer = shared.current.load() & SharedSyncobj::buffer_bit;
    if (nodes.empty()) {
      shared.current.store(buffer);
      return;
    }
    const std::uint32_t other = buffer ^ SharedSyncobj::buffer_bit;
    if (nodes.size() > node_capacity) {
      complain("a syncobj with %zu pending fences; %u fit", nodes.size(), node_capacity);
      std::abort();
    }
    std::copy(nodes.begin(), nodes.end(), shared.nodes[other]);
    shared.count[other] = static_cast<std::uint32_t>(nodes.size());
    shared.installs.fetch_add(1);
    shared.current.store(other | SharedSyncobj::present_bit);
  }

  // For share_locked(): the shared form came into being under this guard and is not locked.
  void became_shared() { unshared_ = true; }

private:
  Syncobj& object_;
  std::lock_guard<std::mutex> local_;
  bool unshared_ = false;
};

namespace {

// The shared syncobjs of this process: one object for one memfd.
struct Registry {
  std::mutex mutex;
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::weak_ptr<Syncobj>> objects;
};
Registry& registry() {
  static auto* the_registry = new Registry;
  return *the_registry;
}

// A fork finds the registry at rest. After fd_table's handlers: what is registered later is locked earlier.
[[gnu::constructor(202)]] void watch_forks() {
  pthread_atfork([] { registry().mutex.lock(); }, [] { registry().mutex.unlock(); },
                 [] { registry().mutex.unlock(); });
}

SharedSyncobj* map_shared(int fd) {
  void* memory = real::mmap(nullptr, sizeof(SharedSyncobj), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  return real::failed(memory) ? nullptr : static_cast<SharedSyncobj*>(memory);
}

} // namespace

std::shared_ptr<Syncobj> Syncobj::create() {
  return std::shared_ptr<Syncobj>(new Syncobj);
}

Syncobj::~Syncobj() {
  if (!shared_)
    return;
  {
    Registry& all = registry();
    std::lock_guard lock(all.mutex);
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
  const int copy = real::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (copy < 0)
    return nullptr;
  const int hidden = fd_table::hide(copy);
  if (hidden < 0)
    return nullptr;
  SharedSyncobj* shared = map_shared(hidden);
  if (!shared || shared->magic != magic_value) {
    if (shared)
      real::munmap(shared, sizeof(SharedSyncobj));
    fd_table::close_hidden(hidden);
    return nullptr;
  }
  auto object = create();
  object->shared_ = shared;
  object->fd_ = hidden;
  object->device_ = status.st_dev;
  object->inode_ = status.st_ino;
  known = object;
  return object;
}

// Moves the contents into a memfd. 0 or a negative errno.
int Syncobj::share_locked() {
  const int fd = real::memfd_create(memfd_name, MFD_CLOEXEC);
  if (fd < 0)
    return fd;
  fd_ = fd_table::hide(fd);
  if (fd_ < 0)
    return fd_;
  struct stat64 status;
  int error = real::ftruncate(fd_, sizeof(SharedSyncobj));
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
  shared->installs.store(installs_);
  shared->magic = magic_value;
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
  const int fd = real::fcntl(fd_, F_DUPFD_CLOEXEC, 0);
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
