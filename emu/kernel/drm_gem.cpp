// Buffers: GEM handles, PRIME, and AMDGPU_GEM_*, as drm_gem.c, drm_prime.c and amdgpu_gem.c of Linux 6.12
// answer them, and with what 7.2 refuses.
#include "drm_file.hpp"

#include "device.hpp"
#include "drm_reservation.hpp"
#include "pid_lock.hpp"
#include "process.hpp"
#include "real.hpp"
#include "user_array.hpp"
#include "user_memory.hpp"
#include "userptr.hpp"

#include <memory/access_section.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>

namespace emu::kernel {

namespace {

constexpr std::uint64_t gem_create_discardable = 1ull << 12; // AMDGPU_GEM_CREATE_DISCARDABLE
constexpr std::uint64_t gem_create_gfx12_dcc = 1ull << 16;   // AMDGPU_GEM_CREATE_GFX12_DCC
constexpr std::uint32_t vm_page_noalloc = 1u << 9;           // AMDGPU_VM_PAGE_NOALLOC

// amdgpu_vm.h
constexpr std::uint64_t va_reserved_bottom = 1ull << 16;
constexpr std::uint64_t va_reserved_top = (2ull << 20) + (2ull << 20) + (1ull << 16);
constexpr std::uint64_t gmc_hole_start = 0x0000'8000'0000'0000, gmc_hole_end = 0xffff'8000'0000'0000;
constexpr std::uint64_t gmc_hole_mask = 0x0000'ffff'ffff'ffff;

constexpr std::uint32_t normal_domains =
    AMDGPU_GEM_DOMAIN_CPU | AMDGPU_GEM_DOMAIN_GTT | AMDGPU_GEM_DOMAIN_VRAM;
constexpr std::uint32_t on_chip_domains =
    AMDGPU_GEM_DOMAIN_GDS | AMDGPU_GEM_DOMAIN_GWS | AMDGPU_GEM_DOMAIN_OA;
constexpr std::uint64_t mmap_space = 1ull
                                     << 40; // DRM_FILE_PAGE_OFFSET_SIZE pages: room for one buffer at most

constexpr std::uint64_t user_space_end = 0x7fff'ffff'f000; // TASK_SIZE_MAX on x86-64 with four levels

// access_ok()
bool in_user_space(std::uint64_t address, std::uint64_t size) {
  return size <= user_space_end && address <= user_space_end - size;
}

// amdgpu_gem_are_domains_valid: CPU, GTT and VRAM mix, and may all be absent; the others stand alone.
bool domains_valid(std::uint64_t domains) {
  if (domains & ~static_cast<std::uint64_t>(normal_domains | on_chip_domains))
    return false;
  const std::uint64_t special = domains & on_chip_domains;
  return special == 0 || ((domains & normal_domains) == 0 && (special & (special - 1)) == 0);
}

// amdgpu_bo_create: of on-chip memory every byte, barrier or slot counts a page. 0 where it overflows.
std::uint64_t size_in_bytes(std::uint64_t size, std::uint64_t domains) {
  const std::uint64_t page_mask = memory::page_size - 1;
  if (domains & AMDGPU_GEM_DOMAIN_GDS)
    return ((size + 3) & ~3ull) * memory::page_size;
  if (domains & on_chip_domains)
    return size * memory::page_size;
  return (size + page_mask) & ~page_mask;
}

} // namespace

std::shared_ptr<BufferObject> DrmFile::find_buffer(std::uint32_t handle) {
  std::lock_guard lock(gem_mutex_);
  auto it = buffers_.find(handle);
  return it == buffers_.end() ? nullptr : it->second;
}

bool DrmFile::has_handle_of(const BufferObject& bo) {
  std::lock_guard lock(gem_mutex_);
  return std::any_of(buffers_.begin(), buffers_.end(),
                     [&](const auto& entry) { return entry.second.get() == &bo; });
}

std::uint32_t DrmFile::add_handle_locked(std::shared_ptr<BufferObject> bo) {
  bo->allow_mmap(this);
  vm_->attach(*bo); // amdgpu_gem_object_open
  std::uint32_t handle = 1;
  for (auto it = buffers_.begin(); it != buffers_.end() && it->first == handle; ++it)
    ++handle;
  buffers_.emplace(handle, std::move(bo));
  return handle;
}

std::uint32_t DrmFile::new_handle(std::shared_ptr<BufferObject> bo) {
  std::lock_guard lock(gem_mutex_);
  return add_handle_locked(std::move(bo));
}

std::uint32_t DrmFile::handle_for(const std::shared_ptr<BufferObject>& bo) {
  std::lock_guard lock(gem_mutex_);
  std::vector<std::uint32_t>& known = prime_handles_[bo.get()];
  if (known.empty())
    known.push_back(add_handle_locked(bo));
  return known.front();
}

long DrmFile::gem_close(drm_gem_close& args) {
  std::shared_ptr<BufferObject> bo;
  bool last = true;
  Name name;
  {
    std::lock_guard lock(gem_mutex_);
    auto it = buffers_.find(args.handle);
    if (it == buffers_.end())
      return -EINVAL;
    bo = std::move(it->second);
    buffers_.erase(it);
    if (auto known = prime_handles_.find(bo.get()); known != prime_handles_.end())
      if (std::erase(known->second, args.handle); known->second.empty())
        prime_handles_.erase(known);
    for (const auto& [handle, other] : buffers_)
      last = last && other != bo;
    if (auto named = names_.find(bo.get()); last && named != names_.end()) {
      name = named->second;
      names_.erase(named);
    }
    if (last)
      userptr_flags_.erase(bo.get());
  }
  if (name.name != 0)
    forget_name(name);
  bo->revoke_mmap(this);
  retire([&](Vm::Batch batch) { // amdgpu_gem_object_close
    vm_->detach(*bo, batch);
    return 0;
  });
  return 0;
}

void DrmFile::forget_name(const Name& name) {
  Machine::get().forget_name(name.name, name.fd);
  fd_table::close_hidden(name.fd);
}

// The name is this file's: it goes with the file's last handle of the buffer. (In the kernel with
// everybody's.)
long DrmFile::gem_flink(drm_gem_flink& args) {
  std::lock_guard lock(gem_mutex_);
  auto it = buffers_.find(args.handle);
  if (it == buffers_.end())
    return -ENOENT;
  if (auto known = names_.find(it->second.get()); known != names_.end()) {
    args.name = known->second.name;
    return 0;
  }
  const int fd = it->second->is_userptr() ? -EINVAL : it->second->export_fd(DRM_CLOEXEC | DRM_RDWR);
  if (fd < 0) {
    complain("GEM_FLINK of the program's own memory is not emulated");
    return fd;
  }
  struct stat64 status;
  real::fstat(fd, status);
  fd_table::forget(fd);
  const int hidden = fd_table::hide(fd);
  if (hidden < 0)
    return hidden;
  const std::uint32_t name = Machine::get().name_buffer(hidden, status.st_dev, status.st_ino);
  if (name == 0) {
    fd_table::close_hidden(hidden);
    return -ENOSPC;
  }
  names_[it->second.get()] = {name, hidden};
  args.name = name;
  return 0;
}

long DrmFile::gem_open(drm_gem_open& args) {
  const std::optional<Machine::NamedBuffer> named = Machine::get().find_name(args.name);
  if (!named)
    return -ENOENT;
  char path[48];
  std::snprintf(path, sizeof path, "/proc/%u/fd/%d", named->pid, named->fd);
  const int fd = real::open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0)
    return -ENOENT;
  std::shared_ptr<BufferObject> bo;
  const int error = BufferObject::import_fd(fd, bo);
  real::close(fd);
  if (error < 0)
    return error;
  if (bo->flags() & AMDGPU_GEM_CREATE_VM_ALWAYS_VALID && !has_handle_of(*bo)) // another VM's
    return -EPERM;
  args.size = bo->size();
  args.handle = new_handle(std::move(bo)); // a new one every time
  return 0;
}

long DrmFile::prime_handle_to_fd(drm_prime_handle& args) {
  if (args.flags & ~static_cast<std::uint32_t>(DRM_CLOEXEC | DRM_RDWR))
    return -EINVAL;
  const std::shared_ptr<BufferObject> bo = find_buffer(args.handle);
  if (!bo)
    return -ENOENT;
  if (bo->is_userptr() || (bo->flags() & AMDGPU_GEM_CREATE_VM_ALWAYS_VALID))
    return -EPERM;
  const int fd = bo->export_fd(static_cast<int>(args.flags));
  if (fd < 0)
    return fd;
  args.fd = fd;
  std::lock_guard lock(gem_mutex_);
  if (auto it = buffers_.find(args.handle); it == buffers_.end() || it->second != bo)
    return 0; // closed meanwhile
  std::vector<std::uint32_t>& known = prime_handles_[bo.get()];
  if (std::find(known.begin(), known.end(), args.handle) == known.end())
    known.push_back(args.handle);
  return 0;
}

long DrmFile::prime_fd_to_handle(drm_prime_handle& args) {
  std::shared_ptr<BufferObject> bo;
  if (const int error = BufferObject::import_fd(args.fd, bo); error < 0)
    return error;
  args.handle = handle_for(bo);
  return 0;
}

long DrmFile::gem_create(drm_amdgpu_gem_create& args) {
  const drm_amdgpu_gem_create_in in = args.in;
  constexpr std::uint64_t known_flags = AMDGPU_GEM_CREATE_CPU_ACCESS_REQUIRED |
                                        AMDGPU_GEM_CREATE_NO_CPU_ACCESS | AMDGPU_GEM_CREATE_CPU_GTT_USWC |
                                        AMDGPU_GEM_CREATE_VRAM_CLEARED | AMDGPU_GEM_CREATE_VM_ALWAYS_VALID |
                                        AMDGPU_GEM_CREATE_EXPLICIT_SYNC | AMDGPU_GEM_CREATE_ENCRYPTED |
                                        gem_create_gfx12_dcc | gem_create_discardable;
  // No doorbells, and no TMZ (AMDGPU_GEM_CREATE_ENCRYPTED) on this card.
  if ((in.domain_flags & ~known_flags) || !domains_valid(in.domains) ||
      (in.domain_flags & AMDGPU_GEM_CREATE_ENCRYPTED))
    return -EINVAL;
  std::uint64_t flags =
      in.domain_flags | AMDGPU_GEM_CREATE_VRAM_CLEARED | AMDGPU_GEM_CREATE_VRAM_WIPE_ON_RELEASE;
  if (in.domains & on_chip_domains) {
    if (flags & AMDGPU_GEM_CREATE_VM_ALWAYS_VALID)
      return -EINVAL;
    flags |= AMDGPU_GEM_CREATE_NO_CPU_ACCESS;
  }
  flags &= ~static_cast<std::uint64_t>(AMDGPU_GEM_CREATE_CPU_ACCESS_REQUIRED); // a hint
  auto domains = static_cast<std::uint32_t>(in.domains);
  const std::uint64_t size = size_in_bytes(in.bo_size, domains);
  if (domains & (AMDGPU_GEM_DOMAIN_GTT | AMDGPU_GEM_DOMAIN_VRAM)) {
    // What no memory can hold is told apart first.
    const std::uint64_t most = domains == AMDGPU_GEM_DOMAIN_VRAM ? std::max(card::vram_size, gtt_size())
                               : domains & AMDGPU_GEM_DOMAIN_GTT ? gtt_size()
                                                                 : card::vram_size;
    if (size >= most)
      return -ENOMEM;
  }
  if (size == 0 || size > mmap_space)
    return -ENOSPC; // drm_vma_offset_add has no place for it
  std::shared_ptr<BufferObject> bo;
  int error = BufferObject::create(size, in.alignment, domains, flags, bo);
  if (error < 0 && domains == AMDGPU_GEM_DOMAIN_VRAM)
    error = BufferObject::create(size, in.alignment, domains | AMDGPU_GEM_DOMAIN_GTT, flags, bo);
  if (error < 0)
    return error;
  args = {};
  args.out.handle = new_handle(std::move(bo));
  return 0;
}

long DrmFile::gem_mmap(drm_amdgpu_gem_mmap& args) {
  const std::shared_ptr<BufferObject> bo = find_buffer(args.in.handle);
  args = {};
  if (!bo)
    return -ENOENT;
  if (bo->is_userptr() || (bo->flags() & AMDGPU_GEM_CREATE_NO_CPU_ACCESS))
    return -EPERM;
  args.out.addr_ptr = bo->mmap_offset();
  return 0;
}

long DrmFile::gem_wait_idle(drm_amdgpu_gem_wait_idle& args) {
  const std::shared_ptr<BufferObject> bo = find_buffer(args.in.handle);
  if (!bo)
    return -ENOENT;
  // amdgpu_gem_timeout: absolute; a negative one never comes.
  const auto timeout = static_cast<std::int64_t>(args.in.timeout);
  Payload fences = Reservation(*bo).pending(0);
  if (bo->flags() & AMDGPU_GEM_CREATE_VM_ALWAYS_VALID) {
    std::lock_guard lock(vm_state_->mutex);
    fences.insert(fences.end(), vm_state_->users.begin(), vm_state_->users.end());
  }
  const bool idle = Machine::get().wait(timeout < 0 ? Deadline::never() : Deadline{timeout},
                                        [&] { return payload::signaled(fences); });
  args = {};
  args.out.status = !idle;
  return 0;
}

long DrmFile::gem_metadata(drm_amdgpu_gem_metadata& args) {
  const std::shared_ptr<BufferObject> bo = find_buffer(args.handle);
  if (!bo)
    return -ENOENT;
  BufferMetadata& meta = bo->meta();
  static_assert(sizeof meta.umd == sizeof args.data.data);
  PidLock lock(meta.lock);
  if (args.op == AMDGPU_GEM_METADATA_OP_GET_METADATA) {
    args.data.tiling_info = meta.tiling_info;
    args.data.data_size_bytes = meta.umd_size;
    args.data.flags = meta.umd_flags;
    std::memcpy(args.data.data, meta.umd, meta.umd_size);
  } else if (args.op == AMDGPU_GEM_METADATA_OP_SET_METADATA) {
    if (args.data.data_size_bytes > sizeof args.data.data)
      return -EINVAL;
    meta.tiling_info = args.data.tiling_info;
    meta.umd_size = args.data.data_size_bytes;
    if (args.data.data_size_bytes)
      meta.umd_flags = args.data.flags;
    std::memcpy(meta.umd, args.data.data, args.data.data_size_bytes);
  }
  return 0;
}

// What a sparse (PRT) mapping without a buffer shows: zeros. Writes to it are dropped.
std::shared_ptr<BufferObject> DrmFile::unbound_memory() {
  // Of address space: nothing is ever written, so it takes no memory.
  constexpr std::size_t size = 64ull << 30;
  std::lock_guard lock(gem_mutex_);
  if (unbound_)
    return unbound_;
  void* zeros = real::mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  std::shared_ptr<BufferObject> upon_zeros;
  if (real::failed(zeros) || BufferObject::create_userptr(zeros, size, upon_zeros) < 0)
    return nullptr;
  unbound_ = std::shared_ptr<BufferObject>(upon_zeros.get(), [upon_zeros, zeros](BufferObject*) mutable {
    upon_zeros.reset();
    memory::unmap_behind_accesses(zeros, size);
  });
  return unbound_;
}

// 7.2's fences into and out of a mapping: those it refuses are refused; the others 6.12 does not look at.
int DrmFile::check_va_syncobjs(const uapi::drm_amdgpu_gem_va& args) {
  std::vector<std::uint32_t> handles;
  if (const int error =
          copy_array_from_user(handles, args.input_fence_syncobj_handles, args.num_syncobj_handles);
      error < 0)
    return error;
  for (std::uint32_t handle : handles) {
    Payload fence;
    if (handle == 0)
      return -EINVAL;
    if (const int error = syncobjs_.find_fence(handle, 0, 0, fence); error < 0)
      return error;
  }
  return args.vm_timeline_syncobj_out && !syncobjs_.find(args.vm_timeline_syncobj_out) ? -ENOENT : 0;
}

int DrmFile::map_va(const uapi::drm_amdgpu_gem_va& args, std::uint64_t va,
                    const std::shared_ptr<BufferObject>& bo) {
  memory::Permissions permissions;
  permissions.writable = args.flags & AMDGPU_VM_PAGE_WRITEABLE;
  permissions.executable = args.flags & AMDGPU_VM_PAGE_EXECUTABLE;
  permissions.drops_writes = args.flags & AMDGPU_VM_PAGE_PRT;
  return vm_->map(bo, args.offset_in_bo, va, args.map_size, permissions);
}

long DrmFile::gem_va(uapi::drm_amdgpu_gem_va& args) {
  constexpr std::uint32_t valid_flags = AMDGPU_VM_DELAY_UPDATE | AMDGPU_VM_PAGE_READABLE |
                                        AMDGPU_VM_PAGE_WRITEABLE | AMDGPU_VM_PAGE_EXECUTABLE |
                                        AMDGPU_VM_MTYPE_MASK | vm_page_noalloc;
  constexpr std::uint32_t prt_flags = AMDGPU_VM_DELAY_UPDATE | AMDGPU_VM_PAGE_PRT;
  if (args.va_address < va_reserved_bottom ||
      (args.va_address >= gmc_hole_start && args.va_address < gmc_hole_end))
    return -EINVAL;
  const std::uint64_t va = args.va_address & gmc_hole_mask;
  args.va_address = va;
  constexpr std::uint64_t end = card::va_size - va_reserved_top;
  if (args.map_size > end || va > end - args.map_size) // 6.12 lets an UNMAP pass whose range wraps around
    return -EINVAL;
  if ((args.flags & ~valid_flags) && (args.flags & ~prt_flags))
    return -EINVAL;
  if (args.operation < AMDGPU_VA_OP_MAP || args.operation > AMDGPU_VA_OP_REPLACE)
    return -EINVAL;
  if (args.flags & AMDGPU_VM_DELAY_UPDATE && args.vm_timeline_syncobj_out)
    return -EINVAL;

  std::shared_ptr<BufferObject> bo;
  if (args.operation != AMDGPU_VA_OP_CLEAR) {
    const bool sparse = args.flags & AMDGPU_VM_PAGE_PRT;
    bo = sparse ? unbound_memory() : find_buffer(args.handle);
    if (!bo)
      return sparse ? -ENOMEM : -ENOENT;
  }
  if (const int error = check_va_syncobjs(args); error < 0)
    return error;
  // The offset of a sparse mapping is checked, and means nothing.
  if (bo && args.flags & AMDGPU_VM_PAGE_PRT && args.operation != AMDGPU_VA_OP_UNMAP) {
    if (args.offset_in_bo % memory::page_size != 0 || args.offset_in_bo + args.map_size < args.map_size)
      return -EINVAL;
    args.offset_in_bo = 0;
  }
  switch (args.operation) {
  case AMDGPU_VA_OP_MAP:
    return map_va(args, va, bo);
  case AMDGPU_VA_OP_UNMAP:
    return retire([&](Vm::Batch batch) { return vm_->unmap(*bo, va & ~(memory::page_size - 1), batch); });
  case AMDGPU_VA_OP_CLEAR:
    return retire([&](Vm::Batch batch) { return vm_->clear(va, args.map_size, batch); });
  default: // AMDGPU_VA_OP_REPLACE
    if (args.offset_in_bo > bo->size() || args.map_size > bo->size() - args.offset_in_bo ||
        args.offset_in_bo % memory::page_size != 0)
      return -EINVAL;
    if (const int error = vm_->clear(va, args.map_size); error < 0)
      return error;
    return map_va(args, va, bo);
  }
}

long DrmFile::gem_op(uapi::drm_amdgpu_gem_op& args) {
  if (args.padding) // 7.2
    return -EINVAL;
  const std::shared_ptr<BufferObject> bo = find_buffer(args.handle);
  if (!bo)
    return -ENOENT;
  switch (args.op) {
  case AMDGPU_GEM_OP_GET_GEM_CREATE_INFO: {
    drm_amdgpu_gem_create_in info = {};
    info.bo_size = bo->size();
    info.alignment = (bo->meta().alignment + memory::page_size - 1) & ~(memory::page_size - 1);
    info.domains = bo->domains();
    info.domain_flags = bo->flags();
    return copy_to_user(args.value, &info, sizeof info) ? 0 : -EFAULT;
  }
  case AMDGPU_GEM_OP_SET_PLACEMENT:
    if (bo->is_userptr())
      return -EPERM;
    // Only a wish: where a buffer lives is not modelled.
    bo->meta().domains = args.value & normal_domains;
    return 0;
  default:
    return -EINVAL;
  }
}

long DrmFile::gem_userptr(drm_amdgpu_gem_userptr& args) {
  if ((args.addr | args.size) % memory::page_size != 0)
    return -EINVAL;
  if (!in_user_space(args.addr, args.size)) // 7.2
    return -EFAULT;
  if (args.flags & ~(AMDGPU_GEM_USERPTR_READONLY | AMDGPU_GEM_USERPTR_ANONONLY | AMDGPU_GEM_USERPTR_VALIDATE |
                     AMDGPU_GEM_USERPTR_REGISTER))
    return -EINVAL;
  if (!(args.flags & AMDGPU_GEM_USERPTR_READONLY) && !(args.flags & AMDGPU_GEM_USERPTR_REGISTER))
    return -EACCES;
  if (args.size == 0 || args.size > mmap_space)
    return -ENOSPC;
  if (args.flags & AMDGPU_GEM_USERPTR_VALIDATE)
    if (const int error = check_user_pages(args.addr, args.size, args.flags); error < 0)
      return error;
  std::shared_ptr<BufferObject> bo;
  if (const int error = BufferObject::create_userptr(reinterpret_cast<void*>(args.addr), args.size, bo);
      error < 0)
    return error;
  bo->meta().flags = AMDGPU_GEM_CREATE_VRAM_WIPE_ON_RELEASE; // amdgpu_gem_object_create
  {
    std::lock_guard lock(gem_mutex_);
    userptr_flags_[bo.get()] = args.flags;
  }
  const bool write = !(args.flags & AMDGPU_GEM_USERPTR_READONLY);
  userptr::watch(bo, write);
  bo->set_pages_gone(pin_user_pages(args.addr, args.size, write) != 0);
  args.handle = new_handle(std::move(bo));
  return 0;
}

} // namespace emu::kernel
