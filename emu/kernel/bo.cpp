#include "bo.hpp"

#include "real.hpp"
#include "settings.hpp"
#include "user_memory.hpp"
#include "userptr.hpp"

#include <memory/access_section.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/memfd.h>
#include <map>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

namespace emu::kernel {

namespace {
constexpr std::uint64_t page = 4096;
constexpr std::uint64_t first_mmap_offset = 0x100000000ull; // as drm_vma_manager starts
std::uint64_t page_align(std::uint64_t size) {
  return (size + page - 1) & ~(page - 1);
}

MemoryUsage process_usage;
std::atomic<MemoryUsage*> usage{&process_usage};

// `size` bytes of a buffer come, or go.
void count(MemoryUsage& where, std::uint32_t domains, std::uint64_t size, bool come) {
  const auto add = [&](std::atomic<std::uint64_t>& to, std::uint64_t bytes) { to += come ? bytes : -bytes; };
  if (!(domains & domain_vram)) {
    add(where.gtt, size);
    return;
  }
  add(where.vram, size);
  add(where.vram_blocks, (size + vram_block - 1) & ~(vram_block - 1));
}
} // namespace

// All buffers of this process, by identity and by mmap offset.
struct BufferRegistry {
  struct Entry {
    BufferObject* raw = nullptr;
    std::weak_ptr<BufferObject> weak;
  };
  std::mutex mutex;
  std::map<std::pair<std::uint64_t, std::uint64_t>, Entry> by_identity;
  std::map<std::uint64_t, Entry> by_offset;
  std::uint64_t next_offset = first_mmap_offset;
  std::atomic<std::uint64_t> sequence{1};

  static BufferRegistry& get() {
    static BufferRegistry* instance = new BufferRegistry;
    return *instance;
  }

  // An offset that no other buffer of the process has, with a page between neighbours.
  void give_offset_locked(const std::shared_ptr<BufferObject>& bo) {
    bo->mmap_offset_ = next_offset;
    next_offset += page_align(bo->size_) + page;
    by_offset[bo->mmap_offset_] = {bo.get(), bo};
  }

  // Whatever there is now is another process's to count.
  void count_nothing() {
    std::scoped_lock lock(mutex);
    for (auto& [offset, entry] : by_offset)
      entry.raw->counted_ = false;
  }

  std::shared_ptr<BufferObject> at_offset(std::uint64_t offset, std::uint64_t& into) {
    std::shared_ptr<BufferObject> bo; // its end takes the lock
    std::scoped_lock lock(mutex);
    auto it = by_offset.upper_bound(offset);
    if (it == by_offset.begin())
      return nullptr;
    --it;
    bo = it->second.weak.lock();
    if (!bo || offset - it->first >= bo->size())
      return nullptr;
    into = offset - it->first;
    return bo;
  }
};

namespace {
// A second open file for a buffer's memfd. Negative errno.
int reopen(int fd, int flags) {
  char path[32];
  std::snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return real::open(path, flags);
}
bool is_read_only(int fd) {
  return (real::fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY;
}

// After fd_table's: what is registered later is locked earlier, and the registry calls into the table.
[[gnu::constructor(202)]] void watch_forks() {
  pthread_atfork([] { BufferRegistry::get().mutex.lock(); }, [] { BufferRegistry::get().mutex.unlock(); },
                 [] { BufferRegistry::get().mutex.unlock(); });
}
} // namespace

MemoryUsage& own_usage() {
  return *usage.load(std::memory_order_acquire);
}

void move_own_usage(MemoryUsage& shared) {
  MemoryUsage* old = usage.exchange(&shared, std::memory_order_acq_rel);
  if (old == &shared)
    return;
  shared.vram += old->vram.exchange(0);
  shared.gtt += old->gtt.exchange(0);
  shared.vram_blocks += old->vram_blocks.exchange(0);
}

void forget_own_usage() {
  BufferRegistry::get().count_nothing();
  process_usage.vram = 0;
  process_usage.gtt = 0;
  process_usage.vram_blocks = 0;
  usage.store(&process_usage, std::memory_order_release);
}

int BufferObject::create(std::uint64_t size, std::uint64_t alignment, std::uint32_t domains,
                         std::uint64_t flags, std::shared_ptr<BufferObject>& out) {
  if (size == 0)
    return -EINVAL;
  size = page_align(size);
  const std::uint64_t vram = settings::vram_size();
  if (domains & domain_vram && (size > vram || total_vram_usage() > vram - size))
    return -ENOMEM;
  if (!(domains & domain_vram) && total_gtt_usage() + size > gtt_size())
    return -ENOMEM;

  int fd = real::memfd_create("amdgpu-bo", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0)
    return fd;
  if (const int error = real::set_final_size(fd, static_cast<off64_t>(size + page)); error < 0) {
    real::close(fd);
    return error == -EINVAL || error == -EFBIG ? -ENOMEM : error;
  }
  void* meta = real::mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, static_cast<off64_t>(size));
  if (real::failed(meta)) {
    real::close(fd);
    return real::error_of(meta);
  }
  auto* data = static_cast<BufferMetadata*>(meta);
  data->size = size;
  data->alignment = alignment;
  data->domains = domains;
  data->flags = flags;
  data->sequence = static_cast<std::uint64_t>(getpid()) << 32 | BufferRegistry::get().sequence++;
  data->magic = BufferMetadata::magic_value;
  real::munmap(meta, page);

  const int error = open(fd, out);
  if (error)
    return error;
  out->counted_ = true;
  out->counted_domains_ = domains;
  count(own_usage(), domains, size, true);
  return 0;
}

// Takes `fd` over.
int BufferObject::open(int fd, std::shared_ptr<BufferObject>& out) {
  struct stat64 info {};
  if (const int error = real::fstat(fd, info); error < 0) {
    real::close(fd);
    return error;
  }
  BufferRegistry& registry = BufferRegistry::get();
  std::scoped_lock lock(registry.mutex);
  const auto identity = std::pair<std::uint64_t, std::uint64_t>(info.st_dev, info.st_ino);
  if (auto it = registry.by_identity.find(identity); it != registry.by_identity.end())
    if (std::shared_ptr<BufferObject> known = it->second.weak.lock()) {
      real::close(fd);
      out = std::move(known);
      return 0;
    }

  const auto total = static_cast<std::uint64_t>(info.st_size);
  if (total < 2 * page || total % page != 0) {
    real::close(fd);
    return -EINVAL;
  }
  void* host = real::mmap(nullptr, total, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (real::failed(host)) {
    real::close(fd);
    return real::error_of(host) == -ENOMEM ? -ENOMEM : -EINVAL; // a sealed file is none of ours
  }
  auto* meta = reinterpret_cast<BufferMetadata*>(static_cast<std::byte*>(host) + total - page);
  if (meta->magic != BufferMetadata::magic_value || meta->size != total - page) {
    real::munmap(host, total);
    real::close(fd);
    return -EINVAL;
  }
  const int hidden = fd_table::hide(fd);
  if (hidden < 0) {
    real::munmap(host, total);
    return hidden;
  }
  std::shared_ptr<BufferObject> bo(new BufferObject);
  bo->fd_ = hidden;
  bo->host_ = static_cast<std::byte*>(host);
  bo->size_ = meta->size;
  bo->meta_ = meta;
  bo->dev_ = identity.first;
  bo->ino_ = identity.second;
  registry.give_offset_locked(bo);
  registry.by_identity[identity] = {bo.get(), bo};
  out = std::move(bo);
  return 0;
}

int BufferObject::import_fd(int fd, std::shared_ptr<BufferObject>& out) {
  if (const std::shared_ptr<DmaBufFile> file = fd_table::find_as<DmaBufFile>(fd)) {
    out = file->bo();
    return 0;
  }
  if (fd_table::is_hidden(fd))
    return -EBADF;
  // Who may only read it has the buffer all the same.
  int own = real::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (own < 0)
    return own;
  if (real::fcntl(own, F_GET_SEALS) < 0) { // not a memfd
    real::close(own);
    return -EINVAL;
  }
  if (is_read_only(own)) {
    const int writable = reopen(own, O_RDWR | O_CLOEXEC);
    real::close(own);
    if (writable < 0)
      return -EINVAL;
    own = writable;
  }
  return open(own, out);
}

int BufferObject::create_userptr(void* host, std::uint64_t size, std::shared_ptr<BufferObject>& out) {
  if (size == 0)
    return -EINVAL;
  std::shared_ptr<BufferObject> bo(new BufferObject);
  bo->host_ = static_cast<std::byte*>(host);
  bo->size_ = page_align(size);
  bo->private_meta_ = std::make_unique<BufferMetadata>();
  bo->meta_ = bo->private_meta_.get();
  bo->meta_->magic = BufferMetadata::magic_value;
  bo->meta_->size = bo->size_;
  bo->meta_->domains = domain_gtt;
  BufferRegistry& registry = BufferRegistry::get();
  bo->meta_->sequence = static_cast<std::uint64_t>(getpid()) << 32 | registry.sequence++;
  std::scoped_lock lock(registry.mutex);
  registry.give_offset_locked(bo);
  out = std::move(bo);
  return 0;
}

bool BufferObject::is_parents_memory() const {
  return is_userptr() && meta_->sequence >> 32 != static_cast<std::uint64_t>(getpid());
}

BufferObject::~BufferObject() {
  if (is_userptr())
    userptr::forget(*this);
  BufferRegistry& registry = BufferRegistry::get();
  {
    std::scoped_lock lock(registry.mutex);
    if (auto it = registry.by_offset.find(mmap_offset_);
        it != registry.by_offset.end() && it->second.raw == this)
      registry.by_offset.erase(it);
    if (auto it = registry.by_identity.find({dev_, ino_});
        it != registry.by_identity.end() && it->second.raw == this)
      registry.by_identity.erase(it);
  }
  if (counted_)
    count(own_usage(), counted_domains_, size_, false); // the placement may have changed
  if (fd_ >= 0) {
    memory::unmap_behind_accesses(host_, size_ + page);
    fd_table::close_hidden(fd_);
  } else {
    memory::wait_for_accesses(); // the program will have other uses for its memory
  }
}

int BufferObject::export_fd(int flags) {
  if (is_userptr())
    return -EPERM;
  const int fd = flags & O_RDWR ? real::fcntl(fd_, flags & O_CLOEXEC ? F_DUPFD_CLOEXEC : F_DUPFD, 0)
                                : reopen(fd_, O_RDONLY | (flags & O_CLOEXEC));
  if (fd < 0)
    return fd;
  std::shared_ptr<BufferObject> self;
  {
    BufferRegistry& registry = BufferRegistry::get();
    std::scoped_lock lock(registry.mutex);
    self = registry.by_identity[{dev_, ino_}].weak.lock();
  }
  fd_table::attach(fd, std::make_shared<DmaBufFile>(std::move(self), fd));
  return fd;
}

void BufferObject::allow_mmap(const File* file) {
  std::scoped_lock lock(allowed_mutex_);
  allowed_.insert(file);
}

void BufferObject::revoke_mmap(const File* file) {
  std::scoped_lock lock(allowed_mutex_);
  if (auto it = allowed_.find(file); it != allowed_.end())
    allowed_.erase(it);
}

bool BufferObject::mmap_allowed(const File* file) {
  std::scoped_lock lock(allowed_mutex_);
  return allowed_.contains(file);
}

long BufferObject::map_to_user(void* address, std::size_t length, int protection, int flags,
                               std::uint64_t offset) {
  if (offset % page != 0 || length == 0 || offset >= size_ || page_align(length) > size_ - offset)
    return -EINVAL;
  if (is_userptr() || (this->flags() & gem_create_no_cpu_access))
    return -EPERM;
  // ttm_bo_mmap_obj: no copies on write, but for reservations.
  if ((flags & MAP_TYPE) == MAP_PRIVATE && protection != PROT_NONE)
    return -EINVAL;
  return reinterpret_cast<long>(
      real::mmap(address, length, protection, flags, fd_, static_cast<off64_t>(offset)));
}

long mmap_drm_offset(const File* file, void* address, std::size_t length, int protection, int flags,
                     std::uint64_t offset) {
  std::uint64_t into = 0;
  const std::shared_ptr<BufferObject> bo = BufferRegistry::get().at_offset(offset, into);
  if (!bo || into != 0 || page_align(length) > bo->size()) // drm_vma_offset_exact_lookup_locked
    return -EINVAL;
  if (!bo->mmap_allowed(file))
    return -EACCES;
  return bo->map_to_user(address, length, protection, flags, into);
}

std::uint64_t gtt_size() {
  static const std::uint64_t size = static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) *
                                    static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)) / 2;
  return size;
}

long DmaBufFile::ioctl(unsigned long request, void* argument) {
  switch (request) {
  case DMA_BUF_IOCTL_SYNC: {
    dma_buf_sync sync{};
    if (!copy_from_user(&sync, reinterpret_cast<std::uint64_t>(argument), sizeof sync))
      return -EFAULT;
    if (sync.flags & ~static_cast<std::uint64_t>(DMA_BUF_SYNC_VALID_FLAGS_MASK) ||
        !(sync.flags & DMA_BUF_SYNC_RW))
      return -EINVAL;
    return 0;
  }
  case DMA_BUF_SET_NAME_A:
  case DMA_BUF_SET_NAME_B: { // strndup_user; nobody shows the name
    constexpr std::uint64_t name_length = 32;
    for (std::uint64_t i = 0; i < name_length; ++i) {
      char letter = 0;
      if (!copy_from_user(&letter, reinterpret_cast<std::uint64_t>(argument) + i, 1))
        return -EFAULT;
      if (letter == 0)
        return 0;
    }
    return -EINVAL;
  }
  default:
    return dma_buf_sync_file_ioctl(*bo_, request, argument);
  }
}

DmaBufFile::DmaBufFile(std::shared_ptr<BufferObject> bo, int fd)
    : bo_(std::move(bo)), read_only_(is_read_only(fd)) {}

long DmaBufFile::mmap(void* address, std::size_t length, int protection, int flags, off64_t offset) {
  if (read_only_ && protection & PROT_WRITE && (flags & MAP_TYPE) != MAP_PRIVATE)
    return -EACCES;
  return bo_->map_to_user(address, length, protection, flags, static_cast<std::uint64_t>(offset));
}

void DmaBufFile::fix_stat(struct stat64& out) const {
  out.st_mode = anonymous_mode;
  out.st_size = static_cast<off64_t>(bo_->size());
}

} // namespace emu::kernel
