#include "programs.h"

#define KERNEL(number, name)                                                                                           \
  kernel void run_##name(global u32* out, global const u32* in) {                                                      \
    const u32 i = __builtin_amdgcn_workgroup_id_x() * 64 + __builtin_amdgcn_workitem_id_x();                           \
    out[i] = name(in[2 * i], in[2 * i + 1]);                                                                           \
  }
PROGRAMS(KERNEL)
