#include <core/link.hpp>

#include <cstring>
#include <vector>

#include <core/context.hpp>

namespace shim::core {

void Link::write_logs(const jit::Log& log) {
  write_log(log.errors, logs_.error_log, logs_.error_log_size);
  write_log(log.info, logs_.info_log, logs_.info_log_size);
}

Result<void> Link::add(const void* image, std::size_t size) {
  std::lock_guard lock(mutex_);
  if (complete_)
    return util::fail(CUDA_ERROR_INVALID_VALUE, "link: it is complete already");
  std::vector<char> bytes(size + 8); // ends with zeros
  std::memcpy(bytes.data(), image, size);
  std::string unpacked;
  Result<std::string_view> ptx = find_ptx(bytes.data(), unpacked);
  if (!ptx)
    return ptx.error();
  jit::Log log;
  Result<void> added = linker_.add(*ptx, log);
  if (!added)
    write_logs(log);
  return added;
}

Result<const std::string*> Link::complete() {
  std::lock_guard lock(mutex_);
  if (complete_)
    return util::fail(CUDA_ERROR_INVALID_HANDLE, "link: it is complete already");
  jit::Log log;
  Result<std::string> linked = linker_.link(log);
  if (!linked) {
    write_logs(log);
    return linked.error();
  }
  complete_ = true;
  linked_ = *std::move(linked);
  return &linked_;
}

} // namespace shim::core
