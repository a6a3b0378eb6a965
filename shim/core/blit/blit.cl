// The kernels behind cuMemcpy* and cuMemset*: rectangles of bytes, at any alignment.
//
// x walks a row in units of 16 bytes, y is the row, z the slice; work-groups are group_x by group_y. Loads and stores of
// 16 bytes need no alignment on gfx9 and later (KFD runs queues in unaligned access mode). At least 16 work-items
// share a row, so that each of the last bytes has one.

typedef uint uint4_any __attribute__((ext_vector_type(4), aligned(1)));

__attribute__((amdgpu_flat_work_group_size(1, 256)))
__kernel void blit_copy(__global uchar* dst, __global const uchar* src, ulong dst_pitch, ulong src_pitch,
                        ulong dst_slice, ulong src_slice, ulong width, ulong height, uint group_x, uint group_y,
                        uint step_x, uint step_y) {
  ulong units = width / 16;
  uint tail = (uint)(width % 16);
  ulong z = __builtin_amdgcn_workgroup_id_z();
  ulong first = (ulong)__builtin_amdgcn_workgroup_id_x() * group_x + __builtin_amdgcn_workitem_id_x();
  ulong row = (ulong)__builtin_amdgcn_workgroup_id_y() * group_y + __builtin_amdgcn_workitem_id_y();
  for (ulong y = row; y < height; y += step_y) {
    __global uchar* to = dst + z * dst_slice + y * dst_pitch;
    __global const uchar* from = src + z * src_slice + y * src_pitch;
    for (ulong unit = first; unit < units; unit += step_x)
      ((__global uint4_any*)to)[unit] = ((__global const uint4_any*)from)[unit];
    if (first < tail)
      to[units * 16 + first] = from[units * 16 + first];
  }
}

// `pattern` is the value repeated to 32 bits. dst and dst_pitch are multiples of the value's size, so that every unit
// begins with the pattern's first byte.
__attribute__((amdgpu_flat_work_group_size(1, 256)))
__kernel void blit_fill(__global uchar* dst, ulong dst_pitch, ulong width, ulong height, uint pattern, uint group_x,
                        uint group_y, uint step_x, uint step_y) {
  ulong units = width / 16;
  uint tail = (uint)(width % 16);
  uint4_any value = (uint4_any)(pattern, pattern, pattern, pattern);
  ulong first = (ulong)__builtin_amdgcn_workgroup_id_x() * group_x + __builtin_amdgcn_workitem_id_x();
  ulong row = (ulong)__builtin_amdgcn_workgroup_id_y() * group_y + __builtin_amdgcn_workitem_id_y();
  for (ulong y = row; y < height; y += step_y) {
    __global uchar* to = dst + y * dst_pitch;
    for (ulong unit = first; unit < units; unit += step_x)
      ((__global uint4_any*)to)[unit] = value;
    if (first < tail)
      to[units * 16 + first] = (uchar)(pattern >> (first % 4 * 8));
  }
}
