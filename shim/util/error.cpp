#include <util/error.hpp>

#include <cerrno>
#include <cstring>

namespace shim::util {

namespace {

struct Row {
  int err;
  CUresult code;
};

// Errnos that are not listed mean that the driver below failed in a way that the caller did not cause.
constexpr Row errno_table[] = {
    {ENOMEM, CUDA_ERROR_OUT_OF_MEMORY},    {ENOSPC, CUDA_ERROR_OUT_OF_MEMORY},
    {EINVAL, CUDA_ERROR_INVALID_VALUE},    {EFAULT, CUDA_ERROR_INVALID_VALUE},
    {ERANGE, CUDA_ERROR_INVALID_VALUE},    {ENODEV, CUDA_ERROR_NO_DEVICE},
    {ENXIO, CUDA_ERROR_NO_DEVICE},         {EACCES, CUDA_ERROR_NOT_PERMITTED},
    {EPERM, CUDA_ERROR_NOT_PERMITTED},     {EOPNOTSUPP, CUDA_ERROR_NOT_SUPPORTED},
    {ENOTTY, CUDA_ERROR_NOT_SUPPORTED},    {ENOSYS, CUDA_ERROR_NOT_SUPPORTED},
    {EBADF, CUDA_ERROR_OPERATING_SYSTEM},  {EMFILE, CUDA_ERROR_OPERATING_SYSTEM},
    {ENFILE, CUDA_ERROR_OPERATING_SYSTEM}, {EIO, CUDA_ERROR_LAUNCH_FAILED},
};

} // namespace

CUresult result_from_errno(int err) {
  for (const Row& row : errno_table)
    if (row.err == err)
      return row.code;
  return CUDA_ERROR_UNKNOWN;
}

Error fail_errno(const char* what, int err) {
  return fail(result_from_errno(err), "{}: {}", what, std::strerror(err));
}

} // namespace shim::util
