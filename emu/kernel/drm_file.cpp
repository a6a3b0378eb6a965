#include "drm_file.hpp"

#include "device.hpp"
#include "process.hpp"
#include "sync_file.hpp"
#include "syncobj_shared.hpp"
#include "user_memory.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace emu::kernel {

namespace {

constexpr char driver_name[] = "amdgpu";
constexpr char driver_description[] = "AMD GPU";
constexpr char driver_date[] = "0"; // no driver has one any more
constexpr int driver_major = 3, driver_minor = 61, driver_patchlevel = 0;
constexpr unsigned drm_core_cmd_end = 0x40, drm_driver_cmd_end = DRM_COMMAND_END;

// DRM_AUTH and its like: who may call.
enum Permission : unsigned { anyone = 0, auth = 1, master = 2, render = 4, root = 8 };

// drm_copy_field: as much as fits, and the whole length.
long copy_field(char* to, __kernel_size_t& room, const char* text) {
  const std::size_t length = std::strlen(text);
  const std::size_t copied = std::min<std::size_t>(room, length);
  room = length;
  return !to || copy_to_user(reinterpret_cast<std::uint64_t>(to), text, copied) ? 0 : -EFAULT;
}

// What drm_ioctl.c still lists but does nothing here: legacy calls, and mode setting on a card without a
// display.
struct Refusal {
  unsigned first, last;
  unsigned permission;
  int result;
  unsigned long directions = IOC_INOUT;
};
constexpr Refusal refusals[] = {
    {0x10, 0x10, auth | master | root, -EINVAL, IOC_IN}, // SET_UNIQUE
    {0x12, 0x13, auth | master | root, 0},               // BLOCK, UNBLOCK
    {0x27, 0x28, auth | master | root, 0},               // ADD_DRAW, RM_DRAW
    {0x2c, 0x2c, auth, 0, IOC_IN},                       // FINISH
    {0x3a, 0x3c, anyone, -EOPNOTSUPP},             // WAIT_VBLANK, CRTC_GET_SEQUENCE, CRTC_QUEUE_SEQUENCE
    {0x3f, 0x3f, auth | master | root, 0, IOC_IN}, // UPDATE_DRAW
    {0xa0, 0xa7, anyone, -EOPNOTSUPP},             // MODE_GETRESOURCES to MODE_GETCONNECTOR
    {0xa8, 0xa9, master, 0},                       // MODE_ATTACHMODE, MODE_DETACHMODE
    {0xaa, 0xbe, anyone, -EOPNOTSUPP},             // MODE_GETPROPERTY to MODE_DESTROYPROPBLOB
    {0xc6, 0xc9, anyone, -EOPNOTSUPP},             // leases
    {0xce, 0xce, anyone, -EINVAL},                 // MODE_GETFB2
    {0xd0, 0xd0, anyone, -EOPNOTSUPP},             // MODE_CLOSEFB
};

bool has_cap_sys_admin() {
  return has_capability(CAP_SYS_ADMIN);
}

// What GET_MAGIC gave out and AUTH_MAGIC has not taken yet. In the kernel they are the master's, here the
// process's.
struct Magics {
  std::mutex mutex;
  drm_magic_t last = 0;
  std::set<drm_magic_t> open;
};
Magics& magics() {
  static auto* all = new Magics;
  return *all;
}

} // namespace

struct DrmFile::Ioctl {
  unsigned nr;
  unsigned long command; // 0: only the caller's size counts
  unsigned size;         // of the newest form of the struct
  unsigned permission;
  long (*call)(DrmFile&, void*);
};

struct IoctlTable {
  template <auto Method, class Args>
  static long call(DrmFile& file, void* data) {
    return (file.*Method)(*static_cast<Args*>(data));
  }
  template <auto Method, class Args>
  static constexpr DrmFile::Ioctl row(unsigned long command, unsigned permission) {
    static_assert(sizeof(Args) > 0);
    return {static_cast<unsigned>(_IOC_NR(command)), command, sizeof(Args), permission, call<Method, Args>};
  }
  static constexpr DrmFile::Ioctl syncobj(unsigned nr, unsigned size) {
    return {nr, static_cast<unsigned long>(_IOC(_IOC_READ | _IOC_WRITE, 'd', nr, size)), size, render,
            nullptr};
  }

  using F = DrmFile;
  static const DrmFile::Ioctl rows[];
};

const DrmFile::Ioctl IoctlTable::rows[] = {
    row<&F::version, drm_version>(DRM_IOCTL_VERSION, render),
    row<&F::get_unique, drm_unique>(DRM_IOCTL_GET_UNIQUE, anyone),
    row<&F::get_magic, drm_auth>(DRM_IOCTL_GET_MAGIC, anyone),
    row<&F::get_client, drm_client>(DRM_IOCTL_GET_CLIENT, anyone),
    row<&F::get_stats, drm_stats>(DRM_IOCTL_GET_STATS, anyone),
    row<&F::set_version, drm_set_version>(DRM_IOCTL_SET_VERSION, master),
    row<&F::gem_close, drm_gem_close>(DRM_IOCTL_GEM_CLOSE, render),
    row<&F::gem_flink, drm_gem_flink>(DRM_IOCTL_GEM_FLINK, auth),
    row<&F::gem_open, drm_gem_open>(DRM_IOCTL_GEM_OPEN, auth),
    row<&F::get_cap, drm_get_cap>(DRM_IOCTL_GET_CAP, render),
    row<&F::set_client_cap, drm_set_client_cap>(DRM_IOCTL_SET_CLIENT_CAP, anyone),
    row<&F::auth_magic, drm_auth>(DRM_IOCTL_AUTH_MAGIC, master),
    row<&F::set_master, drm_auth>(DRM_IOCTL_SET_MASTER, anyone),
    row<&F::set_master, drm_auth>(DRM_IOCTL_DROP_MASTER, anyone),
    row<&F::prime_handle_to_fd, drm_prime_handle>(DRM_IOCTL_PRIME_HANDLE_TO_FD, render),
    row<&F::prime_fd_to_handle, drm_prime_handle>(DRM_IOCTL_PRIME_FD_TO_HANDLE, render),

    syncobj(_IOC_NR(DRM_IOCTL_SYNCOBJ_CREATE), sizeof(drm_syncobj_create)),
    syncobj(_IOC_NR(DRM_IOCTL_SYNCOBJ_DESTROY), sizeof(drm_syncobj_destroy)),
    syncobj(_IOC_NR(DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD), sizeof(uapi::drm_syncobj_handle)),
    syncobj(_IOC_NR(DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE), sizeof(uapi::drm_syncobj_handle)),
    syncobj(_IOC_NR(DRM_IOCTL_SYNCOBJ_WAIT), sizeof(uapi::drm_syncobj_wait)),
    syncobj(_IOC_NR(DRM_IOCTL_SYNCOBJ_RESET), sizeof(drm_syncobj_array)),
    syncobj(_IOC_NR(DRM_IOCTL_SYNCOBJ_SIGNAL), sizeof(drm_syncobj_array)),
    syncobj(_IOC_NR(DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT), sizeof(uapi::drm_syncobj_timeline_wait)),
    syncobj(_IOC_NR(DRM_IOCTL_SYNCOBJ_QUERY), sizeof(drm_syncobj_timeline_array)),
    syncobj(_IOC_NR(DRM_IOCTL_SYNCOBJ_TRANSFER), sizeof(drm_syncobj_transfer)),
    syncobj(_IOC_NR(DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL), sizeof(drm_syncobj_timeline_array)),
    syncobj(uapi::nr_syncobj_eventfd, sizeof(uapi::drm_syncobj_eventfd)),

    row<&F::gem_create, drm_amdgpu_gem_create>(DRM_IOCTL_AMDGPU_GEM_CREATE, auth | render),
    row<&F::gem_mmap, drm_amdgpu_gem_mmap>(DRM_IOCTL_AMDGPU_GEM_MMAP, auth | render),
    row<&F::ctx, drm_amdgpu_ctx>(DRM_IOCTL_AMDGPU_CTX, auth | render),
    row<&F::bo_list, drm_amdgpu_bo_list>(DRM_IOCTL_AMDGPU_BO_LIST, auth | render),
    row<&F::cs, drm_amdgpu_cs>(DRM_IOCTL_AMDGPU_CS, auth | render),
    row<&F::info, drm_amdgpu_info>(DRM_IOCTL_AMDGPU_INFO, auth | render),
    row<&F::gem_metadata, drm_amdgpu_gem_metadata>(DRM_IOCTL_AMDGPU_GEM_METADATA, auth | render),
    row<&F::gem_wait_idle, drm_amdgpu_gem_wait_idle>(DRM_IOCTL_AMDGPU_GEM_WAIT_IDLE, auth | render),
    row<&F::gem_va, uapi::drm_amdgpu_gem_va>(DRM_IOCTL_AMDGPU_GEM_VA, auth | render),
    row<&F::wait_cs, drm_amdgpu_wait_cs>(DRM_IOCTL_AMDGPU_WAIT_CS, auth | render),
    row<&F::gem_op, uapi::drm_amdgpu_gem_op>(DRM_IOCTL_AMDGPU_GEM_OP, auth | render),
    row<&F::gem_userptr, drm_amdgpu_gem_userptr>(DRM_IOCTL_AMDGPU_GEM_USERPTR, auth | render),
    row<&F::wait_fences, drm_amdgpu_wait_fences>(DRM_IOCTL_AMDGPU_WAIT_FENCES, auth | render),
    row<&F::vm_ioctl, drm_amdgpu_vm>(DRM_IOCTL_AMDGPU_VM, auth | render),
    row<&F::fence_to_handle, drm_amdgpu_fence_to_handle>(DRM_IOCTL_AMDGPU_FENCE_TO_HANDLE, auth | render),
    row<&F::sched, drm_amdgpu_sched>(DRM_IOCTL_AMDGPU_SCHED, master),
};

DrmFile::DrmFile(unsigned minor)
    : minor_(minor), vm_(std::make_shared<Vm>()), vm_state_(std::make_shared<VmState>()) {}

DrmFile::~DrmFile() {
  {
    Magics& all = magics();
    std::lock_guard lock(all.mutex);
    all.open.erase(magic_);
  }
  contexts_.clear();
  Machine::get().release_vmid(vm_state_->id);
  for (const auto& [bo, name] : names_)
    forget_name(name);
  retire([&](Vm::Batch batch) {
    for (auto& [handle, bo] : buffers_) {
      bo->revoke_mmap(this);
      vm_->detach(*bo, batch);
    }
    if (unbound_)
      vm_->drop(*unbound_, batch);
    return 0;
  });
}

bool DrmFile::is_render() const {
  return minor_ == card::render_minor;
}

void DrmFile::fix_stat(struct stat64& out) const {
  out.st_mode = S_IFCHR | 0660;
  out.st_rdev = makedev(card::drm_major, minor_);
  out.st_size = 0;
}

const DrmFile::Ioctl* DrmFile::find_ioctl(unsigned nr) {
  for (const Ioctl& row : IoctlTable::rows)
    if (row.nr == nr)
      return &row;
  return nullptr;
}

// drm_ioctl_permit. Whoever opens the primary node of this card, which drives no display, is its master.
long DrmFile::permit(unsigned permission) const {
  if (permission & root && !has_cap_sys_admin())
    return -EACCES;
  if (!is_render())
    return 0;
  if (permission & master)
    return -EACCES;
  return permission & render ? 0 : -EACCES;
}

long DrmFile::refused(unsigned long request, void* argument) const {
  const unsigned nr = _IOC_NR(request);
  for (const Refusal& one : refusals)
    if (nr >= one.first && nr <= one.last) {
      const auto user = reinterpret_cast<std::uint64_t>(argument);
      const unsigned long directions = request & one.directions;
      std::vector<unsigned char> data(_IOC_SIZE(request));
      if (directions & IOC_IN && !copy_from_user(data.data(), user, data.size()))
        return -EFAULT;
      const long error = permit(one.permission);
      if (directions & IOC_OUT && !copy_to_user(user, data.data(), data.size()))
        return -EFAULT;
      return error < 0 ? error : one.result;
    }
  complain("unknown DRM ioctl %#x (%s command %#x)", static_cast<unsigned>(request),
           nr >= drm_core_cmd_end && nr < drm_driver_cmd_end ? "amdgpu" : "core",
           nr >= drm_core_cmd_end ? nr - drm_core_cmd_end : nr);
  return -EINVAL;
}

long DrmFile::ioctl(unsigned long request, void* argument) {
  if (_IOC_TYPE(request) != DRM_IOCTL_BASE)
    return -ENOTTY;
  const unsigned nr = _IOC_NR(request);
  const Ioctl* row = find_ioctl(nr);
  if (!row)
    return refused(request, argument);

  // drm_ioctl: the caller's struct may be older and shorter, or newer and longer, than ours.
  alignas(16) unsigned char small[512] = {};
  static_assert(sizeof(drm_amdgpu_gem_metadata) <= sizeof small);
  std::vector<unsigned char> large;
  const std::size_t size = _IOC_SIZE(request);
  unsigned char* data = small;
  if (size > sizeof small) {
    large.resize(size);
    data = large.data();
  }
  const auto user = reinterpret_cast<std::uint64_t>(argument);
  const unsigned long directions = request & row->command;
  if (directions & IOC_IN && !copy_from_user(data, user, size))
    return -EFAULT;
  long result = permit(row->permission);
  if (result == 0)
    result = row->call ? row->call(*this, data) : syncobjs_.ioctl(nr, data);
  if (directions & IOC_OUT && !copy_to_user(user, data, size))
    result = -EFAULT;
  if (tracing())
    trace("drm %#x -> %ld", nr, result);
  return result;
}

long DrmFile::mmap(void* address, std::size_t length, int protection, int flags, off64_t offset) {
  return mmap_drm_offset(this, address, length, protection, flags, static_cast<std::uint64_t>(offset));
}

long DrmFile::version(drm_version& args) {
  args.version_major = driver_major;
  args.version_minor = driver_minor;
  args.version_patchlevel = driver_patchlevel;
  long error = copy_field(args.name, args.name_len, driver_name);
  if (error == 0)
    error = copy_field(args.date, args.date_len, driver_date);
  if (error == 0)
    error = copy_field(args.desc, args.desc_len, driver_description);
  return error;
}

// The bus id is there from SET_VERSION on.
long DrmFile::get_unique(drm_unique& args) {
  const std::string name = has_bus_id_ ? std::string("pci:") + card::pci_slot : std::string();
  const auto user = reinterpret_cast<std::uint64_t>(args.unique);
  if (args.unique_len >= name.size() && !copy_to_user(user, name.data(), name.size()))
    return -EFAULT;
  args.unique_len = name.size();
  return 0;
}

long DrmFile::get_magic(drm_auth& args) {
  Magics& all = magics();
  std::lock_guard lock(all.mutex);
  if (magic_ == 0) {
    magic_ = ++all.last;
    all.open.insert(magic_);
  }
  args.magic = magic_;
  return 0;
}

// Everybody on the primary node is authenticated already.
long DrmFile::auth_magic(drm_auth& args) {
  Magics& all = magics();
  std::lock_guard lock(all.mutex);
  return all.open.erase(args.magic) ? 0 : -EINVAL;
}

long DrmFile::get_stats(drm_stats& args) {
  args = {};
  return 0;
}

long DrmFile::get_client(drm_client& args) {
  if (args.idx != 0)
    return -EINVAL;
  args.auth = 1;
  args.pid = static_cast<unsigned long>(getpid());
  args.uid = ~0ul;
  args.magic = 0;
  args.iocs = 0;
  return 0;
}

long DrmFile::set_version(drm_set_version& args) {
  constexpr int interface_major = 1, interface_minor = 4;
  const drm_set_version wanted = args;
  args = {interface_major, interface_minor, driver_major, driver_minor};
  if (wanted.drm_di_major != -1) {
    if (wanted.drm_di_major != interface_major || wanted.drm_di_minor < 0 ||
        wanted.drm_di_minor > interface_minor)
      return -EINVAL;
    has_bus_id_ = has_bus_id_ || wanted.drm_di_minor >= 1;
  }
  if (wanted.drm_dd_major != -1 &&
      (wanted.drm_dd_major != driver_major || wanted.drm_dd_minor < 0 || wanted.drm_dd_minor > driver_minor))
    return -EINVAL;
  return 0;
}

long DrmFile::get_cap(drm_get_cap& args) {
  args.value = 0;
  switch (args.capability) {
  case DRM_CAP_TIMESTAMP_MONOTONIC:
  case DRM_CAP_SYNCOBJ:
  case DRM_CAP_SYNCOBJ_TIMELINE:
    args.value = 1;
    return 0;
  case DRM_CAP_PRIME:
    args.value = DRM_PRIME_CAP_IMPORT | DRM_PRIME_CAP_EXPORT;
    return 0;
  default:
    return -EOPNOTSUPP; // the rest is about displays
  }
}

long DrmFile::set_client_cap(drm_set_client_cap&) {
  return -EOPNOTSUPP;
}
long DrmFile::set_master(drm_auth&) {
  return 0;
}

std::shared_ptr<File> open_drm(unsigned minor, int flags, int& error) {
  if (minor != card::primary_minor && minor != card::render_minor) {
    error = -ENXIO;
    return nullptr;
  }
  if (flags & O_EXCL) {
    error = -EBUSY;
    return nullptr;
  }
  return std::make_shared<DrmFile>(minor);
}

std::shared_ptr<File> adopt_sync_descriptor(int fd, const char* name) {
  if (std::strcmp(name, SharedSyncobj::memfd_name) == 0) {
    std::shared_ptr<Syncobj> syncobj = Syncobj::open(fd);
    return syncobj ? std::make_shared<SyncobjFile>(std::move(syncobj)) : nullptr;
  }
  // A card that another process opened. Its handles are not ours to have: this is a file with none.
  if (std::strcmp(name, "amdgpu-renderD128") == 0)
    return std::make_shared<DrmFile>(card::render_minor);
  if (std::strcmp(name, "amdgpu-card0") == 0)
    return std::make_shared<DrmFile>(card::primary_minor);
  return nullptr;
}

} // namespace emu::kernel
