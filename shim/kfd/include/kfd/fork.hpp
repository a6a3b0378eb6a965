// After fork() the child has neither the parent's KFD process nor its threads: ioctls on inherited fds fail
// and mappings are gone (MADV_DONTFORK). Everything in shim/kfd then fails with CUDA_ERROR_NOT_INITIALIZED
// and every destructor releases nothing.
#pragma once

namespace shim::kfd {

// True in a process that was forked from the one that opened /dev/kfd. One load, cheap enough for every entry
// point.
bool in_forked_child();

} // namespace shim::kfd
