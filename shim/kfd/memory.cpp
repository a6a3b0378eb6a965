// Allocation, registration and import of GPU memory.

#include <cerrno>
#include <cstring>
#include <sys/mman.h>

#include <kfd/device.hpp>
#include <kfd/fork.hpp>

#include "address_range.hpp"
#include "device_state.hpp"
#include "ioctl.hpp"

namespace shim::kfd {

util::Mapping reserve_addresses(std::uint64_t size, std::uint64_t alignment) {
  std::uint64_t slack = alignment > page_bytes ? alignment : 0;
  if (size + slack < size)
    return {};
  void* base = ::mmap(nullptr, size + slack, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED)
    return {};
  auto begin = reinterpret_cast<std::uint64_t>(base);
  std::uint64_t aligned = round_up(begin, alignment);
  if (aligned != begin)
    ::munmap(base, aligned - begin);
  if (std::uint64_t tail = begin + slack - aligned)
    ::munmap(reinterpret_cast<void*>(aligned + size), tail);
  return {reinterpret_cast<void*>(aligned), size};
}

namespace {

std::uint32_t allocation_flags(MemoryKind kind, const AllocationFlags& flags) {
  std::uint32_t bits = KFD_IOC_ALLOC_MEM_FLAGS_WRITABLE | KFD_IOC_ALLOC_MEM_FLAGS_NO_SUBSTITUTE;
  if (flags.executable)
    bits |= KFD_IOC_ALLOC_MEM_FLAGS_EXECUTABLE;
  if (kind == MemoryKind::vram) {
    bits |= KFD_IOC_ALLOC_MEM_FLAGS_VRAM;
    if (flags.host_access)
      bits |= KFD_IOC_ALLOC_MEM_FLAGS_PUBLIC;
  } else {
    bits |= KFD_IOC_ALLOC_MEM_FLAGS_GTT | KFD_IOC_ALLOC_MEM_FLAGS_COHERENT;
  }
  if (flags.uncached)
    bits |= KFD_IOC_ALLOC_MEM_FLAGS_COHERENT | KFD_IOC_ALLOC_MEM_FLAGS_UNCACHED;
  return bits;
}

Error not_usable() {
  return fail(CUDA_ERROR_NOT_INITIALIZED, "this process was forked from the one that opened the device");
}

} // namespace

// Undone by the buffer's destructor at whatever point it fails.
Result<void> Device::map_to_gpu(Buffer& buffer) {
  kfd_ioctl_map_memory_to_gpu_args map{};
  map.handle = buffer.handle_;
  map.device_ids_array_ptr = reinterpret_cast<std::uint64_t>(&node_.gpu_id);
  map.n_devices = 1;
  Result<void> mapped = call_ioctl(process_->kfd_fd(), requests::map_memory, map);
  buffer.gpu_mapped_ = mapped.ok();
  return mapped;
}

Result<void> Device::map_for_cpu(Buffer& buffer, std::uint64_t mmap_offset) {
  if (!render_.intact()) // another file would be mapped
    return lost_descriptor("mmap of GPU memory");
  void* wanted = reinterpret_cast<void*>(buffer.address_);
  void* mapped = ::mmap(wanted, buffer.size_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, render_.get(),
                        static_cast<off_t>(mmap_offset));
  if (mapped == MAP_FAILED)
    return fail_errno("mmap of GPU memory", errno);
  ::madvise(mapped, buffer.size_, MADV_DONTFORK);
  buffer.cpu_ = mapped;
  return {};
}

Result<Buffer> Device::allocate(MemoryKind kind, std::uint64_t size, AllocationFlags flags) {
  if (in_forked_child())
    return not_usable();
  if (kind != MemoryKind::vram && kind != MemoryKind::gtt)
    return fail(CUDA_ERROR_INVALID_VALUE, "only VRAM and GTT are allocated");
  if (size == 0 || size > gpuvm_limit_)
    return fail(size ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_INVALID_VALUE, "allocation of {} bytes", size);
  if (kind == MemoryKind::vram && flags.host_access && !node_.large_bar())
    return fail(CUDA_ERROR_NOT_SUPPORTED, "CPU access to VRAM needs a large BAR");
  size = round_up(size, page_bytes);
  util::Mapping range = reserve_addresses(size, flags.alignment ? flags.alignment : natural_alignment(size));
  if (!range.valid())
    return fail(CUDA_ERROR_OUT_OF_MEMORY, "no {} bytes of address space left", size);

  kfd_ioctl_alloc_memory_of_gpu_args args{};
  args.va_addr = reinterpret_cast<std::uint64_t>(range.data());
  args.size = size;
  args.gpu_id = node_.gpu_id;
  args.flags = allocation_flags(kind, flags);
  if (Result<void> allocated = call_ioctl(process_->kfd_fd(), requests::alloc_memory, args); !allocated)
    return allocated.error();

  Buffer buffer;
  buffer.device_ = this;
  buffer.handle_ = args.handle;
  buffer.kind_ = kind;
  buffer.size_ = size;
  buffer.address_ = reinterpret_cast<std::uint64_t>(range.release());
  if (Result<void> mapped = map_to_gpu(buffer); !mapped)
    return mapped.error();
  if (kind == MemoryKind::gtt || flags.host_access)
    if (Result<void> mapped = map_for_cpu(buffer, args.mmap_offset); !mapped)
      return mapped.error();
  return buffer;
}

Result<Buffer> Device::register_host(void* pointer, std::uint64_t size, bool read_only) {
  if (in_forked_child())
    return not_usable();
  auto begin = reinterpret_cast<std::uint64_t>(pointer);
  if (!begin || size == 0 || begin + size < begin)
    return fail(CUDA_ERROR_INVALID_VALUE, "registration of {} bytes at {}", size, fmt::ptr(pointer));
  std::uint64_t first_page = begin & ~(page_bytes - 1);

  kfd_ioctl_alloc_memory_of_gpu_args args{};
  args.va_addr = first_page;
  args.size = round_up(begin + size - first_page, page_bytes);
  args.mmap_offset = first_page;
  args.gpu_id = node_.gpu_id;
  args.flags = KFD_IOC_ALLOC_MEM_FLAGS_USERPTR | KFD_IOC_ALLOC_MEM_FLAGS_NO_SUBSTITUTE |
               KFD_IOC_ALLOC_MEM_FLAGS_COHERENT | (read_only ? 0 : KFD_IOC_ALLOC_MEM_FLAGS_WRITABLE);
  if (int err = try_ioctl(process_->kfd_fd(), requests::alloc_memory, args)) {
    if (err == EPERM || err == EFAULT) // what hmm_range_fault says of memory that cannot be written, or read
      return fail(CUDA_ERROR_INVALID_VALUE, "registration of {} bytes at {}: no such memory", size,
                  fmt::ptr(pointer));
    return ioctl_error(requests::alloc_memory.name, err);
  }

  Buffer buffer;
  buffer.device_ = this;
  buffer.handle_ = args.handle;
  buffer.kind_ = MemoryKind::userptr;
  buffer.address_ = first_page;
  buffer.size_ = args.size;
  buffer.cpu_ = reinterpret_cast<void*>(first_page);
  if (Result<void> mapped = map_to_gpu(buffer); !mapped)
    return mapped.error();
  return buffer;
}

Buffer::~Buffer() {
  if (device_)
    device_->release(*this);
}

void Device::release(Buffer& buffer) {
  if (in_forked_child())
    return;
  if (buffer.gpu_mapped_) {
    kfd_ioctl_unmap_memory_from_gpu_args unmap{};
    unmap.handle = buffer.handle_;
    unmap.device_ids_array_ptr = reinterpret_cast<std::uint64_t>(&node_.gpu_id);
    unmap.n_devices = 1;
    if (Result<void> unmapped = call_ioctl(process_->kfd_fd(), requests::unmap_memory, unmap);
        !unmapped && !process_->kfd_.intact())
      return; // the kernel has it until the process ends, and so its addresses stay taken
  }
  kfd_ioctl_free_memory_of_gpu_args free{};
  free.handle = buffer.handle_;
  static_cast<void>(call_ioctl(process_->kfd_fd(), requests::free_memory, free));
  // Last, so that no other mapping can take addresses that the GPU still translates.
  if (buffer.kind_ != MemoryKind::userptr)
    ::munmap(reinterpret_cast<void*>(buffer.address_), buffer.size_);
}

Result<MemoryInfo> Device::memory_info() {
  kfd_ioctl_get_available_memory_args args{};
  args.gpu_id = node_.gpu_id;
  if (Result<void> queried = call_ioctl(process_->kfd_fd(), requests::available_memory, args); !queried)
    return queried.error();
  return MemoryInfo{args.available, node_.vram_bytes};
}

} // namespace shim::kfd
