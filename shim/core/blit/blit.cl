// The kernels behind cuMemcpy* and cuMemset*: rectangles of bytes, at any alignment.
//
// One row of work-groups walks x in units of 16 bytes; y is the row, z the slice. Loads and stores of 16 bytes need no
// alignment on gfx9 and later (KFD runs queues in unaligned access mode).

typedef uint uint4_any __attribute__((ext_vector_type(4), aligned(1)));

#define GROUP_X 64
#define GROUP_Y 4

static inline ulong row_of(uint group) { return (ulong)group * GROUP_Y + __builtin_amdgcn_workitem_id_y(); }
static inline ulong unit_of(void) {
  return (ulong)__builtin_amdgcn_workgroup_id_x() * GROUP_X + __builtin_amdgcn_workitem_id_x();
}

__attribute__((reqd_work_group_size(GROUP_X, GROUP_Y, 1)))
__kernel void blit_copy(__global uchar* dst, __global const uchar* src, ulong dst_pitch, ulong src_pitch,
                        ulong dst_slice, ulong src_slice, ulong width, ulong height, uint groups_x, uint groups_y) {
  ulong units = width / 16;
  uint tail = (uint)(width % 16);
  ulong z = __builtin_amdgcn_workgroup_id_z();
  for (ulong y = row_of(__builtin_amdgcn_workgroup_id_y()); y < height; y += (ulong)groups_y * GROUP_Y) {
    __global uchar* to = dst + z * dst_slice + y * dst_pitch;
    __global const uchar* from = src + z * src_slice + y * src_pitch;
    for (ulong unit = unit_of(); unit < units; unit += (ulong)groups_x * GROUP_X)
      ((__global uint4_any*)to)[unit] = ((__global const uint4_any*)from)[unit];
    ulong byte = unit_of();
    if (byte < tail)
      to[units * 16 + byte] = from[units * 16 + byte];
  }
}

// `pattern` is the value repeated to 32 bits. dst and dst_pitch are multiples of the value's size, so that every unit
// begins with the pattern's first byte.
__attribute__((reqd_work_group_size(GROUP_X, GROUP_Y, 1)))
__kernel void blit_fill(__global uchar* dst, ulong dst_pitch, ulong width, ulong height, uint pattern, uint groups_x,
                        uint groups_y) {
  ulong units = width / 16;
  uint tail = (uint)(width % 16);
  uint4_any value = (uint4_any)(pattern, pattern, pattern, pattern);
  for (ulong y = row_of(__builtin_amdgcn_workgroup_id_y()); y < height; y += (ulong)groups_y * GROUP_Y) {
    __global uchar* to = dst + y * dst_pitch;
    for (ulong unit = unit_of(); unit < units; unit += (ulong)groups_x * GROUP_X)
      ((__global uint4_any*)to)[unit] = value;
    ulong byte = unit_of();
    if (byte < tail)
      to[units * 16 + byte] = (uchar)(pattern >> (byte % 4 * 8));
  }
}
