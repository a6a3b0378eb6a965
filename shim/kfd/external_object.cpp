// Memory that somebody exported as a dma-buf.
//
// GEM handles of it are made on a drm file that has no part in KFD's VM: on the one that KFD acquired, Linux
// 6.1 takes KFD's mapping of the object away when a handle is closed (amdgpu_gem_object_close() finds the
// attachment that KFD made last, whichever the handle had counted). KFD's own EXPORT_DMABUF is no way to keep
// an object: in 6.12 two imports of one object share a GEM handle, which is gone when the first is freed.
#include <kfd/external_object.hpp>

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <span>

#include <fmt/format.h>
#include <kfd/device.hpp>
#include <kfd/fork.hpp>

#include "address_range.hpp"
#include "device_state.hpp"
#include "ioctl.hpp"

namespace shim::kfd {

namespace {

// umd_metadata is 64 words at most (struct drm_amdgpu_gem_metadata).
constexpr std::size_t metadata_words = 64;

// Of an ioctl that takes a descriptor of the program's.
Error not_memory(int fd, const char* ioctl, int err) {
  if (err == EBADFD || in_forked_child())
    return ioctl_error(ioctl, err);
  return fail(CUDA_ERROR_UNKNOWN, "fd {} is not memory of an AMD GPU: {}: {}", fd, ioctl, std::strerror(err));
}

// The size and KFD's part of the metadata.
Result<kfd_ioctl_get_dmabuf_info_args> query_dmabuf(int kfd, int fd, std::span<std::uint32_t> metadata) {
  kfd_ioctl_get_dmabuf_info_args args{};
  args.dmabuf_fd = static_cast<std::uint32_t>(fd);
  args.metadata_ptr = reinterpret_cast<std::uint64_t>(metadata.data());
  args.metadata_size = static_cast<std::uint32_t>(metadata.size_bytes());
  if (int err = try_ioctl(kfd, requests::get_dmabuf_info, args))
    return not_memory(fd, requests::get_dmabuf_info.name, err);
  return args;
}

} // namespace

Result<void> GemHandles::open_locked(std::uint32_t render_minor) {
  if (file_.valid())
    return {};
  std::string path = fmt::format("/dev/dri/renderD{}", render_minor);
  file_ = util::keep_high(util::Fd(::open(path.c_str(), O_RDWR | O_CLOEXEC)));
  if (!file_.valid())
    return fail_errno(path.c_str(), errno);
  return {};
}

Result<std::uint32_t> GemHandles::acquire(std::uint32_t render_minor, int dmabuf) {
  std::lock_guard lock(mutex_);
  if (Result<void> opened = open_locked(render_minor); !opened)
    return opened.error();
  drm_prime_handle prime{};
  prime.fd = dmabuf;
  if (int err = try_ioctl(file_.get(), requests::prime_fd_to_handle, prime))
    return not_memory(dmabuf, requests::prime_fd_to_handle.name, err);
  ++references_[prime.handle];
  return prime.handle;
}

void GemHandles::release(std::uint32_t handle) {
  std::lock_guard lock(mutex_);
  auto it = references_.find(handle);
  if (it == references_.end() || --it->second > 0)
    return;
  references_.erase(it);
  drm_gem_close close{};
  close.handle = handle;
  static_cast<void>(try_ioctl(file_.get(), requests::gem_close, close));
}

Result<std::uint64_t> GemHandles::tiling_info(std::uint32_t handle) {
  drm_amdgpu_gem_metadata gem{};
  gem.handle = handle;
  gem.op = AMDGPU_GEM_METADATA_OP_GET_METADATA;
  if (Result<void> queried = call_ioctl(file_.get(), requests::gem_metadata, gem); !queried)
    return queried.error();
  return gem.data.tiling_info;
}

Result<util::Fd> GemHandles::export_dmabuf(std::uint32_t handle) {
  drm_prime_handle prime{};
  prime.handle = handle;
  prime.flags = DRM_CLOEXEC | DRM_RDWR;
  if (Result<void> exported = call_ioctl(file_.get(), requests::prime_handle_to_fd, prime); !exported)
    return exported.error();
  return util::Fd(prime.fd);
}

ExternalObject::~ExternalObject() {
  if (device_ && !in_forked_child())
    device_->state_->gem.release(handle_);
}

Result<ExternalObject> Device::hold_dmabuf(int fd) {
  std::vector<std::uint32_t> metadata(metadata_words);
  Result<kfd_ioctl_get_dmabuf_info_args> args = query_dmabuf(process_->kfd_fd(), fd, metadata);
  if (!args)
    return args.error();
  ExternalObject object;
  object.info_.size = args->size;
  object.info_.kind = args->flags & KFD_IOC_ALLOC_MEM_FLAGS_VRAM ? MemoryKind::vram : MemoryKind::gtt;
  object.info_.host_visible =
      object.info_.kind == MemoryKind::gtt || (args->flags & KFD_IOC_ALLOC_MEM_FLAGS_PUBLIC);
  metadata.resize(std::min<std::size_t>(metadata_words, args->metadata_size / sizeof(std::uint32_t)));
  object.info_.metadata = std::move(metadata);

  Result<std::uint32_t> handle = state_->gem.acquire(node_.drm_render_minor, fd);
  if (!handle)
    return handle.error();
  object.device_ = this;
  object.handle_ = *handle;
  Result<std::uint64_t> tiling = state_->gem.tiling_info(*handle);
  if (!tiling)
    return tiling.error();
  object.info_.tiling_info = *tiling;
  return object;
}

Result<Buffer> Device::map_object(const ExternalObject& object) {
  Result<util::Fd> fd = state_->gem.export_dmabuf(object.handle_);
  if (!fd)
    return fd.error();
  return import_dmabuf(fd->get(), object.info().size);
}

Result<Buffer> Device::import_dmabuf(int fd) {
  std::uint32_t metadata[metadata_words];
  Result<kfd_ioctl_get_dmabuf_info_args> info = query_dmabuf(process_->kfd_fd(), fd, metadata);
  if (!info)
    return info.error();
  return import_dmabuf(fd, info->size);
}

Result<Buffer> Device::import_dmabuf(int fd, std::uint64_t object_size) {
  std::uint64_t size = round_up(object_size, page_bytes);
  util::Mapping range = reserve_addresses(size, natural_alignment(size));
  if (!range.valid())
    return fail(CUDA_ERROR_OUT_OF_MEMORY, "no {} bytes of address space left", size);
  kfd_ioctl_import_dmabuf_args args{};
  args.va_addr = reinterpret_cast<std::uint64_t>(range.data());
  args.gpu_id = node_.gpu_id;
  args.dmabuf_fd = static_cast<std::uint32_t>(fd);
  if (Result<void> imported = call_ioctl(process_->kfd_fd(), requests::import_dmabuf, args); !imported)
    return imported.error();

  Buffer buffer;
  buffer.device_ = this;
  buffer.handle_ = args.handle;
  buffer.kind_ = MemoryKind::imported;
  buffer.size_ = size;
  buffer.address_ = reinterpret_cast<std::uint64_t>(range.release());
  if (Result<void> mapped = map_to_gpu(buffer); !mapped)
    return mapped.error();
  return buffer;
}

} // namespace shim::kfd
