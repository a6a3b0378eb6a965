#include "generated_programs.h"

#define KERNEL(number)                                                                                                 \
  kernel void run_##number(global u32* out, global const u32* in, global u32* memory) {                                \
    local u32 shared[64 * 8];                                                                                          \
    const u32 lane = __builtin_amdgcn_workitem_id_x(), i = __builtin_amdgcn_workgroup_id_x() * 64 + lane;              \
    for (u32 word = 0; word < 8; ++word)                                                                               \
      shared[lane * 8 + word] = in[2 * i] + word;                                                                      \
    out[i] = program_##number(in[2 * i], in[2 * i + 1], memory + i * 16, shared + lane * 8);                           \
  }
PROGRAMS(KERNEL)
