#include <core/shared_memory.hpp>

#include <cerrno>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

namespace shim::core {

namespace {

constexpr std::uint64_t page_bytes = 4096;

constexpr std::uint64_t whole_pages(std::uint64_t bytes) {
  return (bytes + page_bytes - 1) & ~(page_bytes - 1);
}

} // namespace

bool SharedMemory::is_behind(int fd) {
  struct stat status;
  return ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && ::fcntl(fd, F_GET_SEALS) >= 0;
}

Result<SharedMemory> SharedMemory::open(int fd, std::uint64_t size) {
  struct stat status;
  struct statfs system;
  if (::fstat(fd, &status) != 0 || ::fstatfs(fd, &system) != 0)
    return util::fail_errno("fstat of shared memory", errno);
  if (system.f_type == HUGETLBFS_MAGIC)
    return util::fail(CUDA_ERROR_NOT_SUPPORTED, "fd {}: shared memory of huge pages", fd);
  auto length = static_cast<std::uint64_t>(status.st_size);
  if (size > length)
    return util::fail(CUDA_ERROR_INVALID_VALUE, "fd {}: shared memory of {} bytes, imported as {}", fd,
                      length, size);
  void* mapped = ::mmap(nullptr, whole_pages(size), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED)
    return util::fail_errno("mmap of shared memory", errno);
  ::madvise(mapped, whole_pages(size), MADV_DONTFORK);
  return SharedMemory(util::Mapping(mapped, whole_pages(size)));
}

Result<std::shared_ptr<SharedMemory::View>> SharedMemory::map(kfd::Device& device, std::uint64_t offset,
                                                              std::uint64_t size) const {
  std::uint64_t in_page = offset & (page_bytes - 1);
  std::uint64_t length = whole_pages(in_page + size);
  // An old size of 0: the same pages once more, elsewhere.
  void* again =
      ::mremap(static_cast<std::byte*>(pages_.data()) + (offset - in_page), 0, length, MREMAP_MAYMOVE);
  if (again == MAP_FAILED)
    return util::fail_errno("mremap of shared memory", errno);
  auto view = std::make_shared<View>();
  view->pages = util::Mapping(again, length);
  Result<kfd::Buffer> buffer = device.register_host(again, length);
  if (!buffer)
    return buffer.error();
  view->buffer = *std::move(buffer);
  view->address = reinterpret_cast<std::uint64_t>(again) + in_page;
  return view;
}

} // namespace shim::core
