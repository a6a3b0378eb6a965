#include "syncobj_table.hpp"

#include "notifier.hpp"
#include "process.hpp"
#include "real.hpp"
#include "sync_file.hpp"
#include "user_array.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <unordered_map>

#include <fcntl.h>

namespace emu::kernel {

namespace {

constexpr std::uint64_t wait_for_submit_timeout_ns = 5'000'000'000; // DRM_SYNCOBJ_WAIT_FOR_SUBMIT_TIMEOUT
constexpr std::size_t wait_entry_bytes = 64;                        // struct syncobj_wait_entry

// A reference to an eventfd. The kernel's need no descriptor; so those to one eventfd share a hidden
// duplicate.
struct EventfdReference {
  explicit EventfdReference(int copy) : fd(copy) {}
  ~EventfdReference() { fd_table::close_hidden(fd); }
  EventfdReference(const EventfdReference&) = delete;
  EventfdReference& operator=(const EventfdReference&) = delete;
  int fd;
};

// Its number in the kernel, -1 where that does not say.
long eventfd_id(int fd) {
  char path[48], text[512];
  std::snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
  const int info = real::open(path, O_RDONLY | O_CLOEXEC, 0);
  if (info < 0)
    return -1;
  const ssize_t length = real::read(info, text, sizeof text - 1);
  real::close(info);
  text[length > 0 ? length : 0] = '\0';
  const char* found = std::strstr(text, "eventfd-id:");
  return found ? std::strtol(found + std::strlen("eventfd-id:"), nullptr, 10) : -1;
}

std::shared_ptr<EventfdReference> reference_to(int fd, int& error) {
  static std::mutex mutex;
  static std::unordered_map<long, std::weak_ptr<EventfdReference>> known;
  const long id = eventfd_id(fd);
  std::lock_guard lock(mutex);
  std::erase_if(known, [](const auto& entry) { return entry.second.expired(); });
  if (const auto found = known.find(id); found != known.end())
    if (std::shared_ptr<EventfdReference> reference = found->second.lock())
      return reference;
  error = real::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (error >= 0)
    error = fd_table::hide(error);
  if (error < 0)
    return nullptr;
  auto reference = std::make_shared<EventfdReference>(error);
  if (id >= 0)
    known[id] = reference;
  return reference;
}

// eventfd_ctx_fdget: null, and a negative errno, where `fd` is none.
std::shared_ptr<EventfdReference> take_eventfd(int fd, int& error) {
  char path[32], target[64];
  std::snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  const int length = real::readlink(path, target, sizeof target - 1);
  error = -EBADF;
  if (fd < 0 || length < 0)
    return nullptr;
  target[length] = '\0';
  error = -EINVAL;
  if (std::strcmp(target, "anon_inode:[eventfd]") != 0 || fd_table::knows(fd))
    return nullptr;
  return reference_to(fd, error);
}

// Two stages, as in the kernel: as long as there is no fence the syncobj owns the entry, and takes it along
// when the last holder goes. One that other processes may hold too is kept for as long as one of them does.
struct EventfdEntry {
  ~EventfdEntry() {
    if (kept)
      --kept->eventfds;
  }

  bool due() {
    std::shared_ptr<Syncobj> alive = syncobj.lock();
    if (alive && !kept && alive->shared()) {
      kept = alive;
      ++kept->eventfds;
    }
    if (!watch.attach(std::move(alive)))
      return false;
    const bool done = only_available ? watch.available() : watch.signaled();
    watch.detach();
    return done;
  }
  bool abandoned() { return watch.fence().empty() && (kept ? kept->orphaned() : syncobj.expired()); }
  void fire() const {
    const std::uint64_t one = 1;
    real::write(event->fd, &one, sizeof one);
  }

  std::shared_ptr<EventfdReference> event;
  bool only_available = false;
  std::weak_ptr<Syncobj> syncobj;
  std::shared_ptr<Syncobj> kept;
  Syncobj::Watch watch;
};

} // namespace

std::shared_ptr<Syncobj> SyncobjTable::find(std::uint32_t handle) {
  std::lock_guard lock(mutex_);
  auto it = handles_.find(handle);
  return it == handles_.end() ? nullptr : it->second;
}

std::uint32_t SyncobjTable::add(std::shared_ptr<Syncobj> syncobj) {
  std::lock_guard lock(mutex_);
  std::uint32_t handle = 1; // the lowest free one, as idr_alloc gives it
  for (auto it = handles_.begin(); it != handles_.end() && it->first == handle; ++it)
    ++handle;
  handles_.emplace(handle, std::move(syncobj));
  return handle;
}

int SyncobjTable::find_all(std::uint64_t handles, std::uint32_t count, Objects& out) {
  std::vector<std::uint32_t> values;
  if (const int error = copy_array_from_user(values, handles, count); error < 0)
    return error;
  if (count > kmalloc_max_size / sizeof(Syncobj*))
    return -ENOMEM;
  out.reserve(count);
  std::lock_guard lock(mutex_);
  for (std::uint32_t value : values) {
    auto it = handles_.find(value);
    if (it == handles_.end())
      return -ENOENT;
    out.push_back(it->second);
  }
  return 0;
}

int SyncobjTable::find_fence(std::uint32_t handle, std::uint64_t point, std::uint64_t flags, Payload& fence) {
  const std::shared_ptr<Syncobj> syncobj = find(handle);
  if (!syncobj)
    return -ENOENT;
  if (flags & ~static_cast<std::uint64_t>(DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT))
    return -EINVAL;
  Syncobj::Watch watch(syncobj, point);
  if (!watch.available()) {
    if (!(flags & DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT))
      return -EINVAL;
    if (!Machine::get().wait(Deadline::in(wait_for_submit_timeout_ns), [&] { return watch.available(); }))
      return -ETIME;
  }
  fence = watch.fence();
  return 0;
}

long SyncobjTable::create(drm_syncobj_create& args) {
  if (args.flags & ~DRM_SYNCOBJ_CREATE_SIGNALED)
    return -EINVAL;
  std::shared_ptr<Syncobj> syncobj = Syncobj::create();
  if (args.flags & DRM_SYNCOBJ_CREATE_SIGNALED)
    syncobj->replace(payload::stub());
  args.handle = add(std::move(syncobj));
  return 0;
}

long SyncobjTable::destroy(const drm_syncobj_destroy& args) {
  if (args.pad)
    return -EINVAL;
  std::shared_ptr<Syncobj> last;
  std::lock_guard lock(mutex_);
  auto it = handles_.find(args.handle);
  if (it == handles_.end())
    return -EINVAL;
  last = std::move(it->second);
  handles_.erase(it);
  return 0;
}

int SyncobjTable::export_sync_file(std::uint32_t handle) {
  Payload fence;
  if (const int error = find_fence(handle, 0, 0, fence); error < 0)
    return error;
  return SyncFile::create(fence, {});
}

int SyncobjTable::export_syncobj(std::uint32_t handle) {
  const std::shared_ptr<Syncobj> syncobj = find(handle);
  return syncobj ? syncobj->export_fd() : -EINVAL;
}

// A point belongs to a sync_file: 7.2 refuses one without. (6.12 does not look there.)
long SyncobjTable::handle_to_fd(uapi::drm_syncobj_handle& args) {
  if (args.pad || (args.flags & ~DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE) ||
      (!args.flags && args.point))
    return -EINVAL;
  const int fd = args.flags ? export_sync_file(args.handle) : export_syncobj(args.handle);
  if (fd < 0)
    return fd;
  args.fd = fd;
  return 0;
}

long SyncobjTable::fd_to_handle(uapi::drm_syncobj_handle& args) {
  if (args.pad || (args.flags & ~DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_IMPORT_SYNC_FILE) ||
      (!args.flags && args.point))
    return -EINVAL;
  if (args.flags) {
    const std::shared_ptr<SyncFile> file = SyncFile::from_fd(args.fd);
    if (!file)
      return -EINVAL;
    const std::shared_ptr<Syncobj> syncobj = find(args.handle);
    if (!syncobj)
      return -ENOENT;
    syncobj->replace(file->fence());
    return 0;
  }
  const auto file = std::dynamic_pointer_cast<SyncobjFile>(fd_table::find_or_adopt(args.fd));
  if (!file)
    return -EINVAL;
  args.handle = add(file->syncobj());
  return 0;
}

long SyncobjTable::transfer(const drm_syncobj_transfer& args) {
  if (args.pad)
    return -EINVAL;
  const std::shared_ptr<Syncobj> destination = find(args.dst_handle);
  if (!destination)
    return -ENOENT;
  Payload fence;
  if (const int error = find_fence(args.src_handle, args.src_point, args.flags, fence); error < 0)
    return error;
  if (args.dst_point)
    destination->add_point(payload::merge(fence), args.dst_point);
  else
    destination->replace(fence);
  return 0;
}

long SyncobjTable::wait_all(const Objects& objects, std::uint64_t user_points, std::uint32_t flags,
                            std::int64_t timeout, std::uint32_t& first) {
  std::vector<std::uint64_t> points(objects.size());
  if (user_points)
    if (const int error = copy_array_from_user(points, user_points, objects.size()); error < 0)
      return error;
  if (objects.size() > kmalloc_max_size / wait_entry_bytes)
    return -ENOMEM;
  const bool may_be_absent =
      flags & (DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT | DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE);
  const bool all = flags & DRM_SYNCOBJ_WAIT_FLAGS_WAIT_ALL;
  std::vector<Syncobj::Watch> watches;
  watches.reserve(objects.size());
  for (std::size_t i = 0; i < objects.size(); ++i) {
    watches.emplace_back(objects[i], points[i]);
    if (!watches.back().available() && !may_be_absent)
      return -EINVAL;
  }
  auto done = [&](Syncobj::Watch& watch) {
    return flags & DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE ? watch.available() : watch.signaled();
  };
  // On the first look the kernel tells the first one that is done also where it waits for all; later it does
  // not.
  bool first_look = true;
  auto ready = [&] {
    std::size_t count = 0;
    for (std::size_t i = 0; i < watches.size(); ++i) {
      if (!done(watches[i]))
        continue;
      if (count++ == 0 && (first_look || !all))
        first = static_cast<std::uint32_t>(i);
    }
    first_look = false;
    return count == watches.size() || (count > 0 && !all);
  };
  return Machine::get().wait({timeout}, ready) ? 0 : -ETIME;
}

long SyncobjTable::wait(uapi::drm_syncobj_wait& args) {
  if (args.flags & ~(DRM_SYNCOBJ_WAIT_FLAGS_WAIT_ALL | DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT |
                     uapi::syncobj_wait_flags_wait_deadline))
    return -EINVAL;
  if (args.count_handles == 0)
    return 0;
  Objects objects;
  if (const int error = find_all(args.handles, args.count_handles, objects); error < 0)
    return error;
  std::uint32_t first = ~0u;
  const long result = wait_all(objects, 0, args.flags, args.timeout_nsec, first);
  if (result == 0)
    args.first_signaled = first;
  return result;
}

long SyncobjTable::timeline_wait(uapi::drm_syncobj_timeline_wait& args) {
  if (args.flags & ~(DRM_SYNCOBJ_WAIT_FLAGS_WAIT_ALL | DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT |
                     DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE | uapi::syncobj_wait_flags_wait_deadline))
    return -EINVAL;
  if (args.count_handles == 0)
    return 0;
  Objects objects;
  if (const int error = find_all(args.handles, args.count_handles, objects); error < 0)
    return error;
  std::uint32_t first = ~0u;
  const long result = wait_all(objects, args.points, args.flags, args.timeout_nsec, first);
  if (result == 0)
    args.first_signaled = first;
  return result;
}

long SyncobjTable::eventfd(const uapi::drm_syncobj_eventfd& args) {
  if ((args.flags & ~DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE) || args.pad)
    return -EINVAL;
  std::shared_ptr<Syncobj> syncobj = find(args.handle);
  if (!syncobj)
    return -ENOENT;
  int error = 0;
  std::shared_ptr<EventfdReference> event = take_eventfd(args.fd, error);
  if (!event)
    return error;

  auto entry = std::make_shared<EventfdEntry>();
  entry->event = std::move(event);
  entry->only_available = args.flags & DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE;
  entry->syncobj = syncobj;
  entry->watch = Syncobj::Watch(syncobj, args.point);
  notify_when(
      {[entry] { return entry->due(); }, [entry] { entry->fire(); }, [entry] { return entry->abandoned(); }});
  return 0;
}

long SyncobjTable::reset(const drm_syncobj_array& args) {
  if (args.pad != 0 || args.count_handles == 0)
    return -EINVAL;
  Objects objects;
  if (const int error = find_all(args.handles, args.count_handles, objects); error < 0)
    return error;
  for (const std::shared_ptr<Syncobj>& syncobj : objects)
    syncobj->replace({});
  return 0;
}

long SyncobjTable::signal(const drm_syncobj_array& args) {
  if (args.pad != 0 || args.count_handles == 0)
    return -EINVAL;
  Objects objects;
  if (const int error = find_all(args.handles, args.count_handles, objects); error < 0)
    return error;
  for (const std::shared_ptr<Syncobj>& syncobj : objects)
    syncobj->replace(payload::stub());
  return 0;
}

long SyncobjTable::timeline_signal(const drm_syncobj_timeline_array& args) {
  if (args.flags != 0 || args.count_handles == 0)
    return -EINVAL;
  Objects objects;
  if (const int error = find_all(args.handles, args.count_handles, objects); error < 0)
    return error;
  std::vector<std::uint64_t> points(objects.size());
  if (args.points)
    if (const int error = copy_array_from_user(points, args.points, objects.size()); error < 0)
      return error;
  for (std::size_t i = 0; i < objects.size(); ++i)
    objects[i]->add_point(payload::stub(), points[i]);
  return 0;
}

long SyncobjTable::query(const drm_syncobj_timeline_array& args) {
  if ((args.flags & ~DRM_SYNCOBJ_QUERY_FLAGS_LAST_SUBMITTED) || args.count_handles == 0)
    return -EINVAL;
  Objects objects;
  if (const int error = find_all(args.handles, args.count_handles, objects); error < 0)
    return error;
  for (std::size_t i = 0; i < objects.size(); ++i) {
    const std::uint64_t point = objects[i]->query(args.flags & DRM_SYNCOBJ_QUERY_FLAGS_LAST_SUBMITTED);
    if (!copy_to_user(args.points + i * sizeof point, &point, sizeof point))
      return -EFAULT;
  }
  return 0;
}

long SyncobjTable::ioctl(unsigned nr, void* data) {
  switch (nr) {
  case _IOC_NR(DRM_IOCTL_SYNCOBJ_CREATE):
    return create(*static_cast<drm_syncobj_create*>(data));
  case _IOC_NR(DRM_IOCTL_SYNCOBJ_DESTROY):
    return destroy(*static_cast<drm_syncobj_destroy*>(data));
  case _IOC_NR(DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD):
    return handle_to_fd(*static_cast<uapi::drm_syncobj_handle*>(data));
  case _IOC_NR(DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE):
    return fd_to_handle(*static_cast<uapi::drm_syncobj_handle*>(data));
  case _IOC_NR(DRM_IOCTL_SYNCOBJ_TRANSFER):
    return transfer(*static_cast<drm_syncobj_transfer*>(data));
  case _IOC_NR(DRM_IOCTL_SYNCOBJ_WAIT):
    return wait(*static_cast<uapi::drm_syncobj_wait*>(data));
  case _IOC_NR(DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT):
    return timeline_wait(*static_cast<uapi::drm_syncobj_timeline_wait*>(data));
  case _IOC_NR(DRM_IOCTL_SYNCOBJ_RESET):
    return reset(*static_cast<drm_syncobj_array*>(data));
  case _IOC_NR(DRM_IOCTL_SYNCOBJ_SIGNAL):
    return signal(*static_cast<drm_syncobj_array*>(data));
  case _IOC_NR(DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL):
    return timeline_signal(*static_cast<drm_syncobj_timeline_array*>(data));
  case _IOC_NR(DRM_IOCTL_SYNCOBJ_QUERY):
    return query(*static_cast<drm_syncobj_timeline_array*>(data));
  case uapi::nr_syncobj_eventfd:
    return eventfd(*static_cast<uapi::drm_syncobj_eventfd*>(data));
  default:
    return -ENOTTY;
  }
}

} // namespace emu::kernel
