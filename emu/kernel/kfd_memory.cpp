// Memory ioctls. Sources: kfd_chardev.c, amdgpu_amdkfd_gpuvm.c, amdgpu_amdkfd.c.
#include "device.hpp"
#include "kfd.hpp"
#include "kfd_limits.hpp"
#include "kfd_process.hpp"
#include "pid_lock.hpp"
#include "process.hpp"
#include "settings.hpp"
#include "user_memory.hpp"
#include "userptr.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstring>
#include <fcntl.h>
#include <utility>

namespace emu::kernel {

using namespace uapi;

namespace {
constexpr std::uint64_t gem_create_cpu_access_required = 1 << 0; // AMDGPU_GEM_CREATE_*
constexpr std::uint64_t gem_create_vram_contiguous = 1 << 5;
constexpr std::uint64_t gem_create_vram_wipe_on_release = 1 << 9;
constexpr std::uint64_t gem_create_coherent = 1 << 13;
constexpr std::uint64_t gem_create_uncached = 1 << 14;
constexpr std::uint64_t gem_create_ext_coherent = 1 << 15;
constexpr std::uint64_t gem_create_vram_cleared = 1 << 16;

std::uint64_t creation_flags(std::uint32_t flags) {
  std::uint64_t result = 0;
  if (flags & ALLOC_MEM_FLAGS_VRAM) {
    result |= gem_create_vram_wipe_on_release | gem_create_vram_cleared;
    if (flags & ALLOC_MEM_FLAGS_PUBLIC)
      result |= gem_create_cpu_access_required;
    if (flags & ALLOC_MEM_FLAGS_CONTIGUOUS)
      result |= gem_create_vram_contiguous;
  }
  if (flags & ALLOC_MEM_FLAGS_COHERENT)
    result |= gem_create_coherent;
  if (flags & ALLOC_MEM_FLAGS_EXT_COHERENT)
    result |= gem_create_ext_coherent;
  if (flags & ALLOC_MEM_FLAGS_UNCACHED)
    result |= gem_create_uncached;
  return result;
}

// Userptrs and SVM ranges of this process.
std::atomic<std::uint64_t> user_bytes{0};

std::uint64_t system_memory() {
  return gtt_size() * 2;
}

// amdgpu_amdkfd_reserve_mem_limit(): may KFD have so much more of that kind?
bool within_limits(std::uint64_t size, std::uint32_t flags) {
  if (flags & ALLOC_MEM_FLAGS_VRAM) {
    const std::uint64_t most = settings::vram_size() - kfd_limits::reserved_vram - kfd_limits::pinned_vram;
    return size <= most && total_vram_usage() <= most - size;
  }
  // SVM has a struct page for each page of VRAM (kgd2kfd_init_zone_device).
  const std::uint64_t page_structs =
      settings::shared_virtual_memory() ? settings::vram_size() / 4096 * 64 : 0;
  const std::uint64_t used = total_gtt_usage() + user_bytes.load() + page_structs;
  const std::uint64_t most = kfd_limits::system_memory_limit(system_memory());
  if (flags & (ALLOC_MEM_FLAGS_GTT | ALLOC_MEM_FLAGS_USERPTR))
    return size <= most && used <= most - size;
  return true;
}
} // namespace

bool reserve_user_memory(std::uint64_t size) {
  if (!within_limits(size, ALLOC_MEM_FLAGS_USERPTR))
    return false;
  user_bytes += size;
  return true;
}
void release_user_memory(std::uint64_t size) {
  user_bytes -= size;
}
bool vram_has_room(std::uint64_t size) {
  return within_limits(size, ALLOC_MEM_FLAGS_VRAM);
}

KfdProcess::Memory* KfdProcess::memory_locked(std::uint64_t handle) {
  if (!is_gpu(handle_gpu_id(handle)))
    return nullptr;
  auto it = memory_.find(handle_index(handle));
  return it == memory_.end() ? nullptr : it->second.get();
}

// The lowest free index, as idr_alloc().
std::uint64_t KfdProcess::insert_locked(std::unique_ptr<Memory> memory) {
  std::uint32_t index = 0;
  for (auto it = memory_.begin(); it != memory_.end() && it->first == index; ++it)
    ++index;
  memory_.emplace(index, std::move(memory));
  return make_handle(card::gpu_id, index);
}

namespace {
// The page that the address is in is the first one, as hmm_range_fault() has it.
int make_userptr(std::uint64_t address, std::uint64_t size, std::shared_ptr<BufferObject>& bo) {
  const std::uint64_t begin = address & ~(kfd_limits::page_size - 1);
  if (address + (size - 1) < address)
    return -EOVERFLOW; // mmu_interval_notifier_insert()
  if (const int error = pin_user_pages(begin, size, true))
    return error;
  std::shared_ptr<BufferObject> made;
  if (const int error = BufferObject::create_userptr(reinterpret_cast<void*>(begin), size, made))
    return error;
  userptr::watch(made, true);
  user_bytes += size;
  bo = std::shared_ptr<BufferObject>(made.get(), [made, size](BufferObject*) mutable {
    made.reset();
    release_user_memory(size);
  });
  return 0;
}
} // namespace

int KfdProcess::make_memory_locked(const kfd_ioctl_alloc_memory_of_gpu_args& args, Memory& memory) {
  const std::uint32_t flags = args.flags;
  memory.va = args.va_addr;
  memory.flags = flags;
  memory.aql_queue = flags & ALLOC_MEM_FLAGS_AQL_QUEUE_MEM;
  const std::uint64_t size = kfd_limits::page_align(memory.aql_queue ? args.size >> 1 : args.size);
  if (size == 0)
    return -EINVAL;

  constexpr std::uint32_t video_or_gtt = ALLOC_MEM_FLAGS_VRAM | ALLOC_MEM_FLAGS_GTT;
  const bool userptr = !(flags & video_or_gtt) && flags & ALLOC_MEM_FLAGS_USERPTR;
  if (userptr && !args.mmap_offset)
    return -EINVAL;
  if (!within_limits(size, flags))
    return -ENOMEM;
  if (flags & video_or_gtt)
    return BufferObject::create(size, 0, flags & ALLOC_MEM_FLAGS_VRAM ? domain_vram : domain_gtt,
                                creation_flags(flags), memory.bo);
  if (userptr)
    return make_userptr(args.mmap_offset, size, memory.bo);
  if (args.size > UINT_MAX)
    return -EINVAL;
  if (flags & ALLOC_MEM_FLAGS_DOORBELL)
    memory.bo = doorbells_;
  else if (flags & ALLOC_MEM_FLAGS_MMIO_REMAP)
    memory.bo = mmio_;
  return memory.bo ? 0 : -EINVAL;
}

int KfdProcess::alloc_memory(kfd_ioctl_alloc_memory_of_gpu_args& args) {
  if (args.size == 0)
    return -EINVAL;
  if (settings::shared_virtual_memory()) { // neither the address nor the memory may be SVM's
    const bool no_address = args.va_addr == 0 && args.flags & ALLOC_MEM_FLAGS_VRAM;
    if ((!no_address && svm_.overlaps(args.va_addr, args.va_addr + args.size - 1)) ||
        (args.flags & ALLOC_MEM_FLAGS_USERPTR &&
         svm_.overlaps(args.mmap_offset, args.mmap_offset + args.size - 1)))
      return -EADDRINUSE;
  }
  std::scoped_lock lock(mutex_);
  if (!is_gpu(args.gpu_id))
    return -EINVAL;
  if (const int error = bound_locked())
    return error;
  if (args.flags & ALLOC_MEM_FLAGS_DOORBELL) {
    if (args.size != kfd_limits::doorbell_slice)
      return -EINVAL;
    if (ensure_doorbells_locked())
      return -ENOMEM;
  } else if (args.flags & ALLOC_MEM_FLAGS_MMIO_REMAP) {
    if (args.size != kfd_limits::page_size)
      return -EINVAL;
    if (ensure_mmio_locked())
      return -ENOMEM;
  }
  auto memory = std::make_unique<Memory>();
  if (const int error = make_memory_locked(args, *memory))
    return error;
  BufferObject& bo = *memory->bo;
  if (!bo.is_userptr())
    bo.meta().kfd_flags = args.flags;
  bo.allow_mmap(mmap_key_);
  args.mmap_offset = bo.mmap_offset();
  if (args.flags & ALLOC_MEM_FLAGS_MMIO_REMAP)
    args.mmap_offset = KFD_MMAP_TYPE_MMIO | mmap_gpu_id(args.gpu_id);
  args.handle = insert_locked(std::move(memory));
  return 0;
}

int KfdProcess::free_memory(kfd_ioctl_free_memory_of_gpu_args& args) {
  std::unique_ptr<Memory> freed; // destroyed without the lock
  std::scoped_lock lock(mutex_);
  if (has_signal_handle_ && signal_handle_ == args.handle)
    return -EPERM;
  Memory* memory = memory_locked(args.handle);
  if (!memory)
    return -EINVAL;
  if (memory->mapped)
    return -EBUSY;
  memory->bo->revoke_mmap(mmap_key_);
  if (memory->bo->is_userptr()) // amdgpu_hmm_unregister: whoever still looks at it, it is watched no more
    userptr::forget(*memory->bo);
  if (memory->attached) // kfd_mem_detach
    for (unsigned i = 0; i < memory->mappings(); ++i)
      vm_->detach(*memory->bo);
  auto it = memory_.find(handle_index(args.handle));
  freed = std::move(it->second);
  memory_.erase(it);
  return 0;
}

// Where the second half finds no place, the first stays mapped.
int KfdProcess::map_locked(Memory& memory) {
  if (!memory.va)
    return -EINVAL;
  if (!std::exchange(memory.attached, true)) // kfd_mem_attach
    for (unsigned i = 0; i < memory.mappings(); ++i)
      vm_->attach(*memory.bo);
  const memory::Permissions permissions{.writable = (memory.flags & ALLOC_MEM_FLAGS_WRITABLE) != 0,
                                        .executable = (memory.flags & ALLOC_MEM_FLAGS_EXECUTABLE) != 0};
  const std::uint64_t size = memory.bo->size();
  for (; memory.mapped < memory.mappings(); ++memory.mapped)
    if (const int error = vm_->map(memory.bo, 0, memory.va + memory.mapped * size, size, permissions))
      return error;
  return 0;
}

bool KfdProcess::in_use_by_queue_locked(const BufferObject& bo) const {
  return std::any_of(queues_.begin(), queues_.end(), [&](const auto& entry) {
    const Queue& q = entry.second;
    return q.wptr.get() == &bo || q.rptr.get() == &bo || q.ring.get() == &bo || q.eop.get() == &bo ||
           q.cwsr.get() == &bo;
  });
}

int KfdProcess::unmap_locked(Memory& memory) {
  if (!memory.mapped)
    return -EINVAL;
  if (in_use_by_queue_locked(*memory.bo))
    return -EBUSY;
  for (; memory.mapped > 0; --memory.mapped)
    vm_->unmap(*memory.bo, memory.va + (memory.mapped - 1) * memory.bo->size());
  return 0;
}

namespace {
// The array of device ids that MAP and UNMAP take.
template <class Args>
int read_devices(const Args& args, std::vector<std::uint32_t>& devices) {
  if (args.n_devices == 0 || args.n_success > args.n_devices)
    return -EINVAL;
  if (args.n_devices > kfd_limits::max_kernel_allocation / sizeof devices[0])
    return -ENOMEM;
  devices.resize(args.n_devices);
  return copy_from_user(devices.data(), args.device_ids_array_ptr, devices.size() * sizeof devices[0])
             ? 0
             : -EFAULT;
}
} // namespace

int KfdProcess::map_memory(kfd_ioctl_map_memory_to_gpu_args& args) {
  std::vector<std::uint32_t> devices;
  if (const int error = read_devices(args, devices))
    return error;
  std::scoped_lock lock(mutex_);
  if (!is_gpu(handle_gpu_id(args.handle)))
    return -EINVAL;
  if (const int error = bound_locked())
    return error;
  Memory* memory = memory_locked(args.handle);
  if (!memory)
    return -ENOMEM;
  for (std::uint32_t i = args.n_success; i < args.n_devices; ++i) {
    if (!is_gpu(devices[i]))
      return -EINVAL;
    if (const int error = map_locked(*memory))
      return error;
    args.n_success = i + 1;
  }
  return 0;
}

int KfdProcess::unmap_memory(kfd_ioctl_unmap_memory_from_gpu_args& args) {
  std::vector<std::uint32_t> devices;
  if (const int error = read_devices(args, devices))
    return error;
  std::scoped_lock lock(mutex_);
  if (!is_gpu(handle_gpu_id(args.handle)))
    return -EINVAL;
  Memory* memory = memory_locked(args.handle);
  if (!memory)
    return -ENOMEM;
  for (std::uint32_t i = args.n_success; i < args.n_devices; ++i) {
    if (!is_gpu(devices[i]))
      return -EINVAL;
    if (const int error = unmap_locked(*memory))
      return error;
    args.n_success = i + 1;
  }
  return 0;
}

int KfdProcess::get_dmabuf_info(kfd_ioctl_get_dmabuf_info_args& args) {
  std::shared_ptr<BufferObject> bo;
  if (const int error = BufferObject::import_fd(static_cast<int>(args.dmabuf_fd), bo))
    return error;
  if (!(bo->domains() & (domain_vram | domain_gtt)))
    return -EINVAL;
  args.size = bo->size();

  BufferMetadata& meta = bo->meta();
  std::uint32_t words[BufferMetadata::umd_words];
  std::uint32_t size = 0;
  {
    PidLock lock(meta.lock);
    size = meta.umd_size;
    std::memcpy(words, meta.umd, sizeof words);
  }
  const std::uint32_t room = args.metadata_size;
  args.metadata_size = size;
  if (size > room)
    return -EINVAL;

  args.gpu_id = card::gpu_id;
  args.flags = bo->domains() & domain_vram ? ALLOC_MEM_FLAGS_VRAM : ALLOC_MEM_FLAGS_GTT;
  if (bo->flags() & gem_create_cpu_access_required)
    args.flags |= ALLOC_MEM_FLAGS_PUBLIC;
  if (args.metadata_ptr && !copy_to_user(args.metadata_ptr, words, size))
    return -EFAULT;
  return 0;
}

int KfdProcess::import_dmabuf(kfd_ioctl_import_dmabuf_args& args) {
  std::scoped_lock lock(mutex_);
  if (!is_gpu(args.gpu_id))
    return -EINVAL;
  if (const int error = bound_locked())
    return error;
  auto memory = std::make_unique<Memory>();
  if (const int error = BufferObject::import_fd(static_cast<int>(args.dmabuf_fd), memory->bo))
    return error;
  if (!(memory->bo->domains() & (domain_vram | domain_gtt)))
    return -EINVAL;
  memory->va = args.va_addr;
  memory->flags = (memory->bo->domains() & domain_vram ? ALLOC_MEM_FLAGS_VRAM : ALLOC_MEM_FLAGS_GTT) |
                  ALLOC_MEM_FLAGS_WRITABLE | ALLOC_MEM_FLAGS_EXECUTABLE;
  memory->bo->allow_mmap(mmap_key_);
  args.handle = insert_locked(std::move(memory));
  return 0;
}

int KfdProcess::export_dmabuf(kfd_ioctl_export_dmabuf_args& args) {
  std::scoped_lock lock(mutex_);
  Memory* memory = memory_locked(args.handle);
  if (!memory)
    return -EINVAL;
  if (memory->flags & (ALLOC_MEM_FLAGS_DOORBELL | ALLOC_MEM_FLAGS_MMIO_REMAP))
    return -EINVAL;
  if (memory->bo->is_userptr())
    return -EPERM;
  const int access = memory->flags & ALLOC_MEM_FLAGS_WRITABLE ? O_RDWR : O_RDONLY;
  const int fd = memory->bo->export_fd((static_cast<int>(args.flags) & O_CLOEXEC) | access);
  if (fd < 0)
    return fd;
  args.dmabuf_fd = static_cast<std::uint32_t>(fd);
  return 0;
}

int KfdProcess::available_memory(kfd_ioctl_get_available_memory_args& args) {
  if (!is_gpu(args.gpu_id))
    return -EINVAL;
  const std::uint64_t taken = total_vram_blocks_usage() + kfd_limits::reserved_vram + kfd_limits::pinned_vram;
  const std::uint64_t size = settings::vram_size();
  args.available = taken >= size ? 0 : (size - taken) & ~(vram_block - 1);
  return 0;
}

std::optional<std::uint64_t> KfdProcess::address_of(const BufferObject& bo, std::uint64_t offset) {
  std::scoped_lock lock(mutex_);
  return vm_ ? vm_->address_of(bo, offset) : std::nullopt;
}

} // namespace emu::kernel
