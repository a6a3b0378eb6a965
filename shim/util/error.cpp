#include <util/error.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>

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

// Answers that a program asks for, or can be wrong about without harm, and that say all by themselves. Every
// other code is an error: its reason is not in the code, and whoever runs the program wants to know it.
constexpr CUresult expected_answers[] = {
    // What it gave us was nothing of ours: libraries probe pointers, handles and limits in this way.
    CUDA_ERROR_INVALID_VALUE,
    CUDA_ERROR_INVALID_HANDLE,
    CUDA_ERROR_INVALID_CONTEXT,
    CUDA_ERROR_INVALID_DEVICE,
    CUDA_ERROR_CONTEXT_IS_DESTROYED,
    CUDA_ERROR_UNSUPPORTED_LIMIT,
    // It looked for something by name.
    CUDA_ERROR_NOT_FOUND,
    CUDA_ERROR_FILE_NOT_FOUND,
    // The state is not what it may have hoped.
    CUDA_ERROR_NOT_READY,
    CUDA_ERROR_ALREADY_MAPPED,
    CUDA_ERROR_ALREADY_ACQUIRED,
    CUDA_ERROR_NOT_MAPPED,
    CUDA_ERROR_NOT_MAPPED_AS_ARRAY,
    CUDA_ERROR_NOT_MAPPED_AS_POINTER,
    CUDA_ERROR_CONTEXT_ALREADY_CURRENT,
    CUDA_ERROR_CONTEXT_ALREADY_IN_USE,
    CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE,
    CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED,
    CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED,
    // It asked whether devices are peers.
    CUDA_ERROR_PEER_ACCESS_UNSUPPORTED,
    CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED,
    CUDA_ERROR_PEER_ACCESS_NOT_ENABLED,
    // It called too early, too late (destructors do, at exit), or from a host function.
    CUDA_ERROR_NOT_INITIALIZED,
    CUDA_ERROR_DEINITIALIZED,
    CUDA_ERROR_NOT_PERMITTED,
};

} // namespace

LogLevel level_of(CUresult code) {
  return std::find(std::begin(expected_answers), std::end(expected_answers), code) !=
                 std::end(expected_answers)
             ? LogLevel::info
             : LogLevel::error;
}

CUresult result_from_errno(int err) {
  for (const Row& row : errno_table)
    if (row.err == err)
      return row.code;
  return CUDA_ERROR_UNKNOWN;
}

Error fail_errno(const char* what, int err) {
  return fail_at(LogLevel::error, result_from_errno(err), "{}: {}", what, std::strerror(err));
}

} // namespace shim::util
