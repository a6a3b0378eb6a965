// CUDA C++ without the CUDA toolkit's headers: clang knows the language, these lines stand in for the rest.
#include "shade.hpp"

extern "C" __attribute__((global)) void shade(const float* height, unsigned* rgba, unsigned size) {
  const unsigned x = __nvvm_read_ptx_sreg_ctaid_x() * __nvvm_read_ptx_sreg_ntid_x() + __nvvm_read_ptx_sreg_tid_x();
  const unsigned y = __nvvm_read_ptx_sreg_ctaid_y() * __nvvm_read_ptx_sreg_ntid_y() + __nvvm_read_ptx_sreg_tid_y();
  if (x < size && y < size)
    rgba[y * size + x] = waves::shade(height, size, x, y);
}
