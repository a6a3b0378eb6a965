// Buffer objects: the memory behind GEM handles, KFD memory handles and dma-bufs.
//
// A buffer is a memfd named "amdgpu-bo": its pages, then one metadata page. Whoever holds the descriptor, in
// whatever process, has the buffer with all that the kernel knows of it. A buffer is the same buffer wherever
// (st_dev, st_ino) is: in one process there is never more than one BufferObject for it.
#pragma once

#include "fd_table.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>

namespace emu::kernel {

// Verbatim AMDGPU_GEM_DOMAIN_*.
enum Domain : std::uint32_t {
  domain_cpu = 0x1,
  domain_gtt = 0x2,
  domain_vram = 0x4,
  domain_gds = 0x8,
  domain_gws = 0x10,
  domain_oa = 0x20,
  domain_doorbell = 0x40,
};

inline constexpr std::uint64_t gem_create_no_cpu_access = 1 << 1; // AMDGPU_GEM_CREATE_NO_CPU_ACCESS

// The metadata page, shared by all processes that hold the buffer.
struct BufferMetadata {
  static constexpr std::uint64_t magic_value = 0x31306f62'75706761ull;
  static constexpr std::size_t umd_words = 64;

  std::uint64_t magic;
  std::uint64_t size;      // bytes before this page
  std::uint64_t alignment; // as asked for at creation
  std::uint32_t domains;   // preferred domains
  std::uint32_t kfd_flags; // KFD_IOC_ALLOC_MEM_FLAGS_* where KFD allocated it, else 0
  std::uint64_t flags;     // AMDGPU_GEM_CREATE_*
  std::uint64_t sequence;  // names the buffer in messages

  // AMDGPU_GEM_METADATA. Guarded by `lock` (pid_lock.hpp).
  std::atomic<std::uint32_t> lock;
  std::uint32_t umd_size; // bytes
  std::uint64_t tiling_info;
  std::uint64_t umd_flags;
  std::uint32_t umd[umd_words];

  // The reservation object (implicit fences), laid out by the DRM side.
  alignas(64) std::byte reservation[2048];
};
static_assert(sizeof(BufferMetadata) <= 4096);

class BufferObject {
public:
  // Fills `out`; negative errno on failure: EINVAL for a size of 0, ENOMEM where the domain is full. `size`
  // is rounded up to pages. The pages read as zero.
  static int create(std::uint64_t size, std::uint64_t alignment, std::uint32_t domains, std::uint64_t flags,
                    std::shared_ptr<BufferObject>& out);

  // The buffer behind a dma-buf descriptor (which stays the caller's). EBADF: not open; EINVAL: not one of
  // ours.
  static int import_fd(int fd, std::shared_ptr<BufferObject>& out);

  // A buffer upon this process's own memory (KFD USERPTR, GEM_USERPTR). No descriptor; cannot be exported.
  static int create_userptr(void* host, std::uint64_t size, std::shared_ptr<BufferObject>& out);

  ~BufferObject();
  BufferObject(const BufferObject&) = delete;
  BufferObject& operator=(const BufferObject&) = delete;

  std::byte* host() const { return host_; }
  std::uint64_t size() const { return size_; }
  std::uint32_t domains() const { return meta().domains; }
  std::uint64_t flags() const { return meta().flags; }
  bool is_userptr() const { return fd_ < 0; }
  // Of a userptr: does it lie upon a parent's memory, from before a fork?
  bool is_parents_memory() const;

  // Of a userptr: the program's memory went away below it (userptr.hpp).
  bool pages_gone() const { return pages_gone_.load(std::memory_order_acquire); }
  void set_pages_gone(bool gone) { pages_gone_.store(gone, std::memory_order_release); }

  // The shared page; of a userptr a private one.
  BufferMetadata& meta() const { return *meta_; }

  // A new dma-buf descriptor. `flags`: O_CLOEXEC, O_RDWR as DRM_CLOEXEC, DRM_RDWR; without the latter it
  // cannot be mapped for writing. EPERM for a userptr.
  int export_fd(int flags);

  // Where mmap() of a render node finds this buffer (drm_vma_offset). Only files that were allowed may.
  std::uint64_t mmap_offset() const { return mmap_offset_; }
  void allow_mmap(const File* file);
  void revoke_mmap(const File* file);
  bool mmap_allowed(const File* file);

  // dma-buf's or a drm file's mmap: the address or a negative errno (EINVAL, EPERM). `offset` is into the
  // buffer.
  long map_to_user(void* address, std::size_t length, int protection, int flags, std::uint64_t offset);

private:
  BufferObject() = default;
  static int open(int fd, std::shared_ptr<BufferObject>& out);
  friend struct BufferRegistry;

  int fd_ = -1; // hidden
  std::byte* host_ = nullptr;
  std::uint64_t size_ = 0;
  BufferMetadata* meta_ = nullptr;
  std::unique_ptr<BufferMetadata> private_meta_;
  std::uint64_t mmap_offset_ = 0;
  bool counted_ = false;
  std::uint32_t counted_domains_ = 0;
  std::atomic<bool> pages_gone_{false};
  std::uint64_t dev_ = 0, ino_ = 0;
  std::mutex allowed_mutex_;
  std::multiset<const File*> allowed_;
};

// The descriptor of an exported buffer.
class DmaBufFile : public File {
public:
  DmaBufFile(std::shared_ptr<BufferObject> bo, int fd); // `fd`: what it is opened for counts
  const std::shared_ptr<BufferObject>& bo() const { return bo_; }

  long ioctl(unsigned long request,
             void* argument) override; // DMA_BUF_IOCTL_SYNC, SET_NAME; others: the DRM side
  long mmap(void* address, std::size_t length, int protection, int flags, off64_t offset) override;
  void fix_stat(struct stat64& out) const override;
  off64_t seek_end() const override { return static_cast<off64_t>(bo_->size()); }

private:
  std::shared_ptr<BufferObject> bo_;
  bool read_only_;
};

// mmap() of a drm file: finds the buffer at `offset` (EINVAL where none), checks that `file` is allowed
// (EACCES).
long mmap_drm_offset(const File* file, void* address, std::size_t length, int protection, int flags,
                     std::uint64_t offset);

// DMA_BUF_IOCTL_EXPORT_SYNC_FILE and IMPORT_SYNC_FILE. Answered by the DRM side.
long dma_buf_sync_file_ioctl(BufferObject& bo, unsigned long request, void* argument);

// Memory in use. `own` counts what this process created (and still holds); the DRM side points it into the
// machine's shared state, so that `total` covers every process.
struct MemoryUsage {
  std::atomic<std::uint64_t> vram{0};
  std::atomic<std::uint64_t> gtt{0};
  std::atomic<std::uint64_t> vram_blocks{0}; // bytes of VRAM, each buffer rounded up to whole blocks
};
inline constexpr std::uint64_t vram_block = 2ull << 20; // VRAM_AVAILABLITY_ALIGN (amdgpu_amdkfd_gpuvm.c)
MemoryUsage& own_usage();
void move_own_usage(
    MemoryUsage& shared); // carries the counts so far over; `shared` outlives the process's use
void forget_own_usage();  // in a child after fork(): what there is stays on the parent's account
// The GTT domain's size: half of the machine's memory, as ttm_tt_pages_limit.
std::uint64_t gtt_size();
// Answered by the DRM side, over all processes of the machine.
std::uint64_t total_vram_usage();
std::uint64_t total_gtt_usage();
std::uint64_t total_vram_blocks_usage();

} // namespace emu::kernel
